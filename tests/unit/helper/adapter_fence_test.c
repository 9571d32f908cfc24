// SPDX-License-Identifier: Apache-2.0
// The adapter: fences.
#include "adapter_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef struct reached {
    uint32_t count;
    tn_status status;
} reached;

static void note_reached(void *user_data, tn_status status) {
    reached *note = user_data;
    note->count += 1;
    note->status = status;
}

static void fence__grows_and_calls_each_registration_once(void **state) {
    adapter_fixture *f = *state;
    const tn_sync_interface *sync = f->plugin.sync;
    tn_fence *fence = adapter_fence(f, 1);
    reached at_one = {0, TN_OK};
    reached at_three = {0, TN_OK};
    reached at_nine = {0, TN_OK};
    uint64_t value = 0;
    assert_int_equal(sync->fence_on_reach(fence, 1, note_reached, &at_one, NULL), TN_OK);
    assert_int_equal(sync->fence_on_reach(fence, 3, note_reached, &at_three, NULL), TN_OK);
    assert_int_equal(sync->fence_on_reach(fence, 9, note_reached, &at_nine, NULL), TN_OK);
    assert_int_equal(at_one.count, 1);
    assert_int_equal(sync->fence_signal(fence, 1, &f->error), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(sync->fence_wait(fence, 2, 1000, &f->error), TN_ERROR_TIMEOUT);
    assert_int_equal(sync->fence_signal(fence, 4, &f->error), TN_OK);
    assert_int_equal(at_three.count, 1);
    assert_int_equal(at_three.status, TN_OK);
    assert_int_equal(sync->fence_query(fence, &value, &f->error), TN_OK);
    assert_int_equal(value, 4);
    assert_int_equal(at_nine.count, 0);
    sync->fence_destroy(fence);
    assert_int_equal(at_nine.count, 1);
    assert_int_equal(at_nine.status, TN_ERROR_CANCELLED);
    assert_int_equal(at_one.count, 1);
}

// ABI-73.
static void fence__keeps_its_first_failure(void **state) {
    adapter_fixture *f = *state;
    const tn_sync_interface *sync = f->plugin.sync;
    tn_fence *fence = adapter_fence(f, 0);
    reached note = {0, TN_OK};
    uint64_t value = 7;
    assert_int_equal(sync->fence_fail(fence, TN_OK, &f->error), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(sync->fence_on_reach(fence, 5, note_reached, &note, NULL), TN_OK);
    assert_int_equal(sync->fence_fail(fence, TN_ERROR_TIMEOUT, &f->error), TN_OK);
    assert_int_equal(sync->fence_fail(fence, TN_ERROR_IO, &f->error), TN_OK);
    assert_int_equal(note.count, 1);
    assert_int_equal(note.status, TN_ERROR_TIMEOUT);
    assert_int_equal(sync->fence_wait(fence, 9, UINT64_MAX, &f->error), TN_ERROR_TIMEOUT);
    assert_int_equal(sync->fence_query(fence, &value, &f->error), TN_ERROR_TIMEOUT);
    assert_int_equal(value, 0);
    sync->fence_destroy(fence);
}

typedef struct waiter {
    const tn_sync_interface *sync;
    tn_fence *fence;
    tn_status status;
} waiter;

static void *wait_for_two(void *user_data) {
    waiter *own = user_data;
    own->status = own->sync->fence_wait(own->fence, 2, UINT64_MAX, NULL);
    return NULL;
}

static void fence__wakes_waiting_threads(void **state) {
    adapter_fixture *f = *state;
    tn_fence *fence = adapter_fence(f, 0);
    waiter own = {f->plugin.sync, fence, TN_ERROR_INTERNAL};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_two, &own), 0);
    assert_int_equal(own.sync->fence_signal(fence, 1, NULL), TN_OK);
    assert_int_equal(own.sync->fence_signal(fence, 2, NULL), TN_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(own.status, TN_OK);
    own.sync->fence_destroy(fence);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ADAPTER_CASE(fence__grows_and_calls_each_registration_once),
        ADAPTER_CASE(fence__keeps_its_first_failure),
        ADAPTER_CASE(fence__wakes_waiting_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
