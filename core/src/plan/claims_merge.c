// SPDX-License-Identifier: Apache-2.0
// Copies of one node that would not be made: see tni_claims_merge. Where a device has them in no
// claim, all of them cost what one costs, if they run together.
#include "plan/claims.h"

#include "base/error.h"

#include <string.h>

static bool is_copy(const tni_model *model, uint32_t node) {
    return model->nodes[node].expanded_from != TN_NONE &&
           tni_node_is(&model->nodes[node], "DequantizeLinear");
}

void tni_claims_merge_room(const tni_draft_plan *d, uint32_t *out_claims, uint32_t *out_ops) {
    uint64_t copies = 0;
    for (uint32_t i = 0; i < d->region->node_count && d->info->merge_copies; i++) {
        copies += is_copy(d->plan->model, d->region->nodes[i]);
    }
    const uint64_t most = copies * d->plan->set_count;
    *out_claims = most < UINT32_MAX / 4 ? (uint32_t)most : 0;
    *out_ops = 2 * *out_claims; // a node, and each of its copies
}

// Places of one node and its copies, linked: from the last one back.
typedef struct merging {
    tni_draft_plan *draft;
    uint32_t *earlier; // by place: another of the same node, TN_NONE
    uint8_t *is_last;  // by place: of a node that has copies
    uint8_t *claimed;  // by place: in a claim of the device at hand
} merging;

static tn_status link_copies(const merging *m) {
    const tni_model *model = m->draft->plan->model;
    const tni_region *region = m->draft->region;
    tni_map last;
    tni_map_init(&last, &m->draft->plan->alloc);
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < region->node_count && status == TN_OK; i++) {
        const uint32_t node = region->nodes[i];
        m->earlier[i] = TN_NONE;
        if (!tni_node_is(&model->nodes[node], "DequantizeLinear")) {
            continue;
        }
        const uint64_t origin = is_copy(model, node) ? model->nodes[node].expanded_from : node;
        if (tni_map_find_u64(&last, origin, &m->earlier[i])) {
            m->is_last[m->earlier[i]] = 0;
            m->is_last[i] = 1;
        }
        status = tni_map_set_u64(&last, origin, i);
    }
    tni_map_deinit(&last);
    return status;
}

static void merge_from(const merging *m, uint32_t place, uint32_t label) {
    tni_draft_plan *d = m->draft;
    int64_t sum = 0;
    int64_t most = 0;
    tnp_claim claim = {.label = label, .op_begin = d->claim_op_count};
    for (uint32_t i = place; i != TN_NONE; i = m->earlier[i]) {
        const int64_t cost = d->op_cost[(uint64_t)(i + 1) * d->label_count + label];
        if (cost != TNP_UNSUPPORTED && !m->claimed[i]) {
            d->claim_ops[d->claim_op_count++] = i + 1;
            sum += cost;
            most = cost > most ? cost : most;
        }
    }
    claim.op_count = d->claim_op_count - claim.op_begin;
    claim.saving = sum - most;
    if (claim.saving > 0) {
        d->claims[d->claim_count++] = claim;
    } else {
        d->claim_op_count = claim.op_begin;
    }
}

static void merge_on(const merging *m, uint32_t label) {
    const tni_draft_plan *d = m->draft;
    const uint32_t claims = d->claim_count;
    memset(m->claimed, 0, d->region->node_count);
    for (uint32_t i = 0; i < claims; i++) {
        for (uint32_t k = 0; d->claims[i].label == label && k < d->claims[i].op_count; k++) {
            m->claimed[d->claim_ops[d->claims[i].op_begin + k] - 1] = 1;
        }
    }
    for (uint32_t i = 0; i < d->region->node_count; i++) {
        if (m->is_last[i]) {
            merge_from(m, i, label);
        }
    }
}

tn_status tni_claims_merge(tni_draft_plan *d, tn_error *error) {
    const tni_alloc *alloc = &d->plan->alloc;
    const uint64_t places = (uint64_t)d->region->node_count + 1;
    const merging m = {d, tni_alloc_array(alloc, places, sizeof(uint32_t)),
                       tni_alloc_array(alloc, places, 1), tni_alloc_array(alloc, places, 1)};
    uint32_t claims = 0;
    uint32_t ops = 0;
    tni_claims_merge_room(d, &claims, &ops);
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    if (m.earlier != NULL && m.is_last != NULL && m.claimed != NULL) {
        status = claims > 0 ? link_copies(&m) : TN_OK;
    }
    for (uint32_t k = 0; k < d->plan->set_count && claims > 0 && status == TN_OK; k++) {
        merge_on(&m, k + 1);
    }
    tni_free_array(alloc, m.earlier, places, sizeof(uint32_t));
    tni_free_array(alloc, m.is_last, places, 1);
    tni_free_array(alloc, m.claimed, places, 1);
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "claims");
}
