// SPDX-License-Identifier: Apache-2.0
// plugins/cpu/claims.c: which groups are claimed, for how much, and that these and no others are
// computed with integers.
#include "support/abi_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 32u
// Of the weights of every case.
#define WEIGHTS 4096u

tn_status tn_plugin_entry_1_cpu(const tn_host_offer *offer, tn_plugin_answer *answer,
                                tn_error *error);

// x -> DequantizeLinear -> move -> op with dequantised weights -> sum -> act -> QuantizeLinear.
typedef struct group_case {
    const char *name;
    const char *op;
    uint32_t claimed; // nodes of the claim; 0: none, and the product is one of floats
    const char *move;
    const char *act;
    const char *sum; // "vector", "scalar", "input": what is added to the result
    uint32_t bias;   // 1: dequantised, 2: floats
    uint32_t keeps_floats;
    uint32_t read_twice;    // the product's result is an output too
    uint32_t each;          // a scale for each index of the axis, counted from 1
    int8_t zero;            // of one of the weights' scales
    uint32_t weights_given; // as an input
    uint32_t known_input;
    tn_dtype weights; // UNDEFINED: int8
} group_case;

typedef struct fixture {
    abi_host host;
    abi_plugin plugin;
    view_builder *builder;
    tn_node_verdict nodes[ROOM];
    tn_claim claims[ROOM];
    uint32_t claim_nodes[ROOM];
    tn_verdicts verdicts;
    tn_error error;
} fixture;

static uint32_t floats(view_builder *b, uint32_t rank, const int64_t *dims, float value,
                       uint32_t count) {
    float data[64];
    for (uint32_t i = 0; i < 64; i++) {
        data[i] = value;
    }
    return view_builder_constant_value(b, TN_DTYPE_FLOAT, rank, dims, data, count * sizeof(float),
                                       TN_CONSTANT_MAPPABLE);
}

static uint32_t one(view_builder *b, float value) {
    return floats(b, 0, NULL, value, 1);
}

static uint32_t zero_points(view_builder *b, tn_dtype dtype, uint32_t count, int8_t last) {
    int8_t data[64] = {0};
    const int64_t dims[1] = {count};
    data[count - 1] = last;
    return view_builder_constant_value(b, dtype, count == 1 ? 0 : 1, dims, data, count,
                                       TN_CONSTANT_MAPPABLE);
}

static uint32_t node(view_builder *b, const char *op, uint32_t version, uint32_t x, uint32_t y,
                     uint32_t z, tn_dtype dtype, uint32_t rank, const int64_t *dims) {
    const uint32_t inputs[3] = {x, y, z};
    const uint32_t count = y == TN_NONE ? 1 : z == TN_NONE ? 2 : 3;
    const uint32_t out = view_builder_value(b, dtype, rank, dims);
    (void)view_builder_node(b, op, version, inputs, count, &out, 1);
    return out;
}

static uint32_t build_weights(view_builder *b, const group_case *c, uint32_t rank,
                              const int64_t *dims) {
    static const int8_t data[WEIGHTS] = {1, 2, 3};
    const tn_dtype dtype = c->weights != TN_DTYPE_UNDEFINED ? c->weights : TN_DTYPE_INT8;
    const uint32_t scales = c->each > 0 ? (uint32_t)dims[c->each - 1] : 1;
    const int64_t scale_dims[1] = {scales};
    const uint32_t integers = c->weights_given
                                  ? view_builder_value(b, dtype, rank, dims)
                                  : view_builder_constant_value(b, dtype, rank, dims, data,
                                                                sizeof data, TN_CONSTANT_MAPPABLE);
    if (c->weights_given) {
        view_builder_input(b, integers);
    }
    const uint32_t out = node(b, "DequantizeLinear", 21, integers,
                              floats(b, scales == 1 ? 0 : 1, scale_dims, 0.25f, scales),
                              zero_points(b, dtype, scales, c->zero), TN_DTYPE_FLOAT, rank, dims);
    if (c->each > 0) {
        view_builder_int(b, "axis", c->each - 1);
    }
    return out;
}

static uint32_t build_bias(view_builder *b, const group_case *c) {
    static const int32_t data[64] = {5};
    const int64_t dims[1] = {64};
    if (c->bias == 0) {
        return TN_NONE;
    }
    if (c->bias == 2) {
        return floats(b, 1, dims, 3.0f, 64);
    }
    return node(b, "DequantizeLinear", 21,
                view_builder_constant_value(b, TN_DTYPE_INT32, 1, dims, data, sizeof data,
                                            TN_CONSTANT_MAPPABLE),
                one(b, 0.125f), TN_NONE, TN_DTYPE_FLOAT, 1, dims);
}

static uint32_t build_sum(view_builder *b, const group_case *c, uint32_t y, uint32_t rank,
                          const int64_t *dims) {
    const int64_t vector[1] = {64};
    if (c->sum == NULL) {
        return y;
    }
    uint32_t other = strcmp(c->sum, "vector") == 0 ? floats(b, 1, vector, 2.0f, 64) : one(b, 2.0f);
    if (strcmp(c->sum, "input") == 0) {
        other = view_builder_value(b, TN_DTYPE_FLOAT, rank, dims);
        view_builder_input(b, other);
    }
    return node(b, "Add", 14, y, other, TN_NONE, TN_DTYPE_FLOAT, rank, dims);
}

static uint32_t build_result(view_builder *b, const group_case *c, uint32_t y, uint32_t rank,
                             const int64_t *dims) {
    uint32_t last = build_sum(b, c, y, rank, dims);
    if (c->act != NULL) {
        last = node(b, c->act, strcmp(c->act, "Clip") == 0 ? 6 : 13, last, TN_NONE, TN_NONE,
                    TN_DTYPE_FLOAT, rank, dims);
    }
    return c->keeps_floats ? last
                           : node(b, "QuantizeLinear", 19, last, one(b, 0.5f),
                                  zero_points(b, TN_DTYPE_UINT8, 1, 7), TN_DTYPE_UINT8, rank, dims);
}

static const tn_graph_view *build(fixture *f, const group_case *c) {
    static const uint8_t known[1024] = {9};
    view_builder *b = f->builder = view_builder_create();
    const uint32_t is_conv = strcmp(c->op, "Conv") == 0;
    const uint32_t rank = is_conv ? 4 : 2;
    const int64_t x_dims[4] = {is_conv ? 1 : 4, is_conv ? 16 : 64, 8, 8};
    const int64_t w_dims[4] = {64, is_conv ? 16 : 64, 2, 2};
    const int64_t y_dims[4] = {is_conv ? 1 : 4, 64, 7, 7};
    const uint32_t x = c->known_input
                           ? view_builder_constant_value(b, TN_DTYPE_UINT8, rank, x_dims, known,
                                                         is_conv ? 1024 : 256, TN_CONSTANT_MAPPABLE)
                           : view_builder_value(b, TN_DTYPE_UINT8, rank, x_dims);
    if (!c->known_input) {
        view_builder_input(b, x);
    }
    uint32_t input = node(b, "DequantizeLinear", 21, x, one(b, 0.5f),
                          zero_points(b, TN_DTYPE_UINT8, 1, 3), TN_DTYPE_FLOAT, rank, x_dims);
    if (c->move != NULL) {
        input = node(b, c->move, 13, input, TN_NONE, TN_NONE, TN_DTYPE_FLOAT, rank, x_dims);
        if (strcmp(c->move, "MaxPool") == 0) {
            view_builder_ints(b, "kernel_shape", (const int64_t[]){3, 3}, 2);
            view_builder_ints(b, "pads", (const int64_t[]){1, 1, 1, 1}, 4);
        }
    }
    const uint32_t weights = build_weights(b, c, rank, w_dims);
    const uint32_t y =
        node(b, c->op, 13, input, weights, build_bias(b, c), TN_DTYPE_FLOAT, rank, y_dims);
    view_builder_output(b, build_result(b, c, y, rank, y_dims));
    if (c->read_twice) {
        view_builder_output(b, y);
    }
    return view_builder_finish(b, 0);
}

static tn_status ask(fixture *f, const tn_graph_view *view) {
    const tn_query_info info = {.struct_size = (uint32_t)sizeof info,
                                .struct_type = TN_STRUCT_QUERY_INFO};
    f->host.weights = f->builder;
    memset(f->nodes, 0, sizeof f->nodes);
    memset(f->claims, 0, sizeof f->claims);
    f->verdicts.nodes = f->nodes;
    f->verdicts.claims = f->claims;
    f->verdicts.claim_nodes = f->claim_nodes;
    f->verdicts.node_capacity = ROOM;
    return f->plugin.compile->query_support(f->plugin.device, view, &info, &f->verdicts, &f->error);
}

static int setup(void **state) {
    static fixture f;
    memset(&f, 0, sizeof f);
    f.error.struct_size = (uint32_t)sizeof f.error;
    f.error.struct_type = TN_STRUCT_ERROR;
    f.verdicts = (tn_verdicts){.struct_size = (uint32_t)sizeof f.verdicts,
                               .struct_type = TN_STRUCT_VERDICTS,
                               .node_stride_bytes = (uint32_t)sizeof f.nodes[0],
                               .claim_capacity = ROOM,
                               .claim_stride_bytes = (uint32_t)sizeof f.claims[0],
                               .claim_node_capacity = ROOM};
    *state = &f;
    abi_host_init(&f.host, NULL);
    return abi_plugin_open(&f.host, tn_plugin_entry_1_cpu, &f.plugin, &f.error) != TN_OK;
}

static int teardown(void **state) {
    fixture *f = *state;
    const tn_status status = abi_plugin_close(&f->plugin);
    view_builder_destroy(f->builder);
    f->builder = NULL;
    return status != TN_OK || f->host.live_blocks != 0 || f->host.wrong_free_count != 0;
}

#define CLAIMS_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static uint64_t weight_bytes(fixture *f, const tn_graph_view *view) {
    abi_program program;
    tn_program_info info = {.struct_size = (uint32_t)sizeof info,
                            .struct_type = TN_STRUCT_PROGRAM_INFO};
    assert_int_equal(abi_program_open(&f->plugin, view, NULL, 0, &program, &f->error), TN_OK);
    assert_int_equal(f->plugin.compile->program_info(program.program, &info, &f->error), TN_OK);
    abi_program_close(&program);
    return info.weight_bytes;
}

static const group_case cases[] = {
    {.name = "product", .op = "MatMul", .claimed = 4},
    {.name = "with a scale for each output", .op = "MatMul", .claimed = 4, .each = 2},
    {.name = "with a scale for each row", .op = "MatMul", .claimed = 0, .each = 1},
    {.name = "with a zero point", .op = "MatMul", .claimed = 0, .zero = 1},
    {.name = "with a zero point among others", .op = "MatMul", .claimed = 0, .each = 2, .zero = 1},
    {.name = "with weights of uint8", .op = "MatMul", .claimed = 0, .weights = TN_DTYPE_UINT8},
    {.name = "with an activation", .op = "MatMul", .claimed = 5, .act = "Relu"},
    {.name = "with limits", .op = "MatMul", .claimed = 5, .act = "Clip"},
    {.name = "with a function of another shape", .op = "MatMul", .claimed = 3, .act = "Sigmoid"},
    {.name = "with a bias behind it", .op = "MatMul", .claimed = 5, .sum = "vector"},
    {.name = "with a bias and an activation behind it",
     .op = "MatMul",
     .claimed = 6,
     .act = "Relu",
     .sum = "vector"},
    {.name = "with a scalar behind it", .op = "MatMul", .claimed = 3, .sum = "scalar"},
    {.name = "with a sum behind it", .op = "MatMul", .claimed = 3, .sum = "input"},
    {.name = "that is not quantised", .op = "MatMul", .claimed = 3, .keeps_floats = 1},
    {.name = "that is not quantised behind an activation",
     .op = "MatMul",
     .claimed = 3,
     .act = "Relu",
     .keeps_floats = 1},
    {.name = "that others read", .op = "MatMul", .claimed = 3, .read_twice = 1},
    {.name = "that others read before an activation",
     .op = "MatMul",
     .claimed = 3,
     .act = "Relu",
     .read_twice = 1},
    {.name = "of known rows", .op = "MatMul", .claimed = 0, .known_input = 1},
    {.name = "of two inputs", .op = "MatMul", .claimed = 0, .weights_given = 1},
    {.name = "behind a view", .op = "MatMul", .claimed = 5, .move = "Identity"},
    {.name = "behind an activation", .op = "MatMul", .claimed = 0, .move = "Relu"},
    {.name = "Gemm with a bias", .op = "Gemm", .claimed = 5, .bias = 1, .each = 2},
    {.name = "Gemm with a bias of floats", .op = "Gemm", .claimed = 4, .bias = 2},
    {.name = "convolution", .op = "Conv", .claimed = 4, .each = 1},
    {.name = "convolution with everything",
     .op = "Conv",
     .claimed = 7,
     .move = "MaxPool",
     .act = "Relu",
     .bias = 1},
    {.name = "convolution with a scale for each input", .op = "Conv", .claimed = 0, .each = 2},
    {.name = "convolution with a sum", .op = "Conv", .claimed = 3, .sum = "input"},
};

static void claims__are_what_is_computed_with_integers(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const group_case *c = &cases[i];
        print_message("%s\n", c->name);
        const tn_graph_view *view = build(f, c);
        assert_int_equal(ask(f, view), TN_OK);
        assert_int_equal(f->verdicts.claim_count, c->claimed > 0);
        assert_int_equal(f->verdicts.claim_node_count, c->claimed);
        // Integers are packed and kept; floats that are made of them belong to an instance.
        assert_int_equal(weight_bytes(f, view) >= WEIGHTS, c->claimed > 0);
        view_builder_destroy(f->builder);
        f->builder = NULL;
    }
}

static const group_case convolution = {.name = "all", .op = "Conv", .act = "Relu", .bias = 1};

static void claims__are_priced_as_integers(void **state) {
    fixture *f = *state;
    tn_device_info info = {.struct_size = (uint32_t)sizeof info,
                           .struct_type = TN_STRUCT_DEVICE_INFO};
    assert_int_equal(f->plugin.core->device_info(f->plugin.answer.plugin, 0, &info, &f->error),
                     TN_OK);
    assert_int_equal(ask(f, build(f, &convolution)), TN_OK);
    assert_int_equal(f->verdicts.claim_count, 1);
    const tn_claim *claim = &f->claims[0];
    // 49 x 64 sums of 16 x 2 x 2 products; 1024 bytes in, 4096 weights, 3136 out.
    const uint64_t as_floats = 2ull * 49 * 64 * 64 * 1000000000u / info.flops_per_second;
    const uint64_t memory = (1024u + 4096 + 3136) * 1000000000u / info.bytes_per_second;
    assert_in_range(claim->cost_ns, as_floats / 4 > memory ? as_floats / 4 : memory,
                    as_floats > memory ? as_floats : memory);
    assert_int_equal(claim->origin, TN_COST_DECLARED);
    assert_in_range(claim->confidence_permille, 1, 999);
    assert_int_equal(claim->nodes.begin, 0);
    assert_int_equal(claim->nodes.count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(f->nodes[f->claim_nodes[i]].answer, TN_ANSWER_YES);
        for (uint32_t k = 0; k < i; k++) {
            assert_int_not_equal(f->claim_nodes[i], f->claim_nodes[k]);
        }
    }
}

static void claims__say_how_much_room_they_need(void **state) {
    fixture *f = *state;
    const tn_graph_view *view = build(f, &convolution);
    f->verdicts.claim_node_capacity = 5;
    assert_int_equal(ask(f, view), TN_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(f->verdicts.claim_count, 1);
    assert_int_equal(f->verdicts.claim_node_count, 6);
    assert_int_equal(f->claims[0].nodes.count, 0);
    f->verdicts.claim_node_capacity = 6;
    f->verdicts.claim_capacity = 0;
    assert_int_equal(ask(f, view), TN_ERROR_LIMIT_EXCEEDED);
    f->verdicts.claim_capacity = 1;
    assert_int_equal(ask(f, view), TN_OK);
}

static void claims__need_memory_and_readable_zero_points(void **state) {
    fixture *f = *state;
    const tn_graph_view *view = build(f, &convolution);
    f->host.fail_at = 1;
    f->host.allocation_count = 0;
    assert_int_equal(ask(f, view), TN_ERROR_OUT_OF_MEMORY);
    f->host.fail_at = 0;
    assert_int_equal(ask(f, view), TN_OK);
    assert_int_equal(f->verdicts.claim_count, 1);
    view_builder *without = view_builder_create();
    view_builder *with = f->builder;
    f->builder = without;
    assert_int_equal(ask(f, view), TN_OK);
    assert_int_equal(f->verdicts.claim_count, 0);
    f->builder = with;
    view_builder_destroy(without);
}

// Nothing but the records' sizes is right in such views.
static void claims__survive_what_does_not_fit_together(void **state) {
    fixture *f = *state;
    static const int64_t dims[2] = {64, 64};
    static const int64_t few[1] = {3};
    static const uint32_t ranks[] = {0, 1, 2, TN_RANK_UNKNOWN};
    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        for (uint32_t kind = 0; kind < 4; kind++) {
            view_builder *b = f->builder = view_builder_create();
            const group_case c = {.name = "", .op = "MatMul", .each = kind == 1 ? 2 : 0};
            const uint32_t x = view_builder_value(b, TN_DTYPE_UINT8, ranks[i], dims);
            view_builder_input(b, x);
            const uint32_t input = node(b, "DequantizeLinear", 21, x, one(b, 0.5f), TN_NONE,
                                        TN_DTYPE_FLOAT, ranks[i], dims);
            const uint32_t weights = build_weights(b, &c, 2, dims);
            const uint32_t y = node(b, kind == 3 ? "Conv" : "MatMul", 13, input, weights,
                                    kind == 3 ? weights : TN_NONE, TN_DTYPE_FLOAT, ranks[i], dims);
            const uint32_t sum = node(b, "Add", 14, floats(b, 1, few, 1.0f, 3), y, TN_NONE,
                                      TN_DTYPE_FLOAT, ranks[i], dims);
            const uint32_t read[2] = {sum, one(b, 0.5f)};
            const uint32_t none = TN_NONE;
            (void)view_builder_node(b, "QuantizeLinear", 19, read, 2, &none, kind == 2 ? 1 : 0);
            assert_int_equal(ask(f, view_builder_finish(b, 0)), TN_OK);
            for (uint32_t k = 0; k < f->verdicts.claim_node_count; k++) {
                assert_int_equal(f->nodes[f->claim_nodes[k]].answer, TN_ANSWER_YES);
            }
            view_builder_destroy(b);
            f->builder = NULL;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIMS_CASE(claims__are_what_is_computed_with_integers),
        CLAIMS_CASE(claims__are_priced_as_integers),
        CLAIMS_CASE(claims__say_how_much_room_they_need),
        CLAIMS_CASE(claims__need_memory_and_readable_zero_points),
        CLAIMS_CASE(claims__survive_what_does_not_fit_together),
    };
    return cmocka_run_group_tests_name("cpu_claims", tests, NULL, NULL);
}
