// SPDX-License-Identifier: Apache-2.0
// Inside of the validate layer: wrapped handles, guarded copies of out-structs, and the current
// call.
#ifndef TENON_TESTS_VALIDATE_LAYER_H
#define TENON_TESTS_VALIDATE_LAYER_H

#include "validate.h"

#include "tenon/abi/exec.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

// Notes a violation; the first one's text is kept.
void layer_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Frees every handle and forgets violations.
void layer_forget(void);
// Whether the current call of this thread is tagged [no-alloc].
bool layer_allocation_is_forbidden(void);

// What every wrapped object begins with. Freed ones are kept, so that a use after free is seen.
typedef struct layer_handle {
    uint32_t magic;
    const char *kind;
    struct layer_handle *parent;
    atomic_uint live;
    atomic_uint children;
    atomic_uint users; // calls inside, for objects that are serial
    struct layer_handle *next;
} layer_handle;

// Makes a live handle of size bytes that begins with a layer_handle. Aborts when out of memory.
void *layer_new(uint64_t size, const char *kind, layer_handle *parent);
// Ends a handle; a violation when it is dead or has children. False when it must not go on.
bool layer_end(layer_handle *handle, const char *function);
// Whether handle is a live one of this kind; else a violation.
bool layer_check(const layer_handle *handle, const char *kind, const char *function);

// Brackets a call: noalloc forbids host allocations on this thread meanwhile, serial (may be null)
// forbids a second call on the same object.
typedef struct layer_call {
    layer_handle *serial;
    bool noalloc;
    const char *function;
} layer_call;
void layer_enter(layer_call *call, const char *function, layer_handle *serial, bool noalloc);
// status: what the call returned, with the error given, which may be null; out: the out-pointer of
// a constructor, or null. Returns status, or TN_ERROR_INTERNAL when a constructor made nothing.
tn_status layer_leave(layer_call *call, tn_status status, const tn_error *error, void *const *out);

// A guarded copy of an out-struct: give guarded->data to the plugin, then close.
#define LAYER_GUARD_BYTES 64u
typedef struct layer_guard {
    void *original;
    unsigned char *data;
    uint64_t size;
} layer_guard;
void *layer_guard_open(layer_guard *guard, void *original, const char *function);
void layer_guard_close(layer_guard *guard, const char *function);
// Checks the header of a struct that the host passes in.
void layer_check_struct(const void *given, uint32_t type, const char *function);

struct tn_plugin {
    layer_handle handle;
    tn_plugin *inner;
    const void *(*get_interface)(tn_plugin *plugin, const char *name);
    tn_host_services services; // counting
    const tn_host_services *host_services;
    tn_host_context *host_context;
    const tn_core_interface *core;
    const tn_compile_interface *compile;
    const tn_memory_interface *memory;
    const tn_sync_interface *sync;
    const tn_exec_interface *exec;
};

struct tn_device {
    layer_handle handle;
    tn_device *inner;
    tn_plugin *plugin;
    tn_device_flags flags;
};

struct tn_program {
    layer_handle handle;
    tn_program *inner;
    tn_device *device;
};

struct tn_context {
    layer_handle handle;
    tn_context *inner;
    tn_device *device;
    bool prepared;
};

struct tn_memory {
    layer_handle handle;
    tn_memory *inner;
    tn_device *device;
    uint64_t size_bytes;
    uint32_t maps;
};

struct tn_fence {
    layer_handle handle;
    tn_fence *inner;
    tn_device *device;
    atomic_uint_fast64_t promised; // the highest value that somebody is going to raise it to
};

#define LAYER_MAX_POINTS 64u
// Translates fence points; signals are checked to move forward and noted.
bool layer_points(const tn_fence_point *points, uint64_t count, bool signals, tn_device *device,
                  tn_fence_point *out_points, const char *function);

extern const tn_core_interface layer_core;
extern const tn_compile_interface layer_compile;
extern const tn_memory_interface layer_memory;
extern const tn_sync_interface layer_sync;
extern const tn_exec_interface layer_exec;

#endif // TENON_TESTS_VALIDATE_LAYER_H
