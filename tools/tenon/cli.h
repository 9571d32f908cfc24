// SPDX-License-Identifier: Apache-2.0
// What the subcommands share: exit codes, options, the host, messages. One file a subcommand.
#ifndef TENON_TOOLS_CLI_H
#define TENON_TOOLS_CLI_H

#include "tenon/tenon.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

// Every JSON document the tools print has this; it only grows.
#define CLI_SCHEMA_VERSION 1

#define CLI_OK 0
#define CLI_CRITERION 1   // it ran, but not as asked: no fallback, deadline
#define CLI_USAGE 2       // usage or bad input
#define CLI_ENVIRONMENT 3 // device, driver, plugin, memory, file system
#define CLI_INTERNAL 4

#define CLI_MAX_LIST 64u

// Options every subcommand takes.
typedef struct cli_options {
    bool json;
    bool verbose;
    const char *plugin_paths[CLI_MAX_LIST];
    const char *plugin_dirs[CLI_MAX_LIST];
    const char *allow[CLI_MAX_LIST];
    const char *deny[CLI_MAX_LIST];
    uint32_t plugin_path_count;
    uint32_t plugin_dir_count;
    uint32_t allow_count;
    uint32_t deny_count;
    uint32_t threads;
    bool no_search;
    bool no_calibration;
    bool no_plan_store;
    bool large_pages;
} cli_options;

// Walks argv: common options are taken, the rest is the subcommand's.
typedef struct cli_args {
    int argc;
    char **argv;
    int next;
    const char *command;
    cli_options *options;
    int failed; // exit code, or CLI_OK
} cli_args;

// The next argument that is not a common option, or null at the end or after an error
// (args->failed).
const char *cli_next(cli_args *args);
// The value of the option just taken, or null with a message and args->failed.
const char *cli_value(cli_args *args, const char *option);
// A count from 0 to max, or args->failed.
uint64_t cli_number(cli_args *args, const char *option, uint64_t min, uint64_t max);
// Where words come from: a line of a file (borrowed), or, without one, the command line.
typedef struct cli_origin {
    const char *file;
    uint32_t line;
} cli_origin;
#define CLI_WHERE_BYTES 1024u
// What a message about these words begins with: the command, then FILE:LINE if they have one.
const char *cli_where(const char *command, cli_origin origin, char text[CLI_WHERE_BYTES]);

typedef struct cli_devices {
    char *ids[CLI_MAX_LIST]; // owned
    cli_origin origins[CLI_MAX_LIST];
    uint32_t count;
} cli_devices;
// "DEVICE,DEVICE" behind those that are there; or instead of them. What was added stays for
// cli_devices_free after an error too. CLI_OK or an exit code after a message.
int cli_add_devices(const char *command, const char *option, const char *list,
                    cli_devices *devices);
int cli_parse_devices(const char *command, const char *option, const char *list,
                      cli_devices *out_devices);
// The same devices once more. CLI_OK or an exit code after a message.
int cli_copy_devices(const char *command, const cli_devices *from, cli_devices *devices);
void cli_devices_free(cli_devices *devices);

// "1x3xN" with sizes for all: at most TN_MAX_RANK of them. Returns false when it is none.
bool cli_parse_shape(const char *text, int64_t *dims, uint32_t *out_rank);

// The first size characters: a number of bytes, with kB, MB, GB, KiB, MiB or GiB. Returns false for
// others, and for 0.
bool cli_parse_bytes(const char *text, size_t size, uint64_t *out_bytes);

// Complains about an argument nobody knows; returns CLI_USAGE.
int cli_unknown(const cli_args *args, const char *argument);

// Prints "tenon COMMAND: ..." on standard error.
void cli_message(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Prints what failed and why, and returns the exit code that belongs to it.
int cli_fail(const char *command, const tn_error *error, tn_status status);
int cli_exit_code(tn_status status);

// Opens a host with the common options. CLI_OK or an exit code after a message.
int cli_open_host(const cli_options *options, const char *command, tn_host **out_host);

// Dumps a document to standard output and frees it. CLI_OK, or CLI_ENVIRONMENT when it was null or
// could not be written.
int cli_print_json(json_t *document);

// ANSI sequences, empty unless standard output is a terminal and NO_COLOR is not set.
const char *cli_bold(void);
const char *cli_dim(void);
const char *cli_good(void);
const char *cli_bad(void);
const char *cli_plain(void);

// "1.3 ms", "102.5 MB": text for people, in a buffer of the caller's.
#define CLI_TEXT_BYTES 32
const char *cli_time_text(uint64_t ns, char text[CLI_TEXT_BYTES]);
const char *cli_bytes_text(uint64_t bytes, char text[CLI_TEXT_BYTES]);
// "[1, 3, 224, N]"
void cli_shape_text(const tn_tensor_desc *desc, char *text, size_t capacity);

// Shows a line that work is going on, from the second second on, on a terminal only: how far it is,
// or, when that is 0 (not known), for how long.
typedef struct cli_progress {
    const char *what;
    uint64_t begin_ns;
    bool shown;
} cli_progress;
void cli_progress_begin(cli_progress *progress, const char *what);
void cli_progress_update(cli_progress *progress, uint32_t permille);
void cli_progress_end(cli_progress *progress);
uint64_t cli_now_ns(void);

int cli_run(cli_args *args);
int cli_explain(cli_args *args);
int cli_whatif(cli_args *args);
int cli_inspect(cli_args *args);
int cli_save(cli_args *args);
int cli_plugins(cli_args *args);
int cli_doctor(cli_args *args);
int cli_calibrate(cli_args *args);
int cli_bench(cli_args *args);
int cli_compare(cli_args *args);

#endif // TENON_TOOLS_CLI_H
