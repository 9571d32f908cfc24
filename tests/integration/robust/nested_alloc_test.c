// SPDX-License-Identifier: Apache-2.0
// The whole life of models with nested graphs, functions, sequences and optionals while every
// allocation fails once in turn, and then stays failed: no crash, nothing left behind. The models
// are the seeds of the fuzz harness that runs models.
#include "integration/flow/flow_fixture.h"

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

#define SEEDS TN_TEST_SOURCE_DIR "/tests/fuzz/corpus/model_run"
#define SEED_FLOOR 12
#define MAX_INPUTS 8u

static void read_seed(const char *name, pb *out) {
    char path[1024];
    uint8_t block[4096];
    snprintf(path, sizeof path, SEEDS "/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t got = fread(block, 1, sizeof block, file); got > 0;
         got = fread(block, 1, sizeof block, file)) {
        pb_append(out, block, got);
    }
    fclose(file);
}

// Dimensions that the model leaves open get one size.
static tn_status prepare_open_sizes(flow_fixture *f) {
    tn_input_shape shapes[MAX_INPUTS];
    int64_t dims[MAX_INPUTS][TN_MAX_RANK];
    uint32_t count = 0;
    for (uint32_t i = 0; i < tn_model_input_count(f->model) && count < MAX_INPUTS; i++) {
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        assert_int_equal(tn_model_input_get(f->model, i, &desc), TN_OK);
        if (desc.kind != TN_VALUE_TENSOR || desc.rank > TN_MAX_RANK) {
            continue;
        }
        for (uint32_t k = 0; k < desc.rank; k++) {
            dims[count][k] = desc.dims[k] >= 0 ? desc.dims[k] : 2;
        }
        shapes[count] = (tn_input_shape){.input = i, .rank = desc.rank, .dims = dims[count]};
        count++;
    }
    return tn_request_prepare(f->request, shapes, count, &f->error);
}

// As far as it goes; returns what it ended with.
static tn_status live(flow_fixture *f) {
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    limits.max_iterations = 3;
    tn_status status = flow_open(f, "reference:cpu", &limits);
    if (status == TN_ERROR_INVALID_ARGUMENT && f->request != NULL) {
        status = prepare_open_sizes(f);
    }
    return status == TN_OK ? tn_request_run(f->request, 0, &f->error) : status;
}

static void sweep(flow_fixture *f, const char *name) {
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
    const tn_status expected = live(f);
    const uint64_t total = f->memory.count;
    flow_close(f);
    print_message("%s: %llu allocations, %s\n", name, (unsigned long long)total,
                  tn_status_text(expected));
    for (int mode = TEST_ALLOC_FAIL_ONE; mode <= TEST_ALLOC_FAIL_FROM; mode++) {
        for (uint64_t at = 0; at < total; at++) {
            test_alloc_reset(&f->memory, (test_alloc_mode)mode, at);
            const tn_status status = live(f);
            // A plugin that found no memory is left out, and then there is no such device.
            if (status != TN_ERROR_OUT_OF_MEMORY && status != TN_ERROR_NOT_FOUND &&
                status != expected) {
                print_message("%s: allocation %llu: %s: %s\n", name, (unsigned long long)at,
                              f->error.id, f->error.text);
                fail();
            }
            flow_close(f);
            assert_int_equal(f->memory.live_blocks, 0);
        }
    }
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
}

static void nested_models__survive_failing_allocations(void **state) {
    flow_fixture *f = *state;
    struct dirent **entries = NULL;
    int swept = 0;
    const int count = scandir(SEEDS, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            read_seed(entries[i]->d_name, &f->bytes);
            sweep(f, entries[i]->d_name);
            pb_free(&f->bytes);
            swept++;
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(swept >= SEED_FLOOR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(nested_models__survive_failing_allocations),
    };
    return cmocka_run_group_tests_name("nested_alloc", tests, NULL, NULL);
}
