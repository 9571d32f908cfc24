// SPDX-License-Identifier: Apache-2.0
// The least that links: an entry function that refuses. plugins/null is the skeleton to start from.
#include <tenon/abi/plugin.h>

TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    (void)offer;
    (void)answer;
    (void)error;
    return TN_ERROR_UNSUPPORTED;
}
