// SPDX-License-Identifier: Apache-2.0
// Parts of reports about a host that `plugins` and `doctor` share.
#ifndef TENON_TOOLS_REPORT_H
#define TENON_TOOLS_REPORT_H

#include "cli.h"

// New references; null when out of memory.
json_t *report_devices_json(const tn_host *host);
json_t *report_load_json(const tn_host *host);
const char *report_kind_text(uint32_t kind);
const char *report_source_text(tn_load_source source);

#endif // TENON_TOOLS_REPORT_H
