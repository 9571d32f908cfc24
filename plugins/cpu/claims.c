// SPDX-License-Identifier: Apache-2.0
// Groups of nodes that are computed with integers: a product between DequantizeLinear nodes, and
// what is done to its result on the way to a QuantizeLinear. Each is claimed for what it costs as
// integers, so that a plan knows it and loses something by taking the group apart. What is claimed
// here is what the rules of fusion (fuse.c, quant.c) make of these nodes, in the same words: where
// a rule looks at what an island has, this looks for what every island with these nodes has.
#include "build.h"
#include "ops.h"

#include <dnnl.h>

// Nodes of a group: three conversions of operands, the product, a bias, an activation, a
// conversion of the result, and what only moves the input.
#define MAX_MOVES 4u
#define MAX_NODES (7u + MAX_MOVES)
// From rates of the whole device, not measured.
#define RATE_PERMILLE 500u
#define READ_BYTES 256u

// Who reads a value: how often, and the node where it is read once.
typedef struct value_use {
    uint32_t count;
    uint32_t reader; // TN_NONE: an output of a graph
} value_use;

typedef struct claim_search {
    const tn_helper_host *host;
    const tn_graph_view *view;
    tn_verdicts *verdicts;
    value_use *uses; // by value
} claim_search;

typedef struct claim_group {
    uint32_t nodes[MAX_NODES];
    uint32_t count;
    uint32_t graph;
    const cpu_op *op; // of the product, which is the first node
    uint32_t weights; // values: integers, and what the group writes
    uint32_t result;
    uint64_t operations;
    uint64_t bytes;
} claim_group;

static void count_use(value_use *uses, uint32_t value, uint32_t reader) {
    if (value != TN_NONE) {
        uses[value].count += 1;
        uses[value].reader = reader;
    }
}

// Readings in bodies count, and being the output of any graph. uses is zeroed.
static void count_uses(const tn_graph_view *view, value_use *uses) {
    for (uint32_t i = 0; i < view->nodes.count; ++i) {
        const tn_graph_node *node = tn_view_node(view, i);
        for (uint32_t k = 0; k < node->inputs.count; ++k) {
            count_use(uses, tn_view_node_input(view, node, k), i);
        }
    }
    for (uint32_t i = 0; i < view->graphs.count; ++i) {
        const tn_graph_record *graph = tn_view_graph(view, i);
        for (uint32_t k = 0; k < graph->outputs.count; ++k) {
            count_use(uses, tn_view_graph_output(view, graph, k), TN_NONE);
        }
    }
}

static uint64_t times(uint64_t a, uint64_t b) {
    return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static uint64_t plus(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

// As the host counts: sizes that are not known are 1.
static uint64_t size_of(const tn_graph_view *view, uint32_t value, uint32_t axis) {
    const int64_t size = tn_view_value_dim(view, tn_view_value(view, value), axis)->size;
    return size < 0 ? 1 : (uint64_t)size;
}

static uint32_t rank_of(const tn_graph_view *view, uint32_t value) {
    return tn_view_value(view, value)->dims.count;
}

static uint64_t elements_of(const tn_graph_view *view, uint32_t value) {
    uint64_t count = 1;
    for (uint32_t axis = 0; axis < rank_of(view, value); ++axis) {
        count = times(count, size_of(view, value, axis));
    }
    return count;
}

static uint32_t is_one(const tn_graph_view *view, uint32_t value) {
    const tn_graph_value *v = tn_view_value(view, value);
    for (uint32_t axis = 0; axis < v->dims.count; ++axis) {
        if (tn_view_value_dim(view, v, axis)->size != 1) {
            return 0;
        }
    }
    return 1;
}

static const tn_graph_constant *constant_of(const claim_search *s, uint32_t value) {
    return tn_view_value_constant(s->view, tn_view_value(s->view, value));
}

// The row of a node that the device takes and that lies in the group's graph; else null. Operands
// of such nodes are tensors of known rank, and the first of the results is there.
static const cpu_op *taken(const claim_search *s, const claim_group *g, uint32_t index) {
    const tn_graph_node *node = index == TN_NONE ? NULL : tn_view_node(s->view, index);
    return node != NULL && node->graph == g->graph &&
                   tn_view_node_output(s->view, node, 0) != TN_NONE &&
                   tn_helper_answer(s->verdicts, index) == TN_ANSWER_YES
               ? tni_cpu_find_op(s->view, node)
               : NULL;
}

static uint32_t is_kind(const cpu_op *op, cpu_kind kind) {
    return op != NULL && op->kind == kind ? 1u : 0u;
}

// No node is found twice: operands lie before the product and differ in kind, the rest behind it.
static void add(claim_group *g, uint32_t node) {
    g->nodes[g->count++] = node;
}

// Whether all bytes of a constant are 0: nothing else is asked of zero points. One that cannot be
// read is none of a group that can be promised.
static uint32_t is_zero(const claim_search *s, uint32_t value) {
    const tn_graph_constant *constant = value == TN_NONE ? NULL : constant_of(s, value);
    unsigned char bytes[READ_BYTES];
    if (value == TN_NONE) {
        return 1;
    }
    for (uint64_t at = 0; constant != NULL && at < constant->size_bytes; at += READ_BYTES) {
        const uint64_t left = constant->size_bytes - at;
        const uint64_t count = left < READ_BYTES ? left : READ_BYTES;
        if (s->host->services->weight_read(s->host->context, constant->key, at, count, bytes) !=
            TN_OK) {
            return 0;
        }
        for (uint64_t i = 0; i < count; ++i) {
            if (bytes[i] != 0) {
                return 0;
            }
        }
    }
    return constant != NULL;
}

// Adds the DequantizeLinear that makes a value; the value of its integers, or TN_NONE.
static uint32_t dequantised(const claim_search *s, claim_group *g, uint32_t value) {
    const uint32_t producer = tn_view_value(s->view, value)->producer;
    if (!is_kind(taken(s, g, producer), CPU_KIND_DEQUANTIZE)) {
        return TN_NONE;
    }
    add(g, producer);
    return tn_view_node_input(s->view, tn_view_node(s->view, producer), 0);
}

static uint64_t window_of(const tn_graph_view *view, const tn_graph_node *node) {
    int64_t sizes[CPU_MAX_RANK];
    const uint32_t count = tn_view_attr_ints(view, node, "kernel_shape", sizes, CPU_MAX_RANK);
    uint64_t elements = 1;
    for (uint32_t i = 0; i < count && i < CPU_MAX_RANK; ++i) {
        elements = times(elements, sizes[i] > 0 ? (uint64_t)sizes[i] : 1);
    }
    return elements;
}

// What only moves integers, or takes the largest, does so where its result is read.
static uint32_t before_moves(const claim_search *s, claim_group *g, uint32_t value) {
    for (uint32_t i = 0; i < MAX_MOVES; ++i) {
        const uint32_t producer = tn_view_value(s->view, value)->producer;
        const cpu_op *op = taken(s, g, producer);
        const uint32_t is_pool = is_kind(op, CPU_KIND_POOL) && op->variant == CPU_POOL_MAX;
        if (!is_pool && !is_kind(op, CPU_KIND_VIEW) && !is_kind(op, CPU_KIND_TRANSPOSE)) {
            break;
        }
        const tn_graph_node *node = tn_view_node(s->view, producer);
        const uint32_t from = tn_view_node_input(s->view, node, 0);
        if (is_pool) {
            const uint64_t made = elements_of(s->view, value);
            g->operations = plus(g->operations, times(made, window_of(s->view, node)));
            g->bytes = plus(g->bytes, plus(made, elements_of(s->view, from)));
        }
        add(g, producer);
        value = from;
    }
    return value;
}

// The input: bytes that are no constant, with one scale, which the verdict saw to.
static uint32_t find_input(const claim_search *s, claim_group *g, uint32_t value) {
    const uint32_t integers = dequantised(s, g, before_moves(s, g, value));
    if (integers == TN_NONE || constant_of(s, integers) != NULL) {
        return 0;
    }
    const tn_dtype dtype = tn_view_value(s->view, integers)->dtype;
    g->bytes = plus(g->bytes, elements_of(s->view, integers));
    return dtype == TN_DTYPE_UINT8 || dtype == TN_DTYPE_INT8;
}

// The axis of the weights that has the outputs.
static uint32_t output_axis(const claim_search *s, const claim_group *g) {
    const tn_graph_node *product = tn_view_node(s->view, g->nodes[0]);
    return g->op->kind == CPU_KIND_CONV || (g->op->kind == CPU_KIND_GEMM &&
                                            tn_view_attr_int(s->view, product, "transB", 0) != 0)
               ? 0u
               : 1u;
}

// Weights: a constant of int8 without zero points, with one scale or one for each output.
static uint32_t find_weights(const claim_search *s, claim_group *g, uint32_t value) {
    const uint32_t integers = dequantised(s, g, value);
    if (integers == TN_NONE) {
        return 0;
    }
    const uint32_t rank = rank_of(s->view, integers);
    const tn_graph_node *node = tn_view_node(s->view, tn_view_value(s->view, value)->producer);
    const uint32_t scales = tn_view_node_input(s->view, node, 1);
    const uint32_t axis = tni_cpu_axis(tn_view_attr_int(s->view, node, "axis", 1), rank);
    const uint32_t fits =
        is_one(s->view, scales) ||
        (axis == output_axis(s, g) && axis < rank && rank_of(s->view, scales) == 1 &&
         tn_view_attr_int(s->view, node, "block_size", 0) == 0);
    g->weights = integers;
    g->bytes = plus(g->bytes, elements_of(s->view, integers));
    return fits && constant_of(s, integers) != NULL &&
           tn_view_value(s->view, integers)->dtype == TN_DTYPE_INT8 && rank >= 2 &&
           (g->op->kind == CPU_KIND_CONV || rank == 2) &&
           is_zero(s, tn_view_node_input(s->view, node, 2));
}

// A bias is a known vector, of floats or of integers.
static uint32_t find_bias(const claim_search *s, claim_group *g, uint32_t value) {
    if (value == TN_NONE || constant_of(s, value) != NULL) {
        return 1;
    }
    const uint32_t integers = rank_of(s->view, value) == 1 ? dequantised(s, g, value) : TN_NONE;
    return integers != TN_NONE && constant_of(s, integers) != NULL;
}

// The node that alone reads a value; TN_NONE where several do, or a graph hands it out.
static uint32_t only_reader(const claim_search *s, uint32_t value) {
    return s->uses[value].count == 1 ? s->uses[value].reader : TN_NONE;
}

// A sum with a known vector along the outputs is the bias of a product that has none.
static uint32_t is_bias_sum(const claim_search *s, const claim_group *g, uint32_t reader) {
    const tn_graph_node *node = tn_view_node(s->view, reader);
    const uint32_t left = tn_view_node_input(s->view, node, 0);
    const uint32_t other = left == g->result ? tn_view_node_input(s->view, node, 1) : left;
    const uint32_t rank = rank_of(s->view, g->result);
    const tn_graph_constant *constant = constant_of(s, other);
    return g->op->kind == CPU_KIND_MATMUL && rank >= 2 && constant != NULL &&
           (constant->flags & TN_CONSTANT_REPLACEABLE) == 0 && rank_of(s->view, other) == 1 &&
           size_of(s->view, other, 0) > 1 && // one alone is a factor or summand of another rule
           size_of(s->view, other, 0) == size_of(s->view, g->result, rank - 1);
}

static void go_on(const claim_search *s, claim_group *g, uint32_t node) {
    add(g, node);
    g->result = tn_view_node_output(s->view, tn_view_node(s->view, node), 0);
}

// What is done to the result before it is written. Other functions than these, and whatever no
// QuantizeLinear follows, are applied to floats that the product of integers writes.
static void find_result(const claim_search *s, claim_group *g) {
    uint32_t reader = only_reader(s, g->result);
    const cpu_op *op = taken(s, g, reader);
    uint32_t act = TN_NONE;
    if (is_kind(op, CPU_KIND_BINARY) && op->variant == CPU_BINARY_ADD &&
        is_bias_sum(s, g, reader)) {
        go_on(s, g, reader);
        reader = only_reader(s, g->result);
        op = taken(s, g, reader);
    }
    if (is_kind(op, CPU_KIND_ACT) && (op->variant == CPU_ACT_RELU || op->variant == CPU_ACT_CLIP)) {
        act = reader;
        const uint32_t result = tn_view_node_output(s->view, tn_view_node(s->view, act), 0);
        reader = only_reader(s, result);
        op = taken(s, g, reader);
    }
    if (is_kind(op, CPU_KIND_QUANTIZE)) {
        if (act != TN_NONE) {
            go_on(s, g, act);
        }
        go_on(s, g, reader);
    }
}

// How many products of neighbours are one instruction's, against one of floats. Processors without
// such an instruction need three, which is no faster.
static uint64_t products_at_once(const claim_search *s, const claim_group *g) {
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    const uint32_t has_dot =
        (isa & dnnl_cpu_isa_avx512_core_vnni) == dnnl_cpu_isa_avx512_core_vnni ||
        (isa & dnnl_cpu_isa_avx2_vnni) == dnnl_cpu_isa_avx2_vnni;
    // Of a convolution of single channels there are no neighbours.
    const uint64_t deep = size_of(s->view, g->weights, 1 - output_axis(s, g));
    return !has_dot || deep == 0 ? 1 : deep < 4 ? deep : 4;
}

static uint64_t cost_of(const claim_search *s, claim_group *g, uint32_t product) {
    const uint32_t workers = s->host->services->worker_count(s->host->context);
    const uint64_t rate =
        times(tni_cpu_flops_per_ns(workers == 0 ? 1 : workers), products_at_once(s, g));
    const uint64_t outputs = size_of(s->view, g->weights, output_axis(s, g));
    const uint64_t made = elements_of(s->view, g->result);
    const uint64_t depth = outputs == 0 ? 0 : elements_of(s->view, g->weights) / outputs;
    const tn_dtype dtype = tn_view_value(s->view, g->result)->dtype;
    g->operations = plus(g->operations, times(2, times(depth, elements_of(s->view, product))));
    g->bytes = plus(g->bytes, tn_view_dtype_bytes(dtype, made));
    const uint64_t compute = g->operations / rate;
    const uint64_t memory = g->bytes / CPU_BYTES_PER_NS;
    return compute > memory ? compute : memory;
}

static void claim_around(const claim_search *s, uint32_t index) {
    const tn_graph_node *node = tn_view_node(s->view, index);
    claim_group g = {.graph = node->graph};
    g.op = taken(s, &g, index);
    if (!is_kind(g.op, CPU_KIND_CONV) && !is_kind(g.op, CPU_KIND_GEMM) &&
        !is_kind(g.op, CPU_KIND_MATMUL)) {
        return;
    }
    const uint32_t product = tn_view_node_output(s->view, node, 0);
    const uint32_t bias =
        g.op->kind == CPU_KIND_MATMUL ? TN_NONE : tn_view_node_input(s->view, node, 2);
    go_on(s, &g, index);
    if (find_input(s, &g, tn_view_node_input(s->view, node, 0)) &&
        find_weights(s, &g, tn_view_node_input(s->view, node, 1)) && find_bias(s, &g, bias)) {
        find_result(s, &g);
        const tn_claim claim = {.kind = TN_CLAIM_ALL_OR_NOTHING,
                                .confidence_permille = RATE_PERMILLE,
                                .cost_ns = cost_of(s, &g, product),
                                .origin = TN_COST_DECLARED,
                                .numerics = TN_NUMERICS_ROUNDED};
        tn_helper_put_claim(s->verdicts, &claim, g.nodes, g.count);
    }
}

// Whether a plan can keep nodes of a graph together: bodies are planned apart, and asked about
// then.
static uint32_t is_planned(const tn_graph_view *view, uint32_t graph) {
    const uint32_t parent = tn_view_graph(view, graph)->parent_node;
    return graph == 0 || (parent != TN_NONE && tn_view_node(view, parent)->expansion == graph);
}

static uint32_t has_dequantize(const tn_graph_view *view) {
    for (uint32_t i = 0; i < view->nodes.count; ++i) {
        if (tn_view_node_is(view, tn_view_node(view, i), "", "DequantizeLinear")) {
            return 1;
        }
    }
    return 0;
}

tn_status tni_cpu_claims(const tn_helper_host *host, const tn_graph_view *view,
                         tn_verdicts *inout_verdicts, tn_error *error) {
    const uint64_t room = view->values.count;
    if (!has_dequantize(view)) {
        return TN_OK;
    }
    value_use *uses = tn_helper_alloc_array(host, room, sizeof *uses);
    if (uses == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "cpu: no memory for claims");
    }
    const claim_search search = {host, view, inout_verdicts, uses};
    count_uses(view, uses);
    for (uint32_t i = 0; i < view->nodes.count; ++i) {
        if (is_planned(view, tn_view_node(view, i)->graph)) {
            claim_around(&search, i);
        }
    }
    tn_helper_free(host, uses, room * sizeof *uses);
    return TN_OK;
}
