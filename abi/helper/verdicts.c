// SPDX-License-Identifier: Apache-2.0
// Verdict records, written as far as the host's stride reaches (ABI-41).
#include "tenon/helper/verdicts.h"

#include <string.h>

void tn_helper_yes(tn_node_verdict *out_verdict, tn_numerics numerics) {
    *out_verdict =
        (tn_node_verdict){.answer = TN_ANSWER_YES, .subject = TN_NONE, .numerics = numerics};
}

void tn_helper_no(tn_node_verdict *out_verdict, tn_reason reason, uint32_t subject, int64_t limit,
                  int64_t actual) {
    *out_verdict = (tn_node_verdict){.answer = TN_ANSWER_NO,
                                     .reason = reason,
                                     .subject = subject,
                                     .limit = limit,
                                     .actual = actual};
}

uint32_t tn_helper_find_op(const tn_graph_view *view, const tn_graph_node *node,
                           const tn_op_record *ops, uint32_t count, uint32_t stride_bytes,
                           const tn_op_record **out_record, tn_node_verdict *out_verdict) {
    *out_record = NULL;
    const unsigned char *base = (const unsigned char *)(const void *)ops;
    for (uint32_t i = 0; i < count; ++i) {
        const tn_op_record *op = (const void *)(base + (uint64_t)i * stride_bytes);
        if (!tn_view_node_is(view, node, op->domain, op->op_type)) {
            continue;
        }
        *out_record = op;
        const uint32_t version = node->since_version;
        if (version > op->newest_version || version < op->oldest_version) {
            const uint32_t limit =
                version > op->newest_version ? op->newest_version : op->oldest_version;
            tn_helper_no(out_verdict, TN_REASON_OP_VERSION, TN_NONE, limit, version);
            return 0;
        }
        return 1;
    }
    tn_helper_no(out_verdict, TN_REASON_OP_UNSUPPORTED, TN_NONE, 0, 0);
    return 0;
}

void tn_helper_put_verdict(tn_verdicts *verdicts, uint32_t node_index,
                           const tn_node_verdict *verdict) {
    const uint32_t stride = verdicts->node_stride_bytes;
    unsigned char *record =
        (unsigned char *)(void *)verdicts->nodes + (uint64_t)node_index * stride;
    memcpy(record, verdict, stride < sizeof *verdict ? stride : sizeof *verdict);
}

tn_answer tn_helper_answer(const tn_verdicts *verdicts, uint32_t node_index) {
    const unsigned char *base = (const unsigned char *)(const void *)verdicts->nodes;
    tn_answer answer;
    memcpy(&answer, base + (uint64_t)node_index * verdicts->node_stride_bytes, sizeof answer);
    return answer;
}

void tn_helper_put_claim(tn_verdicts *inout_verdicts, const tn_claim *claim, const uint32_t *nodes,
                         uint32_t count) {
    tn_verdicts *v = inout_verdicts;
    tn_claim record = *claim;
    record.nodes = (tn_range){v->claim_node_count, count};
    if (v->claim_count < v->claim_capacity && v->claim_node_count <= v->claim_node_capacity &&
        count <= v->claim_node_capacity - v->claim_node_count) {
        const uint32_t stride = v->claim_stride_bytes;
        unsigned char *at = (unsigned char *)(void *)v->claims + (uint64_t)v->claim_count * stride;
        memcpy(at, &record, stride < sizeof record ? stride : sizeof record);
        memcpy(v->claim_nodes + v->claim_node_count, nodes, count * sizeof *nodes);
    }
    v->claim_count += 1;
    v->claim_node_count += count;
}
