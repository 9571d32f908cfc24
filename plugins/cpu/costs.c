// SPDX-License-Identifier: Apache-2.0
// What nodes cost that cost nothing here: the host prices a node by what it reads and writes, which
// is wrong for views, for functions of a result that are applied before it is written, and for
// conversions that are part of a computation with integers. Were these priced as passes over
// memory, a plan would hand them to a device that is faster at such passes.
#include "ops.h"

#include "simd/simd.h"

// A step or a view instead of a pass.
#define FREE_NS 20u
#define SURE_PERMILLE 900u

uint64_t tni_cpu_flops_per_ns(uint32_t workers) {
    return (uint64_t)tni_cpu_simd_get()->floats * 4u * workers;
}

static const cpu_op *op_of_producer(const tn_graph_view *view, uint32_t value,
                                    const tn_graph_node **out_node) {
    const uint32_t producer = value == TN_NONE ? TN_NONE : tn_view_value(view, value)->producer;
    *out_node = producer == TN_NONE ? NULL : tn_view_node(view, producer);
    return *out_node == NULL ? NULL : tni_cpu_find_op(view, *out_node);
}

// A product, or integers that become floats for nobody.
static uint32_t is_product(const cpu_op *op) {
    return op != NULL && (op->kind == CPU_KIND_CONV || op->kind == CPU_KIND_MATMUL ||
                          op->kind == CPU_KIND_GEMM || op->kind == CPU_KIND_BATCH_NORM ||
                          op->kind == CPU_KIND_DEQUANTIZE)
               ? 1u
               : 0u;
}

// Whether a node works on a result before it is written: right behind a product, or behind one and
// another such node.
static uint32_t is_behind_product(const tn_graph_view *view, const tn_graph_node *node) {
    for (uint32_t input = 0; input < node->inputs.count && input < 2; ++input) {
        const tn_graph_node *from = NULL;
        const cpu_op *op = op_of_producer(view, tn_view_node_input(view, node, input), &from);
        if (is_product(op)) {
            return 1;
        }
        if (op == NULL || (op->kind != CPU_KIND_ACT && op->kind != CPU_KIND_BINARY)) {
            continue;
        }
        for (uint32_t k = 0; k < from->inputs.count && k < 2; ++k) {
            const tn_graph_node *before = NULL;
            if (is_product(op_of_producer(view, tn_view_node_input(view, from, k), &before))) {
                return 1;
            }
        }
    }
    return 0;
}

static uint32_t is_free(const tn_graph_view *view, const tn_graph_node *node, const cpu_op *op) {
    switch (op->kind) {
    case CPU_KIND_VIEW:
    case CPU_KIND_TRANSPOSE:
    case CPU_KIND_DEQUANTIZE:
        return 1;
    case CPU_KIND_ACT:
    case CPU_KIND_QUANTIZE:
        return is_behind_product(view, node);
    case CPU_KIND_BINARY:
        return op->variant == CPU_BINARY_ADD && is_behind_product(view, node);
    default:
        return 0;
    }
}

void tni_cpu_price(const tn_graph_view *view, const tn_graph_node *node, const cpu_op *op,
                   tn_node_verdict *inout_verdict) {
    if (inout_verdict->answer == TN_ANSWER_YES && is_free(view, node, op)) {
        inout_verdict->cost_ns = FREE_NS;
        inout_verdict->origin = TN_COST_DECLARED;
        inout_verdict->confidence_permille = SURE_PERMILLE;
    }
}
