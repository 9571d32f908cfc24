// SPDX-License-Identifier: Apache-2.0
// Percentiles against counted ranks, intervals and p-values against samples of known difference,
// and what takes trust away.
#include "tools/tenon/bench_stats.h"

#include "tools/tenon/seeded_random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAIRS 200u

static void percentile__is_the_nearest_rank(void **state) {
    (void)state;
    uint64_t sorted[100];
    for (uint64_t i = 0; i < 100; i++) {
        sorted[i] = i + 1;
    }
    assert_int_equal(bench_percentile(sorted, 100, 50), 50);
    assert_int_equal(bench_percentile(sorted, 100, 95), 95);
    assert_int_equal(bench_percentile(sorted, 100, 99), 99);
    assert_int_equal(bench_percentile(sorted, 100, 100), 100);
    assert_int_equal(bench_percentile(sorted, 30, 99), 30);
    assert_int_equal(bench_percentile(sorted, 30, 90), 27);
    assert_int_equal(bench_percentile(sorted, 3, 50), 2);
    assert_int_equal(bench_percentile(sorted, 1, 1), 1);
}

static void summarise__agrees_with_sorting(void **state) {
    (void)state;
    uint64_t random = 5;
    for (uint64_t count = 1; count <= 60; count++) {
        uint64_t samples[60];
        for (uint64_t i = 0; i < count; i++) {
            samples[i] = 1000 + seeded_random(&random) % 20; // with repetitions
        }
        bench_summary s;
        assert_true(bench_summarise(samples, count, &s));
        uint64_t below = 0;
        uint64_t near = 0;
        uint64_t nearer = 0;
        for (uint64_t i = 0; i < count; i++) {
            uint64_t off = samples[i] > s.p50_ns ? samples[i] - s.p50_ns : s.p50_ns - samples[i];
            below += samples[i] < s.p50_ns;
            near += off <= s.mad_ns;
            nearer += off < s.mad_ns;
            assert_in_range(samples[i], s.min_ns, s.max_ns);
        }
        // Fewer than half are below the median and nearer than the deviation; at least half not
        // above.
        assert_true(2 * below < count);
        assert_true(2 * nearer < count && 2 * near >= count);
        assert_true(s.p50_ns <= s.p90_ns && s.p90_ns <= s.p95_ns && s.p95_ns <= s.p99_ns);
        assert_true(s.mean_ns >= (double)s.min_ns - 1e-6 && s.mean_ns <= (double)s.max_ns + 1e-6);
    }
    bench_summary none;
    assert_false(bench_summarise(NULL, 0, &none));
}

static void summarise__compares_halves_in_order(void **state) {
    (void)state;
    const uint64_t samples[] = {100, 300, 100, 100, 110, 110, 110, 900};
    bench_summary s;
    assert_true(bench_summarise(samples, 8, &s));
    assert_float_equal(s.halves, 1.1, 1e-9);
    assert_true(bench_summarise(samples, 3, &s));
    assert_float_equal(s.halves, 1, 0);
}

// Pairs that share a drift far larger than the difference, as two runs in a row do.
static void fill_pairs(uint64_t *base, uint64_t *other, double factor, uint64_t seed) {
    uint64_t random = seed;
    for (uint64_t i = 0; i < PAIRS; i++) {
        double drift = 1e6 * (1 + 0.002 * (double)i);
        double noise = (double)(seeded_random(&random) % 2000) / 1e5;
        double noise2 = (double)(seeded_random(&random) % 2000) / 1e5;
        base[i] = (uint64_t)(drift * (1 + noise));
        other[i] = (uint64_t)(drift * factor * (1 + noise2));
    }
}

static void ratio_of_pairs__finds_a_difference(void **state) {
    (void)state;
    uint64_t base[PAIRS];
    uint64_t other[PAIRS];
    bench_ratio ratio;
    fill_pairs(base, other, 1.1, 1);
    assert_true(bench_ratio_of_pairs(base, other, PAIRS, 1, &ratio));
    assert_true(ratio.low > 1 && ratio.low <= ratio.ratio && ratio.ratio <= ratio.high);
    assert_true(ratio.low < 1.1 && ratio.high > 1.1);
    assert_true(ratio.high - ratio.low < 0.02); // the drift, which both share, does not widen it
    assert_true(ratio.p_value < 0.001);
    assert_int_equal(bench_ratio_sign(&ratio), 1);
    bench_ratio again;
    assert_true(bench_ratio_of_pairs(base, other, PAIRS, 1, &again));
    assert_memory_equal(&ratio, &again, sizeof(ratio));
    assert_true(bench_ratio_of_pairs(other, base, PAIRS, 1, &again));
    assert_int_equal(bench_ratio_sign(&again), -1);
}

// With 95 % intervals about one in twenty alike samples looks different.
static void ratio_of_pairs__seldom_finds_one_where_there_is_none(void **state) {
    (void)state;
    uint64_t base[PAIRS];
    uint64_t other[PAIRS];
    uint32_t found = 0;
    uint32_t small = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        bench_ratio ratio;
        fill_pairs(base, other, 1, seed);
        assert_true(bench_ratio_of_pairs(base, other, PAIRS, seed, &ratio));
        found += bench_ratio_sign(&ratio) != 0;
        small += ratio.p_value < 0.05;
    }
    assert_in_range(found, 0, 6);
    assert_in_range(small, 0, 6);
}

static void ratio_of_pairs__of_one_pair_says_nothing(void **state) {
    (void)state;
    const uint64_t base = 100;
    const uint64_t other = 300;
    bench_ratio ratio;
    assert_true(bench_ratio_of_pairs(&base, &other, 1, 1, &ratio));
    assert_float_equal(ratio.ratio, 3, 1e-12);
    assert_float_equal(ratio.p_value, 1, 1e-12);
    assert_true(ratio.low > 1); // all resamples are this pair
    assert_int_equal(bench_ratio_sign(&ratio), 0);
}

static void ratio_of_samples__may_differ_in_number(void **state) {
    (void)state;
    uint64_t base[PAIRS];
    uint64_t other[PAIRS];
    bench_ratio ratio;
    fill_pairs(base, other, 2, 3);
    assert_true(bench_ratio_of_samples(base, PAIRS, other, PAIRS / 2, 1, &ratio));
    assert_true(ratio.low > 1.5 && ratio.high < 2.5);
    assert_true(ratio.p_value < 0);
    assert_int_equal(bench_ratio_sign(&ratio), 1);
    assert_true(bench_ratio_of_samples(base, PAIRS, base, PAIRS, 1, &ratio));
    assert_int_equal(bench_ratio_sign(&ratio), 0);
    assert_float_equal(ratio.ratio, 1, 0);
}

static void trust__names_what_takes_it_away(void **state) {
    (void)state;
    const struct {
        const char *name;
        bench_summary summary;
        double load;
        bench_level level;
        const char *reason;
    } cases[] = {
        {"calm",
         {.count = 100, .p50_ns = 1000, .mad_ns = 10, .halves = 1},
         0.2,
         BENCH_HIGH,
         "within 1.0 %"},
        {"spread",
         {.count = 100, .p50_ns = 1000, .mad_ns = 30, .halves = 1},
         0.2,
         BENCH_MEDIUM,
         "3.0 % off"},
        {"wild",
         {.count = 100, .p50_ns = 1000, .mad_ns = 300, .halves = 1},
         0.2,
         BENCH_LOW,
         "30.0 % off"},
        {"drift",
         {.count = 100, .p50_ns = 1000, .mad_ns = 1, .halves = 1.04},
         0.2,
         BENCH_MEDIUM,
         "4.0 % slower"},
        {"busy",
         {.count = 100, .p50_ns = 1000, .mad_ns = 1, .halves = 1},
         9,
         BENCH_LOW,
         "load 9.0 on 2 cores"},
        {"few",
         {.count = 5, .p50_ns = 1000, .mad_ns = 1, .halves = 1},
         0.2,
         BENCH_LOW,
         "5 runs are few"},
        {"two",
         {.count = 20, .p50_ns = 1000, .mad_ns = 1, .halves = 0.9},
         -1,
         BENCH_LOW,
         "faster than the first; 20 runs"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bench_trust trust;
        bench_trust_of(&cases[i].summary, cases[i].load, 2, &trust);
        if (trust.level != cases[i].level || strstr(trust.reason, cases[i].reason) == NULL) {
            fail_msg("%s: %s, %s", cases[i].name, bench_level_text(trust.level), trust.reason);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentile__is_the_nearest_rank),
        cmocka_unit_test(summarise__agrees_with_sorting),
        cmocka_unit_test(summarise__compares_halves_in_order),
        cmocka_unit_test(ratio_of_pairs__finds_a_difference),
        cmocka_unit_test(ratio_of_pairs__seldom_finds_one_where_there_is_none),
        cmocka_unit_test(ratio_of_pairs__of_one_pair_says_nothing),
        cmocka_unit_test(ratio_of_samples__may_differ_in_number),
        cmocka_unit_test(trust__names_what_takes_it_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
