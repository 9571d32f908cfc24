// SPDX-License-Identifier: Apache-2.0
// State of `tenon run`: what was asked (run.c) and what came of it (run_report.c).
#ifndef TENON_TOOLS_RUN_H
#define TENON_TOOLS_RUN_H

#include "model_inputs.h"
#include "plan_session.h"

typedef struct run_options {
    const char *model;
    const char *output_dir;
    const char *trace;
    plan_rules rules;
    input_options inputs;
    bool precise;
    bool relaxed;
    bool fast_compile;
    uint64_t deadline_ms;
    uint64_t memory_mb;
    uint64_t repeat;
    uint64_t top;
} run_options;

typedef struct run_session {
    const cli_options *common;
    run_options options;
    bool background; // there is a terminal to show progress on
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    uint64_t host_ns;
    uint64_t load_ns;
    uint64_t compile_ns;
    uint64_t prepare_ns;
    uint64_t first_run_ns;
    uint64_t last_run_ns;
    uint64_t *run_ns; // owned; one a run, in ascending order
} run_session;

// Writes DIR/NAME.npy for an output's name, which may hold any bytes.
void run_output_path(char *path, size_t capacity, const char *dir, const char *name);

// One tensor among the outputs; sequences and optionals have any number of them.
typedef struct run_output {
    char label[512]; // the output's name; of an element of a sequence: NAME.INDEX
    tn_tensor_view view;
} run_output;

// Reads element index of an output. Returns false when there is none.
bool run_output_get(run_session *session, uint32_t output, uint64_t index, run_output *out);

// Prints the report as text or JSON. An exit code.
int run_report(run_session *session);

#endif // TENON_TOOLS_RUN_H
