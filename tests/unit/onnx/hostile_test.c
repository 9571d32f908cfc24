// SPDX-License-Identifier: Apache-2.0
// Thousands of damaged models: cut, flipped, spliced, stretched. Whatever the importer makes of
// them, it neither crashes nor leaks nor takes more memory than it was given; what it accepts goes
// through the whole of load. Deterministic: the same mutants every time.
#include "base/error.h"
#include "graph/rewrite/rewrite.h"
#include "graph/shape/shape.h"
#include "graph/view.h"
#include "support/test_alloc.h"
#include "unit/onnx/error_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUTANT_COUNT 20000u
#define MAX_SEEDS 512u
#define MAX_SEED_BYTES 65536u
#define MEMORY_CAP_BYTES ((uint64_t)64 << 20)
#define NESTED_SEEDS TN_TEST_SOURCE_DIR "/tests/fuzz/corpus/model_run"
#define TEST_DATA "/usr/share/libonnx-testdata/data/node"

static pb seeds[MAX_SEEDS];
static size_t seed_count;

// Xorshift: all randomness of the test.
static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static size_t random_below(size_t bound) {
    return bound == 0 ? 0 : (size_t)(next_random() % bound);
}

static void add_seed(pb *seed) {
    if (seed->size == 0 || seed->size > MAX_SEED_BYTES || seed_count == MAX_SEEDS) {
        pb_free(seed);
        return;
    }
    seeds[seed_count++] = *seed;
}

// A model with shape arithmetic, a body, a function op and named dims.
static void make_transformer_like(pb *model) {
    static const int64_t x_dims[3] = {-2, -3, 8};
    static const int64_t eight[1] = {8};
    static const int64_t target[4] = {0, -1, 2, 4};
    static const int64_t perm[4] = {0, 2, 1, 3};
    pb bodies[2];
    onnx_builder b;
    for (int i = 0; i < 2; i++) {
        onnx_begin_graph(&b);
        onnx_node(&b, i == 0 ? "Relu" : "Neg", "t", "z");
        onnx_output_untyped(&b, "z");
        onnx_end_graph(&b, &bodies[i]);
    }
    onnx_begin(&b, 20);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 3, x_dims);
    onnx_input(&b, "c", TN_DTYPE_BOOL, 0, NULL);
    onnx_initializer_floats(&b, "scale", 1, eight, 1);
    onnx_initializer_floats(&b, "bias", 1, eight, 2);
    onnx_initializer_ints(&b, "target", 4, target);
    onnx_node(&b, "LayerNormalization", "x,scale,bias", "n");
    onnx_node(&b, "Gelu", "n", "g");
    onnx_node(&b, "Reshape", "g,target", "r");
    onnx_node(&b, "Transpose", "r", "t");
    onnx_attr_ints(&b, "perm", 4, perm);
    onnx_node(&b, "If", "c", "y");
    onnx_attr_graph(&b, "then_branch", &bodies[0]);
    onnx_attr_graph(&b, "else_branch", &bodies[1]);
    onnx_node(&b, "Shape", "x", "s");
    onnx_node(&b, "Cast", "s", "s32");
    onnx_attr_int(&b, "to", TN_DTYPE_INT32);
    onnx_output_untyped(&b, "y");
    onnx_output_untyped(&b, "s32");
    onnx_end(&b, model);
}

static void add_built_seeds(void) {
    for (size_t i = 0; i < error_case_count; i++) {
        tni_import_limits limits = {0};
        pb seed = {NULL, 0, 0};
        error_cases[i].make(&seed, &limits);
        add_seed(&seed);
    }
    for (uint32_t i = 1; i <= 12; i++) {
        pb seed = {NULL, 0, 0};
        onnx_model_chain(&seed, i, (int64_t)(i % 4) + 1);
        add_seed(&seed);
    }
    for (int64_t i = 0; i < 4; i++) {
        pb seed = {NULL, 0, 0};
        onnx_model_classifier(&seed, i % 2 == 0 ? 1 : -2, 6 + i);
        add_seed(&seed);
        // Twice, because it reaches furthest.
        pb transformer = {NULL, 0, 0};
        make_transformer_like(&transformer);
        add_seed(&transformer);
    }
}

static void read_seed(const char *path) {
    uint8_t block[4096];
    pb seed = {NULL, 0, 0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return;
    }
    for (size_t got = fread(block, 1, sizeof block, file); got > 0;
         got = fread(block, 1, sizeof block, file)) {
        pb_append(&seed, block, got);
    }
    fclose(file);
    add_seed(&seed);
}

// Every eighth of the models that Debian's libonnx-testdata installs, in directory order made
// stable.
static void add_installed_seeds(void) {
    struct dirent **entries = NULL;
    const int count = scandir(TEST_DATA, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (i % 8 == 0 && entries[i]->d_name[0] != '.') {
            char path[1024];
            snprintf(path, sizeof path, TEST_DATA "/%s/model.onnx", entries[i]->d_name);
            read_seed(path);
        }
        free(entries[i]);
    }
    free(entries);
}

// Nested graphs, functions, sequences and optionals: the seeds of the harness that runs models.
static void add_nested_seeds(void) {
    struct dirent **entries = NULL;
    const int count = scandir(NESTED_SEEDS, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, NESTED_SEEDS "/%s", entries[i]->d_name);
        // Thrice, because much of them is structure.
        for (int k = 0; k < 3 && entries[i]->d_name[0] != '.'; k++) {
            read_seed(path);
        }
        free(entries[i]);
    }
    free(entries);
}

static int make_seeds(void **state) {
    (void)state;
    add_built_seeds();
    add_nested_seeds();
    add_installed_seeds();
    return 0;
}

static int free_seeds(void **state) {
    (void)state;
    for (size_t i = 0; i < seed_count; i++) {
        pb_free(&seeds[i]);
    }
    return 0;
}

static void flip_bits(pb *mutant) {
    for (size_t i = 0; i <= random_below(4); i++) {
        mutant->data[random_below(mutant->size)] ^= (uint8_t)(1u << random_below(8));
    }
}

static void put_extremes(pb *mutant) {
    static const uint8_t extremes[] = {0x00, 0x7f, 0x80, 0xff, 0x01};
    const size_t at = random_below(mutant->size);
    const uint8_t byte = extremes[random_below(sizeof extremes)];
    const size_t left = mutant->size - at;
    const size_t run = 1 + random_below(left < 10 ? left : 10);
    memset(mutant->data + at, byte, run);
}

// The front of one seed and the back of another.
static void splice(pb *mutant) {
    const pb *other = &seeds[random_below(seed_count)];
    const size_t at = random_below(other->size);
    mutant->size = random_below(mutant->size);
    pb_append(mutant, other->data + at, other->size - at);
}

// Repeats a stretch of the model in place, or takes one out.
static void stretch(pb *mutant) {
    pb result = {NULL, 0, 0};
    const size_t at = random_below(mutant->size);
    const size_t length = random_below(mutant->size - at);
    const size_t repeats = random_below(4);
    pb_append(&result, mutant->data, at);
    for (size_t i = 0; i < repeats; i++) {
        pb_append(&result, mutant->data + at, length);
    }
    pb_append(&result, mutant->data + at + length, mutant->size - at - length);
    pb_free(mutant);
    *mutant = result;
}

static void mutate(pb *mutant) {
    switch (random_below(6)) {
    case 0:
        mutant->size = random_below(mutant->size);
        break;
    case 1:
    case 2:
        flip_bits(mutant);
        break;
    case 3:
        put_extremes(mutant);
        break;
    case 4:
        splice(mutant);
        break;
    default:
        stretch(mutant);
        break;
    }
}

// Shapes with actual sizes: 3 for whatever is open.
static void evaluate(const tni_model *model, const tni_alloc *alloc) {
    tni_shape_input inputs[16];
    int64_t dims[16][TN_MAX_RANK];
    tni_shape_table *table = NULL;
    tn_error error;
    const tni_graph *graph = &model->graphs[0];
    if (graph->input_count > 16) {
        return;
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const tni_value *value = &model->values[graph->inputs[i]];
        const uint32_t rank = value->rank == TN_RANK_UNKNOWN ? 2 : value->rank;
        for (uint32_t k = 0; k < rank; k++) {
            const bool known = value->rank != TN_RANK_UNKNOWN && value->dims[k].size >= 0;
            dims[i][k] = known ? value->dims[k].size : 3;
        }
        inputs[i] = (tni_shape_input){.value = graph->inputs[i], .rank = rank, .dims = dims[i]};
    }
    tni_error_init(&error);
    if (tni_shapes_evaluate(model, alloc, inputs, graph->input_count, &table, &error) == TN_OK) {
        tni_shape_table_destroy(table);
    }
}

static void use_model(tni_model *model, const tni_alloc *alloc) {
    const tni_view_spec spec = {.with_hashes = true, .limit_bytes = MEMORY_CAP_BYTES};
    tni_view *view = NULL;
    tn_error error;
    tni_error_init(&error);
    if (tni_model_canonicalise(model, NULL, &error) != TN_OK) {
        assert_true(error.id[0] != '\0');
        return;
    }
    assert_int_equal(tni_model_validate(model, &error), TN_OK);
    evaluate(model, alloc);
    if (tni_view_build(alloc, model, &spec, &view, &error) == TN_OK) {
        tni_view_destroy(view);
    }
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Returns whether the model was accepted.
static bool import_mutant(const pb *mutant, uint64_t *peak_bytes) {
    test_alloc allocator;
    tni_model *model = NULL;
    tn_error error;
    // A block of exactly the size, so that ASan sees an over-read of one byte.
    uint8_t *exact = malloc(mutant->size > 0 ? mutant->size : 1);
    assert_non_null(exact);
    if (mutant->size > 0) {
        memcpy(exact, mutant->data, mutant->size);
    }
    test_alloc_init(&allocator);
    allocator.cap_bytes = MEMORY_CAP_BYTES;
    const tni_import_info info = {
        .alloc = &allocator.alloc, .data = exact, .size_bytes = mutant->size};
    tni_error_init(&error);
    const tn_status status = tni_onnx_import(&info, &model, &error);
    if (status == TN_OK) {
        use_model(model, &allocator.alloc);
    } else {
        assert_null(model);
        assert_true(error.id[0] != '\0' && error.text[0] != '\0');
        assert_int_equal(error.status, status);
    }
    tni_model_destroy(model);
    assert_true(test_alloc_clean(&allocator));
    *peak_bytes = allocator.peak_bytes > *peak_bytes ? allocator.peak_bytes : *peak_bytes;
    test_alloc_deinit(&allocator);
    free(exact);
    return status == TN_OK;
}

static void import__survives_damaged_models(void **state) {
    uint64_t peak_bytes = 0;
    uint64_t slowest_ns = 0;
    uint32_t accepted = 0;
    (void)state;
    assert_true(seed_count >= 50);
    for (uint32_t i = 0; i < MUTANT_COUNT; i++) {
        const pb *seed = &seeds[i % seed_count];
        pb mutant = {NULL, 0, 0};
        pb_append(&mutant, seed->data, seed->size);
        mutate(&mutant);
        const uint64_t begin = now_ns();
        accepted += import_mutant(&mutant, &peak_bytes) ? 1 : 0;
        const uint64_t taken = now_ns() - begin;
        slowest_ns = taken > slowest_ns ? taken : slowest_ns;
        pb_free(&mutant);
    }
    print_message("%u mutants of %zu seeds: %u accepted, peak %llu KiB, slowest %llu ms\n",
                  MUTANT_COUNT, seed_count, accepted, (unsigned long long)(peak_bytes / 1024),
                  (unsigned long long)(slowest_ns / 1000000));
    // Damage that is never noticed, or always fatal, would mean that the mutants test nothing.
    assert_true(accepted > MUTANT_COUNT / 50);
    assert_true(accepted < MUTANT_COUNT - MUTANT_COUNT / 10);
    assert_true(slowest_ns < 5000000000u);
}

static void import__survives_every_truncation(void **state) {
    uint64_t peak_bytes = 0;
    pb model = {NULL, 0, 0};
    (void)state;
    make_transformer_like(&model);
    const size_t whole = model.size;
    for (size_t size = 0; size < whole; size++) {
        model.size = size;
        (void)import_mutant(&model, &peak_bytes);
    }
    model.size = whole;
    assert_true(import_mutant(&model, &peak_bytes));
    pb_free(&model);
}

// Ten functions that each call the next one ten times: 10^10 nodes from one kilobyte.
static void import__bounds_what_functions_expand_to(void **state) {
    static const int64_t dim[1] = {2};
    uint64_t peak_bytes = 0;
    onnx_builder b;
    pb model;
    (void)state;
    onnx_begin(&b, 17);
    onnx_opset(&b, "f", 1);
    onnx_input(&b, "x", TN_DTYPE_FLOAT, 1, dim);
    onnx_node(&b, "F0", "x", "y");
    onnx_node_domain(&b, "f");
    onnx_end(&b, &model);
    for (int i = 0; i < 10; i++) {
        pb function = {NULL, 0, 0};
        char name[8];
        snprintf(name, sizeof name, "F%d", i);
        pb_text(&function, 1, name);
        pb_text(&function, 4, "a");
        pb_text(&function, 10, "f");
        for (int k = 0; k < 10; k++) {
            pb node = {NULL, 0, 0};
            char output[8];
            snprintf(name, sizeof name, i == 9 ? "Relu" : "F%d", i + 1);
            snprintf(output, sizeof output, "o%d", k);
            pb_text(&node, 1, "a");
            pb_text(&node, 2, output);
            pb_text(&node, 4, name);
            pb_text(&node, 7, i == 9 ? "" : "f");
            pb_message(&function, 7, &node);
        }
        pb_text(&function, 5, "o0");
        pb_message(&model, 25, &function);
    }
    const uint64_t begin = now_ns();
    assert_false(import_mutant(&model, &peak_bytes));
    assert_true(now_ns() - begin < 20000000000u);
    pb_free(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(import__survives_damaged_models),
        cmocka_unit_test(import__survives_every_truncation),
        cmocka_unit_test(import__bounds_what_functions_expand_to),
    };
    return cmocka_run_group_tests_name("onnx_hostile", tests, make_seeds, free_seeds);
}
