// SPDX-License-Identifier: Apache-2.0
// How an instance comes to be: nodes of the view are read, fused (fuse.c), and emitted one after
// another as steps. Every value has a layout, which is whatever its producer likes best, and lies
// in a storage, of which it may be a mere view: transposing, splitting and reshaping move nothing
// until somebody needs another layout.
//
// Errors are kept: a function that finds an earlier failure does nothing.
#ifndef TENON_CPU_BUILD_H
#define TENON_CPU_BUILD_H

#include "ops.h"
#include "program.h"

// The library's limit is 12; grouped weights and blocks take some.
#define CPU_MAX_RANK 6u
#define CPU_MAX_POSTS 4u

// What a value is that was dequantised, which happens when somebody wants its floats.
typedef struct cpu_quant {
    uint32_t value; // the integers; TN_NONE: it is no such value
    float scale;    // of all elements, where axis is TN_NONE
    int32_t zero_point;
    uint32_t axis;    // one scale for each index of it: of constants alone
    int64_t block;    // or for so many indices together; 0: one each
    uint32_t scales;  // value
    uint32_t zeros;   // value, or TN_NONE
    uint32_t shifted; // 1: a zero point is not 0; told of tensors of int8 and of single scales
} cpu_quant;

typedef struct cpu_value {
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[CPU_MAX_RANK];
    int64_t count;
    uint32_t constant;    // of the view, or TN_NONE
    const void *data;     // of a value that was computed while building, else null
    uint32_t unsized;     // 1: a dimension is a symbol without a size
    uint32_t given;       // 1: an input of the program
    uint32_t output_port; // TN_NONE: not an output of the program
    uint32_t uses;        // by nodes that are left after fusion, and as output
    uint32_t user;        // a node that reads it, the last one
    uint32_t concat;      // a concatenation that reads it, or TN_NONE
    uint32_t producer;    // node, or TN_NONE
    // Once it is placed:
    uint32_t storage; // TN_NONE before
    int64_t offset_bytes;
    dnnl_memory_desc_t layout;
    uint32_t same; // the same elements in another layout, or TN_NONE: a list
    uint32_t twin; // 1: of such a list, and not the value that nodes name
    cpu_quant quant;
} cpu_value;

// Something that is done to a result before it is written.
typedef struct cpu_post {
    cpu_act act; // CPU_ACT_NONE: add the value
    float a;
    float b;
    uint32_t value;
} cpu_post;

struct cpu_node {
    const cpu_op *op;
    cpu_kind kind; // of op, until fusion makes it something else
    uint32_t variant;
    cpu_emit_fn emit;
    uint32_t index; // of the view: where attributes are
    uint32_t *inputs;
    uint32_t input_count;
    uint32_t *outputs;
    uint32_t output_count;
    float a; // of an act
    float b;
    cpu_post posts[CPU_MAX_POSTS];
    uint32_t post_count;
    uint32_t bias;   // value, or TN_NONE
    uint32_t mask;   // of a softmax: value, or TN_NONE
    float out_scale; // 0: the result is written as floats; else it is quantised
    int32_t out_zero_point;
    uint32_t dead;
    uint32_t grows; // a concatenation that appends to a state: the input port, counted from 1
};

struct cpu_build {
    cpu_program *program;
    const tn_graph_view *view;
    const tn_symbol_value *symbols;
    uint64_t symbol_count;
    cpu_instance *out;
    cpu_arena *arena; // out's
    cpu_value *values;
    uint32_t value_count;
    uint32_t value_capacity;
    cpu_node *nodes; // in order
    uint32_t node_count;
    uint32_t current;   // node that is being emitted
    void *trial_memory; // choose.c
    uint64_t trial_bytes;
    uint64_t trial_zeros; // of its first bytes
    tn_status status;
    tn_error *error;
};

// --- values.c: values, layouts, storages ---

// The library's type for a value's elements; dnnl_data_type_undef where it has none.
dnnl_data_type_t tni_cpu_dnnl_type(tn_dtype dtype);
int64_t tni_cpu_element_bytes(tn_dtype dtype);
// Dense row-major. A scalar is a vector of one.
dnnl_memory_desc_t tni_cpu_plain(tn_dtype dtype, uint32_t rank, const int64_t *dims);
dnnl_memory_desc_t tni_cpu_plain_of(const cpu_value *value);
// The same elements in a layout of the library's choice.
dnnl_memory_desc_t tni_cpu_any_of(dnnl_memory_desc_t layout);
// Of matrices: rows become columns; nothing moves.
dnnl_memory_desc_t tni_cpu_transposed(const dnnl_memory_desc_t *layout);
uint32_t tni_cpu_is_plain(const cpu_value *value);
uint32_t tni_cpu_same_layout(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b);
// Whether products may be computed in bfloat16: it is allowed, and the processor has instructions
// for it. Many have no more of them a second than of those for floats.
uint32_t tni_cpu_may_narrow(const cpu_program *program);
// Whether the processor multiplies tiles, so that bfloat16 pays without measuring.
uint32_t tni_cpu_narrow_is_safe(void);
// Whether no byte of the layout's extent is outside of it: it can be read as one run.
uint32_t tni_cpu_is_run(const dnnl_memory_desc_t *layout);

cpu_value *tni_cpu_value(const cpu_build *build, uint32_t value);
// A value that no node of the view has; TN_NONE on failure.
uint32_t tni_cpu_value_new(cpu_build *build, tn_dtype dtype, uint32_t rank, const int64_t *dims);
// A plain value whose elements are known now; data is copied.
uint32_t tni_cpu_value_known(cpu_build *build, tn_dtype dtype, uint32_t rank, const int64_t *dims,
                             const void *data);
// Bytes that lie elsewhere and outlive the instance.
uint32_t tni_cpu_value_at(cpu_build *build, const void *data, int64_t size_bytes);
// Memory of a step alone; TN_NONE on failure.
uint32_t tni_cpu_scratch(cpu_build *build, int64_t size_bytes);
// Gives a value that a step is about to write its layout and its place.
void tni_cpu_define(cpu_build *build, uint32_t value, const dnnl_memory_desc_t *layout);
void tni_cpu_define_plain(cpu_build *build, uint32_t value);
// The value is what lies at offset_bytes of another value's place, in another layout.
void tni_cpu_alias(cpu_build *build, uint32_t value, uint32_t of, const dnnl_memory_desc_t *layout,
                   int64_t offset_bytes);
// Defines value in the place of another that nobody reads after the current node; 0 where that is
// not so, or where the layouts differ.
uint32_t tni_cpu_define_over(cpu_build *build, uint32_t value, uint32_t other,
                             const dnnl_memory_desc_t *layout);
// Defines value as a place that holds the elements of summed, to which a primitive will add.
void tni_cpu_define_sum(cpu_build *build, uint32_t value, uint32_t summed,
                        const dnnl_memory_desc_t *layout);
// The value with the given layout: itself, or a copy that a step makes. TN_NONE on failure.
uint32_t tni_cpu_as(cpu_build *build, uint32_t value, const dnnl_memory_desc_t *layout);
// In whatever layout it has, as floats: results of narrower products may be narrower themselves.
uint32_t tni_cpu_as_floats(cpu_build *build, uint32_t value);
uint32_t tni_cpu_as_plain(cpu_build *build, uint32_t value);
// As it is, unless it is a view with gaps, which the library's simpler primitives do not read.
uint32_t tni_cpu_as_run(cpu_build *build, uint32_t value);
// A constant read as `plain` (its own bytes, perhaps with other axes) in a layout of those axes.
uint32_t tni_cpu_packed(cpu_build *build, uint32_t value, const dnnl_memory_desc_t *plain,
                        const dnnl_memory_desc_t *layout);
// Whether a value is a constant, or was computed while building.
uint32_t tni_cpu_is_known(const cpu_build *build, uint32_t value);
// The elements of a constant, plain and aligned; null on failure, and for what is no constant.
const void *tni_cpu_known(cpu_build *build, uint32_t value);
// Whether a value is one known float.
uint32_t tni_cpu_scalar(cpu_build *build, uint32_t value, float *out_scalar);

// --- steps.c ---

// A step of our own. params lie in the arena.
void tni_cpu_step(cpu_build *build, cpu_step_fn run, const void *params, uint32_t count,
                  const uint32_t *values);
typedef struct cpu_arg {
    int dnnl_arg;
    uint32_t value;
    const dnnl_memory_desc_t *layout; // null: the value's own
} cpu_arg;
// Attributes of a primitive whose scratchpad is a storage of the instance; null on failure. The
// caller destroys what it gets.
dnnl_primitive_attr_t tni_cpu_attr(cpu_build *build);
// The primitive of an operation, if describing that went well; call names it in the failure that is
// kept. Null on failure; the caller destroys what it gets.
dnnl_primitive_desc_t tni_cpu_desc(cpu_build *build, dnnl_status_t described,
                                   const_dnnl_op_desc_t operation, const_dnnl_primitive_attr_t attr,
                                   const char *call);
// A step of the library; the descriptor stays the caller's. Adds the scratchpad.
void tni_cpu_step_primitive(cpu_build *build, const_dnnl_primitive_desc_t desc, uint32_t count,
                            const cpu_arg *args);
// Copies a value's elements into target's place and layout.
void tni_cpu_step_copy(cpu_build *build, uint32_t value, uint32_t target);
// Runs body over [0, count) on the threads of a call; work: rough nanoseconds of one item.
typedef void (*cpu_range_fn)(const cpu_call *call, int64_t begin, int64_t end);
void tni_cpu_parallel(const cpu_call *call, int64_t count, int64_t work, cpu_range_fn body);
// Inside of a body: which of the call's threads this is, from 0.
int64_t tni_cpu_thread(void);

// --- failures ---

tn_status tni_cpu_build_fail(cpu_build *build, tn_status status, const char *what);
// Keeps a failure of the library; returns 1 when there is none.
uint32_t tni_cpu_ok(cpu_build *build, dnnl_status_t status, const char *call);

// --- attributes of the node ---

const tn_graph_node *tni_cpu_view_node(const cpu_build *build, const cpu_node *node);
int64_t tni_cpu_int(const cpu_build *build, const cpu_node *node, const char *name,
                    int64_t otherwise);
float tni_cpu_float(const cpu_build *build, const cpu_node *node, const char *name,
                    float otherwise);
// An input, or TN_NONE.
uint32_t tni_cpu_input(const cpu_node *node, uint32_t index);
// The bias of a convolution or product, fused or written with it, or TN_NONE.
uint32_t tni_cpu_bias(const cpu_node *node);
// A known list of integers: the input at index where there is one, else the attribute. Returns the
// count, or -1 when it is not known or longer than capacity.
int64_t tni_cpu_ints(cpu_build *build, const cpu_node *node, uint32_t index, const char *name,
                     int64_t *out_values, uint32_t capacity);
// From the front; rank where it lies outside.
uint32_t tni_cpu_axis(int64_t axis, uint32_t rank);

// --- fuse.c, and what else walks over all nodes ---

void tni_cpu_fuse(cpu_build *build);
// The node that makes a value, or null.
cpu_node *tni_cpu_producer(const cpu_build *build, uint32_t value);
// Whether one node reads the value, and the program does not return it.
uint32_t tni_cpu_read_once(const cpu_build *build, uint32_t value);
// Counts who reads each value among the nodes that are left.
void tni_cpu_count_uses(cpu_build *build);
// Attributes as tni_cpu_attr gives them, with the posts of a node. *out_fused tells whether the
// library has all of them; it has one sum, which is the post of the given index or TN_NONE. node
// may be null: no posts.
dnnl_primitive_attr_t tni_cpu_attr_with_posts(cpu_build *build, const cpu_node *node,
                                              uint32_t summed_post, uint32_t *out_fused);
// The post that adds a tensor as large as the result, or TN_NONE.
uint32_t tni_cpu_sum_post(const cpu_build *build, const cpu_node *node);
// What a node writes whose posts are steps of their own: a value in between where there are any,
// else its output. TN_NONE on failure.
uint32_t tni_cpu_before_posts(cpu_build *build, const cpu_node *node);
// What the library calls an act; 0 where it has none.
uint32_t tni_cpu_dnnl_act(const cpu_post *post, dnnl_alg_kind_t *out_alg, float *out_a,
                          float *out_b);
// Emits the posts of a node as steps of their own: value is what the node made, the node's output
// what becomes of it.
void tni_cpu_emit_posts(cpu_build *build, const cpu_node *node, uint32_t value);

// --- quant.c ---

// Rules of fusion: see fuse.c.
void tni_cpu_rule_qlinear(cpu_build *build, cpu_node *node);
void tni_cpu_rule_dequantize(cpu_build *build, cpu_node *node);
void tni_cpu_rule_integers_through(cpu_build *build, cpu_node *node);
void tni_cpu_rule_quantized_sum(cpu_build *build, cpu_node *node);
void tni_cpu_rule_quantize_result(cpu_build *build, cpu_node *node);
// Whether a convolution or product of the node's operands is one of integers.
uint32_t tni_cpu_is_integer_product(const cpu_build *build, const cpu_node *node);
// The scales of the accumulators of an integer product; *out_count is 1 or the outputs.
const float *tni_cpu_accumulator_scales(cpu_build *build, const cpu_node *node, int64_t *out_count);
// A known bias in units of the accumulators, as a value.
uint32_t tni_cpu_accumulator_bias(cpu_build *build, uint32_t bias, const float *scales,
                                  int64_t scale_count);
// Whether the node's posts can be applied in units of its quantised result.
uint32_t tni_cpu_posts_commute(const cpu_node *node);
// Attributes of an integer product with those posts, where it writes integers. Returns 0 on
// failure; the caller destroys *out_attr in any case.
uint32_t tni_cpu_integer_attr(cpu_build *build, const cpu_node *node, const float *scales,
                              int64_t scale_count, int mask, dnnl_primitive_attr_t *out_attr);
// The product as floats, then posts and quantisation as steps.
void tni_cpu_emit_integers_as_floats(cpu_build *build, const cpu_node *node);
void tni_cpu_quantize_steps(cpu_build *build, uint32_t value, float scale, int32_t zero,
                            uint32_t out);
// Whether a product is one with 4-bit weights, whose groups of rows share scales.
uint32_t tni_cpu_is_nibble_product(const cpu_build *build, const cpu_node *node);
void tni_cpu_emit_nibble_product(cpu_build *build, const cpu_node *node);
// Whether any of known zero points, or TN_NONE, is not 0.
uint32_t tni_cpu_is_shifted(cpu_build *build, uint32_t zeros);
// Element index of constant integers.
int32_t tni_cpu_integer_at(tn_dtype dtype, const void *integers, int64_t index);
// Gives a dequantised value its floats: now where they are known, else by a step.
void tni_cpu_materialize(cpu_build *build, uint32_t value);

// --- emit_*.c ---

void tni_cpu_emit_conv(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_conv_transpose(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_matmul(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_gemm(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_act(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_binary(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_batch_norm(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_pool(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_resize(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_softmax(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_layer_norm(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_rms_norm(cpu_build *build, const cpu_node *node);
// The mean over the two spatial axes.
void tni_cpu_emit_global_mean(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_reduce(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_view(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_transpose(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_concat(cpu_build *build, const cpu_node *node);
// state.c
void tni_cpu_find_states(cpu_build *build);
void tni_cpu_emit_append(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_slice(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_split(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_expand(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_gather(cpu_build *build, const cpu_node *node);
// A value of rank 4 whose rows are runs, and the steps of its other axes.
uint32_t tni_cpu_with_rows(cpu_build *build, uint32_t value, int64_t *out_steps);
void tni_cpu_emit_attention(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_lstm(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_quantize(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_dequantize(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_quantized_sum(cpu_build *build, const cpu_node *node);
void tni_cpu_emit_integer_conv(cpu_build *build, const cpu_node *node);

// The layout in which a value lies best for who reads it: where that is a lone transposition, such
// that the transposed value is dense.
dnnl_memory_desc_t tni_cpu_wanted(const cpu_build *build, uint32_t value);
// One binary op over values of any layouts, into out, which is not placed yet.
void tni_cpu_binary_steps(cpu_build *build, cpu_binary kind, uint32_t left, uint32_t right,
                          uint32_t out);
void tni_cpu_act_steps(cpu_build *build, cpu_act kind, float a, float b, uint32_t value,
                       uint32_t out);
// out = what the post makes of value, plus other, which has as many elements.
void tni_cpu_act_sum_steps(cpu_build *build, const cpu_post *post, uint32_t value, uint32_t other,
                           uint32_t out);

#endif // TENON_CPU_BUILD_H
