// SPDX-License-Identifier: Apache-2.0
// Estimates. What wins over what is said in docs/decisions/0013-calibrated-costs.md.
#include "plan/cost.h"

#include "base/checked.h"

#include <string.h>

#define DEFAULT_FLOPS_PER_SECOND 10000000000ull
#define DEFAULT_BYTES_PER_SECOND 10000000000ull
#define DEFAULT_HANDOVER_NS 75000
#define DEFAULT_DISPATCH_NS 10000
#define DEFAULT_INLINE_DISPATCH_NS 500
#define DEFAULT_COPY_NS 10000

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

static uint64_t input_elements(const tni_model *model, const tni_node *node, uint32_t input) {
    const uint32_t value = tni_node_input(node, input);
    return value == TN_NONE ? 0 : value_elements(model, value);
}

static uint64_t recurrent_flops(const tni_model *model, const tni_node *node) {
    const uint64_t width = last_dim(model, tni_node_input(node, 0));
    const uint64_t rows = width == 0 ? 0 : input_elements(model, node, 0) / width;
    uint64_t weights = 0;
    if (!tni_add_u64(input_elements(model, node, 1), input_elements(model, node, 2), &weights)) {
        weights = UINT64_MAX;
    }
    return saturating_mul(saturating_mul(2, rows), weights);
}

// Elements that a pool reads for each that it writes.
static uint64_t window_elements(const tni_node *node) {
    uint32_t rank = 0;
    const int64_t *sizes = tni_node_ints(node, "kernel_shape", &rank);
    uint64_t count = 1;
    for (uint32_t i = 0; i < rank; i++) {
        count = saturating_mul(count, sizes[i] > 0 ? (uint64_t)sizes[i] : 1);
    }
    return count;
}

// Multiply-adds twice; UINT64_MAX: not an op that is counted in them.
static uint64_t multiply_flops(const tni_model *model, const tni_node *node, uint64_t outputs) {
    uint64_t sum = UINT64_MAX;
    if (tni_node_is(node, "Conv") || tni_node_is(node, "ConvInteger")) {
        sum = saturating_mul(outputs, reduction_of_weight(model, node, 1));
    } else if (tni_node_is(node, "QLinearConv")) {
        sum = saturating_mul(outputs, reduction_of_weight(model, node, 3));
    } else if (tni_node_is(node, "ConvTranspose")) {
        sum = saturating_mul(input_elements(model, node, 0), reduction_of_weight(model, node, 1));
    } else if (tni_node_is(node, "MatMul") || tni_node_is(node, "MatMulInteger") ||
               tni_node_is(node, "QLinearMatMul")) {
        sum = saturating_mul(outputs, last_dim(model, tni_node_input(node, 0)));
    } else if (tni_node_is(node, "Gemm")) {
        sum = saturating_mul(outputs, gemm_reduction(model, node));
    }
    return sum == UINT64_MAX ? sum : saturating_mul(2, sum);
}

static bool all_are(const int64_t *sizes, uint32_t count, int64_t expected) {
    for (uint32_t i = 0; i < count; i++) {
        if (sizes[i] != expected) {
            return false;
        }
    }
    return true;
}

// A window of one element that steps by one: its rows lie behind each other.
static bool is_pointwise(const tni_model *model, const tni_node *node) {
    uint32_t stride_count = 0;
    uint32_t pad_count = 0;
    const int64_t *strides = tni_node_ints(node, "strides", &stride_count);
    const int64_t *pads = tni_node_ints(node, "pads", &pad_count);
    const uint32_t input = tni_node_is(node, "QLinearConv") ? 3 : 1;
    const uint32_t weight = tni_node_input(node, input);
    return weight != TN_NONE && model->values[weight].rank > 2 &&
           model->values[weight].rank != TN_RANK_UNKNOWN &&
           reduction_of_weight(model, node, input) == dim_or_one(&model->values[weight].dims[1]) &&
           all_are(strides, stride_count, 1) && all_are(pads, pad_count, 0);
}

// How many elements lie in one row of the output of a convolution or product.
static uint64_t row_elements(const tni_model *model, const tni_node *node) {
    const tni_value *output = &model->values[node->outputs[0]];
    uint64_t row = last_dim(model, node->outputs[0]);
    if (tni_op_class_of(node) == TNI_OP_CONVOLUTION && output->rank != TN_RANK_UNKNOWN &&
        is_pointwise(model, node)) {
        for (uint32_t i = 2; i + 1 < output->rank; i++) {
            row = saturating_mul(row, dim_or_one(&output->dims[i]));
        }
    }
    return row;
}

// Loops that a device starts which computes a row of the output at a time, once for every element
// of the weights that goes into it. Short rows cost such a device more than their operations.
static uint64_t rows_of(const tni_model *model, const tni_node *node, uint64_t outputs) {
    const uint64_t products = multiply_flops(model, node, outputs);
    const uint64_t row = products == UINT64_MAX ? 0 : row_elements(model, node);
    return row == 0 ? 0 : products / 2 / row;
}

static uint64_t node_flops(const tni_model *model, const tni_node *node, uint64_t outputs) {
    const tni_op_class op_class = tni_op_class_of(node);
    if (op_class == TNI_OP_MOVEMENT || op_class == TNI_OP_VIEW) {
        return 0;
    }
    const uint64_t products = multiply_flops(model, node, outputs);
    if (products != UINT64_MAX) {
        return products;
    }
    if (op_class == TNI_OP_MATMUL) {
        return recurrent_flops(model, node);
    }
    // Reductions read more than they write; pools write for each of their windows.
    const uint64_t inputs = input_elements(model, node, 0);
    outputs = saturating_mul(outputs, window_elements(node));
    return inputs > outputs ? inputs : outputs;
}

// What the nodes do that a call stands for.
static void add_call(const tni_model *model, const tni_node *node, tni_work *inout_work) {
    const tni_graph *expansion = &model->graphs[node->expansion];
    uint64_t *flops = &inout_work->flops;
    uint64_t *rows = &inout_work->rows;
    for (uint32_t i = 0; i < expansion->node_count; i++) {
        const tni_work one = tni_node_work(model, expansion->nodes[i]);
        *flops = tni_add_u64(*flops, one.flops, flops) ? *flops : UINT64_MAX;
        *rows = tni_add_u64(*rows, one.rows, rows) ? *rows : UINT64_MAX;
    }
}

static uint64_t bytes_of_all(const tni_model *model, const uint32_t *values, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t bytes = values[i] == TN_NONE ? 0 : tni_value_bytes(model, values[i]);
        sum = tni_add_u64(sum, bytes, &sum) ? sum : UINT64_MAX;
    }
    return sum;
}

tni_work tni_node_work(const tni_model *model, uint32_t node_index) {
    const tni_node *node = &model->nodes[node_index];
    const tni_op_class op_class = tni_op_class_of(node);
    const uint64_t written = bytes_of_all(model, node->outputs, node->output_count);
    uint64_t read = bytes_of_all(model, node->inputs, node->input_count);
    if (op_class == TNI_OP_MOVEMENT || op_class == TNI_OP_VIEW) {
        read = written; // Gather and Slice leave most of what they could read
    }
    tni_work work = {0, 0, 0};
    work.bytes = tni_add_u64(read, written, &work.bytes) ? work.bytes : UINT64_MAX;
    if (node->called != TN_NONE) {
        add_call(model, node, &work);
    } else if (node->output_count > 0 && node->outputs[0] != TN_NONE) {
        const uint64_t outputs = value_elements(model, node->outputs[0]);
        work.flops = node_flops(model, node, outputs);
        work.rows = rows_of(model, node, outputs);
    }
    return work;
}

static int64_t time_at_rate(uint64_t amount, uint64_t per_second) {
    double ns = (double)amount * 1e9 / (double)per_second;
    return ns >= (double)TNI_MAX_COST_NS ? TNI_MAX_COST_NS : (int64_t)ns;
}

static int64_t roofline(const tni_device *device, tni_work work) {
    const tn_device_info *info = &device->info;
    int64_t compute = time_at_rate(work.flops, info->flops_per_second ? info->flops_per_second
                                                                      : DEFAULT_FLOPS_PER_SECOND);
    int64_t memory = time_at_rate(work.bytes, info->bytes_per_second ? info->bytes_per_second
                                                                     : DEFAULT_BYTES_PER_SECOND);
    return compute > memory ? compute : memory;
}

// The parts of a measured cost, each cut, so that their sum cannot overflow.
static int64_t linear(int64_t fixed_ns, uint64_t amount, uint64_t per_second) {
    return fixed_ns + (per_second == 0 ? 0 : time_at_rate(amount, per_second));
}

static int64_t cut(int64_t cost_ns) {
    return cost_ns > TNI_MAX_COST_NS ? TNI_MAX_COST_NS : cost_ns;
}

static tni_price price_op(const tni_cost_table *table, const tni_device *device,
                          const tni_model *model, uint32_t node) {
    const tni_work work = tni_node_work(model, node);
    const tni_class_cost *measured =
        tni_cost_of_class(table, device, tni_op_class_of(&model->nodes[node]));
    if (measured == NULL) {
        return (tni_price){roofline(device, work), TN_COST_ROOFLINE};
    }
    const int64_t compute = linear(measured->fixed_ns, work.flops, measured->flops_per_second);
    const int64_t memory = linear(compute, work.bytes, measured->bytes_per_second);
    return (tni_price){cut(linear(memory, work.rows, measured->rows_per_second)),
                       TN_COST_CALIBRATED};
}

// Recursion is as deep as expansions lie in each other.
tni_price tni_cost_node(const tni_cost_table *table, const tni_device *device,
                        const tni_model *model, uint32_t node, bool whole) {
    const uint32_t expansion = model->nodes[node].expansion;
    const bool is_call = model->nodes[node].called != TN_NONE;
    if (expansion == TN_NONE || model->graphs[expansion].node_count == 0 || (whole && !is_call)) {
        return price_op(table, device, model, node);
    }
    tni_price sum = {0, TN_COST_CALIBRATED};
    for (uint32_t i = 0; i < model->graphs[expansion].node_count; i++) {
        const tni_price one =
            tni_cost_node(table, device, model, model->graphs[expansion].nodes[i], true);
        sum.cost_ns = cut(sum.cost_ns + one.cost_ns);
        sum.origin = one.origin == TN_COST_ROOFLINE ? TN_COST_ROOFLINE : sum.origin;
    }
    return sum;
}

void tni_cost_fill(const tni_cost_table *table, const tni_model *model, const tni_region *region,
                   tni_verdict_set *set) {
    for (uint32_t i = 0; i < region->node_count; i++) {
        tni_option *option = &set->options[i];
        const bool declared =
            option->origin != TN_COST_UNKNOWN && option->cost_ns <= (uint64_t)TNI_MAX_COST_NS;
        if (option->possible && !declared) {
            const bool whole = !tni_verdicts_inline(set, region->nodes[i]);
            const tni_price price =
                tni_cost_node(table, set->device, model, region->nodes[i], whole);
            option->cost_ns = (uint64_t)price.cost_ns;
            option->origin = price.origin;
        }
    }
}

bool tni_is_near_host(const tni_device *device) {
    return device == NULL || tni_device_is_inline(device);
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
        return device->info.dispatch_ns > (uint64_t)TNI_MAX_COST_NS
                   ? TNI_MAX_COST_NS
                   : (int64_t)device->info.dispatch_ns;
    }
    return tni_device_is_inline(device) ? DEFAULT_INLINE_DISPATCH_NS : DEFAULT_DISPATCH_NS;
}

int64_t tni_cost_handover(const tni_cost_table *table, const tni_device *from,
                          const tni_device *to) {
    bool near_from = from == NULL || tni_device_is_inline(from);
    bool near_to = to == NULL || tni_device_is_inline(to);
    if (from == to) {
        return 0;
    }
    const tni_pair_cost *measured = tni_cost_of_pair(table, from, to);
    if (measured != NULL) {
        return cut(measured->handover_ns);
    }
    return dispatch_cost(to) + (near_from && near_to ? 0 : DEFAULT_HANDOVER_NS);
}

int64_t tni_cost_copy(const tni_cost_table *table, const tni_device *from, const tni_device *to,
                      uint64_t size_bytes) {
    bool host_from = from == NULL || tni_device_shares_host(from);
    bool host_to = to == NULL || tni_device_shares_host(to);
    if (from == to || (host_from && host_to)) {
        return 0;
    }
    const tni_pair_cost *measured = tni_cost_of_pair(table, from, to);
    if (measured != NULL) {
        return cut(linear(measured->copy_ns, size_bytes, measured->bytes_per_second));
    }
    // Between two devices with memory of their own the bytes pass through the host.
    int64_t hops = !host_from && !host_to ? 2 : 1;
    return hops * (DEFAULT_COPY_NS + time_at_rate(size_bytes, DEFAULT_BYTES_PER_SECOND));
}
