// SPDX-License-Identifier: Apache-2.0
// Searches that are stopped: by a time that has passed, and by a callback.
#include "plan/plan_search.h"

#include "support/partition/random_problem.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    test_alloc memory;
    tnp_allocator allocator;
    random_problem random;
    tni_plan_info info;
    tnp_plan answer;
    tnp_status solved;
    bool stored;
    tn_error error;
    uint32_t asked;
    uint32_t stop_at; // the question that is answered with "stop"; 0: none
} fixture;

static void *take(void *user_data, uint64_t size_bytes) {
    return tni_alloc_zeroed(user_data, size_bytes);
}

static void give(void *user_data, void *pointer, uint64_t size_bytes) {
    tni_free(user_data, pointer, size_bytes);
}

static uint32_t progress(void *user_data, const char *phase, uint32_t permille) {
    fixture *f = user_data;
    assert_string_equal(phase, "plan");
    assert_int_equal(permille, 0);
    return ++f->asked == f->stop_at;
}

static void open_fixture(fixture *f) {
    memset(f, 0, sizeof(*f));
    test_alloc_init(&f->memory);
    f->allocator = (tnp_allocator){take, give, &f->memory.alloc};
    random_problem_make(7, 60, 4, 0, &f->random);
    f->info.plan_deadline_ns = UINT64_MAX;
    f->error = (tn_error){.struct_size = sizeof(f->error), .struct_type = TN_STRUCT_ERROR};
}

static tn_status search(fixture *f) {
    return tni_plan_search(&f->info, &f->allocator, &f->random.problem, &f->answer, &f->solved,
                           &f->stored, &f->error);
}

static void close_fixture(fixture *f) {
    tnp_plan_deinit(&f->allocator, &f->answer);
    assert_true(test_alloc_clean(&f->memory));
    test_alloc_deinit(&f->memory);
}

static void search__a_time_that_has_passed_ends_it(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    f.info.plan_deadline_ns = 1; // the clock began before this
    assert_int_equal(search(&f), TN_OK);
    assert_int_equal(f.solved, TNP_OK);
    assert_int_equal(f.answer.truncated, 1);
    assert_int_equal(f.answer.hash, 0);
    assert_true(f.answer.lower_bound <= f.answer.cost.total);
    close_fixture(&f);
}

static void search__a_time_that_does_not_come_changes_nothing(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    assert_int_equal(search(&f), TN_OK);
    const uint64_t hash = f.answer.hash;
    tnp_plan_deinit(&f.allocator, &f.answer);
    f.info.plan_deadline_ns = UINT64_MAX - 1;
    f.info.progress = progress;
    f.info.progress_user_data = &f;
    assert_int_equal(search(&f), TN_OK);
    assert_true(f.asked > 0);
    assert_int_equal(f.answer.truncated, 0);
    assert_true(f.answer.hash == hash && hash != 0);
    close_fixture(&f);
}

static void search__the_callback_stops_it(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    f.info.progress = progress;
    f.info.progress_user_data = &f;
    f.stop_at = 1;
    assert_int_equal(search(&f), TN_ERROR_CANCELLED);
    assert_int_equal(f.asked, 1); // and is not asked again
    assert_string_equal(f.error.id, "plan.cancelled");
    assert_null(f.answer.label);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search__a_time_that_has_passed_ends_it),
        cmocka_unit_test(search__a_time_that_does_not_come_changes_nothing),
        cmocka_unit_test(search__the_callback_stops_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
