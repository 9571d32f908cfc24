// SPDX-License-Identifier: Apache-2.0
// State that grows in place: Concat(past, new) where past comes in and the result goes out. Bound
// to the same memory with room to spare along the axis, only the new rows are written.
#ifndef TENON_REFERENCE_STATE_H
#define TENON_REFERENCE_STATE_H

#include "program.h"

// Marks the outputs that may be updated in place (ref_program.appends_to): those where past and the
// result are read by nothing but ops that do not mind rows that lie apart.
void tni_ref_find_states(ref_program *program);

// Whether everybody who reads an input can read rows that lie apart: it may be a state that another
// island grows.
uint32_t tni_ref_reads_apart(const ref_program *program, uint32_t value);

// Takes the layout of a bound port over into its tensor. TN_ERROR_INVALID_ARGUMENT strides that are
// not dense rows with one gap.
tn_status tni_ref_take_strides(ref_tensor *tensor, const tn_helper_port *port, tn_error *error);

// Concat where the result lies apart: rows of past are there already, or are copied.
tn_status tni_ref_append(const ref_call *call, uint32_t axis);

#endif // TENON_REFERENCE_STATE_H
