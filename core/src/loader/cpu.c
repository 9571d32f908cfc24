// SPDX-License-Identifier: Apache-2.0
// Processor features by the names that compilers use, asked of the processor itself: what the
// compiler's built-in test knows differs between compilers.
#include "loader/candidate.h"

#include "base/error.h"

#include <string.h>

typedef enum feature_state { FEATURE_UNKNOWN, FEATURE_ABSENT, FEATURE_PRESENT } feature_state;

#if defined(__x86_64__)
#include <cpuid.h>

// Register state that the operating system must save for the feature to be usable (XCR0).
#define STATE_NONE 0u
#define STATE_AVX 0x6u
#define STATE_AVX512 0xe6u
#define STATE_AMX 0x60000u

enum { EAX, EBX, ECX, EDX };

typedef struct feature {
    const char *name;
    uint32_t leaf;
    uint32_t subleaf;
    uint32_t output;
    uint32_t bit;
    uint32_t state;
} feature;

static const feature features[] = {
    {"sse2", 1, 0, EDX, 26, STATE_NONE},
    {"sse3", 1, 0, ECX, 0, STATE_NONE},
    {"pclmul", 1, 0, ECX, 1, STATE_NONE},
    {"ssse3", 1, 0, ECX, 9, STATE_NONE},
    {"fma", 1, 0, ECX, 12, STATE_AVX},
    {"sse4.1", 1, 0, ECX, 19, STATE_NONE},
    {"sse4.2", 1, 0, ECX, 20, STATE_NONE},
    {"movbe", 1, 0, ECX, 22, STATE_NONE},
    {"popcnt", 1, 0, ECX, 23, STATE_NONE},
    {"aes", 1, 0, ECX, 25, STATE_NONE},
    {"avx", 1, 0, ECX, 28, STATE_AVX},
    {"f16c", 1, 0, ECX, 29, STATE_AVX},
    {"bmi", 7, 0, EBX, 3, STATE_NONE},
    {"avx2", 7, 0, EBX, 5, STATE_AVX},
    {"bmi2", 7, 0, EBX, 8, STATE_NONE},
    {"avx512f", 7, 0, EBX, 16, STATE_AVX512},
    {"avx512dq", 7, 0, EBX, 17, STATE_AVX512},
    {"avx512ifma", 7, 0, EBX, 21, STATE_AVX512},
    {"avx512cd", 7, 0, EBX, 28, STATE_AVX512},
    {"avx512bw", 7, 0, EBX, 30, STATE_AVX512},
    {"avx512vl", 7, 0, EBX, 31, STATE_AVX512},
    {"avx512vbmi", 7, 0, ECX, 1, STATE_AVX512},
    {"avx512vbmi2", 7, 0, ECX, 6, STATE_AVX512},
    {"avx512vnni", 7, 0, ECX, 11, STATE_AVX512},
    {"avx512bitalg", 7, 0, ECX, 12, STATE_AVX512},
    {"avx512fp16", 7, 0, EDX, 23, STATE_AVX512},
    {"amx-bf16", 7, 0, EDX, 22, STATE_AMX},
    {"amx-tile", 7, 0, EDX, 24, STATE_AMX},
    {"amx-int8", 7, 0, EDX, 25, STATE_AMX},
    {"avxvnni", 7, 1, EAX, 4, STATE_AVX},
    {"avx512bf16", 7, 1, EAX, 5, STATE_AVX512},
    {"lzcnt", 0x80000001u, 0, ECX, 5, STATE_NONE},
};

// The lower half of XCR0, or 0 where the operating system does not manage extended state.
static uint32_t saved_state(void) {
    uint32_t a = 0;
    uint32_t b = 0;
    uint32_t c = 0;
    uint32_t d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & (1u << 27)) == 0) {
        return 0;
    }
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

static bool has(const feature *wanted) {
    uint32_t outputs[4] = {0, 0, 0, 0};
    return __get_cpuid_count(wanted->leaf, wanted->subleaf, &outputs[EAX], &outputs[EBX],
                             &outputs[ECX], &outputs[EDX]) != 0 &&
           (outputs[wanted->output] >> wanted->bit & 1u) != 0 &&
           (saved_state() & wanted->state) == wanted->state;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

typedef struct feature {
    const char *name;
    unsigned long type;
    uint32_t bit;
} feature;

static const feature features[] = {
    {"fp", AT_HWCAP, 0},       {"asimd", AT_HWCAP, 1},  {"aes", AT_HWCAP, 3},
    {"crc32", AT_HWCAP, 7},    {"lse", AT_HWCAP, 8},    {"fp16", AT_HWCAP, 10},
    {"dotprod", AT_HWCAP, 20}, {"sve", AT_HWCAP, 22},   {"sve2", AT_HWCAP2, 1},
    {"i8mm", AT_HWCAP2, 13},   {"bf16", AT_HWCAP2, 14},
};

static bool has(const feature *wanted) {
    return (getauxval(wanted->type) >> wanted->bit & 1u) != 0;
}

#else

typedef struct feature {
    const char *name;
} feature;

static const feature features[] = {{"none"}};

static bool has(const feature *wanted) {
    (void)wanted;
    return false;
}
#endif

static feature_state look_up(const char *name) {
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        if (strcmp(features[i].name, name) == 0) {
            return has(&features[i]) ? FEATURE_PRESENT : FEATURE_ABSENT;
        }
    }
    return FEATURE_UNKNOWN;
}

tn_status tni_cpu_check(const tni_text_list *wanted, tn_error *error) {
    for (uint32_t i = 0; i < wanted->count; i++) {
        const feature_state state = look_up(wanted->texts[i]);
        if (state == FEATURE_UNKNOWN) {
            return tni_fail(error, TN_ERROR_UNSUPPORTED, "load.cpu-unknown",
                            "the plugin needs the processor feature \"%.60s\", which this host "
                            "does not know",
                            wanted->texts[i]);
        }
        if (state == FEATURE_ABSENT) {
            return tni_fail(error, TN_ERROR_UNSUPPORTED, "load.cpu",
                            "the plugin needs the processor feature \"%s\", which this processor "
                            "or its operating system does not have",
                            wanted->texts[i]);
        }
    }
    return TN_OK;
}
