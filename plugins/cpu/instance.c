// SPDX-License-Identifier: Apache-2.0
// Where the storages of an instance lie, and the end of one.
#include "instance.h"

#include <stdlib.h>

void tni_cpu_instance_destroy(cpu_instance *instance) {
    if (instance == NULL) {
        return;
    }
    for (uint32_t i = 0; i < instance->step_count; ++i) {
        if (instance->steps[i].primitive != NULL) {
            (void)dnnl_primitive_destroy(instance->steps[i].primitive);
        }
    }
    // The instance lies in its own arena.
    cpu_arena arena = instance->arena;
    tni_cpu_arena_deinit(&arena);
}

static void find_lifetimes(cpu_instance *instance) {
    for (uint32_t i = 0; i < instance->storage_count; ++i) {
        instance->storages[i].first_step = UINT32_MAX;
        instance->storages[i].last_step = 0;
    }
    for (uint32_t s = 0; s < instance->step_count; ++s) {
        const cpu_step *step = &instance->steps[s];
        for (uint32_t k = 0; k < step->operand_count; ++k) {
            const uint32_t index = instance->operands[step->operand_begin + k].storage;
            if (index != TN_NONE) {
                cpu_storage *storage = &instance->storages[index];
                storage->first_step = s < storage->first_step ? s : storage->first_step;
                storage->last_step = s;
            }
        }
    }
}

static uint32_t overlap_in_time(const cpu_storage *a, const cpu_storage *b) {
    return a->first_step <= b->last_step && b->first_step <= a->last_step ? 1u : 0u;
}

// The lowest offset that clashes with none of the storages placed before; those are in order of
// their offsets, so one pass over them finds it.
static int64_t lowest_offset(const cpu_instance *instance, const uint32_t *placed, uint32_t count,
                             const cpu_storage *storage) {
    int64_t offset = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const cpu_storage *other = &instance->storages[placed[i]];
        if (!overlap_in_time(other, storage)) {
            continue;
        }
        if (offset + storage->size_bytes <= other->offset_bytes) {
            break;
        }
        const int64_t end = other->offset_bytes + other->size_bytes;
        offset = end > offset ? (end + CPU_ALIGNMENT - 1) / CPU_ALIGNMENT * CPU_ALIGNMENT : offset;
    }
    return offset;
}

static void insert_by_offset(const cpu_instance *instance, uint32_t *placed, uint32_t count,
                             uint32_t index) {
    uint32_t at = count;
    while (at > 0 && instance->storages[placed[at - 1]].offset_bytes >
                         instance->storages[index].offset_bytes) {
        placed[at] = placed[at - 1];
        --at;
    }
    placed[at] = index;
}

typedef struct sized {
    int64_t size_bytes;
    uint32_t index;
} sized;

static int larger_first(const void *left, const void *right) {
    const sized *a = left;
    const sized *b = right;
    if (a->size_bytes != b->size_bytes) {
        return a->size_bytes > b->size_bytes ? -1 : 1;
    }
    return a->index < b->index ? -1 : 1;
}

// The largest first: what is small fits into the holes that they leave.
tn_status tni_cpu_instance_place(cpu_instance *instance, tn_error *error) {
    find_lifetimes(instance);
    sized *order = tni_cpu_arena_array(&instance->arena, instance->storage_count, sizeof *order);
    uint32_t *placed =
        tni_cpu_arena_array(&instance->arena, instance->storage_count, sizeof *placed);
    if (order == NULL || placed == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "cpu: no memory");
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < instance->storage_count; ++i) {
        const cpu_storage *storage = &instance->storages[i];
        if (storage->home == CPU_HOME_WORKSPACE && storage->first_step != UINT32_MAX) {
            order[count++] = (sized){storage->size_bytes, i};
        }
    }
    qsort(order, count, sizeof *order, larger_first);
    int64_t total = 0;
    for (uint32_t i = 0; i < count; ++i) {
        cpu_storage *storage = &instance->storages[order[i].index];
        storage->offset_bytes = lowest_offset(instance, placed, i, storage);
        if (storage->offset_bytes > INT64_MAX / 4 - storage->size_bytes) {
            return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "cpu.workspace",
                                  "the intermediates are too large");
        }
        insert_by_offset(instance, placed, i, order[i].index);
        const int64_t end = storage->offset_bytes + storage->size_bytes;
        total = end > total ? end : total;
    }
    instance->workspace_bytes = total > 0 ? total : CPU_ALIGNMENT;
    return TN_OK;
}
