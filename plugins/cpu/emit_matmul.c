// SPDX-License-Identifier: Apache-2.0
// MatMul and Gemm. Operands may be transposed or strided views; constant weights are packed as the
// library likes them, and the rows of a batch are one matrix where it multiplies one weight.
#include "choose.h"

#include <string.h>

// Fewer rows are not worth bringing to another type, and more than the others show nothing new.
#define FEW_ROWS 8
#define MANY_ROWS 512

// One product as the library sees it.
typedef struct product {
    dnnl_memory_desc_t a;
    dnnl_memory_desc_t b;
    dnnl_memory_desc_t c;
    dnnl_memory_desc_t plain_b; // of a constant: its own bytes with the axes of b
    uint32_t b_packed;          // b is a constant that the library lays out
    uint32_t bias;              // value, or TN_NONE
} product;

// Whether the library's fast kernels read it: rows or columns are runs, nothing is blocked.
static uint32_t is_matrix(const dnnl_memory_desc_t *layout) {
    const dnnl_blocking_desc_t *blocking = &layout->format_desc.blocking;
    const int rank = layout->ndims;
    return layout->format_kind == dnnl_blocked && layout->data_type == dnnl_f32 &&
                   blocking->inner_nblks == 0 && rank >= 2 &&
                   (blocking->strides[rank - 1] == 1 || blocking->strides[rank - 2] == 1)
               ? 1u
               : 0u;
}

// A value as rank axes, ones in front; the layout moves nothing.
static dnnl_memory_desc_t with_rank(const dnnl_memory_desc_t *layout, int rank) {
    dnnl_dims_t dims;
    dnnl_memory_desc_t longer = *layout;
    const int extra = rank - layout->ndims;
    if (extra <= 0) {
        return longer;
    }
    for (int i = 0; i < rank; ++i) {
        dims[i] = i < extra ? 1 : layout->dims[i - extra];
    }
    (void)dnnl_memory_desc_reshape(&longer, layout, rank, dims);
    return longer;
}

static uint32_t as_matrix(cpu_build *build, uint32_t value) {
    tni_cpu_materialize(build, value);
    const cpu_value *v = tni_cpu_value(build, value);
    return v->storage != TN_NONE && is_matrix(&v->layout) ? value : tni_cpu_as_plain(build, value);
}

static dnnl_primitive_desc_t desc_create(cpu_build *build, const cpu_node *node, const product *p,
                                         uint32_t summed_post, uint32_t *out_fused) {
    dnnl_primitive_desc_t desc = NULL;
    dnnl_matmul_desc_t matmul;
    dnnl_memory_desc_t bias = p->c; // any field will do where there is none
    if (p->bias != TN_NONE) {
        dnnl_dims_t dims;
        for (int i = 0; i < p->c.ndims; ++i) {
            dims[i] = i + 1 < p->c.ndims ? 1 : p->c.dims[i];
        }
        bias = tni_cpu_plain(TN_DTYPE_FLOAT, (uint32_t)p->c.ndims, dims);
    }
    const dnnl_memory_desc_t b = p->b_packed ? tni_cpu_any_of(p->b) : p->b;
    dnnl_primitive_attr_t attr = tni_cpu_attr_with_posts(build, node, summed_post, out_fused);
    if (build->status == TN_OK && (node == NULL || *out_fused)) {
        dnnl_status_t status =
            dnnl_matmul_desc_init(&matmul, &p->a, &b, p->bias != TN_NONE ? &bias : NULL, &p->c);
        if (status == dnnl_success) {
            status = dnnl_primitive_desc_create(&desc, &matmul, attr, build->program->engine, NULL);
        }
        desc = status == dnnl_success ? desc : NULL;
    }
    *out_fused = desc != NULL ? *out_fused : 0;
    (void)dnnl_primitive_attr_destroy(attr);
    return desc;
}

// Emits the product into the node's output, whose layout is given.
static void emit_product(cpu_build *build, const cpu_node *node, product *p, uint32_t a, uint32_t b,
                         const dnnl_memory_desc_t *out_layout) {
    uint32_t fused = 0;
    uint32_t out = node->outputs[0];
    const uint32_t sum = tni_cpu_sum_post(build, node);
    dnnl_primitive_desc_t desc = desc_create(build, node, p, sum, &fused);
    if (desc == NULL && build->status == TN_OK) {
        uint32_t ignored = 0;
        desc = desc_create(build, NULL, p, TN_NONE, &ignored);
        out = tni_cpu_before_posts(build, node);
    }
    if (desc == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "the library has no such product");
        return;
    }
    const dnnl_memory_desc_t *weights =
        dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    const uint32_t w = p->b_packed ? tni_cpu_packed(build, b, &p->plain_b, weights) : b;
    const uint32_t bias = p->bias == TN_NONE ? TN_NONE : tni_cpu_as_plain(build, p->bias);
    if (fused && sum != TN_NONE) {
        tni_cpu_define_sum(build, out, node->posts[sum].value, out_layout);
    } else {
        tni_cpu_define(build, out, out_layout);
    }
    if (build->status == TN_OK) {
        const cpu_arg args[4] = {
            {DNNL_ARG_SRC, a, &p->a},
            {DNNL_ARG_WEIGHTS, w, weights},
            {DNNL_ARG_DST, out, &p->c},
            {DNNL_ARG_BIAS, bias, dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 1)}};
        tni_cpu_step_primitive(build, desc, bias == TN_NONE ? 3 : 4, args);
        if (!fused && node->post_count > 0) {
            tni_cpu_emit_posts(build, node, out);
        }
    }
    (void)dnnl_primitive_desc_destroy(desc);
}

// Factors in bfloat16; the product stays floats.
static uint32_t narrow_rows(cpu_build *build, uint32_t x, product *p) {
    const uint32_t plain = tni_cpu_as_plain(build, x);
    if (plain == TN_NONE) {
        return TN_NONE;
    }
    dnnl_memory_desc_t layout = tni_cpu_value(build, plain)->layout;
    layout.data_type = dnnl_bf16;
    p->a = tni_cpu_plain(TN_DTYPE_BFLOAT16, 2, p->a.dims);
    p->b.data_type = dnnl_bf16;
    build->out->numerics = TN_NUMERICS_REDUCED;
    return tni_cpu_as(build, plain, &layout);
}

// Whether bfloat16 pays for a product with so many rows, bringing them there included. Measured
// with rows a power of two, so that new sizes rarely measure anew; posts cost the same either way.
static uint32_t narrow_pays(cpu_build *build, const product *p) {
    const int64_t k = p->a.dims[1];
    int64_t rows = FEW_ROWS;
    while (rows < p->a.dims[0] && rows < MANY_ROWS) {
        rows *= 2;
    }
    if (!tni_cpu_measures(build->program)) {
        return tni_cpu_narrow_is_safe();
    }
    product wide = {.plain_b = p->plain_b, .b = p->b, .b_packed = 1, .bias = p->bias};
    wide.a = tni_cpu_plain(TN_DTYPE_FLOAT, 2, (const int64_t[]){rows, k});
    wide.c = tni_cpu_plain(TN_DTYPE_FLOAT, 2, (const int64_t[]){rows, p->b.dims[1]});
    product narrow = wide;
    narrow.a = tni_cpu_plain(TN_DTYPE_BFLOAT16, 2, wide.a.dims);
    narrow.b.data_type = dnnl_bf16;
    uint32_t ignored = 0;
    dnnl_primitive_desc_t descs[2] = {desc_create(build, NULL, &wide, TN_NONE, &ignored),
                                      desc_create(build, NULL, &narrow, TN_NONE, &ignored)};
    const cpu_contender all[2] = {{descs[0], 0}, {descs[1], (uint64_t)(rows * k) * 3 / 10}};
    const uint32_t pays = descs[0] != NULL && descs[1] != NULL && tni_cpu_choose(build, all, 2) > 0;
    (void)dnnl_primitive_desc_destroy(descs[0]);
    (void)dnnl_primitive_desc_destroy(descs[1]);
    return pays;
}

static void emit_integer_rows(cpu_build *build, const cpu_node *node, uint32_t transposed) {
    const uint32_t bias = tni_cpu_bias(node);
    const uint32_t w = tni_cpu_value(build, node->inputs[1])->quant.value;
    const cpu_value weights = *tni_cpu_value(build, w);
    const uint32_t out = node->outputs[0];
    const cpu_value y = *tni_cpu_value(build, out);
    const int64_t k = weights.dims[transposed ? 1 : 0];
    const int64_t n = weights.dims[transposed ? 0 : 1];
    const dnnl_dims_t a_dims = {y.count / n, k};
    const dnnl_dims_t c_dims = {y.count / n, n};
    const dnnl_dims_t bias_dims = {1, n};
    int64_t scale_count = 0;
    if ((node->out_scale != 0.0f && !tni_cpu_posts_commute(node)) ||
        (node->out_scale == 0.0f && node->post_count > 0)) {
        tni_cpu_emit_integers_as_floats(build, node);
        return;
    }
    const float *scales = tni_cpu_accumulator_scales(build, node, &scale_count);
    const uint32_t units = scales == NULL || bias == TN_NONE
                               ? TN_NONE
                               : tni_cpu_accumulator_bias(build, bias, scales, scale_count);
    const uint32_t x = tni_cpu_as_plain(build, tni_cpu_value(build, node->inputs[0])->quant.value);
    const uint32_t b = units == TN_NONE ? TN_NONE : tni_cpu_as_plain(build, units);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    if (build->status != TN_OK) {
        return;
    }
    const dnnl_memory_desc_t a_layout = tni_cpu_plain(tni_cpu_value(build, x)->dtype, 2, a_dims);
    const dnnl_memory_desc_t c_layout = tni_cpu_plain(y.dtype, 2, c_dims);
    const dnnl_memory_desc_t bias_layout = tni_cpu_plain(TN_DTYPE_FLOAT, 2, bias_dims);
    const dnnl_memory_desc_t written = tni_cpu_plain(weights.dtype, 2, weights.dims);
    const dnnl_memory_desc_t plain_b = transposed ? tni_cpu_transposed(&written) : written;
    const dnnl_memory_desc_t any_b = tni_cpu_any_of(plain_b);
    dnnl_matmul_desc_t matmul;
    if (tni_cpu_integer_attr(build, node, scales, scale_count, 2, &attr)) {
        const dnnl_status_t status = dnnl_matmul_desc_init(
            &matmul, &a_layout, &any_b, b == TN_NONE ? NULL : &bias_layout, &c_layout);
        desc = tni_cpu_desc(build, status, &matmul, attr, "product of integers");
    }
    if (build->status == TN_OK) {
        const dnnl_memory_desc_t *packed =
            dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
        const uint32_t weight = tni_cpu_packed(build, w, &plain_b, packed);
        tni_cpu_define_plain(build, out);
        if (build->status == TN_OK) {
            const cpu_arg args[4] = {{DNNL_ARG_SRC, x, &a_layout},
                                     {DNNL_ARG_WEIGHTS, weight, packed},
                                     {DNNL_ARG_DST, out, &c_layout},
                                     {DNNL_ARG_BIAS, b, &bias_layout}};
            tni_cpu_step_primitive(build, desc, b == TN_NONE ? 3 : 4, args);
        }
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
}

// x [..., k] times one weight [k, n]: all rows at once.
static void emit_rows(cpu_build *build, const cpu_node *node, uint32_t transposed) {
    const cpu_value w = *tni_cpu_value(build, node->inputs[1]);
    const cpu_value y = *tni_cpu_value(build, node->outputs[0]);
    const int64_t k = w.dims[transposed ? 1 : 0];
    const int64_t n = w.dims[transposed ? 0 : 1];
    const int64_t rows = y.count / n;
    const dnnl_dims_t a_dims = {rows, k};
    const dnnl_dims_t c_dims = {rows, n};
    product p = {.b_packed = 1, .bias = tni_cpu_bias(node)};
    uint32_t x = node->inputs[0];
    if (tni_cpu_value(build, x)->count != rows * k) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "the shapes do not fit");
        return;
    }
    // A strided view can be read as rows where its leading axes follow each other.
    if (tni_cpu_value(build, x)->storage == TN_NONE ||
        dnnl_memory_desc_reshape(&p.a, &tni_cpu_value(build, x)->layout, 2, a_dims) !=
            dnnl_success ||
        !is_matrix(&p.a)) {
        x = tni_cpu_as_plain(build, x);
        p.a = tni_cpu_plain(TN_DTYPE_FLOAT, 2, a_dims);
    }
    const dnnl_memory_desc_t written = tni_cpu_plain(TN_DTYPE_FLOAT, 2, w.dims);
    p.plain_b = transposed ? tni_cpu_transposed(&written) : written;
    p.b = p.plain_b;
    if (tni_cpu_may_narrow(build->program) && rows >= FEW_ROWS && narrow_pays(build, &p)) {
        x = narrow_rows(build, x, &p);
    }
    p.c = tni_cpu_plain(TN_DTYPE_FLOAT, 2, c_dims);
    const dnnl_memory_desc_t out = tni_cpu_plain_of(&y);
    emit_product(build, node, &p, x, node->inputs[1], &out);
}

static uint32_t is_constant(const cpu_build *build, uint32_t value) {
    const cpu_value *v = tni_cpu_value(build, value);
    const uint32_t integers = v->quant.value;
    return v->constant != TN_NONE || v->data != NULL ||
                   (integers != TN_NONE && tni_cpu_value(build, integers)->constant != TN_NONE)
               ? 1u
               : 0u;
}

void tni_cpu_emit_matmul(cpu_build *build, const cpu_node *node) {
    const cpu_value *w = tni_cpu_value(build, node->inputs[1]);
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    if (x->rank < 2 || w->rank < 2) {
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "a factor is a vector");
        return;
    }
    if (tni_cpu_is_integer_product(build, node)) {
        emit_integer_rows(build, node, 0);
        return;
    }
    if (tni_cpu_is_nibble_product(build, node)) {
        tni_cpu_emit_nibble_product(build, node);
        return;
    }
    if (w->rank == 2 && is_constant(build, node->inputs[1])) {
        emit_rows(build, node, 0);
        return;
    }
    const int rank = (int)(x->rank > w->rank ? x->rank : w->rank);
    const uint32_t a = as_matrix(build, node->inputs[0]);
    const uint32_t b = as_matrix(build, node->inputs[1]);
    if (build->status != TN_OK) {
        return;
    }
    dnnl_memory_desc_t out = tni_cpu_wanted(build, node->outputs[0]);
    product p = {.a = with_rank(&tni_cpu_value(build, a)->layout, rank),
                 .b = with_rank(&tni_cpu_value(build, b)->layout, rank),
                 .c = out,
                 .bias = node->bias};
    emit_product(build, node, &p, a, b, &out);
}

// alpha and beta are 1 and the first matrix is as it is, or the verdict was no.
void tni_cpu_emit_gemm(cpu_build *build, const cpu_node *node) {
    if (tni_cpu_is_integer_product(build, node)) {
        emit_integer_rows(build, node, tni_cpu_int(build, node, "transB", 0) != 0);
        return;
    }
    emit_rows(build, node, tni_cpu_int(build, node, "transB", 0) != 0);
}
