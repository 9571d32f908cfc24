// SPDX-License-Identifier: Apache-2.0
// tenon/request.h: preparing for shapes, running now or in the background, and the counts of a run.
#include "api/objects.h"

#include "base/clock.h"
#include "base/error.h"

#include <string.h>

typedef enum request_state {
    REQUEST_IDLE,
    REQUEST_RUNNING, // submitted, the result not yet fetched
} request_state;

struct tn_request {
    tn_compiled *compiled;
    tn_host *host;
    bool background;
    tni_worker *worker;       // of a background request, from prepare on
    tni_execution *execution; // null until prepared
    tni_shape_table *table;
    uint64_t prepare_ns;
    uint64_t run_ns;
    request_state state;
    uint64_t deadline_ns;
    tn_request_done_fn done;
    void *done_user_data;
    tni_job job;
    tni_mutex mutex; // guards the result, and against cancel: execution
    tni_cond finished_cond;
    bool mutex_ready;
    bool cond_ready;
    bool finished;
    tn_status result;
    tn_error result_error;
};

void tn_request_config_init(tn_request_config *config) {
    *config = (tn_request_config){.struct_size = sizeof(*config),
                                  .struct_type = TN_STRUCT_REQUEST_CONFIG};
}

static void release_compiled(void *user_data) {
    tn_compiled_release(user_data);
}

// Under the mutex, since cancel may look at it from any thread.
static void set_execution(tn_request *request, tni_execution *execution) {
    tni_mutex_lock(&request->mutex);
    request->execution = execution;
    tni_mutex_unlock(&request->mutex);
}

static void drop_execution(tn_request *request) {
    tni_execution *execution = request->execution;
    if (execution != NULL) {
        set_execution(request, NULL);
        tni_execution_abandon(execution);
        tni_host_retire(request->host, execution);
    }
    tni_shape_table_destroy(request->table);
    request->table = NULL;
}

tn_status tn_request_create(tn_compiled *compiled, const tn_request_config *config,
                            tn_request **out_request, tn_error *error) {
    if (out_request != NULL) {
        *out_request = NULL;
    }
    if (compiled == NULL || out_request == NULL ||
        (config != NULL && !tni_struct_ok(config, TN_STRUCT_REQUEST_CONFIG, sizeof(*config)))) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.argument",
                        "compiled or out_request is null, or the configuration is not one");
    }
    tn_host *host = compiled->model->host;
    tn_request *request = tni_alloc_zeroed(&host->alloc, sizeof(*request));
    if (request == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a request");
    }
    tn_compiled_retain(compiled);
    tn_host_retain(host);
    request->compiled = compiled;
    request->host = host;
    request->background = config != NULL && config->background != 0;
    tn_status status = tni_mutex_init(&request->mutex);
    request->mutex_ready = status == TN_OK;
    if (status == TN_OK) {
        status = tni_cond_init(&request->finished_cond);
        request->cond_ready = status == TN_OK;
    }
    if (status != TN_OK) {
        tn_request_destroy(request);
        return tni_fail_plain(error, status, "a request");
    }
    *out_request = request;
    return TN_OK;
}

void tn_request_destroy(tn_request *request) {
    if (request == NULL) {
        return;
    }
    tn_request_cancel(request);
    tni_worker_destroy(request->worker); // a cancelled run ends at its next look
    drop_execution(request);
    if (request->cond_ready) {
        tni_cond_deinit(&request->finished_cond);
    }
    if (request->mutex_ready) {
        tni_mutex_deinit(&request->mutex);
    }
    tn_host *host = request->host;
    tn_compiled *compiled = request->compiled;
    tni_free(&host->alloc, request, sizeof(*request));
    tn_compiled_release(compiled);
    (void)tni_host_reap(host, 0);
    tni_host_drop(host);
}

// Every input once, with the given dims or the model's own.
static tn_status gather_shapes(const tn_request *request, const tn_input_shape *shapes,
                               uint32_t shape_count, tni_shape_input *inputs, int64_t *dims,
                               tn_error *error) {
    const tni_model *model = request->compiled->fork;
    const tni_graph *graph = &model->graphs[0];
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const tni_value *value = &model->values[graph->inputs[i]];
        int64_t *own = dims + (uint64_t)i * TN_MAX_RANK;
        uint32_t rank = value->rank == TN_RANK_UNKNOWN ? 0 : value->rank;
        for (uint32_t k = 0; k < rank; k++) {
            own[k] = value->dims[k].size;
        }
        inputs[i] = (tni_shape_input){graph->inputs[i], rank, own};
    }
    for (uint32_t i = 0; i < shape_count; i++) {
        if (shapes[i].input >= graph->input_count || shapes[i].rank > TN_MAX_RANK ||
            (shapes[i].dims == NULL && shapes[i].rank > 0)) {
            return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.shape",
                            "shape %u names input %u of %u, or has no dims", i, shapes[i].input,
                            graph->input_count);
        }
        inputs[shapes[i].input].rank = shapes[i].rank;
        inputs[shapes[i].input].dims = shapes[i].dims;
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        for (uint32_t k = 0; k < inputs[i].rank; k++) {
            if (inputs[i].dims[k] < 0) {
                const tni_value *value = &model->values[graph->inputs[i]];
                return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.dim",
                                "dimension %u of input \"%.*s\" is not known: give its shape", k,
                                (int)value->name.size_bytes, value->name.data);
            }
        }
    }
    return TN_OK;
}

static tn_status evaluate(tn_request *request, const tn_input_shape *shapes, uint32_t shape_count,
                          tn_error *error) {
    const tni_model *model = request->compiled->fork;
    const tni_alloc *alloc = &request->host->alloc;
    uint64_t count = (uint64_t)model->graphs[0].input_count + 1;
    tni_shape_input *inputs = tni_alloc_array(alloc, count, sizeof(*inputs));
    int64_t *dims = tni_alloc_array(alloc, count * TN_MAX_RANK, sizeof(*dims));
    tn_status status = inputs != NULL && dims != NULL
                           ? gather_shapes(request, shapes, shape_count, inputs, dims, error)
                           : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "input shapes");
    if (status == TN_OK) {
        status = tni_shapes_evaluate(model, alloc, inputs, model->graphs[0].input_count,
                                     &request->table, error);
    }
    tni_free_array(alloc, inputs, count, sizeof(*inputs));
    tni_free_array(alloc, dims, count * TN_MAX_RANK, sizeof(*dims));
    return status;
}

static tn_status make_execution(tn_request *request, const tn_symbol_value *symbols,
                                uint32_t symbol_count, tn_error *error) {
    tn_compiled *compiled = request->compiled;
    tni_schedule *schedule = NULL;
    tni_execution *execution = NULL;
    tn_status status = tni_schedule_create(&request->host->alloc, compiled->plan, request->table,
                                           symbols, symbol_count, &schedule, error);
    if (status == TN_OK) {
        status = tni_memory_plan(schedule, compiled->memory_cap_bytes, error);
    }
    if (status == TN_OK) {
        status =
            tni_execution_create(&request->host->alloc, &request->host->trace, schedule, symbols,
                                 symbol_count, compiled->model->sensitive, &execution, error);
    }
    if (status != TN_OK) {
        tni_schedule_destroy(schedule);
        return status;
    }
    tn_compiled_retain(compiled);
    execution->release = release_compiled;
    execution->release_user_data = compiled;
    set_execution(request, execution);
    return TN_OK;
}

static tn_status prepare(tn_request *request, const tn_input_shape *shapes, uint32_t shape_count,
                         tn_error *error) {
    const tni_alloc *alloc = &request->host->alloc;
    tn_status status = evaluate(request, shapes, shape_count, error);
    if (status != TN_OK) {
        return status;
    }
    uint32_t count = request->table->symbol_count;
    tn_symbol_value *symbols = tni_alloc_array(alloc, (uint64_t)count + 1, sizeof(*symbols));
    if (symbols == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "shape symbols");
    }
    for (uint32_t i = 0; i < count; i++) {
        symbols[i] = (tn_symbol_value){.symbol = i, .size = request->table->symbol_sizes[i]};
    }
    status = make_execution(request, symbols, count, error);
    tni_free_array(alloc, symbols, (uint64_t)count + 1, sizeof(*symbols));
    if (status == TN_OK && request->background && request->worker == NULL) {
        status = tni_worker_create(alloc, "tenon-request", &request->worker);
        if (status != TN_OK) {
            return tni_fail_plain(error, status, "the thread of a background request");
        }
    }
    return status;
}

tn_status tn_request_prepare(tn_request *request, const tn_input_shape *shapes,
                             uint32_t shape_count, tn_error *error) {
    if (request == NULL || (shapes == NULL && shape_count > 0)) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.argument",
                        "request or shapes is null");
    }
    if (request->state != REQUEST_IDLE) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "request.running",
                        "a run was submitted and not waited for");
    }
    uint64_t begin = tni_clock_ns();
    drop_execution(request);
    tn_status status = prepare(request, shapes, shape_count, error);
    if (status != TN_OK) {
        drop_execution(request);
    }
    request->prepare_ns = tni_clock_ns() - begin;
    tni_trace_add(&request->host->trace, TN_TRACE_PREPARE, TN_NONE, TN_NONE, 0, begin, 0);
    return status;
}

static tn_status view_of(const tn_request *request, const uint32_t *places, uint32_t count,
                         uint32_t index, tn_tensor_view *out_view) {
    if (!tni_struct_ok(out_view, TN_STRUCT_TENSOR_VIEW, sizeof(tn_struct_header)) ||
        index >= count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_place *place = &request->execution->schedule->places[places[index]];
    const tni_shape *shape = &request->table->shapes[place->value];
    tn_tensor_view view = {
        .data = tni_execution_host(request->execution, places[index]),
        .size_bytes = shape->size_bytes,
        .dtype = shape->dtype,
        .rank = shape->rank,
        .dims = shape->dims,
    };
    tni_struct_out(out_view, &view, sizeof(view));
    return TN_OK;
}

tn_status tn_request_input(tn_request *request, uint32_t input, tn_tensor_view *out_view) {
    if (request == NULL || request->execution == NULL) {
        return TN_ERROR_INVALID_STATE;
    }
    const tni_schedule *s = request->execution->schedule;
    return view_of(request, s->input_places, s->input_count, input, out_view);
}

tn_status tn_request_output(tn_request *request, uint32_t output, tn_tensor_view *out_view) {
    if (request == NULL || request->execution == NULL) {
        return TN_ERROR_INVALID_STATE;
    }
    const tni_schedule *s = request->execution->schedule;
    return view_of(request, s->output_places, s->output_count, output, out_view);
}

tn_status tn_request_output_status(tn_request *request, uint32_t output) {
    if (request == NULL || request->execution == NULL || request->state != REQUEST_IDLE) {
        return TN_ERROR_INVALID_STATE;
    }
    return output < request->execution->schedule->output_count
               ? tni_execution_output_status(request->execution, output)
               : TN_ERROR_INVALID_ARGUMENT;
}

static tn_status check_ready(const tn_request *request, tn_error *error) {
    if (request == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.argument", "request is null");
    }
    if (request->execution == NULL || request->state != REQUEST_IDLE) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "request.state",
                        request->execution == NULL ? "the request is not prepared"
                                                   : "a run was submitted and not waited for");
    }
    return TN_OK;
}

tn_status tn_request_write(tn_request *request, uint32_t input, const void *data,
                           uint64_t size_bytes, tn_error *error) {
    tn_status status = check_ready(request, error);
    if (status != TN_OK) {
        return status;
    }
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    status = tn_request_input(request, input, &view);
    if (status != TN_OK || data == NULL || size_bytes != view.size_bytes) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.write",
                        "input %u takes %llu bytes, %llu were given", input,
                        (unsigned long long)(status == TN_OK ? view.size_bytes : 0),
                        (unsigned long long)size_bytes);
    }
    if (size_bytes > 0) {
        memcpy(view.data, data, size_bytes);
    }
    return TN_OK;
}

tn_status tn_request_run(tn_request *request, uint64_t deadline_ns, tn_error *error) {
    tn_status status = check_ready(request, error);
    if (status != TN_OK) {
        return status;
    }
    uint64_t begin = tni_clock_ns();
    atomic_store(&request->execution->cancelled, false);
    status = tni_execution_run(request->execution, deadline_ns, error);
    request->run_ns = tni_clock_ns() - begin;
    return status;
}

static void run_in_background(void *user_data) {
    tn_request *request = user_data;
    uint64_t begin = tni_clock_ns();
    tn_status status =
        tni_execution_run(request->execution, request->deadline_ns, &request->result_error);
    tn_request_done_fn done = request->done;
    void *done_user_data = request->done_user_data;
    request->run_ns = tni_clock_ns() - begin;
    // The callback comes first: after the signal the owner may destroy the request.
    if (done != NULL) {
        done(done_user_data, status);
    }
    tni_mutex_lock(&request->mutex);
    request->result = status;
    request->finished = true;
    tni_cond_broadcast(&request->finished_cond);
    tni_mutex_unlock(&request->mutex);
}

tn_status tn_request_submit(tn_request *request, uint64_t deadline_ns, tn_request_done_fn done,
                            void *user_data, tn_error *error) {
    tn_status status = check_ready(request, error);
    if (status != TN_OK) {
        return status;
    }
    if (request->worker == NULL) {
        return tni_fail(error, TN_ERROR_UNSUPPORTED, "request.background",
                        "submit needs a request made with config.background");
    }
    if (!tni_execution_drained(request->execution)) {
        return tni_fail(error, TN_ERROR_BUSY, "run.busy",
                        "devices are still at work on a run that was given up");
    }
    request->state = REQUEST_RUNNING;
    request->finished = false;
    request->deadline_ns = deadline_ns;
    request->done = done;
    request->done_user_data = user_data;
    tni_error_init(&request->result_error);
    atomic_store(&request->execution->cancelled, false);
    request->job = (tni_job){.run = run_in_background, .user_data = request};
    tni_worker_post(request->worker, &request->job);
    return TN_OK;
}

tn_status tn_request_wait(tn_request *request, uint64_t timeout_ns, tn_error *error) {
    if (request == NULL || request->state != REQUEST_RUNNING) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "request.idle", "nothing was submitted");
    }
    uint64_t deadline = tni_clock_deadline(timeout_ns);
    tni_mutex_lock(&request->mutex);
    bool in_time = true;
    while (!request->finished && in_time) {
        in_time = tni_cond_wait_until(&request->finished_cond, &request->mutex, deadline);
    }
    bool finished = request->finished;
    tn_status result = request->result;
    tni_mutex_unlock(&request->mutex);
    if (!finished) {
        return tni_fail(error, TN_ERROR_TIMEOUT, "request.wait", "the run is still going on");
    }
    request->state = REQUEST_IDLE;
    if (result != TN_OK) {
        tni_error_copy(error, &request->result_error);
    }
    return result;
}

void tn_request_cancel(tn_request *request) {
    if (request == NULL || !request->mutex_ready) {
        return;
    }
    tni_mutex_lock(&request->mutex);
    if (request->execution != NULL) {
        atomic_store(&request->execution->cancelled, true);
    }
    tni_mutex_unlock(&request->mutex);
}

tn_status tn_request_stats(const tn_request *request, tn_run_stats *out_stats) {
    if (request == NULL || request->execution == NULL) {
        return TN_ERROR_INVALID_STATE;
    }
    if (!tni_struct_ok(out_stats, TN_STRUCT_RUN_STATS, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    tni_execution *e = request->execution;
    const tni_schedule *s = e->schedule;
    tn_run_stats stats = {
        .handovers = atomic_load(&e->handovers),
        .host_waits = atomic_load(&e->host_waits),
        .transfers = atomic_load(&e->transfers),
        .submits = atomic_load(&e->submits),
        .transfer_bytes = atomic_load(&e->transfer_bytes),
        .planned_handovers = s->counts.handovers,
        .planned_host_waits = s->counts.host_waits,
        .planned_transfers = s->counts.transfers,
        .bridged_fences = atomic_load(&e->bridged),
        .planned_transfer_bytes = s->counts.transfer_bytes,
        .run_ns = request->run_ns,
        .transfer_ns = atomic_load(&e->transfer_ns),
        .wait_ns = atomic_load(&e->wait_ns),
        .kernel_ns = atomic_load(&e->kernel_ns),
        .prepare_ns = request->prepare_ns,
        .host_arena_bytes = s->spaces[0].arena_bytes,
    };
    for (uint32_t i = 1; i < s->space_count; i++) {
        stats.device_arena_bytes += s->spaces[i].arena_bytes;
    }
    tni_struct_out(out_stats, &stats, sizeof(stats));
    return TN_OK;
}
