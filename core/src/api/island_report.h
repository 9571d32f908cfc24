// SPDX-License-Identifier: Apache-2.0
// The islands of a compiled model as they are reported: by nodes of the loaded model, numbered
// through all stages of graph 0.
#ifndef TENON_API_ISLAND_REPORT_H
#define TENON_API_ISLAND_REPORT_H

#include "flow/flow.h"

// A call that stayed one node.
typedef struct tni_call_report {
    uint32_t node;  // of the fork
    bool in_parts;  // the device was handed the function's nodes
    uint32_t first; // of its nodes among the island's
    uint32_t count;
} tni_call_report;

typedef struct tni_island_report {
    const tni_island *island;
    uint32_t node_count;
    uint32_t *nodes; // positions in the loaded model
    uint32_t call_count;
    tni_call_report *calls;
    uint64_t flops;
} tni_island_report;

// Single owner. A zeroed one may be deinitialised.
typedef struct tni_report {
    tni_alloc alloc;
    uint32_t island_count;
    uint64_t capacity;
    tni_island_report *islands;
} tni_report;

// model: the loaded one, of which the flow's is a fork. TN_OK · TN_ERROR_OUT_OF_MEMORY. Deinit in
// every case, before the flow goes.
TN_MUST_USE tn_status tni_report_init(const tni_alloc *alloc, const tni_model *model,
                                      const tni_flow *flow, tni_report *out_report,
                                      tn_error *error);
void tni_report_deinit(tni_report *report);

#endif // TENON_API_ISLAND_REPORT_H
