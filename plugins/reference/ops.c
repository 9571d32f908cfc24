// SPDX-License-Identifier: Apache-2.0
// Small things every kernel uses: look-up in the table, attributes, errors, parallel loops.
#include "ops.h"

#include <math.h>

const ref_op *tni_ref_find_op(const tn_graph_view *view, const tn_graph_node *node) {
    const tn_op_record *record = NULL;
    tn_node_verdict verdict;
    if (!tn_helper_find_op(view, node, &tni_ref_ops[0].record, REF_OP_COUNT,
                           (uint32_t)sizeof(ref_op), &record, &verdict)) {
        return NULL;
    }
    return (const ref_op *)(const void *)record;
}

tn_status tni_ref_invalid(const ref_call *call, const char *what) {
    return tn_helper_fail_at(call->error, TN_ERROR_INVALID_DATA, call->node_index, TN_NONE,
                             "reference.node", "%s: %s", call->op->record.op_type, what);
}

int64_t tni_ref_int(const ref_call *call, const char *name, int64_t otherwise) {
    return tn_view_attr_int(call->view, call->node, name, otherwise);
}

double tni_ref_float(const ref_call *call, const char *name, float otherwise) {
    return (double)tn_view_attr_float(call->view, call->node, name, otherwise);
}

uint32_t tni_ref_has(const ref_call *call, const char *name) {
    return tn_view_find_attr(call->view, call->node, name, NULL) != NULL ? 1u : 0u;
}

const ref_tensor *tni_ref_input(const ref_call *call, uint32_t index) {
    return index < call->input_count ? call->inputs[index] : NULL;
}

ref_tensor *tni_ref_output(const ref_call *call, uint32_t index) {
    return index < call->output_count ? call->outputs[index] : NULL;
}

uint32_t tni_ref_axis(int64_t axis, uint32_t rank, uint32_t *out_axis) {
    if (axis < 0) {
        axis += rank;
    }
    if (axis < 0 || axis >= (int64_t)rank) {
        return 0;
    }
    *out_axis = (uint32_t)axis;
    return 1;
}

tn_status tni_ref_stale(const ref_call *call, uint32_t input) {
    if (tni_ref_input(call, input) == NULL) {
        return tni_ref_invalid(call, "shape of the output");
    }
    return tn_helper_fail_at(
        call->error, TN_ERROR_INVALID_DATA, call->node_index,
        tn_view_node_input(call->view, call->node, input), "reference.shape-operand",
        "%s: input %u gives another shape than the one prepared", call->op->record.op_type, input);
}

uint32_t tni_ref_wrap(int64_t index, int64_t size, int64_t *out_index) {
    index += index < 0 ? size : 0;
    *out_index = index;
    return index >= 0 && index < size ? 1u : 0u;
}

int64_t tni_ref_int_list(const ref_call *call, uint32_t index, const char *name,
                         int64_t *out_values, uint32_t capacity) {
    const ref_tensor *input = tni_ref_input(call, index);
    if (input == NULL) {
        const uint32_t count =
            tn_view_attr_ints(call->view, call->node, name, out_values, capacity);
        return count > capacity ? -1 : (int64_t)count;
    }
    if (input->count > (int64_t)capacity) {
        return -1;
    }
    for (int64_t i = 0; i < input->count; ++i) {
        out_values[i] = tni_ref_load_int(input, i);
    }
    return input->count;
}

int64_t *tni_ref_sort(int64_t *order, int64_t *other, int64_t count, ref_before before,
                      const void *user_data) {
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t begin = 0; begin < count; begin += 2 * width) {
            const int64_t middle = begin + width < count ? begin + width : count;
            const int64_t end = middle + width < count ? middle + width : count;
            int64_t a = begin;
            int64_t b = middle;
            for (int64_t i = begin; i < end; ++i) {
                const uint32_t left =
                    a < middle && (b >= end || before(user_data, order[a], order[b]));
                other[i] = left ? order[a++] : order[b++];
            }
        }
        int64_t *swap = order;
        order = other;
        other = swap;
    }
    return order;
}

double tni_ref_cubic(double a, double x) {
    x = fabs(x);
    if (x <= 1.0) {
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    }
    return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

void tni_ref_parallel(const ref_call *call, int64_t count, int64_t cost, tn_parallel_fn body,
                      void *user_data) {
    // Chunks of about 50 us: shorter ones cost more to hand out than to run.
    const int64_t grain = cost >= 50000 ? 1 : 50000 / (cost < 1 ? 1 : cost);
    if (count <= 0) {
        return;
    }
    if (count <= grain) {
        body(user_data, 0, (uint64_t)count, 0);
        return;
    }
    call->host->services->parallel_for(call->host->context, (uint64_t)count, (uint64_t)grain, body,
                                       user_data);
}
