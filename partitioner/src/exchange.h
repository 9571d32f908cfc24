// SPDX-License-Identifier: Apache-2.0
// What one edge of the bound does in a pass (see dual.h): it takes a share of one end's costs and
// gives its least costs to the other end, in one go. Called with constant sizes for few labels, so
// that the loops unroll; nothing branches.
#ifndef TENON_PARTITIONER_EXCHANGE_H
#define TENON_PARTITIONER_EXCHANGE_H

#include "tenon/partition.h"

#include <math.h>

// The costs that a node has to give in a pass: label by label; 0 where a label cannot be. Each edge
// gets its part of whole; rest is what is left.
typedef struct tnp_giving {
    double whole[TNP_MAX_LABELS];
    double rest[TNP_MAX_LABELS];
} tnp_giving;

// Adding this and taking it away again rounds to a whole number.
#define TNP_ROUNDING 0x1.8p52

// At most what is there, so no cost gets negative.
static inline double tnp_share(tnp_giving *giving, uint32_t label, double part) {
    double share = giving->whole[label] * part + TNP_ROUNDING - TNP_ROUNDING;
    share = share < giving->rest[label] ? share : giving->rest[label];
    giving->rest[label] -= share;
    return share;
}

// From the earlier end (rows) to the later one. A label that lost its last partner costs HUGE_VAL.
static inline void tnp_exchange_forth(double *restrict table, double part,
                                      tnp_giving *restrict giving, double *restrict take,
                                      uint32_t rows, uint32_t columns) {
    double least[TNP_MAX_LABELS];
    for (uint32_t b = 0; b < columns; b++) {
        least[b] = HUGE_VAL;
    }
    for (uint32_t a = 0; a < rows; a++) {
        double share = tnp_share(giving, a, part);
        double *row = table + (uint64_t)a * columns;
        for (uint32_t b = 0; b < columns; b++) {
            double sum = row[b] + share;
            row[b] = sum;
            least[b] = sum < least[b] ? sum : least[b];
        }
    }
    for (uint32_t b = 0; b < columns; b++) {
        take[b] += least[b];
        least[b] = least[b] < HUGE_VAL ? least[b] : 0;
    }
    for (uint32_t a = 0; a < rows; a++) {
        double *row = table + (uint64_t)a * columns;
        for (uint32_t b = 0; b < columns; b++) {
            row[b] -= least[b];
        }
    }
}

// From the later end (columns) to the earlier one.
static inline void tnp_exchange_back(double *restrict table, double part,
                                     tnp_giving *restrict giving, double *restrict take,
                                     uint32_t rows, uint32_t columns) {
    double share[TNP_MAX_LABELS];
    for (uint32_t b = 0; b < columns; b++) {
        share[b] = tnp_share(giving, b, part);
    }
    for (uint32_t a = 0; a < rows; a++) {
        double *row = table + (uint64_t)a * columns;
        double least = HUGE_VAL;
        for (uint32_t b = 0; b < columns; b++) {
            double sum = row[b] + share[b];
            least = sum < least ? sum : least;
        }
        take[a] += least;
        least = least < HUGE_VAL ? least : 0;
        for (uint32_t b = 0; b < columns; b++) {
            row[b] += share[b] - least;
        }
    }
}

#endif // TENON_PARTITIONER_EXCHANGE_H
