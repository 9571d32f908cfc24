// SPDX-License-Identifier: Apache-2.0
// State that stays with a request from run to run: an input and the output that replaces it. One
// that grows keeps its rows in a buffer with room along an axis, so that a run only writes the new
// ones; one of fixed size is copied. A run that fails leaves it as it was.
#ifndef TENON_EXEC_STATE_H
#define TENON_EXEC_STATE_H

#include "exec/external.h"
#include "graph/graph.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct tni_state {
    uint32_t input; // of graph 0, by position
    uint32_t output;
    uint32_t axis;    // along which it grows; TN_NONE: its size is fixed
    int64_t capacity; // rows there is room for
    int64_t length;   // rows there are
    uint32_t rank;
    tn_dtype dtype;
    int64_t dims[TN_MAX_RANK]; // with length rows along axis
    uint8_t *data;             // null until the shape is known
    uint64_t size_bytes;       // of the whole buffer
} tni_state;

// Shared by a request and what was prepared from it: a device may be at the buffers longer than the
// request lives. References are counted.
typedef struct tni_state_set {
    tni_alloc alloc;
    atomic_uint references;
    bool sensitive;
    uint64_t cap_bytes; // of all buffers together; 0: none
    uint32_t count;
    tni_state *states;
    tni_external *externals; // two a state, past and present; those of growing ones only
    uint32_t external_count;
} tni_state_set;

// Room for count states, all zero. TN_OK · TN_ERROR_OUT_OF_MEMORY. *out_set is null on failure.
TN_MUST_USE tn_status tni_states_create(const tni_alloc *alloc, uint32_t count, bool sensitive,
                                        tni_state_set **out_set);
void tni_states_retain(tni_state_set *set);
void tni_states_release(tni_state_set *set); // null is ignored
// Whether someone else holds the set, too.
bool tni_states_are_shared(const tni_state_set *set);

// Gives a state its shape, dims along its axis being the rows it begins with, and zeroed memory.
// TN_OK · TN_ERROR_INVALID_ARGUMENT no such axis · TN_ERROR_LIMIT_EXCEEDED more rows than capacity,
// too large, or above the cap · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_state_shape(tni_state_set *set, uint32_t index, tn_dtype dtype,
                                      uint32_t rank, const int64_t *dims, tn_error *error);

// Takes shapes and memory back from all. Nothing that was prepared with them may be left.
void tni_states_forget(tni_state_set *set);
// Bytes of all buffers together.
uint64_t tni_states_memory(const tni_state_set *set); // null: 0

// Fills externals for the growing states that have a shape.
void tni_states_externals(tni_state_set *set, const tni_model *model);

// Bytes of the rows there are, densely.
uint64_t tni_state_bytes(const tni_state *state);
// Copies rows [begin, begin + count) out of and into a dense tensor of dense_rows rows, whose rows
// begin at the same number. For a fixed state, everything.
void tni_state_copy_out(const tni_state *state, void *dense, int64_t dense_rows, int64_t begin,
                        int64_t count);
void tni_state_copy_in(tni_state *state, const void *dense, int64_t dense_rows, int64_t begin,
                       int64_t count);

#endif // TENON_EXEC_STATE_H
