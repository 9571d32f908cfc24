// SPDX-License-Identifier: Apache-2.0
// What is done to a result before it is written: as post-ops of a primitive where the library can,
// as steps of their own where it cannot.
#include "build.h"

uint32_t tni_cpu_dnnl_act(const cpu_post *post, dnnl_alg_kind_t *out_alg, float *out_a,
                          float *out_b) {
    *out_a = 0.0f;
    *out_b = 0.0f;
    switch (post->act) {
    case CPU_ACT_RELU:
        *out_alg = dnnl_eltwise_relu;
        *out_a = post->a;
        return 1;
    case CPU_ACT_CLIP:
        if (!(post->a <= post->b)) {
            return 0; // the library wants them in order
        }
        *out_alg = dnnl_eltwise_clip;
        *out_a = post->a;
        *out_b = post->b;
        return 1;
    case CPU_ACT_SIGMOID:
        *out_alg = dnnl_eltwise_logistic;
        return 1;
    case CPU_ACT_TANH:
        *out_alg = dnnl_eltwise_tanh;
        return 1;
    case CPU_ACT_GELU:
        *out_alg = dnnl_eltwise_gelu_erf;
        return 1;
    case CPU_ACT_GELU_TANH:
        *out_alg = dnnl_eltwise_gelu_tanh;
        return 1;
    case CPU_ACT_SILU:
        *out_alg = dnnl_eltwise_swish;
        *out_a = 1.0f;
        return 1;
    case CPU_ACT_HARD_SWISH:
        *out_alg = dnnl_eltwise_hardswish;
        return 1;
    case CPU_ACT_ELU:
        *out_alg = dnnl_eltwise_elu;
        *out_a = post->a;
        return 1;
    case CPU_ACT_ABS:
        *out_alg = dnnl_eltwise_abs;
        return 1;
    case CPU_ACT_SQRT:
        *out_alg = dnnl_eltwise_sqrt;
        return 1;
    case CPU_ACT_SQUARE:
        *out_alg = dnnl_eltwise_square;
        return 1;
    case CPU_ACT_LINEAR:
        *out_alg = dnnl_eltwise_linear;
        *out_a = post->a;
        *out_b = post->b;
        return 1;
    default:
        return 0;
    }
}

// Returns 0 where the library has no such posts, or fails.
static uint32_t append_posts(cpu_build *build, const cpu_node *node, dnnl_post_ops_t ops,
                             uint32_t summed_post) {
    for (uint32_t i = 0; i < node->post_count; ++i) {
        const cpu_post *post = &node->posts[i];
        if (post->act == CPU_ACT_NONE) {
            if (i != summed_post) {
                return 0;
            }
            if (!tni_cpu_ok(build, dnnl_post_ops_append_sum(ops, 1.0f), "append_sum")) {
                return 0;
            }
            continue;
        }
        dnnl_alg_kind_t alg = dnnl_alg_kind_undef;
        float a = 0.0f;
        float b = 0.0f;
        if (!tni_cpu_dnnl_act(post, &alg, &a, &b) ||
            !tni_cpu_ok(build, dnnl_post_ops_append_eltwise(ops, 1.0f, alg, a, b),
                        "append_eltwise")) {
            return 0;
        }
    }
    return 1;
}

dnnl_primitive_attr_t tni_cpu_attr_with_posts(cpu_build *build, const cpu_node *node,
                                              uint32_t summed_post, uint32_t *out_fused) {
    dnnl_primitive_attr_t attr = tni_cpu_attr(build);
    dnnl_post_ops_t ops = NULL;
    *out_fused = 0;
    if (attr != NULL && node != NULL &&
        tni_cpu_ok(build, dnnl_post_ops_create(&ops), "post_ops_create") &&
        append_posts(build, node, ops, summed_post)) {
        *out_fused =
            tni_cpu_ok(build, dnnl_primitive_attr_set_post_ops(attr, ops), "attr_set_post_ops");
    }
    (void)dnnl_post_ops_destroy(ops);
    return attr;
}

uint32_t tni_cpu_sum_post(const cpu_build *build, const cpu_node *node) {
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    for (uint32_t i = 0; i < node->post_count; ++i) {
        if (node->posts[i].act == CPU_ACT_NONE) {
            return tni_cpu_value(build, node->posts[i].value)->count == y->count ? i : TN_NONE;
        }
    }
    return TN_NONE;
}

uint32_t tni_cpu_before_posts(cpu_build *build, const cpu_node *node) {
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    return node->post_count == 0 ? node->outputs[0]
                                 : tni_cpu_value_new(build, y->dtype, y->rank, y->dims);
}

// A function and, right behind it, a sum: one pass over memory where both can be one.
static uint32_t is_pair(const cpu_build *build, const cpu_node *node, uint32_t first) {
    if (first + 1 >= node->post_count || node->posts[first].act == CPU_ACT_NONE ||
        node->posts[first + 1].act != CPU_ACT_NONE) {
        return 0;
    }
    return tni_cpu_value(build, node->posts[first + 1].value)->count ==
                   tni_cpu_value(build, node->outputs[0])->count
               ? 1u
               : 0u;
}

void tni_cpu_emit_posts(cpu_build *build, const cpu_node *node, uint32_t value) {
    uint32_t current = value;
    for (uint32_t i = 0; i < node->post_count && build->status == TN_OK; ++i) {
        const cpu_post *post = &node->posts[i];
        const cpu_value from = *tni_cpu_value(build, current);
        const uint32_t pair = is_pair(build, node, i);
        const uint32_t last = i + 1 + pair == node->post_count;
        const uint32_t next =
            last ? node->outputs[0] : tni_cpu_value_new(build, from.dtype, from.rank, from.dims);
        if (next == TN_NONE) {
            return;
        }
        if (pair) {
            tni_cpu_act_sum_steps(build, post, current, node->posts[++i].value, next);
        } else if (post->act == CPU_ACT_NONE) {
            tni_cpu_binary_steps(build, CPU_BINARY_ADD, current, post->value, next);
        } else {
            tni_cpu_act_steps(build, post->act, post->a, post->b, current, next);
        }
        current = next;
    }
}
