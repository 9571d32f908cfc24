// SPDX-License-Identifier: Apache-2.0
// A temporary folder with plugins and manifests in it, right or wrong, and a host that searches it.
// Whatever cannot be done aborts the test.
#ifndef TENON_TESTS_PLUGIN_FOLDER_H
#define TENON_TESTS_PLUGIN_FOLDER_H

#include "tenon/host.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct plugin_folder {
    char path[128];
} plugin_folder;

void plugin_folder_init(plugin_folder *folder);
// Removes it with everything in it.
void plugin_folder_deinit(plugin_folder *folder);
void plugin_folder_clear(plugin_folder *folder);
void plugin_folder_add_folder(const plugin_folder *folder, const char *name);
void plugin_folder_write(const plugin_folder *folder, const char *name, const void *data,
                         size_t size_bytes);
void plugin_folder_copy(const plugin_folder *folder, const char *source, const char *name);
void plugin_folder_link(const plugin_folder *folder, const char *target, const char *name);
// Writes "path/name" of the folder.
void plugin_folder_join(const plugin_folder *folder, const char *name, char out_path[256]);
// Reads a whole file; free with free.
unsigned char *plugin_folder_read(const char *path, size_t *out_size_bytes);

// What a manifest says. Null texts are left out; lists are JSON.
typedef struct manifest_fields {
    const char *name;
    const char *library;
    const char *os;
    const char *arch;
    const char *libc;
    const char *requires_cpu;
    const char *requires_path;
    const char *sha256; // null: the library's
    int abi_major;
    int abi_min_minor;
    int abi_max_minor;
} manifest_fields;

// What is right for a library of this name in the folder.
void manifest_fields_init(manifest_fields *fields, const char *name, const char *library);
void plugin_folder_manifest(const plugin_folder *folder, const char *file,
                            const manifest_fields *fields);
// The library `source` as stem.so with a right manifest stem.tenon.json.
void plugin_folder_add(const plugin_folder *folder, const char *source, const char *stem,
                       const char *name);
// The null plugin of the build tree, whose name is "null".
void plugin_folder_add_good(const plugin_folder *folder);

// A configuration that searches this folder only, with the build tree's helper and without recorded
// verdicts. *inout_dir keeps
// the list that config points to.
void plugin_folder_config(const plugin_folder *folder, const char **inout_dir,
                          tn_host_config *out_config);

// The index-th entry whose name is this; false when there are not so many.
bool plugin_folder_find(const tn_host *host, const char *name, uint32_t index,
                        tn_load_entry *out_entry);
// Fails the test unless the null plugin is ready and has its device.
void plugin_folder_assert_good(const tn_host *host);

#endif // TENON_TESTS_PLUGIN_FOLDER_H
