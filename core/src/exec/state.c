// SPDX-License-Identifier: Apache-2.0
// Buffers of states, and copying rows between them and dense tensors.
#include "exec/state.h"

#include "base/checked.h"
#include "base/error.h"

#include <string.h>

// Whole pages, so that it can be imported.
#define STATE_ALIGNMENT TNI_MAX_ALIGNMENT

tn_status tni_states_create(const tni_alloc *alloc, uint32_t count, bool sensitive,
                            tni_state_set **out_set) {
    *out_set = NULL;
    tni_state_set *set = tni_alloc_zeroed(alloc, sizeof(*set));
    if (set == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    set->alloc = *alloc;
    set->sensitive = sensitive;
    set->count = count;
    atomic_init(&set->references, 1);
    set->states = tni_alloc_array(alloc, (uint64_t)count + 1, sizeof(*set->states));
    set->externals = tni_alloc_array(alloc, 2 * (uint64_t)count + 1, sizeof(*set->externals));
    if (set->states == NULL || set->externals == NULL) {
        tni_states_release(set);
        return TN_ERROR_OUT_OF_MEMORY;
    }
    *out_set = set;
    return TN_OK;
}

void tni_states_retain(tni_state_set *set) {
    atomic_fetch_add(&set->references, 1);
}

bool tni_states_are_shared(const tni_state_set *set) {
    return atomic_load(&set->references) > 1;
}

static void free_buffer(const tni_state_set *set, tni_state *state) {
    if (set->sensitive && state->data != NULL) {
        explicit_bzero(state->data, state->size_bytes);
    }
    tni_free_aligned(&set->alloc, state->data, state->size_bytes, STATE_ALIGNMENT);
    state->data = NULL;
    state->size_bytes = 0;
}

void tni_states_forget(tni_state_set *set) {
    for (uint32_t i = 0; i < set->count; i++) {
        free_buffer(set, &set->states[i]);
    }
    set->external_count = 0;
}

uint64_t tni_states_memory(const tni_state_set *set) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; set != NULL && i < set->count; i++) {
        bytes += set->states[i].size_bytes;
    }
    return bytes;
}

void tni_states_release(tni_state_set *set) {
    if (set == NULL || atomic_fetch_sub(&set->references, 1) > 1) {
        return;
    }
    for (uint32_t i = 0; set->states != NULL && i < set->count; i++) {
        free_buffer(set, &set->states[i]);
    }
    tni_alloc alloc = set->alloc;
    tni_free_array(&alloc, set->states, (uint64_t)set->count + 1, sizeof(*set->states));
    tni_free_array(&alloc, set->externals, 2 * (uint64_t)set->count + 1, sizeof(*set->externals));
    tni_free(&alloc, set, sizeof(*set));
}

tn_status tni_state_shape(tni_state_set *set, uint32_t index, tn_dtype dtype, uint32_t rank,
                          const int64_t *dims, tn_error *error) {
    tni_state *state = &set->states[index];
    int64_t full[TN_MAX_RANK];
    uint64_t count = 0;
    uint64_t bytes = 0;
    memcpy(full, dims, rank * sizeof(*dims));
    bool grows = state->axis != TN_NONE;
    if (grows && state->axis >= rank) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "state.axis",
                        "state %u of rank %u has no axis %u", index, rank, state->axis);
    }
    if (grows && dims[state->axis] > state->capacity) {
        return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "state.capacity",
                        "state %u has no room for its shape: %lld rows", index,
                        (long long)state->capacity);
    }
    if (grows) {
        full[state->axis] = state->capacity;
    }
    if (!tni_count_of_dims(full, rank, &count) || !tni_size_of_elements(dtype, count, &bytes) ||
        !tni_align_u64(bytes > 0 ? bytes : 1, STATE_ALIGNMENT, &bytes)) {
        return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "state.size", "state %u is too large",
                        index);
    }
    uint64_t all = 0;
    if (set->cap_bytes > 0 &&
        (!tni_add_u64(tni_states_memory(set), bytes, &all) || all > set->cap_bytes)) {
        return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "state.memory-cap",
                        "%llu bytes for state %u would be above the memory cap of %llu",
                        (unsigned long long)bytes, index, (unsigned long long)set->cap_bytes);
    }
    uint8_t *data = tni_alloc_bytes(&set->alloc, bytes, STATE_ALIGNMENT);
    if (data == NULL) {
        return tni_fail(error, TN_ERROR_OUT_OF_MEMORY, "state.size", "%llu bytes for state %u",
                        (unsigned long long)bytes, index);
    }
    memset(data, 0, bytes);
    free_buffer(set, state);
    state->data = data;
    state->size_bytes = bytes;
    state->dtype = dtype;
    state->rank = rank;
    memcpy(state->dims, dims, rank * sizeof(*dims));
    state->length = grows ? dims[state->axis] : 0;
    return TN_OK;
}

void tni_states_externals(tni_state_set *set, const tni_model *model) {
    const tni_graph *graph = &model->graphs[0];
    set->external_count = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const tni_state *state = &set->states[i];
        if (state->axis == TN_NONE || state->data == NULL) {
            continue;
        }
        tni_external past = {
            .value = graph->inputs[state->input],
            .buffer = i,
            .past = TN_NONE,
            .data = state->data,
            .size_bytes = state->size_bytes,
        };
        int64_t stride = 1;
        for (uint32_t axis = state->rank; axis-- > 0;) {
            past.stride_elements[axis] = stride;
            stride *= axis == state->axis ? state->capacity : state->dims[axis];
        }
        tni_external present = past;
        present.value = graph->outputs[state->output];
        present.past = past.value;
        set->externals[set->external_count++] = past;
        set->externals[set->external_count++] = present;
    }
}

// Rows of a state as bytes: how many groups of rows there are, and the bytes of one row.
static void measure(const tni_state *state, uint64_t *out_groups, uint64_t *out_row_bytes) {
    uint64_t row = 1;
    *out_groups = 1;
    for (uint32_t i = 0; i < state->rank; i++) {
        if (state->axis == TN_NONE || i > state->axis) {
            row *= (uint64_t)state->dims[i];
        } else if (i < state->axis) {
            *out_groups *= (uint64_t)state->dims[i];
        }
    }
    *out_row_bytes = 0;
    // The whole buffer was sized with more elements than these.
    bool fits = tni_size_of_elements(state->dtype, row, out_row_bytes);
    *out_row_bytes = fits ? *out_row_bytes : 0;
}

uint64_t tni_state_bytes(const tni_state *state) {
    uint64_t groups = 0;
    uint64_t row = 0;
    measure(state, &groups, &row);
    return groups * row * (state->axis == TN_NONE ? 1 : (uint64_t)state->length);
}

// Calls of the two directions differ in which side is read.
static void copy_rows(const tni_state *state, uint8_t *dense, int64_t dense_rows, int64_t begin,
                      int64_t count, bool out) {
    uint64_t groups = 0;
    uint64_t row = 0;
    bool grows = state->axis != TN_NONE;
    measure(state, &groups, &row);
    uint64_t bytes = row * (grows ? (uint64_t)count : 1);
    for (uint64_t g = 0; g < groups && bytes > 0; g++) {
        uint64_t first = grows ? (uint64_t)begin * row : 0;
        uint8_t *kept = state->data + g * row * (grows ? (uint64_t)state->capacity : 1) + first;
        uint8_t *given = dense + g * row * (grows ? (uint64_t)dense_rows : 1) + first;
        memcpy(out ? given : kept, out ? kept : given, bytes);
    }
}

void tni_state_copy_out(const tni_state *state, void *dense, int64_t dense_rows, int64_t begin,
                        int64_t count) {
    copy_rows(state, dense, dense_rows, begin, count, true);
}

void tni_state_copy_in(tni_state *state, const void *dense, int64_t dense_rows, int64_t begin,
                       int64_t count) {
    union {
        const void *given;
        uint8_t *bytes;
    } source = {.given = dense}; // read only in this direction
    copy_rows(state, source.bytes, dense_rows, begin, count, false);
}
