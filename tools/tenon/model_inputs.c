// SPDX-License-Identifier: Apache-2.0
// Inputs of models: from files, of given shapes, random.
#include "model_inputs.h"

#include "seeded_random.h"

#include <stdlib.h>
#include <string.h>

static void add_pair(cli_args *args, const char *option, const char **list, uint32_t *count) {
    const char *value = cli_value(args, option);
    if (value == NULL) {
        return;
    }
    if (strchr(value, '=') == NULL || *count == CLI_MAX_LIST) {
        cli_message(args->command, "%s takes NAME=VALUE, at most %u times; \"%s\" is not that",
                    option, CLI_MAX_LIST, value);
        args->failed = CLI_USAGE;
        return;
    }
    list[(*count)++] = value;
}

bool input_options_take(cli_args *args, input_options *options, const char *argument) {
    if (strcmp(argument, "--input") == 0) {
        add_pair(args, argument, options->files, &options->file_count);
    } else if (strcmp(argument, "--shape") == 0) {
        add_pair(args, argument, options->shapes, &options->shape_count);
    } else if (strcmp(argument, "--seed") == 0) {
        options->seed = cli_number(args, argument, 0, UINT64_MAX / 2);
    } else {
        return false;
    }
    return true;
}

static bool get_input(const tn_model *model, uint32_t input, tn_tensor_desc *out_desc) {
    *out_desc =
        (tn_tensor_desc){.struct_size = sizeof(*out_desc), .struct_type = TN_STRUCT_TENSOR_DESC};
    return tn_model_input_get(model, input, out_desc) == TN_OK;
}

// The part after "NAME=" of the entry for name, or null.
static const char *find_pair(const char *const *list, uint32_t count, const char *name) {
    size_t size = strlen(name);
    for (uint32_t i = 0; i < count; i++) {
        if (strncmp(list[i], name, size) == 0 && list[i][size] == '=') {
            return list[i] + size + 1;
        }
    }
    return NULL;
}

static int check_names(const char *command, const tn_model *model, const char *const *list,
                       uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < tn_model_input_count(model) && !known; k++) {
            tn_tensor_desc desc;
            known = get_input(model, k, &desc) && find_pair(&list[i], 1, desc.name) != NULL;
        }
        if (!known) {
            cli_message(command, "the model has no input for \"%s\"; see tenon inspect", list[i]);
            return CLI_USAGE;
        }
    }
    return CLI_OK;
}

int model_inputs_check(const char *command, const tn_model *model, const input_options *options) {
    int code = check_names(command, model, options->files, options->file_count);
    return code == CLI_OK ? check_names(command, model, options->shapes, options->shape_count)
                          : code;
}

static int gather(const char *command, const input_options *options, const tn_tensor_desc *desc,
                  tensor *out_tensor, int64_t *dims, uint32_t *out_rank) {
    char text[TENSOR_TEXT_BYTES];
    const char *file = find_pair(options->files, options->file_count, desc->name);
    const char *shape = find_pair(options->shapes, options->shape_count, desc->name);
    *out_rank = desc->rank == TN_RANK_UNKNOWN ? 0 : desc->rank;
    for (uint32_t k = 0; k < *out_rank; k++) {
        dims[k] = desc->dims[k] < 0 ? 1 : desc->dims[k];
    }
    if (file != NULL) {
        if (!tensor_read(file, out_tensor, text)) {
            cli_message(command, "%s", text);
            return CLI_USAGE;
        }
        if (out_tensor->dtype != desc->dtype) {
            cli_message(command, "input %s is %s, the file has %s", desc->name,
                        tn_dtype_text(desc->dtype), tn_dtype_text(out_tensor->dtype));
            return CLI_USAGE;
        }
        *out_rank = out_tensor->rank;
        memcpy(dims, out_tensor->dims, sizeof(out_tensor->dims));
    } else if (shape != NULL && !cli_parse_shape(shape, dims, out_rank)) {
        cli_message(command, "\"%s\" is not a shape like 1x3x224x224", shape);
        return CLI_USAGE;
    }
    return CLI_OK;
}

int model_inputs_gather(const char *command, const tn_model *model, const input_options *options,
                        model_inputs *out_inputs) {
    model_inputs *in = out_inputs;
    uint32_t count = tn_model_input_count(model);
    *in = (model_inputs){
        .tensors = calloc((size_t)count + 1, sizeof(*in->tensors)),
        .shapes = calloc((size_t)count + 1, sizeof(*in->shapes)),
        .dims = calloc((size_t)count + 1, sizeof(*in->dims)),
    };
    if (in->tensors == NULL || in->shapes == NULL || in->dims == NULL) {
        cli_message(command, "out of memory");
        return CLI_ENVIRONMENT;
    }
    in->count = count;
    for (uint32_t i = 0; i < count; i++) {
        tn_tensor_desc desc;
        if (!get_input(model, i, &desc)) {
            return CLI_INTERNAL;
        }
        uint32_t rank = 0;
        int code = gather(command, options, &desc, &in->tensors[i], in->dims[i], &rank);
        in->shapes[i] = (tn_input_shape){i, rank, in->dims[i]};
        if (code != CLI_OK) {
            return code;
        }
    }
    return CLI_OK;
}

void model_inputs_free(model_inputs *inputs) {
    for (uint32_t i = 0; i < inputs->count; i++) {
        tensor_deinit(&inputs->tensors[i]);
    }
    free(inputs->tensors);
    free(inputs->shapes);
    free(inputs->dims);
    *inputs = (model_inputs){0};
}

// How random elements of a type are made: width bytes of random bits under keep, with set on top.
// Narrow real types are +-[0.5, 1) (or the like) with all bits of the fraction, so that none is so
// small that the processor would be slow on it; integers are in [0, 2), packed ones each.
typedef struct random_form {
    tn_dtype dtype;
    uint32_t width;
    uint64_t keep;
    uint64_t set;
} random_form;

static random_form form_of(tn_dtype dtype) {
    static const random_form forms[] = {
        {TN_DTYPE_FLOAT16, 2, 0x83ff, 0x3800},  {TN_DTYPE_BFLOAT16, 2, 0x807f, 0x3f00},
        {TN_DTYPE_FLOAT8E4M3FN, 1, 0x87, 0x30}, {TN_DTYPE_FLOAT8E4M3FNUZ, 1, 0x87, 0x38},
        {TN_DTYPE_FLOAT8E5M2, 1, 0x83, 0x38},   {TN_DTYPE_FLOAT8E5M2FNUZ, 1, 0x83, 0x3c},
        {TN_DTYPE_FLOAT8E8M0, 1, 0x01, 0x7e},   {TN_DTYPE_FLOAT4E2M1, 1, 0x99, 0x22},
        {TN_DTYPE_UINT4, 1, 0x11, 0},           {TN_DTYPE_INT4, 1, 0x11, 0},
        {TN_DTYPE_UINT2, 1, 0x55, 0},           {TN_DTYPE_INT2, 1, 0x55, 0},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (forms[i].dtype == dtype) {
            return forms[i];
        }
    }
    return (random_form){dtype, tensor_element_bytes(dtype), 1, 0};
}

// Wide real types are uniform in [-1, 1), complex ones in each part.
static void fill_random(const tn_tensor_view *view, uint64_t seed) {
    bool single = view->dtype == TN_DTYPE_FLOAT || view->dtype == TN_DTYPE_COMPLEX64;
    bool wide = single || view->dtype == TN_DTYPE_DOUBLE || view->dtype == TN_DTYPE_COMPLEX128;
    random_form form = form_of(view->dtype);
    uint32_t width = single ? 4 : wide ? 8 : form.width;
    uint64_t state = seed;
    for (uint64_t i = 0; width > 0 && i < view->size_bytes / width; i++) {
        uint64_t bits = seeded_random(&state);
        double real = (double)(bits >> 11) / 4503599627370496.0 - 1.0;
        float narrow = (float)real;
        uint64_t other = (bits & form.keep) | form.set; // little-endian
        const void *from = single ? (const void *)&narrow
                           : wide ? (const void *)&real
                                  : (const void *)&other;
        memcpy((uint8_t *)view->data + i * width, from, width);
    }
}

int model_inputs_write(const char *command, const tn_model *model, const input_options *options,
                       const model_inputs *inputs, tn_request *request) {
    tn_error error;
    tn_error_init(&error);
    for (uint32_t i = 0; i < inputs->count; i++) {
        const tensor *given = &inputs->tensors[i];
        tn_tensor_desc desc;
        tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
        if (given->data != NULL) {
            tn_status status = tn_request_write(request, i, given->data, given->size_bytes, &error);
            if (status != TN_OK) {
                return cli_fail(command, &error, status);
            }
            continue;
        }
        if (get_input(model, i, &desc) &&
            (desc.kind != TN_VALUE_TENSOR || desc.dtype == TN_DTYPE_STRING)) {
            cli_message(command,
                        "input \"%s\" is no tensor of numbers: only the embedding "
                        "API can set it",
                        desc.name);
            return CLI_USAGE;
        }
        if (tn_request_input(request, i, &view) != TN_OK) {
            return CLI_INTERNAL;
        }
        fill_random(&view, options->seed + i);
    }
    return CLI_OK;
}
