// SPDX-License-Identifier: Apache-2.0
// The embedding API behind a few flat functions, so that a Python test can run many small models in
// one process without repeating the layouts of its structs. See tenon.py.
#include "tenon/tenon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 640
#define MAX_INPUTS 64u

typedef struct bridge {
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    tn_input_shape shapes[MAX_INPUTS];
    uint32_t shape_count;
    uint32_t precision; // of models that are loaded later
    uint32_t compile_flags;
    char text[TEXT_BYTES];
} bridge;

// One tensor of an output; data lives until the next run.
typedef struct bridge_tensor {
    const void *data;
    const int64_t *dims;
    uint64_t size_bytes;
    uint32_t dtype;
    uint32_t rank;
} bridge_tensor;

#define EXPORT __attribute__((visibility("default")))

EXPORT bridge *bridge_open(const char *plugin_folder, uint32_t worker_count);
EXPORT void bridge_close(bridge *b);
EXPORT void bridge_configure(bridge *b, uint32_t precision, uint32_t compile_flags);
EXPORT int32_t bridge_load(bridge *b, const void *model, uint64_t size_bytes, const char *device);
EXPORT int32_t bridge_shape(bridge *b, uint32_t rank, const int64_t *dims);
EXPORT int32_t bridge_prepare(bridge *b);
EXPORT int32_t bridge_write(bridge *b, uint32_t input, const void *data, uint64_t size_bytes);
EXPORT int32_t bridge_run(bridge *b);
EXPORT int32_t bridge_output(bridge *b, uint32_t output, bridge_tensor *out_tensor);
EXPORT void bridge_unload(bridge *b);
EXPORT const char *bridge_text(const bridge *b);
EXPORT int32_t bridge_unsupported(void);
EXPORT int32_t bridge_invalid_data(void);

static tn_error fresh_error(void) {
    return (tn_error){.struct_size = sizeof(tn_error), .struct_type = TN_STRUCT_ERROR};
}

static int32_t keep(bridge *b, const char *where, tn_status status, const tn_error *error) {
    snprintf(b->text, sizeof(b->text), "%s [%s] %s", where, error->id, error->text);
    return status;
}

bridge *bridge_open(const char *plugin_folder, uint32_t worker_count) {
    tn_error error = fresh_error();
    tn_host_config config;
    bridge *b = calloc(1, sizeof(*b));
    if (b == NULL) {
        return NULL;
    }
    tn_host_config_init(&config);
    config.search_dirs = &plugin_folder;
    config.search_dir_count = 1;
    config.search = 0;
    config.worker_count = worker_count;
    if (tn_host_create(&config, &b->host, &error) != TN_OK) {
        free(b);
        return NULL;
    }
    return b;
}

void bridge_unload(bridge *b) {
    tn_request_destroy(b->request);
    tn_compiled_release(b->compiled);
    tn_model_release(b->model);
    b->request = NULL;
    b->compiled = NULL;
    b->model = NULL;
    b->shape_count = 0;
}

void bridge_close(bridge *b) {
    if (b != NULL) {
        bridge_unload(b);
        tn_host_release(b->host);
        free(b);
    }
}

const char *bridge_text(const bridge *b) {
    return b->text;
}

// The status that is an answer rather than a failure.
int32_t bridge_unsupported(void) {
    return TN_ERROR_UNSUPPORTED;
}

// The status of values that contradict the model or each other.
int32_t bridge_invalid_data(void) {
    return TN_ERROR_INVALID_DATA;
}

// TN_PRECISION_ and TN_COMPILE_ for models that are loaded from now on.
void bridge_configure(bridge *b, uint32_t precision, uint32_t compile_flags) {
    b->precision = precision;
    b->compile_flags = compile_flags;
}

// The bytes of the model stay the caller's until unload.
int32_t bridge_load(bridge *b, const void *model, uint64_t size_bytes, const char *device) {
    tn_error error = fresh_error();
    tn_compile_config config;
    bridge_unload(b);
    tn_compile_config_init(&config);
    config.devices = &device;
    config.device_count = 1;
    config.policy = TN_COMPILE_NO_FALLBACK;
    config.precision = b->precision;
    config.compile_flags = b->compile_flags;
    tn_status status = tn_model_load_memory(b->host, model, size_bytes, NULL, &b->model, &error);
    if (status != TN_OK) {
        return keep(b, "load", status, &error);
    }
    status = tn_compile(b->model, &config, &b->compiled, &error);
    if (status != TN_OK) {
        return keep(b, "compile", status, &error);
    }
    return keep(b, "request", tn_request_create(b->compiled, NULL, &b->request, &error), &error);
}

// The next input has these dimensions, which stay the caller's until prepare has returned.
int32_t bridge_shape(bridge *b, uint32_t rank, const int64_t *dims) {
    if (b->shape_count >= MAX_INPUTS) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    b->shapes[b->shape_count] =
        (tn_input_shape){.input = b->shape_count, .rank = rank, .dims = dims};
    b->shape_count++;
    return TN_OK;
}

int32_t bridge_prepare(bridge *b) {
    tn_error error = fresh_error();
    tn_status status = tn_request_prepare(b->request, b->shapes, b->shape_count, &error);
    b->shape_count = 0;
    return keep(b, "prepare", status, &error);
}

int32_t bridge_write(bridge *b, uint32_t input, const void *data, uint64_t size_bytes) {
    tn_error error = fresh_error();
    return keep(b, "write", tn_request_write(b->request, input, data, size_bytes, &error), &error);
}

int32_t bridge_run(bridge *b) {
    tn_error error = fresh_error();
    return keep(b, "run", tn_request_run(b->request, 0, &error), &error);
}

int32_t bridge_output(bridge *b, uint32_t output, bridge_tensor *out_tensor) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    tn_status status = tn_request_output(b->request, output, &view);
    *out_tensor = (bridge_tensor){.data = view.data,
                                  .dims = view.dims,
                                  .size_bytes = view.size_bytes,
                                  .dtype = view.dtype,
                                  .rank = view.rank};
    snprintf(b->text, sizeof(b->text), "output %u", output);
    return status;
}
