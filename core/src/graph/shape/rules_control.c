// SPDX-License-Identifier: Apache-2.0
// Shapes of If, Loop and Scan, from what their bodies do with what is known outside, and the kinds
// and types of sequences and optionals.
#include "base/error.h"
#include "graph/shape/infer.h"

#include <string.h>

// Rounds after which carried shapes that still change count as unknown: each round loses a size or
// a rank, and more than a few such steps are no real model.
#define MAX_ROUNDS 8u

// Runs the pass over a body and comes back to the node.
static tn_status infer_body(tni_inference *in, uint32_t graph) {
    const tni_node *node = in->node;
    const uint32_t node_id = in->node_id;
    const tn_status status = tni_infer_graph(in, graph);
    in->node = node;
    in->node_id = node_id;
    return status;
}

static const tni_graph *body_of(const tni_inference *in, const char *name, uint32_t *out_graph) {
    const tni_attr *attr = tni_node_attr(in->node, name);
    if (attr == NULL || attr->kind != TN_ATTR_GRAPH) {
        return NULL;
    }
    *out_graph = attr->indices[0];
    return &in->model->graphs[attr->indices[0]];
}

// The fact about an output of a body; null when the body has fewer.
static tni_fact *body_output(tni_inference *in, const tni_graph *body, uint32_t index) {
    return index < body->output_count
               ? &in->facts[tni_model_resolve(in->model, body->outputs[index])]
               : NULL;
}

// What two facts agree on: dims, of which the differing ones are unknown, and *out_rank.
static void join(const tni_fact *a, const tni_fact *b, uint32_t *out_rank, tn_graph_dim *dims) {
    const bool ranked = a->rank == b->rank && a->rank != TN_RANK_UNKNOWN;
    *out_rank = ranked ? a->rank : TN_RANK_UNKNOWN;
    for (uint32_t i = 0; ranked && i < a->rank; i++) {
        dims[i] = tni_dim_equal(a->dims[i], b->dims[i]) ? a->dims[i] : tni_dim_unknown();
    }
}

static tn_status merge(tni_inference *in, uint32_t output, const tni_fact *a, const tni_fact *b) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t rank = TN_RANK_UNKNOWN;
    join(a, b, &rank, dims);
    tni_out(in, output)->kind = a->kind;
    return tni_state(in, output, a->dtype != 0 ? a->dtype : b->dtype, rank, dims);
}

tn_status tni_rule_if(tni_inference *in) {
    uint32_t then_id = TN_NONE;
    uint32_t else_id = TN_NONE;
    const tni_graph *then_graph = body_of(in, "then_branch", &then_id);
    const tni_graph *else_graph = body_of(in, "else_branch", &else_id);
    if (then_graph == NULL || else_graph == NULL) {
        return tni_contradiction(in, 0, "shape.attribute", "a branch is missing");
    }
    tn_status status = infer_body(in, then_id);
    if (status == TN_OK) {
        status = infer_body(in, else_id);
    }
    for (uint32_t i = 0; i < in->node->output_count && status == TN_OK; i++) {
        const tni_fact *a = body_output(in, then_graph, i);
        const tni_fact *b = body_output(in, else_graph, i);
        if (a == NULL || b == NULL) {
            return tni_contradiction(in, 0, "shape.branches", "a branch has fewer outputs");
        }
        status = merge(in, i, a, b);
    }
    return status;
}

// How a body's inputs and outputs relate to the node's. Of Loop, the body's first input is the
// iteration and its first output the condition.
typedef struct {
    const tni_graph *body;
    uint32_t body_id;
    uint32_t carried;     // values that go from one iteration to the next
    uint32_t first_input; // of the carried ones, in the node's inputs
    uint32_t body_input;  // of the carried ones, in the body's inputs
    uint32_t body_output; // of the carried ones, in the body's outputs
    uint32_t slices;      // Scan: inputs that are cut, behind the carried ones
    tn_graph_dim scanned; // iterations
} iteration;

static tn_status set_formal(tni_inference *in, uint32_t value, const tni_fact *from, uint32_t rank,
                            const tn_graph_dim *dims) {
    tni_fact *fact = &in->facts[value];
    *fact = (tni_fact){.kind = from->kind, .dtype = from->dtype, .rank = TN_RANK_UNKNOWN};
    if (rank == TN_RANK_UNKNOWN) {
        return TN_OK;
    }
    const tn_status status =
        tni_arena_array(&in->arena, rank, sizeof *dims, 8, (void **)&fact->dims);
    if (status != TN_OK) {
        return tni_fail_plain(in->error, status, "shape inference");
    }
    if (rank > 0) {
        memcpy(fact->dims, dims, rank * sizeof *dims);
    }
    fact->rank = rank;
    return TN_OK;
}

// Gives the body's carried inputs the types of the values they start with, and their shapes too.
static tn_status start_carried(tni_inference *in, const iteration *it, bool with_shapes) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < it->carried && status == TN_OK; i++) {
        const tni_fact *from = tni_in(in, it->first_input + i);
        const uint32_t at = it->body_input + i;
        if (from != NULL && at < it->body->input_count && it->body->inputs[at] != TN_NONE) {
            status = set_formal(in, it->body->inputs[at], from,
                                with_shapes ? from->rank : TN_RANK_UNKNOWN, from->dims);
        }
    }
    return status;
}

// Weakens what is assumed of the carried inputs to what the body leaves true. *out_changed: it did.
static tn_status weaken_carried(tni_inference *in, const iteration *it, bool forget,
                                bool *out_changed) {
    *out_changed = false;
    for (uint32_t i = 0; i < it->carried; i++) {
        tn_graph_dim dims[TN_MAX_RANK];
        uint32_t rank = TN_RANK_UNKNOWN;
        const uint32_t at = it->body_input + i;
        const tni_fact *after = body_output(in, it->body, it->body_output + i);
        if (after == NULL || at >= it->body->input_count || it->body->inputs[at] == TN_NONE) {
            continue;
        }
        const tni_fact before = in->facts[it->body->inputs[at]];
        join(&before, after, &rank, dims);
        bool same = rank == before.rank;
        for (uint32_t k = 0; same && rank != TN_RANK_UNKNOWN && k < rank; k++) {
            same =
                tni_dim_equal(dims[k], before.dims[k]) ||
                (dims[k].size < 0 && before.dims[k].size < 0 && before.dims[k].symbol == TN_NONE);
        }
        if (same) {
            continue;
        }
        *out_changed = true;
        const tn_status status =
            set_formal(in, it->body->inputs[at], &before, forget ? TN_RANK_UNKNOWN : rank, dims);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

// Finds shapes of the carried values that hold in every iteration, without writing anything into
// the model. Inside of another such search only types are assumed, so that nesting stays cheap.
static tn_status settle_carried(tni_inference *in, const iteration *it) {
    tni_model *changing = in->changing;
    const bool nested = in->searching;
    bool changed = true;
    tn_status status = start_carried(in, it, !nested);
    in->changing = NULL;
    in->searching = true;
    for (uint32_t round = 0; changed && !nested && round <= MAX_ROUNDS && status == TN_OK;
         round++) {
        status = infer_body(in, it->body_id);
        if (status == TN_OK) {
            status = weaken_carried(in, it, round == MAX_ROUNDS, &changed);
        }
    }
    if (status == TN_OK && nested) {
        status = infer_body(in, it->body_id);
    }
    in->changing = changing;
    in->searching = nested;
    return status;
}

// The outputs: the carried values, then those of all iterations, with an axis more.
static tn_status state_iterated(tni_inference *in, const iteration *it, const int64_t *axes,
                                uint32_t axis_count) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < in->node->output_count && status == TN_OK; i++) {
        const tni_fact *fact = body_output(in, it->body, it->body_output + i);
        tn_graph_dim dims[TN_MAX_RANK + 1];
        uint32_t rank = TN_RANK_UNKNOWN;
        if (fact == NULL) {
            return tni_contradiction(in, 0, "shape.branches", "the body has fewer outputs");
        }
        if (i < it->carried) {
            const tni_fact *start = tni_in(in, it->first_input + i);
            const uint32_t value = it->body->inputs[it->body_input + i];
            join(start != NULL ? start : fact, value == TN_NONE ? fact : &in->facts[value], &rank,
                 dims);
        } else if (fact->rank != TN_RANK_UNKNOWN && fact->rank < TN_MAX_RANK) {
            const uint32_t scan = i - it->carried;
            const int64_t given = axes != NULL && scan < axis_count ? axes[scan] : 0;
            uint32_t axis = 0;
            status = tni_axis(in, given, fact->rank + 1, &axis);
            rank = fact->rank + 1;
            for (uint32_t k = 0; k < rank && status == TN_OK; k++) {
                dims[k] = k == axis ? it->scanned : fact->dims[k < axis ? k : k - 1];
            }
        }
        tni_out(in, i)->kind = fact->kind;
        status = status == TN_OK ? tni_state(in, i, fact->dtype, rank, dims) : status;
    }
    return status;
}

// What the search found is stated before the pass that names sizes inside of the body: those names
// mean another size in every iteration.
static tn_status run_iteration(tni_inference *in, const iteration *it, const int64_t *axes,
                               uint32_t axis_count) {
    if (it->body_input + it->carried + it->slices > it->body->input_count) {
        return tni_contradiction(in, 0, "shape.branches", "the body has fewer inputs");
    }
    tn_status status = settle_carried(in, it);
    if (status == TN_OK) {
        status = state_iterated(in, it, axes, axis_count);
    }
    return status == TN_OK && in->changing != NULL ? infer_body(in, it->body_id) : status;
}

tn_status tni_rule_loop(tni_inference *in) {
    iteration it = {.first_input = 2, .body_input = 2, .body_output = 1};
    it.body = body_of(in, "body", &it.body_id);
    if (it.body == NULL) {
        return tni_contradiction(in, 0, "shape.attribute", "the body is missing");
    }
    // An absent condition may be left out, with nothing behind it.
    it.carried = in->node->input_count > 2 ? in->node->input_count - 2 : 0;
    it.scanned = tni_dim_unknown();
    static const tn_dtype formal[2] = {TN_DTYPE_INT64, TN_DTYPE_BOOL};
    for (uint32_t i = 0; i < 2 && i < it.body->input_count; i++) {
        if (it.body->inputs[i] != TN_NONE) {
            const tni_fact scalar = {.kind = TN_VALUE_TENSOR, .dtype = formal[i]};
            const tn_status status = set_formal(in, it.body->inputs[i], &scalar, 0, NULL);
            if (status != TN_OK) {
                return status;
            }
        }
    }
    return run_iteration(in, &it, NULL, 0);
}

// Gives the body's sliced inputs the shapes of the scanned ones without their axis.
static tn_status start_slices(tni_inference *in, iteration *it) {
    uint32_t count = 0;
    const int64_t *axes = tni_node_ints(in->node, "scan_input_axes", &count);
    it->scanned = tni_dim_unknown();
    for (uint32_t i = 0; i < it->slices; i++) {
        tn_graph_dim dims[TN_MAX_RANK];
        uint32_t axis = 0;
        uint32_t rank = 0;
        const tni_fact *from = tni_in(in, it->carried + i);
        const uint32_t at = it->carried + i;
        if (from == NULL || at >= it->body->input_count || it->body->inputs[at] == TN_NONE) {
            continue;
        }
        if (from->rank != TN_RANK_UNKNOWN) {
            const tn_status status =
                tni_axis(in, axes != NULL && i < count ? axes[i] : 0, from->rank, &axis);
            if (status != TN_OK) {
                return status;
            }
            it->scanned = it->scanned.size < 0 ? from->dims[axis] : it->scanned;
        }
        for (uint32_t k = 0; from->rank != TN_RANK_UNKNOWN && k < from->rank; k++) {
            if (k != axis) {
                dims[rank++] = from->dims[k];
            }
        }
        const tn_status status =
            set_formal(in, it->body->inputs[at], from,
                       from->rank == TN_RANK_UNKNOWN ? TN_RANK_UNKNOWN : rank, dims);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

// Version 8 had a batch in front of everything: only types are inferred.
static tn_status scan_8(tni_inference *in, const iteration *it) {
    tn_status status = infer_body(in, it->body_id);
    for (uint32_t i = 0; i < in->node->output_count && status == TN_OK; i++) {
        const tni_fact *fact = body_output(in, it->body, i);
        if (fact == NULL) {
            return tni_contradiction(in, 0, "shape.branches", "the body has fewer outputs");
        }
        tni_out(in, i)->kind = fact->kind;
        status = tni_state(in, i, fact->dtype, TN_RANK_UNKNOWN, NULL);
    }
    return status;
}

tn_status tni_rule_scan(tni_inference *in) {
    iteration it = {.first_input = 0};
    uint32_t axis_count = 0;
    const int64_t *axes = tni_node_ints(in->node, "scan_output_axes", &axis_count);
    const int64_t slices = tni_node_int(in->node, "num_scan_inputs", 0);
    it.body = body_of(in, "body", &it.body_id);
    if (it.body == NULL || slices < 1 || slices > (int64_t)in->node->input_count) {
        return tni_contradiction(in, 0, "shape.attribute", "the body, or num_scan_inputs");
    }
    if (in->node->since_version < 9) {
        return scan_8(in, &it);
    }
    it.slices = (uint32_t)slices;
    it.carried = in->node->input_count - it.slices;
    const tn_status status = start_slices(in, &it);
    return status == TN_OK ? run_iteration(in, &it, axes, axis_count) : status;
}

static tn_status state_kind(tni_inference *in, uint32_t output, tn_value_kind kind,
                            tn_dtype dtype) {
    tni_out(in, output)->kind = kind;
    return tni_state(in, output, dtype, TN_RANK_UNKNOWN, NULL);
}

tn_status tni_rule_sequence(tni_inference *in) {
    tn_dtype dtype = tni_in_dtype(in, 0);
    if (tni_node_is(in->node, "SequenceEmpty")) {
        dtype = (tn_dtype)tni_node_int(in->node, "dtype", TN_DTYPE_FLOAT);
    }
    if (dtype >= TN_DTYPE_COUNT) {
        return tni_contradiction(in, 0, "shape.attribute", "unknown type %u", dtype);
    }
    return state_kind(in, 0, TN_VALUE_SEQUENCE, dtype);
}

// SequenceAt and ConcatFromSequence: a tensor of the sequence's type.
tn_status tni_rule_of_sequence(tni_inference *in) {
    return state_kind(in, 0, TN_VALUE_TENSOR, tni_in_dtype(in, 0));
}

// SequenceLength, OptionalHasElement.
tn_status tni_rule_of_container(tni_inference *in) {
    const bool length = tni_node_is(in->node, "SequenceLength");
    return tni_state(in, 0, length ? TN_DTYPE_INT64 : TN_DTYPE_BOOL, 0, NULL);
}

static tn_value_kind optional_of(tn_value_kind element) {
    return element == TN_VALUE_SEQUENCE ? TN_VALUE_OPTIONAL_SEQUENCE : TN_VALUE_OPTIONAL_TENSOR;
}

tn_status tni_rule_optional(tni_inference *in) {
    const tni_fact *from = tni_in(in, 0);
    if (from == NULL) {
        const tni_attr *type = tni_node_attr(in->node, "type");
        if (type == NULL || type->kind != TNI_ATTR_TYPE) {
            return TN_OK;
        }
        const tni_value *element = &in->model->values[type->indices[0]];
        return state_kind(in, 0, optional_of(element->kind), element->dtype);
    }
    return state_kind(in, 0, optional_of(from->kind), from->dtype);
}

tn_status tni_rule_optional_get(tni_inference *in) {
    const tni_fact *from = tni_in(in, 0);
    if (from == NULL) {
        return TN_OK;
    }
    if (from->kind == TN_VALUE_TENSOR || from->kind == TN_VALUE_SEQUENCE) {
        return tni_state_like(in, 0, 0, from->dtype);
    }
    return state_kind(
        in, 0, from->kind == TN_VALUE_OPTIONAL_SEQUENCE ? TN_VALUE_SEQUENCE : TN_VALUE_TENSOR,
        from->dtype);
}

// The body sees one element of each sequence, and every other input as it is.
tn_status tni_rule_sequence_map(tni_inference *in) {
    uint32_t id = TN_NONE;
    const tni_graph *body = body_of(in, "body", &id);
    if (body == NULL) {
        return tni_contradiction(in, 0, "shape.attribute", "the body is missing");
    }
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < body->input_count && status == TN_OK; i++) {
        const tni_fact *from = tni_in(in, i);
        if (from == NULL || body->inputs[i] == TN_NONE) {
            continue;
        }
        tni_fact element = *from;
        const bool sequence = from->kind == TN_VALUE_SEQUENCE;
        element.kind = sequence ? TN_VALUE_TENSOR : from->kind;
        status = set_formal(in, body->inputs[i], &element, sequence ? TN_RANK_UNKNOWN : from->rank,
                            from->dims);
    }
    status = status == TN_OK ? infer_body(in, id) : status;
    for (uint32_t i = 0; i < in->node->output_count && status == TN_OK; i++) {
        const tni_fact *fact = body_output(in, body, i);
        if (fact == NULL) {
            return tni_contradiction(in, 0, "shape.branches", "the body has fewer outputs");
        }
        status = state_kind(in, i, TN_VALUE_SEQUENCE, fact->dtype);
    }
    return status;
}
