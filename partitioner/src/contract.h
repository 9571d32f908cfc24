// SPDX-License-Identifier: Apache-2.0
// Fewer variables before the search: two that some cheapest plan has on one label become one. What
// is left has the same optimum, so plans and bounds of it are plans and bounds of the whole.
#ifndef TENON_PARTITIONER_CONTRACT_H
#define TENON_PARTITIONER_CONTRACT_H

#include "graph.h"

// Renumbers graph's variables. TNP_OK or TNP_OUT_OF_MEMORY. *out_work: steps taken.
tnp_status tnp_contract(tnp_arena *arena, tnp_graph *graph, uint64_t *out_work);

#endif // TENON_PARTITIONER_CONTRACT_H
