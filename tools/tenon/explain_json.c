// SPDX-License-Identifier: Apache-2.0
// `tenon explain --json`.
#include "explain.h"

static json_t *islands_json(const explain_report *r) {
    json_t *list = json_array();
    tn_island_desc island;
    for (uint32_t i = 0; i < r->plan.island_count; i++) {
        if (!explain_island(r, i, &island)) {
            continue;
        }
        json_t *nodes = json_array();
        for (uint32_t k = 0; k < island.node_count; k++) {
            json_array_append_new(nodes, json_integer(island.nodes[k]));
        }
        json_array_append_new(list, json_pack("{s:s, s:o, s:i, s:i}", "device",
                                              plan_device_text(r->session, island.device), "nodes",
                                              nodes, "inputs", (int)island.input_count, "outputs",
                                              (int)island.output_count));
    }
    return list;
}

// An island's index, or null for the host.
static json_t *island_json(uint32_t island) {
    return island == TN_NONE ? json_null() : json_integer(island);
}

static json_t *transfers_json(const explain_report *r) {
    json_t *list = json_array();
    tn_planned_transfer t;
    for (uint32_t i = 0; explain_transfer(r, i, &t); i++) {
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:I}", "value", t.name,
                                        "from", plan_device_text(r->session, t.from_device), "to",
                                        plan_device_text(r->session, t.to_device), "from_island",
                                        island_json(t.from_island), "to_island",
                                        island_json(t.to_island), "bytes", (json_int_t)t.size_bytes,
                                        "cost_estimate_ns", (json_int_t)t.cost_ns));
    }
    return list;
}

// null where runs are not laid out before they run.
static json_t *waits_json(const explain_report *r) {
    if (!r->counted || r->wait_count != r->stats.planned_host_waits) {
        return json_null();
    }
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->wait_count; i++) {
        const tn_planned_wait *wait = &r->waits[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:b}", "before_island",
                                              island_json(wait->before_island), "on_island",
                                              island_json(wait->on_island), "on_copy",
                                              wait->on_copy != 0));
    }
    return list;
}

static json_t *alternatives_json(const explain_report *r) {
    json_t *list = json_array();
    tn_plan_alternative one;
    for (uint32_t i = 0; i < tn_compiled_alternative_count(r->compiled); i++) {
        if (explain_alternative(r, i, &one)) {
            json_t *cost = one.cost_ns == TN_COST_NO_PLAN ? json_null() : json_integer(one.cost_ns);
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:o, s:i, s:i, s:i}", "kind",
                                one.kind == TN_ALTERNATIVE_WITHOUT ? "without" : "alone", "device",
                                plan_device_text(r->session, one.device), "cost_estimate_ns", cost,
                                "refused_nodes", (int)one.refused_nodes, "handovers",
                                (int)one.handovers, "transfers", (int)one.transfers));
        }
    }
    return list;
}

static json_t *verdicts_json(const explain_report *r, uint32_t node) {
    json_t *list = json_array();
    for (uint32_t d = 0; d < tn_host_device_count(r->session->host); d++) {
        tn_placement p = {.struct_size = sizeof(p), .struct_type = TN_STRUCT_PLACEMENT};
        if (tn_compiled_placement_get(r->compiled, node, d, &p) == TN_OK && p.island != TN_NONE) {
            json_array_append_new(
                list,
                json_pack("{s:s, s:b, s:s, s:I, s:I}", "device", plan_device_text(r->session, d),
                          "takes", p.answer != TN_ANSWER_NO, "reason", tn_reason_text(p.reason),
                          "limit", (json_int_t)p.limit, "actual", (json_int_t)p.actual));
        }
    }
    return list;
}

static json_t *nodes_json(const explain_report *r) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < tn_model_node_count(r->session->model); i++) {
        tn_node_desc node;
        tn_choice c = {.struct_size = sizeof(c), .struct_type = TN_STRUCT_CHOICE};
        if (!plan_node_get(r->session, i, &node)) {
            continue;
        }
        json_t *one = json_pack("{s:i, s:s, s:s, s:o}", "node", (int)i, "name", node.name,
                                "op_type", node.op_type, "verdicts", verdicts_json(r, i));
        if (one != NULL && tn_compiled_choice_get(r->compiled, i, &c) == TN_OK) {
            json_object_update_new(
                one,
                json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "device",
                          plan_device_text(r->session, c.device), "cheapest_device",
                          plan_device_text(r->session, c.cheapest_device), "why",
                          plan_why_text(c.why), "cost_origin",
                          explain_origin_text(explain_cost_origin(r, i)), "cost_estimate_ns",
                          (json_int_t)c.cost_ns, "cheapest_cost_estimate_ns",
                          (json_int_t)c.cheapest_cost_ns, "moving_copies_ns",
                          (json_int_t)c.copies_ns, "moving_handovers_ns",
                          (json_int_t)c.handovers_ns, "moving_claims_ns", (json_int_t)c.claims_ns));
        }
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *hints_json(const explain_gain *gain) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < gain->hint_count; i++) {
        const explain_hint *hint = &gain->hints[i];
        json_array_append_new(
            list, json_pack("{s:i, s:i, s:s, s:I, s:I, s:I, s:s}", "nodes", (int)hint->nodes,
                            "first_node", (int)hint->first_node, "reason",
                            tn_reason_text(hint->reason), "subject",
                            hint->subject == TN_NONE ? (json_int_t)-1 : (json_int_t)hint->subject,
                            "limit", (json_int_t)hint->limit, "actual", (json_int_t)hint->actual,
                            "hint", hint->text));
    }
    return list;
}

static json_t *gains_json(const explain_report *r) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->gain_count; i++) {
        const explain_gain *gain = &r->gains[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:i, s:i, s:s, s:I, s:o}", "device",
                            plan_device_text(r->session, gain->device), "op_type", gain->op_type,
                            "nodes", (int)gain->nodes, "taken", (int)gain->taken, "reason",
                            tn_reason_text(gain->reason), "saves_estimate_ns",
                            (json_int_t)gain->saved_ns, "hints", hints_json(gain)));
    }
    return list;
}

// Counts are there only when the model could be prepared, and has one stage.
static json_t *counts_json(const explain_report *r) {
    const tn_run_stats *s = &r->stats;
    return !r->counted ? json_null()
                       : json_pack("{s:i, s:i, s:i, s:I}", "handovers", (int)s->planned_handovers,
                                   "host_waits", (int)s->planned_host_waits, "transfers",
                                   (int)s->planned_transfers, "transfer_bytes",
                                   (json_int_t)s->planned_transfer_bytes);
}

int explain_print_json(const explain_report *report) {
    const tn_plan_summary *p = &report->plan;
    char hash[32];
    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)p->plan_hash);
    json_t *plan = json_pack(
        "{s:s, s:i, s:i, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:I, s:I, "
        "s:I, s:i, s:i}",
        "hash", hash, "islands", (int)p->island_count, "handovers", (int)p->handovers,
        "cost_estimate_ns", (json_int_t)p->cost_ns, "lower_bound_ns", (json_int_t)p->lower_bound_ns,
        "gap_percent", plan_gap_percent(p), "compute_ns", (json_int_t)p->compute_ns, "transfers_ns",
        (json_int_t)p->transfer_ns, "handovers_ns", (json_int_t)p->handover_ns, "claims_ns",
        (json_int_t)p->claim_saving_ns, "claims", (int)p->claim_count, "stages",
        (int)p->stage_count, "host_nodes", (int)p->host_nodes, "unplanned_nodes",
        (int)p->unplanned_nodes, "fallback_nodes", (int)p->fallback_count, "makespan_estimate_ns",
        (json_int_t)p->makespan_ns, "makespan_bound_ns", (json_int_t)p->makespan_bound_ns,
        "bodies_ns", (json_int_t)p->body_ns, "assumed_loops", (int)p->assumed_loops, "lost_claims",
        (int)p->lost_claims);
    if (plan != NULL) {
        json_object_set_new(plan, "stored", json_boolean(p->stored_stages > 0));
        json_object_set_new(plan, "settled", json_boolean(p->settled_stages > 0));
    }
    json_t *document = json_pack(
        "{s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "schema_version", CLI_SCHEMA_VERSION,
        "tenon", tn_version_text(), "model", report->session->model_path, "plan", plan, "planned",
        counts_json(report), "islands", islands_json(report), "transfers", transfers_json(report),
        "alternatives", alternatives_json(report), "nodes", nodes_json(report));
    if (document != NULL) {
        json_object_set_new(document, "waits", waits_json(report));
    }
    if (document != NULL && report->with_gains) {
        json_object_set_new(document, "gains", gains_json(report));
    }
    return cli_print_json(document);
}
