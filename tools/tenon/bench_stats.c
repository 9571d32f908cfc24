// SPDX-License-Identifier: Apache-2.0
// Percentiles, intervals by resampling, and trust.
#include "bench_stats.h"

#include "seeded_random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGN_FLIPS 10000u

static int ascending(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int ascending_ratio(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static uint64_t rank_of(uint64_t count, uint32_t percent) {
    uint64_t rank = count / 100 * percent + (count % 100 * percent + 99) / 100;
    return rank > 0 ? rank - 1 : 0;
}

uint64_t bench_percentile(const uint64_t *sorted, uint64_t count, uint32_t percent) {
    return sorted[rank_of(count, percent)];
}

// The value that would be at index if values were sorted; reorders them (Hoare's selection).
static uint64_t select_at(uint64_t *values, uint64_t count, uint64_t index) {
    uint64_t from = 0;
    uint64_t to = count - 1;
    while (from < to) {
        uint64_t pivot = values[from + (to - from) / 2];
        uint64_t i = from;
        uint64_t j = to;
        for (;;) {
            while (values[i] < pivot) {
                i++;
            }
            while (values[j] > pivot) {
                j--;
            }
            if (i >= j) {
                break;
            }
            uint64_t swap = values[i];
            values[i++] = values[j];
            values[j--] = swap;
        }
        // Everything up to j is at most the pivot, everything from j + 1 on at least.
        if (index <= j) {
            to = j;
        } else {
            from = j + 1;
        }
    }
    return values[index];
}

static uint64_t median_in_place(uint64_t *values, uint64_t count) {
    return select_at(values, count, rank_of(count, 50));
}

bool bench_summarise(const uint64_t *samples, uint64_t count, bench_summary *out_summary) {
    bench_summary *s = out_summary;
    *s = (bench_summary){.count = count, .halves = 1};
    uint64_t *copy = count > 0 ? malloc(count * sizeof(*copy)) : NULL;
    if (copy == NULL) {
        return false;
    }
    uint64_t half = count / 2;
    if (count >= 4) {
        memcpy(copy, samples, count * sizeof(*copy));
        double first = (double)median_in_place(copy, half);
        double second = (double)median_in_place(copy + half, count - half);
        s->halves = first > 0 ? second / first : 1;
    }
    memcpy(copy, samples, count * sizeof(*copy));
    qsort(copy, count, sizeof(*copy), ascending);
    s->min_ns = copy[0];
    s->max_ns = copy[count - 1];
    s->p50_ns = bench_percentile(copy, count, 50);
    s->p90_ns = bench_percentile(copy, count, 90);
    s->p95_ns = bench_percentile(copy, count, 95);
    s->p99_ns = bench_percentile(copy, count, 99);
    for (uint64_t i = 0; i < count; i++) {
        s->mean_ns += (double)copy[i] / (double)count;
        copy[i] = copy[i] > s->p50_ns ? copy[i] - s->p50_ns : s->p50_ns - copy[i];
    }
    s->mad_ns = median_in_place(copy, count);
    free(copy);
    return true;
}

static double quotient(uint64_t other, uint64_t base) {
    return (double)(other > 0 ? other : 1) / (double)(base > 0 ? base : 1);
}

// Samples of the two sides, and room to resample them.
typedef struct resampling {
    const uint64_t *base;
    const uint64_t *other;
    uint64_t base_count;
    uint64_t other_count;
    bool paired;
    uint64_t *drawn_base;
    uint64_t *drawn_other;
    double *ratios; // BENCH_RESAMPLES of them
} resampling;

static void draw(const resampling *r, uint64_t *random) {
    for (uint64_t i = 0; i < r->base_count; i++) {
        uint64_t from = seeded_random(random) % r->base_count;
        r->drawn_base[i] = r->base[from];
        if (r->paired) {
            r->drawn_other[i] = r->other[from];
        }
    }
    for (uint64_t i = 0; i < r->other_count && !r->paired; i++) {
        r->drawn_other[i] = r->other[seeded_random(random) % r->other_count];
    }
}

static double drawn_ratio(const resampling *r) {
    return quotient(median_in_place(r->drawn_other, r->other_count),
                    median_in_place(r->drawn_base, r->base_count));
}

// The interval between the 2.5th and the 97.5th percentile of resampled ratios.
static bool resample(resampling *r, uint64_t seed, bench_ratio *out_ratio) {
    r->drawn_base = malloc(r->base_count * sizeof(*r->drawn_base));
    r->drawn_other = malloc(r->other_count * sizeof(*r->drawn_other));
    r->ratios = malloc(BENCH_RESAMPLES * sizeof(*r->ratios));
    bool ok = r->drawn_base != NULL && r->drawn_other != NULL && r->ratios != NULL;
    if (ok) {
        uint64_t random = seed;
        memcpy(r->drawn_base, r->base, r->base_count * sizeof(*r->base));
        memcpy(r->drawn_other, r->other, r->other_count * sizeof(*r->other));
        *out_ratio = (bench_ratio){.ratio = drawn_ratio(r), .p_value = -1};
        for (uint32_t i = 0; i < BENCH_RESAMPLES; i++) {
            draw(r, &random);
            r->ratios[i] = drawn_ratio(r);
        }
        qsort(r->ratios, BENCH_RESAMPLES, sizeof(*r->ratios), ascending_ratio);
        out_ratio->low = r->ratios[BENCH_RESAMPLES / 40 - 1];
        out_ratio->high = r->ratios[BENCH_RESAMPLES - BENCH_RESAMPLES / 40];
    }
    free(r->drawn_base);
    free(r->drawn_other);
    free(r->ratios);
    return ok;
}

// Were the sides alike, each pair's logarithm could as well have the other sign: the share of such
// flips that give a sum at least as large. The flip that was observed is one of them.
static double sign_flip_p_value(const double *logs, uint64_t count, uint64_t seed) {
    double observed = 0;
    uint64_t random = seed;
    uint64_t reached = 1;
    for (uint64_t i = 0; i < count; i++) {
        observed += logs[i];
    }
    for (uint32_t flip = 0; flip < SIGN_FLIPS; flip++) {
        double sum = 0;
        uint64_t bits = 0;
        for (uint64_t i = 0; i < count; i++, bits >>= 1) {
            bits = i % 64 == 0 ? seeded_random(&random) : bits;
            sum += (bits & 1) != 0 ? logs[i] : -logs[i];
        }
        reached += fabs(sum) >= fabs(observed) * (1 - 1e-12);
    }
    return (double)reached / (SIGN_FLIPS + 1);
}

bool bench_ratio_of_pairs(const uint64_t *base, const uint64_t *other, uint64_t count,
                          uint64_t seed, bench_ratio *out_ratio) {
    resampling r = {base, other, count, count, true, NULL, NULL, NULL};
    double *logs = malloc(count * sizeof(*logs));
    bool ok = logs != NULL && resample(&r, seed, out_ratio);
    if (ok) {
        for (uint64_t i = 0; i < count; i++) {
            logs[i] = log(quotient(other[i], base[i]));
        }
        out_ratio->p_value = sign_flip_p_value(logs, count, seed + 1);
    }
    free(logs);
    return ok;
}

bool bench_ratio_of_samples(const uint64_t *base, uint64_t base_count, const uint64_t *other,
                            uint64_t other_count, uint64_t seed, bench_ratio *out_ratio) {
    resampling r = {base, other, base_count, other_count, false, NULL, NULL, NULL};
    return resample(&r, seed, out_ratio);
}

int bench_ratio_sign(const bench_ratio *ratio) {
    if (ratio->p_value >= 0.05) {
        return 0;
    }
    return ratio->high < 1 ? -1 : ratio->low > 1 ? 1 : 0;
}

const char *bench_level_text(bench_level level) {
    return level == BENCH_HIGH ? "high" : level == BENCH_MEDIUM ? "medium" : "low";
}

// Adds a reason, and takes the level down: to medium, or where it is bad, to low.
static void doubt(bench_trust *trust, bool bad, const char *reason) {
    bench_level level = bad ? BENCH_LOW : BENCH_MEDIUM;
    size_t used = strlen(trust->reason);
    snprintf(trust->reason + used, sizeof(trust->reason) - used, "%s%s", used > 0 ? "; " : "",
             reason);
    trust->level = level < trust->level ? level : trust->level;
}

void bench_trust_of(const bench_summary *summary, double load_average, uint32_t core_count,
                    bench_trust *out_trust) {
    double median = summary->p50_ns > 0 ? (double)summary->p50_ns : 1;
    double spread = 100 * (double)summary->mad_ns / median;
    double drift = 100 * fabs(summary->halves - 1);
    double busy = load_average / (core_count > 0 ? core_count : 1);
    char text[128];
    *out_trust = (bench_trust){.level = BENCH_HIGH};
    if (spread > 2) {
        snprintf(text, sizeof(text), "half of the runs are more than %.1f %% off the median",
                 spread);
        doubt(out_trust, spread > 6, text);
    }
    if (drift > 2) {
        snprintf(text, sizeof(text), "the second half of the runs was %.1f %% %s than the first",
                 drift, summary->halves > 1 ? "slower" : "faster");
        doubt(out_trust, drift > 6, text);
    }
    if (busy > 0.5) {
        snprintf(text, sizeof(text), "the machine was busy when it began (load %.1f on %u cores)",
                 load_average, core_count);
        doubt(out_trust, busy > 1, text);
    }
    if (summary->count < 30) {
        snprintf(text, sizeof(text), "%llu runs are few", (unsigned long long)summary->count);
        doubt(out_trust, summary->count < 10, text);
    }
    if (out_trust->level == BENCH_HIGH) {
        snprintf(out_trust->reason, sizeof(out_trust->reason),
                 "half of the runs are within %.1f %% of the median, and both halves agree to "
                 "%.1f %%",
                 spread, drift);
    }
}
