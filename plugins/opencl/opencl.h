// SPDX-License-Identifier: Apache-2.0
// Objects of the OpenCL plugin. plugin.c: entry and devices; memory.c: heaps and copies; fence.c:
// timelines over events; record.c: waits and signals under way; program.c: compile and ports;
// exec.c: contexts and submit.
#ifndef TENON_OPENCL_OPENCL_H
#define TENON_OPENCL_OPENCL_H

#include "gpu/entry.h"
#include "gpu/program.h"

#include <CL/cl.h>
#include <pthread.h>
#include <stdatomic.h>

#define OCL_MAX_DEVICES 16u
#define OCL_MAX_WAITS 64u
#define OCL_MAX_SIGNALS 64u

struct tn_plugin {
    tn_helper_host host; // first: see gpu_enter
    uint32_t device_count;
    cl_device_id devices[OCL_MAX_DEVICES];
};

struct tn_device {
    tn_plugin *plugin;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue; // out of order where the driver can
    cl_program program;     // all kernels
    cl_ulong max_alloc_bytes;
    uint32_t shares_host; // CPU devices: heap 0 is ordinary host memory
    atomic_uint lost;
    pthread_mutex_t record_mutex;
    uint32_t has_mutex;
    uint32_t surplus; // reserved records that are freed when they come back
    struct ocl_record *records;
};

// One wait for a fence's value, or one value to raise a fence to.
typedef struct ocl_record {
    struct ocl_record *next;
    tn_device *device;
    tn_fence *fence;
    uint64_t value;
    tn_fence_reached_fn callback; // of a wait; null: user_event is completed instead
    void *user_data;
    cl_event user_event;
    uint32_t reserved;
} ocl_record;

// Adds count records to the device's reserve, or takes them out again. TN_OK ·
// TN_ERROR_OUT_OF_MEMORY, then nothing was added. [any-thread]
tn_status ocl_records_reserve(tn_device *device, uint32_t count, tn_error *error);
void ocl_records_release(tn_device *device, uint32_t count);
// A zeroed record, from the reserve if that is allowed; null when out of memory.
ocl_record *ocl_record_take(tn_device *device, uint32_t reserved);
void ocl_record_give(tn_device *device, ocl_record *record);

struct tn_memory {
    tn_device *device;
    cl_mem buffer;
    uint64_t size_bytes;
    void *host_pointer;  // of heap 0 on devices that share host memory
    uint64_t host_bytes; // allocated by us, not imported
    void *mapped;        // other heaps, while mapped
    uint32_t map_count;
    pthread_mutex_t mutex;
    tn_release_fn release;
    void *release_user_data;
};

// Heap 0 of a device that shares host memory; the next heap is the driver's own.
#define OCL_HEAP_ALIGNMENT 64u

// Fills error with the name of an OpenCL error; returns the status that belongs to it. A device
// that is gone stays so.
tn_status ocl_fail(tn_device *device, tn_error *error, cl_int code, const char *what);

// Events to wait for before values of fences of this device are reached. Each event is retained.
// TN_OK · TN_ERROR_INVALID_ARGUMENT more than OCL_MAX_WAITS · TN_ERROR_OUT_OF_MEMORY. Release with
// ocl_release_events in every case. reserved: records come from the reserve.
typedef struct ocl_events {
    cl_event events[OCL_MAX_WAITS];
    cl_uint count;
} ocl_events;
tn_status ocl_wait_events(tn_device *device, const tn_fence_point *waits, uint64_t wait_count,
                          uint32_t reserved, ocl_events *out_events, tn_error *error);
void ocl_release_events(ocl_events *events);

// What will raise fences: made before work is enqueued, because nothing may fail afterwards.
typedef struct ocl_signals {
    ocl_record *first;
} ocl_signals;
// TN_OK · TN_ERROR_INVALID_ARGUMENT more than OCL_MAX_SIGNALS · TN_ERROR_OUT_OF_MEMORY. Give it to
// ocl_signals_attach or ocl_signals_drop.
tn_status ocl_signals_make(tn_device *device, const tn_fence_point *signals, uint64_t signal_count,
                           uint32_t reserved, ocl_signals *out_signals, tn_error *error);
// Raises the fences once event is complete, or fails them with what it failed with.
void ocl_signals_attach(ocl_signals *signals, cl_event event);
void ocl_signals_drop(ocl_signals *signals);

extern const tn_memory_interface ocl_memory_table;
extern const tn_sync_interface ocl_sync_table;
extern const tn_exec_interface ocl_exec_table;

#endif // TENON_OPENCL_OPENCL_H
