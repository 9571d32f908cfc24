// SPDX-License-Identifier: Apache-2.0
// The network of a move. A variable's node ends on the source's side when it stays and on the
// sink's when it moves. "Pays once if any of these moves (or stays)" takes one more node: that is
// how one copy serves all consumers on a label, and how a claim holds only whole.
#include "move.h"

#include <string.h>

tnp_status tnp_mover_init(tnp_arena *arena, const tnp_energy *energy, tnp_mover *out_mover) {
    const tnp_graph *g = energy->graph;
    tnp_mover *m = out_mover;
    memset(m, 0, sizeof(*m));
    m->energy = energy;
    m->node = tnp_arena_array(arena, g->var_count, sizeof(uint32_t));
    m->stay = tnp_arena_array(arena, g->var_count, sizeof(uint32_t));
    m->take = tnp_arena_array(arena, g->var_count, sizeof(uint32_t));
    if (m->node == NULL || m->stay == NULL || m->take == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    // A star has a node for each label that a consumer leaves or enters, with an arc to the
    // consumer and one to the producer.
    uint64_t star_uses = 0;
    for (uint32_t i = 0; i < energy->star_count; i++) {
        star_uses += g->tensors[energy->stars[i]].consumer_count;
    }
    uint64_t claim_ops = g->problem->claim_op_total;
    uint64_t nodes = g->var_count + 2 * star_uses + g->problem->claim_count;
    uint64_t arcs = (uint64_t)g->edge_count + g->op_count + 4 * star_uses + claim_ops;
    if (nodes >= UINT32_MAX / 4 || arcs >= UINT32_MAX / 4) {
        return TNP_OUT_OF_MEMORY;
    }
    return tnp_maxflow_init(arena, (uint32_t)nodes, (uint32_t)arcs, &m->flow);
}

static int moves(const tnp_mover *m, uint32_t var) {
    return m->node[var] != TNP_NONE;
}

// A cost of two variables: cost[0][0] when both stay, cost[1][0] when only u moves. Where it is not
// submodular the two one-sided costs are raised: right for the present labels, too dear elsewhere.
static void add_pair(tnp_mover *m, uint32_t u, uint32_t v, int64_t cost[2][2]) {
    tnp_maxflow *f = &m->flow;
    if (!moves(m, u) && !moves(m, v)) {
        return;
    }
    if (!moves(m, v)) {
        tnp_maxflow_add_unary(f, m->node[u], cost[0][0], cost[1][0]);
        return;
    }
    if (!moves(m, u)) {
        tnp_maxflow_add_unary(f, m->node[v], cost[0][0], cost[0][1]);
        return;
    }
    int64_t lacking = cost[0][0] + cost[1][1] - cost[0][1] - cost[1][0];
    if (lacking > 0) {
        cost[0][1] += lacking;
    }
    // cost = c00 + (c10 - c00) u + (c11 - c10) v + (c01 + c10 - c00 - c11) (1 - u) v
    tnp_maxflow_add_unary(f, m->node[u], cost[0][0], cost[1][0]);
    tnp_maxflow_add_unary(f, m->node[v], 0, cost[1][1] - cost[1][0]);
    tnp_maxflow_add_arc(f, m->node[u], m->node[v],
                        cost[0][1] + cost[1][0] - cost[0][0] - cost[1][1], 0);
}

static void add_edge(tnp_mover *m, uint32_t edge) {
    const tnp_graph *g = m->energy->graph;
    uint32_t u = g->var_of[g->edges[edge].from];
    uint32_t v = g->var_of[g->edges[edge].to];
    if (u == v || (!moves(m, u) && !moves(m, v))) {
        return;
    }
    uint32_t from[2] = {m->stay[u], m->take[u]};
    uint32_t to[2] = {m->stay[v], m->take[v]};
    int64_t cost[2][2];
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t a = from[i / 2];
        uint32_t b = to[i % 2];
        cost[i / 2][i % 2] =
            a == b ? 0
                   : tnp_energy_copies(m->energy, edge, a, b) +
                         (m->chain == NULL ? tnp_energy_prices(m->energy, edge, a, b) : 0);
    }
    add_pair(m, u, v, cost);
}

static void add_chain(tnp_mover *m) {
    const tnp_graph *g = m->energy->graph;
    for (uint32_t i = 1; i < g->op_count; i++) {
        uint32_t u = g->var_of[m->chain[i - 1]];
        uint32_t v = g->var_of[m->chain[i]];
        uint32_t from[2] = {m->stay[u], m->take[u]};
        uint32_t to[2] = {m->stay[v], m->take[v]};
        int64_t cost[2][2];
        if (u == v) {
            continue;
        }
        for (uint32_t j = 0; j < 4; j++) {
            cost[j / 2][j % 2] =
                g->handover[from[j / 2] * g->label_count + to[j % 2]] * m->energy->scale;
        }
        add_pair(m, u, v, cost);
    }
}

// A cost that is due when some consumer is on a label that the moves change: stays[0] when the
// producer stays, stays[1] when it moves. gate is 1 (source's side) while no consumer is there.
static void add_gated(tnp_mover *m, uint32_t producer, uint32_t gate, int gate_opens_by_moving,
                      int64_t when_stays, int64_t when_moves) {
    tnp_maxflow *f = &m->flow;
    uint32_t p = m->node[producer];
    if (gate_opens_by_moving) {
        // Open on the sink's side.
        if (p == TNP_NONE) {
            tnp_maxflow_add_unary(f, gate, 0, when_stays);
            return;
        }
        if (when_moves > when_stays) {
            when_moves = when_stays; // does not occur: the label is the producer's then
        }
        tnp_maxflow_add_unary(f, gate, 0, when_moves);
        tnp_maxflow_add_arc(f, p, gate, when_stays - when_moves, 0);
        return;
    }
    // Open on the source's side.
    if (p == TNP_NONE) {
        tnp_maxflow_add_unary(f, gate, when_stays, 0);
        return;
    }
    if (when_stays > when_moves) {
        // Not submodular: the difference is due whenever the producer stays, which is right now.
        tnp_maxflow_add_unary(f, p, when_stays - when_moves, 0);
        when_stays = when_moves;
    }
    tnp_maxflow_add_unary(f, gate, when_stays, 0);
    tnp_maxflow_add_arc(f, gate, p, when_moves - when_stays, 0);
}

// The copy of tensor to label "to". Consumers there now, and consumers that may come; the moves
// never mix both.
static void add_star_label(tnp_mover *m, uint32_t tensor, uint32_t to) {
    const tnp_graph *g = m->energy->graph;
    const tnp_tensor *t = &g->tensors[tensor];
    uint32_t producer = g->var_of[t->producer];
    int64_t when_stays = tnp_copy_row(g, tensor, m->stay[producer])[to] * m->energy->scale;
    int64_t when_moves = tnp_copy_row(g, tensor, m->take[producer])[to] * m->energy->scale;
    uint32_t gate = TNP_NONE;
    int by_moving = 0;
    for (uint32_t i = 0; i < t->consumer_count; i++) {
        uint32_t var = g->var_of[g->consumers[t->consumer_begin + i]];
        if (m->stay[var] == to && !moves(m, var)) {
            if (moves(m, producer)) {
                tnp_maxflow_add_unary(&m->flow, m->node[producer], when_stays, when_moves);
            }
            return;
        }
    }
    if (when_stays == 0 && when_moves == 0) {
        return;
    }
    for (uint32_t i = 0; i < t->consumer_count; i++) {
        uint32_t var = g->var_of[g->consumers[t->consumer_begin + i]];
        if (!moves(m, var) || var == producer || (m->stay[var] != to && m->take[var] != to)) {
            continue;
        }
        by_moving = m->take[var] == to;
        gate = gate == TNP_NONE ? tnp_maxflow_add_node(&m->flow) : gate;
        if (by_moving) {
            tnp_maxflow_add_arc(&m->flow, gate, m->node[var], TNP_INFINITE, 0);
        } else {
            tnp_maxflow_add_arc(&m->flow, m->node[var], gate, TNP_INFINITE, 0);
        }
    }
    if (gate != TNP_NONE) {
        add_gated(m, producer, gate, by_moving, when_stays, when_moves);
    }
}

static void add_star(tnp_mover *m, uint32_t tensor) {
    const tnp_graph *g = m->energy->graph;
    const tnp_tensor *t = &g->tensors[tensor];
    uint64_t labels = 0;
    int any = moves(m, g->var_of[t->producer]);
    for (uint32_t i = 0; i < t->consumer_count; i++) {
        uint32_t var = g->var_of[g->consumers[t->consumer_begin + i]];
        labels |= ((uint64_t)1 << m->stay[var]) | ((uint64_t)1 << m->take[var]);
        any |= moves(m, var);
    }
    for (uint32_t to = 0; any && to < g->label_count; to++) {
        if ((labels >> to) & 1u) {
            add_star_label(m, tensor, to);
        }
    }
}

// What a claim's ops can do: whether all are on its label when they stay, or when they move.
typedef struct claim_sides {
    int whole_now;
    int whole_later;
    int any_moves;
} claim_sides;

static claim_sides look_at_claim(const tnp_mover *m, const tnp_claim *claim) {
    const tnp_graph *g = m->energy->graph;
    claim_sides sides = {1, 1, 0};
    for (uint32_t i = 0; i < claim->op_count; i++) {
        uint32_t var = g->var_of[g->problem->claim_ops[claim->op_begin + i]];
        sides.whole_now &= m->stay[var] == claim->label;
        // An op that is there already may stay: staying and moving both suit.
        sides.whole_later &= m->take[var] == claim->label;
        sides.any_moves |= moves(m, var);
    }
    return sides;
}

// Bound ops whose claim no choice here makes hold keep off its label.
static void forbid_bound(tnp_mover *m, const tnp_claim *claim) {
    const tnp_graph *g = m->energy->graph;
    for (uint32_t i = 0; i < claim->bound_count; i++) {
        uint32_t var = g->var_of[g->problem->claim_ops[claim->op_begin + i]];
        if (moves(m, var) && m->take[var] == claim->label) {
            tnp_maxflow_add_unary(&m->flow, m->node[var], 0, TNP_INFINITE);
        } else if (moves(m, var) && m->stay[var] == claim->label) {
            tnp_maxflow_add_unary(&m->flow, m->node[var], TNP_INFINITE, 0);
        }
    }
}

// gate is on the sink's side as soon as one op leaves, or on the source's while one has not come. A
// bound op cannot be on the label then.
static void add_claim(tnp_mover *m, const tnp_claim *claim) {
    const tnp_graph *g = m->energy->graph;
    claim_sides sides = look_at_claim(m, claim);
    if (!sides.whole_now && !sides.whole_later) {
        forbid_bound(m, claim);
        return;
    }
    if (!sides.any_moves) {
        return;
    }
    int one_stays = 0; // bound, and on the label whatever the others do
    uint32_t gate = tnp_maxflow_add_node(&m->flow);
    for (uint32_t i = 0; i < claim->op_count; i++) {
        uint32_t var = g->var_of[g->problem->claim_ops[claim->op_begin + i]];
        int64_t back = i < claim->bound_count ? TNP_INFINITE : 0;
        if (!moves(m, var)) {
            one_stays |= i < claim->bound_count;
        } else if (sides.whole_now) {
            tnp_maxflow_add_arc(&m->flow, gate, m->node[var], TNP_INFINITE, back);
        } else {
            tnp_maxflow_add_arc(&m->flow, m->node[var], gate, TNP_INFINITE, back);
        }
    }
    int64_t lost = one_stays ? TNP_INFINITE : claim->saving * m->energy->scale;
    tnp_maxflow_add_unary(&m->flow, gate, sides.whole_now ? 0 : lost, sides.whole_now ? lost : 0);
}

static uint32_t solve(tnp_mover *m, uint32_t *io_label) {
    const tnp_graph *g = m->energy->graph;
    uint32_t nodes = 0;
    for (uint32_t var = 0; var < g->var_count; var++) {
        m->node[var] = m->stay[var] == m->take[var] ? TNP_NONE : nodes++;
    }
    tnp_maxflow_reset(&m->flow, nodes);
    for (uint32_t var = 0; var < g->var_count; var++) {
        if (moves(m, var)) {
            tnp_maxflow_add_unary(&m->flow, m->node[var],
                                  tnp_energy_unary(m->energy, var, m->stay[var]),
                                  tnp_energy_unary(m->energy, var, m->take[var]));
        }
    }
    for (uint32_t e = 0; e < g->edge_count; e++) {
        add_edge(m, e);
    }
    for (uint32_t i = 0; i < m->energy->star_count; i++) {
        add_star(m, m->energy->stars[i]);
    }
    for (uint32_t c = 0; c < g->problem->claim_count; c++) {
        add_claim(m, &g->problem->claims[c]);
    }
    if (m->chain != NULL) {
        add_chain(m);
    }
    m->flow.work += (uint64_t)m->flow.arc_count * 2 + g->edge_count;
    tnp_maxflow_run(&m->flow);
    uint32_t moved = 0;
    for (uint32_t var = 0; var < g->var_count; var++) {
        if (moves(m, var) && tnp_maxflow_side(&m->flow, m->node[var])) {
            io_label[var] = m->take[var];
            moved++;
        }
    }
    return moved;
}

uint32_t tnp_expand(tnp_mover *mover, const uint32_t *chain, uint32_t label, uint32_t *io_label) {
    const tnp_graph *g = mover->energy->graph;
    mover->chain = chain;
    for (uint32_t var = 0; var < g->var_count; var++) {
        int can = g->unary[(uint64_t)var * g->label_count + label] != TNP_INFINITE;
        mover->stay[var] = io_label[var];
        mover->take[var] = can ? label : io_label[var];
    }
    return solve(mover, io_label);
}
