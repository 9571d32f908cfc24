// SPDX-License-Identifier: Apache-2.0
// Estimates. The defaults are those of docs/decisions (costs before calibration).
#include "plan/cost.h"

#include "base/checked.h"

#include <string.h>

#define DEFAULT_FLOPS_PER_SECOND 10000000000ull
#define DEFAULT_BYTES_PER_SECOND 10000000000ull
#define DEFAULT_HANDOVER_NS 75000
#define DEFAULT_DISPATCH_NS 10000
#define DEFAULT_INLINE_DISPATCH_NS 500
#define DEFAULT_COPY_NS 10000
#define MAX_COST_NS ((int64_t)1 << 40)

static uint64_t saturating_mul(uint64_t a, uint64_t b) {
    uint64_t product;
    return tni_mul_u64(a, b, &product) ? product : UINT64_MAX;
}

static uint64_t dim_or_one(const tn_graph_dim *dim) {
    return dim->size > 0 ? (uint64_t)dim->size : dim->size == 0 ? 0 : 1;
}

static uint64_t value_elements(const tni_model *model, uint32_t value) {
    const tni_value *v = &model->values[value];
    uint64_t count = 1;
    if (v->rank == TN_RANK_UNKNOWN) {
        return 1;
    }
    for (uint32_t i = 0; i < v->rank; i++) {
        count = saturating_mul(count, dim_or_one(&v->dims[i]));
    }
    return count;
}

uint64_t tni_value_bytes(const tni_model *model, uint32_t value) {
    uint64_t bytes = 0;
    uint64_t count = value_elements(model, value);
    return tni_size_of_elements(model->values[value].dtype, count, &bytes) ? bytes : 0;
}

// Elements of a weight that each output element is a sum over: all but its output channels.
static uint64_t reduction_of_weight(const tni_model *model, const tni_node *node, uint32_t input) {
    uint32_t weight = tni_node_input(node, input);
    if (weight == TN_NONE || model->values[weight].rank == TN_RANK_UNKNOWN ||
        model->values[weight].rank == 0) {
        return 1;
    }
    uint64_t channels = dim_or_one(&model->values[weight].dims[0]);
    return channels == 0 ? 0 : value_elements(model, weight) / channels;
}

static uint64_t last_dim(const tni_model *model, uint32_t value) {
    if (value == TN_NONE || model->values[value].rank == TN_RANK_UNKNOWN ||
        model->values[value].rank == 0) {
        return 1;
    }
    return dim_or_one(&model->values[value].dims[model->values[value].rank - 1]);
}

static uint64_t gemm_reduction(const tni_model *model, const tni_node *node) {
    uint32_t a = tni_node_input(node, 0);
    if (a == TN_NONE || model->values[a].rank != 2 || tni_node_int(node, "transA", 0) == 0) {
        return last_dim(model, a);
    }
    return dim_or_one(&model->values[a].dims[0]);
}

// Operations per output element.
static uint64_t flops_per_element(const tni_model *model, const tni_node *node) {
    static const char *const movement[] = {
        "Reshape", "Transpose", "Concat", "Split", "Slice", "Gather", "Squeeze", "Unsqueeze",
        "Flatten", "Identity",  "Expand", "Tile",  "Pad",   "Shape",  "Cast"};
    if (tni_node_is(node, "Conv")) {
        return saturating_mul(2, reduction_of_weight(model, node, 1));
    }
    if (tni_node_is(node, "MatMul")) {
        return saturating_mul(2, last_dim(model, tni_node_input(node, 0)));
    }
    if (tni_node_is(node, "Gemm")) {
        return saturating_mul(2, gemm_reduction(model, node));
    }
    for (size_t i = 0; i < sizeof(movement) / sizeof(movement[0]); i++) {
        if (tni_node_is(node, movement[i])) {
            return 0;
        }
    }
    return 1;
}

// What the nodes do that a call stands for.
static uint64_t flops_of_call(const tni_model *model, const tni_node *node) {
    const tni_graph *expansion = &model->graphs[node->expansion];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < expansion->node_count; i++) {
        const uint64_t one = tni_node_work(model, expansion->nodes[i]).flops;
        sum = tni_add_u64(sum, one, &sum) ? sum : UINT64_MAX;
    }
    return sum;
}

tni_work tni_node_work(const tni_model *model, uint32_t node_index) {
    const tni_node *node = &model->nodes[node_index];
    tni_work work = {0, 0};
    uint64_t elements = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != TN_NONE) {
            uint64_t bytes = tni_value_bytes(model, node->inputs[i]);
            work.bytes = tni_add_u64(work.bytes, bytes, &work.bytes) ? work.bytes : UINT64_MAX;
        }
    }
    for (uint32_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != TN_NONE) {
            uint64_t bytes = tni_value_bytes(model, node->outputs[i]);
            work.bytes = tni_add_u64(work.bytes, bytes, &work.bytes) ? work.bytes : UINT64_MAX;
            elements = i == 0 ? value_elements(model, node->outputs[i]) : elements;
        }
    }
    // Reductions and pools read more than they write.
    uint64_t per_element = flops_per_element(model, node);
    uint64_t base = elements;
    if (per_element == 1 && tni_node_input(node, 0) != TN_NONE) {
        uint64_t read = value_elements(model, tni_node_input(node, 0));
        base = read > base ? read : base;
    }
    work.flops =
        node->called != TN_NONE ? flops_of_call(model, node) : saturating_mul(base, per_element);
    return work;
}

static int64_t time_at_rate(uint64_t amount, uint64_t per_second) {
    double ns = (double)amount * 1e9 / (double)per_second;
    return ns >= (double)MAX_COST_NS ? MAX_COST_NS : (int64_t)ns;
}

int64_t tni_cost_roofline(const tni_device *device, tni_work work) {
    const tn_device_info *info = &device->info;
    int64_t compute = time_at_rate(work.flops, info->flops_per_second ? info->flops_per_second
                                                                      : DEFAULT_FLOPS_PER_SECOND);
    int64_t memory = time_at_rate(work.bytes, info->bytes_per_second ? info->bytes_per_second
                                                                     : DEFAULT_BYTES_PER_SECOND);
    return compute > memory ? compute : memory;
}

bool tni_device_shares_host(const tni_device *device) {
    return tni_device_is(device, TN_DEVICE_HOST_MEMORY) ||
           (device->imports_host && device->import_heap == 0 &&
            (device->heaps[0].flags & TN_HEAP_HOST_MEMORY) != 0);
}

static int64_t dispatch_cost(const tni_device *device) {
    if (device == NULL) {
        return 0;
    }
    if (device->info.dispatch_ns != 0) {
        return device->info.dispatch_ns > (uint64_t)MAX_COST_NS ? MAX_COST_NS
                                                                : (int64_t)device->info.dispatch_ns;
    }
    return tni_device_is_inline(device) ? DEFAULT_INLINE_DISPATCH_NS : DEFAULT_DISPATCH_NS;
}

int64_t tni_cost_handover(const tni_device *from, const tni_device *to) {
    bool near_from = from == NULL || tni_device_is_inline(from);
    bool near_to = to == NULL || tni_device_is_inline(to);
    if (from == to) {
        return 0;
    }
    return dispatch_cost(to) + (near_from && near_to ? 0 : DEFAULT_HANDOVER_NS);
}

int64_t tni_cost_copy(const tni_device *from, const tni_device *to, uint64_t size_bytes) {
    bool host_from = from == NULL || tni_device_shares_host(from);
    bool host_to = to == NULL || tni_device_shares_host(to);
    if (from == to || (host_from && host_to)) {
        return 0;
    }
    // Between two devices with memory of their own the bytes pass through the host.
    int64_t hops = !host_from && !host_to ? 2 : 1;
    return hops * (DEFAULT_COPY_NS + time_at_rate(size_bytes, DEFAULT_BYTES_PER_SECOND));
}
