// SPDX-License-Identifier: Apache-2.0
// Which readers of a shared DequantizeLinear get one of their own: those that a plan has in a claim
// with it. A plan is made for a trial in which all have one, and thrown away.
#ifndef TENON_FLOW_COPIES_H
#define TENON_FLOW_COPIES_H

#include "loader/services.h"
#include "plan/plan.h"

// Copies in info->model, which begins as loaded, what such a plan makes use of; info is what will
// be planned with. Nothing is copied where no claim counts, nor where the trial cannot be planned:
// then the model's own plan says why. TN_OK · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED ·
// TN_ERROR_CANCELLED.
TN_MUST_USE tn_status tni_copies_settle(const tni_alloc *alloc, tni_weights *weights,
                                        tni_model *loaded, const tni_plan_info *info,
                                        tn_error *error);

#endif // TENON_FLOW_COPIES_H
