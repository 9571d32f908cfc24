// SPDX-License-Identifier: Apache-2.0
// What is known of the ops of ONNX: since which opset each form exists and how many operands it
// takes. The rows are generated (schema_table.c, scripts/gen_schema_table.py).
#ifndef TENON_GRAPH_SCHEMA_H
#define TENON_GRAPH_SCHEMA_H

#include "tenon/abi/types.h"

#include <stdbool.h>
#include <stdint.h>

#define TNI_ARITY_UNBOUNDED UINT32_MAX

// One form of one op.
typedef struct tni_schema {
    const char *domain; // "" for ai.onnx
    const char *op_type;
    uint32_t since_version;
    uint32_t deprecated; // 1: this form says the op is gone
    uint32_t min_inputs;
    uint32_t max_inputs;
    uint32_t min_outputs;
    uint32_t max_outputs;
} tni_schema;

// The form in force at an opset version: the newest not above it. Null when the domain or op is not
// known or the op is newer. domain "" and "ai.onnx" are the same. Static. Any thread.
const tni_schema *tni_schema_find(tn_string domain, tn_string op_type, uint32_t opset_version);
// Its since_version, or 0.
uint32_t tni_schema_since_version(tn_string domain, tn_string op_type, uint32_t opset_version);
// Whether the domain has any row.
bool tni_schema_domain_known(tn_string domain);
// Whether any version of the op is known.
bool tni_schema_op_known(tn_string domain, tn_string op_type);
// The newest opset version of ai.onnx that the table covers.
uint32_t tni_schema_newest_opset(void);

#endif // TENON_GRAPH_SCHEMA_H
