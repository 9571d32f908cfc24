// SPDX-License-Identifier: Apache-2.0
// Closures over ready ops, held claims, and the greedy choice of the next label.
#include "schedule.h"

#include <string.h>

static uint64_t frontier_words(const tnp_graph *graph) {
    return (uint64_t)graph->op_count * 3 + (uint64_t)graph->label_count * 2;
}

tnp_status tnp_frontier_init(tnp_arena *arena, const tnp_graph *graph, tnp_frontier *out_frontier) {
    uint32_t *words = tnp_arena_array(arena, frontier_words(graph), sizeof(*words));
    memset(out_frontier, 0, sizeof(*out_frontier));
    if (words == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    out_frontier->waiting = words;
    out_frontier->next = words + graph->op_count;
    out_frontier->prev = words + (uint64_t)graph->op_count * 2;
    out_frontier->first = words + (uint64_t)graph->op_count * 3;
    out_frontier->last = out_frontier->first + graph->label_count;
    return TNP_OK;
}

void tnp_frontier_copy(const tnp_graph *graph, const tnp_frontier *from, tnp_frontier *to) {
    memcpy(to->waiting, from->waiting, frontier_words(graph) * sizeof(uint32_t));
    to->done = from->done;
}

tnp_status tnp_schedule_init(tnp_arena *arena, const tnp_graph *graph, tnp_schedule *out_schedule) {
    tnp_schedule *s = out_schedule;
    memset(s, 0, sizeof(*s));
    s->graph = graph;
    uint64_t claims = graph->problem->claim_count;
    s->order = tnp_arena_array(arena, graph->op_count, sizeof(*s->order));
    s->tail = tnp_arena_array(arena, graph->op_count, sizeof(*s->tail));
    s->joined = tnp_arena_array(arena, claims, sizeof(*s->joined));
    s->held = tnp_arena_array(arena, claims, sizeof(*s->held));
    s->blocked = tnp_arena_array(arena, claims, sizeof(*s->blocked));
    s->deferred = tnp_arena_array(arena, claims > 0 ? graph->op_count : 0, sizeof(*s->deferred));
    tnp_status status = tnp_frontier_init(arena, graph, &s->frontier);
    int complete = s->order != NULL && s->tail != NULL && s->joined != NULL && s->held != NULL &&
                   s->blocked != NULL && s->deferred != NULL;
    return complete ? status : TNP_OUT_OF_MEMORY;
}

static void push_ready(tnp_frontier *f, uint32_t label, uint32_t op) {
    f->next[op] = TNP_NONE;
    f->prev[op] = f->last[label];
    if (f->last[label] == TNP_NONE) {
        f->first[label] = op;
    } else {
        f->next[f->last[label]] = op;
    }
    f->last[label] = op;
}

static void remove_ready(tnp_frontier *f, uint32_t label, uint32_t op) {
    if (f->prev[op] == TNP_NONE) {
        f->first[label] = f->next[op];
    } else {
        f->next[f->prev[op]] = f->next[op];
    }
    if (f->next[op] == TNP_NONE) {
        f->last[label] = f->prev[op];
    } else {
        f->prev[f->next[op]] = f->prev[op];
    }
}

void tnp_schedule_start(tnp_schedule *schedule, const uint32_t *label) {
    const tnp_graph *g = schedule->graph;
    tnp_frontier *f = &schedule->frontier;
    schedule->label = label;
    f->done = 0;
    memset(f->first, 0xff, (uint64_t)g->label_count * 2 * sizeof(uint32_t));
    for (uint32_t op = 0; op < g->op_count; op++) {
        f->waiting[op] = g->in_begin[op + 1] - g->in_begin[op];
        if (f->waiting[op] == 0) {
            push_ready(f, label[op], op);
        }
    }
    for (uint32_t op = g->op_count; op-- > 0;) {
        int64_t most = 0;
        for (uint32_t e = g->out_begin[op]; e < g->out_begin[op + 1]; e++) {
            uint32_t to = g->edges[e].to;
            int64_t way = schedule->tail[to] + g->handover[label[op] * g->label_count + label[to]];
            most = way > most ? way : most;
        }
        schedule->tail[op] = most;
    }
    schedule->work += (uint64_t)g->op_count + g->edge_count;
}

static uint32_t held_claim(const tnp_schedule *s, uint32_t op, uint32_t label) {
    uint32_t claim = s->held_count > 0 ? tnp_claim_at(s->graph, op, label) : TNP_NONE;
    return claim != TNP_NONE && s->held[claim] ? claim : TNP_NONE;
}

static void run_op(tnp_schedule *s, uint32_t op) {
    const tnp_graph *g = s->graph;
    tnp_frontier *f = &s->frontier;
    s->order[f->done++] = op;
    f->waiting[op] = TNP_NONE;
    for (uint32_t e = g->out_begin[op]; e < g->out_begin[op + 1]; e++) {
        uint32_t to = g->edges[e].to;
        if (--f->waiting[to] == 0) {
            push_ready(f, s->label[to], to);
        }
    }
    s->work += 1 + g->out_begin[op + 1] - g->out_begin[op];
}

static void undo_op(tnp_schedule *s, uint32_t op) {
    const tnp_graph *g = s->graph;
    tnp_frontier *f = &s->frontier;
    for (uint32_t e = g->out_begin[op]; e < g->out_begin[op + 1]; e++) {
        uint32_t to = g->edges[e].to;
        if (f->waiting[to]++ == 0) {
            remove_ready(f, s->label[to], to);
        }
    }
    f->waiting[op] = 0;
    f->done--;
    push_ready(f, s->label[op], op);
}

// One closure that leaves out ops of blocked claims.
static void close_over(tnp_schedule *s, uint32_t label) {
    tnp_frontier *f = &s->frontier;
    uint32_t deferred = 0;
    while (f->first[label] != TNP_NONE) {
        uint32_t op = f->first[label];
        uint32_t claim = held_claim(s, op, label);
        remove_ready(f, label, op);
        if (claim != TNP_NONE && s->blocked[claim]) {
            s->deferred[deferred++] = op;
            continue;
        }
        if (claim != TNP_NONE) {
            s->joined[claim]++;
        }
        run_op(s, op);
    }
    for (uint32_t i = 0; i < deferred; i++) {
        push_ready(f, label, s->deferred[i]);
    }
}

// Blocks the held claims that joined in part; returns whether there were any. Clears joined.
static int block_parts(tnp_schedule *s, uint32_t label, uint32_t begin) {
    int found = 0;
    for (uint32_t i = begin; i < s->frontier.done; i++) {
        uint32_t claim = held_claim(s, s->order[i], label);
        if (claim != TNP_NONE && s->joined[claim] > 0) {
            if (s->joined[claim] < s->graph->problem->claims[claim].op_count) {
                s->blocked[claim] = 1;
                found = 1;
            }
            s->joined[claim] = 0;
        }
    }
    return found;
}

uint32_t tnp_schedule_segment(tnp_schedule *schedule, uint32_t label) {
    tnp_schedule *s = schedule;
    uint32_t begin = s->frontier.done;
    if (s->held_count == 0) {
        close_over(s, label);
        return s->frontier.done - begin;
    }
    // Leaving a claim out can leave out others that depend on it, so until all that joined are
    // whole; each round blocks one at least.
    memset(s->blocked, 0, s->graph->problem->claim_count);
    close_over(s, label);
    while (block_parts(s, label, begin)) {
        while (s->frontier.done > begin) {
            undo_op(s, s->order[s->frontier.done - 1]);
        }
        close_over(s, label);
    }
    return s->frontier.done - begin;
}

int64_t tnp_schedule_remaining(const tnp_schedule *schedule, uint32_t label) {
    const tnp_graph *g = schedule->graph;
    int64_t most = 0;
    for (uint32_t to = 0; to < g->label_count; to++) {
        int64_t enter = label == TNP_NONE ? 0 : g->handover[label * g->label_count + to];
        for (uint32_t op = schedule->frontier.first[to]; op != TNP_NONE;
             op = schedule->frontier.next[op]) {
            int64_t way = enter + schedule->tail[op];
            most = way > most ? way : most;
        }
    }
    return most;
}

// The label other than current whose ready ops have the longest way to go.
static uint32_t most_urgent(const tnp_schedule *s, uint32_t current, uint64_t tried) {
    const tnp_frontier *f = &s->frontier;
    uint32_t best = TNP_NONE;
    int64_t best_way = -1;
    for (uint32_t label = 0; label < s->graph->label_count; label++) {
        if (label == current || ((tried >> label) & 1u)) {
            continue;
        }
        for (uint32_t op = f->first[label]; op != TNP_NONE; op = f->next[op]) {
            if (s->tail[op] > best_way) {
                best_way = s->tail[op];
                best = label;
            }
        }
    }
    return best;
}

int tnp_schedule_greedy(tnp_schedule *schedule, const uint32_t *label, uint32_t first,
                        int64_t *out_handovers) {
    tnp_schedule *s = schedule;
    uint32_t current = TNP_NONE;
    uint64_t tried = 0; // labels that held claims kept from running since the last op ran
    int64_t cost = 0;
    tnp_schedule_start(s, label);
    while (s->frontier.done < s->graph->op_count) {
        uint32_t next = current == TNP_NONE && first != TNP_NONE && tried == 0
                            ? first
                            : most_urgent(s, current, tried);
        if (next == TNP_NONE) {
            return 0;
        }
        if (tnp_schedule_segment(s, next) == 0) {
            tried |= (uint64_t)1 << next;
            continue;
        }
        cost +=
            current == TNP_NONE ? 0 : s->graph->handover[current * s->graph->label_count + next];
        current = next;
        tried = 0;
    }
    *out_handovers = cost;
    return 1;
}
