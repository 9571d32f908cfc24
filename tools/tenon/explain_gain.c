// SPDX-License-Identifier: Apache-2.0
// `tenon explain --gain`: plans again for every device and every op type that it refuses, as if it
// took it at the host's estimate, and ranks what that saves.
#include "explain.h"

#include <stdlib.h>
#include <string.h>

// Each trial is one more plan.
#define MAX_TRIALS 256u

// What a device says of a node that it was asked about; false where it was not.
static bool answer(const explain_report *report, uint32_t node, uint32_t device,
                   tn_placement *out_placement) {
    *out_placement =
        (tn_placement){.struct_size = sizeof(*out_placement), .struct_type = TN_STRUCT_PLACEMENT};
    return tn_compiled_placement_get(report->compiled, node, device, out_placement) == TN_OK &&
           out_placement->island != TN_NONE;
}

static uint32_t refusal(const explain_report *report, uint32_t node, uint32_t device) {
    tn_placement placement;
    return answer(report, node, device, &placement) && placement.answer == TN_ANSWER_NO
               ? placement.reason
               : TN_REASON_NONE;
}

// Refusals that differ in nothing but the node are told once.
static void add_hint(const explain_report *report, explain_gain *gain, uint32_t node,
                     const tn_placement *p) {
    for (uint32_t i = 0; i < gain->hint_count; i++) {
        explain_hint *hint = &gain->hints[i];
        if (hint->reason == p->reason && hint->subject == p->subject && hint->limit == p->limit &&
            hint->actual == p->actual) {
            hint->nodes++;
            return;
        }
    }
    if (gain->hint_count < EXPLAIN_HINTS) {
        explain_hint *hint = &gain->hints[gain->hint_count++];
        *hint = (explain_hint){.nodes = 1,
                               .first_node = node,
                               .reason = p->reason,
                               .subject = p->subject,
                               .limit = p->limit,
                               .actual = p->actual};
        explain_hint_text(report, node, p, hint->text);
    }
}

static bool is_known(const explain_report *report, uint32_t device, const char *op_type) {
    for (uint32_t i = 0; i < report->gain_count; i++) {
        if (report->gains[i].device == device && strcmp(report->gains[i].op_type, op_type) == 0) {
            return true;
        }
    }
    return false;
}

// Plans as if device took all nodes of the type that it refuses. CLI_OK or an exit code.
static int try_gain(plan_session *s, const plan_rules *rules, const explain_report *report,
                    explain_gain *gain, tn_pin *pins) {
    const char *id = plan_device_text(s, gain->device);
    tn_compiled *compiled = NULL;
    for (uint32_t node = 0; node < tn_model_node_count(s->model); node++) {
        tn_node_desc desc;
        tn_placement placement;
        if (!plan_node_get(s, node, &desc) || strcmp(desc.op_type, gain->op_type) != 0 ||
            !answer(report, node, gain->device, &placement)) {
            continue;
        }
        if (placement.answer == TN_ANSWER_NO && placement.reason != TN_REASON_NONE) {
            pins[gain->nodes++] = (tn_pin){id, node, TN_PIN_ASSUME};
            add_hint(report, gain, node, &placement);
        } else {
            gain->taken++;
        }
    }
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.policy = TN_COMPILE_PLAN_ONLY;
    config.pins = pins;
    config.pin_count = gain->nodes;
    int code = plan_compile(s, rules, &config, true, &compiled);
    if (code == CLI_OK) {
        gain->saved_ns = report->plan.cost_ns - plan_summary_of(compiled).cost_ns;
    }
    tn_compiled_release(compiled);
    return code == CLI_CRITERION ? CLI_OK : code;
}

static int by_saving(const void *a, const void *b) {
    const explain_gain *one = a;
    const explain_gain *other = b;
    if (one->saved_ns != other->saved_ns) {
        return one->saved_ns > other->saved_ns ? -1 : 1;
    }
    return strcmp(one->op_type, other->op_type);
}

static int try_node(plan_session *s, const plan_rules *rules, explain_report *report, uint32_t node,
                    uint32_t device, tn_pin *pins) {
    tn_node_desc desc;
    uint32_t reason = refusal(report, node, device);
    if (reason == TN_REASON_NONE || report->gain_count == MAX_TRIALS ||
        !plan_node_get(s, node, &desc) || is_known(report, device, desc.op_type)) {
        return CLI_OK;
    }
    explain_gain *gain = &report->gains[report->gain_count++];
    *gain = (explain_gain){.device = device, .reason = reason};
    snprintf(gain->op_type, sizeof(gain->op_type), "%s", desc.op_type);
    return try_gain(s, rules, report, gain, pins);
}

int explain_find_gains(plan_session *s, const plan_rules *rules, explain_report *report) {
    uint32_t nodes = tn_model_node_count(s->model);
    tn_pin *pins = calloc((size_t)nodes + 1, sizeof(*pins));
    report->gains = calloc(MAX_TRIALS, sizeof(*report->gains));
    int code = pins == NULL || report->gains == NULL ? CLI_ENVIRONMENT : CLI_OK;
    for (uint32_t i = 0; i < tn_compiled_alternative_count(report->compiled); i++) {
        tn_plan_alternative one = {.struct_size = sizeof(one),
                                   .struct_type = TN_STRUCT_PLAN_ALTERNATIVE};
        if (tn_compiled_alternative_get(report->compiled, i, &one) != TN_OK ||
            one.kind != TN_ALTERNATIVE_ALONE) {
            continue;
        }
        for (uint32_t node = 0; node < nodes && code == CLI_OK; node++) {
            code = try_node(s, rules, report, node, one.device, pins);
        }
    }
    if (code == CLI_OK) {
        qsort(report->gains, report->gain_count, sizeof(*report->gains), by_saving);
    }
    free(pins);
    return code;
}
