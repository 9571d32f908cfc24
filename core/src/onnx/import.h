// SPDX-License-Identifier: Apache-2.0
// ONNX import: a model file or a buffer becomes a tni_model. The input is never trusted; weights
// stay where they are in the file.
#ifndef TENON_ONNX_IMPORT_H
#define TENON_ONNX_IMPORT_H

#include "graph/graph.h"

// What an import may take. A zero field means the default, given here.
typedef struct tni_import_limits {
    uint64_t file_bytes;       // of the model file: 2^40
    uint64_t external_bytes;   // of one external data file: 2^44
    uint64_t arena_bytes;      // of the model's own memory (names, records, decoded tensors): 2^30
    uint64_t tensor_bytes;     // of one initializer: 2^40
    uint32_t nodes;            // in all graphs, those of called functions included: 4 million
    uint32_t values;           // 16 million
    uint32_t attributes;       // 16 million
    uint32_t initializers;     // 4 million
    uint32_t functions;        // 65536
    uint32_t name_bytes;       // of one name: 65536
    uint32_t rank;             // at most, and by default, TN_MAX_RANK
    uint32_t graph_depth;      // of nested bodies: 32
    uint32_t function_depth;   // of functions that call functions: 32
    uint32_t external_files;   // 1024
    uint32_t attribute_values; // of one list attribute: 2^28
    uint64_t function_bytes;   // of function bodies, counted at every call: 2^28
} tni_import_limits;

// Read files into memory instead of mapping them, and copy a buffer: a file that is cut short while
// the model is in use can then do no harm, at the price of a private copy of the weights.
#define TNI_IMPORT_COPY 1u

// Where the model is: path, or data. All borrowed for the call, except data, which must outlive the
// model unless it is copied.
typedef struct tni_import_info {
    const tni_alloc *alloc; // null: tni_alloc_default()
    const tni_log *log;     // may be null
    const char *path;
    const void *data;
    uint64_t size_bytes;
    // Folder of external data files; null means the model file's folder, and none for a buffer.
    const char *external_folder;
    const tni_import_limits *limits; // null: defaults
    uint64_t key_base;               // of the model's constants: tni_constant.key
    uint32_t flags;                  // TNI_IMPORT_
} tni_import_info;

// Imports a model. It is not rewritten and has only the shapes the file declares: call
// tni_model_canonicalise next. Constant nodes have become constants, the nodes of model-local
// functions lie where they are called, with a record of the call (tni_function_call), initializers
// that are also inputs count as constants. Any thread. TN_OK ·
// TN_ERROR_INVALID_ARGUMENT neither path nor data, or both · TN_ERROR_NOT_FOUND no such file ·
// TN_ERROR_IO · TN_ERROR_INVALID_DATA the file is broken · TN_ERROR_UNSUPPORTED a feature this
// build does not have, or an op ONNX does not know · TN_ERROR_LIMIT_EXCEEDED · TN_ERROR_DENIED
// external data outside the folder · TN_ERROR_OUT_OF_MEMORY. For broken input, error has an id
// ("onnx.varint-too-long"), the byte offset, and a text that begins with the field path
// ("graph.node[3].attribute[1].t.dims"). *out_model is null on failure; free with
// tni_model_destroy.
TN_MUST_USE tn_status tni_onnx_import(const tni_import_info *info, tni_model **out_model,
                                      tn_error *error);

#endif // TENON_ONNX_IMPORT_H
