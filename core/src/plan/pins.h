// SPDX-License-Identifier: Apache-2.0
// The embedder's constraints on single nodes.
#ifndef TENON_PLAN_PINS_H
#define TENON_PLAN_PINS_H

#include "plan/plan.h"

// Rules out what pins rule out, in the verdicts. A pin speaks for whatever stands for its node now:
// the nodes of its expansion, or the call that it is a part of. TN_OK · TN_ERROR_UNSUPPORTED the
// device does not take the node (node_index; the text says why).
TN_MUST_USE tn_status tni_pins_apply(tni_plan *plan, const tni_plan_info *info, tn_error *error);

#endif // TENON_PLAN_PINS_H
