// SPDX-License-Identifier: Apache-2.0
// The whole of a compile: ask, partition, compile each island, and plan again with a constraint
// where a plugin refuses what it had claimed.
#include "plan/cost.h"
#include "plan/pins.h"
#include "plan/plan.h"
#include "plan/why.h"

#include "base/error.h"
#include "base/log.h"
#include "graph/rewrite/rewrite.h"
#include "loader/device_call.h"

#include <string.h>

static void island_deinit(const tni_alloc *alloc, tni_island *island) {
    tni_device_program_destroy(island->device, island->program);
    tni_free_array(alloc, island->nodes, island->node_count, sizeof(uint32_t));
    tni_free_array(alloc, island->places, island->node_count, sizeof(uint32_t));
    tni_free_array(alloc, island->inputs, island->input_count > 0 ? island->input_count : 1,
                   sizeof(uint32_t));
    tni_free_array(alloc, island->outputs, island->output_count > 0 ? island->output_count : 1,
                   sizeof(uint32_t));
}

void tni_plan_clear_islands(tni_plan *plan) {
    for (uint32_t i = 0; i < plan->island_count; i++) {
        island_deinit(&plan->alloc, &plan->islands[i]);
    }
    tni_free_array(&plan->alloc, plan->islands,
                   plan->island_capacity > 0 ? plan->island_capacity : 1, sizeof(*plan->islands));
    plan->islands = NULL;
    plan->island_count = 0;
    plan->island_capacity = 0;
    plan->weight_bytes = 0;
    tni_why_destroy(plan->why);
    plan->why = NULL;
}

static tni_verdict_set *set_of(const tni_plan *plan, const tni_device *device) {
    for (uint32_t i = 0; i < plan->set_count; i++) {
        if (plan->sets[i].device == device) {
            return &plan->sets[i];
        }
    }
    return NULL;
}

bool tni_plan_inlines(const tni_plan *plan, const tni_device *device, uint32_t node) {
    const tni_verdict_set *set = set_of(plan, device);
    return set != NULL && tni_verdicts_inline(set, node);
}

// The node the plugin named is ruled out for its device; without a name, the whole island is.
static void constrain(tni_plan *plan, const tni_island *island, const tni_view *view,
                      const tn_error *reason) {
    tni_verdict_set *set = set_of(plan, island->device);
    uint32_t named = reason->node_index < view->node_count
                         ? tni_node_owner(plan->model, view->node_of[reason->node_index])
                         : TN_NONE;
    bool found = false;
    for (uint32_t i = 0; i < island->node_count; i++) {
        if (named == island->nodes[i]) {
            tni_verdicts_forbid(set, island->places[i], TN_REASON_COMPILE_FAILED);
            found = true;
        }
    }
    for (uint32_t i = 0; i < island->node_count && !found; i++) {
        tni_verdicts_forbid(set, island->places[i], TN_REASON_COMPILE_FAILED);
    }
    set->refused = true;
    plan->refused_count++;
}

// Nothing more is asked of devices that refused: however many islands they have claims on, at most
// as many plans follow as there are devices.
static void leave_out_refusers(tni_plan *plan) {
    for (uint32_t i = 0; i < plan->set_count; i++) {
        tni_verdict_set *set = &plan->sets[i];
        for (uint32_t place = 0; set->refused && place < plan->region->node_count; place++) {
            if (set->options[place].possible) {
                tni_verdicts_forbid(set, place, TN_REASON_COMPILE_FAILED);
            }
        }
    }
}

typedef struct progress_link {
    const tni_plan_info *info;
    uint32_t island;
    uint32_t island_count;
} progress_link;

static uint32_t report_progress(void *user_data, uint32_t permille) {
    const progress_link *link = user_data;
    if (link->info->progress == NULL) {
        return 0;
    }
    uint64_t part = permille > 1000 ? 1000 : permille;
    uint64_t whole = ((uint64_t)link->island * 1000 + part) / link->island_count;
    return link->info->progress(link->info->progress_user_data, "compile", (uint32_t)whole);
}

static tn_status compile_view(tni_plan *plan, const tni_plan_info *info, uint32_t index,
                              const tni_view *view, tn_error *error) {
    tni_island *island = &plan->islands[index];
    progress_link link = {info, index, plan->island_count};
    tn_compile_info request = {
        .struct_size = sizeof(request),
        .struct_type = TN_STRUCT_COMPILE_INFO,
        .view = view->view,
        .precision = info->precision,
        .flags = info->compile_flags,
        .progress = report_progress,
        .progress_user_data = &link,
    };
    tn_status status = tni_device_compile(island->device, &request, &island->program, error);
    if (status != TN_OK) {
        return status;
    }
    island->program_info.struct_size = sizeof(island->program_info);
    island->program_info.struct_type = TN_STRUCT_PROGRAM_INFO;
    status = tni_device_program_info(island->device, island->program, &island->program_info, error);
    if (status == TN_OK && (island->program_info.input_count != island->input_count ||
                            island->program_info.output_count != island->output_count)) {
        status =
            tni_fail(error, TN_ERROR_INVALID_DATA, "compile.ports",
                     "%s: the program has %u inputs and %u outputs, the island %u and %u",
                     island->device->id, island->program_info.input_count,
                     island->program_info.output_count, island->input_count, island->output_count);
    }
    return status;
}

static tn_status build_island(tni_plan *plan, const tni_plan_info *info, uint32_t index,
                              tn_error *error) {
    tni_island *island = &plan->islands[index];
    const tni_verdict_set *set = set_of(plan, island->device);
    tni_view_spec spec = {
        .nodes = island->nodes,
        .node_count = island->node_count,
        .inlined = &set->inlined,
        .inputs = island->inputs,
        .input_count = island->input_count,
        .outputs = island->outputs,
        .output_count = island->output_count,
        .forms = set->presentation->forms,
        .without_expansions = true,
        .shapes = info->shapes,
    };
    tni_view *view = NULL;
    tn_status status = tni_view_build(&plan->alloc, plan->model, &spec, &view, error);
    if (status != TN_OK) {
        return status;
    }
    tn_error reason;
    tni_error_init(&reason);
    status = compile_view(plan, info, index, view, &reason);
    if (status == TN_ERROR_UNSUPPORTED) {
        tni_log_write(&plan->model->log, TN_LOG_WARN, "%s refuses an island it had claimed: %s",
                      island->device->id, reason.text);
        constrain(plan, island, view, &reason);
        status = TN_ERROR_STALE;
    } else if (status != TN_OK) {
        tni_error_copy(error, &reason);
    }
    tni_view_destroy(view);
    return status;
}

tn_status tni_plan_build(tni_plan *plan, const tni_plan_info *info, tn_error *error) {
    for (uint32_t i = 0; i < plan->island_count; i++) {
        tn_status status = build_island(plan, info, i, error);
        if (status != TN_OK) {
            return status;
        }
        plan->weight_bytes += plan->islands[i].program_info.weight_bytes;
    }
    return TN_OK;
}

static tn_status ask_devices(tni_plan *plan, const tni_plan_info *info, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < info->device_count && status == TN_OK; i++) {
        const tni_query query = {
            .model = plan->model,
            .region = plan->region,
            .shapes = info->shapes,
            .device = info->devices[i],
            .presentation = &info->presentations[i],
            .precision = info->precision,
        };
        plan->set_count = i + 1;
        status = tni_verdicts_ask(&plan->alloc, &query, &plan->sets[i], error);
    }
    return status;
}

static bool anybody_takes(const tni_plan *plan, uint32_t place) {
    for (uint32_t i = 0; i < plan->set_count; i++) {
        if (plan->sets[i].options[place].possible) {
            return true;
        }
    }
    return false;
}

// Function ops that no device takes, neither whole nor as their expansion, may be shared by several
// devices once the expansion stands in their place. Who plans for any shapes may change the model.
static void mark_refused(tni_plan *plan, const tni_plan_info *info) {
    for (uint32_t i = 0; i < plan->region->node_count && info->shapes == NULL; i++) {
        const uint32_t node = plan->region->nodes[i];
        if (!anybody_takes(plan, i)) {
            plan->model->nodes[node].refused = tni_expansion_fits_in_place(plan->model, node);
        }
    }
}

// Whether the host computes there itself: in its memory, on its threads.
static bool is_hosts(const tni_verdict_set *set) {
    return tni_device_is(set->device, TN_DEVICE_HOST_MEMORY) &&
           tni_device_is(set->device, TN_DEVICE_SYNCHRONOUS);
}

// Nodes that the device takes; of one of the host's, nodes that it or another such device of its
// group takes: they share tensors and never overlap, so they stand for each other.
static uint32_t count_possible(const tni_plan *plan, const tni_verdict_set *set) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->region->node_count; i++) {
        bool possible = set->options[i].possible;
        for (uint32_t k = 0; k < plan->set_count && is_hosts(set) && !possible; k++) {
            const tni_verdict_set *other = &plan->sets[k];
            possible =
                is_hosts(other) && other->options[i].possible &&
                strcmp(other->device->info.resource_group, set->device->info.resource_group) == 0;
        }
        count += possible;
    }
    return count;
}

static bool speaks_for_group(const tni_plan *plan, uint32_t index) {
    const tni_verdict_set *set = &plan->sets[index];
    const char *group = set->device->info.resource_group;
    uint32_t own = count_possible(plan, set);
    for (uint32_t i = 0; i < plan->set_count && group[0] != '\0'; i++) {
        const tni_verdict_set *rival = &plan->sets[i];
        if (i == index || strcmp(rival->device->info.resource_group, group) != 0 ||
            (is_hosts(set) && is_hosts(rival))) {
            continue;
        }
        uint32_t other = count_possible(plan, rival);
        bool first = is_hosts(set) != is_hosts(rival) ? is_hosts(rival) : i < index;
        if (other > own || (other == own && first)) {
            return false;
        }
    }
    return true;
}

// Devices of one resource group are the same silicon: passing the order among them costs waits and
// gains no overlap. The one that takes most nodes (the first of equals) speaks for its group; the
// others are kept behind it, for what nobody else takes. Those that the host computes on itself
// count as one: handing over among them copies nothing, and each may be faster at something.
static void choose_by_group(tni_plan *plan) {
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < plan->set_count; i++) {
        plan->sets[i].listed = speaks_for_group(plan, i);
    }
    for (uint32_t i = 0; i < plan->set_count; i++) {
        if (plan->sets[i].listed) {
            tni_verdict_set set = plan->sets[i];
            memmove(&plan->sets[chosen + 1], &plan->sets[chosen],
                    (i - chosen) * sizeof(*plan->sets));
            plan->sets[chosen++] = set;
        }
    }
    plan->listed_count = chosen;
    plan->automatic = true;
}

static tn_status create(tni_plan *plan, const tni_plan_info *info, tn_error *error) {
    tn_status status = ask_devices(plan, info, error);
    if (status == TN_OK) {
        status = tni_pins_apply(plan, info, error);
    }
    for (uint32_t i = 0; i < plan->set_count && status == TN_OK; i++) {
        tni_cost_fill(info->costs, plan->model, plan->region, &plan->sets[i]);
    }
    if (status == TN_OK && info->automatic) {
        choose_by_group(plan);
    }
    while (status == TN_OK) {
        status = tni_plan_partition(plan, info, error);
        if (status == TN_OK && !info->plan_only) {
            status = tni_plan_build(plan, info, error);
        }
        if (status != TN_ERROR_STALE) {
            break;
        }
        tni_plan_clear_islands(plan);
        status = TN_OK;
        if (++plan->replan_count >= TNI_MAX_REPLANS) {
            leave_out_refusers(plan);
        }
    }
    if (status == TN_ERROR_UNSUPPORTED || status == TN_ERROR_DENIED) {
        mark_refused(plan, info);
    }
    return status;
}

static uint64_t at_least_one(uint64_t count) {
    return count > 0 ? count : 1;
}

tn_status tni_plan_create(const tni_alloc *alloc, const tni_plan_info *info, tni_plan **out_plan,
                          tn_error *error) {
    *out_plan = NULL;
    tni_plan *plan = tni_alloc_zeroed(alloc, sizeof(*plan));
    if (plan == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a plan");
    }
    plan->alloc = *alloc;
    plan->model = info->model;
    plan->region = info->region;
    plan->listed_count = info->listed_count;
    plan->set_capacity = info->device_count;
    plan->sets = tni_alloc_array(alloc, at_least_one(info->device_count), sizeof(*plan->sets));
    plan->island_of =
        tni_alloc_array(alloc, at_least_one(info->region->node_count), sizeof(uint32_t));
    tn_status status = plan->sets != NULL && plan->island_of != NULL
                           ? create(plan, info, error)
                           : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a plan");
    if (status != TN_OK) {
        tni_plan_destroy(plan);
        return status;
    }
    *out_plan = plan;
    return TN_OK;
}

void tni_plan_destroy(tni_plan *plan) {
    if (plan == NULL) {
        return;
    }
    tni_plan_clear_islands(plan);
    for (uint32_t i = 0; i < plan->set_count; i++) {
        tni_verdicts_deinit(&plan->sets[i]);
    }
    tni_free_array(&plan->alloc, plan->sets, at_least_one(plan->set_capacity), sizeof(*plan->sets));
    tni_free_array(&plan->alloc, plan->island_of, at_least_one(plan->region->node_count),
                   sizeof(uint32_t));
    tni_alloc alloc = plan->alloc;
    tni_free(&alloc, plan, sizeof(*plan));
}
