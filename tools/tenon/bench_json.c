// SPDX-License-Identifier: Apache-2.0
// The document of `tenon bench`, which `tenon compare` reads.
#include "bench.h"

#include <string.h>

static json_int_t integer(uint64_t value) {
    return (json_int_t)value;
}

// Version and build of the plugin that a device belongs to.
static const char *build_of(const bench_side *side, const tn_device_desc *device) {
    for (uint32_t i = 0; i < tn_host_load_count(side->host); i++) {
        tn_load_entry entry = {.struct_size = sizeof(entry), .struct_type = TN_STRUCT_LOAD_ENTRY};
        if (tn_host_load_get(side->host, i, &entry) == TN_OK && entry.status == TN_OK &&
            strcmp(entry.name, device->plugin) == 0) {
            return entry.build;
        }
    }
    return "";
}

static json_t *devices_json(const bench_side *side) {
    bench_device devices[CLI_MAX_LIST];
    uint32_t count = bench_devices(side, devices);
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        const tn_device_desc *desc = &devices[i].desc;
        json_array_append_new(list, json_pack("{s:s, s:i, s:b, s:s, s:s, s:s}", "id", desc->id,
                                              "nodes", (int)devices[i].nodes, "emulated",
                                              (desc->flags & TN_DEVICE_EMULATED) != 0, "plugin",
                                              desc->plugin, "build", build_of(side, desc), "driver",
                                              desc->driver));
    }
    return list;
}

static json_t *phases_json(const bench_side *side) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "host_ns", integer(side->host_ns), "load_ns",
                     integer(side->load_ns), "compile_ns", integer(side->compile_ns), "prepare_ns",
                     integer(side->prepare_ns), "first_run_ns", integer(side->first_run_ns),
                     "first_result_ns", integer(bench_first_result_ns(side)));
}

static json_t *steady_json(const bench_side *side) {
    const bench_summary *s = &side->summary;
    json_t *steady = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:f, s:f}", "warmup_runs",
        integer(side->warmup_runs), "runs", integer(s->count), "min_ns", integer(s->min_ns),
        "p50_ns", integer(s->p50_ns), "p90_ns", integer(s->p90_ns), "p95_ns", integer(s->p95_ns),
        "p99_ns", integer(s->p99_ns), "max_ns", integer(s->max_ns), "mean_ns", s->mean_ns, "mad_ns",
        integer(s->mad_ns), "second_half_over_first", s->halves, "runs_per_second",
        s->mean_ns > 0 ? 1e9 / s->mean_ns : 0.0);
    if (steady != NULL && side->options.samples) {
        json_t *samples = json_array();
        for (uint64_t i = 0; i < side->samples.count; i++) {
            json_array_append_new(samples, json_integer(integer(side->samples.ns[i])));
        }
        json_object_set_new(steady, "samples_ns", samples);
    }
    return steady;
}

// Averages over the runs of the steady state.
static json_t *split_json(const bench_side *side) {
    const bench_split *s = &side->split;
    uint64_t runs = s->runs > 0 ? s->runs : 1;
    uint64_t rest = bench_unattributed_ns(s);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "wall_ns",
                     integer(s->wall_ns / runs), "data_movement_ns", integer(s->movement_ns / runs),
                     "queueing_ns", integer(s->queueing_ns / runs), "kernels_ns",
                     integer(s->kernels_ns / runs), "waits_ns", integer(s->waits_ns / runs),
                     "pre_post_ns", integer(s->pre_post_ns / runs), "unattributed_ns",
                     integer(rest / runs), "unattributed_share",
                     s->wall_ns > 0 ? (double)rest / (double)s->wall_ns : 0.0);
}

static json_t *memory_json(const bench_side *side) {
    tn_run_stats stats = bench_stats_of(side);
    tn_plan_summary plan = plan_summary_of(side->compiled);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "peak_rss_bytes", integer(side->rss_peak_bytes),
                     "rss_before_load_bytes", integer(side->rss_before_bytes), "host_arena_bytes",
                     integer(stats.host_arena_bytes), "device_arena_bytes",
                     integer(stats.device_arena_bytes), "packed_weight_bytes",
                     integer(plan.weight_bytes));
}

static json_t *counted_json(const bench_side *side) {
    tn_run_stats s = bench_stats_of(side);
    return json_pack("{s:i, s:i, s:i, s:i, s:I}", "handovers", (int)s.handovers, "host_waits",
                     (int)s.host_waits, "submits", (int)s.submits, "transfers", (int)s.transfers,
                     "transfer_bytes", integer(s.transfer_bytes));
}

static json_t *budget_json(const bench_side *side) {
    const bench_budget *budget = &side->options.budget;
    json_t *list = json_array();
    for (uint32_t i = 0; i < budget->count; i++) {
        const bench_limit *limit = &budget->limits[i];
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:I, s:b}", "of", bench_key_text(limit->key), "limit",
                            integer(limit->limit), "actual", integer(limit->actual), "late_runs",
                            integer(limit->late), "kept", limit->kept));
    }
    return list;
}

static json_t *sustain_json(const bench_side *side) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < side->minute_count; i++) {
        const bench_minute *minute = &side->minutes[i];
        json_array_append_new(list, json_pack("{s:I, s:I, s:I}", "runs", integer(minute->runs),
                                              "p50_ns", integer(minute->p50_ns), "p95_ns",
                                              integer(minute->p95_ns)));
    }
    return json_pack("{s:I, s:o}", "part_ns", integer(side->minute_ns), "parts", list);
}

// Null when out of memory.
static json_t *side_json(const bench_side *side) {
    char hash[BENCH_HASH_BYTES];
    bench_hash_file(side->options.model, hash);
    return json_pack(
        "{s:{s:s, s:s}, s:o, s:i, s:b, s:b, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:{s:s, s:s}}",
        "model", "path", side->options.model, "hash", hash, "devices", devices_json(side),
        "threads", (int)side->common.threads, "precise", side->options.precise, "relaxed",
        side->options.relaxed, "fast_compile", side->options.fast_compile, "copy_io",
        side->options.copy_io, "large_pages", side->common.large_pages, "phases", phases_json(side),
        "steady", steady_json(side), "split", split_json(side), "memory", memory_json(side),
        "counted", counted_json(side), "trust", "level", bench_level_text(side->trust.level),
        "reason", side->trust.reason);
}

static json_t *versus_json(const bench_session *session) {
    const bench_ratio *r = &session->ratio;
    int sign = bench_ratio_sign(r);
    json_t *versus = side_json(&session->other);
    json_t *numbers = json_pack("{s:f, s:f, s:f, s:f, s:I, s:s}", "ratio", r->ratio, "ratio_low",
                                r->low, "ratio_high", r->high, "p_value", r->p_value, "pairs",
                                integer(session->base.samples.count), "faster",
                                sign == 0  ? ""
                                : sign > 0 ? "first"
                                           : "second");
    if (json_object_update(versus, numbers) != 0) {
        json_decref(versus);
        versus = NULL;
    }
    json_decref(numbers);
    return versus;
}

int bench_print_json(const bench_session *session) {
    const bench_side *base = &session->base;
    json_t *document =
        json_pack("{s:i, s:s, s:s, s:o}", "schema_version", CLI_SCHEMA_VERSION, "kind", "bench",
                  "tenon", tn_version_text(), "machine", bench_machine_json(&session->machine));
    json_t *side = side_json(base);
    bool ok = document != NULL && json_object_update(document, side) == 0;
    json_decref(side);
    if (ok && base->options.budget.count > 0) {
        ok = json_object_set_new(document, "budget", budget_json(base)) == 0;
    }
    if (ok && base->minute_count > 0) {
        ok = json_object_set_new(document, "sustain", sustain_json(base)) == 0;
    }
    if (ok && base->options.versus) {
        ok = json_object_set_new(document, "versus", versus_json(session)) == 0;
    }
    if (!ok) {
        json_decref(document);
        document = NULL;
    }
    return cli_print_json(document);
}
