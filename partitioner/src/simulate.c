// SPDX-License-Identifier: Apache-2.0
// One pass over the order: segments in turn, each as early as its queue, its copies and the
// segments that it reads from allow.
#include "simulate.h"

#include <string.h>

// Rounds in which the weights of labels are balanced.
#define BALANCE_ROUNDS 64u

tnp_status tnp_simulator_init(tnp_arena *arena, const tnp_graph *graph, tnp_simulator *out) {
    uint64_t ops = graph->op_count;
    uint64_t labels = graph->label_count;
    memset(out, 0, sizeof(*out));
    out->graph = graph;
    out->segment_of = tnp_arena_array(arena, ops, sizeof(uint32_t));
    out->seg_label = tnp_arena_array(arena, ops, sizeof(uint32_t));
    out->first = tnp_arena_array(arena, ops + 1, sizeof(uint32_t));
    out->work = tnp_arena_array(arena, ops, sizeof(int64_t));
    out->begin = tnp_arena_array(arena, ops, sizeof(int64_t));
    out->end = tnp_arena_array(arena, ops, sizeof(int64_t));
    out->earliest = tnp_arena_array(arena, ops * labels, sizeof(int64_t));
    out->arrival = tnp_arena_array(arena, graph->tensor_count * labels, sizeof(int64_t));
    out->free_at = tnp_arena_array(arena, labels, sizeof(int64_t));
    out->copies_end = tnp_arena_array(arena, labels, sizeof(int64_t));
    out->made_begin = tnp_arena_array(arena, ops + 2, sizeof(uint32_t));
    out->reads = tnp_arena_array(arena, graph->problem->consumer_total, sizeof(uint32_t));
    if (out->segment_of == NULL || out->seg_label == NULL || out->first == NULL ||
        out->work == NULL || out->begin == NULL || out->earliest == NULL || out->end == NULL ||
        out->arrival == NULL || out->free_at == NULL || out->copies_end == NULL ||
        out->made_begin == NULL || out->reads == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t t = 0; t < graph->tensor_count; t++) {
            const tnp_tensor *tensor = &graph->tensors[t];
            for (uint32_t i = 0; i < tensor->consumer_count; i++) {
                uint32_t op = graph->consumers[tensor->consumer_begin + i];
                if (pass == 0) {
                    out->made_begin[op + 2]++;
                } else {
                    out->reads[out->made_begin[op + 1]++] = t;
                }
            }
        }
        for (uint32_t op = 0; op < ops && pass == 0; op++) {
            out->made_begin[op + 2] += out->made_begin[op + 1];
        }
    }
    return TNP_OK;
}

static void cut_segments(tnp_simulator *s, const uint32_t *label, const uint32_t *order) {
    const tnp_graph *g = s->graph;
    s->segment_count = 0;
    for (uint32_t i = 0; i < g->op_count; i++) {
        uint32_t op = order[i];
        if (i == 0 || label[order[i - 1]] != label[op]) {
            s->seg_label[s->segment_count] = label[op];
            s->work[s->segment_count] = 0;
            s->first[s->segment_count++] = i;
        }
        s->segment_of[op] = s->segment_count - 1;
        s->work[s->segment_count - 1] += tnp_op_cost(g, op, label[op]);
    }
    s->first[s->segment_count] = g->op_count;
}

// Savings of claims that hold, off the segments that they are in.
static void apply_claims(tnp_simulator *s, const uint32_t *label) {
    const tnp_problem *p = s->graph->problem;
    for (uint32_t c = 0; c < p->claim_count; c++) {
        const tnp_claim *claim = &p->claims[c];
        const uint32_t *ops = p->claim_ops + claim->op_begin;
        uint32_t segment = s->segment_of[ops[0]];
        int holds = 1;
        for (uint32_t i = 0; i < claim->op_count; i++) {
            holds &= label[ops[i]] == claim->label && s->segment_of[ops[i]] == segment;
        }
        s->work[segment] -= holds ? claim->saving : 0;
    }
}

static int64_t later(int64_t a, int64_t b) {
    return a > b ? a : b;
}

// When a tensor of another label is there for one that reads it: the handover has to have happened,
// and the copy, which is made once.
static int64_t arrival(tnp_simulator *s, uint32_t tensor, uint32_t from, uint32_t to) {
    const tnp_graph *g = s->graph;
    uint32_t producer = s->segment_of[g->tensors[tensor].producer];
    int64_t *at = &s->arrival[(uint64_t)tensor * g->label_count + to];
    int64_t copy = tnp_copy_row(g, tensor, from)[to];
    if (*at < 0) {
        // Engine and queue wait for the producer's handover alike.
        int64_t ready = s->end[producer] + g->handover[from * g->label_count + to];
        *at = copy > 0 ? later(ready, s->copies_end[to]) + copy : ready;
        s->copies_end[to] = copy > 0 ? *at : s->copies_end[to];
    }
    return *at;
}

int64_t tnp_simulator_run(tnp_simulator *simulator, const uint32_t *label, const uint32_t *order) {
    tnp_simulator *s = simulator;
    const tnp_graph *g = s->graph;
    int64_t last = 0;
    cut_segments(s, label, order);
    apply_claims(s, label);
    memset(s->arrival, 0xff, (uint64_t)g->tensor_count * g->label_count * sizeof(int64_t));
    memset(s->free_at, 0, g->label_count * sizeof(int64_t));
    memset(s->copies_end, 0, g->label_count * sizeof(int64_t));
    for (uint32_t i = 0; i < s->segment_count; i++) {
        uint32_t here = s->seg_label[i];
        int64_t begin = s->free_at[here];
        for (uint32_t k = s->first[i]; k < s->first[i + 1]; k++) {
            uint32_t op = order[k];
            for (uint32_t r = s->made_begin[op]; r < s->made_begin[op + 1]; r++) {
                uint32_t from = label[g->tensors[s->reads[r]].producer];
                if (from != here) {
                    begin = later(begin, arrival(s, s->reads[r], from, here));
                }
            }
        }
        s->begin[i] = begin;
        s->end[i] = begin + s->work[i];
        s->free_at[here] = s->end[i];
        last = later(last, s->end[i]);
    }
    s->steps += (uint64_t)g->op_count * 2 + g->edge_count + g->tensor_count * g->label_count / 4;
    return last;
}

// Least cost of an op on a label, were all claims free: a bound must not count savings twice.
static int64_t all_savings(const tnp_problem *p) {
    int64_t sum = 0;
    for (uint32_t c = 0; c < p->claim_count; c++) {
        sum += p->claims[c].saving;
    }
    return sum;
}

// What bringing a tensor to another label takes.
static int64_t hop(const tnp_graph *g, uint32_t t, uint32_t from, uint32_t to) {
    return from == to ? 0 : g->handover[from * g->label_count + to] + tnp_copy_row(g, t, from)[to];
}

// The longest path: each op ends on each label as early as any labels of those before it allow.
static int64_t path_bound(tnp_simulator *s) {
    const tnp_graph *g = s->graph;
    uint32_t k = g->label_count;
    int64_t longest = 0;
    for (uint32_t op = 0; op < g->op_count; op++) {
        int64_t least = TNP_INFINITE;
        for (uint32_t label = 0; label < k; label++) {
            int64_t cost = tnp_op_cost(g, op, label);
            int64_t ready = 0;
            for (uint32_t r = s->made_begin[op]; r < s->made_begin[op + 1]; r++) {
                uint32_t t = s->reads[r];
                int64_t soonest = TNP_INFINITE;
                for (uint32_t from = 0; from < k; from++) {
                    int64_t at = s->earliest[(uint64_t)g->tensors[t].producer * k + from];
                    at = at == TNP_INFINITE ? at : at + hop(g, t, from, label);
                    soonest = at < soonest ? at : soonest;
                }
                ready = later(ready, soonest);
            }
            int64_t *out = &s->earliest[(uint64_t)op * k + label];
            *out = cost == TNP_UNSUPPORTED ? TNP_INFINITE : ready + cost;
            least = *out < least ? *out : least;
        }
        longest = later(longest, least);
    }
    return longest;
}

// For weights of labels that add up to one, the sum of every op's least weighted cost is at most
// the greatest load: the weights move towards labels that get too much.
static int64_t load_bound(tnp_simulator *s) {
    const tnp_graph *g = s->graph;
    uint32_t k = g->label_count;
    double weight[TNP_MAX_LABELS];
    double load[TNP_MAX_LABELS];
    double best = 0;
    for (uint32_t label = 0; label < k; label++) {
        weight[label] = 1.0 / k;
    }
    for (uint32_t round = 0; round < BALANCE_ROUNDS; round++) {
        double bound = 0;
        double total = 0;
        memset(load, 0, sizeof(load));
        for (uint32_t op = 0; op < g->op_count; op++) {
            uint32_t cheapest = TNP_NONE;
            double least = 0;
            for (uint32_t label = 0; label < k; label++) {
                int64_t cost = tnp_op_cost(g, op, label);
                double weighted = (double)cost * weight[label];
                if (cost != TNP_UNSUPPORTED && (cheapest == TNP_NONE || weighted < least)) {
                    cheapest = label;
                    least = weighted;
                }
            }
            bound += least;
            load[cheapest] += (double)tnp_op_cost(g, op, cheapest);
        }
        best = bound > best ? bound : best;
        double most = 1;
        for (uint32_t label = 0; label < k; label++) {
            most = load[label] > most ? load[label] : most;
        }
        for (uint32_t label = 0; label < k; label++) {
            weight[label] *= 1.0 + load[label] / most / (1.0 + round / 4.0);
            total += weight[label];
        }
        for (uint32_t label = 0; label < k; label++) {
            weight[label] /= total;
        }
    }
    s->steps += (uint64_t)g->op_count * k * BALANCE_ROUNDS / 4;
    // Rounding of sums of weighted costs stays far below one part in a million.
    return (int64_t)(best * (1.0 - 1e-6));
}

int64_t tnp_makespan_bound(tnp_simulator *simulator) {
    int64_t path = path_bound(simulator);
    int64_t load = load_bound(simulator);
    int64_t bound = later(path, load) - all_savings(simulator->graph->problem);
    return later(bound, 0);
}
