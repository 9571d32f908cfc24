// SPDX-License-Identifier: Apache-2.0
// `tenon save`: a model, read and written again.
#include "cli.h"

#include <string.h>

static const char command[] = "save";

typedef struct save_options {
    const char *model;
    const char *out;
    bool no_rewrites;
    tn_save_config config;
} save_options;

static int parse(cli_args *args, save_options *o) {
    *o = (save_options){0};
    tn_save_config_init(&o->config);
    for (const char *argument = cli_next(args); argument != NULL; argument = cli_next(args)) {
        if (strcmp(argument, "--no-rewrites") == 0) {
            o->no_rewrites = true;
        } else if (strcmp(argument, "--external") == 0) {
            o->config.external_file = cli_value(args, argument);
        } else if (strcmp(argument, "--external-bytes") == 0) {
            o->config.external_min_bytes = cli_number(args, argument, 1, INT64_MAX);
        } else if (argument[0] != '-' && o->model == NULL) {
            o->model = argument;
        } else if (argument[0] != '-' && o->out == NULL) {
            o->out = argument;
        } else {
            return cli_unknown(args, argument);
        }
    }
    if (args->failed == CLI_OK && o->out == NULL) {
        cli_message(command, "a model and a file to write are needed; see tenon save --help");
        return CLI_USAGE;
    }
    return args->failed;
}

int cli_save(cli_args *args) {
    save_options o;
    tn_host *host = NULL;
    tn_model *model = NULL;
    tn_error error;
    tn_model_config config;
    tn_model_config_init(&config);
    tn_error_init(&error);
    int code = parse(args, &o);
    if (code == CLI_OK) {
        // No device is asked, so no plugin is needed.
        cli_options quiet = {.no_search = true, .threads = 1, .verbose = args->options->verbose};
        code = cli_open_host(&quiet, command, &host);
    }
    if (code == CLI_OK) {
        config.flags = o.no_rewrites ? TN_MODEL_NO_REWRITES : 0;
        tn_status status = tn_model_load_file(host, o.model, &config, &model, &error);
        if (status == TN_OK) {
            status = tn_model_save_file(model, o.out, &o.config, &error);
        }
        code = status == TN_OK ? CLI_OK : cli_fail(command, &error, status);
    }
    if (code == CLI_OK && args->options->json) {
        code = cli_print_json(
            json_pack("{s:i, s:s}", "schema_version", CLI_SCHEMA_VERSION, "saved", o.out));
    }
    tn_model_release(model);
    tn_host_release(host);
    return code;
}
