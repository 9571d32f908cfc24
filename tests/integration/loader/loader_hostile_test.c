// SPDX-License-Identifier: Apache-2.0
// Every way in which a plugin can be wrong: the load report says exactly which, and the host beside
// it works. Once as found by a search, with the probe, and once by path, in this process, where
// that is survivable.
#include "support/onnx_builder.h"
#include "support/plugin_folder.h"

#include "tenon/abi/verdict.h"
#include "tenon/tenon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define EVIL_DIR TN_TEST_EVIL_DIR "/"
#define PLAIN EVIL_DIR "evil.so"

// Sanitizers end the process their own way and keep libraries mapped.
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

#define QUICK_NS 1500000000ull

typedef struct hostile_case {
    const char *stem;   // of the files, and so the behaviour
    const char *source; // the library that is copied
    tn_status status;
    tn_reason reason;
    const char *probe_text; // a part of what the search reports
    tn_load_stage stage;    // by path; FOUND: not survivable, or nothing wrong by path
    const char *text;       // a part of what is reported by path
} hostile_case;

static tn_host *create(tn_host_config *config) {
    tn_host *host = NULL;
    tn_error error;
    tn_error_init(&error);
    assert_int_equal(tn_host_create(config, &host, &error), TN_OK);
    assert_non_null(host);
    return host;
}

static void assert_part(const char *stem, const char *text, const char *part) {
    if (strstr(text, part) == NULL) {
        fail_msg("%s: \"%s\" is not in \"%s\"", stem, part, text);
    }
}

static void assert_entry(const tn_host *host, const hostile_case *wanted, tn_load_stage stage,
                         const char *text) {
    tn_load_entry entry;
    assert_true(plugin_folder_find(host, "evil", 0, &entry));
    if (entry.stage != stage || entry.status != wanted->status || entry.reason != wanted->reason) {
        fail_msg("%s: stage %s, status %s, reason %s, not %s, %s, %s: %s", wanted->stem,
                 tn_load_stage_text(entry.stage), tn_status_text(entry.status),
                 tn_reason_text(entry.reason), tn_load_stage_text(stage),
                 tn_status_text(wanted->status), tn_reason_text(wanted->reason), entry.text);
    }
    assert_part(wanted->stem, entry.text, text);
    assert_int_equal(entry.device_count, 0);
    assert_int_equal(tn_host_device_find(host, "evil"), TN_NONE);
}

// Searched: the folder holds the hostile plugin and a good one.
static void check_found(const hostile_case *wanted) {
    plugin_folder folder;
    tn_host_config config;
    const char *dir = NULL;
    plugin_folder_init(&folder);
    plugin_folder_add(&folder, wanted->source, wanted->stem, "evil");
    plugin_folder_add_good(&folder);
    plugin_folder_config(&folder, &dir, &config);
    config.probe_timeout_ns = strstr(wanted->stem, "hangs") != NULL ? QUICK_NS : 60000000000ull;
    tn_host *host = create(&config);
    assert_entry(host, wanted, TN_LOAD_PROBE, wanted->probe_text);
    plugin_folder_assert_good(host);
    tn_host_release(host);
    plugin_folder_deinit(&folder);
}

static void check_given(const hostile_case *wanted) {
    plugin_folder folder;
    tn_host_config config;
    char manifest[256];
    char stem[128];
    const char *dir = NULL;
    const char *path = manifest;
    if (wanted->stage == TN_LOAD_FOUND) {
        return;
    }
    plugin_folder_init(&folder);
    plugin_folder_add(&folder, wanted->source, wanted->stem, "evil");
    plugin_folder_add_good(&folder);
    plugin_folder_config(&folder, &dir, &config);
    snprintf(stem, sizeof(stem), "%s.tenon.json", wanted->stem);
    plugin_folder_join(&folder, stem, manifest);
    config.plugin_paths = &path;
    config.plugin_path_count = 1;
    config.search_dir_count = 0;
    tn_host *host = create(&config);
    assert_entry(host, wanted, wanted->stage, wanted->text);
    tn_host_release(host);
    plugin_folder_deinit(&folder);
}

static void check_both(const hostile_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        check_found(&cases[i]);
        check_given(&cases[i]);
    }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void load__evil_without_a_behaviour_is_good(void **state) {
    (void)state;
    plugin_folder folder;
    tn_host_config config;
    tn_load_entry entry;
    const char *dir = NULL;
    plugin_folder_init(&folder);
    plugin_folder_add(&folder, PLAIN, "plain", "evil");
    plugin_folder_add_good(&folder);
    plugin_folder_config(&folder, &dir, &config);
    tn_host *host = create(&config);
    assert_true(plugin_folder_find(host, "evil", 0, &entry));
    assert_string_equal(entry.text, "");
    assert_int_equal(entry.stage, TN_LOAD_READY);
    assert_int_equal(entry.device_count, 1);
    assert_string_equal(entry.vendor, "Evil?Corp ?");
    assert_true(entry.duration_ns > 0);
    plugin_folder_assert_good(host);
    tn_host_release(host);
    plugin_folder_deinit(&folder);
}

// What kills or hangs the process that opens it: only the probe may do that (ABI-39).
static void load__deadly(void **state) {
    (void)state;
    static const hostile_case cases[] = {
        {"constructor-aborts", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
         "the probe died with signal 6 (SIGABRT) in stage open; its last words: evil: giving up on "
         "purpose",
         TN_LOAD_FOUND, ""},
        {"constructor-hangs", PLAIN, TN_ERROR_TIMEOUT, TN_REASON_NOT_USABLE,
         "the probe did not finish within 1500 ms and was killed in stage open", TN_LOAD_FOUND, ""},
        {"constructor-exits", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
         "the probe ended with exit code 0 in stage open", TN_LOAD_FOUND, ""},
        {"constructor-exits-77", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
         "the probe ended with exit code 77 in stage open", TN_LOAD_FOUND, ""},
        {"forged-then-aborts", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
         "the probe died with signal 6 (SIGABRT) in stage open", TN_LOAD_FOUND, ""},
        {"entry-aborts", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
         "the probe died with signal 6 (SIGABRT) in stage entry", TN_LOAD_FOUND, ""},
        {"probe-hangs", PLAIN, TN_ERROR_TIMEOUT, TN_REASON_NOT_USABLE,
         "was killed in stage devices", TN_LOAD_FOUND, ""},
        {"shutdown-hangs", PLAIN, TN_ERROR_TIMEOUT, TN_REASON_NOT_USABLE,
         "was killed in stage shutdown", TN_LOAD_FOUND, ""},
    };
    check_both(cases, COUNT(cases));
}

// A sanitizer turns a segmentation fault into an exit of its own.
static void load__crashes(void **state) {
    (void)state;
    static const struct {
        const char *stem;
        const char *step;
    } cases[] = {
        {"constructor-crashes", "open"},        {"probe-crashes", "devices"},
        {"shutdown-crashes", "shutdown"},       {"destructor-crashes", "close"},
        {"destructor-crashes-at-exit", "exit"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[128];
        // The helper neither unloads nor runs destructors under a sanitizer.
        if (SANITIZED && i >= 3) {
            continue;
        }
        snprintf(text, sizeof(text), "%s in stage %s",
                 SANITIZED ? "" : "the probe died with signal 11 (SIGSEGV)", cases[i].step);
        const hostile_case wanted = {
            cases[i].stem, PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE, text,
            TN_LOAD_FOUND, ""};
        check_found(&wanted);
    }
}

static void load__refused_by_the_plugin(void **state) {
    (void)state;
    static const hostile_case cases[] = {
        {"entry-fails", PLAIN, TN_ERROR_UNSUPPORTED, TN_REASON_NOT_USABLE,
         "in the probe's stage entry: no such hardware", TN_LOAD_ENTRY, "no such hardware"},
        {"entry-status", PLAIN, TN_ERROR_INTERNAL, TN_REASON_NOT_USABLE, "12345", TN_LOAD_ENTRY,
         "12345"},
        {"probe-fails", PLAIN, TN_ERROR_UNSUPPORTED, TN_REASON_NOT_USABLE,
         "in the probe's stage devices: the driver is missing", TN_LOAD_DEVICES,
         "the driver is missing"},
        {"device-fails", PLAIN, TN_ERROR_DEVICE_LOST, TN_REASON_NOT_USABLE,
         "in the probe's stage devices: it fell off the bus", TN_LOAD_DEVICES,
         "it fell off the bus"},
        {"shutdown-fails", PLAIN, TN_ERROR_TIMEOUT, TN_REASON_NOT_USABLE,
         "in the probe's stage shutdown: a thread did not end", TN_LOAD_FOUND, ""},
    };
    check_both(cases, COUNT(cases));
}

static void load__garbage_answers(void **state) {
    (void)state;
    static const hostile_case cases[] = {
        {"answer-empty", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
         "returned OK without a plugin or get_interface", TN_LOAD_ENTRY,
         "returned OK without a plugin or get_interface"},
        {"answer-no-lookup", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
         "without a plugin or get_interface", TN_LOAD_ENTRY, "without a plugin or get_interface"},
        {"answer-minor", PLAIN, TN_ERROR_VERSION_MISMATCH, TN_REASON_ABI_REJECTED,
         "chose ABI minor 99", TN_LOAD_ENTRY, "chose ABI minor 99"},
        {"answer-sanitizers", PLAIN, TN_ERROR_VERSION_MISMATCH, TN_REASON_ABI_REJECTED,
         "built with sanitizers 0x", TN_LOAD_ENTRY, "built with sanitizers 0x"},
        {"name-null", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE, "the plugin's name \"\"",
         TN_LOAD_ENTRY, "the plugin's name \"\""},
        {"name-empty", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE, "the plugin's name \"\"",
         TN_LOAD_ENTRY, "the plugin's name \"\""},
        {"name-upper", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE, "\"Evil\" is not",
         TN_LOAD_ENTRY, "\"Evil\" is not"},
        {"name-path", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE, "\"../etc\" is not",
         TN_LOAD_ENTRY, "\"../etc\" is not"},
        {"name-long", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE, "\"a-name-that-is-far",
         TN_LOAD_ENTRY, "\"a-name-that-is-far"},
        {"name-bytes", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE, "\"e??\" is not",
         TN_LOAD_ENTRY, "\"e??\" is not"},
    };
    check_both(cases, COUNT(cases));
}

static void load__garbage_devices(void **state) {
    (void)state;
    static const hostile_case cases[] = {
        {"probe-counts-1000", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
         "reports 1000 devices", TN_LOAD_DEVICES, "reports 1000 devices"},
        {"probe-counts-4294967295", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
         "reports 4294967295 devices", TN_LOAD_DEVICES, "reports 4294967295 devices"},
        {"probe-counts-2", PLAIN, TN_ERROR_INVALID_ARGUMENT, TN_REASON_NOT_USABLE,
         "in the probe's stage devices: ", TN_LOAD_DEVICES, ""},
        {"device-name", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE, "device 0: name \"///",
         TN_LOAD_DEVICES, "device 0: name \"///"},
        {"device-heaps", PLAIN, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE, "4000000000 heaps",
         TN_LOAD_DEVICES, "4000000000 heaps"},
    };
    check_both(cases, COUNT(cases));
}

// A plugin without a slot that it may leave out loads: the host stands in for it (ABI-20).
static void check_optional(const char *stem) {
    plugin_folder folder;
    tn_host_config config;
    tn_load_entry entry;
    const char *dir = NULL;
    plugin_folder_init(&folder);
    plugin_folder_add(&folder, PLAIN, stem, "evil");
    plugin_folder_config(&folder, &dir, &config);
    tn_host *host = create(&config);
    assert_true(plugin_folder_find(host, "evil", 0, &entry));
    assert_string_equal(entry.text, "");
    assert_int_equal(entry.stage, TN_LOAD_READY);
    tn_host_release(host);
    plugin_folder_deinit(&folder);
}

static bool is_optional(const char *slot) {
    return strcmp(slot, "cancel") == 0 || strcmp(slot, "fence_on_reach") == 0;
}

// Every slot of every mandatory table, empty, by its name.
static void load__null_slots(void **state) {
    (void)state;
    static const struct {
        const char *table;
        const char *slots[9];
    } tables[] = {
        {"core", {"probe", "device_info", "device_open", "device_close", "shutdown"}},
        {"compile",
         {"op_list", "query_support", "compile", "program_info", "port_query", "program_destroy"}},
        {"memory",
         {"heap_info", "memory_alloc", "memory_import", "memory_free", "memory_map", "memory_unmap",
          "cpu_begin", "cpu_end", "copy"}},
        {"sync",
         {"fence_caps", "fence_create", "fence_destroy", "fence_query", "fence_signal",
          "fence_fail", "fence_wait", "fence_on_reach"}},
        {"exec", {"context_create", "context_prepare", "submit", "cancel", "context_destroy"}},
    };
    size_t checked = 0;
    for (size_t t = 0; t < COUNT(tables); t++) {
        for (size_t s = 0; s < COUNT(tables[t].slots) && tables[t].slots[s] != NULL; s++) {
            char stem[64];
            char text[128];
            snprintf(stem, sizeof(stem), "slot-%s-%zu", tables[t].table, s);
            snprintf(text, sizeof(text), "slot \"%s\" of interface \"%s\" is null",
                     tables[t].slots[s], tables[t].table);
            if (is_optional(tables[t].slots[s])) {
                check_optional(stem);
                continue;
            }
            const hostile_case wanted = {stem,
                                         PLAIN,
                                         TN_ERROR_INVALID_DATA,
                                         TN_REASON_ABI_REJECTED,
                                         text,
                                         TN_LOAD_INTERFACES,
                                         text};
            check_found(&wanted);
            check_given(&wanted);
            checked++;
        }
    }
    assert_int_equal(checked, 31);
}

static void load__garbage_tables(void **state) {
    (void)state;
    static const char *const tables[] = {"core", "compile", "memory", "sync", "exec"};
    static const struct {
        const char *stem;
        const char *text;
        tn_status status;
    } faults[] = {
        {"without-%s", "the plugin has no interface \"%s\"", TN_ERROR_INVALID_DATA},
        {"type-%s", "interface \"%s\" has struct_type 4711", TN_ERROR_INVALID_DATA},
        {"size-%s-0", "interface \"%s\" has struct_type 5 and struct_size 0",
         TN_ERROR_INVALID_DATA},
        {"size-%s-8", "interface \"%s\" has struct_type 5 and struct_size 8",
         TN_ERROR_INVALID_DATA},
        {"size-%s-41", "interface \"%s\" has struct_type 5 and struct_size 41",
         TN_ERROR_INVALID_DATA},
        {"size-%s-2000000000", "interface \"%s\" has struct_type 5 and struct_size 2000000000",
         TN_ERROR_INVALID_DATA},
        {"size-%s-24", " of interface \"%s\" is null", TN_ERROR_INVALID_DATA},
        {"digest-%s", "interface \"%s\" minor 0: plugin layout 0000000badbadbad, host layout",
         TN_ERROR_VERSION_MISMATCH},
    };
    for (size_t t = 0; t < COUNT(tables); t++) {
        for (size_t f = 0; f < COUNT(faults); f++) {
            char stem[64];
            char text[128];
            size_t at = (size_t)(strstr(faults[f].stem, "%s") - faults[f].stem);
            snprintf(stem, sizeof(stem), "%.*s%s%s", (int)at, faults[f].stem, tables[t],
                     faults[f].stem + at + 2);
            at = (size_t)(strstr(faults[f].text, "%s") - faults[f].text);
            snprintf(text, sizeof(text), "%.*s%s%s", (int)at, faults[f].text, tables[t],
                     faults[f].text + at + 2);
            const hostile_case wanted = {
                stem, PLAIN, faults[f].status, TN_REASON_ABI_REJECTED, text, TN_LOAD_INTERFACES,
                text};
            check_found(&wanted);
            check_given(&wanted);
        }
    }
}

// What the linker can do wrong. Some of it is seen before anything is opened.
static void load__wrongly_linked(void **state) {
    (void)state;
    static const struct {
        const char *source;
        tn_load_stage stage;
        tn_reason reason;
        const char *text;
        bool needs_lazy_symbols; // sanitized builds resolve undefined symbols elsewhere
    } cases[] = {
        {EVIL_DIR "evil_no_symbol.so", TN_LOAD_ELF, TN_REASON_ABI_REJECTED,
         "the library does not export \"tn_plugin_entry_1\"", false},
        {EVIL_DIR "evil_extra_symbol.so", TN_LOAD_ELF, TN_REASON_ABI_REJECTED,
         "this one also exports \"evil_extra_symbol\"", false},
        {EVIL_DIR "evil_entry_is_data.so", TN_LOAD_ELF, TN_REASON_ABI_REJECTED,
         "not a function in code: \"tn_plugin_entry_1\"", false},
        {EVIL_DIR "evil_undefined.so", TN_LOAD_PROBE, TN_REASON_NOT_USABLE,
         "undefined symbol: evil_function_of_nobody", true},
        {EVIL_DIR "evil_missing_library.so", TN_LOAD_PROBE, TN_REASON_DEP_MISSING,
         "libtenon_test_absent.so: cannot open shared object file", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const hostile_case wanted = {
            "linked",
            cases[i].source,
            TN_ERROR_INVALID_DATA,
            cases[i].reason,
            cases[i].text,
            cases[i].stage == TN_LOAD_PROBE ? TN_LOAD_OPEN : cases[i].stage,
            cases[i].text};
        plugin_folder folder;
        tn_host_config config;
        const char *dir = NULL;
        plugin_folder_init(&folder);
        plugin_folder_add(&folder, wanted.source, wanted.stem, "evil");
        plugin_folder_add_good(&folder);
        plugin_folder_config(&folder, &dir, &config);
        tn_host *host = create(&config);
        assert_entry(host, &wanted, cases[i].stage, cases[i].text);
        plugin_folder_assert_good(host);
        tn_host_release(host);
        plugin_folder_deinit(&folder);
        check_given(&wanted);
    }
}

// The plugin's own name is known last, and may not get around what was decided by the manifest's.
static void load__another_name(void **state) {
    (void)state;
    plugin_folder folder;
    tn_host_config config;
    tn_load_entry entry;
    char library[256];
    const char *dir = NULL;
    const char *path = library;
    const char *deny = "forbid*";
    plugin_folder_init(&folder);
    plugin_folder_add(&folder, PLAIN, "name-other", "evil");
    plugin_folder_add(&folder, PLAIN, "name-denied", "angel");
    plugin_folder_add_good(&folder);
    plugin_folder_config(&folder, &dir, &config);
    tn_host *host = create(&config);
    assert_true(plugin_folder_find(host, "saint", 0, &entry));
    assert_int_equal(entry.stage, TN_LOAD_ENTRY);
    assert_int_equal(entry.status, TN_ERROR_INVALID_DATA);
    assert_int_equal(entry.reason, TN_REASON_ABI_REJECTED);
    assert_string_equal(entry.text,
                        "the manifest names \"evil\", the plugin names itself \"saint\"");
    plugin_folder_assert_good(host);
    tn_host_release(host);

    // By path, without a manifest: only the plugin itself says what it is called.
    plugin_folder_join(&folder, "name-denied.so", library);
    config.plugin_paths = &path;
    config.plugin_path_count = 1;
    config.search_dir_count = 0;
    config.deny = &deny;
    config.deny_count = 1;
    host = create(&config);
    assert_true(plugin_folder_find(host, "forbidden", 0, &entry));
    assert_int_equal(entry.stage, TN_LOAD_POLICY);
    assert_int_equal(entry.status, TN_ERROR_DENIED);
    assert_int_equal(tn_host_device_count(host), 0);
    tn_host_release(host);
    plugin_folder_deinit(&folder);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Output does not block the probe, and a process left behind does not hold up the host.
static void load__noise_and_leftovers(void **state) {
    (void)state;
    static const char *const stems[] = {"noisy", "leaves-child"};
    for (size_t i = 0; i < COUNT(stems); i++) {
        plugin_folder folder;
        tn_host_config config;
        tn_load_entry entry;
        const char *dir = NULL;
        plugin_folder_init(&folder);
        plugin_folder_add(&folder, PLAIN, stems[i], "evil");
        plugin_folder_add_good(&folder);
        plugin_folder_config(&folder, &dir, &config);
        const uint64_t begin = now_ns();
        tn_host *host = create(&config);
        assert_true(plugin_folder_find(host, "evil", 0, &entry));
        assert_string_equal(entry.text, "");
        plugin_folder_assert_good(host);
        tn_host_release(host);
        assert_true(now_ns() - begin < 10000000000ull);
        plugin_folder_deinit(&folder);
    }
}

// Relu over a loaded plugin, so that "the host works" is not only a matter of its lists.
static void assert_runs(tn_host *host, const char *device) {
    static const int64_t dims[] = {4};
    const float given[4] = {-1.0f, 2.0f, -3.0f, 4.0f};
    const float wanted[4] = {0.0f, 2.0f, 0.0f, 4.0f};
    onnx_builder builder;
    pb bytes;
    tn_model *model = NULL;
    tn_compiled *compiled = NULL;
    tn_request *request = NULL;
    tn_compile_config config;
    tn_error error;
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    tn_error_init(&error);
    onnx_begin(&builder, 17);
    onnx_input(&builder, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&builder, "Relu", "x", "y");
    onnx_output(&builder, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&builder, &bytes);
    assert_int_equal(tn_model_load_memory(host, bytes.data, bytes.size, NULL, &model, &error),
                     TN_OK);
    tn_compile_config_init(&config);
    config.devices = &device;
    config.device_count = 1;
    assert_int_equal(tn_compile(model, &config, &compiled, &error), TN_OK);
    assert_int_equal(tn_request_create(compiled, NULL, &request, &error), TN_OK);
    assert_int_equal(tn_request_prepare(request, NULL, 0, &error), TN_OK);
    assert_int_equal(tn_request_input(request, 0, &view), TN_OK);
    assert_int_equal(view.size_bytes, sizeof(given));
    memcpy(view.data, given, sizeof(given));
    assert_int_equal(tn_request_run(request, 0, &error), TN_OK);
    assert_int_equal(tn_request_output(request, 0, &view), TN_OK);
    assert_memory_equal(view.data, wanted, sizeof(wanted));
    tn_request_destroy(request);
    tn_compiled_release(compiled);
    tn_model_release(model);
    pb_free(&bytes);
}

// All at once: every one is refused for itself, and the host that met them computes.
static void load__a_folder_full_of_them(void **state) {
    (void)state;
    static const char *const stems[] = {
        "answer-empty",        "constructor-aborts", "constructor-exits",  "device-heaps",
        "entry-aborts",        "entry-fails",        "forged-then-aborts", "name-path",
        "probe-counts-100000", "slot-exec-2",        "size-memory-7",      "without-sync"};
    plugin_folder folder;
    tn_host_config config;
    tn_load_entry entry;
    const char *dir = NULL;
    plugin_folder_init(&folder);
    for (size_t i = 0; i < COUNT(stems); i++) {
        plugin_folder_add(&folder, PLAIN, stems[i], "evil");
    }
    plugin_folder_add(&folder, EVIL_DIR "evil_no_symbol.so", "linked", "evil");
    plugin_folder_add_good(&folder);
    plugin_folder_add(&folder, TN_TEST_PLUGIN_DIR "/reference.so", "reference", "reference");
    plugin_folder_config(&folder, &dir, &config);
    tn_host *host = create(&config);
    assert_int_equal(tn_host_load_count(host), COUNT(stems) + 3);
    for (uint32_t i = 0; i < COUNT(stems) + 1; i++) {
        assert_true(plugin_folder_find(host, "evil", i, &entry));
        assert_int_not_equal(entry.status, TN_OK);
        assert_true(entry.text[0] != '\0');
    }
    plugin_folder_assert_good(host);
    assert_true(plugin_folder_find(host, "reference", 0, &entry));
    assert_string_equal(entry.text, "");
    assert_runs(host, "reference");
    tn_host_release(host);
    plugin_folder_deinit(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__evil_without_a_behaviour_is_good),
        cmocka_unit_test(load__deadly),
        cmocka_unit_test(load__crashes),
        cmocka_unit_test(load__refused_by_the_plugin),
        cmocka_unit_test(load__garbage_answers),
        cmocka_unit_test(load__garbage_devices),
        cmocka_unit_test(load__null_slots),
        cmocka_unit_test(load__garbage_tables),
        cmocka_unit_test(load__wrongly_linked),
        cmocka_unit_test(load__another_name),
        cmocka_unit_test(load__noise_and_leftovers),
        cmocka_unit_test(load__a_folder_full_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
