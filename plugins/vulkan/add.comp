// SPDX-License-Identifier: Apache-2.0
// out = a + b over count elements; a grid smaller than that goes round.
#version 450

layout(local_size_x = 64) in;
layout(std430, set = 0, binding = 0) readonly buffer A { float a[]; };
layout(std430, set = 0, binding = 1) readonly buffer B { float b[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Out { float result[]; };
layout(push_constant) uniform Range { uint a_at; uint b_at; uint out_at; uint count; };

void main() {
    uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < count; i += stride) {
        result[out_at + i] = a[a_at + i] + b[b_at + i];
    }
}
