// SPDX-License-Identifier: Apache-2.0
// What the host and the probe helper agree on: descriptors, the result line, the names of steps.
#ifndef TENON_LOADER_PROBE_PROTOCOL_H
#define TENON_LOADER_PROBE_PROTOCOL_H

#include "tenon/host.h"

// Counted up when a good verdict of today's helper would not be one of the next.
#define TNI_PROBE_PROTOCOL 1u

// The helper is started as: tenon-probe --report LIBRARY, with these descriptors. Without --report
// it prints the result on its standard output, for people and scripts.
#define TNI_PROBE_OPTION "--report"
// A pipe. It is standard error too, so that the last words of a driver are not lost.
#define TNI_PROBE_OUTPUT 3
// A page of shared memory whose first word is the step under way, so that it is known even when the
// process dies or hangs.
#define TNI_PROBE_STEP 4

// Begins the result line, which is {"schema_version": 1, "stage": ..., ...}. A driver may have
// written half a line before it, so it is always at the start of a new one.
#define TNI_PROBE_PREFIX "@tenon-probe "
#define TNI_PROBE_LINE_BYTES 4096u

// Steps are load stages (TN_LOAD_OPEN to TN_LOAD_READY) and these.
#define TNI_PROBE_STEP_START 0u
#define TNI_PROBE_STEP_SHUTDOWN 100u
#define TNI_PROBE_STEP_CLOSE 101u
#define TNI_PROBE_STEP_EXIT 102u

#endif // TENON_LOADER_PROBE_PROTOCOL_H
