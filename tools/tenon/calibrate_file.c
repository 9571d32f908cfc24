// SPDX-License-Identifier: Apache-2.0
// The calibration file (docs/guide/calibration.md): written whole, keeping what an earlier one says
// of devices that were not measured this time.
#include "calibrate.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static json_int_t whole(double value) {
    return value > 0 && value < 1e12 ? (json_int_t)llround(value) : value > 0 ? 1000000000000 : 0;
}

// Nanoseconds a unit as units a second; 0: costs nothing.
static json_int_t rate(double ns) {
    return ns <= 0 ? 0 : ns < 1e-9 ? (json_int_t)1 << 59 : (json_int_t)fmax(1e9 / ns, 1);
}

static json_t *class_json(const fit_result *fit) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}", "fixed_ns", whole(fit->cost[0]),
                     "flops_per_second", rate(fit->cost[1]), "bytes_per_second", rate(fit->cost[2]),
                     "rows_per_second", rate(fit->cost[3]), "noise_permille",
                     whole(fit->noise * 1000), "trust", fit_trust(fit));
}

static json_t *device_json(const calibrated_device *device) {
    json_t *classes = json_object();
    for (uint32_t i = 0; i < device->class_count; i++) {
        json_object_set_new(classes, device->classes[i].op_class,
                            class_json(&device->classes[i].fit));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "id", device->desc.id, "vendor",
                     device->desc.vendor, "driver", device->desc.driver, "build", device->build,
                     "emulated", (device->desc.flags & TN_DEVICE_EMULATED) != 0, "classes",
                     classes);
}

static json_t *pair_json(const char *from, const char *to, const fit_result *fit) {
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "from", from, "to", to, "handover_ns",
                     whole(fit->cost[0]), "copy_ns", whole(fit->cost[1]), "bytes_per_second",
                     rate(fit->cost[2]), "noise_permille", whole(fit->noise * 1000), "trust",
                     fit_trust(fit));
}

static bool is_measured(const calibration *own, const char *id) {
    bool found = id != NULL && strcmp(id, "host") == 0;
    for (uint32_t i = 0; i < own->device_count && id != NULL; i++) {
        found |= strcmp(own->devices[i].desc.id, id) == 0;
    }
    return found;
}

// Only a file that the host can read is kept from.
static void keep_earlier(const calibration *own, const tn_calibration_desc *state, json_t *devices,
                         json_t *pairs) {
    json_t *earlier = state->status == TN_OK ? json_load_file(state->path, 0, NULL) : NULL;
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach(json_object_get(earlier, "devices"), i, one) {
        if (!is_measured(own, json_string_value(json_object_get(one, "id")))) {
            json_array_append(devices, one);
        }
    }
    json_array_foreach(json_object_get(earlier, "pairs"), i, one) {
        if (!is_measured(own, json_string_value(json_object_get(one, "from"))) ||
            !is_measured(own, json_string_value(json_object_get(one, "to")))) {
            json_array_append(pairs, one);
        }
    }
    json_decref(earlier);
}

json_t *calibrate_document(const calibration *own, const tn_calibration_desc *state) {
    char date[32] = "";
    struct tm parts;
    const time_t now = time(NULL);
    json_t *devices = json_array();
    json_t *pairs = json_array();
    if (gmtime_r(&now, &parts) != NULL) {
        (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    for (uint32_t i = 0; i < own->device_count; i++) {
        json_array_append_new(devices, device_json(&own->devices[i]));
    }
    for (uint32_t i = 0; i < own->pair_count; i++) {
        const calibrated_pair *pair = &own->pairs[i];
        const char *from = pair->from == NULL ? "host" : pair->from->desc.id;
        json_array_append_new(pairs, pair_json(from, pair->to->desc.id, &pair->fit));
        json_array_append_new(pairs, pair_json(pair->to->desc.id, from, &pair->fit));
    }
    keep_earlier(own, state, devices, pairs);
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:o}", "schema_version", CLI_SCHEMA_VERSION,
                     "kind", "tenon-calibration", "tenon", tn_version_text(), "date", date,
                     "machine", state->machine, "devices", devices, "pairs", pairs);
}

static bool write_all(int file, const json_t *document) {
    return json_dumpfd(document, file, JSON_INDENT(1)) == 0 && write(file, "\n", 1) == 1;
}

// The folder of a file, when it is not there: the host makes it only for records of probes.
static void make_folder(const char *path) {
    char folder[4096];
    const char *end = strrchr(path, '/');
    if (end != NULL && end != path && (size_t)(end - path) < sizeof(folder)) {
        memcpy(folder, path, (size_t)(end - path));
        folder[end - path] = '\0';
        (void)mkdir(folder, 0700); // a failure shows at the next step
    }
}

int calibrate_write(const json_t *document, const char *path, bool own_folder) {
    char temporary[4096];
    if (own_folder) {
        make_folder(path);
    }
    const int length = snprintf(temporary, sizeof(temporary), "%s.%ld", path, (long)getpid());
    if (length <= 0 || (size_t)length >= sizeof(temporary)) {
        cli_message("calibrate", "%s: the path is too long", path);
        return CLI_ENVIRONMENT;
    }
    const int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool done = file >= 0 && write_all(file, document);
    if (file >= 0) {
        done = close(file) == 0 && done;
    }
    if (!done || rename(temporary, path) != 0) {
        cli_message("calibrate", "%s: %s", path, strerror(errno));
        if (file >= 0) {
            (void)unlink(temporary);
        }
        return CLI_ENVIRONMENT;
    }
    return CLI_OK;
}
