// SPDX-License-Identifier: Apache-2.0
// Options, messages, the host, and text for people.
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void take_list(cli_args *args, const char *option, const char **list, uint32_t *count) {
    const char *value = cli_value(args, option);
    if (value == NULL) {
        return;
    }
    if (*count == CLI_MAX_LIST) {
        cli_message(args->command, "%s is given more than %u times", option, CLI_MAX_LIST);
        args->failed = CLI_USAGE;
        return;
    }
    list[(*count)++] = value;
}

// Whether argument is one of the options that every subcommand takes.
static bool take_common(cli_args *args, const char *argument) {
    cli_options *o = args->options;
    if (strcmp(argument, "--json") == 0) {
        o->json = true;
    } else if (strcmp(argument, "--verbose") == 0) {
        o->verbose = true;
    } else if (strcmp(argument, "--no-search") == 0) {
        o->no_search = true;
    } else if (strcmp(argument, "--no-calibration") == 0) {
        o->no_calibration = true;
    } else if (strcmp(argument, "--no-plan-store") == 0) {
        o->no_plan_store = true;
    } else if (strcmp(argument, "--large-pages") == 0) {
        o->large_pages = true;
    } else if (strcmp(argument, "--plugin") == 0) {
        take_list(args, argument, o->plugin_paths, &o->plugin_path_count);
    } else if (strcmp(argument, "--plugin-dir") == 0) {
        take_list(args, argument, o->plugin_dirs, &o->plugin_dir_count);
    } else if (strcmp(argument, "--allow") == 0) {
        take_list(args, argument, o->allow, &o->allow_count);
    } else if (strcmp(argument, "--deny") == 0) {
        take_list(args, argument, o->deny, &o->deny_count);
    } else if (strcmp(argument, "--threads") == 0) {
        o->threads = (uint32_t)cli_number(args, argument, 0, 1024);
    } else {
        return false;
    }
    return true;
}

const char *cli_next(cli_args *args) {
    while (args->failed == CLI_OK && args->next < args->argc) {
        const char *argument = args->argv[args->next++];
        if (!take_common(args, argument)) {
            return argument;
        }
    }
    return NULL;
}

const char *cli_value(cli_args *args, const char *option) {
    if (args->next >= args->argc) {
        cli_message(args->command, "%s needs a value", option);
        args->failed = CLI_USAGE;
        return NULL;
    }
    return args->argv[args->next++];
}

uint64_t cli_number(cli_args *args, const char *option, uint64_t min, uint64_t max) {
    const char *text = cli_value(args, option);
    char *end = NULL;
    if (text == NULL) {
        return 0;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number < min || number > max) {
        cli_message(args->command, "%s takes a number from %llu to %llu, not \"%s\"", option,
                    (unsigned long long)min, (unsigned long long)max, text);
        args->failed = CLI_USAGE;
        return 0;
    }
    return number;
}

int cli_unknown(const cli_args *args, const char *argument) {
    cli_message(args->command, "\"%s\" is not understood; see tenon %s --help", argument,
                args->command);
    return CLI_USAGE;
}

void cli_message(const char *command, const char *format, ...) {
    va_list arguments;
    fprintf(stderr, "tenon %s: ", command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

const char *cli_where(const char *command, cli_origin origin, char text[CLI_WHERE_BYTES]) {
    if (origin.file == NULL) {
        return command;
    }
    snprintf(text, CLI_WHERE_BYTES, "%.64s: %.900s:%u", command, origin.file, origin.line);
    return text;
}

int cli_exit_code(tn_status status) {
    switch (status) {
    case TN_OK:
        return CLI_OK;
    case TN_ERROR_DENIED:
    case TN_ERROR_TIMEOUT:
    case TN_ERROR_CANCELLED:
        return CLI_CRITERION;
    case TN_ERROR_INVALID_ARGUMENT:
    case TN_ERROR_INVALID_DATA:
    case TN_ERROR_UNSUPPORTED:
    case TN_ERROR_NOT_FOUND:
    case TN_ERROR_LIMIT_EXCEEDED:
        return CLI_USAGE;
    case TN_ERROR_INTERNAL:
    case TN_ERROR_INVALID_STATE:
        return CLI_INTERNAL;
    default:
        return CLI_ENVIRONMENT;
    }
}

int cli_fail(const char *command, const tn_error *error, tn_status status) {
    cli_message(command, "%s [%s%s%s]", error->text[0] != '\0' ? error->text : "failed",
                tn_status_text(status), error->id[0] != '\0' ? " " : "", error->id);
    return cli_exit_code(status);
}

static void log_line(void *user_data, tn_log_level level, const char *text, uint64_t size_bytes) {
    static const char *const names[] = {"", "error", "warning", "info", "debug", "trace"};
    (void)user_data;
    fprintf(stderr, "%s: %.*s\n", level < 6 ? names[level] : "log", (int)size_bytes, text);
}

int cli_open_host(const cli_options *options, const char *command, tn_host **out_host) {
    tn_host_config config;
    tn_error error;
    tn_host_config_init(&config);
    tn_error_init(&error);
    config.log = options->verbose ? log_line : NULL;
    config.log_level = TN_LOG_DEBUG;
    config.search = options->no_search ? TN_SEARCH_NONE : TN_SEARCH_ALL;
    config.plugin_paths = options->plugin_paths;
    config.plugin_path_count = options->plugin_path_count;
    config.search_dirs = options->plugin_dirs;
    config.search_dir_count = options->plugin_dir_count;
    config.allow = options->allow;
    config.allow_count = options->allow_count;
    config.deny = options->deny;
    config.deny_count = options->deny_count;
    config.worker_count = options->threads;
    config.no_calibration = options->no_calibration;
    config.no_plan_store = options->no_plan_store;
    config.large_pages = options->large_pages;
    tn_status status = tn_host_create(&config, out_host, &error);
    return status == TN_OK ? CLI_OK : cli_fail(command, &error, status);
}

int cli_print_json(json_t *document) {
    if (document == NULL) {
        fputs("tenon: out of memory\n", stderr);
        return CLI_ENVIRONMENT;
    }
    int failed = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(document);
    fputc('\n', stdout);
    return failed ? CLI_ENVIRONMENT : CLI_OK;
}

static bool has_colours(void) {
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) == 1 && (no == NULL || no[0] == '\0');
}

const char *cli_bold(void) {
    return has_colours() ? "\033[1m" : "";
}

const char *cli_dim(void) {
    return has_colours() ? "\033[2m" : "";
}

const char *cli_good(void) {
    return has_colours() ? "\033[32m" : "";
}

const char *cli_bad(void) {
    return has_colours() ? "\033[31m" : "";
}

const char *cli_plain(void) {
    return has_colours() ? "\033[0m" : "";
}

const char *cli_time_text(uint64_t ns, char text[CLI_TEXT_BYTES]) {
    if (ns < 1000) {
        snprintf(text, CLI_TEXT_BYTES, "%llu ns", (unsigned long long)ns);
    } else if (ns < 1000000) {
        snprintf(text, CLI_TEXT_BYTES, "%.1f us", (double)ns / 1e3);
    } else if (ns < 1000000000) {
        snprintf(text, CLI_TEXT_BYTES, "%.2f ms", (double)ns / 1e6);
    } else {
        snprintf(text, CLI_TEXT_BYTES, "%.2f s", (double)ns / 1e9);
    }
    return text;
}

const char *cli_bytes_text(uint64_t bytes, char text[CLI_TEXT_BYTES]) {
    if (bytes < 10000) {
        snprintf(text, CLI_TEXT_BYTES, "%llu B", (unsigned long long)bytes);
    } else if (bytes < 10000000) {
        snprintf(text, CLI_TEXT_BYTES, "%.1f kB", (double)bytes / 1e3);
    } else {
        snprintf(text, CLI_TEXT_BYTES, "%.1f MB", (double)bytes / 1e6);
    }
    return text;
}

void cli_shape_text(const tn_tensor_desc *desc, char *text, size_t capacity) {
    size_t used = 0;
    if (desc->rank == TN_RANK_UNKNOWN) {
        snprintf(text, capacity, "[?]");
        return;
    }
    used += (size_t)snprintf(text, capacity, "[");
    for (uint32_t i = 0; i < desc->rank && used + 1 < capacity; i++) {
        const char *comma = i > 0 ? ", " : "";
        int wrote =
            desc->dims[i] >= 0
                ? snprintf(text + used, capacity - used, "%s%lld", comma, (long long)desc->dims[i])
                : snprintf(text + used, capacity - used, "%s%s", comma,
                           desc->symbols[i][0] != '\0' ? desc->symbols[i] : "?");
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    if (used + 1 < capacity) {
        snprintf(text + used, capacity - used, "]");
    }
}

uint64_t cli_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void cli_progress_begin(cli_progress *progress, const char *what) {
    *progress = (cli_progress){what, cli_now_ns(), false};
}

void cli_progress_update(cli_progress *progress, uint32_t permille) {
    char elapsed[CLI_TEXT_BYTES];
    uint64_t ns = cli_now_ns() - progress->begin_ns;
    if (isatty(STDERR_FILENO) != 1 || ns < 1000000000u) {
        return;
    }
    if (permille > 0) {
        fprintf(stderr, "\r%s %u %% ", progress->what, permille / 10);
    } else {
        fprintf(stderr, "\r%s %s ", progress->what, cli_time_text(ns, elapsed));
    }
    progress->shown = true;
}

void cli_progress_end(cli_progress *progress) {
    if (progress->shown) {
        fputs("\r\033[K", stderr);
        progress->shown = false;
    }
}

static int add_device(const char *command, const char *option, const char *id, size_t size,
                      cli_devices *devices) {
    if (devices->count == CLI_MAX_LIST) {
        cli_message(command, "%s names more than %u devices", option, CLI_MAX_LIST);
        return CLI_USAGE;
    }
    char *copy = strndup(id, size);
    if (copy == NULL) {
        cli_message(command, "out of memory");
        return CLI_ENVIRONMENT;
    }
    devices->origins[devices->count] = (cli_origin){0};
    devices->ids[devices->count++] = copy;
    return CLI_OK;
}

int cli_add_devices(const char *command, const char *option, const char *list,
                    cli_devices *devices) {
    uint32_t before = devices->count;
    int code = CLI_OK;
    for (const char *at = list; *at != '\0' && code == CLI_OK;) {
        size_t size = strcspn(at, ",");
        code = size > 0 ? add_device(command, option, at, size, devices) : CLI_OK;
        at += size + (at[size] == ',');
    }
    if (code == CLI_OK && devices->count == before) {
        cli_message(command, "%s names no device", option);
        code = CLI_USAGE;
    }
    return code;
}

int cli_parse_devices(const char *command, const char *option, const char *list,
                      cli_devices *out_devices) {
    cli_devices_free(out_devices);
    return cli_add_devices(command, option, list, out_devices);
}

int cli_copy_devices(const char *command, const cli_devices *from, cli_devices *devices) {
    int code = CLI_OK;
    for (uint32_t i = 0; i < from->count && code == CLI_OK; i++) {
        code =
            add_device(command, "all lists together", from->ids[i], strlen(from->ids[i]), devices);
        if (code == CLI_OK) {
            devices->origins[devices->count - 1] = from->origins[i];
        }
    }
    return code;
}

void cli_devices_free(cli_devices *devices) {
    for (uint32_t i = 0; i < devices->count; i++) {
        free(devices->ids[i]);
    }
    *devices = (cli_devices){0};
}

bool cli_parse_shape(const char *text, int64_t *dims, uint32_t *out_rank) {
    *out_rank = 0;
    while (*text != '\0') {
        char *end = NULL;
        errno = 0;
        long long size = strtoll(text, &end, 10);
        if (end == text || errno != 0 || size < 0 || *out_rank == TN_MAX_RANK ||
            (*end != 'x' && *end != '\0')) {
            return false;
        }
        dims[(*out_rank)++] = size;
        text = *end == 'x' ? end + 1 : end;
    }
    return true;
}

bool cli_parse_bytes(const char *text, size_t size, uint64_t *out_bytes) {
    static const struct {
        const char *unit;
        uint64_t bytes;
    } units[] = {{"", 1},
                 {"kB", 1000},
                 {"MB", 1000000},
                 {"GB", 1000000000},
                 {"KiB", 1ull << 10},
                 {"MiB", 1ull << 20},
                 {"GiB", 1ull << 30}};
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 19 || digits > size) {
        return false;
    }
    const uint64_t number = strtoull(text, NULL, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strlen(units[i].unit) == size - digits &&
            strncmp(text + digits, units[i].unit, size - digits) == 0) {
            *out_bytes = number * units[i].bytes;
            return number > 0 && *out_bytes / number == units[i].bytes;
        }
    }
    return false;
}
