// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

int flow_set_up(void **state) {
    flow_fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return -1;
    }
    test_alloc_init(&f->memory);
    f->allocator =
        (tn_allocator){f->memory.alloc.alloc, f->memory.alloc.free, f->memory.alloc.user};
    f->reference = tn_plugin_entry_1_reference;
    tn_error_init(&f->error);
    tn_request_config_init(&f->config);
    tn_model_config_init(&f->model_config);
    fake_reset();
    onnx_begin(&f->b, 17);
    *state = f;
    return 0;
}

void flow_close(flow_fixture *f) {
    tn_request_destroy(f->request);
    tn_compiled_release(f->compiled);
    tn_model_release(f->model);
    tn_host_release(f->host);
    f->request = NULL;
    f->compiled = NULL;
    f->model = NULL;
    f->host = NULL;
}

int flow_tear_down(void **state) {
    flow_fixture *f = *state;
    flow_close(f);
    onnx_abandon(&f->b);
    pb_free(&f->bytes);
    const bool clean = test_alloc_clean(&f->memory);
    test_alloc_deinit(&f->memory);
    free(f);
    return clean ? 0 : -1;
}

static tn_status open_host(flow_fixture *f) {
    tn_static_plugin plugins[3] = {{"reference", f->reference}, {"fake", fake_plugin_entry}};
    tn_host_config config;
    tn_host_config_init(&config);
    config.allocator = f->allocator;
    config.log = f->log;
    config.log_user_data = f->log_user_data;
    config.log_level = TN_LOG_TRACE;
    config.search = TN_SEARCH_NONE;
    config.static_plugins = plugins;
    config.static_plugin_count = f->extra != NULL ? 3 : 2;
    if (f->extra != NULL) {
        plugins[2] = *f->extra;
    }
    return tn_host_create(&config, &f->host, &f->error);
}

static tn_status compile(flow_fixture *f, const char *devices, const tn_compile_config *limits) {
    const char *names[4] = {devices};
    tn_compile_config config = *limits;
    config.devices = names;
    config.device_count = 1;
    config.policy |= TN_COMPILE_NO_FALLBACK;
    char list[64];
    char *comma = NULL;
    snprintf(list, sizeof(list), "%s", devices);
    if ((comma = strchr(list, ',')) != NULL) {
        *comma = '\0';
        names[0] = list;
        names[1] = comma + 1;
        config.device_count = 2;
    }
    tn_status status = open_host(f);
    if (status == TN_OK) {
        status = tn_model_load_memory(f->host, f->bytes.data, f->bytes.size, &f->model_config,
                                      &f->model, &f->error);
    }
    if (status == TN_OK) {
        status = tn_compile(f->model, &config, &f->compiled, &f->error);
    }
    return status;
}

tn_status flow_open(flow_fixture *f, const char *devices, const tn_compile_config *limits) {
    tn_status status = compile(f, devices, limits);
    if (status == TN_OK) {
        status = tn_request_create(f->compiled, &f->config, &f->request, &f->error);
    }
    return status == TN_OK ? tn_request_prepare(f->request, NULL, 0, &f->error) : status;
}

void flow_must(flow_fixture *f, tn_status status) {
    if (status != TN_OK) {
        print_message("%s: %s\n", f->error.id, f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

void flow_compile_on(flow_fixture *f, const char *devices) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    onnx_end(&f->b, &f->bytes);
    flow_must(f, compile(f, devices, &limits));
}

void flow_open_on(flow_fixture *f, const char *devices) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    onnx_end(&f->b, &f->bytes);
    flow_must(f, flow_open(f, devices, &limits));
}

void flow_put(flow_fixture *f, uint32_t input, const void *data, uint64_t bytes) {
    flow_must(f, tn_request_write(f->request, input, data, bytes, &f->error));
}

void flow_run(flow_fixture *f) {
    flow_must(f, tn_request_run(f->request, 0, &f->error));
}

tn_tensor_view flow_output(flow_fixture *f, uint32_t index) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_output(f->request, index, &view), TN_OK);
    return view;
}

tn_run_stats flow_stats(flow_fixture *f) {
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    assert_int_equal(tn_request_stats(f->request, &stats), TN_OK);
    return stats;
}
