// SPDX-License-Identifier: Apache-2.0
// Which calls are offered to devices, and which of them stay one node. See calls.h.
#include "flow/calls.h"

#include "base/error.h"
#include "flow/size_operands.h"
#include "graph/rewrite/rewrite.h"
#include "graph/schema/schema.h"

// An op that is none of ONNX's and that some device lists.
typedef struct {
    tni_alloc alloc;
    tn_op_record *records;
    uint32_t count, capacity;
} custom_ops;

static tn_status collect_ops(custom_ops *ops, const tn_op_list *listed) {
    const unsigned char *base = (const unsigned char *)(const void *)listed->ops;
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < listed->op_count && status == TN_OK; i++) {
        const tn_op_record *record = (const void *)(base + (uint64_t)i * listed->op_stride_bytes);
        // What ONNX defines, a model cannot define anew for devices.
        if (tni_schema_domain_known(tni_string_of(record->domain))) {
            continue;
        }
        status = tni_grow(&ops->alloc, (void **)&ops->records, &ops->capacity,
                          (uint64_t)ops->count + 1, sizeof *ops->records);
        if (status == TN_OK) {
            ops->records[ops->count++] = *record;
        }
    }
    return status;
}

static bool is_listed(const custom_ops *ops, const tni_function_call *call) {
    for (uint32_t i = 0; i < ops->count; i++) {
        const tn_op_record *record = &ops->records[i];
        if (call->version >= record->oldest_version && call->version <= record->newest_version &&
            tni_string_is(call->function, record->op_type) &&
            tni_string_is(call->domain, record->domain)) {
            return true;
        }
    }
    return false;
}

typedef struct {
    uint32_t *followed; // per value: 1 + the call inside of which its elements follow from shapes
} call_check;

static bool is_typed(const tni_model *model, const uint32_t *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] != TN_NONE && (model->values[values[i]].dtype == TN_DTYPE_UNDEFINED ||
                                     model->values[values[i]].rank == TN_RANK_UNKNOWN)) {
            return false;
        }
    }
    return true;
}

static bool is_followed(const call_check *c, const tni_model *model, uint32_t call,
                        uint32_t value) {
    return value == TN_NONE || model->values[value].constant != TN_NONE ||
           c->followed[value] == call + 1;
}

static void follow(const call_check *c, const tni_model *model, uint32_t call,
                   const tni_node *node) {
    bool followed = tni_elements_from_shape(node) || tni_elements_followed(node);
    for (uint32_t i = 0; i < node->input_count && !tni_elements_from_shape(node); i++) {
        followed = followed && is_followed(c, model, call, node->inputs[i]);
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != TN_NONE) {
            const tn_dtype dtype = model->values[node->outputs[i]].dtype;
            const bool integer = dtype == TN_DTYPE_INT64 || dtype == TN_DTYPE_INT32;
            c->followed[node->outputs[i]] = followed && integer ? call + 1 : 0;
        }
    }
}

// Whether shapes alone tell what the node's operands say about sizes.
static bool has_known_sizes(const call_check *c, const tni_model *model, uint32_t call,
                            const tni_node *node) {
    const uint32_t operands = tni_size_operands(node);
    for (uint32_t i = 0; i < node->input_count && i < 32; i++) {
        if (((operands >> i) & 1u) != 0 && !is_followed(c, model, call, node->inputs[i])) {
            return false;
        }
    }
    return !tni_sizes_need_data(node);
}

// One node has no stages: nothing inside may be the host's, or be measured or read on the way.
static bool can_be_one_node(void *user_data, const tni_model *model, uint32_t call,
                            const uint32_t *nodes, uint32_t count) {
    const call_check *c = user_data;
    const tni_function_call *record = &model->calls[call];
    for (uint32_t i = 0; i < record->input_count; i++) {
        const uint32_t value = tni_model_resolve(model, record->inputs[i]);
        if (value != TN_NONE && (model->values[value].kind != TN_VALUE_TENSOR ||
                                 model->values[value].dtype == TN_DTYPE_STRING)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const tni_node *node = &model->nodes[nodes[i]];
        if (tni_node_is_for_host(model, node) || !has_known_sizes(c, model, call, node) ||
            !is_typed(model, node->inputs, node->input_count) ||
            !is_typed(model, node->outputs, node->output_count)) {
            return false;
        }
        follow(c, model, call, node);
    }
    return true;
}

static tn_status outline(tni_model *model, const custom_ops *ops, bool *out_changed,
                         tn_error *error) {
    const uint64_t values = (uint64_t)model->value_count + 1;
    const uint32_t calls = model->call_count;
    call_check check = {tni_alloc_array(&model->alloc, values, sizeof(uint32_t))};
    uint8_t *wanted = tni_alloc_array(&model->alloc, calls, 1);
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    if (check.followed == NULL || wanted == NULL) {
        (void)tni_fail_plain(error, status, "calls of functions");
    } else {
        for (uint32_t i = 0; i < calls; i++) {
            wanted[i] = !model->calls[i].overloaded && is_listed(ops, &model->calls[i]);
        }
        status = tni_rewrite_outline(model, wanted, can_be_one_node, &check, out_changed, error);
    }
    tni_free_array(&model->alloc, wanted, calls, 1);
    tni_free_array(&model->alloc, check.followed, values, sizeof(uint32_t));
    return status == TN_OK && *out_changed ? tni_shapes_infer(model, error) : status;
}

tn_status tni_calls_offer(tni_model *model, tni_device *const *devices, uint32_t device_count,
                          bool *out_changed, tn_error *error) {
    custom_ops ops = {.alloc = model->alloc};
    tn_status status = TN_OK;
    *out_changed = false;
    for (uint32_t i = 0; i < device_count && model->call_count > 0 && status == TN_OK; i++) {
        tn_op_list listed;
        status = tni_device_op_list(devices[i], &listed, error);
        if (status == TN_OK) {
            status = collect_ops(&ops, &listed);
            status = status == TN_OK ? TN_OK : tni_fail_plain(error, status, "lists of ops");
        }
    }
    if (status == TN_OK && ops.count > 0) {
        status = outline(model, &ops, out_changed, error);
    }
    tni_free_array(&ops.alloc, ops.records, ops.capacity, sizeof *ops.records);
    return status;
}

// Marks the region's calls. Returns whether there are any.
static bool mark_calls(const tni_model *model, const tni_region *region) {
    bool found = false;
    for (uint32_t i = 0; i < region->node_count; i++) {
        tni_node *node = &model->nodes[region->nodes[i]];
        node->refused = node->called != TN_NONE;
        found = found || node->refused;
    }
    return found;
}

// Takes the marks off those that the device takes.
static tn_status ask_device(const tni_flow *flow, const tni_region *region, uint32_t device,
                            tn_error *error) {
    tni_verdict_set set;
    const tni_query query = {
        .model = flow->model,
        .region = region,
        .device = flow->devices[device],
        .presentation = &flow->presentations[device],
        .precision = flow->info.precision,
    };
    const tn_status status = tni_verdicts_ask(&flow->alloc, &query, &set, error);
    for (uint32_t i = 0; i < region->node_count && status == TN_OK; i++) {
        const uint32_t id = region->nodes[i];
        tni_node *node = &flow->model->nodes[id];
        const bool whole = set.options[i].possible && !tni_verdicts_inline(&set, id);
        node->refused = node->refused && !whole;
    }
    tni_verdicts_deinit(&set);
    return status;
}

static tn_status settle_region(const tni_flow *flow, const tni_region *region, bool *inout_refused,
                               tn_error *error) {
    tn_status status = TN_OK;
    if (!mark_calls(flow->model, region)) {
        return TN_OK;
    }
    // What is planned during a run cannot change the model any more.
    const bool now = tni_shapes_complete(flow->model, region);
    for (uint32_t d = 0; d < flow->info.call_device_count && now && status == TN_OK; d++) {
        status = ask_device(flow, region, d, error);
    }
    for (uint32_t i = 0; i < region->node_count; i++) {
        *inout_refused = *inout_refused || flow->model->nodes[region->nodes[i]].refused;
    }
    return status;
}

tn_status tni_calls_settle(const tni_flow *flow, bool *out_refused, tn_error *error) {
    tn_status status = TN_OK;
    *out_refused = false;
    for (uint32_t g = 0; g < flow->graph_count; g++) {
        const tni_track *track = &flow->tracks[g];
        for (uint32_t i = 0; i < track->stage_count && status == TN_OK; i++) {
            if (track->stages[i].kind == TNI_STAGE_REGION) {
                status = settle_region(flow, &track->stages[i].region, out_refused, error);
            }
        }
    }
    return status;
}
