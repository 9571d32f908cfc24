// SPDX-License-Identifier: Apache-2.0
// `tenon doctor`: is every plugin and device of this machine well, and if not, why.
#include "cli.h"
#include "report.h"
#include "smoke.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static const char command[] = "doctor";

// The outcome of one op on one device.
typedef struct smoke_result {
    tn_status status;
    bool right;
    uint64_t first_ns;
    char text[TN_ERROR_TEXT_BYTES];
} smoke_result;

static tn_status smoke_compiled(tn_compiled *compiled, smoke_result *result, tn_error *error) {
    static const float a[] = {1, 2, 3, 4};
    static const float b[] = {10, 20, 30, 40};
    static const float sum[] = {11, 22, 33, 44};
    tn_request *request = NULL;
    uint64_t begin = cli_now_ns();
    tn_status status = tn_request_create(compiled, NULL, &request, error);
    if (status == TN_OK) {
        status = tn_request_prepare(request, NULL, 0, error);
    }
    if (status == TN_OK) {
        status = tn_request_write(request, 0, a, sizeof(a), error);
    }
    if (status == TN_OK) {
        status = tn_request_write(request, 1, b, sizeof(b), error);
    }
    if (status == TN_OK) {
        status = tn_request_run(request, 10000000000u, error);
    }
    result->first_ns = cli_now_ns() - begin;
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    if (status == TN_OK) {
        status = tn_request_output(request, 0, &view);
    }
    result->right = status == TN_OK && view.size_bytes == sizeof(sum) &&
                    memcmp(view.data, sum, sizeof(sum)) == 0;
    tn_request_destroy(request);
    return status;
}

static void smoke_device(tn_model *model, const char *id, smoke_result *result) {
    tn_error error;
    tn_compile_config config;
    tn_compiled *compiled = NULL;
    memset(result, 0, sizeof(*result));
    tn_error_init(&error);
    tn_compile_config_init(&config);
    config.devices = &id;
    config.device_count = 1;
    config.policy = TN_COMPILE_NO_FALLBACK;
    result->status = tn_compile(model, &config, &compiled, &error);
    if (result->status == TN_OK) {
        result->status = smoke_compiled(compiled, result, &error);
    }
    memcpy(result->text, error.text, sizeof(result->text));
    tn_compiled_release(compiled);
}

static const char *verdict(const smoke_result *result) {
    if (result->status == TN_ERROR_DENIED) {
        return "does not take Add";
    }
    if (result->status != TN_OK) {
        return "failed";
    }
    return result->right ? "ok" : "wrong answer";
}

static const char *folder_state(const tn_folder_entry *folder) {
    return folder->status == TN_OK                ? "searched"
           : folder->status == TN_ERROR_NOT_FOUND ? "not there"
                                                  : "cannot be read";
}

static bool get_folder(const tn_host *host, uint32_t index, tn_folder_entry *out) {
    *out = (tn_folder_entry){.struct_size = sizeof(*out), .struct_type = TN_STRUCT_FOLDER_ENTRY};
    return tn_host_folder_get(host, index, out) == TN_OK;
}

static json_t *folders_json(const tn_host *host) {
    json_t *list = json_array();
    tn_folder_entry folder;
    for (uint32_t i = 0; i < tn_host_folder_count(host); i++) {
        if (get_folder(host, i, &folder)) {
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "path", folder.path, "source",
                                                  report_source_text(folder.source), "state",
                                                  folder_state(&folder)));
        }
    }
    return list;
}

static void print_places(const tn_host *host) {
    char text[CLI_TEXT_BYTES];
    tn_folder_entry folder;
    printf("%sfolders%s\n", cli_bold(), cli_plain());
    for (uint32_t i = 0; i < tn_host_folder_count(host); i++) {
        if (get_folder(host, i, &folder)) {
            printf("  %-12s %s  %s\n", report_source_text(folder.source), folder.path,
                   folder_state(&folder));
        }
    }
    printf("%scandidates%s\n", cli_bold(), cli_plain());
    for (uint32_t i = 0; i < tn_host_load_count(host); i++) {
        tn_load_entry e = {.struct_size = sizeof(e), .struct_type = TN_STRUCT_LOAD_ENTRY};
        if (tn_host_load_get(host, i, &e) != TN_OK) {
            continue;
        }
        bool good = e.status == TN_OK;
        printf("  %s%s%s  %s  stage %s, %s%s%s%s%s\n", good ? cli_good() : cli_bad(), e.name,
               cli_plain(), e.path, tn_load_stage_text(e.stage), cli_time_text(e.duration_ns, text),
               e.probe[0] == '\0' ? "" : ", ", e.probe, good ? "" : "\n      ", e.text);
    }
    if (tn_host_load_count(host) == 0) {
        printf("  none: set TENON_PLUGIN_PATH, or give --plugin-dir\n");
    }
}

static void print_device(const tn_device_desc *d, const smoke_result *result) {
    char text[CLI_TEXT_BYTES];
    bool good = result->status == TN_OK && result->right;
    printf("  %-24s %s%s%s", d->id, good ? cli_good() : cli_bad(), verdict(result), cli_plain());
    if (result->status == TN_OK) {
        printf("  prepare and first run %s", cli_time_text(result->first_ns, text));
    }
    printf("%s\n      %s; driver %s%s%s\n",
           (d->flags & TN_DEVICE_EMULATED) != 0 ? "  (emulated)" : "", d->description,
           d->driver[0] != '\0' ? d->driver : "none", result->status == TN_OK ? "" : "\n      ",
           result->status == TN_OK ? "" : result->text);
}

static json_t *smoke_json(const tn_device_desc *d, const smoke_result *result) {
    return json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", d->id, "result", verdict(result), "status",
                     tn_status_text(result->status), "text", result->text, "first_ns",
                     (json_int_t)result->first_ns);
}

// Runs the smoke model everywhere; counts the devices that work.
static uint32_t check_devices(const tn_host *host, tn_model *model, json_t *list, bool print) {
    uint32_t working = 0;
    for (uint32_t i = 0; i < tn_host_device_count(host); i++) {
        tn_device_desc d = {.struct_size = sizeof(d), .struct_type = TN_STRUCT_DEVICE_DESC};
        smoke_result result;
        if (tn_host_device_get(host, i, &d) != TN_OK) {
            continue;
        }
        smoke_device(model, d.id, &result);
        working += result.status == TN_OK && result.right;
        json_array_append_new(list, smoke_json(&d, &result));
        if (print) {
            print_device(&d, &result);
        }
    }
    return working;
}

static int examine(tn_host *host, bool json) {
    struct utsname system;
    tn_error error;
    tn_model *model = NULL;
    tn_error_init(&error);
    if (uname(&system) != 0) {
        memset(&system, 0, sizeof(system));
    }
    tn_status status =
        tn_model_load_memory(host, smoke_model, smoke_model_bytes, NULL, &model, &error);
    if (status != TN_OK) {
        return cli_fail(command, &error, status);
    }
    if (!json) {
        const char *path = getenv("TENON_PLUGIN_PATH");
        printf("tenon %s, ABI %d.%d%s, %s %s %s\n", tn_version_text(), TN_ABI_VERSION_MAJOR,
               TN_ABI_VERSION_MINOR, TN_ABI_DRAFT ? " (draft)" : "", system.sysname, system.release,
               system.machine);
        printf("TENON_PLUGIN_PATH %s\n", path == NULL ? "is not set" : path);
        print_places(host);
        printf("%sdevices%s, one Add each\n", cli_bold(), cli_plain());
    }
    json_t *list = json_array();
    uint32_t working = check_devices(host, model, list, !json);
    tn_model_release(model);
    int code = CLI_OK;
    if (json) {
        code = cli_print_json(
            json_pack("{s:i, s:s, s:{s:i, s:i, s:b}, s:{s:s, s:s, s:s}, s:o, s:o, s:o, s:o}",
                      "schema_version", CLI_SCHEMA_VERSION, "tenon", tn_version_text(), "abi",
                      "major", TN_ABI_VERSION_MAJOR, "minor", TN_ABI_VERSION_MINOR, "draft",
                      TN_ABI_DRAFT, "system", "name", system.sysname, "release", system.release,
                      "machine", system.machine, "folders", folders_json(host), "candidates",
                      report_load_json(host), "devices", report_devices_json(host), "smoke", list));
    } else {
        json_decref(list);
        printf("%s%u of %u devices work%s\n", working > 0 ? cli_good() : cli_bad(), working,
               tn_host_device_count(host), cli_plain());
    }
    return code != CLI_OK ? code : working > 0 ? CLI_OK : CLI_ENVIRONMENT;
}

int cli_doctor(cli_args *args) {
    tn_host *host = NULL;
    const char *extra = cli_next(args);
    if (extra != NULL) {
        return cli_unknown(args, extra);
    }
    int code = args->failed == CLI_OK ? cli_open_host(args->options, command, &host) : args->failed;
    if (code == CLI_OK) {
        code = examine(host, args->options->json);
    }
    tn_host_release(host);
    return code;
}
