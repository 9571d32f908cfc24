// SPDX-License-Identifier: Apache-2.0
// How a GPU plugin meets the host.
#ifndef TENON_GPU_ENTRY_H
#define TENON_GPU_ENTRY_H

#include "tenon/helper/negotiate.h"

#include <stddef.h>

typedef struct gpu_table {
    const char *name;
    const void *table;
} gpu_table;

// The table of this name, or null.
const void *gpu_find_table(const gpu_table *tables, size_t count, const char *name);

// The whole of an entry function for a plugin of this name and build: negotiates, then makes the
// plugin, zeroed, plugin_bytes long, with the host's services as its first member.
// TN_OK · TN_ERROR_OUT_OF_MEMORY · as tn_helper_negotiate.
TN_MUST_USE tn_status gpu_enter(const tn_host_offer *offer, tn_plugin_answer *answer,
                                const char *name, const char *build,
                                const void *(*get_interface)(tn_plugin *plugin, const char *name),
                                uint64_t plugin_bytes, tn_error *error);

#endif // TENON_GPU_ENTRY_H
