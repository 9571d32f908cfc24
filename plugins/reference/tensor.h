// SPDX-License-Identifier: Apache-2.0
// Tensors as the kernels see them, and reading and writing their elements. Data may lie at any
// alignment (weights are read where the model file has them), so elements are copied in and out.
#ifndef TENON_REFERENCE_TENSOR_H
#define TENON_REFERENCE_TENSOR_H

#include "number_formats.h"

#include <string.h>

// A row-major tensor. data is borrowed; inputs are never written through it. Dense, but for a state
// that grows in place (state.c): there, `row` elements lie together and the next ones begin `pitch`
// elements after them. Only ops that read elements through the functions below take such a tensor.
typedef struct ref_tensor {
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    int64_t count;      // of elements: the product of dims
    int64_t size_bytes; // count times the size of an element
    int64_t row;        // 0: dense
    int64_t pitch;
    unsigned char *data;
} ref_tensor;

// All functions: [any-thread] [no-block] [no-alloc]. Indices count elements and are not checked.

// Size of one element in bits; 0 for strings and unknown types.
int64_t tni_ref_element_bits(tn_dtype dtype);
// Size of one element; 0 also for packed types, which are not whole bytes.
int64_t tni_ref_element_bytes(tn_dtype dtype);
// Bytes of count elements; packed types are rounded up.
int64_t tni_ref_bytes_of(tn_dtype dtype, int64_t count);
// Whether the type is a floating-point number, and whether it is signed.
uint32_t tni_ref_is_float(tn_dtype dtype);
uint32_t tni_ref_is_unsigned(tn_dtype dtype);

// Reads as double: exact but for 64-bit integers beyond 2^53.
double tni_ref_load(const ref_tensor *tensor, int64_t index);
// Reads as a 64-bit integer: exact for integers and bool; floating point is cut toward zero and
// saturated. Unsigned 64-bit values keep their bits.
int64_t tni_ref_load_int(const ref_tensor *tensor, int64_t index);
// Writes a double, rounded to nearest even for floating point; for integers cut toward zero and
// saturated; bool is "not zero".
void tni_ref_store(ref_tensor *tensor, int64_t index, double value);
// Writes a double as Cast does: see tni_ref_narrow for saturate and rounding.
void tni_ref_store_rounded(ref_tensor *tensor, int64_t index, double value, uint32_t saturate,
                           ref_rounding rounding);
// Copies one element between tensors of the same type. Neighbours of a packed element share its
// byte: packed tensors are written by one thread.
void tni_ref_move(ref_tensor *to, int64_t to_index, const ref_tensor *from, int64_t from_index);
// Writes the low bits of an integer; floating point gets the nearest number; bool is "not zero".
void tni_ref_store_int(ref_tensor *tensor, int64_t index, int64_t value);

// Number of elements of a shape. Returns 0 when it, or any part of it, would not fit: zero sizes do
// not hide the others, so that partial products are safe too.
uint32_t tni_ref_count(const int64_t *dims, uint32_t rank, int64_t *out_count);
// Gives a tensor another shape; the caller knows that its size does not overflow.
void tni_ref_set_dims(ref_tensor *tensor, uint32_t rank, const int64_t *dims);
// Product of dims[begin, end).
int64_t tni_ref_product(const int64_t *dims, uint32_t begin, uint32_t end);
// The coordinates of an element, one per axis, and back.
void tni_ref_coordinates(const ref_tensor *tensor, int64_t index, int64_t *out_at);
int64_t tni_ref_position(const ref_tensor *tensor, const int64_t *at);
// Distance that an index over axes of given sizes and steps goes.
int64_t tni_ref_strided(int64_t index, uint32_t count, const int64_t *sizes, const int64_t *steps);
// Position in source of the element that broadcasting puts at index of the shape (rank, dims).
int64_t tni_ref_broadcast(const ref_tensor *source, const int64_t *dims, uint32_t rank,
                          int64_t index);
// Whether source broadcasts to the shape in one direction.
uint32_t tni_ref_broadcasts_to(const ref_tensor *source, const int64_t *dims, uint32_t rank);
uint32_t tni_ref_same_shape(const ref_tensor *a, const ref_tensor *b);
// Whether an operand that stands for one number has one element, or is absent (null).
uint32_t tni_ref_is_scalar(const ref_tensor *tensor);

// Adds weight times count elements of source, from begin in steps of stride, to sums. The inner
// loop of convolution and matrix product: contiguous, and in double whatever the tensor's type.
void tni_ref_add_scaled(double *restrict sums, int64_t count, double weight,
                        const ref_tensor *source, int64_t begin, int64_t stride);

// Where an element lies, counted in elements from data.
static inline int64_t tni_ref_place(const ref_tensor *tensor, int64_t index) {
    return tensor->row == 0 ? index : index / tensor->row * tensor->pitch + index % tensor->row;
}

static inline float tni_ref_float_at(const unsigned char *data, int64_t index) {
    float value;
    memcpy(&value, data + index * 4, sizeof value);
    return value;
}

#endif // TENON_REFERENCE_TENSOR_H
