// SPDX-License-Identifier: Apache-2.0
// Tensors between stages: checked shapes, shared references, the memory cap, and collecting steps.
#include "base/error.h"
#include "flow/collect.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    test_alloc memory;
    tni_store store;
    tn_error error;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return -1;
    }
    test_alloc_init(&f->memory);
    f->store = (tni_store){.alloc = f->memory.alloc, .cap_bytes = 1024};
    tni_error_init(&f->error);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    const bool clean = test_alloc_clean(&f->memory) && f->store.live_bytes == 0;
    test_alloc_deinit(&f->memory);
    free(f);
    return clean ? 0 : -1;
}

static void tensor__refuses_what_no_tensor_is(void **state) {
    fixture *f = *state;
    static const int64_t negative[] = {2, -1};
    static const int64_t huge[] = {INT64_MAX, 4};
    static const int64_t above_cap[] = {1025};
    tni_tensor *tensor = NULL;
    assert_int_equal(tni_tensor_create(&f->store, TN_DTYPE_FLOAT, 2, negative, &tensor, &f->error),
                     TN_ERROR_INVALID_DATA);
    assert_int_equal(tni_tensor_create(&f->store, TN_DTYPE_FLOAT, 2, huge, &tensor, &f->error),
                     TN_ERROR_INVALID_DATA);
    assert_int_equal(tni_tensor_create(&f->store, TN_DTYPE_STRING, 0, NULL, &tensor, &f->error),
                     TN_ERROR_INVALID_DATA);
    assert_int_equal(tni_tensor_create(&f->store, TN_DTYPE_UINT8, 1, above_cap, &tensor, &f->error),
                     TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f->error.id, "flow.memory-cap");
    assert_null(tensor);
}

static tni_tensor *make(fixture *f, uint32_t rank, const int64_t *dims, int32_t first) {
    tni_tensor *tensor = NULL;
    assert_int_equal(tni_tensor_create(&f->store, TN_DTYPE_INT32, rank, dims, &tensor, &f->error),
                     TN_OK);
    for (uint64_t i = 0; i < tensor->size_bytes / 4; i++) {
        const int32_t value = first + (int32_t)i;
        memcpy(tensor->data + 4 * i, &value, 4);
    }
    return tensor;
}

static void tensor__part_takes_one_row_of_any_axis(void **state) {
    fixture *f = *state;
    static const int64_t dims[] = {2, 3};
    tni_tensor *tensor = make(f, 2, dims, 0);
    tni_tensor *part = NULL;
    assert_int_equal(tni_tensor_part(tensor, 1, 2, &part, &f->error), TN_OK);
    assert_int_equal(part->rank, 1);
    assert_int_equal(part->dims[0], 2);
    static const int32_t column[] = {2, 5};
    assert_memory_equal(part->data, column, sizeof(column));
    tni_tensor_release(part);
    tni_tensor_release(tensor);
}

static void item__shares_and_lets_go(void **state) {
    fixture *f = *state;
    static const int64_t dims[] = {2};
    tni_item item = tni_item_of(make(f, 1, dims, 7));
    tni_item other = tni_item_share(item);
    tni_item_clear(&item);
    assert_int_equal(item.kind, TNI_ITEM_EMPTY);
    assert_int_equal(f->store.live_bytes, 8);
    tni_item_clear(&other);
    assert_int_equal(f->store.live_bytes, 0);
}

// Collects steps of [2] along axis and compares the whole.
static void collect(fixture *f, int64_t axis, bool backwards, const int32_t expected[6]) {
    static const int64_t dims[] = {2};
    const tni_value declared = {.dtype = TN_DTYPE_INT32, .rank = TN_RANK_UNKNOWN};
    tni_collector collector;
    tni_collector_init(&collector, &f->store, &declared, axis, backwards, INT64_MAX);
    for (int32_t step = 0; step < 3; step++) {
        tni_item item = tni_item_of(make(f, 1, dims, 10 * step));
        assert_int_equal(tni_collect(&collector, &item, &f->error), TN_OK);
    }
    tni_item result;
    assert_int_equal(tni_collector_finish(&collector, &result, &f->error), TN_OK);
    assert_int_equal(result.tensor->size_bytes, 6 * sizeof(int32_t));
    assert_memory_equal(result.tensor->data, expected, 6 * sizeof(int32_t));
    tni_item_clear(&result);
    tni_collector_deinit(&collector);
}

static void collector__lays_steps_along_a_new_axis(void **state) {
    fixture *f = *state;
    static const int32_t first_axis[] = {0, 1, 10, 11, 20, 21};
    static const int32_t last_axis[] = {0, 10, 20, 1, 11, 21};
    static const int32_t reversed[] = {20, 21, 10, 11, 0, 1};
    collect(f, 0, false, first_axis);
    collect(f, -1, false, last_axis);
    collect(f, 0, true, reversed);
}

static void collector__refuses_a_step_of_another_shape(void **state) {
    fixture *f = *state;
    static const int64_t dims[] = {2};
    const tni_value declared = {.dtype = TN_DTYPE_INT32, .rank = TN_RANK_UNKNOWN};
    tni_collector collector;
    tni_collector_init(&collector, &f->store, &declared, 0, false, 2);
    tni_item item = tni_item_of(make(f, 1, dims, 0));
    assert_int_equal(tni_collect(&collector, &item, &f->error), TN_OK);
    item = tni_item_of(make(f, 0, NULL, 0));
    assert_int_equal(tni_collect(&collector, &item, &f->error), TN_ERROR_INVALID_DATA);
    assert_string_equal(f->error.id, "flow.step-shape");
    tni_collector_deinit(&collector);
}

static void collector__without_steps_has_the_declared_shape(void **state) {
    fixture *f = *state;
    tn_graph_dim dims[] = {{3, TN_NONE, 0}, {-1, 0, 0}};
    const tni_value declared = {.dtype = TN_DTYPE_FLOAT, .rank = 2, .dims = dims};
    tni_collector collector;
    tni_item result;
    tni_collector_init(&collector, &f->store, &declared, 0, false, 0);
    assert_int_equal(tni_collector_finish(&collector, &result, &f->error), TN_OK);
    assert_int_equal(result.tensor->rank, 3);
    assert_int_equal(result.tensor->dims[0], 0);
    assert_int_equal(result.tensor->dims[1], 3);
    assert_int_equal(result.tensor->dims[2], 0);
    tni_item_clear(&result);
    tni_collector_deinit(&collector);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tensor__refuses_what_no_tensor_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tensor__part_takes_one_row_of_any_axis, set_up, tear_down),
        cmocka_unit_test_setup_teardown(item__shares_and_lets_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(collector__lays_steps_along_a_new_axis, set_up, tear_down),
        cmocka_unit_test_setup_teardown(collector__refuses_a_step_of_another_shape, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(collector__without_steps_has_the_declared_shape, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("flow/tensor", tests, NULL, NULL);
}
