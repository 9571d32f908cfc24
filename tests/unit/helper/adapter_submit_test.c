// SPDX-License-Identifier: Apache-2.0
// The adapter: submits, good, failing and refused.
#include "adapter_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// Everything one submit needs, right as it stands; tests break one part.
typedef struct submission {
    float in[4];
    float out[4];
    tn_binding bindings[2];
    tn_fence *wait_fence;
    tn_fence *signal_fence;
    tn_fence_point wait;
    tn_fence_point signal;
    tn_submit_info info;
} submission;

static void make_submission(adapter_fixture *f, submission *s) {
    memset(s, 0, sizeof *s);
    s->in[0] = 7.0f;
    for (uint32_t i = 0; i < 2; ++i) {
        s->bindings[i] = (tn_binding){.size_bytes = 16, .rank = 1};
        assert_int_equal(adapter_import(f, i == 0 ? s->in : s->out, 16,
                                        i == 0 ? TN_ACCESS_READ : TN_ACCESS_WRITE,
                                        &s->bindings[i].memory),
                         TN_OK);
    }
    s->wait_fence = adapter_fence(f, 3);
    s->signal_fence = adapter_fence(f, 0);
    s->wait = (tn_fence_point){s->wait_fence, 3};
    s->signal = (tn_fence_point){s->signal_fence, 1};
    s->info = (tn_submit_info){.struct_size = (uint32_t)sizeof s->info,
                               .struct_type = TN_STRUCT_SUBMIT_INFO,
                               .bindings = s->bindings,
                               .binding_count = 2,
                               .binding_stride_bytes = (uint32_t)sizeof s->bindings[0],
                               .waits = &s->wait,
                               .wait_count = 1,
                               .signals = &s->signal,
                               .signal_count = 1};
}

static void free_submission(adapter_fixture *f, submission *s) {
    f->plugin.memory->memory_free(s->bindings[0].memory);
    f->plugin.memory->memory_free(s->bindings[1].memory);
    f->plugin.sync->fence_destroy(s->wait_fence);
    f->plugin.sync->fence_destroy(s->signal_fence);
}

static void submit__runs_then_signals_without_allocating(void **state) {
    adapter_fixture *f = *state;
    submission s;
    make_submission(f, &s);
    const uint64_t allocations = f->host.allocation_count;
    assert_int_equal(f->plugin.exec->submit(f->program.context, &s.info, &f->error), TN_OK);
    assert_int_equal(f->host.allocation_count, allocations);
    assert_true(s.out[0] == 7.0f);
    assert_int_equal(f->plugin.sync->fence_wait(s.signal_fence, 1, 0, &f->error), TN_OK);
    free_submission(f, &s);
}

// ABI-74.
static void submit__fails_the_signals_when_run_fails(void **state) {
    adapter_fixture *f = *state;
    submission s;
    make_submission(f, &s);
    s.in[0] = 13.0f;
    assert_int_equal(f->plugin.exec->submit(f->program.context, &s.info, &f->error), TN_OK);
    assert_int_equal(f->plugin.sync->fence_wait(s.signal_fence, 1, 0, &f->error),
                     TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "sample.unlucky");
    free_submission(f, &s);
}

static void break_count(submission *s) {
    s->info.binding_count = 1;
}
static void break_memory(submission *s) {
    s->bindings[1].memory = NULL;
}
static void break_size(submission *s) {
    s->bindings[1].size_bytes = 12;
}
static void break_range(submission *s) {
    s->bindings[0].offset_bytes = 4;
}
static void break_access(submission *s) {
    const tn_binding first = s->bindings[0];
    s->bindings[0] = s->bindings[1];
    s->bindings[1] = first;
}
static void break_strides(submission *s) {
    static const int64_t one = 1;
    s->bindings[0].stride_elements = &one;
}
static void break_wait(submission *s) {
    s->wait.value = 4;
}
static void break_signal(submission *s) {
    s->signal.value = 0;
}
static void break_distance(submission *s) {
    s->signal.value = TN_FENCE_MAX_DISTANCE + 1;
}

// ABI-83.
static void submit__refuses_bad_arguments_and_enqueues_nothing(void **state) {
    adapter_fixture *f = *state;
    void (*const breaks[])(submission *) = {break_count, break_memory, break_size,
                                            break_range, break_access, break_strides,
                                            break_wait,  break_signal, break_distance};
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; ++i) {
        submission s;
        make_submission(f, &s);
        submission broken = s;
        broken.info.bindings = broken.bindings;
        broken.info.waits = &broken.wait;
        broken.info.signals = &broken.signal;
        breaks[i](&broken);
        assert_int_equal(f->plugin.exec->submit(f->program.context, &broken.info, &f->error),
                         TN_ERROR_INVALID_ARGUMENT);
        uint64_t value = 9;
        assert_int_equal(f->plugin.sync->fence_query(s.signal_fence, &value, &f->error), TN_OK);
        assert_int_equal(value, 0);
        // The context is not left busy.
        assert_int_equal(f->plugin.exec->submit(f->program.context, &s.info, &f->error), TN_OK);
        free_submission(f, &s);
    }
}

static void submit__wants_a_prepared_context(void **state) {
    adapter_fixture *f = *state;
    const tn_context_create_info create = {.struct_size = (uint32_t)sizeof create,
                                           .struct_type = TN_STRUCT_CONTEXT_CREATE_INFO,
                                           .program = f->program.program};
    tn_context *context = NULL;
    submission s;
    make_submission(f, &s);
    assert_int_equal(f->plugin.exec->context_create(f->plugin.device, &create, &context, &f->error),
                     TN_OK);
    assert_int_equal(f->plugin.exec->submit(context, &s.info, &f->error), TN_ERROR_INVALID_STATE);
    assert_int_equal(f->plugin.exec->cancel(context, &f->error), TN_ERROR_UNIMPLEMENTED);
    f->plugin.exec->context_destroy(context);
    free_submission(f, &s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ADAPTER_CASE(submit__runs_then_signals_without_allocating),
        ADAPTER_CASE(submit__fails_the_signals_when_run_fails),
        ADAPTER_CASE(submit__refuses_bad_arguments_and_enqueues_nothing),
        ADAPTER_CASE(submit__wants_a_prepared_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
