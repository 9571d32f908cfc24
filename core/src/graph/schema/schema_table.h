// SPDX-License-Identifier: Apache-2.0
// Inside of schema.h: the generated rows, sorted by domain, op type and version.
#ifndef TENON_GRAPH_SCHEMA_TABLE_H
#define TENON_GRAPH_SCHEMA_TABLE_H

#include "graph/schema/schema.h"

extern const tni_schema tni_schema_rows[];
extern const uint32_t tni_schema_row_count;
// The newest opset version of ai.onnx among them.
extern const uint32_t tni_schema_newest;

#endif // TENON_GRAPH_SCHEMA_TABLE_H
