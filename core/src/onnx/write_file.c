// SPDX-License-Identifier: Apache-2.0
// Files that are written whole or not at all.
#include "onnx/write_file.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static tn_status open_failed(const char *path, int os_error, tn_error *error) {
    if (os_error == ENOENT || os_error == ENOTDIR) {
        return tni_fail(error, TN_ERROR_NOT_FOUND, "save.folder", "%s: there is no such folder",
                        path);
    }
    return tni_fail_errno(error, os_error, "save.file-open", "%s", path);
}

tn_status tni_output_open(tni_output *out, const char *path, tn_error *error) {
    *out = (tni_output){.fd = -1};
    const int used = snprintf(out->path, sizeof out->path, "%s", path);
    const int more = snprintf(out->temporary, sizeof out->temporary, "%s.%ld-%llx.tmp", path,
                              (long)getpid(), (unsigned long long)tni_clock_ns());
    if (used <= 0 || more <= 0 || (size_t)more >= sizeof out->temporary) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "save.path",
                        "the path is empty or too long");
    }
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    out->fd = open(out->temporary, flags, 0666);
    out->open = out->fd >= 0;
    return out->open ? TN_OK : open_failed(path, errno, error);
}

tn_status tni_output_write(tni_output *out, const void *data, uint64_t size_bytes,
                           tn_error *error) {
    const uint8_t *at = data;
    while (size_bytes > 0) {
        const uint64_t piece = size_bytes > (1u << 30) ? (1u << 30) : size_bytes;
        const ssize_t put = write(out->fd, at, (size_t)piece);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return tni_fail_errno(error, put < 0 ? errno : ENOSPC, "save.file-write", "%s",
                                  out->path);
        }
        at += put;
        size_bytes -= (uint64_t)put;
        out->size_bytes += (uint64_t)put;
    }
    return TN_OK;
}

tn_status tni_output_skip_to(tni_output *out, uint64_t offset_bytes, tn_error *error) {
    if (lseek(out->fd, (off_t)offset_bytes, SEEK_SET) < 0) {
        return tni_fail_errno(error, errno, "save.file-write", "%s", out->path);
    }
    out->size_bytes = offset_bytes;
    return TN_OK;
}

tn_status tni_output_finish(tni_output *out, tn_error *error) {
    int os_error = fsync(out->fd) != 0 ? errno : 0;
    if (close(out->fd) != 0 && os_error == 0) {
        os_error = errno;
    }
    out->fd = -1;
    return os_error == 0 ? TN_OK
                         : tni_fail_errno(error, os_error, "save.file-write", "%s", out->path);
}

tn_status tni_output_commit(tni_output *out, tn_error *error) {
    if (rename(out->temporary, out->path) != 0) {
        return tni_fail_errno(error, errno, "save.file-rename", "%s", out->path);
    }
    out->open = false;
    return TN_OK;
}

void tni_output_abandon(tni_output *out) {
    if (!out->open) {
        return;
    }
    if (out->fd >= 0) {
        (void)close(out->fd);
    }
    (void)unlink(out->temporary);
    out->open = false;
}
