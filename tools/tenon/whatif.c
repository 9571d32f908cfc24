// SPDX-License-Identifier: Apache-2.0
// `tenon whatif`: plans twice, as it is and under changed rules, and shows the difference.
#include "link_file.h"
#include "plan_session.h"

#include <stdlib.h>
#include <string.h>

static const char command[] = "whatif";
#define MOVES_SHOWN 10u

typedef struct whatif {
    plan_session session;
    plan_rules base;
    plan_rules changed; // the base's and those of the command line
    const char *link_path;
    link_file links; // of the changed plan
    tn_compiled *before;
    tn_compiled *after;
} whatif;

static int parse(cli_args *args, whatif *w) {
    for (const char *argument = cli_next(args); argument != NULL; argument = cli_next(args)) {
        if (strcmp(argument, "--device") == 0) {
            // Both plans are for these.
            plan_rules_take(args, &w->base, argument);
        } else if (strcmp(argument, "--links") == 0) {
            w->link_path = cli_value(args, argument);
        } else if (plan_rules_take(args, &w->changed, argument)) {
            continue;
        } else if (argument[0] != '-' && w->session.model_path == NULL) {
            w->session.model_path = argument;
        } else {
            return cli_unknown(args, argument);
        }
    }
    if (args->failed == CLI_OK && w->session.model_path == NULL) {
        cli_message(command, "no model is given; see tenon whatif --help");
        return CLI_USAGE;
    }
    bool changes = w->changed.count > 0 || w->changed.without.count > 0 || w->changed.no_fallback ||
                   w->changed.concurrent || w->changed.policy != NULL || w->changed.cap_count > 0 ||
                   w->link_path != NULL;
    if (args->failed == CLI_OK && !changes) {
        cli_message(command, "nothing is to change: give --move, --pin, --forbid, --without, "
                             "--no-fallback, --concurrent, --memory, --policy or --links");
        return CLI_USAGE;
    }
    return args->failed;
}

static void print_time_line(const char *what, int64_t before, int64_t after) {
    char text[2][CLI_TEXT_BYTES];
    printf("  %-12s %12s  ->  %12s", what,
           cli_time_text((uint64_t)(before > 0 ? before : 0), text[0]),
           cli_time_text((uint64_t)(after > 0 ? after : 0), text[1]));
    if (before > 0) {
        double percent = 100.0 * ((double)after - (double)before) / (double)before;
        printf("  %s%+.2f %%%s",
               percent > 0.005    ? cli_bad()
               : percent < -0.005 ? cli_good()
                                  : "",
               percent, cli_plain());
    }
    putchar('\n');
}

static void print_count_line(const char *what, uint32_t before, uint32_t after) {
    printf("  %-12s %12u  ->  %12u  %+lld\n", what, before, after,
           (long long)after - (long long)before);
}

static uint32_t device_of(const whatif *w, const tn_compiled *compiled, uint32_t node) {
    for (uint32_t d = 0; d < tn_host_device_count(w->session.host); d++) {
        tn_placement p = {.struct_size = sizeof(p), .struct_type = TN_STRUCT_PLACEMENT};
        if (tn_compiled_placement_get(compiled, node, d, &p) == TN_OK) {
            return p.device;
        }
    }
    return TN_NONE;
}

static void print_moves(const whatif *w) {
    uint32_t count = 0;
    for (uint32_t node = 0; node < tn_model_node_count(w->session.model); node++) {
        tn_node_desc desc;
        uint32_t from = device_of(w, w->before, node);
        uint32_t to = device_of(w, w->after, node);
        if (from == to || !plan_node_get(&w->session, node, &desc)) {
            continue;
        }
        if (count++ < MOVES_SHOWN) {
            printf("  node %u %s %s: %s -> %s\n", node, desc.op_type, desc.name,
                   plan_device_text(&w->session, from), plan_device_text(&w->session, to));
        }
    }
    if (count > MOVES_SHOWN) {
        printf("  ... and %u more nodes (--json has all)\n", count - MOVES_SHOWN);
    }
    if (count == 0) {
        puts("  no node moves");
    }
}

static json_t *plan_json(const tn_compiled *compiled) {
    tn_plan_summary s = plan_summary_of(compiled);
    char hash[32];
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)s.plan_hash);
    json_t *makespan = s.makespan_ns > 0 ? json_integer(s.makespan_ns) : json_null();
    return json_pack("{s:s, s:i, s:i, s:I, s:I, s:f, s:I, s:I, s:I, s:o}", "hash", hash, "islands",
                     (int)s.island_count, "handovers", (int)s.handovers, "cost_estimate_ns",
                     (json_int_t)s.cost_ns, "lower_bound_ns", (json_int_t)s.lower_bound_ns,
                     "gap_percent", plan_gap_percent(&s), "compute_ns", (json_int_t)s.compute_ns,
                     "transfers_ns", (json_int_t)s.transfer_ns, "handovers_ns",
                     (json_int_t)s.handover_ns, "makespan_estimate_ns", makespan);
}

static int print_json(const whatif *w) {
    json_t *moves = json_array();
    for (uint32_t node = 0; node < tn_model_node_count(w->session.model); node++) {
        uint32_t from = device_of(w, w->before, node);
        uint32_t to = device_of(w, w->after, node);
        if (from != to) {
            json_array_append_new(moves, json_pack("{s:i, s:s, s:s}", "node", (int)node, "from",
                                                   plan_device_text(&w->session, from), "to",
                                                   plan_device_text(&w->session, to)));
        }
    }
    return cli_print_json(json_pack("{s:i, s:s, s:s, s:o, s:o, s:o}", "schema_version",
                                    CLI_SCHEMA_VERSION, "tenon", tn_version_text(), "model",
                                    w->session.model_path, "before", plan_json(w->before), "after",
                                    plan_json(w->after), "moved", moves));
}

static int report(const whatif *w, const cli_options *options) {
    if (options->json) {
        return print_json(w);
    }
    tn_plan_summary before = plan_summary_of(w->before);
    tn_plan_summary after = plan_summary_of(w->after);
    printf("%s%s%s  as planned -> with the change  (estimates)\n", cli_bold(),
           w->session.model_path, cli_plain());
    print_time_line("predicted", before.cost_ns, after.cost_ns);
    print_time_line("at least", before.lower_bound_ns, after.lower_bound_ns);
    if (w->changed.concurrent) {
        // The sum above does not shrink when devices work at the same time; when the last ends
        // does.
        print_time_line("ends after", before.makespan_ns, after.makespan_ns);
    }
    print_time_line("compute", before.compute_ns, after.compute_ns);
    print_time_line("transfers", before.transfer_ns, after.transfer_ns);
    print_time_line("handovers", before.handover_ns, after.handover_ns);
    print_count_line("islands", before.island_count, after.island_count);
    print_count_line("handovers", before.handovers, after.handovers);
    print_moves(w);
    return CLI_OK;
}

// The changed plan obeys the base's rules too, unless it names its own devices.
static int join_rules(whatif *w) {
    for (uint32_t i = 0; i < w->base.count && w->changed.count < CLI_MAX_LIST; i++) {
        w->changed.rules[w->changed.count++] = w->base.rules[i];
    }
    int code = w->changed.devices.count > 0
                   ? CLI_OK
                   : cli_copy_devices(command, &w->base.devices, &w->changed.devices);
    code = code == CLI_OK ? cli_copy_devices(command, &w->base.without, &w->changed.without) : code;
    plan_memory_join(&w->base, &w->changed);
    w->changed.no_fallback |= w->base.no_fallback;
    return code;
}

static int compile_both(whatif *w) {
    tn_compile_config config;
    tn_compile_config_init(&config);
    // Only with EXPLAIN is it told of a serial plan when it ends.
    config.policy = TN_COMPILE_PLAN_ONLY | (w->changed.concurrent ? TN_COMPILE_EXPLAIN : 0);
    int code = plan_compile(&w->session, &w->base, &config, false, &w->before);
    config.links = w->links.links;
    config.link_count = w->links.count;
    return code == CLI_OK ? plan_compile(&w->session, &w->changed, &config, false, &w->after)
                          : code;
}

int cli_whatif(cli_args *args) {
    whatif w = {.session = {.command = command}};
    int code = parse(args, &w);
    if (code == CLI_OK) {
        code = plan_rules_complete(command, w.session.model_path, &w.base);
    }
    if (code == CLI_OK && w.changed.policy != NULL) {
        code = plan_rules_read(command, w.changed.policy, true, &w.changed);
    }
    if (code == CLI_OK && w.link_path != NULL) {
        code = link_file_read(command, w.link_path, &w.links);
    }
    if (code == CLI_OK) {
        code = join_rules(&w);
    }
    if (code == CLI_OK) {
        code = plan_open(&w.session, args->options);
        code = code == CLI_OK ? compile_both(&w) : code;
        code = code == CLI_OK ? report(&w, args->options) : code;
        tn_compiled_release(w.before);
        tn_compiled_release(w.after);
        plan_close(&w.session);
    }
    link_file_free(&w.links);
    plan_rules_free(&w.base);
    plan_rules_free(&w.changed);
    return code;
}
