// SPDX-License-Identifier: Apache-2.0
// The intermediate representation: one tni_model owns graphs, nodes, values, attributes, constants
// and symbols, all addressed by index, shaped like tenon/abi/graph.h so that lowering to a view is
// direct. Read next: constant.h (weights), view.h (lowering), shape/shape.h, rewrite/rewrite.h.
#ifndef TENON_GRAPH_GRAPH_H
#define TENON_GRAPH_GRAPH_H

#include "base/alloc.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/map.h"
#include "base/string.h"
#include "base/thread.h"
#include "graph/constant.h"

#include "tenon/abi/graph.h"

#include <stdbool.h>
#include <stdint.h>

// Texts, arrays of ids and dims live in the model's arena; records live in growing arrays, so a
// pointer to a record is valid until the next record of its kind is added. Ids are never reused.

// ONNX's number for an attribute that is a type (of an empty optional). Views do not show it.
#define TNI_ATTR_TYPE 13u

// One attribute of a node. Which array is set follows from kind; scalars have count 1.
typedef struct tni_attr {
    tn_string name;
    tn_attr_kind kind; // TN_ATTR_ or TNI_ATTR_TYPE
    uint32_t count;
    int64_t *ints;     // INT, INTS
    float *floats;     // FLOAT, FLOATS
    tn_string *texts;  // STRING, STRINGS: any bytes
    uint32_t *indices; // TENSOR(S): constants; GRAPH(S): graphs; TYPE: a value that is only a type
} tni_attr;

typedef struct tni_node {
    tn_string domain; // empty means ai.onnx
    tn_string op_type;
    tn_string name; // may be empty
    uint32_t
        since_version; // of the schema in force; for custom domains, the imported opset version
    uint32_t graph;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t attr_count;
    uint32_t expansion;     // graph, or TN_NONE
    uint32_t form;          // the first graph that writes it in another op version, or TN_NONE
    uint32_t expanded_from; // node in whose place it stands, with others, or that it is a copy of
    uint32_t call;          // innermost call of a function that it came from, or TN_NONE
    uint32_t called;        // call that it stands for as a whole, or TN_NONE
    tn_node_flags flags;
    bool removed;      // not in its graph's list any more
    bool refused;      // no device takes it whole, while its expansion could stand in its place
    uint32_t *inputs;  // values, TN_NONE for an absent optional
    uint32_t *outputs; // values, TN_NONE for an absent optional
    tni_attr *attrs;
    uint64_t source_id; // 1 + index in the order the file was read; stable for one file
} tni_node;

typedef struct tni_value {
    tn_string name;
    tn_value_kind kind;
    tn_dtype dtype;     // TN_DTYPE_UNDEFINED: unknown
    uint32_t rank;      // or TN_RANK_UNKNOWN
    tn_graph_dim *dims; // rank records; after tni_shapes_infer every unknown size has a symbol
    uint32_t constant;  // or TN_NONE
    uint32_t producer;  // node, or TN_NONE for graph inputs and constants
    uint32_t graph;
    uint32_t replaced_by; // value that took over its uses, or TN_NONE
} tni_value;

// Graph 0 is the outermost. The others are bodies (attributes of kind GRAPH), expansions and forms.
// Input i of an expansion stands for input i of its node, TN_NONE where that is absent or the
// expansion reads a constant as it is; outputs likewise. A form (version/present.h) has neither:
// its nodes read and write the operands of its node, which stays their producer, and values made in
// between belong to its node's graph.
typedef struct tni_graph {
    tn_string name;
    uint32_t parent_node; // TN_NONE for graph 0
    bool is_expansion;
    bool is_form;
    uint32_t main_node;    // of a form: the node of its list that stands for its parent
    uint32_t form_version; // since_version of main_node
    uint32_t next_form;    // of the same node, or TN_NONE
    bool removed;          // its parent node was removed
    uint32_t node_count;
    uint32_t node_capacity;
    uint32_t *nodes; // in topological order
    uint32_t input_count;
    uint32_t input_capacity;
    uint32_t *inputs;
    uint32_t output_count;
    uint32_t output_capacity;
    uint32_t *outputs;
    uint32_t output_name_capacity;
    tn_string *output_names; // as the file gave them; rewrites may exchange the values
} tni_graph;

// A call of a model-local function. The function's nodes lie where the call was, one after another,
// each naming the innermost call it came from; a compile may put one node in their place
// (rewrite.h). Operands are those of the file: read them through tni_model_resolve.
typedef struct tni_function_call {
    tn_string domain;
    tn_string function;
    tn_string name;   // of the calling node; may be empty
    uint32_t version; // of the domain, as imported where the call stands; 0: not imported
    uint32_t caller;  // call of whose function this one is a part, or TN_NONE
    uint32_t graph;
    bool overloaded; // one of several functions of this name
    bool changed;    // a rewrite moved work across its border: its nodes compute something else
    bool tried;      // one node stood in for it
    uint32_t input_count;
    uint32_t output_count;
    uint32_t attr_count;
    uint32_t *inputs;  // values, TN_NONE for an absent optional
    uint32_t *outputs; // values, TN_NONE for one that has no name
    tni_attr *attrs;   // of the call, then the function's defaults for those it leaves out
    uint64_t source_id;
} tni_function_call;

typedef struct tni_symbol {
    tn_string name; // empty: made by shape inference
    int64_t min;
    int64_t max; // INT64_MAX: unbounded
} tni_symbol;

typedef struct tni_opset {
    tn_string domain;
    uint32_t version;
} tni_opset;

typedef struct tni_pair {
    tn_string key;
    tn_string value;
} tni_pair;

// Single owner. One thread while it changes; any number of threads may read it afterwards.
typedef struct tni_model {
    tni_alloc alloc;
    tni_log log;
    tni_arena arena;
    tni_mutex lock; // guards the content hashes, which are filled lazily
    bool lock_ready;
    tni_graph *graphs;
    tni_node *nodes;
    tni_value *values;
    tni_constant *constants;
    tni_symbol *symbols;
    tni_source *sources;
    tni_opset *opsets;
    tni_pair *metadata;
    tni_function_call *calls; // callers come before what they call
    uint32_t graph_count, graph_capacity;
    uint32_t node_count, node_capacity;
    uint32_t value_count, value_capacity;
    uint32_t constant_count, constant_capacity;
    uint32_t symbol_count, symbol_capacity;
    uint32_t source_count, source_capacity;
    uint32_t opset_count, opset_capacity;
    uint32_t metadata_count, metadata_capacity;
    uint32_t call_count, call_capacity;
    tni_map symbol_names;
    uint64_t key_base;         // added to a constant's index to make its key
    uint64_t max_tensor_bytes; // what one tensor may take, in the file or in a run; 0: no limit
    bool borrows;              // a fork: sources belong to the model it was forked from
    int64_t ir_version;
    int64_t model_version;
    tn_string producer_name;
    tn_string graph_name;
} tni_model;

// What a new node is made of. Arrays and texts are copied into the model.
typedef struct tni_node_info {
    uint32_t graph;
    tn_string domain;
    tn_string op_type;
    tn_string name;
    uint32_t since_version;
    tn_node_flags flags;
    uint32_t input_count;
    uint32_t output_count;
    const uint32_t *inputs;
    const uint32_t *outputs; // values without a producer
    const tni_attr *attrs;   // copied deeply
    uint32_t attr_count;
    uint64_t source_id;
} tni_node_info;

// Makes an empty model with graph 0. alloc and log are copied (log may be null); arena_limit_bytes
// bounds what its arena may take. TN_OK · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED.
// *out_model is null on failure; free it with tni_model_destroy.
TN_MUST_USE tn_status tni_model_create(const tni_alloc *alloc, const tni_log *log,
                                       uint64_t arena_limit_bytes, tni_model **out_model);
// Makes a model that begins with the same records at the same indices and may then be changed on
// its own. Texts, attributes and the bytes of constants are shared: parent must outlive the fork
// and not change any more. Constants keep their keys; new ones get theirs from key_base. Errors as
// tni_model_create.
TN_MUST_USE tn_status tni_model_fork(tni_model *parent, uint64_t key_base, tni_model **out_model);
// Frees the model, unmaps and closes its sources. Null is ignored.
void tni_model_destroy(tni_model *model);

// Adding. Every function copies the texts and arrays it is given, sets *out_id to the new index,
// and returns TN_OK · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED (the arena, or 2^32 - 2
// records).
TN_MUST_USE tn_status tni_model_add_graph(tni_model *model, uint32_t parent_node, tn_string name,
                                          uint32_t *out_id);
// A tensor of unknown type and rank, without producer.
TN_MUST_USE tn_status tni_model_add_value(tni_model *model, uint32_t graph, tn_string name,
                                          uint32_t *out_id);
// Appends to the node list of info->graph and becomes the producer of its outputs.
TN_MUST_USE tn_status tni_model_add_node(tni_model *model, const tni_node_info *info,
                                         uint32_t *out_id);
// Finds a symbol by name, or adds it with range [0, INT64_MAX]. An empty name always adds.
TN_MUST_USE tn_status tni_model_add_symbol(tni_model *model, tn_string name, uint32_t *out_id);
TN_MUST_USE tn_status tni_model_add_opset(tni_model *model, tn_string domain, uint32_t version);
TN_MUST_USE tn_status tni_model_add_metadata(tni_model *model, tn_string key, tn_string value);
// Texts are copied; operands and attributes are not, and must live as long as the model.
TN_MUST_USE tn_status tni_model_add_call(tni_model *model, const tni_function_call *call,
                                         uint32_t *out_id);
TN_MUST_USE tn_status tni_graph_add_input(tni_model *model, uint32_t graph, uint32_t value);
TN_MUST_USE tn_status tni_graph_add_output(tni_model *model, uint32_t graph, uint32_t value);

// Sets the rank and dims of a value; dims are copied. rank may be TN_RANK_UNKNOWN.
TN_MUST_USE tn_status tni_value_set_dims(tni_model *model, uint32_t value, uint32_t rank,
                                         const tn_graph_dim *dims);
// A value that is the constant: type and dims come from it. The name may be empty.
TN_MUST_USE tn_status tni_model_add_constant_value(tni_model *model, uint32_t graph, tn_string name,
                                                   uint32_t constant, uint32_t *out_id);

// The version imported for a domain, or 0. "" and "ai.onnx" are the same domain.
uint32_t tni_model_opset(const tni_model *model, tn_string domain);

// Reading attributes. find returns null when the node has none of that name. The typed getters
// return the fallback when the attribute is absent or of another kind.
const tni_attr *tni_node_attr(const tni_node *node, const char *name);
int64_t tni_node_int(const tni_node *node, const char *name, int64_t fallback);
float tni_node_float(const tni_node *node, const char *name, float fallback);
tn_string tni_node_text(const tni_node *node, const char *name, const char *fallback);
// *out_count is 0 and null is returned when absent. Borrowed from the model.
const int64_t *tni_node_ints(const tni_node *node, const char *name, uint32_t *out_count);

// Whether the node is this op of ai.onnx.
bool tni_node_is(const tni_node *node, const char *op_type);
// Whether an attribute of it is a graph.
bool tni_node_has_bodies(const tni_node *node);
// The value of an input or output, TN_NONE when absent or beyond the end.
uint32_t tni_node_input(const tni_node *node, uint32_t index);
uint32_t tni_node_output(const tni_node *node, uint32_t index);
// The node that this one was made for: of a node in a form or an expansion, the one that has it, as
// far as that goes; of any other, itself.
uint32_t tni_node_owner(const tni_model *model, uint32_t node);
// Whether call is outer, or inside of it. TN_NONE is in no call.
bool tni_call_is_in(const tni_model *model, uint32_t call, uint32_t outer);
// The constant behind an input, or null.
const tni_constant *tni_node_constant(const tni_model *model, const tni_node *node, uint32_t input);

// Mutation for rewrites. Replacements and removals are noted and take effect together in
// tni_model_compact, so that a rewrite of n nodes stays linear; until then, read inputs through
// tni_model_resolve.

// Every use of from (node inputs in any graph, graph outputs) becomes a use of to. from must not
// have been replaced before. Graph outputs keep their names: see tni_model_normalise_outputs.
void tni_model_replace_uses(tni_model *model, uint32_t from, uint32_t to);
// The value that stands for value now. TN_NONE stays TN_NONE.
uint32_t tni_model_resolve(const tni_model *model, uint32_t value);
// Takes the node, its bodies and its expansion out. Its outputs must have no uses left after
// compaction.
void tni_model_remove_node(tni_model *model, uint32_t node);
// Notes that a node of one call (or of none: TN_NONE) does the work of a node of another from now
// on: calls that held only one of the two do not compute what they did.
void tni_model_cross_calls(tni_model *model, uint32_t from, uint32_t to);
// Applies what was noted, then drops nodes whose outputs nobody uses. Node order is kept.
void tni_model_compact(tni_model *model);

// Makes every output of graph 0 a value of its own that a node produces: where an output is an
// input, a constant, or listed twice, an Identity node is put in between. The value of output i
// then has the name output_names[i]. Errors as tni_model_add_node.
TN_MUST_USE tn_status tni_model_normalise_outputs(tni_model *model);

// Checks every invariant above: ids in range, one producer a value, topological order, visible
// captures. TN_OK · TN_ERROR_INVALID_DATA with the node in error · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_model_validate(const tni_model *model, tn_error *error);

#endif // TENON_GRAPH_GRAPH_H
