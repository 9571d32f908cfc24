// SPDX-License-Identifier: Apache-2.0
// What things cost: operations and bytes of a node by the op's definition, priced with what was
// measured on this machine (cost_table.h) or, where nothing was, by a roofline over a device's
// declared rates and fixed defaults. Every number is an estimate and is reported with its origin.
#ifndef TENON_PLAN_COST_H
#define TENON_PLAN_COST_H

#include "plan/cost_table.h"
#include "plan/verdicts.h"

// Arithmetic and memory traffic of one execution. A multiply-add counts as two operations.
typedef struct tni_work {
    uint64_t flops;
    uint64_t bytes; // read and written, constants included
    uint64_t rows;  // of convolutions and products: loops along a row of the output; else 0
} tni_work;

// Estimates the work of a node from the model's shapes; unknown sizes count as 1. Saturates.
tni_work tni_node_work(const tni_model *model, uint32_t node);

// Bytes of a value; unknown sizes count as 1. 0 for types without a fixed size.
uint64_t tni_value_bytes(const tni_model *model, uint32_t value);

typedef struct tni_price {
    int64_t cost_ns;
    tn_cost_origin origin; // CALIBRATED or ROOFLINE
} tni_price;

// What a node of the model costs on a device that says nothing about it: by its class as measured,
// else max(flops / rate, bytes / bandwidth), where rates that the device does not declare have
// defaults. whole: as one op, although it has an expansion. A call is what it consists of. table
// may be null.
tni_price tni_cost_node(const tni_cost_table *table, const tni_device *device,
                        const tni_model *model, uint32_t node, bool whole);

// Gives a cost to every node that a device takes without saying what it costs.
void tni_cost_fill(const tni_cost_table *table, const tni_model *model, const tni_region *region,
                   tni_verdict_set *set);

// Whether the order is at the host there: the host itself (null) and devices that run on its
// thread.
bool tni_is_near_host(const tni_device *device);

// Whether values in host memory are usable by the device without a copy.
bool tni_device_shares_host(const tni_device *device);

// Cost of passing the order, as measured or by default; null stands for the host itself.
int64_t tni_cost_handover(const tni_cost_table *table, const tni_device *from,
                          const tni_device *to);
// Cost of making size_bytes produced on from usable on to; null stands for the host.
int64_t tni_cost_copy(const tni_cost_table *table, const tni_device *from, const tni_device *to,
                      uint64_t size_bytes);

#endif // TENON_PLAN_COST_H
