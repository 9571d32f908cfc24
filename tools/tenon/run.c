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

// Options with a value. Returns false when argument is none of them.
static bool take_valued(cli_args *args, run_options *o, const char *argument) {
    if (strcmp(argument, "--output") == 0) {
        o->output_dir = cli_value(args, argument);
    } else if (strcmp(argument, "--trace") == 0) {
        o->trace = cli_value(args, argument);
    } else if (strcmp(argument, "--deadline-ms") == 0) {
        o->deadline_ms = cli_number(args, argument, 1, 86400000);
    } else if (strcmp(argument, "--memory-mb") == 0) {
        o->memory_mb = cli_number(args, argument, 1, 1u << 30);
    } else if (strcmp(argument, "--repeat") == 0) {
        o->repeat = cli_number(args, argument, 1, 1000000);
    } else if (strcmp(argument, "--top") == 0) {
        o->top = cli_number(args, argument, 0, 1000);
    } else {
        return input_options_take(args, &o->inputs, argument) ||
               plan_rules_take(args, &o->rules, argument);
    }
    return true;
}

static int parse(cli_args *args, run_options *o) {
    *o = (run_options){.inputs.seed = 1, .repeat = 1, .top = 5};
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

static int prepare(run_session *s) {
    model_inputs inputs;
    tn_error error;
    tn_error_init(&error);
    int code = model_inputs_gather(command, s->model, &s->options.inputs, &inputs);
    if (code == CLI_OK) {
        uint64_t begin = cli_now_ns();
        tn_request_config config;
        tn_request_config_init(&config);
        config.background = s->background;
        tn_status status = tn_request_create(s->compiled, &config, &s->request, &error);
        if (status == TN_OK) {
            status = tn_request_prepare(s->request, inputs.shapes, inputs.count, &error);
        }
        s->prepare_ns = cli_now_ns() - begin;
        code = status == TN_OK
                   ? model_inputs_write(command, s->model, &s->options.inputs, &inputs, s->request)
                   : cli_fail(command, &error, status);
    }
    model_inputs_free(&inputs);
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
    code = model_inputs_check(command, s->model, &s->options.inputs);
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
