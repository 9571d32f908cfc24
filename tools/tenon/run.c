// SPDX-License-Identifier: Apache-2.0
// `tenon run`: load, compile, prepare, run.
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRACE_EVENTS (1u << 20)

static const char command[] = "run";

static void add_pair(cli_args *args, const char *option, const char **list, uint32_t *count) {
    const char *value = cli_value(args, option);
    if (value == NULL) {
        return;
    }
    if (strchr(value, '=') == NULL || *count == CLI_MAX_LIST) {
        cli_message(command, "%s takes NAME=VALUE, at most %u times; \"%s\" is not that", option,
                    CLI_MAX_LIST, value);
        args->failed = CLI_USAGE;
        return;
    }
    list[(*count)++] = value;
}

// Options with a value. Returns false when argument is none of them.
static bool take_valued(cli_args *args, run_options *o, const char *argument) {
    if (strcmp(argument, "--input") == 0) {
        add_pair(args, argument, o->inputs, &o->input_count);
    } else if (strcmp(argument, "--shape") == 0) {
        add_pair(args, argument, o->shapes, &o->shape_count);
    } else if (strcmp(argument, "--output") == 0) {
        o->output_dir = cli_value(args, argument);
    } else if (strcmp(argument, "--trace") == 0) {
        o->trace = cli_value(args, argument);
    } else if (strcmp(argument, "--seed") == 0) {
        o->seed = cli_number(args, argument, 0, UINT64_MAX / 2);
    } else if (strcmp(argument, "--deadline-ms") == 0) {
        o->deadline_ms = cli_number(args, argument, 1, 86400000);
    } else if (strcmp(argument, "--memory-mb") == 0) {
        o->memory_mb = cli_number(args, argument, 1, 1u << 30);
    } else if (strcmp(argument, "--repeat") == 0) {
        o->repeat = cli_number(args, argument, 1, 1000000);
    } else if (strcmp(argument, "--top") == 0) {
        o->top = cli_number(args, argument, 0, 1000);
    } else {
        return plan_rules_take(args, &o->rules, argument);
    }
    return true;
}

static int parse(cli_args *args, run_options *o) {
    *o = (run_options){.seed = 1, .repeat = 1, .top = 5};
    for (const char *argument = cli_next(args); argument != NULL; argument = cli_next(args)) {
        if (strcmp(argument, "--precise") == 0) {
            o->precise = true;
        } else if (strcmp(argument, "--relaxed") == 0) {
            o->relaxed = true;
        } else if (strcmp(argument, "--fast-compile") == 0) {
            o->fast_compile = true;
        } else if (argument[0] != '-' && o->model == NULL) {
            o->model = argument;
        } else if (!take_valued(args, o, argument)) {
            return cli_unknown(args, argument);
        }
    }
    if (args->failed == CLI_OK && o->model == NULL) {
        cli_message(command, "no model is given; see tenon run --help");
        return CLI_USAGE;
    }
    return args->failed;
}

static uint32_t report_progress(void *user_data, const char *phase, uint32_t permille) {
    (void)phase;
    cli_progress_update(user_data, permille);
    return 0;
}

static int compile(run_session *s) {
    plan_session session = {.command = command, .host = s->host, .model = s->model};
    tn_compile_config config;
    cli_progress progress;
    tn_compile_config_init(&config);
    config.precision = s->options.precise   ? TN_PRECISION_STRICT
                       : s->options.relaxed ? TN_PRECISION_RELAXED
                                            : TN_PRECISION_AS_WRITTEN;
    config.compile_flags = s->options.fast_compile ? TN_COMPILE_FAST : 0;
    config.memory_cap_bytes = s->options.memory_mb * 1000000;
    config.progress = report_progress;
    config.progress_user_data = &progress;
    cli_progress_begin(&progress, "compiling");
    uint64_t begin = cli_now_ns();
    int code = plan_compile(&session, &s->options.rules, &config, false, &s->compiled);
    s->compile_ns = cli_now_ns() - begin;
    cli_progress_end(&progress);
    return code;
}

// The part after "NAME=" of the entry for name, or null.
static const char *find_pair(const char *const *list, uint32_t count, const char *name) {
    size_t size = strlen(name);
    for (uint32_t i = 0; i < count; i++) {
        if (strncmp(list[i], name, size) == 0 && list[i][size] == '=') {
            return list[i] + size + 1;
        }
    }
    return NULL;
}

// Every NAME= must be an input of the model.
static int check_names(const run_session *s, const char *const *list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < tn_model_input_count(s->model) && !known; k++) {
            tn_tensor_desc desc = {.struct_size = sizeof(desc),
                                   .struct_type = TN_STRUCT_TENSOR_DESC};
            known = tn_model_input_get(s->model, k, &desc) == TN_OK &&
                    find_pair(&list[i], 1, desc.name) != NULL;
        }
        if (!known) {
            cli_message(command, "the model has no input for \"%s\"; see tenon inspect", list[i]);
            return CLI_USAGE;
        }
    }
    return CLI_OK;
}

// Reads the given inputs and decides every input's shape.
static int gather_inputs(run_session *s, tensor *tensors, tn_input_shape *shapes,
                         int64_t (*dims)[TN_MAX_RANK]) {
    const run_options *o = &s->options;
    char text[TENSOR_TEXT_BYTES];
    for (uint32_t i = 0; i < tn_model_input_count(s->model); i++) {
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        if (tn_model_input_get(s->model, i, &desc) != TN_OK) {
            return CLI_INTERNAL;
        }
        const char *file = find_pair(o->inputs, o->input_count, desc.name);
        const char *shape = find_pair(o->shapes, o->shape_count, desc.name);
        uint32_t rank = desc.rank == TN_RANK_UNKNOWN ? 0 : desc.rank;
        for (uint32_t k = 0; k < rank; k++) {
            dims[i][k] = desc.dims[k] < 0 ? 1 : desc.dims[k];
        }
        if (file != NULL) {
            if (!tensor_read(file, &tensors[i], text)) {
                cli_message(command, "%s", text);
                return CLI_USAGE;
            }
            if (tensors[i].dtype != desc.dtype) {
                cli_message(command, "input %s is %s, the file has %s", desc.name,
                            tn_dtype_text(desc.dtype), tn_dtype_text(tensors[i].dtype));
                return CLI_USAGE;
            }
            rank = tensors[i].rank;
            memcpy(dims[i], tensors[i].dims, sizeof(dims[i]));
        } else if (shape != NULL && !cli_parse_shape(shape, dims[i], &rank)) {
            cli_message(command, "\"%s\" is not a shape like 1x3x224x224", shape);
            return CLI_USAGE;
        }
        shapes[i] = (tn_input_shape){i, rank, dims[i]};
    }
    return CLI_OK;
}

static uint64_t next_random(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15u; // splitmix64
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// Uniform in [-1, 1) for real types, [0, 2) for integers.
static void fill_random(const tn_tensor_view *view, uint64_t seed) {
    uint32_t bytes = tensor_element_bytes(view->dtype);
    uint64_t state = seed;
    for (uint64_t i = 0; bytes > 0 && i < view->size_bytes / bytes; i++) {
        uint64_t bits = next_random(&state);
        double real = (double)(bits >> 11) / 4503599627370496.0 - 1.0;
        float single = (float)real;
        uint64_t integer = bits & 1;
        uint16_t half = (uint16_t)((bits & 0x83ff) | 0x3800); // +-[0.5, 1)
        const void *from = view->dtype == TN_DTYPE_FLOAT     ? (const void *)&single
                           : view->dtype == TN_DTYPE_DOUBLE  ? (const void *)&real
                           : view->dtype == TN_DTYPE_FLOAT16 ? (const void *)&half
                                                             : (const void *)&integer;
        memcpy((uint8_t *)view->data + i * bytes, from, bytes);
    }
}

static int write_inputs(run_session *s, const tensor *tensors) {
    tn_error error;
    for (uint32_t i = 0; i < tn_model_input_count(s->model); i++) {
        tn_error_init(&error);
        if (tensors[i].data != NULL) {
            tn_status status =
                tn_request_write(s->request, i, tensors[i].data, tensors[i].size_bytes, &error);
            if (status != TN_OK) {
                return cli_fail(command, &error, status);
            }
            continue;
        }
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
        if (tn_model_input_get(s->model, i, &desc) == TN_OK &&
            (desc.kind != TN_VALUE_TENSOR || desc.dtype == TN_DTYPE_STRING)) {
            cli_message(command,
                        "input \"%s\" is no tensor of numbers: only the embedding "
                        "API can set it",
                        desc.name);
            return CLI_USAGE;
        }
        if (tn_request_input(s->request, i, &view) != TN_OK) {
            return CLI_INTERNAL;
        }
        fill_random(&view, s->options.seed + i);
    }
    return CLI_OK;
}

static int prepare(run_session *s) {
    uint32_t count = tn_model_input_count(s->model);
    tensor *tensors = calloc((size_t)count + 1, sizeof(*tensors));
    tn_input_shape *shapes = calloc((size_t)count + 1, sizeof(*shapes));
    int64_t(*dims)[TN_MAX_RANK] = calloc((size_t)count + 1, sizeof(*dims));
    tn_error error;
    tn_error_init(&error);
    int code = tensors == NULL || shapes == NULL || dims == NULL ? CLI_ENVIRONMENT : CLI_OK;
    if (code == CLI_OK) {
        code = gather_inputs(s, tensors, shapes, dims);
    }
    if (code == CLI_OK) {
        uint64_t begin = cli_now_ns();
        tn_request_config config;
        tn_request_config_init(&config);
        config.background = s->background;
        tn_status status = tn_request_create(s->compiled, &config, &s->request, &error);
        if (status == TN_OK) {
            status = tn_request_prepare(s->request, shapes, count, &error);
        }
        s->prepare_ns = cli_now_ns() - begin;
        code = status == TN_OK ? write_inputs(s, tensors) : cli_fail(command, &error, status);
    }
    for (uint32_t i = 0; tensors != NULL && i < count; i++) {
        tensor_deinit(&tensors[i]);
    }
    free(tensors);
    free(shapes);
    free(dims);
    return code;
}

// Runs once; on a terminal in the background, so that a long run can be seen to go on.
static tn_status run_once(run_session *s, cli_progress *progress, tn_error *error) {
    uint64_t deadline_ns = s->options.deadline_ms * 1000000;
    if (!s->background) {
        return tn_request_run(s->request, deadline_ns, error);
    }
    tn_status status = tn_request_submit(s->request, deadline_ns, NULL, NULL, error);
    while (status == TN_OK) {
        tn_error_init(error);
        status = tn_request_wait(s->request, 200000000, error);
        if (status != TN_ERROR_TIMEOUT || strcmp(error->id, "request.wait") != 0) {
            break;
        }
        cli_progress_update(progress, 0);
        status = TN_OK;
    }
    return status;
}

static int by_time(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int run_all(run_session *s) {
    cli_progress progress;
    tn_error error;
    tn_error_init(&error);
    s->run_ns = calloc(s->options.repeat, sizeof(*s->run_ns));
    if (s->run_ns == NULL) {
        cli_message(command, "out of memory");
        return CLI_ENVIRONMENT;
    }
    for (uint64_t i = 0; i < s->options.repeat; i++) {
        cli_progress_begin(&progress, "running");
        tn_status status = run_once(s, &progress, &error);
        s->last_run_ns = cli_now_ns() - progress.begin_ns;
        cli_progress_end(&progress);
        s->run_ns[i] = s->last_run_ns;
        s->first_run_ns = i == 0 ? s->last_run_ns : s->first_run_ns;
        if (status != TN_OK) {
            return cli_fail(command, &error, status);
        }
    }
    qsort(s->run_ns, s->options.repeat, sizeof(*s->run_ns), by_time);
    return CLI_OK;
}

// Distinct names stay distinct: everything else than letters, digits, '.', '_' and '-', and a '.'
// in front, is written %XX.
void run_output_path(char *path, size_t capacity, const char *dir, const char *name) {
    int used = snprintf(path, capacity, "%s/", dir);
    size_t at = used > 0 ? (size_t)used : 0;
    for (const char *c = name; *c != '\0' && at + 8 < capacity; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || *c == '_' || *c == '-' || (*c == '.' && c != name);
        used = snprintf(path + at, capacity - at, plain ? "%c" : "%%%02X", (unsigned char)*c);
        at += used > 0 ? (size_t)used : 0;
    }
    snprintf(path + at, capacity - at, ".npy");
}

bool run_output_get(run_session *s, uint32_t output, uint64_t index, run_output *out) {
    tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
    out->view =
        (tn_tensor_view){.struct_size = sizeof(out->view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    if (tn_model_output_get(s->model, output, &desc) != TN_OK ||
        tn_request_output_element(s->request, output, index, &out->view) != TN_OK) {
        return false;
    }
    if (desc.kind == TN_VALUE_SEQUENCE || desc.kind == TN_VALUE_OPTIONAL_SEQUENCE) {
        snprintf(out->label, sizeof(out->label), "%s.%llu", desc.name, (unsigned long long)index);
    } else {
        snprintf(out->label, sizeof(out->label), "%s", desc.name);
    }
    return true;
}

static int write_outputs(run_session *s) {
    const char *dir = s->options.output_dir;
    if (dir == NULL) {
        return CLI_OK;
    }
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        cli_message(command, "%s: %s", dir, strerror(errno));
        return CLI_ENVIRONMENT;
    }
    for (uint32_t i = 0; i < tn_model_output_count(s->model); i++) {
        char path[4096];
        char text[TENSOR_TEXT_BYTES];
        run_output one;
        for (uint64_t k = 0; run_output_get(s, i, k, &one); k++) {
            run_output_path(path, sizeof(path), dir, one.label);
            if (!tensor_write_npy(path, &one.view, text)) {
                cli_message(command, "%s", text);
                return CLI_ENVIRONMENT;
            }
        }
    }
    return CLI_OK;
}

static int write_piece(void *user_data, const void *data, uint64_t size_bytes) {
    return fwrite(data, 1, size_bytes, user_data) == size_bytes ? 0 : 1;
}

static int write_trace(run_session *s) {
    if (s->options.trace == NULL) {
        return CLI_OK;
    }
    tn_error error;
    tn_error_init(&error);
    FILE *file = fopen(s->options.trace, "wb");
    if (file == NULL) {
        cli_message(command, "%s: %s", s->options.trace, strerror(errno));
        return CLI_ENVIRONMENT;
    }
    tn_status status = tn_host_trace_write(s->host, write_piece, file, &error);
    if (fclose(file) != 0 && status == TN_OK) {
        cli_message(command, "%s: %s", s->options.trace, strerror(errno));
        return CLI_ENVIRONMENT;
    }
    return status == TN_OK ? CLI_OK : cli_fail(command, &error, status);
}

static int run_session_steps(run_session *s) {
    tn_error error;
    tn_error_init(&error);
    uint64_t begin = cli_now_ns();
    int code = cli_open_host(s->common, command, &s->host);
    s->host_ns = cli_now_ns() - begin;
    if (code != CLI_OK) {
        return code;
    }
    tn_status status =
        s->options.trace == NULL ? TN_OK : tn_host_trace_start(s->host, TRACE_EVENTS, &error);
    begin = cli_now_ns();
    if (status == TN_OK) {
        status = tn_model_load_file(s->host, s->options.model, NULL, &s->model, &error);
    }
    s->load_ns = cli_now_ns() - begin;
    if (status != TN_OK) {
        return cli_fail(command, &error, status);
    }
    code = check_names(s, s->options.inputs, s->options.input_count);
    if (code == CLI_OK) {
        code = check_names(s, s->options.shapes, s->options.shape_count);
    }
    int (*const steps[])(run_session *) = {compile,       prepare,     run_all,
                                           write_outputs, write_trace, run_report};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && code == CLI_OK; i++) {
        code = steps[i](s);
    }
    return code;
}

int cli_run(cli_args *args) {
    run_session s = {.common = args->options, .background = isatty(STDERR_FILENO) == 1};
    int code = parse(args, &s.options);
    if (code == CLI_OK) {
        code = plan_rules_complete(command, s.options.model, &s.options.rules);
    }
    if (code == CLI_OK) {
        code = run_session_steps(&s);
    }
    tn_request_destroy(s.request);
    tn_compiled_release(s.compiled);
    tn_model_release(s.model);
    tn_host_release(s.host);
    plan_rules_free(&s.options.rules);
    free(s.run_ns);
    return code;
}
