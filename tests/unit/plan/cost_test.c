// SPDX-License-Identifier: Apache-2.0
// Prices: what was measured over what is declared of a device over defaults, and op classes.
#include "plan/cost.h"

#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    test_alloc alloc;
    tni_model *model;
    tni_plugin plugin;
    tni_device devices[2];
    tni_cost_table table;
} fixture;

static int setup(void **state) {
    static fixture f;
    memset(&f, 0, sizeof(f));
    test_alloc_init(&f.alloc);
    assert_int_equal(tni_model_create(&f.alloc.alloc, NULL, 1 << 20, &f.model), TN_OK);
    for (uint32_t i = 0; i < 2; i++) {
        f.devices[i].plugin = &f.plugin;
        f.devices[i].host_index = i;
    }
    assert_int_equal(tni_cost_table_init(&f.table, &f.alloc.alloc, 2), TN_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    tni_cost_table_deinit(&f->table);
    tni_model_destroy(f->model);
    assert_true(test_alloc_clean(&f->alloc));
    test_alloc_deinit(&f->alloc);
    return 0;
}

static uint32_t add_value(fixture *f, int64_t rows, int64_t columns) {
    uint32_t id = 0;
    const tn_graph_dim dims[2] = {{.size = rows, .symbol = TN_NONE},
                                  {.size = columns, .symbol = TN_NONE}};
    assert_int_equal(tni_model_add_value(f->model, 0, tni_string_of(""), &id), TN_OK);
    f->model->values[id].dtype = TN_DTYPE_FLOAT;
    assert_int_equal(tni_value_set_dims(f->model, id, 2, dims), TN_OK);
    return id;
}

// op over [4, 8] and [8, 2], giving [4, 2].
static uint32_t add_node(fixture *f, const char *op_type) {
    const uint32_t inputs[2] = {add_value(f, 4, 8), add_value(f, 8, 2)};
    const uint32_t outputs[1] = {add_value(f, 4, 2)};
    const tni_node_info info = {
        .op_type = tni_string_of(op_type),
        .since_version = 13,
        .input_count = 2,
        .output_count = 1,
        .inputs = inputs,
        .outputs = outputs,
    };
    uint32_t id = 0;
    assert_int_equal(tni_model_add_node(f->model, &info, &id), TN_OK);
    return id;
}

static void node_work__counts_by_the_ops_definition(void **state) {
    fixture *f = *state;
    static const struct {
        const char *op_type;
        uint64_t flops;
        uint64_t bytes;
        uint64_t rows;
    } cases[] = {
        {"MatMul", 2 * 8 * 8, 4 * (32 + 16 + 8), 4 * 8},
        {"QLinearMatMul", 2 * 8 * 8, 4 * (32 + 16 + 8), 4 * 8},
        {"Add", 32, 4 * (32 + 16 + 8), 0}, // of the larger of its first input and its output
        {"Gather", 0, 4 * (8 + 8), 0},     // what it writes, and so much read
        {"Reshape", 0, 4 * (8 + 8), 0},
        {"LSTM", 2 * 4 * (16 + 0), 4 * (32 + 16 + 8), 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const tni_work work = tni_node_work(f->model, add_node(f, cases[i].op_type));
        assert_int_equal(work.flops, cases[i].flops);
        assert_int_equal(work.bytes, cases[i].bytes);
        assert_int_equal(work.rows, cases[i].rows);
    }
}

static uint32_t add_image(fixture *f, const int64_t sizes[4]) {
    uint32_t id = 0;
    tn_graph_dim dims[4];
    for (uint32_t i = 0; i < 4; i++) {
        dims[i] = (tn_graph_dim){.size = sizes[i], .symbol = TN_NONE};
    }
    assert_int_equal(tni_model_add_value(f->model, 0, tni_string_of(""), &id), TN_OK);
    f->model->values[id].dtype = TN_DTYPE_FLOAT;
    assert_int_equal(tni_value_set_dims(f->model, id, 4, dims), TN_OK);
    return id;
}

// From 3 channels to 5 over 7 x 6 pixels.
static uint64_t rows_of_window(fixture *f, int64_t window) {
    const uint32_t inputs[2] = {add_image(f, (const int64_t[]){1, 3, 7, 6}),
                                add_image(f, (const int64_t[]){5, 3, window, window})};
    const uint32_t outputs[1] = {add_image(f, (const int64_t[]){1, 5, 7, 6})};
    const tni_node_info info = {
        .op_type = tni_string_of("Conv"),
        .since_version = 11,
        .input_count = 2,
        .output_count = 1,
        .inputs = inputs,
        .outputs = outputs,
    };
    uint32_t id = 0;
    assert_int_equal(tni_model_add_node(f->model, &info, &id), TN_OK);
    return tni_node_work(f->model, id).rows;
}

static void node_work__rows_of_convolutions(void **state) {
    fixture *f = *state;
    assert_int_equal(rows_of_window(f, 3), 5 * 7 * 3 * 3 * 3);
    assert_int_equal(rows_of_window(f, 1), 5 * 3); // an image is one row
}

static void cost_node__measured_class_then_other_then_roofline(void **state) {
    fixture *f = *state;
    const uint32_t node = add_node(f, "MatMul");
    f->devices[0].info.flops_per_second = 1000000000;
    tni_price price = tni_cost_node(&f->table, &f->devices[0], f->model, node, true);
    assert_int_equal(price.origin, TN_COST_ROOFLINE);
    assert_int_equal(price.cost_ns, 128);
    assert_int_equal(tni_cost_node(NULL, &f->devices[0], f->model, node, true).cost_ns, 128);

    *tni_cost_table_class(&f->table, 0, TNI_OP_OTHER) =
        (tni_class_cost){.measured = true, .fixed_ns = 7};
    price = tni_cost_node(&f->table, &f->devices[0], f->model, node, true);
    assert_int_equal(price.origin, TN_COST_CALIBRATED);
    assert_int_equal(price.cost_ns, 7);

    // 100 + 128 flops at 2 a nanosecond + 224 bytes at 4 a nanosecond + 32 rows at 8 nanoseconds.
    *tni_cost_table_class(&f->table, 0, TNI_OP_MATMUL) =
        (tni_class_cost){true, 100, 2000000000, 4000000000, 125000000};
    price = tni_cost_node(&f->table, &f->devices[0], f->model, node, true);
    assert_int_equal(price.origin, TN_COST_CALIBRATED);
    assert_int_equal(price.cost_ns, 100 + 64 + 56 + 256);
    assert_int_equal(tni_cost_node(&f->table, &f->devices[1], f->model, node, true).origin,
                     TN_COST_ROOFLINE);
}

static void cost_node__never_overflows(void **state) {
    fixture *f = *state;
    const uint32_t node = add_node(f, "MatMul");
    *tni_cost_table_class(&f->table, 0, TNI_OP_MATMUL) =
        (tni_class_cost){true, TNI_MAX_COST_NS, 1, 1, 1};
    assert_int_equal(tni_cost_node(&f->table, &f->devices[0], f->model, node, true).cost_ns,
                     TNI_MAX_COST_NS);
}

static void cost_fill__leaves_what_a_device_declares(void **state) {
    fixture *f = *state;
    uint32_t nodes[4];
    tni_option options[4] = {
        {.possible = true, .cost_ns = 5, .origin = TN_COST_DECLARED},
        {.possible = true, .origin = TN_COST_UNKNOWN},
        {.possible = true, .cost_ns = UINT64_MAX, .origin = TN_COST_DECLARED},
        {.possible = false, .origin = TN_COST_UNKNOWN},
    };
    for (uint32_t i = 0; i < 4; i++) {
        nodes[i] = add_node(f, "Add");
    }
    const tni_region region = {.nodes = nodes, .node_count = 4};
    tni_verdict_set set = {.device = &f->devices[0], .options = options, .node_count = 4};
    *tni_cost_table_class(&f->table, 0, TNI_OP_ELEMENTWISE) =
        (tni_class_cost){.measured = true, .fixed_ns = 9};
    tni_cost_fill(&f->table, f->model, &region, &set);
    assert_int_equal(options[0].origin, TN_COST_DECLARED);
    assert_int_equal(options[0].cost_ns, 5);
    assert_int_equal(options[1].origin, TN_COST_CALIBRATED);
    assert_int_equal(options[1].cost_ns, 9);
    assert_int_equal(options[2].origin, TN_COST_CALIBRATED); // days are no estimate
    assert_int_equal(options[2].cost_ns, 9);
    assert_int_equal(options[3].origin, TN_COST_UNKNOWN);
    assert_int_equal(options[3].cost_ns, 0);
}

static void cost_of_pairs__measured_or_default(void **state) {
    fixture *f = *state;
    const tni_device *a = &f->devices[0];
    const tni_device *b = &f->devices[1];
    assert_int_equal(tni_cost_handover(&f->table, a, b), 85000);
    assert_int_equal(tni_cost_copy(&f->table, a, b, 1000), 2 * (10000 + 100));
    *tni_cost_table_pair(&f->table, 0, 1) = (tni_pair_cost){true, 300, 40, 1000000000};
    *tni_cost_table_pair(&f->table, 2, 0) = (tni_pair_cost){true, 11, 0, 0};
    assert_int_equal(tni_cost_handover(&f->table, a, b), 300);
    assert_int_equal(tni_cost_copy(&f->table, a, b, 1000), 1040);
    assert_int_equal(tni_cost_handover(&f->table, b, a), 85000);
    assert_int_equal(tni_cost_handover(&f->table, NULL, a), 11);
    assert_int_equal(tni_cost_copy(&f->table, NULL, a, 1000), 0);
    assert_int_equal(tni_cost_handover(&f->table, a, a), 0);
}

static void op_class__by_name_and_domain(void **state) {
    fixture *f = *state;
    static const struct {
        const char *op_type;
        tni_op_class op_class;
    } cases[] = {
        {"Abs", TNI_OP_ELEMENTWISE},
        {"Xor", TNI_OP_ELEMENTWISE},
        {"Conv", TNI_OP_CONVOLUTION},
        {"ConvTranspose", TNI_OP_CONVOLUTION},
        {"Conca", TNI_OP_OTHER},
        {"Gelu", TNI_OP_TRANSCENDENTAL},
        {"Identity", TNI_OP_VIEW},
        {"Transpose", TNI_OP_MOVEMENT},
        {"ReduceMean", TNI_OP_REDUCTION},
        {"DequantizeLinear", TNI_OP_QUANTIZATION},
        {"NonMaxSuppression", TNI_OP_OTHER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint32_t node = add_node(f, cases[i].op_type);
        assert_int_equal(tni_op_class_of(&f->model->nodes[node]), cases[i].op_class);
        f->model->nodes[node].domain = tni_string_of("com.example");
        assert_int_equal(tni_op_class_of(&f->model->nodes[node]), TNI_OP_OTHER);
    }
    for (tni_op_class k = 0; k < TNI_OP_CLASSES; k++) {
        assert_int_equal(tni_op_class_find(tni_op_class_text(k)), k);
    }
    assert_int_equal(tni_op_class_find("none"), TNI_OP_CLASSES);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(node_work__counts_by_the_ops_definition),
        CASE(node_work__rows_of_convolutions),
        CASE(cost_node__measured_class_then_other_then_roofline),
        CASE(cost_node__never_overflows),
        CASE(cost_fill__leaves_what_a_device_declares),
        CASE(cost_of_pairs__measured_or_default),
        CASE(op_class__by_name_and_domain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
