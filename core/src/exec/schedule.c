// SPDX-License-Identifier: Apache-2.0
// The steps of one run: for every island its ports, for every port a place (places.c) in a memory
// that the device can use.
#include "exec/schedule_builder.h"

#include "base/checked.h"
#include "base/error.h"
#include "loader/device_call.h"
#include "plan/cost.h"

#include <string.h>

#define MAX_PORTS 65536u

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

static tn_status space_of_port(tni_schedule_builder *b, tni_device *device,
                               const tn_port_info *port, uint32_t *out_space) {
    if (tni_device_shares_host(device)) {
        *out_space = TNI_HOST_SPACE;
        return TN_OK;
    }
    if (port->heap_count == 0 || port->heaps[0] >= device->heap_count) {
        return tni_fail(b->error, TN_ERROR_INVALID_DATA, "schedule.heap",
                        "%s: a port names no heap of its device", device->id);
    }
    return tni_builder_find_space(b, device, port->heaps[0], out_space);
}

static tn_status query_ports(tni_schedule_builder *b, const tni_island *island, uint32_t *out_begin,
                             uint32_t *out_count) {
    tni_schedule *s = b->s;
    uint32_t expected = island->input_count + island->output_count;
    uint32_t room = expected + 4;
    for (int round = 0; round < 2; round++) {
        void *ports = s->ports;
        void *places = s->port_places;
        tn_status status = tni_grow(&s->alloc, &ports, &s->port_capacity,
                                    (uint64_t)s->port_count + room, sizeof(*s->ports));
        s->ports = ports;
        if (status == TN_OK) {
            status = tni_grow(&s->alloc, &places, &s->port_place_capacity,
                              (uint64_t)s->port_count + room, sizeof(*s->port_places));
            s->port_places = places;
        }
        if (status != TN_OK) {
            return tni_builder_fail(b, status);
        }
        tn_port_info *first = &s->ports[s->port_count];
        memset(first, 0, room * sizeof(*first));
        for (uint32_t i = 0; i < room; i++) {
            first[i].struct_size = sizeof(*first);
            first[i].struct_type = TN_STRUCT_PORT_INFO;
        }
        uint32_t count = 0;
        status = tni_device_port_query(island->device, island->program, &b->query, first, room,
                                       &count, b->error);
        if (status == TN_ERROR_LIMIT_EXCEEDED && count > room && count <= MAX_PORTS) {
            room = count;
            continue;
        }
        if (status != TN_OK) {
            return status;
        }
        if (count < expected || count > room) {
            break;
        }
        *out_begin = s->port_count;
        *out_count = count;
        s->port_count += count;
        return TN_OK;
    }
    return tni_fail(b->error, TN_ERROR_INVALID_DATA, "schedule.ports",
                    "%s: port_query gives a count that fits neither the island nor itself",
                    island->device->id);
}

static tn_status check_port(tni_schedule_builder *b, const tni_device *device,
                            const tn_port_info *port, uint32_t value) {
    uint64_t alignment = port->alignment_bytes;
    if ((port->flags & TN_PORT_UNBOUNDED) != 0) {
        return tni_fail_node(b->error, TN_ERROR_UNSUPPORTED, "schedule.unbounded", TN_NONE, value,
                             "%s: a port has no largest size", device->id);
    }
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > TNI_MAX_ALIGNMENT) {
        return tni_fail_node(b->error, TN_ERROR_INVALID_DATA, "schedule.alignment", TN_NONE, value,
                             "%s: a port asks for alignment %llu", device->id,
                             (unsigned long long)alignment);
    }
    if (value != TN_NONE && tni_shape_of(b->table, value)->known &&
        port->size_bytes < tni_shape_of(b->table, value)->size_bytes) {
        return tni_fail_node(b->error, TN_ERROR_INVALID_DATA, "schedule.port-size", TN_NONE, value,
                             "%s: a port has %llu bytes for a tensor of %llu", device->id,
                             (unsigned long long)port->size_bytes,
                             (unsigned long long)tni_shape_of(b->table, value)->size_bytes);
    }
    return TN_OK;
}

static const tni_external *find_external(const tni_schedule_builder *b, uint32_t value) {
    for (uint32_t i = 0; i < b->external_count; i++) {
        if (value != TN_NONE && b->externals[i].value == value) {
            return &b->externals[i];
        }
    }
    return NULL;
}

// Whether the port can be bound to memory that lies apart; what is made must be able to grow what
// came in.
static tn_status check_external(const tni_schedule_builder *b, const tni_island *island,
                                const tni_external *external, const tn_port_info *port) {
    bool good = tni_device_shares_host(island->device) && port->accepts_strides != 0;
    if (good && port->kind == TN_PORT_OUTPUT) {
        good = (port->flags & TN_PORT_IN_PLACE) != 0 && port->alias_of < island->input_count &&
               island->inputs[port->alias_of] == external->past;
    }
    return good ? TN_OK
                : tni_fail_node(b->error, TN_ERROR_UNSUPPORTED, "schedule.state", TN_NONE,
                                external->value, "%s cannot keep value %u in place",
                                island->device->id, external->value);
}

static void widen(tni_place *place, const tn_port_info *port) {
    place->size_bytes = port->size_bytes > place->size_bytes ? port->size_bytes : place->size_bytes;
    place->alignment_bytes = port->alignment_bytes > place->alignment_bytes
                                 ? port->alignment_bytes
                                 : place->alignment_bytes;
}

// Inputs come first: their copies are steps that go before the island's own.
static tn_status place_inputs(tni_schedule_builder *b, const tni_island *island,
                              uint32_t port_begin) {
    for (uint32_t i = 0; i < island->input_count; i++) {
        const tn_port_info port = b->s->ports[port_begin + i];
        uint32_t space = TNI_HOST_SPACE;
        uint32_t place = TN_NONE;
        tn_status status = check_port(b, island->device, &port, island->inputs[i]);
        if (status == TN_OK) {
            status = space_of_port(b, island->device, &port, &space);
        }
        if (status == TN_OK) {
            status = tni_builder_need(b, island->inputs[i], space, &place);
        }
        if (status != TN_OK) {
            return status;
        }
        if (b->s->places[place].measured) {
            return tni_fail_node(b->error, TN_ERROR_UNSUPPORTED, "schedule.data-dependent", TN_NONE,
                                 island->inputs[i],
                                 "%s: reads a value whose size is known only while running",
                                 island->device->id);
        }
        if (b->s->places[place].external != NULL) {
            status = check_external(b, island, b->s->places[place].external, &port);
            if (status != TN_OK) {
                return status;
            }
        }
        widen(&b->s->places[place], &port);
        b->s->port_places[port_begin + i] = place;
    }
    return TN_OK;
}

static tn_status place_outputs(tni_schedule_builder *b, const tni_island *island,
                               uint32_t port_begin, uint32_t port_count) {
    for (uint32_t i = island->input_count; i < port_count; i++) {
        const tn_port_info port = b->s->ports[port_begin + i];
        uint32_t k = i - island->input_count;
        tni_place place = {
            .value = k < island->output_count ? island->outputs[k] : TN_NONE,
            .writer = b->s->step_count,
            .measured = (port.flags & TN_PORT_DATA_DEPENDENT) != 0,
        };
        place.external = find_external(b, place.value);
        b->s->measures = b->s->measures || place.measured;
        bool kind_fits =
            port.kind == (k < island->output_count ? TN_PORT_OUTPUT : TN_PORT_WORKSPACE);
        if (!kind_fits) {
            return tni_fail(b->error, TN_ERROR_INVALID_DATA, "schedule.port-kind",
                            "%s: port %u has kind %u", island->device->id, i, port.kind);
        }
        tn_status status = check_port(b, island->device, &port, place.value);
        if (status == TN_OK && place.external != NULL) {
            status = check_external(b, island, place.external, &port);
        }
        if (status == TN_OK) {
            status = space_of_port(b, island->device, &port, &place.space);
        }
        if (status == TN_OK) {
            widen(&place, &port);
            status = tni_builder_add_place(b, &place, &b->s->port_places[port_begin + i]);
        }
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

static tn_status add_island(tni_schedule_builder *b, uint32_t index) {
    const tni_island *island = &b->plan->islands[index];
    tni_step step = {.kind = TNI_STEP_ISLAND, .device = island->device, .island = index};
    tn_status status = query_ports(b, island, &step.port_begin, &step.port_count);
    if (status == TN_OK) {
        status = place_inputs(b, island, step.port_begin);
    }
    uint32_t inputs_begin = b->s->link_count;
    for (uint32_t i = 0; i < island->input_count && status == TN_OK; i++) {
        status =
            tni_builder_fail(b, tni_schedule_link(b->s, b->s->port_places[step.port_begin + i]));
    }
    if (status == TN_OK) {
        status = tni_builder_link(b, &step, inputs_begin);
    }
    if (status == TN_OK) {
        status = place_outputs(b, island, step.port_begin, step.port_count);
    }
    uint32_t step_index;
    return status == TN_OK ? tni_builder_add_step(b, &step, &step_index) : status;
}

static tn_status place_region_inputs(tni_schedule_builder *b) {
    const tni_region *region = b->plan->region;
    b->s->input_places =
        tni_alloc_array(&b->s->alloc, at_least_one(region->input_count), sizeof(uint32_t));
    if (b->s->input_places == NULL) {
        return tni_builder_fail(b, TN_ERROR_OUT_OF_MEMORY);
    }
    b->s->input_count = region->input_count;
    for (uint32_t i = 0; i < region->input_count; i++) {
        uint32_t value = region->inputs[i];
        tni_place place = {
            .value = value,
            .space = TNI_HOST_SPACE,
            .writer = TN_NONE,
            .lasting = true,
            .size_bytes = tni_shape_of(b->table, value)->size_bytes,
            .alignment_bytes = 64,
            .external = find_external(b, value),
        };
        tn_status status = tni_builder_add_place(b, &place, &b->s->input_places[i]);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

static tn_status place_region_outputs(tni_schedule_builder *b) {
    const tni_region *region = b->plan->region;
    b->s->output_places =
        tni_alloc_array(&b->s->alloc, at_least_one(region->output_count), sizeof(uint32_t));
    if (b->s->output_places == NULL) {
        return tni_builder_fail(b, TN_ERROR_OUT_OF_MEMORY);
    }
    b->s->output_count = region->output_count;
    for (uint32_t i = 0; i < region->output_count; i++) {
        tn_status status =
            tni_builder_need(b, region->outputs[i], TNI_HOST_SPACE, &b->s->output_places[i]);
        if (status != TN_OK) {
            return status;
        }
        b->s->places[b->s->output_places[i]].lasting = true;
    }
    return TN_OK;
}

static tn_status build(tni_schedule_builder *b) {
    uint32_t host;
    tn_status status = tni_builder_add_space(b, NULL, 0, &host);
    if (status == TN_OK) {
        status = place_region_inputs(b);
    }
    for (uint32_t i = 0; i < b->plan->island_count && status == TN_OK; i++) {
        status = add_island(b, i);
    }
    if (status == TN_OK) {
        status = place_region_outputs(b);
    }
    return status == TN_OK ? tni_builder_fail(b, tni_schedule_waits(b->s)) : status;
}

tn_status tni_schedule_create(const tni_alloc *alloc, const tni_plan *plan,
                              const tni_shape_table *table, const tn_symbol_value *symbols,
                              uint32_t symbol_count, const tni_external *externals,
                              uint32_t external_count, tni_schedule **out_schedule,
                              tn_error *error) {
    *out_schedule = NULL;
    tni_schedule *s = tni_alloc_zeroed(alloc, sizeof(*s));
    if (s == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the schedule of a run");
    }
    s->alloc = *alloc;
    s->plan = plan;
    tni_schedule_builder b = {
        .s = s,
        .plan = plan,
        .model = plan->model,
        .table = table,
        .query = {sizeof(b.query), TN_STRUCT_PORT_QUERY, symbols, symbol_count},
        .externals = externals,
        .external_count = external_count,
        .error = error,
    };
    tn_status status = build(&b);
    tni_free(alloc, b.place_of,
             b.place_of_spaces * at_least_one(plan->model->value_count) * sizeof(uint32_t));
    if (status != TN_OK) {
        tni_schedule_destroy(s);
        return status;
    }
    *out_schedule = s;
    return TN_OK;
}

void tni_schedule_destroy(tni_schedule *s) {
    if (s == NULL) {
        return;
    }
    tni_alloc alloc = s->alloc;
    tni_free_array(&alloc, s->spaces, s->space_capacity, sizeof(*s->spaces));
    tni_free_array(&alloc, s->places, s->place_capacity, sizeof(*s->places));
    tni_free_array(&alloc, s->steps, s->step_capacity, sizeof(*s->steps));
    tni_free_array(&alloc, s->links, s->link_capacity, sizeof(*s->links));
    tni_free_array(&alloc, s->ports, s->port_capacity, sizeof(*s->ports));
    tni_free_array(&alloc, s->port_places, s->port_place_capacity, sizeof(*s->port_places));
    tni_free_array(&alloc, s->bridges, s->bridge_capacity, sizeof(*s->bridges));
    tni_free_array(&alloc, s->input_places, at_least_one(s->input_count), sizeof(uint32_t));
    tni_free_array(&alloc, s->output_places, at_least_one(s->output_count), sizeof(uint32_t));
    tni_free_array(&alloc, s->before, at_least_one((uint64_t)s->step_count * s->row_words),
                   sizeof(*s->before));
    tni_free(&alloc, s, sizeof(*s));
}
