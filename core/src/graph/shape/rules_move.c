// SPDX-License-Identifier: Apache-2.0
// Shapes of ops that move elements: reshaping, permuting, joining.
#include "base/checked.h"
#include "graph/shape/infer.h"

#include <string.h>

static tn_status state_unknown(tni_inference *in) {
    return tni_state(in, 0, tni_in_dtype(in, 0), TN_RANK_UNKNOWN, NULL);
}

// Passes the elements of input 0 on, for ops that keep order and count.
static tn_status pass_elements(tni_inference *in) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    const tn_status status = tni_in_elements(in, 0, &elements, &count);
    const bool flat = tni_out(in, 0)->rank <= 1;
    return status == TN_OK && flat ? tni_state_elements(in, 0, elements, count) : status;
}

// The size that makes both sides have the same element count, with equal symbols cancelled; unknown
// when that is not enough. Sets *out_bad when no size can.
static tn_graph_dim missing_dim(const tni_fact *x, const tn_graph_dim *dims, uint32_t rank,
                                uint32_t missing, bool *out_bad) {
    bool cancelled[TN_MAX_RANK] = {false};
    int64_t have = 1;
    int64_t need = 1;
    for (uint32_t i = 0; i < rank; i++) {
        if (i == missing) {
            continue;
        }
        if (dims[i].size >= 0) {
            if (!tni_mul_i64(need, dims[i].size, &need)) {
                return tni_dim_unknown();
            }
            continue;
        }
        uint32_t k = 0;
        while (k < x->rank && (cancelled[k] || !tni_dim_equal(x->dims[k], dims[i]))) {
            k++;
        }
        if (k == x->rank) {
            return tni_dim_unknown();
        }
        cancelled[k] = true;
    }
    tn_graph_dim rest = tni_dim(1);
    for (uint32_t i = 0; i < x->rank; i++) {
        if (x->dims[i].size >= 0) {
            if (!tni_mul_i64(have, x->dims[i].size, &have)) {
                return tni_dim_unknown();
            }
        } else if (!cancelled[i]) {
            if (rest.size < 0) {
                return tni_dim_unknown();
            }
            rest = x->dims[i];
        }
    }
    if (rest.size < 0) {
        return have == need ? rest : tni_dim_unknown();
    }
    if (need == 0) {
        *out_bad = have != 0;
        return tni_dim(0);
    }
    *out_bad = have % need != 0;
    return tni_dim(have / need);
}

static tn_status reshape_dim(tni_inference *in, const tni_fact *x, tni_element element, uint32_t i,
                             tn_graph_dim *out_dim, uint32_t *missing) {
    const bool keep_zero = tni_node_int(in->node, "allowzero", 0) != 0;
    *out_dim = tni_dim_of_element(element);
    if (!element.known || element.value > 0 || (element.value == 0 && keep_zero)) {
        return TN_OK;
    }
    if (element.value == 0) {
        if (x != NULL && x->rank != TN_RANK_UNKNOWN && i >= x->rank) {
            return tni_contradiction(in, 1, "shape.reshape", "dimension %u copies one that is not",
                                     i);
        }
        *out_dim = x != NULL && x->rank != TN_RANK_UNKNOWN ? x->dims[i] : tni_dim_unknown();
        return TN_OK;
    }
    if (element.value != -1 || *missing != TN_NONE) {
        return tni_contradiction(in, 1, "shape.reshape", "dimension %u is asked to be %lld", i,
                                 (long long)element.value);
    }
    *missing = i;
    return TN_OK;
}

static tn_status reshape_to(tni_inference *in, const tni_element *elements, uint32_t count) {
    const tni_fact *x = tni_in(in, 0);
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t missing = TN_NONE;
    uint32_t open = 0;
    bool bad = false;
    if (count > TN_MAX_RANK) {
        return tni_contradiction(in, 1, "shape.rank", "rank %u", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const tn_status status = reshape_dim(in, x, elements[i], i, &dims[i], &missing);
        if (status != TN_OK) {
            return status;
        }
        open += dims[i].size < 0 && dims[i].symbol == TN_NONE && i != missing ? 1 : 0;
    }
    const bool ranked = x != NULL && x->rank != TN_RANK_UNKNOWN;
    if (ranked && missing != TN_NONE && open == 0) {
        dims[missing] = missing_dim(x, dims, count, missing, &bad);
    } else if (ranked && missing == TN_NONE && open == 0) {
        const tn_graph_dim rest = missing_dim(x, dims, count, TN_NONE, &bad);
        bad = bad || (rest.size >= 0 && rest.size != 1 && !(rest.size == 0));
    }
    if (bad) {
        return tni_contradiction(in, 0, "shape.reshape", "its elements do not fill the new shape");
    }
    return tni_state(in, 0, tni_in_dtype(in, 0), count, dims);
}

tn_status tni_rule_reshape(tni_inference *in) {
    const tni_element *elements = NULL;
    tni_element from_attr[TN_MAX_RANK];
    uint32_t count = 0;
    const int64_t *ints = tni_node_ints(in->node, "shape", &count);
    if (ints != NULL && in->node->since_version < 5) {
        if (count > TN_MAX_RANK) {
            return tni_contradiction(in, 0, "shape.rank", "rank %u", count);
        }
        for (uint32_t i = 0; i < count; i++) {
            from_attr[i] = tni_element_of(ints[i]);
        }
        return reshape_to(in, from_attr, count);
    }
    tn_status status = tni_in_elements(in, 1, &elements, &count);
    if (status == TN_OK && elements != NULL) {
        status = reshape_to(in, elements, count);
        return status == TN_OK ? pass_elements(in) : status;
    }
    const tni_fact *shape = tni_in(in, 1);
    if (status == TN_OK && shape != NULL && shape->rank == 1 && shape->dims[0].size >= 0 &&
        shape->dims[0].size <= TN_MAX_RANK) {
        // The rank is known even where the sizes are not.
        tn_graph_dim dims[TN_MAX_RANK];
        for (uint32_t i = 0; i < TN_MAX_RANK; i++) {
            dims[i] = tni_dim_unknown();
        }
        return tni_state(in, 0, tni_in_dtype(in, 0), (uint32_t)shape->dims[0].size, dims);
    }
    return status == TN_OK ? state_unknown(in) : status;
}

// The product of dims, a symbol where it is the only factor.
static tn_graph_dim product(const tn_graph_dim *dims, uint32_t count) {
    tn_graph_dim result = tni_dim(1);
    for (uint32_t i = 0; i < count; i++) {
        int64_t size = 0;
        if (dims[i].size == 1) {
            continue;
        }
        if (result.size == 1) {
            result = dims[i];
        } else if (result.size >= 0 && dims[i].size >= 0 &&
                   tni_mul_i64(result.size, dims[i].size, &size)) {
            result = tni_dim(size);
        } else {
            return tni_dim_unknown();
        }
    }
    return result;
}

tn_status tni_rule_flatten(tni_inference *in) {
    if (!tni_in_ranked(in, 0)) {
        const tn_graph_dim unknown[2] = {tni_dim_unknown(), tni_dim_unknown()};
        return tni_state(in, 0, tni_in_dtype(in, 0), 2, unknown);
    }
    const tni_fact *x = tni_in(in, 0);
    const int64_t given = tni_node_int(in->node, "axis", 1);
    const int64_t axis = given < 0 ? given + x->rank : given;
    if (axis < 0 || axis > x->rank) {
        return tni_contradiction(in, 0, "shape.axis", "axis %lld", (long long)given);
    }
    const tn_graph_dim dims[2] = {product(x->dims, (uint32_t)axis),
                                  product(x->dims + axis, x->rank - (uint32_t)axis)};
    return tni_state(in, 0, x->dtype, 2, dims);
}

tn_status tni_rule_transpose(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    bool seen[TN_MAX_RANK] = {false};
    uint32_t count = 0;
    const int64_t *perm = tni_node_ints(in->node, "perm", &count);
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    if (perm != NULL && count != x->rank) {
        return tni_contradiction(in, 0, "shape.attribute", "perm has %u entries", count);
    }
    for (uint32_t i = 0; i < x->rank; i++) {
        const int64_t from = perm != NULL ? perm[i] : (int64_t)x->rank - 1 - i;
        if (from < 0 || from >= x->rank || seen[from]) {
            return tni_contradiction(in, 0, "shape.attribute", "perm is no permutation");
        }
        seen[from] = true;
        dims[i] = x->dims[from];
    }
    return tni_state(in, 0, x->dtype, x->rank, dims);
}

static tn_status concat_elements(tni_inference *in) {
    tni_element joined[TNI_MAX_ELEMENTS];
    uint32_t used = 0;
    for (uint32_t i = 0; i < in->node->input_count; i++) {
        tni_element part[TNI_MAX_ELEMENTS];
        uint32_t count = 0;
        bool known = false;
        const tn_status status = tni_in_vector(in, i, part, &count, &known);
        if (status != TN_OK || !known || count > TNI_MAX_ELEMENTS - used) {
            return status;
        }
        memcpy(joined + used, part, count * sizeof *part);
        used += count;
    }
    return tni_state_elements(in, 0, joined, used);
}

static tn_status join(tni_inference *in, uint32_t operand, const tni_fact *fact, uint32_t axis,
                      tn_graph_dim *dims) {
    for (uint32_t k = 0; k < fact->rank; k++) {
        int64_t sum = 0;
        if (k == axis) {
            const bool known = dims[k].size >= 0 && fact->dims[k].size >= 0 &&
                               tni_add_i64(dims[k].size, fact->dims[k].size, &sum);
            dims[k] = known ? tni_dim(sum) : tni_dim_unknown();
        } else if (tni_dim_differ(dims[k], fact->dims[k])) {
            return tni_contradiction(in, operand, "shape.concat",
                                     "dimension %u is not the %lld of the others", k,
                                     (long long)dims[k].size);
        } else if (dims[k].size < 0) {
            dims[k] = fact->dims[k];
        }
    }
    return TN_OK;
}

tn_status tni_rule_concat(tni_inference *in) {
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t axis = 0;
    for (uint32_t i = 0; i < in->node->input_count; i++) {
        if (!tni_in_ranked(in, i)) {
            return state_unknown(in);
        }
    }
    const tni_fact *first = tni_in(in, 0);
    tn_status status = tni_axis(in, tni_node_int(in->node, "axis", 1), first->rank, &axis);
    if (status != TN_OK) {
        return status;
    }
    memcpy(dims, first->dims, first->rank * sizeof *dims);
    for (uint32_t i = 1; i < in->node->input_count && status == TN_OK; i++) {
        const tni_fact *fact = tni_in(in, i);
        if (fact->rank != first->rank) {
            return tni_contradiction(in, i, "shape.rank", "the first operand has rank %u",
                                     first->rank);
        }
        status = join(in, i, fact, axis, dims);
    }
    if (status == TN_OK) {
        status = tni_state(in, 0, first->dtype, first->rank, dims);
    }
    return status == TN_OK && first->rank == 1 ? concat_elements(in) : status;
}

// States a rank of which no size is known, where it follows from how many axes there are.
static tn_status state_rank(tni_inference *in, int64_t base, int64_t sign) {
    tn_graph_dim dims[TN_MAX_RANK];
    const tni_fact *axes = tni_in(in, 1);
    const bool counted = axes != NULL && axes->rank == 1 && axes->dims[0].size >= 0 &&
                         axes->dims[0].size <= TN_MAX_RANK;
    const int64_t rank = counted ? base + sign * axes->dims[0].size : -1;
    if (rank < 0 || rank > TN_MAX_RANK) {
        return state_unknown(in);
    }
    for (int64_t i = 0; i < rank; i++) {
        dims[i] = tni_dim_unknown();
    }
    return tni_state(in, 0, tni_in_dtype(in, 0), (uint32_t)rank, dims);
}

tn_status tni_rule_unsqueeze(tni_inference *in) {
    uint32_t axes[TN_MAX_RANK];
    uint32_t count = 0;
    bool present = false;
    bool known = false;
    tn_graph_dim dims[TN_MAX_RANK];
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    uint32_t listed = 0;
    (void)tni_node_ints(in->node, "axes", &listed);
    if (listed == 0) {
        const tni_element *elements = NULL;
        const tn_status status = tni_in_elements(in, 1, &elements, &listed);
        if (status != TN_OK || elements == NULL) {
            return status == TN_OK ? state_rank(in, x->rank, 1) : status;
        }
    }
    const uint32_t rank = x->rank + listed;
    if (listed > TN_MAX_RANK || rank > TN_MAX_RANK) {
        return tni_contradiction(in, 0, "shape.rank", "the result has rank %u", rank);
    }
    const tn_status status = tni_axes(in, 1, rank, axes, &count, &present, &known);
    if (status != TN_OK || !known) {
        return status == TN_OK ? state_rank(in, x->rank, 1) : status;
    }
    uint32_t next = 0;
    uint32_t from = 0;
    for (uint32_t i = 0; i < rank; i++) {
        const bool added = next < count && axes[next] == i;
        dims[i] = added ? tni_dim(1) : x->dims[from];
        next += added ? 1 : 0;
        from += added ? 0 : 1;
    }
    const tn_status stated = tni_state(in, 0, x->dtype, rank, dims);
    return stated == TN_OK ? pass_elements(in) : stated;
}

tn_status tni_rule_squeeze(tni_inference *in) {
    uint32_t axes[TN_MAX_RANK];
    uint32_t count = 0;
    bool present = false;
    bool known = false;
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t rank = 0;
    uint32_t next = 0;
    if (!tni_in_ranked(in, 0)) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    const tn_status status = tni_axes(in, 1, x->rank, axes, &count, &present, &known);
    if (status != TN_OK || !known) {
        return status == TN_OK ? state_rank(in, x->rank, -1) : status;
    }
    for (uint32_t i = 0; i < x->rank; i++) {
        const bool listed = next < count && axes[next] == i;
        next += listed ? 1 : 0;
        if (!present && x->dims[i].size < 0) {
            // Whether this one goes depends on a size nobody knows.
            return state_unknown(in);
        }
        if (listed && x->dims[i].size >= 0 && x->dims[i].size != 1) {
            return tni_contradiction(in, 0, "shape.squeeze", "dimension %u is not 1", i);
        }
        if (!listed && (present || x->dims[i].size != 1)) {
            dims[rank++] = x->dims[i];
        }
    }
    const tn_status stated = tni_state(in, 0, x->dtype, rank, dims);
    return stated == TN_OK ? pass_elements(in) : stated;
}

tn_status tni_rule_expand(tni_inference *in) {
    tni_element elements[TNI_MAX_ELEMENTS];
    uint32_t count = 0;
    bool known = false;
    tn_graph_dim target[TN_MAX_RANK];
    tn_graph_dim dims[TN_MAX_RANK];
    uint32_t rank = 0;
    tn_status status = tni_in_vector(in, 1, elements, &count, &known);
    if (status != TN_OK || !known || !tni_in_ranked(in, 0) || count > TN_MAX_RANK) {
        return status == TN_OK ? state_unknown(in) : status;
    }
    const tni_fact *x = tni_in(in, 0);
    for (uint32_t i = 0; i < count; i++) {
        target[i] = tni_dim_of_element(elements[i]);
    }
    status = tni_broadcast(in, 0, count, target, x->rank, x->dims, &rank, dims);
    return status == TN_OK ? tni_state(in, 0, x->dtype, rank, dims) : status;
}

tn_status tni_rule_tile(tni_inference *in) {
    const tni_element *elements = NULL;
    uint32_t count = 0;
    tn_graph_dim dims[TN_MAX_RANK];
    if (!tni_in_ranked(in, 0) || in->node->since_version < 6) {
        return state_unknown(in);
    }
    const tni_fact *x = tni_in(in, 0);
    const tn_status status = tni_in_elements(in, 1, &elements, &count);
    if (status != TN_OK) {
        return status;
    }
    if (elements != NULL && count != x->rank) {
        return tni_contradiction(in, 1, "shape.rank", "%u repeats for rank %u", count, x->rank);
    }
    for (uint32_t i = 0; i < x->rank; i++) {
        int64_t size = 0;
        dims[i] = tni_dim_unknown();
        if (elements != NULL && elements[i].known && elements[i].value == 1) {
            dims[i] = x->dims[i];
        } else if (elements != NULL && elements[i].known && elements[i].value >= 0 &&
                   x->dims[i].size >= 0 && tni_mul_i64(x->dims[i].size, elements[i].value, &size)) {
            dims[i] = tni_dim(size);
        }
    }
    return tni_state(in, 0, x->dtype, x->rank, dims);
}
