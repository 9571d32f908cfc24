// SPDX-License-Identifier: Apache-2.0
// See the header. The trial's nodes have the numbers of the loaded model's, so that what it found
// can be said of them.
#include "flow/copies.h"

#include "base/error.h"
#include "flow/flow.h"
#include "graph/rewrite/rewrite.h"
#include "plan/claims.h"

static uint32_t original_of(const tni_model *model, uint32_t node) {
    const uint32_t origin = model->nodes[node].expanded_from;
    return origin != TN_NONE && !model->nodes[origin].removed ? origin : node;
}

// Whether all nodes of a claim came to lie in one island of its device.
static bool holds(const tni_plan *plan, const tni_verdict_set *set, const tni_claim *claim) {
    const uint32_t *places = set->claim_places + claim->nodes.begin;
    const uint32_t island = claim->stands ? plan->island_of[places[0]] : TN_NONE;
    for (uint32_t i = 0; i < claim->nodes.count && island != TN_NONE; i++) {
        if (plan->island_of[places[i]] != island) {
            return false;
        }
    }
    return island != TN_NONE && plan->islands[island].device == set->device;
}

// Whether nodes of the claim run only with it, or it saves more than its copies cost again.
static bool pays(const tni_plan *plan, const tni_verdict_set *set, const tni_claim *claim) {
    uint64_t copies_ns = 0;
    for (uint32_t i = 0; i < claim->nodes.count; i++) {
        const uint32_t place = set->claim_places[claim->nodes.begin + i];
        const uint32_t node = plan->region->nodes[place];
        if (set->options[place].bound) {
            return true;
        }
        copies_ns += original_of(plan->model, node) != node ? set->options[place].cost_ns : 0;
    }
    return tni_claims_cost(set, claim).saving_ns > copies_ns;
}

// Claims are numbered through a plan; claim_of says, per node of the model, which was seen last.
typedef struct noting {
    const tni_plan *plan;
    uint32_t *claim_of;
    uint32_t claim;
    tni_map *wanted;
} noting;

// Notes every DequantizeLinear of the claim with the node of the claim that reads it.
static tn_status note_readers(noting *n, const uint32_t *places, uint32_t count) {
    const tni_model *model = n->plan->model;
    tn_status status = TN_OK;
    n->claim++;
    for (uint32_t i = 0; i < count; i++) {
        n->claim_of[n->plan->region->nodes[places[i]]] = n->claim;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t reader = n->plan->region->nodes[places[i]];
        const tni_node *node = &model->nodes[reader];
        for (uint32_t k = 0; k < node->input_count && status == TN_OK; k++) {
            const uint32_t maker =
                node->inputs[k] == TN_NONE ? TN_NONE : model->values[node->inputs[k]].producer;
            if (maker != TN_NONE && n->claim_of[maker] == n->claim &&
                tni_node_is(&model->nodes[maker], "DequantizeLinear")) {
                status = tni_map_set_u64(n->wanted,
                                         tni_reader_key(original_of(model, maker), reader), 1);
            }
        }
    }
    return status;
}

static tn_status note_claims(const tni_plan *plan, tni_map *wanted) {
    const uint64_t nodes = (uint64_t)plan->model->node_count + 1;
    noting n = {plan, tni_alloc_array(&plan->alloc, nodes, sizeof(uint32_t)), 0, wanted};
    tn_status status = n.claim_of != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
    for (uint32_t k = 0; k < plan->set_count; k++) {
        const tni_verdict_set *set = &plan->sets[k];
        for (uint32_t i = 0; i < set->claim_count && status == TN_OK; i++) {
            const tni_claim *claim = &set->claims[i];
            if (holds(plan, set, claim) && pays(plan, set, claim)) {
                status =
                    note_readers(&n, set->claim_places + claim->nodes.begin, claim->nodes.count);
            }
        }
    }
    tni_free_array(&plan->alloc, n.claim_of, nodes, sizeof(uint32_t));
    return status;
}

// Plans the trial and notes what its claims make use of. That it cannot be planned is no failure.
static tn_status plan_trial(const tni_alloc *alloc, tni_model *trial, const tni_plan_info *info,
                            tni_map *wanted, tn_error *error) {
    tni_plan_info how = *info;
    tni_flow *flow = NULL;
    tn_error reason;
    tni_error_init(&reason);
    how.model = trial;
    how.plan_only = true;
    how.explain = false;
    how.merge_copies = true;
    tn_status status = tni_flow_create(alloc, &how, &flow, &reason);
    if (status == TN_ERROR_OUT_OF_MEMORY || status == TN_ERROR_CANCELLED) {
        tni_error_copy(error, &reason);
        return status;
    }
    status = TN_OK;
    for (uint32_t i = 0; flow != NULL && i < flow->stage_count && status == TN_OK; i++) {
        status = flow->plans[i] != NULL ? note_claims(flow->plans[i], wanted) : TN_OK;
    }
    tni_flow_destroy(flow);
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "copies of DequantizeLinear");
}

static tn_status try_copies(const tni_alloc *alloc, tni_weights *weights, tni_model *trial,
                            const tni_plan_info *info, tni_map *wanted, tn_error *error) {
    bool shared = false;
    tn_status status = tni_rewrite_split(trial, NULL, &shared, error);
    if (status != TN_OK || !shared) {
        return status;
    }
    // Plugins may look at constants while they judge.
    status = tni_weights_add(weights, trial);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "copies of DequantizeLinear");
    }
    status = plan_trial(alloc, trial, info, wanted, error);
    tni_weights_remove(weights, trial);
    return status;
}

static bool has_dequantize(const tni_model *model) {
    for (uint32_t i = 0; i < model->node_count; i++) {
        if (!model->nodes[i].removed && tni_node_is(&model->nodes[i], "DequantizeLinear")) {
            return true;
        }
    }
    return false;
}

tn_status tni_copies_settle(const tni_alloc *alloc, tni_weights *weights, tni_model *loaded,
                            const tni_plan_info *info, tn_error *error) {
    tni_model *trial = NULL;
    bool changed = false;
    tni_map wanted;
    if (!has_dequantize(loaded)) {
        return TN_OK;
    }
    tni_map_init(&wanted, alloc);
    tn_status status = tni_model_fork(loaded, tni_weights_reserve(weights), &trial);
    status = status == TN_OK ? try_copies(alloc, weights, trial, info, &wanted, error)
                             : tni_fail_plain(error, status, "copies of DequantizeLinear");
    if (status == TN_OK && wanted.count > 0) {
        status = tni_rewrite_split(info->model, &wanted, &changed, error);
    }
    tni_map_deinit(&wanted);
    tni_model_destroy(trial);
    return status;
}
