// SPDX-License-Identifier: Apache-2.0
// Random schedules: no two places share bytes unless one is known to be finished with before the
// other is written; offsets are aligned and inside the arena; chains need far less than the sum.
#include "exec/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MAX_STEPS 40u
#define MAX_PLACES 60u

typedef struct random_schedule {
    tni_schedule s;
    tni_space spaces[2];
    tni_place places[MAX_PLACES];
    tni_step steps[MAX_STEPS];
    uint32_t links[MAX_STEPS * 4];
    uint64_t before[MAX_STEPS];
} random_schedule;

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}

// Step i writes place i and reads up to three earlier ones; it is after what it reads, and by
// chance after some others.
static void make(random_schedule *r, uint64_t seed) {
    memset(r, 0, sizeof(*r));
    tni_schedule *s = &r->s;
    s->alloc = *tni_alloc_default();
    s->spaces = r->spaces;
    s->space_count = 1 + next_random(&seed) % 2;
    s->places = r->places;
    s->steps = r->steps;
    s->links = r->links;
    s->before = r->before;
    s->row_words = 1;
    s->step_count = 1 + next_random(&seed) % MAX_STEPS;
    s->place_count = s->step_count;
    for (uint32_t i = 0; i < s->step_count; i++) {
        r->places[i] = (tni_place){
            .value = TN_NONE,
            .space = next_random(&seed) % s->space_count,
            .writer = i,
            .lasting = next_random(&seed) % 10 == 0,
            .size_bytes = next_random(&seed) % 5 == 0 ? 0 : next_random(&seed) % 5000,
            .alignment_bytes = 1ull << next_random(&seed) % 8,
        };
        r->steps[i].inputs.begin = s->link_count;
        for (uint32_t k = 0; i > 0 && k < next_random(&seed) % 4; k++) {
            uint32_t read = next_random(&seed) % i;
            r->links[s->link_count++] = read;
            r->before[i] |= r->before[read] | (1ull << read);
        }
        r->steps[i].inputs.count = s->link_count - r->steps[i].inputs.begin;
        if (i > 0 && next_random(&seed) % 2 == 0) {
            uint32_t also = next_random(&seed) % i;
            r->before[i] |= r->before[also] | (1ull << also);
        }
    }
}

static bool overlap(const tni_place *a, const tni_place *b) {
    return a->space == b->space && a->size_bytes > 0 && b->size_bytes > 0 &&
           a->offset_bytes < b->offset_bytes + b->size_bytes &&
           b->offset_bytes < a->offset_bytes + a->size_bytes;
}

// Whether every step that touches place a is before b's writer: worked out the slow way.
static bool done_before(const random_schedule *r, uint32_t a, uint32_t b) {
    uint32_t writer = r->places[b].writer;
    bool done = ((r->before[writer] >> r->places[a].writer) & 1u) != 0;
    for (uint32_t i = 0; i < r->s.step_count; i++) {
        for (uint32_t k = 0; k < r->steps[i].inputs.count; k++) {
            if (r->links[r->steps[i].inputs.begin + k] == a) {
                done = done && ((r->before[writer] >> i) & 1u) != 0;
            }
        }
    }
    return done;
}

static void memory_plan__random_schedules_never_collide(void **state) {
    (void)state;
    static random_schedule r;
    static random_schedule again;
    uint32_t shared = 0;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        make(&r, seed);
        make(&again, seed);
        assert_int_equal(tni_memory_plan(&r.s, 0, NULL), TN_OK);
        assert_int_equal(tni_memory_plan(&again.s, 0, NULL), TN_OK);
        assert_memory_equal(r.places, again.places, sizeof(r.places));
        for (uint32_t a = 0; a < r.s.place_count; a++) {
            const tni_place *one = &r.places[a];
            assert_int_equal(one->offset_bytes % one->alignment_bytes, 0);
            assert_true(one->offset_bytes + one->size_bytes <= r.spaces[one->space].arena_bytes);
            for (uint32_t b = a + 1; b < r.s.place_count; b++) {
                if (!overlap(one, &r.places[b])) {
                    continue;
                }
                shared++;
                assert_false(one->lasting || r.places[b].lasting);
                assert_true(done_before(&r, a, b) || done_before(&r, b, a));
            }
        }
    }
    assert_true(shared > 1000);
}

static void memory_plan__a_chain_needs_two_buffers(void **state) {
    (void)state;
    static random_schedule r;
    memset(&r, 0, sizeof(r));
    r.s = (tni_schedule){.alloc = *tni_alloc_default(),
                         .spaces = r.spaces,
                         .space_count = 1,
                         .places = r.places,
                         .place_count = 20,
                         .steps = r.steps,
                         .step_count = 20,
                         .links = r.links,
                         .before = r.before,
                         .row_words = 1};
    for (uint32_t i = 0; i < 20; i++) {
        r.places[i] =
            (tni_place){.value = TN_NONE, .writer = i, .size_bytes = 4096, .alignment_bytes = 64};
        r.before[i] = (1ull << i) - 1;
        r.steps[i].inputs = (tn_range){i, i > 0};
        r.links[i] = i > 0 ? i - 1 : 0;
    }
    assert_int_equal(tni_memory_plan(&r.s, 0, NULL), TN_OK);
    assert_int_equal(r.spaces[0].arena_bytes, 2 * 4096);
}

static void memory_plan__without_knowledge_nothing_is_shared(void **state) {
    (void)state;
    static random_schedule r;
    uint64_t sum = 0;
    make(&r, 3);
    r.s.row_words = 0;
    assert_int_equal(tni_memory_plan(&r.s, 0, NULL), TN_OK);
    for (uint32_t i = 0; i < r.s.place_count; i++) {
        sum += r.places[i].size_bytes;
        for (uint32_t k = i + 1; k < r.s.place_count; k++) {
            assert_false(overlap(&r.places[i], &r.places[k]));
        }
    }
    assert_true(r.spaces[0].arena_bytes + r.spaces[1].arena_bytes >= sum);
}

static void memory_plan__sizes_that_overflow_are_refused(void **state) {
    (void)state;
    static random_schedule r;
    tn_error error;
    make(&r, 5);
    tn_error_init(&error);
    r.places[0].size_bytes = UINT64_MAX - 100;
    r.places[0].lasting = true;
    assert_int_equal(tni_memory_plan(&r.s, 0, &error), TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(error.id, "memory.size");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_plan__random_schedules_never_collide),
        cmocka_unit_test(memory_plan__a_chain_needs_two_buffers),
        cmocka_unit_test(memory_plan__without_knowledge_nothing_is_shared),
        cmocka_unit_test(memory_plan__sizes_that_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
