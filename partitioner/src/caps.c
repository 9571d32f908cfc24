// SPDX-License-Identifier: Apache-2.0
// Fitting labels into capacities, and the prices that say what a byte of each is worth.
#include "caps.h"

#include <stdlib.h>
#include <string.h>

// Sums of prices stay below this part of 2^53 (see dual.h).
#define MAX_PRICED ((double)((int64_t)1 << 50))

typedef struct tnp_caps_move {
    double loss; // per byte, on the cheapest other label
    uint32_t var;
} tnp_caps_move;

tnp_status tnp_caps_init(tnp_arena *arena, tnp_energy *energy, tnp_caps *out_caps) {
    const tnp_graph *g = energy->graph;
    memset(out_caps, 0, sizeof(*out_caps));
    out_caps->energy = energy;
    if (g->var_bytes == NULL) {
        return TNP_OK;
    }
    out_caps->moves = tnp_arena_array(arena, g->var_count, sizeof(tnp_caps_move));
    out_caps->used = tnp_arena_array(arena, g->label_count, sizeof(uint64_t));
    for (uint32_t var = 0; var < g->var_count; var++) {
        out_caps->total += g->var_bytes[var];
    }
    return out_caps->moves != NULL && out_caps->used != NULL ? TNP_OK : TNP_OUT_OF_MEMORY;
}

static void add_up(const tnp_caps *caps, const uint32_t *var_label) {
    const tnp_graph *g = caps->energy->graph;
    memset(caps->used, 0, g->label_count * sizeof(*caps->used));
    for (uint32_t var = 0; var < g->var_count; var++) {
        caps->used[var_label[var]] += g->var_bytes[var];
    }
}

static uint64_t capacity(const tnp_caps *caps, uint32_t label) {
    return caps->energy->graph->problem->label_capacity[label];
}

int tnp_caps_fit(const tnp_caps *caps, const uint32_t *var_label) {
    const tnp_graph *g = caps->energy->graph;
    if (g->var_bytes == NULL) {
        return 1;
    }
    add_up(caps, var_label);
    for (uint32_t label = 0; label < g->label_count; label++) {
        if (caps->used[label] > capacity(caps, label)) {
            return 0;
        }
    }
    return 1;
}

// Where var costs least among labels with room for it; TNP_NONE where there is none.
static uint32_t other_label(const tnp_caps *caps, uint32_t var, uint32_t label) {
    const tnp_graph *g = caps->energy->graph;
    const int64_t *cost = g->unary + (uint64_t)var * g->label_count;
    uint32_t best = TNP_NONE;
    for (uint32_t to = 0; to < g->label_count; to++) {
        uint64_t room =
            capacity(caps, to) > caps->used[to] ? capacity(caps, to) - caps->used[to] : 0;
        if (to != label && cost[to] != TNP_INFINITE && g->var_bytes[var] <= room &&
            (best == TNP_NONE || cost[to] < cost[best])) {
            best = to;
        }
    }
    return best;
}

static int by_loss(const void *a, const void *b) {
    const tnp_caps_move *x = a;
    const tnp_caps_move *y = b;
    if (x->loss != y->loss) {
        return x->loss < y->loss ? -1 : 1;
    }
    return x->var < y->var ? -1 : x->var > y->var;
}

// Empties label down to its capacity.
static void relieve(tnp_caps *caps, uint32_t label, uint32_t *var_label) {
    const tnp_graph *g = caps->energy->graph;
    uint32_t count = 0;
    for (uint32_t var = 0; var < g->var_count; var++) {
        uint32_t to = var_label[var] == label && g->var_bytes[var] > 0
                          ? other_label(caps, var, label)
                          : TNP_NONE;
        if (to != TNP_NONE) {
            const int64_t *cost = g->unary + (uint64_t)var * g->label_count;
            double loss = (double)(cost[to] - cost[label]) / (double)g->var_bytes[var];
            caps->moves[count++] = (tnp_caps_move){loss, var};
        }
    }
    qsort(caps->moves, count, sizeof(*caps->moves), by_loss);
    for (uint32_t i = 0; i < count && caps->used[label] > capacity(caps, label); i++) {
        uint32_t var = caps->moves[i].var;
        uint32_t to = other_label(caps, var, label);
        if (to != TNP_NONE) {
            caps->used[label] -= g->var_bytes[var];
            caps->used[to] += g->var_bytes[var];
            var_label[var] = to;
        }
    }
}

int tnp_caps_mend(tnp_caps *caps, uint32_t *var_label) {
    const tnp_graph *g = caps->energy->graph;
    int fit = 1;
    if (g->var_bytes == NULL) {
        return 1;
    }
    add_up(caps, var_label);
    for (uint32_t label = 0; label < g->label_count; label++) {
        if (caps->used[label] > capacity(caps, label)) {
            relieve(caps, label, var_label);
        }
        fit &= caps->used[label] <= capacity(caps, label);
    }
    return fit;
}

// A step of the subgradient as long as Polyak's, so that closing the gap would take one if prices
// were all that was missing.
void tnp_caps_reprice(tnp_caps *caps, const uint32_t *var_label, int64_t gap) {
    tnp_energy *energy = caps->energy;
    const tnp_graph *g = energy->graph;
    if (g->var_bytes == NULL) {
        return;
    }
    add_up(caps, var_label);
    double square = 0;
    for (uint32_t label = 0; label < g->label_count; label++) {
        if (capacity(caps, label) < caps->total) {
            double excess = (double)caps->used[label] - (double)capacity(caps, label);
            square += excess > 0 || energy->byte_price[label] > 0 ? excess * excess : 0;
        }
    }
    double step = square > 0 ? (double)gap * (double)energy->scale / square : 0;
    double limit = MAX_PRICED / ((double)caps->total + 1);
    for (uint32_t label = 0; label < g->label_count; label++) {
        if (capacity(caps, label) < caps->total) {
            double excess = (double)caps->used[label] - (double)capacity(caps, label);
            double price = (double)energy->byte_price[label] + step * excess;
            price = price < 0 ? 0 : price > limit ? limit : price;
            energy->byte_price[label] = (int64_t)price;
        }
    }
}
