// SPDX-License-Identifier: Apache-2.0
// A plan for the caller, from labels and an order.
#ifndef TENON_PARTITIONER_PLAN_H
#define TENON_PARTITIONER_PLAN_H

#include "graph.h"

// Fills *plan's arrays, cost, segments and hash; its culprit stays. TNP_OK or TNP_OUT_OF_MEMORY:
// then *plan is empty.
tnp_status tnp_plan_write(const tnp_allocator *allocator, const uint32_t *label,
                          const uint32_t *order, const tnp_cost *cost, uint32_t op_count,
                          tnp_plan *plan);

#endif // TENON_PARTITIONER_PLAN_H
