// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "loader/state_file.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t read_all(int file, const char *name, void *out_data, size_t capacity,
                       char out_reason[TNI_STATE_REASON_BYTES]) {
    size_t size = 0;
    ssize_t got = 1;
    while (got > 0 && size < capacity) {
        got = read(file, (char *)out_data + size, capacity - size);
        size += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        tni_state_say_errno(out_reason, name, errno);
        return 0;
    }
    if (size == 0) {
        tni_state_say(out_reason, name, "it is cut off");
    }
    return size;
}

size_t tni_state_file_read(int folder, const char *name, void *out_data, size_t capacity,
                           char out_reason[TNI_STATE_REASON_BYTES]) {
    struct stat info;
    size_t size = 0;
    const int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) {
        if (errno != ENOENT) {
            tni_state_say_errno(out_reason, name, errno);
        }
        return 0;
    }
    if (fstat(file, &info) != 0) {
        tni_state_say_errno(out_reason, name, errno);
    } else if (!S_ISREG(info.st_mode)) {
        tni_state_say(out_reason, name, "it is not a regular file");
    } else if (tni_state_distrust(&info) != NULL) {
        tni_state_say(out_reason, name, tni_state_distrust(&info));
    } else {
        size = read_all(file, name, out_data, capacity, out_reason);
    }
    (void)close(file);
    return size;
}

static bool write_all(int folder, const char *name, const void *data, size_t size_bytes,
                      char out_reason[TNI_STATE_REASON_BYTES]) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int file = openat(folder, name, flags, 0600);
    size_t done = 0;
    int reason = 0;
    if (file < 0) {
        tni_state_say_errno(out_reason, name, errno);
        return false;
    }
    while (done < size_bytes && reason == 0) {
        const ssize_t put = write(file, (const char *)data + done, size_bytes - done);
        reason = put > 0 ? 0 : put < 0 ? errno : ENOSPC;
        done += put > 0 ? (size_t)put : 0;
    }
    if (close(file) != 0 && reason == 0) {
        reason = errno;
    }
    if (reason != 0) {
        tni_state_say_errno(out_reason, name, reason);
    }
    return reason == 0;
}

bool tni_state_file_write(int folder, const char *name, const void *data, size_t size_bytes,
                          char out_reason[TNI_STATE_REASON_BYTES]) {
    char temporary[TNI_STATE_NAME_BYTES + 64];
    snprintf(temporary, sizeof(temporary), "%.*s.%ld-%llx", (int)TNI_STATE_NAME_BYTES - 1, name,
             (long)getpid(), (unsigned long long)tni_clock_ns());
    bool done = write_all(folder, temporary, data, size_bytes, out_reason);
    if (done && renameat(folder, temporary, folder, name) != 0) {
        tni_state_say_errno(out_reason, name, errno);
        done = false;
    }
    if (!done) {
        (void)unlinkat(folder, temporary, 0);
    }
    return done;
}
