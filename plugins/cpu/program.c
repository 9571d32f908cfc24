// SPDX-License-Identifier: Apache-2.0
// Compiling an island: copy the view, check that every node is ours, and, where no size is open,
// build its one instance.
#include "program.h"

#include "ops.h"
#include "waiting.h"

#include <omp.h>
#include <string.h>

int tni_cpu_threads_set(int count) {
    const int before = omp_get_max_threads();
    if (before != count) {
        omp_set_num_threads(count);
    }
    return before;
}

void tni_cpu_program_destroy(void *program) {
    cpu_program *own = program;
    if (own == NULL) {
        return;
    }
    const tn_helper_host host = own->host;
    while (own->instances != NULL) {
        cpu_instance *next = own->instances->next;
        tni_cpu_instance_destroy(own->instances);
        own->instances = next;
    }
    tni_cpu_weights_free(own);
    if (own->engine != NULL) {
        (void)dnnl_engine_destroy(own->engine);
    }
    if (own->mutex_ready) {
        (void)pthread_mutex_destroy(&own->mutex);
    }
    if (own->threads > 1) {
        tni_cpu_waiting_release();
    }
    tn_helper_free(&host, own->view, own->view_bytes);
    tn_helper_free(&host, own, sizeof *own);
}

static tn_status check_nodes(const cpu_program *program, tn_error *error) {
    const tn_graph_view *view = program->view;
    const tn_range nodes = tn_view_graph(view, 0)->nodes;
    for (uint32_t i = nodes.begin; i < nodes.begin + nodes.count; ++i) {
        const tn_graph_node *node = tn_view_node(view, i);
        const cpu_op *op = tni_cpu_find_op(view, node);
        tn_node_verdict verdict = {.answer = TN_ANSWER_NO, .reason = TN_REASON_OP_UNSUPPORTED};
        if (op != NULL) {
            tni_cpu_judge(view, node, op, &verdict);
        }
        if (verdict.answer != TN_ANSWER_YES) {
            const tn_string type = tn_view_text(view, node->op_type);
            return tn_helper_fail_at(error, TN_ERROR_UNSUPPORTED, i, TN_NONE, "cpu.unsupported",
                                     "op %.*s version %u: reason %u",
                                     (int)(type.size_bytes < 64 ? type.size_bytes : 64), type.data,
                                     node->since_version, verdict.reason);
        }
    }
    return TN_OK;
}

// Chunks for packed weights: large enough for large pages, and none larger than what there is to
// pack, since of many small islands each has its own.
#define PACKED_CHUNK_BYTES ((uint64_t)8 << 20)

static uint64_t packed_chunk(const tn_graph_view *view) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < view->constants.count && total < PACKED_CHUNK_BYTES; ++i) {
        const uint64_t bytes = tn_view_constant(view, i)->size_bytes;
        total += bytes < PACKED_CHUNK_BYTES ? bytes : PACKED_CHUNK_BYTES;
    }
    return total < PACKED_CHUNK_BYTES ? total : PACKED_CHUNK_BYTES;
}

static tn_status program_fill(cpu_program *program, const tn_compile_info *info, tn_error *error) {
    const tn_graph_record *graph = tn_view_graph(info->view, 0);
    program->view = tn_helper_alloc(&program->host, info->view->total_bytes);
    if (program->view == NULL || pthread_mutex_init(&program->mutex, NULL) != 0) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "cpu: no memory");
    }
    program->mutex_ready = 1;
    program->view_bytes = info->view->total_bytes;
    memcpy(program->view, info->view, info->view->total_bytes);
    program->input_count = graph->inputs.count;
    program->output_count = graph->outputs.count;
    const dnnl_status_t status = dnnl_engine_create(&program->engine, dnnl_cpu, 0);
    if (status != dnnl_success) {
        return tni_cpu_dnnl_fail(error, status, TN_NONE, "engine_create");
    }
    return check_nodes(program, error);
}

tn_status tni_cpu_compile(const tn_helper_host *host, uint32_t device_index,
                          const tn_compile_info *info, void **out_program, tn_error *error) {
    (void)device_index;
    *out_program = NULL;
    cpu_program *program = tn_helper_alloc(host, sizeof *program);
    if (program == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "cpu: no memory");
    }
    program->host = *host;
    program->simd = tni_cpu_simd_get();
    program->threads = host->services->worker_count(host->context);
    if (program->threads > 1) {
        tni_cpu_waiting_acquire();
    }
    program->precision = info->precision;
    program->flags = info->flags;
    program->packed = (cpu_arena){.host = *host, .least_bytes = packed_chunk(info->view)};
    tn_status status = program_fill(program, info, error);
    if (status == TN_OK && info->view->symbols.count == 0) {
        cpu_instance *instance = NULL;
        status = tni_cpu_instance_acquire(program, NULL, 0, &instance, error);
        tni_cpu_instance_release(program, instance);
    }
    if (status != TN_OK) {
        tni_cpu_program_destroy(program);
        return status;
    }
    *out_program = program;
    return TN_OK;
}

void tni_cpu_program_info(void *program, tn_program_info *out_info) {
    cpu_program *own = program;
    out_info->input_count = own->input_count;
    out_info->output_count = own->output_count;
    (void)pthread_mutex_lock(&own->mutex);
    out_info->weight_bytes = own->weight_bytes;
    out_info->numerics = own->numerics;
    (void)pthread_mutex_unlock(&own->mutex);
}

static uint32_t is_for(const cpu_instance *instance, const tn_symbol_value *symbols,
                       uint64_t symbol_count) {
    if (instance->symbol_count != symbol_count) {
        return 0;
    }
    for (uint32_t i = 0; i < symbol_count; ++i) {
        if (instance->symbols[i].symbol != symbols[i].symbol ||
            instance->symbols[i].size != symbols[i].size) {
            return 0;
        }
    }
    return 1;
}

static tn_status check_symbols(const cpu_program *program, const tn_symbol_value *symbols,
                               uint64_t symbol_count, tn_error *error) {
    const tn_graph_view *view = program->view;
    for (uint64_t k = 0; k < symbol_count; ++k) {
        const uint32_t index = symbols[k].symbol;
        const tn_graph_symbol *symbol =
            index < view->symbols.count ? tn_view_symbol(view, index) : NULL;
        if (symbols[k].size < 0) {
            continue; // not known: of something that this program does not have
        }
        if (symbol == NULL || symbols[k].size < symbol->min || symbols[k].size > symbol->max) {
            return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "cpu.symbol",
                                  "symbol %u: size %lld is out of its range", index,
                                  (long long)symbols[k].size);
        }
    }
    return TN_OK;
}

// Instances nobody uses, beyond the newest few, go. The list is ordered by last use.
static void drop_idle(cpu_program *program) {
    uint32_t idle = 0;
    cpu_instance **link = &program->instances;
    while (*link != NULL) {
        cpu_instance *instance = *link;
        idle += instance->references == 0 ? 1 : 0;
        if (instance->references == 0 && idle > CPU_IDLE_INSTANCES) {
            *link = instance->next;
            tni_cpu_instance_destroy(instance);
        } else {
            link = &instance->next;
        }
    }
}

static tn_status acquire(cpu_program *program, const tn_symbol_value *symbols,
                         uint64_t symbol_count, cpu_instance **out_instance, tn_error *error) {
    for (cpu_instance **link = &program->instances; *link != NULL; link = &(*link)->next) {
        cpu_instance *instance = *link;
        if (is_for(instance, symbols, symbol_count)) {
            *link = instance->next;
            instance->next = program->instances;
            program->instances = instance;
            *out_instance = instance;
            return TN_OK;
        }
    }
    const int before = tni_cpu_threads_set((int)program->threads);
    const tn_status status = tni_cpu_build(program, symbols, symbol_count, out_instance, error);
    (void)tni_cpu_threads_set(before);
    if (status == TN_OK) {
        (*out_instance)->next = program->instances;
        program->instances = *out_instance;
        if ((*out_instance)->numerics > program->numerics) {
            program->numerics = (*out_instance)->numerics;
        }
    }
    return status;
}

tn_status tni_cpu_instance_acquire(cpu_program *program, const tn_symbol_value *symbols,
                                   uint64_t symbol_count, cpu_instance **out_instance,
                                   tn_error *error) {
    *out_instance = NULL;
    tn_status status = check_symbols(program, symbols, symbol_count, error);
    if (status != TN_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&program->mutex);
    status = acquire(program, symbols, symbol_count, out_instance, error);
    if (status == TN_OK) {
        (*out_instance)->references++;
    }
    drop_idle(program);
    (void)pthread_mutex_unlock(&program->mutex);
    return status;
}

void tni_cpu_instance_release(cpu_program *program, cpu_instance *instance) {
    if (instance == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&program->mutex);
    instance->references--;
    drop_idle(program);
    (void)pthread_mutex_unlock(&program->mutex);
}

tn_status tni_cpu_ports(void *program, const tn_port_query *query, tn_port_info *ports,
                        uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    cpu_program *own = program;
    *out_port_count = own->input_count + own->output_count + 1;
    if (port_capacity < *out_port_count) {
        return TN_OK;
    }
    cpu_instance *instance = NULL;
    const tn_status status =
        tni_cpu_instance_acquire(own, query->symbols, query->symbol_count, &instance, error);
    for (uint32_t i = 0; status == TN_OK && i < instance->port_count; ++i) {
        const tn_port_info kept = ports[i];
        ports[i] = instance->ports[i];
        ports[i].struct_size = kept.struct_size;
        ports[i].struct_type = kept.struct_type;
    }
    tni_cpu_instance_release(own, instance);
    return status;
}
