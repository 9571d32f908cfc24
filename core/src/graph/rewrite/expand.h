// SPDX-License-Identifier: Apache-2.0
// Inside of expand.c: one function op whose expansion is being written, and the formulas by family.
// A formula reads like the section of its op in the ONNX operator list.
#ifndef TENON_GRAPH_EXPAND_H
#define TENON_GRAPH_EXPAND_H

#include "graph/builder.h"

#define TNI_EXPANSION_MAX_OPERANDS 6u

typedef struct tni_expansion {
    tni_builder b;
    tni_node node; // as it was; its arrays stay valid
    // Formal values; TN_NONE for absent operands. The last node of a formula writes out[0].
    uint32_t in[TNI_EXPANSION_MAX_OPERANDS];
    uint32_t out[TNI_EXPANSION_MAX_OPERANDS];
    uint32_t rank;  // of input 0, or TN_RANK_UNKNOWN
    tn_dtype dtype; // of output 0
} tni_expansion;

// Writes the expansion into e->b; failures stay there.
typedef void (*tni_formula_fn)(tni_expansion *e);
// Whether there is an expansion for this node.
typedef bool (*tni_formula_check)(const tni_model *model, const tni_node *node);

// expand_activation.c
void tni_formula_celu(tni_expansion *e);
void tni_formula_clip(tni_expansion *e);
void tni_formula_elu(tni_expansion *e);
void tni_formula_gelu(tni_expansion *e);
void tni_formula_hard_sigmoid(tni_expansion *e);
void tni_formula_hard_swish(tni_expansion *e);
void tni_formula_leaky_relu(tni_expansion *e);
void tni_formula_mish(tni_expansion *e);
void tni_formula_prelu(tni_expansion *e);
void tni_formula_selu(tni_expansion *e);
void tni_formula_shrink(tni_expansion *e);
void tni_formula_softplus(tni_expansion *e);
void tni_formula_softsign(tni_expansion *e);
void tni_formula_swish(tni_expansion *e);
void tni_formula_thresholded_relu(tni_expansion *e);
void tni_formula_less_or_equal(tni_expansion *e);
void tni_formula_greater_or_equal(tni_expansion *e);
void tni_formula_dynamic_quantize(tni_expansion *e);

// expand_norm.c
void tni_formula_layer_norm(tni_expansion *e);
void tni_formula_rms_norm(tni_expansion *e);
void tni_formula_group_norm(tni_expansion *e);
void tni_formula_instance_norm(tni_expansion *e);
void tni_formula_mean_variance_norm(tni_expansion *e);
bool tni_formula_has_trailing_axes(const tni_model *model, const tni_node *node);
bool tni_formula_has_channels(const tni_model *model, const tni_node *node);

// expand_reduce.c
void tni_formula_softmax(tni_expansion *e);
void tni_formula_log_softmax(tni_expansion *e);
void tni_formula_reduce_l1(tni_expansion *e);
void tni_formula_reduce_l2(tni_expansion *e);
void tni_formula_reduce_log_sum(tni_expansion *e);
void tni_formula_reduce_log_sum_exp(tni_expansion *e);
void tni_formula_reduce_sum_square(tni_expansion *e);
bool tni_formula_reduces(const tni_model *model, const tni_node *node);

#endif // TENON_GRAPH_EXPAND_H
