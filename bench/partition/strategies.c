// SPDX-License-Identifier: Apache-2.0
// The rules, each as its runtime's documentation and sources describe it. Where a runtime leaves
// something to its user, the choice is the one its users make: faster devices first.
#include "strategies.h"

#include <stdlib.h>
#include <string.h>

typedef struct device_ranking {
    uint32_t labels[TNP_MAX_LABELS]; // most preferred first, the host last
    uint32_t count;
} device_ranking;

static int64_t cost_of(const tnp_problem *p, uint32_t op, uint32_t label) {
    return p->op_cost[(uint64_t)op * p->label_count + label];
}

static int runs(const tnp_problem *p, uint32_t op, uint32_t label) {
    return cost_of(p, op, label) != TNP_UNSUPPORTED;
}

// How much of the host's time a device saves if it takes all that it can.
static double gain(const tnp_problem *p, uint32_t label) {
    double saved = 0;
    for (uint32_t op = 0; op < p->op_count; op++) {
        if (runs(p, op, label) && runs(p, op, 0)) {
            saved += (double)(cost_of(p, op, 0) - cost_of(p, op, label));
        }
    }
    return saved;
}

static void rank(const tnp_problem *p, device_ranking *out_ranking) {
    out_ranking->count = p->label_count;
    for (uint32_t label = 0; label < p->label_count; label++) {
        uint32_t at = label;
        while (at > 0 && (out_ranking->labels[at - 1] == 0 ||
                          (label > 0 && gain(p, label) > gain(p, out_ranking->labels[at - 1])))) {
            out_ranking->labels[at] = out_ranking->labels[at - 1];
            at--;
        }
        out_ranking->labels[at] = label;
    }
}

static uint32_t cheapest(const tnp_problem *p, uint32_t op) {
    uint32_t best = TNP_NONE;
    for (uint32_t label = 0; label < p->label_count; label++) {
        if (runs(p, op, label) &&
            (best == TNP_NONE || cost_of(p, op, label) < cost_of(p, op, best))) {
            best = label;
        }
    }
    return best;
}

// waiting[op]: how many uses of tensors by op are still to be produced.
static uint32_t *count_waiting(const tnp_problem *p) {
    uint32_t *waiting = calloc((size_t)p->op_count + 1, sizeof(*waiting));
    for (uint32_t i = 0; i < p->consumer_total && waiting != NULL; i++) {
        waiting[p->consumers[i]]++;
    }
    return waiting;
}

// Runs op: what waits for it waits for less.
static void run_op(const tnp_problem *p, const uint32_t *tensor_of, uint32_t op,
                   uint32_t *waiting) {
    waiting[op] = TNP_NONE;
    for (uint32_t t = tensor_of[op]; t < tensor_of[op + 1]; t++) {
        for (uint32_t i = 0; i < p->tensors[t].consumer_count; i++) {
            waiting[p->consumers[p->tensors[t].consumer_begin + i]]--;
        }
    }
}

// tensor_of[op]: its first tensor; problem files list tensors by producer.
static uint32_t *index_tensors(const tnp_problem *p) {
    uint32_t *tensor_of = calloc((size_t)p->op_count + 2, sizeof(*tensor_of));
    uint32_t t = 0;
    for (uint32_t op = 0; op <= p->op_count && tensor_of != NULL; op++) {
        while (t < p->tensor_count && p->tensors[t].producer < op) {
            t++;
        }
        tensor_of[op] = t;
    }
    return tensor_of;
}

// The order of runtimes that drain one device after another: everything ready for a device and what
// becomes ready by it, then the next device in the ranking that has something.
static int drain(const tnp_problem *p, const device_ranking *ranking, const uint32_t *label,
                 uint32_t *out_order) {
    uint32_t *waiting = count_waiting(p);
    uint32_t *tensor_of = index_tensors(p);
    uint32_t done = 0;
    uint32_t rank_now = 0;
    while (done < p->op_count && waiting != NULL && tensor_of != NULL) {
        uint32_t before = done;
        for (uint32_t op = 0; op < p->op_count; op++) {
            if (waiting[op] == 0 && label[op] == ranking->labels[rank_now]) {
                run_op(p, tensor_of, op, waiting);
                out_order[done++] = op;
            }
        }
        // From the most preferred again after every segment.
        rank_now = done > before ? 0 : rank_now + 1;
    }
    free(waiting);
    free(tensor_of);
    return done == p->op_count;
}

// ONNX Runtime: execution providers in the user's order, each takes all it can run of what is left.
static int decide_priority(const tnp_problem *p, uint32_t *out_label, uint32_t *out_order) {
    device_ranking ranking;
    rank(p, &ranking);
    for (uint32_t op = 0; op < p->op_count; op++) {
        for (uint32_t i = ranking.count; i-- > 0;) {
            out_label[op] = runs(p, op, ranking.labels[i]) ? ranking.labels[i] : out_label[op];
        }
    }
    return drain(p, &ranking, out_label, out_order);
}

// NNAPI: every op where it is fastest, then one device's queue is drained after another.
static int decide_fastest(const tnp_problem *p, uint32_t *out_label, uint32_t *out_order) {
    device_ranking ranking;
    rank(p, &ranking);
    for (uint32_t op = 0; op < p->op_count; op++) {
        out_label[op] = cheapest(p, op);
    }
    return drain(p, &ranking, out_label, out_order);
}

// The range of order with most ops of label in one segment.
static void largest_segment(const tnp_problem *p, const uint32_t *label, const uint32_t *order,
                            uint32_t of, uint32_t *out_begin, uint32_t *out_end) {
    uint32_t begin = 0;
    *out_begin = 0;
    *out_end = 0;
    for (uint32_t i = 0; i < p->op_count; i++) {
        begin = i > 0 && label[order[i]] == label[order[i - 1]] ? begin : i;
        if (label[order[i]] == of && i + 1 - begin > *out_end - *out_begin) {
            *out_begin = begin;
            *out_end = i + 1;
        }
    }
}

// TFLite with its GPU delegate: one accelerator; of its partitions the one with most ops, and the
// CPU runs the rest.
static int decide_largest(const tnp_problem *p, uint32_t *out_label, uint32_t *out_order) {
    device_ranking ranking;
    rank(p, &ranking);
    uint32_t device = ranking.labels[0];
    for (uint32_t op = 0; op < p->op_count; op++) {
        out_label[op] = runs(p, op, device) ? device : runs(p, op, 0) ? 0 : cheapest(p, op);
    }
    if (!drain(p, &ranking, out_label, out_order)) {
        return 0;
    }
    uint32_t begin;
    uint32_t end;
    largest_segment(p, out_label, out_order, device, &begin, &end);
    for (uint32_t i = 0; i < p->op_count; i++) {
        uint32_t op = out_order[i];
        int outside = i < begin || i >= end;
        out_label[op] = outside && runs(p, op, 0) ? 0 : out_label[op];
    }
    return drain(p, &ranking, out_label, out_order);
}

// One sweep of ggml's: a device spreads from op to op in the given order until one that it cannot
// run or that is taken. The host spreads only in later sweeps.
static void spread(const tnp_problem *p, int upwards, int host_too, uint32_t *label) {
    uint32_t current = TNP_NONE;
    for (uint32_t i = 0; i < p->op_count; i++) {
        uint32_t op = upwards ? p->op_count - 1 - i : i;
        if (label[op] != TNP_NONE) {
            current = label[op] == 0 && !host_too ? TNP_NONE : label[op];
        } else if (current != TNP_NONE && runs(p, op, current)) {
            label[op] = current;
        }
    }
}

// ggml: ops stay where their weights lie, which users put on the fastest device; the others join
// their neighbours in the order in which the model was built, and that order is run. Problems do
// not say what has weights: here the ops that cost the host more than the mean.
static int decide_expand(const tnp_problem *p, uint32_t *out_label, uint32_t *out_order) {
    device_ranking ranking;
    double total = 0;
    rank(p, &ranking);
    for (uint32_t op = 0; op < p->op_count; op++) {
        total += runs(p, op, 0) ? (double)cost_of(p, op, 0) : 0;
    }
    for (uint32_t op = 0; op < p->op_count; op++) {
        uint32_t able = 0;
        for (uint32_t label = 0; label < p->label_count; label++) {
            able += runs(p, op, label) ? 1u : 0u;
        }
        int heavy = runs(p, op, 0) && (double)cost_of(p, op, 0) * p->op_count > total;
        uint32_t first = runs(p, op, ranking.labels[0]) ? ranking.labels[0] : cheapest(p, op);
        out_label[op] = able == 1 ? cheapest(p, op) : heavy ? first : TNP_NONE;
        out_order[op] = op;
    }
    for (int host_too = 0; host_too < 2; host_too++) {
        spread(p, 0, host_too, out_label);
        spread(p, 1, host_too, out_label);
    }
    for (uint32_t op = 0; op < p->op_count; op++) {
        out_label[op] = out_label[op] == TNP_NONE ? cheapest(p, op) : out_label[op];
    }
    return 1;
}

const strategy strategies[STRATEGY_COUNT] = {
    {"priority", decide_priority},
    {"fastest", decide_fastest},
    {"largest", decide_largest},
    {"expand", decide_expand},
};
