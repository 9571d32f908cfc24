// SPDX-License-Identifier: Apache-2.0
// Where the state folder is, and whether it may be believed.
#include "loader/state_folder.h"

#include "base/string.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void tni_state_say(char out_reason[TNI_STATE_REASON_BYTES], const char *what, const char *why) {
    snprintf(out_reason, TNI_STATE_REASON_BYTES, "%.140s: %.50s", what, why);
    tni_text_sanitise(out_reason);
}

void tni_state_say_errno(char out_reason[TNI_STATE_REASON_BYTES], const char *what, int number) {
    const char *text = strerrordesc_np(number);
    tni_state_say(out_reason, what, text == NULL ? "unknown error" : text);
}

const char *tni_state_distrust(const struct stat *info) {
    return info->st_uid != geteuid()                    ? "it belongs to another user"
           : (info->st_mode & (S_IWGRP | S_IWOTH)) != 0 ? "others may write to it"
                                                        : NULL;
}

bool tni_state_folder_path(const char *configured, char out_path[PATH_MAX],
                           char out_reason[TNI_STATE_REASON_BYTES]) {
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    char base[PATH_MAX];
    int length = -1;
    out_path[0] = '\0';
    if (configured != NULL) {
        length = snprintf(out_path, PATH_MAX, "%s", configured);
        return length >= 0 && length < PATH_MAX;
    }
    if (cache != NULL && cache[0] == '/') {
        length = snprintf(base, sizeof(base), "%s", cache);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(base, sizeof(base), "%s/.cache", home);
    }
    if (length >= 0 && (size_t)length < sizeof(base)) {
        (void)mkdir(base, 0700); // a failure shows at the next step
        length = snprintf(out_path, PATH_MAX, "%s/tenon", base);
    }
    if (length <= 0 || length >= PATH_MAX) {
        tni_state_say(out_reason, "the cache folder", "neither XDG_CACHE_HOME nor HOME names one");
        return false;
    }
    return true;
}

static int open_folder(const char *path, char out_reason[TNI_STATE_REASON_BYTES]) {
    struct stat info;
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &info) != 0) {
        tni_state_say_errno(out_reason, path, errno);
    } else if (tni_state_distrust(&info) != NULL) {
        tni_state_say(out_reason, path, tni_state_distrust(&info));
    }
    if (out_reason[0] != '\0' && folder >= 0) {
        (void)close(folder);
        return -1;
    }
    return folder;
}

int tni_state_folder_open(const char *configured, char out_reason[TNI_STATE_REASON_BYTES]) {
    char path[PATH_MAX];
    out_reason[0] = '\0';
    if (!tni_state_folder_path(configured, path, out_reason)) {
        return -1;
    }
    (void)mkdir(path, 0700); // a failure shows at the next step
    return open_folder(path, out_reason);
}

int tni_state_folder_find(const char *path) {
    char unused[TNI_STATE_REASON_BYTES] = "";
    return open_folder(path, unused);
}
