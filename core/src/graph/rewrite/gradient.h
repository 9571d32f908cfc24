// SPDX-License-Identifier: Apache-2.0
// Inside of gradient.c: one Gradient node that is being written out, and the rules by family. A
// rule says what a node's result hands back to its operands.
#ifndef TENON_GRAPH_GRADIENT_H
#define TENON_GRAPH_GRADIENT_H

#include "base/error.h"
#include "graph/builder.h"

// The derivative of y by a value is called the value's share. Indices below value_count are values
// that were there before the first node was written.
typedef struct tni_gradient {
    tni_builder b; // adds at the end of the Gradient's graph, in the type of the rule's node
    tn_error *error;
    uint32_t value_count;
    uint8_t *depends; // per value: on a value by which y is differentiated
    uint32_t *shares; // per value: its share as far as it is known, or TN_NONE
    uint32_t node_id; // the node whose rule is at work
    tni_node node;    // as it was; its arrays stay valid
} tni_gradient;

// Writes what share, that of the node's first output, hands back to the operands.
typedef void (*tni_gradient_fn)(tni_gradient *s, uint32_t share);

// Whether an operand's share is asked for: without, nothing need be written for it.
bool tni_gradient_wants(const tni_gradient *s, uint32_t operand);
// Adds to an operand's share. The value has the operand's shape.
void tni_gradient_give(tni_gradient *s, uint32_t operand, uint32_t value);
// The same of a value that has the shape of rank and dims, to which the operand was broadcast.
void tni_gradient_give_dims(tni_gradient *s, uint32_t operand, uint32_t value, uint32_t rank,
                            const tn_graph_dim *dims);
// The same where the operand was broadcast to the shape of the first output.
void tni_gradient_give_broadcast(tni_gradient *s, uint32_t operand, uint32_t value);
// Ends the rewrite: the rule does not hold for this node.
void tni_gradient_refuse(tni_gradient *s, const char *id, const char *format, ...) TNI_PRINTF(3, 4);
// Rank and dims of a value; null after refusing an unknown rank.
const tni_value *tni_gradient_ranked(tni_gradient *s, uint32_t value);

// gradient_arithmetic.c
void tni_gradient_abs(tni_gradient *s, uint32_t share);
void tni_gradient_add(tni_gradient *s, uint32_t share);
void tni_gradient_cos(tni_gradient *s, uint32_t share);
void tni_gradient_div(tni_gradient *s, uint32_t share);
void tni_gradient_erf(tni_gradient *s, uint32_t share);
void tni_gradient_exp(tni_gradient *s, uint32_t share);
void tni_gradient_log(tni_gradient *s, uint32_t share);
void tni_gradient_log_softmax(tni_gradient *s, uint32_t share);
void tni_gradient_mul(tni_gradient *s, uint32_t share);
void tni_gradient_neg(tni_gradient *s, uint32_t share);
void tni_gradient_pow(tni_gradient *s, uint32_t share);
void tni_gradient_reciprocal(tni_gradient *s, uint32_t share);
void tni_gradient_relu(tni_gradient *s, uint32_t share);
void tni_gradient_sigmoid(tni_gradient *s, uint32_t share);
void tni_gradient_sin(tni_gradient *s, uint32_t share);
void tni_gradient_softmax(tni_gradient *s, uint32_t share);
void tni_gradient_sqrt(tni_gradient *s, uint32_t share);
void tni_gradient_sub(tni_gradient *s, uint32_t share);
void tni_gradient_tanh(tni_gradient *s, uint32_t share);
void tni_gradient_where(tni_gradient *s, uint32_t share);

// gradient_shape.c
void tni_gradient_cast(tni_gradient *s, uint32_t share);
void tni_gradient_expand(tni_gradient *s, uint32_t share);
void tni_gradient_gemm(tni_gradient *s, uint32_t share);
void tni_gradient_identity(tni_gradient *s, uint32_t share);
void tni_gradient_matmul(tni_gradient *s, uint32_t share);
void tni_gradient_reduce(tni_gradient *s, uint32_t share);
void tni_gradient_reshape(tni_gradient *s, uint32_t share);
void tni_gradient_transpose(tni_gradient *s, uint32_t share);

#endif // TENON_GRAPH_GRADIENT_H
