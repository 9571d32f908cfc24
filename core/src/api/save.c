// SPDX-License-Identifier: Apache-2.0
// tenon/model.h: writing a model to a file.
#include "api/objects.h"

#include "base/error.h"
#include "onnx/write.h"

void tn_save_config_init(tn_save_config *config) {
    *config =
        (tn_save_config){.struct_size = sizeof(*config), .struct_type = TN_STRUCT_SAVE_CONFIG};
}

tn_status tn_model_save_file(const tn_model *model, const char *path, const tn_save_config *config,
                             tn_error *error) {
    tn_save_config defaults;
    tn_save_config_init(&defaults);
    if (model == NULL || path == NULL ||
        (config != NULL && !tni_struct_ok(config, TN_STRUCT_SAVE_CONFIG, sizeof(*config)))) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "save.argument",
                        "model or path is null, or the configuration is not one");
    }
    config = config == NULL ? &defaults : config;
    const tni_write_info info = {
        .path = path,
        .external_name = config->external_file,
        .external_min_bytes = config->external_min_bytes,
        .sensitive = model->sensitive,
    };
    return tni_onnx_write(model->model, &info, error);
}
