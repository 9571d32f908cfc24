// SPDX-License-Identifier: Apache-2.0
// What only moves elements. Where the library can describe the result in terms of the input's
// memory it is a view, and nothing moves at all.
#include "build.h"

#include <string.h>

// The value in a place, as it is; constants become plain.
static uint32_t placed(cpu_build *build, uint32_t value) {
    return build->status == TN_OK && tni_cpu_value(build, value)->storage == TN_NONE
               ? tni_cpu_as_plain(build, value)
               : value;
}

// The same elements in the same order, with other dimensions.
void tni_cpu_emit_view(cpu_build *build, const cpu_node *node) {
    const uint32_t out = node->outputs[0];
    uint32_t in = placed(build, node->inputs[0]);
    if (in == TN_NONE || build->status != TN_OK) {
        return;
    }
    const cpu_value *y = tni_cpu_value(build, out);
    if (tni_cpu_value(build, in)->count != y->count ||
        tni_cpu_value(build, in)->dtype != y->dtype) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "sizes do not fit");
        return;
    }
    const dnnl_memory_desc_t plain = tni_cpu_plain_of(y);
    dnnl_memory_desc_t layout = plain;
    if (!tni_cpu_is_plain(tni_cpu_value(build, in)) &&
        dnnl_memory_desc_reshape(&layout, &tni_cpu_value(build, in)->layout, plain.ndims,
                                 plain.dims) != dnnl_success) {
        in = tni_cpu_as_plain(build, node->inputs[0]);
        layout = plain;
    }
    if (in != TN_NONE) {
        tni_cpu_alias(build, out, in, &layout, 0);
    }
}

void tni_cpu_emit_transpose(cpu_build *build, const cpu_node *node) {
    const uint32_t in = placed(build, node->inputs[0]);
    int64_t perm[CPU_MAX_RANK];
    int order[CPU_MAX_RANK];
    dnnl_memory_desc_t layout;
    if (in == TN_NONE || build->status != TN_OK) {
        return;
    }
    const cpu_value *x = tni_cpu_value(build, in);
    const uint32_t count =
        tn_view_attr_ints(build->view, tni_cpu_view_node(build, node), "perm", perm, x->rank);
    // Axis i of the result is axis perm[i] of the input; the library wants the inverse.
    for (uint32_t axis = 0; axis < x->rank; ++axis) {
        const int64_t from = count == x->rank ? perm[axis] : (int64_t)x->rank - 1 - axis;
        if (from < 0 || from >= (int64_t)x->rank) {
            (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "perm is out of range");
            return;
        }
        order[from] = (int)axis;
    }
    if (x->rank == 0) {
        tni_cpu_emit_view(build, node);
        return;
    }
    if (tni_cpu_ok(build, dnnl_memory_desc_permute_axes(&layout, &x->layout, order),
                   "permute_axes")) {
        tni_cpu_alias(build, node->outputs[0], in, &layout, 0);
    }
}

dnnl_memory_desc_t tni_cpu_wanted(const cpu_build *build, uint32_t value) {
    const cpu_value *v = tni_cpu_value(build, value);
    dnnl_memory_desc_t layout = tni_cpu_plain_of(v);
    if (v->uses != 1 || v->user == TN_NONE || build->nodes[v->user].kind != CPU_KIND_TRANSPOSE) {
        return layout;
    }
    const cpu_node *user = &build->nodes[v->user];
    int64_t perm[CPU_MAX_RANK];
    const uint32_t count =
        tn_view_attr_ints(build->view, tni_cpu_view_node(build, user), "perm", perm, v->rank);
    if (count != v->rank || perm[count - 1] != (int64_t)count - 1) {
        return layout;
    }
    const cpu_value *t = tni_cpu_value(build, user->outputs[0]);
    const dnnl_memory_desc_t dense = tni_cpu_plain_of(t);
    for (uint32_t axis = 0; axis < count; ++axis) {
        layout.format_desc.blocking.strides[perm[axis]] = dense.format_desc.blocking.strides[axis];
    }
    return layout;
}

// A box of a layout: where it begins, and its own layout. Returns 0 where blocks are cut.
static uint32_t box(const dnnl_memory_desc_t *layout, const dnnl_dims_t sizes,
                    const dnnl_dims_t begin, dnnl_memory_desc_t *out_box, int64_t *out_bytes) {
    if (dnnl_memory_desc_init_submemory(out_box, layout, sizes, begin) != dnnl_success) {
        return 0;
    }
    *out_bytes = out_box->offset0 * (int64_t)dnnl_data_type_size(layout->data_type);
    out_box->offset0 = 0;
    return 1;
}

// out is the box of in that begins at begin, every step-th element of an axis.
static void emit_box(cpu_build *build, uint32_t value, uint32_t out, const dnnl_dims_t begin,
                     const int64_t *steps) {
    uint32_t in = placed(build, value);
    dnnl_memory_desc_t part;
    dnnl_dims_t sizes;
    int64_t bytes = 0;
    uint32_t stepped = 0;
    if (in == TN_NONE || build->status != TN_OK) {
        return;
    }
    const cpu_value *y = tni_cpu_value(build, out);
    for (uint32_t axis = 0; axis < y->rank; ++axis) {
        sizes[axis] = (y->dims[axis] - 1) * steps[axis] + 1;
        stepped |= steps[axis] != 1;
    }
    const uint32_t blocked = tni_cpu_value(build, in)->layout.format_desc.blocking.inner_nblks > 0;
    if ((stepped && blocked) ||
        !box(&tni_cpu_value(build, in)->layout, sizes, begin, &part, &bytes)) {
        in = tni_cpu_as_plain(build, value);
        if (in == TN_NONE || !box(&tni_cpu_value(build, in)->layout, sizes, begin, &part, &bytes)) {
            (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "a slice leaves its input");
            return;
        }
    }
    y = tni_cpu_value(build, out);
    for (uint32_t axis = 0; stepped && axis < y->rank; ++axis) {
        part.dims[axis] = y->dims[axis];
        part.padded_dims[axis] = y->dims[axis];
        part.format_desc.blocking.strides[axis] *= steps[axis];
    }
    tni_cpu_alias(build, out, in, &part, bytes);
}

void tni_cpu_emit_slice(cpu_build *build, const cpu_node *node) {
    const cpu_value x = *tni_cpu_value(build, node->inputs[0]);
    int64_t starts[CPU_MAX_RANK];
    int64_t axes[CPU_MAX_RANK];
    int64_t given_steps[CPU_MAX_RANK];
    dnnl_dims_t begin = {0};
    int64_t steps[CPU_MAX_RANK];
    const int64_t count = tni_cpu_ints(build, node, 1, "starts", starts, CPU_MAX_RANK);
    const int64_t axis_count = tni_cpu_ints(build, node, 3, "axes", axes, CPU_MAX_RANK);
    const int64_t step_count = tni_cpu_ints(build, node, 4, "steps", given_steps, CPU_MAX_RANK);
    for (uint32_t axis = 0; axis < x.rank; ++axis) {
        steps[axis] = 1;
    }
    for (int64_t i = 0; i < count; ++i) {
        const uint32_t axis = tni_cpu_axis(axis_count == count ? axes[i] : i, x.rank);
        if (axis == x.rank) {
            (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "an axis is out of range");
            return;
        }
        steps[axis] = step_count == count ? given_steps[i] : 1;
        const int64_t from = starts[i] < 0 ? starts[i] + x.dims[axis] : starts[i];
        begin[axis] = from < 0 ? 0 : from;
        if (steps[axis] < 1) {
            (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "a step is negative");
            return;
        }
    }
    if (count < 0) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "starts are not known");
        return;
    }
    emit_box(build, node->inputs[0], node->outputs[0], begin, steps);
}

// Whether a part begins within a block of the axis.
static uint32_t cuts_blocks(const cpu_build *build, const cpu_node *node, uint32_t axis) {
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const dnnl_blocking_desc_t *blocking = &x->layout.format_desc.blocking;
    int64_t begin = 0;
    for (uint32_t i = 0; i < node->output_count && x->storage != TN_NONE; ++i) {
        for (int k = 0; k < blocking->inner_nblks; ++k) {
            if (blocking->inner_idxs[k] == (dnnl_dim_t)axis &&
                begin % blocking->inner_blks[k] != 0) {
                return 1;
            }
        }
        begin +=
            node->outputs[i] == TN_NONE ? 0 : tni_cpu_value(build, node->outputs[i])->dims[axis];
    }
    return 0;
}

void tni_cpu_emit_split(cpu_build *build, const cpu_node *node) {
    const cpu_value x = *tni_cpu_value(build, node->inputs[0]);
    const uint32_t axis = tni_cpu_axis(tni_cpu_int(build, node, "axis", 0), x.rank);
    // Where one part needs the plain layout, all take it: of a few channels of a block the library
    // makes a plain tensor element by element.
    const uint32_t in = axis < x.rank && cuts_blocks(build, node, axis)
                            ? tni_cpu_as_plain(build, node->inputs[0])
                            : node->inputs[0];
    const int64_t steps[CPU_MAX_RANK] = {1, 1, 1, 1, 1, 1};
    dnnl_dims_t begin = {0};
    for (uint32_t i = 0; i < node->output_count && build->status == TN_OK; ++i) {
        if (axis == x.rank || node->outputs[i] == TN_NONE) {
            (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "an output is missing");
            return;
        }
        const int64_t size = tni_cpu_value(build, node->outputs[i])->dims[axis];
        if (tni_cpu_value(build, node->outputs[i])->count > 0) {
            emit_box(build, in, node->outputs[i], begin, steps);
        } else {
            tni_cpu_define_plain(build, node->outputs[i]);
        }
        begin[axis] += size;
    }
}

// Copies an input to its part of the whole.
static void copy_part(cpu_build *build, uint32_t value, uint32_t whole,
                      const dnnl_memory_desc_t *part, int64_t bytes) {
    const cpu_value v = *tni_cpu_value(build, value);
    const uint32_t target = tni_cpu_value_new(build, v.dtype, v.rank, v.dims);
    const uint32_t source = placed(build, value);
    if (target != TN_NONE && source != TN_NONE) {
        tni_cpu_alias(build, target, whole, part, bytes);
        tni_cpu_step_copy(build, source, target);
    }
}

// Inputs that were not written in their part of the result to begin with are copied there.
void tni_cpu_emit_concat(cpu_build *build, const cpu_node *node) {
    const uint32_t out = node->outputs[0];
    const cpu_value *y = tni_cpu_value(build, out);
    const uint32_t axis = tni_cpu_axis(tni_cpu_int(build, node, "axis", 0), y->rank);
    dnnl_dims_t begin = {0};
    if (axis == y->rank) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "axis is out of range");
        return;
    }
    if (y->storage == TN_NONE) {
        tni_cpu_define_plain(build, out);
    }
    for (uint32_t i = 0; i < node->input_count && build->status == TN_OK; ++i) {
        const cpu_value v = *tni_cpu_value(build, node->inputs[i]);
        y = tni_cpu_value(build, out);
        dnnl_memory_desc_t part;
        int64_t bytes = 0;
        if (v.count > 0) {
            if (!box(&y->layout, v.layout.dims, begin, &part, &bytes)) {
                (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "an input cuts a block");
                return;
            }
            if (v.storage != y->storage || v.offset_bytes != y->offset_bytes + bytes) {
                copy_part(build, node->inputs[i], out, &part, bytes);
            }
        }
        begin[axis] += v.dims[axis];
    }
}

// A broadcast is a view with steps of 0 that is copied out.
typedef struct broadcast {
    uint32_t rank;
    int64_t dims[CPU_MAX_RANK];
    int64_t steps[CPU_MAX_RANK]; // of the input, in elements
    int64_t element_bytes;
    int64_t rows;
} broadcast;

static void broadcast_range(const cpu_call *call, int64_t begin, int64_t end) {
    const broadcast *b = call->params;
    const int64_t size = b->dims[b->rank - 1];
    const int64_t step = b->steps[b->rank - 1];
    for (int64_t row = begin; row < end; ++row) {
        int64_t rest = row;
        int64_t from = 0;
        for (uint32_t axis = b->rank - 1; axis-- > 0;) {
            from += rest % b->dims[axis] * b->steps[axis];
            rest /= b->dims[axis];
        }
        unsigned char *out = (unsigned char *)call->data[0] + row * size * b->element_bytes;
        const unsigned char *in = (const unsigned char *)call->data[1] + from * b->element_bytes;
        if (step == 1) {
            memcpy(out, in, (size_t)(size * b->element_bytes));
            continue;
        }
        for (int64_t i = 0; i < size; ++i) {
            memcpy(out + i * b->element_bytes, in, (size_t)b->element_bytes);
        }
    }
}

static tn_status broadcast_run(const cpu_call *call) {
    const broadcast *b = call->params;
    tni_cpu_parallel(call, b->rows, 10 + b->dims[b->rank - 1] / 4, broadcast_range);
    return TN_OK;
}

void tni_cpu_emit_expand(cpu_build *build, const cpu_node *node) {
    const uint32_t in = tni_cpu_as_plain(build, node->inputs[0]);
    broadcast *b = in == TN_NONE ? NULL : tni_cpu_arena_alloc(build->arena, sizeof *b);
    if (b == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    const cpu_value *x = tni_cpu_value(build, in);
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    int64_t step = 1;
    b->rank = y->rank > 0 ? y->rank : 1;
    b->dims[0] = 1;
    b->element_bytes = tni_cpu_element_bytes(x->dtype);
    if (x->rank > y->rank) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "the shapes do not fit");
        return;
    }
    for (uint32_t axis = y->rank; axis-- > 0;) {
        const uint32_t missing = y->rank - x->rank;
        const int64_t size = axis >= missing ? x->dims[axis - missing] : 1;
        b->dims[axis] = y->dims[axis];
        b->steps[axis] = size == 1 ? 0 : step;
        if (size != 1 && size != y->dims[axis]) {
            (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "the shapes do not fit");
            return;
        }
        step *= size;
    }
    b->rows = y->count / b->dims[b->rank - 1];
    tni_cpu_define_plain(build, node->outputs[0]);
    tni_cpu_step(build, broadcast_run, b, 2, (const uint32_t[]){node->outputs[0], in});
}

typedef struct gather {
    int64_t outer; // times the whole axis
    int64_t axis_size;
    int64_t indices;
    int64_t run_bytes; // behind the axis
    uint32_t wide;     // indices are int64
} gather;

static tn_status gather_run(const cpu_call *call) {
    const gather *g = call->params;
    unsigned char *out = call->data[0];
    const unsigned char *in = call->data[1];
    for (int64_t i = 0; i < g->indices; ++i) {
        const int64_t written =
            g->wide ? ((const int64_t *)call->data[2])[i] : ((const int32_t *)call->data[2])[i];
        const int64_t index = written < 0 ? written + g->axis_size : written;
        if (index < 0 || index >= g->axis_size) {
            // No value of a tensor belongs into an error.
            return tn_helper_fail_at(call->error, TN_ERROR_INVALID_DATA, call->node, TN_NONE,
                                     "cpu.gather", "Gather: index %lld is out of range",
                                     (long long)i);
        }
        for (int64_t o = 0; o < g->outer; ++o) {
            memcpy(out + (o * g->indices + i) * g->run_bytes,
                   in + (o * g->axis_size + index) * g->run_bytes, (size_t)g->run_bytes);
        }
    }
    return TN_OK;
}

// Rows are copied byte by byte: a table may stay where the model's file has it, and of a large one
// only what is asked for comes into memory.
static uint32_t table_of(cpu_build *build, uint32_t value) {
    const cpu_value v = *tni_cpu_value(build, value);
    const void *mapped =
        v.constant == TN_NONE ? NULL : tni_cpu_weight_mapped(build->program, v.constant);
    return mapped == NULL
               ? tni_cpu_as_plain(build, value)
               : tni_cpu_value_at(build, mapped,
                                  (int64_t)tn_view_dtype_bytes(v.dtype, (uint64_t)v.count));
}

void tni_cpu_emit_gather(cpu_build *build, const cpu_node *node) {
    const uint32_t in = table_of(build, node->inputs[0]);
    const uint32_t indices = tni_cpu_as_plain(build, node->inputs[1]);
    gather *g = build->status == TN_OK ? tni_cpu_arena_alloc(build->arena, sizeof *g) : NULL;
    if (g == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const uint32_t axis = tni_cpu_axis(tni_cpu_int(build, node, "axis", 0), x->rank);
    if (axis == x->rank) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "axis is out of range");
        return;
    }
    g->outer = 1;
    g->run_bytes = tni_cpu_element_bytes(x->dtype);
    for (uint32_t i = 0; i < x->rank; ++i) {
        g->outer *= i < axis ? x->dims[i] : 1;
        g->run_bytes *= i > axis ? x->dims[i] : 1;
    }
    g->axis_size = x->dims[axis];
    g->indices = tni_cpu_value(build, indices)->count;
    g->wide = tni_cpu_value(build, indices)->dtype == TN_DTYPE_INT64;
    const dnnl_memory_desc_t plain = tni_cpu_plain_of(tni_cpu_value(build, node->outputs[0]));
    tni_cpu_define(build, node->outputs[0], &plain);
    tni_cpu_step(build, gather_run, g, 3, (const uint32_t[]){node->outputs[0], in, indices});
}
