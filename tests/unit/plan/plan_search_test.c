// SPDX-License-Identifier: Apache-2.0
// Searches that are stopped, by a time that has passed and by a callback; and answers that give way
// to one label alone.
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

// Ops 1 to 6 in a chain. Label 1 alone costs 5900; label 2 does op 3 for less.
static void make_chain(random_problem *r, int64_t saved) {
    memset(r, 0, sizeof(*r));
    for (uint32_t op = 0; op < 8; op++) {
        const bool is_end = op == 0 || op == 7;
        for (uint32_t label = 0; label < 3; label++) {
            r->op_cost[op * 3 + label] =
                is_end == (label == 0) ? is_end ? 0 : 1000 : TNP_UNSUPPORTED;
        }
        r->tensors[op] = (tnp_tensor){op, op, op < 7};
        r->consumers[op] = op + 1;
    }
    r->op_cost[3 * 3 + 2] -= saved;
    r->op_cost[4 * 3 + 2] += 5000; // so that label 2 alone is no way out
    for (uint32_t from = 0; from < 3; from++) {
        r->handover_cost[from * 3 + 1] = from == 1 ? 0 : 50;
        r->handover_cost[from * 3 + 2] = from == 2 ? 0 : 50;
        r->handover_cost[from * 3] = from == 0 ? 0 : 50;
    }
    r->op_cost[5 * 3 + 1] -= 200; // label 1 alone is the best single one
    r->problem = (tnp_problem){
        .op_count = 8,
        .label_count = 3,
        .tensor_count = 7,
        .consumer_total = 7,
        .op_cost = r->op_cost,
        .tensors = r->tensors,
        .consumers = r->consumers,
        .copy_cost = r->copy_cost,
        .handover_cost = r->handover_cost,
    };
}

static void settle__several_labels_have_to_save_more_than_the_margin(void **state) {
    (void)state;
    static const struct {
        int64_t saved; // by the second label, less a handover of 50, twice; the margin is 250
        uint32_t margin_permille;
        bool concurrent;
        bool settled;
    } cases[] = {
        {110, 0, false, false},  {110, 50, false, true},
        {110, 1, false, false},  {110, 50, true, false},
        {290, 50, false, true},  {345, 50, false, true},
        {360, 50, false, false}, {500, 50, false, false},
        {40, 50, false, false}, // one label already
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture f;
        bool settled = false;
        open_fixture(&f);
        make_chain(&f.random, cases[i].saved);
        f.info.margin_permille = cases[i].margin_permille;
        assert_int_equal(search(&f), TN_OK);
        const int64_t cost = f.answer.cost.total;
        assert_true(cost == 5900 - (cases[i].saved > 50 ? cases[i].saved - 50 : 0));
        f.info.concurrent = cases[i].concurrent;
        assert_int_equal(tni_plan_settle(&f.info, &f.allocator, &f.random.problem, &f.answer,
                                         &settled, &f.error),
                         TN_OK);
        assert_int_equal(settled, cases[i].settled);
        if (settled) {
            assert_true(f.answer.cost.total == 5900 && f.answer.segment_count == 3);
            assert_int_equal(f.answer.label[1], 1);
            assert_true(f.answer.hash != 0);
        }
        assert_true(f.answer.lower_bound <= cost); // what it was
        close_fixture(&f);
    }
}

static void settle__survives_every_lack_of_memory(void **state) {
    (void)state;
    fixture f;
    open_fixture(&f);
    make_chain(&f.random, 110);
    f.info.margin_permille = 50;
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    for (uint64_t i = 0; status != TN_OK; i++) {
        bool settled = false;
        test_alloc_reset(&f.memory, TEST_ALLOC_NORMAL, 0);
        tnp_plan_deinit(&f.allocator, &f.answer);
        assert_int_equal(search(&f), TN_OK);
        test_alloc_reset(&f.memory, TEST_ALLOC_FAIL_FROM, i);
        status = tni_plan_settle(&f.info, &f.allocator, &f.random.problem, &f.answer, &settled,
                                 &f.error);
        assert_true(status == TN_OK ? settled : status == TN_ERROR_OUT_OF_MEMORY);
    }
    test_alloc_reset(&f.memory, TEST_ALLOC_NORMAL, 0);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search__a_time_that_has_passed_ends_it),
        cmocka_unit_test(search__a_time_that_does_not_come_changes_nothing),
        cmocka_unit_test(search__the_callback_stops_it),
        cmocka_unit_test(settle__several_labels_have_to_save_more_than_the_margin),
        cmocka_unit_test(settle__survives_every_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
