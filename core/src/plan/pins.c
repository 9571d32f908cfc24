// SPDX-License-Identifier: Apache-2.0
// Finds what stands for a pinned node, and strikes out the devices that it may not run on.
#include "plan/pins.h"

#include "base/error.h"

// The node of the loaded model that a node of the planned one is, or is a part of.
static uint32_t origin_of(const tni_model *model, uint32_t node) {
    while (model->nodes[node].expanded_from != TN_NONE) {
        node = model->nodes[node].expanded_from;
    }
    return node;
}

static bool speaks_for(const tni_model *model, uint32_t node, uint32_t pinned) {
    if (origin_of(model, node) == pinned) {
        return true;
    }
    if (model->nodes[node].called == TN_NONE) {
        return false;
    }
    const tni_graph *call = &model->graphs[model->nodes[node].expansion];
    for (uint32_t i = 0; i < call->node_count; i++) {
        if (origin_of(model, call->nodes[i]) == pinned) {
            return true;
        }
    }
    return false;
}

static tn_status fail(const tni_plan *plan, const tni_verdict_set *set, uint32_t place,
                      tn_error *error) {
    const uint32_t index = plan->region->nodes[place];
    const tni_node *node = &plan->model->nodes[index];
    char why[96];
    tni_option_text(&set->options[place], why, sizeof(why));
    return tni_fail_node(error, TN_ERROR_UNSUPPORTED, "plan.pin", index, TN_NONE,
                         "node \"%.*s\" (%.*s) is pinned to %s, which does not take it: %s",
                         (int)node->name.size_bytes, node->name.data == NULL ? "" : node->name.data,
                         (int)node->op_type.size_bytes, node->op_type.data, set->device->id, why);
}

static tn_status apply(tni_plan *plan, const tni_pin *pin, uint32_t place, tn_error *error) {
    for (uint32_t k = 0; k < plan->set_count; k++) {
        tni_verdict_set *set = &plan->sets[k];
        bool named = set->device == pin->device;
        const tni_option *option = &set->options[place];
        if (named && pin->kind == TN_PIN_TO && !option->possible) {
            return fail(plan, set, place, error);
        }
        if (named && pin->kind == TN_PIN_ASSUME && !option->possible) {
            set->options[place] = (tni_option){.possible = true, .origin = TN_COST_UNKNOWN};
        } else if (named && pin->kind == TN_PIN_FORBID) {
            tni_verdicts_forbid(set, place, TN_REASON_USER_FORBID);
        } else if (!named && pin->kind == TN_PIN_TO) {
            tni_verdicts_forbid(set, place, TN_REASON_USER_PINNED);
        }
    }
    return TN_OK;
}

tn_status tni_pins_apply(tni_plan *plan, const tni_plan_info *info, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t p = 0; p < info->pin_count && status == TN_OK; p++) {
        for (uint32_t i = 0; i < plan->region->node_count && status == TN_OK; i++) {
            if (speaks_for(plan->model, plan->region->nodes[i], info->pins[p].node)) {
                status = apply(plan, &info->pins[p], i, error);
            }
        }
    }
    return status;
}
