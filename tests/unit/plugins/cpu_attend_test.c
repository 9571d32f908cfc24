// SPDX-License-Identifier: Apache-2.0
// plugins/cpu/simd: attention of every set that this processor runs, against the same in double.
#include "plugins/cpu/simd/simd.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST_QUERIES 70
#define MOST_KEYS 150
#define STEP 83 // between rows: more than a head has
#define UNTOUCHED 7.25f

typedef struct mask_kind {
    int64_t step;  // between rows; 0: one row for all
    float outside; // what keys get that a query does not see
} mask_kind;

typedef struct head {
    float q[MOST_QUERIES * STEP];
    float k[MOST_KEYS * STEP];
    float v[MOST_KEYS * STEP];
    float mask[MOST_QUERIES * MOST_KEYS];
    float out[MOST_QUERIES * STEP];
} head;

static float *scratch_for(const cpu_attend *call) {
    const size_t count = (size_t)CPU_ATTEND_SCRATCH(call->keys, call->size, call->value_size);
    float *scratch = malloc(count * sizeof *scratch); // exactly: the sanitizer sees what is beyond
    assert_non_null(scratch);
    return scratch;
}

// Query and key of one row: its weight before it is divided by the total.
static double score_of(const cpu_attend *call, int64_t query, int64_t key) {
    double sum = 0.0;
    for (int64_t d = 0; d < call->size; d++) {
        sum += (double)call->q[query * call->q_step + d] * (double)call->k[key * call->k_step + d];
    }
    const float mask = call->mask == NULL ? 0.0f : call->mask[query * call->mask_step + key];
    return sum * (double)call->scale + (double)mask;
}

static void assert_row(const cpu_attend *call, int64_t query) {
    double scores[MOST_KEYS];
    double largest = -INFINITY;
    double total = 0.0;
    for (int64_t key = 0; key < call->keys; key++) {
        scores[key] = score_of(call, query, key);
        largest = fmax(largest, scores[key]);
    }
    for (int64_t key = 0; key < call->keys; key++) {
        total += exp(scores[key] - largest);
    }
    const float *out = call->out + query * call->out_step;
    for (int64_t c = 0; c < call->value_size; c++) {
        double sum = 0.0;
        for (int64_t key = 0; key < call->keys; key++) {
            sum += exp(scores[key] - largest) / total * (double)call->v[key * call->v_step + c];
        }
        assert_true(fabs((double)out[c] - sum) < 2e-6);
    }
    for (int64_t c = call->value_size; c < call->out_step; c++) {
        assert_true(out[c] == UNTOUCHED);
    }
}

static void fill(head *h) {
    for (int i = 0; i < MOST_QUERIES * STEP; i++) {
        h->q[i] = (float)(i * 37 % 101 - 50) * 0.04f;
        h->out[i] = UNTOUCHED;
    }
    for (int i = 0; i < MOST_KEYS * STEP; i++) {
        h->k[i] = (float)(i * 53 % 97 - 48) * 0.04f;
        h->v[i] = (float)(i * 29 % 89 - 44) * 0.02f;
    }
}

// Every query sees the keys up to its own, or all queries the first half of the keys.
static void fill_mask(head *h, const mask_kind *kind, const cpu_attend *call) {
    for (int64_t query = 0; query < (kind->step == 0 ? 1 : call->queries); query++) {
        for (int64_t key = 0; key < call->keys; key++) {
            const int64_t seen = kind->step == 0 ? (call->keys + 1) / 2 : query + 1;
            h->mask[query * kind->step + key] =
                key < seen ? (float)(key % 5) * 0.1f : kind->outside;
        }
    }
}

static void check_set(const cpu_simd *simd, head *h) {
    static const int64_t queries[] = {1, 5, 8, 15, 16, 17, 32, 33, MOST_QUERIES};
    static const int64_t keys[] = {1, 3, 7, 8, 9, 64, 66, MOST_KEYS};
    static const int64_t sizes[][2] = {{64, 64}, {5, 7}, {80, 40}, {16, 33}};
    static const mask_kind masks[] = {
        {0, 0}, {0, -INFINITY}, {MOST_KEYS, -INFINITY}, {MOST_KEYS, -3}};
    for (uint32_t i = 0; i < 9 * 8 * 4 * 4; i++) {
        fill(h);
        cpu_attend call = {.q = h->q,
                           .k = h->k,
                           .v = h->v,
                           .out = h->out,
                           .queries = queries[i % 9],
                           .keys = keys[i / 9 % 8],
                           .size = sizes[i / 72 % 4][0],
                           .value_size = sizes[i / 72 % 4][1],
                           .q_step = STEP,
                           .k_step = STEP,
                           .v_step = STEP,
                           .out_step = STEP,
                           .scale = 0.3f};
        const mask_kind *mask = &masks[i / 288];
        if (i / 288 > 0) {
            call.mask = h->mask;
            call.mask_step = mask->step;
            fill_mask(h, mask, &call);
        }
        call.scratch = scratch_for(&call);
        simd->attend(&call);
        for (int64_t query = 0; query < call.queries; query++) {
            assert_row(&call, query);
        }
        free(call.scratch);
    }
}

static void attend__agrees_with_double(void **state) {
    (void)state;
    uint32_t ran = 0;
    head *h = malloc(sizeof *h);
    assert_non_null(h);
    for (uint32_t i = 0; i < CPU_SIMD_COUNT; i++) {
        if (tni_cpu_simd_usable(i)) {
            check_set(tni_cpu_simd_at(i), h);
            ran++;
        }
    }
    free(h);
    assert_true(ran >= 1);
}

// A query of NaN, and one that sees no key: NaN, and nothing else becomes it.
static void attend__keeps_nan_to_its_row(void **state) {
    (void)state;
    head *h = malloc(sizeof *h);
    assert_non_null(h);
    for (uint32_t i = 0; i < CPU_SIMD_COUNT && tni_cpu_simd_usable(i); i++) {
        fill(h);
        cpu_attend call = {.q = h->q,
                           .k = h->k,
                           .v = h->v,
                           .mask = h->mask,
                           .out = h->out,
                           .queries = 20,
                           .keys = 30,
                           .size = 16,
                           .value_size = 16,
                           .q_step = STEP,
                           .k_step = STEP,
                           .v_step = STEP,
                           .mask_step = MOST_KEYS,
                           .out_step = STEP,
                           .scale = 0.25f};
        fill_mask(h, &(mask_kind){MOST_KEYS, -INFINITY}, &call);
        h->q[3 * STEP + 5] = NAN;
        for (int64_t key = 0; key < call.keys; key++) {
            h->mask[11 * MOST_KEYS + key] = -INFINITY;
        }
        call.scratch = scratch_for(&call);
        tni_cpu_simd_at(i)->attend(&call);
        for (int64_t query = 0; query < call.queries; query++) {
            if (query == 3 || query == 11) {
                assert_true(isnan(h->out[query * STEP]) && isnan(h->out[query * STEP + 15]));
            } else {
                assert_row(&call, query);
            }
        }
        free(call.scratch);
    }
    free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attend__agrees_with_double),
        cmocka_unit_test(attend__keeps_nan_to_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
