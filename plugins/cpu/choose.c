// SPDX-License-Identifier: Apache-2.0
// Measuring algorithms: they run in turn, and the least of a few times counts.
#include "choose.h"

#include <string.h>

// The first run warms the caches and does not count. One counted run is too few: a layer that is
// disturbed then costs every later run of the program.
#define TIMED_RUNS 4u
// Who takes so many times what the best takes is not run again.
#define HOPELESS 2u
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
    uint32_t count;
} trial;

typedef struct trial_part {
    int arg;
    const dnnl_memory_desc_t *layout;
    uint64_t offset; // in the memory of trials
} trial_part;

// Where the tensors of a trial lie; returns how many bytes they need.
static uint64_t trial_parts(const_dnnl_primitive_desc_t desc, trial_part *out_parts,
                            uint32_t *out_count) {
    const trial_part all[TRIAL_ARGS] = {
        {DNNL_ARG_SRC, dnnl_primitive_desc_query_md(desc, dnnl_query_src_md, 0), 0},
        {DNNL_ARG_WEIGHTS, dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0), 0},
        {DNNL_ARG_BIAS, dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 1), 0},
        {DNNL_ARG_DST, dnnl_primitive_desc_query_md(desc, dnnl_query_dst_md, 0), 0},
        {DNNL_ARG_SCRATCHPAD,
         dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, DNNL_ARG_SCRATCHPAD), 0}};
    uint64_t end = 0;
    *out_count = 0;
    for (uint32_t i = 0; i < TRIAL_ARGS; ++i) {
        const uint64_t bytes = all[i].layout == NULL || all[i].layout->ndims == 0
                                   ? 0
                                   : dnnl_memory_desc_get_size(all[i].layout);
        if (bytes > 0) {
            out_parts[*out_count] = all[i];
            out_parts[(*out_count)++].offset = end;
            end += (bytes + 63) / 64 * 64;
        }
    }
    return end;
}

static uint32_t trial_init(const cpu_build *build, const_dnnl_primitive_desc_t desc, trial *t) {
    trial_part parts[TRIAL_ARGS];
    uint32_t count = 0;
    memset(t, 0, sizeof *t);
    (void)trial_parts(desc, parts, &count);
    uint32_t made = dnnl_primitive_create(&t->primitive, desc) == dnnl_success;
    for (uint32_t i = 0; i < count && made; ++i) {
        t->args[i].arg = parts[i].arg;
        made = dnnl_memory_create(&t->args[i].memory, parts[i].layout, build->program->engine,
                                  (char *)build->trial_memory + parts[i].offset) == dnnl_success;
        t->count += made;
    }
    return made;
}

static void trial_deinit(const trial *t) {
    for (uint32_t i = 0; i < t->count; ++i) {
        (void)dnnl_memory_destroy(t->args[i].memory);
    }
    (void)dnnl_primitive_destroy(t->primitive);
}

// Memory that trials share, one after the other: fresh pages would take longer than most layers.
static uint32_t reserve(cpu_build *build, uint64_t bytes) {
    const tn_helper_host *host = &build->program->host;
    if (bytes <= build->trial_bytes) {
        return 1;
    }
    tni_cpu_choose_done(build);
    build->trial_memory = host->services->alloc(host->context, bytes, 64);
    if (build->trial_memory == NULL) {
        return 0;
    }
    build->trial_bytes = bytes;
    memset(build->trial_memory, 0, bytes);
    return 1;
}

void tni_cpu_choose_done(cpu_build *build) {
    const tn_helper_host *host = &build->program->host;
    if (build->trial_memory != NULL) {
        host->services->free(host->context, build->trial_memory, build->trial_bytes, 64);
    }
    build->trial_memory = NULL;
    build->trial_bytes = 0;
}

static uint64_t time_once(const cpu_program *program, const trial *t, dnnl_stream_t stream) {
    const tn_helper_host *host = &program->host;
    const uint64_t begin = host->services->clock_ns(host->context);
    const dnnl_status_t status =
        dnnl_primitive_execute(t->primitive, stream, (int)t->count, t->args);
    return status == dnnl_success ? host->services->clock_ns(host->context) - begin : UINT64_MAX;
}

// Turns about, so that what disturbs the machine disturbs all. Fills out_took with each one's
// least, of those that were far behind that of their last run; returns the best.
static uint32_t race(const cpu_program *program, const trial *trials, uint32_t count,
                     dnnl_stream_t stream, uint64_t *out_took) {
    uint32_t out[CPU_CANDIDATES] = {0};
    uint32_t best = 0;
    for (uint32_t run = 0; run < TIMED_RUNS; ++run) {
        for (uint32_t i = 0; i < count; ++i) {
            if (!out[i]) {
                const uint64_t took = time_once(program, &trials[i], stream);
                out_took[i] = run > 1 && out_took[i] < took ? out_took[i] : took;
            }
        }
        for (uint32_t i = 0; i < count; ++i) {
            best = !out[i] && out_took[i] < out_took[best] ? i : best;
        }
        for (uint32_t i = 0; i < count; ++i) {
            out[i] |= out_took[i] / HOPELESS > out_took[best];
        }
    }
    return best;
}

static uint32_t measure(cpu_build *build, const dnnl_primitive_desc_t *descs, uint32_t count,
                        dnnl_stream_t stream, uint64_t *out_time_ns) {
    trial trials[CPU_CANDIDATES];
    trial_part parts[TRIAL_ARGS];
    uint64_t took[CPU_CANDIDATES] = {0};
    uint64_t bytes = 0;
    uint32_t part_count = 0;
    uint32_t ready = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const uint64_t needs = trial_parts(descs[i], parts, &part_count);
        bytes = needs > bytes ? needs : bytes;
    }
    const uint32_t reserved = reserve(build, bytes);
    for (; reserved && ready < count; ++ready) {
        if (!trial_init(build, descs[ready], &trials[ready])) {
            trial_deinit(&trials[ready]);
            break;
        }
    }
    if (ready == count) {
        best = race(build->program, trials, count, stream, took);
    }
    for (uint32_t i = 0; i < ready; ++i) {
        trial_deinit(&trials[i]);
    }
    *out_time_ns = took[best] == UINT64_MAX ? 0 : took[best];
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

static const cpu_chosen *decide(cpu_build *build, const dnnl_primitive_desc_t *descs,
                                uint32_t count, uint64_t key) {
    cpu_program *program = build->program;
    dnnl_stream_t stream = NULL;
    cpu_chosen *made = tn_helper_alloc(&program->host, sizeof *made);
    if (made == NULL ||
        dnnl_stream_create(&stream, program->engine, dnnl_stream_default_flags) != dnnl_success) {
        tn_helper_free(&program->host, made, sizeof *made);
        return NULL;
    }
    *made = (cpu_chosen){.next = program->chosen, .key = key};
    made->choice = measure(build, descs, count, stream, &made->time_ns);
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
    chosen = chosen != NULL ? chosen : decide(build, descs, count, key);
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
