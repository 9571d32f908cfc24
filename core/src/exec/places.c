// SPDX-License-Identifier: Apache-2.0
// Where values lie: spaces, places in them, and a copy step wherever a value is needed in a space
// it is not in yet.
#include "exec/schedule_builder.h"

#include "base/error.h"

#include <string.h>

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

tn_status tni_builder_fail(const tni_schedule_builder *b, tn_status status) {
    return status == TN_OK ? TN_OK : tni_fail_plain(b->error, status, "the schedule of a run");
}

tn_status tni_schedule_link(tni_schedule *schedule, uint32_t id) {
    void *links = schedule->links;
    tn_status status = tni_grow(&schedule->alloc, &links, &schedule->link_capacity,
                                (uint64_t)schedule->link_count + 1, sizeof(*schedule->links));
    schedule->links = links;
    if (status == TN_OK) {
        schedule->links[schedule->link_count++] = id;
    }
    return status;
}

tn_status tni_builder_add_space(tni_schedule_builder *b, tni_device *device, uint32_t heap,
                                uint32_t *out_space) {
    tni_schedule *s = b->s;
    void *spaces = s->spaces;
    tn_status status = tni_grow(&s->alloc, &spaces, &s->space_capacity,
                                (uint64_t)s->space_count + 1, sizeof(*s->spaces));
    s->spaces = spaces;
    if (status != TN_OK) {
        return tni_builder_fail(b, status);
    }
    uint64_t values = at_least_one(b->model->value_count);
    uint64_t row_bytes = values * sizeof(uint32_t);
    uint64_t rows = b->place_of_spaces;
    uint32_t *grown = tni_realloc(&s->alloc, b->place_of, rows * row_bytes, (rows + 1) * row_bytes);
    if (grown == NULL) {
        return tni_builder_fail(b, TN_ERROR_OUT_OF_MEMORY);
    }
    b->place_of = grown;
    memset(b->place_of + rows * values, 0xff, row_bytes);
    b->place_of_spaces++;
    *out_space = s->space_count++;
    s->spaces[*out_space] = (tni_space){.device = device, .heap = heap};
    return TN_OK;
}

tn_status tni_builder_find_space(tni_schedule_builder *b, tni_device *device, uint32_t heap,
                                 uint32_t *out_space) {
    for (uint32_t i = 1; i < b->s->space_count; i++) {
        if (b->s->spaces[i].device == device && b->s->spaces[i].heap == heap) {
            *out_space = i;
            return TN_OK;
        }
    }
    return tni_builder_add_space(b, device, heap, out_space);
}

tn_status tni_builder_add_place(tni_schedule_builder *b, const tni_place *place,
                                uint32_t *out_place) {
    tni_schedule *s = b->s;
    void *places = s->places;
    tn_status status = tni_grow(&s->alloc, &places, &s->place_capacity,
                                (uint64_t)s->place_count + 1, sizeof(*s->places));
    s->places = places;
    if (status != TN_OK) {
        return tni_builder_fail(b, status);
    }
    *out_place = s->place_count++;
    s->places[*out_place] = *place;
    if (place->value != TN_NONE) {
        b->place_of[(uint64_t)place->space * at_least_one(b->model->value_count) + place->value] =
            *out_place;
    }
    return TN_OK;
}

static uint32_t place_in(const tni_schedule_builder *b, uint32_t space, uint32_t value) {
    return b->place_of[(uint64_t)space * at_least_one(b->model->value_count) + value];
}

tn_status tni_builder_add_step(tni_schedule_builder *b, const tni_step *step, uint32_t *out_step) {
    tni_schedule *s = b->s;
    void *steps = s->steps;
    tn_status status = tni_grow(&s->alloc, &steps, &s->step_capacity, (uint64_t)s->step_count + 1,
                                sizeof(*s->steps));
    s->steps = steps;
    if (status != TN_OK) {
        return tni_builder_fail(b, status);
    }
    *out_step = s->step_count++;
    s->steps[*out_step] = *step;
    return TN_OK;
}

tn_status tni_builder_link(tni_schedule_builder *b, tni_step *step, uint32_t inputs_begin) {
    tni_schedule *s = b->s;
    step->inputs = (tn_range){inputs_begin, s->link_count - inputs_begin};
    step->dependencies.begin = s->link_count;
    for (uint32_t i = 0; i < step->inputs.count; i++) {
        uint32_t writer = s->places[s->links[inputs_begin + i]].writer;
        bool known = writer == TN_NONE;
        for (uint32_t k = step->dependencies.begin; k < s->link_count && !known; k++) {
            known = s->links[k] == writer;
        }
        tn_status status = known ? TN_OK : tni_schedule_link(s, writer);
        if (status != TN_OK) {
            return tni_builder_fail(b, status);
        }
    }
    step->dependencies.count = s->link_count - step->dependencies.begin;
    return TN_OK;
}

// Adds the step that copies a place into another space; the device at the far end executes it.
static tn_status copy_place(tni_schedule_builder *b, uint32_t from, uint32_t space,
                            uint32_t *out_place) {
    tni_schedule *s = b->s;
    tni_place place = s->places[from];
    if (place.external != NULL) {
        return tni_fail_node(b->error, TN_ERROR_UNSUPPORTED, "schedule.state", TN_NONE, place.value,
                             "value %u would have to be copied", place.value);
    }
    tni_step step = {.kind = TNI_STEP_COPY, .island = TN_NONE, .from = from};
    step.device = s->spaces[space != TNI_HOST_SPACE ? space : place.space].device;
    place.space = space;
    place.lasting = false;
    place.writer = s->step_count;
    uint32_t inputs_begin = s->link_count;
    tn_status status = tni_builder_fail(b, tni_schedule_link(s, from));
    if (status == TN_OK) {
        status = tni_builder_link(b, &step, inputs_begin);
    }
    if (status == TN_OK) {
        status = tni_builder_add_place(b, &place, out_place);
        step.to = *out_place;
    }
    uint32_t index;
    return status == TN_OK ? tni_builder_add_step(b, &step, &index) : status;
}

tn_status tni_builder_need(tni_schedule_builder *b, uint32_t value, uint32_t space,
                           uint32_t *out_place) {
    *out_place = place_in(b, space, value);
    if (*out_place != TN_NONE) {
        return TN_OK;
    }
    uint32_t host = place_in(b, TNI_HOST_SPACE, value);
    for (uint32_t i = 1; i < b->s->space_count && host == TN_NONE; i++) {
        uint32_t there = place_in(b, i, value);
        if (there != TN_NONE) {
            tn_status status = copy_place(b, there, TNI_HOST_SPACE, &host);
            if (status != TN_OK) {
                return status;
            }
        }
    }
    if (host == TN_NONE) {
        return tni_fail_node(b->error, TN_ERROR_INTERNAL, "schedule.nowhere", TN_NONE, value,
                             "value %u is read before anything made it", value);
    }
    *out_place = host;
    return space == TNI_HOST_SPACE ? TN_OK : copy_place(b, host, space, out_place);
}
