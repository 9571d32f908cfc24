// SPDX-License-Identifier: Apache-2.0
// The entry of export: decides, writes ModelProto and the external data, and puts both in place.
#include "onnx/write.h"

#include "base/checked.h"
#include "base/error.h"
#include "onnx/writer.h"

#include <string.h>

// Since this version, initializers need not be inputs as well.
#define OLDEST_IR_VERSION 4
#define DEFAULT_EXTERNAL_BYTES 1024u
// Readers map external data; they need it to begin at a page.
#define EXTERNAL_ALIGNMENT 4096u

enum {
    FIELD_IR_VERSION = 1,
    FIELD_PRODUCER_NAME = 2,
    FIELD_MODEL_VERSION = 5,
    FIELD_GRAPH = 7,
    FIELD_OPSET = 8,
    FIELD_METADATA = 14,
};

static void write_opset(tni_writer *w, const void *item) {
    const tni_written_opset *opset = item;
    tni_put_text(w, 1, opset->domain);
    tni_put_varint(w, 2, opset->version);
}

static void write_metadata(tni_writer *w, const void *item) {
    const tni_pair *pair = item;
    tni_put_text(w, 1, pair->key);
    tni_put_text(w, 2, pair->value);
}

static void write_model(tni_writer *w, const void *item) {
    const tni_model *model = item;
    const uint32_t outermost = 0;
    const int64_t ir = model->ir_version;
    tni_put_varint(w, FIELD_IR_VERSION,
                   (uint64_t)(ir < OLDEST_IR_VERSION ? OLDEST_IR_VERSION : ir));
    tni_put_name(w, FIELD_PRODUCER_NAME, model->producer_name);
    if (model->model_version != 0) {
        tni_put_varint(w, FIELD_MODEL_VERSION, (uint64_t)model->model_version);
    }
    tni_put_message(w, FIELD_GRAPH, tni_write_graph, &outermost);
    for (uint32_t i = 0; i < w->opset_count; i++) {
        tni_put_message(w, FIELD_OPSET, write_opset, &w->opsets[i]);
    }
    for (uint32_t i = 0; i < model->metadata_count; i++) {
        tni_put_message(w, FIELD_METADATA, write_metadata, &model->metadata[i]);
    }
}

static void write_main(tni_writer *w) {
    const uint64_t size_bytes = tni_put_measure(w, write_model, w->model);
    if (w->status == TN_OK && size_bytes > INT32_MAX) {
        w->status = tni_fail(w->error, TN_ERROR_LIMIT_EXCEEDED, "save.too-large",
                             "%llu bytes, while readers of ONNX take 2 GiB: keep the large weights "
                             "in a file of their own",
                             (unsigned long long)size_bytes);
    }
    if (w->status == TN_OK) {
        write_model(w, w->model);
        tni_put_flush(w);
    }
}

// Gives every large initializer its place.
static void place_external(tni_writer *w) {
    const uint64_t given = w->info->external_min_bytes;
    const uint64_t min_bytes = given > 0 ? given : DEFAULT_EXTERNAL_BYTES;
    uint64_t end = 0;
    memset(w->external_offsets, 0xff, w->model->constant_count * sizeof *w->external_offsets);
    for (uint32_t v = 0; v < w->model->value_count && w->info->external_name != NULL; v++) {
        const uint32_t id = w->model->values[v].constant;
        if (id == TN_NONE || w->owners[v] == TN_NONE ||
            w->external_offsets[id] != TNI_NOT_EXTERNAL) {
            continue;
        }
        const tni_constant *constant = &w->model->constants[id];
        if (constant->dtype == TN_DTYPE_STRING || constant->size_bytes < min_bytes) {
            continue;
        }
        if (!tni_align_u64(end, EXTERNAL_ALIGNMENT, &w->external_offsets[id]) ||
            !tni_add_u64(w->external_offsets[id], constant->size_bytes, &end)) {
            tni_write_plain(w, TN_ERROR_LIMIT_EXCEEDED);
            return;
        }
    }
}

// In the order of the values, which is the order of the offsets.
static void write_external(tni_writer *w) {
    for (uint32_t v = 0; v < w->model->value_count && w->status == TN_OK; v++) {
        const uint32_t id = w->model->values[v].constant;
        if (id == TN_NONE || w->owners[v] == TN_NONE ||
            w->external_offsets[id] == TNI_NOT_EXTERNAL) {
            continue;
        }
        const uint64_t offset_bytes = w->external_offsets[id];
        tni_put_flush(w);
        // Values may share a constant; only the first finds its place still ahead.
        if (w->status == TN_OK && offset_bytes >= w->file->size_bytes) {
            w->status = tni_output_skip_to(w->file, offset_bytes, w->error);
            tni_put_constant(w, id);
        }
    }
    tni_put_flush(w);
}

static bool is_plain_name(const char *name, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *last = slash != NULL ? slash + 1 : path;
    return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0 && strcmp(name, last) != 0;
}

static void open_external(tni_writer *w, tni_output *out) {
    char path[TNI_OUTPUT_PATH_BYTES];
    const char *slash = strrchr(w->info->path, '/');
    const size_t folder = slash != NULL ? (size_t)(slash - w->info->path) + 1 : 0;
    const char *name = w->info->external_name;
    if (!is_plain_name(name, w->info->path) || !tni_utf8_valid(tni_string_of(name)) ||
        folder + strlen(name) >= sizeof path) {
        w->status = tni_fail(w->error, TN_ERROR_INVALID_ARGUMENT, "save.external-name",
                             "\"%s\" is no name for a file beside the model", name);
        return;
    }
    memcpy(path, w->info->path, folder);
    memcpy(path + folder, name, strlen(name) + 1);
    w->status = tni_output_open(out, path, w->error);
}

static void allocate(tni_writer *w) {
    const tni_alloc *alloc = &w->model->alloc;
    const uint64_t values = (uint64_t)w->model->value_count + 1;
    w->graphs = tni_alloc_array(alloc, w->model->graph_count, sizeof *w->graphs);
    w->names = tni_alloc_array(alloc, values, sizeof *w->names);
    w->owners = tni_alloc_array(alloc, values, sizeof *w->owners);
    w->next_value = tni_alloc_array(alloc, values, sizeof *w->next_value);
    w->is_output = tni_alloc_array(alloc, values, 1);
    w->external_offsets =
        tni_alloc_array(alloc, (uint64_t)w->model->constant_count + 1, sizeof *w->external_offsets);
    w->block = tni_alloc_bytes(alloc, TNI_WRITE_BLOCK_BYTES, TNI_ALIGNMENT);
    if (w->graphs == NULL || w->names == NULL || w->owners == NULL || w->next_value == NULL ||
        w->is_output == NULL || w->external_offsets == NULL || w->block == NULL) {
        tni_write_plain(w, TN_ERROR_OUT_OF_MEMORY);
        return;
    }
    memset(w->owners, 0xff, values * sizeof *w->owners);
    for (uint32_t i = 0; i < w->model->graph_count; i++) {
        w->graphs[i].first_value = TN_NONE;
        w->graphs[i].size_bytes = UINT64_MAX;
    }
}

static void deinit(tni_writer *w) {
    const tni_alloc *alloc = &w->model->alloc;
    const uint64_t values = (uint64_t)w->model->value_count + 1;
    if (w->info->sensitive && w->block != NULL) {
        explicit_bzero(w->block, TNI_WRITE_BLOCK_BYTES);
    }
    tni_free(alloc, w->block, TNI_WRITE_BLOCK_BYTES);
    tni_free_array(alloc, w->external_offsets, (uint64_t)w->model->constant_count + 1,
                   sizeof *w->external_offsets);
    tni_free_array(alloc, w->is_output, values, 1);
    tni_free_array(alloc, w->next_value, values, sizeof *w->next_value);
    tni_free_array(alloc, w->owners, values, sizeof *w->owners);
    tni_free_array(alloc, w->names, values, sizeof *w->names);
    tni_free_array(alloc, w->graphs, w->model->graph_count, sizeof *w->graphs);
    tni_free_array(alloc, w->opsets, w->opset_capacity, sizeof *w->opsets);
    tni_arena_deinit(&w->arena);
}

static void write_file(tni_writer *w, tni_output *out, void (*write)(tni_writer *w)) {
    if (w->status == TN_OK) {
        w->file = out;
        write(w);
    }
    if (w->status == TN_OK) {
        w->status = tni_output_finish(out, w->error);
    }
}

// files: the model's, and the one for external data.
static void write_files(tni_writer *w, tni_output files[2]) {
    const bool external = w->info->external_name != NULL;
    w->status = tni_output_open(&files[0], w->info->path, w->error);
    if (w->status == TN_OK && external) {
        open_external(w, &files[1]);
    }
    if (external) {
        write_file(w, &files[1], write_external);
    }
    write_file(w, &files[0], write_main);
    // The data first: a model never refers to what is not there.
    if (w->status == TN_OK && external) {
        w->status = tni_output_commit(&files[1], w->error);
    }
    if (w->status == TN_OK) {
        w->status = tni_output_commit(&files[0], w->error);
    }
    tni_output_abandon(&files[0]);
    tni_output_abandon(&files[1]);
}

tn_status tni_onnx_write(const tni_model *model, const tni_write_info *info, tn_error *error) {
    tni_writer w = {.model = model, .info = info, .error = error};
    tni_output *files = tni_alloc_array(&model->alloc, 2, sizeof *files);
    if (files == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "saving a model");
    }
    tni_arena_init(&w.arena, &model->alloc, UINT64_MAX);
    allocate(&w);
    if (w.status == TN_OK) {
        tni_write_decide_names(&w);
    }
    if (w.status == TN_OK) {
        tni_write_decide_opsets(&w);
    }
    if (w.status == TN_OK) {
        place_external(&w);
    }
    if (w.status == TN_OK) {
        write_files(&w, files);
    }
    deinit(&w);
    tni_free_array(&model->alloc, files, 2, sizeof *files);
    return w.status;
}
