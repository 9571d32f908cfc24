// SPDX-License-Identifier: Apache-2.0
// Arrays in NumPy's files: version 1 of the format, whose header is a line of Python.
#include "npy_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES 10u   // magic, version, size of the header
#define HEADER_BYTES 1024u // what is written and read at most

static const char magic[] = "\x93NUMPY\x01";

static const char *descr(tn_dtype dtype) {
    switch (dtype) {
    case TN_DTYPE_FLOAT:
        return "<f4";
    case TN_DTYPE_DOUBLE:
        return "<f8";
    case TN_DTYPE_FLOAT16:
        return "<f2";
    case TN_DTYPE_INT64:
        return "<i8";
    case TN_DTYPE_INT32:
        return "<i4";
    case TN_DTYPE_INT8:
        return "|i1";
    case TN_DTYPE_UINT8:
        return "|u1";
    case TN_DTYPE_BOOL:
        return "|b1";
    default:
        return NULL;
    }
}

// Leaves the file at its first element.
static bool read_header(FILE *file) {
    unsigned char prefix[PREFIX_BYTES];
    char header[HEADER_BYTES];
    if (fread(prefix, 1, sizeof(prefix), file) != sizeof(prefix) ||
        memcmp(prefix, magic, sizeof(magic) - 1) != 0) {
        return false;
    }
    const size_t bytes = prefix[8] + ((size_t)prefix[9] << 8);
    if (bytes >= sizeof(header) || fread(header, 1, bytes, file) != bytes) {
        return false;
    }
    header[bytes] = '\0';
    return strstr(header, "'fortran_order': False") != NULL && strstr(header, "'>") == NULL;
}

static bool read_elements(FILE *file, void **out_data, uint64_t *out_bytes) {
    const long begin = ftell(file);
    if (begin < 0 || fseek(file, 0, SEEK_END) != 0) {
        return false;
    }
    const long end = ftell(file);
    if (end < begin || fseek(file, begin, SEEK_SET) != 0) {
        return false;
    }
    const size_t bytes = (size_t)(end - begin);
    void *data = malloc(bytes + 1); // an empty array has memory too
    if (data == NULL || fread(data, 1, bytes, file) != bytes) {
        free(data);
        return false;
    }
    *out_data = data;
    *out_bytes = bytes;
    return true;
}

bool npy_read(const char *path, void **out_data, uint64_t *out_bytes) {
    *out_data = NULL;
    *out_bytes = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    const bool good = read_header(file) && read_elements(file, out_data, out_bytes);
    fclose(file);
    return good;
}

bool npy_write(const char *path, const tn_tensor_view *view) {
    char header[HEADER_BYTES];
    const char *type = descr(view->dtype);
    FILE *file = type == NULL ? NULL : fopen(path, "wb");
    if (file == NULL) {
        return false;
    }
    int used = snprintf(header, sizeof(header),
                        "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (uint32_t k = 0; k < view->rank && used < (int)sizeof(header) - 32; k++) {
        used += snprintf(header + used, sizeof(header) - (size_t)used, "%lld,",
                         (long long)view->dims[k]);
    }
    used += snprintf(header + used, sizeof(header) - (size_t)used, "), }\n");
    const unsigned char size[2] = {(unsigned char)(used & 0xff), (unsigned char)(used >> 8)};
    bool good = fwrite(magic, 1, sizeof(magic) - 1, file) == sizeof(magic) - 1 &&
                fputc(0, file) == 0 && fwrite(size, 1, 2, file) == 2 &&
                fwrite(header, 1, (size_t)used, file) == (size_t)used &&
                fwrite(view->data, 1, view->size_bytes, file) == view->size_bytes;
    good = fclose(file) == 0 && good;
    return good;
}
