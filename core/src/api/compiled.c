// SPDX-License-Identifier: Apache-2.0
// tenon/compiled.h: choosing devices, compiling, and reporting where everything runs.
#include "api/objects.h"

#include "base/clock.h"
#include "base/error.h"
#include "flow/copies.h"
#include "plan/caps.h"
#include "plan/cost.h"

#include <string.h>

// Measured costs are often this far off, so what several devices save has to be more.
#define MARGIN_PERMILLE 50u

// Of all loops of one run, unless the embedder says otherwise.
#define MAX_ITERATIONS ((uint64_t)1 << 24)

void tn_compile_config_init(tn_compile_config *config) {
    *config = (tn_compile_config){.struct_size = sizeof(*config),
                                  .struct_type = TN_STRUCT_COMPILE_CONFIG};
}

// The devices a compile may use: the listed ones first, then the rest unless policy forbids.
typedef struct choice {
    tni_device **devices;
    uint32_t count;
    uint32_t listed_count;
    tni_pin *pins;
    tni_cap *caps;
    uint32_t cap_count;
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

static tn_status read_pins(const tn_model *model, const tn_compile_config *config, choice *c,
                           tn_error *error) {
    const tni_graph *graph = &model->model->graphs[0];
    for (uint32_t i = 0; i < config->pin_count; i++) {
        const tn_pin *pin = &config->pins[i];
        if (pin->device == NULL || pin->node >= graph->node_count || pin->kind > TN_PIN_ASSUME ||
            (pin->kind == TN_PIN_ASSUME && (config->policy & TN_COMPILE_PLAN_ONLY) == 0)) {
            return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "compile.pin",
                            "pin %u names no device, or node %u of %u, or is of kind %u", i,
                            pin->node, graph->node_count, pin->kind);
        }
        uint32_t index = tn_host_device_find(model->host, pin->device);
        if (index == TN_NONE || !chosen(c, model->host->devices[index])) {
            return tni_fail(error, TN_ERROR_NOT_FOUND, "compile.pin",
                            "pin %u: there is no device \"%s\", or it may not be used", i,
                            pin->device);
        }
        c->pins[i] = (tni_pin){graph->nodes[pin->node], pin->kind, model->host->devices[index]};
    }
    return TN_OK;
}

static tn_status read_caps(const tn_model *model, const tn_compile_config *config, choice *c,
                           tn_error *error) {
    for (uint32_t i = 0; i < config->cap_count; i++) {
        const tn_device_cap *cap = &config->caps[i];
        if (cap->device == NULL) {
            return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "compile.cap",
                            "cap %u names no device", i);
        }
        const uint32_t index = tn_host_device_find(model->host, cap->device);
        if (index == TN_NONE || !chosen(c, model->host->devices[index])) {
            return tni_fail(error, TN_ERROR_NOT_FOUND, "compile.cap",
                            "cap %u: there is no device \"%s\", or it may not be used", i,
                            cap->device);
        }
        const tni_device *device = model->host->devices[index];
        const uint64_t bytes =
            cap->weight_bytes > 0 ? cap->weight_bytes : tni_caps_declared(device);
        if (bytes > 0) {
            c->caps[c->cap_count++] = (tni_cap){device, bytes, 0};
        }
    }
    return TN_OK;
}

static tn_status find_end(const tn_host *host, const char *id, uint32_t link, uint32_t *out_index,
                          tn_error *error) {
    const bool is_host = id != NULL && strcmp(id, "host") == 0;
    *out_index = is_host ? host->device_count : tn_host_device_find(host, id);
    return *out_index != TN_NONE
               ? TN_OK
               : tni_fail(error, TN_ERROR_NOT_FOUND, "compile.link",
                          "link %u: there is no device \"%s\"", link, id == NULL ? "" : id);
}

// The host's costs with the links of this compile over them.
static tn_status read_links(tn_compiled *compiled, const tn_compile_config *config,
                            tn_error *error) {
    tn_host *host = compiled->model->host;
    tn_status status = config->link_count == 0
                           ? TN_OK
                           : tni_cost_table_copy(&compiled->costs, &host->alloc, host->device_count,
                                                 &host->calibration.table);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "costs of links");
    }
    for (uint32_t i = 0; i < config->link_count; i++) {
        const tn_link_cost *link = &config->links[i];
        uint32_t from = TN_NONE;
        uint32_t to = TN_NONE;
        status = find_end(host, link->from, i, &from, error);
        if (status == TN_OK) {
            status = find_end(host, link->to, i, &to, error);
        }
        if (status != TN_OK) {
            return status;
        }
        if (from == to || link->handover_ns < 0 || link->handover_ns > TN_LINK_MAX_NS ||
            link->copy_ns < 0 || link->copy_ns > TN_LINK_MAX_NS) {
            return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "compile.link",
                            "link %u is from \"%s\" to itself, or costs less than nothing, or more "
                            "than TN_LINK_MAX_NS",
                            i, link->from);
        }
        *tni_cost_table_pair(&compiled->costs, from, to) =
            (tni_pair_cost){true, link->handover_ns, link->copy_ns, link->bytes_per_second};
    }
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

static tn_status make_flow(tn_compiled *compiled, const tn_compile_config *config, choice *c,
                           uint64_t begin_ns, tn_error *error) {
    tn_host *host = compiled->model->host;
    const uint64_t limit_ns = config->plan_time_limit_ns;
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
        .pins = c->pins,
        .pin_count = config->pin_count,
        .caps = c->caps,
        .cap_count = c->cap_count,
        .costs = config->link_count > 0 ? &compiled->costs : &host->calibration.table,
        .margin_permille = host->calibration.file.device_count > 0 ? MARGIN_PERMILLE : 0,
        .store = compiled->model->sensitive ? NULL : &host->plans,
        .plan_only = (config->policy & TN_COMPILE_PLAN_ONLY) != 0,
        .explain = (config->policy & TN_COMPILE_EXPLAIN) != 0,
        .concurrent = (config->policy & TN_COMPILE_CONCURRENT) != 0,
        .no_fallback = (config->policy & TN_COMPILE_NO_FALLBACK) != 0,
        .plan_time_limit_ns = limit_ns,
        .plan_deadline_ns =
            limit_ns > UINT64_MAX - begin_ns || limit_ns == 0 ? UINT64_MAX : begin_ns + limit_ns,
        .progress = config->progress,
        .progress_user_data = config->progress_user_data,
    };
    status = tni_copies_settle(&host->alloc, &host->weights, compiled->model->model, &info, error);
    return status == TN_OK ? tni_flow_create(&host->alloc, &info, &compiled->flow, error) : status;
}

static tn_status compile(tn_compiled *compiled, const tn_compile_config *config, uint64_t begin_ns,
                         tn_error *error) {
    tn_host *host = compiled->model->host;
    choice c = {0};
    uint32_t room = host->device_count > 0 ? host->device_count : 1;
    c.devices = tni_alloc_array(&host->alloc, room, sizeof(*c.devices));
    c.pins = tni_alloc_array(&host->alloc, (uint64_t)config->pin_count + 1, sizeof(*c.pins));
    c.caps = tni_alloc_array(&host->alloc, (uint64_t)config->cap_count + 1, sizeof(*c.caps));
    tn_status status = c.devices != NULL && c.pins != NULL && c.caps != NULL
                           ? choose(host, config, &c, error)
                           : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a compiled model");
    if (status == TN_OK) {
        status = open_chosen(host, &c, config->device_count == 0, error);
    }
    if (status == TN_OK) {
        status = read_pins(compiled->model, config, &c, error);
    }
    if (status == TN_OK) {
        status = read_caps(compiled->model, config, &c, error);
    }
    if (status == TN_OK) {
        status = read_links(compiled, config, error);
    }
    if (status == TN_OK) {
        status = make_flow(compiled, config, &c, begin_ns, error);
    }
    if (status == TN_OK) {
        status = tni_report_init(&host->alloc, compiled->model->model, compiled->flow,
                                 &compiled->report, error);
    }
    tni_free_array(&host->alloc, c.devices, room, sizeof(*c.devices));
    tni_free_array(&host->alloc, c.pins, (uint64_t)config->pin_count + 1, sizeof(*c.pins));
    tni_free_array(&host->alloc, c.caps, (uint64_t)config->cap_count + 1, sizeof(*c.caps));
    return status;
}

static void destroy(tn_compiled *compiled) {
    tn_model *model = compiled->model;
    tn_host *host = model->host;
    tni_report_deinit(&compiled->report);
    tni_flow_destroy(compiled->flow);
    tni_cost_table_deinit(&compiled->costs);
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
                            (config->devices == NULL && config->device_count > 0) ||
                            (config->pins == NULL && config->pin_count > 0) ||
                            (config->caps == NULL && config->cap_count > 0) ||
                            (config->links == NULL && config->link_count > 0)))) {
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
    compiled->plan_only = (config->policy & TN_COMPILE_PLAN_ONLY) != 0;
    compiled->memory_cap_bytes = config->memory_cap_bytes;
    compiled->max_iterations = config->max_iterations > 0 ? config->max_iterations : MAX_ITERATIONS;
    tn_status status = enter(compiled, error);
    if (status == TN_OK) {
        status = compile(compiled, config, begin, error);
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

static void hold(void *user_data) {
    tn_compiled_retain(user_data);
}

static void let_go(void *user_data) {
    tn_compiled_release(user_data);
}

static void retire(void *user_data, tni_execution *execution) {
    tn_host *host = ((const tn_compiled *)user_data)->model->host;
    // Whoever leaves work behind looks whether earlier work is done: a request may live for long.
    (void)tni_host_reap(host, 0);
    tni_host_retire(host, execution);
}

tni_keeper tni_compiled_keeper(tn_compiled *compiled) {
    return (tni_keeper){hold, let_go, retire, compiled};
}
