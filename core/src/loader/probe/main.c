// SPDX-License-Identifier: Apache-2.0
// tenon-probe: loads one plugin the way a host does and says how that went, so that a plugin that
// crashes or hangs does it here. Started by the loader; by hand: tenon-probe LIBRARY.
#include "loader/probe/protocol.h"

#include "base/error.h"
#include "base/string.h"
#include "loader/plugin.h"

#include <dlfcn.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define SHUTDOWN_NS 5000000000ull
#define EXIT_USAGE 2
#define EXIT_REPORT 3

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

typedef struct probe {
    const char *path;
    int output;
    uint32_t *step; // shared with the host
    uint32_t own_step;
    tni_pool *pool;
    tni_weights weights;
    tni_plugin *plugin;
    void *library;
    uint32_t device_count;
    char name[TNI_PLUGIN_TEXT_BYTES];
    char vendor[TNI_PLUGIN_TEXT_BYTES];
    char build[TNI_PLUGIN_TEXT_BYTES];
    tn_reason reason;
    tn_error error;
} probe;

// No core file for a crash that is expected, and no life without the host.
static void limit(void) {
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void share_step(probe *own) {
    void *page =
        mmap(NULL, sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED, TNI_PROBE_STEP, 0);
    if (page != MAP_FAILED) {
        own->step = page;
    }
    (void)close(TNI_PROBE_STEP);
}

static tn_status open_library(probe *own) {
    *own->step = TN_LOAD_OPEN;
    own->reason = TN_REASON_NOT_USABLE;
    own->library = dlopen(own->path, RTLD_NOW | RTLD_LOCAL);
    if (own->library != NULL) {
        return TN_OK;
    }
    const char *text = dlerror();
    text = text == NULL ? "no reason given" : text;
    if (strstr(text, "cannot open shared object file") != NULL) {
        own->reason = TN_REASON_DEP_MISSING;
    }
    return tni_fail(&own->error, TN_ERROR_INVALID_DATA, "load.dlopen", "%s", text);
}

static tn_status start_plugin(probe *own) {
    *own->step = TN_LOAD_ENTRY;
    own->reason = TN_REASON_ABI_REJECTED;
    void *symbol = dlsym(own->library, TN_PLUGIN_ENTRY_NAME);
    tn_plugin_entry_fn entry = NULL;
    memcpy(&entry, &symbol, sizeof(entry));
    if (entry == NULL) {
        return tni_fail(&own->error, TN_ERROR_INVALID_DATA, "load.no-entry",
                        "the library does not export " TN_PLUGIN_ENTRY_NAME);
    }
    const tni_log silent = {NULL, NULL, 0};
    const tni_plugin_start_info info = {
        .alloc = tni_alloc_default(),
        .log = &silent,
        .pool = own->pool,
        .weights = &own->weights,
        .entry = entry,
        .path = own->path,
        .secure_execution = getauxval(AT_SECURE) != 0,
    };
    tn_status status = tni_plugin_start(&info, &own->plugin, own->step, &own->error);
    if (status != TN_OK) {
        own->reason = status == TN_ERROR_VERSION_MISMATCH || *own->step == TN_LOAD_INTERFACES
                          ? TN_REASON_ABI_REJECTED
                          : TN_REASON_NOT_USABLE;
        return status;
    }
    own->device_count = own->plugin->device_count;
    memcpy(own->name, own->plugin->name, sizeof(own->name));
    memcpy(own->vendor, own->plugin->vendor, sizeof(own->vendor));
    memcpy(own->build, own->plugin->build, sizeof(own->build));
    return TN_OK;
}

// A host unloads a plugin that says it may be unloaded, so that is tried too.
static tn_status end_plugin(probe *own) {
    const bool unloadable = (own->plugin->flags & TN_PLUGIN_UNLOADABLE) != 0;
    *own->step = TNI_PROBE_STEP_SHUTDOWN;
    own->reason = TN_REASON_NOT_USABLE;
    tn_status status = tni_plugin_stop(own->plugin, SHUTDOWN_NS, &own->error);
    own->plugin = NULL;
    if (status == TN_OK && unloadable && !SANITIZED) {
        *own->step = TNI_PROBE_STEP_CLOSE;
        (void)dlclose(own->library);
    }
    return status;
}

static tn_status run(probe *own) {
    tn_status status = tni_weights_init(&own->weights, tni_alloc_default());
    if (status == TN_OK) {
        status = tni_pool_create(tni_alloc_default(), 1, &own->pool);
    }
    if (status != TN_OK) {
        return tni_fail_plain(&own->error, status, "the probe's host");
    }
    status = open_library(own);
    if (status == TN_OK) {
        status = start_plugin(own);
    }
    if (status == TN_OK) {
        status = end_plugin(own);
    }
    return status;
}

// One line, in one write so that nothing comes in between.
static bool report(const probe *own, tn_status status, bool for_host) {
    char line[TNI_PROBE_LINE_BYTES];
    const bool good = status == TN_OK;
    json_t *json =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:s, s:s}", "schema_version",
                  1, "library", for_host ? "" : own->path, "name", own->name, "vendor", own->vendor,
                  "build", own->build, "stage", (json_int_t)(good ? TN_LOAD_READY : *own->step),
                  "stage_text", tn_load_stage_text(good ? TN_LOAD_READY : *own->step), "status",
                  (json_int_t)status, "reason", (json_int_t)(good ? TN_REASON_NONE : own->reason),
                  "device_count", (json_int_t)own->device_count, "id", good ? "" : own->error.id,
                  "text", good ? "" : own->error.text);
    if (json == NULL) {
        return false;
    }
    int used = for_host ? snprintf(line, sizeof(line), "\n" TNI_PROBE_PREFIX) : 0;
    const size_t begin = (size_t)used;
    const size_t size = json_dumpb(json, line + begin, sizeof(line) - begin - 1, JSON_COMPACT);
    json_decref(json);
    if (size == 0 || size > sizeof(line) - begin - 1) {
        return false;
    }
    line[begin + size] = '\n';
    const size_t total = begin + size + 1;
    return write(own->output, line, total) == (ssize_t)total;
}

int main(int argc, char **argv) {
    const bool for_host = argc == 3 && strcmp(argv[1], TNI_PROBE_OPTION) == 0;
    if (!for_host && (argc != 2 || argv[1][0] == '-')) {
        fprintf(stderr, "usage: tenon-probe LIBRARY\n"
                        "Loads one plugin library, starts and ends it, and prints one JSON line.\n"
                        "LIBRARY is executed: use it on files that you trust as far as this.\n"
                        "Exit code 0: it loads; 1: it does not; 2: usage.\n");
        return EXIT_USAGE;
    }
    static probe own;
    char resolved[PATH_MAX];
    own.path = argv[argc - 1];
    own.output = for_host ? TNI_PROBE_OUTPUT : STDOUT_FILENO;
    own.step = &own.own_step;
    tni_error_init(&own.error);
    if (for_host) {
        limit();
        share_step(&own);
    } else if (realpath(own.path, resolved) != NULL) {
        own.path = resolved; // dlopen would search for a name without a slash
    } else {
        fprintf(stderr, "tenon-probe: %s: no such file\n", own.path);
        return EXIT_USAGE;
    }
    const tn_status status = run(&own);
    // The plugin may have written them.
    own.error.id[sizeof(own.error.id) - 1] = '\0';
    own.error.text[sizeof(own.error.text) - 1] = '\0';
    tni_text_sanitise(own.error.id);
    tni_text_sanitise(own.error.text);
    if (!report(&own, status, for_host)) {
        return EXIT_REPORT;
    }
    const int code = status == TN_OK || for_host ? EXIT_SUCCESS : EXIT_FAILURE;
    *own.step = TNI_PROBE_STEP_EXIT;
    if (SANITIZED) {
        // A driver's own leaks are not what is asked here.
        _exit(code);
    }
    return code; // destructors of a library that stays mapped run now, as they would in the host
}
