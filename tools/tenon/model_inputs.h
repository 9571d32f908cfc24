// SPDX-License-Identifier: Apache-2.0
// What a model is run on, for `run` and `bench`: inputs from files, shapes, and seeded random
// values for the rest.
#ifndef TENON_TOOLS_MODEL_INPUTS_H
#define TENON_TOOLS_MODEL_INPUTS_H

#include "cli.h"
#include "tensor_file.h"

typedef struct input_options {
    const char *files[CLI_MAX_LIST];  // NAME=FILE
    const char *shapes[CLI_MAX_LIST]; // NAME=AxBxC
    uint32_t file_count;
    uint32_t shape_count;
    uint64_t seed;
} input_options;

// The inputs of one model, once gathered. Free with model_inputs_free.
typedef struct model_inputs {
    uint32_t count;
    tensor *tensors;              // those from files have data
    tn_input_shape *shapes;       // for tn_request_prepare
    int64_t (*dims)[TN_MAX_RANK]; // what shapes points to
} model_inputs;

// Takes --input, --shape and --seed. Returns false for others.
bool input_options_take(cli_args *args, input_options *options, const char *argument);

// Every name that is given must be an input of the model. CLI_OK or CLI_USAGE after a message.
int model_inputs_check(const char *command, const tn_model *model, const input_options *options);
// Reads the given inputs and decides every input's shape: the file's, the one given, or the
// model's with 1 for what is not known. CLI_OK or an exit code after a message; free in both cases.
int model_inputs_gather(const char *command, const tn_model *model, const input_options *options,
                        model_inputs *out_inputs);
// Writes them into a request that was prepared for their shapes; those without a file are random.
// CLI_OK or an exit code after a message.
int model_inputs_write(const char *command, const tn_model *model, const input_options *options,
                       const model_inputs *inputs, tn_request *request);
void model_inputs_free(model_inputs *inputs);

#endif // TENON_TOOLS_MODEL_INPUTS_H
