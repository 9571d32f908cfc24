// SPDX-License-Identifier: Apache-2.0
// What `explain` and `whatif` share: a model planned for some devices under rules, and the texts in
// which plans are told.
#ifndef TENON_TOOLS_PLAN_SESSION_H
#define TENON_TOOLS_PLAN_SESSION_H

#include "cli.h"

#define PLAN_DEVICE_BYTES 128u

// "NODES=DEVICE": NODES are numbers, ranges FROM-TO, op:TYPE and patterns of names, by commas.
typedef struct plan_rule {
    const char *text;
    tn_pin_kind kind;
    cli_origin origin;
} plan_rule;

// "DEVICE=SIZE": what weights may take there.
typedef struct plan_cap {
    char device[PLAN_DEVICE_BYTES];
    uint64_t bytes; // 0: what the device says it has
    cli_origin origin;
} plan_cap;

typedef struct plan_rules {
    plan_rule rules[CLI_MAX_LIST];
    uint32_t count;
    plan_cap caps[CLI_MAX_LIST];
    uint32_t cap_count;
    cli_devices devices; // none: the host chooses
    cli_devices without;
    const char *policy; // file of rules, or null
    char *text;         // owned: what rules of a file point into
    char *file;         // owned: its path, which origins point to
    bool no_fallback;
    bool concurrent; // devices work at the same time
} plan_rules;

typedef struct plan_session {
    const char *command;
    const char *model_path;
    tn_host *host;
    tn_model *model;
    const char *ids[CLI_MAX_LIST]; // of devices in use; none: all
    uint32_t id_count;
    bool only_these; // and no others where these cannot
} plan_session;

// Takes --device, --without, --no-fallback, --concurrent, --pin, --move, --forbid, --memory and
// --policy.
// Returns false for others.
bool plan_rules_take(cli_args *args, plan_rules *rules, const char *argument);
// Adds the rules of the policy, or those beside the model: MODEL.plan, if there is one. CLI_OK or
// an exit code after a message.
int plan_rules_complete(const char *command, const char *model, plan_rules *rules);
// Adds the rules of a file: lines "pin NODES DEVICE", "forbid NODES DEVICE", "device A,B",
// "without A,B", "memory DEVICE SIZE", "no-fallback", "# ...". A file that is not there is no error
// unless required. Devices that the rules name already stay, those of the file do not count. Once a
// plan_rules. CLI_OK or an exit code after a message.
int plan_rules_read(const char *command, const char *path, bool required, plan_rules *rules);
// Whether a device that a rule names is there and may be used: CLI_OK or an exit code after a
// message.
int plan_rules_check_device(const plan_session *session, const char *device, cli_origin origin);
void plan_rules_free(plan_rules *rules);
// The pins of one rule, appended to pins, which has room for every node of the model. CLI_OK or an
// exit code after a message: a rule of which a part selects nothing is an error.
int plan_rule_pins(const plan_session *session, const plan_rule *rule, tn_pin *pins,
                   uint32_t *count);
// Adds caps "DEVICE=SIZE,...": SIZE is a number of bytes, with kB, MB, GB, KiB, MiB or GiB, or
// "own", what the device says it has. CLI_OK or an exit code after a message.
int plan_memory_add(const char *command, plan_rules *rules, const char *list, cli_origin origin);
// Adds the caps of base behind those of rules.
void plan_memory_join(const plan_rules *base, plan_rules *rules);
// Fills out_caps, which has room for CLI_MAX_LIST; it borrows the rules'. Where a device has
// several caps, those of the first source count (the command line, then a file, then the file
// beside the model), and of these the last. CLI_OK or an exit code after a message: a cap is of no
// device that may be used.
int plan_memory_caps(const plan_session *session, const plan_rules *rules, tn_device_cap *out_caps,
                     uint32_t *out_count);

// Opens the host and loads the model. CLI_OK or an exit code after a message; close in both cases.
int plan_open(plan_session *session, const cli_options *options);
void plan_close(plan_session *session);

// Compiles under the rules and the config's own pins; its devices are the rules', its policy is
// added to. CLI_OK or an exit code after a message; with quiet a plan that cannot be is
// CLI_CRITERION without one.
int plan_compile(plan_session *session, const plan_rules *rules, const tn_compile_config *config,
                 bool quiet, tn_compiled **out_compiled);
// The same with a default config and this policy.
int plan_compile_with(plan_session *session, const plan_rules *rules, tn_compile_policy policy,
                      tn_compiled **out_compiled);

const char *plan_device_text(const plan_session *session, uint32_t device);
bool plan_node_get(const plan_session *session, uint32_t node, tn_node_desc *out_desc);
tn_plan_summary plan_summary_of(const tn_compiled *compiled);
double plan_gap_percent(const tn_plan_summary *summary);
// "COPIES" and the like, and what they mean in a sentence.
const char *plan_why_text(tn_why why);
const char *plan_why_sentence(tn_why why);

#endif // TENON_TOOLS_PLAN_SESSION_H
