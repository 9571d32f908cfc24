// SPDX-License-Identifier: Apache-2.0
// Shapes of ops that go along a sequence: RNN, GRU, LSTM, Attention and what is like it.
#include "base/checked.h"
#include "graph/shape/infer.h"

#include <string.h>

// Dimension i of an input, or unknown.
static tn_graph_dim dim_of(tni_inference *in, uint32_t input, uint32_t rank, uint32_t i) {
    return tni_in_ranked(in, input) && tni_in(in, input)->rank == rank ? tni_in(in, input)->dims[i]
                                                                       : tni_dim_unknown();
}

tn_status tni_rule_recurrent(tni_inference *in) {
    const tn_dtype dtype = tni_in_dtype(in, 0);
    const bool batch_first = tni_node_int(in->node, "layout", 0) != 0;
    const bool both =
        tni_string_is(tni_node_text(in->node, "direction", "forward"), "bidirectional");
    const int64_t given = tni_node_int(in->node, "hidden_size", -1);
    if (tni_in_ranked(in, 0) && tni_in(in, 0)->rank != 3) {
        return tni_contradiction(in, 0, "shape.rank", "the input needs rank 3");
    }
    const tn_graph_dim directions = tni_dim(both ? 2 : 1);
    const tn_graph_dim steps = dim_of(in, 0, 3, batch_first ? 1 : 0);
    const tn_graph_dim batch = dim_of(in, 0, 3, batch_first ? 0 : 1);
    const tn_graph_dim hidden = given > 0 ? tni_dim(given) : dim_of(in, 2, 3, 2);
    if (tni_dim_differ(dim_of(in, 2, 3, 2), hidden)) {
        return tni_contradiction(in, 2, "shape.hidden", "hidden_size is %lld", (long long)given);
    }
    const tn_graph_dim y[4] = {batch_first ? batch : steps, batch_first ? steps : directions,
                               batch_first ? directions : batch, hidden};
    const tn_graph_dim state[3] = {batch_first ? batch : directions,
                                   batch_first ? directions : batch, hidden};
    tn_status status = tni_state(in, 0, dtype, 4, y);
    for (uint32_t i = 1; i < 3 && status == TN_OK; i++) {
        status = tni_state(in, i, dtype, 3, state);
    }
    return status;
}

// The quotient of a known size, else unknown.
static tn_graph_dim divided(tn_graph_dim dim, int64_t by) {
    return dim.size >= 0 && by > 0 ? tni_dim(dim.size / by) : tni_dim_unknown();
}

static tn_graph_dim sum_of(tn_graph_dim a, tn_graph_dim b) {
    int64_t sum = 0;
    if (a.size == 0 || b.size == 0) {
        return a.size == 0 ? b : a;
    }
    return a.size >= 0 && b.size >= 0 && tni_add_i64(a.size, b.size, &sum) ? tni_dim(sum)
                                                                           : tni_dim_unknown();
}

// [batch, heads, length, size] of an operand of rank 4, or of rank 3 with heads side by side.
static void read_heads(const tni_fact *fact, int64_t heads, tn_graph_dim out[4]) {
    if (fact->rank == 4) {
        memcpy(out, fact->dims, 4 * sizeof *out);
        return;
    }
    out[0] = fact->dims[0];
    out[1] = heads > 0 ? tni_dim(heads) : tni_dim_unknown();
    out[2] = fact->dims[1];
    out[3] = divided(fact->dims[2], heads);
}

tn_status tni_rule_attention(tni_inference *in) {
    const tn_dtype dtype = tni_in_dtype(in, 0);
    const int64_t q_heads = tni_node_int(in->node, "q_num_heads", 0);
    const int64_t kv_heads = tni_node_int(in->node, "kv_num_heads", 0);
    tn_graph_dim q[4];
    tn_graph_dim k[4];
    tn_graph_dim v[4];
    for (uint32_t i = 0; i < 3; i++) {
        if (!tni_in_ranked(in, i)) {
            return tni_state(in, 0, dtype, TN_RANK_UNKNOWN, NULL);
        }
        if (tni_in(in, i)->rank != 3 && tni_in(in, i)->rank != 4) {
            return tni_contradiction(in, i, "shape.rank", "Attention needs rank 3 or 4");
        }
    }
    read_heads(tni_in(in, 0), q_heads, q);
    read_heads(tni_in(in, 1), kv_heads, k);
    read_heads(tni_in(in, 2), kv_heads, v);
    int64_t width = 0;
    const bool wide = q[1].size >= 0 && v[3].size >= 0 && tni_mul_i64(q[1].size, v[3].size, &width);
    const tn_graph_dim packed[3] = {q[0], q[2], wide ? tni_dim(width) : tni_dim_unknown()};
    const tn_graph_dim plain[4] = {q[0], q[1], q[2], v[3]};
    const bool is_packed = tni_in(in, 0)->rank == 3;
    const tn_graph_dim past = tni_in(in, 4) == NULL ? tni_dim(0) : dim_of(in, 4, 4, 2);
    k[2] = sum_of(past, k[2]);
    v[2] = k[2];
    const tn_graph_dim scores[4] = {q[0], q[1], q[2], k[2]};
    tn_status status = tni_state(in, 0, dtype, is_packed ? 3 : 4, is_packed ? packed : plain);
    if (status == TN_OK) {
        status = tni_state(in, 1, tni_in_dtype(in, 1), 4, k);
    }
    if (status == TN_OK) {
        status = tni_state(in, 2, tni_in_dtype(in, 2), 4, v);
    }
    return status == TN_OK ? tni_state(in, 3, dtype, 4, scores) : status;
}

// y: [batch, length, heads * value size]; the state: [batch, heads, key size, value size].
tn_status tni_rule_linear_attention(tni_inference *in) {
    const int64_t q_heads = tni_node_int(in->node, "q_num_heads", 0);
    const int64_t kv_heads = tni_node_int(in->node, "kv_num_heads", 0);
    const tn_graph_dim key = divided(dim_of(in, 1, 3, 2), kv_heads);
    const tn_graph_dim value = divided(dim_of(in, 2, 3, 2), kv_heads);
    int64_t width = 0;
    const bool wide = q_heads > 0 && value.size >= 0 && tni_mul_i64(value.size, q_heads, &width);
    const tn_graph_dim y[3] = {dim_of(in, 0, 3, 0), dim_of(in, 0, 3, 1),
                               wide ? tni_dim(width) : tni_dim_unknown()};
    const tn_graph_dim state[4] = {y[0], kv_heads > 0 ? tni_dim(kv_heads) : tni_dim_unknown(), key,
                                   value};
    const tn_status status = tni_state(in, 0, tni_in_dtype(in, 0), 3, y);
    const tn_dtype dtype = tni_in(in, 3) != NULL ? tni_in_dtype(in, 3) : tni_in_dtype(in, 0);
    return status == TN_OK ? tni_state(in, 1, dtype, 4, state) : status;
}

tn_status tni_rule_causal_conv(tni_inference *in) {
    const tn_graph_dim taps = dim_of(in, 1, 3, 2);
    const tn_graph_dim state[3] = {dim_of(in, 0, 3, 0), dim_of(in, 0, 3, 1),
                                   taps.size > 0 ? tni_dim(taps.size - 1) : tni_dim_unknown()};
    const tn_status status = tni_state_like(in, 0, 0, tni_in_dtype(in, 0));
    return status == TN_OK ? tni_state(in, 1, tni_in_dtype(in, 0), 3, state) : status;
}
