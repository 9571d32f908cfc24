// SPDX-License-Identifier: Apache-2.0
// The two uses of the inference pass: symbolic at load, with actual sizes at prepare.
#include "graph/shape/shape.h"

#include "base/checked.h"
#include "base/dtype.h"
#include "base/error.h"
#include "graph/shape/infer.h"

#include <string.h>

// Nothing that runs needs a tensor above this; it keeps sums of sizes far from overflow.
#define MAX_TENSOR_BYTES ((uint64_t)1 << 47)
#define MAX_TABLE_BYTES ((uint64_t)1 << 34)

tn_status tni_shapes_infer(tni_model *model, tn_error *error) {
    tni_inference in;
    tn_status status = tni_inference_init(&in, model, model, error);
    if (status == TN_OK) {
        status = tni_infer_graph(&in, 0);
    }
    tni_inference_deinit(&in);
    return status;
}

static tn_status bad_input(const tni_model *model, uint32_t value, tn_error *error, const char *id,
                           const char *what) {
    const tn_string name =
        value < model->value_count ? model->values[value].name : TNI_LITERAL("?");
    return tni_fail_node(error, TN_ERROR_INVALID_ARGUMENT, id, TN_NONE, value, "input '%.*s': %s",
                         TNI_TEXT(name), what);
}

// Checks one dim of an input against what the model says, and binds its symbol.
static tn_status bind_dim(const tni_model *model, uint32_t value, uint32_t i, int64_t size,
                          int64_t *symbol_sizes, tn_error *error) {
    const tni_value *record = &model->values[value];
    const tn_graph_dim declared = record->dims[i];
    if (size < 0 || (declared.size >= 0 && declared.size != size)) {
        return tni_fail_node(error, TN_ERROR_INVALID_ARGUMENT, "shape.input-dim", TN_NONE, value,
                             "input '%.*s': dimension %u is %lld, the model has %lld",
                             TNI_TEXT(record->name), i, (long long)size, (long long)declared.size);
    }
    if (declared.size >= 0 || declared.symbol == TN_NONE) {
        return TN_OK;
    }
    const tni_symbol *symbol = &model->symbols[declared.symbol];
    int64_t *bound = &symbol_sizes[declared.symbol];
    if (size < symbol->min || size > symbol->max) {
        return tni_fail_node(error, TN_ERROR_INVALID_ARGUMENT, "shape.symbol-range", TN_NONE, value,
                             "input '%.*s': dimension %u is %lld, '%.*s' goes from %lld to %lld",
                             TNI_TEXT(record->name), i, (long long)size, TNI_TEXT(symbol->name),
                             (long long)symbol->min, (long long)symbol->max);
    }
    if (*bound >= 0 && *bound != size) {
        return tni_fail_node(
            error, TN_ERROR_INVALID_ARGUMENT, "shape.symbol-conflict", TN_NONE, value,
            "input '%.*s': dimension %u is %lld, but '%.*s' is already %lld",
            TNI_TEXT(record->name), i, (long long)size, TNI_TEXT(symbol->name), (long long)*bound);
    }
    *bound = size;
    return TN_OK;
}

// In graph 0, only its inputs are neither computed nor constant.
static bool is_graph_input(const tni_model *model, uint32_t value) {
    const tni_value *record = &model->values[value];
    return record->graph == 0 && record->producer == TN_NONE && record->constant == TN_NONE;
}

static tn_status bind_input(tni_inference *in, const tni_shape_input *given, int64_t *symbol_sizes,
                            tn_error *error) {
    const tni_model *model = in->model;
    tn_graph_dim dims[TN_MAX_RANK];
    if (given->value >= model->value_count || !is_graph_input(model, given->value)) {
        return bad_input(model, given->value, error, "shape.no-input", "no input of the model");
    }
    const tni_value *record = &model->values[given->value];
    tni_fact *fact = &in->facts[given->value];
    if (fact->rank != TN_RANK_UNKNOWN) {
        return bad_input(model, given->value, error, "shape.input-twice", "given twice");
    }
    const bool ranked = record->rank != TN_RANK_UNKNOWN;
    if (given->rank > TN_MAX_RANK || (ranked && given->rank != record->rank)) {
        return bad_input(model, given->value, error, "shape.input-rank", "of another rank");
    }
    for (uint32_t i = 0; i < given->rank; i++) {
        const tn_status status =
            ranked ? bind_dim(model, given->value, i, given->dims[i], symbol_sizes, error)
            : given->dims[i] < 0
                ? bad_input(model, given->value, error, "shape.input-dim", "a negative dimension")
                : TN_OK;
        if (status != TN_OK) {
            return status;
        }
        dims[i] = tni_dim(given->dims[i]);
    }
    void *copy = NULL;
    const tn_status status = tni_arena_array(&in->arena, given->rank, sizeof *dims, 8, &copy);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "input shapes");
    }
    if (given->rank > 0) {
        memcpy(copy, dims, given->rank * sizeof *dims);
    }
    fact->dims = copy;
    fact->rank = given->rank;
    fact->dtype = record->dtype;
    return TN_OK;
}

static tn_status bind_inputs(tni_inference *in, const tni_shape_input *inputs, uint32_t count,
                             int64_t *symbol_sizes, tn_error *error) {
    for (uint32_t i = 0; i < count; i++) {
        const tn_status status = bind_input(in, &inputs[i], symbol_sizes, error);
        if (status != TN_OK) {
            return status;
        }
    }
    const tni_graph *graph = &in->model->graphs[0];
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const bool tensor = in->model->values[graph->inputs[i]].kind == TN_VALUE_TENSOR;
        if (tensor && in->facts[graph->inputs[i]].rank == TN_RANK_UNKNOWN) {
            return bad_input(in->model, graph->inputs[i], error, "shape.input-missing",
                             "its shape is not given");
        }
    }
    return TN_OK;
}

static tn_status size_of_shape(tni_shape *shape, uint32_t value, const tni_model *model,
                               tn_error *error) {
    uint64_t count = 0;
    shape->size_bytes = 0;
    if (!shape->known || tni_dtype_bits(shape->dtype) == 0) {
        return TN_OK;
    }
    if (!tni_count_of_dims(shape->dims, shape->rank, &count) ||
        !tni_size_of_elements(shape->dtype, count, &shape->size_bytes) ||
        shape->size_bytes > MAX_TENSOR_BYTES) {
        return tni_fail_node(
            error, TN_ERROR_LIMIT_EXCEEDED, "shape.too-large", model->values[value].producer, value,
            "'%.*s' would be larger than 2^47 bytes", TNI_TEXT(model->values[value].name));
    }
    return TN_OK;
}

// Whether the table says something of a value. Constants are what they are in every run.
static bool is_recorded(const tni_inference *in, uint32_t value) {
    return in->model->values[value].constant == TN_NONE &&
           (in->facts[value].rank != TN_RANK_UNKNOWN ||
            in->facts[value].dtype != TN_DTYPE_UNDEFINED);
}

// Copies a fact into the table and learns what symbols are.
static tn_status record_shape(tni_shape_table *table, const tni_inference *in, uint32_t value,
                              tn_error *error) {
    const tni_fact *fact = &in->facts[value];
    const tni_value *record = &in->model->values[value];
    tni_shape *shape = &table->shapes[table->count];
    int64_t *dims = NULL;
    table->values[table->count++] = value;
    *shape = (tni_shape){.dtype = fact->dtype, .rank = fact->rank};
    if (fact->rank == TN_RANK_UNKNOWN) {
        return TN_OK;
    }
    const tn_status status =
        tni_arena_array(&table->arena, fact->rank, sizeof *dims, 8, (void **)&dims);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "shape table");
    }
    shape->known = true;
    for (uint32_t i = 0; i < fact->rank; i++) {
        dims[i] = fact->dims[i].size;
        shape->known = shape->known && dims[i] >= 0;
        if (dims[i] >= 0 && record->rank == fact->rank && record->dims[i].size < 0 &&
            record->dims[i].symbol != TN_NONE && table->symbol_sizes[record->dims[i].symbol] < 0) {
            table->symbol_sizes[record->dims[i].symbol] = dims[i];
        }
    }
    shape->dims = dims;
    return size_of_shape(shape, value, in->model, error);
}

static tn_status record_shapes(tni_shape_table *table, const tni_inference *in, tn_error *error) {
    tn_status status = TN_OK;
    uint32_t count = 0;
    for (uint32_t i = 0; i < in->model->value_count; i++) {
        count += is_recorded(in, i);
    }
    table->capacity = count;
    table->values = tni_alloc_array(&table->alloc, (uint64_t)count + 1, sizeof *table->values);
    table->shapes = tni_alloc_array(&table->alloc, (uint64_t)count + 1, sizeof *table->shapes);
    if (table->values == NULL || table->shapes == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "shape table");
    }
    for (uint32_t i = 0; i < in->model->value_count && status == TN_OK; i++) {
        status = is_recorded(in, i) ? record_shape(table, in, i, error) : TN_OK;
    }
    return status;
}

const tni_shape *tni_shape_of(const tni_shape_table *table, uint32_t value) {
    static const tni_shape unknown = {.rank = TN_RANK_UNKNOWN};
    uint32_t begin = 0;
    uint32_t end = table->count;
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (table->values[middle] < value) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin < table->count && table->values[begin] == value ? &table->shapes[begin] : &unknown;
}

static tn_status make_table(const tni_model *model, const tni_alloc *alloc,
                            tni_shape_table **out_table) {
    tni_shape_table *table = tni_alloc_zeroed(alloc, sizeof *table);
    *out_table = table;
    if (table == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    table->alloc = *alloc;
    tni_arena_init(&table->arena, alloc, MAX_TABLE_BYTES);
    table->symbol_count = model->symbol_count;
    table->symbol_sizes =
        tni_alloc_array(alloc, (uint64_t)model->symbol_count + 1, sizeof *table->symbol_sizes);
    if (table->symbol_sizes == NULL) {
        return TN_ERROR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < model->symbol_count; i++) {
        table->symbol_sizes[i] = -1;
    }
    return TN_OK;
}

static tn_status fill_table(tni_shape_table *table, const tni_model *model,
                            const tni_shape_input *inputs, uint32_t input_count, tn_error *error) {
    tni_inference in;
    tn_status status = tni_inference_init(&in, model, NULL, error);
    if (status == TN_OK) {
        status = bind_inputs(&in, inputs, input_count, table->symbol_sizes, error);
    }
    if (status == TN_OK) {
        status = tni_infer_graph(&in, 0);
    }
    if (status == TN_OK) {
        status = record_shapes(table, &in, error);
    }
    tni_inference_deinit(&in);
    return status;
}

tn_status tni_shapes_evaluate(const tni_model *model, const tni_alloc *alloc,
                              const tni_shape_input *inputs, uint32_t input_count,
                              tni_shape_table **out_table, tn_error *error) {
    tn_status status = make_table(model, alloc, out_table);
    if (status != TN_OK) {
        (void)tni_fail_plain(error, status, "shape table");
    } else {
        status = fill_table(*out_table, model, inputs, input_count, error);
    }
    if (status != TN_OK) {
        tni_shape_table_destroy(*out_table);
        *out_table = NULL;
    }
    return status;
}

static tn_status bind_region_input(tni_inference *in, const tni_shape_input *given,
                                   int64_t *symbol_sizes, tn_error *error) {
    const tni_value *record = &in->model->values[given->value];
    tni_fact *fact = &in->facts[given->value];
    if (given->rank > TN_MAX_RANK) {
        return bad_input(in->model, given->value, error, "shape.input-rank", "of too high a rank");
    }
    const tn_status status =
        tni_arena_array(&in->arena, given->rank, sizeof *fact->dims, 8, (void **)&fact->dims);
    if (status != TN_OK) {
        return tni_fail_plain(error, status, "input shapes");
    }
    for (uint32_t i = 0; i < given->rank; i++) {
        if (given->dims[i] < 0) {
            return bad_input(in->model, given->value, error, "shape.input-dim",
                             "a negative dimension");
        }
        fact->dims[i] = tni_dim(given->dims[i]);
        const bool named = record->rank == given->rank && record->dims[i].size < 0 &&
                           record->dims[i].symbol != TN_NONE;
        if (named && symbol_sizes[record->dims[i].symbol] < 0) {
            symbol_sizes[record->dims[i].symbol] = given->dims[i];
        }
    }
    fact->rank = given->rank;
    fact->dtype = given->dtype != TN_DTYPE_UNDEFINED ? given->dtype : record->dtype;
    fact->kind = TN_VALUE_TENSOR;
    fact->data = given->data;
    fact->data_bytes = given->size_bytes;
    return TN_OK;
}

static tn_status fill_region_table(tni_shape_table *table, const tni_model *model,
                                   const tni_region *region, const tni_shape_input *inputs,
                                   uint32_t input_count, tn_error *error) {
    tni_inference in;
    tn_status status = tni_inference_init(&in, model, NULL, error);
    for (uint32_t i = 0; i < input_count && status == TN_OK; i++) {
        status = bind_region_input(&in, &inputs[i], table->symbol_sizes, error);
    }
    if (status == TN_OK) {
        status = tni_infer_nodes(&in, region->nodes, region->node_count);
    }
    if (status == TN_OK) {
        status = record_shapes(table, &in, error);
    }
    tni_inference_deinit(&in);
    return status;
}

tn_status tni_shapes_evaluate_region(const tni_model *model, const tni_alloc *alloc,
                                     const tni_region *region, const tni_shape_input *inputs,
                                     uint32_t input_count, tni_shape_table **out_table,
                                     tn_error *error) {
    tn_status status = make_table(model, alloc, out_table);
    if (status != TN_OK) {
        (void)tni_fail_plain(error, status, "shape table");
    } else {
        status = fill_region_table(*out_table, model, region, inputs, input_count, error);
    }
    if (status != TN_OK) {
        tni_shape_table_destroy(*out_table);
        *out_table = NULL;
    }
    return status;
}

static bool value_agrees(const tni_model *model, const tni_shape_table *table, uint32_t value) {
    if (value == TN_NONE || model->values[value].constant != TN_NONE) {
        return true;
    }
    const tni_value *record = &model->values[value];
    const tni_shape *shape = tni_shape_of(table, value);
    bool same = record->dtype == shape->dtype && record->rank == shape->rank &&
                record->rank != TN_RANK_UNKNOWN && record->dtype != TN_DTYPE_UNDEFINED;
    for (uint32_t i = 0; same && i < record->rank; i++) {
        const tn_graph_dim dim = record->dims[i];
        const int64_t said = dim.size >= 0           ? dim.size
                             : dim.symbol != TN_NONE ? table->symbol_sizes[dim.symbol]
                                                     : -1;
        same = said == shape->dims[i] || shape->dims[i] < 0;
    }
    return same;
}

// A call that is one node is handed to some devices in parts: what lies inside counts, too.
static bool node_agrees(const tni_model *model, const tni_shape_table *table, uint32_t id) {
    const tni_node *node = &model->nodes[id];
    const tni_graph *inside = node->called == TN_NONE ? NULL : &model->graphs[node->expansion];
    bool agree = true;
    for (uint32_t i = 0; i < node->output_count && agree; i++) {
        agree = value_agrees(model, table, node->outputs[i]);
    }
    for (uint32_t i = 0; inside != NULL && i < inside->node_count && agree; i++) {
        agree = node_agrees(model, table, inside->nodes[i]);
    }
    return agree;
}

bool tni_shapes_agree(const tni_model *model, const tni_region *region,
                      const tni_shape_table *table) {
    bool agree = true;
    for (uint32_t i = 0; i < region->input_count && agree; i++) {
        agree = value_agrees(model, table, region->inputs[i]);
    }
    for (uint32_t i = 0; i < region->node_count && agree; i++) {
        agree = node_agrees(model, table, region->nodes[i]);
    }
    return agree;
}

static bool value_complete(const tni_model *model, uint32_t value) {
    return value == TN_NONE || (model->values[value].rank != TN_RANK_UNKNOWN &&
                                model->values[value].dtype != TN_DTYPE_UNDEFINED);
}

bool tni_shapes_complete(const tni_model *model, const tni_region *region) {
    bool complete = true;
    for (uint32_t i = 0; i < region->input_count && complete; i++) {
        complete = value_complete(model, region->inputs[i]);
    }
    for (uint32_t i = 0; i < region->node_count && complete; i++) {
        const tni_node *node = &model->nodes[region->nodes[i]];
        for (uint32_t k = 0; k < node->output_count && complete; k++) {
            complete = value_complete(model, node->outputs[k]);
        }
    }
    return complete;
}

void tni_shape_table_destroy(tni_shape_table *table) {
    if (table == NULL) {
        return;
    }
    const tni_alloc alloc = table->alloc;
    tni_free_array(&alloc, table->values, (uint64_t)table->capacity + 1, sizeof *table->values);
    tni_free_array(&alloc, table->shapes, (uint64_t)table->capacity + 1, sizeof *table->shapes);
    tni_free_array(&alloc, table->symbol_sizes, (uint64_t)table->symbol_count + 1,
                   sizeof *table->symbol_sizes);
    tni_arena_deinit(&table->arena);
    tni_free(&alloc, table, sizeof *table);
}
