// SPDX-License-Identifier: Apache-2.0
// Measuring algorithms: they run in turn, and the least of a few times counts.
#include "choose.h"

#include <string.h>
#include <time.h>

// The first run warms the caches and does not count. One counted run is too few: a layer that is
// disturbed then costs every later run of the program.
#define TIMED_RUNS 4u
// What takes longer than this hardly notices cold caches: two runs do, and both count. It has to be
// disturbed for long to look half as slow again, so that one run may tell who is.
#define LONG_NS 16000000u
// Of those that are, the first that takes hardly longer than the best: ways are listed in the order
// of what their weights take.
#define ALIKE 16u
#define TRIAL_ARGS 5u
#define UNKNOWN UINT64_MAX

// FNV-1a over what the library says a primitive is.
static uint64_t mix(uint64_t hash, const void *data, size_t bytes) {
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; ++i) {
        hash = (hash ^ at[i]) * 1099511628211u;
    }
    return hash;
}

static uint64_t key_of(const cpu_contender *all, uint32_t count) {
    const dnnl_query_t whats[3] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
    uint64_t hash = 14695981039346656037u;
    for (uint32_t i = 0; i < count * 3; ++i) {
        const cpu_contender *one = &all[i / 3];
        const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(one->desc, whats[i % 3], 0);
        hash = mix(hash, &md->ndims, sizeof md->ndims);
        hash = mix(hash, &md->data_type, sizeof md->data_type);
        hash = mix(hash, md->dims, (size_t)md->ndims * sizeof md->dims[0]);
        hash = mix(hash, md->format_desc.blocking.strides, (size_t)md->ndims * sizeof md->dims[0]);
        hash = mix(hash, &one->extra_ns, sizeof one->extra_ns);
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

// Where the tensors of a trial lie, the scratchpad last; returns how many bytes they need.
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

// Memory that trials share, one after the other: fresh pages would take longer than most layers,
// and of large scratchpads little may be touched. Tensors are zeros, and so is all that becomes of
// them.
static uint32_t reserve(cpu_build *build, uint64_t bytes, uint64_t tensor_bytes) {
    const tn_helper_host *host = &build->program->host;
    if (bytes > build->trial_bytes) {
        tni_cpu_choose_done(build);
        build->trial_memory = host->services->alloc(host->context, bytes, 64);
        if (build->trial_memory == NULL) {
            return 0;
        }
        build->trial_bytes = bytes;
    }
    if (tensor_bytes > build->trial_zeros) {
        memset((char *)build->trial_memory + build->trial_zeros, 0,
               tensor_bytes - build->trial_zeros);
        build->trial_zeros = tensor_bytes;
    }
    return 1;
}

void tni_cpu_choose_done(cpu_build *build) {
    const tn_helper_host *host = &build->program->host;
    if (build->trial_memory != NULL) {
        host->services->free(host->context, build->trial_memory, build->trial_bytes, 64);
    }
    build->trial_memory = NULL;
    build->trial_bytes = 0;
    build->trial_zeros = 0;
}

// Of one thread the time that it ran counts: what else ran in between has no part in the choice.
static uint64_t now(const cpu_program *program) {
    const tn_helper_host *host = &program->host;
    struct timespec time;
    if (program->threads > 1 || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) {
        return host->services->clock_ns(host->context);
    }
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t time_once(const cpu_program *program, const trial *t, dnnl_stream_t stream) {
    const uint64_t begin = now(program);
    const dnnl_status_t status =
        dnnl_primitive_execute(t->primitive, stream, (int)t->count, t->args);
    return status == dnnl_success ? now(program) - begin : UNKNOWN;
}

static uint64_t least(const uint64_t *took, uint32_t count) {
    uint64_t best = UNKNOWN;
    for (uint32_t i = 0; i < count; ++i) {
        best = took[i] < best ? took[i] : best;
    }
    return best;
}

// Turns about, so that what disturbs the machine disturbs all. Whoever cannot be chosen any more is
// not run again; one alone is nothing to compare.
static void run_trials(const cpu_program *program, const trial *trials, uint32_t count,
                       dnnl_stream_t stream, uint64_t *out_took) {
    uint64_t all[CPU_CONTENDERS]; // the least of all runs
    uint32_t out[CPU_CONTENDERS] = {0};
    uint32_t left = count;
    for (uint32_t run = 0; run < TIMED_RUNS && left > (run > 0); ++run) {
        for (uint32_t i = 0; i < count; ++i) {
            const uint64_t took = out[i] ? UNKNOWN : time_once(program, &trials[i], stream);
            all[i] = run == 0 || took < all[i] ? took : all[i];
            out_took[i] = (run > 0 || took >= LONG_NS) && took < out_took[i] ? took : out_took[i];
        }
        const uint64_t best = least(all, count);
        if (run > 0 && best >= LONG_NS) {
            return;
        }
        for (uint32_t i = 0; i < count; ++i) {
            if (!out[i] && tni_cpu_is_beaten(all[i], best, i > 0 ? all[0] : UNKNOWN, run + 1)) {
                out[i] = 1;
                --left;
            }
        }
    }
}

static void measure(cpu_build *build, const cpu_contender *all, uint32_t count,
                    dnnl_stream_t stream, uint64_t *out_took) {
    trial trials[CPU_CONTENDERS];
    trial_part parts[TRIAL_ARGS];
    uint64_t bytes = 0;
    uint64_t tensor_bytes = 0;
    uint32_t part_count = 0;
    uint32_t ready = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const uint64_t needs = trial_parts(all[i].desc, parts, &part_count);
        const uint64_t tensors = part_count > 0 && parts[part_count - 1].arg == DNNL_ARG_SCRATCHPAD
                                     ? parts[part_count - 1].offset
                                     : needs;
        bytes = needs > bytes ? needs : bytes;
        tensor_bytes = tensors > tensor_bytes ? tensors : tensor_bytes;
    }
    const uint32_t reserved = reserve(build, bytes, tensor_bytes);
    for (; reserved && ready < count; ++ready) {
        if (!trial_init(build, all[ready].desc, &trials[ready])) {
            trial_deinit(&trials[ready]);
            break;
        }
    }
    if (ready == count) {
        run_trials(build->program, trials, count, stream, out_took);
    }
    for (uint32_t i = 0; i < ready; ++i) {
        trial_deinit(&trials[i]);
    }
}

void tni_cpu_race(cpu_build *build, const cpu_contender *all, uint32_t count, uint64_t *out_ns) {
    dnnl_stream_t stream = NULL;
    for (uint32_t i = 0; i < count; ++i) {
        out_ns[i] = UNKNOWN;
    }
    if (count > 0 && dnnl_stream_create(&stream, build->program->engine,
                                        dnnl_stream_default_flags) == dnnl_success) {
        measure(build, all, count, stream, out_ns);
        (void)dnnl_stream_destroy(stream);
    }
    for (uint32_t i = 0; i < count; ++i) {
        out_ns[i] += out_ns[i] != UNKNOWN ? all[i].extra_ns : 0;
    }
}

uint32_t tni_cpu_is_beaten(uint64_t took, uint64_t best, uint64_t first, uint32_t runs) {
    if (runs < 2) {
        return best >= LONG_NS && took / 3 * 2 > best ? 1u : 0u;
    }
    return took / 5 * 4 > best || took > first - first / 16 ? 1u : 0u;
}

uint32_t tni_cpu_best(const uint64_t *took, uint32_t count, uint32_t margin) {
    const uint64_t best = least(took, count);
    if (count == 0 || best == UNKNOWN || best > took[0] - took[0] / margin) {
        return 0;
    }
    uint32_t index = 0;
    while (took[index] > best + best / ALIKE) {
        ++index;
    }
    return index;
}

static const cpu_chosen *find(const cpu_program *program, uint64_t key) {
    for (const cpu_chosen *c = program->chosen; c != NULL; c = c->next) {
        if (c->key == key) {
            return c;
        }
    }
    return NULL;
}

uint32_t tni_cpu_remember(cpu_build *build, const cpu_contender *all, uint32_t count,
                          const uint64_t *took) {
    cpu_program *program = build->program;
    const uint32_t best = tni_cpu_best(took, count, CPU_MARGIN_ALGORITHM);
    cpu_chosen *made = count > 1 ? tn_helper_alloc(&program->host, sizeof *made) : NULL;
    if (made != NULL) {
        *made = (cpu_chosen){.next = program->chosen, .key = key_of(all, count), .choice = best};
        program->chosen = made;
    }
    return best;
}

uint32_t tni_cpu_choose(cpu_build *build, const cpu_contender *all, uint32_t count) {
    uint64_t took[CPU_CONTENDERS];
    if (count < 2) {
        return 0;
    }
    const cpu_chosen *chosen = find(build->program, key_of(all, count));
    if (chosen != NULL) {
        return chosen->choice < count ? chosen->choice : 0;
    }
    tni_cpu_race(build, all, count, took);
    return tni_cpu_remember(build, all, count, took);
}

uint32_t tni_cpu_measures(const cpu_program *program) {
    return (program->flags & TN_COMPILE_FAST) == 0 && program->precision != TN_PRECISION_STRICT
               ? 1u
               : 0u;
}
