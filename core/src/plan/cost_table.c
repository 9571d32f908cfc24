// SPDX-License-Identifier: Apache-2.0
// Two arrays, by the devices' places in their host.
#include "plan/cost_table.h"

#include <string.h>

static uint64_t side(const tni_cost_table *table) {
    return (uint64_t)table->device_count + 1;
}

tn_status tni_cost_table_init(tni_cost_table *table, const tni_alloc *alloc,
                              uint32_t device_count) {
    *table = (tni_cost_table){.alloc = *alloc, .device_count = device_count};
    table->classes = tni_alloc_array(alloc, side(table) * TNI_OP_CLASSES, sizeof(*table->classes));
    table->pairs = tni_alloc_array(alloc, side(table) * side(table), sizeof(*table->pairs));
    return table->classes != NULL && table->pairs != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
}

tn_status tni_cost_table_copy(tni_cost_table *table, const tni_alloc *alloc, uint32_t device_count,
                              const tni_cost_table *from) {
    const tn_status status = tni_cost_table_init(table, alloc, device_count);
    if (status == TN_OK && from->classes != NULL && from->device_count == device_count) {
        memcpy(table->classes, from->classes,
               side(table) * TNI_OP_CLASSES * sizeof(*table->classes));
        memcpy(table->pairs, from->pairs, side(table) * side(table) * sizeof(*table->pairs));
    }
    return status;
}

void tni_cost_table_deinit(tni_cost_table *table) {
    tni_free_array(&table->alloc, table->classes, side(table) * TNI_OP_CLASSES,
                   sizeof(*table->classes));
    tni_free_array(&table->alloc, table->pairs, side(table) * side(table), sizeof(*table->pairs));
    memset(table, 0, sizeof(*table));
}

tni_class_cost *tni_cost_table_class(tni_cost_table *table, uint32_t device,
                                     tni_op_class op_class) {
    return &table->classes[(uint64_t)device * TNI_OP_CLASSES + op_class];
}

tni_pair_cost *tni_cost_table_pair(tni_cost_table *table, uint32_t from, uint32_t to) {
    return &table->pairs[from * side(table) + to];
}

const tni_class_cost *tni_cost_of_class(const tni_cost_table *table, const tni_device *device,
                                        tni_op_class op_class) {
    if (table == NULL || table->classes == NULL || device->host_index >= table->device_count) {
        return NULL;
    }
    const tni_class_cost *row = &table->classes[(uint64_t)device->host_index * TNI_OP_CLASSES];
    const tni_class_cost *cost = row[op_class].measured ? &row[op_class] : &row[TNI_OP_OTHER];
    return cost->measured ? cost : NULL;
}

const tni_pair_cost *tni_cost_of_pair(const tni_cost_table *table, const tni_device *from,
                                      const tni_device *to) {
    if (table == NULL || table->pairs == NULL) {
        return NULL;
    }
    const uint32_t row = from == NULL ? table->device_count : from->host_index;
    const uint32_t column = to == NULL ? table->device_count : to->host_index;
    if (row > table->device_count || column > table->device_count) {
        return NULL;
    }
    const tni_pair_cost *cost = &table->pairs[row * side(table) + column];
    return cost->measured ? cost : NULL;
}
