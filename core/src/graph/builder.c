// SPDX-License-Identifier: Apache-2.0
// Nodes and constants made for another node. See builder.h.
#include "graph/builder.h"

#include "graph/elements.h"
#include "graph/schema/schema.h"

#include <string.h>

uint32_t tni_build_value(tni_builder *b) {
    uint32_t value = TN_NONE;
    if (b->status == TN_OK) {
        b->status = tni_model_add_value(b->model, b->scope, TNI_LITERAL(""), &value);
    }
    return value;
}

static uint32_t add_constant(tni_builder *b, const tni_constant_info *info) {
    uint32_t constant = TN_NONE;
    uint32_t value = TN_NONE;
    if (b->status == TN_OK) {
        b->status = tni_model_add_constant(b->model, info, &constant);
    }
    if (b->status == TN_OK) {
        b->model->constants[constant].helper = true;
        b->status =
            tni_model_add_constant_value(b->model, b->scope, TNI_LITERAL(""), constant, &value);
    }
    return value;
}

uint32_t tni_build_scalar(tni_builder *b, double number) {
    uint8_t bytes[8];
    tni_constant_info info = {.dtype = b->dtype, .kind = TNI_CONSTANT_OWNED, .bytes = bytes};
    if (tni_elements_encodable(b->dtype)) {
        tni_elements_encode(b->dtype, &number, 1, bytes);
        info.size_bytes = b->dtype == TN_DTYPE_DOUBLE ? 8 : b->dtype == TN_DTYPE_FLOAT ? 4 : 2;
    } else if (b->dtype == TN_DTYPE_INT32) {
        const int32_t word = (int32_t)number;
        memcpy(bytes, &word, sizeof word);
        info.size_bytes = sizeof word;
    } else if (b->dtype == TN_DTYPE_INT64) {
        const int64_t word = (int64_t)number;
        memcpy(bytes, &word, sizeof word);
        info.size_bytes = sizeof word;
    } else {
        bytes[0] = number != 0.0;
        info.dtype = TN_DTYPE_BOOL;
        info.size_bytes = 1;
    }
    return add_constant(b, &info);
}

static uint32_t add_list(tni_builder *b, tn_dtype dtype, const void *values, uint32_t count,
                         uint32_t rank) {
    const int64_t dim = count;
    const tni_constant_info info = {.dtype = dtype,
                                    .rank = rank,
                                    .dims = &dim,
                                    .kind = TNI_CONSTANT_OWNED,
                                    .bytes = values,
                                    .size_bytes =
                                        (uint64_t)count * (dtype == TN_DTYPE_FLOAT ? 4u : 8u)};
    return add_constant(b, &info);
}

uint32_t tni_build_ints(tni_builder *b, const int64_t *values, uint32_t count) {
    return add_list(b, TN_DTYPE_INT64, values, count, 1);
}

uint32_t tni_build_int(tni_builder *b, int64_t value) {
    return add_list(b, TN_DTYPE_INT64, &value, 1, 0);
}

uint32_t tni_build_floats(tni_builder *b, const float *values, uint32_t count) {
    return add_list(b, TN_DTYPE_FLOAT, values, count, 1);
}

uint32_t tni_build_reshaped(tni_builder *b, uint32_t constant, const int64_t *dims, uint32_t rank) {
    uint32_t reshaped = TN_NONE;
    uint32_t value = TN_NONE;
    if (b->status == TN_OK) {
        b->status = tni_model_add_reshaped(b->model, constant, dims, rank, &reshaped);
    }
    if (b->status == TN_OK) {
        b->status =
            tni_model_add_constant_value(b->model, b->scope, TNI_LITERAL(""), reshaped, &value);
    }
    return value;
}

uint32_t tni_build_node(tni_builder *b, const char *op_type, uint32_t input_count,
                        const uint32_t *inputs, uint32_t output, const tni_attr *attrs,
                        uint32_t attr_count) {
    uint32_t id = TN_NONE;
    if (output == TN_NONE) {
        output = tni_build_value(b);
    }
    if (b->status != TN_OK) {
        return TN_NONE;
    }
    const tni_node_info info = {
        .graph = b->graph,
        .op_type = tni_string_of(op_type),
        .name = b->model->nodes[b->node].name,
        .since_version =
            tni_schema_since_version(TNI_LITERAL(""), tni_string_of(op_type), b->opset),
        .input_count = input_count,
        .output_count = 1,
        .inputs = inputs,
        .outputs = &output,
        .attrs = attrs,
        .attr_count = attr_count,
        .source_id = b->model->nodes[b->node].source_id,
    };
    b->status = tni_model_add_node(b->model, &info, &id);
    return output;
}

uint32_t tni_build_unary(tni_builder *b, const char *op_type, uint32_t x, uint32_t output) {
    return tni_build_node(b, op_type, 1, &x, output, NULL, 0);
}

uint32_t tni_build_binary(tni_builder *b, const char *op_type, uint32_t x, uint32_t y,
                          uint32_t output) {
    const uint32_t inputs[2] = {x, y};
    return tni_build_node(b, op_type, 2, inputs, output, NULL, 0);
}

uint32_t tni_build_ternary(tni_builder *b, const char *op_type, uint32_t x, uint32_t y, uint32_t z,
                           uint32_t output) {
    const uint32_t inputs[3] = {x, y, z};
    return tni_build_node(b, op_type, 3, inputs, output, NULL, 0);
}

uint32_t tni_build_cast(tni_builder *b, uint32_t x, tn_dtype dtype, uint32_t output) {
    int64_t to = dtype;
    const tni_attr attr = tni_attr_int("to", &to);
    return tni_build_node(b, "Cast", 1, &x, output, &attr, 1);
}

// Axes are an attribute before `moved`, an operand from then on.
static uint32_t with_axes(tni_builder *b, const char *op_type, uint32_t moved, uint32_t x,
                          const int64_t *axes, uint32_t axis_count, const tni_attr *other,
                          uint32_t output) {
    int64_t copy[TN_MAX_RANK];
    uint32_t inputs[2] = {x, TN_NONE};
    tni_attr attrs[2];
    uint32_t attr_count = 0;
    if (other != NULL) {
        attrs[attr_count++] = *other;
    }
    if (b->opset < moved) {
        memcpy(copy, axes, axis_count * sizeof *axes);
        attrs[attr_count++] = tni_attr_ints("axes", copy, axis_count);
        return tni_build_node(b, op_type, 1, inputs, output, attrs, attr_count);
    }
    inputs[1] = tni_build_ints(b, axes, axis_count);
    return tni_build_node(b, op_type, 2, inputs, output, attrs, attr_count);
}

uint32_t tni_build_reduce(tni_builder *b, const char *op_type, uint32_t x, const int64_t *axes,
                          uint32_t axis_count, bool keep_dims, uint32_t output) {
    int64_t off = 0;
    const tni_attr attr = tni_attr_int("keepdims", &off);
    const uint32_t moved = strcmp(op_type, "ReduceSum") == 0 ? 13 : 18;
    return with_axes(b, op_type, moved, x, axes, axis_count, keep_dims ? NULL : &attr, output);
}

uint32_t tni_build_unsqueeze(tni_builder *b, uint32_t x, const int64_t *axes, uint32_t axis_count,
                             uint32_t output) {
    return with_axes(b, "Unsqueeze", 13, x, axes, axis_count, NULL, output);
}

uint32_t tni_build_squeeze(tni_builder *b, uint32_t x, const int64_t *axes, uint32_t axis_count,
                           uint32_t output) {
    return with_axes(b, "Squeeze", 13, x, axes, axis_count, NULL, output);
}

uint32_t tni_build_reshape(tni_builder *b, uint32_t x, const int64_t *dims, uint32_t rank,
                           uint32_t output) {
    return tni_build_binary(b, "Reshape", x, tni_build_ints(b, dims, rank), output);
}

uint32_t tni_build_expand(tni_builder *b, uint32_t x, const int64_t *dims, uint32_t rank,
                          uint32_t output) {
    return tni_build_binary(b, "Expand", x, tni_build_ints(b, dims, rank), output);
}

tni_attr tni_attr_int(const char *name, int64_t *value) {
    return (tni_attr){.name = tni_string_of(name), .kind = TN_ATTR_INT, .count = 1, .ints = value};
}

tni_attr tni_attr_ints(const char *name, int64_t *values, uint32_t count) {
    return (tni_attr){
        .name = tni_string_of(name), .kind = TN_ATTR_INTS, .count = count, .ints = values};
}

tni_attr tni_attr_float(const char *name, float *value) {
    return (tni_attr){
        .name = tni_string_of(name), .kind = TN_ATTR_FLOAT, .count = 1, .floats = value};
}

tni_attr tni_attr_text(const char *name, tn_string *value) {
    return (tni_attr){
        .name = tni_string_of(name), .kind = TN_ATTR_STRING, .count = 1, .texts = value};
}
