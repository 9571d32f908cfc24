// SPDX-License-Identifier: Apache-2.0
// Shapes that a plugin tells after a run: what it may say, and what is refused (ABI-84).
#include "exec/request.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

// One island with one output: float, at most [4, 8].
typedef struct parts {
    tni_execution execution;
    tni_schedule schedule;
    tni_plan plan;
    tni_island island;
    tni_step step;
    tni_place place;
    tn_port_info port;
    uint32_t output_place;
    uint32_t output_value;
    int64_t measured[TNI_MEASURED_SLOTS];
} parts;

static void assemble(parts *p) {
    memset(p, 0, sizeof(*p));
    p->output_value = 7;
    p->island = (tni_island){.output_count = 1, .outputs = &p->output_value};
    p->plan = (tni_plan){.island_count = 1, .islands = &p->island};
    p->step = (tni_step){.kind = TNI_STEP_ISLAND, .port_count = 1};
    p->place = (tni_place){.value = 7, .measured = true};
    p->port = (tn_port_info){.kind = TN_PORT_OUTPUT,
                             .flags = TN_PORT_DATA_DEPENDENT,
                             .dtype = TN_DTYPE_FLOAT,
                             .rank = 2,
                             .dims = {4, 8},
                             .size_bytes = 128};
    p->schedule = (tni_schedule){.plan = &p->plan,
                                 .step_count = 1,
                                 .steps = &p->step,
                                 .place_count = 1,
                                 .places = &p->place,
                                 .port_count = 1,
                                 .ports = &p->port,
                                 .output_count = 1,
                                 .output_places = &p->output_place};
    p->execution.schedule = &p->schedule;
    p->execution.measured = p->measured;
}

static void execution_measured__takes_what_was_promised_alone(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t told[4];
        tn_status status;
    } cases[] = {
        {"the largest", {2, 4, 8}, TN_OK},
        {"less", {2, 4, 3}, TN_OK},
        {"nothing", {2, 0, 8}, TN_OK},
        {"a size above its largest in as many bytes", {2, 8, 4}, TN_ERROR_INVALID_DATA},
        {"more bytes", {2, 5, 8}, TN_ERROR_INVALID_DATA},
        {"a negative size", {2, -1, 8}, TN_ERROR_INVALID_DATA},
        {"a huge size beside nothing", {2, 0, INT64_MAX}, TN_ERROR_INVALID_DATA},
        {"a lower rank", {1, 4, 0}, TN_ERROR_INVALID_DATA},
        {"a higher rank", {3, 4, 4, 2}, TN_ERROR_INVALID_DATA},
        {"a negative rank", {-1, 4, 8}, TN_ERROR_INVALID_DATA},
        {"a rank outside of the slots", {INT64_MAX, 4, 8}, TN_ERROR_INVALID_DATA},
    };
    parts p;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t rank = 99;
        const int64_t *dims = NULL;
        assemble(&p);
        memcpy(p.measured, cases[i].told, sizeof(cases[i].told));
        if (tni_execution_measured(&p.execution, 0, &rank, &dims, NULL) != cases[i].status) {
            fail_msg("%s", cases[i].name);
        }
        assert_int_equal(rank, cases[i].status == TN_OK ? 2 : 0);
    }
}

static void execution_measured__wants_a_shape(void **state) {
    (void)state;
    parts p;
    uint32_t rank = 0;
    const int64_t *dims = NULL;
    assemble(&p);
    p.execution.measured = NULL;
    assert_int_equal(tni_execution_measured(&p.execution, 0, &rank, &dims, NULL),
                     TN_ERROR_INVALID_DATA);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(execution_measured__takes_what_was_promised_alone),
        cmocka_unit_test(execution_measured__wants_a_shape),
    };
    return cmocka_run_group_tests_name("outputs", tests, NULL, NULL);
}
