// SPDX-License-Identifier: Apache-2.0
// `tenon plugins`: what is there to run on.
#include "cli.h"

#include "report.h"

#include <string.h>

static const char command[] = "plugins";

json_t *report_devices_json(const tn_host *host) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < tn_host_device_count(host); i++) {
        tn_device_desc d = {.struct_size = sizeof(d), .struct_type = TN_STRUCT_DEVICE_DESC};
        if (tn_host_device_get(host, i, &d) == TN_OK) {
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I}", "id", d.id,
                                "kind", report_kind_text(d.kind), "plugin", d.plugin, "description",
                                d.description, "vendor", d.vendor, "driver", d.driver,
                                "physical_id", d.physical_id, "resource_group", d.resource_group,
                                "emulated", (d.flags & TN_DEVICE_EMULATED) != 0, "memory_bytes",
                                (json_int_t)d.memory_bytes));
        }
    }
    return list;
}

json_t *report_load_json(const tn_host *host) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < tn_host_load_count(host); i++) {
        tn_load_entry e = {.struct_size = sizeof(e), .struct_type = TN_STRUCT_LOAD_ENTRY};
        if (tn_host_load_get(host, i, &e) == TN_OK) {
            json_array_append_new(
                list,
                json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:I}", "name", e.name,
                          "path", e.path, "source", report_source_text(e.source), "stage",
                          tn_load_stage_text(e.stage), "status", tn_status_text(e.status), "reason",
                          tn_reason_text(e.reason), "text", e.text, "probe", e.probe, "devices",
                          (int)e.device_count, "duration_ns", (json_int_t)e.duration_ns));
        }
    }
    return list;
}

const char *report_source_text(tn_load_source source) {
    static const char *const sources[] = {"static", "path", "dir", "environment", "user", "system"};
    return source < sizeof(sources) / sizeof(sources[0]) ? sources[source] : "other";
}

const char *report_kind_text(uint32_t kind) {
    static const char *const kinds[] = {"other", "cpu", "gpu", "npu", "dsp"};
    return kind < sizeof(kinds) / sizeof(kinds[0]) ? kinds[kind] : "other";
}

static void print_devices(const tn_host *host, const char *plugin) {
    for (uint32_t i = 0; i < tn_host_device_count(host); i++) {
        tn_device_desc d = {.struct_size = sizeof(d), .struct_type = TN_STRUCT_DEVICE_DESC};
        if (tn_host_device_get(host, i, &d) == TN_OK && strcmp(d.plugin, plugin) == 0) {
            printf("    %-24s %s  %s%s\n", d.id, report_kind_text(d.kind), d.description,
                   (d.flags & TN_DEVICE_EMULATED) != 0 ? "  (emulated)" : "");
        }
    }
}

static void print_text(const tn_host *host) {
    for (uint32_t i = 0; i < tn_host_load_count(host); i++) {
        tn_load_entry e = {.struct_size = sizeof(e), .struct_type = TN_STRUCT_LOAD_ENTRY};
        if (tn_host_load_get(host, i, &e) != TN_OK) {
            continue;
        }
        if (e.status != TN_OK) {
            printf("%s%s%s  not loaded, at %s: %s\n", cli_bad(), e.name, cli_plain(),
                   tn_load_stage_text(e.stage), e.text);
            continue;
        }
        printf("%s%s%s  %s%s%s  %u device%s\n", cli_bold(), e.name, cli_plain(), e.vendor,
               e.build[0] != '\0' ? ", " : "", e.build, e.device_count,
               e.device_count == 1 ? "" : "s");
        print_devices(host, e.name);
    }
    if (tn_host_load_count(host) == 0) {
        printf("no plugin was found; tenon doctor says where was looked\n");
    }
}

int cli_plugins(cli_args *args) {
    tn_host *host = NULL;
    const char *extra = cli_next(args);
    if (extra != NULL) {
        return cli_unknown(args, extra);
    }
    int code = args->failed == CLI_OK ? cli_open_host(args->options, command, &host) : args->failed;
    if (code == CLI_OK && args->options->json) {
        code =
            cli_print_json(json_pack("{s:i, s:s, s:o, s:o}", "schema_version", CLI_SCHEMA_VERSION,
                                     "tenon", tn_version_text(), "plugins", report_load_json(host),
                                     "devices", report_devices_json(host)));
    } else if (code == CLI_OK) {
        print_text(host);
    }
    tn_host_release(host);
    return code;
}
