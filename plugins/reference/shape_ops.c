// SPDX-License-Identifier: Apache-2.0
// Ops that make tensors of shapes, attributes or scalars: Shape, Size, Constant, ConstantOfShape,
// Range.
#include "kernels.h"

#include <math.h>

// Shape: sizes of the axes [start, end), both clamped to the rank (since version 15).
tn_status tni_ref_shape(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    const int64_t rank = input->rank;
    int64_t begin = tni_ref_int(call, "start", 0);
    int64_t end = tni_ref_int(call, "end", rank);
    begin += begin < 0 ? rank : 0;
    end += end < 0 ? rank : 0;
    begin = begin < 0 ? 0 : (begin > rank ? rank : begin);
    end = end < begin ? begin : (end > rank ? rank : end);
    if (output->count != end - begin || output->dtype != TN_DTYPE_INT64) {
        return tni_ref_invalid(call, "shape or type of the output");
    }
    for (int64_t i = begin; i < end; ++i) {
        tni_ref_store_int(output, i - begin, input->dims[i]);
    }
    return TN_OK;
}

tn_status tni_ref_size(const ref_call *call) {
    ref_tensor *output = call->outputs[0];
    if (output->count != 1 || output->dtype != TN_DTYPE_INT64) {
        return tni_ref_invalid(call, "shape or type of the output");
    }
    tni_ref_store_int(output, 0, call->inputs[0]->count);
    return TN_OK;
}

// The tensor of an attribute, or null when it is absent or its bytes were not read.
static const ref_tensor *attribute_tensor(const ref_call *call, const char *name) {
    const tn_graph_attribute *found = tn_view_find_attr(call->view, call->node, name, NULL);
    if (found == NULL || found->kind != TN_ATTR_TENSOR || found->values.count != 1) {
        return NULL;
    }
    const ref_tensor *tensor = &call->constants[tn_view_index(call->view, found->values.begin)];
    return tensor->data == NULL && tensor->count != 0 ? NULL : tensor;
}

static tn_status constant_numbers(const ref_call *call) {
    ref_tensor *output = call->outputs[0];
    const uint32_t is_int = tni_ref_has(call, "value_int") | tni_ref_has(call, "value_ints");
    const char *name = tni_ref_has(call, "value_int")     ? "value_int"
                       : tni_ref_has(call, "value_ints")  ? "value_ints"
                       : tni_ref_has(call, "value_float") ? "value_float"
                                                          : "value_floats";
    const tn_graph_attribute *found = tn_view_find_attr(call->view, call->node, name, NULL);
    if (found == NULL || (int64_t)found->values.count != output->count ||
        (found->kind != (is_int ? TN_ATTR_INT : TN_ATTR_FLOAT) &&
         found->kind != (is_int ? TN_ATTR_INTS : TN_ATTR_FLOATS))) {
        return tni_ref_invalid(call, "value");
    }
    for (uint32_t i = 0; i < found->values.count; ++i) {
        const uint32_t at = found->values.begin + i;
        if (is_int) {
            tni_ref_store_int(output, i, tn_view_int(call->view, at));
        } else {
            tni_ref_store(output, i, (double)tn_view_float(call->view, at));
        }
    }
    return TN_OK;
}

tn_status tni_ref_constant(const ref_call *call) {
    ref_tensor *output = call->outputs[0];
    if (!tni_ref_has(call, "value")) {
        return constant_numbers(call);
    }
    const ref_tensor *value = attribute_tensor(call, "value");
    if (value == NULL || value->count != output->count || value->dtype != output->dtype) {
        return tni_ref_invalid(call, "value");
    }
    if (output->size_bytes != 0) {
        memcpy(output->data, value->data, (size_t)output->size_bytes);
    }
    return TN_OK;
}

tn_status tni_ref_constant_of_shape(const ref_call *call) {
    ref_tensor *output = call->outputs[0];
    const ref_tensor *value = attribute_tensor(call, "value");
    if (value == NULL ? tni_ref_has(call, "value") || output->dtype != TN_DTYPE_FLOAT
                      : value->count != 1 || value->dtype != output->dtype) {
        return tni_ref_invalid(call, "value");
    }
    const ref_tensor *shape = call->inputs[0];
    for (uint32_t i = 0; i < output->rank; ++i) {
        if (shape->count != (int64_t)output->rank ||
            tni_ref_load_int(shape, i) != output->dims[i]) {
            return tni_ref_stale(call, 0);
        }
    }
    for (int64_t i = 0; i < output->count; ++i) {
        if (value == NULL) {
            tni_ref_store(output, i, 0.0);
        } else {
            tni_ref_move(output, i, value, 0);
        }
    }
    return TN_OK;
}

// Range: start + i * delta, for max(ceil((limit - start) / delta), 0) elements.
tn_status tni_ref_range(const ref_call *call) {
    ref_tensor *output = call->outputs[0];
    for (uint32_t i = 0; i < 3; ++i) {
        if (call->inputs[i]->count != 1 || call->inputs[i]->dtype != output->dtype) {
            return tni_ref_invalid(call, "start, limit or delta");
        }
    }
    const double start = tni_ref_load(call->inputs[0], 0);
    const double limit = tni_ref_load(call->inputs[1], 0);
    const double delta = tni_ref_load(call->inputs[2], 0);
    const double count = fmax(ceil((limit - start) / delta), 0.0);
    if (!(count == (double)output->count)) {
        return tni_ref_stale(call, 1);
    }
    const uint64_t first = (uint64_t)tni_ref_load_int(call->inputs[0], 0);
    const uint64_t step = (uint64_t)tni_ref_load_int(call->inputs[2], 0);
    for (int64_t i = 0; i < output->count; ++i) {
        if (tni_ref_is_float(output->dtype)) {
            tni_ref_store(output, i, start + (double)i * delta);
        } else {
            tni_ref_store_int(output, i, (int64_t)(first + (uint64_t)i * step));
        }
    }
    return TN_OK;
}
