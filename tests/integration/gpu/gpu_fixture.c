// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "gpu_fixture.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

tn_plugin_entry_fn gpu_entry(void) {
    tn_plugin_entry_fn entry = NULL;
    void *library = dlopen(GPU_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    *(void **)&entry = dlsym(library, TN_PLUGIN_ENTRY_NAME);
    assert_non_null(entry);
    return entry;
}

static void find_device(gpu_fixture *f) {
    for (uint32_t i = 0; i < tn_host_device_count(f->host); i++) {
        tn_device_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_DEVICE_DESC};
        assert_int_equal(tn_host_device_get(f->host, i, &desc), TN_OK);
        if (f->device[0] == '\0' && strncmp(desc.id, GPU_PLUGIN ":", strlen(GPU_PLUGIN) + 1) == 0) {
            strncpy(f->device, desc.id, sizeof(f->device) - 1);
        }
    }
}

static bool open_host(gpu_fixture *f, tn_plugin_entry_fn entry) {
    static const char *const path = GPU_LIBRARY;
    tn_static_plugin statics[] = {{"fake", fake_plugin_entry}, {GPU_PLUGIN, entry}};
    memset(f, 0, sizeof(*f));
    fake_reset();
    test_alloc_init(&f->memory);
    tn_error_init(&f->error);
    tn_host_config config;
    tn_host_config_init(&config);
    config.allocator =
        (tn_allocator){f->memory.alloc.alloc, f->memory.alloc.free, f->memory.alloc.user};
    config.search = TN_SEARCH_NONE;
    config.plugin_paths = &path;
    config.plugin_path_count = entry == NULL;
    config.static_plugins = statics;
    config.static_plugin_count = entry == NULL ? 1 : 2;
    assert_int_equal(tn_host_create(&config, &f->host, &f->error), TN_OK);
    find_device(f);
    return f->device[0] != '\0';
}

bool gpu_open(gpu_fixture *f) {
    return open_host(f, NULL);
}

bool gpu_open_entry(gpu_fixture *f, tn_plugin_entry_fn entry) {
    return open_host(f, entry);
}

static void expect_ok(gpu_fixture *f, tn_status status, const char *what) {
    if (status != TN_OK) {
        print_message("%s: %s\n", what, f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

void gpu_ready(gpu_fixture *f, const char *second, uint32_t background) {
    const char *devices[] = {f->device, second};
    tn_compile_config compile;
    tn_request_config request;
    tn_compile_config_init(&compile);
    tn_request_config_init(&request);
    compile.devices = devices;
    compile.device_count = second != NULL ? 2 : 1;
    compile.policy = TN_COMPILE_NO_FALLBACK;
    request.background = background;
    expect_ok(
        f, tn_model_load_memory(f->host, f->bytes.data, f->bytes.size, NULL, &f->model, &f->error),
        "load");
    expect_ok(f, tn_compile(f->model, &compile, &f->compiled, &f->error), "compile");
    expect_ok(f, tn_request_create(f->compiled, &request, &f->request, &f->error), "create");
    expect_ok(f, tn_request_prepare(f->request, NULL, 0, &f->error), "prepare");
}

void gpu_fill(gpu_fixture *f, uint32_t input, float value) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_input(f->request, input, &view), TN_OK);
    float *data = view.data;
    for (uint64_t i = 0; i < view.size_bytes / sizeof(float); i++) {
        data[i] = value + (float)i;
    }
}

const float *gpu_output(gpu_fixture *f, uint32_t output) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_output(f->request, output, &view), TN_OK);
    return view.data;
}

bool gpu_counts_agree(const gpu_fixture *f) {
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    assert_int_equal(tn_request_stats(f->request, &stats), TN_OK);
    bool agree = stats.handovers == stats.planned_handovers &&
                 stats.host_waits == stats.planned_host_waits &&
                 stats.transfers == stats.planned_transfers &&
                 stats.transfer_bytes == stats.planned_transfer_bytes;
    if (!agree) {
        print_message("handovers %u planned %u, waits %u planned %u, transfers %u planned %u\n",
                      stats.handovers, stats.planned_handovers, stats.host_waits,
                      stats.planned_host_waits, stats.transfers, stats.planned_transfers);
    }
    return agree;
}

void gpu_close(gpu_fixture *f) {
    tn_request_destroy(f->request);
    tn_compiled_release(f->compiled);
    tn_model_release(f->model);
    tn_host_release(f->host);
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        assert_int_equal(fake_device(i)->memory_count, 0);
        assert_int_equal(fake_device(i)->fence_count, 0);
    }
    assert_true(test_alloc_clean(&f->memory));
    test_alloc_deinit(&f->memory);
    pb_free(&f->bytes);
}
