// SPDX-License-Identifier: Apache-2.0
// Tensors as the kernels see them, and reading and writing their elements. Data may lie at any
// alignment (weights are read where the model file has them), so elements are copied in and out.
#ifndef TENON_REFERENCE_TENSOR_H
#define TENON_REFERENCE_TENSOR_H

#include "tenon/abi/types.h"

#include <string.h>

// A dense row-major tensor. data is borrowed; inputs are never written through it.
typedef struct ref_tensor {
    tn_dtype dtype;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    int64_t count;      // of elements: the product of dims
    int64_t size_bytes; // count times the size of an element
    unsigned char *data;
} ref_tensor;

// All functions: [any-thread] [no-block] [no-alloc]. Indices count elements and are not checked.

// Size of one element; 0 for types that are not whole bytes, strings and unknown types.
int64_t tni_ref_element_bytes(tn_dtype dtype);
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
// Writes the low bits of an integer; floating point gets the nearest number; bool is "not zero".
void tni_ref_store_int(ref_tensor *tensor, int64_t index, int64_t value);

// Number of elements of a shape. Returns 0 when it, or any part of it, would not fit: zero sizes do
// not hide the others, so that partial products are safe too.
uint32_t tni_ref_count(const int64_t *dims, uint32_t rank, int64_t *out_count);
// Product of dims[begin, end).
int64_t tni_ref_product(const int64_t *dims, uint32_t begin, uint32_t end);
// Position in source of the element that broadcasting puts at index of the shape (rank, dims).
int64_t tni_ref_broadcast(const ref_tensor *source, const int64_t *dims, uint32_t rank,
                          int64_t index);
// Whether source broadcasts to the shape in one direction.
uint32_t tni_ref_broadcasts_to(const ref_tensor *source, const int64_t *dims, uint32_t rank);
uint32_t tni_ref_same_shape(const ref_tensor *a, const ref_tensor *b);

// Adds weight times count elements of source, from begin in steps of stride, to sums. The inner
// loop of convolution and matrix product: contiguous, and in double whatever the tensor's type.
void tni_ref_add_scaled(double *restrict sums, int64_t count, double weight,
                        const ref_tensor *source, int64_t begin, int64_t stride);

static inline float tni_ref_float_at(const unsigned char *data, int64_t index) {
    float value;
    memcpy(&value, data + index * 4, sizeof value);
    return value;
}

#endif // TENON_REFERENCE_TENSOR_H
