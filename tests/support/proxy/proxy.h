// SPDX-License-Identifier: Apache-2.0
// A plugin whose devices live in another process: every call of the mandatory tables goes to a
// child that owns the fake plugin. Exposed are the devices with memory of their own (alpha, beta,
// mute): a host pointer means nothing to the child, so devices in host memory are hidden.
// One proxied plugin a process at a time is reachable through the controls below.
#ifndef TENON_TESTS_PROXY_H
#define TENON_TESTS_PROXY_H

#include "support/fake/fake_control.h"

#include <sys/types.h>

#define PROXY_ALPHA 0u
#define PROXY_BETA 1u
#define PROXY_MUTE 2u
#define PROXY_DEVICE_COUNT 3u

// The entry function, to be given as a static plugin. Its name is "proxy".
tn_status proxy_entry(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error);

// Reads, and sets all but the counters of, a fake device in the child.
// TN_ERROR_DEVICE_LOST: the child is gone. TN_ERROR_INVALID_STATE: there is none yet.
tn_status proxy_get(uint32_t device, fake_control *out_control);
tn_status proxy_set(uint32_t device, const fake_control *control);

// Ends the child at once, without a word. The proxy notices by itself.
void proxy_kill(void);
// How the last child ended (waitpid's status), once the plugin was shut down; -1 before.
int proxy_child_status(void);

#endif // TENON_TESTS_PROXY_H
