// SPDX-License-Identifier: Apache-2.0
// Makes a model ready, runs it once, and then does what lines on stdin say. peer_loop.py does the
// same with other runtimes; contender.py speaks with both.
//
//     ready HOST_NS CREATE_NS FIRST_NS     said once; or: error TEXT, and the end
//     run COUNT      ->  ns N N ...        so long each of COUNT runs took
//     outputs DIR    ->  outputs COUNT     DIR/0.npy ... are the outputs of the last run
//     stats          ->  stats KEY=N ...   peak memory, islands, waits, allocations so far
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "npy_file.h"

#define MAX_LIST 64u
#define MAX_RUNS 100000u
#define LINE_BYTES 4096

typedef struct loop_input {
    const char *name;
    const char *file;
    int64_t dims[TN_MAX_RANK];
    uint32_t rank;
} loop_input;

typedef struct loop {
    const char *model_path;
    const char *plugins[MAX_LIST];
    const char *devices[MAX_LIST];
    loop_input inputs[MAX_LIST];
    uint32_t plugin_count;
    uint32_t device_count;
    uint32_t input_count;
    uint32_t threads;
    uint32_t precision;
    uint32_t flags;
    bool alternate; // nodes take turns on the devices
    bool large_pages;
    uint64_t base_kib; // peak memory with plugins open and no model
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    uint64_t *run_ns; // room for MAX_RUNS
    tn_error error;
} loop;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// "1x3x224x224"; "scalar" has no dimension.
static bool parse_dims(const char *text, loop_input *input) {
    if (strcmp(text, "scalar") == 0) {
        return true;
    }
    while (input->rank < TN_MAX_RANK) {
        char *end = NULL;
        errno = 0;
        input->dims[input->rank++] = strtoll(text, &end, 10);
        if (end == text || errno != 0 || (*end != 'x' && *end != '\0')) {
            return false;
        }
        if (*end == '\0') {
            return true;
        }
        text = end + 1;
    }
    return false;
}

static bool take_precision(loop *l, const char *text) {
    l->precision = strcmp(text, "strict") == 0    ? TN_PRECISION_STRICT
                   : strcmp(text, "relaxed") == 0 ? TN_PRECISION_RELAXED
                                                  : TN_PRECISION_AS_WRITTEN;
    return l->precision != TN_PRECISION_AS_WRITTEN || strcmp(text, "written") == 0;
}

// How many arguments were taken; 0: none that is known, or a bad value.
static int take(loop *l, char **argument, int left) {
    const char *name = argument[0];
    if (strcmp(name, "--fast") == 0) {
        l->flags |= TN_COMPILE_FAST;
        return 1;
    }
    if (strcmp(name, "--alternate") == 0) {
        l->alternate = true;
        return 1;
    }
    if (strcmp(name, "--large-pages") == 0) {
        l->large_pages = true;
        return 1;
    }
    if (left < 2) {
        return 0;
    }
    if (strcmp(name, "--plugin") == 0 && l->plugin_count < MAX_LIST) {
        l->plugins[l->plugin_count++] = argument[1];
    } else if (strcmp(name, "--device") == 0 && l->device_count < MAX_LIST) {
        l->devices[l->device_count++] = argument[1];
    } else if (strcmp(name, "--threads") == 0) {
        l->threads = (uint32_t)strtoul(argument[1], NULL, 10);
    } else if (strcmp(name, "--precision") == 0) {
        return take_precision(l, argument[1]) ? 2 : 0;
    } else if (strcmp(name, "--input") == 0 && left >= 4 && l->input_count < MAX_LIST) {
        loop_input *input = &l->inputs[l->input_count++];
        input->name = argument[1];
        input->file = argument[3];
        return parse_dims(argument[2], input) ? 4 : 0;
    } else {
        return 0;
    }
    return 2;
}

static bool parse(loop *l, int argc, char **argv) {
    int at = 1;
    while (at < argc) {
        const int taken = take(l, argv + at, argc - at);
        if (taken == 0 && (argv[at][0] == '-' || l->model_path != NULL)) {
            return false;
        }
        if (taken == 0) {
            l->model_path = argv[at];
        }
        at += taken == 0 ? 1 : taken;
    }
    return l->model_path != NULL;
}

static uint64_t peak_kib(void) {
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kib = strtoull(line + 6, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib;
}

static tn_status create_host(loop *l) {
    tn_host_config config;
    tn_host_config_init(&config);
    config.large_pages = l->large_pages;
    config.search = TN_SEARCH_NONE;
    config.plugin_paths = l->plugins;
    config.plugin_path_count = l->plugin_count;
    config.worker_count = l->threads;
    config.no_calibration = 1; // what some earlier run left on the machine must not matter
    return tn_host_create(&config, &l->host, &l->error);
}

static tn_status compile(loop *l) {
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.devices = l->devices;
    config.device_count = l->device_count;
    config.precision = l->precision;
    config.compile_flags = l->flags;
    tn_pin *pins = NULL;
    if (l->alternate && l->device_count > 0) {
        const uint32_t count = tn_model_node_count(l->model);
        pins = calloc((size_t)count + 1, sizeof(*pins));
        if (pins == NULL) {
            return TN_ERROR_OUT_OF_MEMORY;
        }
        for (uint32_t i = 0; i < count; i++) {
            pins[i] = (tn_pin){l->devices[i % l->device_count], i, TN_PIN_TO};
        }
        config.pins = pins;
        config.pin_count = count;
    }
    const tn_status status = tn_compile(l->model, &config, &l->compiled, &l->error);
    free(pins);
    return status;
}

static const loop_input *find_input(const loop *l, const char *name) {
    for (uint32_t i = 0; i < l->input_count; i++) {
        if (strcmp(l->inputs[i].name, name) == 0) {
            return &l->inputs[i];
        }
    }
    return NULL;
}

static tn_status say(loop *l, const char *text, const char *subject) {
    snprintf(l->error.text, sizeof(l->error.text), "%.300s: %.100s", subject, text);
    return TN_ERROR_INVALID_ARGUMENT;
}

// Fills the shapes in the order of the model's inputs.
static tn_status prepare(loop *l) {
    tn_input_shape shapes[MAX_LIST];
    const uint32_t count = tn_model_input_count(l->model);
    for (uint32_t i = 0; i < count; i++) {
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        const tn_status status = tn_model_input_get(l->model, i, &desc);
        if (status != TN_OK) {
            return status;
        }
        const loop_input *input = find_input(l, desc.name);
        if (input == NULL) { // no more than MAX_LIST are given, so shapes has room
            return say(l, "no file is given for this input", desc.name);
        }
        shapes[i] = (tn_input_shape){i, input->rank, input->dims};
    }
    const tn_status status = tn_request_create(l->compiled, NULL, &l->request, &l->error);
    return status != TN_OK ? status : tn_request_prepare(l->request, shapes, count, &l->error);
}

static tn_status write_inputs(loop *l) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; status == TN_OK && i < tn_model_input_count(l->model); i++) {
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        void *data = NULL;
        uint64_t bytes = 0;
        status = tn_model_input_get(l->model, i, &desc);
        const loop_input *input = status == TN_OK ? find_input(l, desc.name) : NULL;
        if (input != NULL && !npy_read(input->file, &data, &bytes)) {
            status = say(l, "this file cannot be read", input->file);
        }
        if (status == TN_OK) {
            status = tn_request_write(l->request, i, data, bytes, &l->error);
        }
        free(data);
    }
    return status;
}

// Everything up to the first answer, and how long it took.
static tn_status start(loop *l) {
    uint64_t at[4] = {now_ns()};
    tn_status status = create_host(l);
    at[1] = now_ns();
    l->base_kib = peak_kib();
    if (status == TN_OK) {
        status = tn_model_load_file(l->host, l->model_path, NULL, &l->model, &l->error);
    }
    status = status == TN_OK ? compile(l) : status;
    status = status == TN_OK ? prepare(l) : status;
    at[2] = now_ns();
    status = status == TN_OK ? write_inputs(l) : status;
    status = status == TN_OK ? tn_request_run(l->request, 0, &l->error) : status;
    at[3] = now_ns();
    if (status == TN_OK) {
        printf("ready %llu %llu %llu\n", (unsigned long long)(at[1] - at[0]),
               (unsigned long long)(at[2] - at[1]), (unsigned long long)(at[3] - at[2]));
    }
    return status;
}

static tn_status run(loop *l, uint64_t count) {
    tn_status status = TN_OK;
    count = count < MAX_RUNS ? count : MAX_RUNS;
    for (uint64_t i = 0; status == TN_OK && i < count; i++) {
        const uint64_t begin = now_ns();
        status = tn_request_run(l->request, 0, &l->error);
        l->run_ns[i] = now_ns() - begin;
    }
    if (status == TN_OK) {
        printf("ns");
        for (uint64_t i = 0; i < count; i++) {
            printf(" %llu", (unsigned long long)l->run_ns[i]);
        }
        printf("\n");
    }
    return status;
}

static tn_status write_outputs(loop *l, const char *dir) {
    char path[LINE_BYTES + 32]; // a line and a name
    const uint32_t count = tn_model_output_count(l->model);
    for (uint32_t i = 0; i < count; i++) {
        tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
        const tn_status status = tn_request_output(l->request, i, &view);
        snprintf(path, sizeof(path), "%s/%u.npy", dir, i);
        if (status != TN_OK) {
            return status;
        }
        if (!npy_write(path, &view)) {
            return say(l, "cannot be written, or is of a type that NumPy has not", path);
        }
    }
    printf("outputs %u\n", count);
    return TN_OK;
}

static tn_status stats(loop *l) {
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    tn_memory_stats memory = {.struct_size = sizeof(memory), .struct_type = TN_STRUCT_MEMORY_STATS};
    tn_run_stats last = {.struct_size = sizeof(last), .struct_type = TN_STRUCT_RUN_STATS};
    tn_status status = tn_compiled_plan_get(l->compiled, &plan);
    status = status == TN_OK ? tn_host_memory_stats(l->host, &memory) : status;
    status = status == TN_OK ? tn_request_stats(l->request, &last) : status;
    if (status == TN_OK) {
        printf("stats peak_kib=%llu base_kib=%llu islands=%u handovers=%u host_waits=%u submits=%u "
               "allocations=%llu\n",
               (unsigned long long)peak_kib(), (unsigned long long)l->base_kib, plan.island_count,
               last.handovers, last.host_waits, last.submits,
               (unsigned long long)memory.allocation_count);
    }
    return status;
}

static tn_status obey(loop *l, char *line) {
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "run ", 4) == 0) {
        return run(l, strtoull(line + 4, NULL, 10));
    }
    if (strncmp(line, "outputs ", 8) == 0) {
        return write_outputs(l, line + 8);
    }
    return strcmp(line, "stats") == 0 ? stats(l) : say(l, "no such command", line);
}

int main(int argc, char **argv) {
    static loop l; // large for a stack
    char line[LINE_BYTES];
    tn_status status = TN_OK;
    l.threads = 1;
    tn_error_init(&l.error);
    if (!parse(&l, argc, argv)) {
        fprintf(stderr, "usage: tenon-loop MODEL [--plugin PATH] [--device ID] [--threads N] "
                        "[--precision written|strict|relaxed] [--fast] [--alternate] "
                        "[--input NAME DIMS FILE]\n");
        return 2;
    }
    l.run_ns = calloc(MAX_RUNS, sizeof(*l.run_ns));
    status = l.run_ns == NULL ? TN_ERROR_OUT_OF_MEMORY : start(&l);
    fflush(stdout);
    while (status == TN_OK && fgets(line, sizeof(line), stdin) != NULL) {
        status = obey(&l, line);
        fflush(stdout);
    }
    if (status != TN_OK) {
        printf("error %s: %s\n", tn_status_text(status), l.error.text);
    }
    tn_request_destroy(l.request);
    tn_compiled_release(l.compiled);
    tn_model_release(l.model);
    tn_host_release(l.host);
    free(l.run_ns);
    return status == TN_OK ? 0 : 1;
}
