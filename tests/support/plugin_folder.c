// SPDX-License-Identifier: Apache-2.0
// Folders of plugins for tests of the loader.
#include "support/plugin_folder.h"

#include "tenon/abi/verdict.h"

#include <ftw.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void plugin_folder_init(plugin_folder *folder) {
    const char *base = getenv("TMPDIR");
    snprintf(folder->path, sizeof(folder->path), "%s/tenon-test-XXXXXX",
             base == NULL || base[0] != '/' || strlen(base) > 64 ? "/tmp" : base);
    assert_non_null(mkdtemp(folder->path));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *position) {
    (void)info;
    (void)type;
    return position->level == 0 ? 0 : remove(path);
}

void plugin_folder_clear(plugin_folder *folder) {
    assert_int_equal(nftw(folder->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void plugin_folder_deinit(plugin_folder *folder) {
    plugin_folder_clear(folder);
    assert_int_equal(rmdir(folder->path), 0);
}

void plugin_folder_join(const plugin_folder *folder, const char *name, char out_path[256]) {
    const int length = snprintf(out_path, 256, "%s/%s", folder->path, name);
    assert_in_range(length, 1, 255);
}

void plugin_folder_add_folder(const plugin_folder *folder, const char *name) {
    char path[256];
    plugin_folder_join(folder, name, path);
    assert_int_equal(mkdir(path, 0700), 0);
}

// A new file each time: one that is mapped must not change under the process that maps it.
void plugin_folder_write(const plugin_folder *folder, const char *name, const void *data,
                         size_t size_bytes) {
    char path[256];
    plugin_folder_join(folder, name, path);
    (void)unlink(path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(size_bytes == 0 ? 0 : fwrite(data, 1, size_bytes, file), size_bytes);
    assert_int_equal(fclose(file), 0);
}

unsigned char *plugin_folder_read(const char *path, size_t *out_size_bytes) {
    struct stat info;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &info), 0);
    *out_size_bytes = (size_t)info.st_size;
    unsigned char *data = malloc(*out_size_bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *out_size_bytes, file), *out_size_bytes);
    fclose(file);
    return data;
}

void plugin_folder_copy(const plugin_folder *folder, const char *source, const char *name) {
    size_t size = 0;
    unsigned char *data = plugin_folder_read(source, &size);
    plugin_folder_write(folder, name, data, size);
    free(data);
}

void plugin_folder_link(const plugin_folder *folder, const char *target, const char *name) {
    char path[256];
    plugin_folder_join(folder, name, path);
    assert_int_equal(symlink(target, path), 0);
}

void manifest_fields_init(manifest_fields *fields, const char *name, const char *library) {
    *fields = (manifest_fields) {
        .name = name, .library = library, .os = "linux",
#if defined(__aarch64__)
        .arch = "aarch64",
#else
        .arch = "x86_64",
#endif
        .libc = "glibc", .requires_cpu = "[]", .requires_path = "[]",
        .abi_major = TN_ABI_VERSION_MAJOR, .abi_min_minor = 0,
        .abi_max_minor = TN_ABI_VERSION_MINOR,
    };
}

static void digest_of(const plugin_folder *folder, const char *library, char out_text[65]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    char path[256];
    size_t size = 0;
    plugin_folder_join(folder, library, path);
    memset(digest, 0, sizeof(digest));
    if (access(path, R_OK) == 0) {
        unsigned char *data = plugin_folder_read(path, &size);
        crypto_hash_sha256(digest, data, size);
        free(data);
    }
    sodium_bin2hex(out_text, 65, digest, sizeof(digest));
}

void plugin_folder_manifest(const plugin_folder *folder, const char *file,
                            const manifest_fields *fields) {
    char text[2048];
    char digest[65];
    digest_of(folder, fields->library, digest);
    const int length = snprintf(
        text, sizeof(text),
        "{\"manifest_version\": 1, \"name\": \"%s\", \"vendor\": \"Test\", \"library\": \"%s\",\n"
        "\"target\": {\"os\": \"%s\", \"arch\": \"%s\", \"libc\": \"%s\"},\n"
        "\"abi\": {\"major\": %d, \"min_minor\": %d, \"max_minor\": %d},\n"
        "\"sha256\": \"%s\", \"requires_cpu\": %s, \"requires_path\": %s}\n",
        fields->name, fields->library, fields->os, fields->arch, fields->libc, fields->abi_major,
        fields->abi_min_minor, fields->abi_max_minor,
        fields->sha256 == NULL ? digest : fields->sha256, fields->requires_cpu,
        fields->requires_path);
    assert_in_range(length, 1, sizeof(text) - 1);
    plugin_folder_write(folder, file, text, (size_t)length);
}

void plugin_folder_add(const plugin_folder *folder, const char *source, const char *stem,
                       const char *name) {
    char library[128];
    char manifest[128];
    manifest_fields fields;
    snprintf(library, sizeof(library), "%s.so", stem);
    snprintf(manifest, sizeof(manifest), "%s.tenon.json", stem);
    plugin_folder_copy(folder, source, library);
    manifest_fields_init(&fields, name, library);
    plugin_folder_manifest(folder, manifest, &fields);
}

void plugin_folder_add_good(const plugin_folder *folder) {
    plugin_folder_add(folder, TN_TEST_PLUGIN_DIR "/null.so", "null", "null");
}

void plugin_folder_config(const plugin_folder *folder, const char **inout_dir,
                          tn_host_config *out_config) {
    tn_host_config_init(out_config);
    *inout_dir = folder->path;
    out_config->search = TN_SEARCH_NONE;
    out_config->search_dirs = inout_dir;
    out_config->search_dir_count = 1;
    out_config->probe_path = TN_TEST_PROBE;
    out_config->no_probe_cache = 1;
}

bool plugin_folder_find(const tn_host *host, const char *name, uint32_t index,
                        tn_load_entry *out_entry) {
    for (uint32_t i = 0; i < tn_host_load_count(host); i++) {
        memset(out_entry, 0xa5, sizeof(*out_entry));
        out_entry->struct_size = sizeof(*out_entry);
        out_entry->struct_type = TN_STRUCT_LOAD_ENTRY;
        assert_int_equal(tn_host_load_get(host, i, out_entry), TN_OK);
        if (strcmp(out_entry->name, name) == 0 && index-- == 0) {
            return true;
        }
    }
    return false;
}

void plugin_folder_assert_good(const tn_host *host) {
    tn_load_entry entry;
    assert_true(plugin_folder_find(host, "null", 0, &entry));
    assert_string_equal(entry.text, "");
    assert_int_equal(entry.status, TN_OK);
    assert_int_equal(entry.stage, TN_LOAD_READY);
    assert_int_equal(entry.reason, TN_REASON_NONE);
    assert_int_equal(entry.device_count, 1);
    assert_int_not_equal(tn_host_device_find(host, "null:null"), TN_NONE);
}
