// SPDX-License-Identifier: Apache-2.0
// plugins/cpu/choose.c: who is to run, given what each takes.
#include "plugins/cpu/choose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct best_case {
    const char *name;
    uint64_t took[3];
    uint32_t count;
    uint32_t best;
} best_case;

static void tni_cpu_best__leaves_the_first_only_for_who_is_clearly_faster(void **state) {
    const best_case cases[] = {
        {"none", {0}, 0, 0},
        {"one", {7}, 1, 0},
        {"the first", {100, 200, 300}, 3, 0},
        {"as fast", {100, 100, 100}, 3, 0},
        {"hardly faster", {800, 701, 900}, 3, 0},
        {"an eighth faster", {800, 700, 900}, 3, 1},
        {"the fastest of the others", {800, 600, 500}, 3, 2},
        {"the first of those that are alike", {800, 530, 500}, 3, 1},
        {"nothing was measured", {UINT64_MAX, UINT64_MAX, UINT64_MAX}, 3, 0},
        {"the first was not measured", {UINT64_MAX, 900, 800}, 3, 2},
        {"another was not measured", {800, UINT64_MAX, 500}, 3, 2},
        {"nothing to measure", {0, 0, 0}, 3, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].name);
        assert_int_equal(tni_cpu_best(cases[i].took, cases[i].count, 8), cases[i].best);
    }
    const uint64_t took[2] = {800, 620};
    assert_int_equal(tni_cpu_best(took, 2, CPU_MARGIN_ALGORITHM), 1);
    assert_int_equal(tni_cpu_best(took, 2, CPU_MARGIN_ARRANGEMENT), 0);
}

typedef struct beaten_case {
    const char *name;
    uint64_t took;
    uint64_t best;
    uint64_t first; // UINT64_MAX: this one is it
    uint32_t runs;
    uint32_t beaten;
} beaten_case;

#define MS 1000000u

static void tni_cpu_is_beaten__by_who_is_clearly_faster(void **state) {
    const beaten_case cases[] = {
        {"the caches were cold", 9 * MS, 2 * MS, UINT64_MAX, 1, 0},
        {"long, not far behind", 40 * MS, 30 * MS, UINT64_MAX, 1, 0},
        {"long, and half behind", 60 * MS, 30 * MS, UINT64_MAX, 1, 1},
        {"did not run, cold", UINT64_MAX, 2 * MS, 2 * MS, 1, 0},
        {"the first and the best", 100, 100, UINT64_MAX, 2, 0},
        {"the first, little behind", 120, 100, UINT64_MAX, 2, 0},
        {"the first, far behind", 130, 100, UINT64_MAX, 2, 1},
        {"behind the first", 101, 100, 100, 2, 1},
        {"hardly before the first", 960, 960, 1000, 2, 1},
        {"before the first", 930, 930, 1000, 2, 0},
        {"before the first, but a quarter behind", 130, 100, 200, 3, 1},
        {"did not run", UINT64_MAX, 100, 100, 2, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const beaten_case *c = &cases[i];
        print_message("%s\n", c->name);
        assert_int_equal(tni_cpu_is_beaten(c->took, c->best, c->first, c->runs), c->beaten);
    }
}

static void tni_cpu_measures__not_where_every_process_has_to_choose_the_same(void **state) {
    (void)state;
    assert_int_equal(tni_cpu_measures(&(cpu_program){.precision = TN_PRECISION_AS_WRITTEN}), 1);
    assert_int_equal(tni_cpu_measures(&(cpu_program){.precision = TN_PRECISION_RELAXED}), 1);
    assert_int_equal(tni_cpu_measures(&(cpu_program){.precision = TN_PRECISION_STRICT}), 0);
    assert_int_equal(tni_cpu_measures(&(cpu_program){.flags = TN_COMPILE_FAST}), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tni_cpu_best__leaves_the_first_only_for_who_is_clearly_faster),
        cmocka_unit_test(tni_cpu_is_beaten__by_who_is_clearly_faster),
        cmocka_unit_test(tni_cpu_measures__not_where_every_process_has_to_choose_the_same),
    };
    return cmocka_run_group_tests_name("cpu_choose", tests, NULL, NULL);
}
