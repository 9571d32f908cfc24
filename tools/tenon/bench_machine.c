// SPDX-License-Identifier: Apache-2.0
// Reads what Linux tells of processor, load and memory.
#include "bench_machine.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Those that decide which kernels a plugin can choose.
static const char *const known_features[] = {
    "sse4_2",   "avx",      "avx2",        "fma",         "f16c",        "avx_vnni",
    "avx512f",  "avx512bw", "avx512vl",    "avx512_vnni", "avx512_bf16", "amx_tile",
    "amx_int8", "amx_bf16", "avx512_fp16", "asimd",       "asimdhp",     "asimddp",
    "i8mm",     "bf16",     "sve",         "sve2"};

static bool has_word(const char *line, const char *word) {
    size_t size = strlen(word);
    for (const char *at = strstr(line, word); at != NULL; at = strstr(at + size, word)) {
        char after = at[size];
        if (at[-1] == ' ' && (after == ' ' || after == '\n' || after == '\0')) {
            return true;
        }
    }
    return false;
}

static void take_features(const char *line, bench_machine *machine) {
    size_t used = 0;
    for (size_t i = 0; i < sizeof(known_features) / sizeof(known_features[0]); i++) {
        if (has_word(line, known_features[i]) && used < sizeof(machine->features)) {
            int wrote = snprintf(machine->features + used, sizeof(machine->features) - used, "%s%s",
                                 used > 0 ? " " : "", known_features[i]);
            used += wrote > 0 ? (size_t)wrote : 0;
        }
    }
}

static void take_text(const char *line, char *text, size_t capacity) {
    const char *colon = strchr(line, ':');
    const char *from = colon != NULL ? colon + 1 : line;
    from += strspn(from, " \t");
    snprintf(text, capacity, "%.*s", (int)strcspn(from, "\n"), from);
}

static void read_processor(bench_machine *machine) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    char *line = NULL;
    size_t capacity = 0;
    while (file != NULL && getline(&line, &capacity, file) > 0) {
        if (machine->cpu[0] == '\0' && strncmp(line, "model name", 10) == 0) {
            take_text(line, machine->cpu, sizeof(machine->cpu));
        }
        if (machine->features[0] == '\0' &&
            (strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0)) {
            take_features(line, machine);
        }
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
}

void bench_machine_read(bench_machine *out_machine) {
    bench_machine *m = out_machine;
    cpu_set_t usable;
    *m = (bench_machine){0};
    read_processor(m);
    FILE *file = fopen("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "r");
    if (file != NULL) {
        char line[sizeof(m->governor)];
        if (fgets(line, sizeof(line), file) != NULL) {
            take_text(line, m->governor, sizeof(m->governor));
        }
        fclose(file);
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    m->core_count = cores > 0 ? (uint32_t)cores : 0;
    m->usable_core_count = sched_getaffinity(0, sizeof(usable), &usable) == 0
                               ? (uint32_t)CPU_COUNT(&usable)
                               : m->core_count;
    double load = -1;
    m->load_average = getloadavg(&load, 1) == 1 ? load : -1;
}

json_t *bench_machine_json(const bench_machine *machine) {
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:f}", "cpu", machine->cpu, "features",
                     machine->features, "governor", machine->governor, "cores",
                     (int)machine->core_count, "usable_cores", (int)machine->usable_core_count,
                     "load_average_at_start", machine->load_average);
}

// A line "NAME:  123 kB" of this process's status.
static uint64_t status_bytes(const char *name) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    uint64_t bytes = 0;
    while (file != NULL && bytes == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            bytes = strtoull(line + strlen(name), NULL, 10) * 1024;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

uint64_t bench_rss_bytes(void) {
    return status_bytes("VmRSS:");
}

uint64_t bench_rss_peak_bytes(void) {
    return status_bytes("VmHWM:");
}

void bench_hash_file(const char *path, char out_text[BENCH_HASH_BYTES]) {
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    unsigned char bytes[16384];
    FILE *file = fopen(path, "rb");
    out_text[0] = '\0';
    if (file == NULL) {
        return;
    }
    for (size_t size = fread(bytes, 1, sizeof(bytes), file); size > 0;
         size = fread(bytes, 1, sizeof(bytes), file)) {
        for (size_t i = 0; i < size; i++) {
            hash = (hash ^ bytes[i]) * 0x100000001b3u;
        }
    }
    if (ferror(file) == 0) {
        snprintf(out_text, BENCH_HASH_BYTES, "%016" PRIx64, hash);
    }
    fclose(file);
}
