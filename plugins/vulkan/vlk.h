// SPDX-License-Identifier: Apache-2.0
// Objects of the Vulkan plugin. plugin.c: entry and devices found; device.c: opening one; memory.c:
// heaps and copies; fence.c: timelines; queue.c: what waits and what runs; program.c: compile and
// ports; exec.c: contexts and submit; record.c: command buffers.
#ifndef TENON_VULKAN_VLK_H
#define TENON_VULKAN_VLK_H

#include "gpu/entry.h"
#include "gpu/program.h"

#include <pthread.h>
#include <stdatomic.h>
#include <vulkan/vulkan.h>

#define VLK_MAX_DEVICES 16u
#define VLK_MAX_POINTS 64u // waits, and signals, of one submit
#define VLK_BINDINGS 3u    // buffers of one kernel call
// The largest multiple that memory of the host services can be aligned to.
#define VLK_HOST_ALIGNMENT 4096u

// What a physical device can do, read from the driver.
typedef struct vlk_traits {
    VkPhysicalDevice physical;
    VkPhysicalDeviceProperties properties;
    uint32_t usable; // Vulkan 1.2, a compute queue, timeline semaphores
    uint32_t queue_family;
    uint32_t is_cpu;
    uint64_t import_alignment; // 0: host memory cannot be imported
    uint32_t memory_type;      // of the driver's own heap: always host-visible and coherent
    VkMemoryPropertyFlags memory_flags;
    uint64_t memory_bytes;
} vlk_traits;
// CPU devices that import host memory compute in it: heap 0 is host memory, the next the driver's.
uint32_t vlk_shares_host(const vlk_traits *traits);

struct tn_plugin {
    tn_helper_host host; // first: see gpu_enter
    VkInstance instance; // made by the first probe
    uint32_t device_count;
    vlk_traits devices[VLK_MAX_DEVICES];
};

// One piece of work: a command buffer for the queue, or a copy that the watcher makes. It goes to
// the queue once every wait is reached or is going to be reached by work that is in the queue
// already. The queue runs in order: work that waited there for the host or another device would
// hold up all that comes behind it. Guarded by the device's mutex.
typedef struct vlk_item {
    struct vlk_item *next;
    const void *order;        // items of equal order start in the order in which they came; or null
    VkCommandBuffer commands; // null: a copy by the watcher
    VkCommandPool pool;       // of this item alone, or null
    unsigned char *to;
    const unsigned char *from;
    uint64_t size_bytes;
    uint64_t batch;       // number in the queue; 0: not there yet
    uint64_t signal_mask; // signals that the queue raises
    uint32_t busy;        // linked
    uint32_t copying;
    uint32_t owned; // allocated for this use alone: freed when done
    uint32_t wait_count;
    uint32_t signal_count;
    tn_fence_point waits[VLK_MAX_POINTS];
    tn_fence_point signals[VLK_MAX_POINTS];
} vlk_item;

struct tn_device {
    tn_plugin *plugin;
    vlk_traits traits;
    VkDevice handle;
    VkQueue queue;
    PFN_vkGetMemoryHostPointerPropertiesEXT get_pointer_properties;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline pipelines[GPU_OP_COUNT];
    uint64_t memory_cap_bytes; // 0: none
    atomic_uint_fast64_t memory_used_bytes;
    atomic_uint_fast64_t last_memory_id;
    atomic_uint lost;
    // One lock for the queue, its items and every fence: none of them is held for long.
    pthread_mutex_t mutex;
    pthread_cond_t work;    // for the watcher
    pthread_cond_t changed; // for destructors that wait for the watcher
    uint32_t has_locks;
    VkSemaphore progress; // raised by every batch, in order
    uint64_t submitted;   // batches
    uint64_t retired;
    vlk_item *items;
    pthread_t watcher;
    uint32_t has_watcher;
    uint32_t stopping;
};

struct tn_memory {
    tn_device *device;
    uint64_t id; // never used again, so that a recorded buffer is told from a new one
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint64_t size_bytes;
    unsigned char *pointer; // host address, from alloc to free
    void *host_pointer;     // allocated from the host services
    uint64_t host_bytes;
    uint64_t counted_bytes; // against the cap
    tn_release_fn release;
    void *release_user_data;
};

typedef struct vlk_reach {
    struct vlk_reach *next;
    tn_fence *fence;
    uint64_t value;
    tn_fence_reached_fn callback;
    void *user_data;
    tn_status status;
} vlk_reach;

// A timeline semaphore. The driver raises it; failure is ours to remember.
struct tn_fence {
    tn_device *device;
    VkSemaphore semaphore;
    uint64_t value;    // last seen; final once failed
    uint64_t promised; // the highest value that a batch in the queue raises it to
    uint32_t pending;  // such batches, not retired
    uint32_t users;    // items that name it
    uint32_t calling;  // callbacks being made
    tn_status failed;
    vlk_reach *reaches;
};

// What is left to do when the lock has been released.
typedef struct vlk_due {
    vlk_reach *reaches;
    vlk_item *items;
} vlk_due;

// Fills error with a Vulkan result; returns the status that belongs to it. A device that is gone
// stays so.
tn_status vlk_fail(tn_device *device, tn_error *error, VkResult result, const char *what);

// With the lock held. The reached value; raises or fails a fence and moves what is due to *due.
uint64_t vlk_fence_reached(tn_fence *fence);
void vlk_fence_raise(tn_fence *fence, uint64_t value, vlk_due *due);
void vlk_fence_break(tn_fence *fence, tn_status status, vlk_due *due);
// A batch that raises the fence has ended.
void vlk_fence_retire(tn_fence *fence, vlk_due *due);

// Copies waits and signals into an item. TN_OK · TN_ERROR_INVALID_ARGUMENT more than
// VLK_MAX_POINTS.
tn_status vlk_item_points(vlk_item *item, const tn_fence_point *waits, uint64_t wait_count,
                          const tn_fence_point *signals, uint64_t signal_count, tn_error *error);
// Hands over an item; the device has it until it is no longer busy. On failure it was not taken.
// [any-thread] [no-block] TN_OK · TN_ERROR_DEVICE_LOST · TN_ERROR_OUT_OF_MEMORY ·
// TN_ERROR_INTERNAL.
tn_status vlk_enqueue(tn_device *device, vlk_item *item, tn_error *error);
// Retires what has ended and starts what can start. Without the lock.
void vlk_settle(tn_device *device);
// The same with the lock held; vlk_deliver then does the rest without it.
void vlk_settle_locked(tn_device *device, vlk_due *due);
void vlk_deliver(tn_device *device, vlk_due *due);
// Waits until an item is not busy.
void vlk_item_wait(tn_device *device, const vlk_item *item);
// Everything before it, also of earlier batches and by the host, is seen by everything after it.
void vlk_barrier(VkCommandBuffer commands);
// The watcher's thread function: user_data is the device.
void *vlk_watch(void *user_data);

tn_status vlk_device_open(tn_plugin *plugin, const tn_device_open_info *info,
                          tn_device **out_device, tn_error *error);
void vlk_device_close(tn_device *device);

extern const tn_memory_interface vlk_memory_table;
extern const tn_sync_interface vlk_sync_table;
extern const tn_exec_interface vlk_exec_table;

#endif // TENON_VULKAN_VLK_H
