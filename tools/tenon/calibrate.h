// SPDX-License-Identifier: Apache-2.0
// Parts of `tenon calibrate`: models to measure (calibrate_models.c), timing them
// (calibrate_measure.c), from times to costs (calibrate_fit.c), and the file (calibrate_file.c).
#ifndef TENON_TOOLS_CALIBRATE_H
#define TENON_TOOLS_CALIBRATE_H

#include "cli.h"

#define CALIBRATE_MAX_DEVICES 16u
#define CALIBRATE_MAX_POINTS 96u

// An ONNX model in memory; free with micro_model_deinit.
typedef struct micro_model {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed; // out of memory
} micro_model;

// One kind of op to measure, on float tensors. A layer keeps the shape, so that layers make chains.
typedef struct micro_op {
    const char *op_class; // as calibration files call it
    const char *op_type;
    uint32_t layer; // MICRO_LAYER_
} micro_op;

#define MICRO_LAYER_UNARY 0u     // op(x)
#define MICRO_LAYER_BINARY 1u    // op(x, x)
#define MICRO_LAYER_PRODUCT 2u   // op(x, weight)
#define MICRO_LAYER_WINDOW 3u    // op(x) over 3 x 3 neighbours
#define MICRO_LAYER_NORM 4u      // op(x, weight of the last dimension)
#define MICRO_LAYER_REDUCED 5u   // x + op(x), rows to one column each
#define MICRO_LAYER_TURNED 6u    // op(x) of a square
#define MICRO_LAYER_DOUBLED 7u   // Slice(Concat(x, x))
#define MICRO_LAYER_RESHAPED 8u  // op(x, shape), flat and square in turn
#define MICRO_LAYER_CONVOLVED 9u // op(x, weight)
#define MICRO_LAYER_ROUNDED 10u  // DequantizeLinear(op(x, scale, zero), scale, zero)

extern const micro_op micro_ops[];
extern const uint32_t micro_op_count;

// How many sizes an op is measured at, small ones first.
uint32_t micro_size_count(const micro_op *op);
// A chain of length layers at one of its sizes. False: out of memory. Deinit in every case.
bool micro_model_chain(const micro_op *op, uint32_t size, uint32_t length, micro_model *out_model);
// width chains of length Adds beside each other, layer by layer, over so many floats each.
bool micro_model_parallel(uint32_t width, uint32_t length, int64_t elements,
                          micro_model *out_model);
void micro_model_deinit(micro_model *model);

// Amounts that a cost is a sum over.
#define FIT_AMOUNTS 4

// What one measured step took, and what was in it.
typedef struct fit_point {
    double ns;
    double noise; // relative
    double amount[FIT_AMOUNTS];
} fit_point;

// ns = sum of cost[i] * amount[i], every cost at least 0.
typedef struct fit_result {
    double cost[FIT_AMOUNTS];
    double noise; // relative: what a prediction is usually wrong by
} fit_result;

// Least squares of relative errors, in which points far off count less. False: no points.
bool fit_costs(const fit_point *points, uint32_t count, fit_result *out_result);

// "good", "fair" or "poor".
const char *fit_trust(const fit_result *result);

// Costs of one class; amounts: nodes, flops, bytes, rows.
typedef struct class_cost {
    const char *op_class;
    fit_result fit;
} class_cost;

// A device that is measured.
typedef struct calibrated_device {
    tn_device_desc desc;
    const char *build; // of its plugin
    class_cost classes[16];
    uint32_t class_count;
} calibrated_device;

// Amounts: handovers, tensors, bytes, none. from null: the host.
typedef struct calibrated_pair {
    const calibrated_device *from;
    const calibrated_device *to;
    fit_result fit;
} calibrated_pair;

typedef struct calibration {
    tn_host *host;
    bool quick;
    calibrated_device devices[CALIBRATE_MAX_DEVICES];
    uint32_t device_count;
    // Each stands for both directions.
    calibrated_pair pairs[CALIBRATE_MAX_DEVICES * CALIBRATE_MAX_DEVICES];
    uint32_t pair_count;
} calibration;

// Measures one device, or what passing work between two costs. TN_OK, also when the device takes
// none of the models; the host's errors.
tn_status measure_device(const calibration *own, calibrated_device *device, tn_error *error);
tn_status measure_pair(const calibration *own, calibrated_pair *pair, tn_error *error);

// The document, with what an earlier file says of other devices. Null: out of memory.
json_t *calibrate_document(const calibration *own, const tn_calibration_desc *state);
// Replaces the file in one step; a message and CLI_ENVIRONMENT when that is not possible.
// own_folder: the last folder of the path is Tenon's, and made when absent.
int calibrate_write(const json_t *document, const char *path, bool own_folder);

#endif // TENON_TOOLS_CALIBRATE_H
