// SPDX-License-Identifier: Apache-2.0
// Finding the folder of the library (or program) that this code is part of.
#include "loader/installation.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the linker put this file into: its folder, with a slash at the end. The linker knows shared
// libraries by the path they were loaded from, and the program itself by an empty name.
static bool own_folder(char out_folder[PATH_MAX]) {
    static const char anchor = 0;
    Dl_info info;
    void *extra = NULL;
    if (dladdr1(&anchor, &info, &extra, RTLD_DL_LINKMAP) == 0 || extra == NULL) {
        return false;
    }
    const struct link_map *map = extra;
    const char *path = map->l_name[0] == '\0' ? "/proc/self/exe" : map->l_name;
    if (realpath(path, out_folder) == NULL) {
        return false;
    }
    char *slash = strrchr(out_folder, '/');
    slash[1] = '\0';
    return true;
}

// paths: relative to the own folder, except the last, which is absolute.
static bool choose(const char *const *paths, uint32_t count, uint32_t index, bool secure_execution,
                   char out_path[PATH_MAX]) {
    char folder[PATH_MAX];
    out_path[0] = '\0';
    if (index >= count) {
        return false;
    }
    int length = -1;
    if (index + 1 == count) {
        length = snprintf(out_path, PATH_MAX, "%s", paths[index]);
    } else if (!secure_execution && own_folder(folder)) {
        length = snprintf(out_path, PATH_MAX, "%s%s", folder, paths[index]);
    }
    if (length < 0 || length >= PATH_MAX) {
        out_path[0] = '\0';
    }
    return true;
}

bool tni_installation_plugins(uint32_t index, bool secure_execution, char out_path[PATH_MAX]) {
    static const char *const paths[] = {TN_PLUGIN_DIR_FROM_LIB, TN_INSTALLED_PLUGIN_DIR};
    return choose(paths, 2, index, secure_execution, out_path);
}

// A build tree has its programs in bin/, beside lib/; a program with Tenon inside it may carry the
// helper in its own folder.
bool tni_installation_probe(uint32_t index, bool secure_execution, char out_path[PATH_MAX]) {
    static const char *const paths[] = {TN_PROBE_FROM_LIB, "../bin/tenon-probe", "tenon-probe",
                                        TN_INSTALLED_PROBE};
    return choose(paths, 4, index, secure_execution, out_path);
}
