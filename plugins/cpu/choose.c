// SPDX-License-Identifier: Apache-2.0
// Measuring algorithms: each runs on memory of its own, and the least of a few times counts.
#include "choose.h"

#include <string.h>

#define TIMED_RUNS 4u
#define TRIAL_ARGS 5u

// FNV-1a over what the library says a primitive is.
static uint64_t mix(uint64_t hash, const void *data, size_t bytes) {
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; ++i) {
        hash = (hash ^ at[i]) * 1099511628211u;
    }
    return hash;
}

static uint64_t key_of(const_dnnl_primitive_desc_t desc) {
    const dnnl_query_t whats[3] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
    uint64_t hash = 14695981039346656037u;
    for (uint32_t i = 0; i < 3; ++i) {
        const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(desc, whats[i], 0);
        hash = mix(hash, &md->ndims, sizeof md->ndims);
        hash = mix(hash, md->dims, (size_t)md->ndims * sizeof md->dims[0]);
        hash = mix(hash, md->format_desc.blocking.strides, (size_t)md->ndims * sizeof md->dims[0]);
    }
    return hash;
}

typedef struct trial {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[TRIAL_ARGS];
    void *buffers[TRIAL_ARGS];
    uint64_t bytes[TRIAL_ARGS];
    uint32_t count;
} trial;

static uint32_t add_arg(const cpu_program *program, trial *t, int arg,
                        const dnnl_memory_desc_t *md) {
    const tn_helper_host *host = &program->host;
    if (md == NULL || md->ndims == 0) {
        return 1;
    }
    const uint64_t bytes = dnnl_memory_desc_get_size(md);
    if (bytes == 0) {
        return 1;
    }
    void *buffer = host->services->alloc(host->context, bytes, 64);
    if (buffer == NULL) {
        return 0;
    }
    memset(buffer, 0, bytes);
    t->buffers[t->count] = buffer;
    t->bytes[t->count] = bytes;
    t->args[t->count].arg = arg;
    const uint32_t made =
        dnnl_memory_create(&t->args[t->count].memory, md, program->engine, buffer) == dnnl_success;
    ++t->count;
    return made;
}

static uint32_t trial_init(const cpu_program *program, const_dnnl_primitive_desc_t desc, trial *t) {
    memset(t, 0, sizeof *t);
    return dnnl_primitive_create(&t->primitive, desc) == dnnl_success &&
           add_arg(program, t, DNNL_ARG_SRC,
                   dnnl_primitive_desc_query_md(desc, dnnl_query_src_md, 0)) &&
           add_arg(program, t, DNNL_ARG_WEIGHTS,
                   dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0)) &&
           add_arg(program, t, DNNL_ARG_BIAS,
                   dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 1)) &&
           add_arg(program, t, DNNL_ARG_DST,
                   dnnl_primitive_desc_query_md(desc, dnnl_query_dst_md, 0)) &&
           add_arg(program, t, DNNL_ARG_SCRATCHPAD,
                   dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, DNNL_ARG_SCRATCHPAD));
}

static void trial_deinit(const cpu_program *program, trial *t) {
    const tn_helper_host *host = &program->host;
    for (uint32_t i = 0; i < t->count; ++i) {
        (void)dnnl_memory_destroy(t->args[i].memory);
        host->services->free(host->context, t->buffers[i], t->bytes[i], 64);
    }
    (void)dnnl_primitive_destroy(t->primitive);
}

static uint64_t time_once(const cpu_program *program, const trial *t, dnnl_stream_t stream) {
    const tn_helper_host *host = &program->host;
    const uint64_t begin = host->services->clock_ns(host->context);
    const dnnl_status_t status =
        dnnl_primitive_execute(t->primitive, stream, (int)t->count, t->args);
    return status == dnnl_success ? host->services->clock_ns(host->context) - begin : UINT64_MAX;
}

// Turns about, so that what disturbs the machine disturbs all.
static uint32_t measure(const cpu_program *program, const dnnl_primitive_desc_t *descs,
                        uint32_t count, dnnl_stream_t stream, uint64_t *out_time_ns) {
    trial trials[CPU_CANDIDATES];
    uint64_t least[CPU_CANDIDATES] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    uint32_t ready = 0;
    uint32_t best = 0;
    for (; ready < count; ++ready) {
        if (!trial_init(program, descs[ready], &trials[ready])) {
            trial_deinit(program, &trials[ready]);
            break;
        }
    }
    for (uint32_t run = 0; ready == count && run < TIMED_RUNS; ++run) {
        for (uint32_t i = 0; i < count; ++i) {
            const uint64_t took = time_once(program, &trials[i], stream);
            least[i] = run > 0 && took < least[i] ? took : least[i];
        }
    }
    for (uint32_t i = 0; i < ready; ++i) {
        best = least[i] < least[best] ? i : best;
        trial_deinit(program, &trials[i]);
    }
    *out_time_ns = least[best] == UINT64_MAX ? 0 : least[best];
    return best;
}

static const cpu_chosen *find(const cpu_program *program, uint64_t key) {
    for (const cpu_chosen *c = program->chosen; c != NULL; c = c->next) {
        if (c->key == key) {
            return c;
        }
    }
    return NULL;
}

static const cpu_chosen *decide(cpu_program *program, const dnnl_primitive_desc_t *descs,
                                uint32_t count, uint64_t key) {
    dnnl_stream_t stream = NULL;
    cpu_chosen *made = tn_helper_alloc(&program->host, sizeof *made);
    if (made == NULL ||
        dnnl_stream_create(&stream, program->engine, dnnl_stream_default_flags) != dnnl_success) {
        tn_helper_free(&program->host, made, sizeof *made);
        return NULL;
    }
    *made = (cpu_chosen){.next = program->chosen, .key = key};
    made->choice = measure(program, descs, count, stream, &made->time_ns);
    program->chosen = made;
    (void)dnnl_stream_destroy(stream);
    return made;
}

uint32_t tni_cpu_choose(cpu_build *build, const dnnl_primitive_desc_t *descs, uint32_t count,
                        uint32_t variant, uint64_t *out_time_ns) {
    if (out_time_ns != NULL) {
        *out_time_ns = 0;
    }
    if (count < 2 && out_time_ns == NULL) {
        return 0;
    }
    const uint64_t key = mix(key_of(descs[0]), &variant, sizeof variant);
    const cpu_chosen *chosen = find(build->program, key);
    chosen = chosen != NULL ? chosen : decide(build->program, descs, count, key);
    if (chosen == NULL) {
        return 0;
    }
    if (out_time_ns != NULL) {
        *out_time_ns = chosen->time_ns;
    }
    return chosen->choice < count ? chosen->choice : 0;
}

static uint64_t time_all(cpu_build *build, cpu_images images) {
    uint64_t sum = 0;
    build->program->images = images;
    for (uint32_t i = 0; i < build->node_count && build->status == TN_OK; ++i) {
        const cpu_node *node = &build->nodes[i];
        if (!node->dead && node->kind == CPU_KIND_CONV) {
            build->current = i;
            sum += tni_cpu_conv_time(build, node);
        }
    }
    build->current = TN_NONE;
    return sum;
}

// Blocks of channels follow each other where images are joined; with channels last every pixel is
// copied, at some bytes a nanosecond.
static uint64_t time_to_join(const cpu_build *build) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < build->node_count; ++i) {
        const cpu_node *node = &build->nodes[i];
        if (!node->dead && node->kind == CPU_KIND_CONCAT) {
            sum += (uint64_t)tni_cpu_value(build, node->outputs[0])->count * 4 / 5;
        }
    }
    return sum;
}

void tni_cpu_choose_images(cpu_build *build) {
    cpu_program *program = build->program;
    if (program->images != CPU_IMAGES_UNDECIDED) {
        return;
    }
    if ((program->flags & TN_COMPILE_FAST) != 0) {
        program->images = CPU_IMAGES_BLOCKED;
        return;
    }
    const uint64_t any = time_all(build, CPU_IMAGES_ANY) + time_to_join(build);
    const uint64_t blocked = time_all(build, CPU_IMAGES_BLOCKED);
    program->images = blocked <= any ? CPU_IMAGES_BLOCKED : CPU_IMAGES_ANY;
}
