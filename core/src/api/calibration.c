// SPDX-License-Identifier: Apache-2.0
// tenon/host.h: what was measured on this machine, read when a host is made.
#include "api/objects.h"

#include "base/error.h"
#include "base/log.h"
#include "loader/state_folder.h"

#include <stdio.h>

static tn_status find_path(const tn_host_config *config, bool secure_execution, char *out_path,
                           tn_error *error) {
    char folder[PATH_MAX];
    char reason[TNI_STATE_REASON_BYTES] = "the path is too long";
    out_path[0] = '\0';
    if (config->no_calibration != 0 || secure_execution) {
        return tni_fail(error, TN_ERROR_DENIED, "calibration.off", "turned off by %s",
                        secure_execution ? "secure execution" : "the host's configuration");
    }
    int length = -1;
    if (config->calibration_path != NULL) {
        length = snprintf(out_path, PATH_MAX, "%s", config->calibration_path);
    } else if (tni_state_folder_path(config->probe_cache_dir, folder, reason)) {
        length = snprintf(out_path, PATH_MAX, "%s/%s", folder, TNI_COST_FILE_NAME);
    }
    if (length <= 0 || length >= PATH_MAX) {
        out_path[0] = '\0';
        return tni_fail(error, TN_ERROR_NOT_FOUND, "calibration.path", "%s", reason);
    }
    return TN_OK;
}

void tni_host_read_calibration(tn_host *host, const tn_host_config *config) {
    tni_calibration *own = &host->calibration;
    tni_error_init(&own->error);
    tni_machine_name(own->machine);
    tn_status status = find_path(config, host->loader.secure_execution, own->path, &own->error);
    if (status == TN_OK) {
        const tni_cost_file_info info = {
            .devices = (const tni_device *const *)host->devices,
            .device_count = host->device_count,
            .machine = own->machine,
        };
        status = tni_cost_file_read(&host->alloc, &info, own->path, &own->table, &own->file,
                                    &own->error);
    }
    own->error.status = status;
    if (status != TN_OK && status != TN_ERROR_NOT_FOUND && own->path[0] != '\0') {
        tni_log_write(&host->log, TN_LOG_WARN, "%s is not used: %s [%s]", own->path,
                      own->error.text, own->error.id);
    } else if (own->file.stale_count > 0) {
        tni_log_write(&host->log, TN_LOG_WARN,
                      "%s: %u devices have another vendor, driver or build than was measured",
                      own->path, own->file.stale_count);
    }
}

tn_status tn_host_calibration_get(const tn_host *host, tn_calibration_desc *out_desc) {
    if (host == NULL ||
        !tni_struct_ok(out_desc, TN_STRUCT_CALIBRATION_DESC, sizeof(tn_struct_header))) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_calibration *own = &host->calibration;
    const tn_calibration_desc desc = {
        .status = own->error.status,
        .device_count = own->file.device_count,
        .stale_count = own->file.stale_count,
        .pair_count = own->file.pair_count,
        .path = own->path,
        .machine = own->machine,
        .date = own->file.date,
        .id = own->error.id,
        .text = own->error.text,
    };
    tni_struct_out(out_desc, &desc, sizeof(desc));
    return TN_OK;
}
