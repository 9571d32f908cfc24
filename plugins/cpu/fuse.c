// SPDX-License-Identifier: Apache-2.0
// Nodes that are cheaper together: activations written as several nodes, scales and masks before a
// softmax, and whatever can be done to a result before it is written. Each rule looks at values
// that one node alone reads, so that what is skipped is nobody's.
#include "build.h"

#include <math.h>

cpu_node *tni_cpu_producer(const cpu_build *build, uint32_t value) {
    const uint32_t node = value == TN_NONE ? TN_NONE : tni_cpu_value(build, value)->producer;
    return node == TN_NONE || build->nodes[node].dead ? NULL : &build->nodes[node];
}

uint32_t tni_cpu_read_once(const cpu_build *build, uint32_t value) {
    return tni_cpu_value(build, value)->uses == 1 &&
                   tni_cpu_value(build, value)->output_port == TN_NONE
               ? 1u
               : 0u;
}

static uint32_t is_float(const cpu_build *build, uint32_t value) {
    return tni_cpu_value(build, value)->dtype == TN_DTYPE_FLOAT ? 1u : 0u;
}

static void make_act(cpu_node *node, cpu_act act, float a, float b, uint32_t input) {
    node->kind = CPU_KIND_ACT;
    node->emit = tni_cpu_emit_act;
    node->variant = act;
    node->a = a;
    node->b = b;
    node->inputs[0] = input;
    node->input_count = 1;
}

// A binary op with one known scalar is a function of the other operand, where that is as large as
// the result.
static void scalars(cpu_build *build, cpu_node *node) {
    float c = 0.0f;
    if (node->kind != CPU_KIND_BINARY || node->input_count != 2) {
        return;
    }
    const uint32_t right = tni_cpu_scalar(build, node->inputs[1], &c);
    if (!right && !tni_cpu_scalar(build, node->inputs[0], &c)) {
        return;
    }
    const uint32_t other = node->inputs[right ? 0 : 1];
    const cpu_value *o = tni_cpu_value(build, other);
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    if (o->rank != y->rank || o->count != y->count) {
        return;
    }
    switch (node->variant) {
    case CPU_BINARY_ADD:
        make_act(node, CPU_ACT_LINEAR, 1.0f, c, other);
        break;
    case CPU_BINARY_SUB:
        make_act(node, CPU_ACT_LINEAR, right ? 1.0f : -1.0f, right ? -c : c, other);
        break;
    case CPU_BINARY_MUL:
        make_act(node, CPU_ACT_LINEAR, c, 0.0f, other);
        break;
    case CPU_BINARY_DIV:
        if (right && c != 0.0f) {
            make_act(node, CPU_ACT_LINEAR, 1.0f / c, 0.0f, other);
        } else if (!right && c == 1.0f) {
            make_act(node, CPU_ACT_RECIPROCAL, 0.0f, 0.0f, other);
        }
        break;
    case CPU_BINARY_POW:
        if (right && c == 2.0f) {
            make_act(node, CPU_ACT_SQUARE, 0.0f, 0.0f, other);
        } else if (right && c == 0.5f) {
            make_act(node, CPU_ACT_SQRT, 0.0f, 0.0f, other);
        }
        break;
    default:
        break;
    }
}

static uint32_t is_act(const cpu_node *node, cpu_act act) {
    return node != NULL && node->kind == CPU_KIND_ACT && node->variant == act ? 1u : 0u;
}

static uint32_t is_linear(const cpu_node *node, float a, float b) {
    return is_act(node, CPU_ACT_LINEAR) && fabsf(node->a - a) <= 1e-6f * fabsf(a) && node->b == b;
}

static uint32_t is_binary(const cpu_node *node, cpu_binary kind) {
    return node != NULL && node->kind == CPU_KIND_BINARY && node->variant == kind &&
                   node->input_count == 2
               ? 1u
               : 0u;
}

// x * sigmoid(x)
static void silu(cpu_build *build, cpu_node *node) {
    for (uint32_t i = 0; is_binary(node, CPU_BINARY_MUL) && i < 2; ++i) {
        cpu_node *sigmoid = tni_cpu_producer(build, node->inputs[i]);
        if (is_act(sigmoid, CPU_ACT_SIGMOID) && sigmoid->inputs[0] == node->inputs[1 - i] &&
            tni_cpu_read_once(build, node->inputs[i])) {
            sigmoid->dead = 1;
            make_act(node, CPU_ACT_SILU, 0.0f, 0.0f, node->inputs[1 - i]);
            return;
        }
    }
}

// x (1 + erf(x / sqrt 2)) / 2, whose factors come in several orders.
static void gelu(cpu_build *build, cpu_node *node) {
    // The last node is a product with 0.5 after it, or of x / 2, or a half of all.
    cpu_node *half = NULL;
    cpu_node *product = node;
    if (is_linear(node, 0.5f, 0.0f)) {
        half = node;
        product = tni_cpu_producer(build, node->inputs[0]);
        if (product == NULL || !tni_cpu_read_once(build, node->inputs[0])) {
            return;
        }
    }
    for (uint32_t i = 0; is_binary(product, CPU_BINARY_MUL) && i < 2; ++i) {
        cpu_node *plus = tni_cpu_producer(build, product->inputs[i]);
        uint32_t x = product->inputs[1 - i];
        if (!is_linear(plus, 1.0f, 1.0f) || !tni_cpu_read_once(build, product->inputs[i])) {
            continue;
        }
        cpu_node *erf = tni_cpu_producer(build, plus->inputs[0]);
        cpu_node *over = is_act(erf, CPU_ACT_ERF) ? tni_cpu_producer(build, erf->inputs[0]) : NULL;
        if (!is_linear(over, 0.707106781f, 0.0f) || !tni_cpu_read_once(build, plus->inputs[0]) ||
            !tni_cpu_read_once(build, erf->inputs[0])) {
            continue;
        }
        cpu_node *first = half == NULL ? tni_cpu_producer(build, x) : NULL;
        if (half == NULL) {
            if (!is_linear(first, 0.5f, 0.0f) || !tni_cpu_read_once(build, x)) {
                continue;
            }
            x = first->inputs[0];
        }
        if (over->inputs[0] != x) {
            continue;
        }
        plus->dead = 1;
        erf->dead = 1;
        over->dead = 1;
        if (first != NULL) {
            first->dead = 1;
        } else {
            product->dead = 1;
        }
        make_act(node, CPU_ACT_GELU, 0.0f, 0.0f, x);
        return;
    }
}

// softmax(x * scale + mask): both are applied row by row.
static void masked_softmax(cpu_build *build, cpu_node *node) {
    if (node->kind != CPU_KIND_SOFTMAX) {
        return;
    }
    cpu_node *add = tni_cpu_producer(build, node->inputs[0]);
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    for (uint32_t i = 0; is_binary(add, CPU_BINARY_ADD) && i < 2; ++i) {
        const cpu_value *scores = tni_cpu_value(build, add->inputs[i]);
        const cpu_value *mask = tni_cpu_value(build, add->inputs[1 - i]);
        if (tni_cpu_read_once(build, node->inputs[0]) && scores->rank == x->rank &&
            scores->count == x->count && mask->rank > 0 && mask->count < x->count &&
            mask->dims[mask->rank - 1] == x->dims[x->rank - 1]) {
            node->mask = add->inputs[1 - i];
            node->inputs[0] = add->inputs[i];
            add->dead = 1;
            break;
        }
    }
    const cpu_node *scale = tni_cpu_producer(build, node->inputs[0]);
    if (is_act(scale, CPU_ACT_LINEAR) && scale->b == 0.0f && scale->a != 0.0f &&
        tni_cpu_read_once(build, node->inputs[0])) {
        node->a = scale->a;
        build->nodes[tni_cpu_value(build, node->inputs[0])->producer].dead = 1;
        node->inputs[0] = scale->inputs[0];
    }
}

// x / sqrt(mean(x^2) + epsilon) * gain
static void rms_norm(cpu_build *build, cpu_node *node) {
    for (uint32_t i = 0; is_binary(node, CPU_BINARY_MUL) && i < 2; ++i) {
        const uint32_t gain = node->inputs[1 - i];
        cpu_node *div = tni_cpu_producer(build, node->inputs[i]);
        if (!tni_cpu_is_known(build, gain) || !is_binary(div, CPU_BINARY_DIV) ||
            !tni_cpu_read_once(build, node->inputs[i])) {
            continue;
        }
        const uint32_t x = div->inputs[0];
        cpu_node *root = tni_cpu_producer(build, div->inputs[1]);
        cpu_node *plus =
            is_act(root, CPU_ACT_SQRT) ? tni_cpu_producer(build, root->inputs[0]) : NULL;
        cpu_node *mean = is_act(plus, CPU_ACT_LINEAR) && plus->a == 1.0f
                             ? tni_cpu_producer(build, plus->inputs[0])
                             : NULL;
        if (mean == NULL || mean->kind != CPU_KIND_REDUCE || mean->variant != CPU_REDUCE_MEAN) {
            continue;
        }
        cpu_node *square = tni_cpu_producer(build, mean->inputs[0]);
        const cpu_value *v = tni_cpu_value(build, x);
        const cpu_value *m = tni_cpu_value(build, mean->outputs[0]);
        if (!is_act(square, CPU_ACT_SQUARE) || square->inputs[0] != x || v->rank == 0 ||
            m->rank != v->rank || m->count * v->dims[v->rank - 1] != v->count ||
            m->dims[m->rank - 1] != 1 ||
            tni_cpu_value(build, gain)->count != v->dims[v->rank - 1] ||
            !tni_cpu_read_once(build, div->inputs[1]) ||
            !tni_cpu_read_once(build, root->inputs[0]) ||
            !tni_cpu_read_once(build, plus->inputs[0]) ||
            !tni_cpu_read_once(build, mean->inputs[0])) {
            continue;
        }
        div->dead = root->dead = plus->dead = mean->dead = square->dead = 1;
        node->kind = CPU_KIND_OTHER;
        node->emit = tni_cpu_emit_rms_norm;
        node->a = plus->b;
        node->inputs[0] = x;
        node->inputs[1] = gain;
        return;
    }
}

// A sum with a known vector along the axis of the results is a bias.
static uint32_t is_bias(const cpu_build *build, const cpu_node *maker, uint32_t value) {
    const cpu_value *v = tni_cpu_value(build, value);
    const cpu_value *y = tni_cpu_value(build, maker->outputs[0]);
    if (!tni_cpu_is_known(build, value) || !is_float(build, value) || maker->post_count > 0 ||
        maker->bias != TN_NONE || y->rank < 2) {
        return 0;
    }
    if (maker->kind == CPU_KIND_MATMUL) {
        return v->rank == 1 && v->dims[0] == y->dims[y->rank - 1];
    }
    return 0;
}

static uint32_t takes_posts(const cpu_node *node) {
    switch (node->kind) {
    case CPU_KIND_CONV:
    case CPU_KIND_CONV_TRANSPOSE:
    case CPU_KIND_MATMUL:
    case CPU_KIND_GEMM:
    case CPU_KIND_BATCH_NORM:
        return node->post_count < CPU_MAX_POSTS;
    default:
        return 0;
    }
}

static uint32_t has_sum(const cpu_node *node) {
    for (uint32_t i = 0; i < node->post_count; ++i) {
        if (node->posts[i].act == CPU_ACT_NONE) {
            return 1;
        }
    }
    return 0;
}

// oneDNN 2.6 computes two functions of one kind with the parameters of the first.
static uint32_t has_act(const cpu_node *node, cpu_act act) {
    for (uint32_t i = 0; i < node->post_count; ++i) {
        if (node->posts[i].act == act) {
            return 1;
        }
    }
    return 0;
}

// Whether a value is there before a node is emitted: what is added must have been computed.
static uint32_t made_before(const cpu_build *build, uint32_t value, const cpu_node *node) {
    const cpu_value *v = tni_cpu_value(build, value);
    if (v->quant.value != TN_NONE) {
        return made_before(build, v->quant.value, node); // its floats are made when they are read
    }
    return v->producer == TN_NONE || &build->nodes[v->producer] < node ? 1u : 0u;
}

// Lets the maker of a node's input do what the node does, and write the node's result.
static void absorb(cpu_build *build, cpu_node *node, cpu_node *maker, cpu_post post) {
    maker->posts[maker->post_count++] = post;
    maker->outputs[0] = node->outputs[0];
    tni_cpu_value(build, node->outputs[0])->producer = (uint32_t)(maker - build->nodes);
    node->dead = 1;
}

// The later node takes over the earlier one's work, where what is added is made in between.
static void absorb_later(cpu_build *build, cpu_node *node, cpu_node *maker, cpu_post post) {
    const uint32_t out = node->outputs[0];
    cpu_node moved = *maker;
    maker->dead = 1;
    moved.posts[moved.post_count++] = post;
    moved.outputs = node->outputs;
    *node = moved;
    tni_cpu_value(build, out)->producer = (uint32_t)(node - build->nodes);
}

static void posts(cpu_build *build, cpu_node *node) {
    if (node->kind == CPU_KIND_ACT) {
        cpu_node *maker = tni_cpu_producer(build, node->inputs[0]);
        if (maker != NULL && takes_posts(maker) && !has_act(maker, node->variant) &&
            tni_cpu_read_once(build, node->inputs[0])) {
            absorb(build, node, maker,
                   (cpu_post){.act = node->variant, .a = node->a, .b = node->b, .value = TN_NONE});
        }
        return;
    }
    for (uint32_t i = 0; is_binary(node, CPU_BINARY_ADD) && i < 2; ++i) {
        // The later of two makers, so that the other one is done when it begins.
        const uint32_t value = node->inputs[i];
        const uint32_t other = node->inputs[1 - i];
        cpu_node *maker = tni_cpu_producer(build, value);
        if (maker == NULL || !takes_posts(maker) || value == other ||
            !tni_cpu_read_once(build, value)) {
            continue;
        }
        if (is_bias(build, maker, other)) {
            maker->bias = other;
            maker->outputs[0] = node->outputs[0];
            tni_cpu_value(build, node->outputs[0])->producer = (uint32_t)(maker - build->nodes);
            node->dead = 1;
            return;
        }
        const cpu_value *o = tni_cpu_value(build, other);
        const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
        if (has_sum(maker) || maker->kind == CPU_KIND_BATCH_NORM || o->rank != y->rank ||
            o->count != y->count || tni_cpu_value(build, value)->count != y->count ||
            tni_cpu_is_known(build, other)) {
            continue;
        }
        const cpu_post post = {.act = CPU_ACT_NONE, .value = other};
        if (made_before(build, other, maker)) {
            absorb(build, node, maker, post);
            return;
        }
        const cpu_node *second = tni_cpu_producer(build, other);
        // Where the other maker could take the sum as well and is the later one, it does.
        if (i == 0 && second != NULL && takes_posts(second) && tni_cpu_read_once(build, other) &&
            made_before(build, value, second)) {
            continue;
        }
        absorb_later(build, node, maker, post);
        return;
    }
}

static uint32_t is_swap(const cpu_build *build, const cpu_node *node) {
    int64_t perm[CPU_MAX_RANK];
    return node != NULL && node->kind == CPU_KIND_TRANSPOSE &&
                   tn_view_attr_ints(build->view, tni_cpu_view_node(build, node), "perm", perm,
                                     CPU_MAX_RANK) == 4 &&
                   perm[0] == 0 && perm[1] == 1 && perm[2] == 3 && perm[3] == 2
               ? 1u
               : 0u;
}

// Keys or values that were repeated for several heads of queries: what was repeated, or the value
// itself. They are [batch, heads, rows, size], repeated as [batch, heads, times, rows, size].
static uint32_t before_repeat(const cpu_build *build, uint32_t value) {
    const cpu_node *joined = tni_cpu_producer(build, value);
    const cpu_node *repeat = joined != NULL && joined->kind == CPU_KIND_VIEW
                                 ? tni_cpu_producer(build, joined->inputs[0])
                                 : NULL;
    const cpu_node *apart = repeat != NULL && repeat->emit == tni_cpu_emit_expand
                                ? tni_cpu_producer(build, repeat->inputs[0])
                                : NULL;
    if (apart == NULL || apart->kind != CPU_KIND_VIEW) {
        return value;
    }
    const cpu_value *from = tni_cpu_value(build, apart->inputs[0]);
    const cpu_value *thin = tni_cpu_value(build, apart->outputs[0]);
    const cpu_value *wide = tni_cpu_value(build, repeat->outputs[0]);
    const cpu_value *v = tni_cpu_value(build, value);
    const uint32_t fits = from->rank == 4 && thin->rank == 5 && wide->rank == 5 && v->rank == 4 &&
                          thin->dims[2] == 1 && from->dims[0] == v->dims[0] &&
                          from->dims[1] == thin->dims[1] && thin->dims[1] == wide->dims[1] &&
                          v->dims[1] == wide->dims[1] * wide->dims[2] &&
                          from->dims[2] == v->dims[2] && from->dims[3] == v->dims[3] &&
                          wide->dims[3] == v->dims[2] && thin->dims[0] == from->dims[0];
    return fits ? apart->inputs[0] : value;
}

static uint32_t masks(const cpu_build *build, uint32_t mask, const cpu_value *scores) {
    const cpu_value *m = tni_cpu_value(build, mask);
    for (uint32_t axis = 0; axis < m->rank && m->rank <= 4; ++axis) {
        const int64_t size = scores->dims[axis + 4 - m->rank];
        if (m->dims[axis] != size && (m->dims[axis] != 1 || axis + 1 == m->rank)) {
            return 0;
        }
    }
    return m->rank >= 1 && m->rank <= 4;
}

// softmax(q k^T * scale + mask) v
static void attention(cpu_build *build, cpu_node *node) {
    if (node->kind != CPU_KIND_MATMUL || tni_cpu_value(build, node->outputs[0])->rank != 4) {
        return;
    }
    cpu_node *softmax = tni_cpu_producer(build, node->inputs[0]);
    cpu_node *product = softmax != NULL && softmax->kind == CPU_KIND_SOFTMAX && !softmax->variant
                            ? tni_cpu_producer(build, softmax->inputs[0])
                            : NULL;
    if (product == NULL || product->kind != CPU_KIND_MATMUL || product->post_count > 0 ||
        product->bias != TN_NONE || !tni_cpu_read_once(build, node->inputs[0]) ||
        !tni_cpu_read_once(build, softmax->inputs[0])) {
        return;
    }
    const cpu_node *swap = tni_cpu_producer(build, product->inputs[1]);
    const cpu_value *scores = tni_cpu_value(build, softmax->inputs[0]);
    const cpu_value *q = tni_cpu_value(build, product->inputs[0]);
    if (!is_swap(build, swap) || q->rank != 4 || scores->rank != 4 ||
        (softmax->mask != TN_NONE && !masks(build, softmax->mask, scores))) {
        return;
    }
    const uint32_t keys = before_repeat(build, swap->inputs[0]);
    const uint32_t values = before_repeat(build, node->inputs[1]);
    const cpu_value *k = tni_cpu_value(build, keys);
    const cpu_value *v = tni_cpu_value(build, values);
    if (k->rank != 4 || v->rank != 4 || k->dims[0] != q->dims[0] || v->dims[0] != q->dims[0] ||
        k->dims[1] != v->dims[1] || k->dims[1] == 0 || q->dims[1] % k->dims[1] != 0 ||
        k->dims[2] != v->dims[2] || k->dims[3] != q->dims[3]) {
        return;
    }
    uint32_t *inputs = tni_cpu_arena_array(build->arena, 3, sizeof *inputs);
    if (inputs == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    inputs[0] = product->inputs[0];
    inputs[1] = keys;
    inputs[2] = values;
    node->kind = CPU_KIND_OTHER;
    node->emit = tni_cpu_emit_attention;
    node->inputs = inputs;
    node->input_count = 3;
    node->mask = softmax->mask;
    node->a = softmax->a;
    softmax->dead = 1;
    product->dead = 1;
}

static void unread(cpu_build *build, uint32_t value) {
    if (value != TN_NONE) {
        tni_cpu_value(build, value)->uses--;
        unread(build, tni_cpu_value(build, value)->quant.value);
    }
}

// Nodes whose results nobody reads any more. Later ones go first, and with them their readings.
static void drop_unread(cpu_build *build) {
    tni_cpu_count_uses(build);
    for (uint32_t i = build->node_count; i-- > 0;) {
        cpu_node *node = &build->nodes[i];
        uint32_t read = node->dead;
        for (uint32_t k = 0; k < node->output_count && !read; ++k) {
            read |= node->outputs[k] != TN_NONE && tni_cpu_value(build, node->outputs[k])->uses > 0;
        }
        if (read) {
            continue;
        }
        node->dead = 1;
        for (uint32_t k = 0; k < node->input_count; ++k) {
            unread(build, node->inputs[k]);
        }
        unread(build, node->bias);
        unread(build, node->mask);
        for (uint32_t k = 0; k < node->post_count; ++k) {
            unread(build, node->posts[k].value);
        }
    }
}

typedef void (*rule)(cpu_build *build, cpu_node *node);

void tni_cpu_fuse(cpu_build *build) {
    const rule rules[] = {tni_cpu_rule_qlinear,
                          scalars,
                          silu,
                          gelu,
                          rms_norm,
                          masked_softmax,
                          attention,
                          tni_cpu_rule_dequantize,
                          tni_cpu_rule_integers_through,
                          posts,
                          tni_cpu_rule_quantized_sum,
                          tni_cpu_rule_quantize_result};
    for (uint32_t r = 0; r < sizeof rules / sizeof rules[0]; ++r) {
        tni_cpu_count_uses(build);
        for (uint32_t i = 0; i < build->node_count && build->status == TN_OK; ++i) {
            if (!build->nodes[i].dead) {
                rules[r](build, &build->nodes[i]);
            }
        }
    }
    drop_unread(build);
    tni_cpu_count_uses(build);
    tni_cpu_find_states(build);
}
