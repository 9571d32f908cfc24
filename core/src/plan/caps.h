// SPDX-License-Identifier: Apache-2.0
// Caps on what weights may take on devices: what nodes read of constants, counted for the
// partitioner; and whether an answer keeps them.
#ifndef TENON_PLAN_CAPS_H
#define TENON_PLAN_CAPS_H

#include "plan/draft.h"

// How a constant that several nodes read is counted; see docs/decisions/0017.
typedef enum tni_cap_count {
    TNI_CAP_ONCE, // at its first reader: never more than is needed, wherever the others are
    TNI_CAP_EACH, // at every reader: never less
} tni_cap_count;

// What a device says of its memory: of the largest of its own heaps, else of itself; 0: nothing.
uint64_t tni_caps_declared(const tni_device *device);

// Whether any cap is asked for. Without, the functions below are not to be called.
bool tni_caps_wanted(const tni_draft_plan *draft);
// Fills draft->op_bytes and draft->capacity, which must be zeroed before the first call. With EACH,
// of labels that share a cap only the one that answer gives most keeps it (answer may be null
// otherwise). TN_OK · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_caps_fill(tni_draft_plan *draft, tni_cap_count how,
                                    const uint32_t *answer_label, tn_error *error);
void tni_caps_deinit(tni_draft_plan *draft);
// Whether the weights fit where the labels of ops put them, every constant once a device.
// TN_OK · TN_ERROR_LIMIT_EXCEEDED they do not · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_caps_check(const tni_draft_plan *draft, const uint32_t *label);
// Says that nothing fits: the caps, what there is to hold, and the largest nodes.
TN_MUST_USE tn_status tni_caps_refuse(const tni_draft_plan *draft, tn_error *error);
// Adds what the plan's islands hold to used_bytes of caps, which are those of the plan's info.
// TN_OK · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_caps_add_used(const tni_plan *plan, tni_cap *caps, uint32_t cap_count,
                                        tn_error *error);

#endif // TENON_PLAN_CAPS_H
