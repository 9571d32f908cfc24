// SPDX-License-Identifier: Apache-2.0
// From the imported graph to the canonical one: derivatives are written out, no-ops go, constants
// fold (large ones into recipes), BatchNormalization folds into its convolution, function ops get
// expansions.
#ifndef TENON_GRAPH_REWRITE_H
#define TENON_GRAPH_REWRITE_H

#include "graph/graph.h"

typedef struct tni_rewrite_info {
    bool keep_constants;  // do not fold
    bool keep_batch_norm; // do not fold BatchNormalization
    bool no_expansions;   // do not make expansion graphs
    bool fold_dequantize; // turn DequantizeLinear of weights into recipes; hides QDQ groups from
                          // devices
} tni_rewrite_info;

// Small results of folding are computed into owned bytes; larger ones become recipes or stay.
#define TNI_FOLD_MAX_BYTES 65536u

// Infers shapes, rewrites until nothing changes (at most 8 rounds), makes expansions, infers again
// and normalises the outputs. info may be null. One thread. TN_OK · TN_ERROR_INVALID_DATA shapes
// contradict, as tni_shapes_infer · TN_ERROR_IO a constant cannot be read · TN_ERROR_OUT_OF_MEMORY
// · TN_ERROR_LIMIT_EXCEEDED. After a failure the model can only be destroyed.
TN_MUST_USE tn_status tni_model_canonicalise(tni_model *model, const tni_rewrite_info *info,
                                             tn_error *error);

// Whether one node may stand for a call: nodes are the call's, in order.
typedef bool (*tni_call_check)(void *user_data, const tni_model *model, uint32_t call,
                               const uint32_t *nodes, uint32_t count);
// Puts one node in the place of each call that is wanted (by call: 1), unless one stood there
// before, a call around it is one node already, rewrites left it in pieces, or check says no; its
// nodes become the expansion of that node. Shapes of what is new are known after tni_shapes_infer.
// TN_OK · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED; then the model can only be destroyed.
TN_MUST_USE tn_status tni_rewrite_outline(tni_model *model, const uint8_t *wanted,
                                          tni_call_check check, void *user_data,
                                          bool *inout_changed, tn_error *error);

// Whether the nodes of the node's expansion can stand in its place: it has one, without bodies, and
// a node of it makes each output.
bool tni_expansion_fits_in_place(const tni_model *model, uint32_t node);
// Puts them there for every node that is marked as refused: it is removed, its outputs are made by
// them from now on, and expanded_from says where they come from, unless the node stood for a call,
// which gives its nodes back. New nodes get expansions of their own, and shapes are inferred.
// *out_changed: there were any. Errors as tni_model_canonicalise; then the model can only be
// destroyed.
TN_MUST_USE tn_status tni_model_expand_refused(tni_model *model, bool *out_changed,
                                               tn_error *error);

// Writes every Gradient (ai.onnx.preview.training) out in nodes of ai.onnx and takes it away; works
// on a graph as imported, before anything else is rewritten. TN_OK · TN_ERROR_INVALID_DATA
// "gradient.operands", "gradient.name" · TN_ERROR_UNSUPPORTED "gradient.no-rule" an op on the way
// from xs to y has no derivative here (node_index), "gradient.type", "gradient.shape",
// "gradient.axes", "gradient.exponent" · TN_ERROR_LIMIT_EXCEEDED "gradient.too-many",
// "gradient.too-large" · errors of tni_shapes_infer.
TN_MUST_USE tn_status tni_rewrite_gradients(tni_model *model, tn_error *error);

// A DequantizeLinear and a node that reads it, as a key.
static inline uint64_t tni_reader_key(uint32_t node, uint32_t reader) {
    return (uint64_t)node << 32 | reader;
}
// Gives nodes that read a DequantizeLinear together with others a copy of their own, where wanted
// has their key, or to all where it is null; the original stays with the last reader. A copy has
// its name, and expanded_from names it. Shapes stay known. TN_OK · TN_ERROR_OUT_OF_MEMORY ·
// TN_ERROR_LIMIT_EXCEEDED; then the model can only be destroyed.
TN_MUST_USE tn_status tni_rewrite_split(tni_model *model, const tni_map *wanted,
                                        bool *inout_changed, tn_error *error);

// The passes, for tests; each sets *inout_changed when it changed something.
TN_MUST_USE tn_status tni_rewrite_noops(tni_model *model, bool *inout_changed, tn_error *error);
TN_MUST_USE tn_status tni_rewrite_fold(tni_model *model, bool fold_dequantize, bool *inout_changed,
                                       tn_error *error);
TN_MUST_USE tn_status tni_rewrite_batch_norm(tni_model *model, bool *inout_changed,
                                             tn_error *error);
TN_MUST_USE tn_status tni_rewrite_expand(tni_model *model, bool *inout_changed, tn_error *error);

#endif // TENON_GRAPH_REWRITE_H
