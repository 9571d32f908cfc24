// SPDX-License-Identifier: Apache-2.0
// Contexts of the Vulkan plugin. exec.c: their life and submit; record.c: command buffers.
#ifndef TENON_VULKAN_CONTEXT_H
#define TENON_VULKAN_CONTEXT_H

#include "vlk.h"

#define VLK_SLOTS 8u         // submits of one context under way
#define VLK_WORKGROUP 64u    // as in the shaders
#define VLK_ALIGN_BYTES 256u // the coarsest that a device may ask of an offset

// One kernel call: a run of a step's elements that one binding of its buffers reaches.
typedef struct vlk_call {
    uint32_t step;
    uint32_t count;
    uint64_t first;
} vlk_call;

typedef struct vlk_bound {
    uint64_t memory_id;
    uint64_t offset_bytes;
} vlk_bound;

typedef struct vlk_slot {
    vlk_item item;
    VkCommandBuffer commands;
    VkDescriptorSet *sets; // call_count
    vlk_bound *bound;      // port_count
    uint32_t recorded;
} vlk_slot;

struct tn_context {
    tn_program *program;
    VkCommandPool command_pool;
    VkDescriptorPool descriptor_pool;
    gpu_size *sizes; // value_count
    uint64_t workspace_bytes;
    vlk_call *calls;
    VkDescriptorSet *sets; // of all slots
    uint64_t call_count;
    vlk_bound *bound; // of all slots
    uint32_t prepared;
    vlk_slot slots[VLK_SLOTS];
};

// Ports: inputs, outputs and the workspace, whether it is needed or not.
uint32_t vlk_port_count(const tn_context *context);
// Bytes a port needs for the shapes prepared.
uint64_t vlk_port_bytes(const tn_context *context, uint32_t port);
const tn_binding *vlk_binding(const tn_submit_info *info, uint32_t index);

// Whether a slot's command buffer was recorded for these bindings.
uint32_t vlk_is_as_recorded(const tn_context *context, const vlk_slot *slot,
                            const tn_submit_info *info);
// Records the command buffer of a slot that is not in flight, for checked bindings.
VkResult vlk_record(tn_context *context, vlk_slot *slot, const tn_submit_info *info);

#endif // TENON_VULKAN_CONTEXT_H
