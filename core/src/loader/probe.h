// SPDX-License-Identifier: Apache-2.0
// Trying a plugin in a process of its own first: one that crashes or hangs while it loads takes the
// helper down and not the host.
#ifndef TENON_LOADER_PROBE_H
#define TENON_LOADER_PROBE_H

#include "base/alloc.h"

#include "tenon/abi/verdict.h"
#include "tenon/host.h"

#include <limits.h>
#include <stdbool.h>

// Finds the helper: configured (may be null), else the installation's. Any thread.
// TN_OK · TN_ERROR_NOT_FOUND: error says where it was looked for.
TN_MUST_USE tn_status tni_probe_find(const char *configured, bool secure_execution,
                                     char out_path[PATH_MAX], tn_error *error);

// Opens, starts and ends the plugin in a child process and waits for the end of it, at most
// timeout_ns. Any thread, several at once. Never forks; in secure execution the helper gets an
// empty environment.
// TN_OK it would load · TN_ERROR_TIMEOUT killed · TN_ERROR_INVALID_DATA it died: error names signal
// or exit code and the step · TN_ERROR_IO the helper could not be started · TN_ERROR_OUT_OF_MEMORY
// · what the plugin or the checks returned in there. *out_reason is for the load report.
TN_MUST_USE tn_status tni_probe_run(const tni_alloc *alloc, const char *helper, const char *library,
                                    uint64_t timeout_ns, bool secure_execution,
                                    tn_reason *out_reason, tn_error *error);

#endif // TENON_LOADER_PROBE_H
