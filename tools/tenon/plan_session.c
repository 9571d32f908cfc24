// SPDX-License-Identifier: Apache-2.0
// Rules for plans, from options and files; and planning under them.
#include "plan_session.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RULE_FILE_BYTES (1 << 20)

static int add_rule(const char *command, plan_rules *rules, const char *text, tn_pin_kind kind) {
    if (strchr(text, '=') == NULL || rules->count == CLI_MAX_LIST) {
        cli_message(command, "a rule is NODES=DEVICE, at most %u of them; \"%s\" is not that",
                    CLI_MAX_LIST, text);
        return CLI_USAGE;
    }
    rules->rules[rules->count++] = (plan_rule){text, kind};
    return CLI_OK;
}

static void take_rule(cli_args *args, plan_rules *rules, const char *argument, tn_pin_kind kind) {
    const char *value = cli_value(args, argument);
    if (value != NULL) {
        args->failed = add_rule(args->command, rules, value, kind);
    }
}

bool plan_rules_take(cli_args *args, plan_rules *rules, const char *argument) {
    if (strcmp(argument, "--device") == 0) {
        const char *list = cli_value(args, argument);
        args->failed = list != NULL
                           ? cli_parse_devices(args->command, argument, list, &rules->devices)
                           : args->failed;
    } else if (strcmp(argument, "--without") == 0) {
        const char *list = cli_value(args, argument);
        args->failed = list != NULL
                           ? cli_add_devices(args->command, argument, list, &rules->without)
                           : args->failed;
    } else if (strcmp(argument, "--no-fallback") == 0) {
        rules->no_fallback = true;
    } else if (strcmp(argument, "--concurrent") == 0) {
        rules->concurrent = true;
    } else if (strcmp(argument, "--pin") == 0 || strcmp(argument, "--move") == 0) {
        take_rule(args, rules, argument, TN_PIN_TO);
    } else if (strcmp(argument, "--forbid") == 0) {
        take_rule(args, rules, argument, TN_PIN_FORBID);
    } else if (strcmp(argument, "--memory") == 0) {
        const char *value = cli_value(args, argument);
        args->failed = value != NULL ? plan_memory_add(args->command, rules, value) : args->failed;
    } else if (strcmp(argument, "--policy") == 0) {
        rules->policy = cli_value(args, argument);
    } else {
        return false;
    }
    return true;
}

void plan_rules_free(plan_rules *rules) {
    cli_devices_free(&rules->devices);
    cli_devices_free(&rules->without);
    free(rules->text);
    rules->text = NULL;
    rules->count = 0;
}

// One line of a rule file, which is changed: "pin NODES DEVICE" becomes "NODES=DEVICE". named: the
// command line names devices, and those of the file do not count.
static int read_line(const char *command, plan_rules *rules, bool named, char *line) {
    char *rest = NULL;
    char *word = strtok_r(line, " \t\r", &rest);
    if (word == NULL || word[0] == '#') {
        return CLI_OK;
    }
    if (strcmp(word, "no-fallback") == 0) {
        rules->no_fallback = true;
        return CLI_OK;
    }
    char *first = strtok_r(NULL, " \t\r", &rest);
    if (first != NULL && strcmp(word, "device") == 0) {
        return named ? CLI_OK : cli_add_devices(command, word, first, &rules->devices);
    }
    if (first != NULL && strcmp(word, "without") == 0) {
        return cli_add_devices(command, word, first, &rules->without);
    }
    char *device = strtok_r(NULL, " \t\r", &rest);
    bool pin = strcmp(word, "pin") == 0;
    bool memory = strcmp(word, "memory") == 0;
    if (device == NULL || (!pin && !memory && strcmp(word, "forbid") != 0)) {
        cli_message(command, "\"%s\" is no rule, or lacks words", word);
        return CLI_USAGE;
    }
    size_t size = strlen(first);
    first[size] = '=';
    memmove(first + size + 1, device, strlen(device) + 1);
    if (memory) {
        return plan_memory_add(command, rules, first);
    }
    return add_rule(command, rules, first, pin ? TN_PIN_TO : TN_PIN_FORBID);
}

int plan_rules_complete(const char *command, const char *model, plan_rules *rules) {
    char beside[4096];
    snprintf(beside, sizeof(beside), "%s.plan", model);
    return rules->policy != NULL ? plan_rules_read(command, rules->policy, true, rules)
                                 : plan_rules_read(command, beside, false, rules);
}

int plan_rules_read(const char *command, const char *path, bool required, plan_rules *rules) {
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        if (required || errno != ENOENT) {
            cli_message(command, "%s: %s", path, strerror(errno));
            return CLI_USAGE;
        }
        return CLI_OK;
    }
    char *text = calloc(1, MAX_RULE_FILE_BYTES + 2);
    size_t size = text != NULL ? fread(text, 1, MAX_RULE_FILE_BYTES + 1, stream) : 0;
    fclose(stream);
    if (text == NULL || size > MAX_RULE_FILE_BYTES) {
        free(text);
        cli_message(command, "%s: too large, or out of memory", path);
        return CLI_USAGE;
    }
    rules->text = text;
    bool named = rules->devices.count > 0;
    int code = CLI_OK;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL && code == CLI_OK;
         line = strtok_r(NULL, "\n", &rest)) {
        code = read_line(command, rules, named, line);
    }
    if (code != CLI_OK) {
        cli_message(command, "%s: bad rule", path);
    }
    return code;
}

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

// One of: a number, FROM-TO, op:TYPE, or a pattern for names.
static bool token_matches(const char *token, uint32_t node, const tn_node_desc *desc) {
    char *end = NULL;
    if (strncmp(token, "op:", 3) == 0) {
        return strcmp(token + 3, desc->op_type) == 0;
    }
    if (isdigit((unsigned char)token[0])) {
        unsigned long long from = strtoull(token, &end, 10);
        unsigned long long to = *end == '-' ? strtoull(end + 1, &end, 10) : from;
        if (*end == '\0') {
            return node >= from && node <= to;
        }
    }
    return fnmatch(token, desc->name, 0) == 0;
}

static bool selects(const char *nodes, uint32_t node, const tn_node_desc *desc) {
    char token[512];
    while (*nodes != '\0' && *nodes != '=') {
        size_t size = strcspn(nodes, ",=");
        size_t kept = size < sizeof(token) - 1 ? size : sizeof(token) - 1;
        memcpy(token, nodes, kept);
        token[kept] = '\0';
        if (token_matches(token, node, desc)) {
            return true;
        }
        nodes += size + (nodes[size] == ',');
    }
    return false;
}

// The pins of one rule, appended; a rule that selects nothing is an error.
static int add_pins(const plan_session *s, const plan_rule *rule, tn_pin *pins, uint32_t *count) {
    // The device is what follows the last "=": names of nodes may have one too.
    const char *device = strrchr(rule->text, '=') + 1;
    uint32_t before = *count;
    for (uint32_t node = 0; node < tn_model_node_count(s->model); node++) {
        tn_node_desc desc;
        if (plan_node_get(s, node, &desc) && selects(rule->text, node, &desc)) {
            pins[(*count)++] = (tn_pin){device, node, rule->kind};
        }
    }
    if (*count == before) {
        cli_message(s->command, "\"%s\" selects no node; see tenon inspect --nodes", rule->text);
        return CLI_USAGE;
    }
    return CLI_OK;
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
            cli_message(s->command, "there is no device \"%s\" to do without; see tenon plugins",
                        list->ids[i]);
            return CLI_USAGE;
        }
    }
    return CLI_OK;
}

// The devices that the rules leave: those named, or all of the host's.
static int list_devices(plan_session *s, const plan_rules *rules) {
    bool all = rules->devices.count == 0;
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

int plan_compile(plan_session *session, const plan_rules *rules, const tn_compile_config *config,
                 bool quiet, tn_compiled **out_compiled) {
    plan_session *s = session;
    size_t room = (size_t)tn_model_node_count(s->model) * rules->count + config->pin_count + 1;
    tn_pin *pins = calloc(room, sizeof(*pins));
    uint32_t count = 0;
    int code = pins == NULL ? CLI_ENVIRONMENT : CLI_OK;
    for (uint32_t i = 0; i < rules->count && code == CLI_OK; i++) {
        code = add_pins(s, &rules->rules[i], pins, &count);
    }
    code = code == CLI_OK ? list_devices(s, rules) : code;
    if (code == CLI_OK) {
        tn_compile_config ruled = *config;
        tn_device_cap caps[CLI_MAX_LIST];
        tn_error error;
        tn_error_init(&error);
        for (uint32_t i = 0; i < config->pin_count; i++) {
            pins[count++] = config->pins[i];
        }
        // Devices left out must not come back for what the others refuse.
        bool strict = rules->no_fallback || rules->without.count > 0;
        ruled.devices = s->ids;
        ruled.device_count = s->id_count;
        ruled.policy |= strict ? TN_COMPILE_NO_FALLBACK : 0;
        ruled.policy |= rules->concurrent ? TN_COMPILE_CONCURRENT : 0;
        ruled.pins = pins;
        ruled.pin_count = count;
        plan_memory_caps(rules, caps);
        ruled.caps = caps;
        ruled.cap_count = rules->cap_count;
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
