// SPDX-License-Identifier: Apache-2.0
// Times micro-models through the embedding API. What a layer costs is the difference between a long
// and a short chain, so that everything that a run costs once falls out.
#include "calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_CHAIN 2u
#define LONG_CHAIN 10u
#define MAX_NODES 64u
#define ROUNDS 2u
#define MIN_RUNS 3u
#define MAX_RUNS 200u

// How long one model is run in a round, and from which time of one run on larger sizes are left
// out.
typedef struct budget {
    uint64_t model_ns;
    uint64_t largest_run_ns;
} budget;

static budget budget_of(const calibration *own) {
    return own->quick ? (budget){4000000, 4000000} : (budget){15000000, 60000000};
}

// Where a model runs: on one device, or layers of so many nodes on two in turn.
typedef struct placement {
    const char *devices[2];
    uint32_t device_count;
    uint32_t layer_nodes;
} placement;

typedef struct timing {
    double ns; // lower quartile: what disturbs a run only ever adds to it
    double noise;
    uint32_t islands;
    uint32_t transfers;
} timing;

static int by_time(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static tn_status time_request(const calibration *own, tn_request *request, timing *out_timing,
                              tn_error *error) {
    double times[MAX_RUNS];
    double off[MAX_RUNS];
    uint64_t sum = 0;
    uint32_t count = 0;
    tn_status status = tn_request_run(request, 0, error); // the first one warms up
    while (status == TN_OK && count < MAX_RUNS &&
           (count < MIN_RUNS || sum < budget_of(own).model_ns)) {
        const uint64_t begin = cli_now_ns();
        status = tn_request_run(request, 0, error);
        const uint64_t ns = cli_now_ns() - begin;
        sum += ns;
        times[count++] = (double)ns;
    }
    if (status != TN_OK) {
        return status;
    }
    qsort(times, count, sizeof(times[0]), by_time);
    out_timing->ns = times[count / 4];
    for (uint32_t i = 0; i < count; i++) {
        off[i] = fabs(times[i] / out_timing->ns - 1);
    }
    qsort(off, count, sizeof(off[0]), by_time);
    out_timing->noise = off[count / 2];
    return TN_OK;
}

// Values like those of a network: zeros may be faster than any that a model sees.
static tn_status write_inputs(const tn_model *model, tn_request *request) {
    for (uint32_t i = 0; i < tn_model_input_count(model); i++) {
        tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
        const tn_status status = tn_request_input(request, i, &view);
        if (status != TN_OK) {
            return status;
        }
        float *values = view.data;
        for (uint64_t k = 0; k < view.size_bytes / sizeof(*values); k++) {
            values[k] = ((float)(k * 11 % 29) - 13.5f) / 16.0f;
        }
    }
    return TN_OK;
}

static tn_status time_compiled(const calibration *own, const tn_model *model, tn_compiled *compiled,
                               timing *out_timing, tn_error *error) {
    tn_request *request = NULL;
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    tn_plan_summary plan = {.struct_size = sizeof(plan), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    tn_status status = tn_request_create(compiled, NULL, &request, error);
    if (status == TN_OK) {
        status = tn_request_prepare(request, NULL, 0, error);
    }
    if (status == TN_OK) {
        status = write_inputs(model, request);
    }
    if (status == TN_OK) {
        status = time_request(own, request, out_timing, error);
    }
    if (status == TN_OK && tn_request_stats(request, &stats) == TN_OK &&
        tn_compiled_plan_get(compiled, &plan) == TN_OK) {
        out_timing->islands = plan.island_count;
        out_timing->transfers = stats.transfers;
    }
    tn_request_destroy(request);
    return status;
}

static tn_status time_model(const calibration *own, tn_model *model, const placement *where,
                            timing *out_timing, tn_error *error) {
    tn_compile_config config;
    tn_pin pins[MAX_NODES];
    tn_compiled *compiled = NULL;
    *out_timing = (timing){0};
    tn_compile_config_init(&config);
    config.devices = where->devices;
    config.device_count = where->device_count;
    config.policy = TN_COMPILE_NO_FALLBACK;
    if (where->device_count > 1) {
        config.pin_count = tn_model_node_count(model);
        config.pin_count = config.pin_count < MAX_NODES ? config.pin_count : MAX_NODES;
        config.pins = pins;
        for (uint32_t i = 0; i < config.pin_count; i++) {
            pins[i] = (tn_pin){where->devices[i / where->layer_nodes % 2], i, TN_PIN_TO};
        }
    }
    tn_status status = tn_compile(model, &config, &compiled, error);
    if (status == TN_OK) {
        status = time_compiled(own, model, compiled, out_timing, error);
    }
    tn_compiled_release(compiled);
    return status;
}

static void keep_least(timing *inout_least, const timing *now) {
    if (inout_least->ns <= 0 || now->ns < inout_least->ns) {
        *inout_least = *now;
    }
}

// Work of the chain's nodes of its class, and of the Add that some layers have beside.
typedef struct work {
    double own[FIT_AMOUNTS]; // nodes, flops, bytes, rows
    double beside[FIT_AMOUNTS];
} work;

static void count_work(const tn_model *model, const micro_op *op, double sign, work *inout_work) {
    const bool has_add = op->layer == MICRO_LAYER_REDUCED;
    for (uint32_t i = 0; i < tn_model_node_count(model); i++) {
        tn_node_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_NODE_DESC};
        if (tn_model_node_get(model, i, &desc) != TN_OK) {
            continue;
        }
        const bool is_own = !has_add || strcmp(desc.op_type, op->op_type) == 0;
        double *sum = is_own ? inout_work->own : inout_work->beside;
        sum[0] += sign;
        sum[1] += sign * (double)desc.flops;
        sum[2] += sign * (double)desc.bytes;
        sum[3] += sign * (double)desc.rows;
    }
}

// A model is timed and its work added with a sign: the long chain less the short one.
static tn_status time_chain(const calibration *own, const micro_op *op, uint32_t size,
                            uint32_t length, const char *device, double sign, work *inout_work,
                            timing *out_timing, tn_error *error) {
    const placement where = {{device, NULL}, 1, 1};
    micro_model bytes = {0};
    tn_model *model = NULL;
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    if (micro_model_chain(op, size, length, &bytes)) {
        status = tn_model_load_memory(own->host, bytes.data, bytes.size, NULL, &model, error);
    }
    if (status == TN_OK) {
        count_work(model, op, sign, inout_work);
        status = time_model(own, model, &where, out_timing, error);
    }
    tn_model_release(model);
    micro_model_deinit(&bytes);
    return status;
}

static const fit_result *find_class(const calibrated_device *device, const char *op_class) {
    for (uint32_t i = 0; i < device->class_count; i++) {
        if (strcmp(device->classes[i].op_class, op_class) == 0) {
            return &device->classes[i].fit;
        }
    }
    return NULL;
}

// Both chains in turn: of several rounds each chain's least counts, so that whatever else the
// machine did for a while falls out.
static tn_status time_chains(const calibration *own, const micro_op *op, uint32_t size,
                             const char *device, work *out_amounts, timing *out_shorter,
                             timing *out_longer, tn_error *error) {
    tn_status status = TN_OK;
    for (uint32_t round = 0; round < (own->quick ? 1 : ROUNDS) && status == TN_OK; round++) {
        timing now = {0};
        *out_amounts = (work){{0}, {0}};
        status = time_chain(own, op, size, SHORT_CHAIN, device, -1, out_amounts, &now, error);
        keep_least(out_shorter, &now);
        if (status == TN_OK) {
            status = time_chain(own, op, size, LONG_CHAIN, device, 1, out_amounts, &now, error);
            keep_least(out_longer, &now);
        }
    }
    return status;
}

// One size of one op as a point; *out_run_ns is how long the long chain takes.
static tn_status measure_size(const calibration *own, const calibrated_device *device,
                              const micro_op *op, uint32_t size, fit_point *out_point,
                              double *out_run_ns, tn_error *error) {
    const fit_result *elementwise = find_class(device, "elementwise");
    timing shorter = {0};
    timing longer = {0};
    work amounts = {{0}, {0}};
    const tn_status status =
        time_chains(own, op, size, device->desc.id, &amounts, &shorter, &longer, error);
    double beside = 0;
    for (int i = 0; i < FIT_AMOUNTS && elementwise != NULL; i++) {
        beside += elementwise->cost[i] * amounts.beside[i];
    }
    *out_run_ns = longer.ns;
    *out_point = (fit_point){
        .ns = longer.ns - shorter.ns - beside,
        .amount = {amounts.own[0], amounts.own[1], amounts.own[2], amounts.own[3]},
    };
    out_point->noise = (longer.ns * longer.noise + shorter.ns * shorter.noise) /
                       (out_point->ns > 0 ? out_point->ns : longer.ns + 1);
    return status;
}

// Appends the sizes that are not too slow. An op that the device refuses adds none.
static tn_status measure_op(const calibration *own, const calibrated_device *device,
                            const micro_op *op, fit_point *points, uint32_t *inout_count,
                            tn_error *error) {
    double run_ns = 0;
    for (uint32_t size = 0; size < micro_size_count(op) && *inout_count < CALIBRATE_MAX_POINTS &&
                            run_ns < (double)budget_of(own).largest_run_ns;
         size++) {
        fit_point point;
        tn_error_init(error);
        const tn_status status = measure_size(own, device, op, size, &point, &run_ns, error);
        if (status == TN_ERROR_DENIED || status == TN_ERROR_UNSUPPORTED) {
            return TN_OK;
        }
        if (status != TN_OK) {
            return status;
        }
        // Below the noise: nothing is known of it.
        if (point.ns > 0 && point.noise < 1 && point.amount[0] > 0) {
            points[(*inout_count)++] = point;
        }
    }
    return TN_OK;
}

// One size alone tells nothing of a rate, and may be an accident: such a class is priced as other.
static void add_class(calibrated_device *device, const char *op_class, const fit_point *points,
                      uint32_t count) {
    class_cost *next = &device->classes[device->class_count];
    next->op_class = op_class;
    device->class_count += count > 1 && fit_costs(points, count, &next->fit);
}

// Points of one class after another; "other" is made of all but those with inner products.
tn_status measure_device(const calibration *own, calibrated_device *device, tn_error *error) {
    fit_point others[CALIBRATE_MAX_POINTS];
    uint32_t other_count = 0;
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < micro_op_count && status == TN_OK;) {
        const char *op_class = micro_ops[i].op_class;
        fit_point points[CALIBRATE_MAX_POINTS];
        uint32_t count = 0;
        for (;
             i < micro_op_count && strcmp(micro_ops[i].op_class, op_class) == 0 && status == TN_OK;
             i++) {
            status = measure_op(own, device, &micro_ops[i], points, &count, error);
        }
        add_class(device, op_class, points, count);
        const bool products =
            strcmp(op_class, "matmul") == 0 || strcmp(op_class, "convolution") == 0;
        for (uint32_t k = 0; k < count && !products && other_count < CALIBRATE_MAX_POINTS; k++) {
            others[other_count++] = points[k];
        }
    }
    if (status == TN_OK) {
        add_class(device, "other", others, other_count);
    }
    return status;
}

static tn_status time_parallel(const calibration *own, uint32_t width, uint32_t length,
                               int64_t elements, const placement *where, timing *out_timing,
                               tn_error *error) {
    micro_model bytes = {0};
    tn_model *model = NULL;
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    if (micro_model_parallel(width, length, elements, &bytes)) {
        status = tn_model_load_memory(own->host, bytes.data, bytes.size, NULL, &model, error);
    }
    *out_timing = (timing){0};
    for (uint32_t round = 0; round < (own->quick ? 1 : ROUNDS) && status == TN_OK; round++) {
        timing now;
        status = time_model(own, model, where, &now, error);
        keep_least(out_timing, &now);
    }
    tn_model_release(model);
    micro_model_deinit(&bytes);
    return status;
}

// What a layer costs on one device alone, and what a run costs besides.
static tn_status time_layers(const calibration *own, uint32_t width, int64_t elements,
                             const char *device, double *out_layer, timing *out_rest,
                             tn_error *error) {
    const placement where = {{device, NULL}, 1, width};
    timing longer = {0};
    tn_status status = time_parallel(own, width, SHORT_CHAIN, elements, &where, out_rest, error);
    if (status == TN_OK) {
        status = time_parallel(own, width, LONG_CHAIN, elements, &where, &longer, error);
    }
    *out_layer = (longer.ns - out_rest->ns) / (LONG_CHAIN - SHORT_CHAIN);
    *out_layer = *out_layer > 0 ? *out_layer : 0;
    out_rest->ns -= SHORT_CHAIN * *out_layer;
    return status;
}

// From the host and back: two handovers, and the tensors both ways.
static tn_status measure_host(const calibration *own, const calibrated_pair *pair, uint32_t width,
                              int64_t elements, fit_point *out_point, tn_error *error) {
    double layer = 0;
    timing rest = {0};
    const tn_status status =
        time_layers(own, width, elements, pair->to->desc.id, &layer, &rest, error);
    const double tensors = rest.transfers > 0 ? 2.0 * width : 0;
    *out_point =
        (fit_point){rest.ns, rest.noise, {2, tensors, tensors * 4.0 * (double)elements, 0}};
    return status;
}

// Chains whose layers change sides, less what the layers cost where they are.
static tn_status measure_hops(const calibration *own, const calibrated_pair *pair, uint32_t width,
                              int64_t elements, fit_point *out_point, tn_error *error) {
    const placement where = {{pair->from->desc.id, pair->to->desc.id}, 2, width};
    double layers[2] = {0, 0};
    timing rest = {0};
    timing shorter = {0};
    timing longer = {0};
    tn_status status = TN_OK;
    for (int i = 0; i < 2 && status == TN_OK; i++) {
        status = time_layers(own, width, elements, where.devices[i], &layers[i], &rest, error);
    }
    if (status == TN_OK) {
        status = time_parallel(own, width, SHORT_CHAIN, elements, &where, &shorter, error);
    }
    if (status == TN_OK) {
        status = time_parallel(own, width, LONG_CHAIN, elements, &where, &longer, error);
    }
    const double hops = (double)longer.islands - (double)shorter.islands;
    const double tensors = longer.transfers > shorter.transfers ? hops * width : 0;
    *out_point = (fit_point){
        .ns = longer.ns - shorter.ns - (layers[0] + layers[1]) * (LONG_CHAIN - SHORT_CHAIN) / 2,
        .amount = {hops, tensors, tensors * 4.0 * (double)elements, 0},
    };
    out_point->noise = (longer.ns * longer.noise + shorter.ns * shorter.noise) / longer.ns;
    return status;
}

tn_status measure_pair(const calibration *own, calibrated_pair *pair, tn_error *error) {
    static const struct {
        uint32_t width;
        int64_t elements;
    } cases[] = {{1, 16}, {4, 16}, {1, 4096}, {4, 16384}, {1, 262144}, {1, 2097152}};
    fit_point points[sizeof(cases) / sizeof(cases[0])];
    const uint32_t limit = own->quick ? 3 : sizeof(cases) / sizeof(cases[0]);
    uint32_t count = 0;
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < limit && status == TN_OK; i++) {
        fit_point point;
        tn_error_init(error);
        status = pair->from == NULL
                     ? measure_host(own, pair, cases[i].width, cases[i].elements, &point, error)
                     : measure_hops(own, pair, cases[i].width, cases[i].elements, &point, error);
        if (status == TN_OK && point.ns > 0 && point.amount[0] > 0) {
            points[count++] = point;
        }
        // Where memory is shared, size matters to no one, and only adds noise.
        if (count > 0 && points[count - 1].amount[1] <= 0 && cases[i].width > 1) {
            break;
        }
    }
    status = status == TN_ERROR_DENIED || status == TN_ERROR_UNSUPPORTED ? TN_OK : status;
    (void)fit_costs(points, count, &pair->fit);
    return status;
}
