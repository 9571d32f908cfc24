// SPDX-License-Identifier: Apache-2.0
// One program of the plugin cpu, eight threads with a context each at the same time. Instances are
// shared, made when their sizes are first asked for, and dropped when others are: every thread gets
// the bits that one alone gets. Meant for ThreadSanitizer, and right without it.
#include "support/onnx_builder.h"

#include "tenon/tenon.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 8u
#define ROUNDS 60u
// More sizes than the plugin keeps instances that nobody uses.
#define SIZES 6u
#define PIXELS 12
#define CLASSES 64u

tn_status tn_plugin_entry_1_cpu(const tn_host_offer *offer, tn_plugin_answer *answer,
                                tn_error *error);

typedef struct answer {
    float values[SIZES * CLASSES];
    uint64_t count;
} answer;

// Asserting belongs to the main thread: threads report.
typedef struct worker {
    pthread_t thread;
    pthread_barrier_t *start;
    tn_compiled *compiled;
    const answer *expected; // by size
    uint32_t index;
    uint32_t same; // 1: all threads ask for one size
    uint32_t good;
} worker;

typedef struct subject {
    pb bytes; // which the model reads from as long as it lives
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
} subject;

static void subject_open(subject *s, uint32_t workers) {
    static const tn_static_plugin plugin = {"cpu", tn_plugin_entry_1_cpu};
    static const char *const device = "cpu";
    tn_host_config config;
    tn_compile_config how;
    memset(s, 0, sizeof(*s));
    tn_host_config_init(&config);
    config.search = TN_SEARCH_NONE;
    config.static_plugins = &plugin;
    config.static_plugin_count = 1;
    config.worker_count = workers;
    onnx_model_classifier(&s->bytes, -2, PIXELS);
    assert_int_equal(tn_host_create(&config, &s->host, NULL), TN_OK);
    assert_int_equal(
        tn_model_load_memory(s->host, s->bytes.data, s->bytes.size, NULL, &s->model, NULL), TN_OK);
    tn_compile_config_init(&how);
    how.devices = &device;
    how.device_count = 1;
    how.compile_flags =
        TN_COMPILE_FAST; // what is chosen by measuring may differ from program to program
    assert_int_equal(tn_compile(s->model, &how, &s->compiled, NULL), TN_OK);
}

static void subject_close(subject *s) {
    tn_compiled_release(s->compiled);
    tn_model_release(s->model);
    tn_host_release(s->host);
    pb_free(&s->bytes);
}

static bool run(tn_request *request, int64_t size, answer *out) {
    const int64_t dims[4] = {size, 3, PIXELS, PIXELS};
    const tn_input_shape shape = {.input = 0, .rank = 4, .dims = dims};
    tn_tensor_view in = {.struct_size = sizeof(in), .struct_type = TN_STRUCT_TENSOR_VIEW};
    tn_tensor_view y = in;
    if (tn_request_prepare(request, &shape, 1, NULL) != TN_OK ||
        tn_request_input(request, 0, &in) != TN_OK) {
        return false;
    }
    for (int64_t i = 0; i < size * 3 * PIXELS * PIXELS; ++i) {
        ((float *)in.data)[i] = (float)((i * 7 + size) % 23) / 8.0f - 1.0f;
    }
    if (tn_request_run(request, 0, NULL) != TN_OK || tn_request_output(request, 0, &y) != TN_OK ||
        y.size_bytes > sizeof(out->values)) {
        return false;
    }
    out->count = y.size_bytes / sizeof(float);
    memcpy(out->values, y.data, y.size_bytes);
    return true;
}

static void *run_many(void *user_data) {
    worker *w = user_data;
    tn_request *request = NULL;
    const bool there = tn_request_create(w->compiled, NULL, &request, NULL) == TN_OK;
    (void)pthread_barrier_wait(w->start);
    for (uint32_t i = 0; there && i < ROUNDS; ++i) {
        const uint32_t size = w->same ? i / 4 % SIZES : (w->index + i) % SIZES;
        answer got;
        w->good += run(request, size + 1, &got) && got.count == w->expected[size].count &&
                   memcmp(got.values, w->expected[size].values, got.count * sizeof(float)) == 0;
    }
    tn_request_destroy(request);
    return NULL;
}

// One thread, one size after the other.
static void answer_alone(uint32_t workers, answer *out_answers) {
    subject s;
    tn_request *request = NULL;
    subject_open(&s, workers);
    assert_int_equal(tn_request_create(s.compiled, NULL, &request, NULL), TN_OK);
    for (uint32_t size = 0; size < SIZES; ++size) {
        assert_true(run(request, size + 1, &out_answers[size]));
        assert_true(out_answers[size].count > size);
    }
    tn_request_destroy(request);
    subject_close(&s);
}

static void race(uint32_t workers, uint32_t same) {
    static answer expected[SIZES];
    worker all[THREADS];
    pthread_barrier_t start;
    subject s;
    answer_alone(workers, expected);
    subject_open(&s, workers);
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (uint32_t i = 0; i < THREADS; ++i) {
        all[i] = (worker){.start = &start,
                          .compiled = s.compiled,
                          .expected = expected,
                          .index = i,
                          .same = same};
        assert_int_equal(pthread_create(&all[i].thread, NULL, run_many, &all[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; ++i) {
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
        assert_int_equal(all[i].good, ROUNDS);
    }
    assert_int_equal(pthread_barrier_destroy(&start), 0);
    subject_close(&s);
}

// With one worker any thread may call: the plugin has none of its own.
static void contexts__of_one_size_race_for_its_instance(void **state) {
    (void)state;
    race(1, 1);
}

static void contexts__of_many_sizes_make_and_drop_instances(void **state) {
    (void)state;
    race(1, 0);
}

// With more the device has its own threads, and the host calls it from one. ThreadSanitizer does
// not see how OpenMP's threads wait for each other.
static void contexts__share_a_device_with_threads_of_its_own(void **state) {
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip();
#else
    race(3, 1);
    race(3, 0);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts__of_one_size_race_for_its_instance),
        cmocka_unit_test(contexts__of_many_sizes_make_and_drop_instances),
        cmocka_unit_test(contexts__share_a_device_with_threads_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
