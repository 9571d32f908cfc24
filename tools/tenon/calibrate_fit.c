// SPDX-License-Identifier: Apache-2.0
// Costs from measured times: non-negative least squares of relative errors. With four unknowns
// every set of those that are not zero can be tried. Huber's weights let points far off count less.
#include "calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWNS FIT_AMOUNTS
#define ROUNDS 12
#define FAR_OFF 0.2 // relative errors above this count by their size, not its square

static double predict(const double cost[UNKNOWNS], const fit_point *point) {
    double sum = 0;
    for (int i = 0; i < UNKNOWNS; i++) {
        sum += cost[i] * point->amount[i];
    }
    return sum;
}

static double error_of(const double cost[UNKNOWNS], const fit_point *point) {
    return fabs(predict(cost, point) / point->ns - 1);
}

static void eliminate(double matrix[UNKNOWNS][UNKNOWNS + 1], int column, int pivot) {
    for (int k = 0; k <= UNKNOWNS; k++) {
        const double swap = matrix[column][k];
        matrix[column][k] = matrix[pivot][k];
        matrix[pivot][k] = swap;
    }
    for (int row = 0; row < UNKNOWNS; row++) {
        const double factor = row == column ? 0 : matrix[row][column] / matrix[column][column];
        for (int k = column; factor != 0 && k <= UNKNOWNS; k++) {
            matrix[row][k] -= factor * matrix[column][k];
        }
    }
}

// Gauss-Jordan with pivots; false: singular.
static bool solve(double matrix[UNKNOWNS][UNKNOWNS + 1], double out_x[UNKNOWNS]) {
    for (int column = 0; column < UNKNOWNS; column++) {
        int pivot = column;
        for (int row = column + 1; row < UNKNOWNS; row++) {
            pivot = fabs(matrix[row][column]) > fabs(matrix[pivot][column]) ? row : pivot;
        }
        if (fabs(matrix[pivot][column]) < 1e-12) {
            return false;
        }
        eliminate(matrix, column, pivot);
    }
    for (int i = 0; i < UNKNOWNS; i++) {
        out_x[i] = matrix[i][UNKNOWNS] / matrix[i][i];
    }
    return true;
}

// The best costs of which only those in `set` are not zero; scale brings amounts near 1.
static bool solve_set(const fit_point *points, const double *weights, uint32_t count, unsigned set,
                      const double scale[UNKNOWNS], double out_cost[UNKNOWNS]) {
    double matrix[UNKNOWNS][UNKNOWNS + 1] = {{0}};
    for (uint32_t p = 0; p < count; p++) {
        double row[UNKNOWNS];
        for (int i = 0; i < UNKNOWNS; i++) {
            row[i] = (set >> i & 1u) != 0 ? points[p].amount[i] / (scale[i] * points[p].ns) : 0;
        }
        for (int i = 0; i < UNKNOWNS; i++) {
            for (int k = 0; k < UNKNOWNS; k++) {
                matrix[i][k] += weights[p] * row[i] * row[k];
            }
            matrix[i][UNKNOWNS] += weights[p] * row[i];
        }
    }
    for (int i = 0; i < UNKNOWNS; i++) {
        matrix[i][i] = (set >> i & 1u) != 0 ? matrix[i][i] : 1;
    }
    if (!solve(matrix, out_cost)) {
        return false;
    }
    bool good = true;
    for (int i = 0; i < UNKNOWNS; i++) {
        good &= out_cost[i] >= 0;
        out_cost[i] /= scale[i];
    }
    return good;
}

static double loss(const fit_point *points, const double *weights, uint32_t count,
                   const double cost[UNKNOWNS]) {
    double sum = 0;
    for (uint32_t p = 0; p < count; p++) {
        const double off = error_of(cost, &points[p]);
        sum += weights[p] * off * off;
    }
    return sum;
}

static void solve_best(const fit_point *points, const double *weights, uint32_t count,
                       const double scale[UNKNOWNS], double out_cost[UNKNOWNS]) {
    double best = HUGE_VAL;
    for (unsigned set = 1; set < 1u << UNKNOWNS; set++) {
        double cost[UNKNOWNS];
        if (!solve_set(points, weights, count, set, scale, cost)) {
            continue;
        }
        const double now = loss(points, weights, count, cost);
        if (now < best) {
            best = now;
            memcpy(out_cost, cost, sizeof(cost));
        }
    }
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

bool fit_costs(const fit_point *points, uint32_t count, fit_result *out_result) {
    double weights[CALIBRATE_MAX_POINTS];
    double off[CALIBRATE_MAX_POINTS];
    double scale[UNKNOWNS] = {0};
    *out_result = (fit_result){{0}, 1};
    if (count == 0 || count > CALIBRATE_MAX_POINTS) {
        return false;
    }
    for (uint32_t p = 0; p < count; p++) {
        weights[p] = 1;
        for (int i = 0; i < UNKNOWNS; i++) {
            scale[i] = fmax(scale[i], points[p].amount[i] / points[p].ns);
        }
    }
    for (int i = 0; i < UNKNOWNS; i++) {
        scale[i] = scale[i] > 0 ? scale[i] : 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        solve_best(points, weights, count, scale, out_result->cost);
        for (uint32_t p = 0; p < count; p++) {
            const double now = error_of(out_result->cost, &points[p]);
            weights[p] = now > FAR_OFF ? FAR_OFF / now : 1;
        }
    }
    for (uint32_t p = 0; p < count; p++) {
        off[p] = fmax(error_of(out_result->cost, &points[p]), points[p].noise);
    }
    qsort(off, count, sizeof(off[0]), by_value);
    out_result->noise = off[count / 2];
    return true;
}

const char *fit_trust(const fit_result *result) {
    return result->noise <= 0.1 ? "good" : result->noise <= 0.3 ? "fair" : "poor";
}
