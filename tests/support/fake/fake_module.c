// SPDX-License-Identifier: Apache-2.0
// The fake plugin as a shared library, for tests of the command line: its inline device knows
// nothing but AddRelu, shared takes what has fixed sizes, worker what has none above 1, and mute
// knows versions that are not out yet.
#include "fake_control.h"

#include "tenon/abi/plugin.h"

TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    fake_reset();
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    fake_device(FAKE_SHARED)->fixed_only = 1;
    fake_device(FAKE_WORKER)->most_size = 1;
    fake_device(FAKE_MUTE)->newest_version = 99;
    fake_device(FAKE_MUTE)->oldest_version = 90;
    return fake_plugin_entry(offer, answer, error);
}
