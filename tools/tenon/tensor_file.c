// SPDX-License-Identifier: Apache-2.0
// Reading and writing .npy, and what both formats share.
#include "tensor_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILE_BYTES ((long)1 << 40)

typedef struct npy_type {
    tn_dtype dtype;
    const char *descr; // NumPy's, without byte order
    uint32_t bytes;
} npy_type;

// Types after the first with the same descr are written so, but not read so.
static const npy_type types[] = {
    {TN_DTYPE_FLOAT, "f4", 4},     {TN_DTYPE_DOUBLE, "f8", 8},       {TN_DTYPE_FLOAT16, "f2", 2},
    {TN_DTYPE_INT8, "i1", 1},      {TN_DTYPE_INT16, "i2", 2},        {TN_DTYPE_INT32, "i4", 4},
    {TN_DTYPE_INT64, "i8", 8},     {TN_DTYPE_UINT8, "u1", 1},        {TN_DTYPE_UINT16, "u2", 2},
    {TN_DTYPE_UINT32, "u4", 4},    {TN_DTYPE_UINT64, "u8", 8},       {TN_DTYPE_BOOL, "b1", 1},
    {TN_DTYPE_COMPLEX64, "c8", 8}, {TN_DTYPE_COMPLEX128, "c16", 16}, {TN_DTYPE_BFLOAT16, "u2", 2},
};
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

uint32_t tensor_element_bytes(tn_dtype dtype) {
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (types[i].dtype == dtype) {
            return types[i].bytes;
        }
    }
    return 0;
}

bool tensor_count(const int64_t *dims, uint32_t rank, uint64_t *out_count) {
    uint64_t count = 1;
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] < 0 || __builtin_mul_overflow(count, (uint64_t)dims[i], &count)) {
            return false;
        }
    }
    *out_count = count;
    return true;
}

static bool complain(char *text, const char *what) {
    snprintf(text, TENSOR_TEXT_BYTES, "%s", what);
    return false;
}

// The text after 'key': in the header's dictionary, or null.
static const char *header_value(const char *header, const char *key) {
    const char *found = strstr(header, key);
    if (found == NULL) {
        return NULL;
    }
    found += strlen(key);
    while (*found == ' ') {
        found++;
    }
    if (*found != ':') {
        return NULL;
    }
    found++;
    while (*found == ' ') {
        found++;
    }
    return found;
}

static bool parse_descr(const char *header, tn_dtype *out_dtype, char *text) {
    const char *value = header_value(header, "'descr'");
    if (value == NULL || *value != '\'' ||
        (value[1] != '<' && value[1] != '|' && value[1] != '=')) {
        return complain(text, "the .npy header has no little-endian 'descr'");
    }
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        size_t size = strlen(types[i].descr);
        if (strncmp(value + 2, types[i].descr, size) == 0 && value[2 + size] == '\'') {
            *out_dtype = types[i].dtype;
            return true;
        }
    }
    return complain(text, "the .npy element type is not supported");
}

static bool parse_shape(const char *header, tensor *t, char *text) {
    const char *value = header_value(header, "'shape'");
    if (value == NULL || *value != '(') {
        return complain(text, "the .npy header has no 'shape'");
    }
    value++;
    for (;;) {
        while (*value == ' ' || *value == ',') {
            value++;
        }
        if (*value == ')') {
            return true;
        }
        char *end = NULL;
        errno = 0;
        long long size = strtoll(value, &end, 10);
        if (!isdigit((unsigned char)*value) || errno != 0 || t->rank == TN_MAX_RANK) {
            return complain(text, "the .npy shape is not a list of up to 16 sizes");
        }
        t->dims[t->rank++] = size;
        value = end;
    }
}

static bool take_data(tensor *t, const uint8_t *data, size_t available, char *text) {
    uint64_t count = 0;
    if (!tensor_count(t->dims, t->rank, &count) ||
        __builtin_mul_overflow(count, tensor_element_bytes(t->dtype), &t->size_bytes) ||
        t->size_bytes != available) {
        snprintf(text, TENSOR_TEXT_BYTES,
                 "the shape needs another number of bytes than the %zu there are", available);
        return false;
    }
    t->data = malloc(available + 1);
    if (t->data == NULL) {
        return complain(text, "out of memory");
    }
    memcpy(t->data, data, available);
    return true;
}

bool tensor_parse_npy(const uint8_t *bytes, size_t size, tensor *t, char *text) {
    static const uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    memset(t, 0, sizeof(*t));
    if (size < 12 || memcmp(bytes, magic, sizeof(magic)) != 0 || bytes[6] < 1 || bytes[6] > 3) {
        return complain(text, "not a .npy file");
    }
    size_t start = bytes[6] == 1 ? 10 : 12;
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1) {
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    }
    if (length > size - start || length > 65536) {
        return complain(text, "the .npy header is longer than the file");
    }
    char *header = malloc(length + 1);
    if (header == NULL) {
        return complain(text, "out of memory");
    }
    memcpy(header, bytes + start, length);
    header[length] = '\0';
    const char *order = header_value(header, "'fortran_order'");
    bool ok = parse_descr(header, &t->dtype, text) && parse_shape(header, t, text);
    if (ok && (order == NULL || strncmp(order, "False", 5) != 0)) {
        ok = complain(text, "Fortran order is not supported: save with numpy.ascontiguousarray");
    }
    free(header);
    return ok && take_data(t, bytes + start + length, size - start - length, text);
}

static uint8_t *read_file(const char *path, size_t *out_size, char *text) {
    uint8_t *bytes = NULL;
    struct stat info;
    // Opening a pipe would wait for a writer that may never come.
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        snprintf(text, TENSOR_TEXT_BYTES, "%s is not a regular file", path);
        return NULL;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        snprintf(text, TENSOR_TEXT_BYTES, "%s: %s", path, strerror(errno));
        return NULL;
    }
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size >= 0 && size < MAX_FILE_BYTES && fseek(file, 0, SEEK_SET) == 0) {
        bytes = malloc((size_t)size + 1);
    }
    if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        snprintf(text, TENSOR_TEXT_BYTES, "%s cannot be read", path);
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    *out_size = (size_t)size;
    return bytes;
}

bool tensor_read(const char *path, tensor *out_tensor, char text[TENSOR_TEXT_BYTES]) {
    size_t size = 0;
    size_t length = strlen(path);
    bool npy = length > 4 && strcmp(path + length - 4, ".npy") == 0;
    bool pb = length > 3 && strcmp(path + length - 3, ".pb") == 0;
    memset(out_tensor, 0, sizeof(*out_tensor));
    if (!npy && !pb) {
        snprintf(text, TENSOR_TEXT_BYTES, "%s ends neither in .npy nor in .pb", path);
        return false;
    }
    uint8_t *bytes = read_file(path, &size, text);
    if (bytes == NULL) {
        return false;
    }
    char why[TENSOR_TEXT_BYTES] = "";
    bool ok = npy ? tensor_parse_npy(bytes, size, out_tensor, why)
                  : tensor_parse_pb(bytes, size, out_tensor, why);
    free(bytes);
    if (!ok) {
        tensor_deinit(out_tensor);
        snprintf(text, TENSOR_TEXT_BYTES, "%.100s: %.140s", path, why);
    }
    return ok;
}

bool tensor_write_npy(const char *path, const tn_tensor_view *view, char text[TENSOR_TEXT_BYTES]) {
    char header[512];
    const char *descr = NULL;
    for (size_t i = 0; i < TYPE_COUNT && descr == NULL; i++) {
        descr = types[i].dtype == view->dtype ? types[i].descr : NULL;
    }
    if (descr == NULL) {
        snprintf(text, TENSOR_TEXT_BYTES, "%s: type %s cannot be written", path,
                 tn_dtype_text(view->dtype));
        return false;
    }
    int used =
        snprintf(header, sizeof(header), "{'descr': '%s%s', 'fortran_order': False, 'shape': (",
                 tensor_element_bytes(view->dtype) == 1 ? "|" : "<", descr);
    for (uint32_t i = 0; i < view->rank; i++) {
        used += snprintf(header + used, sizeof(header) - (size_t)used, "%lld,",
                         (long long)view->dims[i]);
    }
    used += snprintf(header + used, sizeof(header) - (size_t)used, "), }");
    // The data starts at a multiple of 64, the header ends in a newline.
    while ((10 + used + 1) % 64 != 0) {
        header[used++] = ' ';
    }
    header[used++] = '\n';
    const uint8_t start[] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)(used & 0xff), (uint8_t)(used >> 8)};
    FILE *file = fopen(path, "wb");
    bool ok = file != NULL && fwrite(start, 1, sizeof(start), file) == sizeof(start) &&
              fwrite(header, 1, (size_t)used, file) == (size_t)used &&
              fwrite(view->data, 1, view->size_bytes, file) == view->size_bytes;
    if (file != NULL && fclose(file) != 0) {
        ok = false;
    }
    if (!ok) {
        snprintf(text, TENSOR_TEXT_BYTES, "%s: %s", path, strerror(errno));
    }
    return ok;
}

void tensor_deinit(tensor *t) {
    free(t->data);
    memset(t, 0, sizeof(*t));
}

static double half_value(uint16_t bits) {
    int exponent = (bits >> 10) & 31;
    double mantissa = bits & 1023;
    double value = exponent == 0    ? mantissa / 16777216.0
                   : exponent == 31 ? (mantissa != 0 ? __builtin_nan("") : __builtin_inf())
                                    : (1024 + mantissa) * __builtin_ldexp(1.0, exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

double tensor_element(const void *data, tn_dtype dtype, uint64_t index) {
    uint32_t bytes = tensor_element_bytes(dtype);
    union {
        uint8_t raw[16];
        float f;
        double d;
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } element = {{0}};
    memcpy(element.raw, (const uint8_t *)data + index * bytes, bytes);
    switch (dtype) {
    case TN_DTYPE_FLOAT:
        return (double)element.f;
    case TN_DTYPE_DOUBLE:
        return element.d;
    case TN_DTYPE_FLOAT16:
        return half_value(element.u16);
    case TN_DTYPE_BFLOAT16:
        element.u32 = (uint32_t)element.u16 << 16;
        return (double)element.f;
    case TN_DTYPE_INT8:
        return element.i8;
    case TN_DTYPE_INT16:
        return element.i16;
    case TN_DTYPE_INT32:
        return element.i32;
    case TN_DTYPE_INT64:
        return (double)element.i64;
    case TN_DTYPE_UINT8:
    case TN_DTYPE_BOOL:
        return element.u8;
    case TN_DTYPE_UINT16:
        return element.u16;
    case TN_DTYPE_UINT32:
        return element.u32;
    case TN_DTYPE_UINT64:
        return (double)element.u64;
    default:
        return 0;
    }
}
