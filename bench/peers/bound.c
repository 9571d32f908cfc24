// SPDX-License-Identifier: Apache-2.0
// What a network's convolutions and matrix products take with oneDNN's own primitives: one behind
// the other, each in the layouts that it likes, by the algorithm that is fastest on this machine
// of those that are asked for here, with nothing in between. No strict bound: an implementation
// that is not asked for may be faster. Speaks the lines of tenon_loop.c ("ready", "run", "stats").
// bound.py writes the list of layers.
//
//     bound LAYERS      conv COUNT N C H W OC KH KW OH OW SH SW PH PW PH2 PW2 GROUPS
//                       matmul COUNT BATCH M K N      (BATCH 1: the second factor is a weight)
#include <dnnl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_STEPS 1024u
#define TRIALS 11u // of each candidate; the first is not counted
#define MAX_RUNS 10000u

enum { SRC, WEIGHTS, DST, OPERANDS };

typedef struct step {
    dnnl_primitive_t primitive;
    dnnl_memory_t memories[OPERANDS];
} step;

typedef struct bound {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    // Activations: a step reads what the one before has written, which caches still hold.
    void *arenas[2];
    size_t arena_bytes;
    step steps[MAX_STEPS];
    uint32_t step_count;
} bound;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool execute(const bound *b, const step *s) {
    dnnl_exec_arg_t args[OPERANDS] = {{DNNL_ARG_SRC, s->memories[SRC]},
                                      {DNNL_ARG_WEIGHTS, s->memories[WEIGHTS]},
                                      {DNNL_ARG_DST, s->memories[DST]}};
    return dnnl_primitive_execute(s->primitive, b->stream, OPERANDS, args) == dnnl_success;
}

static void step_deinit(step *s) {
    for (uint32_t i = 0; i < OPERANDS; i++) {
        dnnl_memory_destroy(s->memories[i]);
    }
    dnnl_primitive_destroy(s->primitive);
    *s = (step){NULL, {NULL}};
}

static void fill(float *values, size_t bytes) {
    for (size_t i = 0; i < bytes / sizeof(float); i++) {
        values[i] = 0.001f * (float)(i % 97); // no denormals
    }
}

// Memory of its own for every step, as in a network: weights come from where they would.
static bool add_weights(const bound *b, const_dnnl_primitive_desc_t desc, dnnl_memory_t *out) {
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    void *data = NULL;
    if (md == NULL || dnnl_memory_create(out, md, b->engine, DNNL_MEMORY_ALLOCATE) != 0 ||
        dnnl_memory_get_data_handle(*out, &data) != dnnl_success) {
        return false;
    }
    fill(data, dnnl_memory_desc_get_size(md));
    return true;
}

static bool grow(bound *b, size_t bytes) {
    for (uint32_t i = 0; i < 2 && bytes > b->arena_bytes; i++) {
        free(b->arenas[i]);
        b->arenas[i] = aligned_alloc(64, (bytes + 63) / 64 * 64);
        if (b->arenas[i] == NULL) {
            b->arena_bytes = 0;
            return false;
        }
        fill(b->arenas[i], bytes);
    }
    b->arena_bytes = bytes > b->arena_bytes ? bytes : b->arena_bytes;
    return true;
}

static bool add_activation(bound *b, const_dnnl_primitive_desc_t desc, dnnl_query_t query,
                           dnnl_memory_t *out) {
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(desc, query, 0);
    return md != NULL && grow(b, dnnl_memory_desc_get_size(md)) &&
           dnnl_memory_create(out, md, b->engine, DNNL_MEMORY_NONE) == dnnl_success;
}

// Where the step reads and writes: the other way round than the one before it.
static bool place(const bound *b, const step *s, uint32_t index) {
    return dnnl_memory_set_data_handle(s->memories[SRC], b->arenas[index % 2]) == dnnl_success &&
           dnnl_memory_set_data_handle(s->memories[DST], b->arenas[1 - index % 2]) == dnnl_success;
}

// False, and nothing left, when the library has no such primitive.
static bool step_init(bound *b, const void *op, step *out) {
    dnnl_primitive_desc_t desc = NULL;
    *out = (step){NULL, {NULL}};
    if (dnnl_primitive_desc_create(&desc, op, NULL, b->engine, NULL) != dnnl_success) {
        return false;
    }
    const bool good = dnnl_primitive_create(&out->primitive, desc) == dnnl_success &&
                      add_activation(b, desc, dnnl_query_src_md, &out->memories[SRC]) &&
                      add_weights(b, desc, &out->memories[WEIGHTS]) &&
                      add_activation(b, desc, dnnl_query_dst_md, &out->memories[DST]) &&
                      place(b, out, b->step_count) && execute(b, out);
    dnnl_primitive_desc_destroy(desc);
    if (!good) {
        step_deinit(out);
    }
    return good;
}

static uint64_t least_ns(const bound *b, const step *s) {
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < TRIALS; i++) {
        const uint64_t begin = now_ns();
        const bool good = execute(b, s) && dnnl_stream_wait(b->stream) == dnnl_success;
        const uint64_t took = now_ns() - begin;
        least = good && i > 0 && took < least ? took : least;
    }
    return least;
}

// Adds count steps of the fastest of the candidates.
static bool add_best(bound *b, const void *const *ops, uint32_t op_count, int64_t count) {
    uint64_t best_ns = UINT64_MAX;
    const void *best = NULL;
    for (uint32_t i = 0; i < op_count; i++) {
        step candidate;
        if (!step_init(b, ops[i], &candidate)) {
            continue;
        }
        const uint64_t took = least_ns(b, &candidate);
        best = took < best_ns ? ops[i] : best;
        best_ns = took < best_ns ? took : best_ns;
        step_deinit(&candidate);
    }
    for (int64_t i = 0; best != NULL && i < count; i++) {
        if (b->step_count == MAX_STEPS || !step_init(b, best, &b->steps[b->step_count])) {
            return false;
        }
        b->step_count++;
    }
    return best != NULL;
}

static bool any_layout(dnnl_memory_desc_t *md, int rank, const dnnl_dims_t dims,
                       dnnl_format_tag_t tag) {
    return dnnl_memory_desc_init_by_tag(md, rank, dims, dnnl_f32, tag) == dnnl_success;
}

static bool add_conv(bound *b, const int64_t *v) {
    const int64_t groups = v[16];
    const dnnl_dims_t src_dims = {v[1], v[2], v[3], v[4]};
    const dnnl_dims_t dst_dims = {v[1], v[5], v[8], v[9]};
    const dnnl_dims_t plain = {v[5], v[2], v[6], v[7]};
    const dnnl_dims_t grouped = {groups, v[5] / groups, v[2] / groups, v[6], v[7]};
    const dnnl_dims_t strides = {v[10], v[11]};
    const dnnl_dims_t before = {v[12], v[13]};
    const dnnl_dims_t behind = {v[14], v[15]};
    dnnl_memory_desc_t src;
    dnnl_memory_desc_t weights;
    dnnl_memory_desc_t dst;
    dnnl_convolution_desc_t ops[2];
    const void *candidates[2] = {&ops[0], &ops[1]};
    if (!any_layout(&src, 4, src_dims, dnnl_format_tag_any) ||
        !any_layout(&dst, 4, dst_dims, dnnl_format_tag_any) ||
        !any_layout(&weights, groups > 1 ? 5 : 4, groups > 1 ? grouped : plain,
                    dnnl_format_tag_any)) {
        return false;
    }
    const dnnl_alg_kind_t kinds[2] = {dnnl_convolution_direct, dnnl_convolution_winograd};
    for (uint32_t i = 0; i < 2; i++) {
        if (dnnl_convolution_forward_desc_init(&ops[i], dnnl_forward_inference, kinds[i], &src,
                                               &weights, NULL, &dst, strides, before,
                                               behind) != dnnl_success) {
            return false;
        }
    }
    return add_best(b, candidates, 2, v[0]);
}

// As a product, and with one factor a weight also as an inner product.
static bool add_matmul(bound *b, const int64_t *v) {
    const int rank = v[1] > 1 ? 3 : 2;
    const int skip = 3 - rank;
    const dnnl_dims_t src_dims = {v[1], v[2], v[3]};
    const dnnl_dims_t weights_dims = {v[1], v[3], v[4]};
    const dnnl_dims_t dst_dims = {v[1], v[2], v[4]};
    const dnnl_dims_t turned = {v[4], v[3]};
    const dnnl_format_tag_t rows = rank == 3 ? dnnl_abc : dnnl_ab;
    const dnnl_format_tag_t free_tag = rank == 3 ? dnnl_abc : dnnl_format_tag_any;
    dnnl_memory_desc_t src;
    dnnl_memory_desc_t weights;
    dnnl_memory_desc_t dst;
    dnnl_memory_desc_t inner;
    dnnl_matmul_desc_t product;
    dnnl_inner_product_desc_t layer;
    const void *candidates[2] = {&product, &layer};
    if (!any_layout(&src, rank, src_dims + skip, rows) ||
        !any_layout(&weights, rank, weights_dims + skip, free_tag) ||
        !any_layout(&dst, rank, dst_dims + skip, rows) ||
        dnnl_matmul_desc_init(&product, &src, &weights, NULL, &dst) != dnnl_success) {
        return false;
    }
    if (rank == 3) {
        return add_best(b, candidates, 1, v[0]);
    }
    return any_layout(&inner, 2, turned, dnnl_format_tag_any) &&
           dnnl_inner_product_forward_desc_init(&layer, dnnl_forward_inference, &src, &inner, NULL,
                                                &dst) == dnnl_success &&
           add_best(b, candidates, 2, v[0]);
}

static bool add_layers(bound *b, FILE *file) {
    char line[512];
    while (fgets(line, sizeof(line), file) != NULL) {
        int64_t v[17] = {0};
        char *at = strchr(line, ' ');
        const bool conv = strncmp(line, "conv ", 5) == 0;
        const uint32_t wanted = conv ? 17 : 5;
        for (uint32_t i = 0; at != NULL && i < wanted; i++) {
            v[i] = strtoll(at, &at, 10);
            if (v[i] < 0) {
                return false;
            }
        }
        if (at == NULL || !(conv ? add_conv(b, v) : add_matmul(b, v))) {
            printf("error the library does not compute: %s", line);
            return false;
        }
    }
    bool good = true; // arenas have moved as they grew
    for (uint32_t i = 0; good && i < b->step_count; i++) {
        good = place(b, &b->steps[i], i);
    }
    return good;
}

static bool run(bound *b, uint64_t count, uint64_t *times) {
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t begin = now_ns();
        for (uint32_t k = 0; k < b->step_count; k++) {
            if (!execute(b, &b->steps[k])) {
                return false;
            }
        }
        if (dnnl_stream_wait(b->stream) != dnnl_success) {
            return false;
        }
        times[i] = now_ns() - begin;
    }
    return true;
}

static bool serve(bound *b) {
    static uint64_t times[MAX_RUNS]; // large for a stack
    char line[256];
    bool good = true;
    while (good && fgets(line, sizeof(line), stdin) != NULL) {
        if (strncmp(line, "run ", 4) == 0) {
            uint64_t count = strtoull(line + 4, NULL, 10);
            count = count < MAX_RUNS ? count : MAX_RUNS;
            good = run(b, count, times);
            printf(good ? "ns" : "error the library failed");
            for (uint64_t i = 0; good && i < count; i++) {
                printf(" %llu", (unsigned long long)times[i]);
            }
            printf("\n");
        } else {
            printf("stats steps=%u\n", b->step_count);
        }
        fflush(stdout);
    }
    return good;
}

int main(int argc, char **argv) {
    static bound b; // large for a stack
    FILE *layers = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (layers == NULL) {
        fprintf(stderr, "usage: tenon-bound LAYERS; it must be a file\n");
        return 2;
    }
    bool good = dnnl_engine_create(&b.engine, dnnl_cpu, 0) == dnnl_success &&
                dnnl_stream_create(&b.stream, b.engine, dnnl_stream_in_order) == dnnl_success &&
                add_layers(&b, layers);
    fclose(layers);
    if (good) {
        printf("ready 0 0 0\n");
        fflush(stdout);
        good = serve(&b);
    }
    for (uint32_t i = 0; i < b.step_count; i++) {
        step_deinit(&b.steps[i]);
    }
    free(b.arenas[0]);
    free(b.arenas[1]);
    dnnl_stream_destroy(b.stream);
    dnnl_engine_destroy(b.engine);
    return good ? 0 : 1;
}
