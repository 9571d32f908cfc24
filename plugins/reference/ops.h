// SPDX-License-Identifier: Apache-2.0
// What an op is to this plugin: a row of the table in op_table.c, which names its versions, operand
// types, attributes and kernel. Kernels check the shapes they are given, so that a wrong view ends
// in an error and not in a stray access.
#ifndef TENON_REFERENCE_OPS_H
#define TENON_REFERENCE_OPS_H

#include "tenon/helper/sync_adapter.h"

#include "tensor.h"

// No op of the table has more operands than this, variadic ones excepted, which read their list.
#define REF_MAX_OUTPUTS 8u
#define REF_MAX_TYPED_INPUTS 4u
#define REF_VARIADIC 255u

typedef struct ref_op ref_op;

// One node at run time. inputs and outputs have null where an optional is absent.
typedef struct ref_call {
    const tn_helper_host *host;
    const ref_op *op;
    const tn_graph_view *view;
    const tn_graph_node *node;
    uint32_t node_index;
    const ref_tensor *constants; // by constant index: for tensor attributes
    const ref_tensor *const *inputs;
    uint32_t input_count;
    ref_tensor *const *outputs;
    uint32_t output_count;
    // As many bytes as the op's scratch function asked for, aligned for doubles; for this node
    // alone.
    unsigned char *scratch;
    tn_error *error;
} ref_call;

// Computes a node. [no-alloc] TN_OK · TN_ERROR_INVALID_DATA shapes or values break the op's rules ·
// TN_ERROR_UNSUPPORTED something only the values of an input show.
typedef tn_status (*ref_kernel)(const ref_call *call);

// Gives the data-dependent outputs of a call the largest shape they can have (tni_ref_set_dims),
// from the shapes of its inputs. Inputs have data only where they are constants; outputs have their
// type. Returns 0 when that is too large, or the shapes break the op's rules.
typedef uint32_t (*ref_bound)(const ref_call *call);

// Bytes of scratch memory that a call needs, from shapes and attributes; inputs as for ref_bound.
// -1 when that is too much.
typedef int64_t (*ref_scratch)(const ref_call *call);

// Judges what the table's columns cannot say. Returns 1 for yes; else it wrote a refusal.
typedef uint32_t (*ref_check)(const tn_graph_view *view, const tn_graph_node *node,
                              tn_node_verdict *out_verdict);

// Scalar functions of the elementwise kernels. a and b are the op's attributes, where it has any.
typedef double (*ref_unary_fn)(double x, double a, double b);
typedef double (*ref_binary_fn)(double x, double y);
// Integers travel as 64 bits; is_unsigned says how to read them.
typedef uint64_t (*ref_integer_fn)(uint64_t x, uint64_t y, uint32_t is_unsigned);

// An attribute that an elementwise function takes, and its default.
typedef struct ref_parameter {
    const char *name;
    float otherwise;
} ref_parameter;

typedef uint32_t ref_dtype_mask;
#define REF_TYPE(dtype) (1u << (dtype))
// Types of which several share a byte.
#define REF_PACKED_TYPES                                                                           \
    (REF_TYPE(TN_DTYPE_UINT4) | REF_TYPE(TN_DTYPE_INT4) | REF_TYPE(TN_DTYPE_FLOAT4E2M1) |          \
     REF_TYPE(TN_DTYPE_UINT2) | REF_TYPE(TN_DTYPE_INT2))

struct ref_op {
    tn_op_record record; // first: the helper walks the table by this
    ref_kernel run;
    ref_check check;        // may be null
    ref_scratch scratch;    // null: none
    ref_bound bound;        // of ops with data-dependent outputs, else null
    const char *attributes; // every attribute the op may carry, separated by spaces; null: none
    // For the elementwise kernels, else null.
    ref_unary_fn unary;
    ref_binary_fn binary;
    ref_integer_fn integer;
    ref_parameter parameters[2];
    // Types allowed per input; the last entry that is not 0 goes on for the rest.
    ref_dtype_mask types[REF_MAX_TYPED_INPUTS];
    uint32_t variant; // one of the REF_ numbers below, where several ops share a kernel
    uint8_t input_min;
    uint8_t input_max;         // REF_VARIADIC: no limit
    uint8_t output_max;        // 0 means 1
    uint8_t numerics;          // tn_numerics
    uint8_t dependent_outputs; // bit i: the shape of output i depends on data; the kernel sets it
};

// Values of ref_op.variant.
#define REF_FOLD_PLAIN 0u
#define REF_FOLD_MEAN 1u
#define REF_POOL_MAX 0u
#define REF_POOL_AVERAGE 1u
#define REF_POOL_LP 2u
#define REF_NORM_LAYER 0u
#define REF_NORM_RMS 1u
#define REF_MATMUL_PLAIN 0u
#define REF_MATMUL_INTEGER 1u
#define REF_MATMUL_QLINEAR 2u
#define REF_UNSQUEEZE 0u
#define REF_SQUEEZE 1u
#define REF_CUMULATE_SUM 0u
#define REF_CUMULATE_PROD 1u
#define REF_RANDOM_UNIFORM 0u
#define REF_RANDOM_NORMAL 1u
#define REF_WINDOW_HANN 0u
#define REF_WINDOW_HAMMING 1u
#define REF_WINDOW_BLACKMAN 2u
#define REF_OPTIMIZER_ADAGRAD 0u
#define REF_OPTIMIZER_ADAM 1u
#define REF_OPTIMIZER_MOMENTUM 2u
#define REF_LOSS_LIKELIHOOD 0u
#define REF_LOSS_CROSS_ENTROPY 1u
#define REF_RECURRENT_RNN 0u
#define REF_RECURRENT_GRU 1u
#define REF_RECURRENT_LSTM 2u
#define REF_SOFTMAX_PLAIN 0u
#define REF_SOFTMAX_LOG 1u
#define REF_SOFTMAX_HARD 2u
#define REF_SPACE_TO_DEPTH 0u
#define REF_DEPTH_TO_SPACE 1u
#define REF_REDUCE_SUM 0u
#define REF_REDUCE_MEAN 1u
#define REF_REDUCE_MAX 2u
#define REF_REDUCE_MIN 3u
#define REF_REDUCE_PROD 4u
#define REF_REDUCE_L1 5u
#define REF_REDUCE_L2 6u
#define REF_REDUCE_SUM_SQUARE 7u
#define REF_REDUCE_LOG_SUM 8u
#define REF_REDUCE_LOG_SUM_EXP 9u

// Rows of the table; op_table.c asserts that it is right.
#define REF_OP_COUNT 186u
extern const ref_op tni_ref_ops[REF_OP_COUNT];

// The table's row for a node that the device claims, or null.
const ref_op *tni_ref_find_op(const tn_graph_view *view, const tn_graph_node *node);

// Judges a node of a known op: operand counts, types, shapes, attributes, then the op's own check.
void tni_ref_judge(const tn_graph_view *view, const tn_graph_node *node, const ref_op *op,
                   tn_node_verdict *out_verdict);

// Fills the call's error with the op's name in front and returns TN_ERROR_INVALID_DATA.
tn_status tni_ref_invalid(const ref_call *call, const char *what);

// Attributes of the call's node.
int64_t tni_ref_int(const ref_call *call, const char *name, int64_t otherwise);
double tni_ref_float(const ref_call *call, const char *name, float otherwise);
uint32_t tni_ref_has(const ref_call *call, const char *name);
// An input, or null when it is absent or beyond the list.
const ref_tensor *tni_ref_input(const ref_call *call, uint32_t index);
ref_tensor *tni_ref_output(const ref_call *call, uint32_t index);
// Makes axis count from the front. Returns 0 when it lies outside [-rank, rank).
uint32_t tni_ref_axis(int64_t axis, uint32_t rank, uint32_t *out_axis);
// Reads an integer list from the input at index when it is there, else from the attribute name.
// Returns the count, or -1 when it exceeds capacity.
int64_t tni_ref_int_list(const ref_call *call, uint32_t index, const char *name,
                         int64_t *out_values, uint32_t capacity);

// Fails because the value of an input does not belong to the shapes that were prepared: a host
// reads such an operand before it prepares. Returns TN_ERROR_INVALID_DATA,
// "reference.shape-operand"; where the input is absent an attribute is at fault: "reference.node".
tn_status tni_ref_stale(const ref_call *call, uint32_t input);
// An index of [-size, size) made to count from the front. Returns 0 when it lies outside.
uint32_t tni_ref_wrap(int64_t index, int64_t size, int64_t *out_index);

// Whether a may stand in front of b.
typedef uint32_t (*ref_before)(const void *user_data, int64_t a, int64_t b);
// A stable merge sort of count numbers, from runs of one upwards; other has room for as many.
// Returns which of the two holds the result.
int64_t *tni_ref_sort(int64_t *order, int64_t *other, int64_t count, ref_before before,
                      const void *user_data);
// The weight of a sample at distance x in cubic convolution with coefficient a (Keys, 1981).
double tni_ref_cubic(double a, double x);

// Runs body over [0, count) on the host's workers; cost is the rough work of one item in
// nanoseconds, from which the grain follows.
void tni_ref_parallel(const ref_call *call, int64_t count, int64_t cost, tn_parallel_fn body,
                      void *user_data);

#endif // TENON_REFERENCE_OPS_H
