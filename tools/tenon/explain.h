// SPDX-License-Identifier: Apache-2.0
// State of `tenon explain`: what was asked and gathered (explain.c), and the forms it is told in.
#ifndef TENON_TOOLS_EXPLAIN_H
#define TENON_TOOLS_EXPLAIN_H

#include "plan_session.h"

#define EXPLAIN_HINT_BYTES 256u
#define EXPLAIN_HINTS 4u
#define EXPLAIN_WAITS_BYTES 256u
#define EXPLAIN_ORIGINS 5u // TN_COST_

// Refusals for one reason, with the same numbers.
typedef struct explain_hint {
    uint32_t nodes;
    uint32_t first_node;
    uint32_t reason;
    uint32_t subject;
    int64_t limit;
    int64_t actual;
    char text[EXPLAIN_HINT_BYTES]; // what would help; "" where nothing in the model would
} explain_hint;

// What one op type would be worth to one device that refuses it now.
typedef struct explain_gain {
    uint32_t device;
    char op_type[128];
    uint32_t nodes;
    uint32_t reason; // TN_REASON_ of the first of them
    int64_t saved_ns;
    uint32_t taken; // nodes of the type that the device takes
    uint32_t hint_count;
    explain_hint hints[EXPLAIN_HINTS]; // of those it refuses: the first that differ
} explain_gain;

typedef struct explain_report {
    const plan_session *session;
    const tn_compiled *compiled;
    tn_plan_summary plan;
    bool counted; // stats are there: the model could be prepared, and has one stage
    tn_run_stats stats;
    tn_planned_wait *waits; // owned, in the order of the run; 0 unless counted
    uint32_t wait_count;
    explain_gain *gains; // owned, best first
    uint32_t gain_count;
    bool with_gains;
} explain_report;

// Islands and transfers, with what reading them needs.
bool explain_island(const explain_report *report, uint32_t island, tn_island_desc *out_desc);
bool explain_transfer(const explain_report *report, uint32_t transfer,
                      tn_planned_transfer *out_transfer);
// One of tn_compiled_alternative_count. False: it says nothing, since the device takes nothing, or
// is left out and was not used.
bool explain_alternative(const explain_report *report, uint32_t index,
                         tn_plan_alternative *out_alternative);
// TN_COST_ of a node's cost on the device that runs it; TN_NONE where it has none.
uint32_t explain_cost_origin(const explain_report *report, uint32_t node);
const char *explain_origin_text(uint32_t origin); // "unknown" also for TN_NONE
// Fills waits from a request that stats were read from. CLI_OK or an exit code after a message.
// explain_waits.c
int explain_find_waits(const tn_request *request, explain_report *report);
// How often a host thread waits before an island (TN_NONE: at the end), and in text for what: "for
// island 2, the copy of island 3's results". text is "" when it does not wait.
uint32_t explain_waits_before(const explain_report *report, uint32_t island, char *text,
                              size_t capacity);
// "Conv x4, Relu x3, ...": the op types of some nodes, most frequent first.
void explain_op_text(const plan_session *session, const uint32_t *nodes, uint32_t count, char *text,
                     size_t capacity);

// Fills gains. CLI_OK or an exit code after a message. explain_gain.c
int explain_find_gains(plan_session *session, const plan_rules *rules, explain_report *report);
// What in the model would make the device of a placement take a node that it refuses, in a
// sentence; "" where nothing would. explain_hint.c
void explain_hint_text(const explain_report *report, uint32_t node, const tn_placement *placement,
                       char text[EXPLAIN_HINT_BYTES]);

void explain_print(const explain_report *report);     // explain_text.c
int explain_print_json(const explain_report *report); // explain_json.c
void explain_print_dot(const explain_report *report); // explain_dot.c
// Writes a page that needs nothing else. CLI_OK or an exit code after a message. explain_html.c
int explain_write_html(const explain_report *report, const char *path);

#endif // TENON_TOOLS_EXPLAIN_H
