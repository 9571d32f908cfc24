// SPDX-License-Identifier: Apache-2.0
// tenon/request.h: inputs and outputs of a prepared request.
#include "api/request_object.h"

#include "base/checked.h"
#include "base/dtype.h"
#include "base/error.h"
#include "flow/text.h"

#include <string.h>

tn_status tni_request_check(const tn_request *request, tn_error *error) {
    if (request == NULL) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.argument", "request is null");
    }
    if (!tni_request_is_prepared(request) || request->state != TNI_REQUEST_IDLE) {
        return tni_fail(error, TN_ERROR_INVALID_STATE, "request.state",
                        tni_request_is_prepared(request) ? "a run was submitted and not waited for"
                                                         : "the request is not prepared");
    }
    return TN_OK;
}

static bool is_view(const tn_tensor_view *view) {
    return tni_struct_ok(view, TN_STRUCT_TENSOR_VIEW, sizeof(tn_struct_header));
}

static void view_of_tensor(const tni_tensor *tensor, tn_tensor_view *out_view) {
    tn_tensor_view view = {
        .data = tensor->data,
        .size_bytes = tensor->size_bytes,
        .dtype = tensor->dtype,
        .rank = tensor->rank,
        .dims = tensor->dims,
    };
    tni_struct_out(out_view, &view, sizeof(view));
}

static void view_of_place(const tn_request *request, uint32_t place, tn_tensor_view *out_view) {
    const tni_execution *execution = request->prepared->execution;
    uint32_t value = execution->schedule->places[place].value;
    const tni_shape *shape = tni_shape_of(request->prepared->table, value);
    tn_tensor_view view = {
        .data = tni_execution_host(execution, place),
        .size_bytes = shape->size_bytes,
        .dtype = shape->dtype,
        .rank = shape->rank,
        .dims = shape->dims,
    };
    tni_struct_out(out_view, &view, sizeof(view));
}

// The tensors that an item consists of: itself, an element, or those of a sequence.
static uint64_t length_of(const tni_item *item) {
    return item->kind == TNI_ITEM_TENSOR     ? 1
           : item->kind == TNI_ITEM_SEQUENCE ? item->sequence->count
                                             : 0;
}

static const tni_graph *graph_of(const tn_request *request) {
    return &request->compiled->flow->model->graphs[0];
}

tn_status tn_request_input(tn_request *request, uint32_t input, tn_tensor_view *out_view) {
    if (request == NULL || !tni_request_is_prepared(request)) {
        return TN_ERROR_INVALID_STATE;
    }
    if (!is_view(out_view) || input >= graph_of(request)->input_count ||
        tni_request_is_state(request, false, input)) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    if (request->prepared != NULL) {
        view_of_place(request, request->prepared->execution->schedule->input_places[input],
                      out_view);
        return TN_OK;
    }
    const tni_item *item = &request->stages->inputs[input];
    if (item->kind != TNI_ITEM_TENSOR) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    view_of_tensor(item->tensor, out_view);
    return TN_OK;
}

tn_status tn_request_output_length(tn_request *request, uint32_t output, uint64_t *out_length) {
    if (request == NULL || !tni_request_is_prepared(request) ||
        request->state != TNI_REQUEST_IDLE) {
        return TN_ERROR_INVALID_STATE;
    }
    if (out_length == NULL || output >= graph_of(request)->output_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    const tni_item *item = request->stages != NULL ? &request->stages->outputs[output] : NULL;
    if (item != NULL && item->kind == TNI_ITEM_EMPTY) {
        return TN_ERROR_INVALID_STATE;
    }
    *out_length = item == NULL ? 1 : length_of(item);
    return TN_OK;
}

tn_status tn_request_output_element(tn_request *request, uint32_t output, uint64_t index,
                                    tn_tensor_view *out_view) {
    uint64_t length = 0;
    tn_status status = tn_request_output_length(request, output, &length);
    if (status != TN_OK) {
        return status;
    }
    if (!is_view(out_view) || index >= length || tni_request_is_state(request, true, output)) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    if (request->prepared != NULL) {
        view_of_place(request, request->prepared->execution->schedule->output_places[output],
                      out_view);
        return TN_OK;
    }
    const tni_item *item = &request->stages->outputs[output];
    view_of_tensor(item->kind == TNI_ITEM_TENSOR ? item->tensor : item->sequence->tensors[index],
                   out_view);
    return TN_OK;
}

tn_status tn_request_output(tn_request *request, uint32_t output, tn_tensor_view *out_view) {
    if (request != NULL && request->stages != NULL) {
        return tn_request_output_element(request, output, 0, out_view);
    }
    if (request == NULL || request->prepared == NULL) {
        return TN_ERROR_INVALID_STATE;
    }
    if (!is_view(out_view) || output >= graph_of(request)->output_count ||
        tni_request_is_state(request, true, output)) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    view_of_place(request, request->prepared->execution->schedule->output_places[output], out_view);
    return TN_OK;
}

tn_status tn_request_output_status(tn_request *request, uint32_t output) {
    if (request == NULL || !tni_request_is_prepared(request) ||
        request->state != TNI_REQUEST_IDLE) {
        return TN_ERROR_INVALID_STATE;
    }
    if (output >= graph_of(request)->output_count) {
        return TN_ERROR_INVALID_ARGUMENT;
    }
    if (request->stages != NULL) {
        bool has = request->stages->outputs[output].kind != TNI_ITEM_EMPTY;
        // Nothing is there and nothing failed: there was no run since prepare.
        return has ? TN_OK : request->last != TN_OK ? request->last : TN_ERROR_INVALID_STATE;
    }
    return tni_execution_output_status(request->prepared->execution, output);
}

// Strings of another length need other memory.
static tn_status write_texts(tn_request *request, uint32_t input, const void *data,
                             uint64_t size_bytes, tn_error *error) {
    tni_item *item = &request->stages->inputs[input];
    tni_tensor *made = NULL;
    if (!tni_texts_valid(data, size_bytes, tni_texts_count(item->tensor))) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.strings",
                        "input %u takes end offsets and characters of %llu strings", input,
                        (unsigned long long)tni_texts_count(item->tensor));
    }
    tn_status status =
        tni_tensor_create_sized(&request->stages->store, TN_DTYPE_STRING, item->tensor->rank,
                                item->tensor->dims, size_bytes, &made, error);
    if (status == TN_OK) {
        memcpy(made->data, data, size_bytes);
        tni_item_clear(item);
        *item = tni_item_of(made);
    }
    return status;
}

tn_status tn_request_write(tn_request *request, uint32_t input, const void *data,
                           uint64_t size_bytes, tn_error *error) {
    tn_status status = tni_request_check(request, error);
    if (status != TN_OK) {
        return status;
    }
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    status = tn_request_input(request, input, &view);
    if (status == TN_OK && view.dtype == TN_DTYPE_STRING) {
        return write_texts(request, input, data, size_bytes, error);
    }
    if (status != TN_OK || data == NULL || size_bytes != view.size_bytes) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.write",
                        "input %u takes %llu bytes, %llu were given", input,
                        (unsigned long long)(status == TN_OK ? view.size_bytes : 0),
                        (unsigned long long)size_bytes);
    }
    if (size_bytes > 0) {
        memcpy(view.data, data, size_bytes);
    }
    return TN_OK;
}

// Whether data and size_bytes are what type and dims say; of strings, end offsets and characters.
static bool element_fits(const tn_tensor_view *element) {
    uint64_t count = 0;
    uint64_t bytes = element->size_bytes;
    if (element->rank > TN_MAX_RANK || !tni_count_of_dims(element->dims, element->rank, &count) ||
        (element->data == NULL && bytes > 0)) {
        return false;
    }
    return element->dtype == TN_DTYPE_STRING
               ? tni_texts_valid(element->data, bytes, count)
               : tni_size_of_elements(element->dtype, count, &bytes) &&
                     bytes == element->size_bytes;
}

static tn_status copy_element(tn_request *request, uint32_t input, const tn_tensor_view *element,
                              tni_tensor **out_tensor, tn_error *error) {
    *out_tensor = NULL;
    if (!tni_struct_ok(element, TN_STRUCT_TENSOR_VIEW, sizeof(*element)) ||
        (element->dims == NULL && element->rank > 0)) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.element",
                        "an element is no tensor view");
    }
    tn_dtype dtype = request->compiled->flow->model->values[graph_of(request)->inputs[input]].dtype;
    if (element->dtype != dtype && dtype != TN_DTYPE_UNDEFINED) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.element",
                        "input %u takes elements of type %s", input, tni_dtype_name(dtype));
    }
    if (!element_fits(element)) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.element",
                        "an element has another size than its type and dims");
    }
    tn_status status =
        tni_tensor_create_sized(&request->stages->store, element->dtype, element->rank,
                                element->dims, element->size_bytes, out_tensor, error);
    if (status == TN_OK && element->size_bytes > 0) {
        memcpy((*out_tensor)->data, element->data, element->size_bytes);
    }
    return status;
}

static tn_status make_sequence(tn_request *request, uint32_t input, const tn_tensor_view *elements,
                               uint32_t count, tni_item *out_item, tn_error *error) {
    tni_sequence *sequence = NULL;
    tn_status status = tni_sequence_create(&request->stages->store, count, &sequence, error);
    for (uint32_t i = 0; i < count && status == TN_OK; i++) {
        status = copy_element(request, input, &elements[i], &sequence->tensors[i], error);
    }
    if (status != TN_OK) {
        tni_sequence_release(sequence);
        return status;
    }
    *out_item = (tni_item){.kind = TNI_ITEM_SEQUENCE, .sequence = sequence};
    return TN_OK;
}

tn_status tn_request_write_elements(tn_request *request, uint32_t input,
                                    const tn_tensor_view *elements, uint32_t count,
                                    tn_error *error) {
    tn_status status = tni_request_check(request, error);
    if (status != TN_OK) {
        return status;
    }
    const tni_graph *graph = graph_of(request);
    tn_value_kind kind = input < graph->input_count
                             ? request->compiled->flow->model->values[graph->inputs[input]].kind
                             : TN_VALUE_TENSOR;
    bool optional = kind == TN_VALUE_OPTIONAL_TENSOR || kind == TN_VALUE_OPTIONAL_SEQUENCE;
    if (kind == TN_VALUE_TENSOR || kind == TN_VALUE_SPARSE_TENSOR ||
        (elements == NULL && (count > 0 || !optional)) ||
        (kind == TN_VALUE_OPTIONAL_TENSOR && count > 1)) {
        return tni_fail(error, TN_ERROR_INVALID_ARGUMENT, "request.elements",
                        "input %u is no sequence or optional, or does not take %u elements", input,
                        count);
    }
    tni_item item = {.kind = TNI_ITEM_NONE};
    tni_tensor *tensor = NULL;
    if (elements != NULL && kind == TN_VALUE_OPTIONAL_TENSOR && count == 1) {
        status = copy_element(request, input, elements, &tensor, error);
        item = tni_item_of(tensor);
    } else if (elements != NULL) {
        status = make_sequence(request, input, elements, count, &item, error);
    }
    if (status == TN_OK) {
        tni_item_clear(&request->stages->inputs[input]);
        request->stages->inputs[input] = item;
    }
    return status;
}
