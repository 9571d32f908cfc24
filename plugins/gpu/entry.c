// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "gpu/entry.h"

#include <string.h>

const void *gpu_find_table(const gpu_table *tables, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tables[i].name, name) == 0) {
            return tables[i].table;
        }
    }
    return NULL;
}

tn_status gpu_enter(const tn_host_offer *offer, tn_plugin_answer *answer, const char *name,
                    const char *build,
                    const void *(*get_interface)(tn_plugin *plugin, const char *name),
                    uint64_t plugin_bytes, tn_error *error) {
    static const tn_interface_digest digests[] = {TN_HELPER_MANDATORY_DIGESTS};
    const tn_helper_plugin_desc desc = {
        .name = name,
        .vendor = "Tenon",
        .build = build,
        .flags = TN_PLUGIN_CREATES_THREADS | TN_PLUGIN_PROBE_FIRST,
        .sanitizers = TN_HELPER_SANITIZERS,
        .abi_minor_max = TN_ABI_VERSION_MINOR,
        .digests = digests,
        .digest_count = sizeof(digests) / sizeof(digests[0]),
        .get_interface = get_interface,
    };
    tn_status status = tn_helper_negotiate(offer, answer, &desc, error);
    if (status != TN_OK) {
        return status;
    }
    const tn_helper_host host = {offer->services, offer->host};
    answer->plugin = tn_helper_alloc(&host, plugin_bytes);
    if (answer->plugin == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for the plugin");
    }
    memcpy(answer->plugin, &host, sizeof(host));
    return TN_OK;
}
