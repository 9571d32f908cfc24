// SPDX-License-Identifier: Apache-2.0
// Labels are tried op by op; a branch ends when ops, copies and the changes along one path cost too
// much already, even if all claims held that still can. For complete labels the cheapest order is
// found by dynamic programming over the sets of ops that can have run (closed under predecessors)
// and the label that ran last, once for every choice of the claims that shall hold.
#include "support/partition/brute_force.h"

#include <assert.h>
#include <string.h>

typedef struct brute {
    const tnp_problem *problem;
    int64_t handover[BRUTE_MAX_LABELS][BRUTE_MAX_LABELS]; // shortest ways
    uint32_t before[BRUTE_MAX_OPS];                       // set of an op's predecessors
    uint32_t claim_set[BRUTE_MAX_CLAIMS];
    uint32_t bound_set[BRUTE_MAX_CLAIMS]; // its ops that run on its label only while it holds
    uint32_t label[BRUTE_MAX_OPS];
    int64_t changes[BRUTE_MAX_OPS]; // most that any path to the op hands over
    uint32_t held[BRUTE_MAX_CLAIMS];
    uint32_t held_count;
    int64_t cost[1u << BRUTE_MAX_OPS][BRUTE_MAX_LABELS]; // of having run a set, ending on a label
    int64_t best;
} brute;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void read_problem(brute *b, const tnp_problem *p) {
    memset(b, 0, sizeof(*b));
    assert(p->op_count <= BRUTE_MAX_OPS && p->label_count <= BRUTE_MAX_LABELS &&
           p->claim_count <= BRUTE_MAX_CLAIMS);
    b->problem = p;
    for (uint32_t i = 0; i < p->label_count * p->label_count; i++) {
        b->handover[i / p->label_count][i % p->label_count] = p->handover_cost[i];
    }
    for (uint32_t via = 0; via < p->label_count; via++) {
        for (uint32_t i = 0; i < p->label_count * p->label_count; i++) {
            int64_t *way = &b->handover[i / p->label_count][i % p->label_count];
            *way = least(*way, b->handover[i / p->label_count][via] +
                                   b->handover[via][i % p->label_count]);
        }
    }
    for (uint32_t t = 0; t < p->tensor_count; t++) {
        for (uint32_t i = 0; i < p->tensors[t].consumer_count; i++) {
            b->before[p->consumers[p->tensors[t].consumer_begin + i]] |= 1u
                                                                         << p->tensors[t].producer;
        }
    }
    for (uint32_t c = 0; c < p->claim_count; c++) {
        for (uint32_t i = 0; i < p->claims[c].op_count; i++) {
            uint32_t op = 1u << p->claim_ops[p->claims[c].op_begin + i];
            b->claim_set[c] |= op;
            b->bound_set[c] |= i < p->claims[c].bound_count ? op : 0;
        }
    }
}

// Whether op may run next: its predecessors have, and a held claim in the middle of its segment is
// not interrupted.
static int may_run(const brute *b, uint32_t done, uint32_t op) {
    if (((done >> op) & 1u) != 0 || (b->before[op] & ~done) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < b->held_count; i++) {
        uint32_t ran = done & b->claim_set[b->held[i]];
        int open = ran != 0 && ran != b->claim_set[b->held[i]];
        if (open && b->label[op] != b->problem->claims[b->held[i]].label) {
            return 0;
        }
    }
    return 1;
}

static void run_next(brute *b, uint32_t set, uint32_t op) {
    uint32_t to = b->label[op];
    int64_t *next = &b->cost[set | (1u << op)][to];
    for (uint32_t from = 0; from < b->problem->label_count; from++) {
        // Nothing is handed over to the first segment.
        int64_t handover = set == 0 ? 0 : b->handover[from][to];
        *next = least(*next, b->cost[set][from] + handover);
    }
}

// Handovers of the cheapest order in which the held claims have one segment each.
static int64_t order_held(brute *b) {
    uint32_t ops = b->problem->op_count;
    uint32_t labels = b->problem->label_count;
    uint32_t all = (1u << ops) - 1;
    int64_t most = INT64_MAX / 2;
    for (uint32_t set = 0; set <= all; set++) {
        for (uint32_t label = 0; label < labels; label++) {
            b->cost[set][label] = set == 0 ? 0 : most;
        }
    }
    for (uint32_t set = 0; set < all; set++) {
        int64_t so_far = most;
        for (uint32_t label = 0; label < labels; label++) {
            so_far = least(so_far, b->cost[set][label]);
        }
        for (uint32_t op = 0; op < ops && so_far < most; op++) {
            if (!may_run(b, set, op)) {
                continue;
            }
            run_next(b, set, op);
        }
    }
    int64_t best = most;
    for (uint32_t label = 0; label < labels; label++) {
        best = least(best, b->cost[all][label]);
    }
    return best == most ? INT64_MAX : best;
}

// The first ops of the graph that are on the claim's label.
static uint32_t ops_at_home(const brute *b, uint32_t claim, uint32_t ops) {
    uint32_t here = 0;
    for (uint32_t op = 0; op < ops; op++) {
        here |= b->label[op] == b->problem->claims[claim].label ? 1u << op : 0;
    }
    return here;
}

// Savings of the claims, from the given one on, that the labels of the first ops leave possible.
static int64_t savings_left(const brute *b, uint32_t claim, uint32_t ops) {
    int64_t savings = 0;
    uint32_t labelled = (1u << ops) - 1;
    for (uint32_t c = claim; c < b->problem->claim_count; c++) {
        int possible = (b->claim_set[c] & labelled & ~ops_at_home(b, c, ops)) == 0;
        savings += possible ? b->problem->claims[c].saving : 0;
    }
    return savings;
}

// Tries every set of claims, from the given one on, that the labels let hold. Returns handovers
// less savings, or INT64_MAX where that cannot be below limit; changes: the least handovers.
static int64_t order_claims(brute *b, uint32_t claim, int64_t changes, int64_t limit) {
    const tnp_problem *p = b->problem;
    if (changes - savings_left(b, claim, p->op_count) >= limit) {
        return INT64_MAX;
    }
    if (claim == p->claim_count) {
        return order_held(b);
    }
    uint32_t here = ops_at_home(b, claim, p->op_count);
    int whole = (b->claim_set[claim] & ~here) == 0;
    int bound = (b->bound_set[claim] & here) != 0;
    int64_t best = bound ? INT64_MAX : order_claims(b, claim + 1, changes, limit);
    if (whole) {
        b->held[b->held_count++] = claim;
        int64_t saving = p->claims[claim].saving;
        int64_t with = order_claims(b, claim + 1, changes, limit + saving);
        b->held_count--;
        best = with == INT64_MAX ? best : least(best, with - saving);
    }
    return best;
}

// What op costs on its label, with the copies that only it and ops before it make necessary.
static int64_t op_and_copies(const brute *b, uint32_t op) {
    const tnp_problem *p = b->problem;
    uint64_t labels = p->label_count;
    uint32_t to = b->label[op];
    int64_t cost = p->op_cost[op * labels + to];
    for (uint32_t t = 0; t < p->tensor_count; t++) {
        const uint32_t *consumers = p->consumers + p->tensors[t].consumer_begin;
        uint32_t from = b->label[p->tensors[t].producer];
        int reads = 0;
        int copied = 0; // an earlier op of that label has read it already
        for (uint32_t i = 0; i < p->tensors[t].consumer_count; i++) {
            reads |= consumers[i] == op;
            copied |= consumers[i] < op && b->label[consumers[i]] == to;
        }
        cost += reads && !copied ? p->copy_cost[(t * labels + from) * labels + to] : 0;
    }
    return cost;
}

static int fits(const brute *b) {
    const tnp_problem *p = b->problem;
    uint64_t used[BRUTE_MAX_LABELS] = {0};
    for (uint32_t op = 0; op < p->op_count && p->label_capacity != NULL; op++) {
        used[b->label[op]] += p->op_bytes[op];
        if (used[b->label[op]] > p->label_capacity[b->label[op]]) {
            return 0;
        }
    }
    return 1;
}

// Whether op can take the label: it runs there, and its group is there already.
static int suits(const brute *b, uint32_t op, uint32_t label) {
    const tnp_problem *p = b->problem;
    if (p->op_cost[op * p->label_count + label] == TNP_UNSUPPORTED) {
        return 0;
    }
    for (uint32_t other = 0; p->group != NULL && other < op; other++) {
        if (p->group[op] != TNP_NONE && p->group[other] == p->group[op] &&
            b->label[other] != label) {
            return 0;
        }
    }
    return 1;
}

static int64_t changes_before(const brute *b, uint32_t op) {
    int64_t most = 0;
    for (uint32_t other = 0; other < op; other++) {
        if (((b->before[op] >> other) & 1u) != 0) {
            int64_t way = b->changes[other] + b->handover[b->label[other]][b->label[op]];
            most = way > most ? way : most;
        }
    }
    return most;
}

// so_far: ops and copies. changes: most that any path hands over.
static void try_labels(brute *b, uint32_t op, int64_t so_far, int64_t changes) {
    const tnp_problem *p = b->problem;
    if (op == p->op_count) {
        int64_t rest = fits(b) ? order_claims(b, 0, changes, b->best - so_far) : INT64_MAX;
        b->best = rest == INT64_MAX ? b->best : least(b->best, so_far + rest);
        return;
    }
    for (uint32_t label = 0; label < p->label_count; label++) {
        if (!suits(b, op, label)) {
            continue;
        }
        b->label[op] = label;
        b->changes[op] = changes_before(b, op);
        int64_t cost = so_far + op_and_copies(b, op);
        int64_t most = b->changes[op] > changes ? b->changes[op] : changes;
        if (cost + most - savings_left(b, 0, op + 1) < b->best) {
            try_labels(b, op + 1, cost, most);
        }
    }
}

int64_t brute_force(const tnp_problem *problem, int64_t below) {
    brute b;
    read_problem(&b, problem);
    b.best = below;
    try_labels(&b, 0, 0, 0);
    return b.best == below ? INT64_MAX : b.best;
}

// Ops and copies of all labels.
static int64_t take_labels(brute *b, const uint32_t *label) {
    int64_t cost = 0;
    memcpy(b->label, label, b->problem->op_count * sizeof(*label));
    for (uint32_t op = 0; op < b->problem->op_count; op++) {
        cost += op_and_copies(b, op);
    }
    return cost;
}

int64_t brute_force_of_labels(const tnp_problem *problem, const uint32_t *label) {
    brute b;
    read_problem(&b, problem);
    int64_t cost = take_labels(&b, label);
    int64_t rest = order_claims(&b, 0, 0, INT64_MAX / 2);
    return rest == INT64_MAX ? INT64_MAX : cost + rest;
}

// Whether the ops of claim run one after another but for ops of the same label; *out_broken when
// an op bound to it is on its label and it does not hold.
static int claim_holds(const brute *b, const uint32_t *order, uint32_t claim, int *out_broken) {
    uint32_t home = b->problem->claims[claim].label;
    uint32_t here = 0;
    uint32_t segment = 0; // ops of the segment so far
    int holds = 0;
    for (uint32_t i = 0; i < b->problem->op_count; i++) {
        int on = b->label[order[i]] == home;
        segment = on ? segment | 1u << order[i] : 0;
        here |= on ? 1u << order[i] : 0;
        holds |= (b->claim_set[claim] & ~segment) == 0;
    }
    *out_broken = !holds && (b->bound_set[claim] & here) != 0;
    return holds;
}

int64_t brute_force_price(const tnp_problem *problem, const uint32_t *label,
                          const uint32_t *order) {
    brute b;
    uint32_t done = 0;
    read_problem(&b, problem);
    for (uint32_t op = 0; op < problem->op_count; op++) {
        if (label[op] >= problem->label_count || !suits(&b, op, label[op])) {
            return INT64_MAX;
        }
        b.label[op] = label[op];
    }
    int64_t cost = take_labels(&b, label);
    for (uint32_t i = 0; i < problem->op_count; i++) {
        if (order[i] >= problem->op_count || !may_run(&b, done, order[i])) {
            return INT64_MAX;
        }
        done |= 1u << order[i];
        cost += i > 0 ? b.handover[label[order[i - 1]]][label[order[i]]] : 0;
    }
    for (uint32_t claim = 0; claim < problem->claim_count; claim++) {
        int broken;
        cost -= claim_holds(&b, order, claim, &broken) ? problem->claims[claim].saving : 0;
        if (broken) {
            return INT64_MAX;
        }
    }
    return fits(&b) ? cost : INT64_MAX;
}
