// SPDX-License-Identifier: Apache-2.0
// What samples of a run's time say, and how surely. Plain numbers in and out: no host, no clock.
#ifndef TENON_TOOLS_BENCH_STATS_H
#define TENON_TOOLS_BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_RESAMPLES 2000u

// Percentiles are nearest-rank: the smallest sample that at least so many percent do not exceed.
typedef struct bench_summary {
    uint64_t count;
    uint64_t min_ns, p50_ns, p90_ns, p95_ns, p99_ns, max_ns;
    double mean_ns;
    uint64_t mad_ns; // median distance from the median
    double halves;   // median of the second half over that of the first; 1 for fewer than 4
} bench_summary;

// samples are in the order in which they were taken. Returns false without any, or without memory.
bool bench_summarise(const uint64_t *samples, uint64_t count, bench_summary *out_summary);

// Of ascending samples; count and percent are at least 1, percent at most 100.
uint64_t bench_percentile(const uint64_t *sorted, uint64_t count, uint32_t percent);

// How much longer `other` takes than `base`: the ratio of medians and its 95 % interval.
typedef struct bench_ratio {
    double ratio;
    double low;
    double high;
    double p_value; // that chance alone gives such a difference; negative: not computed
} bench_ratio;

// Samples at one place were taken together: resamples pairs for the interval, and flips the signs
// of the logarithms of their ratios for the p-value. count is at least 1; the seed determines the
// result. Returns false without memory.
bool bench_ratio_of_pairs(const uint64_t *base, const uint64_t *other, uint64_t count,
                          uint64_t seed, bench_ratio *out_ratio);
// The same for samples taken apart: each side is resampled on its own, and there is no p-value.
bool bench_ratio_of_samples(const uint64_t *base, uint64_t base_count, const uint64_t *other,
                            uint64_t other_count, uint64_t seed, bench_ratio *out_ratio);
// -1: other takes less · 1: base takes less · 0: nothing that chance would not explain, because the
// interval contains 1 or the p-value is not below 0.05 (as it cannot be with fewer than 6 pairs).
int bench_ratio_sign(const bench_ratio *ratio);

typedef enum bench_level { BENCH_LOW, BENCH_MEDIUM, BENCH_HIGH } bench_level;

#define BENCH_TRUST_BYTES 400u

typedef struct bench_trust {
    bench_level level;
    char reason[BENCH_TRUST_BYTES]; // in words
} bench_trust;

// How far the numbers can be relied on: spread, drift between halves, number of runs, and how busy
// the machine was when it began (load_average over core_count; negative: not known).
void bench_trust_of(const bench_summary *summary, double load_average, uint32_t core_count,
                    bench_trust *out_trust);
const char *bench_level_text(bench_level level);

#endif // TENON_TOOLS_BENCH_STATS_H
