// SPDX-License-Identifier: Apache-2.0
// The exact cost of labels and an order.
#ifndef TENON_PARTITIONER_PRICE_H
#define TENON_PARTITIONER_PRICE_H

#include "graph.h"

// segment_of: op_count words of work space. *out_broken counts ops that are on a label
// without the claim that they are bound to.
void tnp_price(const tnp_graph *graph, const uint32_t *label, const uint32_t *order,
               uint32_t *segment_of, tnp_cost *out_cost, uint32_t *out_broken);

#endif // TENON_PARTITIONER_PRICE_H
