// SPDX-License-Identifier: Apache-2.0
// What the sizes of an op's outputs hang on: shapes alone, the elements of some operand, or the
// data itself. This is what decides where a graph has to be cut into stages.
#ifndef TENON_FLOW_SIZE_OPERANDS_H
#define TENON_FLOW_SIZE_OPERANDS_H

#include "graph/graph.h"

// Operands whose elements give the sizes of the outputs, one bit each (operand 0 is bit 0). 0 for
// ops that are not known.
uint32_t tni_size_operands(const tni_node *node);

// Only running the op tells the sizes of its outputs.
bool tni_sizes_need_data(const tni_node *node);

// Shape inference follows small integer tensors through this op, element by element.
bool tni_elements_followed(const tni_node *node);
// The output's elements are sizes of the input's shape: no element is read at all.
bool tni_elements_from_shape(const tni_node *node);

// The host itself carries the op out: control flow, sequences, optionals and strings.
bool tni_node_is_for_host(const tni_model *model, const tni_node *node);

#endif // TENON_FLOW_SIZE_OPERANDS_H
