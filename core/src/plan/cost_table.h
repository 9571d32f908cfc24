// SPDX-License-Identifier: Apache-2.0
// Costs that were measured on this machine, ready to be looked up: per device and class of ops, and
// per ordered pair of devices. Filled from a calibration file (cost_file.h); without one, empty.
#ifndef TENON_PLAN_COST_TABLE_H
#define TENON_PLAN_COST_TABLE_H

#include "loader/plugin.h"
#include "plan/op_class.h"

// Costs are cut here, so that sums of them stay far from overflow.
#define TNI_MAX_COST_NS ((int64_t)1 << 40)

// fixed + flops / flops_per_second + bytes / bytes_per_second + rows / rows_per_second. A rate of
// 0: that part costs nothing.
typedef struct tni_class_cost {
    bool measured;
    int64_t fixed_ns; // of one node
    uint64_t flops_per_second;
    uint64_t bytes_per_second;
    uint64_t rows_per_second; // tni_work.rows
} tni_class_cost;

// handover_ns a change of device, whatever crosses; copy_ns + bytes / bytes_per_second a tensor.
typedef struct tni_pair_cost {
    bool measured;
    int64_t handover_ns;
    int64_t copy_ns;
    uint64_t bytes_per_second; // 0: bytes cost nothing
} tni_pair_cost;

// Single owner; any number of threads may read it once it is filled. A zeroed table is empty.
typedef struct tni_cost_table {
    tni_alloc alloc;
    uint32_t device_count;
    tni_class_cost *classes; // TNI_OP_CLASSES for each device, by host index
    tni_pair_cost *pairs;    // by host index of both; device_count stands for the host
} tni_cost_table;

// Makes room for the devices of a host. TN_OK · TN_ERROR_OUT_OF_MEMORY. Deinit in every case.
TN_MUST_USE tn_status tni_cost_table_init(tni_cost_table *table, const tni_alloc *alloc,
                                          uint32_t device_count);
// The same with the costs of another table of that host; that one may be empty.
TN_MUST_USE tn_status tni_cost_table_copy(tni_cost_table *table, const tni_alloc *alloc,
                                          uint32_t device_count, const tni_cost_table *from);
void tni_cost_table_deinit(tni_cost_table *table);

// Where to write a cost. device: host index; device_count stands for the host.
tni_class_cost *tni_cost_table_class(tni_cost_table *table, uint32_t device, tni_op_class op_class);
tni_pair_cost *tni_cost_table_pair(tni_cost_table *table, uint32_t from, uint32_t to);

// What was measured, or null. table may be null; a null device stands for the host. A class that
// was not measured is looked up as OTHER.
const tni_class_cost *tni_cost_of_class(const tni_cost_table *table, const tni_device *device,
                                        tni_op_class op_class);
const tni_pair_cost *tni_cost_of_pair(const tni_cost_table *table, const tni_device *from,
                                      const tni_device *to);

#endif // TENON_PLAN_COST_TABLE_H
