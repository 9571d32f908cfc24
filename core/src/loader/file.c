// SPDX-License-Identifier: Apache-2.0
// Opening, reading and recognising regular files.
#include "loader/file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// O_NONBLOCK: opening a pipe or a device by mistake must not wait for its other end.
tn_status tni_file_open(const char *path, const char *error_id, tni_file *out_file,
                        tn_error *error) {
    struct stat info;
    memset(out_file, 0, sizeof(*out_file));
    out_file->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (out_file->descriptor < 0) {
        const int reason = errno;
        tn_status status = tni_fail_errno(error, reason, error_id, "%.300s", path);
        if (reason == ENOENT || reason == ENOTDIR) {
            status = TN_ERROR_NOT_FOUND;
            if (error != NULL) {
                error->status = status;
            }
        }
        return status;
    }
    tn_status status = TN_OK;
    if (fstat(out_file->descriptor, &info) != 0) {
        status = tni_fail_errno(error, errno, error_id, "%.300s", path);
    } else if (!S_ISREG(info.st_mode)) {
        status =
            tni_fail(error, TN_ERROR_INVALID_DATA, error_id, "%.300s: not a regular file", path);
    }
    if (status != TN_OK) {
        tni_file_close(out_file);
        return status;
    }
    out_file->size_bytes = (uint64_t)info.st_size;
    out_file->device = info.st_dev;
    out_file->inode = info.st_ino;
    out_file->modified = info.st_mtim;
    out_file->changed = info.st_ctim;
    return TN_OK;
}

void tni_file_close(tni_file *file) {
    if (file->descriptor >= 0) {
        (void)close(file->descriptor);
    }
    file->descriptor = -1;
}

bool tni_file_read(const tni_file *file, uint64_t offset, void *destination, uint64_t size_bytes) {
    if (offset > file->size_bytes || size_bytes > file->size_bytes - offset) {
        return false;
    }
    uint8_t *at = destination;
    while (size_bytes > 0) {
        const ssize_t got = pread(file->descriptor, at, (size_t)size_bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        at += got;
        offset += (uint64_t)got;
        size_bytes -= (uint64_t)got;
    }
    return true;
}

bool tni_file_is_at(const tni_file *file, const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && info.st_dev == file->device && info.st_ino == file->inode &&
           (uint64_t)info.st_size == file->size_bytes &&
           info.st_ctim.tv_sec == file->changed.tv_sec &&
           info.st_ctim.tv_nsec == file->changed.tv_nsec;
}
