// SPDX-License-Identifier: Apache-2.0
// Everything a run needs, made before the first one: arenas, imports, contexts, fences, bindings.
#include "exec/request.h"

#include "base/checked.h"
#include "base/error.h"
#include "loader/device_call.h"
#include "plan/cost.h"

#include <string.h>

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

static tn_status alloc_tables(tni_execution *e) {
    const tni_schedule *s = e->schedule;
    const tni_alloc *alloc = &e->alloc;
    for (uint32_t i = 0; i < s->step_count; i++) {
        e->point_count += s->steps[i].device_waits.count + s->steps[i].bridges.count;
    }
    e->steps = tni_alloc_array(alloc, at_least_one(s->step_count), sizeof(*e->steps));
    e->bridges = tni_alloc_array(alloc, at_least_one(s->bridge_count), sizeof(*e->bridges));
    e->bindings = tni_alloc_array(alloc, at_least_one(s->port_count), sizeof(*e->bindings));
    e->points = tni_alloc_array(alloc, at_least_one(e->point_count), sizeof(*e->points));
    e->binding_dims = tni_alloc_array(alloc, at_least_one((uint64_t)s->port_count * TN_MAX_RANK),
                                      sizeof(*e->binding_dims));
    if (s->measures) {
        e->measured = tni_alloc_array(alloc, (uint64_t)s->port_count * TNI_MEASURED_SLOTS,
                                      sizeof(*e->measured));
    }
    if (e->steps == NULL || e->bridges == NULL || e->bindings == NULL || e->points == NULL ||
        e->binding_dims == NULL || (s->measures && e->measured == NULL)) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < s->step_count; i++) {
        e->steps[i].execution = e;
        e->steps[i].step = i;
        atomic_init(&e->steps[i].status, TN_OK);
        atomic_init(&e->steps[i].fence_failed, false);
        atomic_init(&e->steps[i].submitted, false);
        atomic_init(&e->steps[i].queued, false);
    }
    for (uint32_t i = 0; i < s->bridge_count; i++) {
        e->bridges[i].execution = e;
        e->bridges[i].bridge = i;
        atomic_init(&e->bridges[i].fence_failed, false);
    }
    return TN_OK;
}

static tn_status add_mount(tni_execution *e, const tni_mount *mount) {
    void *mounts = e->mounts;
    tn_status status = tni_grow(&e->alloc, &mounts, &e->mount_capacity,
                                (uint64_t)e->mount_count + 1, sizeof(*e->mounts));
    e->mounts = mounts;
    if (status == TN_OK) {
        e->mounts[e->mount_count++] = *mount;
    }
    return status;
}

static tn_status make_host_arena(tni_execution *e, tn_error *error) {
    uint64_t bytes = e->schedule->spaces[0].arena_bytes;
    if (bytes == 0) {
        return TN_OK;
    }
    e->host_arena = tni_alloc_bytes(&e->alloc, bytes, TNI_MAX_ALIGNMENT);
    if (e->host_arena == NULL) {
        return tni_fail(error, TN_ERROR_OUT_OF_MEMORY, "prepare.arena",
                        "%llu bytes for the tensors of one run", (unsigned long long)bytes);
    }
    e->host_arena_bytes = bytes;
    // Unwritten inputs and padding are zero, not what somebody else left there.
    memset(e->host_arena, 0, bytes);
    return TN_OK;
}

static tn_status make_device_arena(tni_execution *e, uint32_t space, tn_error *error) {
    const tni_space *sp = &e->schedule->spaces[space];
    if (sp->arena_bytes == 0) {
        return TN_OK;
    }
    tn_memory_alloc_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
        .heap = sp->heap,
        .size_bytes = sp->arena_bytes,
        .alignment_bytes = TNI_MAX_ALIGNMENT,
    };
    tni_mount mount = {.device = sp->device, .space = space};
    tn_status status = tni_device_memory_alloc(sp->device, &info, &mount.memory, error);
    if (status != TN_OK) {
        return status;
    }
    status = add_mount(e, &mount);
    if (status != TN_OK) {
        tni_device_memory_free(sp->device, mount.memory);
        return tni_fail_plain(error, status, "a device's arena");
    }
    return TN_OK;
}

static tn_memory *find_mount(const tni_execution *e, const tni_device *device, uint32_t space) {
    for (uint32_t i = 0; i < e->mount_count; i++) {
        if (e->mounts[i].device == device && e->mounts[i].space == space) {
            return e->mounts[i].memory;
        }
    }
    return NULL;
}

// Imports host memory under the number of a space, unless that was done.
static tn_status import_host(tni_execution *e, tni_device *device, uint32_t space, void *pointer,
                             uint64_t size_bytes, tn_error *error) {
    if (find_mount(e, device, space) != NULL) {
        return TN_OK;
    }
    tn_memory_import_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_MEMORY_IMPORT_INFO,
        .heap = device->import_heap,
        .access = TN_ACCESS_READ | TN_ACCESS_WRITE,
        .pointer = pointer,
        .size_bytes = size_bytes,
    };
    tni_mount mount = {.device = device, .space = space};
    tn_status status = tni_device_memory_import(device, &info, &mount.memory, error);
    if (status != TN_OK) {
        return status;
    }
    status = add_mount(e, &mount);
    if (status != TN_OK) {
        tni_device_memory_free(device, mount.memory);
        return tni_fail_plain(error, status, "an import of the host's memory");
    }
    return TN_OK;
}

// External buffers count as spaces from the far end of the numbers.
static uint32_t space_of(const tni_place *place) {
    return place->external != NULL ? UINT32_MAX - place->external->buffer : place->space;
}

// What a step's device sees of the host: the arena, and the external buffers its ports lie in.
static tn_status import_all(tni_execution *e, const tni_step *step, tn_error *error) {
    const tni_schedule *s = e->schedule;
    tn_status status = TN_OK;
    if (!tni_device_shares_host(step->device)) {
        return TN_OK;
    }
    if (e->host_arena != NULL) {
        status = import_host(e, step->device, 0, e->host_arena, e->host_arena_bytes, error);
    }
    for (uint32_t i = 0; i < step->port_count && status == TN_OK; i++) {
        const tni_place *place = &s->places[s->port_places[step->port_begin + i]];
        const tni_external *external = place->external;
        if (external != NULL) {
            status = import_host(e, step->device, space_of(place), external->data,
                                 external->size_bytes, error);
        }
    }
    return status;
}

static tn_status make_fence(tni_device *device, tn_fence **out_fence, tn_error *error) {
    tn_fence_create_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_FENCE_CREATE_INFO,
    };
    tn_status status = device->plugin->sync.fence_create(device->handle, &info, out_fence, error);
    return tni_device_made(device, status, *out_fence, "fence_create", error);
}

tn_status tni_execution_renew_fence(tni_device *device, tn_fence **inout_fence, tn_error *error) {
    tn_fence *fence = NULL;
    tn_status status = make_fence(device, &fence, error);
    if (status == TN_OK) {
        device->plugin->sync.fence_destroy(*inout_fence);
        *inout_fence = fence;
    }
    return status;
}

static tn_status make_context(tni_execution *e, uint32_t index, const tn_prepare_info *prepare,
                              tn_error *error) {
    const tni_step *step = &e->schedule->steps[index];
    tn_context_create_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_CONTEXT_CREATE_INFO,
        .program = e->schedule->plan->islands[step->island].program,
    };
    tni_step_state *state = &e->steps[index];
    tn_status status = tni_device_context_create(step->device, &info, &state->context, error);
    return status == TN_OK
               ? tni_device_context_prepare(step->device, state->context, prepare, error)
               : status;
}

static void bind_ports(tni_execution *e, uint32_t index) {
    const tni_schedule *s = e->schedule;
    const tni_step *step = &s->steps[index];
    e->steps[index].bindings = e->bindings + step->port_begin;
    for (uint32_t i = step->port_begin; i < step->port_begin + step->port_count; i++) {
        const tn_port_info *port = &s->ports[i];
        const tni_place *place = &s->places[s->port_places[i]];
        int64_t *dims = e->binding_dims + (uint64_t)i * TN_MAX_RANK;
        memcpy(dims, port->dims, sizeof(port->dims));
        const tni_external *external = place->external;
        e->bindings[i] = (tn_binding){
            .memory = find_mount(e, step->device, space_of(place)),
            .offset_bytes = external != NULL ? 0 : place->offset_bytes,
            .size_bytes = external != NULL ? external->size_bytes : place->size_bytes,
            .stride_elements = external != NULL ? external->stride_elements : NULL,
            .rank = port->rank,
            .dims = dims,
            .out_shape = place->measured ? e->measured + (uint64_t)i * TNI_MEASURED_SLOTS : NULL,
        };
    }
}

// Fence points of a step: steps of its own device, then the bridges made for it.
static void bind_waits(tni_execution *e, uint32_t index, uint32_t *inout_point) {
    const tni_schedule *s = e->schedule;
    const tni_step *step = &s->steps[index];
    tni_step_state *state = &e->steps[index];
    state->waits = e->points + *inout_point;
    state->wait_count = step->device_waits.count + step->bridges.count;
    *inout_point += state->wait_count;
}

static tn_status make_step(tni_execution *e, uint32_t index, const tn_prepare_info *prepare,
                           uint32_t *inout_point, tn_error *error) {
    const tni_step *step = &e->schedule->steps[index];
    tn_status status = import_all(e, step, error);
    if (status == TN_OK) {
        status = make_fence(step->device, &e->steps[index].fence, error);
    }
    if (status == TN_OK && step->kind == TNI_STEP_ISLAND) {
        status = make_context(e, index, prepare, error);
        bind_ports(e, index);
    }
    for (uint32_t i = 0; i < step->bridges.count && status == TN_OK; i++) {
        status = make_fence(step->device, &e->bridges[step->bridges.begin + i].fence, error);
    }
    bind_waits(e, index, inout_point);
    return status;
}

static tn_status make_all(tni_execution *e, const tn_prepare_info *prepare, tn_error *error) {
    uint32_t point = 0;
    tn_status status = alloc_tables(e);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "a request");
    }
    status = make_host_arena(e, error);
    for (uint32_t i = 1; i < e->schedule->space_count && status == TN_OK; i++) {
        status = make_device_arena(e, i, error);
    }
    for (uint32_t i = 0; i < e->schedule->step_count && status == TN_OK; i++) {
        status = make_step(e, i, prepare, &point, error);
    }
    return status;
}

static void free_steps(tni_execution *e) {
    const tni_schedule *s = e->schedule;
    for (uint32_t i = 0; i < s->step_count && e->steps != NULL; i++) {
        tni_device_context_destroy(s->steps[i].device, e->steps[i].context);
        if (e->steps[i].fence != NULL) {
            s->steps[i].device->plugin->sync.fence_destroy(e->steps[i].fence);
        }
    }
    for (uint32_t i = 0; i < s->bridge_count && e->bridges != NULL; i++) {
        if (e->bridges[i].fence != NULL) {
            s->steps[s->bridges[i].to].device->plugin->sync.fence_destroy(e->bridges[i].fence);
        }
    }
}

static void free_parts(tni_execution *e) {
    const tni_schedule *s = e->schedule;
    free_steps(e);
    for (uint32_t i = 0; i < e->mount_count; i++) {
        tni_device_memory_free(e->mounts[i].device, e->mounts[i].memory);
    }
    if (e->sensitive && e->host_arena != NULL) {
        explicit_bzero(e->host_arena, e->host_arena_bytes);
    }
    tni_free_aligned(&e->alloc, e->host_arena, e->host_arena_bytes, TNI_MAX_ALIGNMENT);
    tni_free_array(&e->alloc, e->mounts, e->mount_capacity, sizeof(*e->mounts));
    tni_free_array(&e->alloc, e->steps, at_least_one(s->step_count), sizeof(*e->steps));
    tni_free_array(&e->alloc, e->bridges, at_least_one(s->bridge_count), sizeof(*e->bridges));
    tni_free_array(&e->alloc, e->bindings, at_least_one(s->port_count), sizeof(*e->bindings));
    tni_free_array(&e->alloc, e->points, at_least_one(e->point_count), sizeof(*e->points));
    tni_free_array(&e->alloc, e->binding_dims, at_least_one((uint64_t)s->port_count * TN_MAX_RANK),
                   sizeof(*e->binding_dims));
    if (s->measures) {
        tni_free_array(&e->alloc, e->measured, (uint64_t)s->port_count * TNI_MEASURED_SLOTS,
                       sizeof(*e->measured));
    }
}

tn_status tni_execution_create(const tni_alloc *alloc, tni_trace *trace, tni_schedule *schedule,
                               const tn_symbol_value *symbols, uint32_t symbol_count,
                               bool sensitive, tni_execution **out_execution, tn_error *error) {
    *out_execution = NULL;
    tni_execution *e = tni_alloc_zeroed(alloc, sizeof(*e));
    if (e == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a request");
    }
    e->alloc = *alloc;
    e->trace = trace;
    e->schedule = schedule;
    e->sensitive = sensitive;
    tn_prepare_info prepare = {
        .struct_size = sizeof(prepare),
        .struct_type = TN_STRUCT_PREPARE_INFO,
        .symbols = symbols,
        .symbol_count = symbol_count,
    };
    tn_status status = make_all(e, &prepare, error);
    if (status != TN_OK) {
        free_parts(e); // the schedule stays the caller's
        tni_free(alloc, e, sizeof(*e));
        return status;
    }
    *out_execution = e;
    return TN_OK;
}

void tni_execution_destroy(tni_execution *e) {
    if (e == NULL) {
        return;
    }
    tni_alloc alloc = e->alloc;
    free_parts(e);
    void (*release)(void *) = e->release;
    void *release_user_data = e->release_user_data;
    tni_schedule_destroy(e->schedule);
    tni_free(&alloc, e, sizeof(*e));
    if (release != NULL) {
        release(release_user_data);
    }
}
