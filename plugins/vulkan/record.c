// SPDX-License-Identifier: Apache-2.0
// Recording: the kernel calls of an island over what its ports are bound to, with barriers between.
#include "context.h"

#define MAX_GROUPS 65535u // every device allows that many

uint32_t vlk_port_count(const tn_context *context) {
    return context->program->island->input_count + context->program->island->output_count + 1;
}

const tn_binding *vlk_binding(const tn_submit_info *info, uint32_t index) {
    const unsigned char *bytes = (const unsigned char *)info->bindings;
    return (const tn_binding *)(const void *)(bytes + (uint64_t)index * info->binding_stride_bytes);
}

uint64_t vlk_port_bytes(const tn_context *context, uint32_t port) {
    const gpu_island *island = context->program->island;
    return port + 1 < vlk_port_count(context)
               ? context->sizes[island->ports[port]].element_count * sizeof(float)
               : context->workspace_bytes;
}

static vlk_bound bound_at(const tn_context *context, const tn_submit_info *info, uint32_t port) {
    vlk_bound bound = {0, 0};
    if (vlk_port_bytes(context, port) > 0) {
        const tn_binding *binding = vlk_binding(info, port);
        bound = (vlk_bound){binding->memory->id, binding->offset_bytes};
    }
    return bound;
}

uint32_t vlk_is_as_recorded(const tn_context *context, const vlk_slot *slot,
                            const tn_submit_info *info) {
    uint32_t same = slot->recorded;
    for (uint32_t i = 0; i < vlk_port_count(context) && same; i++) {
        vlk_bound bound = bound_at(context, info, i);
        same = bound.memory_id == slot->bound[i].memory_id &&
               bound.offset_bytes == slot->bound[i].offset_bytes;
    }
    return same;
}

// Where the elements of a value that a call works on lie. The offset is rounded down to what the
// device allows; *out_at is what that leaves, in elements.
static VkDescriptorBufferInfo place_of(const tn_context *context, const tn_submit_info *info,
                                       uint32_t value, const vlk_call *call, uint32_t *out_at) {
    const gpu_island *island = context->program->island;
    uint32_t port = island->values[value].port;
    uint64_t offset = call->first * sizeof(float);
    if (port == TN_NONE) {
        port = vlk_port_count(context) - 1;
        offset += context->sizes[value].workspace_offset_bytes;
    }
    const tn_binding *binding = vlk_binding(info, port);
    offset += binding->offset_bytes;
    uint64_t rest = offset % VLK_ALIGN_BYTES;
    *out_at = (uint32_t)(rest / sizeof(float));
    return (VkDescriptorBufferInfo){binding->memory->buffer, offset - rest,
                                    rest + (uint64_t)call->count * sizeof(float)};
}

void vlk_barrier(VkCommandBuffer commands) {
    const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
                                        VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT;
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask =
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                         VK_ACCESS_HOST_READ_BIT,
    };
    vkCmdPipelineBarrier(commands, stages, stages, 0, 1, &barrier, 0, NULL, 0, NULL);
}

static void record_call(tn_context *context, vlk_slot *slot, uint32_t index,
                        const tn_submit_info *info) {
    tn_device *device = context->program->device;
    const vlk_call *call = &context->calls[index];
    const gpu_step *step = &context->program->island->steps[call->step];
    const uint32_t values[VLK_BINDINGS] = {step->a, step->op == GPU_ADD ? step->b : step->a,
                                           step->out};
    VkDescriptorBufferInfo places[VLK_BINDINGS];
    VkWriteDescriptorSet writes[VLK_BINDINGS];
    uint32_t constants[VLK_BINDINGS + 1];
    for (uint32_t i = 0; i < VLK_BINDINGS; i++) {
        places[i] = place_of(context, info, values[i], call, &constants[i]);
        writes[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = slot->sets[index],
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = &places[i],
        };
    }
    constants[VLK_BINDINGS] = call->count;
    uint32_t groups = call->count / VLK_WORKGROUP + (call->count % VLK_WORKGROUP > 0);
    vkUpdateDescriptorSets(device->handle, VLK_BINDINGS, writes, 0, NULL);
    vkCmdBindPipeline(slot->commands, VK_PIPELINE_BIND_POINT_COMPUTE, device->pipelines[step->op]);
    vkCmdBindDescriptorSets(slot->commands, VK_PIPELINE_BIND_POINT_COMPUTE, device->layout, 0, 1,
                            &slot->sets[index], 0, NULL);
    vkCmdPushConstants(slot->commands, device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                       sizeof(constants), constants);
    vkCmdDispatch(slot->commands, groups < MAX_GROUPS ? groups : MAX_GROUPS, 1, 1);
    vlk_barrier(slot->commands);
}

VkResult vlk_record(tn_context *context, vlk_slot *slot, const tn_submit_info *info) {
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    slot->recorded = 0;
    VkResult result = vkBeginCommandBuffer(slot->commands, &begin); // forgets what was in it
    if (result != VK_SUCCESS) {
        return result;
    }
    vlk_barrier(slot->commands);
    for (uint32_t i = 0; i < context->call_count; i++) {
        record_call(context, slot, i, info);
    }
    result = vkEndCommandBuffer(slot->commands);
    if (result == VK_SUCCESS) {
        for (uint32_t i = 0; i < vlk_port_count(context); i++) {
            slot->bound[i] = bound_at(context, info, i);
        }
        slot->recorded = 1;
    }
    return result;
}
