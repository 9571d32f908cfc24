// SPDX-License-Identifier: Apache-2.0
// A hostile host: views with bytes changed at random go through verdict, compile, ports and run.
// Whatever the plugin accepts must run or fail with an error, without a stray access (run under
// AddressSanitizer) and without a leak.
#include "support/abi_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 60000u
// Mutants that want more memory than this are not run.
#define MAX_PORT_BYTES (1u << 20)

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

static uint32_t floats(view_builder *b, uint32_t rank, const int64_t *dims) {
    return view_builder_value(b, TN_DTYPE_FLOAT, rank, dims);
}

static uint32_t indices(view_builder *b, const int64_t *values, int64_t count) {
    return view_builder_constant_value(b, TN_DTYPE_INT64, 1, &count, values,
                                       (uint64_t)count * sizeof *values, 0);
}

// One op of each family that computes addresses from shapes, attributes or data.
static view_builder *sample(void) {
    view_builder *b = view_builder_create();
    const float numbers[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6, 5, 4, 3, 2};
    const uint32_t x = floats(b, 3, (const int64_t[]){2, 3, 4});
    const uint32_t w = view_builder_constant_value(b, TN_DTYPE_FLOAT, 2, (const int64_t[]){3, 5},
                                                   numbers, 60, TN_CONSTANT_MAPPABLE);
    const uint32_t k = view_builder_constant_value(
        b, TN_DTYPE_FLOAT, 4, (const int64_t[]){2, 1, 2, 2}, numbers, 32, TN_CONSTANT_MAPPABLE);
    const uint32_t starts = indices(b, (const int64_t[]){0, 1}, 2);
    const uint32_t ends = indices(b, (const int64_t[]){2, 3}, 2);
    const uint32_t axes = indices(b, (const int64_t[]){1, 2}, 2);
    const uint32_t picks = indices(b, (const int64_t[]){1, 0, -1}, 3);
    const uint32_t shape = indices(b, (const int64_t[]){2, 1, 3, 3}, 4);
    const uint32_t t = floats(b, 3, (const int64_t[]){2, 4, 3});
    const uint32_t m = floats(b, 3, (const int64_t[]){2, 4, 5});
    const uint32_t s = floats(b, 3, (const int64_t[]){2, 4, 5});
    const uint32_t cut = floats(b, 3, (const int64_t[]){2, 2, 2});
    const uint32_t g = floats(b, 3, (const int64_t[]){2, 2, 3});
    const uint32_t mean = floats(b, 3, (const int64_t[]){2, 1, 3});
    const uint32_t joined = floats(b, 3, (const int64_t[]){2, 3, 3});
    const uint32_t image = floats(b, 4, (const int64_t[]){2, 1, 3, 3});
    const uint32_t y = floats(b, 4, (const int64_t[]){2, 2, 2, 2});
    view_builder_node(b, "Transpose", 13, &x, 1, &t, 1);
    view_builder_ints(b, "perm", (const int64_t[]){0, 2, 1}, 3);
    view_builder_node(b, "MatMul", 13, (const uint32_t[]){t, w}, 2, &m, 1);
    view_builder_node(b, "Softmax", 13, &m, 1, &s, 1);
    view_builder_int(b, "axis", -1);
    view_builder_node(b, "Slice", 13, (const uint32_t[]){s, starts, ends, axes}, 4, &cut, 1);
    view_builder_node(b, "Gather", 13, (const uint32_t[]){cut, picks}, 2, &g, 1);
    view_builder_int(b, "axis", 2);
    view_builder_node(b, "ReduceMean", 13, &g, 1, &mean, 1);
    view_builder_ints(b, "axes", (const int64_t[]){1}, 1);
    view_builder_node(b, "Concat", 13, (const uint32_t[]){g, mean}, 2, &joined, 1);
    view_builder_int(b, "axis", 1);
    view_builder_node(b, "Reshape", 14, (const uint32_t[]){joined, shape}, 2, &image, 1);
    view_builder_node(b, "Conv", 11, (const uint32_t[]){image, k}, 2, &y, 1);
    view_builder_ints(b, "pads", (const int64_t[]){0, 0, 0, 0}, 4);
    view_builder_input(b, x);
    view_builder_output(b, y);
    return b;
}

// Runs an opened program on memory of exactly the sizes it asks for.
static tn_status run_exactly(abi_program *program, tn_error *error) {
    void *buffers[64] = {NULL};
    uint64_t total = 0;
    for (uint32_t i = 0; i < program->port_count; ++i) {
        total += program->ports[i].size_bytes;
        if (program->ports[i].size_bytes > MAX_PORT_BYTES || total > MAX_PORT_BYTES) {
            return TN_ERROR_LIMIT_EXCEEDED;
        }
    }
    for (uint32_t i = 0; i < program->port_count; ++i) {
        buffers[i] = calloc(1, program->ports[i].size_bytes + 1);
        assert_non_null(buffers[i]);
        buffers[i] = realloc(buffers[i],
                             program->ports[i].size_bytes == 0 ? 1 : program->ports[i].size_bytes);
        assert_non_null(buffers[i]);
    }
    const tn_status status = abi_program_run(program, buffers, error);
    for (uint32_t i = 0; i < program->port_count; ++i) {
        free(buffers[i]);
    }
    return status;
}

static tn_status run_view(view_builder *weights, const tn_graph_view *view) {
    tn_error error = {.struct_size = (uint32_t)sizeof error, .struct_type = TN_STRUCT_ERROR};
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    tn_node_verdict verdict;
    abi_host_init(&host, weights);
    assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_reference, &plugin, &error), TN_OK);
    tn_status status = abi_plugin_judge(&plugin, view, &verdict, &error);
    if (status == TN_OK) {
        status = abi_program_open(&plugin, view, NULL, 0, &program, &error);
        if (status == TN_OK) {
            status = run_exactly(&program, &error);
            abi_program_close(&program);
        }
    }
    assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    assert_int_equal(host.live_blocks, 0);
    assert_int_equal(host.wrong_free_count, 0);
    return status;
}

// Changes one to three bytes; most of them where records lie and not in their reserved fields.
static void mutate(unsigned char *bytes, size_t size, uint64_t *inout_random, uint32_t count) {
    static const unsigned char values[] = {0, 1, 2, 3, 4, 5, 8, 0x7f, 0x80, 0xfe, 0xff};
    for (uint32_t i = 0; i < count; ++i) {
        *inout_random = *inout_random * 6364136223846793005u + 1442695040888963407u;
        bytes[(*inout_random >> 33) % size] = values[(*inout_random >> 20) % sizeof values];
    }
}

static void mutants__run_or_fail_cleanly(void **state) {
    (void)state;
    view_builder *b = sample();
    const tn_graph_view *view = view_builder_finish(b, 0);
    const size_t size = (size_t)view->total_bytes;
    assert_int_equal(run_view(b, view), TN_OK);
    uint64_t random = 20261120;
    uint32_t counts[TN_STATUS_COUNT] = {0};
    for (uint32_t round = 0; round < ROUNDS; ++round) {
        unsigned char *bytes = malloc(size);
        assert_non_null(bytes);
        memcpy(bytes, view, size);
        mutate(bytes, size, &random, 1 + round % 3);
        tn_graph_view *mutant = (tn_graph_view *)(void *)bytes;
        // The plugin trusts its host about how many bytes there are.
        if (mutant->total_bytes <= size) {
            const tn_status status = run_view(b, mutant);
            assert_in_range(status, 0, TN_STATUS_COUNT - 1);
            counts[status] += 1;
        }
        free(bytes);
    }
    print_message("%u ran, %u broken, %u unsupported\n", counts[TN_OK],
                  counts[TN_ERROR_INVALID_DATA], counts[TN_ERROR_UNSUPPORTED]);
    assert_true(counts[TN_OK] > ROUNDS / 20);
    assert_true(counts[TN_ERROR_INVALID_DATA] > ROUNDS / 20);
    assert_true(counts[TN_ERROR_UNSUPPORTED] > ROUNDS / 100);
    view_builder_destroy(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutants__run_or_fail_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
