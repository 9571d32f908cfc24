// SPDX-License-Identifier: Apache-2.0
// Where plugins are looked for, and in which order: the paths given, the folders given, the
// environment, the user's folder, the installation's.
#include "loader/candidate.h"
#include "loader/installation.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/string.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_NAMES 4096u
#define NAMES_LIMIT_BYTES (4u << 20)
#define MAX_FOLDERS 64u

// A folder is searched once, however many ways lead to it.
typedef struct search {
    tni_loader *loader;
    uint32_t visited_count;
    struct {
        dev_t device;
        ino_t inode;
    } visited[MAX_FOLDERS];
} search;

// The manifests of one folder.
typedef struct name_list {
    tni_arena arena;
    const char **names;
    uint32_t count;
    uint32_t capacity;
} name_list;

// Records that a folder was not searched.
static tn_status report(search *own, tn_load_source source, const char *folder, tn_load_stage stage,
                        const tn_error *error) {
    tni_load_record *record = NULL;
    tn_status status = tni_loader_add_record(own->loader, source, folder, folder, &record);
    if (status == TN_OK) {
        tni_load_record_fail(record, stage,
                             stage == TN_LOAD_POLICY ? TN_REASON_USER_FORBID : TN_REASON_NOT_USABLE,
                             error);
    }
    return status;
}

static bool is_manifest_name(const char *name) {
    const size_t length = strlen(name);
    const size_t suffix = sizeof(TNI_MANIFEST_SUFFIX) - 1;
    return name[0] != '.' && length > suffix &&
           strcmp(name + length - suffix, TNI_MANIFEST_SUFFIX) == 0;
}

static tn_status add_name(const tni_alloc *alloc, name_list *list, const char *name) {
    void *names = list->names;
    tn_string copy = {NULL, 0};
    if (list->count >= MAX_NAMES) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    tn_status status =
        tni_grow(alloc, &names, &list->capacity, (uint64_t)list->count + 1, sizeof(*list->names));
    list->names = names;
    if (status == TN_OK) {
        status = tni_arena_text(&list->arena, tni_string_of(name), &copy);
    }
    if (status == TN_OK) {
        list->names[list->count++] = copy.data;
    }
    return status;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static tn_status list_names(const tni_alloc *alloc, DIR *folder, name_list *list) {
    tn_status status = TN_OK;
    const struct dirent *entry = NULL;
    while (status == TN_OK && (entry = readdir(folder)) != NULL) {
        if (is_manifest_name(entry->d_name)) {
            status = add_name(alloc, list, entry->d_name);
        }
    }
    if (list->count > 0) {
        qsort(list->names, list->count, sizeof(*list->names), compare_names);
    }
    return status;
}

// The record of a manifest that cannot be read has the file's name without its ending.
static tn_status load_name(search *own, tn_load_source source, const char *folder,
                           const char *name) {
    char path[PATH_MAX];
    char stem[NAME_MAX + 1];
    const size_t stem_bytes = strlen(name) - (sizeof(TNI_MANIFEST_SUFFIX) - 1);
    snprintf(stem, sizeof(stem), "%.*s", (int)stem_bytes, name);
    const int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        return TN_OK; // opendir took the folder, so only a path that the system refuses gets here
    }
    return tni_candidate_load(own->loader, source, stem, path);
}

// Whether the open folder was searched already; else notes it.
static bool seen(search *own, DIR *folder) {
    struct stat info;
    if (fstat(dirfd(folder), &info) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < own->visited_count; i++) {
        if (own->visited[i].device == info.st_dev && own->visited[i].inode == info.st_ino) {
            return true;
        }
    }
    if (own->visited_count < MAX_FOLDERS) {
        own->visited[own->visited_count].device = info.st_dev;
        own->visited[own->visited_count++].inode = info.st_ino;
    }
    return false;
}

static tn_status search_open_folder(search *own, tn_load_source source, const char *path,
                                    DIR *folder) {
    const tni_alloc *alloc = &own->loader->alloc;
    name_list list = {.count = 0};
    tn_error error;
    tni_error_init(&error);
    tni_arena_init(&list.arena, alloc, NAMES_LIMIT_BYTES);
    tn_status status = list_names(alloc, folder, &list);
    if (status == TN_ERROR_LIMIT_EXCEEDED) {
        (void)tni_fail(&error, status, "load.too-many", "%.300s: more than %u manifests", path,
                       MAX_NAMES);
        status = report(own, source, path, TN_LOAD_FOUND, &error);
    }
    for (uint32_t i = 0; i < list.count && status == TN_OK; i++) {
        status = load_name(own, source, path, list.names[i]);
    }
    tni_free_array(alloc, list.names, list.capacity, sizeof(*list.names));
    tni_arena_deinit(&list.arena);
    return status;
}

// explicit_folder: somebody named it, so it is worth a word when it is not there.
static tn_status search_folder(search *own, tn_load_source source, const char *path,
                               bool explicit_folder) {
    DIR *folder = opendir(path);
    const int reason = folder == NULL ? errno : 0;
    tn_status noted = tni_loader_add_folder(own->loader, source, path,
                                            reason == 0        ? TN_OK
                                            : reason == ENOENT ? TN_ERROR_NOT_FOUND
                                                               : TN_ERROR_IO);
    if (noted != TN_OK) {
        if (folder != NULL) {
            (void)closedir(folder);
        }
        return noted;
    }
    if (folder == NULL) {
        if (!explicit_folder && (reason == ENOENT || reason == ENOTDIR)) {
            return TN_OK;
        }
        tn_error error;
        tni_error_init(&error);
        (void)tni_fail_errno(&error, reason, "load.folder", "%.300s", path);
        error.status = reason == ENOENT ? TN_ERROR_NOT_FOUND : TN_ERROR_IO;
        return report(own, source, path, TN_LOAD_FOUND, &error);
    }
    tn_status status = seen(own, folder) ? TN_OK : search_open_folder(own, source, path, folder);
    (void)closedir(folder);
    return status;
}

static tn_status search_environment(search *own) {
    const char *rest = getenv("TENON_PLUGIN_PATH");
    tn_status status = TN_OK;
    if (rest == NULL || rest[0] == '\0') {
        return TN_OK;
    }
    if (own->loader->secure_execution) {
        tn_error error;
        tni_error_init(&error);
        (void)tni_fail(&error, TN_ERROR_DENIED, "load.secure",
                       "TENON_PLUGIN_PATH is ignored: this process has raised privileges");
        return report(own, TN_SOURCE_ENVIRONMENT, "TENON_PLUGIN_PATH", TN_LOAD_POLICY, &error);
    }
    while (rest != NULL && status == TN_OK) {
        char folder[PATH_MAX];
        const size_t length = strcspn(rest, ":");
        if (length > 0 && length < sizeof(folder)) {
            memcpy(folder, rest, length);
            folder[length] = '\0';
            status = search_folder(own, TN_SOURCE_ENVIRONMENT, folder, true);
        }
        rest = rest[length] == ':' ? rest + length + 1 : NULL;
    }
    return status;
}

// A base folder that is not absolute is ignored, as the XDG rules ask.
static tn_status search_user(search *own) {
    char folder[PATH_MAX];
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    if (own->loader->secure_execution) {
        return TN_OK;
    }
    if (data != NULL && data[0] == '/') {
        length = snprintf(folder, sizeof(folder), "%s/tenon/plugins", data);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(folder, sizeof(folder), "%s/.local/share/tenon/plugins", home);
    }
    return length < 0 || (size_t)length >= sizeof(folder)
               ? TN_OK
               : search_folder(own, TN_SOURCE_USER, folder, false);
}

static tn_status search_system(search *own) {
    char folder[PATH_MAX];
    tn_status status = TN_OK;
    for (uint32_t i = 0; status == TN_OK; i++) {
        if (!tni_installation_plugins(i, own->loader->secure_execution, folder)) {
            break;
        }
        if (folder[0] != '\0') {
            status = search_folder(own, TN_SOURCE_SYSTEM, folder, false);
        }
    }
    return status;
}

// The file's name without folder and endings: what policy sees until the plugin says its own name.
static tn_status load_path(search *own, const char *path) {
    char stem[TNI_PLUGIN_TEXT_BYTES];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    snprintf(stem, sizeof(stem), "%.*s", (int)strcspn(name, "."), name);
    return tni_candidate_load(own->loader, TN_SOURCE_PATH, stem, path);
}

tn_status tni_loader_search(tni_loader *loader) {
    const tn_host_config *config = loader->config;
    search own = {.loader = loader};
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < config->plugin_path_count && status == TN_OK; i++) {
        status = load_path(&own, config->plugin_paths[i]);
    }
    for (uint32_t i = 0; i < config->search_dir_count && status == TN_OK; i++) {
        status = search_folder(&own, TN_SOURCE_DIR, config->search_dirs[i], true);
    }
    if (status == TN_OK && (config->search & TN_SEARCH_ENVIRONMENT) != 0) {
        status = search_environment(&own);
    }
    if (status == TN_OK && (config->search & TN_SEARCH_USER) != 0) {
        status = search_user(&own);
    }
    if (status == TN_OK && (config->search & TN_SEARCH_SYSTEM) != 0) {
        status = search_system(&own);
    }
    return status;
}
