// SPDX-License-Identifier: Apache-2.0
// What is told of a run, before it and after it, beside its trace: counts, and where the host
// waits.
#include "exec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint32_t island_device(const exec_fixture *f, uint32_t island) {
    tn_island_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_ISLAND_DESC};
    assert_int_equal(tn_compiled_island_get(f->compiled, island, &desc), TN_OK);
    return desc.device;
}

// The n-th wait of the trace.
static tn_trace_event traced_wait(const exec_fixture *f, uint32_t n) {
    tn_trace_event event = {.struct_size = sizeof(event), .struct_type = TN_STRUCT_TRACE_EVENT};
    for (uint32_t i = 0; tn_host_trace_get(f->host, i, &event) == TN_OK; i++) {
        if (event.kind == TN_TRACE_WAIT && n-- == 0) {
            return event;
        }
    }
    fail_msg("no such wait");
    return event;
}

// What a device that only the host can wait for has made, the next one and the host wait for, where
// the plan says and in its order.
static void waits__are_where_the_trace_has_them(void **state) {
    (void)state;
    static const char *const devices[] = {"fake:alpha", "fake:mute"};
    exec_fixture f;
    tn_compile_config config;
    tn_planned_wait wait = {.struct_size = sizeof(wait), .struct_type = TN_STRUCT_PLANNED_WAIT};
    exec_open(&f);
    fake_device(FAKE_ALPHA)->ops = FAKE_RELU;
    fake_device(FAKE_MUTE)->ops = FAKE_NEG;
    exec_build_alternating(&f, 4);
    tn_compile_config_init(&config);
    config.devices = devices;
    config.device_count = 2;
    config.policy = TN_COMPILE_NO_FALLBACK;
    assert_int_equal(tn_compile(f.model, &config, &f.compiled, &f.error), TN_OK);
    assert_int_equal(tn_request_create(f.compiled, NULL, &f.request, &f.error), TN_OK);
    assert_int_equal(tn_request_planned_wait_get(f.request, 0, &wait), TN_ERROR_INVALID_STATE);
    assert_int_equal(tn_request_prepare(f.request, NULL, 0, &f.error), TN_OK);
    assert_int_equal(tn_host_trace_start(f.host, 4096, &f.error), TN_OK);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    assert_true(exec_counts_agree(&f, 1));
    uint32_t at_islands = 0;
    for (uint32_t i = 0; i < exec_stats(&f).host_waits; i++) {
        assert_int_equal(tn_request_planned_wait_get(f.request, i, &wait), TN_OK);
        at_islands += wait.before_island != TN_NONE;
        if (wait.on_copy == 0) {
            assert_int_equal(traced_wait(&f, i).device, island_device(&f, wait.on_island));
        }
    }
    assert_in_range(at_islands, 1, 4);
    assert_int_equal(wait.before_island, TN_NONE); // the last one
    assert_int_equal(wait.on_island, 3);
    wait.struct_type = TN_STRUCT_CHOICE;
    assert_int_equal(tn_request_planned_wait_get(f.request, 0, &wait), TN_ERROR_INVALID_ARGUMENT);
    tn_host_trace_stop(f.host);
    exec_close(&f);
}

static void trace__holds_what_the_stats_say(void **state) {
    (void)state;
    exec_fixture f;
    exec_open(&f);
    fake_device(FAKE_ALPHA)->ops = FAKE_RELU;
    fake_device(FAKE_MUTE)->ops = FAKE_NEG;
    exec_build_alternating(&f, 4);
    assert_int_equal(exec_compile(&f, "fake:alpha,fake:mute"), TN_OK);
    exec_prepare(&f, 0);
    assert_int_equal(tn_host_trace_start(f.host, 4096, &f.error), TN_OK);
    assert_int_equal(tn_request_run(f.request, 0, &f.error), TN_OK);
    tn_run_stats stats = exec_stats(&f);
    uint32_t kinds[16] = {0};
    uint64_t bytes = 0;
    uint64_t dropped = 0;
    uint32_t count = tn_host_trace_count(f.host, &dropped);
    assert_int_equal(dropped, 0);
    for (uint32_t i = 0; i < count; i++) {
        tn_trace_event event = {.struct_size = sizeof(event), .struct_type = TN_STRUCT_TRACE_EVENT};
        assert_int_equal(tn_host_trace_get(f.host, i, &event), TN_OK);
        assert_in_range(event.kind, 0, 15);
        kinds[event.kind]++;
        bytes += event.bytes;
        assert_true(event.begin_ns <= event.end_ns);
    }
    assert_int_equal(kinds[TN_TRACE_HANDOVER], stats.handovers);
    assert_int_equal(kinds[TN_TRACE_WAIT], stats.host_waits);
    assert_int_equal(kinds[TN_TRACE_TRANSFER], stats.transfers);
    assert_int_equal(kinds[TN_TRACE_SUBMIT], stats.submits);
    assert_int_equal(bytes, stats.transfer_bytes);
    assert_int_equal(kinds[TN_TRACE_RUN], 1);
    tn_host_trace_stop(f.host);
    exec_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace__holds_what_the_stats_say),
        cmocka_unit_test(waits__are_where_the_trace_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
