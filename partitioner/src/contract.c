// SPDX-License-Identifier: Apache-2.0
// Let A be a variable (one op, or several that share a label) and B another that it exchanges
// tensors with. If for every label b of B and every other label a of A, whatever the labels of all
// other ops, moving A from a to b makes no plan dearer, then some cheapest plan has A on B's label:
// take any cheapest plan and move A. So A and B become one variable, and since the optimum stays
// what it was, the same holds again for what is left.
//
// What moving A can cost more is added up from bounds that hold for any labels of the others:
//
// Ops: the difference of A's costs. A must support every label that B does.
//
// Copies of a tensor of A. Let E be the labels of its readers outside A. Before, sum of w(a, c)
// over c in E; after, of w(b, c), where w(a, a) = w(b, b) = 0. If B reads it, b is in E and w(a, b)
// is saved. Other labels cost at most w(b, c) - w(a, c) more each, and there are at most as many as
// there are other readers.
//
// Copies of a tensor that A reads, made on label p by an op outside A. The copy to b is new unless
// another reader is there, as B is if it reads it; the copy to a goes unless another reader is
// there. If B made it, p is b, and only the copy to a goes.
//
// Handovers: nothing, if all that depends on any op of A is in A or B and every op of A has such a
// dependent. Take A's ops from last to first and put each directly before the first of its
// dependents, which is on b by then: no handover is new there, and where the op was, handovers
// only go, since their costs obey the triangle inequality. Dependents stay behind, and what an op
// depends on was before it and it only moved back. In the same way nothing, if every op of A
// depends on something and only on A and B: from first to last, each directly after the last it
// depends on. An op for which this does not hold is moved where it is: handovers to b and back from
// it are new at most. (Of an op that moves to its place and one that stays in it the latter comes
// first, and is on b when the former needs it.)
//
// Claims: an op of a claim does not move (its saving could go). Ops that move beside others of
// their label split no segment. One that is moved where it is might, so that is left where claims
// are.
//
// Capacities: only ops without bytes move.
#include "contract.h"

#include <string.h>

// Larger variables are not moved as A (they may still be B): looking at them takes time.
#define MOST_OPS 12u
#define ROUNDS 4u

typedef struct contraction {
    tnp_graph *graph;
    uint32_t *parent;   // [var]: the variable that it became one with; itself if none
    uint32_t *size;     // [var]: ops
    uint32_t *first_op; // [var]: a list, and
    uint32_t *last_op;
    uint32_t *next_op;    // [op]
    uint32_t *made_begin; // [op]: range of made: tensors of an op
    uint32_t *made;
    uint32_t *read_begin; // [op]: range of read: tensors that an op reads
    uint32_t *read;
    uint8_t *claimed; // [var]: has ops of claims
    uint64_t *labels; // [var]: where it can be
    uint8_t *fresh;   // [var]: joined in the round before this one, or in this one
    uint8_t *joined;  // [var]: in this one
    uint32_t *seen;   // [tensor]: stamp of the last move that counted it
    uint32_t stamp;
    uint64_t work;
} contraction;

// A moves from one label to another, B being there.
typedef struct move {
    uint32_t a; // variables
    uint32_t b;
    uint32_t from; // labels
    uint32_t to;
} move;

static tnp_status contraction_init(tnp_arena *arena, tnp_graph *g, contraction *c) {
    uint64_t ops = g->op_count;
    memset(c, 0, sizeof(*c));
    c->graph = g;
    c->parent = tnp_arena_array(arena, ops, sizeof(uint32_t));
    c->size = tnp_arena_array(arena, ops, sizeof(uint32_t));
    c->first_op = tnp_arena_array(arena, ops, sizeof(uint32_t));
    c->last_op = tnp_arena_array(arena, ops, sizeof(uint32_t));
    c->next_op = tnp_arena_array(arena, ops, sizeof(uint32_t));
    c->made_begin = tnp_arena_array(arena, ops + 2, sizeof(uint32_t));
    c->made = tnp_arena_array(arena, g->tensor_count, sizeof(uint32_t));
    c->read_begin = tnp_arena_array(arena, ops + 2, sizeof(uint32_t));
    c->read = tnp_arena_array(arena, g->problem->consumer_total, sizeof(uint32_t));
    c->claimed = tnp_arena_array(arena, ops, 1);
    c->labels = tnp_arena_array(arena, ops, sizeof(uint64_t));
    c->fresh = tnp_arena_array(arena, ops, 1);
    c->joined = tnp_arena_array(arena, ops, 1);
    c->seen = tnp_arena_array(arena, g->tensor_count, sizeof(uint32_t));
    return c->parent != NULL && c->size != NULL && c->first_op != NULL && c->last_op != NULL &&
                   c->next_op != NULL && c->made_begin != NULL && c->made != NULL &&
                   c->read_begin != NULL && c->read != NULL && c->claimed != NULL &&
                   c->labels != NULL && c->fresh != NULL && c->joined != NULL && c->seen != NULL
               ? TNP_OK
               : TNP_OUT_OF_MEMORY;
}

static void list_tensors(contraction *c) {
    const tnp_graph *g = c->graph;
    for (uint32_t t = 0; t < g->tensor_count; t++) {
        c->made_begin[g->tensors[t].producer + 2]++;
        for (uint32_t i = 0; i < g->tensors[t].consumer_count; i++) {
            c->read_begin[g->consumers[g->tensors[t].consumer_begin + i] + 2]++;
        }
    }
    for (uint32_t op = 0; op < g->op_count; op++) {
        c->made_begin[op + 2] += c->made_begin[op + 1];
        c->read_begin[op + 2] += c->read_begin[op + 1];
    }
    for (uint32_t t = 0; t < g->tensor_count; t++) {
        c->made[c->made_begin[g->tensors[t].producer + 1]++] = t;
        for (uint32_t i = 0; i < g->tensors[t].consumer_count; i++) {
            c->read[c->read_begin[g->consumers[g->tensors[t].consumer_begin + i] + 1]++] = t;
        }
    }
}

static void list_ops(contraction *c) {
    const tnp_graph *g = c->graph;
    for (uint32_t var = 0; var < g->var_count; var++) {
        c->parent[var] = var;
        for (uint32_t label = 0; label < g->label_count; label++) {
            int can = g->unary[(uint64_t)var * g->label_count + label] != TNP_INFINITE;
            c->labels[var] |= (uint64_t)can << label;
        }
    }
    for (uint32_t op = 0; op < g->op_count; op++) {
        uint32_t var = g->var_of[op];
        c->next_op[op] = TNP_NONE;
        if (c->size[var]++ == 0) {
            c->first_op[var] = op;
        } else {
            c->next_op[c->last_op[var]] = op;
        }
        c->last_op[var] = op;
    }
    for (uint32_t i = 0; i < g->problem->claim_op_total && g->problem->claim_count > 0; i++) {
        c->claimed[g->var_of[g->problem->claim_ops[i]]] = 1;
    }
}

static uint32_t var_of(contraction *c, uint32_t op) {
    uint32_t var = c->graph->var_of[op];
    while (c->parent[var] != var) {
        c->parent[var] = c->parent[c->parent[var]];
        var = c->parent[var];
    }
    return var;
}

static int64_t unary(const contraction *c, uint32_t var, uint32_t label) {
    return c->graph->unary[(uint64_t)var * c->graph->label_count + label];
}

// Readers of a tensor other than A's ops and the producer's variable.
typedef struct readers {
    int b_reads;
    uint32_t others;
    uint64_t labels; // where the others can be
} readers;

static readers look_at_readers(contraction *c, const move *m, uint32_t tensor) {
    const tnp_graph *g = c->graph;
    const tnp_tensor *t = &g->tensors[tensor];
    uint32_t producer = var_of(c, t->producer);
    readers r = {0, 0, 0};
    for (uint32_t i = 0; i < t->consumer_count; i++) {
        uint32_t var = var_of(c, g->consumers[t->consumer_begin + i]);
        if (var == m->b) {
            r.b_reads = 1;
        } else if (var != m->a && var != producer) {
            r.others++;
            r.labels |= c->labels[var];
        }
    }
    c->work += 4 + 2u * t->consumer_count;
    return r;
}

// The most that copies of a tensor of A can cost more.
static int64_t made_change(contraction *c, const move *m, uint32_t tensor) {
    const int64_t *before = tnp_copy_row(c->graph, tensor, m->from);
    const int64_t *after = tnp_copy_row(c->graph, tensor, m->to);
    readers r = look_at_readers(c, m, tensor);
    int64_t sum = 0;
    int64_t most = 0;
    for (uint32_t to = 0; to < c->graph->label_count && r.others > 0; to++) {
        if (to != m->to && ((r.labels >> to) & 1u)) {
            int64_t more = after[to] - before[to];
            sum += more > 0 ? more : 0;
            most = more > most ? more : most;
        }
    }
    return (r.others == 1 ? most : sum) - (r.b_reads ? before[m->to] : 0);
}

// The same of a tensor that A reads and does not make.
static int64_t read_change(contraction *c, const move *m, uint32_t tensor) {
    const tnp_graph *g = c->graph;
    uint32_t producer = var_of(c, g->tensors[tensor].producer);
    readers r = look_at_readers(c, m, tensor);
    int copy_goes = ((r.labels >> m->from) & 1u) == 0;
    int64_t most = INT64_MIN;
    for (uint32_t p = 0; p < g->label_count; p++) {
        if ((producer == m->b && p != m->to) || ((c->labels[producer] >> p) & 1u) == 0) {
            continue;
        }
        const int64_t *copy = tnp_copy_row(g, tensor, p);
        int64_t more = (r.b_reads ? 0 : copy[m->to]) - (copy_goes ? copy[m->from] : 0);
        most = more > most ? more : most;
    }
    return most;
}

static int64_t copies_change(contraction *c, const move *m) {
    int64_t sum = 0;
    c->stamp++;
    for (uint32_t op = c->first_op[m->a]; op != TNP_NONE; op = c->next_op[op]) {
        for (uint32_t i = c->made_begin[op]; i < c->made_begin[op + 1]; i++) {
            sum += made_change(c, m, c->made[i]);
        }
        for (uint32_t i = c->read_begin[op]; i < c->read_begin[op + 1]; i++) {
            uint32_t tensor = c->read[i];
            if (c->seen[tensor] != c->stamp &&
                var_of(c, c->graph->tensors[tensor].producer) != m->a) {
                c->seen[tensor] = c->stamp;
                sum += read_change(c, m, tensor);
            }
        }
    }
    return sum;
}

// Ops of A that do not move beside others: that something outside A and B depends on (or that
// depend on it), or nothing.
static uint32_t count_stuck(contraction *c, uint32_t a, uint32_t b, int by_dependents) {
    const tnp_graph *g = c->graph;
    const uint32_t *begin = by_dependents ? g->out_begin : g->in_begin;
    uint32_t stuck = 0;
    for (uint32_t op = c->first_op[a]; op != TNP_NONE; op = c->next_op[op]) {
        int moves = begin[op] < begin[op + 1];
        for (uint32_t i = begin[op]; i < begin[op + 1] && moves; i++) {
            uint32_t other = by_dependents ? g->edges[i].to : g->edges[g->in_edges[i]].from;
            uint32_t var = var_of(c, other);
            moves = var == a || var == b;
            c->work++;
        }
        stuck += moves ? 0 : 1;
    }
    return stuck;
}

static int pays(contraction *c, const move *m, uint32_t stuck) {
    const tnp_graph *g = c->graph;
    uint32_t k = g->label_count;
    int64_t handovers = g->handover[m->from * k + m->to] + g->handover[m->to * k + m->from];
    int64_t dearer = unary(c, m->a, m->to) - unary(c, m->a, m->from) + stuck * handovers;
    return dearer + copies_change(c, m) <= 0;
}

static int pays_for_all(contraction *c, uint32_t a, uint32_t b, uint32_t stuck) {
    uint32_t k = c->graph->label_count;
    for (uint32_t from = 0; from < k; from++) {
        for (uint32_t to = 0; to < k; to++) {
            move m = {a, b, from, to};
            if (from != to && ((c->labels[a] >> from) & 1u) && ((c->labels[b] >> to) & 1u) &&
                !pays(c, &m, stuck)) {
                return 0;
            }
        }
    }
    return 1;
}

// The move that costs A most, which fails first.
static move dearest_move(const contraction *c, uint32_t a, uint32_t b) {
    move m = {a, b, TNP_NONE, TNP_NONE};
    for (uint32_t label = 0; label < c->graph->label_count; label++) {
        int64_t cost = unary(c, a, label);
        if (((c->labels[b] >> label) & 1u) && (m.to == TNP_NONE || cost > unary(c, a, m.to))) {
            m.to = label;
        }
        if (((c->labels[a] >> label) & 1u) && (m.from == TNP_NONE || cost < unary(c, a, m.from))) {
            m.from = label;
        }
    }
    return m;
}

// Whether some cheapest plan has A on B's label.
static int follows(contraction *c, uint32_t a, uint32_t b) {
    const tnp_graph *g = c->graph;
    if (c->size[a] > MOST_OPS || c->claimed[a] || (c->labels[b] & ~c->labels[a]) != 0 ||
        (g->var_bytes != NULL && g->var_bytes[a] > 0)) {
        return 0;
    }
    uint32_t after = count_stuck(c, a, b, 1);
    uint32_t before = after > 0 ? count_stuck(c, a, b, 0) : 0;
    uint32_t stuck = after < before ? after : before;
    if (stuck > 0 && g->problem->claim_count > 0) {
        return 0;
    }
    move first = dearest_move(c, a, b);
    return (first.from == first.to || pays(c, &first, stuck)) && pays_for_all(c, a, b, stuck);
}

static void join(contraction *c, uint32_t a, uint32_t b) {
    tnp_graph *g = c->graph;
    uint32_t into = a < b ? a : b;
    uint32_t from = a < b ? b : a;
    c->parent[from] = into;
    c->size[into] += c->size[from];
    c->claimed[into] |= c->claimed[from];
    c->labels[into] &= c->labels[from];
    c->joined[into] = 1;
    c->next_op[c->last_op[into]] = c->first_op[from];
    c->last_op[into] = c->last_op[from];
    for (uint32_t label = 0; label < g->label_count; label++) {
        int64_t *sum = &g->unary[(uint64_t)into * g->label_count + label];
        int64_t more = unary(c, from, label);
        *sum = *sum == TNP_INFINITE || more == TNP_INFINITE ? TNP_INFINITE : *sum + more;
    }
    if (g->var_bytes != NULL) {
        g->var_bytes[into] += g->var_bytes[from];
    }
}

// Variables keep the order of their first ops.
static void renumber(contraction *c) {
    tnp_graph *g = c->graph;
    uint32_t *number = c->size;
    uint32_t count = 0;
    for (uint32_t var = 0; var < g->var_count; var++) {
        if (c->parent[var] == var) {
            memmove(g->unary + (uint64_t)count * g->label_count,
                    g->unary + (uint64_t)var * g->label_count, g->label_count * sizeof(*g->unary));
            if (g->var_bytes != NULL) {
                g->var_bytes[count] = g->var_bytes[var];
            }
            number[var] = count++;
        }
    }
    for (uint32_t op = 0; op < g->op_count; op++) {
        g->var_of[op] = number[var_of(c, op)];
    }
    g->var_count = count;
}

// Looks at every dependency whose ends changed since they were looked at. Returns how many joined.
static uint32_t join_neighbours(contraction *c) {
    const tnp_graph *g = c->graph;
    uint32_t count = 0;
    for (uint32_t e = 0; e < g->edge_count; e++) {
        uint32_t from = var_of(c, g->edges[e].from);
        uint32_t to = var_of(c, g->edges[e].to);
        int changed = c->fresh[from] || c->fresh[to] || c->joined[from] || c->joined[to];
        if (from != to && changed && (follows(c, to, from) || follows(c, from, to))) {
            join(c, from, to);
            count++;
        }
    }
    return count;
}

tnp_status tnp_contract(tnp_arena *arena, tnp_graph *graph, uint64_t *out_work) {
    contraction c;
    if (contraction_init(arena, graph, &c) != TNP_OK) {
        return TNP_OUT_OF_MEMORY;
    }
    list_tensors(&c);
    list_ops(&c);
    memset(c.fresh, 1, graph->var_count);
    uint32_t joined = graph->label_count > 1 ? 1 : 0;
    for (uint32_t round = 0; round < ROUNDS && joined > 0; round++) {
        joined = join_neighbours(&c);
        memcpy(c.fresh, c.joined, graph->var_count);
        memset(c.joined, 0, graph->var_count);
        c.work += (uint64_t)graph->edge_count + graph->op_count;
    }
    renumber(&c);
    *out_work = c.work;
    return TNP_OK;
}
