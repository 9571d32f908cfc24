// SPDX-License-Identifier: Apache-2.0
// Element by element: one input and a function, or two inputs of which one may be broadcast. The
// result has the layout of an input that is as large, and lies in its place where nobody reads that
// again.
#include "loops.h"

#include <string.h>

typedef struct elementwise {
    cpu_loops loops; // out, left, right
    uint32_t kind;
    float a;
    float b;
    int64_t repeated; // 0, or so many elements that an operand repeats along a run
    uint32_t repeats; // which of the loops' tensors
} elementwise;

// Repeated so often, a block of channels is a run that is worth a call.
#define TILE 256
// Longer runs are cut, so that several threads can take part.
#define PIECE 4096
// What two functions in turn keep in the first-level cache.
#define SHORT 1024

static void binary_range(const cpu_call *call, int64_t begin, int64_t end) {
    const elementwise *e = call->params;
    const uint32_t last = e->loops.axes - 1;
    const int64_t *steps = e->loops.steps[last];
    float *out = call->data[0];
    const float *left = call->data[1];
    const float *right = call->data[2];
    for (int64_t i = begin; i < end; ++i) {
        int64_t at[CPU_LOOP_TENSORS];
        tni_cpu_loops_at(&e->loops, i, at);
        call->simd->binary(e->kind, left + at[1], steps[1], right + at[2], steps[2], out + at[0],
                           e->loops.sizes[last]);
    }
}

// A run of which one operand is the same few elements again and again.
static void repeated_range(const cpu_call *call, int64_t begin, int64_t end) {
    const elementwise *e = call->params;
    const int64_t run = e->loops.sizes[e->loops.axes - 1];
    float tile[TILE];
    for (int64_t i = begin; i < end; ++i) {
        int64_t at[CPU_LOOP_TENSORS];
        tni_cpu_loops_at(&e->loops, i, at);
        const float *few = (const float *)call->data[e->repeats] + at[e->repeats];
        for (int64_t k = 0; k < TILE; k += e->repeated) {
            memcpy(tile + k, few, (size_t)e->repeated * sizeof tile[0]);
        }
        for (int64_t k = 0; k < run; k += TILE) {
            const float *left = (const float *)call->data[1] + at[1] + k;
            const float *right = (const float *)call->data[2] + at[2] + k;
            call->simd->binary(e->kind, e->repeats == 1 ? tile : left, 1,
                               e->repeats == 2 ? tile : right, 1,
                               (float *)call->data[0] + at[0] + k, run - k < TILE ? run - k : TILE);
        }
    }
}

static void act_range(const cpu_call *call, int64_t begin, int64_t end) {
    const elementwise *e = call->params;
    float *out = call->data[0];
    const float *in = call->data[1];
    for (int64_t i = begin; i < end; ++i) {
        int64_t at[CPU_LOOP_TENSORS];
        tni_cpu_loops_at(&e->loops, i, at);
        call->simd->act(e->kind, e->a, e->b, in + at[1], out + at[0],
                        e->loops.sizes[e->loops.axes - 1]);
    }
}

// out = act(left) + right, while what the function wrote is still in the first-level cache.
static void act_sum_range(const cpu_call *call, int64_t begin, int64_t end) {
    const elementwise *e = call->params;
    const int64_t run = e->loops.sizes[e->loops.axes - 1];
    for (int64_t i = begin; i < end; ++i) {
        int64_t at[CPU_LOOP_TENSORS];
        tni_cpu_loops_at(&e->loops, i, at);
        for (int64_t k = 0; k < run; k += SHORT) {
            const int64_t count = run - k < SHORT ? run - k : SHORT;
            float *out = (float *)call->data[0] + at[0] + k;
            call->simd->act(e->kind, e->a, e->b, (const float *)call->data[1] + at[1] + k, out,
                            count);
            call->simd->binary(CPU_BINARY_ADD, out, 1, (const float *)call->data[2] + at[2] + k, 1,
                               out, count);
        }
    }
}

static tn_status act_sum_run(const cpu_call *call) {
    const elementwise *e = call->params;
    tni_cpu_parallel(call, e->loops.outer, 10 + e->loops.sizes[e->loops.axes - 1], act_sum_range);
    return TN_OK;
}

static tn_status binary_run(const cpu_call *call) {
    const elementwise *e = call->params;
    tni_cpu_parallel(call, e->loops.outer, 10 + e->loops.sizes[e->loops.axes - 1] / 4,
                     e->repeated > 0 ? repeated_range : binary_range);
    return TN_OK;
}

static tn_status act_run(const cpu_call *call) {
    const elementwise *e = call->params;
    tni_cpu_parallel(call, e->loops.outer, 10 + e->loops.sizes[e->loops.axes - 1] / 2, act_range);
    return TN_OK;
}

static void cut_run(cpu_loops *loops) {
    const int64_t piece = PIECE;
    if (loops->axes == 1 && loops->sizes[0] >= 2 * piece && loops->sizes[0] % piece == 0) {
        loops->axes = 2;
        loops->sizes[1] = piece;
        loops->outer = loops->sizes[0] / piece;
        loops->sizes[0] = loops->outer;
        for (uint32_t t = 0; t < CPU_LOOP_TENSORS; ++t) {
            loops->steps[1][t] = loops->steps[0][t];
            loops->steps[0][t] *= piece;
        }
    }
}

// Pixels that follow each other, each a block of channels, are one run where an operand has one
// such block for all of them.
static void join_repeated(elementwise *e) {
    cpu_loops *loops = &e->loops;
    if (loops->axes < 2) {
        return;
    }
    const uint32_t last = loops->axes - 1;
    const int64_t *inner = loops->steps[last];
    int64_t *outer = loops->steps[last - 1];
    const int64_t size = loops->sizes[last];
    const uint32_t repeats = outer[1] == 0 ? 1 : 2;
    const uint32_t other = 3 - repeats;
    if (size > TILE / 4 || TILE % size != 0 || inner[0] != 1 || inner[1] != 1 || inner[2] != 1 ||
        outer[0] != size || outer[other] != size || outer[repeats] != 0) {
        return;
    }
    int64_t joined = PIECE / size;
    while (loops->sizes[last - 1] % joined != 0) {
        --joined;
    }
    if (joined * size < TILE) {
        return;
    }
    e->repeated = size;
    e->repeats = repeats;
    loops->outer /= joined;
    loops->sizes[last - 1] /= joined;
    loops->sizes[last] *= joined;
    outer[0] *= joined;
    outer[other] *= joined;
}

static uint32_t has_padding(const dnnl_memory_desc_t *layout) {
    for (int axis = 0; axis < layout->ndims; ++axis) {
        if (layout->padded_dims[axis] != layout->dims[axis]) {
            return 1;
        }
    }
    return 0;
}

// Zeros in the padding must stay zeros: the library counts on them.
static uint32_t act_keeps_zero(cpu_act kind, float a, float b) {
    switch (kind) {
    case CPU_ACT_CLIP:
        return a <= 0.0f && b >= 0.0f;
    case CPU_ACT_LINEAR:
        return b == 0.0f;
    case CPU_ACT_SIGMOID:
    case CPU_ACT_EXP:
    case CPU_ACT_LOG:
    case CPU_ACT_RECIPROCAL:
    case CPU_ACT_HARD_SIGMOID:
    case CPU_ACT_SOFTPLUS:
        return 0;
    default:
        return 1;
    }
}

static uint32_t inner_steps_fit(const cpu_loops *loops, uint32_t count) {
    const uint32_t last = loops->axes - 1;
    for (uint32_t t = 0; t < count; ++t) {
        const int64_t step = loops->steps[last][t];
        if (loops->sizes[last] != 1 && step != 1 && (step != 0 || t == 0)) {
            return 0;
        }
    }
    return 1;
}

static elementwise *params_new(cpu_build *build, uint32_t kind, float a, float b) {
    elementwise *e = tni_cpu_arena_alloc(build->arena, sizeof *e);
    if (e == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return NULL;
    }
    e->kind = kind;
    e->a = a;
    e->b = b;
    return e;
}

void tni_cpu_act_steps(cpu_build *build, cpu_act kind, float a, float b, uint32_t value,
                       uint32_t out) {
    elementwise *e = build->status == TN_OK ? params_new(build, kind, a, b) : NULL;
    if (e == NULL) {
        return;
    }
    uint32_t in = tni_cpu_as_floats(build, value);
    if (in == TN_NONE) {
        return;
    }
    dnnl_memory_desc_t layout = tni_cpu_value(build, in)->layout;
    if (!tni_cpu_is_run(&layout) || (has_padding(&layout) && !act_keeps_zero(kind, a, b))) {
        in = tni_cpu_as_plain(build, value);
        if (in == TN_NONE) {
            return;
        }
        layout = tni_cpu_value(build, in)->layout;
    }
    const dnnl_memory_desc_t both[2] = {layout, layout};
    if (!tni_cpu_loops(both, 2, &e->loops)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INTERNAL, "a layout cannot be walked");
        return;
    }
    cut_run(&e->loops);
    if (!tni_cpu_define_over(build, out, in, &layout)) {
        tni_cpu_define(build, out, &layout);
    }
    tni_cpu_step(build, act_run, e, 2, (const uint32_t[]){out, in});
}

// Both operands as they are: two runs in one layout, whose padding stays zero.
static uint32_t may_join(const cpu_build *build, const cpu_post *post, uint32_t value,
                         uint32_t other) {
    const cpu_value *v = tni_cpu_value(build, value);
    const cpu_value *o = tni_cpu_value(build, other);
    return v->storage != TN_NONE && o->storage != TN_NONE && v->storage != o->storage &&
                   v->layout.data_type == dnnl_f32 && tni_cpu_same_layout(&v->layout, &o->layout) &&
                   tni_cpu_is_run(&v->layout) &&
                   (!has_padding(&v->layout) || act_keeps_zero(post->act, post->a, post->b))
               ? 1u
               : 0u;
}

void tni_cpu_act_sum_steps(cpu_build *build, const cpu_post *post, uint32_t value, uint32_t other,
                           uint32_t out) {
    const cpu_value from = *tni_cpu_value(build, value);
    if (build->status == TN_OK && !may_join(build, post, value, other)) {
        const uint32_t between = tni_cpu_value_new(build, from.dtype, from.rank, from.dims);
        if (between != TN_NONE) {
            tni_cpu_act_steps(build, post->act, post->a, post->b, value, between);
            tni_cpu_binary_steps(build, CPU_BINARY_ADD, between, other, out);
        }
        return;
    }
    elementwise *e = build->status == TN_OK ? params_new(build, post->act, post->a, post->b) : NULL;
    if (e == NULL) {
        return;
    }
    const dnnl_memory_desc_t all[3] = {from.layout, from.layout, from.layout};
    if (!tni_cpu_loops(all, 3, &e->loops)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INTERNAL, "a layout cannot be walked");
        return;
    }
    cut_run(&e->loops);
    // Not in the place of the other: the function would write over what is still to be added.
    if (!tni_cpu_define_over(build, out, value, &from.layout)) {
        tni_cpu_define(build, out, &from.layout);
    }
    tni_cpu_step(build, act_sum_run, e, 3, (const uint32_t[]){out, value, other});
}

void tni_cpu_emit_act(cpu_build *build, const cpu_node *node) {
    tni_cpu_act_steps(build, node->variant, node->a, node->b, node->inputs[0], node->outputs[0]);
}

static uint32_t keeps_zero(cpu_binary kind, const dnnl_memory_desc_t *layouts) {
    const uint32_t alike = layouts[1].ndims == layouts[0].ndims &&
                           layouts[2].ndims == layouts[0].ndims && has_padding(&layouts[1]) &&
                           has_padding(&layouts[2]);
    return kind == CPU_BINARY_MUL || (alike && (kind == CPU_BINARY_ADD || kind == CPU_BINARY_SUB ||
                                                kind == CPU_BINARY_MAX || kind == CPU_BINARY_MIN));
}

// The layout for the result: that of an operand which is as large, a blocked one first.
static dnnl_memory_desc_t choose_layout(const cpu_build *build, uint32_t left, uint32_t right,
                                        uint32_t out) {
    const cpu_value *o = tni_cpu_value(build, out);
    const uint32_t operands[2] = {left, right};
    dnnl_memory_desc_t best = tni_cpu_plain_of(o);
    for (uint32_t i = 0; i < 2; ++i) {
        const cpu_value *v = tni_cpu_value(build, operands[i]);
        const uint32_t usable = v->storage != TN_NONE && v->rank == o->rank &&
                                v->count == o->count && tni_cpu_is_run(&v->layout);
        if (usable && best.format_desc.blocking.inner_nblks == 0) {
            best = v->layout;
        }
    }
    return best;
}

// An operand for a result of the given layout: as it is where the loops can walk it, else in that
// layout, or plain.
static uint32_t fit_operand(cpu_build *build, uint32_t value, uint32_t out,
                            const dnnl_memory_desc_t *layout) {
    const uint32_t placed =
        tni_cpu_value(build, value)->storage != TN_NONE ? value : tni_cpu_as_plain(build, value);
    if (placed == TN_NONE) {
        return TN_NONE;
    }
    const cpu_value *v = tni_cpu_value(build, placed);
    const cpu_value *o = tni_cpu_value(build, out);
    const dnnl_memory_desc_t pair[2] = {*layout, v->layout};
    cpu_loops loops;
    if (tni_cpu_loops(pair, 2, &loops) && inner_steps_fit(&loops, 2)) {
        return placed;
    }
    return v->rank == o->rank && v->count == o->count ? tni_cpu_as(build, value, layout)
                                                      : tni_cpu_as_plain(build, value);
}

static uint32_t binary_loops(cpu_build *build, cpu_binary kind, uint32_t left, uint32_t right,
                             const dnnl_memory_desc_t *layout, cpu_loops *out_loops) {
    const dnnl_memory_desc_t all[3] = {*layout, tni_cpu_value(build, left)->layout,
                                       tni_cpu_value(build, right)->layout};
    return tni_cpu_loops(all, 3, out_loops) && inner_steps_fit(out_loops, 3) &&
                   (!has_padding(layout) || keeps_zero(kind, all))
               ? 1u
               : 0u;
}

void tni_cpu_binary_steps(cpu_build *build, cpu_binary kind, uint32_t left, uint32_t right,
                          uint32_t out) {
    elementwise *e = build->status == TN_OK ? params_new(build, kind, 0.0f, 0.0f) : NULL;
    if (e == NULL) {
        return;
    }
    left = tni_cpu_as_floats(build, left);
    right = tni_cpu_as_floats(build, right);
    if (left == TN_NONE || right == TN_NONE) {
        return;
    }
    dnnl_memory_desc_t layout = choose_layout(build, left, right, out);
    uint32_t l = fit_operand(build, left, out, &layout);
    uint32_t r = fit_operand(build, right, out, &layout);
    if (l == TN_NONE || r == TN_NONE) {
        return;
    }
    if (!binary_loops(build, kind, l, r, &layout, &e->loops)) {
        layout = tni_cpu_plain_of(tni_cpu_value(build, out));
        l = tni_cpu_as_plain(build, left);
        r = tni_cpu_as_plain(build, right);
        if (l == TN_NONE || r == TN_NONE) {
            return;
        }
        if (!binary_loops(build, kind, l, r, &layout, &e->loops)) {
            (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "the shapes do not broadcast");
            return;
        }
    }
    cut_run(&e->loops);
    join_repeated(e);
    const int64_t count = tni_cpu_value(build, out)->count;
    if (!(tni_cpu_value(build, l)->count == count && tni_cpu_define_over(build, out, l, &layout)) &&
        !(tni_cpu_value(build, r)->count == count && tni_cpu_define_over(build, out, r, &layout))) {
        tni_cpu_define(build, out, &layout);
    }
    tni_cpu_step(build, binary_run, e, 3, (const uint32_t[]){out, l, r});
}

void tni_cpu_emit_binary(cpu_build *build, const cpu_node *node) {
    const uint32_t out = node->outputs[0];
    uint32_t left = node->inputs[0];
    if (node->input_count == 1) {
        // Max, Min and Sum of one.
        tni_cpu_act_steps(build, CPU_ACT_NONE, 0.0f, 0.0f, left, out);
    }
    for (uint32_t i = 1; i < node->input_count && build->status == TN_OK; ++i) {
        const cpu_value y = *tni_cpu_value(build, node->outputs[0]);
        const uint32_t last = i + 1 == node->input_count;
        const uint32_t next = last ? out : tni_cpu_value_new(build, y.dtype, y.rank, y.dims);
        // Of three and more, the partial result is as large as the whole: it is broadcast first.
        tni_cpu_binary_steps(build, node->variant, left, node->inputs[i], next);
        left = next;
    }
}
