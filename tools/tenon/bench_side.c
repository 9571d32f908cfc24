// SPDX-License-Identifier: Apache-2.0
// One model on its devices: the phases until it runs, one run and where its time went, and what
// memory it took.
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static const char command[] = "bench";

#define WARM_UP_NS 1000000000u

static int open_and_load(bench_side *side) {
    tn_error error;
    tn_error_init(&error);
    uint64_t begin = cli_now_ns();
    int code = cli_open_host(&side->common, command, &side->host);
    side->host_ns = cli_now_ns() - begin;
    if (code != CLI_OK) {
        return code;
    }
    side->rss_before_bytes = bench_rss_bytes();
    begin = cli_now_ns();
    tn_status status =
        tn_model_load_file(side->host, side->options.model, NULL, &side->model, &error);
    side->load_ns = cli_now_ns() - begin;
    return status == TN_OK ? model_inputs_check(command, side->model, &side->options.inputs)
                           : cli_fail(command, &error, status);
}

static int compile(bench_side *side) {
    plan_session session = {.command = command, .host = side->host, .model = side->model};
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.precision = side->options.precise   ? TN_PRECISION_STRICT
                       : side->options.relaxed ? TN_PRECISION_RELAXED
                                               : TN_PRECISION_AS_WRITTEN;
    config.compile_flags = side->options.fast_compile ? TN_COMPILE_FAST : 0;
    config.memory_cap_bytes = side->options.memory_mb * 1000000;
    uint64_t begin = cli_now_ns();
    int code = plan_compile(&session, &side->options.rules, &config, false, &side->compiled);
    side->compile_ns = cli_now_ns() - begin;
    return code;
}

static tn_tensor_view view_of(tn_request *request, bool output, uint32_t index) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    tn_status status =
        output ? tn_request_output(request, index, &view) : tn_request_input(request, index, &view);
    view.size_bytes = status == TN_OK ? view.size_bytes : 0;
    return view;
}

// Carries all inputs in, or all outputs out, from one and to one block of memory behind the other.
// Without a block, tells how large it has to be. What does not fit, because a run gave more than
// the first, is left out.
static uint64_t carry(const bench_side *side, bool output, uint8_t *block, uint64_t block_bytes,
                      bool into_model) {
    uint32_t count =
        output ? tn_model_output_count(side->model) : tn_model_input_count(side->model);
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        tn_tensor_view view = view_of(side->request, output, i);
        if (block != NULL && view.size_bytes > 0 && view.size_bytes <= block_bytes - at) {
            memcpy(into_model ? view.data : block + at, into_model ? block + at : view.data,
                   view.size_bytes);
        }
        at += block != NULL && view.size_bytes > block_bytes - at ? 0 : view.size_bytes;
    }
    return at;
}

// After the first run: models of several stages know their outputs' sizes only then.
static int make_copies(bench_side *side) {
    side->input_bytes = carry(side, false, NULL, 0, false);
    side->output_bytes = carry(side, true, NULL, 0, false);
    side->copies = malloc(side->input_bytes + side->output_bytes + 1);
    if (side->copies == NULL) {
        cli_message(command, "out of memory");
        return CLI_ENVIRONMENT;
    }
    (void)carry(side, false, side->copies, side->input_bytes, false);
    return CLI_OK;
}

static int prepare(bench_side *side) {
    model_inputs inputs;
    tn_error error;
    tn_error_init(&error);
    int code = model_inputs_gather(command, side->model, &side->options.inputs, &inputs);
    if (code == CLI_OK) {
        uint64_t begin = cli_now_ns();
        tn_status status = tn_request_create(side->compiled, NULL, &side->request, &error);
        if (status == TN_OK) {
            status = tn_request_prepare(side->request, inputs.shapes, inputs.count, &error);
        }
        side->prepare_ns = cli_now_ns() - begin;
        code = status == TN_OK ? model_inputs_write(command, side->model, &side->options.inputs,
                                                    &inputs, side->request)
                               : cli_fail(command, &error, status);
    }
    model_inputs_free(&inputs);
    return code;
}

int bench_side_open(bench_side *side) {
    int code = open_and_load(side);
    if (code == CLI_OK) {
        code = compile(side);
    }
    if (code == CLI_OK) {
        code = prepare(side);
    }
    if (code == CLI_OK) {
        code = bench_side_run(side, false, &side->first_run_ns);
    }
    if (code == CLI_OK && side->options.copy_io) {
        code = make_copies(side);
    }
    return code;
}

void bench_side_close(bench_side *side) {
    tn_request_destroy(side->request);
    tn_compiled_release(side->compiled);
    tn_model_release(side->model);
    tn_host_release(side->host);
    plan_rules_free(&side->options.rules);
    free(side->samples.ns);
    free(side->copies);
    free(side->minutes);
    *side = (bench_side){0};
}

static uint64_t less(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

// Adds a run. The thread of the run is in one place at a time. While it waits for a thread that the
// host gave a device, that thread's work is what the time goes to, so far as it fills the wait.
static void add_to_split(bench_split *split, const tn_run_stats *s, uint64_t wall_ns,
                         uint64_t pre_post_ns) {
    uint64_t waits = less(s->wait_ns, s->worker_wait_ns);
    uint64_t worker_kernels = least(s->worker_kernel_ns, waits);
    waits -= worker_kernels;
    uint64_t worker_copies = least(s->worker_transfer_ns, waits);
    waits -= worker_copies;
    split->runs++;
    split->wall_ns += wall_ns;
    split->movement_ns +=
        less(s->transfer_ns, s->worker_transfer_ns) + worker_copies + s->host_copy_ns;
    split->queueing_ns += s->submit_ns + s->dispatch_ns + s->region_prepare_ns;
    split->kernels_ns += less(s->kernel_ns, s->worker_kernel_ns) + worker_kernels;
    split->waits_ns += waits;
    split->pre_post_ns += pre_post_ns;
}

uint64_t bench_unattributed_ns(const bench_split *split) {
    return less(split->wall_ns, split->movement_ns + split->queueing_ns + split->kernels_ns +
                                    split->waits_ns + split->pre_post_ns);
}

tn_run_stats bench_stats_of(const bench_side *side) {
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    if (tn_request_stats(side->request, &stats) != TN_OK) {
        stats = (tn_run_stats){0};
    }
    return stats;
}

int bench_side_run(bench_side *side, bool count, uint64_t *out_ns) {
    tn_error error;
    tn_error_init(&error);
    bool copies = side->copies != NULL;
    uint64_t begin = cli_now_ns();
    if (copies) {
        (void)carry(side, false, side->copies, side->input_bytes, true);
    }
    uint64_t written = copies ? cli_now_ns() : begin;
    tn_status status = tn_request_run(side->request, 0, &error);
    uint64_t ran = cli_now_ns();
    if (status != TN_OK) {
        return cli_fail(command, &error, status);
    }
    if (copies) {
        (void)carry(side, true, side->copies + side->input_bytes, side->output_bytes, false);
    }
    uint64_t end = copies ? cli_now_ns() : ran;
    *out_ns = end - begin;
    if (count) {
        tn_run_stats stats = bench_stats_of(side);
        add_to_split(&side->split, &stats, end - begin, (written - begin) + (end - ran));
    }
    return CLI_OK;
}

int bench_side_warm_up(bench_side *side) {
    uint64_t begin = cli_now_ns();
    int code = CLI_OK;
    for (uint64_t i = 0; i < side->options.warmup && code == CLI_OK; i++) {
        uint64_t ns = 0;
        if (i > 0 && cli_now_ns() - begin > WARM_UP_NS) {
            break;
        }
        code = bench_side_run(side, false, &ns);
        side->warmup_runs++;
    }
    return code;
}

uint64_t bench_first_result_ns(const bench_side *side) {
    return side->load_ns + side->compile_ns + side->prepare_ns + side->first_run_ns;
}

uint32_t bench_devices(const bench_side *side, bench_device *out_devices) {
    tn_plan_summary plan = plan_summary_of(side->compiled);
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan.island_count; i++) {
        tn_island_desc island = {.struct_size = sizeof(island),
                                 .struct_type = TN_STRUCT_ISLAND_DESC};
        tn_device_desc device = {.struct_size = sizeof(device),
                                 .struct_type = TN_STRUCT_DEVICE_DESC};
        if (tn_compiled_island_get(side->compiled, i, &island) != TN_OK ||
            tn_host_device_get(side->host, island.device, &device) != TN_OK) {
            continue;
        }
        uint32_t at = 0;
        while (at < count && strcmp(out_devices[at].desc.id, device.id) != 0) {
            at++;
        }
        if (at == count && count < CLI_MAX_LIST) {
            out_devices[count++] = (bench_device){.desc = device};
        }
        if (at < count) {
            out_devices[at].nodes += island.node_count;
        }
    }
    return count;
}
