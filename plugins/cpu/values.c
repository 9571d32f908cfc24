// SPDX-License-Identifier: Apache-2.0
// Values: what layout they have, where they lie, and how they come into another layout.
#include "build.h"

#include <string.h>

dnnl_data_type_t tni_cpu_dnnl_type(tn_dtype dtype) {
    switch (dtype) {
    case TN_DTYPE_FLOAT:
        return dnnl_f32;
    case TN_DTYPE_INT32:
        return dnnl_s32;
    case TN_DTYPE_INT8:
        return dnnl_s8;
    case TN_DTYPE_UINT8:
    case TN_DTYPE_BOOL:
        return dnnl_u8;
    case TN_DTYPE_BFLOAT16:
        return dnnl_bf16;
    default:
        return dnnl_data_type_undef;
    }
}

uint32_t tni_cpu_may_narrow(const cpu_program *program) {
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    return program->precision == TN_PRECISION_RELAXED &&
                   (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16
               ? 1u
               : 0u;
}

uint32_t tni_cpu_narrow_is_safe(void) {
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    return (isa & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx ? 1u : 0u;
}

int64_t tni_cpu_element_bytes(tn_dtype dtype) {
    return (int64_t)tn_view_dtype_bytes(dtype, 1);
}

dnnl_memory_desc_t tni_cpu_plain(tn_dtype dtype, uint32_t rank, const int64_t *dims) {
    dnnl_memory_desc_t layout;
    dnnl_dims_t sizes = {1};
    dnnl_dims_t strides;
    dnnl_data_type_t type = tni_cpu_dnnl_type(dtype);
    int count = (int)rank;
    memset(&layout, 0, sizeof layout);
    for (uint32_t axis = 0; axis < rank; ++axis) {
        sizes[axis] = dims[axis];
    }
    if (type == dnnl_data_type_undef) {
        // A run of bytes: it can be copied, and kernels of ours read it.
        int64_t elements = 1;
        for (uint32_t axis = 0; axis < rank; ++axis) {
            elements *= dims[axis];
        }
        sizes[0] = (int64_t)tn_view_dtype_bytes(dtype, (uint64_t)elements);
        type = dnnl_u8;
        count = 1;
    } else if (rank == 0) {
        count = 1;
    }
    int64_t stride = 1;
    for (int axis = count - 1; axis >= 0; --axis) {
        strides[axis] = stride;
        stride *= sizes[axis] > 0 ? sizes[axis] : 1;
    }
    (void)dnnl_memory_desc_init_by_strides(&layout, count, sizes, type, strides);
    return layout;
}

dnnl_memory_desc_t tni_cpu_plain_of(const cpu_value *value) {
    return tni_cpu_plain(value->dtype, value->rank, value->dims);
}

dnnl_memory_desc_t tni_cpu_any_of(dnnl_memory_desc_t layout) {
    dnnl_memory_desc_t any;
    (void)dnnl_memory_desc_init_by_tag(&any, layout.ndims, layout.dims, layout.data_type,
                                       dnnl_format_tag_any);
    return any;
}

dnnl_memory_desc_t tni_cpu_transposed(const dnnl_memory_desc_t *layout) {
    dnnl_memory_desc_t transposed;
    (void)dnnl_memory_desc_permute_axes(&transposed, layout, (const int[]){1, 0});
    return transposed;
}

uint32_t tni_cpu_same_layout(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b) {
    return dnnl_memory_desc_equal(a, b) != 0 ? 1u : 0u;
}

uint32_t tni_cpu_is_plain(const cpu_value *value) {
    const dnnl_memory_desc_t plain = tni_cpu_plain_of(value);
    return tni_cpu_same_layout(&value->layout, &plain);
}

uint32_t tni_cpu_is_run(const dnnl_memory_desc_t *layout) {
    int64_t elements = 1;
    for (int axis = 0; axis < layout->ndims; ++axis) {
        elements *= layout->padded_dims[axis];
    }
    return dnnl_memory_desc_get_size(layout) ==
                   (size_t)elements * dnnl_data_type_size(layout->data_type)
               ? 1u
               : 0u;
}

cpu_value *tni_cpu_value(const cpu_build *build, uint32_t value) {
    return &build->values[value];
}

uint32_t tni_cpu_value_new(cpu_build *build, tn_dtype dtype, uint32_t rank, const int64_t *dims) {
    if (build->status != TN_OK) {
        return TN_NONE;
    }
    if (build->value_count == build->value_capacity) {
        const uint32_t capacity = build->value_capacity * 2 + 16;
        cpu_value *grown = tni_cpu_arena_grow(build->arena, build->values, build->value_count,
                                              capacity, sizeof *grown);
        if (grown == NULL) {
            (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
            return TN_NONE;
        }
        build->values = grown;
        build->value_capacity = capacity;
    }
    cpu_value *value = &build->values[build->value_count];
    *value = (cpu_value){.dtype = dtype,
                         .rank = rank,
                         .count = 1,
                         .constant = TN_NONE,
                         .output_port = TN_NONE,
                         .user = TN_NONE,
                         .concat = TN_NONE,
                         .producer = TN_NONE,
                         .storage = TN_NONE,
                         .same = TN_NONE,
                         .quant = {.value = TN_NONE}};
    for (uint32_t axis = 0; axis < rank; ++axis) {
        value->dims[axis] = dims[axis];
        value->count *= dims[axis];
    }
    value->layout = tni_cpu_plain_of(value);
    return build->value_count++;
}

static uint32_t storage_new(cpu_build *build, cpu_home home, int64_t size_bytes) {
    cpu_instance *out = build->out;
    if (out->storage_count == out->storage_capacity) {
        const uint32_t capacity = out->storage_capacity * 2 + 16;
        cpu_storage *grown = tni_cpu_arena_grow(build->arena, out->storages, out->storage_count,
                                                capacity, sizeof *grown);
        if (grown == NULL) {
            (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
            return TN_NONE;
        }
        out->storages = grown;
        out->storage_capacity = capacity;
    }
    out->storages[out->storage_count] =
        (cpu_storage){.home = home, .size_bytes = size_bytes > 0 ? size_bytes : 1};
    return out->storage_count++;
}

static void place(cpu_build *build, uint32_t value, uint32_t storage, int64_t offset_bytes,
                  const dnnl_memory_desc_t *layout) {
    cpu_value *v = tni_cpu_value(build, value);
    v->storage = storage;
    v->offset_bytes = offset_bytes;
    v->layout = *layout;
    build->out->storages[storage].pending += v->uses;
}

static void place_constant(cpu_build *build, uint32_t value, const void *data,
                           const dnnl_memory_desc_t *layout) {
    const uint32_t storage =
        storage_new(build, CPU_HOME_CONSTANT, (int64_t)dnnl_memory_desc_get_size(layout));
    if (storage != TN_NONE) {
        build->out->storages[storage].data = data;
        build->out->storages[storage].fixed = 1;
        place(build, value, storage, 0, layout);
    }
}

uint32_t tni_cpu_value_at(cpu_build *build, const void *data, int64_t size_bytes) {
    const uint32_t value = tni_cpu_value_new(build, TN_DTYPE_UINT8, 1, &size_bytes);
    if (value != TN_NONE) {
        const dnnl_memory_desc_t layout = tni_cpu_value(build, value)->layout;
        place_constant(build, value, data, &layout);
    }
    return value;
}

uint32_t tni_cpu_value_known(cpu_build *build, tn_dtype dtype, uint32_t rank, const int64_t *dims,
                             const void *data) {
    const uint32_t value = tni_cpu_value_new(build, dtype, rank, dims);
    if (value == TN_NONE) {
        return TN_NONE;
    }
    cpu_value *v = tni_cpu_value(build, value);
    const uint64_t bytes = tn_view_dtype_bytes(dtype, (uint64_t)v->count);
    void *copy = tni_cpu_arena_alloc(build->arena, bytes);
    if (copy == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return TN_NONE;
    }
    memcpy(copy, data, bytes);
    v->data = copy;
    return value;
}

uint32_t tni_cpu_scratch(cpu_build *build, int64_t size_bytes) {
    const uint32_t value = tni_cpu_value_new(build, TN_DTYPE_UINT8, 1, &size_bytes);
    if (value != TN_NONE) {
        const dnnl_memory_desc_t layout = tni_cpu_value(build, value)->layout;
        tni_cpu_define(build, value, &layout);
    }
    return value;
}

// The layout of the whole of which `layout` is a part along axis, where the parts lie one after
// another: nothing outside of the axis, and its steps are the longest.
static uint32_t whole_layout(const cpu_value *whole, uint32_t axis,
                             const dnnl_memory_desc_t *layout, dnnl_memory_desc_t *out_whole,
                             int64_t *out_block) {
    *out_whole = *layout;
    int64_t block = 1;
    const dnnl_blocking_desc_t *blocking = &layout->format_desc.blocking;
    if (layout->format_kind != dnnl_blocked || !tni_cpu_is_run(layout)) {
        return 0;
    }
    for (int i = 0; i < blocking->inner_nblks; ++i) {
        if (blocking->inner_idxs[i] == (dnnl_dim_t)axis) {
            block *= blocking->inner_blks[i];
        }
    }
    for (uint32_t i = 0; i < whole->rank; ++i) {
        if (i != axis && layout->padded_dims[i] > 1 &&
            (i < axis || blocking->strides[i] > blocking->strides[axis])) {
            return 0;
        }
    }
    out_whole->dims[axis] = whole->dims[axis];
    out_whole->padded_dims[axis] = (whole->dims[axis] + block - 1) / block * block;
    int64_t elements = 1;
    for (uint32_t i = 0; i < whole->rank; ++i) {
        elements *= out_whole->padded_dims[i];
    }
    for (uint32_t i = 0; i < axis; ++i) {
        out_whole->format_desc.blocking.strides[i] = elements;
    }
    *out_block = block;
    return 1;
}

// Whether all inputs of a concatenation begin with a block. If one did not, the others could not
// be in blocks either: nothing is copied to the middle of one.
static uint32_t begin_with_blocks(const cpu_build *build, const cpu_node *node, uint32_t axis,
                                  int64_t block) {
    int64_t begin = 0;
    for (uint32_t i = 0; i < node->input_count; ++i) {
        if (begin % block != 0) {
            return 0;
        }
        begin += tni_cpu_value(build, node->inputs[i])->dims[axis];
    }
    return 1;
}

// Places an input of a concatenation where the concatenation would copy it to.
static uint32_t define_in_concat(cpu_build *build, uint32_t value,
                                 const dnnl_memory_desc_t *layout) {
    const uint32_t concat = tni_cpu_value(build, value)->concat;
    if (concat == TN_NONE || tni_cpu_value(build, value)->output_port != TN_NONE) {
        return 0;
    }
    const cpu_node *node = &build->nodes[concat];
    const uint32_t out = node->outputs[0];
    const cpu_value *whole = tni_cpu_value(build, out);
    const uint32_t axis = tni_cpu_axis(tni_cpu_int(build, node, "axis", 0), whole->rank);
    int64_t before = 0;
    for (uint32_t i = 0; i < node->input_count && axis < whole->rank; ++i) {
        if (node->inputs[i] == value) {
            break;
        }
        before += tni_cpu_value(build, node->inputs[i])->dims[axis];
    }
    dnnl_memory_desc_t fits;
    int64_t block = 1;
    if (axis >= whole->rank || !whole_layout(whole, axis, layout, &fits, &block) ||
        !begin_with_blocks(build, node, axis, block)) {
        return 0;
    }
    if (whole->storage == TN_NONE) {
        tni_cpu_define(build, out, &fits);
        whole = tni_cpu_value(build, out);
    }
    if (build->status != TN_OK || !tni_cpu_same_layout(&whole->layout, &fits)) {
        return 0;
    }
    const int64_t step = fits.format_desc.blocking.strides[axis];
    const int64_t bytes = (int64_t)dnnl_data_type_size(layout->data_type);
    place(build, value, whole->storage, whole->offset_bytes + before / block * step * bytes,
          layout);
    return 1;
}

void tni_cpu_define(cpu_build *build, uint32_t value, const dnnl_memory_desc_t *layout) {
    if (build->status != TN_OK || define_in_concat(build, value, layout)) {
        return;
    }
    const cpu_value *v = tni_cpu_value(build, value);
    const dnnl_memory_desc_t plain = tni_cpu_plain_of(v);
    const uint32_t port = v->output_port;
    const uint32_t in_port = port != TN_NONE && tni_cpu_same_layout(layout, &plain);
    const uint32_t storage = storage_new(build, in_port ? CPU_HOME_PORT : CPU_HOME_WORKSPACE,
                                         (int64_t)dnnl_memory_desc_get_size(layout));
    if (storage == TN_NONE) {
        return;
    }
    if (in_port) {
        build->out->storages[storage].index = build->program->input_count + port;
        build->out->storages[storage].fixed = 1;
    }
    place(build, value, storage, 0, layout);
}

void tni_cpu_define_plain(cpu_build *build, uint32_t value) {
    const dnnl_memory_desc_t plain = tni_cpu_plain_of(tni_cpu_value(build, value));
    tni_cpu_define(build, value, &plain);
}

void tni_cpu_alias(cpu_build *build, uint32_t value, uint32_t of, const dnnl_memory_desc_t *layout,
                   int64_t offset_bytes) {
    if (build->status == TN_OK) {
        const cpu_value *source = tni_cpu_value(build, of);
        if (source->twin) {
            // Whoever still reads the original may be given this copy of it.
            build->out->storages[source->storage].fixed = 1;
        }
        place(build, value, source->storage, source->offset_bytes + offset_bytes, layout);
    }
}

uint32_t tni_cpu_define_over(cpu_build *build, uint32_t value, uint32_t other,
                             const dnnl_memory_desc_t *layout) {
    const cpu_value *o = tni_cpu_value(build, other);
    if (build->status != TN_OK || o->storage == TN_NONE ||
        !tni_cpu_same_layout(&o->layout, layout)) {
        return 0;
    }
    const cpu_storage *storage = &build->out->storages[o->storage];
    // This node's own reading is still counted.
    if (storage->home != CPU_HOME_WORKSPACE || storage->fixed || storage->pending != 1) {
        return 0;
    }
    place(build, value, o->storage, o->offset_bytes, layout);
    return 1;
}

// Another value of the same elements, placed by the caller.
static uint32_t twin(cpu_build *build, uint32_t value) {
    const cpu_value v = *tni_cpu_value(build, value);
    const uint32_t made = tni_cpu_value_new(build, v.dtype, v.rank, v.dims);
    if (made != TN_NONE) {
        tni_cpu_value(build, made)->twin = 1;
        tni_cpu_value(build, made)->same = tni_cpu_value(build, value)->same;
        tni_cpu_value(build, value)->same = made;
    }
    return made;
}

// Reorders known elements now.
static const void *reorder_known(cpu_build *build, const void *data,
                                 const dnnl_memory_desc_t *plain,
                                 const dnnl_memory_desc_t *layout) {
    void *copy = tni_cpu_arena_alloc(build->arena, dnnl_memory_desc_get_size(layout));
    if (copy == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return NULL;
    }
    return tni_cpu_ok(build, tni_cpu_reorder_now(build->program, plain, data, layout, copy),
                      "reorder")
               ? copy
               : NULL;
}

// What is no constant is packed by a step of every run.
static uint32_t packed_at_run(cpu_build *build, uint32_t value, const dnnl_memory_desc_t *plain,
                              const dnnl_memory_desc_t *layout) {
    const uint32_t source = tni_cpu_as_plain(build, value);
    if (source == TN_NONE) {
        return TN_NONE;
    }
    const cpu_value v = *tni_cpu_value(build, source);
    const uint32_t seen = tni_cpu_value_new(build, v.dtype, v.rank, v.dims);
    const uint32_t made = tni_cpu_value_new(build, v.dtype, v.rank, v.dims);
    if (made == TN_NONE) {
        return TN_NONE;
    }
    tni_cpu_alias(build, seen, source, plain, 0);
    tni_cpu_define(build, made, layout);
    tni_cpu_step_copy(build, seen, made);
    return build->status == TN_OK ? made : TN_NONE;
}

uint32_t tni_cpu_packed(cpu_build *build, uint32_t value, const dnnl_memory_desc_t *plain,
                        const dnnl_memory_desc_t *layout) {
    if (build->status != TN_OK || value == TN_NONE) {
        return TN_NONE;
    }
    tni_cpu_materialize(build, value);
    const cpu_value v = *tni_cpu_value(build, value);
    const void *data = v.data;
    if (v.data == NULL && v.constant == TN_NONE) {
        return packed_at_run(build, value, plain, layout);
    }
    if (v.data == NULL) {
        const tn_status status =
            tni_cpu_weight(build->program, v.constant, plain, layout, &data, build->error);
        if (status != TN_OK) {
            build->status = status;
            return TN_NONE;
        }
    } else if (!tni_cpu_same_layout(plain, layout)) {
        data = reorder_known(build, v.data, plain, layout);
    }
    // The value itself stays unplaced, so that it is found here again. What was read with other
    // axes is no twin: a square matrix that was transposed may have a layout of the value's.
    const dnnl_memory_desc_t own = tni_cpu_plain_of(&v);
    const uint32_t made = build->status != TN_OK ? TN_NONE
                          : tni_cpu_same_layout(plain, &own)
                              ? twin(build, value)
                              : tni_cpu_value_new(build, v.dtype, v.rank, v.dims);
    if (made != TN_NONE) {
        place_constant(build, made, data, layout);
    }
    return build->status == TN_OK ? made : TN_NONE;
}

uint32_t tni_cpu_as(cpu_build *build, uint32_t value, const dnnl_memory_desc_t *layout) {
    if (build->status != TN_OK || value == TN_NONE) {
        return TN_NONE;
    }
    tni_cpu_materialize(build, value);
    for (uint32_t i = value; i != TN_NONE; i = tni_cpu_value(build, i)->same) {
        const cpu_value *v = tni_cpu_value(build, i);
        if (v->storage != TN_NONE && tni_cpu_same_layout(&v->layout, layout)) {
            return i;
        }
    }
    const cpu_value *v = tni_cpu_value(build, value);
    if (v->constant != TN_NONE || v->data != NULL) {
        const dnnl_memory_desc_t plain = tni_cpu_plain_of(v);
        return tni_cpu_packed(build, value, &plain, layout);
    }
    const uint32_t made = build->status == TN_OK ? twin(build, value) : TN_NONE;
    if (made == TN_NONE) {
        return TN_NONE;
    }
    tni_cpu_define(build, made, layout);
    tni_cpu_step_copy(build, value, made);
    return build->status == TN_OK ? made : TN_NONE;
}

uint32_t tni_cpu_as_floats(cpu_build *build, uint32_t value) {
    if (build->status != TN_OK || value == TN_NONE) {
        return TN_NONE;
    }
    tni_cpu_materialize(build, value);
    const cpu_value *v = tni_cpu_value(build, value);
    if (v->storage == TN_NONE) {
        return tni_cpu_as_plain(build, value);
    }
    if (v->dtype != TN_DTYPE_FLOAT || v->layout.data_type == dnnl_f32) {
        return value;
    }
    dnnl_memory_desc_t layout = v->layout;
    layout.data_type = dnnl_f32;
    return tni_cpu_as(build, value, &layout);
}

uint32_t tni_cpu_as_plain(cpu_build *build, uint32_t value) {
    if (build->status != TN_OK || value == TN_NONE) {
        return TN_NONE;
    }
    const dnnl_memory_desc_t plain = tni_cpu_plain_of(tni_cpu_value(build, value));
    return tni_cpu_as(build, value, &plain);
}

uint32_t tni_cpu_as_run(cpu_build *build, uint32_t value) {
    const cpu_value *v = tni_cpu_value(build, value);
    return v->storage != TN_NONE && tni_cpu_is_run(&v->layout) ? value
                                                               : tni_cpu_as_plain(build, value);
}

uint32_t tni_cpu_is_known(const cpu_build *build, uint32_t value) {
    const cpu_value *v = tni_cpu_value(build, value);
    return v->constant != TN_NONE || v->data != NULL ? 1u : 0u;
}

const void *tni_cpu_known(cpu_build *build, uint32_t value) {
    if (build->status != TN_OK || value == TN_NONE) {
        return NULL;
    }
    const uint32_t integers = tni_cpu_value(build, value)->quant.value;
    if (integers != TN_NONE && tni_cpu_value(build, integers)->constant != TN_NONE) {
        tni_cpu_materialize(build, value);
    }
    const cpu_value *v = tni_cpu_value(build, value);
    if (v->data != NULL) {
        return v->data;
    }
    if (v->constant == TN_NONE) {
        return NULL;
    }
    const uint32_t plain = tni_cpu_as_plain(build, value);
    return plain == TN_NONE ? NULL
                            : build->out->storages[tni_cpu_value(build, plain)->storage].data;
}

uint32_t tni_cpu_scalar(cpu_build *build, uint32_t value, float *out_scalar) {
    if (build->status != TN_OK || value == TN_NONE) {
        return 0;
    }
    const cpu_value *v = tni_cpu_value(build, value);
    if (v->count != 1 || v->dtype != TN_DTYPE_FLOAT ||
        (v->constant == TN_NONE && v->data == NULL)) {
        return 0;
    }
    const float *data = tni_cpu_known(build, value);
    if (data == NULL) {
        return 0;
    }
    *out_scalar = *data;
    return 1;
}

// Takes a twin out of the list, so that nobody finds it after it was overwritten.
static void forget_twin(cpu_build *build, uint32_t value, uint32_t made) {
    for (uint32_t i = value; i != TN_NONE; i = tni_cpu_value(build, i)->same) {
        if (tni_cpu_value(build, i)->same == made) {
            tni_cpu_value(build, i)->same = tni_cpu_value(build, made)->same;
            return;
        }
    }
}

void tni_cpu_define_sum(cpu_build *build, uint32_t value, uint32_t summed,
                        const dnnl_memory_desc_t *layout) {
    if (build->status != TN_OK || tni_cpu_define_over(build, value, summed, layout)) {
        return;
    }
    const uint32_t known = build->value_count;
    const uint32_t there = tni_cpu_as(build, summed, layout);
    if (there == TN_NONE) {
        return;
    }
    // A copy that was made just now belongs to nobody: the result may take its place. One that was
    // there may be what this very node reads.
    cpu_storage *storage = &build->out->storages[tni_cpu_value(build, there)->storage];
    if (there >= known && storage->home == CPU_HOME_WORKSPACE &&
        tni_cpu_value(build, value)->output_port == TN_NONE) {
        forget_twin(build, summed, there);
        place(build, value, tni_cpu_value(build, there)->storage,
              tni_cpu_value(build, there)->offset_bytes, layout);
        return;
    }
    tni_cpu_define(build, value, layout);
    tni_cpu_step_copy(build, there, value);
}
