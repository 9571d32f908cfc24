// SPDX-License-Identifier: Apache-2.0
// Inside of import.h: what the readers of ONNX's messages share. Every function returns the
// reader's latched status; after a failure the model is thrown away, so none of them cleans up the
// model.
#ifndef TENON_ONNX_IMPORTER_H
#define TENON_ONNX_IMPORTER_H

#include "graph/graph.h"
#include "onnx/import.h"
#include "onnx/wire.h"

// Names visible at one point: those of a graph and, through parent, of the graphs around it. A
// function body has no parent.
typedef struct tni_scope {
    struct tni_scope *parent;
    tni_map names; // text -> value, TN_NONE for an absent optional passed into a function
} tni_scope;

// A model-local function, kept as bytes and read again at every call.
typedef struct tni_function {
    tn_string domain;
    tn_string name;
    tn_string overload;
    tni_bytes message;
    uint32_t next; // function of the same name, or TN_NONE
} tni_function;

#define TNI_IMPORT_MAX_OPSETS 64u

// The call whose body is being read into the graph.
typedef struct tni_call {
    struct tni_call *caller;
    const tni_function *function;
    const uint8_t *at; // the calling node
    tn_string name;    // of it
    uint32_t version;  // of the function's domain there
    uint32_t id;       // in the model
    uint32_t *inputs;  // values, or TN_NONE
    uint32_t input_count;
    uint32_t output_count;
    uint32_t *outputs; // values, filled in at the end
    tni_attr *attrs;   // of the calling node, then the function's defaults
    uint32_t attr_count;
    uint32_t opset_count;
    tni_opset opsets[TNI_IMPORT_MAX_OPSETS]; // of the function
} tni_call;

typedef struct tni_importer {
    tni_wire wire;
    tni_model *model;
    tni_import_limits limits;
    bool copy;
    uint32_t source;   // of the model file or buffer
    int folder;        // of external data, or -1
    tni_map externals; // location -> source
    uint32_t external_count;
    tni_function *functions;
    uint32_t function_count, function_capacity;
    tni_map function_names; // name -> the first function of that name
    // Where we are.
    tni_scope *scope;
    tni_call *call;
    uint32_t graph;
    uint32_t graph_depth;
    uint32_t call_depth;
    // A stack of ids under construction: operands of nodes.
    uint32_t *ids;
    uint32_t id_count, id_capacity;
    // Counted against the limits.
    uint64_t nodes;
    uint64_t attributes;
    uint64_t initializers;
    uint64_t function_bytes;
} tni_importer;

// Latches the failure of a callee that has only a status (out of memory, limit).
tn_status tni_import_plain(tni_importer *in, tn_status status, const uint8_t *at, const char *what);
// Counts against a limit and latches id when it is exceeded.
tn_status tni_import_count(tni_importer *in, uint64_t *inout_count, uint64_t limit, const char *id,
                           const uint8_t *at);

// Reads a bytes field as a name: length limit and UTF-8. Empty is allowed.
tn_status tni_import_name(tni_importer *in, const tni_field *field, tn_string *out_name);
// "ai.onnx" becomes "".
tn_string tni_import_domain(tn_string domain);

// Scopes. define latches "onnx.duplicate-name" when the innermost scope has the name already.
void tni_scope_init(tni_scope *scope, const tni_importer *in, tni_scope *parent);
void tni_scope_deinit(tni_scope *scope);
bool tni_scope_find(const tni_scope *scope, tn_string name, uint32_t *out_value);
bool tni_scope_find_local(const tni_scope *scope, tn_string name, uint32_t *out_value);
tn_status tni_scope_define(tni_importer *in, tn_string name, uint32_t value, const uint8_t *at);

// The messages. Each reads one message, in the importer's current scope and graph.
tn_status tni_import_model_proto(tni_importer *in, tni_bytes message);
// Fills model graph `graph` (already added).
tn_status tni_import_graph_proto(tni_importer *in, tni_bytes message, uint32_t graph);
tn_status tni_import_node_proto(tni_importer *in, tni_bytes message);
// The attributes among a NodeProto's fields. node: the parent of bodies, or TN_NONE: bodies are
// refused.
tn_status tni_import_attributes(tni_importer *in, tni_bytes node_message, uint32_t node,
                                tni_attr **out_attrs, uint32_t *out_count);
// One AttributeProto. *out_present is false for a reference to an attribute the call does not have.
tn_status tni_import_attribute(tni_importer *in, tni_bytes message, uint32_t node,
                               tni_attr *out_attr, bool *out_present);
// A TensorProto becomes a constant. out_name may be null.
tn_status tni_import_tensor(tni_importer *in, tni_bytes message, tn_string *out_name,
                            uint32_t *out_constant);
// The type of a ValueInfoProto; sets what the value does not know yet.
tn_status tni_import_type(tni_importer *in, tni_bytes type_message, uint32_t value);
// A FunctionProto of the model: remembered.
tn_status tni_import_function(tni_importer *in, tni_bytes message, const uint8_t *at);
const tni_function *tni_import_find_function(const tni_importer *in, tn_string domain,
                                             tn_string name, tn_string overload);
// Reads the function's nodes into the graph and records the call, of which everything but caller,
// id and opsets is filled in. Operands must be the model's memory.
tn_status tni_import_call(tni_importer *in, tni_call *call);
// The opset version in force for a domain here: the function's own, or the model's. 0: not
// imported.
uint32_t tni_import_opset(const tni_importer *in, tn_string domain);
// Reads one OperatorSetIdProto.
tn_status tni_import_opset_id(tni_importer *in, tni_bytes message, tn_string *out_domain,
                              uint32_t *out_version);

// Where an initializer's external data lies.
typedef struct tni_external {
    tn_string location;
    uint64_t offset_bytes;
    uint64_t length_bytes;
    bool has_length;
    const uint8_t *at;
} tni_external;

// Opens (or finds) the file and checks that [offset, offset + size_bytes) lies in it.
tn_status tni_import_external(tni_importer *in, const tni_external *external, uint64_t size_bytes,
                              uint32_t *out_source);

// For kernels without openat2: opens a relative path below a folder, and refuses every symbolic
// link on the way. path is changed. Returns a descriptor, or -1 with errno.
int tni_import_open_by_steps(int folder, char *path);

#endif // TENON_ONNX_IMPORTER_H
