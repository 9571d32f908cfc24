// SPDX-License-Identifier: Apache-2.0
// Collecting what the steps of a Loop or Scan give: equal tensors, laid one after another along a
// new axis. Room grows by doubling, so that n steps copy O(n).
#ifndef TENON_FLOW_COLLECT_H
#define TENON_FLOW_COLLECT_H

#include "flow/tensor.h"
#include "graph/graph.h"

typedef struct tni_collector {
    tni_store *store;
    const tni_value *declared; // of one step: type, and shape when there are no steps
    int64_t axis;              // of the new dimension in the result; may be negative
    bool backwards;            // the last step comes first
    int64_t expected;          // steps, if that many are known to come; else a large number
    int64_t at_least;          // steps in the result: those that did not come are zero
    int64_t count;
    tni_tensor *first; // of the first step: what the others must look like
    uint8_t *bytes;    // steps one after another
    uint64_t room_bytes;
} tni_collector;

void tni_collector_init(tni_collector *collector, tni_store *store, const tni_value *declared,
                        int64_t axis, bool backwards, int64_t expected);
// Adds one step; the reference is taken over. TN_OK · TN_ERROR_INVALID_DATA no tensor, or of
// another type or shape than the first · TN_ERROR_UNSUPPORTED elements smaller than a byte ·
// TN_ERROR_LIMIT_EXCEEDED · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_collect(tni_collector *collector, tni_item *item, tn_error *error);
// The result. Without steps, unknown dims are 0. Errors as tni_tensor_create ·
// TN_ERROR_INVALID_DATA the axis.
TN_MUST_USE tn_status tni_collector_finish(tni_collector *collector, tni_item *out_item,
                                           tn_error *error);
void tni_collector_deinit(tni_collector *collector); // a zeroed one may be

#endif // TENON_FLOW_COLLECT_H
