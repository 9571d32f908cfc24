// SPDX-License-Identifier: Apache-2.0
// Calls of model-local functions that a device may take as one node: which are shown to devices
// that way, and which stay so. Why: docs/decisions/0010.
#ifndef TENON_FLOW_CALLS_H
#define TENON_FLOW_CALLS_H

#include "flow/flow.h"

// Puts one node in the place of every outermost call of a function that one of these open devices
// lists as an op, if its nodes can be planned as one; each call once. *out_changed: there were any.
// TN_OK · errors of tni_device_op_list, tni_rewrite_outline and tni_shapes_infer.
TN_MUST_USE tn_status tni_calls_offer(tni_model *model, tni_device *const *devices,
                                      uint32_t device_count, bool *out_changed, tn_error *error);

// Asks the devices that calls were offered to about the regions of a cut flow that hold such nodes,
// and marks as refused those that none takes whole: planning their nodes one by one leaves more
// choice.
// *out_refused: there were any. Errors as tni_verdicts_ask.
TN_MUST_USE tn_status tni_calls_settle(const tni_flow *flow, bool *out_refused, tn_error *error);

#endif // TENON_FLOW_CALLS_H
