// SPDX-License-Identifier: Apache-2.0
// Inside of shape.h: what the rules of single ops see. A rule reads facts about its node's inputs
// and states facts about its outputs; whatever it does not state stays unknown.
#ifndef TENON_GRAPH_INFER_H
#define TENON_GRAPH_INFER_H

#include "graph/graph.h"

// One element of a small integer tensor: a number, the size behind a symbol, or unknown.
typedef struct tni_element {
    int64_t value;
    uint32_t symbol; // when not known; TN_NONE: nothing is known
    bool known;
} tni_element;

// The most elements a tensor may have to be followed by value.
#define TNI_MAX_ELEMENTS 1024u

typedef struct tni_fact {
    tn_value_kind kind;
    tn_dtype dtype;
    uint32_t rank; // or TN_RANK_UNKNOWN
    tn_graph_dim *dims;
    tni_element *elements; // null: not followed
    uint32_t element_count;
    bool looked_up;   // a constant's elements were read, or are too many
    const void *data; // of a region's input: its elements, row-major; null: not known
    uint64_t data_bytes;
} tni_fact;

// One pass over a model. changing is null at prepare, when the model is only read and there are no
// symbols.
typedef struct tni_inference {
    const tni_model *model;
    tni_model *changing;
    tni_arena arena;
    tni_fact *facts; // per value
    tn_error *error;
    const tni_node *node; // the one at hand
    uint32_t node_id;
    tni_fact unused; // what rules state about absent outputs
    bool searching;  // inside of the search for what a loop leaves unchanged
} tni_inference;

typedef tn_status (*tni_rule_fn)(tni_inference *in);

// The rule of an op of ai.onnx or ai.onnx.preview.training, or null.
tni_rule_fn tni_rule_find(tn_string domain, tn_string op_type);

// Facts about operands. in: null when absent. out: never null.
tni_fact *tni_in(tni_inference *in, uint32_t index);
tni_fact *tni_out(tni_inference *in, uint32_t index);
// Whether the input is there and its rank known.
bool tni_in_ranked(tni_inference *in, uint32_t index);
// The elements of an input that is followed by value (constants are read here), else null.
// TN_OK · errors of reading a constant.
tn_status tni_in_elements(tni_inference *in, uint32_t index, const tni_element **out_elements,
                          uint32_t *out_count);

// The same copied to out_elements, which has room for TNI_MAX_ELEMENTS; of a vector that is not
// followed but whose length is known, that many unknown elements. *out_known is false, and the
// count 0, when not even that is known.
tn_status tni_in_vector(tni_inference *in, uint32_t index, tni_element *out_elements,
                        uint32_t *out_count, bool *out_known);
// The numbers of an input of at most capacity elements, of any float or integer type, that is a
// constant or was read by the host; *out_count is 0 when it is neither or longer. Errors of reading
// a constant.
tn_status tni_in_numbers(tni_inference *in, uint32_t index, double *out_values, uint32_t capacity,
                         uint32_t *out_count);

// States type and shape of an output; dims are copied.
tn_status tni_state(tni_inference *in, uint32_t output, tn_dtype dtype, uint32_t rank,
                    const tn_graph_dim *dims);
// States that an output has the shape of an input, with this type.
tn_status tni_state_like(tni_inference *in, uint32_t output, uint32_t input, tn_dtype dtype);
// States the elements of an output; copied.
tn_status tni_state_elements(tni_inference *in, uint32_t output, const tni_element *elements,
                             uint32_t count);
// The type of an input, TN_DTYPE_UNDEFINED when absent.
tn_dtype tni_in_dtype(tni_inference *in, uint32_t index);

// Fails: "node 'n' (Op): operand 'x' [shape]: message".
tn_status tni_contradiction(tni_inference *in, uint32_t input, const char *id, const char *format,
                            ...) TNI_PRINTF(4, 5);

// Dims.
static inline tn_graph_dim tni_dim(int64_t size) {
    return (tn_graph_dim){size, TN_NONE, 0};
}
static inline tn_graph_dim tni_dim_unknown(void) {
    return (tn_graph_dim){-1, TN_NONE, 0};
}
static inline bool tni_dim_equal(tn_graph_dim a, tn_graph_dim b) {
    return a.size >= 0 ? a.size == b.size
                       : b.size < 0 && a.symbol == b.symbol && a.symbol != TN_NONE;
}
// Both are sizes, and different.
static inline bool tni_dim_differ(tn_graph_dim a, tn_graph_dim b) {
    return a.size >= 0 && b.size >= 0 && a.size != b.size;
}
static inline tni_element tni_element_of(int64_t value) {
    return (tni_element){value, TN_NONE, true};
}
static inline tni_element tni_element_unknown(void) {
    return (tni_element){0, TN_NONE, false};
}
tn_graph_dim tni_dim_of_element(tni_element element);
tni_element tni_element_of_dim(tn_graph_dim dim);

// Turns an axis attribute into [0, rank). Fails with "shape.axis".
tn_status tni_axis(tni_inference *in, int64_t axis, uint32_t rank, uint32_t *out_axis);
// The shape of a and b broadcast together, dimension by dimension; fails about input `operand`.
tn_status tni_broadcast(tni_inference *in, uint32_t operand, uint32_t rank_a, const tn_graph_dim *a,
                        uint32_t rank_b, const tn_graph_dim *b, uint32_t *out_rank,
                        tn_graph_dim *out_dims);
// The axes of a node: from attribute "axes", else from input `input`. *out_known is false when they
// are there but unknown; *out_present is false when there are none. axes has room for TN_MAX_RANK
// and is sorted; they are checked against rank.
tn_status tni_axes(tni_inference *in, uint32_t input, uint32_t rank, uint32_t *out_axes,
                   uint32_t *out_count, bool *out_present, bool *out_known);

// Runs the pass over a graph whose inputs have facts.
tn_status tni_infer_graph(tni_inference *in, uint32_t graph);
// Runs it over these nodes, in topological order; what they read from outside has facts.
tn_status tni_infer_nodes(tni_inference *in, const uint32_t *nodes, uint32_t count);
// Prepares facts for every value, from constants only.
tn_status tni_inference_init(tni_inference *in, const tni_model *model, tni_model *changing,
                             tn_error *error);
void tni_inference_deinit(tni_inference *in);

// The rules, by file.
tn_status tni_rule_same(tni_inference *in);
tn_status tni_rule_optimizer(tni_inference *in);
tn_status tni_rule_compare(tni_inference *in);
tn_status tni_rule_not(tni_inference *in);
tn_status tni_rule_broadcast(tni_inference *in);
tn_status tni_rule_arithmetic(tni_inference *in);
tn_status tni_rule_where(tni_inference *in);
tn_status tni_rule_cast(tni_inference *in);
tn_status tni_rule_dropout(tni_inference *in);
tn_status tni_rule_normalization(tni_inference *in);
tn_status tni_rule_quantize(tni_inference *in);
tn_status tni_rule_dequantize(tni_inference *in);
tn_status tni_rule_dynamic_quantize(tni_inference *in);
tn_status tni_rule_conv(tni_inference *in);
tn_status tni_rule_conv_transpose(tni_inference *in);
tn_status tni_rule_pool(tni_inference *in);
tn_status tni_rule_global_pool(tni_inference *in);
tn_status tni_rule_gemm(tni_inference *in);
tn_status tni_rule_matmul(tni_inference *in);
tn_status tni_rule_reshape(tni_inference *in);
tn_status tni_rule_flatten(tni_inference *in);
tn_status tni_rule_transpose(tni_inference *in);
tn_status tni_rule_concat(tni_inference *in);
tn_status tni_rule_split(tni_inference *in);
tn_status tni_rule_slice(tni_inference *in);
tn_status tni_rule_gather(tni_inference *in);
tn_status tni_rule_gather_elements(tni_inference *in);
tn_status tni_rule_gather_nd(tni_inference *in);
tn_status tni_rule_unsqueeze(tni_inference *in);
tn_status tni_rule_squeeze(tni_inference *in);
tn_status tni_rule_expand(tni_inference *in);
tn_status tni_rule_tile(tni_inference *in);
tn_status tni_rule_pad(tni_inference *in);
tn_status tni_rule_resize(tni_inference *in);
tn_status tni_rule_depth_space(tni_inference *in);
tn_status tni_rule_one_hot(tni_inference *in);
tn_status tni_rule_reduce(tni_inference *in);
tn_status tni_rule_arg(tni_inference *in);
tn_status tni_rule_top_k(tni_inference *in);
tn_status tni_rule_shape(tni_inference *in);
tn_status tni_rule_size(tni_inference *in);
tn_status tni_rule_constant_of_shape(tni_inference *in);
tn_status tni_rule_range(tni_inference *in);
tn_status tni_rule_non_zero(tni_inference *in);
tn_status tni_rule_if(tni_inference *in);
tn_status tni_rule_loop(tni_inference *in);
tn_status tni_rule_affine_grid(tni_inference *in);
tn_status tni_rule_attention(tni_inference *in);
tn_status tni_rule_causal_conv(tni_inference *in);
tn_status tni_rule_center_crop_pad(tni_inference *in);
tn_status tni_rule_col2im(tni_inference *in);
tn_status tni_rule_compress(tni_inference *in);
tn_status tni_rule_deform_conv(tni_inference *in);
tn_status tni_rule_det(tni_inference *in);
tn_status tni_rule_dft(tni_inference *in);
tn_status tni_rule_einsum(tni_inference *in);
tn_status tni_rule_grid_sample(tni_inference *in);
tn_status tni_rule_linear_attention(tni_inference *in);
tn_status tni_rule_loss(tni_inference *in);
tn_status tni_rule_max_unpool(tni_inference *in);
tn_status tni_rule_mel(tni_inference *in);
tn_status tni_rule_multinomial(tni_inference *in);
tn_status tni_rule_non_max_suppression(tni_inference *in);
tn_status tni_rule_of_container(tni_inference *in);
tn_status tni_rule_of_sequence(tni_inference *in);
tn_status tni_rule_optional(tni_inference *in);
tn_status tni_rule_optional_get(tni_inference *in);
tn_status tni_rule_random(tni_inference *in);
tn_status tni_rule_recurrent(tni_inference *in);
tn_status tni_rule_roi(tni_inference *in);
tn_status tni_rule_scan(tni_inference *in);
tn_status tni_rule_sequence(tni_inference *in);
tn_status tni_rule_sequence_map(tni_inference *in);
tn_status tni_rule_stft(tni_inference *in);
tn_status tni_rule_tfidf(tni_inference *in);
tn_status tni_rule_typed_like(tni_inference *in);
tn_status tni_rule_unique(tni_inference *in);
tn_status tni_rule_window(tni_inference *in);

#endif // TENON_GRAPH_INFER_H
