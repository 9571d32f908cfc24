// SPDX-License-Identifier: Apache-2.0
// Limits on time and memory: "p95=15ms,mem=64MB".
#ifndef TENON_TOOLS_BENCH_BUDGET_H
#define TENON_TOOLS_BENCH_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What can be limited: times of runs, "first" (load to first result), "mem" (peak of the process).
typedef enum bench_key {
    BENCH_P50,
    BENCH_P90,
    BENCH_P95,
    BENCH_P99,
    BENCH_MAX,
    BENCH_FIRST,
    BENCH_MEM,
    BENCH_KEY_COUNT
} bench_key;

typedef struct bench_limit {
    bench_key key;
    uint64_t limit;  // ns or bytes
    uint64_t actual; // from here on once measured
    uint64_t late;   // of times of runs: how many took longer than the limit
    bool kept;
} bench_limit;

typedef struct bench_budget {
    bench_limit limits[BENCH_KEY_COUNT];
    uint32_t count;
} bench_budget;

#define BENCH_BUDGET_TEXT_BYTES 200u

// Returns false for anything else, and text says what is wrong.
bool bench_budget_parse(const char *list, bench_budget *out_budget,
                        char text[BENCH_BUDGET_TEXT_BYTES]);
const char *bench_key_text(bench_key key);
// "15ms", "1.5 s" without the space, "10m", "2h", "250us", "80ns". False for others and for 0.
bool bench_parse_duration(const char *text, size_t size, uint64_t *out_ns);

#endif // TENON_TOOLS_BENCH_BUDGET_H
