// SPDX-License-Identifier: Apache-2.0
// plugins/cpu/simd: every set of loops that this processor runs, against the same in double.
#include "plugins/cpu/simd/simd.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 1003 // no multiple of any register

typedef void (*set_check)(const cpu_simd *simd);

static uint32_t for_each_set(set_check check) {
    uint32_t ran = 0;
    for (uint32_t i = 0; i < CPU_SIMD_COUNT; i++) {
        if (tni_cpu_simd_usable(i)) {
            check(tni_cpu_simd_at(i));
            ran++;
        }
    }
    return ran;
}

static void fill(float *x, float low, float high) {
    for (int i = 0; i < COUNT; i++) {
        x[i] = low + (high - low) * (float)i / (COUNT - 1);
    }
}

static double exact_act(cpu_act kind, double a, double b, double x) {
    switch (kind) {
    case CPU_ACT_RELU:
        return x < 0 ? a * x : x;
    case CPU_ACT_CLIP:
        return fmin(fmax(x, a), b);
    case CPU_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case CPU_ACT_TANH:
        return tanh(x);
    case CPU_ACT_ERF:
        return erf(x);
    case CPU_ACT_GELU:
        return x * 0.5 * (1 + erf(x * sqrt(0.5)));
    case CPU_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case CPU_ACT_SILU:
        return x / (1 + exp(-x));
    case CPU_ACT_HARD_SIGMOID:
        return fmin(fmax(a * x + b, 0), 1);
    case CPU_ACT_HARD_SWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case CPU_ACT_ELU:
        return x < 0 ? a * expm1(x) : x;
    case CPU_ACT_EXP:
        return exp(x);
    case CPU_ACT_SQRT:
        return sqrt(x);
    case CPU_ACT_NEG:
        return -x;
    case CPU_ACT_ABS:
        return fabs(x);
    case CPU_ACT_RECIPROCAL:
        return 1 / x;
    case CPU_ACT_SQUARE:
        return x * x;
    case CPU_ACT_LINEAR:
        return a * x + b;
    case CPU_ACT_LOG:
        return log(x);
    case CPU_ACT_FLOOR:
        return floor(x);
    case CPU_ACT_CEIL:
        return ceil(x);
    case CPU_ACT_SOFTPLUS:
        return log1p(exp(-fabs(x))) + fmax(x, 0);
    default:
        return x;
    }
}

static void check_acts(const cpu_simd *simd) {
    float x[COUNT];
    float y[COUNT];
    for (cpu_act kind = CPU_ACT_NONE; kind < CPU_ACT_COUNT; kind++) {
        const float a = kind == CPU_ACT_CLIP ? -1.5f : 0.25f;
        const float b = kind == CPU_ACT_CLIP ? 2.0f : 0.5f;
        const int positive = kind == CPU_ACT_SQRT || kind == CPU_ACT_LOG;
        fill(x, positive ? 1e-3f : -9.0f, 11.0f);
        simd->act(kind, a, b, x, y, COUNT);
        for (int i = 0; i < COUNT; i++) {
            const double exact = exact_act(kind, (double)a, (double)b, (double)x[i]);
            // What approximates is right to a few units in the last place of 1, or of itself.
            const double limit = 1e-6 + 2e-6 * fabs(exact);
            if (!(fabs((double)y[i] - exact) <= limit)) {
                fail_msg("%s: act %u of %g: %.9g, not %.9g", simd->name, kind, (double)x[i],
                         (double)y[i], exact);
            }
        }
    }
}

static void act__agrees_with_double(void **state) {
    (void)state;
    assert_true(for_each_set(check_acts) >= 1);
}

static void check_extremes(const cpu_simd *simd) {
    const float x[8] = {-INFINITY, INFINITY, NAN, -1e30f, 1e30f, -200.0f, 200.0f, 0.0f};
    float y[8];
    simd->act(CPU_ACT_EXP, 0, 0, x, y, 8);
    assert_true(y[0] == 0.0f && isinf(y[1]) && isnan(y[2]) && y[3] == 0.0f && isinf(y[4]));
    const float large[5] = {88.0f, 88.37f, 88.5f, 88.72f, 88.73f};
    simd->act(CPU_ACT_EXP, 0, 0, large, y, 5);
    for (int i = 0; i < 4; i++) {
        assert_true(fabs((double)y[i] / exp((double)large[i]) - 1) < 1e-6);
    }
    assert_true(isinf(y[4]));
    simd->act(CPU_ACT_SIGMOID, 0, 0, x, y, 8);
    assert_true(y[0] == 0.0f && y[1] == 1.0f && isnan(y[2]) && y[5] == 0.0f && y[6] == 1.0f);
    simd->act(CPU_ACT_TANH, 0, 0, x, y, 8);
    assert_true(y[0] == -1.0f && y[1] == 1.0f && isnan(y[2]) && y[7] == 0.0f);
    simd->act(CPU_ACT_RELU, 0, 0, x, y, 8);
    assert_true(isnan(y[2]));
    simd->binary(CPU_BINARY_MAX, x, 1, &x[7], 0, y, 8);
    assert_true(isnan(y[2]) && y[0] == 0.0f && isinf(y[1]));
}

static void act__at_the_ends_of_the_range(void **state) {
    (void)state;
    assert_true(for_each_set(check_extremes) >= 1);
}

static void check_rows(const cpu_simd *simd) {
    float x[COUNT];
    float mask[COUNT];
    float gain[COUNT];
    float y[COUNT];
    double sum = 0;
    double squares = 0;
    double exps = 0;
    fill(x, -3.0f, 4.0f);
    fill(mask, 0.5f, -0.5f);
    fill(gain, 0.5f, 2.0f);
    for (int i = 0; i < COUNT; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        exps += exp(0.5 * (double)x[i] + (double)mask[i]);
    }
    const double mean = sum / COUNT;
    const double variance = squares / COUNT - mean * mean;
    assert_true(fabs((double)simd->sum(x, COUNT) - sum) < 1e-2);
    assert_true(fabs((double)simd->sum_squares(x, COUNT) - squares) < 1e-2);
    assert_true(fabs((double)simd->dot(x, x, COUNT) - squares) < 1e-2);
    assert_true(simd->maximum(x, COUNT) == x[COUNT - 1]);
    simd->softmax(x, 0.5f, mask, 0, y, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_true(fabs((double)y[i] - exp(0.5 * (double)x[i] + (double)mask[i]) / exps) < 1e-8);
    }
    simd->softmax(x, 0.5f, mask, 1, y, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_true(fabs((double)y[i] - (0.5 * (double)x[i] + (double)mask[i] - log(exps))) < 1e-5);
    }
    simd->layer_norm(x, gain, mask, 1e-5f, y, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_true(
            fabs((double)y[i] - (((double)x[i] - mean) / sqrt(variance + 1e-5) * (double)gain[i] +
                                 (double)mask[i])) < 1e-5);
    }
    simd->rms_norm(x, gain, 1e-5f, y, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_true(fabs((double)y[i] -
                         (double)x[i] / sqrt(squares / COUNT + 1e-5) * (double)gain[i]) < 1e-5);
    }
}

static void rows__agree_with_double(void **state) {
    (void)state;
    assert_true(for_each_set(check_rows) >= 1);
}

static void check_quantize(const cpu_simd *simd) {
    float x[COUNT];
    uint8_t q[COUNT];
    int8_t s[COUNT];
    float back[COUNT];
    fill(x, -10.0f, 10.0f);
    x[0] = NAN;
    x[1] = INFINITY;
    x[2] = -INFINITY;
    x[3] = 0.125f; // halves go to even: 2.5 steps
    x[4] = 0.175f;
    simd->quantize_u8(x, 0.05f, 128, q, COUNT);
    simd->quantize_s8(x, 0.05f, -3, s, COUNT);
    for (int i = 1; i < COUNT; i++) {
        const double steps = rint((double)(x[i] / 0.05f));
        assert_int_equal(q[i], (int)fmin(fmax(steps + 128, 0), 255));
        assert_int_equal(s[i], (int)fmin(fmax(steps - 3, -128), 127));
    }
    simd->dequantize_u8(q, 128, 0.05f, back, COUNT);
    assert_true(back[1] == (float)(255 - 128) * 0.05f);
    simd->dequantize_s8(s, -3, 0.05f, back, COUNT);
    assert_true(back[2] == (float)(-128 + 3) * 0.05f);
}

static void quantize__rounds_half_to_even_and_saturates(void **state) {
    (void)state;
    assert_true(for_each_set(check_quantize) >= 1);
}

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

// Halves of steps and their neighbours, which any quotient that is off by one unit gets wrong.
static void check_halves(const cpu_simd *simd, float scale) {
    static const int begin = -130;
    float x[3 * 400];
    uint8_t q[3 * 400];
    for (int i = 0; i < 400; i++) {
        const float half = ((float)(begin + i) + 0.5f) * scale;
        x[3 * i] = nextafterf(half, -FLT_MAX);
        x[3 * i + 1] = half;
        x[3 * i + 2] = nextafterf(half, FLT_MAX);
    }
    simd->quantize_u8(x, scale, 60, q, 3 * 400);
    for (int i = 0; i < 3 * 400; i++) {
        const float quotient = x[i] / scale;
        assert_int_equal(q[i], (int)fmin(fmax(rint((double)quotient) + 60, 0), 255));
    }
}

static void check_quotients(const cpu_simd *simd) {
    uint32_t state = 7;
    for (int i = 0; i < 2000; i++) {
        const float mantissa = 1.0f + (float)(next_random(&state) & 0x7fffffu) * 0x1p-23f;
        check_halves(simd, ldexpf(mantissa, (int)(next_random(&state) % 120u) - 90));
    }
    check_halves(simd, 0x1.fffffep-3f);
    check_halves(simd, 0x1p-61f);
    check_halves(simd, 0x1p90f);
    check_halves(simd, FLT_MIN);
}

static void quantize__is_the_rounded_quotient(void **state) {
    (void)state;
    assert_true(for_each_set(check_quotients) >= 1);
}

// A summand that is zero leaves a tensor that is quantised anew.
static void check_sum(const cpu_simd *simd) {
    uint32_t state = 3;
    uint8_t x[256];
    uint8_t y[256];
    uint8_t sums[256];
    uint8_t expected[256];
    float floats[256];
    for (int i = 0; i < 256; i++) {
        x[i] = (uint8_t)i;
        y[i] = 9;
    }
    for (int i = 0; i < 500; i++) {
        cpu_quantized_sum sum = {.x_zero = (int32_t)(next_random(&state) % 256u),
                                 .y_zero = 9,
                                 .out_zero = (int32_t)(next_random(&state) % 256u),
                                 .low = i % 2 == 0 ? 0.0f : -INFINITY,
                                 .high = i % 3 == 0 ? 1.5f : INFINITY};
        sum.x_scale = (float)(1u + next_random(&state)) * (i % 50 == 0 ? 1e30f : 1e-8f);
        sum.y_scale = sum.x_scale;
        sum.out_scale = sum.x_scale * (float)(1u + next_random(&state)) * 1e-7f;
        simd->dequantize_u8(x, sum.x_zero, sum.x_scale, floats, 256);
        for (int k = 0; k < 256; k++) {
            floats[k] = fminf(fmaxf(floats[k], sum.low), sum.high);
        }
        simd->quantize_u8(floats, sum.out_scale, sum.out_zero, expected, 256);
        simd->quantized_sum_u8(&sum, x, y, sums, 256);
        assert_memory_equal(sums, expected, 256);
    }
}

static void quantized_sum__of_nothing_is_quantising(void **state) {
    (void)state;
    assert_true(for_each_set(check_sum) >= 1);
}

static float scale_of(uint32_t *state) {
    return (float)(1u + next_random(state) % 1000u) * (float)(1u + next_random(state) % 100u) *
           1e-6f;
}

// Every step rounds: what fuses a product and the sum is wrong once in a million.
static void check_roundings(const cpu_simd *simd) {
    static uint8_t x[65536];
    static uint8_t y[65536];
    static uint8_t sums[65536];
    uint32_t state = 11;
    for (int i = 0; i < 65536; i++) {
        x[i] = (uint8_t)(i % 256);
        y[i] = (uint8_t)(i / 256);
    }
    for (int i = 0; i < 300; i++) {
        cpu_quantized_sum q = {.x_zero = (int32_t)(next_random(&state) % 256u),
                               .y_zero = (int32_t)(next_random(&state) % 256u),
                               .out_zero = (int32_t)(next_random(&state) % 256u),
                               .x_scale = scale_of(&state),
                               .y_scale = scale_of(&state),
                               .low = -INFINITY,
                               .high = INFINITY};
        q.out_scale =
            (q.x_scale + q.y_scale) * (0.3f + (float)(next_random(&state) % 100u) * 0.01f);
        simd->quantized_sum_u8(&q, x, y, sums, 65536);
        for (int k = 0; k < 65536; k++) {
            const float u = (float)((int32_t)x[k] - q.x_zero) * q.x_scale;
            const float v = (float)((int32_t)y[k] - q.y_zero) * q.y_scale;
            const float rounded = rintf((u + v) / q.out_scale) + (float)q.out_zero;
            assert_true((float)sums[k] == fminf(fmaxf(rounded, 0.0f), 255.0f));
        }
    }
}

static void quantized_sum__rounds_every_step(void **state) {
    (void)state;
    assert_true(for_each_set(check_roundings) >= 1);
}

#define DEEP 300 // of two groups of 150
#define WIDE CPU_NIBBLE_COLUMNS

// Weights of 4 bits, as simd.h packs them, and the same as doubles.
static void make_nibbles(uint8_t *packed, float *scales, float *offsets, int one_zero,
                         double *plain) {
    uint32_t state = 5;
    for (int i = 0; i < 2 * WIDE; i++) {
        scales[i] = 0.01f + 0.001f * (float)(next_random(&state) % 100u);
        offsets[i] = scales[i] * (one_zero ? 8.0f : (float)(next_random(&state) % 16u));
    }
    for (int k = 0; k < DEEP; k++) {
        for (int j = 0; j < WIDE; j++) {
            const uint32_t bits = next_random(&state) % 16u;
            const int at = k / (DEEP / 2) * WIDE + j;
            uint8_t *byte = &packed[k * (WIDE / 2) + j % (WIDE / 2)];
            *byte = (uint8_t)(j < WIDE / 2 ? bits : *byte | bits << 4);
            plain[k * WIDE + j] = (double)scales[at] * bits - (double)offsets[at];
        }
    }
}

static void assert_products(const float *x, const double *plain, int begin, int count,
                            const float *sums) {
    for (int j = 0; j < WIDE; j++) {
        double sum = 2.5;
        for (int k = begin; k < begin + count; k++) {
            sum += (double)x[k] * plain[k * WIDE + j];
        }
        assert_float_equal(sums[j], sum, 2e-3);
    }
}

static void check_nibbles_of(const cpu_simd *simd, int one_zero) {
    static uint8_t packed[DEEP * WIDE / 2];
    static double plain[DEEP * WIDE];
    static float panel[DEEP * WIDE];
    static float x[CPU_PANEL_ROWS][DEEP];
    float scales[2 * WIDE];
    float offsets[2 * WIDE];
    float sums[CPU_PANEL_ROWS * WIDE];
    const float *rows[CPU_PANEL_ROWS];
    const int begin = 131; // the panel has rows of both groups
    make_nibbles(packed, scales, offsets, one_zero, plain);
    const cpu_nibbles block = {.weights = packed,
                               .scales = scales,
                               .offsets = one_zero ? NULL : offsets,
                               .zero = 8.0f,
                               .group_size = DEEP / 2};
    for (uint32_t r = 0; r < CPU_PANEL_ROWS; r++) {
        for (int k = 0; k < DEEP; k++) {
            x[r][k] = (float)((k * 7 + (int)r * 13) % 41 - 20) * 0.1f;
        }
        rows[r] = x[r] + begin;
    }
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        sums[i] = 2.5f;
    }
    simd->nibble_row(x[1], &block, 2, sums);
    assert_products(x[1], plain, 0, DEEP, sums);
    for (int j = 0; j < WIDE; j++) {
        sums[j] = 2.5f;
    }
    simd->nibble_panel(&block, begin, DEEP - begin, panel);
    simd->panel_rows(rows, panel, DEEP - begin, sums);
    for (uint32_t r = 0; r < CPU_PANEL_ROWS; r++) {
        assert_products(x[r], plain, begin, DEEP - begin, sums + r * WIDE);
    }
}

static void check_nibbles(const cpu_simd *simd) {
    check_nibbles_of(simd, 0);
    check_nibbles_of(simd, 1);
}

static void nibbles__agree_with_double(void **state) {
    (void)state;
    assert_true(for_each_set(check_nibbles) >= 1);
}

static void check_affine(const cpu_simd *simd) {
    float x[5 * 16];
    float out[5 * 16];
    float scale[16];
    float shift[16];
    const int width = (int)simd->floats;
    for (uint32_t relu = 0; relu < 2; relu++) {
        for (int i = 0; i < 5 * width; i++) {
            x[i] = i == 7 ? NAN : (float)(i % 11 - 5);
            scale[i % width] = (float)(i % width) - 2.5f;
            shift[i % width] = (float)(i % width % 3) - 1.0f;
        }
        simd->affine(scale, shift, relu, x, out, 5);
        for (int i = 0; i < 5 * width; i++) {
            const float y = x[i] * scale[i % width] + shift[i % width];
            assert_true(i == 7 ? isnan(out[i]) != 0 : out[i] == (relu && y < 0.0f ? 0.0f : y));
        }
    }
}

static void affine__is_exact_here(void **state) {
    (void)state;
    assert_true(for_each_set(check_affine) >= 1);
}

static void get__is_the_best_usable_set(void **state) {
    (void)state;
    const cpu_simd *best = tni_cpu_simd_get();
    for (uint32_t i = 0; i < CPU_SIMD_COUNT; i++) {
        assert_true(!tni_cpu_simd_usable(i) || tni_cpu_simd_at(i)->floats <= best->floats);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(act__agrees_with_double),
        cmocka_unit_test(act__at_the_ends_of_the_range),
        cmocka_unit_test(rows__agree_with_double),
        cmocka_unit_test(quantize__rounds_half_to_even_and_saturates),
        cmocka_unit_test(quantize__is_the_rounded_quotient),
        cmocka_unit_test(quantized_sum__of_nothing_is_quantising),
        cmocka_unit_test(quantized_sum__rounds_every_step),
        cmocka_unit_test(nibbles__agree_with_double),
        cmocka_unit_test(affine__is_exact_here),
        cmocka_unit_test(get__is_the_best_usable_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
