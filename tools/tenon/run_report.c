// SPDX-License-Identifier: Apache-2.0
// What `tenon run` prints: outputs, phases, placement, and what was counted.
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct summary {
    uint64_t count;
    double min;
    double max;
    double mean;
    uint64_t not_finite;
} summary;

static summary summarise(const tn_tensor_view *view) {
    uint32_t bytes = tensor_element_bytes(view->dtype);
    summary s = {.count = bytes > 0 ? view->size_bytes / bytes : 0};
    double sum = 0;
    uint64_t finite = 0;
    for (uint64_t i = 0; i < s.count; i++) {
        double value = tensor_element(view->data, view->dtype, i);
        if (!isfinite(value)) {
            s.not_finite++;
            continue;
        }
        s.min = finite == 0 || value < s.min ? value : s.min;
        s.max = finite == 0 || value > s.max ? value : s.max;
        sum += value;
        finite++;
    }
    s.mean = finite > 0 ? sum / (double)finite : 0;
    return s;
}

// A classifier's output: one row of at least two classes. Returns the row's length, else 0.
static uint64_t class_count(const tn_tensor_view *view) {
    uint64_t rows = 1;
    if (view->rank < 1 || view->rank > 2 || tensor_element_bytes(view->dtype) == 0) {
        return 0;
    }
    for (uint32_t i = 0; i + 1 < view->rank; i++) {
        rows *= (uint64_t)view->dims[i];
    }
    int64_t classes = view->dims[view->rank - 1];
    return rows == 1 && classes >= 2 ? (uint64_t)classes : 0;
}

// The index of the largest element below the one found before (value, index), or classes.
static uint64_t next_best(const tn_tensor_view *view, uint64_t classes, double below,
                          uint64_t after) {
    uint64_t best = classes;
    double best_value = 0;
    for (uint64_t i = 0; i < classes; i++) {
        double value = tensor_element(view->data, view->dtype, i);
        bool candidate = after == classes || value < below || (value == below && i > after);
        if (candidate && (best == classes || value > best_value)) {
            best = i;
            best_value = value;
        }
    }
    return best;
}

static void shape_of_view(const tn_tensor_view *view, char *text, size_t capacity) {
    tn_tensor_desc desc = {.rank = view->rank};
    memcpy(desc.dims, view->dims, view->rank * sizeof(int64_t));
    cli_shape_text(&desc, text, capacity);
}

static void print_top(const tn_tensor_view *view, uint64_t top) {
    uint64_t classes = class_count(view);
    double value = 0;
    uint64_t index = classes;
    for (uint64_t i = 0; classes > 0 && i < top && i < classes; i++) {
        index = next_best(view, classes, value, index);
        value = tensor_element(view->data, view->dtype, index);
        printf("    %s%llu. class %llu  %.6g%s\n", i == 0 ? cli_bold() : "",
               (unsigned long long)i + 1, (unsigned long long)index, value,
               i == 0 ? cli_plain() : "");
    }
}

static json_t *top_json(const tn_tensor_view *view, uint64_t top) {
    uint64_t classes = class_count(view);
    json_t *list = json_array();
    double value = 0;
    uint64_t index = classes;
    for (uint64_t i = 0; classes > 0 && i < top && i < classes; i++) {
        index = next_best(view, classes, value, index);
        value = tensor_element(view->data, view->dtype, index);
        json_array_append_new(list, json_pack("{s:I, s:f}", "class", (json_int_t)index, "value",
                                              isfinite(value) ? value : 0.0));
    }
    return list;
}

static const char *device_id(const run_session *s, uint32_t device, tn_device_desc *desc) {
    *desc = (tn_device_desc){.struct_size = sizeof(*desc), .struct_type = TN_STRUCT_DEVICE_DESC};
    return tn_host_device_get(s->host, device, desc) == TN_OK ? desc->id : "?";
}

static void print_output(const run_session *s, const run_output *one) {
    const tn_tensor_view *view = &one->view;
    char shape[256];
    summary sum = summarise(view);
    shape_of_view(view, shape, sizeof(shape));
    printf("%soutput %s%s  %s %s  min %.6g  max %.6g  mean %.6g", cli_bold(), one->label,
           cli_plain(), tn_dtype_text(view->dtype), shape, sum.min, sum.max, sum.mean);
    if (sum.not_finite > 0) {
        printf("  %s%llu not finite%s", cli_bad(), (unsigned long long)sum.not_finite, cli_plain());
    }
    putchar('\n');
    print_top(view, s->options.top);
}

static void print_outputs(run_session *s) {
    run_output one;
    for (uint32_t i = 0; i < tn_model_output_count(s->model); i++) {
        for (uint64_t k = 0; run_output_get(s, i, k, &one); k++) {
            print_output(s, &one);
        }
    }
}

static void print_phases(const run_session *s) {
    char text[5][CLI_TEXT_BYTES];
    printf("%sphases%s  host %s  load %s  compile %s  prepare %s  first run %s", cli_bold(),
           cli_plain(), cli_time_text(s->host_ns, text[0]), cli_time_text(s->load_ns, text[1]),
           cli_time_text(s->compile_ns, text[2]), cli_time_text(s->prepare_ns, text[3]),
           cli_time_text(s->first_run_ns, text[4]));
    if (s->options.repeat > 1) {
        printf("  run %llu: %s", (unsigned long long)s->options.repeat,
               cli_time_text(s->last_run_ns, text[0]));
    }
    putchar('\n');
}

static bool get_call(const run_session *s, uint32_t island, uint32_t call, tn_call_desc *desc) {
    *desc = (tn_call_desc){.struct_size = sizeof(*desc), .struct_type = TN_STRUCT_CALL_DESC};
    return tn_compiled_call_get(s->compiled, island, call, desc) == TN_OK;
}

// Calls of the model's functions that the device was asked to take as one.
static void print_calls(const run_session *s, uint32_t island, uint32_t count) {
    tn_call_desc call;
    for (uint32_t i = 0; i < count && i < 12 && get_call(s, island, i, &call); i++) {
        printf("        %s.%s %s, %s %u node%s\n", call.domain, call.function, call.name,
               call.in_parts != 0 ? "as its" : "whole, for", call.node_count,
               call.node_count == 1 ? "" : "s");
    }
    if (count > 12) {
        printf("        ... and %u more\n", count - 12);
    }
}

static void print_placement(run_session *s, const tn_plan_summary *plan) {
    printf("%splacement%s  %u island%s", cli_bold(), cli_plain(), plan->island_count,
           plan->island_count == 1 ? "" : "s");
    if (plan->stage_count > 1 || plan->host_nodes > 0) {
        printf(" in %u stages, %u nodes carried out by the host", plan->stage_count,
               plan->host_nodes);
    }
    if (plan->unplanned_nodes > 0) {
        printf(", %u nodes planned while running", plan->unplanned_nodes);
    }
    if (plan->fallback_count > 0) {
        printf("  %s%u nodes on a device that was not listed%s", cli_bad(), plan->fallback_count,
               cli_plain());
    }
    putchar('\n');
    for (uint32_t i = 0; i < plan->island_count && i < 12; i++) {
        tn_island_desc island = {.struct_size = sizeof(island),
                                 .struct_type = TN_STRUCT_ISLAND_DESC};
        tn_device_desc device;
        if (tn_compiled_island_get(s->compiled, i, &island) != TN_OK) {
            continue;
        }
        const char *id = device_id(s, island.device, &device);
        printf("    %-24s %u nodes, %u in, %u out%s\n", id, island.node_count, island.input_count,
               island.output_count, (device.flags & TN_DEVICE_EMULATED) != 0 ? "  (emulated)" : "");
        print_calls(s, i, island.call_count);
    }
    if (plan->island_count > 12) {
        printf("    ... and %u more\n", plan->island_count - 12);
    }
}

static void print_counts(const tn_run_stats *stats) {
    char text[4][CLI_TEXT_BYTES];
    printf("%scounted%s  %u handovers, %u host waits, %u transfers of %s (plan: %u, %u, %u, %s)\n",
           cli_bold(), cli_plain(), stats->handovers, stats->host_waits, stats->transfers,
           cli_bytes_text(stats->transfer_bytes, text[0]), stats->planned_handovers,
           stats->planned_host_waits, stats->planned_transfers,
           cli_bytes_text(stats->planned_transfer_bytes, text[1]));
    printf("%smemory%s  %s host arena, %s device arenas\n", cli_bold(), cli_plain(),
           cli_bytes_text(stats->host_arena_bytes, text[2]),
           cli_bytes_text(stats->device_arena_bytes, text[3]));
}

static json_t *output_json(const run_session *s, const run_output *one) {
    const tn_tensor_view *view = &one->view;
    char path[4096];
    json_t *shape = json_array();
    for (uint32_t k = 0; k < view->rank; k++) {
        json_array_append_new(shape, json_integer(view->dims[k]));
    }
    summary sum = summarise(view);
    run_output_path(path, sizeof(path), "", one->label);
    const char *file = s->options.output_dir == NULL ? "" : strrchr(path, '/') + 1;
    return json_pack("{s:s, s:s, s:s, s:o, s:f, s:f, s:f, s:I, s:o}", "file", file, "name",
                     one->label, "dtype", tn_dtype_text(view->dtype), "shape", shape, "min",
                     sum.min, "max", sum.max, "mean", sum.mean, "not_finite",
                     (json_int_t)sum.not_finite, "top", top_json(view, s->options.top));
}

static json_t *outputs_json(run_session *s) {
    json_t *list = json_array();
    run_output one;
    for (uint32_t i = 0; i < tn_model_output_count(s->model); i++) {
        for (uint64_t k = 0; run_output_get(s, i, k, &one); k++) {
            json_array_append_new(list, output_json(s, &one));
        }
    }
    return list;
}

static json_t *calls_json(const run_session *s, uint32_t island, uint32_t count) {
    json_t *list = json_array();
    tn_call_desc call;
    for (uint32_t i = 0; i < count && get_call(s, island, i, &call); i++) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:b, s:i}", "domain",
                                              call.domain, "function", call.function, "name",
                                              call.name, "version", (int)call.version, "in_parts",
                                              call.in_parts != 0, "nodes", (int)call.node_count));
    }
    return list;
}

static json_t *islands_json(run_session *s, const tn_plan_summary *plan) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < plan->island_count; i++) {
        tn_island_desc island = {.struct_size = sizeof(island),
                                 .struct_type = TN_STRUCT_ISLAND_DESC};
        tn_device_desc device;
        if (tn_compiled_island_get(s->compiled, i, &island) != TN_OK) {
            continue;
        }
        const char *id = device_id(s, island.device, &device);
        json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:i, s:b, s:I, s:o}", "device", id,
                                              "nodes", (int)island.node_count, "inputs",
                                              (int)island.input_count, "outputs",
                                              (int)island.output_count, "emulated",
                                              (device.flags & TN_DEVICE_EMULATED) != 0,
                                              "flops_estimate", (json_int_t)island.flops, "calls",
                                              calls_json(s, i, island.call_count)));
    }
    return list;
}

static json_t *phases_json(const run_session *s) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "host_ns", (json_int_t)s->host_ns,
                     "load_ns", (json_int_t)s->load_ns, "compile_ns", (json_int_t)s->compile_ns,
                     "prepare_ns", (json_int_t)s->prepare_ns, "first_run_ns",
                     (json_int_t)s->first_run_ns, "last_run_ns", (json_int_t)s->last_run_ns,
                     "median_run_ns", (json_int_t)s->run_ns[s->options.repeat / 2]);
}

static json_t *counts_json(uint32_t handovers, uint32_t host_waits, uint32_t transfers,
                           uint64_t bytes) {
    return json_pack("{s:i, s:i, s:i, s:I}", "handovers", (int)handovers, "host_waits",
                     (int)host_waits, "transfers", (int)transfers, "transfer_bytes",
                     (json_int_t)bytes);
}

static int print_json(run_session *s, const tn_plan_summary *plan, const tn_run_stats *stats) {
    json_t *counted =
        counts_json(stats->handovers, stats->host_waits, stats->transfers, stats->transfer_bytes);
    json_t *planned = counts_json(stats->planned_handovers, stats->planned_host_waits,
                                  stats->planned_transfers, stats->planned_transfer_bytes);
    return cli_print_json(json_pack(
        "{s:i, s:s, s:s, s:o, s:o, s:{s:o, s:i, s:i, s:i, s:i, s:I, s:I}, s:o, s:o, s:{s:I, s:I, "
        "s:I}}",
        "schema_version", CLI_SCHEMA_VERSION, "tenon", tn_version_text(), "model", s->options.model,
        "outputs", outputs_json(s), "phases", phases_json(s), "plan", "islands",
        islands_json(s, plan), "fallback_nodes", (int)plan->fallback_count, "stages",
        (int)plan->stage_count, "host_nodes", (int)plan->host_nodes, "unplanned_nodes",
        (int)plan->unplanned_nodes, "cost_estimate_ns", (json_int_t)plan->cost_ns, "lower_bound_ns",
        (json_int_t)plan->lower_bound_ns, "counted", counted, "planned", planned, "memory",
        "host_arena_bytes", (json_int_t)stats->host_arena_bytes, "device_arena_bytes",
        (json_int_t)stats->device_arena_bytes, "packed_weight_bytes",
        (json_int_t)plan->weight_bytes));
}

int run_report(run_session *s) {
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    if (tn_compiled_plan_get(s->compiled, &plan) != TN_OK ||
        tn_request_stats(s->request, &stats) != TN_OK) {
        return CLI_INTERNAL;
    }
    if (s->common->json) {
        return print_json(s, &plan, &stats);
    }
    print_outputs(s);
    print_phases(s);
    print_placement(s, &plan);
    print_counts(&stats);
    return CLI_OK;
}
