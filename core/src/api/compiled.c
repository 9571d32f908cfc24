// SPDX-License-Identifier: Apache-2.0
// tenon/compiled.h: choosing devices, compiling, and reporting where everything runs.
#include "api/objects.h"

#include "base/clock.h"
#include "base/error.h"
#include "plan/cost.h"

#include <string.h>

void tn_compile_config_init(tn_compile_config *config) {
    *config = (tn_compile_config){.struct_size = sizeof(*config),
                                  .struct_type = TN_STRUCT_COMPILE_CONFIG};
}

// The devices a compile may use: the listed ones first, then the rest unless policy forbids.
typedef struct choice {
    tni_device **devices;
    uint32_t count;
    uint32_t listed_count;
} choice;

static bool chosen(const choice *c, const tni_device *device) {
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->devices[i] == device) {
            return true;
        }
    }
    return false;
}

static tn_status choose(tn_host *host, const tn_compile_config *config, choice *c,
                        tn_error *error) {
    for (uint32_t i = 0; i < config->device_count; i++) {
        if (config->devices[i] == NULL) {
            return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "compile.device",
                            "device %u of the list is null", i);
        }
        uint32_t index = tn_host_device_find(host, config->devices[i]);
        if (index == TN_NONE) {
            return tni_fail(error, TN_ERROR_NOT_FOUND, "compile.device",
                            "there is no device \"%s\"; the load report says why",
                            config->devices[i]);
        }
        if (!chosen(c, host->devices[index])) {
            c->devices[c->count++] = host->devices[index];
        }
    }
    bool rest = config->device_count == 0 || (config->policy & TN_COMPILE_NO_FALLBACK) == 0;
    c->listed_count = c->count;
    for (uint32_t i = 0; i < host->device_count && rest; i++) {
        if (!chosen(c, host->devices[i])) {
            c->devices[c->count++] = host->devices[i];
        }
    }
    c->listed_count = config->device_count == 0 ? c->count : c->listed_count;
    return TN_OK;
}

// A listed device that cannot be opened is an error; another one is only left out.
static tn_status open_chosen(tn_host *host, choice *c, bool all_listed, tn_error *error) {
    uint32_t kept = 0;
    uint32_t kept_listed = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        bool must = i < c->listed_count && !all_listed;
        tn_error reason;
        tni_error_init(&reason);
        tn_status status = tni_device_open(c->devices[i], &reason);
        if (status != TN_OK && (must || status == TN_ERROR_OUT_OF_MEMORY)) {
            tni_error_copy(error, &reason);
            return status;
        }
        if (status != TN_OK) {
            tni_log_write(&host->log, TN_LOG_WARN, "%s is left out: %s", c->devices[i]->id,
                          reason.text);
            continue;
        }
        c->devices[kept++] = c->devices[i];
        kept_listed += i < c->listed_count;
    }
    c->count = kept;
    c->listed_count = kept_listed;
    return TN_OK;
}

// Planning changes the model, so every compile has one of its own.
static tn_status fork_model(tn_compiled *compiled, tn_error *error) {
    tni_weights *weights = &compiled->model->host->weights;
    tn_status status = tni_weights_add(weights, compiled->model->model);
    compiled->weights_added = status == TN_OK;
    if (status == TN_OK) {
        status =
            tni_model_fork(compiled->model->model, tni_weights_reserve(weights), &compiled->fork);
    }
    if (status == TN_OK) {
        status = tni_weights_add(weights, compiled->fork);
        compiled->fork_added = status == TN_OK;
    }
    return status == TN_OK ? TN_OK : tni_fail_plain(error, status, "a compiled model");
}

static tn_status make_plan(tn_compiled *compiled, const tn_compile_config *config, choice *c,
                           tn_error *error) {
    tn_host *host = compiled->model->host;
    tn_status status = fork_model(compiled, error);
    if (status != TN_OK) {
        return status;
    }
    tni_plan_info info = {
        .model = compiled->fork,
        .devices = c->devices,
        .device_count = c->count,
        .listed_count = c->listed_count,
        .precision = config->precision,
        .compile_flags = config->compile_flags,
        .automatic = config->device_count == 0,
        .no_fallback = (config->policy & TN_COMPILE_NO_FALLBACK) != 0,
        .progress = config->progress,
        .progress_user_data = config->progress_user_data,
    };
    return tni_plan_create(&host->alloc, &info, &compiled->plan, error);
}

static tn_status compile(tn_compiled *compiled, const tn_compile_config *config, tn_error *error) {
    tn_host *host = compiled->model->host;
    choice c = {0};
    uint32_t room = host->device_count > 0 ? host->device_count : 1;
    c.devices = tni_alloc_array(&host->alloc, room, sizeof(*c.devices));
    if (c.devices == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a compiled model");
    }
    tn_status status = choose(host, config, &c, error);
    if (status == TN_OK) {
        status = open_chosen(host, &c, config->device_count == 0, error);
    }
    if (status == TN_OK) {
        status = make_plan(compiled, config, &c, error);
    }
    tni_free_array(&host->alloc, c.devices, room, sizeof(*c.devices));
    return status;
}

static void destroy(tn_compiled *compiled) {
    tn_model *model = compiled->model;
    tn_host *host = model->host;
    tni_plan_destroy(compiled->plan);
    if (compiled->fork_added) {
        tni_weights_remove(&host->weights, compiled->fork);
    }
    tni_model_destroy(compiled->fork);
    if (compiled->weights_added) {
        tni_weights_remove(&host->weights, model->model);
    }
    if (compiled->counted) {
        tni_mutex_lock(&host->mutex);
        host->compiled_count--;
        tni_mutex_unlock(&host->mutex);
    }
    tni_free(&host->alloc, compiled, sizeof(*compiled));
    tn_model_release(model);
}

static tn_status enter(tn_compiled *compiled, tn_error *error) {
    tn_host *host = compiled->model->host;
    tni_mutex_lock(&host->mutex);
    compiled->counted = !host->shut_down;
    host->compiled_count += compiled->counted ? 1 : 0;
    tni_mutex_unlock(&host->mutex);
    return compiled->counted ? TN_OK
                             : tni_fail(error, TN_ERROR_INVALID_STATE, "compile.shut-down",
                                        "the host was shut down");
}

tn_status tn_compile(tn_model *model, const tn_compile_config *config, tn_compiled **out_compiled,
                     tn_error *error) {
    tn_compile_config defaults;
    tn_compile_config_init(&defaults);
    if (out_compiled != NULL) {
        *out_compiled = NULL;
    }
    if (model == NULL || out_compiled == NULL ||
        (config != NULL && (!tni_struct_ok(config, TN_STRUCT_COMPILE_CONFIG, sizeof(*config)) ||
                            (config->devices == NULL && config->device_count > 0)))) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "compile.argument",
                        "model or out_compiled is null, or the configuration is not one");
    }
    config = config == NULL ? &defaults : config;
    tn_host *host = model->host;
    uint64_t begin = tni_clock_ns();
    tn_compiled *compiled = tni_alloc_zeroed(&host->alloc, sizeof(*compiled));
    if (compiled == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a compiled model");
    }
    atomic_init(&compiled->references, 1);
    tn_model_retain(model);
    compiled->model = model;
    compiled->memory_cap_bytes = config->memory_cap_bytes;
    tn_status status = enter(compiled, error);
    if (status == TN_OK) {
        status = compile(compiled, config, error);
    }
    tni_trace_add(&host->trace, TN_TRACE_COMPILE, TN_NONE, TN_NONE, 0, begin, 0);
    if (status != TN_OK) {
        destroy(compiled);
        return status;
    }
    compiled->compile_ns = tni_clock_ns() - begin;
    *out_compiled = compiled;
    return TN_OK;
}

void tn_compiled_retain(tn_compiled *compiled) {
    if (compiled != NULL) {
        atomic_fetch_add(&compiled->references, 1);
    }
}

void tn_compiled_release(tn_compiled *compiled) {
    if (compiled != NULL && atomic_fetch_sub(&compiled->references, 1) == 1) {
        destroy(compiled);
    }
}

// Nodes on a device that was not listed.
static uint32_t count_fallbacks(const tni_plan *plan) {
    uint32_t count = 0;
    if (plan->automatic) {
        return 0; // nobody asked for other devices
    }
    for (uint32_t i = 0; i < plan->island_count; i++) {
        for (uint32_t k = plan->listed_count; k < plan->set_count; k++) {
            count +=
                plan->sets[k].device == plan->islands[i].device ? plan->islands[i].node_count : 0;
        }
    }
    return count;
}

tn_status tn_compiled_plan_get(const tn_compiled *compiled, tn_plan_summary *out_summary) {
    if (compiled == NULL ||
        !tni_struct_ok(out_summary, TN_STRUCT_PLAN_SUMMARY, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_plan *plan = compiled->plan;
    tn_plan_summary summary = {
        .island_count = plan->island_count,
        .fallback_count = count_fallbacks(plan),
        .refused_programs = plan->refused_count,
        .replans = plan->replan_count,
        .cost_ns = plan->cost_ns,
        .lower_bound_ns = plan->lower_bound_ns,
        .compile_ns = compiled->compile_ns,
        .weight_bytes = plan->weight_bytes,
    };
    const tni_device *last = NULL;
    for (uint32_t i = 0; i < plan->island_count; i++) {
        const tni_device *device = plan->islands[i].device;
        summary.handovers += device != last && !(last == NULL && tni_is_near_host(device));
        last = device;
    }
    summary.handovers += !tni_is_near_host(last);
    tni_struct_out(out_summary, &summary, sizeof(summary));
    return TN_OK;
}

tn_status tn_compiled_island_get(const tn_compiled *compiled, uint32_t island,
                                 tn_island_desc *out_desc) {
    if (compiled == NULL ||
        !tni_struct_ok(out_desc, TN_STRUCT_ISLAND_DESC, sizeof(tn_struct_header)) ||
        island >= compiled->plan->island_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_island *i = &compiled->plan->islands[island];
    tn_island_desc desc = {
        .device = i->device->host_index,
        .node_count = i->node_count,
        .nodes = i->positions,
        .input_count = i->input_count,
        .output_count = i->output_count,
    };
    for (uint32_t k = 0; k < i->node_count; k++) {
        desc.flops += tni_node_work(compiled->plan->model, i->nodes[k]).flops;
    }
    tni_struct_out(out_desc, &desc, sizeof(desc));
    return TN_OK;
}

tn_status tn_compiled_placement_get(const tn_compiled *compiled, uint32_t node, uint32_t device,
                                    tn_placement *out_placement) {
    if (compiled == NULL) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_plan *plan = compiled->plan;
    const tni_graph *graph = &plan->model->graphs[0];
    if (!tni_struct_ok(out_placement, TN_STRUCT_PLACEMENT, sizeof(tn_struct_header)) ||
        node >= graph->node_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    uint32_t id = graph->nodes[node];
    for (uint32_t i = 0; i < plan->set_count; i++) {
        if (plan->sets[i].device->host_index != device) {
            continue;
        }
        const tni_option *option = &plan->sets[i].options[id];
        const tni_device *there = plan->islands[plan->island_of[id]].device;
        tn_placement placement = {
            .island = plan->island_of[id],
            .device = there->host_index,
            .answer = option->possible ? TN_ANSWER_YES : TN_ANSWER_NO,
            .reason = !option->possible               ? option->reason
                      : there == plan->sets[i].device ? TN_REASON_NONE
                                                      : TN_REASON_UNPROFITABLE,
            .subject = option->subject,
            .cost_origin = option->origin,
            .limit = option->limit,
            .actual = option->actual,
            .cost_ns = option->cost_ns,
        };
        tni_struct_out(out_placement, &placement, sizeof(placement));
        return TN_OK;
    }
    return TN_ERROR_NOT_FOUND;
}
