// SPDX-License-Identifier: Apache-2.0
// Quantised networks are written in floats between DequantizeLinear and QuantizeLinear. Here a
// value that was dequantised remembers the integers it is made of; who can compute with those does,
// and floats are made where somebody wants them.
#include "build.h"

#include <float.h>
#include <math.h>
#include <string.h>

static uint32_t is_quantised(const cpu_build *build, uint32_t value) {
    return value != TN_NONE && tni_cpu_value(build, value)->quant.value != TN_NONE ? 1u : 0u;
}

int32_t tni_cpu_integer_at(tn_dtype dtype, const void *integers, int64_t index) {
    const uint8_t byte = ((const uint8_t *)integers)[index / 2];
    const int32_t half = index % 2 == 0 ? byte & 15 : byte >> 4;
    switch (dtype) {
    case TN_DTYPE_INT8:
        return ((const int8_t *)integers)[index];
    case TN_DTYPE_UINT8:
        return ((const uint8_t *)integers)[index];
    case TN_DTYPE_INT32:
        return ((const int32_t *)integers)[index];
    case TN_DTYPE_UINT4:
        return half;
    case TN_DTYPE_INT4:
        return half < 8 ? half : half - 16;
    default:
        return 0;
    }
}

// One integer of a known value; 0 for none.
static int32_t zero_point(cpu_build *build, uint32_t value, int64_t index) {
    const void *data = value == TN_NONE ? NULL : tni_cpu_known(build, value);
    return data == NULL ? 0 : tni_cpu_integer_at(tni_cpu_value(build, value)->dtype, data, index);
}

uint32_t tni_cpu_is_shifted(cpu_build *build, uint32_t zeros) {
    const void *data = zeros == TN_NONE ? NULL : tni_cpu_known(build, zeros);
    for (int64_t i = 0; data != NULL && i < tni_cpu_value(build, zeros)->count; ++i) {
        if (tni_cpu_integer_at(tni_cpu_value(build, zeros)->dtype, data, i) != 0) {
            return 1;
        }
    }
    return 0;
}

void tni_cpu_rule_dequantize(cpu_build *build, cpu_node *node) {
    if (node->kind != CPU_KIND_DEQUANTIZE) {
        return;
    }
    cpu_quant quant = {.value = node->inputs[0],
                       .axis = TN_NONE,
                       .scales = node->inputs[1],
                       .zeros = tni_cpu_input(node, 2)};
    const cpu_value *x = tni_cpu_value(build, quant.value);
    // A scale of its own for the only index of an axis is one for all.
    if (tni_cpu_value(build, quant.scales)->count == 1) {
        const float *scale = tni_cpu_known(build, quant.scales);
        if (scale == NULL) {
            return;
        }
        quant.scale = *scale;
        quant.zero_point = zero_point(build, quant.zeros, 0);
        quant.shifted = quant.zero_point != 0;
    } else {
        quant.axis = tni_cpu_axis(tni_cpu_int(build, node, "axis", 1), x->rank);
        quant.block = tni_cpu_int(build, node, "block_size", 0);
        if (x->constant == TN_NONE || quant.axis == x->rank) {
            return; // the verdict was no
        }
        quant.shifted = x->dtype == TN_DTYPE_INT8 && tni_cpu_is_shifted(build, quant.zeros);
    }
    tni_cpu_value(build, node->outputs[0])->quant = quant;
    node->dead = 1;
}

// Whatever takes the largest or only moves does so with integers as well.
void tni_cpu_rule_integers_through(cpu_build *build, cpu_node *node) {
    const uint32_t moves = node->kind == CPU_KIND_VIEW || node->kind == CPU_KIND_TRANSPOSE ||
                           (node->kind == CPU_KIND_POOL && node->variant == CPU_POOL_MAX);
    if (!moves || !is_quantised(build, node->inputs[0])) {
        return;
    }
    const cpu_quant quant = tni_cpu_value(build, node->inputs[0])->quant;
    const cpu_value y = *tni_cpu_value(build, node->outputs[0]);
    const tn_dtype dtype = tni_cpu_value(build, quant.value)->dtype;
    if (quant.axis != TN_NONE || tni_cpu_is_known(build, quant.value) || dtype == TN_DTYPE_INT32) {
        return;
    }
    const uint32_t integers = tni_cpu_value_new(build, dtype, y.rank, y.dims);
    if (integers == TN_NONE) {
        return;
    }
    cpu_value *floats = tni_cpu_value(build, node->outputs[0]);
    floats->quant = quant;
    floats->quant.value = integers;
    floats->producer = TN_NONE;
    tni_cpu_value(build, integers)->producer = (uint32_t)(node - build->nodes);
    node->inputs[0] = quant.value;
    node->outputs[0] = integers;
}

// The scale and zero point of a QuantizeLinear; 0 where they are not one known pair.
static uint32_t read_quantize(cpu_build *build, const cpu_node *node, float *out_scale,
                              int32_t *out_zero_point) {
    const float *scale =
        node->kind == CPU_KIND_QUANTIZE && tni_cpu_value(build, node->inputs[1])->count == 1
            ? tni_cpu_known(build, node->inputs[1])
            : NULL;
    if (scale == NULL || !(*scale > 0.0f)) {
        return 0;
    }
    *out_scale = *scale;
    *out_zero_point = zero_point(build, tni_cpu_input(node, 2), 0);
    return 1;
}

static uint32_t is_bytes(const cpu_build *build, uint32_t value) {
    return is_quantised(build, value) && tni_cpu_value(build, value)->quant.axis == TN_NONE &&
           tni_cpu_value(build, tni_cpu_value(build, value)->quant.value)->dtype == TN_DTYPE_UINT8;
}

// The sum of two dequantised tensors, perhaps limited, quantised again.
void tni_cpu_rule_quantized_sum(cpu_build *build, cpu_node *node) {
    float scale = 0.0f;
    int32_t zero = 0;
    if (!read_quantize(build, node, &scale, &zero) ||
        tni_cpu_value(build, node->outputs[0])->dtype != TN_DTYPE_UINT8) {
        return;
    }
    cpu_node *sum = tni_cpu_producer(build, node->inputs[0]);
    cpu_node *act = NULL;
    if (sum != NULL && sum->kind == CPU_KIND_ACT &&
        ((sum->variant == CPU_ACT_RELU && sum->a == 0.0f) || sum->variant == CPU_ACT_CLIP)) {
        act = sum;
        sum = tni_cpu_producer(build, act->inputs[0]);
    }
    if (sum == NULL || sum->kind != CPU_KIND_BINARY || sum->variant != CPU_BINARY_ADD ||
        sum->input_count != 2 || !is_bytes(build, sum->inputs[0]) ||
        !is_bytes(build, sum->inputs[1]) || !tni_cpu_read_once(build, node->inputs[0]) ||
        (act != NULL && !tni_cpu_read_once(build, act->inputs[0]))) {
        return;
    }
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    for (uint32_t i = 0; i < 2; ++i) {
        const cpu_value *x = tni_cpu_value(build, sum->inputs[i]);
        if (x->count != y->count || x->rank != y->rank) {
            return; // it is broadcast, or has other axes
        }
    }
    const uint32_t relu = act != NULL && act->variant == CPU_ACT_RELU;
    node->kind = CPU_KIND_OTHER;
    node->emit = tni_cpu_emit_quantized_sum;
    node->a = act == NULL ? -FLT_MAX : (relu ? 0.0f : act->a);
    node->b = act == NULL || relu ? FLT_MAX : act->b;
    node->out_scale = scale;
    node->out_zero_point = zero;
    node->inputs[0] = sum->inputs[0];
    node->inputs[1] = sum->inputs[1];
    node->input_count = 2;
    sum->dead = 1;
    if (act != NULL) {
        act->dead = 1;
    }
}

uint32_t tni_cpu_is_integer_product(const cpu_build *build, const cpu_node *node) {
    if (node->kind != CPU_KIND_CONV && node->kind != CPU_KIND_GEMM &&
        node->kind != CPU_KIND_MATMUL) {
        return 0;
    }
    if (!is_quantised(build, node->inputs[0]) || !is_quantised(build, node->inputs[1])) {
        return 0;
    }
    const cpu_quant *x = &tni_cpu_value(build, node->inputs[0])->quant;
    const cpu_quant *w = &tni_cpu_value(build, node->inputs[1])->quant;
    const cpu_value *weights = tni_cpu_value(build, w->value);
    const uint32_t bias = tni_cpu_bias(node);
    if (bias != TN_NONE && !tni_cpu_is_known(build, bias) &&
        (!is_quantised(build, bias) ||
         !tni_cpu_is_known(build, tni_cpu_value(build, bias)->quant.value))) {
        return 0;
    }
    const uint32_t out_axis =
        node->kind == CPU_KIND_CONV                                                 ? 0u
        : node->kind == CPU_KIND_GEMM && tni_cpu_int(build, node, "transB", 0) != 0 ? 0u
                                                                                    : 1u;
    // Weights are symmetric: a zero point of theirs would need sums of the input's windows. Blocks
    // of them with scales of their own would need an accumulator for each.
    return x->axis == TN_NONE && tni_cpu_value(build, x->value)->dtype != TN_DTYPE_INT32 &&
           tni_cpu_value(build, x->value)->constant == TN_NONE && weights->constant != TN_NONE &&
           weights->dtype == TN_DTYPE_INT8 && (w->axis == TN_NONE || w->axis == out_axis) &&
           !w->shifted && w->block == 0 && (node->kind == CPU_KIND_CONV || weights->rank == 2);
}

// A sum behind an integer product is not fused: what is added is in other units.
static uint32_t posts_fit(const cpu_node *node) {
    for (uint32_t i = 0; i < node->post_count; ++i) {
        if (node->posts[i].act == CPU_ACT_NONE) {
            return 0;
        }
    }
    return node->post_count < CPU_MAX_POSTS;
}

void tni_cpu_rule_quantize_result(cpu_build *build, cpu_node *node) {
    float scale = 0.0f;
    int32_t zero = 0;
    if (!read_quantize(build, node, &scale, &zero)) {
        return;
    }
    cpu_node *maker = tni_cpu_producer(build, node->inputs[0]);
    if (maker == NULL || maker->out_scale != 0.0f || !tni_cpu_is_integer_product(build, maker) ||
        !posts_fit(maker) || !tni_cpu_read_once(build, node->inputs[0])) {
        return;
    }
    maker->out_scale = scale;
    maker->out_zero_point = zero;
    maker->outputs[0] = node->outputs[0];
    tni_cpu_value(build, node->outputs[0])->producer = (uint32_t)(maker - build->nodes);
    node->dead = 1;
}

// Biases are divided by scales, and one of a channel that was pruned away may be 0. Times this one,
// any accumulator is nothing beside a bias, and still biases are divided into floats.
#define LEAST_SCALE 1e-25f

// The scales of accumulators: input times weight, one for all or for each output.
const float *tni_cpu_accumulator_scales(cpu_build *build, const cpu_node *node,
                                        int64_t *out_count) {
    const cpu_quant x = tni_cpu_value(build, node->inputs[0])->quant;
    const cpu_quant w = tni_cpu_value(build, node->inputs[1])->quant;
    *out_count = tni_cpu_value(build, w.scales)->count;
    const float *scales = tni_cpu_known(build, w.scales);
    float *product = tni_cpu_arena_array(build->arena, (uint64_t)*out_count, sizeof *product);
    if (scales == NULL || product == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return NULL;
    }
    for (int64_t i = 0; i < *out_count; ++i) {
        const float scale = x.scale * scales[i];
        product[i] = fabsf(scale) < LEAST_SCALE ? LEAST_SCALE : scale;
    }
    return product;
}

uint32_t tni_cpu_accumulator_bias(cpu_build *build, uint32_t bias, const float *scales,
                                  int64_t scale_count) {
    const float *floats = tni_cpu_known(build, bias);
    const int64_t count = tni_cpu_value(build, bias)->count;
    float *units = tni_cpu_arena_array(build->arena, (uint64_t)count, sizeof *units);
    if (floats == NULL || units == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return TN_NONE;
    }
    for (int64_t i = 0; i < count; ++i) {
        units[i] = floats[i] / scales[scale_count == 1 ? 0 : i];
    }
    return tni_cpu_value_known(build, TN_DTYPE_FLOAT, 1, &count, units);
}

// Functions that commute with a positive factor can be applied in units of the result.
uint32_t tni_cpu_integer_attr(cpu_build *build, const cpu_node *node, const float *scales,
                              int64_t scale_count, int mask, dnnl_primitive_attr_t *out_attr) {
    const cpu_quant x = tni_cpu_value(build, node->inputs[0])->quant;
    const float unit = node->out_scale != 0.0f ? node->out_scale : 1.0f;
    float *factors = tni_cpu_arena_array(build->arena, (uint64_t)scale_count, sizeof *factors);
    dnnl_post_ops_t ops = NULL;
    *out_attr = NULL;
    if (factors == NULL) {
        return (uint32_t)(tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory"), 0);
    }
    for (int64_t i = 0; i < scale_count; ++i) {
        factors[i] = scales[i] / unit;
    }
    dnnl_primitive_attr_t attr = tni_cpu_attr(build);
    *out_attr = attr;
    if (attr == NULL) {
        return 0;
    }
    dnnl_status_t status = dnnl_primitive_attr_set_output_scales(
        attr, scale_count, scale_count == 1 ? 0 : mask, factors);
    status = status != dnnl_success ? status : dnnl_post_ops_create(&ops);
    for (uint32_t i = 0; node->out_scale != 0.0f && i < node->post_count; ++i) {
        const cpu_post *post = &node->posts[i];
        const uint32_t relu = post->act == CPU_ACT_RELU;
        status = status != dnnl_success
                     ? status
                     : dnnl_post_ops_append_eltwise(
                           ops, 1.0f, relu ? dnnl_eltwise_relu : dnnl_eltwise_clip,
                           relu ? post->a : post->a / unit, relu ? 0.0f : post->b / unit);
    }
    status = status != dnnl_success ? status : dnnl_primitive_attr_set_post_ops(attr, ops);
    if (x.zero_point != 0) {
        status = status != dnnl_success
                     ? status
                     : dnnl_primitive_attr_set_zero_points(attr, DNNL_ARG_SRC, 1, 0, &x.zero_point);
    }
    if (node->out_scale != 0.0f && node->out_zero_point != 0) {
        status = status != dnnl_success ? status
                                        : dnnl_primitive_attr_set_zero_points(
                                              attr, DNNL_ARG_DST, 1, 0, &node->out_zero_point);
    }
    (void)dnnl_post_ops_destroy(ops);
    return tni_cpu_ok(build, status, "attributes of integers");
}

uint32_t tni_cpu_posts_commute(const cpu_node *node) {
    for (uint32_t i = 0; i < node->post_count; ++i) {
        const cpu_post *post = &node->posts[i];
        const uint32_t limits = post->act == CPU_ACT_CLIP && post->a <= post->b;
        if (post->act != CPU_ACT_RELU && !limits) {
            return 0;
        }
    }
    return 1;
}

void tni_cpu_emit_integers_as_floats(cpu_build *build, const cpu_node *node) {
    const cpu_value y = *tni_cpu_value(build, node->outputs[0]);
    const uint32_t quantises = node->out_scale != 0.0f;
    uint32_t product[1] = {node->outputs[0]};
    uint32_t rest[1] = {node->outputs[0]};
    if (node->post_count > 0 || quantises) {
        product[0] = tni_cpu_value_new(build, TN_DTYPE_FLOAT, y.rank, y.dims);
    }
    if (node->post_count > 0 && quantises) {
        rest[0] = tni_cpu_value_new(build, TN_DTYPE_FLOAT, y.rank, y.dims);
    }
    if (build->status != TN_OK) {
        return;
    }
    cpu_node plain = *node;
    plain.out_scale = 0.0f;
    plain.post_count = 0;
    plain.outputs = product;
    switch (node->kind) {
    case CPU_KIND_CONV:
        tni_cpu_emit_conv(build, &plain);
        break;
    case CPU_KIND_GEMM:
        tni_cpu_emit_gemm(build, &plain);
        break;
    default:
        tni_cpu_emit_matmul(build, &plain);
        break;
    }
    cpu_node posts = *node;
    posts.outputs = rest;
    if (node->post_count > 0) {
        tni_cpu_emit_posts(build, &posts, product[0]);
    }
    if (quantises) {
        tni_cpu_quantize_steps(build, node->post_count > 0 ? rest[0] : product[0], node->out_scale,
                               node->out_zero_point, node->outputs[0]);
    }
}

// Which scale belongs to an element.
static int64_t scale_index(const cpu_value *v, const cpu_quant *quant, int64_t index) {
    if (quant->axis == TN_NONE) {
        return 0;
    }
    int64_t behind = 1;
    for (uint32_t i = quant->axis + 1; i < v->rank; ++i) {
        behind *= v->dims[i];
    }
    const int64_t size = v->dims[quant->axis];
    const int64_t at = index / behind % size;
    if (quant->block == 0) {
        return at;
    }
    const int64_t blocks = (size + quant->block - 1) / quant->block;
    return (index / behind / size * blocks + at / quant->block) * behind + index % behind;
}

// Floats of constants are computed now, and belong to the instance.
static void materialize_known(cpu_build *build, uint32_t value, const cpu_quant *quant) {
    const cpu_value x = *tni_cpu_value(build, quant->value);
    const void *integers = tni_cpu_known(build, quant->value);
    const float *scales = tni_cpu_known(build, quant->scales);
    const void *zeros = quant->zeros == TN_NONE ? NULL : tni_cpu_known(build, quant->zeros);
    float *floats = tni_cpu_arena_array(build->arena, (uint64_t)x.count, sizeof *floats);
    if (floats == NULL || integers == NULL || scales == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    const tn_dtype zero_type = zeros == NULL ? x.dtype : tni_cpu_value(build, quant->zeros)->dtype;
    for (int64_t i = 0; i < x.count; ++i) {
        const int64_t at = scale_index(&x, quant, i);
        const int32_t zero = zeros == NULL ? 0 : tni_cpu_integer_at(zero_type, zeros, at);
        const int64_t steps = (int64_t)tni_cpu_integer_at(x.dtype, integers, i) - zero;
        floats[i] = (float)steps * scales[at];
    }
    tni_cpu_value(build, value)->data = floats;
}

typedef struct linear_params {
    int64_t count;
    float scale;
    int32_t zero_point;
    uint32_t is_signed;
} linear_params;

static void dequantize_range(const cpu_call *call, int64_t begin, int64_t end) {
    const linear_params *p = call->params;
    float *out = (float *)call->data[0] + begin;
    if (p->is_signed) {
        call->simd->dequantize_s8((const int8_t *)call->data[1] + begin, p->zero_point, p->scale,
                                  out, end - begin);
    } else {
        call->simd->dequantize_u8((const uint8_t *)call->data[1] + begin, p->zero_point, p->scale,
                                  out, end - begin);
    }
}

static tn_status dequantize_run(const cpu_call *call) {
    const linear_params *p = call->params;
    tni_cpu_parallel(call, p->count, 1, dequantize_range);
    return TN_OK;
}

static void quantize_range(const cpu_call *call, int64_t begin, int64_t end) {
    const linear_params *p = call->params;
    const float *in = (const float *)call->data[1] + begin;
    if (p->is_signed) {
        call->simd->quantize_s8(in, p->scale, p->zero_point, (int8_t *)call->data[0] + begin,
                                end - begin);
    } else {
        call->simd->quantize_u8(in, p->scale, p->zero_point, (uint8_t *)call->data[0] + begin,
                                end - begin);
    }
}

static tn_status quantize_run(const cpu_call *call) {
    const linear_params *p = call->params;
    tni_cpu_parallel(call, p->count, 1, quantize_range);
    return TN_OK;
}

static uint32_t is_dense(const dnnl_memory_desc_t *layout) {
    for (int axis = 0; axis < layout->ndims; ++axis) {
        if (layout->padded_dims[axis] != layout->dims[axis]) {
            return 0;
        }
    }
    return tni_cpu_is_run(layout);
}

// A value in a layout without gaps, and that layout for elements of another type.
static uint32_t dense(cpu_build *build, uint32_t value, dnnl_data_type_t type,
                      dnnl_memory_desc_t *out_layout) {
    uint32_t in = tni_cpu_as_floats(build, value);
    if (in == TN_NONE) {
        return TN_NONE;
    }
    if (!is_dense(&tni_cpu_value(build, in)->layout)) {
        in = tni_cpu_as_plain(build, value);
    }
    if (in != TN_NONE) {
        *out_layout = tni_cpu_value(build, in)->layout;
        out_layout->data_type = type;
    }
    return in;
}

static linear_params *params_new(cpu_build *build, int64_t count, float scale, int32_t zero) {
    linear_params *p = tni_cpu_arena_alloc(build->arena, sizeof *p);
    if (p == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return NULL;
    }
    *p = (linear_params){.count = count, .scale = scale, .zero_point = zero};
    return p;
}

void tni_cpu_materialize(cpu_build *build, uint32_t value) {
    const cpu_value v = *tni_cpu_value(build, value);
    if (build->status != TN_OK || v.quant.value == TN_NONE || v.storage != TN_NONE ||
        v.data != NULL) {
        return;
    }
    if (tni_cpu_is_known(build, v.quant.value)) {
        materialize_known(build, value, &v.quant);
        return;
    }
    dnnl_memory_desc_t layout;
    const uint32_t in = dense(build, v.quant.value, dnnl_f32, &layout);
    linear_params *p =
        in == TN_NONE ? NULL : params_new(build, v.count, v.quant.scale, v.quant.zero_point);
    if (p != NULL) {
        p->is_signed = tni_cpu_value(build, in)->dtype == TN_DTYPE_INT8;
        tni_cpu_define(build, value, &layout);
        tni_cpu_step(build, dequantize_run, p, 2, (const uint32_t[]){value, in});
    }
}

void tni_cpu_emit_dequantize(cpu_build *build, const cpu_node *node) {
    (void)node;
    // Those that can be are gone by now.
    (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "its scales are not known");
}

void tni_cpu_quantize_steps(cpu_build *build, uint32_t value, float scale, int32_t zero,
                            uint32_t out) {
    if (build->status != TN_OK) {
        return;
    }
    dnnl_memory_desc_t layout;
    const uint32_t is_signed = tni_cpu_value(build, out)->dtype == TN_DTYPE_INT8;
    const uint32_t in = dense(build, value, is_signed ? dnnl_s8 : dnnl_u8, &layout);
    linear_params *p =
        in == TN_NONE ? NULL : params_new(build, tni_cpu_value(build, out)->count, scale, zero);
    if (p != NULL) {
        p->is_signed = is_signed;
        tni_cpu_define(build, out, &layout);
        tni_cpu_step(build, quantize_run, p, 2, (const uint32_t[]){out, in});
    }
}

void tni_cpu_emit_quantize(cpu_build *build, const cpu_node *node) {
    float scale = 0.0f;
    int32_t zero = 0;
    if (!read_quantize(build, node, &scale, &zero)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "its scale is not known");
        return;
    }
    tni_cpu_quantize_steps(build, node->inputs[0], scale, zero, node->outputs[0]);
}

typedef struct sum_params {
    int64_t count;
    cpu_quantized_sum sum;
} sum_params;

static void sum_range(const cpu_call *call, int64_t begin, int64_t end) {
    const sum_params *p = call->params;
    call->simd->quantized_sum_u8(&p->sum, (const uint8_t *)call->data[1] + begin,
                                 (const uint8_t *)call->data[2] + begin,
                                 (uint8_t *)call->data[0] + begin, end - begin);
}

static tn_status sum_run(const cpu_call *call) {
    const sum_params *p = call->params;
    tni_cpu_parallel(call, p->count, 1, sum_range);
    return TN_OK;
}

void tni_cpu_emit_quantized_sum(cpu_build *build, const cpu_node *node) {
    const cpu_quant x = tni_cpu_value(build, node->inputs[0])->quant;
    const cpu_quant y = tni_cpu_value(build, node->inputs[1])->quant;
    dnnl_memory_desc_t layout;
    const uint32_t left = dense(build, x.value, dnnl_u8, &layout);
    const uint32_t right = left == TN_NONE ? TN_NONE : tni_cpu_as(build, y.value, &layout);
    sum_params *p = right == TN_NONE ? NULL : tni_cpu_arena_alloc(build->arena, sizeof *p);
    if (p == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    p->count = tni_cpu_value(build, node->outputs[0])->count;
    p->sum = (cpu_quantized_sum){.x_scale = x.scale,
                                 .y_scale = y.scale,
                                 .out_scale = node->out_scale,
                                 .x_zero = x.zero_point,
                                 .y_zero = y.zero_point,
                                 .out_zero = node->out_zero_point,
                                 .low = node->a,
                                 .high = node->b};
    tni_cpu_define(build, node->outputs[0], &layout);
    tni_cpu_step(build, sum_run, p, 3, (const uint32_t[]){node->outputs[0], left, right});
}
