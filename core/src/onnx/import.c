// SPDX-License-Identifier: Apache-2.0
// The entry of import: opens the input, reads ModelProto, and hands over a checked model.
#include "onnx/import.h"

#include "base/error.h"
#include "graph/schema/schema.h"
#include "onnx/importer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// The newest IR version whose features this reader knows.
#define NEWEST_IR_VERSION 14

enum {
    FIELD_IR_VERSION = 1,
    FIELD_PRODUCER_NAME = 2,
    FIELD_MODEL_VERSION = 5,
    FIELD_GRAPH = 7,
    FIELD_OPSET = 8,
    FIELD_METADATA = 14,
    FIELD_FUNCTION = 25,
};

static uint64_t pick_u64(uint64_t given, uint64_t fallback) {
    return given != 0 ? given : fallback;
}

static uint32_t pick_u32(uint32_t given, uint32_t fallback) {
    return given != 0 ? given : fallback;
}

static tni_import_limits fill_limits(const tni_import_limits *given) {
    static const tni_import_limits none = {0};
    const tni_import_limits *l = given != NULL ? given : &none;
    const uint32_t rank = pick_u32(l->rank, TN_MAX_RANK);
    return (tni_import_limits){
        .file_bytes = pick_u64(l->file_bytes, (uint64_t)1 << 40),
        .external_bytes = pick_u64(l->external_bytes, (uint64_t)1 << 44),
        .arena_bytes = pick_u64(l->arena_bytes, (uint64_t)1 << 30),
        .tensor_bytes = pick_u64(l->tensor_bytes, (uint64_t)1 << 40),
        .nodes = pick_u32(l->nodes, 4000000),
        .values = pick_u32(l->values, 16000000),
        .attributes = pick_u32(l->attributes, 16000000),
        .initializers = pick_u32(l->initializers, 4000000),
        .functions = pick_u32(l->functions, 65536),
        .name_bytes = pick_u32(l->name_bytes, 65536),
        .rank = rank < TN_MAX_RANK ? rank : TN_MAX_RANK,
        .graph_depth = pick_u32(l->graph_depth, 32),
        .function_depth = pick_u32(l->function_depth, 32),
        .external_files = pick_u32(l->external_files, 1024),
        .attribute_values = pick_u32(l->attribute_values, 1u << 28),
        .function_bytes = pick_u64(l->function_bytes, (uint64_t)1 << 28),
    };
}

tn_status tni_import_opset_id(tni_importer *in, tni_bytes message, tn_string *out_domain,
                              uint32_t *out_version) {
    const uint8_t *at = message.at;
    tni_field field;
    uint64_t version = 0;
    *out_domain = (tn_string){NULL, 0};
    *out_version = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        if (field.number == 1) {
            tni_import_name(in, &field, out_domain);
        } else if (field.number == 2 && tni_wire_expect(&in->wire, &field, TNI_WIRE_VARINT)) {
            version = field.value;
        }
    }
    *out_domain = tni_import_domain(*out_domain);
    const uint32_t newest = tni_schema_newest_opset();
    if (version == 0 || version > INT32_MAX) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.opset-version", at,
                             "opset version %lld of domain '%.*s'", (long long)version,
                             TNI_TEXT(*out_domain));
    }
    if (out_domain->size_bytes == 0 && version > newest) {
        return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.opset-too-new", at,
                             "opset %llu, the newest this build knows is %u",
                             (unsigned long long)version, newest);
    }
    *out_version = (uint32_t)version;
    return in->wire.status;
}

static tn_status read_opset(tni_importer *in, const tni_field *field) {
    tn_string domain;
    uint32_t version = 0;
    if (tni_import_opset_id(in, field->bytes, &domain, &version) != TN_OK) {
        return in->wire.status;
    }
    if (tni_model_opset(in->model, domain) != 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.duplicate-opset", field->at,
                             "domain '%.*s' is imported twice", TNI_TEXT(domain));
    }
    if (in->model->opset_count >= TNI_IMPORT_MAX_OPSETS) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.too-many-opsets", field->at,
                             "more than %u opset imports", TNI_IMPORT_MAX_OPSETS);
    }
    const tn_status status = tni_model_add_opset(in->model, domain, version);
    return status == TN_OK ? TN_OK : tni_import_plain(in, status, field->at, "opset");
}

static tn_status read_metadata(tni_importer *in, const tni_field *field) {
    tni_bytes message = field->bytes;
    tni_field inner;
    tn_string texts[2] = {{NULL, 0}, {NULL, 0}};
    while (tni_wire_next(&in->wire, &message, &inner)) {
        // Values may be long and of any bytes; they are stored, not used as names.
        if ((inner.number == 1 || inner.number == 2) &&
            tni_wire_expect(&in->wire, &inner, TNI_WIRE_BYTES)) {
            texts[inner.number - 1] = tni_field_text(&inner);
        }
    }
    if (in->wire.status != TN_OK) {
        return in->wire.status;
    }
    const tn_status status = tni_model_add_metadata(in->model, texts[0], texts[1]);
    return status == TN_OK ? TN_OK : tni_import_plain(in, status, field->at, "metadata");
}

static tn_status read_text(tni_importer *in, const tni_field *field, tn_string *out_text) {
    tn_string name;
    if (tni_import_name(in, field, &name) != TN_OK) {
        return in->wire.status;
    }
    const tn_status status = tni_arena_text(&in->model->arena, name, out_text);
    return status == TN_OK ? TN_OK : tni_import_plain(in, status, field->at, "name");
}

// One field of ModelProto; the graph is only noted, because what it needs may come after it.
static tn_status read_field(tni_importer *in, const tni_field *field, tni_bytes *out_graph,
                            uint32_t *opset_index, uint32_t *function_index) {
    const bool message = field->number == FIELD_GRAPH || field->number == FIELD_OPSET ||
                         field->number == FIELD_METADATA || field->number == FIELD_FUNCTION;
    const bool number = field->number == FIELD_IR_VERSION || field->number == FIELD_MODEL_VERSION;
    if ((message && !tni_wire_expect(&in->wire, field, TNI_WIRE_BYTES)) ||
        (number && !tni_wire_expect(&in->wire, field, TNI_WIRE_VARINT))) {
        return in->wire.status;
    }
    switch (field->number) {
    case FIELD_IR_VERSION:
        in->model->ir_version = (int64_t)field->value;
        break;
    case FIELD_MODEL_VERSION:
        in->model->model_version = (int64_t)field->value;
        break;
    case FIELD_PRODUCER_NAME:
        return read_text(in, field, &in->model->producer_name);
    case FIELD_GRAPH:
        if (out_graph->at != NULL) {
            return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.duplicate-graph",
                                 field->at, "the model has two graphs");
        }
        *out_graph = field->bytes;
        break;
    case FIELD_OPSET:
        tni_wire_enter(&in->wire, "opset_import", (*opset_index)++);
        if (read_opset(in, field) == TN_OK) {
            tni_wire_leave(&in->wire);
        }
        break;
    case FIELD_METADATA:
        return read_metadata(in, field);
    case FIELD_FUNCTION:
        tni_wire_enter(&in->wire, "functions", (*function_index)++);
        if (tni_import_function(in, field->bytes, field->at) == TN_OK) {
            tni_wire_leave(&in->wire);
        }
        break;
    default:
        break;
    }
    return in->wire.status;
}

static tn_status check_versions(tni_importer *in, const uint8_t *at) {
    const int64_t ir_version = in->model->ir_version;
    if (ir_version < 1) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.ir-version", at,
                             "IR version %lld: not an ONNX model", (long long)ir_version);
    }
    if (ir_version > NEWEST_IR_VERSION) {
        return tni_wire_fail(&in->wire, TN_ERROR_UNSUPPORTED, "onnx.ir-too-new", at,
                             "IR version %lld, the newest this build knows is %d",
                             (long long)ir_version, NEWEST_IR_VERSION);
    }
    // Before IR version 3 there were no opset imports: everything was version 1.
    if (ir_version < 3 && in->model->opset_count == 0) {
        const tn_status status = tni_model_add_opset(in->model, TNI_LITERAL(""), 1);
        if (status != TN_OK) {
            return tni_import_plain(in, status, at, "opset");
        }
    }
    return TN_OK;
}

tn_status tni_import_model_proto(tni_importer *in, tni_bytes message) {
    const uint8_t *begin = message.at;
    tni_bytes graph = {NULL, NULL};
    tni_field field;
    uint32_t opset_index = 0;
    uint32_t function_index = 0;
    while (tni_wire_next(&in->wire, &message, &field)) {
        read_field(in, &field, &graph, &opset_index, &function_index);
    }
    if (in->wire.status != TN_OK || check_versions(in, begin) != TN_OK) {
        return in->wire.status;
    }
    if (graph.at == NULL) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.no-graph", begin,
                             "the model has no graph");
    }
    tni_scope scope;
    tni_scope_init(&scope, in, NULL);
    in->scope = &scope;
    tni_wire_enter(&in->wire, "graph", TN_NONE);
    tni_import_graph_proto(in, graph, 0);
    in->scope = NULL;
    tni_scope_deinit(&scope);
    in->model->graph_name = in->model->graphs[0].name;
    return in->wire.status;
}

static tn_status open_failed(tn_error *error, const char *path, int os_error) {
    const tn_status status = tni_fail_errno(error, os_error, "onnx.file-open", "%s", path);
    if (os_error == ENOENT || os_error == ENOTDIR) {
        if (error != NULL && error->struct_size >= sizeof *error) {
            error->status = TN_ERROR_NOT_FOUND;
        }
        return TN_ERROR_NOT_FOUND;
    }
    return status;
}

// Opens the folder that external data is confined to: the given one, or the one of the model file.
static tn_status open_folder(tni_importer *in, const tni_import_info *info, tn_error *error) {
    char path[4096] = ".";
    const char *folder = info->external_folder;
    if (folder == NULL && info->path != NULL) {
        const char *slash = strrchr(info->path, '/');
        if (slash != NULL) {
            const uint64_t size_bytes = slash == info->path ? 1 : (uint64_t)(slash - info->path);
            if (!tni_string_copy(path, sizeof path, (tn_string){info->path, size_bytes})) {
                return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "onnx.arguments",
                                "the path is too long");
            }
        }
        folder = path;
    }
    if (folder != NULL) {
        in->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (in->folder < 0) {
            return open_failed(error, folder, errno);
        }
    }
    return TN_OK;
}

static tn_status open_source(tni_importer *in, const tni_import_info *info, tn_error *error) {
    if (info->path == NULL) {
        const tn_status status = info->size_bytes > in->limits.file_bytes
                                     ? TN_ERROR_LIMIT_EXCEEDED
                                     : tni_model_add_buffer(in->model, info->data, info->size_bytes,
                                                            in->copy, &in->source);
        return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "model buffer");
    }
    // O_NONBLOCK: opening a named pipe must not hang; it is refused as no regular file.
    const int fd = open(info->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return open_failed(error, info->path, errno);
    }
    const tn_status status = tni_model_add_file(in->model, fd, tni_string_of(info->path), in->copy,
                                                in->limits.file_bytes, &in->source, error);
    if (status != TN_OK) {
        (void)close(fd);
    }
    return status;
}

static tn_status read_source(tni_importer *in, tn_error *error) {
    const tni_source source = in->model->sources[in->source];
    if (source.size_bytes == 0) {
        return tni_fail_at(error, TN_ERROR_INVALID_DATA, "onnx.empty", 0, "the model is empty");
    }
    in->wire.base = source.data;
    tn_status status =
        tni_import_model_proto(in, (tni_bytes){source.data, source.data + source.size_bytes});
    if (status == TN_OK) {
        status = tni_model_validate(in->model, error);
    }
    return status;
}

static void deinit(tni_importer *in) {
    tni_free_array(&in->model->alloc, in->functions, in->function_capacity, sizeof *in->functions);
    tni_free_array(&in->model->alloc, in->ids, in->id_capacity, sizeof *in->ids);
    tni_map_deinit(&in->function_names);
    tni_map_deinit(&in->externals);
    if (in->folder >= 0) {
        (void)close(in->folder);
    }
}

tn_status tni_onnx_import(const tni_import_info *info, tni_model **out_model, tn_error *error) {
    const tni_alloc *alloc = info->alloc != NULL ? info->alloc : tni_alloc_default();
    tni_importer in = {.limits = fill_limits(info->limits),
                       .copy = (info->flags & TNI_IMPORT_COPY) != 0,
                       .folder = -1};
    *out_model = NULL;
    if ((info->path == NULL) == (info->data == NULL)) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "onnx.arguments",
                        "give either a path or the model's bytes");
    }
    tn_status status = tni_model_create(alloc, info->log, in.limits.arena_bytes, &in.model);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "model");
    }
    in.wire.error = error;
    in.model->key_base = info->key_base;
    in.model->max_tensor_bytes = in.limits.tensor_bytes;
    tni_map_init(&in.externals, alloc);
    tni_map_init(&in.function_names, alloc);
    status = open_source(&in, info, error);
    if (status == TN_OK) {
        status = open_folder(&in, info, error);
    }
    if (status == TN_OK) {
        status = read_source(&in, error);
    }
    deinit(&in);
    if (status != TN_OK) {
        tni_model_destroy(in.model);
        return status;
    }
    *out_model = in.model;
    return TN_OK;
}
