// SPDX-License-Identifier: Apache-2.0
// Lines of a probe: ours are parsed, of the others the last is kept.
#include "loader/probe_output.h"

#include "base/string.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void take_result(tni_probe_output *output, const char *text, size_t size) {
    tni_probe_result result;
    json_int_t schema = 0;
    json_int_t stage = 0;
    json_int_t status = 0;
    json_int_t reason = 0;
    json_int_t devices = 0;
    const char *id = "";
    const char *message = "";
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL) {
        return;
    }
    memset(&result, 0, sizeof(result));
    if (json_unpack(json, "{s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "schema_version", &schema, "stage",
                    &stage, "status", &status, "reason", &reason, "device_count", &devices, "id",
                    &id, "text", &message) == 0 &&
        schema == 1 && stage >= 0 && stage <= UINT32_MAX && status >= 0 &&
        status < TN_STATUS_COUNT && reason >= 0 && reason <= UINT32_MAX && devices >= 0 &&
        devices <= UINT32_MAX) {
        result.present = true;
        result.stage = (uint32_t)stage;
        result.status = (tn_status)status;
        result.reason = (uint32_t)reason;
        result.device_count = (uint32_t)devices;
        snprintf(result.id, sizeof(result.id), "%s", id);
        snprintf(result.text, sizeof(result.text), "%s", message);
        output->result = result;
    }
    json_decref(json);
}

static void take_line(tni_probe_output *output) {
    const size_t prefix = sizeof(TNI_PROBE_PREFIX) - 1;
    output->line[output->used] = '\0';
    if (!output->skipping && output->used > prefix &&
        memcmp(output->line, TNI_PROBE_PREFIX, prefix) == 0) {
        take_result(output, output->line + prefix, output->used - prefix);
    } else if (output->used > 0) {
        snprintf(output->last_words, sizeof(output->last_words), "%.*s",
                 (int)sizeof(output->last_words) - 1, output->line);
        tni_text_sanitise(output->last_words);
    }
    output->used = 0;
    output->skipping = false;
}

void tni_probe_output_add(tni_probe_output *output, const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            take_line(output);
        } else if (output->used + 1 < sizeof(output->line)) {
            output->line[output->used++] = bytes[i];
        } else {
            output->skipping = true;
        }
    }
}

void tni_probe_output_end(tni_probe_output *output) {
    take_line(output);
}
