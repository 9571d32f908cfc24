// SPDX-License-Identifier: Apache-2.0
// Draws the parts of a random problem in turn. How much copies and handovers cost compared with
// ops is drawn first, since what makes a problem hard is their proportion.
#include "support/partition/random_problem.h"

#include <string.h>

uint32_t random_below(uint64_t *state, uint32_t limit) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33) % limit;
}

static int chance(random_problem *r, uint32_t percent) {
    return random_below(&r->state, 100) < percent;
}

static uint32_t pick(random_problem *r, const uint32_t *values, uint32_t count) {
    return values[random_below(&r->state, count)];
}

// Every pair a cost of its own, or all the same, up to scale.
static void fill_matrix(random_problem *r, uint32_t scale, int even, int64_t *matrix) {
    uint32_t labels = r->problem.label_count;
    int64_t same = random_below(&r->state, scale + 1);
    for (uint32_t from = 0; from < labels; from++) {
        for (uint32_t to = 0; to < labels; to++) {
            int64_t cost = even ? same : random_below(&r->state, scale + 1);
            matrix[from * labels + to] = from == to ? 0 : cost;
        }
    }
}

static void fill_op_costs(random_problem *r) {
    uint32_t labels = r->problem.label_count;
    static const uint32_t hole_percents[] = {0, 10, 30};
    static const uint32_t pin_percents[] = {3, 10, 70}; // with many pins the order is what is hard
    static const uint32_t units[] = {1, 1, 250};        // few different costs: many plans as good
    uint32_t holes = pick(r, hole_percents, 3);
    uint32_t pins = pick(r, pin_percents, 3);
    uint32_t unit = pick(r, units, 3);
    for (uint32_t op = 0; op < r->problem.op_count; op++) {
        int64_t *cost = r->op_cost + op * labels;
        uint32_t pin = chance(r, pins) ? random_below(&r->state, labels) : labels;
        for (uint32_t label = 0; label < labels; label++) {
            // Label 0 runs whatever is not pinned elsewhere, at about twice the cost.
            int missing = pin < labels ? label != pin : label > 0 && chance(r, holes);
            int64_t drawn = random_below(&r->state, label == 0 ? 2000 : 1000);
            cost[label] = missing ? TNP_UNSUPPORTED : drawn - drawn % unit;
        }
    }
}

// An op reads earlier tensors, recent ones rather than old ones, the same one twice at times.
static void draw_inputs(random_problem *r) {
    uint32_t reach = 1 + random_below(&r->state, 6);
    uint32_t tensors = 0;
    for (uint32_t op = 0; op < r->problem.op_count; op++) {
        uint32_t inputs = tensors == 0 ? 0 : random_below(&r->state, RANDOM_MAX_INPUTS + 1);
        r->input_count[op] = inputs;
        for (uint32_t i = 0; i < inputs; i++) {
            uint32_t back = 1 + random_below(&r->state, chance(r, 15) ? tensors : reach);
            r->inputs[op][i] = back > tensors ? 0 : tensors - back;
        }
        r->tensors[tensors++].producer = op;
        if (chance(r, 10)) {
            r->tensors[tensors++].producer = op;
        }
    }
    r->problem.tensor_count = tensors;
}

static void fill_tensors(random_problem *r) {
    static const uint32_t scales[] = {0, 30, 150, 600};
    uint32_t scale = pick(r, scales, 4);
    int even = chance(r, 30);
    uint32_t used = 0;
    for (uint32_t t = 0; t < r->problem.tensor_count; t++) {
        r->tensors[t].consumer_begin = used;
        for (uint32_t op = 0; op < r->problem.op_count; op++) {
            for (uint32_t i = 0; i < r->input_count[op]; i++) {
                if (r->inputs[op][i] == t) {
                    r->consumers[used++] = op;
                }
            }
        }
        r->tensors[t].consumer_count = used - r->tensors[t].consumer_begin;
        uint32_t cells = r->problem.label_count * r->problem.label_count;
        fill_matrix(r, scale, even, r->copy_cost + t * cells);
    }
    r->problem.consumer_total = used;
}

static int any_label_runs_both(const random_problem *r, uint32_t a, uint32_t b) {
    uint32_t labels = r->problem.label_count;
    for (uint32_t label = 0; label < labels; label++) {
        if (r->op_cost[a * labels + label] != TNP_UNSUPPORTED &&
            r->op_cost[b * labels + label] != TNP_UNSUPPORTED) {
            return 1;
        }
    }
    return 0;
}

// Pairs of ops that stay together, wherever they stand in the graph.
static void fill_groups(random_problem *r) {
    uint32_t ops = r->problem.op_count;
    memset(r->group, 0xff, sizeof(r->group));
    for (uint32_t pairs = random_below(&r->state, 1 + ops / 4); pairs > 0; pairs--) {
        uint32_t a = random_below(&r->state, ops);
        uint32_t b = random_below(&r->state, ops);
        if (r->group[a] == TNP_NONE && r->group[b] == TNP_NONE && any_label_runs_both(r, a, b)) {
            r->group[a] = b;
            r->group[b] = b;
        }
    }
    r->problem.group = r->group;
}

// Some ops from begin on that label runs and that taken leaves; at least one.
static void draw_claim(random_problem *r, uint32_t begin, uint32_t label, uint8_t *taken) {
    uint32_t labels = r->problem.label_count;
    uint32_t want = 1 + random_below(&r->state, 4);
    tnp_claim claim = {.label = label, .op_begin = r->problem.claim_op_total};
    int64_t cost = 0;
    for (uint32_t op = begin; op < r->problem.op_count && claim.op_count < want; op++) {
        if (!taken[op] && r->op_cost[op * labels + label] != TNP_UNSUPPORTED && chance(r, 70)) {
            taken[op] = 1;
            cost += r->op_cost[op * labels + label];
            r->claim_ops[r->problem.claim_op_total++] = op;
            claim.op_count++;
        }
    }
    if (claim.op_count == 0) {
        return;
    }
    uint32_t bound[] = {0, claim.op_count, random_below(&r->state, claim.op_count + 1)};
    claim.bound_count = pick(r, bound, 3);
    claim.saving = cost * random_below(&r->state, 101) / 100;
    r->claims[r->problem.claim_count++] = claim;
}

static void fill_claims(random_problem *r) {
    for (uint32_t label = 0; label < r->problem.label_count; label++) {
        uint8_t taken[RANDOM_MAX_OPS] = {0};
        for (uint32_t op = 0; op < r->problem.op_count; op++) {
            if (chance(r, 15) && r->problem.claim_count < RANDOM_MAX_CLAIMS) {
                draw_claim(r, op, label, taken);
            }
        }
    }
    r->problem.claims = r->claims;
    r->problem.claim_ops = r->claim_ops;
}

static void fill_capacities(random_problem *r) {
    uint64_t total = 0;
    for (uint32_t op = 0; op < r->problem.op_count; op++) {
        r->op_bytes[op] = chance(r, 30) ? 0 : random_below(&r->state, 100);
        total += r->op_bytes[op];
    }
    for (uint32_t label = 0; label < r->problem.label_count; label++) {
        int limited = chance(r, label == 0 ? 25 : 75);
        r->label_capacity[label] =
            limited ? total * random_below(&r->state, 100) / 100 : TNP_NO_CAPACITY;
    }
    r->problem.op_bytes = r->op_bytes;
    r->problem.label_capacity = r->label_capacity;
}

void random_problem_make(uint64_t seed, uint32_t ops, uint32_t labels, random_features features,
                         random_problem *out_random) {
    static const uint32_t scales[] = {0, 50, 200, 800, 3000};
    random_problem *r = out_random;
    memset(r, 0, sizeof(*r));
    r->state = seed * 0x9e3779b97f4a7c15ull + 1;
    r->problem.op_count = ops;
    r->problem.label_count = labels;
    uint32_t scale = pick(r, scales, 5);
    int even = chance(r, 40);
    fill_matrix(r, scale, even, r->handover_cost);
    fill_op_costs(r);
    draw_inputs(r);
    fill_tensors(r);
    if ((features & RANDOM_GROUPS) != 0) {
        fill_groups(r);
    }
    if ((features & RANDOM_CLAIMS) != 0) {
        fill_claims(r);
    }
    if ((features & RANDOM_CAPACITIES) != 0) {
        fill_capacities(r);
    }
    r->problem.op_cost = r->op_cost;
    r->problem.tensors = r->tensors;
    r->problem.consumers = r->consumers;
    r->problem.copy_cost = r->copy_cost;
    r->problem.handover_cost = r->handover_cost;
}
