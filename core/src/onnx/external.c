// SPDX-License-Identifier: Apache-2.0
// External data files: opened once each, inside the model's folder and nowhere else.
#include "onnx/importer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_LOCATION_BYTES 4096u

// Whether the location is a plain relative path: no root, no "..", no NUL.
static bool location_is_relative(tn_string location) {
    if (location.size_bytes == 0 || location.size_bytes >= MAX_LOCATION_BYTES ||
        location.data[0] == '/' ||
        memchr(location.data, '\0', (size_t)location.size_bytes) != NULL) {
        return false;
    }
    uint64_t begin = 0;
    while (begin <= location.size_bytes) {
        uint64_t end = begin;
        while (end < location.size_bytes && location.data[end] != '/') {
            end++;
        }
        if (end - begin == 2 && memcmp(location.data + begin, "..", 2) == 0) {
            return false;
        }
        begin = end + 1;
    }
    return true;
}

int tni_import_open_by_steps(int folder, char *path) {
    int at = dup(folder);
    char *step = path;
    while (at >= 0) {
        char *slash = strchr(step, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        const int flags = slash != NULL ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK;
        const int next = openat(at, *step != '\0' ? step : ".", flags | O_NOFOLLOW | O_CLOEXEC);
        const int os_error = errno;
        (void)close(at);
        errno = os_error;
        if (next < 0 || slash == NULL) {
            return next;
        }
        at = next;
        step = slash + 1;
    }
    return at;
}

// Opens a file whose every step, symbolic links included, stays below the folder.
static int open_beneath(int folder, char *path) {
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    const long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        return tni_import_open_by_steps(folder, path);
    }
    return (int)fd;
}

static tn_status open_failed(tni_importer *in, const tni_external *external, int os_error) {
    if (os_error == EXDEV || os_error == ELOOP) {
        return tni_wire_fail(&in->wire, TN_ERROR_DENIED, "onnx.external-outside", external->at,
                             "external data '%.*s' is a link out of the model's folder",
                             TNI_TEXT(external->location));
    }
    const tn_status status = os_error == ENOENT ? TN_ERROR_NOT_FOUND : TN_ERROR_IO;
    return tni_wire_fail(&in->wire, status, "onnx.external-open", external->at,
                         "external data '%.*s' cannot be opened (errno %d)",
                         TNI_TEXT(external->location), os_error);
}

static tn_status add_file(tni_importer *in, const tni_external *external, uint32_t *out_source) {
    char path[MAX_LOCATION_BYTES];
    tn_error detail;
    if (in->external_count >= in->limits.external_files) {
        return tni_wire_fail(&in->wire, TN_ERROR_LIMIT_EXCEEDED, "onnx.external-files",
                             external->at, "more than %u external data files",
                             in->limits.external_files);
    }
    (void)tni_string_copy(path, sizeof path, external->location);
    const int fd = open_beneath(in->folder, path);
    if (fd < 0) {
        return open_failed(in, external, errno);
    }
    tni_error_init(&detail);
    tn_status status = tni_model_add_file(in->model, fd, external->location, in->copy,
                                          in->limits.external_bytes, out_source, &detail);
    if (status != TN_OK) {
        (void)close(fd);
        return tni_wire_fail(&in->wire, status, detail.id, external->at, "%s", detail.text);
    }
    in->external_count++;
    status = tni_map_set(&in->externals, external->location, *out_source);
    return status == TN_OK ? TN_OK : tni_import_plain(in, status, external->at, "external data");
}

tn_status tni_import_external(tni_importer *in, const tni_external *external, uint64_t size_bytes,
                              uint32_t *out_source) {
    if (!location_is_relative(external->location)) {
        return tni_wire_fail(&in->wire, TN_ERROR_DENIED, "onnx.external-location", external->at,
                             "external data '%.*s' is no path inside the model's folder",
                             TNI_TEXT(external->location));
    }
    if (in->folder < 0) {
        return tni_wire_fail(&in->wire, TN_ERROR_DENIED, "onnx.external-folder", external->at,
                             "external data '%.*s', but the model was given without a folder",
                             TNI_TEXT(external->location));
    }
    if (!tni_map_find(&in->externals, external->location, out_source) &&
        add_file(in, external, out_source) != TN_OK) {
        return in->wire.status;
    }
    const uint64_t file_bytes = in->model->sources[*out_source].size_bytes;
    const bool inside =
        external->offset_bytes <= file_bytes && size_bytes <= file_bytes - external->offset_bytes;
    if (!inside || (external->has_length && external->length_bytes != size_bytes)) {
        return tni_wire_fail(&in->wire, TN_ERROR_INVALID_DATA, "onnx.external-range", external->at,
                             "%llu bytes at %llu of '%.*s' (length %lld) do not fit its %llu bytes",
                             (unsigned long long)size_bytes,
                             (unsigned long long)external->offset_bytes,
                             TNI_TEXT(external->location),
                             external->has_length ? (long long)external->length_bytes : -1LL,
                             (unsigned long long)file_bytes);
    }
    return TN_OK;
}
