// SPDX-License-Identifier: Apache-2.0
// Op versions: for one device, how every node of a model is written, in the newest form that the
// device knows and the node can be expressed in. Read next: draft.h (a step between two versions),
// rule_table.c (which steps are more than a new number). Why: docs/decisions/0006.
#ifndef TENON_GRAPH_PRESENT_H
#define TENON_GRAPH_PRESENT_H

#include "graph/view.h"

#include "tenon/abi/compile.h"

// Single owner.
typedef struct tni_presentation {
    tni_alloc alloc;
    tni_form *forms; // by model node; for tni_view_spec.forms
    uint32_t node_count;
} tni_presentation;

// Finds a form for every node that is in a graph of the model, those of expansions and bodies
// included. Forms that differ by more than their number are added to the model, which must not be
// read by others meanwhile, and are found again by the next device; *inout_changed is set, and the
// shapes inside them are known only after tni_shapes_infer. A node that the device does not list
// stays as it is; one that cannot be written in a version that it knows gets forms[i].limit.
// TN_OK · TN_ERROR_IO a constant cannot be read · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED.
// Deinit in every case.
TN_MUST_USE tn_status tni_presentation_init(tni_model *model, const tn_op_list *ops,
                                            tni_presentation *out, bool *inout_changed,
                                            tn_error *error);
// The record of an op, or null. "" and "ai.onnx" are the same domain.
const tn_op_record *tni_op_record_find(const tn_op_list *ops, tn_string domain, tn_string op);
void tni_presentation_deinit(tni_presentation *presentation);

#endif // TENON_GRAPH_PRESENT_H
