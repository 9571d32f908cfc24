// SPDX-License-Identifier: Apache-2.0
// The view builder: records collect in fixed arrays, finish copies them behind a header.
#include "support/view_builder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY 512u
#define TEXT_CAPACITY 16384u

typedef struct constant_bytes {
    unsigned char *allocation; // one byte more, so that the data is misaligned on purpose
    uint64_t size_bytes;
} constant_bytes;

struct view_builder {
    tn_graph_node nodes[CAPACITY];
    tn_graph_value values[CAPACITY];
    uint32_t value_ids[4 * CAPACITY];
    tn_graph_attribute attributes[CAPACITY];
    int64_t attr_ints[CAPACITY];
    float attr_floats[CAPACITY];
    tn_text_ref attr_texts[CAPACITY];
    uint32_t attr_indices[CAPACITY];
    tn_graph_dim dims[4 * CAPACITY];
    tn_graph_symbol symbols[CAPACITY];
    tn_graph_constant constants[CAPACITY];
    constant_bytes bytes[CAPACITY];
    char strings[TEXT_CAPACITY];
    uint32_t inputs[CAPACITY];
    uint32_t outputs[CAPACITY];
    tn_graph_view counts; // the counts of the spans so far
    uint32_t input_count;
    uint32_t output_count;
    tn_graph_view *view;
};

view_builder *view_builder_create(void) {
    view_builder *builder = calloc(1, sizeof *builder);
    assert(builder != NULL);
    return builder;
}

void view_builder_destroy(view_builder *builder) {
    if (builder == NULL) {
        return;
    }
    for (uint32_t i = 0; i < builder->counts.constants.count; ++i) {
        free(builder->bytes[i].allocation);
    }
    free(builder->view);
    free(builder);
}

static uint32_t take(tn_span *span, uint32_t count, uint32_t capacity) {
    const uint32_t first = span->count;
    assert(count <= capacity && first <= capacity - count);
    span->count += count;
    return first;
}

static tn_text_ref put_text(view_builder *builder, const char *text) {
    const uint32_t size = (uint32_t)strlen(text);
    const tn_text_ref ref = {take(&builder->counts.strings, size, TEXT_CAPACITY), size};
    memcpy(&builder->strings[ref.offset_bytes], text, size);
    return ref;
}

static tn_range put_dims(view_builder *builder, uint32_t rank, const int64_t *dims) {
    if (rank == TN_RANK_UNKNOWN) {
        return (tn_range){0, TN_RANK_UNKNOWN};
    }
    const tn_range range = {take(&builder->counts.dims, rank, 4 * CAPACITY), rank};
    for (uint32_t i = 0; i < rank; ++i) {
        const uint32_t is_symbol = dims[i] <= VIEW_SYMBOL(0) ? 1u : 0u;
        builder->dims[range.begin + i] =
            (tn_graph_dim){.size = dims[i] < 0 ? -1 : dims[i],
                           .symbol = is_symbol ? (uint32_t)(-2 - dims[i]) : TN_NONE};
    }
    return range;
}

static tn_range put_ids(view_builder *builder, const uint32_t *ids, uint32_t count) {
    const tn_range range = {take(&builder->counts.value_ids, count, 4 * CAPACITY), count};
    if (count != 0) {
        memcpy(&builder->value_ids[range.begin], ids, count * sizeof *ids);
    }
    return range;
}

uint32_t view_builder_symbol(view_builder *builder, const char *name, int64_t min, int64_t max) {
    const tn_text_ref text = put_text(builder, name);
    const uint32_t index = take(&builder->counts.symbols, 1, CAPACITY);
    builder->symbols[index] = (tn_graph_symbol){.name = text, .min = min, .max = max};
    return index;
}

uint32_t view_builder_value(view_builder *builder, tn_dtype dtype, uint32_t rank,
                            const int64_t *dims) {
    const tn_range range = put_dims(builder, rank, dims);
    const uint32_t index = take(&builder->counts.values, 1, CAPACITY);
    builder->values[index] = (tn_graph_value){.kind = TN_VALUE_TENSOR,
                                              .dtype = dtype,
                                              .dims = range,
                                              .constant = TN_NONE,
                                              .producer = TN_NONE};
    return index;
}

uint32_t view_builder_constant(view_builder *builder, tn_dtype dtype, uint32_t rank,
                               const int64_t *dims, const void *data, uint64_t size_bytes,
                               tn_constant_flags flags) {
    const tn_range range = put_dims(builder, rank, dims);
    const uint32_t index = take(&builder->counts.constants, 1, CAPACITY);
    builder->constants[index] = (tn_graph_constant){.key = 1000 + index,
                                                    .size_bytes = size_bytes,
                                                    .dtype = dtype,
                                                    .flags = flags,
                                                    .dims = range};
    unsigned char *allocation = malloc(size_bytes + 1);
    assert(allocation != NULL);
    if (size_bytes != 0) {
        memcpy(allocation + 1, data, size_bytes);
    }
    builder->bytes[index] = (constant_bytes){allocation, size_bytes};
    return index;
}

uint32_t view_builder_constant_value(view_builder *builder, tn_dtype dtype, uint32_t rank,
                                     const int64_t *dims, const void *data, uint64_t size_bytes,
                                     tn_constant_flags flags) {
    const uint32_t constant =
        view_builder_constant(builder, dtype, rank, dims, data, size_bytes, flags);
    const uint32_t value = view_builder_value(builder, dtype, rank, dims);
    view_builder_bind(builder, value, constant);
    return value;
}

void view_builder_bind(view_builder *builder, uint32_t value, uint32_t constant) {
    assert(value < builder->counts.values.count);
    builder->values[value].constant = constant;
}

uint32_t view_builder_node(view_builder *builder, const char *op_type, uint32_t since_version,
                           const uint32_t *inputs, uint32_t input_count, const uint32_t *outputs,
                           uint32_t output_count) {
    const tn_text_ref text = put_text(builder, op_type);
    const tn_range in = put_ids(builder, inputs, input_count);
    const tn_range out = put_ids(builder, outputs, output_count);
    const uint32_t index = take(&builder->counts.nodes, 1, CAPACITY);
    builder->nodes[index] = (tn_graph_node){
        .op_type = text,
        .since_version = since_version,
        .inputs = in,
        .outputs = out,
        .attributes = {builder->counts.attributes.count, 0},
        .expansion = TN_NONE,
        .source_id = index,
    };
    for (uint32_t i = 0; i < output_count; ++i) {
        if (outputs[i] != TN_NONE) {
            builder->values[outputs[i]].producer = index;
        }
    }
    return index;
}

static void put_attribute(view_builder *builder, const char *name, tn_attr_kind kind,
                          tn_range values) {
    const tn_text_ref text = put_text(builder, name);
    const uint32_t index = take(&builder->counts.attributes, 1, CAPACITY);
    builder->attributes[index] = (tn_graph_attribute){.name = text, .kind = kind, .values = values};
    builder->nodes[builder->counts.nodes.count - 1].attributes.count += 1;
}

void view_builder_int(view_builder *builder, const char *name, int64_t value) {
    const uint32_t at = take(&builder->counts.attr_ints, 1, CAPACITY);
    builder->attr_ints[at] = value;
    put_attribute(builder, name, TN_ATTR_INT, (tn_range){at, 1});
}

void view_builder_ints(view_builder *builder, const char *name, const int64_t *values,
                       uint32_t count) {
    const uint32_t at = take(&builder->counts.attr_ints, count, CAPACITY);
    if (count != 0) {
        memcpy(&builder->attr_ints[at], values, count * sizeof *values);
    }
    put_attribute(builder, name, TN_ATTR_INTS, (tn_range){at, count});
}

void view_builder_float(view_builder *builder, const char *name, float value) {
    const uint32_t at = take(&builder->counts.attr_floats, 1, CAPACITY);
    builder->attr_floats[at] = value;
    put_attribute(builder, name, TN_ATTR_FLOAT, (tn_range){at, 1});
}

void view_builder_text(view_builder *builder, const char *name, const char *value) {
    const tn_text_ref text = put_text(builder, value);
    const uint32_t at = take(&builder->counts.attr_texts, 1, CAPACITY);
    builder->attr_texts[at] = text;
    put_attribute(builder, name, TN_ATTR_STRING, (tn_range){at, 1});
}

void view_builder_tensor(view_builder *builder, const char *name, uint32_t constant) {
    const uint32_t at = take(&builder->counts.attr_indices, 1, CAPACITY);
    builder->attr_indices[at] = constant;
    put_attribute(builder, name, TN_ATTR_TENSOR, (tn_range){at, 1});
}

void view_builder_input(view_builder *builder, uint32_t value) {
    assert(builder->input_count < CAPACITY);
    builder->inputs[builder->input_count++] = value;
}

void view_builder_output(view_builder *builder, uint32_t value) {
    assert(builder->output_count < CAPACITY);
    builder->outputs[builder->output_count++] = value;
}

// One pool: where its records come from and which span describes it.
typedef struct pool {
    tn_span *span;
    const void *records;
    uint32_t record_bytes;
} pool;

static void lay_out(pool *pools, uint32_t count, uint32_t extra_bytes, tn_graph_view *header) {
    uint64_t offset = sizeof *header;
    for (uint32_t i = 0; i < count; ++i) {
        tn_span *span = pools[i].span;
        span->stride_bytes = pools[i].record_bytes;
        if (span != &header->strings) {
            span->stride_bytes += extra_bytes;
        }
        span->offset_bytes = offset;
        offset += ((uint64_t)span->count * span->stride_bytes + 7) / 8 * 8;
    }
    header->total_bytes = offset;
}

tn_graph_view *view_builder_finish(view_builder *builder, uint32_t stride_extra_bytes) {
    assert(builder->view == NULL);
    tn_graph_record graph = {.nodes = {0, builder->counts.nodes.count}, .parent_node = TN_NONE};
    graph.inputs = put_ids(builder, builder->inputs, builder->input_count);
    graph.outputs = put_ids(builder, builder->outputs, builder->output_count);
    tn_graph_view header = builder->counts;
    header.struct_size = (uint32_t)sizeof header;
    header.struct_type = TN_STRUCT_GRAPH_VIEW;
    header.graphs.count = 1;
    pool pools[] = {
        {&header.graphs, &graph, sizeof graph},
        {&header.nodes, builder->nodes, sizeof builder->nodes[0]},
        {&header.values, builder->values, sizeof builder->values[0]},
        {&header.value_ids, builder->value_ids, sizeof builder->value_ids[0]},
        {&header.attributes, builder->attributes, sizeof builder->attributes[0]},
        {&header.attr_ints, builder->attr_ints, sizeof builder->attr_ints[0]},
        {&header.attr_floats, builder->attr_floats, sizeof builder->attr_floats[0]},
        {&header.attr_texts, builder->attr_texts, sizeof builder->attr_texts[0]},
        {&header.attr_indices, builder->attr_indices, sizeof builder->attr_indices[0]},
        {&header.dims, builder->dims, sizeof builder->dims[0]},
        {&header.symbols, builder->symbols, sizeof builder->symbols[0]},
        {&header.constants, builder->constants, sizeof builder->constants[0]},
        {&header.strings, builder->strings, 1},
    };
    const uint32_t pool_count = (uint32_t)(sizeof pools / sizeof pools[0]);
    lay_out(pools, pool_count, stride_extra_bytes, &header);
    unsigned char *bytes = calloc(1, header.total_bytes);
    assert(bytes != NULL);
    memcpy(bytes, &header, sizeof header);
    for (uint32_t i = 0; i < pool_count; ++i) {
        const tn_span *span = pools[i].span;
        for (uint32_t k = 0; k < span->count; ++k) {
            memcpy(bytes + span->offset_bytes + (uint64_t)k * span->stride_bytes,
                   (const unsigned char *)pools[i].records + (uint64_t)k * pools[i].record_bytes,
                   pools[i].record_bytes);
        }
    }
    builder->view = (tn_graph_view *)(void *)bytes;
    return builder->view;
}

const void *view_builder_weight(const view_builder *builder, uint64_t key, uint64_t *out_bytes) {
    if (key < 1000 || key - 1000 >= builder->counts.constants.count) {
        return NULL;
    }
    *out_bytes = builder->bytes[key - 1000].size_bytes;
    return builder->bytes[key - 1000].allocation + 1;
}
