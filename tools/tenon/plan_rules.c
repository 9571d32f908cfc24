// SPDX-License-Identifier: Apache-2.0
// Rules for plans, from options and files, and the nodes that they mean.
#include "plan_session.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RULE_FILE_BYTES (1 << 20)

static int add_rule(const char *command, plan_rules *rules, plan_rule rule) {
    if (strchr(rule.text, '=') == NULL || rules->count == CLI_MAX_LIST) {
        cli_message(command, "a rule is NODES=DEVICE, at most %u of them; \"%s\" is not that",
                    CLI_MAX_LIST, rule.text);
        return CLI_USAGE;
    }
    rules->rules[rules->count++] = rule;
    return CLI_OK;
}

static void take_rule(cli_args *args, plan_rules *rules, const char *argument, tn_pin_kind kind) {
    const char *value = cli_value(args, argument);
    if (value != NULL) {
        args->failed = add_rule(args->command, rules, (plan_rule){.text = value, .kind = kind});
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
        args->failed = value != NULL ? plan_memory_add(args->command, rules, value, (cli_origin){0})
                                     : args->failed;
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
    free(rules->file);
    rules->text = NULL;
    rules->file = NULL;
    rules->count = 0;
}

static int add_named(const char *command, const char *word, const char *list, cli_origin origin,
                     cli_devices *devices) {
    const uint32_t before = devices->count;
    const int code = cli_add_devices(command, word, list, devices);
    for (uint32_t i = before; i < devices->count; i++) {
        devices->origins[i] = origin;
    }
    return code;
}

// The next word of a line, or null: the line ends, or the rest is a comment.
static char *next_word(char **rest) {
    char *word = strtok_r(NULL, " \t\r", rest);
    if (word != NULL && word[0] == '#') {
        *rest = word + strlen(word);
        return NULL;
    }
    return word;
}

static int not_a_rule(const char *command, const char *word) {
    cli_message(command, "bad rule: \"%s\" is no rule, or has too few or too many words", word);
    return CLI_USAGE;
}

// One line of a rule file, which is changed: "pin NODES DEVICE" becomes "NODES=DEVICE". named: the
// command line names devices, and those of the file do not count. command has the line's place.
static int read_line(const char *command, plan_rules *rules, bool named, cli_origin origin,
                     char *line) {
    char *rest = NULL;
    char *word = strtok_r(line, " \t\r", &rest);
    if (word == NULL || word[0] == '#') {
        return CLI_OK;
    }
    char *first = next_word(&rest);
    char *device = first != NULL ? next_word(&rest) : NULL;
    const char *more = device != NULL ? next_word(&rest) : NULL;
    const uint32_t words = 1u + (first != NULL) + (device != NULL) + (more != NULL);
    if (words == 1 && strcmp(word, "no-fallback") == 0) {
        rules->no_fallback = true;
        return CLI_OK;
    }
    if (words == 2 && strcmp(word, "device") == 0) {
        return named ? CLI_OK : add_named(command, word, first, origin, &rules->devices);
    }
    if (words == 2 && strcmp(word, "without") == 0) {
        return add_named(command, word, first, origin, &rules->without);
    }
    const bool pin = strcmp(word, "pin") == 0;
    const bool memory = strcmp(word, "memory") == 0;
    if (words != 3 || (!pin && !memory && strcmp(word, "forbid") != 0)) {
        return not_a_rule(command, word);
    }
    const size_t size = strlen(first);
    first[size] = '=';
    memmove(first + size + 1, device, strlen(device) + 1);
    return memory ? plan_memory_add(command, rules, first, origin)
                  : add_rule(command, rules,
                             (plan_rule){first, pin ? TN_PIN_TO : TN_PIN_FORBID, origin});
}

int plan_rules_complete(const char *command, const char *model, plan_rules *rules) {
    char beside[4096];
    snprintf(beside, sizeof(beside), "%s.plan", model);
    return rules->policy != NULL ? plan_rules_read(command, rules->policy, true, rules)
                                 : plan_rules_read(command, beside, false, rules);
}

static int read_lines(const char *command, plan_rules *rules) {
    const bool named = rules->devices.count > 0;
    cli_origin origin = {rules->file, 0};
    int code = CLI_OK;
    for (char *line = rules->text; line != NULL && code == CLI_OK;) {
        char where[CLI_WHERE_BYTES];
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        origin.line++;
        code = read_line(cli_where(command, origin, where), rules, named, origin, line);
        line = end;
    }
    return code;
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
    rules->text = text;
    rules->file = strdup(path);
    if (text == NULL || rules->file == NULL || size > MAX_RULE_FILE_BYTES) {
        cli_message(command, "%s: too large, or out of memory", path);
        return CLI_USAGE;
    }
    if (strlen(text) != size) {
        cli_message(command, "%s: has a zero byte, so it is no file of rules", path);
        return CLI_USAGE;
    }
    return read_lines(command, rules);
}

// "12" or "3-7". Returns false for anything else; numbers too large become the largest.
static bool parse_range(const char *part, unsigned long long *out_from,
                        unsigned long long *out_to) {
    char *end = NULL;
    if (!isdigit((unsigned char)part[0])) {
        return false;
    }
    *out_from = strtoull(part, &end, 10);
    *out_to = *out_from;
    if (end[0] == '-' && isdigit((unsigned char)end[1])) {
        *out_to = strtoull(end + 1, &end, 10);
    }
    return *end == '\0';
}

// Whether a node is one of: a number, FROM-TO, op:TYPE, or a pattern for names.
static bool part_matches(const char *part, uint32_t node, const tn_node_desc *desc) {
    unsigned long long from;
    unsigned long long to;
    if (strncmp(part, "op:", 3) == 0) {
        return strcmp(part + 3, desc->op_type) == 0;
    }
    if (parse_range(part, &from, &to)) {
        return node >= from && node <= to;
    }
    return fnmatch(part, desc->name, 0) == 0;
}

// Says what is wrong with a part that selects no node, or more than there are.
static int check_part(const plan_session *s, const plan_rule *rule, const char *part, bool any) {
    char where[CLI_WHERE_BYTES];
    const char *begin = cli_where(s->command, rule->origin, where);
    const uint32_t count = tn_model_node_count(s->model);
    unsigned long long from;
    unsigned long long to;
    if (parse_range(part, &from, &to) && (to >= count || from > to)) {
        cli_message(begin, "\"%s\" is no range of nodes: there are %u, from 0 to %u", part, count,
                    count > 0 ? count - 1 : 0);
        return CLI_USAGE;
    }
    if (!any) {
        cli_message(begin, "\"%s\" selects no node; see tenon inspect --nodes", part);
        return CLI_USAGE;
    }
    return CLI_OK;
}

// Sets selected where the part selects a node.
static int select_part(const plan_session *s, const plan_rule *rule, const char *part,
                       bool *selected) {
    bool any = false;
    for (uint32_t node = 0; node < tn_model_node_count(s->model); node++) {
        tn_node_desc desc;
        if (plan_node_get(s, node, &desc) && part_matches(part, node, &desc)) {
            selected[node] = true;
            any = true;
        }
    }
    return check_part(s, rule, part, any);
}

// Every part of the list of nodes, which is changed.
static int select_nodes(const plan_session *s, const plan_rule *rule, char *nodes, bool *selected) {
    char *rest = NULL;
    char *part = strtok_r(nodes, ",", &rest);
    int code = part != NULL ? CLI_OK : check_part(s, rule, "", false);
    for (; part != NULL && code == CLI_OK; part = strtok_r(NULL, ",", &rest)) {
        code = select_part(s, rule, part, selected);
    }
    return code;
}

int plan_rule_pins(const plan_session *s, const plan_rule *rule, tn_pin *pins, uint32_t *count) {
    // The device is what follows the last "=": names of nodes may have one too.
    const char *device = strrchr(rule->text, '=') + 1;
    int code = plan_rules_check_device(s, device, rule->origin);
    if (code != CLI_OK) {
        return code;
    }
    const uint32_t nodes = tn_model_node_count(s->model);
    bool *selected = calloc((size_t)nodes + 1, sizeof(*selected));
    char *list = strndup(rule->text, (size_t)(device - 1 - rule->text));
    code =
        selected != NULL && list != NULL ? select_nodes(s, rule, list, selected) : CLI_ENVIRONMENT;
    for (uint32_t node = 0; node < nodes && code == CLI_OK; node++) {
        if (selected[node]) {
            pins[(*count)++] = (tn_pin){device, node, rule->kind};
        }
    }
    free(selected);
    free(list);
    return code;
}
