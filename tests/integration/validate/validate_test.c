// SPDX-License-Identifier: Apache-2.0
// The validate layer over good plugins finds nothing, with the host as the caller; over plugins
// that break one rule each it names that rule.
#include "support/fake/fake_control.h"
#include "support/onnx_builder.h"
#include "support/validate/validate.h"

#include "tenon/abi/exec.h"
#include "tenon/tenon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

// Runs a model of Add, Relu and Neg over the wrapped plugin's devices; returns the first bad
// status.
static tn_status run_wrapped(const char *const *devices, uint32_t device_count, int runs) {
    static const tn_static_plugin plugin = {"wrapped", validate_entry};
    static const int64_t dims[] = {8};
    tn_host *host = NULL;
    tn_model *model = NULL;
    tn_compiled *compiled = NULL;
    tn_request *request = NULL;
    tn_error error;
    tn_host_config config;
    tn_compile_config compile_config;
    onnx_builder b;
    pb bytes = {0};
    tn_error_init(&error);
    onnx_begin(&b, 17);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dims);
    onnx_node(&b, "Relu", "x", "a");
    onnx_node(&b, "Neg", "a", "b");
    onnx_node(&b, "Add", "b,x", "c");
    onnx_node(&b, "Neg", "c", "y");
    onnx_output(&b, "y", TN_DTYPE_FLOAT, 1, dims);
    onnx_end(&b, &bytes);
    tn_host_config_init(&config);
    tn_compile_config_init(&compile_config);
    config.search = TN_SEARCH_NONE;
    config.static_plugins = &plugin;
    config.static_plugin_count = 1;
    compile_config.devices = devices;
    compile_config.device_count = device_count;
    compile_config.policy = TN_COMPILE_NO_FALLBACK;
    tn_status status = tn_host_create(&config, &host, &error);
    if (status == TN_OK) {
        status = tn_model_load_memory(host, bytes.data, bytes.size, NULL, &model, &error);
    }
    if (status == TN_OK) {
        status = tn_compile(model, &compile_config, &compiled, &error);
    }
    if (status == TN_OK) {
        status = tn_request_create(compiled, NULL, &request, &error);
    }
    if (status == TN_OK) {
        status = tn_request_prepare(request, NULL, 0, &error);
    }
    for (int i = 0; i < runs && status == TN_OK; i++) {
        status = tn_request_run(request, 0, &error);
    }
    tn_request_destroy(request);
    tn_compiled_release(compiled);
    tn_model_release(model);
    tn_host_release(host);
    pb_free(&bytes);
    return status;
}

static void assert_clean(void) {
    if (validate_violation_count() > 0) {
        print_message("%u violations, first: %s\n", validate_violation_count(),
                      validate_first_violation());
    }
    assert_int_equal(validate_violation_count(), 0);
    assert_int_equal(validate_live_handles(), 0);
}

static void validate__reference_keeps_the_contract(void **state) {
    (void)state;
    static const char *const devices[] = {"reference"};
    validate_wrap(tn_plugin_entry_1_reference);
    assert_int_equal(run_wrapped(devices, 1, 3), TN_OK);
    assert_clean();
}

static void validate__host_keeps_the_contract_over_every_pair(void **state) {
    (void)state;
    static const char *const names[] = {"fake:alpha",  "fake:beta",   "fake:shared",
                                        "fake:worker", "fake:inline", "fake:mute"};
    for (uint32_t a = 0; a < FAKE_DEVICE_COUNT; a++) {
        for (uint32_t b = 0; b < FAKE_DEVICE_COUNT; b++) {
            const char *devices[] = {names[a], names[b]};
            fake_reset();
            if (a != b) {
                fake_device(a)->ops = FAKE_RELU | FAKE_ADD;
                fake_device(b)->ops = FAKE_NEG;
            }
            validate_wrap(fake_plugin_entry);
            assert_int_equal(run_wrapped(devices, a == b ? 1 : 2, 4), TN_OK);
            assert_clean();
        }
    }
}

static void validate__failures_keep_the_contract_too(void **state) {
    (void)state;
    static const char *const devices[] = {"fake:alpha", "fake:worker"};
    fake_reset();
    fake_device(FAKE_ALPHA)->ops = FAKE_RELU | FAKE_ADD;
    fake_device(FAKE_WORKER)->ops = FAKE_NEG;
    fake_device(FAKE_ALPHA)->run_status = TN_ERROR_INTERNAL;
    fake_device(FAKE_ALPHA)->fail_run_number = 2;
    validate_wrap(fake_plugin_entry);
    assert_int_equal(run_wrapped(devices, 2, 4), TN_ERROR_INTERNAL);
    assert_clean();
}

// Mutants: the fake plugin with one function of one table replaced.
typedef struct mutant_tables {
    tn_core_interface core;
    tn_compile_interface compile;
    tn_memory_interface memory;
    tn_sync_interface sync;
    tn_exec_interface exec;
} mutant_tables;

static mutant_tables good;
static mutant_tables mutant;
static const void *(*good_lookup)(tn_plugin *plugin, const char *name);
static void (*mutate)(void);
static const tn_host_services *services;
static tn_host_context *host_context;

static const void *mutant_lookup(tn_plugin *plugin, const char *name) {
    (void)plugin;
    return strcmp(name, TN_INTERFACE_CORE) == 0      ? (const void *)&mutant.core
           : strcmp(name, TN_INTERFACE_COMPILE) == 0 ? (const void *)&mutant.compile
           : strcmp(name, TN_INTERFACE_MEMORY) == 0  ? (const void *)&mutant.memory
           : strcmp(name, TN_INTERFACE_SYNC) == 0    ? (const void *)&mutant.sync
           : strcmp(name, TN_INTERFACE_EXEC) == 0    ? (const void *)&mutant.exec
                                                     : NULL;
}

static tn_status mutant_entry(const tn_host_offer *offer, tn_plugin_answer *answer,
                              tn_error *error) {
    tn_status status = fake_plugin_entry(offer, answer, error);
    if (status != TN_OK) {
        return status;
    }
    services = offer->services;
    host_context = offer->host;
    good_lookup = answer->get_interface;
    memcpy(&good.core, good_lookup(answer->plugin, TN_INTERFACE_CORE), sizeof(good.core));
    memcpy(&good.compile, good_lookup(answer->plugin, TN_INTERFACE_COMPILE), sizeof(good.compile));
    memcpy(&good.memory, good_lookup(answer->plugin, TN_INTERFACE_MEMORY), sizeof(good.memory));
    memcpy(&good.sync, good_lookup(answer->plugin, TN_INTERFACE_SYNC), sizeof(good.sync));
    memcpy(&good.exec, good_lookup(answer->plugin, TN_INTERFACE_EXEC), sizeof(good.exec));
    mutant = good;
    mutate();
    answer->get_interface = mutant_lookup;
    return TN_OK;
}

static tn_status info_past_the_end(tn_plugin *plugin, uint32_t index, tn_device_info *out_info,
                                   tn_error *error) {
    tn_status status = good.core.device_info(plugin, index, out_info, error);
    memset((char *)out_info + out_info->struct_size, 0, 8);
    return status;
}

static void mutate_past_the_end(void) {
    mutant.core.device_info = info_past_the_end;
}

static tn_status caps_with_another_header(tn_device *device, tn_fence_caps *out_caps,
                                          tn_error *error) {
    tn_status status = good.sync.fence_caps(device, out_caps, error);
    out_caps->struct_size += 4;
    return status;
}

static void mutate_header(void) {
    mutant.sync.fence_caps = caps_with_another_header;
}

static tn_status support_without_reason(tn_device *device, const tn_graph_view *view,
                                        const tn_query_info *info, tn_verdicts *inout_verdicts,
                                        tn_error *error) {
    tn_status status = good.compile.query_support(device, view, info, inout_verdicts, error);
    inout_verdicts->nodes[0].answer = TN_ANSWER_NO;
    inout_verdicts->nodes[0].reason = TN_REASON_NONE;
    return status;
}

static void mutate_reason(void) {
    mutant.compile.query_support = support_without_reason;
}

static uint64_t moody_cost;

static tn_status moody_support(tn_device *device, const tn_graph_view *view,
                               const tn_query_info *info, tn_verdicts *inout_verdicts,
                               tn_error *error) {
    tn_status status = good.compile.query_support(device, view, info, inout_verdicts, error);
    inout_verdicts->nodes[0].cost_ns = ++moody_cost;
    return status;
}

static void mutate_mood(void) {
    mutant.compile.query_support = moody_support;
}

static tn_status unstrided_ports(tn_program *program, const tn_port_query *query,
                                 tn_port_info *ports, uint32_t port_capacity,
                                 uint32_t *out_port_count, tn_error *error) {
    tn_status status =
        good.compile.port_query(program, query, ports, port_capacity, out_port_count, error);
    ports[1].struct_size = sizeof(tn_port_info);
    ports[1].struct_type = TN_STRUCT_PORT_INFO;
    return status;
}

static void mutate_stride(void) {
    mutant.compile.port_query = unstrided_ports;
}

static tn_status allocating_submit(tn_context *context, const tn_submit_info *info,
                                   tn_error *error) {
    services->free(host_context, services->alloc(host_context, 16, 16), 16, 16);
    return good.exec.submit(context, info, error);
}

static void mutate_submit(void) {
    mutant.exec.submit = allocating_submit;
}

static tn_status create_that_lies(tn_device *device, const tn_fence_create_info *info,
                                  tn_fence **out_fence, tn_error *error) {
    (void)device;
    (void)info;
    (void)error;
    *out_fence = NULL;
    return TN_OK;
}

static void mutate_create(void) {
    mutant.sync.fence_create = create_that_lies;
}

static tn_status strange_status(tn_plugin *plugin, uint32_t *out_device_count, tn_error *error) {
    (void)plugin;
    (void)error;
    *out_device_count = 0;
    return (tn_status)4711;
}

static void mutate_status(void) {
    mutant.core.probe = strange_status;
}

static tn_status leaping_query(tn_fence *fence, uint64_t *out_value, tn_error *error) {
    tn_status status = good.sync.fence_query(fence, out_value, error);
    *out_value += 1000;
    return status;
}

static void mutate_query(void) {
    mutant.sync.fence_query = leaping_query;
}

static tn_status double_callback(tn_fence *fence, uint64_t value, tn_fence_reached_fn callback,
                                 void *user_data, tn_error *error) {
    tn_status status = good.sync.fence_on_reach(fence, value, callback, user_data, error);
    if (status == TN_OK) {
        callback(user_data, TN_OK);
    }
    return status;
}

static void mutate_callback(void) {
    mutant.sync.fence_on_reach = double_callback;
}

static void validate__every_mutant_is_named(void **state) {
    (void)state;
    static const struct {
        const char *rule;
        void (*mutate)(void);
    } mutants[] = {
        {"ABI-11", mutate_past_the_end}, {"ABI-11", mutate_header}, {"ABI-46", mutate_reason},
        {"ABI-45", mutate_mood},         {"ABI-41", mutate_stride}, {"ABI-81", mutate_submit},
        {"ABI-28", mutate_create},       {"ABI-36", mutate_status}, {"ABI-70", mutate_query},
        {"ABI-75", mutate_callback},
    };
    static const char *const devices[] = {"fake:inline"};
    for (size_t i = 0; i < sizeof(mutants) / sizeof(mutants[0]); i++) {
        fake_reset();
        mutate = mutants[i].mutate;
        validate_wrap(mutant_entry);
        (void)run_wrapped(devices, 1, 2);
        if (validate_violation_count() == 0 ||
            strstr(validate_first_violation(), mutants[i].rule) == NULL) {
            print_message("mutant %zu should break %s: %u violations, first: %s\n", i,
                          mutants[i].rule, validate_violation_count(), validate_first_violation());
        }
        assert_true(validate_violation_count() > 0);
        assert_non_null(strstr(validate_first_violation(), mutants[i].rule));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validate__reference_keeps_the_contract),
        cmocka_unit_test(validate__host_keeps_the_contract_over_every_pair),
        cmocka_unit_test(validate__failures_keep_the_contract_too),
        cmocka_unit_test(validate__every_mutant_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
