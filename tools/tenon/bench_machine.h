// SPDX-License-Identifier: Apache-2.0
// The machine that numbers were measured on, and the memory of this process.
#ifndef TENON_TOOLS_BENCH_MACHINE_H
#define TENON_TOOLS_BENCH_MACHINE_H

#include <jansson.h>
#include <stdint.h>

typedef struct bench_machine {
    char cpu[128];
    char features[512]; // of vector and matrix units, separated by spaces
    char governor[32];  // of the clock; "" where the system does not say
    uint32_t core_count;
    uint32_t usable_core_count; // that this process may run on
    double load_average;        // of the last minute, when it began; negative: not known
} bench_machine;

void bench_machine_read(bench_machine *out_machine);
// A new reference; null when out of memory.
json_t *bench_machine_json(const bench_machine *machine);

// Of this process, in bytes; 0 where the system does not say.
uint64_t bench_rss_bytes(void);
uint64_t bench_rss_peak_bytes(void);
// A hash of a file's bytes, 16 hexadecimal digits; "" when it cannot be read.
#define BENCH_HASH_BYTES 17u
void bench_hash_file(const char *path, char out_text[BENCH_HASH_BYTES]);

#endif // TENON_TOOLS_BENCH_MACHINE_H
