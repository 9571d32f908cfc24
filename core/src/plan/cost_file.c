// SPDX-License-Identifier: Apache-2.0
// One function a kind of record; a record whose device is not here is checked all the same.
#include "plan/cost_file.h"

#include "base/error.h"
#include "base/json.h"
#include "base/string.h"
#include "loader/file.h"
#include "loader/state_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KIND "calibration"
#define MAX_DEVICES 64u
#define MAX_PAIRS (MAX_DEVICES * (MAX_DEVICES + 1))
#define MAX_RATE ((int64_t)1 << 60)
#define HOST_NAME "host"

static const char *const top_keys[] = {"schema_version", "kind",    "tenon", "date",
                                       "machine",        "devices", "pairs"};
static const char *const device_keys[] = {"id", "vendor", "driver", "build", "emulated", "classes"};
static const char *const class_keys[] = {"fixed_ns",        "flops_per_second", "bytes_per_second",
                                         "rows_per_second", "noise_permille",   "trust"};
static const char *const pair_keys[] = {
    "from", "to", "copy_ns", "handover_ns", "trust", "bytes_per_second", "noise_permille"};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct reader {
    const tni_cost_file_info *info;
    tni_cost_table *table;
    tni_cost_file *file;
    tni_json json;
    bool *seen; // by host index: a record of this device was read
} reader;

static tn_status read_text(const tni_json *from, const char *key, const char **out_text) {
    const json_t *value = json_object_get(from->object, key);
    *out_text = "";
    if (value == NULL) {
        return tni_json_fail_missing(from, key);
    }
    tn_status status = tni_json_text(from, key, value, TNI_COST_FILE_TEXT_BYTES - 1);
    if (status == TN_OK) {
        *out_text = json_string_value(value);
    }
    return status;
}

// What every measured record says of itself. Numbers of little trust are used too: they are nearer
// than any default.
static tn_status check_quality(const tni_json *from) {
    static const char *const levels[] = {"good", "fair", "poor"};
    const char *trust = NULL;
    int64_t noise = 0;
    tn_status status = tni_json_integer(from, "noise_permille", INT32_MAX, &noise);
    if (status == TN_OK) {
        status = read_text(from, "trust", &trust);
    }
    for (size_t i = 0; i < COUNT(levels) && status == TN_OK; i++) {
        if (strcmp(trust, levels[i]) == 0) {
            return TN_OK;
        }
    }
    return status != TN_OK
               ? status
               : tni_json_fail(from, "trust", "\"%strust\" is \"%.40s\", not good, fair or poor",
                               from->where, trust);
}

static tn_status read_class(const tni_json *from, tni_class_cost *out_cost) {
    int64_t flops = 0;
    int64_t bytes = 0;
    int64_t rows = 0; // files of before there were rows say nothing of them
    tni_class_cost cost = {.measured = true};
    tn_status status = tni_json_check_keys(from, class_keys, COUNT(class_keys), 1);
    if (status == TN_OK) {
        status = tni_json_integer(from, "fixed_ns", TNI_MAX_COST_NS, &cost.fixed_ns);
    }
    if (status == TN_OK) {
        status = tni_json_integer(from, "flops_per_second", MAX_RATE, &flops);
    }
    if (status == TN_OK) {
        status = tni_json_integer(from, "bytes_per_second", MAX_RATE, &bytes);
    }
    if (status == TN_OK && json_object_get(from->object, "rows_per_second") != NULL) {
        status = tni_json_integer(from, "rows_per_second", MAX_RATE, &rows);
    }
    if (status == TN_OK) {
        status = check_quality(from);
    }
    cost.rows_per_second = (uint64_t)rows;
    cost.flops_per_second = (uint64_t)flops;
    cost.bytes_per_second = (uint64_t)bytes;
    *out_cost = cost;
    return status;
}

// device: host index, or TN_NONE for one whose numbers are not used.
static tn_status read_classes(const reader *r, const tni_json *from, uint32_t device) {
    json_t *classes = json_object_get(from->object, "classes");
    if (classes == NULL) {
        return tni_json_fail_missing(from, "classes");
    }
    if (!json_is_object(classes)) {
        return tni_json_fail_type(from, "classes", classes, "an object");
    }
    tn_status status = TN_OK;
    for (void *at = json_object_iter(classes); at != NULL && status == TN_OK;
         at = json_object_iter_next(classes, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *record = json_object_iter_value(at);
        const tni_op_class op_class = tni_op_class_find(name);
        tni_class_cost cost;
        if (op_class == TNI_OP_CLASSES) {
            return tni_json_fail(from, "class", "\"%.40s\" is not a class of ops", name);
        }
        if (!json_is_object(record)) {
            return tni_json_fail_type(from, name, record, "an object");
        }
        const tni_json inner = {record, KIND, "classes.", from->error};
        status = read_class(&inner, &cost);
        if (status == TN_OK && device != TN_NONE) {
            *tni_cost_table_class(r->table, device, op_class) = cost;
        }
    }
    return status;
}

static uint32_t find_device(const tni_cost_file_info *info, const char *id) {
    for (uint32_t i = 0; i < info->device_count; i++) {
        if (strcmp(info->devices[i]->id, id) == 0) {
            return i;
        }
    }
    return TN_NONE;
}

static bool is_as_measured(const tni_device *device, const char *vendor, const char *driver,
                           const char *build) {
    return strcmp(device->info.vendor, vendor) == 0 && strcmp(device->info.driver, driver) == 0 &&
           strcmp(device->plugin->build, build) == 0;
}

static tn_status read_device(reader *r, const tni_json *from) {
    const char *texts[4]; // as device_keys begin
    tn_status status = tni_json_check_keys(from, device_keys, COUNT(device_keys), 1);
    for (size_t i = 0; i < COUNT(texts) && status == TN_OK; i++) {
        status = read_text(from, device_keys[i], &texts[i]);
    }
    const json_t *emulated = json_object_get(from->object, "emulated");
    if (status == TN_OK && !json_is_boolean(emulated)) {
        status = emulated == NULL ? tni_json_fail_missing(from, "emulated")
                                  : tni_json_fail_type(from, "emulated", emulated, "a boolean");
    }
    if (status != TN_OK) {
        return status;
    }
    uint32_t device = find_device(r->info, texts[0]);
    if (device != TN_NONE && r->seen[device]) {
        return tni_json_fail(from, "duplicate-device", "device \"%.80s\" is there twice", texts[0]);
    }
    if (device != TN_NONE) {
        const bool good = is_as_measured(r->info->devices[device], texts[1], texts[2], texts[3]);
        r->seen[device] = true;
        r->file->stale_count += !good;
        r->file->device_count += good;
        device = good ? device : TN_NONE;
    }
    return read_classes(r, from, device);
}

// Whether numbers about this device are used, and its place in the table; the host has the last.
static bool is_used(const reader *r, const char *id, uint32_t *out_index) {
    *out_index = strcmp(id, HOST_NAME) == 0 ? r->info->device_count : find_device(r->info, id);
    if (*out_index >= r->info->device_count) {
        return *out_index == r->info->device_count;
    }
    for (tni_op_class k = 0; k < TNI_OP_CLASSES; k++) {
        if (tni_cost_table_class(r->table, *out_index, k)->measured) {
            return true;
        }
    }
    return false;
}

static tn_status read_pair(reader *r, const tni_json *from) {
    const char *ends[2] = {"", ""};
    uint32_t index[2];
    int64_t bytes = 0;
    tni_pair_cost cost = {.measured = true};
    tn_status status = tni_json_check_keys(from, pair_keys, COUNT(pair_keys), 1);
    for (size_t i = 0; i < 2 && status == TN_OK; i++) {
        status = read_text(from, pair_keys[i], &ends[i]);
    }
    if (status == TN_OK) {
        status = tni_json_integer(from, "handover_ns", TNI_MAX_COST_NS, &cost.handover_ns);
    }
    if (status == TN_OK) {
        status = tni_json_integer(from, "copy_ns", TNI_MAX_COST_NS, &cost.copy_ns);
    }
    if (status == TN_OK) {
        status = tni_json_integer(from, "bytes_per_second", MAX_RATE, &bytes);
    }
    if (status == TN_OK) {
        status = check_quality(from);
    }
    if (status != TN_OK || !is_used(r, ends[0], &index[0]) || !is_used(r, ends[1], &index[1])) {
        return status;
    }
    tni_pair_cost *out = tni_cost_table_pair(r->table, index[0], index[1]);
    if (index[0] == index[1] || out->measured) {
        return tni_json_fail(from, "duplicate-pair",
                             "\"%.80s\" to \"%.80s\" is there twice, or "
                             "from a device to itself",
                             ends[0], ends[1]);
    }
    cost.bytes_per_second = (uint64_t)bytes;
    *out = cost;
    r->file->pair_count++;
    return TN_OK;
}

static tn_status read_list(reader *r, const char *key, const char *where, size_t most,
                           tn_status (*read)(reader *, const tni_json *)) {
    const json_t *list = json_object_get(r->json.object, key);
    if (list == NULL) {
        return tni_json_fail_missing(&r->json, key);
    }
    if (!json_is_array(list)) {
        return tni_json_fail_type(&r->json, key, list, "an array");
    }
    if (json_array_size(list) > most) {
        return tni_json_fail(&r->json, "list-too-long",
                             "\"%s\" has %zu items, at most %zu are "
                             "allowed",
                             key, json_array_size(list), most);
    }
    tn_status status = TN_OK;
    for (size_t i = 0; i < json_array_size(list) && status == TN_OK; i++) {
        const json_t *item = json_array_get(list, i);
        const tni_json inner = {item, KIND, where, r->json.error};
        status = json_is_object(item) ? read(r, &inner)
                                      : tni_json_fail_type(&r->json, key, item, "an object");
    }
    return status;
}

// The version comes first: a newer file is told from a broken one.
static tn_status read_head(reader *r) {
    const char *kind = "";
    const char *machine = "";
    const char *text = "";
    int64_t version = 0;
    if (!json_is_object(r->json.object)) {
        return tni_json_fail(&r->json, "not-an-object", "the file holds %s, not an object",
                             tni_json_type_text(r->json.object));
    }
    tn_status status = tni_json_integer(&r->json, "schema_version", INT32_MAX, &version);
    if (status == TN_OK && version != TNI_COST_FILE_VERSION) {
        return tni_fail(r->json.error, TN_ERROR_UNSUPPORTED, "calibration.version",
                        "\"schema_version\" is %lld, this host reads version %d",
                        (long long)version, TNI_COST_FILE_VERSION);
    }
    if (status == TN_OK) {
        status = tni_json_check_keys(&r->json, top_keys, COUNT(top_keys), TNI_COST_FILE_VERSION);
    }
    if (status == TN_OK) {
        status = read_text(&r->json, "kind", &kind);
    }
    if (status == TN_OK && strcmp(kind, "tenon-calibration") != 0) {
        status =
            tni_json_fail(&r->json, "kind", "\"kind\" is \"%.60s\", not tenon-calibration", kind);
    }
    if (status == TN_OK) {
        status = read_text(&r->json, "tenon", &text);
    }
    if (status == TN_OK) {
        status = read_text(&r->json, "date", &text);
    }
    if (status == TN_OK) {
        snprintf(r->file->date, sizeof(r->file->date), "%s", text);
        status = read_text(&r->json, "machine", &machine);
    }
    if (status == TN_OK && strcmp(machine, r->info->machine) != 0) {
        status =
            tni_fail(r->json.error, TN_ERROR_STALE, "calibration.machine",
                     "measured on \"%.120s\", and this is \"%.120s\"", machine, r->info->machine);
    }
    return status;
}

static tn_status read_root(reader *r) {
    tn_status status = read_head(r);
    if (status == TN_OK) {
        status = read_list(r, "devices", "devices.", MAX_DEVICES, read_device);
    }
    if (status == TN_OK) {
        status = read_list(r, "pairs", "pairs.", MAX_PAIRS, read_pair);
    }
    return status;
}

static tn_status fail_size(uint64_t size_bytes, tn_error *error) {
    return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "calibration.too-large",
                    "the file has %llu bytes, at most %llu are read",
                    (unsigned long long)size_bytes, (unsigned long long)TNI_COST_FILE_MAX_BYTES);
}

tn_status tni_cost_file_parse(const tni_alloc *alloc, const tni_cost_file_info *info,
                              const void *data, uint64_t size_bytes, tni_cost_table *out_table,
                              tni_cost_file *out_file, tn_error *error) {
    const uint64_t room = (uint64_t)info->device_count + 1;
    json_t *json = NULL;
    memset(out_file, 0, sizeof(*out_file));
    memset(out_table, 0, sizeof(*out_table));
    if (size_bytes > TNI_COST_FILE_MAX_BYTES) {
        return fail_size(size_bytes, error);
    }
    tn_status status = tni_json_load(KIND, data, size_bytes, &json, error);
    if (status != TN_OK) {
        return status;
    }
    reader r = {info, out_table, out_file, {json, KIND, "", error}, NULL};
    r.seen = tni_alloc_array(alloc, room, sizeof(*r.seen));
    status = tni_cost_table_init(out_table, alloc, info->device_count);
    status = r.seen != NULL && status == TN_OK
                 ? read_root(&r)
                 : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "measured costs");
    tni_free_array(alloc, r.seen, room, sizeof(*r.seen));
    json_decref(json);
    if (status != TN_OK) {
        tni_cost_table_deinit(out_table);
        out_file->device_count = 0;
        out_file->pair_count = 0;
    }
    return status;
}

static tn_status read_open(const tni_alloc *alloc, const tni_cost_file_info *info, const char *path,
                           const tni_file *file, tni_cost_table *out_table, tni_cost_file *out_file,
                           tn_error *error) {
    struct stat state;
    if (fstat(file->descriptor, &state) != 0) {
        return tni_fail_errno(error, errno, "calibration.unreadable", "%s", path);
    }
    if (tni_state_distrust(&state) != NULL) {
        return tni_fail(error, TN_ERROR_DENIED, "calibration.distrusted", "%s: %s", path,
                        tni_state_distrust(&state));
    }
    if (file->size_bytes > TNI_COST_FILE_MAX_BYTES) {
        return fail_size(file->size_bytes, error);
    }
    const uint64_t room = file->size_bytes + 1;
    void *data = tni_alloc_bytes(alloc, room, TNI_ALIGNMENT);
    tn_status status =
        data == NULL ? tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a calibration file")
        : tni_file_read(file, 0, data, file->size_bytes)
            ? tni_cost_file_parse(alloc, info, data, file->size_bytes, out_table, out_file, error)
            : tni_fail(error, TN_ERROR_IO, "calibration.unreadable", "%s: short read", path);
    tni_free(alloc, data, room);
    return status;
}

tn_status tni_cost_file_read(const tni_alloc *alloc, const tni_cost_file_info *info,
                             const char *path, tni_cost_table *out_table, tni_cost_file *out_file,
                             tn_error *error) {
    tni_file file;
    memset(out_table, 0, sizeof(*out_table));
    memset(out_file, 0, sizeof(*out_file));
    tn_status status = tni_file_open(path, "calibration.unreadable", &file, error);
    if (status == TN_OK) {
        status = read_open(alloc, info, path, &file, out_table, out_file, error);
        tni_file_close(&file);
    }
    return status;
}
