// SPDX-License-Identifier: Apache-2.0
// Why ops are where they are: each one's cheapest label, and what moving there alone would change.
#include "price.h"

#include <string.h>

typedef struct chooser {
    tnp_graph graph;
    const tnp_plan *plan;
    uint32_t *begin; // [op + 1]: tensors that an op makes or reads
    uint32_t *touched;
    uint32_t *place; // [op]: in the order
    uint32_t *label; // working copy
    uint64_t *used;  // [label]: bytes
} chooser;

static tnp_status chooser_init(tnp_arena *arena, chooser *c) {
    uint64_t ops = c->graph.op_count;
    uint64_t uses = (uint64_t)c->graph.problem->consumer_total + c->graph.tensor_count;
    c->begin = tnp_arena_array(arena, ops + 2, sizeof(uint32_t));
    c->touched = tnp_arena_array(arena, uses, sizeof(uint32_t));
    c->place = tnp_arena_array(arena, ops, sizeof(uint32_t));
    c->label = tnp_arena_array(arena, ops, sizeof(uint32_t));
    c->used = tnp_arena_array(arena, c->graph.label_count, sizeof(uint64_t));
    return c->begin != NULL && c->touched != NULL && c->place != NULL && c->label != NULL &&
                   c->used != NULL
               ? TNP_OK
               : TNP_OUT_OF_MEMORY;
}

static void list_tensors(chooser *c) {
    const tnp_graph *g = &c->graph;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t t = 0; t < g->tensor_count; t++) {
            const tnp_tensor *tensor = &g->tensors[t];
            for (uint32_t i = 0; i <= tensor->consumer_count; i++) {
                uint32_t op = i < tensor->consumer_count ? g->consumers[tensor->consumer_begin + i]
                                                         : tensor->producer;
                if (pass == 0) {
                    c->begin[op + 2]++;
                } else {
                    c->touched[c->begin[op + 1]++] = t;
                }
            }
        }
        for (uint32_t op = 0; op < g->op_count && pass == 0; op++) {
            c->begin[op + 2] += c->begin[op + 1];
        }
    }
}

static int64_t copies_around(const chooser *c, uint32_t op) {
    int64_t sum = 0;
    for (uint32_t i = c->begin[op]; i < c->begin[op + 1]; i++) {
        sum += tnp_price_copies(&c->graph, c->label, NULL, c->touched[i], NULL);
    }
    return sum;
}

static int64_t handovers_around(const chooser *c, uint32_t op) {
    const tnp_graph *g = &c->graph;
    uint32_t place = c->place[op];
    uint32_t here = c->label[op];
    uint32_t before = place > 0 ? c->label[c->plan->order[place - 1]] : here;
    uint32_t after = place + 1 < g->op_count ? c->label[c->plan->order[place + 1]] : here;
    return g->handover[before * g->label_count + here] + g->handover[here * g->label_count + after];
}

// What a claim of the op on the label saves now; all claims of a plan that are whole hold, or hold
// together with the rest of their segment.
static int64_t saving_at(const chooser *c, uint32_t op, uint32_t label) {
    const tnp_problem *p = c->graph.problem;
    uint32_t claim = tnp_claim_at(&c->graph, op, label);
    for (uint32_t i = 0; claim != TNP_NONE && i < p->claims[claim].op_count; i++) {
        if (c->label[p->claim_ops[p->claims[claim].op_begin + i]] != label) {
            return 0;
        }
    }
    return claim == TNP_NONE ? 0 : p->claims[claim].saving;
}

static int is_full(const chooser *c, uint32_t op, uint32_t label) {
    const tnp_problem *p = c->graph.problem;
    return p->label_capacity != NULL && p->op_bytes != NULL &&
           p->op_bytes[op] > p->label_capacity[label] - c->used[label];
}

static tnp_why reason(const chooser *c, uint32_t op, const tnp_choice *choice) {
    const tnp_problem *p = c->graph.problem;
    if (choice->cheapest == c->plan->label[op]) {
        return TNP_WHY_CHEAPEST;
    }
    if (is_full(c, op, choice->cheapest)) {
        return TNP_WHY_CAPACITY;
    }
    if (p->group != NULL && p->group[op] != TNP_NONE) {
        return TNP_WHY_GROUP;
    }
    if (choice->copies >= choice->gain) {
        return TNP_WHY_COPIES;
    }
    if (choice->copies + choice->handovers >= choice->gain) {
        return TNP_WHY_HANDOVERS;
    }
    return choice->copies + choice->handovers + choice->savings >= choice->gain ? TNP_WHY_CLAIM
                                                                                : TNP_WHY_TOGETHER;
}

static void choose(chooser *c, uint32_t op, tnp_choice *out_choice) {
    const tnp_graph *g = &c->graph;
    uint32_t here = c->plan->label[op];
    uint32_t cheapest = here;
    for (uint32_t label = 0; label < g->label_count; label++) {
        int64_t cost = tnp_op_cost(g, op, label);
        cheapest =
            cost != TNP_UNSUPPORTED && cost < tnp_op_cost(g, op, cheapest) ? label : cheapest;
    }
    *out_choice = (tnp_choice){.cheapest = cheapest};
    if (cheapest != here) {
        int64_t copies = copies_around(c, op);
        int64_t handovers = handovers_around(c, op);
        int64_t saving = saving_at(c, op, here);
        c->label[op] = cheapest;
        out_choice->gain = tnp_op_cost(g, op, here) - tnp_op_cost(g, op, cheapest);
        out_choice->copies = copies_around(c, op) - copies;
        out_choice->handovers = handovers_around(c, op) - handovers;
        out_choice->savings = saving - saving_at(c, op, cheapest);
        c->label[op] = here;
    }
    out_choice->why = reason(c, op, out_choice);
}

tnp_status tnp_choices(const tnp_allocator *allocator, const tnp_problem *problem,
                       const tnp_plan *plan, tnp_choice *out_choices) {
    tnp_arena arena = {allocator, NULL};
    chooser c = {.plan = plan};
    uint32_t unused;
    tnp_status status = tnp_graph_init(&arena, problem, &c.graph, &unused);
    if (status == TNP_OK) {
        status = chooser_init(&arena, &c);
    }
    if (status == TNP_OK) {
        list_tensors(&c);
        memcpy(c.label, plan->label, (uint64_t)problem->op_count * sizeof(uint32_t));
        for (uint32_t i = 0; i < problem->op_count; i++) {
            c.place[plan->order[i]] = i;
            c.used[plan->label[i]] += problem->op_bytes != NULL ? problem->op_bytes[i] : 0;
        }
        for (uint32_t op = 0; op < problem->op_count; op++) {
            choose(&c, op, &out_choices[op]);
        }
    }
    tnp_arena_release(&arena);
    return status;
}
