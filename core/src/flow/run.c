// SPDX-License-Identifier: Apache-2.0
// The walk: stages in order, values passed between them, let go of when nothing reads them again.
#include "flow/run.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/machine.h"
#include "flow/text.h"

#include <string.h>

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

static const tni_graph *graph_0(const tni_flow_run *run) {
    return &run->flow->model->graphs[0];
}

tn_status tni_flow_run_create(const tni_prepare_context *context, const tni_flow_limits *limits,
                              tni_flow_run **out_run, tn_error *error) {
    *out_run = NULL;
    const tni_alloc *alloc = &context->alloc;
    tni_flow_run *run = tni_alloc_zeroed(alloc, sizeof(*run));
    if (run == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a request");
    }
    const tni_flow *flow = context->flow;
    run->alloc = *alloc;
    run->context = *context;
    run->limits = *limits;
    run->flow = flow;
    run->store = (tni_store){
        .alloc = *alloc,
        .sensitive = context->sensitive,
        .cap_bytes =
            limits->memory_cap_bytes > 0 ? limits->memory_cap_bytes : tni_machine_memory_bytes(),
        .max_tensor_bytes = context->flow->model->max_tensor_bytes,
        .give_way = tni_flow_drop_oldest,
        .give_way_user_data = run,
    };
    atomic_init(&run->cancelled, false);
    run->items = tni_alloc_array(alloc, at_least_one(flow->model->value_count), sizeof(tni_item));
    run->inputs = tni_alloc_array(alloc, at_least_one(graph_0(run)->input_count), sizeof(tni_item));
    run->outputs =
        tni_alloc_array(alloc, at_least_one(graph_0(run)->output_count), sizeof(tni_item));
    run->profiles =
        tni_alloc_array(alloc, at_least_one((uint64_t)flow->stage_count * TNI_PROFILES_PER_STAGE),
                        sizeof(tni_profile));
    tn_status status =
        run->items != NULL && run->inputs != NULL && run->outputs != NULL && run->profiles != NULL
            ? tni_mutex_init(&run->mutex)
            : TN_ERROR_OUT_OF_MEMORY;
    run->mutex_ready = status == TN_OK;
    if (status != TN_OK) {
        tni_flow_run_destroy(run);
        return tni_fail_plain(error, status, "a request");
    }
    *out_run = run;
    return TN_OK;
}

static void clear_items(tni_item *items, uint32_t count) {
    for (uint32_t i = 0; items != NULL && i < count; i++) {
        tni_item_clear(&items[i]);
    }
}

void tni_flow_run_forget(tni_flow_run *run) {
    clear_items(run->inputs, graph_0(run)->input_count);
    clear_items(run->outputs, graph_0(run)->output_count);
}

static void free_profiles(tni_flow_run *run) {
    uint32_t count = run->flow->stage_count * TNI_PROFILES_PER_STAGE;
    for (uint32_t i = 0; run->profiles != NULL && i < count; i++) {
        tni_prepared_drop(run->profiles[i].prepared);
        tni_free(&run->alloc, run->profiles[i].key, run->profiles[i].key_bytes);
    }
    tni_free_array(&run->alloc, run->profiles, at_least_one(count), sizeof(tni_profile));
}

void tni_flow_run_destroy(tni_flow_run *run) {
    if (run == NULL) {
        return;
    }
    uint32_t values = run->flow->model->value_count;
    uint32_t inputs = graph_0(run)->input_count;
    uint32_t outputs = graph_0(run)->output_count;
    clear_items(run->items, values);
    clear_items(run->inputs, inputs);
    clear_items(run->outputs, outputs);
    free_profiles(run);
    tni_free_array(&run->alloc, run->items, at_least_one(values), sizeof(tni_item));
    tni_free_array(&run->alloc, run->inputs, at_least_one(inputs), sizeof(tni_item));
    tni_free_array(&run->alloc, run->outputs, at_least_one(outputs), sizeof(tni_item));
    if (run->mutex_ready) {
        tni_mutex_deinit(&run->mutex);
    }
    tni_alloc alloc = run->alloc;
    tni_free(&alloc, run, sizeof(*run));
}

tn_status tni_flow_run_shape(tni_flow_run *run, uint32_t input, uint32_t rank, const int64_t *dims,
                             tn_error *error) {
    const tni_value *value = &run->flow->model->values[graph_0(run)->inputs[input]];
    tni_tensor *tensor = NULL;
    tni_item_clear(&run->inputs[input]);
    tn_status status =
        value->dtype == TN_DTYPE_STRING
            ? tni_texts_create(&run->store, rank, dims, NULL, &tensor, error)
            : tni_tensor_create(&run->store, value->dtype, rank, dims, &tensor, error);
    if (status == TN_OK) {
        run->inputs[input] = tni_item_of(tensor);
    }
    return status;
}

tn_status tni_flow_check(tni_flow_run *run, tn_error *error) {
    if (atomic_load(&run->cancelled)) {
        return tni_fail(error, TN_ERROR_CANCELLED, "run.cancelled", "the run was cancelled");
    }
    if (run->deadline_ns != UINT64_MAX && tni_clock_ns() >= run->deadline_ns) {
        return tni_fail(error, TN_ERROR_TIMEOUT, "run.deadline",
                        "the deadline passed before the run was done");
    }
    return TN_OK;
}

static tn_status read_constant(tni_flow_run *run, uint32_t id, tni_item *out_item,
                               tn_error *error) {
    const tni_model *model = run->flow->model;
    const tni_constant *constant = &model->constants[id];
    tni_tensor *tensor = NULL;
    tn_status status =
        tni_tensor_create_sized(&run->store, constant->dtype, constant->rank, constant->dims,
                                constant->size_bytes, &tensor, error);
    if (status == TN_OK) {
        status = tni_constant_read(model, id, 0, constant->size_bytes, tensor->data, error);
    }
    if (status != TN_OK) {
        tni_tensor_release(tensor);
        return status;
    }
    *out_item = tni_item_of(tensor);
    return TN_OK;
}

tn_status tni_flow_take(tni_flow_run *run, uint32_t value, tni_item *out_item, tn_error *error) {
    const tni_value *record = &run->flow->model->values[value];
    *out_item = (tni_item){.kind = TNI_ITEM_EMPTY};
    if (record->constant != TN_NONE) {
        return read_constant(run, record->constant, out_item, error);
    }
    if (run->items[value].kind == TNI_ITEM_EMPTY) {
        return tni_fail_node(error, TN_ERROR_INVALID_DATA, "flow.missing", record->producer, value,
                             "'%.*s' is read before anything made it", TNI_TEXT(record->name));
    }
    *out_item = tni_item_share(run->items[value]);
    return TN_OK;
}

void tni_flow_set(tni_flow_run *run, uint32_t value, tni_item item) {
    if (value == TN_NONE) {
        tni_item_clear(&item);
        return;
    }
    tni_item_clear(&run->items[value]);
    run->items[value] = item;
}

void tni_flow_clear_body(tni_flow_run *run, uint32_t graph) {
    const tni_graph *g = &run->flow->model->graphs[graph];
    for (uint32_t i = 0; i < g->input_count; i++) {
        tni_item_clear(&run->items[g->inputs[i]]);
    }
    for (uint32_t i = 0; i < g->output_count; i++) {
        // A body may hand out what belongs to the graph around it.
        if (run->flow->model->values[g->outputs[i]].graph == graph) {
            tni_item_clear(&run->items[g->outputs[i]]);
        }
    }
}

tn_status tni_flow_walk(tni_flow_run *run, uint32_t graph, tn_error *error) {
    const tni_track *track = &run->flow->tracks[graph];
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < track->stage_count && status == TN_OK; i++) {
        const tni_stage *stage = &track->stages[i];
        status = tni_flow_check(run, error);
        if (status == TN_OK) {
            status = stage->kind == TNI_STAGE_HOST ? tni_flow_run_node(run, stage->node, error)
                                                   : tni_flow_run_region(run, stage, error);
        }
        for (uint32_t k = 0; k < stage->release_count && status == TN_OK; k++) {
            tni_item_clear(&run->items[stage->releases[k]]);
        }
    }
    return status;
}

static tn_status begin(tni_flow_run *run, uint64_t deadline_ns, tn_error *error) {
    const tni_graph *graph = graph_0(run);
    run->deadline_ns = deadline_ns == 0 ? UINT64_MAX : tni_clock_deadline(deadline_ns);
    run->iterations = 0;
    memset(&run->counts, 0, sizeof(run->counts));
    clear_items(run->outputs, graph->output_count);
    for (uint32_t i = 0; i < graph->input_count; i++) {
        if (run->inputs[i].kind == TNI_ITEM_EMPTY) {
            return tni_fail(error, TN_ERROR_INVALID_STATE, "flow.input", "input %u is not set", i);
        }
        tni_flow_set(run, graph->inputs[i], tni_item_share(run->inputs[i]));
    }
    return tni_model_check_sources(run->flow->model, error);
}

static bool is_input(const tni_flow_run *run, const tni_tensor *tensor) {
    bool found = false;
    for (uint32_t i = 0; i < graph_0(run)->input_count; i++) {
        found = found || run->inputs[i].tensor == tensor;
    }
    return found;
}

// A sequence of the same tensors, but for those that are inputs.
static tn_status own_sequence(const tni_flow_run *run, tni_item *item, tn_error *error) {
    const tni_sequence *sequence = item->sequence;
    tni_sequence *own = NULL;
    bool has_input = false;
    for (uint32_t i = 0; i < sequence->count; i++) {
        has_input = has_input || is_input(run, sequence->tensors[i]);
    }
    if (!has_input) {
        return TN_OK;
    }
    tn_status status = tni_sequence_create(sequence->store, sequence->count, &own, error);
    for (uint32_t i = 0; i < sequence->count && status == TN_OK; i++) {
        tni_tensor *tensor = sequence->tensors[i];
        if (is_input(run, tensor)) {
            status = tni_tensor_copy(tensor, &own->tensors[i], error);
        } else {
            own->tensors[i] = tni_item_share(tni_item_of(tensor)).tensor;
        }
    }
    if (status != TN_OK) {
        tni_sequence_release(own);
        return status;
    }
    tni_item_clear(item);
    *item = (tni_item){.kind = TNI_ITEM_SEQUENCE, .sequence = own};
    return TN_OK;
}

// What an output holds must outlast the writing of the next inputs: where a model hands an input
// out as it is, it becomes a copy.
static tn_status take_output(tni_flow_run *run, uint32_t index, tn_error *error) {
    tni_item *item = &run->outputs[index];
    tni_tensor *own = NULL;
    tn_status status = tni_flow_take(run, graph_0(run)->outputs[index], item, error);
    if (status == TN_OK && item->kind == TNI_ITEM_SEQUENCE) {
        return own_sequence(run, item, error);
    }
    if (status == TN_OK && item->kind == TNI_ITEM_TENSOR && is_input(run, item->tensor)) {
        status = tni_tensor_copy(item->tensor, &own, error);
        tni_item_clear(item);
        if (status == TN_OK) {
            *item = tni_item_of(own);
        }
    }
    return status;
}

tn_status tni_flow_run_go(tni_flow_run *run, uint64_t deadline_ns, tn_error *error) {
    const tni_graph *graph = graph_0(run);
    uint64_t start = tni_clock_ns();
    tn_status status = begin(run, deadline_ns, error);
    if (status == TN_OK) {
        status = tni_flow_walk(run, 0, error);
    }
    for (uint32_t i = 0; i < graph->output_count && status == TN_OK; i++) {
        status = take_output(run, i, error);
    }
    if (status != TN_OK) {
        clear_items(run->outputs, graph->output_count);
    }
    clear_items(run->items, run->flow->model->value_count);
    tni_trace_add(run->context.trace, TN_TRACE_RUN, TN_NONE, TN_NONE, 0, start, 0);
    uint64_t counted = run->counts.own_ns + run->counts.copy_ns + run->counts.prepare_ns;
    uint64_t all = tni_clock_ns() - start;
    run->counts.dispatch_ns = all > counted ? all - counted : 0;
    return status;
}

void tni_flow_run_cancel(tni_flow_run *run) {
    tni_mutex_lock(&run->mutex);
    atomic_store(&run->cancelled, true);
    if (run->current != NULL) {
        atomic_store(&run->current->cancelled, true);
    }
    tni_mutex_unlock(&run->mutex);
}
