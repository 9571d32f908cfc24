// SPDX-License-Identifier: Apache-2.0
// Kinds of work that run at similar speed on one device: what calibration measures, and the planner
// looks up.
#ifndef TENON_PLAN_OP_CLASS_H
#define TENON_PLAN_OP_CLASS_H

#include "graph/graph.h"

typedef uint32_t tni_op_class;
#define TNI_OP_MATMUL 0u         // products of matrices; recurrent networks are that too
#define TNI_OP_CONVOLUTION 1u    // of dense or grouped channels
#define TNI_OP_ELEMENTWISE 2u    // arithmetic, comparisons, choices
#define TNI_OP_TRANSCENDENTAL 3u // a function such as exp for every element
#define TNI_OP_REDUCTION 4u      // sums, pools, norms
#define TNI_OP_MOVEMENT 5u       // elements to other places
#define TNI_OP_VIEW 6u           // the same bytes under another shape
#define TNI_OP_QUANTIZATION 7u   // to integers and back
#define TNI_OP_OTHER 8u
#define TNI_OP_CLASSES 9u

// Any thread. Custom ops, and calls of functions, are OTHER.
tni_op_class tni_op_class_of(const tni_node *node);

// "matmul", ...: as calibration files call it; static.
const char *tni_op_class_text(tni_op_class op_class);
// TNI_OP_CLASSES when there is none of that name.
tni_op_class tni_op_class_find(const char *text);

#endif // TENON_PLAN_OP_CLASS_H
