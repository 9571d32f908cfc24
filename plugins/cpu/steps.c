// SPDX-License-Identifier: Apache-2.0
// Steps: what is added to an instance, and how their loops are spread over threads.
#include "build.h"

#include <omp.h>
#include <string.h>

// A team of threads takes some microseconds to begin and to end, and waits for whom the machine
// holds up: what is shorter than twice this is not worth it.
#define TEAM_NS 15000

tn_status tni_cpu_build_fail(cpu_build *build, tn_status status, const char *what) {
    if (build->status == TN_OK) {
        build->status = status;
        const uint32_t node =
            build->current < build->node_count ? build->nodes[build->current].index : TN_NONE;
        const char *op = build->current < build->node_count
                             ? build->nodes[build->current].op->record.op_type
                             : "island";
        (void)tn_helper_fail_at(build->error, status, node, TN_NONE,
                                status == TN_ERROR_UNSUPPORTED ? "cpu.unsupported" : NULL, "%s: %s",
                                op, what);
    }
    return build->status;
}

uint32_t tni_cpu_ok(cpu_build *build, dnnl_status_t status, const char *call) {
    if (build->status == TN_OK && status != dnnl_success) {
        const uint32_t node =
            build->current < build->node_count ? build->nodes[build->current].index : TN_NONE;
        build->status = tni_cpu_dnnl_fail(build->error, status, node, call);
    }
    return build->status == TN_OK ? 1u : 0u;
}

static cpu_step *step_new(cpu_build *build, uint32_t operands) {
    cpu_instance *out = build->out;
    if (build->status != TN_OK) {
        return NULL;
    }
    if (out->step_count == out->step_capacity) {
        const uint32_t capacity = out->step_capacity * 2 + 32;
        cpu_step *grown =
            tni_cpu_arena_grow(build->arena, out->steps, out->step_count, capacity, sizeof *grown);
        out->steps = grown != NULL ? grown : out->steps;
        out->step_capacity = grown != NULL ? capacity : out->step_capacity;
    }
    if (out->operand_count + operands > out->operand_capacity) {
        const uint32_t capacity = out->operand_capacity * 2 + operands + 64;
        cpu_operand *grown = tni_cpu_arena_grow(build->arena, out->operands, out->operand_count,
                                                capacity, sizeof *grown);
        out->operands = grown != NULL ? grown : out->operands;
        out->operand_capacity = grown != NULL ? capacity : out->operand_capacity;
    }
    if (out->step_count == out->step_capacity ||
        out->operand_count + operands > out->operand_capacity) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return NULL;
    }
    cpu_step *step = &out->steps[out->step_count++];
    *step = (cpu_step){
        .operand_begin = out->operand_count,
        .operand_count = operands,
        .node = build->current < build->node_count ? build->nodes[build->current].index : TN_NONE};
    out->operand_count += operands;
    return step;
}

void tni_cpu_step(cpu_build *build, cpu_step_fn run, const void *params, uint32_t count,
                  const uint32_t *values) {
    cpu_step *step = step_new(build, count);
    if (step == NULL) {
        return;
    }
    step->run = run;
    step->params = params;
    for (uint32_t i = 0; i < count; ++i) {
        cpu_operand *operand = &build->out->operands[step->operand_begin + i];
        *operand = (cpu_operand){.storage = TN_NONE};
        if (values[i] != TN_NONE) {
            const cpu_value *value = tni_cpu_value(build, values[i]);
            operand->storage = value->storage;
            operand->offset_bytes = value->offset_bytes;
        }
    }
}

static const dnnl_memory_desc_t *keep_layout(cpu_build *build, const dnnl_memory_desc_t *layout) {
    dnnl_memory_desc_t *kept = tni_cpu_arena_alloc(build->arena, sizeof *kept);
    if (kept == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return NULL;
    }
    *kept = *layout;
    return kept;
}

dnnl_primitive_attr_t tni_cpu_attr(cpu_build *build) {
    dnnl_primitive_attr_t attr = NULL;
    if (tni_cpu_ok(build, dnnl_primitive_attr_create(&attr), "attr_create") &&
        tni_cpu_ok(build, dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user),
                   "attr_set_scratchpad_mode")) {
        return attr;
    }
    (void)dnnl_primitive_attr_destroy(attr);
    return NULL;
}

dnnl_primitive_desc_t tni_cpu_desc(cpu_build *build, dnnl_status_t described,
                                   const_dnnl_op_desc_t operation, const_dnnl_primitive_attr_t attr,
                                   const char *call) {
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status = described;
    if (build->status == TN_OK && status == dnnl_success) {
        status = dnnl_primitive_desc_create(&desc, operation, attr, build->program->engine, NULL);
    }
    if (status == dnnl_invalid_arguments) {
        // Nothing is wrong with the node, or it would not have come here.
        (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "the library takes no such sizes");
        return NULL;
    }
    return tni_cpu_ok(build, status, call) ? desc : NULL;
}

void tni_cpu_step_primitive(cpu_build *build, const_dnnl_primitive_desc_t desc, uint32_t count,
                            const cpu_arg *args) {
    if (build->status != TN_OK) {
        return;
    }
    const dnnl_memory_desc_t *pad =
        dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, DNNL_ARG_SCRATCHPAD);
    const int64_t pad_bytes = pad == NULL ? 0 : (int64_t)dnnl_memory_desc_get_size(pad);
    const uint32_t scratch = pad_bytes > 0 ? tni_cpu_scratch(build, pad_bytes) : TN_NONE;
    cpu_step *step = step_new(build, count + (scratch != TN_NONE ? 1u : 0u));
    if (step == NULL) {
        return;
    }
    for (uint32_t i = 0; i < step->operand_count; ++i) {
        const cpu_arg arg = i < count ? args[i] : (cpu_arg){DNNL_ARG_SCRATCHPAD, scratch, pad};
        const cpu_value *value = tni_cpu_value(build, arg.value);
        build->out->operands[step->operand_begin + i] = (cpu_operand){
            .storage = value->storage,
            .offset_bytes = value->offset_bytes,
            .dnnl_arg = arg.dnnl_arg,
            .layout = keep_layout(build, arg.layout != NULL ? arg.layout : &value->layout)};
    }
    (void)tni_cpu_ok(build, dnnl_primitive_create(&step->primitive, desc), "primitive_create");
}

typedef struct copy_params {
    int64_t size_bytes;
} copy_params;

static void copy_range(const cpu_call *call, int64_t begin, int64_t end) {
    const copy_params *params = call->params;
    const int64_t piece = 65536;
    const int64_t from = begin * piece;
    const int64_t to = end * piece < params->size_bytes ? end * piece : params->size_bytes;
    memcpy((unsigned char *)call->data[1] + from, (const unsigned char *)call->data[0] + from,
           (size_t)(to - from));
}

static tn_status copy_run(const cpu_call *call) {
    const copy_params *params = call->params;
    tni_cpu_parallel(call, (params->size_bytes + 65535) / 65536, 8000, copy_range);
    return TN_OK;
}

void tni_cpu_step_copy(cpu_build *build, uint32_t value, uint32_t target) {
    if (build->status != TN_OK) {
        return;
    }
    const dnnl_memory_desc_t from = tni_cpu_value(build, value)->layout;
    const dnnl_memory_desc_t to = tni_cpu_value(build, target)->layout;
    if (dnnl_memory_desc_get_size(&from) == 0) {
        return;
    }
    if (tni_cpu_same_layout(&from, &to) && tni_cpu_is_run(&from)) {
        copy_params *params = tni_cpu_arena_alloc(build->arena, sizeof *params);
        if (params == NULL) {
            (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
            return;
        }
        params->size_bytes = (int64_t)dnnl_memory_desc_get_size(&from);
        tni_cpu_step(build, copy_run, params, 2, (const uint32_t[]){value, target});
        return;
    }
    dnnl_primitive_attr_t attr = tni_cpu_attr(build);
    dnnl_primitive_desc_t desc = NULL;
    if (attr != NULL &&
        tni_cpu_ok(build,
                   dnnl_reorder_primitive_desc_create(&desc, &from, build->program->engine, &to,
                                                      build->program->engine, attr),
                   "reorder")) {
        tni_cpu_step_primitive(
            build, desc, 2,
            (const cpu_arg[]){{DNNL_ARG_FROM, value, &from}, {DNNL_ARG_TO, target, &to}});
    }
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_primitive_attr_destroy(attr);
}

// Of what takes longer than this every thread gets several shares, and whoever is done takes the
// next: one that the machine holds up does not hold up the others. No result depends on who
// computed it.
#define LONG_NS 400000
#define SHARES 6

int64_t tni_cpu_thread(void) {
    return omp_get_thread_num();
}

void tni_cpu_parallel(const cpu_call *call, int64_t count, int64_t work, cpu_range_fn body) {
    const int64_t total = count * work;
    // All or one: threads that a smaller team has no use for end, and have to be started again.
    const int team = (int)call->threads;
    if (team <= 1 || count <= 1 || total < 2 * TEAM_NS) {
        body(call, 0, count);
        return;
    }
    const int64_t shares = total < LONG_NS ? 1 : SHARES;
    const int64_t pieces = team * shares < count ? team * shares : count;
    // One share each is taken in order, so that a thread finds in its cache what it left there.
    if (shares == 1) {
#pragma omp parallel for num_threads(team) schedule(static, 1)
        for (int64_t i = 0; i < pieces; ++i) {
            body(call, count * i / pieces, count * (i + 1) / pieces);
        }
        return;
    }
#pragma omp parallel for num_threads(team) schedule(dynamic, 1)
    for (int64_t i = 0; i < pieces; ++i) {
        body(call, count * i / pieces, count * (i + 1) / pieces);
    }
}
