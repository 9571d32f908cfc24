// SPDX-License-Identifier: Apache-2.0
// Level by level, one segment a level; a state is dropped when its bound reaches the best known, or
// another state has run at least as much for no more. Exact unless a level overflows the width.
#include "beam.h"

#include <string.h>

// Beyond this many ops copies of frontiers cost more than better sequences bring.
#define MAX_OPS 2000u
// Steps of one search.
#define MAX_WORK 2000000u
// Steps kept to retrace the best way; a search that needs more stops there.
#define MAX_STEPS 65536u

tnp_status tnp_beam_init(tnp_arena *arena, tnp_schedule *schedule, tnp_beam *out_beam) {
    uint32_t ops = schedule->graph->op_count;
    memset(out_beam, 0, sizeof(*out_beam));
    out_beam->schedule = schedule;
    out_beam->width = ops > MAX_OPS ? 0 : TNP_BEAM_WIDTH;
    out_beam->states =
        tnp_arena_array(arena, (uint64_t)out_beam->width * 2, sizeof(*out_beam->states));
    uint64_t steps = ((uint64_t)ops + 1) * out_beam->width;
    out_beam->step_capacity = steps < MAX_STEPS ? (uint32_t)steps : MAX_STEPS;
    out_beam->steps = tnp_arena_array(arena, out_beam->step_capacity, sizeof(*out_beam->steps));
    out_beam->sequence = tnp_arena_array(arena, ops, sizeof(*out_beam->sequence));
    if (out_beam->states == NULL || out_beam->steps == NULL || out_beam->sequence == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    tnp_status status = TNP_OK;
    for (uint32_t i = 0; i < out_beam->width * 2 && status == TNP_OK; i++) {
        status = tnp_frontier_init(arena, schedule->graph, &out_beam->states[i].frontier);
    }
    return status;
}

static int has_run_all_of(const tnp_graph *graph, const tnp_frontier *a, const tnp_frontier *b) {
    if (a->done < b->done) {
        return 0;
    }
    for (uint32_t op = 0; op < graph->op_count; op++) {
        if (b->waiting[op] == TNP_NONE && a->waiting[op] != TNP_NONE) {
            return 0;
        }
    }
    return 1;
}

static int is_dominated(const tnp_beam *beam, const tnp_beam_state *level, uint32_t count,
                        uint32_t label, int64_t cost) {
    for (uint32_t i = 0; i < count; i++) {
        beam->schedule->work += 1;
        if (level[i].label == label && level[i].cost <= cost &&
            level[i].frontier.done >= beam->schedule->frontier.done) {
            beam->schedule->work += beam->schedule->graph->op_count / 8;
            if (has_run_all_of(beam->schedule->graph, &level[i].frontier,
                               &beam->schedule->frontier)) {
                return 1;
            }
        }
    }
    return 0;
}

// Where the next state goes: a free place, or that of the worst state when it is worse.
static tnp_beam_state *place_for(tnp_beam *beam, tnp_beam_state *level, uint32_t *count,
                                 int64_t bound) {
    if (*count < beam->width) {
        return &level[(*count)++];
    }
    tnp_beam_state *worst = &level[0];
    for (uint32_t i = 1; i < beam->width; i++) {
        worst = level[i].bound > worst->bound ? &level[i] : worst;
    }
    beam->exact = 0;
    return worst->bound > bound ? worst : NULL;
}

static void remember_sequence(tnp_beam *beam, uint32_t before, uint32_t label) {
    uint32_t count = 1;
    for (uint32_t step = before; step != TNP_NONE; step = beam->steps[step].before) {
        count++;
    }
    beam->sequence_count = count;
    beam->sequence[--count] = label;
    for (uint32_t step = before; step != TNP_NONE; step = beam->steps[step].before) {
        beam->sequence[--count] = beam->steps[step].label;
    }
}

// Runs label after from (null: at the start).
static void extend(tnp_beam *beam, const tnp_beam_state *from, const tnp_frontier *start,
                   uint32_t label, tnp_beam_state *level, uint32_t *count, int64_t *best) {
    tnp_schedule *s = beam->schedule;
    const tnp_graph *g = s->graph;
    tnp_frontier_copy(g, from != NULL ? &from->frontier : start, &s->frontier);
    s->work += g->op_count / 4;
    int64_t cost =
        from != NULL ? from->cost + g->handover[from->label * g->label_count + label] : 0;
    uint32_t before = from != NULL ? from->step : TNP_NONE;
    if (cost >= *best || tnp_schedule_segment(s, label) == 0) {
        return;
    }
    if (s->frontier.done == g->op_count) {
        *best = cost;
        remember_sequence(beam, before, label);
        return;
    }
    int64_t bound = cost + tnp_schedule_remaining(s, label);
    if (bound >= *best || is_dominated(beam, level, *count, label, cost)) {
        return;
    }
    tnp_beam_state *state = place_for(beam, level, count, bound);
    if (state == NULL) {
        return;
    }
    if (beam->step_count == beam->step_capacity) {
        beam->exact = 0;
        *count -= state == &level[*count - 1] ? 1u : 0u;
        return;
    }
    tnp_frontier_copy(g, &s->frontier, &state->frontier);
    state->cost = cost;
    state->bound = bound;
    state->label = label;
    state->step = beam->step_count;
    beam->steps[beam->step_count++] = (tnp_beam_step){before, label};
}

static void replay(tnp_beam *beam, const uint32_t *label) {
    tnp_schedule_start(beam->schedule, label);
    for (uint32_t i = 0; i < beam->sequence_count; i++) {
        tnp_schedule_segment(beam->schedule, beam->sequence[i]);
    }
}

int tnp_beam_search(tnp_beam *beam, const uint32_t *label, int64_t *io_handovers) {
    tnp_schedule *s = beam->schedule;
    uint32_t labels = s->graph->label_count;
    tnp_beam_state *level = beam->states;
    tnp_beam_state *next = beam->states + beam->width;
    int64_t best = *io_handovers;
    uint32_t count = 0;
    beam->step_count = 0;
    beam->exact = beam->width > 0;
    if (beam->width == 0) {
        return 0;
    }
    uint64_t stop_at = s->work + MAX_WORK;
    tnp_schedule_start(s, label);
    // The last state of the second level is free until the first level is full of states.
    tnp_frontier *start = &next[beam->width - 1].frontier;
    tnp_frontier_copy(s->graph, &s->frontier, start);
    for (uint32_t to = 0; to < labels; to++) {
        if (start->first[to] != TNP_NONE) {
            extend(beam, NULL, start, to, level, &count, &best);
        }
    }
    while (count > 0) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t to = 0; to < labels && level[i].bound < best; to++) {
                if (to != level[i].label && level[i].frontier.first[to] != TNP_NONE) {
                    extend(beam, &level[i], NULL, to, next, &found, &best);
                }
            }
        }
        tnp_beam_state *swap = level;
        level = next;
        next = swap;
        count = found;
        if (s->work > stop_at && count > 0) {
            beam->exact = 0;
            break;
        }
    }
    if (best >= *io_handovers) {
        return 0;
    }
    *io_handovers = best;
    replay(beam, label);
    return 1;
}
