// SPDX-License-Identifier: Apache-2.0
// One case: load, compile, and for every data set prepare, run and compare.
#include "onnx/suite.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 1200u
#define MAX_DEVICES 8u
#define MAX_VALUES 256u
#define MAX_DATA_SETS 16u

// Everything one case holds.
typedef struct test_case {
    suite_report *report;
    const char *folder;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    uint32_t input_count;
    uint32_t output_count;
    suite_value *inputs;
    suite_value *outputs;
    crypto_hash_sha256_state hash;
} test_case;

const char *suite_outcome_name(suite_outcome outcome) {
    static const char *const names[SUITE_OUTCOMES] = {"passed", "wrong", "failed", "unsupported"};
    return names[outcome];
}

static tn_error fresh_error(void) {
    return (tn_error){.struct_size = sizeof(tn_error), .struct_type = TN_STRUCT_ERROR};
}

static tn_tensor_desc fresh_desc(void) {
    return (tn_tensor_desc){.struct_size = sizeof(tn_tensor_desc),
                            .struct_type = TN_STRUCT_TENSOR_DESC};
}

static tn_tensor_view fresh_view(void) {
    return (tn_tensor_view){.struct_size = sizeof(tn_tensor_view),
                            .struct_type = TN_STRUCT_TENSOR_VIEW};
}

static bool stop(test_case *c, suite_outcome outcome, const char *where, const tn_error *error) {
    c->report->outcome = outcome;
    snprintf(c->report->error_id, sizeof(c->report->error_id), "%s", error->id);
    snprintf(c->report->text, sizeof(c->report->text), "%s: %.200s", where, error->text);
    return false;
}

// Refusals are answers; anything else that ends a case early is a failure.
static bool stop_status(test_case *c, tn_status status, const char *where, const tn_error *error) {
    bool refused = status == TN_ERROR_UNSUPPORTED || status == TN_ERROR_DENIED;
    return stop(c, refused ? SUITE_UNSUPPORTED : SUITE_FAILED, where, error);
}

static bool stop_text(test_case *c, suite_outcome outcome, const char *where, const char *text) {
    c->report->outcome = outcome;
    snprintf(c->report->text, sizeof(c->report->text), "%s: %.200s", where, text);
    return false;
}

// The class of a case is that of its loosest op.
static void find_class(test_case *c) {
    tn_node_desc node = {.struct_size = sizeof(node), .struct_type = TN_STRUCT_NODE_DESC};
    for (uint32_t i = 0; i < tn_model_node_count(c->model); i++) {
        if (tn_model_node_get(c->model, i, &node) == TN_OK) {
            suite_class kind = suite_class_of_op(node.op_type);
            c->report->kind = kind > c->report->kind ? kind : c->report->kind;
        }
    }
}

// Cuts a list at its commas; what is beyond MAX_DEVICES is left out.
static uint32_t split_devices(char *list, const char **out_devices) {
    uint32_t count = 0;
    for (char *rest = list, *one; count < MAX_DEVICES && (one = strsep(&rest, ",")) != NULL;) {
        out_devices[count++] = one;
    }
    return count;
}

static bool open_case(test_case *c, tn_host *host, const char *devices) {
    char path[PATH_BYTES];
    char list[PATH_BYTES];
    const char *ids[MAX_DEVICES];
    tn_error error = fresh_error();
    tn_compile_config config;
    tn_compile_config_init(&config);
    if (devices != NULL) {
        snprintf(list, sizeof(list), "%s", devices);
        config.devices = ids;
        config.device_count = split_devices(list, ids);
        config.policy = TN_COMPILE_NO_FALLBACK;
    }
    snprintf(path, sizeof(path), "%s/model.onnx", c->folder);
    tn_status status = tn_model_load_file(host, path, NULL, &c->model, &error);
    if (status != TN_OK) {
        return stop_status(c, status, "load", &error);
    }
    find_class(c);
    status = tn_compile(c->model, &config, &c->compiled, &error);
    if (status != TN_OK) {
        return stop_status(c, status, "compile", &error);
    }
    status = tn_request_create(c->compiled, NULL, &c->request, &error);
    c->input_count = tn_model_input_count(c->model);
    c->output_count = tn_model_output_count(c->model);
    if (c->input_count > MAX_VALUES || c->output_count > MAX_VALUES) {
        return stop_text(c, SUITE_FAILED, "load", "too many inputs or outputs");
    }
    c->inputs = calloc((size_t)c->input_count + 1, sizeof(*c->inputs));
    c->outputs = calloc((size_t)c->output_count + 1, sizeof(*c->outputs));
    if (c->inputs == NULL || c->outputs == NULL) {
        return stop_text(c, SUITE_FAILED, "load", "out of memory");
    }
    return status == TN_OK || stop_status(c, status, "request", &error);
}

// Old data holds bfloat16 as uint16; the model tells which it is.
static void fix_type(suite_value *value, tn_dtype dtype) {
    for (uint32_t i = 0; i < value->count; i++) {
        if (value->tensors[i].dtype == TN_DTYPE_UINT16 && dtype == TN_DTYPE_BFLOAT16) {
            value->tensors[i].dtype = dtype;
        }
    }
}

static bool read_value(test_case *c, uint32_t set, bool is_output, uint32_t index) {
    char path[PATH_BYTES];
    char text[SUITE_TEXT];
    tn_tensor_desc desc = fresh_desc();
    suite_value *value = is_output ? &c->outputs[index] : &c->inputs[index];
    tn_status status = is_output ? tn_model_output_get(c->model, index, &desc)
                                 : tn_model_input_get(c->model, index, &desc);
    if (status != TN_OK) {
        return stop_text(c, SUITE_FAILED, "data", "the model does not describe a value");
    }
    snprintf(path, sizeof(path), "%s/test_data_set_%u/%s_%u.pb", c->folder, set,
             is_output ? "output" : "input", index);
    suite_value_free(value);
    if (suite_value_read(path, desc.kind, value, text) != SUITE_READ) {
        return stop_text(c, SUITE_UNSUPPORTED, path + strlen(c->folder) + 1, text);
    }
    fix_type(value, desc.dtype);
    return true;
}

static bool read_set(test_case *c, uint32_t set) {
    bool good = true;
    for (uint32_t i = 0; i < c->input_count && good; i++) {
        good = read_value(c, set, false, i);
    }
    for (uint32_t i = 0; i < c->output_count && good; i++) {
        good = read_value(c, set, true, i);
    }
    return good;
}

static bool is_tensor_input(const test_case *c, uint32_t input) {
    tn_tensor_desc desc = fresh_desc();
    return tn_model_input_get(c->model, input, &desc) == TN_OK && desc.kind == TN_VALUE_TENSOR;
}

static bool prepare(test_case *c) {
    tn_input_shape shapes[MAX_VALUES];
    uint32_t count = 0;
    tn_error error = fresh_error();
    for (uint32_t i = 0; i < c->input_count; i++) {
        if (is_tensor_input(c, i)) {
            const proto_tensor *t = &c->inputs[i].tensors[0];
            shapes[count++] = (tn_input_shape){.input = i, .rank = t->rank, .dims = t->dims};
        }
    }
    tn_status status = tn_request_prepare(c->request, shapes, count, &error);
    return status == TN_OK || stop_status(c, status, "prepare", &error);
}

static tn_status write_elements(test_case *c, uint32_t input, tn_error *error) {
    const suite_value *value = &c->inputs[input];
    tn_tensor_view *views = calloc((size_t)value->count + 1, sizeof(*views));
    if (views == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < value->count; i++) {
        const proto_tensor *t = &value->tensors[i];
        views[i] = fresh_view();
        views[i].data = t->data;
        views[i].size_bytes = t->size_bytes;
        views[i].dtype = t->dtype;
        views[i].rank = t->rank;
        views[i].dims = t->dims;
    }
    tn_status status = tn_request_write_elements(c->request, input, value->is_none ? NULL : views,
                                                 value->count, error);
    free(views);
    return status;
}

static bool write_inputs(test_case *c) {
    tn_error error = fresh_error();
    for (uint32_t i = 0; i < c->input_count; i++) {
        const proto_tensor *t = c->inputs[i].tensors;
        tn_status status = is_tensor_input(c, i)
                               ? tn_request_write(c->request, i, t->data, t->size_bytes, &error)
                               : write_elements(c, i, &error);
        if (status != TN_OK) {
            return stop_status(c, status, "input", &error);
        }
    }
    return true;
}

static bool compare_output(test_case *c, uint32_t output) {
    const suite_value *expected = &c->outputs[output];
    uint64_t length = 0;
    char text[SUITE_TEXT];
    if (tn_request_output_length(c->request, output, &length) != TN_OK ||
        length != expected->count) {
        return stop_text(c, SUITE_WRONG, "output", "another number of elements");
    }
    for (uint32_t i = 0; i < expected->count; i++) {
        tn_tensor_view view = fresh_view();
        if (tn_request_output_element(c->request, output, i, &view) != TN_OK) {
            return stop_text(c, SUITE_FAILED, "output", "it cannot be read");
        }
        if (!suite_compare(&expected->tensors[i], &view, c->report->kind, &c->report->result,
                           text)) {
            return stop_text(c, SUITE_WRONG, "output", text);
        }
        crypto_hash_sha256_update(&c->hash, view.data, view.size_bytes);
    }
    return true;
}

static bool run_set(test_case *c, uint32_t set) {
    tn_error error = fresh_error();
    if (!read_set(c, set) || !prepare(c) || !write_inputs(c)) {
        return false;
    }
    tn_status status = tn_request_run(c->request, 0, &error);
    if (status != TN_OK) {
        return stop_status(c, status, "run", &error);
    }
    bool good = true;
    for (uint32_t i = 0; i < c->output_count && good; i++) {
        good = compare_output(c, i);
    }
    c->report->data_sets++;
    return good;
}

static bool has_set(const test_case *c, uint32_t set) {
    char path[PATH_BYTES];
    suite_value value;
    char text[SUITE_TEXT];
    snprintf(path, sizeof(path), "%s/test_data_set_%u/output_0.pb", c->folder, set);
    suite_read found = suite_value_read(path, TN_VALUE_TENSOR, &value, text);
    if (found == SUITE_READ) {
        suite_value_free(&value);
    }
    return found != SUITE_ABSENT;
}

static void finish(test_case *c, double range_limit) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    suite_report *report = c->report;
    crypto_hash_sha256_final(&c->hash, digest);
    sodium_bin2hex(report->hash, sizeof(report->hash), digest, sizeof(digest));
    // The strict limit is relative to the largest element where results cancel; ONNX's is not.
    bool passed = range_limit > 0.0 ? report->result.max_range_error <= range_limit
                                    : report->result.tolerant || report->result.strict;
    report->outcome = passed ? SUITE_PASSED : SUITE_WRONG;
    if (!passed) {
        snprintf(report->text, sizeof(report->text),
                 "values differ: %.3g at most, %.3g ulp, %.3g of the range",
                 report->result.max_error, report->result.max_ulp, report->result.max_range_error);
    }
}

void suite_run_case(tn_host *host, const char *devices, const char *folder, double range_limit,
                    suite_report *report) {
    test_case c = {.report = report, .folder = folder};
    *report = (suite_report){.result = {.strict = true, .tolerant = true}};
    crypto_hash_sha256_init(&c.hash);
    bool good = open_case(&c, host, devices);
    if (good && !has_set(&c, 0)) {
        good = stop_text(&c, SUITE_UNSUPPORTED, "data", "there is no data set");
    }
    for (uint32_t set = 0; good && set < MAX_DATA_SETS && has_set(&c, set); set++) {
        good = run_set(&c, set);
    }
    if (good) {
        finish(&c, range_limit);
    }
    for (uint32_t i = 0; c.inputs != NULL && i < c.input_count; i++) {
        suite_value_free(&c.inputs[i]);
    }
    for (uint32_t i = 0; c.outputs != NULL && i < c.output_count; i++) {
        suite_value_free(&c.outputs[i]);
    }
    free(c.inputs);
    free(c.outputs);
    tn_request_destroy(c.request);
    tn_compiled_release(c.compiled);
    tn_model_release(c.model);
}
