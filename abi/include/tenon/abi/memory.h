// SPDX-License-Identifier: Apache-2.0
// Interface "memory": the heaps of a device, memory in them, import of host memory, host access,
// and copies. Who may free what, and when: CONTRACT.md, section "Memory". Read next: sync.h.
#ifndef TENON_ABI_MEMORY_H
#define TENON_ABI_MEMORY_H

#include "tenon/abi/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t tn_heap_flags;
#define TN_HEAP_DEVICE_LOCAL 1u
#define TN_HEAP_HOST_VISIBLE 2u // map works
#define TN_HEAP_COHERENT 4u     // cpu_begin and cpu_end have nothing to do
#define TN_HEAP_CACHED 8u       // host reads are fast
// The memory is ordinary host memory: a pointer from map is stable from alloc to free.
#define TN_HEAP_HOST_MEMORY 16u

typedef struct tn_heap_info {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_heap_flags flags;
    uint32_t reserved;   // zero
    uint64_t size_bytes; // 0: unknown
    uint64_t max_alloc_bytes;
    uint64_t min_alignment_bytes;
    uint64_t granularity_bytes;
    // Host-pointer import into this heap: address and size must be multiples of these; 0: no
    // import.
    uint64_t import_alignment_bytes;
    uint64_t import_granularity_bytes;
} tn_heap_info;

typedef struct tn_memory_alloc_info {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t heap;
    uint32_t reserved; // zero
    uint64_t size_bytes;
    uint64_t alignment_bytes;
} tn_memory_alloc_info;

typedef uint32_t tn_access;
#define TN_ACCESS_READ 1u
#define TN_ACCESS_WRITE 2u

// Called once, on any thread, when nothing can touch the lent memory any more. Must only note it.
typedef void (*tn_release_fn)(void *user_data);

// Imports host memory. The pointer stays the host's: it keeps the memory alive until memory_free
// returned or, when release is given, until release was called (ABI-63).
typedef struct tn_memory_import_info {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t heap;
    tn_access access;
    void *pointer;
    uint64_t size_bytes;
    tn_release_fn release; // may be null
    void *release_user_data;
} tn_memory_import_info;

// One end of a copy: memory of this plugin, or a host pointer when memory is null.
typedef struct tn_copy_end {
    tn_memory *memory;
    void *pointer;
    uint64_t offset_bytes;
} tn_copy_end;

typedef struct tn_fence_point {
    tn_fence *fence;
    uint64_t value;
} tn_fence_point;

typedef struct tn_copy_info {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_copy_end source;
    tn_copy_end destination;
    uint64_t size_bytes;
    const tn_fence_point *waits; // native or imported fences of this device; borrowed for the call
    uint64_t wait_count;
    const tn_fence_point *signals;
    uint64_t signal_count;
    uint64_t correlation_id;
} tn_copy_info;

typedef struct tn_memory_interface {
    tn_interface base;

    // [any-thread] [no-block] TN_OK · TN_ERROR_INVALID_ARGUMENT heap >= tn_device_info.heap_count.
    tn_status (*heap_info)(tn_device *device, uint32_t heap, tn_heap_info *out_info,
                           tn_error *error);

    // Allocates memory, contents undefined. [any-thread] [may-block] [may-alloc] Free it with
    // memory_free. TN_ERROR_OUT_OF_MEMORY device, host or cap · TN_ERROR_INVALID_ARGUMENT heap,
    // size 0 or above max_alloc_bytes, alignment not a power of two · TN_ERROR_DEVICE_LOST.
    // *out_memory is null on failure.
    tn_status (*memory_alloc)(tn_device *device, const tn_memory_alloc_info *info,
                              tn_memory **out_memory, tn_error *error);

    // Makes host memory usable by the device without a copy. [any-thread] [may-block] [may-alloc]
    // TN_ERROR_UNSUPPORTED this pointer, size or heap cannot be imported: the host stages instead ·
    // TN_ERROR_INVALID_ARGUMENT null pointer, size 0, unknown heap · TN_ERROR_OUT_OF_MEMORY ·
    // TN_ERROR_DEVICE_LOST. On failure release is not called and the memory was never lent.
    tn_status (*memory_import)(tn_device *device, const tn_memory_import_info *info,
                               tn_memory **out_memory, tn_error *error);

    // Frees memory or ends an import, once no submitted work uses it. Null is ignored.
    // [any-thread] [may-block] Works on a lost device; then an import's memory may still be touched
    // until release is called.
    void (*memory_free)(tn_memory *memory);

    // Gives a host pointer to size_bytes at offset_bytes. [any-thread] [may-block] Maps nest.
    // TN_ERROR_UNSUPPORTED the heap is not host-visible · TN_ERROR_INVALID_ARGUMENT range ·
    // TN_ERROR_OUT_OF_MEMORY · TN_ERROR_DEVICE_LOST. *out_pointer is null on failure.
    tn_status (*memory_map)(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            void **out_pointer, tn_error *error);

    // Ends one map. [any-thread] [may-block] Works on a lost device.
    void (*memory_unmap)(tn_memory *memory);

    // Brackets host access to a mapped range, so that caches agree. [any-thread] [may-block]
    // Nothing to do on coherent heaps. TN_ERROR_INVALID_STATE not mapped ·
    // TN_ERROR_INVALID_ARGUMENT range or access · TN_ERROR_DEVICE_LOST.
    tn_status (*cpu_begin)(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                           tn_access access, tn_error *error);
    tn_status (*cpu_end)(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                         tn_access access, tn_error *error);

    // Enqueues a copy with the same rules as submit (exec.h): waits, then bytes, then signals.
    // [device-serial] [no-block]; on a TN_DEVICE_SYNCHRONOUS device it copies before it returns.
    // At most one end is a host pointer; that memory stays valid until the signals are reached.
    // TN_ERROR_UNSUPPORTED this pair of ends: the host stages · TN_ERROR_INVALID_ARGUMENT range,
    // both ends host pointers, overlapping ranges · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_DEVICE_LOST.
    // On failure nothing was enqueued and no fence will be signalled.
    tn_status (*copy)(tn_device *device, const tn_copy_info *info, tn_error *error);
} tn_memory_interface;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_MEMORY_H
