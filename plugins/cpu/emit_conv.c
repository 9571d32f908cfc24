// SPDX-License-Identifier: Apache-2.0
// Convolution: the library chooses the layouts of input, weights and output; bias, activation and
// the sum with another tensor are part of it. Among its algorithms measuring decides (choose.c).
#include "choose.h"
#include "window.h"

#include <string.h>

// A convolution as the library describes it.
typedef struct conv_shape {
    cpu_window window;
    dnnl_memory_desc_t plain_weights; // as they are in the model, groups apart
    dnnl_memory_desc_t src;           // any layout
    dnnl_memory_desc_t weights;
    dnnl_memory_desc_t bias;
    dnnl_memory_desc_t dst;
    uint32_t has_bias;
} conv_shape;

static dnnl_memory_desc_t any_of(dnnl_memory_desc_t layout) {
    dnnl_memory_desc_t any;
    (void)dnnl_memory_desc_init_by_tag(&any, layout.ndims, layout.dims, layout.data_type,
                                       dnnl_format_tag_any);
    return any;
}

// Weights of several groups have one more axis in front.
static dnnl_memory_desc_t weights_of(const cpu_value *weights, int64_t group) {
    int64_t dims[CPU_MAX_RANK + 1];
    const uint32_t grouped = group > 1 ? 1u : 0u;
    for (uint32_t axis = 0; axis < weights->rank; ++axis) {
        dims[axis + grouped] = weights->dims[axis];
    }
    if (grouped) {
        dims[0] = group;
        dims[1] /= group;
    }
    return tni_cpu_plain(weights->dtype, weights->rank + grouped, dims);
}

static uint32_t describe(cpu_build *build, const cpu_node *node, uint32_t bias, conv_shape *out) {
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const cpu_value *w = tni_cpu_value(build, node->inputs[1]);
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    const int64_t group = tni_cpu_int(build, node, "group", 1);
    if (group < 1 || w->rank != x->rank || y->rank != x->rank || w->dims[0] % group != 0 ||
        w->dims[1] * group != x->dims[1] || y->dims[1] != w->dims[0]) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "channels do not fit");
        return 0;
    }
    if (!tni_cpu_window(build, node, x, y, w->dims + 2, &out->window)) {
        return 0;
    }
    out->plain_weights = weights_of(w, group);
    out->src = any_of(tni_cpu_plain_of(x));
    out->weights = any_of(out->plain_weights);
    out->dst = any_of(tni_cpu_plain_of(y));
    if (x->dtype == TN_DTYPE_FLOAT && w->rank == 4) {
        // What is read from the model is floats; what is computed with may be narrower.
        out->src.data_type = tni_cpu_narrow(build->program);
        out->weights.data_type = out->src.data_type;
        out->dst.data_type = out->src.data_type;
    }
    out->has_bias = bias != TN_NONE;
    out->bias = tni_cpu_plain(TN_DTYPE_FLOAT, 1, &y->dims[1]);
    return 1;
}

// Channels in blocks of a register's width, for images that have as many.
static void block_channels(const cpu_build *build, conv_shape *shape) {
    const uint32_t floats = build->program->simd->floats;
    const dnnl_format_tag_t tag = floats == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    if (shape->dst.ndims != 4 || floats < 8 ||
        (shape->dst.data_type != dnnl_f32 && shape->dst.data_type != dnnl_bf16)) {
        return;
    }
    const dnnl_memory_desc_t dst = shape->dst;
    const dnnl_memory_desc_t src = shape->src;
    (void)dnnl_memory_desc_init_by_tag(&shape->dst, 4, dst.dims, dst.data_type, tag);
    if (src.dims[1] >= (int64_t)floats) {
        (void)dnnl_memory_desc_init_by_tag(&shape->src, 4, src.dims, src.data_type, tag);
    }
}

static uint32_t is_reference(const_dnnl_primitive_desc_t desc) {
    const char *name = NULL;
    return dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name) ==
               dnnl_success &&
           name != NULL && strncmp(name, "ref", 3) == 0;
}

// Adds the library's implementations of an algorithm, but its reference only where there is no
// other. Returns how many there are then.
static uint32_t add_descs(const cpu_build *build, const conv_shape *shape, dnnl_alg_kind_t alg,
                          const_dnnl_primitive_attr_t attr, uint32_t most, uint32_t count,
                          dnnl_primitive_desc_t *out_descs) {
    dnnl_convolution_desc_t conv;
    dnnl_primitive_desc_iterator_t each = NULL;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &conv, dnnl_forward_inference, alg, &shape->src, &shape->weights,
        shape->has_bias ? &shape->bias : NULL, &shape->dst, shape->window.strides,
        shape->window.dilates, shape->window.before, shape->window.after);
    if (status == dnnl_success) {
        status =
            dnnl_primitive_desc_iterator_create(&each, &conv, attr, build->program->engine, NULL);
    }
    while (status == dnnl_success && count < most) {
        dnnl_primitive_desc_t desc = dnnl_primitive_desc_iterator_fetch(each);
        if (desc == NULL || (count > 0 && is_reference(desc))) {
            (void)dnnl_primitive_desc_destroy(desc);
            break;
        }
        out_descs[count++] = desc;
        status = dnnl_primitive_desc_iterator_next(each);
    }
    (void)dnnl_primitive_desc_iterator_destroy(each);
    return count;
}

static dnnl_primitive_attr_t attr_create(cpu_build *build, const cpu_node *node,
                                         uint32_t summed_post, uint32_t *out_fused) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    *out_fused = 0;
    if (tni_cpu_ok(build, dnnl_primitive_attr_create(&attr), "attr_create") &&
        tni_cpu_ok(build, dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user),
                   "attr_set_scratchpad_mode") &&
        node != NULL && tni_cpu_ok(build, dnnl_post_ops_create(&ops), "post_ops_create") &&
        tni_cpu_posts(build, node, ops, summed_post)) {
        *out_fused =
            tni_cpu_ok(build, dnnl_primitive_attr_set_post_ops(attr, ops), "attr_set_post_ops");
    }
    (void)dnnl_post_ops_destroy(ops);
    return attr;
}

static uint32_t may_transform(const cpu_build *build, const conv_shape *shape) {
    const cpu_window *w = &shape->window;
    return w->axes == 2 && w->kernel[0] == 3 && w->kernel[1] == 3 && w->strides[0] == 1 &&
                   w->strides[1] == 1 && w->dilates[0] == 0 && w->dilates[1] == 0 &&
                   build->program->precision != TN_PRECISION_STRICT &&
                   shape->plain_weights.ndims == shape->src.ndims
               ? 1u
               : 0u;
}

// What may compute it, the library's first choice first; without measuring that alone. In a layout
// of the library's own choice Winograd is none of them: it would have to be copied to and from.
static uint32_t candidates(const cpu_build *build, const conv_shape *shape,
                           const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out_descs) {
    const uint32_t measures = (build->program->flags & TN_COMPILE_FAST) == 0;
    const uint32_t count = add_descs(build, shape, dnnl_convolution_direct, attr, 1, 0, out_descs);
    if (count == 0 || !measures || build->program->images != CPU_IMAGES_BLOCKED ||
        is_reference(out_descs[0]) || !may_transform(build, shape)) {
        return count;
    }
    return add_descs(build, shape, dnnl_convolution_winograd, attr, CPU_CANDIDATES, count,
                     out_descs);
}

static const dnnl_memory_desc_t *md_of(const_dnnl_primitive_desc_t desc, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(desc, what, 0);
}

static void emit_with(cpu_build *build, const cpu_node *node, const conv_shape *shape,
                      const_dnnl_primitive_desc_t desc, uint32_t bias, uint32_t summed,
                      uint32_t out) {
    const dnnl_memory_desc_t *weights = md_of(desc, dnnl_query_weights_md);
    const dnnl_memory_desc_t *dst = md_of(desc, dnnl_query_dst_md);
    const uint32_t x = tni_cpu_as(build, node->inputs[0], md_of(desc, dnnl_query_src_md));
    const uint32_t w = tni_cpu_packed(build, node->inputs[1], &shape->plain_weights, weights);
    const uint32_t b = bias == TN_NONE ? TN_NONE : tni_cpu_as_plain(build, bias);
    if (build->status != TN_OK) {
        return;
    }
    if (summed != TN_NONE) {
        tni_cpu_define_sum(build, out, summed, dst);
    } else {
        tni_cpu_define(build, out, dst);
    }
    const cpu_arg args[4] = {{DNNL_ARG_SRC, x, md_of(desc, dnnl_query_src_md)},
                             {DNNL_ARG_WEIGHTS, w, weights},
                             {DNNL_ARG_DST, out, dst},
                             {DNNL_ARG_BIAS, b, &shape->bias}};
    tni_cpu_step_primitive(build, desc, b == TN_NONE ? 3 : 4, args);
}

// Whether some window along an axis of the input's size has no element of it under its kernel.
static uint32_t misses_input(const cpu_window *w, uint32_t axis, int64_t size, int64_t out_size) {
    const int64_t step = w->dilates[axis] + 1;
    if (w->before[axis] < 0 || w->before[axis] / w->strides[axis] > 4096 ||
        out_size - 1 > (size - 1 + w->before[axis]) / w->strides[axis]) {
        return 1; // strange, or the last one begins behind the end
    }
    for (int64_t i = 0; i < out_size && i * w->strides[axis] < w->before[axis]; ++i) {
        const int64_t missing = w->before[axis] - i * w->strides[axis];
        const int64_t skipped = (missing + step - 1) / step;
        if (skipped >= w->kernel[axis] || skipped * step - missing >= size) {
            return 1;
        }
    }
    return 0;
}

// The post that is a sum with a tensor of the result's shape, or TN_NONE. Where a window lies
// wholly in padding the library computes such sums wrong, or runs into invalid memory.
static uint32_t sum_post(const cpu_build *build, const cpu_node *node, const cpu_window *window) {
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    for (uint32_t i = 0; i < window->axes; ++i) {
        if (misses_input(window, i, x->dims[i + 2], y->dims[i + 2])) {
            return TN_NONE;
        }
    }
    for (uint32_t i = 0; i < node->post_count; ++i) {
        if (node->posts[i].act == CPU_ACT_NONE) {
            return tni_cpu_value(build, node->posts[i].value)->count == y->count ? i : TN_NONE;
        }
    }
    return TN_NONE;
}

// What the library computes of a node: the product and the first of its posts.
typedef struct conv_choice {
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t descs[CPU_CANDIDATES];
    uint32_t count; // of algorithms
    uint32_t fused; // posts
    uint32_t sum;   // of these the one that adds a tensor, or TN_NONE
} conv_choice;

static void choice_deinit(conv_choice *c) {
    for (uint32_t i = 0; i < c->count; ++i) {
        (void)dnnl_primitive_desc_destroy(c->descs[i]);
    }
    (void)dnnl_primitive_attr_destroy(c->attr);
    *c = (conv_choice){.sum = TN_NONE};
}

// For combinations that no fast kernel has the library offers its reference, a thousand times
// slower: then fewer posts are fused.
static uint32_t try_choice(cpu_build *build, const cpu_node *node, const conv_shape *shape,
                           uint32_t posts, conv_choice *out) {
    cpu_node part = *node;
    uint32_t all = 0;
    choice_deinit(out);
    part.post_count = posts;
    out->sum = sum_post(build, &part, &shape->window);
    out->fused = posts;
    out->attr = attr_create(build, &part, out->sum, &all);
    out->count = all ? candidates(build, shape, out->attr, out->descs) : 0;
    return out->count > 0 && (posts == 0 || !is_reference(out->descs[0]));
}

// How long the choice takes, with the posts that follow as steps: these read and write the result
// once more each, at some tenths of a nanosecond an element. 0 where it cannot be measured.
static uint64_t choice_time(cpu_build *build, const cpu_node *node, const conv_choice *c) {
    uint64_t time_ns = 0;
    if (c->count == 0) {
        return 0;
    }
    (void)tni_cpu_choose(build, c->descs, c->count, c->fused, &time_ns);
    return time_ns == 0
               ? 0
               : time_ns + (uint64_t)(node->post_count - c->fused) *
                               (uint64_t)tni_cpu_value(build, node->outputs[0])->count * 2 / 5;
}

// As many posts as can be fused; or none, where that lets Winograd in and pays all the same.
static void choose(cpu_build *build, const cpu_node *node, const conv_shape *shape,
                   conv_choice *out) {
    const uint32_t sum = sum_post(build, node, &shape->window);
    *out = (conv_choice){.sum = TN_NONE};
    (void)(try_choice(build, node, shape, node->post_count, out) ||
           (sum != TN_NONE && try_choice(build, node, shape, sum, out)) ||
           try_choice(build, node, shape, 0, out));
    if (out->count != 1 || out->fused == 0 || build->program->images != CPU_IMAGES_BLOCKED ||
        (build->program->flags & TN_COMPILE_FAST) != 0 || !may_transform(build, shape)) {
        return;
    }
    conv_choice bare = {.sum = TN_NONE};
    if (try_choice(build, node, shape, 0, &bare) && bare.count > 1) {
        const uint64_t fused_ns = choice_time(build, node, out);
        const uint64_t bare_ns = choice_time(build, node, &bare);
        if (bare_ns != 0 && bare_ns < fused_ns) {
            const conv_choice better = bare;
            bare = *out;
            *out = better;
        }
    }
    choice_deinit(&bare);
}

uint64_t tni_cpu_conv_time(cpu_build *build, const cpu_node *node) {
    const uint32_t bias = node->bias != TN_NONE ? node->bias : tni_cpu_input(node, 2);
    conv_choice choice;
    conv_shape shape;
    if (tni_cpu_is_integer_product(build, node) || !describe(build, node, bias, &shape)) {
        return 0;
    }
    if (build->program->images == CPU_IMAGES_BLOCKED) {
        block_channels(build, &shape);
    }
    choose(build, node, &shape, &choice);
    const uint64_t time_ns = choice_time(build, node, &choice);
    choice_deinit(&choice);
    return time_ns;
}

void tni_cpu_emit_integer_conv(cpu_build *build, const cpu_node *node) {
    const uint32_t bias = node->bias != TN_NONE ? node->bias : tni_cpu_input(node, 2);
    int64_t scale_count = 0;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    conv_shape shape;
    if ((node->out_scale != 0.0f && !tni_cpu_posts_commute(node)) ||
        (node->out_scale == 0.0f && node->post_count > 0)) {
        tni_cpu_emit_integers_as_floats(build, node);
        return;
    }
    uint32_t inputs[2] = {tni_cpu_value(build, node->inputs[0])->quant.value,
                          tni_cpu_value(build, node->inputs[1])->quant.value};
    cpu_node integers = *node;
    integers.inputs = inputs;
    const float *scales = tni_cpu_accumulator_scales(build, node, &scale_count);
    const uint32_t units = scales == NULL || bias == TN_NONE
                               ? TN_NONE
                               : tni_cpu_accumulator_bias(build, bias, scales, scale_count);
    if (build->status != TN_OK || !describe(build, &integers, units, &shape)) {
        return;
    }
    if (tni_cpu_integer_attr(build, node, scales, scale_count, 2, &attr) &&
        add_descs(build, &shape, dnnl_convolution_direct, attr, 1, 0, &desc) == 0) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED,
                                 "the library has no such convolution of integers");
    }
    if (build->status == TN_OK) {
        emit_with(build, &integers, &shape, desc, units, TN_NONE, node->outputs[0]);
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
}

void tni_cpu_emit_conv(cpu_build *build, const cpu_node *node) {
    if (tni_cpu_is_integer_product(build, node)) {
        tni_cpu_emit_integer_conv(build, node);
        return;
    }
    const uint32_t bias = node->bias != TN_NONE ? node->bias : tni_cpu_input(node, 2);
    conv_shape shape;
    if (!describe(build, node, bias, &shape)) {
        return;
    }
    if (build->program->images == CPU_IMAGES_BLOCKED) {
        block_channels(build, &shape);
    }
    conv_choice choice;
    choose(build, node, &shape, &choice);
    if (build->status == TN_OK && choice.count == 0) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED,
                                 "the library has no such convolution");
    }
    const cpu_value y = *tni_cpu_value(build, node->outputs[0]);
    const uint32_t out = choice.fused < node->post_count
                             ? tni_cpu_value_new(build, y.dtype, y.rank, y.dims)
                             : node->outputs[0];
    if (build->status == TN_OK) {
        const uint32_t best = tni_cpu_choose(build, choice.descs, choice.count, choice.fused, NULL);
        if (shape.src.data_type == dnnl_bf16) {
            build->out->numerics = TN_NUMERICS_REDUCED;
        } else if (best > 0 && build->out->numerics < TN_NUMERICS_WINOGRAD) {
            build->out->numerics = TN_NUMERICS_WINOGRAD;
        }
        emit_with(build, node, &shape, choice.descs[best], bias,
                  choice.sum != TN_NONE ? node->posts[choice.sum].value : TN_NONE, out);
        cpu_node rest = *node;
        rest.post_count -= choice.fused;
        for (uint32_t i = 0; i < rest.post_count; ++i) {
            rest.posts[i] = node->posts[i + choice.fused];
        }
        if (rest.post_count > 0) {
            tni_cpu_emit_posts(build, &rest, out);
        }
    }
    choice_deinit(&choice);
}

// Weights are [in, out / groups, ...]: the library wants them as if out came first.
static dnnl_memory_desc_t transposed_weights(const cpu_value *weights, int64_t group) {
    int64_t dims[CPU_MAX_RANK + 1];
    const uint32_t grouped = group > 1 ? 1u : 0u;
    dims[0] = group;
    dims[grouped] = weights->dims[0] / group;
    for (uint32_t axis = 1; axis < weights->rank; ++axis) {
        dims[axis + grouped] = weights->dims[axis];
    }
    const dnnl_memory_desc_t as_written =
        tni_cpu_plain(weights->dtype, weights->rank + grouped, dims);
    int order[CPU_MAX_RANK + 1];
    for (int i = 0; i < as_written.ndims; ++i) {
        order[i] = i;
    }
    order[grouped] = (int)grouped + 1;
    order[grouped + 1] = (int)grouped;
    dnnl_memory_desc_t swapped;
    (void)dnnl_memory_desc_permute_axes(&swapped, &as_written, order);
    return swapped;
}

void tni_cpu_emit_conv_transpose(cpu_build *build, const cpu_node *node) {
    const uint32_t bias = node->bias != TN_NONE ? node->bias : tni_cpu_input(node, 2);
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const cpu_value *w = tni_cpu_value(build, node->inputs[1]);
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    const int64_t group = tni_cpu_int(build, node, "group", 1);
    conv_shape shape = {.has_bias = bias != TN_NONE};
    if (group < 1 || w->rank != x->rank || w->dims[0] != x->dims[1] || w->dims[0] % group != 0 ||
        y->rank != x->rank || y->dims[1] != w->dims[1] * group) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "channels do not fit");
        return;
    }
    // It is the convolution from y to x, backwards: so are its paddings.
    if (!tni_cpu_window(build, node, y, x, w->dims + 2, &shape.window)) {
        return;
    }
    for (uint32_t i = 0; i < shape.window.axes; ++i) {
        // output_padding lengthens the end: as negative padding there.
        const cpu_window *v = &shape.window;
        const int64_t full = (x->dims[i + 2] - 1) * v->strides[i] +
                             (v->kernel[i] - 1) * (v->dilates[i] + 1) + 1 - v->before[i];
        shape.window.after[i] = full - y->dims[i + 2];
    }
    shape.plain_weights = transposed_weights(w, group);
    shape.src = any_of(tni_cpu_plain_of(x));
    shape.weights = any_of(shape.plain_weights);
    shape.dst = any_of(tni_cpu_plain_of(y));
    shape.bias = tni_cpu_plain(TN_DTYPE_FLOAT, 1, &y->dims[1]);
    uint32_t ignored = 0;
    dnnl_primitive_attr_t attr = attr_create(build, NULL, TN_NONE, &ignored);
    dnnl_primitive_desc_t desc = NULL;
    dnnl_deconvolution_desc_t deconv;
    dnnl_status_t status = dnnl_dilated_deconvolution_forward_desc_init(
        &deconv, dnnl_forward_inference, dnnl_deconvolution_direct, &shape.src, &shape.weights,
        shape.has_bias ? &shape.bias : NULL, &shape.dst, shape.window.strides, shape.window.dilates,
        shape.window.before, shape.window.after);
    if (status == dnnl_success) {
        status = dnnl_primitive_desc_create(&desc, &deconv, attr, build->program->engine, NULL);
    }
    const uint32_t out = node->post_count > 0 ? tni_cpu_value_new(build, y->dtype, y->rank, y->dims)
                                              : node->outputs[0];
    if (tni_cpu_ok(build, status, "deconvolution")) {
        emit_with(build, node, &shape, desc, bias, TN_NONE, out);
        tni_cpu_emit_posts(build, node, out);
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
}
