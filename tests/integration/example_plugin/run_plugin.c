// SPDX-License-Identifier: Apache-2.0
// Opens the plugin library given on the command line and runs Relu(Relu(x)) through it with a
// symbolic size, through the ABI alone.
#include "support/abi_host.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

// dlsym returns an object pointer; ISO C has no cast from it to a function pointer.
static tn_plugin_entry_fn find_entry(void *library) {
    void *symbol = dlsym(library, TN_PLUGIN_ENTRY_NAME);
    tn_plugin_entry_fn entry = NULL;
    memcpy(&entry, &symbol, sizeof entry);
    return entry;
}

static view_builder *make_graph(void) {
    view_builder *b = view_builder_create();
    const uint32_t n = view_builder_symbol(b, "n", 1, 100);
    const int64_t dims[] = {VIEW_SYMBOL(n), 2};
    const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 2, dims);
    const uint32_t h = view_builder_value(b, TN_DTYPE_FLOAT, 2, dims);
    const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 2, dims);
    view_builder_node(b, "Relu", 14, &x, 1, &h, 1);
    view_builder_node(b, "Relu", 14, &h, 1, &y, 1);
    view_builder_input(b, x);
    view_builder_output(b, y);
    return b;
}

static tn_status run_graph(abi_plugin *plugin, view_builder *builder, tn_error *error) {
    const tn_graph_view *view = view_builder_finish(builder, 0);
    const tn_symbol_value size = {.symbol = 0, .size = 3};
    tn_node_verdict verdict;
    abi_program program;
    float x[6] = {-1, 2, -3, 4, 0, -6};
    float y[6] = {9, 9, 9, 9, 9, 9};
    const float expected[6] = {0, 2, 0, 4, 0, 0};
    tn_status status = abi_plugin_judge(plugin, view, &verdict, error);
    if (status != TN_OK || verdict.answer != TN_ANSWER_YES) {
        return status == TN_OK ? TN_ERROR_UNSUPPORTED : status;
    }
    status = abi_program_open(plugin, view, &size, 1, &program, error);
    if (status != TN_OK) {
        return status;
    }
    status = abi_program_run(&program, (void *[]){x, y}, error);
    for (uint32_t i = 0; status == TN_OK && i < 6; ++i) {
        status = y[i] == expected[i] ? TN_OK : TN_ERROR_INTERNAL;
    }
    abi_program_close(&program);
    return status;
}

int main(int argument_count, char **arguments) {
    if (argument_count != 2) {
        (void)fprintf(stderr, "usage: %s PLUGIN.so\n", arguments[0]);
        return 2;
    }
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL || find_entry(library) == NULL) {
        (void)fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    tn_error error = {.struct_size = (uint32_t)sizeof error, .struct_type = TN_STRUCT_ERROR};
    view_builder *builder = make_graph();
    abi_host host;
    abi_plugin plugin;
    abi_host_init(&host, builder);
    tn_status status = abi_plugin_open(&host, find_entry(library), &plugin, &error);
    if (status == TN_OK) {
        status = run_graph(&plugin, builder, &error);
        const tn_status closed = abi_plugin_close(&plugin);
        status = status == TN_OK ? closed : status;
    }
    view_builder_destroy(builder);
    (void)dlclose(library);
    if (status != TN_OK || host.live_blocks != 0) {
        (void)fprintf(stderr, "status %d: %s; %llu blocks left\n", status, error.text,
                      (unsigned long long)host.live_blocks);
        return 1;
    }
    (void)printf("plugin answered, compiled, ran and was unloaded\n");
    return 0;
}
