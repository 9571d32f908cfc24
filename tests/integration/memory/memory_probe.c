// SPDX-License-Identifier: Apache-2.0
// Prints, as JSON, this process's memory after each phase of one model on the reference plugin, and
// whether every raw weight lies inside the mapping of the model's file.
//
//     memory_probe MODEL
#include "api/objects.h"

#include "tenon/tenon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

// Kilobytes of a line of /proc/self/status.
static long status_kb(const char *name) {
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = strtol(line + strlen(name) + 1, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

static void print_phase(const char *phase) {
    printf("\"%s\": {\"anonymous_kb\": %ld, \"file_kb\": %ld},\n", phase, status_kb("RssAnon:"),
           status_kb("RssFile:"));
}

// Counts raw constants, and those whose bytes are not inside their source.
static void check_pointers(const tn_model *model) {
    const tni_model *m = model->model;
    uint32_t raw = 0;
    uint32_t outside = 0;
    for (uint32_t i = 0; i < m->constant_count; i++) {
        const void *data = NULL;
        uint64_t size = 0;
        if (m->constants[i].kind != TNI_CONSTANT_RAW) {
            continue;
        }
        raw++;
        const tni_source *source = &m->sources[m->constants[i].source];
        tn_status status = tni_constant_map(m, i, &data, &size, NULL);
        const uint8_t *bytes = data;
        outside += status != TN_OK || bytes < source->data ||
                   bytes + size > source->data + source->size_bytes;
    }
    printf("\"raw_weights\": %u, \"outside_the_mapping\": %u,\n", raw, outside);
}

int main(int argc, char **argv) {
    static const tn_static_plugin plugin = {"reference", tn_plugin_entry_1_reference};
    tn_host *host = NULL;
    tn_model *model = NULL;
    tn_compiled *compiled = NULL;
    tn_request *request = NULL;
    tn_host_config config;
    tn_error error;
    tn_error_init(&error);
    tn_host_config_init(&config);
    config.search = TN_SEARCH_NONE;
    config.static_plugins = &plugin;
    config.static_plugin_count = 1;
    printf("{\n");
    print_phase("start");
    tn_status status =
        argc == 2 ? tn_host_create(&config, &host, &error) : TN_ERROR_INVALID_ARGUMENT;
    if (status == TN_OK) {
        status = tn_model_load_file(host, argv[1], NULL, &model, &error);
        print_phase("load");
    }
    if (status == TN_OK) {
        check_pointers(model);
        status = tn_compile(model, NULL, &compiled, &error);
        print_phase("compile");
    }
    if (status == TN_OK) {
        status = tn_request_create(compiled, NULL, &request, &error);
    }
    if (status == TN_OK) {
        status = tn_request_prepare(request, NULL, 0, &error);
        print_phase("prepare");
    }
    if (status == TN_OK) {
        status = tn_request_run(request, 0, &error);
        print_phase("run");
    }
    printf("\"status\": \"%s\", \"text\": \"%s\"\n}\n", tn_status_text(status), error.text);
    tn_request_destroy(request);
    tn_compiled_release(compiled);
    tn_model_release(model);
    tn_host_release(host);
    return status == TN_OK ? 0 : 1;
}
