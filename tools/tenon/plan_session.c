// SPDX-License-Identifier: Apache-2.0
// Planning a model under rules, and the texts in which plans are told.
#include "plan_session.h"

#include <stdlib.h>
#include <string.h>

int plan_open(plan_session *session, const cli_options *options) {
    tn_error error;
    tn_error_init(&error);
    int code = cli_open_host(options, session->command, &session->host);
    if (code != CLI_OK) {
        return code;
    }
    tn_status status =
        tn_model_load_file(session->host, session->model_path, NULL, &session->model, &error);
    return status == TN_OK ? CLI_OK : cli_fail(session->command, &error, status);
}

void plan_close(plan_session *session) {
    tn_model_release(session->model);
    tn_host_release(session->host);
}

bool plan_node_get(const plan_session *session, uint32_t node, tn_node_desc *out_desc) {
    *out_desc =
        (tn_node_desc){.struct_size = sizeof(*out_desc), .struct_type = TN_STRUCT_NODE_DESC};
    return tn_model_node_get(session->model, node, out_desc) == TN_OK;
}

// Whether a list names the device, or the plugin that all of whose devices it means.
static bool names(const cli_devices *list, const char *id) {
    for (uint32_t i = 0; i < list->count; i++) {
        size_t size = strlen(list->ids[i]);
        if (strncmp(list->ids[i], id, size) == 0 && (id[size] == '\0' || id[size] == ':')) {
            return true;
        }
    }
    return false;
}

// A name that fits nothing would leave out nothing, and nobody would know.
static int check_without(const plan_session *s, const cli_devices *list) {
    for (uint32_t i = 0; i < list->count; i++) {
        if (tn_host_device_find(s->host, list->ids[i]) == TN_NONE) {
            char where[CLI_WHERE_BYTES];
            cli_message(cli_where(s->command, list->origins[i], where),
                        "there is no device \"%s\" to do without; see tenon plugins", list->ids[i]);
            return CLI_USAGE;
        }
    }
    return CLI_OK;
}

// The devices that the rules leave: those named, or all of the host's.
static int list_devices(plan_session *s, const plan_rules *rules) {
    bool all = rules->devices.count == 0;
    // Devices left out must not come back for what the others refuse.
    s->only_these = rules->no_fallback || rules->without.count > 0;
    uint32_t count = all ? tn_host_device_count(s->host) : rules->devices.count;
    int code = check_without(s, &rules->without);
    s->id_count = 0;
    if (code != CLI_OK || (all && rules->without.count == 0)) {
        return code;
    }
    for (uint32_t i = 0; i < count && s->id_count < CLI_MAX_LIST; i++) {
        // A plugin's name stands for its first device. What is none is left for tn_compile to name.
        uint32_t index = all ? i : tn_host_device_find(s->host, rules->devices.ids[i]);
        const char *id = index == TN_NONE ? rules->devices.ids[i] : plan_device_text(s, index);
        if (index == TN_NONE && rules->devices.origins[i].file != NULL) {
            return plan_rules_check_device(s, id, rules->devices.origins[i]);
        }
        if (!names(&rules->without, id)) {
            s->ids[s->id_count++] = id;
        }
    }
    if (s->id_count == 0) {
        cli_message(s->command, "the rules leave no device");
        return CLI_USAGE;
    }
    return CLI_OK;
}

int plan_rules_check_device(const plan_session *s, const char *device, cli_origin origin) {
    char where[CLI_WHERE_BYTES];
    const uint32_t index = tn_host_device_find(s->host, device);
    if (index == TN_NONE) {
        cli_message(cli_where(s->command, origin, where),
                    "there is no device \"%s\"; see tenon plugins", device);
        return CLI_USAGE;
    }
    bool usable = !s->only_these || s->id_count == 0;
    for (uint32_t i = 0; i < s->id_count && !usable; i++) {
        usable = tn_host_device_find(s->host, s->ids[i]) == index;
    }
    if (!usable) {
        cli_message(cli_where(s->command, origin, where),
                    "a rule is about device \"%s\", which other rules leave out", device);
        return CLI_USAGE;
    }
    return CLI_OK;
}

// All pins of the rules; out_pins has room.
static int list_pins(const plan_session *s, const plan_rules *rules, tn_pin *pins,
                     uint32_t *out_count) {
    int code = CLI_OK;
    *out_count = 0;
    for (uint32_t i = 0; i < rules->count && code == CLI_OK; i++) {
        code = plan_rule_pins(s, &rules->rules[i], pins, out_count);
    }
    return code;
}

int plan_compile(plan_session *session, const plan_rules *rules, const tn_compile_config *config,
                 bool quiet, tn_compiled **out_compiled) {
    plan_session *s = session;
    size_t room = (size_t)tn_model_node_count(s->model) * rules->count + config->pin_count + 1;
    tn_pin *pins = calloc(room, sizeof(*pins));
    tn_compile_config ruled = *config;
    tn_device_cap caps[CLI_MAX_LIST];
    uint32_t count = 0;
    int code = pins == NULL ? CLI_ENVIRONMENT : list_devices(s, rules);
    code = code == CLI_OK ? list_pins(s, rules, pins, &count) : code;
    code = code == CLI_OK ? plan_memory_caps(s, rules, caps, &ruled.cap_count) : code;
    if (code == CLI_OK) {
        tn_error error;
        tn_error_init(&error);
        for (uint32_t i = 0; i < config->pin_count; i++) {
            pins[count++] = config->pins[i];
        }
        ruled.devices = s->ids;
        ruled.device_count = s->id_count;
        ruled.policy |= s->only_these ? TN_COMPILE_NO_FALLBACK : 0;
        ruled.policy |= rules->concurrent ? TN_COMPILE_CONCURRENT : 0;
        ruled.pins = pins;
        ruled.pin_count = count;
        ruled.caps = caps;
        tn_status status = tn_compile(s->model, &ruled, out_compiled, &error);
        bool cannot = status == TN_ERROR_UNSUPPORTED || status == TN_ERROR_DENIED ||
                      status == TN_ERROR_LIMIT_EXCEEDED;
        code = status == TN_OK   ? CLI_OK
               : quiet && cannot ? CLI_CRITERION
                                 : cli_fail(s->command, &error, status);
    }
    free(pins);
    return code;
}

int plan_compile_with(plan_session *session, const plan_rules *rules, tn_compile_policy policy,
                      tn_compiled **out_compiled) {
    tn_compile_config config;
    tn_compile_config_init(&config);
    config.policy = policy;
    return plan_compile(session, rules, &config, false, out_compiled);
}

const char *plan_device_text(const plan_session *session, uint32_t device) {
    tn_device_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_DEVICE_DESC};
    return device == TN_NONE                                           ? "host"
           : tn_host_device_get(session->host, device, &desc) == TN_OK ? desc.id
                                                                       : "?";
}

tn_plan_summary plan_summary_of(const tn_compiled *compiled) {
    tn_plan_summary summary = {.struct_size = sizeof(summary),
                               .struct_type = TN_STRUCT_PLAN_SUMMARY};
    if (tn_compiled_plan_get(compiled, &summary) != TN_OK) {
        summary = (tn_plan_summary){0};
    }
    return summary;
}

double plan_gap_percent(const tn_plan_summary *summary) {
    double cost = (double)summary->cost_ns;
    return cost > 0 ? 100.0 * (cost - (double)summary->lower_bound_ns) / cost : 0;
}

const char *plan_why_text(tn_why why) {
    static const char *const texts[] = {"CHEAPEST", "COPIES",   "HANDOVERS", "CLAIM",
                                        "GROUP",    "CAPACITY", "TOGETHER"};
    return why < sizeof(texts) / sizeof(texts[0]) ? texts[why] : "?";
}

const char *plan_why_sentence(tn_why why) {
    static const char *const texts[] = {
        "where they cost least",
        "copies there would cost more than is gained",
        "copies and handovers there would cost more than is gained",
        "their device takes them with others for less",
        "they have to be where others are",
        "no room there",
        "alone they could move; with all others nothing better was found",
    };
    return why < sizeof(texts) / sizeof(texts[0]) ? texts[why] : "?";
}
