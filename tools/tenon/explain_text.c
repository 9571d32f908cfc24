// SPDX-License-Identifier: Apache-2.0
// `tenon explain` for people: what matters first, then where, what else was considered, and why.
#include "explain.h"

#include <stdlib.h>
#include <string.h>

#define ISLANDS_SHOWN 40u
#define GAINS_SHOWN 8u

static const char *time_text(int64_t ns, char text[CLI_TEXT_BYTES]) {
    return cli_time_text(ns > 0 ? (uint64_t)ns : 0, text);
}

// Where the costs of nodes come from, on the devices that run them.
static void print_origins(const explain_report *r) {
    uint32_t counts[EXPLAIN_ORIGINS] = {0};
    for (uint32_t node = 0; node < tn_model_node_count(r->session->model); node++) {
        uint32_t origin = explain_cost_origin(r, node);
        if (origin < EXPLAIN_ORIGINS) {
            counts[origin]++;
        }
    }
    printf("  (estimates;");
    for (uint32_t i = 0; i < EXPLAIN_ORIGINS; i++) {
        if (counts[i] > 0) {
            printf(" %u %s", counts[i], explain_origin_text(i));
        }
    }
    puts(")");
}

static void print_head(const explain_report *r) {
    const tn_plan_summary *p = &r->plan;
    char text[6][CLI_TEXT_BYTES];
    printf("%s%s%s: %u island%s, %u handovers", cli_bold(), r->session->model_path, cli_plain(),
           p->island_count, p->island_count == 1 ? "" : "s", p->handovers);
    if (r->counted) {
        printf(", %u host waits, %u transfers of %s", r->stats.planned_host_waits,
               r->stats.planned_transfers,
               cli_bytes_text(r->stats.planned_transfer_bytes, text[0]));
    } else if (p->stage_count > 1) {
        printf("; host waits and transfers are known once it has run");
    }
    printf("\npredicted %s%s%s, at least %s: gap %.3f %%", cli_bold(),
           time_text(p->cost_ns, text[1]), cli_plain(), time_text(p->lower_bound_ns, text[2]),
           plan_gap_percent(p));
    print_origins(r);
    printf("  compute %s + transfers %s + handovers %s", time_text(p->compute_ns, text[3]),
           time_text(p->transfer_ns, text[4]), time_text(p->handover_ns, text[5]));
    if (p->claim_count > 0) {
        printf(" - %u group%s taken together %s", p->claim_count, p->claim_count == 1 ? "" : "s",
               time_text(p->claim_saving_ns, text[0]));
    }
    putchar('\n');
    if (p->makespan_ns > 0 && p->makespan_ns < p->cost_ns) {
        printf("  with devices at work at the same time: %s, at least %s\n",
               time_text(p->makespan_ns, text[0]), time_text(p->makespan_bound_ns, text[1]));
    }
    if (p->stage_count > 1 || p->host_nodes > 0) {
        printf("  %u stages, %u nodes carried out by the host, %u planned at the first run\n",
               p->stage_count, p->host_nodes, p->unplanned_nodes);
    }
    if (p->body_ns > 0) {
        printf("  %s of it in bodies of control flow", time_text(p->body_ns, text[0]));
        printf(p->assumed_loops > 0 ? "; %u loop%s of unknown length taken to run 10 times\n"
                                    : "\n",
               p->assumed_loops, p->assumed_loops == 1 ? "" : "s");
    }
    if (p->lost_claims > 0) {
        printf("  %u claim%s of devices cannot be expressed and count for nothing\n",
               p->lost_claims, p->lost_claims == 1 ? "" : "s");
    }
    if (p->settled_stages > 0) {
        puts(
            "  one device: several would save less than 5 %, which measured costs are not sure of");
    }
    if (p->stored_stages > 0) {
        puts("  found in the plan store: nothing has changed since it was searched for");
    }
    if (p->fallback_count > 0) {
        printf("  %s%u nodes fall back to devices that were not asked for%s\n", cli_bad(),
               p->fallback_count, cli_plain());
    }
}

static void print_wait(const explain_report *r, uint32_t island) {
    char what[EXPLAIN_WAITS_BYTES];
    if (explain_waits_before(r, island, what, sizeof(what)) > 0) {
        printf("       %sthe host waits %s%s\n", cli_bad(), what, cli_plain());
    }
}

static void print_islands(const explain_report *r) {
    tn_island_desc island;
    char ops[160];
    printf("\n%sislands%s  in the order in which they run\n", cli_bold(), cli_plain());
    for (uint32_t i = 0; i < r->plan.island_count && i < ISLANDS_SHOWN; i++) {
        if (explain_island(r, i, &island)) {
            explain_op_text(r->session, island.nodes, island.node_count, ops, sizeof(ops));
            print_wait(r, i);
            printf("  %3u  %-20s %5u node%s  %2u in %2u out  %s\n", i,
                   plan_device_text(r->session, island.device), island.node_count,
                   island.node_count == 1 ? " " : "s", island.input_count, island.output_count,
                   ops);
        }
    }
    if (r->plan.island_count > ISLANDS_SHOWN) {
        printf("  ... and %u more (--json has all)\n", r->plan.island_count - ISLANDS_SHOWN);
    }
    print_wait(r, TN_NONE);
}

static void print_alternatives(const explain_report *r) {
    static const char *const heads[] = {
        "one device for all it takes, the rest where it costs least", "one device less"};
    char text[CLI_TEXT_BYTES];
    tn_plan_alternative one;
    uint32_t kind = TN_NONE;
    for (uint32_t i = 0; i < tn_compiled_alternative_count(r->compiled); i++) {
        if (!explain_alternative(r, i, &one) || one.kind > TN_ALTERNATIVE_WITHOUT) {
            continue;
        }
        if (one.kind != kind) {
            printf("\n%salternatives%s  %s\n", cli_bold(), cli_plain(), heads[one.kind]);
            kind = one.kind;
        }
        printf("  %s%-20s ", kind == TN_ALTERNATIVE_WITHOUT ? "without " : "",
               plan_device_text(r->session, one.device));
        if (one.cost_ns == TN_COST_NO_PLAN) {
            printf(kind == TN_ALTERNATIVE_WITHOUT ? "no plan with the others alone" : "no plan");
        } else {
            printf("%s, %.2fx of the plan, %u handovers", time_text(one.cost_ns, text),
                   r->plan.cost_ns > 0 ? (double)one.cost_ns / (double)r->plan.cost_ns : 1.0,
                   one.handovers);
        }
        printf(one.refused_nodes > 0 ? ", refuses %u nodes\n" : "\n", one.refused_nodes);
    }
}

// Nodes that are not where they would cost least, for one reason and one other device.
typedef struct choice_group {
    uint32_t *nodes;
    uint32_t count;
    int64_t gain;
    int64_t price;
} choice_group;

static bool choice_of(const explain_report *r, uint32_t node, tn_choice *out_choice) {
    *out_choice = (tn_choice){.struct_size = sizeof(*out_choice), .struct_type = TN_STRUCT_CHOICE};
    return tn_compiled_choice_get(r->compiled, node, out_choice) == TN_OK;
}

static void gather(const explain_report *r, tn_why why, uint32_t device, choice_group *group) {
    group->count = 0;
    group->gain = 0;
    group->price = 0;
    for (uint32_t node = 0; node < tn_model_node_count(r->session->model); node++) {
        tn_choice choice;
        if (choice_of(r, node, &choice) && choice.why == why && choice.cheapest_device == device) {
            group->nodes[group->count++] = node;
            group->gain += choice.cost_ns - choice.cheapest_cost_ns;
            group->price += choice.copies_ns + choice.handovers_ns + choice.claims_ns;
        }
    }
}

static void print_group(const explain_report *r, tn_why why, uint32_t device,
                        const choice_group *group) {
    char text[2][CLI_TEXT_BYTES];
    char ops[160];
    explain_op_text(r->session, group->nodes, group->count, ops, sizeof(ops));
    printf("  %-9s %4u node%s  %s\n            cheaper on %s by %s, moving each alone would cost "
           "%s: %s\n",
           plan_why_text(why), group->count, group->count == 1 ? " " : "s", ops,
           plan_device_text(r->session, device), time_text(group->gain, text[0]),
           time_text(group->price, text[1]), plan_why_sentence(why));
}

static void print_choices(const explain_report *r) {
    choice_group group = {
        .nodes = calloc((size_t)tn_model_node_count(r->session->model) + 1, sizeof(uint32_t))};
    bool any = false;
    for (tn_why why = TN_WHY_COPIES; why <= TN_WHY_TOGETHER && group.nodes != NULL; why++) {
        for (uint32_t d = 0; d < tn_host_device_count(r->session->host); d++) {
            gather(r, why, d, &group);
            if (group.count > 0) {
                if (!any) {
                    printf("\n%snot where they would cost least%s\n", cli_bold(), cli_plain());
                }
                any = true;
                print_group(r, why, d, &group);
            }
        }
    }
    free(group.nodes);
}

// What one device refuses, by reason; the first limit stands for all.
static void print_refusals_of(const explain_report *r, uint32_t device, uint32_t *nodes) {
    for (uint32_t reason = 1; reason < TN_REASON_COUNT; reason++) {
        tn_placement first = {0};
        uint32_t count = 0;
        for (uint32_t node = 0; node < tn_model_node_count(r->session->model); node++) {
            tn_placement p = {.struct_size = sizeof(p), .struct_type = TN_STRUCT_PLACEMENT};
            if (tn_compiled_placement_get(r->compiled, node, device, &p) == TN_OK &&
                p.answer == TN_ANSWER_NO && p.reason == reason) {
                first = count == 0 ? p : first;
                nodes[count++] = node;
            }
        }
        if (count == 0) {
            continue;
        }
        char ops[160];
        explain_op_text(r->session, nodes, count, ops, sizeof(ops));
        printf("  %-20s %s: %u node%s  %s", plan_device_text(r->session, device),
               tn_reason_text(reason), count, count == 1 ? "" : "s", ops);
        if (first.limit != 0 || first.actual != 0) {
            printf("  (limit %lld, the first has %lld)", (long long)first.limit,
                   (long long)first.actual);
        }
        putchar('\n');
    }
}

static void print_refusals(const explain_report *r) {
    uint32_t *nodes = calloc((size_t)tn_model_node_count(r->session->model) + 1, sizeof(uint32_t));
    printf("\n%srefused%s\n", cli_bold(), cli_plain());
    for (uint32_t i = 0; i < tn_compiled_alternative_count(r->compiled) && nodes != NULL; i++) {
        tn_plan_alternative one = {.struct_size = sizeof(one),
                                   .struct_type = TN_STRUCT_PLAN_ALTERNATIVE};
        if (tn_compiled_alternative_get(r->compiled, i, &one) == TN_OK) {
            print_refusals_of(r, one.device, nodes);
        }
    }
    free(nodes);
}

// What would help, and whether the device takes others of the type: then the type is not the cause.
static void print_hints(const explain_gain *gain) {
    for (uint32_t i = 0; i < gain->hint_count; i++) {
        const explain_hint *hint = &gain->hints[i];
        if (hint->text[0] != '\0') {
            printf("      %u node%s %s: %s\n", hint->nodes, hint->nodes == 1 ? "," : "s,",
                   tn_reason_text(hint->reason), hint->text);
        }
    }
    if (gain->taken > 0) {
        printf("      it takes %u other%s of this op\n", gain->taken, gain->taken == 1 ? "" : "s");
    }
}

static void print_gains(const explain_report *r) {
    char text[CLI_TEXT_BYTES];
    printf("\n%sif a device learned an op%s  (at an estimated cost)\n", cli_bold(), cli_plain());
    uint32_t shown = 0;
    for (uint32_t i = 0; i < r->gain_count && shown < GAINS_SHOWN; i++) {
        const explain_gain *gain = &r->gains[i];
        if (gain->saved_ns > 0) {
            printf("  %-20s %-24s %u node%s, now %s: saves %s (%.1f %%)\n",
                   plan_device_text(r->session, gain->device), gain->op_type, gain->nodes,
                   gain->nodes == 1 ? "" : "s", tn_reason_text(gain->reason),
                   time_text(gain->saved_ns, text),
                   100.0 * (double)gain->saved_ns / (double)r->plan.cost_ns);
            print_hints(gain);
            shown++;
        }
    }
    if (shown == 0) {
        puts("  nothing would be gained");
    }
}

void explain_print(const explain_report *report) {
    print_head(report);
    print_islands(report);
    print_alternatives(report);
    print_choices(report);
    print_refusals(report);
    if (report->with_gains) {
        print_gains(report);
    }
}
