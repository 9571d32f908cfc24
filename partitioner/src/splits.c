// SPDX-License-Identifier: Apache-2.0
// Takes splits off the handover costs one after another; what is left over is a metric too.
#include "splits.h"

#include <string.h>

#define MAX_METRICS 24u
// More labels than this are not split.
#define MAX_LABELS 16u
// What one split takes others no longer can, so each takes a third at a time.
#define SHARE 3
#define TURNS 12u

typedef struct splitting {
    int64_t *rest; // [from][to]
    int64_t *metrics;
    uint32_t label_count;
    uint32_t count;
} splitting;

static int64_t least_of(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most_of(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int has(uint64_t set, uint32_t label) {
    return (int)((set >> label) & 1u);
}

static int is_zero(const int64_t *d, uint32_t k) {
    for (uint32_t i = 0; i < k * k; i++) {
        if (d[i] != 0) {
            return 0;
        }
    }
    return 1;
}

static int is_even(const int64_t *d, uint32_t k) {
    for (uint32_t a = 0; a < k; a++) {
        for (uint32_t b = 0; b < a; b++) {
            if (d[a * k + b] != d[b * k + a]) {
                return 0;
            }
        }
    }
    return 1;
}

// Twice the isolation index of a set of labels (Bandelt and Dress): the weight with which telling
// it from the rest is part of the metric.
static int64_t isolation(const int64_t *d, uint32_t k, uint64_t set) {
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < k; i++) {
        for (uint32_t j = i; j < k && has(set, i); j++) {
            for (uint32_t p = 0; p < k && has(set, j); p++) {
                for (uint32_t q = p; q < k && !has(set, p); q++) {
                    if (has(set, q)) {
                        continue;
                    }
                    int64_t inside = d[i * k + j] + d[p * k + q];
                    int64_t across =
                        most_of(d[i * k + p] + d[j * k + q], d[i * k + q] + d[j * k + p]);
                    least = least_of(least, most_of(inside, across) - inside);
                }
            }
        }
    }
    return least;
}

// The most that every way out of set can lose and the rest still obey the triangle inequality: a
// detour a, b, c that crosses into or out of set and ends on the side where it began must not
// become shorter than the way a, c.
static int64_t outward_slack(const int64_t *d, uint32_t k, uint64_t set) {
    int64_t least = INT64_MAX;
    for (uint32_t a = 0; a < k; a++) {
        for (uint32_t b = 0; b < k; b++) {
            if (has(set, a) == has(set, b)) {
                continue;
            }
            least = has(set, a) ? least_of(least, d[a * k + b]) : least;
            for (uint32_t c = 0; c < k; c++) {
                if (has(set, c) == has(set, a)) {
                    least = least_of(least, d[a * k + b] + d[b * k + c] - d[a * k + c]);
                }
            }
        }
    }
    return least;
}

// Moves weight from the rest to the metric at index: on ways out of set, and into it if both_ways.
static void move_weight(splitting *s, uint32_t index, uint64_t set, int both_ways, int64_t weight) {
    uint32_t k = s->label_count;
    int64_t *metric = s->metrics + (uint64_t)index * k * k;
    for (uint32_t a = 0; a < k; a++) {
        for (uint32_t b = 0; b < k; b++) {
            if (has(set, a) != has(set, b) && (both_ways || has(set, a))) {
                metric[a * k + b] += weight;
                s->rest[a * k + b] -= weight;
            }
        }
    }
}

static uint32_t set_size(uint64_t set) {
    uint32_t size = 0;
    for (; set != 0; set &= set - 1) {
        size++;
    }
    return size;
}

static void split_even(splitting *s) {
    uint32_t k = s->label_count;
    // Single labels, and pairs where there are few labels; of a split in halves one side is enough.
    uint32_t limit = k == 4 || (k > 4 && k <= 8) ? 2 : 1;
    int64_t whole[MAX_LABELS * MAX_LABELS];
    memcpy(whole, s->rest, (uint64_t)k * k * sizeof(*whole));
    for (uint64_t set = 1; set < (uint64_t)1 << k && s->count + 1 < MAX_METRICS; set++) {
        uint32_t size = set_size(set);
        int64_t weight =
            size > limit || (2 * size == k && has(set, 0)) ? 0 : isolation(whole, k, set) / 2;
        if (weight > 0) {
            move_weight(s, s->count++, set, 1, weight);
        }
    }
}

// All sets of up to four labels; of more only single labels and all but one.
static void split_uneven(splitting *s) {
    uint32_t k = s->label_count;
    uint64_t sets[MAX_METRICS];
    for (uint64_t set = 1; set + 1 < (uint64_t)1 << k && s->count + 1 < MAX_METRICS; set++) {
        uint32_t size = set_size(set);
        if (k <= 4 || size == 1 || size == k - 1) {
            sets[s->count++] = set;
        }
    }
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        for (uint32_t i = 0; i < s->count; i++) {
            int64_t weight = outward_slack(s->rest, k, sets[i]);
            move_weight(s, i, sets[i], 0, turn + 1 < TURNS ? weight / SHARE : weight);
        }
    }
}

static void drop_empty(splitting *s) {
    uint64_t cells = (uint64_t)s->label_count * s->label_count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!is_zero(s->metrics + i * cells, s->label_count)) {
            memmove(s->metrics + kept * cells, s->metrics + i * cells, cells * sizeof(*s->metrics));
            kept++;
        }
    }
    s->count = kept;
}

tnp_status tnp_split_handovers(tnp_arena *arena, const tnp_graph *graph, int64_t **out_metrics,
                               uint32_t *out_count) {
    uint32_t k = graph->label_count;
    uint64_t cells = (uint64_t)k * k;
    splitting s = {.label_count = k};
    s.metrics = tnp_arena_array(arena, MAX_METRICS * cells, sizeof(*s.metrics));
    s.rest = tnp_arena_array(arena, cells, sizeof(*s.rest));
    if (s.metrics == NULL || s.rest == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    memcpy(s.rest, graph->handover, cells * sizeof(*s.rest));
    if (k > 2 && k <= MAX_LABELS) {
        if (is_even(s.rest, k)) {
            split_even(&s);
        } else {
            split_uneven(&s);
        }
        drop_empty(&s);
    }
    if (!is_zero(s.rest, k) || s.count == 0) {
        memcpy(s.metrics + s.count * cells, s.rest, cells * sizeof(*s.rest));
        s.count++;
    }
    *out_metrics = s.metrics;
    *out_count = s.count;
    return TNP_OK;
}
