// SPDX-License-Identifier: Apache-2.0
// What may compute a convolution: one direct algorithm, with as many of the posts as it can fuse,
// and Winograd, where channels lie in blocks and the layer is worth it.
#include "conv_choice.h"

#include <string.h>

// Fewer products than this are not worth a transformation: some 50 microseconds.
#define TRANSFORM_PRODUCTS 4e6
// Nor are weights that are so many times as large as the images: they are read once, and
// transformed they are up to four times larger.
#define TRANSFORM_WEIGHTS 16.0
// Nor is so much memory for one layer: the library's scratchpad has as much once more. Two layers
// of U-Net would take 130 MB more for a tenth of its time.
#define TRANSFORMED_BYTES 64e6

// More products than this show nothing new: some 10 milliseconds. Nor do fewer rows than this show
// enough: Winograd's tiles are computed together.
#define TRIAL_PRODUCTS 1e9
#define LEAST_ROWS 16

// Weights of several groups have one more axis in front.
static dnnl_memory_desc_t weights_of(const cpu_value *weights, int64_t group) {
    int64_t dims[CPU_MAX_RANK + 1] = {0};
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

uint32_t tni_cpu_conv_describe(cpu_build *build, const cpu_node *node, uint32_t bias,
                               cpu_conv_shape *out) {
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const cpu_value *w = tni_cpu_value(build, node->inputs[1]);
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    const int64_t group = tni_cpu_int(build, node, "group", 1);
    if (!tni_cpu_window(build, node, x, y, w->dims + 2, &out->window)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "there is no such window");
        return 0;
    }
    out->plain_weights = weights_of(w, group);
    out->src = tni_cpu_any_of(tni_cpu_plain_of(x));
    out->weights = tni_cpu_any_of(out->plain_weights);
    out->dst = tni_cpu_any_of(tni_cpu_plain_of(y));
    if (x->dtype == TN_DTYPE_FLOAT && w->rank == 4) {
        // What is read from the model is floats; what is computed with may be narrower.
        out->src.data_type = build->program->narrow ? dnnl_bf16 : dnnl_f32;
        out->weights.data_type = out->src.data_type;
        out->dst.data_type = out->src.data_type;
    }
    out->has_bias = bias != TN_NONE;
    out->bias = tni_cpu_plain(TN_DTYPE_FLOAT, 1, &y->dims[1]);
    return 1;
}

void tni_cpu_conv_arrange(const cpu_build *build, cpu_conv_shape *shape) {
    if (build->program->images != CPU_IMAGES_BLOCKED) {
        return;
    }
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

static const char *name_of(const_dnnl_primitive_desc_t desc) {
    const char *name = NULL;
    const dnnl_status_t status =
        dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name);
    return status == dnnl_success && name != NULL ? name : "";
}

static uint32_t is_reference(const_dnnl_primitive_desc_t desc) {
    return strncmp(name_of(desc), "ref", 3) == 0;
}

// Once primitives are in the library's cache, it lists one where others would have stood.
static uint32_t is_listed(const cpu_conv_choice *choice, const_dnnl_primitive_desc_t desc,
                          uint32_t posts) {
    for (uint32_t i = 0; i < choice->count; ++i) {
        const cpu_conv_way *way = &choice->ways[i];
        if (way->fused == posts && strcmp(name_of(way->desc), name_of(desc)) == 0) {
            return 1;
        }
    }
    return 0;
}

uint32_t tni_cpu_conv_descs(const cpu_build *build, const cpu_conv_shape *shape,
                            dnnl_alg_kind_t alg, const_dnnl_primitive_attr_t attr, uint32_t most,
                            dnnl_primitive_desc_t *out_descs) {
    dnnl_convolution_desc_t conv;
    dnnl_primitive_desc_iterator_t each = NULL;
    uint32_t count = 0;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &conv, dnnl_forward_inference, alg, &shape->src, &shape->weights,
        shape->has_bias ? &shape->bias : NULL, &shape->dst, shape->window.strides,
        shape->window.dilates, shape->window.before, shape->window.after);
    if (status == dnnl_success) {
        status =
            dnnl_primitive_desc_iterator_create(&each, &conv, attr, build->program->engine, NULL);
    }
    while (status == dnnl_success && count < most) {
        out_descs[count] = dnnl_primitive_desc_iterator_fetch(each);
        if (out_descs[count] == NULL) {
            break;
        }
        ++count;
        status = dnnl_primitive_desc_iterator_next(each);
    }
    (void)dnnl_primitive_desc_iterator_destroy(each);
    return count;
}

// Whether Winograd is worth trying: not in a layout of the library's own choice, from and to which
// it would have to be copied, and not where little is to be gained.
static uint32_t may_transform(const cpu_build *build, const cpu_conv_shape *shape) {
    const cpu_window *w = &shape->window;
    const dnnl_dim_t *weights = shape->plain_weights.dims;
    const dnnl_dim_t *dst = shape->dst.dims;
    if (!tni_cpu_measures(build->program) || build->program->images != CPU_IMAGES_BLOCKED ||
        w->axes != 2 || shape->plain_weights.ndims != shape->src.ndims) {
        return 0;
    }
    const double kernels = (double)weights[0] * (double)weights[1];
    const double weight_count = kernels * 9.0;
    const double pixels = (double)dst[0] * (double)dst[2] * (double)dst[3];
    const double image_count = pixels * ((double)weights[0] + (double)weights[1]);
    return w->kernel[0] == 3 && w->kernel[1] == 3 && w->strides[0] == 1 && w->strides[1] == 1 &&
                   w->dilates[0] == 0 && w->dilates[1] == 0 &&
                   weight_count * pixels >= TRANSFORM_PRODUCTS &&
                   weight_count <= TRANSFORM_WEIGHTS * image_count &&
                   kernels * 36.0 * sizeof(float) <= TRANSFORMED_BYTES
               ? 1u
               : 0u;
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
    return tni_cpu_sum_post(build, node);
}

// Adds the ways that an algorithm offers with the first posts fused. The library's reference, a
// thousand times slower, is one only where nothing is fused and no other is known.
static void add_ways(cpu_build *build, const cpu_node *node, const cpu_conv_shape *shape,
                     dnnl_alg_kind_t alg, uint32_t posts, cpu_conv_choice *choice) {
    cpu_node part = *node;
    part.post_count = posts;
    const uint32_t sum = sum_post(build, &part, &shape->window);
    const uint32_t most = alg == dnnl_convolution_direct ? 1 : CPU_CANDIDATES - choice->count;
    dnnl_primitive_desc_t descs[CPU_CANDIDATES];
    uint32_t all = 0;
    dnnl_primitive_attr_t attr = tni_cpu_attr_with_posts(build, &part, sum, &all);
    const uint32_t count = all ? tni_cpu_conv_descs(build, shape, alg, attr, most, descs) : 0;
    for (uint32_t i = 0; i < count; ++i) {
        if (((posts > 0 || choice->count > 0) && is_reference(descs[i])) ||
            is_listed(choice, descs[i], posts)) {
            (void)dnnl_primitive_desc_destroy(descs[i]);
        } else {
            choice->ways[choice->count++] = (cpu_conv_way){descs[i], posts, sum};
        }
    }
    (void)dnnl_primitive_attr_destroy(attr);
}

// Directly with as many posts as can be fused; by Winograd with as many, or with none.
void tni_cpu_conv_choice_init(cpu_build *build, const cpu_node *node, const cpu_conv_shape *shape,
                              cpu_conv_choice *out) {
    const uint32_t sum = sum_post(build, node, &shape->window);
    const uint32_t posts[3] = {node->post_count, sum != TN_NONE ? sum : 0, 0};
    out->count = 0;
    for (uint32_t i = 0; i < 3 && out->count == 0; ++i) {
        if (i == 0 || posts[i] < posts[i - 1]) {
            add_ways(build, node, shape, dnnl_convolution_direct, posts[i], out);
        }
    }
    if (out->count == 0 || is_reference(out->ways[0].desc) || !may_transform(build, shape)) {
        return;
    }
    add_ways(build, node, shape, dnnl_convolution_winograd, out->ways[0].fused, out);
    if (out->count == 1 && out->ways[0].fused > 0) {
        add_ways(build, node, shape, dnnl_convolution_winograd, 0, out);
    }
}

void tni_cpu_conv_choice_deinit(cpu_conv_choice *choice) {
    for (uint32_t i = 0; i < choice->count; ++i) {
        (void)dnnl_primitive_desc_destroy(choice->ways[i].desc);
    }
    choice->count = 0;
}

// The upper rows of a large image tell as well which way is the fastest. Returns 0 where it is not
// large.
static uint32_t upper_rows(const cpu_build *build, const cpu_conv_shape *shape,
                           cpu_conv_shape *out) {
    const dnnl_dim_t *dst = shape->dst.dims;
    const dnnl_dim_t *weights = shape->plain_weights.dims;
    if (shape->window.axes != 2 || shape->window.strides[0] != 1 ||
        shape->plain_weights.ndims != 4 || dst[2] < 2 * LEAST_ROWS) {
        return 0;
    }
    const double row_products = (double)dst[0] * (double)dst[1] * (double)dst[3] *
                                (double)weights[1] * (double)weights[2] * (double)weights[3];
    const double enough = TRIAL_PRODUCTS / row_products;
    if (!(enough < (double)(dst[2] / 2)) || shape->src.dims[2] < dst[2]) {
        return 0;
    }
    const int64_t blocks = (int64_t)enough / LEAST_ROWS;
    const int64_t rows = blocks > 0 ? blocks * LEAST_ROWS : LEAST_ROWS;
    dnnl_memory_desc_t src = shape->src;
    dnnl_memory_desc_t part = shape->dst;
    src.dims[2] -= dst[2] - rows;
    part.dims[2] = rows;
    *out = *shape;
    out->src = tni_cpu_any_of(src);
    out->dst = tni_cpu_any_of(part);
    tni_cpu_conv_arrange(build, out);
    return 1;
}

static uint32_t same_ways(const cpu_conv_choice *a, const cpu_conv_choice *b) {
    uint32_t same = a->count == b->count;
    for (uint32_t i = 0; i < a->count && same; ++i) {
        same = a->ways[i].fused == b->ways[i].fused &&
               strcmp(name_of(a->ways[i].desc), name_of(b->ways[i].desc)) == 0;
    }
    return same;
}

// The ways of a convolution as they are tried.
typedef struct conv_trial {
    cpu_conv_choice part; // of the upper rows; none where all are tried
    int64_t rows;         // of so many
    int64_t all_rows;
} conv_trial;

// Posts that are not fused are steps: these read and write the result once more each, at some
// tenths of a nanosecond an element.
static void trial_init(cpu_build *build, const cpu_node *node, const cpu_conv_shape *shape,
                       const cpu_conv_choice *choice, conv_trial *out, cpu_contender *out_all) {
    cpu_conv_shape upper;
    const uint64_t count = (uint64_t)tni_cpu_value(build, node->outputs[0])->count;
    *out = (conv_trial){.rows = 1, .all_rows = 1};
    if (upper_rows(build, shape, &upper)) {
        tni_cpu_conv_choice_init(build, node, &upper, &out->part);
        if (same_ways(choice, &out->part)) {
            out->rows = upper.dst.dims[2];
            out->all_rows = shape->dst.dims[2];
        } else {
            tni_cpu_conv_choice_deinit(&out->part);
        }
    }
    const uint64_t tried = count / (uint64_t)out->all_rows * (uint64_t)out->rows;
    for (uint32_t i = 0; i < choice->count; ++i) {
        const cpu_conv_way *way = out->part.count > 0 ? &out->part.ways[i] : &choice->ways[i];
        out_all[i] = (cpu_contender){.desc = way->desc,
                                     .extra_ns = (node->post_count - way->fused) * (tried * 2 / 5)};
    }
}

uint32_t tni_cpu_conv_choose(cpu_build *build, const cpu_node *node, const cpu_conv_shape *shape,
                             const cpu_conv_choice *choice) {
    cpu_contender all[CPU_CANDIDATES];
    conv_trial trial;
    if (choice->count < 2) {
        return 0;
    }
    trial_init(build, node, shape, choice, &trial, all);
    const uint32_t best = tni_cpu_choose(build, all, choice->count);
    tni_cpu_conv_choice_deinit(&trial.part);
    return best;
}

void tni_cpu_conv_times(cpu_build *build, const cpu_node *node, uint32_t count,
                        const cpu_arrangement *arrangements, uint64_t *out_ns) {
    cpu_conv_choice choices[CPU_ARRANGEMENTS];
    conv_trial trials[CPU_ARRANGEMENTS];
    cpu_contender all[CPU_CONTENDERS] = {{.desc = NULL}};
    uint64_t took[CPU_CONTENDERS];
    uint32_t begins[CPU_ARRANGEMENTS + 1] = {0};
    for (uint32_t i = 0; i < count; ++i) {
        cpu_conv_shape shape;
        choices[i].count = 0;
        trials[i].part.count = 0;
        tni_cpu_arrange(build->program, arrangements[i]);
        if (tni_cpu_conv_describe(build, node, tni_cpu_bias(node), &shape)) {
            tni_cpu_conv_arrange(build, &shape);
            tni_cpu_conv_choice_init(build, node, &shape, &choices[i]);
            trial_init(build, node, &shape, &choices[i], &trials[i], all + begins[i]);
        }
        begins[i + 1] = begins[i] + choices[i].count;
    }
    tni_cpu_race(build, all, begins[count], took);
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t own = begins[i];
        const uint32_t best = tni_cpu_remember(build, all + own, choices[i].count, took + own);
        const uint64_t time = choices[i].count > 0 ? took[own + best] : UINT64_MAX;
        out_ns[i] = time == UINT64_MAX
                        ? time
                        : time / (uint64_t)trials[i].rows * (uint64_t)trials[i].all_rows;
        tni_cpu_conv_choice_deinit(&choices[i]);
        tni_cpu_conv_choice_deinit(&trials[i].part);
    }
}
