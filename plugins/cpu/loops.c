// SPDX-License-Identifier: Apache-2.0
// Making loops of layouts.
#include "loops.h"

static int64_t block_of(const dnnl_memory_desc_t *layout, int axis) {
    const dnnl_blocking_desc_t *blocking = &layout->format_desc.blocking;
    int64_t block = 1;
    for (int i = 0; i < blocking->inner_nblks; ++i) {
        block *= blocking->inner_idxs[i] == axis ? blocking->inner_blks[i] : 1;
    }
    return block;
}

static uint32_t same_blocks(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b) {
    const dnnl_blocking_desc_t *x = &a->format_desc.blocking;
    const dnnl_blocking_desc_t *y = &b->format_desc.blocking;
    if (a->ndims != b->ndims || x->inner_nblks != y->inner_nblks) {
        return 0;
    }
    for (int i = 0; i < x->inner_nblks; ++i) {
        if (x->inner_idxs[i] != y->inner_idxs[i] || x->inner_blks[i] != y->inner_blks[i]) {
            return 0;
        }
    }
    return 1;
}

static void add_axis(cpu_loops *loops, int64_t size, const int64_t *steps) {
    if (size == 1 || loops->axes == CPU_LOOP_AXES) {
        return;
    }
    loops->sizes[loops->axes] = size;
    for (uint32_t t = 0; t < CPU_LOOP_TENSORS; ++t) {
        loops->steps[loops->axes][t] = steps[t];
    }
    ++loops->axes;
}

// The step of one tensor along an outer axis of the first, whose blocks there are `block` long.
static int64_t outer_step(const dnnl_memory_desc_t *first, const dnnl_memory_desc_t *layout,
                          uint32_t blocked, int axis, int64_t block) {
    const int own = axis - (first->ndims - layout->ndims);
    if (own < 0 || (layout->dims[own] == 1 && first->dims[axis] != 1)) {
        return 0;
    }
    return layout->format_desc.blocking.strides[own] * (blocked ? 1 : block);
}

static uint32_t can_walk(const dnnl_memory_desc_t *first, const dnnl_memory_desc_t *layout) {
    if (layout->format_kind != dnnl_blocked || layout->ndims > first->ndims) {
        return 0;
    }
    if (same_blocks(first, layout)) {
        return 1;
    }
    for (int axis = 0; axis < layout->ndims; ++axis) {
        const int of_first = axis + first->ndims - layout->ndims;
        // Plain where the first is blocked: each block is full, or there is only one element.
        if (layout->dims[axis] != 1 && (block_of(layout, axis) != 1 ||
                                        (block_of(first, of_first) != 1 &&
                                         first->dims[of_first] != first->padded_dims[of_first]))) {
            return 0;
        }
        if (layout->padded_dims[axis] != layout->dims[axis] && layout->dims[axis] != 1) {
            return 0;
        }
    }
    return layout->format_desc.blocking.inner_nblks == 0 ? 1u : 0u;
}

static void inner_steps(const dnnl_memory_desc_t *layouts, uint32_t count, int block_index,
                        int64_t run, int64_t *out_steps) {
    const dnnl_memory_desc_t *first = &layouts[0];
    const int axis = (int)first->format_desc.blocking.inner_idxs[block_index];
    for (uint32_t t = 0; t < count; ++t) {
        const int own = axis - (first->ndims - layouts[t].ndims);
        const uint32_t alike = same_blocks(first, &layouts[t]);
        if (own < 0 || (layouts[t].dims[own] == 1 && (!alike || first->dims[axis] != 1))) {
            out_steps[t] = 0;
        } else {
            out_steps[t] = alike ? run : layouts[t].format_desc.blocking.strides[own];
        }
    }
}

// Joins neighbours where the outer one goes on where the inner one ends, in every tensor.
static void join_axes(cpu_loops *loops, uint32_t count) {
    uint32_t kept = 0;
    for (uint32_t i = 1; i < loops->axes; ++i) {
        uint32_t joins = 1;
        for (uint32_t t = 0; t < count; ++t) {
            joins &= loops->steps[kept][t] == loops->steps[i][t] * loops->sizes[i];
        }
        if (joins) {
            loops->sizes[kept] *= loops->sizes[i];
        } else {
            ++kept;
            loops->sizes[kept] = loops->sizes[i];
        }
        for (uint32_t t = 0; t < CPU_LOOP_TENSORS; ++t) {
            loops->steps[kept][t] = loops->steps[i][t];
        }
    }
    loops->axes = loops->axes == 0 ? 0 : kept + 1;
}

// Outer axes in the order of the first tensor's steps, so that neighbours in memory are neighbours
// here (a transposed or channels-last layout).
static void order_axes(cpu_loops *loops) {
    for (uint32_t i = 1; i < loops->axes; ++i) {
        for (uint32_t k = i; k > 0 && loops->steps[k - 1][0] < loops->steps[k][0]; --k) {
            const int64_t size = loops->sizes[k];
            loops->sizes[k] = loops->sizes[k - 1];
            loops->sizes[k - 1] = size;
            for (uint32_t t = 0; t < CPU_LOOP_TENSORS; ++t) {
                const int64_t step = loops->steps[k][t];
                loops->steps[k][t] = loops->steps[k - 1][t];
                loops->steps[k - 1][t] = step;
            }
        }
    }
}

uint32_t tni_cpu_loops(const dnnl_memory_desc_t *layouts, uint32_t count, cpu_loops *out_loops) {
    const dnnl_memory_desc_t *first = &layouts[0];
    *out_loops = (cpu_loops){.axes = 0};
    for (uint32_t t = 0; t < count; ++t) {
        if (!can_walk(first, &layouts[t])) {
            return 0;
        }
    }
    for (int axis = 0; axis < first->ndims; ++axis) {
        const int64_t block = block_of(first, axis);
        int64_t steps[CPU_LOOP_TENSORS] = {0};
        for (uint32_t t = 0; t < count; ++t) {
            steps[t] = outer_step(first, &layouts[t], same_blocks(first, &layouts[t]), axis, block);
        }
        add_axis(out_loops, first->padded_dims[axis] / block, steps);
    }
    const dnnl_blocking_desc_t *blocking = &first->format_desc.blocking;
    int64_t run = 1;
    for (int i = 0; i < blocking->inner_nblks; ++i) {
        run *= blocking->inner_blks[i];
    }
    for (int i = 0; i < blocking->inner_nblks; ++i) {
        int64_t steps[CPU_LOOP_TENSORS] = {0};
        run /= blocking->inner_blks[i];
        inner_steps(layouts, count, i, run, steps);
        add_axis(out_loops, blocking->inner_blks[i], steps);
    }
    order_axes(out_loops);
    join_axes(out_loops, count);
    if (out_loops->axes == 0) {
        out_loops->axes = 1;
        out_loops->sizes[0] = 1;
    }
    out_loops->outer = 1;
    for (uint32_t i = 0; i + 1 < out_loops->axes; ++i) {
        out_loops->outer *= out_loops->sizes[i];
    }
    return 1;
}

void tni_cpu_loops_at(const cpu_loops *loops, int64_t index, int64_t *out_offsets) {
    for (uint32_t t = 0; t < CPU_LOOP_TENSORS; ++t) {
        out_offsets[t] = 0;
    }
    for (uint32_t i = loops->axes - 1; i-- > 0;) {
        const int64_t at = index % loops->sizes[i];
        index /= loops->sizes[i];
        for (uint32_t t = 0; t < CPU_LOOP_TENSORS; ++t) {
            out_offsets[t] += at * loops->steps[i][t];
        }
    }
}
