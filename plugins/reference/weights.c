// SPDX-License-Identifier: Apache-2.0
// Constants of a program. Those that lie in the model's file are used in place; derived ones are
// computed by the host into memory of ours, the large ones not before somebody prepares to run: a
// model that is only compiled costs no memory for them.
#include "program.h"

#include <string.h>

// Small constants are read at compile: kernels of shapes and axes may want to look at them early.
#define DEFER_BYTES 65536u

static tn_status no_memory(tn_error *error) {
    return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "weights: no memory");
}

// Whatever the host said, to the host the weight could not be read.
static tn_status weight_failed(tn_status status, uint32_t index, tn_error *error) {
    return tn_helper_fail(error, status == TN_ERROR_OUT_OF_MEMORY ? status : TN_ERROR_IO,
                          "reference.weight", "constant %u: the host gave status %d", index,
                          status);
}

static tn_status read_weight(ref_program *program, uint32_t index, tn_error *error) {
    const tn_helper_host *host = &program->host;
    const tn_graph_constant *constant = tn_view_constant(program->view, index);
    void *data = tn_helper_alloc(host, constant->size_bytes);
    if (data == NULL) {
        return no_memory(error);
    }
    const tn_status status =
        host->services->weight_read(host->context, constant->key, 0, constant->size_bytes, data);
    if (status != TN_OK) {
        tn_helper_free(host, data, constant->size_bytes);
        return weight_failed(status, index, error);
    }
    program->constants[index].data = data;
    return TN_OK;
}

tn_status tni_ref_constant_open(ref_program *program, uint32_t index, tn_error *error) {
    const tn_helper_host *host = &program->host;
    const tn_graph_constant *constant = tn_view_constant(program->view, index);
    ref_tensor *tensor = &program->constants[index];
    *tensor = (ref_tensor){.dtype = constant->dtype, .rank = constant->dims.count};
    for (uint32_t axis = 0; axis < constant->dims.count; ++axis) {
        tensor->dims[axis] = tn_view_dim(program->view, constant->dims.begin + axis)->size;
    }
    if (!tni_ref_count(tensor->dims, tensor->rank, &tensor->count)) {
        return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, "reference.constant",
                              "constant %u is too large", index);
    }
    tensor->size_bytes = tni_ref_bytes_of(constant->dtype, tensor->count);
    if ((uint64_t)tensor->size_bytes != constant->size_bytes || constant->size_bytes == 0) {
        return TN_OK; // A type no kernel takes, or no elements: there is nothing to read.
    }
    if ((constant->flags & TN_CONSTANT_MAPPABLE) != 0) {
        const void *data = NULL;
        uint64_t size_bytes = 0;
        const tn_status status =
            host->services->weight_map(host->context, constant->key, &data, &size_bytes);
        if (status == TN_OK && size_bytes >= constant->size_bytes) {
            // Kernels read through data only: inputs are never written.
            memcpy(&tensor->data, &data, sizeof data);
            return TN_OK;
        }
        if (status != TN_ERROR_UNSUPPORTED) {
            return weight_failed(status, index, error);
        }
    }
    program->owned[index] = 1;
    program->owned_bytes += constant->size_bytes;
    if (constant->size_bytes > DEFER_BYTES) {
        program->deferred = 1;
        return TN_OK;
    }
    return read_weight(program, index, error);
}

tn_status tni_ref_weights_read(ref_program *program, tn_error *error) {
    tn_status status = TN_OK;
    (void)pthread_mutex_lock(&program->weights_mutex);
    for (uint32_t i = 0; program->deferred && status == TN_OK && i < program->view->constants.count;
         ++i) {
        if (program->owned[i] && program->constants[i].data == NULL) {
            status = read_weight(program, i, error);
        }
    }
    program->deferred = status == TN_OK ? 0 : program->deferred;
    (void)pthread_mutex_unlock(&program->weights_mutex);
    return status;
}
