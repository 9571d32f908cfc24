// SPDX-License-Identifier: Apache-2.0
// Whether two models are the same graph: same nodes in the same order with the same operands,
// attributes, types and constants, whatever their ids are.
#ifndef TENON_TESTS_MODEL_COMPARE_H
#define TENON_TESTS_MODEL_COMPARE_H

#include "graph/graph.h"

#include <stddef.h>

// Returns whether they are; if not, text says where they differ first. Names of inputs, outputs,
// nodes and symbols count; those of other values do not, since a writer may have to change them.
// Constants that nothing reads are left out, and so are declared shapes of unknown types.
bool models_equal(const tni_model *a, const tni_model *b, char *text, size_t capacity);

#endif // TENON_TESTS_MODEL_COMPARE_H
