// SPDX-License-Identifier: Apache-2.0
// What is known of the ops of ONNX: since which opset each form exists, its operands, their types
// and its attributes. The rows are generated (schema_table.c, scripts/gen_schema_table.py).
#ifndef TENON_GRAPH_SCHEMA_H
#define TENON_GRAPH_SCHEMA_H

#include "tenon/abi/graph.h"

#include <stdbool.h>
#include <stdint.h>

#define TNI_ARITY_UNBOUNDED UINT32_MAX

// An attribute of a form. What the ABI has no kind for is known by name only.
#define TNI_KIND_OTHER UINT32_MAX
typedef struct tni_schema_attr {
    const char *name;
    tn_attr_kind kind;
    uint32_t has_default; // 1: int_default, float_default or text_default, as kind says
    int64_t int_default;
    float float_default;
    const char *text_default;
} tni_schema_attr;

// One form of one op.
typedef struct tni_schema {
    const char *domain; // "" for ai.onnx
    const char *op_type;
    uint32_t since_version;
    uint32_t deprecated; // 1: valid, but not to be used: the op is gone, or its next form differs
    uint32_t min_inputs;
    uint32_t max_inputs;
    uint32_t min_outputs;
    uint32_t max_outputs;
    // Per formal input, then output: bit d is set when element type d is allowed. The last formal
    // operand goes on for a variadic op.
    const uint32_t *types;
    uint32_t formal_inputs;
    uint32_t formal_outputs;
    const tni_schema_attr *attrs; // sorted by name
    uint32_t attr_count;
} tni_schema;

// The form in force at an opset version: the newest not above it. Null when the domain or op is not
// known or the op is newer. domain "" and "ai.onnx" are the same. Static. Any thread.
const tni_schema *tni_schema_find(tn_string domain, tn_string op_type, uint32_t opset_version);
// Its since_version, or 0.
uint32_t tni_schema_since_version(tn_string domain, tn_string op_type, uint32_t opset_version);
// The next newer or next older form of the same op, or null. row comes from tni_schema_find.
const tni_schema *tni_schema_newer(const tni_schema *row);
const tni_schema *tni_schema_older(const tni_schema *row);
// The attribute of this name, or null.
const tni_schema_attr *tni_schema_find_attr(const tni_schema *row, tn_string name);
// The element types that input or output index may have.
uint32_t tni_schema_input_types(const tni_schema *row, uint32_t index);
uint32_t tni_schema_output_types(const tni_schema *row, uint32_t index);
// Whether the domain has any row.
bool tni_schema_domain_known(tn_string domain);
// Whether any version of the op is known.
bool tni_schema_op_known(tn_string domain, tn_string op_type);
// The newest opset version of ai.onnx that the table covers.
uint32_t tni_schema_newest_opset(void);

#endif // TENON_GRAPH_SCHEMA_H
