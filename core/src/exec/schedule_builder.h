// SPDX-License-Identifier: Apache-2.0
// Inside of schedule.h: a schedule under construction, shared by schedule.c (islands and their
// ports) and places.c (where values lie, and the copies that bring them there).
#ifndef TENON_EXEC_SCHEDULE_BUILDER_H
#define TENON_EXEC_SCHEDULE_BUILDER_H

#include "exec/schedule.h"

// The host arena is imported whole, so places in it keep to the device's alignment only.
#define TNI_HOST_SPACE 0u

typedef struct tni_schedule_builder {
    tni_schedule *s;
    const tni_plan *plan;
    const tni_model *model;
    const tni_shape_table *table;
    tn_port_query query;
    const tni_external *externals;
    uint32_t external_count;
    uint32_t *place_of; // [space][value]: place, or TN_NONE; grown with the spaces
    uint32_t place_of_spaces;
    tn_error *error;
} tni_schedule_builder;

// Fills the error for a status that came without one. Returns status.
tn_status tni_builder_fail(const tni_schedule_builder *b, tn_status status);
// Adding; errors are filled. TN_OK · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED.
TN_MUST_USE tn_status tni_builder_add_space(tni_schedule_builder *b, tni_device *device,
                                            uint32_t heap, uint32_t *out_space);
TN_MUST_USE tn_status tni_builder_find_space(tni_schedule_builder *b, tni_device *device,
                                             uint32_t heap, uint32_t *out_space);
TN_MUST_USE tn_status tni_builder_add_place(tni_schedule_builder *b, const tni_place *place,
                                            uint32_t *out_place);
TN_MUST_USE tn_status tni_builder_add_step(tni_schedule_builder *b, const tni_step *step,
                                           uint32_t *out_step);
// Closes the ranges of a step that reads the places linked since inputs_begin.
TN_MUST_USE tn_status tni_builder_link(tni_schedule_builder *b, tni_step *step,
                                       uint32_t inputs_begin);
// The place of a value in a space, copied there through the host if need be. TN_ERROR_INTERNAL
// nothing makes it · TN_ERROR_UNSUPPORTED it is state, which is not copied · the errors above.
TN_MUST_USE tn_status tni_builder_need(tni_schedule_builder *b, uint32_t value, uint32_t space,
                                       uint32_t *out_place);

#endif // TENON_EXEC_SCHEDULE_BUILDER_H
