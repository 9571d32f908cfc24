// SPDX-License-Identifier: Apache-2.0
// The scalar functions of the elementwise ops, each after the formula in the ONNX operator list.
// Included by op_table.c only.
#ifndef TENON_REFERENCE_SCALARS_H
#define TENON_REFERENCE_SCALARS_H

#include <math.h>
#include <stdint.h>

// A unary function of x that takes up to two attributes, a and b.
#define UNARY(name, formula)                                                                       \
    static double name(double x, double a, double b) {                                             \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        return (formula);                                                                          \
    }
#define BINARY(name, formula)                                                                      \
    static double name(double x, double y) {                                                       \
        return (formula);                                                                          \
    }
// Integers: u says whether x and y are unsigned.
#define INTEGER(name, formula)                                                                     \
    static uint64_t name(uint64_t x, uint64_t y, uint32_t u) {                                     \
        (void)y;                                                                                   \
        (void)u;                                                                                   \
        return (formula);                                                                          \
    }

// [0, 1]; unlike fmin and fmax it lets NaN through.
static double unit_interval(double x) {
    return x < 0.0 ? 0.0 : (x > 1.0 ? 1.0 : x);
}

UNARY(f_abs, fabs(x))
UNARY(f_neg, -x)
UNARY(f_floor, floor(x))
UNARY(f_ceil, ceil(x))
UNARY(f_round, nearbyint(x)) // halves to even: the default rounding mode
UNARY(f_reciprocal, 1.0 / x)
UNARY(f_sqrt, sqrt(x))
UNARY(f_exp, exp(x))
UNARY(f_log, log(x))
UNARY(f_sin, sin(x))
UNARY(f_cos, cos(x))
UNARY(f_tan, tan(x))
UNARY(f_asin, asin(x))
UNARY(f_acos, acos(x))
UNARY(f_atan, atan(x))
UNARY(f_sinh, sinh(x))
UNARY(f_cosh, cosh(x))
UNARY(f_tanh, tanh(x))
UNARY(f_asinh, asinh(x))
UNARY(f_acosh, acosh(x))
UNARY(f_atanh, atanh(x))
UNARY(f_erf, erf(x))
UNARY(f_sign, x > 0.0 ? 1.0 : (x < 0.0 ? -1.0 : (x == 0.0 ? 0.0 : x)))
UNARY(f_isnan, isnan(x) ? 1.0 : 0.0)
UNARY(f_relu, x < 0.0 ? 0.0 : x)
UNARY(f_leaky_relu, x < 0.0 ? a * x : x)
UNARY(f_thresholded_relu, x > a ? x : 0.0)
UNARY(f_elu, x < 0.0 ? a * expm1(x) : x)
UNARY(f_celu, x > 0.0 ? x : a * expm1(x / a))
UNARY(f_selu, x > 0.0 ? b * x : b * (a * exp(x) - a))
UNARY(f_sigmoid, 1.0 / (1.0 + exp(-x)))
UNARY(f_hard_sigmoid, unit_interval(a *x + b))
UNARY(f_hard_swish, x *unit_interval(x / 6.0 + 0.5))
// log(1 + e^x), written so that large x does not overflow.
UNARY(f_softplus, fmax(x, 0.0) + log1p(exp(-fabs(x))))
UNARY(f_softsign, x / (1.0 + fabs(x)))
UNARY(f_mish, x *tanh(fmax(x, 0.0) + log1p(exp(-fabs(x)))))
UNARY(f_shrink, x < -b ? x + a : (x > b ? x - a : 0.0))
UNARY(f_swish, x / (1.0 + exp(-a * x)))

BINARY(f_add, x + y)
BINARY(f_sub, x - y)
BINARY(f_mul, x *y)
BINARY(f_div, x / y)
// A comparison with NaN is false, so NaN passes on either side.
BINARY(f_max, isnan(y) || y > x ? y : x)
BINARY(f_min, isnan(y) || y < x ? y : x)
BINARY(f_prelu, x < 0.0 ? x * y : x)
BINARY(f_equal, x == y ? 1.0 : 0.0)
BINARY(f_less, x < y ? 1.0 : 0.0)
BINARY(f_less_equal, x <= y ? 1.0 : 0.0)
BINARY(f_greater, x > y ? 1.0 : 0.0)
BINARY(f_greater_equal, x >= y ? 1.0 : 0.0)

INTEGER(i_abs, !u && (int64_t)x < 0 ? 0 - x : x)
INTEGER(i_neg, 0 - x)
INTEGER(i_sign, x == 0 ? 0 : (!u && (int64_t)x < 0 ? UINT64_MAX : 1))
INTEGER(i_relu, !u && (int64_t)x < 0 ? 0 : x)
INTEGER(i_not, x == 0 ? 1 : 0)
INTEGER(i_bitwise_not, ~x)
INTEGER(i_add, x + y)
INTEGER(i_sub, x - y)
INTEGER(i_mul, x *y)
INTEGER(i_and, x &y)
INTEGER(i_or, x | y)
INTEGER(i_xor, x ^ y)
INTEGER(i_equal, x == y ? 1 : 0)
INTEGER(i_less, (u ? x < y : (int64_t)x < (int64_t)y) ? 1 : 0)
INTEGER(i_less_equal, (u ? x <= y : (int64_t)x <= (int64_t)y) ? 1 : 0)
INTEGER(i_greater, (u ? x > y : (int64_t)x > (int64_t)y) ? 1 : 0)
INTEGER(i_greater_equal, (u ? x >= y : (int64_t)x >= (int64_t)y) ? 1 : 0)
INTEGER(i_max, i_less(x, y, u) ? y : x)
INTEGER(i_min, i_less(y, x, u) ? y : x)
INTEGER(i_prelu, !u && (int64_t)x < 0 ? x * y : x)

// Division by zero has no result in ONNX; 0 keeps it defined. The one overflow, the smallest number
// by -1, wraps around.
static uint64_t i_div(uint64_t x, uint64_t y, uint32_t u) {
    if (y == 0) {
        return 0;
    }
    if (u) {
        return x / y;
    }
    return y == UINT64_MAX ? 0 - x : (uint64_t)((int64_t)x / (int64_t)y);
}

// Mod with fmod = 0: the sign of the result is the divisor's.
static uint64_t i_mod(uint64_t x, uint64_t y, uint32_t u) {
    if (y == 0 || (!u && y == UINT64_MAX)) {
        return 0;
    }
    if (u) {
        return x % y;
    }
    const int64_t rest = (int64_t)x % (int64_t)y;
    return (uint64_t)(rest != 0 && (rest < 0) != ((int64_t)y < 0) ? rest + (int64_t)y : rest);
}

#endif // TENON_REFERENCE_SCALARS_H
