// SPDX-License-Identifier: Apache-2.0
// The exact cost of labels and an order.
#ifndef TENON_PARTITIONER_PRICE_H
#define TENON_PARTITIONER_PRICE_H

#include "graph.h"

// What a tensor's copies cost: one for every label that reads it and did not make it. label is by
// op where var_of is null, else by variable. Adds to *io_count, unless null, the copies that cost
// something.
int64_t tnp_price_copies(const tnp_graph *graph, const uint32_t *label, const uint32_t *var_of,
                         uint32_t tensor, uint32_t *io_count);

// segment_of: op_count words of work space. *out_broken counts ops that are on a label
// without the claim that they are bound to.
void tnp_price(const tnp_graph *graph, const uint32_t *label, const uint32_t *order,
               uint32_t *segment_of, tnp_cost *out_cost, uint32_t *out_broken);

#endif // TENON_PARTITIONER_PRICE_H
