// SPDX-License-Identifier: Apache-2.0
// A small protobuf reader for TensorProto (onnx.proto): dims 1, data_type 2, float_data 4,
// int32_data 5, int64_data 7, raw_data 9, double_data 10, uint64_data 11.
#include "support/pb_tensor.h"

#include "tenon/helper/graph_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const unsigned char *at;
    const unsigned char *end;
    uint32_t broken;
} reader;

static uint64_t read_varint(reader *r) {
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end) {
            break;
        }
        const unsigned char byte = *r->at++;
        value |= (uint64_t)(byte & 0x7fu) << shift;
        if ((byte & 0x80u) == 0) {
            return value;
        }
    }
    r->broken = 1;
    return 0;
}

// Appends the low bytes of a number to the tensor's data; what does not fit breaks the file.
static void put(reader *r, pb_tensor *tensor, uint64_t *inout_used, const void *bytes,
                uint64_t size) {
    if (size > tensor->size_bytes - *inout_used) {
        r->broken = 1;
        return;
    }
    memcpy(tensor->data + *inout_used, bytes, size);
    *inout_used += size;
}

// One field of numbers: packed (wire type 2), or a single one.
static void read_numbers(reader *r, uint32_t wire, pb_tensor *tensor, uint64_t *inout_used) {
    const uint64_t element = tn_view_dtype_bytes(tensor->dtype, 1);
    reader part = *r;
    if (wire == 2) {
        const uint64_t size = read_varint(r);
        if (size > (uint64_t)(r->end - r->at)) {
            r->broken = 1;
            return;
        }
        part = (reader){r->at, r->at + size, 0};
        r->at += size;
    } else if (wire == 5 || wire == 1) {
        const uint64_t size = wire == 5 ? 4 : 8;
        part = (reader){r->at, r->at + size, 0};
        r->at += size;
    }
    // Fixed-width fields are float and double alone; everything else is varints.
    if (tensor->dtype == TN_DTYPE_FLOAT || tensor->dtype == TN_DTYPE_DOUBLE) {
        put(r, tensor, inout_used, part.at, (uint64_t)(part.end - part.at));
        return;
    }
    do {
        const uint64_t value = read_varint(&part);
        put(r, tensor, inout_used, &value, element);
    } while (wire == 2 && part.at < part.end && !part.broken);
    if (wire == 0) {
        r->at = part.at;
    }
    r->broken |= part.broken;
}

static void read_dims(reader *r, uint32_t wire, pb_tensor *tensor) {
    const unsigned char *end = r->end;
    if (wire == 2) {
        const uint64_t size = read_varint(r);
        end = r->at + size;
    }
    do {
        if (tensor->rank == TN_MAX_RANK) {
            r->broken = 1;
            return;
        }
        tensor->dims[tensor->rank++] = (int64_t)read_varint(r);
    } while (wire == 2 && r->at < end && !r->broken);
}

static void skip(reader *r, uint32_t wire) {
    uint64_t size = wire == 1 ? 8 : 4;
    if (wire == 0 || wire == 2) {
        size = read_varint(r);
    }
    size = wire == 0 ? 0 : size;
    if (wire == 3 || wire == 4 || size > (uint64_t)(r->end - r->at)) {
        r->broken = 1;
        return;
    }
    r->at += size;
}

// Dims and type come first in the pass over the file, data in the second: the order is free.
static void read_pass(reader r, pb_tensor *tensor, uint32_t data_pass, uint32_t *out_broken) {
    uint64_t used = 0;
    while (r.at < r.end && !r.broken) {
        const uint64_t tag = read_varint(&r);
        const uint32_t wire = (uint32_t)(tag & 7u);
        const uint64_t field = tag >> 3;
        const uint32_t is_data =
            field == 4 || field == 5 || field == 7 || field == 9 || field == 10 || field == 11;
        if (!data_pass && field == 1) {
            read_dims(&r, wire, tensor);
        } else if (!data_pass && field == 2 && wire == 0) {
            tensor->dtype = (tn_dtype)read_varint(&r);
        } else if (data_pass && field == 9 && wire == 2) {
            const uint64_t size = read_varint(&r);
            put(&r, tensor, &used, r.at, size);
            r.at += size;
        } else if (data_pass && is_data) {
            read_numbers(&r, wire, tensor, &used);
        } else {
            skip(&r, wire);
        }
    }
    *out_broken = r.broken | (data_pass && used != tensor->size_bytes ? 1u : 0u);
}

static unsigned char *read_file(const char *path, long *out_size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    unsigned char *bytes = NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (*out_size = ftell(file)) >= 0) {
        rewind(file);
        bytes = malloc((size_t)*out_size + 1);
        if (bytes != NULL && fread(bytes, 1, (size_t)*out_size, file) != (size_t)*out_size) {
            free(bytes);
            bytes = NULL;
        }
    }
    (void)fclose(file);
    return bytes;
}

uint32_t pb_tensor_read(const char *path, pb_tensor *out_tensor) {
    long size = 0;
    unsigned char *bytes = read_file(path, &size);
    *out_tensor = (pb_tensor){0};
    if (bytes == NULL) {
        return 0;
    }
    const reader r = {bytes, bytes + size, 0};
    uint32_t broken = 0;
    read_pass(r, out_tensor, 0, &broken);
    out_tensor->count = 1;
    for (uint32_t i = 0; i < out_tensor->rank; ++i) {
        out_tensor->count *= (uint64_t)out_tensor->dims[i];
    }
    out_tensor->size_bytes = tn_view_dtype_bytes(out_tensor->dtype, out_tensor->count);
    if (tn_view_dtype_bytes(out_tensor->dtype, 1) == 0 || out_tensor->size_bytes > (1ull << 30)) {
        broken = 1;
    }
    if (!broken) {
        out_tensor->data = calloc(1, out_tensor->size_bytes + 1);
        broken = out_tensor->data == NULL ? 1u : 0u;
    }
    if (!broken) {
        read_pass(r, out_tensor, 1, &broken);
    }
    free(bytes);
    if (broken) {
        pb_tensor_deinit(out_tensor);
        return 0;
    }
    return 1;
}

void pb_tensor_deinit(pb_tensor *tensor) {
    free(tensor->data);
    *tensor = (pb_tensor){0};
}
