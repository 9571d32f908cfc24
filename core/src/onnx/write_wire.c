// SPDX-License-Identifier: Apache-2.0
// The stream of bytes: protobuf's wire format, a block that collects small writes, and constants
// that pass through it. Little-endian on the wire and here.
#include "onnx/wire.h"
#include "onnx/writer.h"

#include <string.h>

void tni_write_plain(tni_writer *w, tn_status status) {
    if (w->status == TN_OK && status != TN_OK) {
        w->status = tni_fail_plain(w->error, status, "saving a model");
    }
}

void tni_put_flush(tni_writer *w) {
    if (w->status == TN_OK && w->used > 0) {
        w->status = tni_output_write(w->file, w->block, w->used, w->error);
    }
    w->used = 0;
}

void tni_put_bytes(tni_writer *w, const void *data, uint64_t size_bytes) {
    if (w->counting) {
        w->counted += size_bytes;
        return;
    }
    const uint8_t *at = data;
    while (size_bytes > 0 && w->status == TN_OK) {
        const uint64_t room = TNI_WRITE_BLOCK_BYTES - w->used;
        const uint64_t piece = size_bytes < room ? size_bytes : room;
        memcpy(w->block + w->used, at, (size_t)piece);
        w->used += piece;
        at += piece;
        size_bytes -= piece;
        if (w->used == TNI_WRITE_BLOCK_BYTES) {
            tni_put_flush(w);
        }
    }
}

static void put_raw_varint(tni_writer *w, uint64_t value) {
    uint8_t bytes[10];
    uint32_t count = 0;
    do {
        const uint8_t low = (uint8_t)(value & 0x7f);
        value >>= 7;
        bytes[count++] = value != 0 ? (uint8_t)(low | 0x80) : low;
    } while (value != 0);
    tni_put_bytes(w, bytes, count);
}

static void put_tag(tni_writer *w, uint32_t field, tni_wire_type type) {
    put_raw_varint(w, (uint64_t)field << 3 | (uint64_t)type);
}

void tni_put_varint(tni_writer *w, uint32_t field, uint64_t value) {
    put_tag(w, field, TNI_WIRE_VARINT);
    put_raw_varint(w, value);
}

void tni_put_float(tni_writer *w, uint32_t field, float value) {
    put_tag(w, field, TNI_WIRE_FIXED32);
    tni_put_bytes(w, &value, sizeof value);
}

void tni_put_head(tni_writer *w, uint32_t field, uint64_t size_bytes) {
    put_tag(w, field, TNI_WIRE_BYTES);
    put_raw_varint(w, size_bytes);
}

void tni_put_text(tni_writer *w, uint32_t field, tn_string text) {
    tni_put_head(w, field, text.size_bytes);
    tni_put_bytes(w, text.data, text.size_bytes);
}

void tni_put_name(tni_writer *w, uint32_t field, tn_string text) {
    if (text.size_bytes > 0) {
        tni_put_text(w, field, text);
    }
}

uint64_t tni_put_measure(tni_writer *w, tni_write_fn write, const void *item) {
    const bool was_counting = w->counting;
    const uint64_t before = w->counted;
    w->counting = true;
    w->counted = 0;
    write(w, item);
    const uint64_t size_bytes = w->counted;
    w->counting = was_counting;
    w->counted = before;
    return size_bytes;
}

void tni_put_message(tni_writer *w, uint32_t field, tni_write_fn write, const void *item) {
    if (w->status != TN_OK) {
        return;
    }
    const uint64_t size_bytes = tni_put_measure(w, write, item);
    tni_put_head(w, field, size_bytes);
    if (w->counting) {
        w->counted += size_bytes;
    } else {
        write(w, item);
    }
}

// Reading a transpose of a recipe in pieces would compute its source anew for each of them.
static bool reads_at_once(const tni_model *model, const tni_constant *constant) {
    return constant->kind == TNI_CONSTANT_RECIPE &&
           constant->recipe->kind == TNI_RECIPE_TRANSPOSE &&
           model->constants[constant->recipe->sources[0]].kind == TNI_CONSTANT_RECIPE;
}

static void put_at_once(tni_writer *w, uint32_t constant) {
    const uint64_t size_bytes = w->model->constants[constant].size_bytes;
    uint8_t *whole = tni_alloc_bytes(&w->model->alloc, size_bytes, TNI_ALIGNMENT);
    if (whole == NULL) {
        tni_write_plain(w, TN_ERROR_OUT_OF_MEMORY);
        return;
    }
    w->status = tni_constant_read(w->model, constant, 0, size_bytes, whole, w->error);
    if (w->status == TN_OK) {
        w->status = tni_output_write(w->file, whole, size_bytes, w->error);
    }
    if (w->info->sensitive) {
        explicit_bzero(whole, (size_t)size_bytes);
    }
    tni_free(&w->model->alloc, whole, size_bytes);
}

void tni_put_constant(tni_writer *w, uint32_t constant) {
    const tni_constant *record = &w->model->constants[constant];
    if (w->counting) {
        w->counted += record->size_bytes;
        return;
    }
    if (record->size_bytes > TNI_WRITE_BLOCK_BYTES && reads_at_once(w->model, record)) {
        tni_put_flush(w);
        if (w->status == TN_OK) {
            put_at_once(w, constant);
        }
        return;
    }
    uint64_t at = 0;
    while (at < record->size_bytes && w->status == TN_OK) {
        const uint64_t left = record->size_bytes - at;
        const uint64_t room = TNI_WRITE_BLOCK_BYTES - w->used;
        const uint64_t piece = left < room ? left : room;
        w->status = tni_constant_read(w->model, constant, at, piece, w->block + w->used, w->error);
        w->used += w->status == TN_OK ? piece : 0;
        at += piece;
        if (w->used == TNI_WRITE_BLOCK_BYTES) {
            tni_put_flush(w);
        }
    }
}
