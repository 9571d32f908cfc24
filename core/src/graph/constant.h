// SPDX-License-Identifier: Apache-2.0
// Constants of a model: bytes in a mapped file or the caller's buffer, small owned bytes, or
// recipes that compute them from other constants when they are read. The host never keeps a second
// copy of a weight. Why, and what happens to a file that is cut short: docs/decisions/0002.
#ifndef TENON_GRAPH_CONSTANT_H
#define TENON_GRAPH_CONSTANT_H

#include "base/alloc.h"
#include "base/hash.h"

#include "tenon/abi/graph.h"

#include <stdbool.h>
#include <stdint.h>

struct tni_model;

typedef enum tni_source_kind {
    TNI_SOURCE_BUFFER, // the caller's memory, which outlives the model
    TNI_SOURCE_MAPPED, // a private read-only mapping of a file
    TNI_SOURCE_COPIED, // a file or buffer copied into memory of the model (read-copy mode)
} tni_source_kind;

// Where raw bytes come from. A mapped file may shrink behind our back, and touching a page beyond
// its end raises SIGBUS. Three things keep that away: tni_constant_map checks the file's size at
// every call, tni_constant_read reads files with pread, and tni_model_check_sources can be called
// before pointers kept from tni_constant_map are used again (the executor does, before every run).
// What is left is a file cut in the middle of a run; whoever cannot rule that out imports with
// TNI_IMPORT_COPY.
typedef struct tni_source {
    tni_source_kind kind;
    int fd; // of MAPPED, else -1
    const uint8_t *data;
    uint64_t size_bytes;
    tn_string path; // empty for a buffer
} tni_source;

typedef enum tni_constant_kind {
    TNI_CONSTANT_RAW,    // in a source, at any alignment
    TNI_CONSTANT_OWNED,  // in the model's arena
    TNI_CONSTANT_RECIPE, // computed on reading
} tni_constant_kind;

typedef enum tni_recipe_kind {
    TNI_RECIPE_CAST,       // sources: x
    TNI_RECIPE_TRANSPOSE,  // sources: x; perm
    TNI_RECIPE_DEQUANTIZE, // sources: x, scale, zero point (or TN_NONE); axis, block
    TNI_RECIPE_BN_WEIGHT,  // sources: weight, gamma, variance; epsilon; channels along axis
    TNI_RECIPE_BN_BIAS,    // sources: bias (or TN_NONE), gamma, beta, mean, variance; epsilon
} tni_recipe_kind;

#define TNI_RECIPE_MAX_SOURCES 5u

typedef struct tni_recipe {
    tni_recipe_kind kind;
    uint32_t sources[TNI_RECIPE_MAX_SOURCES]; // constants, each of a smaller index; else TN_NONE
    uint32_t axis;
    uint32_t block; // DEQUANTIZE: elements of the axis that share a scale; 0: per axis or tensor
    uint32_t perm[TN_MAX_RANK];
    double epsilon;
} tni_recipe;

// String constants hold count + 1 uint64_t end offsets (the first is 0) followed by the characters.
typedef struct tni_constant {
    uint64_t key; // the model's key_base + index
    uint64_t size_bytes;
    tn_dtype dtype;
    uint32_t rank;
    int64_t *dims;
    tni_constant_kind kind;
    uint32_t source;       // RAW
    uint64_t offset_bytes; // RAW: in the source
    const uint8_t *bytes;  // OWNED
    tni_recipe *recipe;    // RECIPE
    uint64_t element_count;
    bool helper; // made for an expansion or a form: no parameter of the model
    bool hashed; // guarded by the model's lock
    uint8_t content_hash[TNI_DIGEST_BYTES];
} tni_constant;

// What a new constant is made of; dims, bytes and recipe are copied into the model.
typedef struct tni_constant_info {
    tn_dtype dtype;
    uint32_t rank;
    const int64_t *dims;
    tni_constant_kind kind;
    uint32_t source;
    uint64_t offset_bytes;
    const void *bytes;   // OWNED: size_bytes of them; null leaves them zero
    uint64_t size_bytes; // checked against dtype and dims, except for strings
    const tni_recipe *recipe;
} tni_constant_info;

// Adds a constant. TN_OK · TN_ERROR_INVALID_ARGUMENT dims overflow or the size disagrees ·
// TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED.
TN_MUST_USE tn_status tni_model_add_constant(struct tni_model *model, const tni_constant_info *info,
                                             uint32_t *out_id);
// Adds the same bytes with other dims of the same element count. Errors as tni_model_add_constant.
TN_MUST_USE tn_status tni_model_add_reshaped(struct tni_model *model, uint32_t constant,
                                             const int64_t *dims, uint32_t rank, uint32_t *out_id);
// Adds a one-dimensional (rank 1) or scalar (rank 0) int64 constant.
TN_MUST_USE tn_status tni_model_add_ints(struct tni_model *model, const int64_t *values,
                                         uint32_t count, uint32_t rank, uint32_t *out_id);

// Adds a caller's buffer as a source: copied, or borrowed and then to outlive the model. TN_OK ·
// TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_model_add_buffer(struct tni_model *model, const void *data,
                                           uint64_t size_bytes, bool copy, uint32_t *out_id);
// Takes over an open file descriptor on success and maps it whole and private, or reads it when
// copy is set. path is for messages. TN_OK · TN_ERROR_IO · TN_ERROR_INVALID_DATA no regular file ·
// TN_ERROR_LIMIT_EXCEEDED larger than max_bytes · TN_ERROR_OUT_OF_MEMORY. On failure the descriptor
// stays the caller's.
TN_MUST_USE tn_status tni_model_add_file(struct tni_model *model, int fd, tn_string path, bool copy,
                                         uint64_t max_bytes, uint32_t *out_id, tn_error *error);

// Points at the constant's bytes, alignment 1, valid as long as the model. Any thread.
// TN_OK · TN_ERROR_NOT_FOUND no such index · TN_ERROR_UNSUPPORTED it is a recipe: read it ·
// TN_ERROR_IO its file shrank. *out_data is null and *out_size_bytes 0 on failure.
TN_MUST_USE tn_status tni_constant_map(const struct tni_model *model, uint32_t constant,
                                       const void **out_data, uint64_t *out_size_bytes,
                                       tn_error *error);
// Copies or computes size_bytes at offset_bytes into destination. Recipes run over blocks of 16 KiB
// of scratch from the model's allocator; only a transpose of a recipe computes its whole source
// first. Any thread. TN_OK · TN_ERROR_NOT_FOUND · TN_ERROR_INVALID_ARGUMENT the range leaves the
// constant · TN_ERROR_IO the file shrank or cannot be read · TN_ERROR_OUT_OF_MEMORY. destination is
// undefined on failure.
TN_MUST_USE tn_status tni_constant_read(const struct tni_model *model, uint32_t constant,
                                        uint64_t offset_bytes, uint64_t size_bytes,
                                        void *destination, tn_error *error);
// BLAKE2b-256 of type, dims and content; of a recipe, of its parameters and its sources' hashes.
// Computed once and kept. Any thread. Errors as tni_constant_read.
TN_MUST_USE tn_status tni_constant_hash(struct tni_model *model, uint32_t constant,
                                        uint8_t out_hash[TNI_DIGEST_BYTES], tn_error *error);
// The constant behind a key of the ABI, or TN_NONE. Any thread.
uint32_t tni_constant_of_key(const struct tni_model *model, uint64_t key);

// Checks that every mapped file still has the size it was mapped with. Any thread.
// TN_OK · TN_ERROR_IO with the path (id "model.file-changed").
TN_MUST_USE tn_status tni_model_check_sources(const struct tni_model *model, tn_error *error);

// Reads a small integer constant (INT64, INT32, any 8/16-bit integer, BOOL) as int64_t. capacity is
// in elements. TN_OK · TN_ERROR_UNSUPPORTED another type, or more than capacity elements · errors
// of tni_constant_read.
TN_MUST_USE tn_status tni_constant_ints(const struct tni_model *model, uint32_t constant,
                                        int64_t *out_values, uint32_t capacity, uint32_t *out_count,
                                        tn_error *error);

#endif // TENON_GRAPH_CONSTANT_H
