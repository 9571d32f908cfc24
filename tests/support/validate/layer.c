// SPDX-License-Identifier: Apache-2.0
// Violations, handles, guards and the bracket around every call.
#include "layer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x564c4459u
#define GUARD 0xc5

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t violation_count;
static char first_violation[512];
static layer_handle *all_handles;
static _Thread_local uint32_t noalloc_depth;

void layer_violation(const char *format, ...) {
    va_list arguments;
    pthread_mutex_lock(&lock);
    if (violation_count++ == 0) {
        va_start(arguments, format);
        vsnprintf(first_violation, sizeof(first_violation), format, arguments);
        va_end(arguments);
    }
    pthread_mutex_unlock(&lock);
}

uint32_t validate_violation_count(void) {
    pthread_mutex_lock(&lock);
    uint32_t count = violation_count;
    pthread_mutex_unlock(&lock);
    return count;
}

const char *validate_first_violation(void) {
    return first_violation;
}

uint32_t validate_live_handles(void) {
    uint32_t count = 0;
    pthread_mutex_lock(&lock);
    for (layer_handle *h = all_handles; h != NULL; h = h->next) {
        count += atomic_load(&h->live);
    }
    pthread_mutex_unlock(&lock);
    return count;
}

void layer_forget(void) {
    pthread_mutex_lock(&lock);
    while (all_handles != NULL) {
        layer_handle *next = all_handles->next;
        free(all_handles);
        all_handles = next;
    }
    violation_count = 0;
    first_violation[0] = '\0';
    pthread_mutex_unlock(&lock);
}

void *layer_new(uint64_t size, const char *kind, layer_handle *parent) {
    layer_handle *handle = calloc(1, size);
    if (handle == NULL) {
        abort();
    }
    handle->magic = MAGIC;
    handle->kind = kind;
    handle->parent = parent;
    atomic_init(&handle->live, 1);
    atomic_init(&handle->children, 0);
    atomic_init(&handle->users, 0);
    if (parent != NULL) {
        atomic_fetch_add(&parent->children, 1);
    }
    pthread_mutex_lock(&lock);
    handle->next = all_handles;
    all_handles = handle;
    pthread_mutex_unlock(&lock);
    return handle;
}

bool layer_check(const layer_handle *handle, const char *kind, const char *function) {
    if (handle == NULL) {
        layer_violation("ABI-27: %s was given no %s", function, kind);
        return false;
    }
    if (handle->magic != MAGIC || strcmp(handle->kind, kind) != 0) {
        layer_violation("ABI-6: %s was given something that is not a %s of this plugin", function,
                        kind);
        return false;
    }
    if (!atomic_load(&((layer_handle *)(uintptr_t)handle)->live)) {
        layer_violation("ABI-27: %s was given a %s that is freed", function, kind);
        return false;
    }
    return true;
}

bool layer_end(layer_handle *handle, const char *function) {
    if (!layer_check(handle, handle->kind, function)) {
        return false;
    }
    if (atomic_load(&handle->children) != 0) {
        layer_violation("ABI-27: %s of a %s that has %u children", function, handle->kind,
                        atomic_load(&handle->children));
    }
    atomic_store(&handle->live, 0);
    if (handle->parent != NULL) {
        atomic_fetch_sub(&handle->parent->children, 1);
    }
    return true;
}

void layer_enter(layer_call *call, const char *function, layer_handle *serial, bool noalloc) {
    *call = (layer_call){serial, noalloc, function};
    if (serial != NULL && atomic_fetch_add(&serial->users, 1) != 0) {
        layer_violation("%s: two calls at once on one %s", function, serial->kind);
    }
    noalloc_depth += noalloc;
}

tn_status layer_leave(layer_call *call, tn_status status, const tn_error *error, void *const *out) {
    noalloc_depth -= call->noalloc;
    if (call->serial != NULL) {
        atomic_fetch_sub(&call->serial->users, 1);
    }
    if (status < 0 || status >= TN_STATUS_COUNT) {
        layer_violation("ABI-36: %s returned status %d", call->function, status);
    }
    if (out != NULL && (*out == NULL) != (status != TN_OK)) {
        layer_violation("ABI-28: %s returned %d with %s object", call->function, status,
                        *out == NULL ? "no" : "an");
    }
    if (status != TN_OK && error != NULL &&
        memchr(error->text, '\0', sizeof(error->text)) == NULL) {
        layer_violation("ABI-37: the text of %s's error does not end", call->function);
    }
    return status == TN_OK && out != NULL && *out == NULL ? TN_ERROR_INTERNAL : status;
}

void layer_check_struct(const void *given, uint32_t type, const char *function) {
    const tn_struct_header *header = given;
    if (header == NULL || header->struct_type != type ||
        header->struct_size < sizeof(tn_struct_header)) {
        layer_violation("ABI-10: %s was given a struct of type %u, not %u", function,
                        header == NULL ? 0 : header->struct_type, type);
    }
}

void *layer_guard_open(layer_guard *guard, void *original, const char *function) {
    *guard = (layer_guard){.original = original};
    if (original == NULL) {
        return NULL;
    }
    guard->size = ((const tn_struct_header *)original)->struct_size;
    if (guard->size < sizeof(tn_struct_header) || guard->size > 65536) {
        layer_violation("ABI-10: %s was given an out-struct of %llu bytes", function,
                        (unsigned long long)guard->size);
        guard->size = sizeof(tn_struct_header);
    }
    guard->data = malloc(guard->size + LAYER_GUARD_BYTES);
    if (guard->data == NULL) {
        abort();
    }
    memcpy(guard->data, original, guard->size);
    memset(guard->data + guard->size, GUARD, LAYER_GUARD_BYTES);
    return guard->data;
}

void layer_guard_close(layer_guard *guard, const char *function) {
    if (guard->data == NULL) {
        return;
    }
    for (uint32_t i = 0; i < LAYER_GUARD_BYTES; i++) {
        if (guard->data[guard->size + i] != GUARD) {
            layer_violation("ABI-11: %s wrote %u bytes past the caller's struct", function, i + 1);
            break;
        }
    }
    if (memcmp(guard->data, guard->original, sizeof(tn_struct_header)) != 0) {
        layer_violation("ABI-11: %s changed struct_size or struct_type", function);
    }
    memcpy((char *)guard->original + sizeof(tn_struct_header),
           guard->data + sizeof(tn_struct_header), guard->size - sizeof(tn_struct_header));
    free(guard->data);
    guard->data = NULL;
}

bool layer_points(const tn_fence_point *points, uint64_t count, bool signals, tn_device *device,
                  tn_fence_point *out_points, const char *function) {
    if (count > LAYER_MAX_POINTS || (points == NULL && count > 0)) {
        layer_violation("%s: %llu fence points", function, (unsigned long long)count);
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        tn_fence *fence = points[i].fence;
        if (!layer_check(&fence->handle, "fence", function)) {
            return false;
        }
        if (fence->device != device) {
            layer_violation("ABI-72: %s names a fence of another device", function);
            return false;
        }
        uint64_t promised = atomic_load(&fence->promised);
        if (signals && points[i].value <= promised) {
            layer_violation("ABI-70: %s raises a fence to %llu after %llu", function,
                            (unsigned long long)points[i].value, (unsigned long long)promised);
        }
        if (!signals && points[i].value > promised + TN_FENCE_MAX_DISTANCE) {
            layer_violation("ABI-70: %s waits too far ahead", function);
        }
        if (signals) {
            atomic_store(&fence->promised, points[i].value);
        }
        out_points[i] = (tn_fence_point){fence->inner, points[i].value};
    }
    return true;
}

bool layer_allocation_is_forbidden(void) {
    return noalloc_depth > 0;
}
