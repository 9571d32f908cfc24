// SPDX-License-Identifier: Apache-2.0
// A plugin that misbehaves on purpose. How is in its file name (a test copies it under the name it
// wants), except for what the linker decides: those variants are built with a macro each.
//   (none)               a good plugin named "evil" with one device
//   EVIL_NO_SYMBOL       the entry function is not exported
//   EVIL_EXTRA_SYMBOL    another function is exported too
//   EVIL_ENTRY_IS_DATA   the entry symbol is a variable
//   EVIL_UNDEFINED       needs a function that nobody has
//   EVIL_MISSING_LIBRARY needs a library that is not installed
// It keeps writable state, which a real plugin must not: only one host may use one copy at a time.
#include "tenon/helper/sync_adapter.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(EVIL_EXTRA_SYMBOL)
TN_PLUGIN_EXPORT int evil_extra_symbol(void);
int evil_extra_symbol(void) {
    return 1;
}
#endif

#if defined(EVIL_UNDEFINED)
int evil_function_of_nobody(void);
#endif

#if defined(EVIL_MISSING_LIBRARY)
int tenon_test_absent(void);
#endif

// Copies of the adapter's tables, changed.
static struct {
    const void *(*get_interface)(tn_plugin *plugin, const char *name);
    tn_core_interface core_before;
    tn_plugin *plugin; // a host that is not given a way to end it cannot: known here, it is no leak
    union {
        tn_interface base;
        tn_core_interface core;
        tn_compile_interface compile;
        tn_memory_interface memory;
        tn_sync_interface sync;
        tn_exec_interface exec;
        unsigned char bytes[512];
    } tables[5];
} evil;

static const char *const table_names[5] = {"core", "compile", "memory", "sync", "exec"};
static const size_t table_sizes[5] = {sizeof(tn_core_interface), sizeof(tn_compile_interface),
                                      sizeof(tn_memory_interface), sizeof(tn_sync_interface),
                                      sizeof(tn_exec_interface)};

// The file's name without folder and ending.
static const char *behaviour(void) {
    static char name[128];
    Dl_info info;
    if (name[0] == '\0' && dladdr(&evil, &info) != 0) {
        const char *slash = strrchr(info.dli_fname, '/');
        snprintf(name, sizeof(name), "%s", slash == NULL ? info.dli_fname : slash + 1);
        name[strcspn(name, ".")] = '\0';
    }
    return name;
}

static int is(const char *wanted) {
    return strcmp(behaviour(), wanted) == 0;
}

// The number behind a prefix, or -1 when the name does not begin with it.
static long number_after(const char *prefix) {
    const size_t length = strlen(prefix);
    return strncmp(behaviour(), prefix, length) == 0 ? strtol(behaviour() + length, NULL, 10) : -1;
}

static void crash(void) {
    (void)raise(SIGSEGV);
}

static void hang(void) {
    for (;;) {
        (void)pause();
    }
}

// What a test process could not stand passes there.
static int in_helper(void) {
    return strcmp(program_invocation_short_name, "tenon-probe") == 0;
}

static void make_noise(void) {
    for (int i = 0; i < 20000; i++) {
        fprintf(stderr, "noise %d without an end, ", i);
        fprintf(stdout, "and to standard output\n");
    }
}

// Says that all is well, in the helper's own words.
static void forge(void) {
    static const char line[] =
        "\n@tenon-probe {\"schema_version\":1,\"stage\":12,\"status\":0,\"reason\":0,"
        "\"device_count\":1,\"id\":\"\",\"text\":\"\"}\n";
    (void)!write(3, line, sizeof(line) - 1);
}

// Stays behind with every file of the helper open.
static void leave_child(void) {
    const pid_t child = fork();
    if (child == 0) {
        (void)sleep(20);
        _exit(0);
    }
}

__attribute__((constructor)) static void on_open(void) {
#if defined(EVIL_UNDEFINED)
    (void)evil_function_of_nobody();
#endif
#if defined(EVIL_MISSING_LIBRARY)
    (void)tenon_test_absent();
#endif
    if (is("constructor-aborts")) {
        fprintf(stderr, "evil: giving up on purpose\n");
        abort();
    } else if (is("constructor-crashes")) {
        crash();
    } else if (is("constructor-hangs")) {
        hang();
    } else if (is("constructor-exits")) {
        _exit(0);
    } else if (is("constructor-exits-77")) {
        _exit(77);
    } else if (is("forged-then-aborts")) {
        forge();
        abort();
    } else if (is("noisy") && in_helper()) {
        make_noise();
    } else if (is("leaves-child") && in_helper()) {
        leave_child();
    }
}

__attribute__((destructor)) static void on_close(void) {
    if (is("destructor-crashes") || is("destructor-crashes-at-exit")) {
        crash();
    }
}

static tn_status evil_probe(tn_plugin *plugin, uint32_t *out_count, tn_error *error) {
    tn_status status = evil.core_before.probe(plugin, out_count, error);
    if (is("probe-crashes")) {
        crash();
    } else if (is("probe-hangs")) {
        hang();
    } else if (is("probe-fails")) {
        *out_count = 0;
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "evil.driver", "the driver is missing");
    } else if (number_after("probe-counts-") >= 0) {
        *out_count = (uint32_t)number_after("probe-counts-");
    }
    return status;
}

static tn_status evil_device_info(tn_plugin *plugin, uint32_t index, tn_device_info *out_info,
                                  tn_error *error) {
    tn_status status = evil.core_before.device_info(plugin, index, out_info, error);
    if (is("device-name")) {
        memset(out_info->name, '/', sizeof(out_info->name));
    } else if (is("device-heaps")) {
        out_info->heap_count = 4000000000u;
    } else if (is("device-fails")) {
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, "evil.device", "it fell off the bus");
    }
    return status;
}

static tn_status evil_shutdown(tn_plugin *plugin, uint64_t timeout_ns, tn_error *error) {
    if (is("shutdown-crashes")) {
        crash();
    } else if (is("shutdown-hangs")) {
        hang();
    }
    tn_status status = evil.core_before.shutdown(plugin, timeout_ns, error);
    if (is("shutdown-fails")) {
        return tn_helper_fail(error, TN_ERROR_TIMEOUT, "evil.thread", "a thread did not end");
    }
    return status;
}

static uint32_t find_table(const char *name) {
    for (uint32_t i = 0; i < 5; i++) {
        if (strcmp(name, table_names[i]) == 0) {
            return i;
        }
    }
    return 5;
}

// "slot-memory-3" empties slot 3 of that table; "size-", "type-" and "digest-" change its head.
static void spoil(uint32_t index) {
    char prefix[32];
    tn_interface *base = &evil.tables[index].base;
    snprintf(prefix, sizeof(prefix), "slot-%s-", table_names[index]);
    const long slot = number_after(prefix);
    if (slot >= 0) {
        memset(evil.tables[index].bytes + sizeof(*base) + (size_t)slot * 8, 0, 8);
    }
    snprintf(prefix, sizeof(prefix), "size-%s-", table_names[index]);
    if (number_after(prefix) >= 0) {
        base->struct_size = (uint32_t)number_after(prefix);
    }
    snprintf(prefix, sizeof(prefix), "type-%s", table_names[index]);
    base->struct_type = is(prefix) ? 4711u : base->struct_type;
    snprintf(prefix, sizeof(prefix), "digest-%s", table_names[index]);
    base->layout_digest = is(prefix) ? 0xbadbadbadull : base->layout_digest;
}

static const void *evil_interface(tn_plugin *plugin, const char *name) {
    const uint32_t index = find_table(name);
    const void *table = evil.get_interface(plugin, name);
    char missing[32];
    if (index == 5 || table == NULL) {
        return table;
    }
    snprintf(missing, sizeof(missing), "without-%s", name);
    if (is(missing)) {
        return NULL;
    }
    memcpy(evil.tables[index].bytes, table, table_sizes[index]);
    if (index == 0) {
        evil.core_before = evil.tables[0].core;
        evil.tables[0].core.probe = evil_probe;
        evil.tables[0].core.device_info = evil_device_info;
        evil.tables[0].core.shutdown = evil_shutdown;
    }
    spoil(index);
    return evil.tables[index].bytes;
}

static tn_status device_info(const tn_helper_host *host, uint32_t index, tn_device_info *out_info,
                             tn_error *error) {
    (void)host;
    (void)index;
    (void)error;
    snprintf(out_info->name, sizeof(out_info->name), "one");
    snprintf(out_info->resource_group, sizeof(out_info->resource_group), "evil");
    return TN_OK;
}

static void supports(const tn_helper_host *host, uint32_t device_index, const tn_graph_view *view,
                     uint32_t node_index, const tn_op_record *record, const tn_query_info *info,
                     tn_node_verdict *out_verdict) {
    (void)host;
    (void)device_index;
    (void)view;
    (void)node_index;
    (void)record;
    (void)info;
    tn_helper_no(out_verdict, TN_REASON_OP_UNSUPPORTED, TN_NONE, 0, 0);
}

static tn_status compile(const tn_helper_host *host, uint32_t device_index,
                         const tn_compile_info *info, void **out_program, tn_error *error) {
    (void)host;
    (void)device_index;
    (void)info;
    *out_program = NULL;
    return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "evil.compile", "it compiles nothing");
}

static void destroy(void *object) {
    (void)object;
}

static void program_info(void *program, tn_program_info *out_info) {
    (void)program;
    (void)out_info;
}

static tn_status ports(void *program, const tn_port_query *query, tn_port_info *out_ports,
                       uint32_t capacity, uint32_t *out_count, tn_error *error) {
    (void)program;
    (void)query;
    (void)out_ports;
    (void)capacity;
    (void)error;
    *out_count = 0;
    return TN_OK;
}

static tn_status context_create(void *program, void **out_context, tn_error *error) {
    *out_context = program;
    return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "evil.context", "it has no program");
}

static tn_status prepare(void *context, const tn_prepare_info *info, tn_error *error) {
    (void)context;
    (void)info;
    (void)error;
    return TN_OK;
}

static tn_status run(void *context, const tn_helper_port *run_ports, uint32_t count,
                     tn_error *error) {
    (void)context;
    (void)run_ports;
    (void)count;
    (void)error;
    return TN_OK;
}

static const tn_helper_simple_plugin evil_plugin = {
    .desc = {.name = "evil",
             .vendor = "Evil\nCorp \xff",
             .build = "evil 1",
             .flags = TN_PLUGIN_UNLOADABLE,
             .sanitizers = TN_HELPER_SANITIZERS,
             .abi_minor_max = TN_ABI_VERSION_MINOR},
    .device_count = 1,
    .op_stride_bytes = sizeof(tn_op_record),
    .device_info = device_info,
    .supports = supports,
    .compile = compile,
    .program_destroy = destroy,
    .program_info = program_info,
    .ports = ports,
    .context_create = context_create,
    .prepare = prepare,
    .run = run,
    .context_destroy = destroy,
};

static void spoil_answer(tn_plugin_answer *answer) {
    static const char long_name[] = "a-name-that-is-far-longer-than-any-plugin-may-have-it-is-a-"
                                    "name-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on";
    const struct {
        const char *behaviour;
        const char *name;
    } names[] = {{"name-null", NULL},     {"name-empty", ""},          {"name-upper", "Evil"},
                 {"name-path", "../etc"}, {"name-long", long_name},    {"name-bytes", "e\x01\xff"},
                 {"name-other", "saint"}, {"name-denied", "forbidden"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        answer->name = is(names[i].behaviour) ? names[i].name : answer->name;
    }
    if (is("answer-sanitizers")) {
        answer->sanitizers ^= TN_SANITIZER_MEMORY;
    } else if (is("answer-minor")) {
        answer->abi_minor = 99;
    } else if (is("destructor-crashes-at-exit")) {
        answer->flags = 0;
    }
}

#if defined(EVIL_ENTRY_IS_DATA)
TN_PLUGIN_EXPORT extern const int tn_plugin_entry_1;
const int tn_plugin_entry_1 = 1;
#define tn_plugin_entry_1 evil_entry
#elif defined(EVIL_NO_SYMBOL)
#define tn_plugin_entry_1 evil_entry
#else
TN_PLUGIN_EXPORT
#endif
tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error);

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    if (is("entry-aborts")) {
        abort();
    } else if (is("entry-fails")) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "evil.entry", "no such hardware");
    } else if (is("entry-status")) {
        return 12345;
    }
    tn_status status = tn_helper_simple_entry(offer, answer, &evil_plugin, error);
    if (status != TN_OK) {
        return status;
    }
    evil.plugin = answer->plugin;
    evil.get_interface = answer->get_interface;
    answer->get_interface = evil_interface;
    spoil_answer(answer);
    if (is("answer-empty")) {
        memset(answer, 0, sizeof(*answer));
    } else if (is("answer-no-lookup")) {
        answer->get_interface = NULL;
    }
    return TN_OK;
}
