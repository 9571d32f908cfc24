// SPDX-License-Identifier: Apache-2.0
// State of `tenon bench`: what was asked (bench.c), a model on its devices that is run again and
// again (bench_side.c), and what is made of it (bench_text.c, bench_json.c).
#ifndef TENON_TOOLS_BENCH_H
#define TENON_TOOLS_BENCH_H

#include "bench_budget.h"
#include "bench_machine.h"
#include "bench_stats.h"
#include "model_inputs.h"
#include "plan_session.h"

// More pairs than this say nothing more, and take long to resample.
#define BENCH_MAX_PAIRS 20000u
#define BENCH_MAX_RUNS 1000000u

typedef struct bench_options {
    const char *model;
    const char *other;          // --interleave: another model, or null
    const char *versus_devices; // or null
    input_options inputs;
    plan_rules rules;
    bool precise;
    bool relaxed;
    bool fast_compile;
    bool copy_io;
    bool samples; // all of them in the JSON document
    bool versus;  // any of the options that make a second side
    uint32_t versus_threads;
    bool has_versus_threads;
    uint64_t memory_mb;
    uint64_t runs;      // 0: not given
    uint64_t window_ns; // --seconds; 0: not given
    uint64_t warmup;
    uint64_t sustain_ns;
    bench_budget budget;
} bench_options;

typedef struct bench_samples {
    uint64_t *ns; // owned; in the order of the runs
    uint64_t count;
    uint64_t capacity;
} bench_samples;

// Where the time of runs went, summed over them; see docs/guide/benchmarks.md.
typedef struct bench_split {
    uint64_t runs;
    uint64_t wall_ns;
    uint64_t movement_ns;
    uint64_t queueing_ns;
    uint64_t kernels_ns;
    uint64_t waits_ns;
    uint64_t pre_post_ns;
} bench_split;

// One minute, or what stands for it, of --sustain.
typedef struct bench_minute {
    uint64_t runs;
    uint64_t p50_ns;
    uint64_t p95_ns;
} bench_minute;

// A model on some devices and threads: the first side, or the one it is compared with.
typedef struct bench_side {
    cli_options common;
    bench_options options;
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    uint64_t host_ns, load_ns, compile_ns, prepare_ns, first_run_ns;
    uint64_t warmup_runs;
    bench_samples samples;
    bench_split split;
    bench_summary summary;
    bench_trust trust;
    uint64_t rss_before_bytes; // of the process, with the host open and nothing loaded
    uint64_t rss_peak_bytes;   // of the process, when its own steady state ended
    uint8_t *copies; // --copy-io: what inputs are written from, and behind it, outputs read to
    uint64_t input_bytes, output_bytes; // of copies
    bench_minute *minutes;
    uint32_t minute_count;
    uint64_t minute_ns;
} bench_side;

typedef struct bench_session {
    bench_side base;
    bench_side other; // in use when base.options.versus
    bench_ratio ratio;
    bench_machine machine;
    bool over_budget;
} bench_session;

// Opens the host, loads, compiles, prepares, writes inputs, runs first. CLI_OK or an exit code
// after a message; close in both cases.
int bench_side_open(bench_side *side);
void bench_side_close(bench_side *side);
// Runs once and takes the time; with count it is added to the split. CLI_OK or an exit code.
int bench_side_run(bench_side *side, bool count, uint64_t *out_ns);
// Runs that are not counted: as many as asked, but no more than fit into a second.
int bench_side_warm_up(bench_side *side);
// Notes a sample; beyond max ones at random places, so that those kept stand for all. False: out of
// memory.
bool bench_samples_add(bench_samples *samples, uint64_t max, uint64_t seen, uint64_t ns);

// The runs of bench_steady.c: one side, two sides pair by pair, and --sustain.
int bench_steady(bench_session *session);
int bench_pairs(bench_session *session);
int bench_sustain(bench_session *session);

tn_run_stats bench_stats_of(const bench_side *side);
// The part of the wall that no other part of the split has.
uint64_t bench_unattributed_ns(const bench_split *split);
uint64_t bench_first_result_ns(const bench_side *side);
// Compares the limits with what was measured. Whether all are kept.
bool bench_judge(bench_side *side);

// One device of the plan.
typedef struct bench_device {
    tn_device_desc desc;
    uint32_t nodes;
} bench_device;
// Fills at most CLI_MAX_LIST; returns how many.
uint32_t bench_devices(const bench_side *side, bench_device *out_devices);

void bench_print_text(const bench_session *session);
int bench_print_json(const bench_session *session);

#endif // TENON_TOOLS_BENCH_H
