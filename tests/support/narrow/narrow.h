// SPDX-License-Identifier: Apache-2.0
// The reference plugin, made to know less: other op versions, or fewer ops. Twice, so that a model
// can be split between two of them. For tests of what the host does about that.
#ifndef TENON_TESTS_NARROW_H
#define TENON_TESTS_NARROW_H

#include "tenon/abi/plugin.h"
#include "tenon/abi/verdict.h"

#include <stdbool.h>
#include <stdint.h>

#define NARROW_COUNT 2u

// What one of them knows. Set before a host is created.
typedef struct narrow_control {
    // The versions it lists of an op that reference knows from oldest to newest. May be null.
    void (*versions)(const char *op_type, uint32_t *inout_newest, uint32_t *inout_oldest);
    bool (*hides)(const char *op_type); // ops that it does not know; may be null
    // Changes its answer at last, e.g. adds claims; may be null.
    void (*judges)(const tn_graph_view *view, tn_verdicts *inout_verdicts);
} narrow_control;

extern narrow_control narrow_controls[NARROW_COUNT];

// Static plugins "narrow0" and "narrow1", each with the device "cpu".
tn_status narrow_entry_0(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error);
tn_status narrow_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error);

#endif // TENON_TESTS_NARROW_H
