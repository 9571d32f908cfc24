// SPDX-License-Identifier: Apache-2.0
// Constants: mapping, reading, recipes, hashes, and files that shrink behind our back.
#include "graph/constant.h"
#include "unit/graph/model_fixture.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int set_up_empty(void **state) {
    const int result = model_set_up(state);
    model_fixture *f = *state;
    return result != 0 ? result
                       : (int)tni_model_create(&f->allocator.alloc, NULL, 1 << 20, &f->model);
}

static uint32_t add_owned(model_fixture *f, tn_dtype dtype, uint32_t rank, const int64_t *dims,
                          const void *bytes, uint64_t size_bytes) {
    const tni_constant_info info = {.dtype = dtype,
                                    .rank = rank,
                                    .dims = dims,
                                    .kind = TNI_CONSTANT_OWNED,
                                    .bytes = bytes,
                                    .size_bytes = size_bytes};
    uint32_t id = TN_NONE;
    must(f, tni_model_add_constant(f->model, &info, &id));
    return id;
}

static uint32_t add_floats(model_fixture *f, const float *values, uint32_t count) {
    const int64_t dim = count;
    return add_owned(f, TN_DTYPE_FLOAT, 1, &dim, values, count * sizeof *values);
}

static uint32_t add_recipe(model_fixture *f, const tni_recipe *recipe, tn_dtype dtype,
                           uint32_t rank, const int64_t *dims, uint64_t size_bytes) {
    const tni_constant_info info = {.dtype = dtype,
                                    .rank = rank,
                                    .dims = dims,
                                    .kind = TNI_CONSTANT_RECIPE,
                                    .recipe = recipe,
                                    .size_bytes = size_bytes};
    uint32_t id = TN_NONE;
    must(f, tni_model_add_constant(f->model, &info, &id));
    return id;
}

static void add_constant__refuses_a_size_that_disagrees(void **state) {
    model_fixture *f = *state;
    const int64_t dims[2] = {3, 3};
    uint32_t id = 7;
    const tni_constant_info info = {
        .dtype = TN_DTYPE_UINT4, .rank = 2, .dims = dims, .size_bytes = 9};
    assert_int_equal(tni_model_add_constant(f->model, &info, &id), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(id, TN_NONE);
    tni_constant_info right = info;
    right.kind = TNI_CONSTANT_OWNED;
    right.size_bytes = 5;
    assert_int_equal(tni_model_add_constant(f->model, &right, &id), TN_OK);
}

static void read__takes_any_range_and_no_other(void **state) {
    model_fixture *f = *state;
    const float values[3] = {1.0f, 2.0f, 3.0f};
    const uint32_t id = add_floats(f, values, 3);
    uint8_t bytes[12];
    must(f, tni_constant_read(f->model, id, 3, 6, bytes, &f->error));
    assert_memory_equal(bytes, (const uint8_t *)values + 3, 6);
    assert_int_equal(tni_constant_read(f->model, id, 8, 5, bytes, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tni_constant_read(f->model, id, 13, 0, bytes, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tni_constant_read(f->model, 99, 0, 0, bytes, &f->error), TN_ERROR_NOT_FOUND);
}

static void recipe__cast_rounds_to_nearest_even(void **state) {
    model_fixture *f = *state;
    // 1 + 2^-11 lies between two half floats; a bit more must round up, exactly half to even.
    const float values[4] = {1.00048828125f, 1.0004885f, 65520.0f, -0.1f};
    const uint16_t expected[4] = {0x3c00, 0x3c01, 0x7c00, 0xae66};
    const int64_t dim = 4;
    const tni_recipe recipe = {
        .kind = TNI_RECIPE_CAST,
        .sources = {add_floats(f, values, 4), TN_NONE, TN_NONE, TN_NONE, TN_NONE}};
    const uint32_t id = add_recipe(f, &recipe, TN_DTYPE_FLOAT16, 1, &dim, 8);
    uint16_t actual[4];
    const void *data = &dim;
    uint64_t size_bytes = 1;
    must(f, tni_constant_read(f->model, id, 0, 8, actual, &f->error));
    assert_memory_equal(actual, expected, sizeof expected);
    assert_int_equal(tni_constant_map(f->model, id, &data, &size_bytes, &f->error),
                     TN_ERROR_UNSUPPORTED);
    assert_null(data);
}

static void recipe__cast_of_double_rounds_once(void **state) {
    model_fixture *f = *state;
    // Rounding to binary32 first would make this an exact tie and lose the bit.
    const double value = 1.00048828125 + 1e-12;
    const int64_t dim = 1;
    const uint32_t source = add_owned(f, TN_DTYPE_DOUBLE, 1, &dim, &value, sizeof value);
    const tni_recipe recipe = {.kind = TNI_RECIPE_CAST,
                               .sources = {source, TN_NONE, TN_NONE, TN_NONE, TN_NONE}};
    const uint32_t id = add_recipe(f, &recipe, TN_DTYPE_FLOAT16, 1, &dim, 2);
    uint16_t actual = 0;
    must(f, tni_constant_read(f->model, id, 0, 2, &actual, &f->error));
    assert_int_equal(actual, 0x3c01);
}

static void recipe__transpose_reads_any_range(void **state) {
    model_fixture *f = *state;
    const int16_t values[24] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
    const int64_t dims[3] = {2, 3, 4};
    const int64_t out_dims[3] = {4, 2, 3};
    const uint32_t source = add_owned(f, TN_DTYPE_INT16, 3, dims, values, sizeof values);
    const tni_recipe recipe = {.kind = TNI_RECIPE_TRANSPOSE,
                               .sources = {source, TN_NONE, TN_NONE, TN_NONE, TN_NONE},
                               .perm = {2, 0, 1}};
    const uint32_t id = add_recipe(f, &recipe, TN_DTYPE_INT16, 3, out_dims, sizeof values);
    int16_t expected[24];
    uint8_t actual[48];
    for (int a = 0; a < 4; a++) {
        for (int b = 0; b < 2; b++) {
            for (int c = 0; c < 3; c++) {
                expected[(a * 2 + b) * 3 + c] = values[(b * 3 + c) * 4 + a];
            }
        }
    }
    for (uint64_t begin = 0; begin < 48; begin += 5) {
        const uint64_t size = 48 - begin < 7 ? 48 - begin : 7;
        must(f, tni_constant_read(f->model, id, begin, size, actual, &f->error));
        assert_memory_equal(actual, (const uint8_t *)expected + begin, size);
    }
    // A transpose of a transpose computes its source first.
    const tni_recipe back = {.kind = TNI_RECIPE_TRANSPOSE,
                             .sources = {id, TN_NONE, TN_NONE, TN_NONE, TN_NONE},
                             .perm = {1, 2, 0}};
    const uint32_t twice = add_recipe(f, &back, TN_DTYPE_INT16, 3, dims, sizeof values);
    must(f, tni_constant_read(f->model, twice, 0, 48, actual, &f->error));
    assert_memory_equal(actual, values, sizeof values);
}

static void recipe__dequantize_per_axis_and_nibbles(void **state) {
    model_fixture *f = *state;
    const uint8_t packed[3] = {0x21, 0x8f, 0x07}; // 1 2 -1 -8 7 0
    const float scales[3] = {0.5f, 2.0f, 10.0f};
    const uint8_t zeros[2] = {0x10, 0x0f}; // 0 1 -1
    const int64_t dims[2] = {2, 3};
    const int64_t three = 3;
    const float expected[6] = {0.5f, 2.0f, 0.0f, -4.0f, 12.0f, 10.0f};
    const uint32_t x = add_owned(f, TN_DTYPE_INT4, 2, dims, packed, sizeof packed);
    const uint32_t zero = add_owned(f, TN_DTYPE_INT4, 1, &three, zeros, sizeof zeros);
    const tni_recipe recipe = {.kind = TNI_RECIPE_DEQUANTIZE,
                               .sources = {x, add_floats(f, scales, 3), zero, TN_NONE, TN_NONE},
                               .axis = 1};
    const uint32_t id = add_recipe(f, &recipe, TN_DTYPE_FLOAT, 2, dims, sizeof expected);
    float actual[6];
    must(f, tni_constant_read(f->model, id, 0, sizeof actual, actual, &f->error));
    assert_memory_equal(actual, expected, sizeof expected);
}

static void recipe__streams_many_blocks(void **state) {
    model_fixture *f = *state;
    enum { COUNT = 5001 };
    float values[COUNT];
    double actual[COUNT];
    const int64_t dim = COUNT;
    for (int i = 0; i < COUNT; i++) {
        values[i] = (float)i * 0.25f;
    }
    const tni_recipe recipe = {
        .kind = TNI_RECIPE_CAST,
        .sources = {add_floats(f, values, COUNT), TN_NONE, TN_NONE, TN_NONE, TN_NONE}};
    const uint32_t id = add_recipe(f, &recipe, TN_DTYPE_DOUBLE, 1, &dim, sizeof actual);
    test_alloc_reset(&f->allocator, TEST_ALLOC_NORMAL, 0);
    const uint64_t before = f->allocator.live_bytes;
    must(f, tni_constant_read(f->model, id, 0, sizeof actual, actual, &f->error));
    assert_true(f->allocator.peak_bytes - before <= 20000);
    for (int i = 0; i < COUNT; i++) {
        assert_true(actual[i] == (double)values[i]);
    }
}

static void hash__tells_content_type_and_shape_apart(void **state) {
    model_fixture *f = *state;
    const float values[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    const int64_t square[2] = {2, 2};
    uint8_t hashes[4][TNI_DIGEST_BYTES];
    const uint32_t a = add_floats(f, values, 4);
    const uint32_t same = add_floats(f, values, 4);
    uint32_t reshaped = TN_NONE;
    must(f, tni_model_add_reshaped(f->model, a, square, 2, &reshaped));
    const tni_recipe recipe = {.kind = TNI_RECIPE_CAST,
                               .sources = {a, TN_NONE, TN_NONE, TN_NONE, TN_NONE}};
    const int64_t four = 4;
    const uint32_t derived = add_recipe(f, &recipe, TN_DTYPE_DOUBLE, 1, &four, 32);
    must(f, tni_constant_hash(f->model, a, hashes[0], &f->error));
    must(f, tni_constant_hash(f->model, same, hashes[1], &f->error));
    must(f, tni_constant_hash(f->model, reshaped, hashes[2], &f->error));
    must(f, tni_constant_hash(f->model, derived, hashes[3], &f->error));
    assert_memory_equal(hashes[0], hashes[1], TNI_DIGEST_BYTES);
    assert_memory_not_equal(hashes[0], hashes[2], TNI_DIGEST_BYTES);
    assert_memory_not_equal(hashes[0], hashes[3], TNI_DIGEST_BYTES);
}

static void ints__reads_every_small_type(void **state) {
    model_fixture *f = *state;
    static const struct {
        tn_dtype dtype;
        uint8_t bytes[16];
        uint64_t size;
        int64_t expected;
    } cases[] = {
        {TN_DTYPE_INT64, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, -2},
        {TN_DTYPE_INT32, {0xfe, 0xff, 0xff, 0xff}, 4, -2},
        {TN_DTYPE_UINT32, {0xfe, 0xff, 0xff, 0xff}, 4, 4294967294},
        {TN_DTYPE_INT16, {0xfe, 0xff}, 2, -2},
        {TN_DTYPE_UINT16, {0xfe, 0xff}, 2, 65534},
        {TN_DTYPE_INT8, {0xfe}, 1, -2},
        {TN_DTYPE_UINT8, {0xfe}, 1, 254},
        {TN_DTYPE_BOOL, {1}, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 0;
        uint32_t count = 0;
        const uint32_t id = add_owned(f, cases[i].dtype, 0, NULL, cases[i].bytes, cases[i].size);
        must(f, tni_constant_ints(f->model, id, &value, 1, &count, &f->error));
        assert_int_equal(count, 1);
        assert_true(value == cases[i].expected);
    }
    const float not_int = 1.0f;
    int64_t value = 0;
    uint32_t count = 9;
    const uint32_t id = add_owned(f, TN_DTYPE_FLOAT, 0, NULL, &not_int, 4);
    assert_int_equal(tni_constant_ints(f->model, id, &value, 1, &count, &f->error),
                     TN_ERROR_UNSUPPORTED);
    assert_int_equal(count, 0);
}

// A file of two pages; its name is gone as soon as it is open.
static int open_file(char *path, size_t capacity) {
    uint8_t bytes[8192];
    memset(bytes, 42, sizeof bytes);
    snprintf(path, capacity, "/tmp/tenon-constant-XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(unlink(path), 0);
    return fd;
}

static uint32_t add_raw(model_fixture *f, uint32_t source, uint64_t offset, int64_t size) {
    const tni_constant_info info = {.dtype = TN_DTYPE_UINT8,
                                    .rank = 1,
                                    .dims = &size,
                                    .kind = TNI_CONSTANT_RAW,
                                    .source = source,
                                    .offset_bytes = offset,
                                    .size_bytes = (uint64_t)size};
    uint32_t id = TN_NONE;
    must(f, tni_model_add_constant(f->model, &info, &id));
    return id;
}

static void truncated_file__is_an_error_not_a_signal(void **state) {
    model_fixture *f = *state;
    char path[64];
    uint8_t bytes[16];
    uint8_t hash[TNI_DIGEST_BYTES];
    uint32_t source = TN_NONE;
    const void *data = NULL;
    uint64_t size_bytes = 0;
    const int fd = open_file(path, sizeof path);
    const int writer = dup(fd);
    must(f, tni_model_add_file(f->model, fd, tni_string_of("weights.bin"), false, UINT64_MAX,
                               &source, &f->error));
    const uint32_t id = add_raw(f, source, 5000, 100);
    must(f, tni_constant_map(f->model, id, &data, &size_bytes, &f->error));
    assert_int_equal(((const uint8_t *)data)[99], 42);
    must(f, tni_model_check_sources(f->model, &f->error));

    assert_int_equal(ftruncate(writer, 1000), 0);
    assert_int_equal(tni_model_check_sources(f->model, &f->error), TN_ERROR_IO);
    assert_string_equal(f->error.id, "model.file-changed");
    assert_non_null(strstr(f->error.text, "weights.bin"));
    assert_int_equal(tni_constant_map(f->model, id, &data, &size_bytes, &f->error), TN_ERROR_IO);
    assert_null(data);
    assert_int_equal(tni_constant_read(f->model, id, 0, 16, bytes, &f->error), TN_ERROR_IO);
    assert_int_equal(tni_constant_hash(f->model, id, hash, &f->error), TN_ERROR_IO);
    close(writer);
}

static void copied_file__does_not_care(void **state) {
    model_fixture *f = *state;
    char path[64];
    uint8_t bytes[16] = {0};
    uint32_t source = TN_NONE;
    const int fd = open_file(path, sizeof path);
    const int writer = dup(fd);
    must(f, tni_model_add_file(f->model, fd, tni_string_of("weights.bin"), true, UINT64_MAX,
                               &source, &f->error));
    const uint32_t id = add_raw(f, source, 5000, 100);
    assert_int_equal(ftruncate(writer, 0), 0);
    must(f, tni_model_check_sources(f->model, &f->error));
    must(f, tni_constant_read(f->model, id, 84, 16, bytes, &f->error));
    assert_int_equal(bytes[15], 42);
    close(writer);
}

static void add_file__keeps_to_its_limit(void **state) {
    model_fixture *f = *state;
    char path[64];
    uint32_t source = 0;
    const int fd = open_file(path, sizeof path);
    assert_int_equal(
        tni_model_add_file(f->model, fd, tni_string_of("w"), false, 100, &source, &f->error),
        TN_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(source, TN_NONE);
    assert_int_equal(close(fd), 0);
}

static void keys__lead_back_to_constants(void **state) {
    model_fixture *f = *state;
    const float value = 1.0f;
    f->model->key_base = (uint64_t)7 << 32;
    const uint32_t id = add_floats(f, &value, 1);
    assert_int_equal(tni_constant_of_key(f->model, f->model->constants[id].key), id);
    assert_int_equal(tni_constant_of_key(f->model, f->model->key_base + 1), TN_NONE);
    assert_int_equal(tni_constant_of_key(f->model, 0), TN_NONE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up_empty, model_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(add_constant__refuses_a_size_that_disagrees),
        CASE(read__takes_any_range_and_no_other),
        CASE(recipe__cast_rounds_to_nearest_even),
        CASE(recipe__cast_of_double_rounds_once),
        CASE(recipe__transpose_reads_any_range),
        CASE(recipe__dequantize_per_axis_and_nibbles),
        CASE(recipe__streams_many_blocks),
        CASE(hash__tells_content_type_and_shape_apart),
        CASE(ints__reads_every_small_type),
        CASE(truncated_file__is_an_error_not_a_signal),
        CASE(copied_file__does_not_care),
        CASE(add_file__keeps_to_its_limit),
        CASE(keys__lead_back_to_constants),
    };
    return cmocka_run_group_tests_name("graph_constant", tests, NULL, NULL);
}
