// SPDX-License-Identifier: Apache-2.0
// What things cost before anything was measured: operations and bytes of a node by the op's
// definition, a roofline over a device's declared rates, and fixed defaults for handovers and
// copies. Every number is an estimate and is reported as one.
#ifndef TENON_PLAN_COST_H
#define TENON_PLAN_COST_H

#include "graph/graph.h"
#include "loader/plugin.h"

// Arithmetic and memory traffic of one execution. A multiply-add counts as two operations.
typedef struct tni_work {
    uint64_t flops;
    uint64_t bytes; // read and written, constants included
} tni_work;

// Estimates the work of a node from the model's shapes; unknown sizes count as 1. Saturates.
tni_work tni_node_work(const tni_model *model, uint32_t node);

// Bytes of a value; unknown sizes count as 1. 0 for types without a fixed size.
uint64_t tni_value_bytes(const tni_model *model, uint32_t value);

// max(flops / rate, bytes / bandwidth) in nanoseconds; rates the device does not declare have
// defaults.
int64_t tni_cost_roofline(const tni_device *device, tni_work work);

// Whether values in host memory are usable by the device without a copy.
bool tni_device_shares_host(const tni_device *device);

// Cost of passing the order; null stands for the host itself.
int64_t tni_cost_handover(const tni_device *from, const tni_device *to);
// Cost of making size_bytes produced on from usable on to; null stands for the host.
int64_t tni_cost_copy(const tni_device *from, const tni_device *to, uint64_t size_bytes);

#endif // TENON_PLAN_COST_H
