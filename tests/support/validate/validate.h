// SPDX-License-Identifier: Apache-2.0
// The validate layer: a plugin that wraps another and watches both sides keep the contract: struct
// headers, writes past the caller's struct, lifetimes, fence misuse, threads, allocation in submit.
// It changes nothing that passes through. One wrapped plugin a process; violations are counted and
// kept.
#ifndef TENON_TESTS_VALIDATE_H
#define TENON_TESTS_VALIDATE_H

#include "tenon/abi/plugin.h"

#include <stdint.h>

// Sets the plugin to wrap, and forgets violations and handles. Before the host is created.
void validate_wrap(tn_plugin_entry_fn inner);

// The wrapping entry function, to be given as a static plugin.
tn_status validate_entry(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error);

// What was broken so far: how often, and the text of the first with its rule ("ABI-11: ..."), or
// "".
uint32_t validate_violation_count(void);
const char *validate_first_violation(void);

// Live handles the host still holds; 0 after a clean shutdown.
uint32_t validate_live_handles(void);

#endif // TENON_TESTS_VALIDATE_H
