// SPDX-License-Identifier: Apache-2.0
// Inside of write.h: what the writers of ONNX's messages share. The first failure is kept in the
// writer and turns everything after it into nothing, so that a message reads as one.
#ifndef TENON_ONNX_WRITER_H
#define TENON_ONNX_WRITER_H

#include "onnx/write.h"
#include "onnx/write_file.h"

#define TNI_NOT_EXTERNAL UINT64_MAX

// What is decided about a graph before anything is written.
typedef struct tni_written_graph {
    bool written;          // graph 0, or a body below it
    uint32_t depth;        // 0 of graph 0
    uint32_t first_value;  // of the initializers it lists, in next_value; or TN_NONE
    tn_string *identities; // per output: the name of an Identity's result, or empty
    uint64_t size_bytes;   // of its message; UINT64_MAX: not measured
} tni_written_graph;

// One domain of opset_import. The versions that leave every node its meaning are [oldest, newest].
typedef struct tni_written_opset {
    tn_string domain;
    uint32_t version; // the model's own, or 0
    uint32_t oldest;
    uint32_t newest;
} tni_written_opset;

typedef struct tni_writer {
    const tni_model *model;
    const tni_write_info *info;
    tn_error *error;
    tn_status status;
    tni_arena arena; // names
    // Decided first (write_names.c, write_opsets.c).
    tni_written_graph *graphs;
    tn_string *names;     // per value
    uint32_t *owners;     // per value: the graph that defines it, or TN_NONE when nothing uses it
    uint32_t *next_value; // per value: the next initializer of the same graph, or TN_NONE
    uint8_t *is_output;   // per value: its own graph gives it out under its name
    tni_written_opset *opsets;
    uint32_t opset_count, opset_capacity;
    uint64_t *external_offsets; // per constant, or TNI_NOT_EXTERNAL
    // The stream (write_wire.c).
    tni_output *file;
    bool counting; // bytes are counted, not written
    uint64_t counted;
    uint8_t *block;
    uint64_t used;
} tni_writer;

// Writes one message's fields.
typedef void (*tni_write_fn)(tni_writer *w, const void *item);

#define TNI_WRITE_BLOCK_BYTES ((uint64_t)1 << 20)

// Fields of the wire format.
void tni_put_varint(tni_writer *w, uint32_t field, uint64_t value);
void tni_put_float(tni_writer *w, uint32_t field, float value);
void tni_put_text(tni_writer *w, uint32_t field, tn_string text);
// The same, but nothing when the text is empty.
void tni_put_name(tni_writer *w, uint32_t field, tn_string text);
// A nested message, which is measured by a run that only counts.
void tni_put_message(tni_writer *w, uint32_t field, tni_write_fn write, const void *item);
// The head of a field of size_bytes; tni_put_bytes and tni_put_constant follow.
void tni_put_head(tni_writer *w, uint32_t field, uint64_t size_bytes);
void tni_put_bytes(tni_writer *w, const void *data, uint64_t size_bytes);
// Streams the bytes of a constant. Nothing else is kept in memory, except of a transposed recipe.
void tni_put_constant(tni_writer *w, uint32_t constant);
void tni_put_flush(tni_writer *w);
uint64_t tni_put_measure(tni_writer *w, tni_write_fn write, const void *item);
// Keeps the first failure of a callee that has only a status.
void tni_write_plain(tni_writer *w, tn_status status);

// Decides which graphs are written, where initializers are listed, and all names.
void tni_write_decide_names(tni_writer *w);
// Decides the opset versions.
void tni_write_decide_opsets(tni_writer *w);

// The messages: item points at a graph id, a node id, a tni_value.
void tni_write_graph(tni_writer *w, const void *graph);
void tni_write_node(tni_writer *w, const void *node);
void tni_write_type(tni_writer *w, const void *value);
// A TensorProto without a name, of a constant id.
void tni_write_tensor(tni_writer *w, const void *constant);
// One with a name, of a value id; large ones are external where that was asked for.
void tni_write_initializer(tni_writer *w, const void *value);

#endif // TENON_ONNX_WRITER_H
