// SPDX-License-Identifier: Apache-2.0
// Adds up what labels and an order cost.
#include "price.h"

#include <string.h>

static uint32_t label_of(const uint32_t *label, const uint32_t *var_of, uint32_t op) {
    return label[var_of != NULL ? var_of[op] : op];
}

int64_t tnp_price_copies(const tnp_graph *graph, const uint32_t *label, const uint32_t *var_of,
                         uint32_t tensor, uint32_t *io_count) {
    const tnp_tensor *t = &graph->tensors[tensor];
    uint32_t from = label_of(label, var_of, t->producer);
    const int64_t *copy = tnp_copy_row(graph, tensor, from);
    uint64_t seen = (uint64_t)1 << from;
    uint32_t count = 0;
    int64_t sum = 0;
    for (uint32_t i = 0; i < t->consumer_count; i++) {
        uint32_t to = label_of(label, var_of, graph->consumers[t->consumer_begin + i]);
        if (((seen >> to) & 1u) == 0) {
            seen |= (uint64_t)1 << to;
            sum += copy[to];
            count += copy[to] > 0;
        }
    }
    if (io_count != NULL) {
        *io_count += count;
    }
    return sum;
}

static void add_order_free(const tnp_graph *g, const uint32_t *label, tnp_cost *cost) {
    for (uint32_t op = 0; op < g->op_count; op++) {
        cost->compute += tnp_op_cost(g, op, label[op]);
    }
    for (uint32_t tensor = 0; tensor < g->tensor_count; tensor++) {
        cost->copies += tnp_price_copies(g, label, NULL, tensor, &cost->copy_count);
    }
}

static void add_claims(const tnp_graph *g, const uint32_t *label, const uint32_t *segment_of,
                       tnp_cost *cost, uint32_t *out_broken) {
    const tnp_problem *p = g->problem;
    for (uint32_t c = 0; c < p->claim_count; c++) {
        const tnp_claim *claim = &p->claims[c];
        const uint32_t *ops = p->claim_ops + claim->op_begin;
        uint32_t here = 0;
        uint32_t bound_here = 0;
        uint32_t together = 1;
        for (uint32_t i = 0; i < claim->op_count; i++) {
            here += label[ops[i]] == claim->label;
            bound_here += i < claim->bound_count && label[ops[i]] == claim->label;
            together &= segment_of[ops[i]] == segment_of[ops[0]];
        }
        if (here == claim->op_count && together) {
            cost->savings += claim->saving;
            cost->claim_count++;
        } else {
            *out_broken += bound_here;
        }
    }
}

void tnp_price(const tnp_graph *graph, const uint32_t *label, const uint32_t *order,
               uint32_t *segment_of, tnp_cost *out_cost, uint32_t *out_broken) {
    tnp_cost cost = {0};
    *out_broken = 0;
    add_order_free(graph, label, &cost);
    for (uint32_t i = 0; i < graph->op_count; i++) {
        uint32_t to = label[order[i]];
        uint32_t from = i > 0 ? label[order[i - 1]] : to;
        if (from != to) {
            cost.handovers += graph->handover[from * graph->label_count + to];
            cost.handover_count++;
        }
        segment_of[order[i]] = cost.handover_count;
    }
    add_claims(graph, label, segment_of, &cost, out_broken);
    cost.total = cost.compute + cost.copies + cost.handovers - cost.savings;
    *out_cost = cost;
}
