// SPDX-License-Identifier: Apache-2.0
// The bound's passes only move costs: what any labels cost in its tables stays what they cost, to
// the last unit; no cost gets negative; and the bound never falls.
#include "dual.h"
#include "splits.h"
#include "support/partition/random_problem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PROBLEMS 300u
#define PASSES 12u
#define OPS 24u

static void *heap_alloc(void *user_data, uint64_t size_bytes) {
    (void)user_data;
    return malloc(size_bytes);
}

static void heap_free(void *user_data, void *pointer, uint64_t size_bytes) {
    (void)user_data;
    (void)size_bytes;
    free(pointer);
}

static const tnp_allocator heap = {heap_alloc, heap_free, NULL};

typedef struct fixture {
    random_problem random;
    tnp_arena arena;
    tnp_graph graph;
    tnp_energy energy;
    tnp_dual dual;
} fixture;

// A dual with a random part of the flow on every dependency. Returns 0 where groups leave no plan.
static int fixture_init(fixture *f, uint64_t seed, random_features features) {
    uint32_t culprit;
    int64_t *metrics;
    uint32_t metric_count;
    random_problem_make(seed, OPS, 2 + (uint32_t)(seed % 3), features, &f->random);
    f->arena = (tnp_arena){&heap, NULL};
    if (tnp_graph_init(&f->arena, &f->random.problem, &f->graph, &culprit) != TNP_OK) {
        tnp_arena_release(&f->arena);
        return 0;
    }
    assert_int_equal(tnp_split_handovers(&f->arena, &f->graph, &metrics, &metric_count), TNP_OK);
    assert_int_equal(tnp_energy_init(&f->arena, &f->graph, metrics, metric_count, &f->energy),
                     TNP_OK);
    assert_int_equal(tnp_dual_init(&f->arena, &f->energy, &f->dual), TNP_OK);
    return 1;
}

static void draw_flows(fixture *f) {
    for (uint32_t i = 0; i < f->graph.edge_count * f->energy.metric_count; i++) {
        f->energy.flow[i] = random_below(&f->random.state, (uint32_t)f->energy.scale + 1);
    }
    tnp_dual_update(&f->dual);
}

// What node (a star's or claim's) costs at best with its neighbours' labels fixed.
static double best_of(const tnp_dual *d, uint32_t node, const uint32_t *label) {
    double best = HUGE_VAL;
    for (uint32_t z = 0; z < d->nodes[node].labels; z++) {
        double sum = d->values[d->nodes[node].cost + z];
        for (uint32_t e = 0; e < d->edge_count; e++) {
            const tnp_dual_edge *edge = &d->edges[e];
            uint64_t columns = d->nodes[edge->to].labels;
            if (edge->from == node) {
                sum += d->values[edge->table + z * columns + label[d->nodes[edge->to].var]];
            } else if (edge->to == node) {
                sum += d->values[edge->table + label[d->nodes[edge->from].var] * columns + z];
            }
        }
        best = sum < best ? sum : best;
    }
    return best;
}

static double cost_in_tables(const tnp_dual *d, const uint32_t *label) {
    double sum = d->values[0];
    for (uint32_t node = 0; node < d->node_count; node++) {
        const tnp_dual_node *n = &d->nodes[node];
        sum += n->var == TNP_NONE ? best_of(d, node, label) : d->values[n->cost + label[n->var]];
    }
    for (uint32_t e = 0; e < d->edge_count; e++) {
        const tnp_dual_edge *edge = &d->edges[e];
        uint32_t from = d->nodes[edge->from].var;
        uint32_t to = d->nodes[edge->to].var;
        if (from != TNP_NONE && to != TNP_NONE) {
            sum += d->values[edge->table + (uint64_t)label[from] * d->nodes[edge->to].labels +
                             label[to]];
        }
    }
    return sum;
}

static int draw_labels(fixture *f, uint32_t *out_label) {
    const tnp_graph *g = &f->graph;
    for (uint32_t var = 0; var < g->var_count; var++) {
        do {
            out_label[var] = random_below(&f->random.state, g->label_count);
        } while (g->unary[(uint64_t)var * g->label_count + out_label[var]] == TNP_INFINITE);
    }
    for (uint32_t c = 0; c < g->problem->claim_count; c++) {
        const tnp_claim *claim = &g->problem->claims[c];
        for (uint32_t i = 0; i < claim->op_count; i++) {
            uint32_t var = g->var_of[g->problem->claim_ops[claim->op_begin + i]];
            // Bound ops without their claim cost infinity in the tables only.
            if (claim->bound_count > 0 && out_label[var] == claim->label) {
                return 0;
            }
        }
    }
    return 1;
}

static void assert_no_cost_is_negative(const tnp_dual *d) {
    for (uint64_t i = 1; i < d->value_count; i++) {
        assert_true(d->values[i] >= 0);
    }
}

static void check_passes(fixture *f, uint64_t *io_compared) {
    uint32_t label[OPS];
    for (uint32_t pass = 0; pass < PASSES; pass++) {
        if (pass % 4 == 0) {
            draw_flows(f);
        }
        double before = f->dual.values[0];
        if (!tnp_dual_pass(&f->dual, INT64_MAX, pass % 2 == 0 ? label : NULL)) {
            assert_true(f->graph.problem->claim_count > 0); // bound ops at odds: no plan
            return;
        }
        assert_true(f->dual.values[0] >= before);
        assert_no_cost_is_negative(&f->dual);
        if (draw_labels(f, label)) {
            double cost = cost_in_tables(&f->dual, label);
            assert_true(cost == (double)tnp_energy_total(&f->energy, label));
            ++*io_compared;
        }
    }
}

static void dual_pass__only_moves_costs(void **state) {
    (void)state;
    static fixture f;
    uint64_t compared = 0;
    for (uint64_t seed = 1; seed <= PROBLEMS; seed++) {
        random_features features =
            (seed % 2 == 0 ? RANDOM_GROUPS : 0) | (seed % 5 == 0 ? RANDOM_CLAIMS : 0);
        if (fixture_init(&f, seed, features)) {
            check_passes(&f, &compared);
            tnp_arena_release(&f.arena);
        }
    }
    assert_true(compared > PROBLEMS * PASSES / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dual_pass__only_moves_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
