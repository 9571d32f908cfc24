// SPDX-License-Identifier: Apache-2.0
// tenon/model.h: importing a model and describing it.
#include "api/objects.h"

#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "graph/rewrite/rewrite.h"
#include "onnx/import.h"
#include "plan/cost.h"

#include <stdio.h>
#include <string.h>

void tn_model_config_init(tn_model_config *config) {
    *config =
        (tn_model_config){.struct_size = sizeof(*config), .struct_type = TN_STRUCT_MODEL_CONFIG};
}

// What tenon/model.h says of fields that are zero.
#define MAX_DEPTH 64u
#define MAX_NODES 1000000u
#define MAX_VALUES 4000000u
#define MAX_TENSOR_BYTES ((uint64_t)16 << 30)
// Graphs inside of graphs are walked by functions that call themselves.
#define DEEPEST 256u

static uint64_t pick(uint64_t given, uint64_t fallback, uint64_t most) {
    const uint64_t value = given > 0 ? given : fallback;
    return value < most ? value : most;
}

// Counts what the file brought before the rewrites change it.
static void summarise(tn_model *m, uint32_t imported_count) {
    const tni_model *model = m->model;
    const tni_graph *graph = &model->graphs[0];
    tn_model_summary *s = &m->summary;
    s->struct_size = sizeof(*s);
    s->struct_type = TN_STRUCT_MODEL_SUMMARY;
    s->producer = m->producer;
    s->graph_name = m->graph_name;
    s->ir_version = model->ir_version;
    s->opset = tni_model_opset(model, tni_string_of(""));
    s->node_count = graph->node_count;
    s->imported_count = imported_count;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        s->flops += tni_node_work(model, graph->nodes[i]).flops;
    }
    for (uint32_t i = 0; i < model->constant_count; i++) {
        const tni_constant *constant = &model->constants[i];
        if (constant->helper) {
            continue;
        }
        s->constant_count++;
        s->mapped_bytes += constant->kind == TNI_CONSTANT_RAW ? constant->size_bytes : 0;
        s->decoded_bytes += constant->kind == TNI_CONSTANT_OWNED ? constant->size_bytes : 0;
        s->derived_bytes += constant->kind == TNI_CONSTANT_RECIPE ? constant->size_bytes : 0;
        s->parameter_count += constant->element_count;
        s->parameter_bytes += constant->size_bytes;
    }
    (void)tni_string_copy(m->producer, sizeof(m->producer), model->producer_name);
    (void)tni_string_copy(m->graph_name, sizeof(m->graph_name), model->graph_name);
}

static tn_status import(tn_model *m, tni_import_info *info, const tn_model_config *config,
                        tn_error *error) {
    tni_import_limits limits = {
        .nodes = (uint32_t)pick(config->max_nodes, MAX_NODES, UINT32_MAX),
        .values = (uint32_t)pick(config->max_values, MAX_VALUES, UINT32_MAX),
        .arena_bytes = config->max_arena_bytes,
        .tensor_bytes = pick(config->max_tensor_bytes, MAX_TENSOR_BYTES, UINT64_MAX),
        .graph_depth = (uint32_t)pick(config->max_depth, MAX_DEPTH, DEEPEST),
    };
    info->alloc = &m->alloc;
    info->log = &m->host->log;
    info->limits = &limits;
    info->key_base = tni_weights_reserve(&m->host->weights);
    info->flags = (config->flags & TN_MODEL_READ_COPY) != 0 ? TNI_IMPORT_COPY : 0;
    tn_status status = tni_onnx_import(info, &m->model, error);
    if (status != TN_OK) {
        return status;
    }
    uint32_t imported = m->model->graphs[0].node_count;
    bool plain = (config->flags & TN_MODEL_NO_REWRITES) != 0;
    tni_rewrite_info rewrite = {.keep_constants = plain, .keep_batch_norm = plain};
    status = tni_model_canonicalise(m->model, &rewrite, error);
    if (status == TN_OK) {
        summarise(m, imported);
    }
    return status;
}

static void destroy(tn_model *m) {
    tn_host *host = m->host;
    tni_model_destroy(m->model);
    tni_free(&host->alloc, m, sizeof(*m));
    tni_host_drop(host);
}

static tn_status load(tn_host *host, tni_import_info *info, const tn_model_config *config,
                      tn_model **out_model, tn_error *error) {
    tn_model_config defaults;
    tn_model_config_init(&defaults);
    if (out_model != NULL) {
        *out_model = NULL;
    }
    if (host == NULL || out_model == NULL || (info->path == NULL && info->data == NULL) ||
        (config != NULL && !tni_struct_ok(config, TN_STRUCT_MODEL_CONFIG, sizeof(*config)))) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "model.argument",
                        "host, model or out_model is null, or the configuration is not one");
    }
    config = config == NULL ? &defaults : config;
    uint64_t begin = tni_clock_ns();
    tn_model *m = tni_alloc_zeroed(&host->alloc, sizeof(*m));
    if (m == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a model");
    }
    atomic_init(&m->references, 1);
    tn_host_retain(host);
    m->host = host;
    m->sensitive = (config->flags & TN_MODEL_SENSITIVE) != 0;
    m->alloc = m->sensitive ? tni_alloc_wiping(&host->alloc) : host->alloc;
    if (m->sensitive) {
        tni_weights_wipe(&host->weights);
    }
    tn_status status = import(m, info, config, error);
    tni_trace_add(&host->trace, TN_TRACE_LOAD, TN_NONE, TN_NONE, 0, begin, 0);
    if (status != TN_OK) {
        destroy(m);
        return status;
    }
    m->summary.load_ns = tni_clock_ns() - begin;
    *out_model = m;
    return TN_OK;
}

tn_status tn_model_load_file(tn_host *host, const char *path, const tn_model_config *config,
                             tn_model **out_model, tn_error *error) {
    tni_import_info info = {.path = path};
    tn_error reason;
    tni_error_init(&reason);
    const tn_status status = load(host, &info, config, out_model, &reason);
    if (status != TN_OK) {
        if (path != NULL) {
            tni_error_about(&reason, path);
        }
        tni_error_copy(error, &reason);
    }
    return status;
}

tn_status tn_model_load_memory(tn_host *host, const void *data, uint64_t size_bytes,
                               const tn_model_config *config, tn_model **out_model,
                               tn_error *error) {
    tni_import_info info = {.data = data, .size_bytes = size_bytes};
    return load(host, &info, config, out_model, error);
}

void tn_model_retain(tn_model *model) {
    if (model != NULL) {
        atomic_fetch_add(&model->references, 1);
    }
}

void tn_model_release(tn_model *model) {
    if (model != NULL && atomic_fetch_sub(&model->references, 1) == 1) {
        destroy(model);
    }
}

uint32_t tn_model_input_count(const tn_model *model) {
    return model == NULL ? 0 : model->model->graphs[0].input_count;
}

uint32_t tn_model_output_count(const tn_model *model) {
    return model == NULL ? 0 : model->model->graphs[0].output_count;
}

static void describe(const tni_model *model, uint32_t index, tn_tensor_desc *out_desc) {
    const tni_value *value = &model->values[index];
    uint64_t count = 1;
    bool known = value->rank != TN_RANK_UNKNOWN;
    tn_tensor_desc desc = {
        .name = tni_text_or_empty(value->name),
        .dtype = value->dtype,
        .kind = value->kind,
        .rank = value->rank,
        .is_constant = value->constant != TN_NONE,
    };
    for (uint32_t i = 0; known && i < value->rank && i < TN_MAX_RANK; i++) {
        const tn_graph_dim *dim = &value->dims[i];
        desc.dims[i] = dim->size;
        desc.symbols[i] =
            dim->symbol == TN_NONE ? "" : tni_text_or_empty(model->symbols[dim->symbol].name);
    }
    for (uint32_t i = 0; known && i < value->rank; i++) {
        known =
            value->dims[i].size >= 0 && tni_mul_u64(count, (uint64_t)value->dims[i].size, &count);
    }
    if (known && !tni_size_of_elements(value->dtype, count, &desc.size_bytes)) {
        desc.size_bytes = 0;
    }
    tni_struct_out(out_desc, &desc, sizeof(desc));
}

static tn_status describe_in(const tn_model *model, const uint32_t *values, uint32_t count,
                             uint32_t index, tn_tensor_desc *out_desc) {
    if (!tni_struct_ok(out_desc, TN_STRUCT_TENSOR_DESC, sizeof(tn_struct_header)) ||
        index >= count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    describe(model->model, values == NULL ? index : values[index], out_desc);
    return TN_OK;
}

tn_status tn_model_input_get(const tn_model *model, uint32_t index, tn_tensor_desc *out_desc) {
    if (model == NULL) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_graph *graph = &model->model->graphs[0];
    return describe_in(model, graph->inputs, graph->input_count, index, out_desc);
}

tn_status tn_model_output_get(const tn_model *model, uint32_t index, tn_tensor_desc *out_desc) {
    if (model == NULL) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_graph *graph = &model->model->graphs[0];
    return describe_in(model, graph->outputs, graph->output_count, index, out_desc);
}

tn_status tn_model_value_get(const tn_model *model, uint32_t value, tn_tensor_desc *out_desc) {
    return model == NULL ? TN_ERROR_INVALID_ARGUMENT
                         : describe_in(model, NULL, model->model->value_count, value, out_desc);
}

uint32_t tn_model_node_count(const tn_model *model) {
    return model == NULL ? 0 : model->model->graphs[0].node_count;
}

tn_status tn_model_node_get(const tn_model *model, uint32_t node, tn_node_desc *out_desc) {
    if (model == NULL) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_graph *graph = &model->model->graphs[0];
    if (!tni_struct_ok(out_desc, TN_STRUCT_NODE_DESC, sizeof(tn_struct_header)) ||
        node >= graph->node_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_node *n = &model->model->nodes[graph->nodes[node]];
    tni_work work = tni_node_work(model->model, graph->nodes[node]);
    tn_node_desc desc = {
        .name = tni_text_or_empty(n->name),
        .op_type = tni_text_or_empty(n->op_type),
        .domain = tni_text_or_empty(n->domain),
        .since_version = n->since_version,
        .input_count = n->input_count,
        .output_count = n->output_count,
        .is_custom = (n->flags & TN_NODE_CUSTOM) != 0,
        .inputs = n->inputs,
        .outputs = n->outputs,
        .flops = work.flops,
        .bytes = work.bytes,
        .rows = work.rows,
    };
    tni_struct_out(out_desc, &desc, sizeof(desc));
    return TN_OK;
}

tn_status tn_model_summary_get(const tn_model *model, tn_model_summary *out_summary) {
    if (model == NULL ||
        !tni_struct_ok(out_summary, TN_STRUCT_MODEL_SUMMARY, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    tni_struct_out(out_summary, &model->summary, sizeof(model->summary));
    return TN_OK;
}
