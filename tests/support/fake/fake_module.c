// SPDX-License-Identifier: Apache-2.0
// The fake plugin as a shared library, for tests of the command line: its inline device knows
// nothing but AddRelu.
#include "fake_control.h"

#include "tenon/abi/plugin.h"

TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    fake_reset();
    fake_device(FAKE_INLINE)->ops = FAKE_ADD_RELU;
    return fake_plugin_entry(offer, answer, error);
}
