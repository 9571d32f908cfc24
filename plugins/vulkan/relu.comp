// SPDX-License-Identifier: Apache-2.0
// out = max(a, 0), with NaN let through. Bits are compared, not numbers: drivers may turn a
// comparison and a choice into their own maximum, which drops NaN.
#version 450

layout(local_size_x = 64) in;
layout(std430, set = 0, binding = 0) readonly buffer A { uint a[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Out { uint result[]; };
layout(push_constant) uniform Range { uint a_at; uint b_at; uint out_at; uint count; };

void main() {
    uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    for (uint i = gl_GlobalInvocationID.x; i < count; i += stride) {
        uint bits = a[a_at + i];
        // Below zero: from just under -0 to minus infinity.
        bool negative = bits > 0x80000000u && bits <= 0xff800000u;
        result[out_at + i] = negative ? 0u : bits;
    }
}
