// SPDX-License-Identifier: Apache-2.0
// What `tenon bench` prints for people.
#include "bench.h"

static void print_what(const bench_side *side, const bench_machine *machine) {
    bench_device devices[CLI_MAX_LIST];
    uint32_t count = bench_devices(side, devices);
    printf("%smodel%s    %s  on", cli_bold(), cli_plain(), side->options.model);
    for (uint32_t i = 0; i < count; i++) {
        bool emulated = (devices[i].desc.flags & TN_DEVICE_EMULATED) != 0;
        printf("%s %s (%u nodes%s)", i > 0 ? "," : "", devices[i].desc.id, devices[i].nodes,
               emulated ? ", emulated" : "");
    }
    printf("  %u thread%s%s%s\n", side->common.threads, side->common.threads == 1 ? "" : "s",
           side->options.precise   ? "  precise"
           : side->options.relaxed ? "  relaxed"
                                   : "",
           side->common.large_pages ? "  large pages" : "");
    if (machine != NULL) {
        printf("%smachine%s  %s, %u cores\n         %s\n", cli_bold(), cli_plain(), machine->cpu,
               machine->core_count, machine->features);
    }
}

static void print_phases(const bench_side *side) {
    char text[6][CLI_TEXT_BYTES];
    printf("%sphases%s   host %s  load %s  compile %s  prepare %s  first run %s\n"
           "         load to first result %s\n",
           cli_bold(), cli_plain(), cli_time_text(side->host_ns, text[0]),
           cli_time_text(side->load_ns, text[1]), cli_time_text(side->compile_ns, text[2]),
           cli_time_text(side->prepare_ns, text[3]), cli_time_text(side->first_run_ns, text[4]),
           cli_time_text(bench_first_result_ns(side), text[5]));
}

static void print_steady(const bench_side *side) {
    const bench_summary *s = &side->summary;
    char text[6][CLI_TEXT_BYTES];
    printf("%ssteady%s   p50 %s  p90 %s  p95 %s  p99 %s  max %s  (nearest rank)\n"
           "         %llu runs after %llu to warm up, %.1f a second\n",
           cli_bold(), cli_plain(), cli_time_text(s->p50_ns, text[0]),
           cli_time_text(s->p90_ns, text[1]), cli_time_text(s->p95_ns, text[2]),
           cli_time_text(s->p99_ns, text[3]), cli_time_text(s->max_ns, text[4]),
           (unsigned long long)s->count, (unsigned long long)side->warmup_runs,
           s->mean_ns > 0 ? 1e9 / s->mean_ns : 0);
}

static void print_part(const bench_split *split, const char *head, const char *name, uint64_t ns) {
    char text[CLI_TEXT_BYTES];
    double wall = split->wall_ns > 0 ? (double)split->wall_ns : 1;
    uint64_t runs = split->runs > 0 ? split->runs : 1;
    printf("%s%-5s%s    %-14s %10s  %5.1f %%\n", cli_bold(), head, cli_plain(), name,
           cli_time_text(ns / runs, text), 100 * (double)ns / wall);
}

static void print_split(const bench_side *side) {
    const bench_split *s = &side->split;
    print_part(s, "split", "kernels", s->kernels_ns);
    print_part(s, "", "data movement", s->movement_ns);
    print_part(s, "", "waits", s->waits_ns);
    print_part(s, "", "pre and post", s->pre_post_ns);
    print_part(s, "", "queueing", s->queueing_ns);
    print_part(s, "", "unattributed", bench_unattributed_ns(s));
}

static void print_memory(const bench_side *side) {
    tn_run_stats stats = bench_stats_of(side);
    tn_plan_summary plan = plan_summary_of(side->compiled);
    uint64_t above = side->rss_peak_bytes > side->rss_before_bytes
                         ? side->rss_peak_bytes - side->rss_before_bytes
                         : 0;
    char text[5][CLI_TEXT_BYTES];
    printf("%smemory%s   peak RSS %s%s, %s above before load\n"
           "         host arena %s  device arenas %s  packed weights %s\n",
           cli_bold(), cli_plain(), cli_bytes_text(side->rss_peak_bytes, text[0]),
           side->options.versus ? " (with the other side)" : "", cli_bytes_text(above, text[1]),
           cli_bytes_text(stats.host_arena_bytes, text[2]),
           cli_bytes_text(stats.device_arena_bytes, text[3]),
           cli_bytes_text(plan.weight_bytes, text[4]));
}

static void print_budget(const bench_side *side) {
    const bench_budget *budget = &side->options.budget;
    for (uint32_t i = 0; i < budget->count; i++) {
        const bench_limit *limit = &budget->limits[i];
        char text[2][CLI_TEXT_BYTES];
        bool memory = limit->key == BENCH_MEM;
        printf(
            "%sbudget%s   %s %s of %s: %s%s%s", cli_bold(), cli_plain(), bench_key_text(limit->key),
            memory ? cli_bytes_text(limit->actual, text[0]) : cli_time_text(limit->actual, text[0]),
            memory ? cli_bytes_text(limit->limit, text[1]) : cli_time_text(limit->limit, text[1]),
            limit->kept ? cli_good() : cli_bad(), limit->kept ? "kept" : "missed", cli_plain());
        if (limit->key <= BENCH_MAX) {
            printf("  %llu of %llu runs took longer", (unsigned long long)limit->late,
                   (unsigned long long)side->samples.count);
        }
        putchar('\n');
    }
}

static void print_trust(const bench_side *side) {
    const char *colour = side->trust.level == BENCH_HIGH  ? cli_good()
                         : side->trust.level == BENCH_LOW ? cli_bad()
                                                          : "";
    printf("%strust%s    %s%s%s: %s\n", cli_bold(), cli_plain(), colour,
           bench_level_text(side->trust.level), cli_plain(), side->trust.reason);
}

static void print_minutes(const bench_side *side) {
    char text[3][CLI_TEXT_BYTES];
    if (side->minute_count == 0) {
        return;
    }
    printf("%ssustain%s  in parts of %s\n", cli_bold(), cli_plain(),
           cli_time_text(side->minute_ns, text[0]));
    for (uint32_t i = 0; i < side->minute_count; i++) {
        const bench_minute *minute = &side->minutes[i];
        printf("  %4u  p50 %10s  p95 %10s  %llu runs\n", i + 1,
               cli_time_text(minute->p50_ns, text[0]), cli_time_text(minute->p95_ns, text[1]),
               (unsigned long long)minute->runs);
    }
    double first = (double)side->minutes[0].p50_ns;
    double last = (double)side->minutes[side->minute_count - 1].p50_ns;
    printf("  the last part's median against the first's: %+.1f %%\n",
           first > 0 ? 100 * (last / first - 1) : 0);
}

static void print_side(const bench_side *side) {
    print_phases(side);
    print_steady(side);
    print_split(side);
    print_memory(side);
    print_budget(side);
    print_trust(side);
    print_minutes(side);
}

static const char *no_winner(const bench_ratio *r) {
    return r->low <= 1 && r->high >= 1
               ? "no difference is shown: the interval contains 1"
               : "no difference is shown: chance may give as much with so few pairs";
}

static void print_versus(const bench_session *session) {
    const bench_ratio *r = &session->ratio;
    int sign = bench_ratio_sign(r);
    printf("%sversus%s   the second takes %.3f times as long as the first\n"
           "         95 %% interval %.3f to %.3f, p %.4f, %llu pairs in random order\n",
           cli_bold(), cli_plain(), r->ratio, r->low, r->high, r->p_value,
           (unsigned long long)session->base.samples.count);
    printf("         %s\n", sign == 0  ? no_winner(r)
                            : sign > 0 ? "the first is faster"
                                       : "the second is faster");
}

void bench_print_text(const bench_session *session) {
    print_what(&session->base, &session->machine);
    print_side(&session->base);
    if (session->base.options.versus) {
        print_what(&session->other, NULL);
        print_side(&session->other);
        print_versus(session);
    }
}
