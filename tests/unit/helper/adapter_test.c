// SPDX-License-Identifier: Apache-2.0
// The synchronous adapter through its five tables, around a plugin that copies its input: argument
// checks, memory, fences, submit, failure.
#include "support/abi_host.h"

#include "tenon/helper/sync_adapter.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// The author's side: four floats in, the same out. A first element of 13 makes run fail.
typedef struct sample_program {
    tn_helper_host host;
    uint32_t runs;
} sample_program;

static tn_status sample_device_info(const tn_helper_host *host, uint32_t device_index,
                                    tn_device_info *out_info, tn_error *error) {
    (void)host;
    (void)device_index;
    (void)error;
    (void)snprintf(out_info->name, sizeof out_info->name, "sample");
    return TN_OK;
}

static void sample_supports(const tn_helper_host *host, uint32_t device_index,
                            const tn_graph_view *view, uint32_t node_index, const tn_op_record *op,
                            const tn_query_info *info, tn_node_verdict *out_verdict) {
    (void)host;
    (void)device_index;
    (void)view;
    (void)node_index;
    (void)op;
    (void)info;
    (void)out_verdict;
}

static tn_status sample_compile(const tn_helper_host *host, uint32_t device_index,
                                const tn_compile_info *info, void **out_program, tn_error *error) {
    (void)device_index;
    (void)info;
    (void)error;
    sample_program *program = tn_helper_alloc(host, sizeof *program);
    *out_program = program;
    if (program == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    program->host = *host;
    return TN_OK;
}

static void sample_program_destroy(void *program) {
    sample_program *own = program;
    const tn_helper_host host = own->host;
    tn_helper_free(&host, own, sizeof *own);
}

static void sample_program_info(void *program, tn_program_info *out_info) {
    (void)program;
    out_info->input_count = 1;
    out_info->output_count = 1;
}

static tn_status sample_ports(void *program, const tn_port_query *query, tn_port_info *ports,
                              uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    (void)program;
    (void)query;
    (void)error;
    *out_port_count = 2;
    for (uint32_t i = 0; i < 2 && port_capacity >= 2; ++i) {
        ports[i].kind = i == 0 ? TN_PORT_INPUT : TN_PORT_OUTPUT;
        ports[i].dtype = TN_DTYPE_FLOAT;
        ports[i].rank = 1;
        ports[i].dims[0] = 4;
        ports[i].size_bytes = 16;
        ports[i].alignment_bytes = 4;
        ports[i].alias_of = TN_NONE;
    }
    return TN_OK;
}

static tn_status sample_context_create(void *program, void **out_context, tn_error *error) {
    (void)error;
    *out_context = program;
    return TN_OK;
}

static tn_status sample_prepare(void *context, const tn_prepare_info *info, tn_error *error) {
    (void)context;
    (void)info;
    (void)error;
    return TN_OK;
}

static tn_status sample_run(void *context, const tn_helper_port *ports, uint32_t port_count,
                            tn_error *error) {
    sample_program *own = context;
    assert_int_equal(port_count, 2);
    own->runs += 1;
    float first;
    memcpy(&first, ports[0].data, sizeof first);
    if (first == 13.0f) {
        return tn_helper_fail(error, TN_ERROR_INVALID_DATA, "sample.unlucky", "thirteen");
    }
    memcpy(ports[1].data, ports[0].data, 16);
    return TN_OK;
}

static void sample_context_destroy(void *context) {
    (void)context;
}

static const tn_op_record sample_ops[] = {{"", "Copy", 3, 2}};

static const tn_helper_simple_plugin sample_plugin = {
    .desc = {.name = "sample", .vendor = "v", .build = "b", .sanitizers = TN_HELPER_SANITIZERS},
    .device_count = 1,
    .ops = sample_ops,
    .op_count = 1,
    .op_stride_bytes = sizeof sample_ops[0],
    .device_info = sample_device_info,
    .supports = sample_supports,
    .compile = sample_compile,
    .program_destroy = sample_program_destroy,
    .program_info = sample_program_info,
    .ports = sample_ports,
    .context_create = sample_context_create,
    .prepare = sample_prepare,
    .run = sample_run,
    .context_destroy = sample_context_destroy,
};

static tn_status sample_entry(const tn_host_offer *offer, tn_plugin_answer *answer,
                              tn_error *error) {
    return tn_helper_simple_entry(offer, answer, &sample_plugin, error);
}

// A plugin, a program, a context that is prepared unless the test says otherwise.
typedef struct fixture {
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    view_builder *builder;
    tn_error error;
} fixture;

static int setup(void **state) {
    static fixture f;
    memset(&f, 0, sizeof f);
    f.error.struct_size = (uint32_t)sizeof f.error;
    f.error.struct_type = TN_STRUCT_ERROR;
    f.builder = view_builder_create();
    const int64_t dims[] = {4};
    const uint32_t x = view_builder_value(f.builder, TN_DTYPE_FLOAT, 1, dims);
    const uint32_t y = view_builder_value(f.builder, TN_DTYPE_FLOAT, 1, dims);
    view_builder_node(f.builder, "Copy", 3, &x, 1, &y, 1);
    view_builder_input(f.builder, x);
    view_builder_output(f.builder, y);
    const tn_graph_view *view = view_builder_finish(f.builder, 0);
    abi_host_init(&f.host, f.builder);
    *state = &f;
    return abi_plugin_open(&f.host, sample_entry, &f.plugin, &f.error) != TN_OK ||
           abi_program_open(&f.plugin, view, NULL, 0, &f.program, &f.error) != TN_OK;
}

static int teardown(void **state) {
    fixture *f = *state;
    abi_program_close(&f->program);
    const tn_status status = abi_plugin_close(&f->plugin);
    view_builder_destroy(f->builder);
    return status != TN_OK || f->host.live_blocks != 0 || f->host.wrong_free_count != 0;
}

static tn_fence *make_fence(fixture *f, uint64_t value) {
    tn_fence *fence = NULL;
    const tn_fence_create_info info = {.struct_size = (uint32_t)sizeof info,
                                       .struct_type = TN_STRUCT_FENCE_CREATE_INFO,
                                       .initial_value = value};
    assert_int_equal(f->plugin.sync->fence_create(f->plugin.device, &info, &fence, &f->error),
                     TN_OK);
    return fence;
}

static tn_status import(fixture *f, void *pointer, uint64_t size_bytes, tn_access access,
                        tn_memory **out_memory) {
    const tn_memory_import_info info = {.struct_size = (uint32_t)sizeof info,
                                        .struct_type = TN_STRUCT_MEMORY_IMPORT_INFO,
                                        .access = access,
                                        .pointer = pointer,
                                        .size_bytes = size_bytes};
    return f->plugin.memory->memory_import(f->plugin.device, &info, out_memory, &f->error);
}

static void device__checks_calls_and_arguments(void **state) {
    fixture *f = *state;
    const tn_core_interface *core = f->plugin.core;
    tn_plugin *plugin = f->plugin.answer.plugin;
    tn_device_info info;
    memset(&info, 0x5a, sizeof info);
    info.struct_size = (uint32_t)offsetof(tn_device_info, vendor);
    assert_int_equal(core->device_info(plugin, 0, &info, &f->error), TN_OK);
    assert_string_equal(info.name, "sample");
    assert_int_equal(info.vendor[0], 0x5a); // beyond the caller's struct_size (ABI-11)
    assert_int_equal(core->device_info(plugin, 1, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.struct_size = (uint32_t)sizeof info;
    assert_int_equal(core->device_info(plugin, 0, &info, &f->error), TN_OK);
    assert_int_equal(info.flags, TN_DEVICE_HOST_MEMORY | TN_DEVICE_SYNCHRONOUS);
    assert_int_equal(info.heap_count, 1);
    const tn_string key = {"speed", 5};
    const tn_device_open_info open = {.struct_size = (uint32_t)sizeof open,
                                      .struct_type = TN_STRUCT_DEVICE_OPEN_INFO,
                                      .option_keys = &key,
                                      .option_values = &key,
                                      .option_count = 1};
    tn_device *device = f->plugin.device;
    assert_int_equal(core->device_open(plugin, &open, &device, &f->error), TN_ERROR_NOT_FOUND);
    assert_null(device);
    assert_non_null(strstr(f->error.text, "speed"));
    assert_int_equal(core->shutdown(plugin, 0, &f->error), TN_ERROR_INVALID_STATE);
    assert_null(f->plugin.answer.get_interface(plugin, "blob"));
}

static void verdict__names_versions_outside_the_range(void **state) {
    fixture *f = *state;
    static const struct {
        const char *op;
        uint32_t version;
        tn_answer answer;
        tn_reason reason;
        int64_t limit;
    } rows[] = {
        {"Copy", 3, TN_ANSWER_YES, TN_REASON_NONE, 0},
        {"Copy", 2, TN_ANSWER_YES, TN_REASON_NONE, 0},
        {"Copy", 1, TN_ANSWER_NO, TN_REASON_OP_VERSION, 2},
        {"Copy", 4, TN_ANSWER_NO, TN_REASON_OP_VERSION, 3},
        {"Other", 3, TN_ANSWER_NO, TN_REASON_OP_UNSUPPORTED, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        view_builder *b = view_builder_create();
        const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 0, NULL);
        const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 0, NULL);
        view_builder_node(b, rows[i].op, rows[i].version, &x, 1, &y, 1);
        tn_node_verdict verdict;
        assert_int_equal(
            abi_plugin_judge(&f->plugin, view_builder_finish(b, 0), &verdict, &f->error), TN_OK);
        assert_int_equal(verdict.answer, rows[i].answer);
        assert_int_equal(verdict.reason, rows[i].reason);
        assert_int_equal(verdict.limit, rows[i].limit);
        view_builder_destroy(b);
    }
}

static void note_release(void *user_data) {
    *(uint32_t *)user_data += 1;
}

static void memory__checks_arguments_and_releases_imports_once(void **state) {
    fixture *f = *state;
    const tn_memory_interface *table = f->plugin.memory;
    tn_memory *memory = NULL;
    static const struct {
        uint64_t size, alignment;
        uint32_t heap;
        tn_status expected;
    } rows[] = {
        {100, 64, 0, TN_OK},
        {100, 0, 0, TN_OK},
        {100, 64, 1, TN_ERROR_INVALID_ARGUMENT},
        {0, 64, 0, TN_ERROR_INVALID_ARGUMENT},
        {100, 3, 0, TN_ERROR_INVALID_ARGUMENT},
        {UINT64_MAX, 64, 0, TN_ERROR_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        const tn_memory_alloc_info info = {.struct_size = (uint32_t)sizeof info,
                                           .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
                                           .heap = rows[i].heap,
                                           .size_bytes = rows[i].size,
                                           .alignment_bytes = rows[i].alignment};
        assert_int_equal(table->memory_alloc(f->plugin.device, &info, &memory, &f->error),
                         rows[i].expected);
        assert_true((memory != NULL) == (rows[i].expected == TN_OK));
        void *pointer = NULL;
        if (memory != NULL) {
            assert_int_equal(table->memory_map(memory, 99, 2, &pointer, &f->error),
                             TN_ERROR_INVALID_ARGUMENT);
            assert_null(pointer);
            assert_int_equal(table->memory_map(memory, 0, 100, &pointer, &f->error), TN_OK);
            table->memory_unmap(memory);
        }
        table->memory_free(memory);
    }
    uint32_t released = 0;
    float data[4];
    const tn_memory_import_info info = {.struct_size = (uint32_t)sizeof info,
                                        .struct_type = TN_STRUCT_MEMORY_IMPORT_INFO,
                                        .access = TN_ACCESS_READ,
                                        .pointer = data,
                                        .size_bytes = sizeof data,
                                        .release = note_release,
                                        .release_user_data = &released};
    assert_int_equal(table->memory_import(f->plugin.device, &info, &memory, &f->error), TN_OK);
    assert_int_equal(released, 0);
    table->memory_free(memory);
    assert_int_equal(released, 1);
    assert_int_equal(import(f, NULL, 16, TN_ACCESS_READ, &memory), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(import(f, data, 16, 0, &memory), TN_ERROR_INVALID_ARGUMENT);
}

static void memory__keeps_to_the_cap(void **state) {
    fixture *f = *state;
    const tn_device_open_info open = {.struct_size = (uint32_t)sizeof open,
                                      .struct_type = TN_STRUCT_DEVICE_OPEN_INFO,
                                      .memory_cap_bytes = 1000};
    tn_device *device = NULL;
    assert_int_equal(
        f->plugin.core->device_open(f->plugin.answer.plugin, &open, &device, &f->error), TN_OK);
    tn_memory_alloc_info info = {.struct_size = (uint32_t)sizeof info,
                                 .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
                                 .size_bytes = 600};
    tn_memory *first = NULL;
    tn_memory *second = NULL;
    const tn_memory_interface *table = f->plugin.memory;
    assert_int_equal(table->memory_alloc(device, &info, &first, &f->error), TN_OK);
    assert_int_equal(table->memory_alloc(device, &info, &second, &f->error),
                     TN_ERROR_OUT_OF_MEMORY);
    table->memory_free(first);
    assert_int_equal(table->memory_alloc(device, &info, &second, &f->error), TN_OK);
    table->memory_free(second);
    f->plugin.core->device_close(device);
}

static void copy__checks_ends_and_signals(void **state) {
    fixture *f = *state;
    float from[4] = {1, 2, 3, 4};
    float to[4] = {0};
    tn_memory *memory = NULL;
    tn_fence *fence = make_fence(f, 5);
    const tn_fence_point signal = {fence, 6};
    assert_int_equal(import(f, from, sizeof from, TN_ACCESS_READ, &memory), TN_OK);
    tn_copy_info info = {.struct_size = (uint32_t)sizeof info,
                         .struct_type = TN_STRUCT_COPY_INFO,
                         .source = {memory, NULL, 4},
                         .destination = {NULL, to, 0},
                         .size_bytes = 12,
                         .signals = &signal,
                         .signal_count = 1};
    const tn_memory_interface *table = f->plugin.memory;
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_OK);
    assert_true(to[0] == 2.0f && to[2] == 4.0f && to[3] == 0.0f);
    assert_int_equal(f->plugin.sync->fence_wait(fence, 6, 0, &f->error), TN_OK);
    // The value is used up, the range too long, the source read-only, the ends overlap.
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.signal_count = 0;
    info.size_bytes = 13;
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.size_bytes = 8;
    info.destination.pointer = from;
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.source = (tn_copy_end){NULL, to, 0};
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.destination = (tn_copy_end){memory, NULL, 0};
    assert_int_equal(table->copy(f->plugin.device, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    table->memory_free(memory);
    f->plugin.sync->fence_destroy(fence);
}

typedef struct reached {
    uint32_t count;
    tn_status status;
} reached;

static void note_reached(void *user_data, tn_status status) {
    reached *note = user_data;
    note->count += 1;
    note->status = status;
}

static void fence__grows_and_calls_each_registration_once(void **state) {
    fixture *f = *state;
    const tn_sync_interface *sync = f->plugin.sync;
    tn_fence *fence = make_fence(f, 1);
    reached at_one = {0, TN_OK};
    reached at_three = {0, TN_OK};
    reached at_nine = {0, TN_OK};
    uint64_t value = 0;
    assert_int_equal(sync->fence_on_reach(fence, 1, note_reached, &at_one, NULL), TN_OK);
    assert_int_equal(sync->fence_on_reach(fence, 3, note_reached, &at_three, NULL), TN_OK);
    assert_int_equal(sync->fence_on_reach(fence, 9, note_reached, &at_nine, NULL), TN_OK);
    assert_int_equal(at_one.count, 1);
    assert_int_equal(sync->fence_signal(fence, 1, &f->error), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(sync->fence_wait(fence, 2, 1000, &f->error), TN_ERROR_TIMEOUT);
    assert_int_equal(sync->fence_signal(fence, 4, &f->error), TN_OK);
    assert_int_equal(at_three.count, 1);
    assert_int_equal(at_three.status, TN_OK);
    assert_int_equal(sync->fence_query(fence, &value, &f->error), TN_OK);
    assert_int_equal(value, 4);
    assert_int_equal(at_nine.count, 0);
    sync->fence_destroy(fence);
    assert_int_equal(at_nine.count, 1);
    assert_int_equal(at_nine.status, TN_ERROR_CANCELLED);
    assert_int_equal(at_one.count, 1);
}

static void fence__keeps_its_first_failure(void **state) {
    fixture *f = *state;
    const tn_sync_interface *sync = f->plugin.sync;
    tn_fence *fence = make_fence(f, 0);
    reached note = {0, TN_OK};
    uint64_t value = 7;
    assert_int_equal(sync->fence_fail(fence, TN_OK, &f->error), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(sync->fence_on_reach(fence, 5, note_reached, &note, NULL), TN_OK);
    assert_int_equal(sync->fence_fail(fence, TN_ERROR_TIMEOUT, &f->error), TN_OK);
    assert_int_equal(sync->fence_fail(fence, TN_ERROR_IO, &f->error), TN_OK);
    assert_int_equal(note.count, 1);
    assert_int_equal(note.status, TN_ERROR_TIMEOUT);
    assert_int_equal(sync->fence_wait(fence, 9, UINT64_MAX, &f->error), TN_ERROR_TIMEOUT);
    assert_int_equal(sync->fence_query(fence, &value, &f->error), TN_ERROR_TIMEOUT);
    assert_int_equal(value, 0);
    sync->fence_destroy(fence);
}

typedef struct waiter {
    const tn_sync_interface *sync;
    tn_fence *fence;
    tn_status status;
} waiter;

static void *wait_for_two(void *user_data) {
    waiter *own = user_data;
    own->status = own->sync->fence_wait(own->fence, 2, UINT64_MAX, NULL);
    return NULL;
}

static void fence__wakes_waiting_threads(void **state) {
    fixture *f = *state;
    tn_fence *fence = make_fence(f, 0);
    waiter own = {f->plugin.sync, fence, TN_ERROR_INTERNAL};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_two, &own), 0);
    assert_int_equal(own.sync->fence_signal(fence, 1, NULL), TN_OK);
    assert_int_equal(own.sync->fence_signal(fence, 2, NULL), TN_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(own.status, TN_OK);
    own.sync->fence_destroy(fence);
}

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

static void make_submission(fixture *f, submission *s) {
    memset(s, 0, sizeof *s);
    s->in[0] = 7.0f;
    for (uint32_t i = 0; i < 2; ++i) {
        s->bindings[i] = (tn_binding){.size_bytes = 16, .rank = 1};
        assert_int_equal(import(f, i == 0 ? s->in : s->out, 16,
                                i == 0 ? TN_ACCESS_READ : TN_ACCESS_WRITE, &s->bindings[i].memory),
                         TN_OK);
    }
    s->wait_fence = make_fence(f, 3);
    s->signal_fence = make_fence(f, 0);
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

static void free_submission(fixture *f, submission *s) {
    f->plugin.memory->memory_free(s->bindings[0].memory);
    f->plugin.memory->memory_free(s->bindings[1].memory);
    f->plugin.sync->fence_destroy(s->wait_fence);
    f->plugin.sync->fence_destroy(s->signal_fence);
}

static void submit__runs_then_signals_without_allocating(void **state) {
    fixture *f = *state;
    submission s;
    make_submission(f, &s);
    const uint64_t allocations = f->host.allocation_count;
    assert_int_equal(f->plugin.exec->submit(f->program.context, &s.info, &f->error), TN_OK);
    assert_int_equal(f->host.allocation_count, allocations);
    assert_true(s.out[0] == 7.0f);
    assert_int_equal(f->plugin.sync->fence_wait(s.signal_fence, 1, 0, &f->error), TN_OK);
    free_submission(f, &s);
}

static void submit__fails_the_signals_when_run_fails(void **state) {
    fixture *f = *state;
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

static void submit__refuses_bad_arguments_and_enqueues_nothing(void **state) {
    fixture *f = *state;
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
    fixture *f = *state;
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

static void port_query__strides_over_longer_records(void **state) {
    fixture *f = *state;
    struct {
        tn_port_info info;
        unsigned char newer[24];
    } ports[2];
    memset(ports, 0, sizeof ports);
    for (uint32_t i = 0; i < 2; ++i) {
        ports[i].info.struct_size = (uint32_t)sizeof ports[i];
        ports[i].info.struct_type = TN_STRUCT_PORT_INFO;
        memset(ports[i].newer, 0x5a, sizeof ports[i].newer);
    }
    const tn_port_query query = {.struct_size = (uint32_t)sizeof query,
                                 .struct_type = TN_STRUCT_PORT_QUERY};
    uint32_t count = 0;
    assert_int_equal(f->plugin.compile->port_query(f->program.program, &query, &ports[0].info, 1,
                                                   &count, &f->error),
                     TN_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(count, 2);
    assert_int_equal(f->plugin.compile->port_query(f->program.program, &query, &ports[0].info, 2,
                                                   &count, &f->error),
                     TN_OK);
    assert_int_equal(ports[1].info.kind, TN_PORT_OUTPUT);
    assert_int_equal(ports[1].info.struct_size, sizeof ports[1]);
    assert_int_equal(ports[0].newer[0], 0x5a);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(device__checks_calls_and_arguments),
        CASE(verdict__names_versions_outside_the_range),
        CASE(memory__checks_arguments_and_releases_imports_once),
        CASE(memory__keeps_to_the_cap),
        CASE(copy__checks_ends_and_signals),
        CASE(fence__grows_and_calls_each_registration_once),
        CASE(fence__keeps_its_first_failure),
        CASE(fence__wakes_waiting_threads),
        CASE(submit__runs_then_signals_without_allocating),
        CASE(submit__fails_the_signals_when_run_fails),
        CASE(submit__refuses_bad_arguments_and_enqueues_nothing),
        CASE(submit__wants_a_prepared_context),
        CASE(port_query__strides_over_longer_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
