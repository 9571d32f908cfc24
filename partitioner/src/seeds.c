// SPDX-License-Identifier: Apache-2.0
// Simple plans to start from: every label preferred in turn, and every op where it is cheapest. The
// plan is never worse than the best of them, so never worse than one label alone.
#include "search.h"

static uint32_t cheapest(const tnp_graph *g, uint32_t var, uint32_t preferred) {
    const int64_t *cost = g->unary + (uint64_t)var * g->label_count;
    uint32_t best = 0;
    if (preferred < g->label_count && cost[preferred] != TNP_INFINITE) {
        return preferred;
    }
    for (uint32_t label = 1; label < g->label_count; label++) {
        best = cost[label] < cost[best] ? label : best;
    }
    return best;
}

void tnp_search_seeds(tnp_search *search) {
    const tnp_graph *g = &search->graph;
    int64_t bound = 0;
    for (uint32_t var = 0; var < g->var_count; var++) {
        bound += g->unary[(uint64_t)var * g->label_count + cheapest(g, var, g->label_count)];
    }
    for (uint32_t c = 0; c < g->problem->claim_count; c++) {
        bound -= g->problem->claims[c].saving;
    }
    tnp_search_raise_bound(search, bound);
    for (uint32_t preferred = 0; preferred <= g->label_count; preferred++) {
        for (uint32_t var = 0; var < g->var_count; var++) {
            search->var_label[var] = cheapest(g, var, preferred);
        }
        tnp_search_consider(search, search->var_label, 0);
        tnp_search_consider_fitted(search, search->var_label);
    }
}
