// SPDX-License-Identifier: Apache-2.0
// Where raw bytes of constants come from: mapped files, copied files, the caller's memory.
#include "graph/source.h"

#include "base/error.h"
#include "graph/graph.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void tni_source_close(const tni_alloc *alloc, tni_source *source) {
    if (source->kind == TNI_SOURCE_MAPPED && source->size_bytes > 0) {
        // munmap takes a plain pointer; the bytes were never ours to write.
        (void)munmap((void *)(uintptr_t)source->data, (size_t)source->size_bytes);
    } else if (source->kind == TNI_SOURCE_COPIED) {
        tni_free(alloc, (void *)(uintptr_t)source->data, source->size_bytes);
    }
    if (source->fd >= 0) {
        (void)close(source->fd);
    }
    *source = (tni_source){.fd = -1};
}

tn_status tni_source_check(const tni_source *source, tn_error *error) {
    struct stat info;
    if (source->kind != TNI_SOURCE_MAPPED) {
        return TN_OK;
    }
    if (fstat(source->fd, &info) != 0) {
        return tni_fail_errno(error, errno, "model.file-stat", "%.*s", TNI_TEXT(source->path));
    }
    if ((uint64_t)info.st_size < source->size_bytes) {
        return tni_fail(error, TN_ERROR_IO, "model.file-changed",
                        "%.*s: shrank from %llu to %llu bytes while in use", TNI_TEXT(source->path),
                        (unsigned long long)source->size_bytes, (unsigned long long)info.st_size);
    }
    return TN_OK;
}

static tn_status read_file(int fd, tn_string path, uint64_t offset_bytes, uint64_t size_bytes,
                           void *destination, tn_error *error) {
    uint8_t *at = destination;
    while (size_bytes > 0) {
        const uint64_t piece = size_bytes > (1u << 30) ? (1u << 30) : size_bytes;
        const ssize_t got = pread(fd, at, (size_t)piece, (off_t)offset_bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return tni_fail_errno(error, errno, "model.file-read", "%.*s", TNI_TEXT(path));
        }
        if (got == 0) {
            return tni_fail_at(error, TN_ERROR_IO, "model.file-changed", offset_bytes,
                               "%.*s: ends at byte %llu, before the data it had", TNI_TEXT(path),
                               (unsigned long long)offset_bytes);
        }
        at += got;
        offset_bytes += (uint64_t)got;
        size_bytes -= (uint64_t)got;
    }
    return TN_OK;
}

tn_status tni_source_read(const tni_source *source, uint64_t offset_bytes, uint64_t size_bytes,
                          void *destination, tn_error *error) {
    if (size_bytes == 0) {
        return TN_OK;
    }
    if (source->kind == TNI_SOURCE_MAPPED) {
        return read_file(source->fd, source->path, offset_bytes, size_bytes, destination, error);
    }
    memcpy(destination, source->data + offset_bytes, (size_t)size_bytes);
    return TN_OK;
}

static tn_status add_source(tni_model *model, const tni_source *source, uint32_t *out_id) {
    const tn_status status =
        tni_grow(&model->alloc, (void **)&model->sources, &model->source_capacity,
                 (uint64_t)model->source_count + 1, sizeof *model->sources);
    *out_id = TN_NONE;
    if (status == TN_OK) {
        *out_id = model->source_count++;
        model->sources[*out_id] = *source;
    }
    return status;
}

tn_status tni_model_add_buffer(tni_model *model, const void *data, uint64_t size_bytes, bool copy,
                               uint32_t *out_id) {
    tni_source source = {
        .kind = TNI_SOURCE_BUFFER, .fd = -1, .data = data, .size_bytes = size_bytes};
    *out_id = TN_NONE;
    if (copy && size_bytes > 0) {
        uint8_t *bytes = tni_alloc_bytes(&model->alloc, size_bytes, TNI_ALIGNMENT);
        if (bytes == NULL) {
            return TN_ERROR_OUT_OF_MEMORY;
        }
        memcpy(bytes, data, (size_t)size_bytes);
        source.kind = TNI_SOURCE_COPIED;
        source.data = bytes;
    }
    const tn_status status = add_source(model, &source, out_id);
    if (status != TN_OK && source.kind == TNI_SOURCE_COPIED) {
        tni_source_close(&model->alloc, &source);
    }
    return status;
}

static tn_status fill_copy(tni_model *model, int fd, tni_source *source, tn_error *error) {
    source->kind = TNI_SOURCE_COPIED;
    source->fd = -1;
    if (source->size_bytes == 0) {
        return TN_OK;
    }
    uint8_t *bytes = tni_alloc_bytes(&model->alloc, source->size_bytes, TNI_ALIGNMENT);
    if (bytes == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "copy of the model file");
    }
    source->data = bytes;
    const tn_status status = read_file(fd, source->path, 0, source->size_bytes, bytes, error);
    if (status != TN_OK) {
        tni_free(&model->alloc, bytes, source->size_bytes);
        source->data = NULL;
    }
    return status;
}

static tn_status fill_mapping(int fd, tni_source *source, tn_error *error) {
    source->kind = TNI_SOURCE_MAPPED;
    source->fd = -1;
    if (source->size_bytes > 0) {
        void *data = mmap(NULL, (size_t)source->size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            return tni_fail_errno(error, errno, "model.file-map", "%.*s", TNI_TEXT(source->path));
        }
        source->data = data;
    }
    return TN_OK;
}

tn_status tni_model_add_file(tni_model *model, int fd, tn_string path, bool copy,
                             uint64_t max_bytes, uint32_t *out_id, tn_error *error) {
    struct stat info;
    tni_source source = {.fd = -1};
    *out_id = TN_NONE;
    if (fstat(fd, &info) != 0) {
        return tni_fail_errno(error, errno, "model.file-stat", "%.*s", TNI_TEXT(path));
    }
    if (!S_ISREG(info.st_mode)) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "model.file-kind", "%.*s: not a regular file",
                        TNI_TEXT(path));
    }
    source.size_bytes = (uint64_t)info.st_size;
    if (source.size_bytes > max_bytes) {
        return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "model.file-size",
                        "%.*s: %llu bytes, the limit is %llu", TNI_TEXT(path),
                        (unsigned long long)source.size_bytes, (unsigned long long)max_bytes);
    }
    tn_status status = tni_arena_text(&model->arena, path, &source.path);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "model file");
    }
    status = copy ? fill_copy(model, fd, &source, error) : fill_mapping(fd, &source, error);
    if (status != TN_OK) {
        return status;
    }
    status = add_source(model, &source, out_id);
    if (status != TN_OK) {
        tni_source_close(&model->alloc, &source);
        return tni_fail_plain(error, status, "model file");
    }
    // From here the model owns the descriptor; a copy has no use for it.
    if (copy) {
        (void)close(fd);
    } else {
        model->sources[*out_id].fd = fd;
    }
    return TN_OK;
}

tn_status tni_model_check_sources(const tni_model *model, tn_error *error) {
    for (uint32_t i = 0; i < model->source_count; i++) {
        const tn_status status = tni_source_check(&model->sources[i], error);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}
