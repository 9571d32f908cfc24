// SPDX-License-Identifier: Apache-2.0
// Every allocation of host, load, compile, prepare and run fails once in turn, then stays failed:
// the right status, no crash, nothing left behind. Plugin allocations go through the host and
// count.
#include "support/fake/fake_control.h"
#include "support/onnx_builder.h"
#include "support/test_alloc.h"

#include "tenon/tenon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

#ifdef TN_TEST_CPU
tn_status tn_plugin_entry_1_cpu(const tn_host_offer *offer, tn_plugin_answer *answer,
                                tn_error *error);
#endif

typedef enum phase {
    PHASE_HOST,
    PHASE_LOAD,
    PHASE_COMPILE,
    PHASE_PREPARE,
    PHASE_RUN,
    PHASE_COUNT,
} phase;

static const char *const phase_names[PHASE_COUNT] = {"host", "load", "compile", "prepare", "run"};

typedef struct session {
    test_alloc memory;
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    uint64_t counts[PHASE_COUNT];
    uint64_t plugin_count;
} session;

typedef struct subject {
    const char *name;
    tn_static_plugin plugin;
    const char *devices[2];
    uint32_t device_count;
    uint32_t background;
} subject;

static tn_status open_host(session *s, const subject *sub, tn_error *error) {
    tn_host_config config;
    tn_host_config_init(&config);
    config.allocator =
        (tn_allocator){s->memory.alloc.alloc, s->memory.alloc.free, s->memory.alloc.user};
    config.search = TN_SEARCH_NONE;
    config.static_plugins = &sub->plugin;
    config.static_plugin_count = 1;
    config.worker_count = 2;
    tn_status status = tn_host_create(&config, &s->host, error);
    if (status != TN_OK) {
        return status;
    }
    // A plugin that found no memory is a line in the report, and then there is no device.
    tn_load_entry entry = {.struct_size = sizeof(entry), .struct_type = TN_STRUCT_LOAD_ENTRY};
    assert_int_equal(tn_host_load_get(s->host, 0, &entry), TN_OK);
    return entry.status;
}

static tn_status compile(session *s, const subject *sub, tn_error *error) {
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = sub->devices;
    config.device_count = sub->device_count;
    config.policy = TN_COMPILE_NO_FALLBACK;
    return tn_compile(s->model, &config, &s->compiled, error);
}

static tn_status prepare(session *s, const subject *sub, tn_error *error) {
    tn_request_config config;
    tn_request_config_init(&config);
    config.background = sub->background;
    tn_status status = tn_request_create(s->compiled, &config, &s->request, error);
    return status == TN_OK ? tn_request_prepare(s->request, NULL, 0, error) : status;
}

// Does as much as it can; returns the first status that is not OK.
static tn_status go(session *s, const subject *sub, const pb *model) {
    tn_error error;
    tn_status status = TN_OK;
    tn_error_init(&error);
    for (uint32_t p = PHASE_HOST; p < PHASE_COUNT && status == TN_OK; p++) {
        uint64_t before = s->memory.count;
        switch ((phase)p) {
        case PHASE_HOST:
            status = open_host(s, sub, &error);
            break;
        case PHASE_LOAD:
            status =
                tn_model_load_memory(s->host, model->data, model->size, NULL, &s->model, &error);
            break;
        case PHASE_COMPILE:
            status = compile(s, sub, &error);
            break;
        case PHASE_PREPARE:
            status = prepare(s, sub, &error);
            break;
        case PHASE_RUN:
            status = tn_request_run(s->request, 0, &error);
            break;
        case PHASE_COUNT:
            break;
        }
        s->counts[p] = s->memory.count - before;
    }
    return status;
}

static void close_all(session *s) {
    tn_memory_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_MEMORY_STATS};
    if (s->host != NULL && tn_host_memory_stats(s->host, &stats) == TN_OK) {
        s->plugin_count = stats.plugin_allocation_count;
    }
    tn_request_destroy(s->request);
    tn_compiled_release(s->compiled);
    tn_model_release(s->model);
    tn_host_release(s->host);
}

static void sweep(const subject *sub, const pb *model) {
    session s = {0};
    fake_reset();
    fake_device(FAKE_ALPHA)->ops = FAKE_ADD;
    test_alloc_init(&s.memory);
    assert_int_equal(go(&s, sub, model), TN_OK);
    close_all(&s);
    uint64_t total = s.memory.count;
    assert_true(test_alloc_clean(&s.memory));
    test_alloc_deinit(&s.memory);
    print_message("%s: allocations", sub->name);
    for (uint32_t p = 0; p < PHASE_COUNT; p++) {
        print_message(" %s %llu", phase_names[p], (unsigned long long)s.counts[p]);
        // A run allocates nothing; everything before it does.
        assert_true(p == PHASE_RUN ? s.counts[p] == 0 : s.counts[p] > 0);
    }
    print_message("; by the plugin %llu\n", (unsigned long long)s.plugin_count);
    assert_true(s.plugin_count > 0);
    for (uint32_t mode = TEST_ALLOC_FAIL_ONE; mode <= TEST_ALLOC_FAIL_FROM; mode++) {
        for (uint64_t i = 0; i < total; i++) {
            session t = {0};
            test_alloc_init(&t.memory);
            test_alloc_reset(&t.memory, (test_alloc_mode)mode, i);
            tn_status status = go(&t, sub, model);
            bool tolerated = status == TN_OK && mode == TEST_ALLOC_FAIL_ONE;
            if (status != TN_ERROR_OUT_OF_MEMORY && !tolerated) {
                print_message("%s: allocation %llu gave %s\n", sub->name, (unsigned long long)i,
                              tn_status_text(status));
            }
            assert_true(status == TN_ERROR_OUT_OF_MEMORY || tolerated);
            close_all(&t);
            assert_true(test_alloc_clean(&t.memory));
            test_alloc_deinit(&t.memory);
        }
    }
}

// The allocator counts blocks and checks the size each is given back with (ABI-26).
static void sweep__reference_classifier(void **state) {
    (void)state;
    static const subject sub = {.name = "reference",
                                .plugin = {"reference", tn_plugin_entry_1_reference},
                                .devices = {"reference"},
                                .device_count = 1};
    pb model = {0};
    onnx_model_classifier(&model, 1, 8);
    sweep(&sub, &model);
    pb_free(&model);
}

#ifdef TN_TEST_CPU
// Packed weights, chosen algorithms, instances and contexts.
static void sweep__cpu_classifier(void **state) {
    (void)state;
    static const subject sub = {.name = "cpu",
                                .plugin = {"cpu", tn_plugin_entry_1_cpu},
                                .devices = {"cpu"},
                                .device_count = 1};
    pb model = {0};
    onnx_model_classifier(&model, 1, 8);
    sweep(&sub, &model);
    pb_free(&model);
}
#endif

static void sweep__two_asynchronous_devices(void **state) {
    (void)state;
    static const subject sub = {.name = "fake",
                                .plugin = {"fake", fake_plugin_entry},
                                .devices = {"fake:alpha", "fake:worker"},
                                .device_count = 2,
                                .background = 1};
    static const int64_t dims[] = {4};
    onnx_builder b;
    pb model = {0};
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Relu", "x", "a");
    onnx_node(&b, "Add", "a,x", "b");
    onnx_node(&b, "Neg", "b", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &model);
    sweep(&sub, &model);
    pb_free(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sweep__reference_classifier),
#ifdef TN_TEST_CPU
        cmocka_unit_test(sweep__cpu_classifier),
#endif
        cmocka_unit_test(sweep__two_asynchronous_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
