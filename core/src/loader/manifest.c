// SPDX-License-Identifier: Apache-2.0
// Reading manifests: one function a kind of field.
#include "loader/manifest.h"

#include "base/error.h"
#include "base/json.h"
#include "loader/file.h"
#include "loader/plugin.h"

#include <string.h>

#define ARENA_LIMIT_BYTES (4u * TNI_MANIFEST_MAX_BYTES)
#define MAX_TEXT_BYTES 255u
#define MAX_PATH_BYTES 1023u
#define MAX_LIST_ITEMS 32u
#define MAX_MINOR 65535

static const char *const top_keys[] = {
    "manifest_version", "name",         "vendor",        "description", "library", "target", "abi",
    "sha256",           "requires_cpu", "requires_path", "license",
};
static const char *const target_keys[] = {"os", "arch", "libc"};
static const char *const abi_keys[] = {"major", "min_minor", "max_minor"};

typedef struct reader {
    tni_manifest *manifest;
    tni_json json;
} reader;

// Checks one text and copies it into the arena.
static tn_status take_text(const reader *from, const char *key, const json_t *value,
                           size_t max_bytes, const char **out_text) {
    tn_string copy = {NULL, 0};
    tn_status status = tni_json_text(&from->json, key, value, max_bytes);
    if (status != TN_OK) {
        return status;
    }
    const tn_string text = {json_string_value(value), json_string_length(value)};
    status = tni_arena_text(&from->manifest->arena, text, &copy);
    if (status != TN_OK) {
        return tni_fail_plain(from->json.error, status, "the texts of a manifest");
    }
    *out_text = copy.data;
    return TN_OK;
}

static tn_status read_text(const reader *from, const char *key, bool required, size_t max_bytes,
                           const char **out_text) {
    const json_t *value = json_object_get(from->json.object, key);
    *out_text = "";
    if (value == NULL) {
        return required ? tni_json_fail_missing(&from->json, key) : TN_OK;
    }
    return take_text(from, key, value, max_bytes, out_text);
}

static tn_status read_list(const reader *from, const char *key, tni_text_list *out_list) {
    const json_t *list = json_object_get(from->json.object, key);
    void *texts = NULL;
    if (list == NULL) {
        return TN_OK;
    }
    if (!json_is_array(list)) {
        return tni_json_fail_type(&from->json, key, list, "an array");
    }
    const size_t count = json_array_size(list);
    if (count > MAX_LIST_ITEMS) {
        return tni_fail(from->json.error, TN_ERROR_INVALID_DATA, "manifest.list-too-long",
                        "\"%s%s\" has %zu items, at most %u are allowed", from->json.where, key,
                        count, MAX_LIST_ITEMS);
    }
    tn_status status =
        tni_arena_array(&from->manifest->arena, count, sizeof(char *), sizeof(char *), &texts);
    if (status != TN_OK) {
        return tni_fail_plain(from->json.error, status, "the lists of a manifest");
    }
    out_list->texts = texts;
    for (size_t i = 0; i < count; i++) {
        status = take_text(from, key, json_array_get(list, i), MAX_PATH_BYTES, &out_list->texts[i]);
        if (status == TN_OK && out_list->texts[i][0] == '\0') {
            status = tni_fail(from->json.error, TN_ERROR_INVALID_DATA, "manifest.empty-item",
                              "item %zu of \"%s%s\" is empty", i, from->json.where, key);
        }
        if (status != TN_OK) {
            return status;
        }
        out_list->count++;
    }
    return TN_OK;
}

// Opens "key" of the root as an object with these keys.
static tn_status enter(const reader *root, const char *key, const char *where,
                       const char *const *keys, size_t key_count, reader *out_inner) {
    const json_t *object = json_object_get(root->json.object, key);
    if (object == NULL) {
        return tni_json_fail_missing(&root->json, key);
    }
    if (!json_is_object(object)) {
        return tni_json_fail_type(&root->json, key, object, "an object");
    }
    *out_inner = (reader){root->manifest, {object, root->json.kind, where, root->json.error}};
    return tni_json_check_keys(&out_inner->json, keys, key_count, TNI_MANIFEST_VERSION);
}

static bool is_word(const char *text) {
    return text[0] != '\0' && text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.-")] == '\0';
}

static tn_status read_target(const reader *root) {
    reader from;
    tni_manifest *manifest = root->manifest;
    const char **const texts[] = {&manifest->os, &manifest->arch, &manifest->libc};
    tn_status status = enter(root, "target", "target.", target_keys, 3, &from);
    for (size_t i = 0; i < 3 && status == TN_OK; i++) {
        status = read_text(&from, target_keys[i], true, 32, texts[i]);
        if (status == TN_OK && !is_word(*texts[i])) {
            status =
                tni_fail(root->json.error, TN_ERROR_INVALID_DATA, "manifest.target",
                         "\"target.%s\" is \"%s\", not [a-z0-9_.-]+", target_keys[i], *texts[i]);
        }
    }
    return status;
}

static tn_status read_abi(const reader *root) {
    reader from;
    tni_manifest *manifest = root->manifest;
    uint32_t *const numbers[] = {&manifest->abi_major, &manifest->abi_min_minor,
                                 &manifest->abi_max_minor};
    int64_t number = 0;
    tn_status status = enter(root, "abi", "abi.", abi_keys, 3, &from);
    for (size_t i = 0; i < 3 && status == TN_OK; i++) {
        status = tni_json_integer(&from.json, abi_keys[i], MAX_MINOR, &number);
        *numbers[i] = (uint32_t)number;
    }
    if (status == TN_OK && manifest->abi_min_minor > manifest->abi_max_minor) {
        status = tni_fail(root->json.error, TN_ERROR_INVALID_DATA, "manifest.abi-range",
                          "\"abi.min_minor\" %u is above \"abi.max_minor\" %u",
                          manifest->abi_min_minor, manifest->abi_max_minor);
    }
    return status;
}

static tn_status read_name(const reader *root) {
    tni_manifest *manifest = root->manifest;
    tn_status status = read_text(root, "name", true, MAX_TEXT_BYTES, &manifest->name);
    if (status == TN_OK && !tni_plugin_name_is_valid(manifest->name)) {
        status = tni_fail(root->json.error, TN_ERROR_INVALID_DATA, "manifest.name",
                          "\"name\" is \"%s\", not [a-z][a-z0-9_-]{0,31}", manifest->name);
    }
    return status;
}

// Whether a part of a relative path goes down: not empty, not "." and not "..".
static bool part_is_name(const char *part, size_t length) {
    return length > 0 && !(part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')));
}

// The library lies in or below the manifest's folder: the text allows nothing else. Links are
// judged when the file is opened.
static tn_status read_library(const reader *root) {
    tni_manifest *manifest = root->manifest;
    tn_status status = read_text(root, "library", true, MAX_PATH_BYTES, &manifest->library);
    if (status != TN_OK) {
        return status;
    }
    bool good = true;
    for (const char *part = manifest->library; good && part != NULL;) {
        const size_t length = strcspn(part, "/");
        good = part_is_name(part, length);
        part = part[length] == '/' ? part + length + 1 : NULL;
    }
    return good ? TN_OK
                : tni_fail(root->json.error, TN_ERROR_INVALID_DATA, "manifest.library-path",
                           "\"library\" is \"%.200s\": it must name a file in the manifest's "
                           "folder, without \"..\", \".\" and empty parts",
                           manifest->library);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static tn_status read_digest(const reader *root) {
    const char *text = NULL;
    tn_status status = read_text(root, "sha256", true, MAX_TEXT_BYTES, &text);
    if (status != TN_OK) {
        return status;
    }
    bool good = strlen(text) == 2 * TNI_SHA256_BYTES;
    for (size_t i = 0; i < TNI_SHA256_BYTES && good; i++) {
        const int high = hex_digit(text[2 * i]);
        const int low = hex_digit(text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        root->manifest->sha256[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    return good ? TN_OK
                : tni_fail(root->json.error, TN_ERROR_INVALID_DATA, "manifest.sha256",
                           "\"sha256\" is \"%.80s\", not 64 lower-case hexadecimal digits", text);
}

static tn_status read_requirements(const reader *root) {
    tni_manifest *manifest = root->manifest;
    tn_status status = read_list(root, "requires_cpu", &manifest->requires_cpu);
    if (status == TN_OK) {
        status = read_list(root, "requires_path", &manifest->requires_path);
    }
    for (uint32_t i = 0; i < manifest->requires_path.count && status == TN_OK; i++) {
        if (manifest->requires_path.texts[i][0] != '/') {
            status = tni_fail(root->json.error, TN_ERROR_INVALID_DATA, "manifest.requires-path",
                              "\"requires_path\" holds \"%.200s\", which is not absolute",
                              manifest->requires_path.texts[i]);
        }
    }
    return status;
}

static tn_status read_version(const reader *root) {
    int64_t version = 0;
    tn_status status = tni_json_integer(&root->json, "manifest_version", INT32_MAX, &version);
    if (status == TN_OK && version != TNI_MANIFEST_VERSION) {
        status = tni_fail(root->json.error, TN_ERROR_UNSUPPORTED, "manifest.version",
                          "\"manifest_version\" is %lld, this host reads version %d",
                          (long long)version, TNI_MANIFEST_VERSION);
    }
    return status;
}

static tn_status read_optional_texts(const reader *root) {
    tni_manifest *manifest = root->manifest;
    tn_status status = read_text(root, "vendor", false, MAX_TEXT_BYTES, &manifest->vendor);
    if (status == TN_OK) {
        status = read_text(root, "description", false, MAX_TEXT_BYTES, &manifest->description);
    }
    if (status == TN_OK) {
        status = read_text(root, "license", false, MAX_TEXT_BYTES, &manifest->license);
    }
    return status;
}

// The version comes first: a newer manifest is told from a broken one.
static tn_status read_root(const reader *root) {
    static tn_status (*const steps[])(const reader *) = {
        read_name,   read_library,        read_target,       read_abi,
        read_digest, read_optional_texts, read_requirements,
    };
    if (!json_is_object(root->json.object)) {
        return tni_fail(root->json.error, TN_ERROR_INVALID_DATA, "manifest.not-an-object",
                        "the manifest is %s, not an object", tni_json_type_text(root->json.object));
    }
    tn_status status = read_version(root);
    if (status == TN_OK) {
        status = tni_json_check_keys(&root->json, top_keys, sizeof(top_keys) / sizeof(top_keys[0]),
                                     TNI_MANIFEST_VERSION);
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == TN_OK; i++) {
        status = steps[i](root);
    }
    return status;
}

static tn_status fail_size(uint64_t size_bytes, tn_error *error) {
    return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "manifest.too-large",
                    "the manifest has %llu bytes, at most %u are read",
                    (unsigned long long)size_bytes, TNI_MANIFEST_MAX_BYTES);
}

tn_status tni_manifest_parse(const tni_alloc *alloc, const void *data, uint64_t size_bytes,
                             tni_manifest *out_manifest, tn_error *error) {
    memset(out_manifest, 0, sizeof(*out_manifest));
    tni_arena_init(&out_manifest->arena, alloc, ARENA_LIMIT_BYTES);
    if (size_bytes > TNI_MANIFEST_MAX_BYTES) {
        return fail_size(size_bytes, error);
    }
    tni_digest digest;
    tni_digest_init(&digest);
    tni_digest_update(&digest, data, size_bytes);
    tni_digest_final(&digest, out_manifest->digest);
    json_t *json = NULL;
    tn_status status = tni_json_load("manifest", data, size_bytes, &json, error);
    if (status != TN_OK) {
        return status;
    }
    const reader root = {out_manifest, {json, "manifest", "", error}};
    status = read_root(&root);
    json_decref(json);
    return status;
}

tn_status tni_manifest_read(const tni_alloc *alloc, const char *path, tni_manifest *out_manifest,
                            tn_error *error) {
    tni_file file;
    memset(out_manifest, 0, sizeof(*out_manifest));
    tn_status status = tni_file_open(path, "manifest.unreadable", &file, error);
    if (status != TN_OK) {
        return status;
    }
    if (file.size_bytes > TNI_MANIFEST_MAX_BYTES) {
        tni_file_close(&file);
        return fail_size(file.size_bytes, error);
    }
    const uint64_t room = file.size_bytes + 1;
    void *data = tni_alloc_bytes(alloc, room, TNI_ALIGNMENT);
    if (data == NULL) {
        status = tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the text of a manifest");
    } else if (!tni_file_read(&file, 0, data, file.size_bytes)) {
        status = tni_fail(error, TN_ERROR_IO, "manifest.unreadable", "%s: short read", path);
    } else {
        status = tni_manifest_parse(alloc, data, file.size_bytes, out_manifest, error);
    }
    tni_free(alloc, data, room);
    tni_file_close(&file);
    return status;
}

void tni_manifest_deinit(tni_manifest *manifest) {
    tni_arena_deinit(&manifest->arena);
    memset(manifest, 0, sizeof(*manifest));
}
