// SPDX-License-Identifier: Apache-2.0
// A model that is marked sensitive leaves no tensor behind: whatever block is given back to the
// embedder's allocator holds neither inputs nor weights nor results, and no log line, error or
// trace names a value, marked or not (ABI-87).
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Numbers that occur nowhere else. The result of all models is -(secret + weight).
static const float secret = 12345.678f;
static const float weight = 4321.8765f;
static const int64_t eight[] = {8};

// An allocator over the fixture's that looks into every block before it goes.
typedef struct watcher {
    tn_allocator inner;
    uint32_t found;
    char logged[1 << 16];
    size_t logged_bytes;
} watcher;

static watcher watch;

static bool holds(const uint8_t *bytes, uint64_t size_bytes, float value) {
    for (uint64_t i = 0; i + sizeof(value) <= size_bytes; i++) {
        if (memcmp(bytes + i, &value, sizeof(value)) == 0) {
            return true;
        }
    }
    return false;
}

static void *pass_alloc(void *user_data, uint64_t size_bytes, uint64_t alignment_bytes) {
    watcher *w = user_data;
    void *block = w->inner.alloc(w->inner.user_data, size_bytes, alignment_bytes);
    if (block != NULL) {
        memset(block, 0, size_bytes); // what is found was put there
    }
    return block;
}

static void look_and_free(void *user_data, void *pointer, uint64_t size_bytes,
                          uint64_t alignment_bytes) {
    watcher *w = user_data;
    const float sum = secret + weight;
    const float values[] = {secret, weight, sum, -sum};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (holds(pointer, size_bytes, values[i])) {
            print_message("%g in a block of %llu bytes\n", (double)values[i],
                          (unsigned long long)size_bytes);
            w->found++;
        }
    }
    w->inner.free(w->inner.user_data, pointer, size_bytes, alignment_bytes);
}

static void keep_line(void *user_data, tn_log_level level, const char *text, uint64_t size_bytes) {
    watcher *w = user_data;
    (void)level;
    if (w->logged_bytes + size_bytes + 2 < sizeof(w->logged)) {
        memcpy(w->logged + w->logged_bytes, text, size_bytes);
        w->logged_bytes += size_bytes;
        w->logged[w->logged_bytes++] = '\n';
        w->logged[w->logged_bytes] = '\0';
    }
}

static int keep_json(void *user_data, const void *data, uint64_t size_bytes) {
    keep_line(user_data, TN_LOG_INFO, data, size_bytes);
    return 0;
}

static void fill(float *values) {
    for (int i = 0; i < 8; i++) {
        values[i] = secret;
    }
}

// Weights that lie in the model, and the same computed from others.
static void weights(onnx_builder *b) {
    float values[8];
    double wide[8];
    for (int i = 0; i < 8; i++) {
        values[i] = weight;
        wide[i] = (double)weight;
    }
    onnx_initializer(b, "u", TN_DTYPE_FLOAT, 1, eight, values, sizeof(values));
    onnx_initializer(b, "v", TN_DTYPE_DOUBLE, 1, eight, wide, sizeof(wide));
    onnx_node(b, "Cast", "v", "n");
    onnx_attr_int(b, "to", TN_DTYPE_FLOAT);
    onnx_node(b, "Max", "u,n", "w");
}

static void build_plain(onnx_builder *b) {
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, eight);
    weights(b);
    onnx_node(b, "Add", "x,w", "s");
    onnx_node(b, "Neg", "s", "y");
    onnx_output_untyped(b, "y");
}

// The same in a Loop that collects, and through a sequence.
static void build_staged(onnx_builder *b) {
    static const int64_t one = 1;
    onnx_builder body;
    pb graph;
    onnx_input(b, "x", TN_DTYPE_FLOAT, 1, eight);
    weights(b);
    onnx_initializer(b, "one", TN_DTYPE_INT64, 0, NULL, &one, sizeof(one));
    onnx_begin_graph(&body);
    onnx_input(&body, "i", TN_DTYPE_INT64, 0, NULL);
    onnx_input(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_input(&body, "a", TN_DTYPE_FLOAT, 1, eight);
    onnx_node(&body, "Add", "a,w", "s");
    onnx_node(&body, "Neg", "s", "n");
    onnx_output(&body, "go", TN_DTYPE_BOOL, 0, NULL);
    onnx_output(&body, "s", TN_DTYPE_FLOAT, 1, eight);
    onnx_output(&body, "n", TN_DTYPE_FLOAT, 1, eight);
    onnx_end_graph(&body, &graph);
    onnx_node(b, "Loop", "one,,x", "last,all");
    onnx_attr_graph(b, "body", &graph);
    onnx_node(b, "SequenceConstruct", "all,all", "q");
    onnx_node(b, "ConcatFromSequence", "q", "y");
    onnx_attr_int(b, "axis", 0);
    onnx_output_untyped(b, "y");
}

static void run_once(flow_fixture *f, void (*build)(onnx_builder *b)) {
    float x[8];
    fill(x);
    build(&f->b);
    flow_open_on(f, "reference:cpu");
    assert_int_equal(tn_host_trace_start(f->host, 4096, &f->error), TN_OK);
    flow_put(f, 0, x, sizeof(x));
    flow_run(f);
    assert_true(((const float *)flow_output(f, 0).data)[0] == -(secret + weight));
    assert_int_equal(tn_host_trace_write(f->host, keep_json, &watch, &f->error), TN_OK);
    tn_host_trace_stop(f->host);
    flow_close(f);
    pb_free(&f->bytes);
    onnx_begin(&f->b, 17);
}

static void start(flow_fixture *f, tn_model_flags flags) {
    watch = (watcher){.inner = f->allocator};
    f->allocator = (tn_allocator){pass_alloc, look_and_free, &watch};
    f->log = keep_line;
    f->log_user_data = &watch;
    f->model_config.flags = flags;
}

static void model__that_is_sensitive_leaves_nothing(void **state) {
    flow_fixture *f = *state;
    start(f, TN_MODEL_SENSITIVE);
    run_once(f, build_plain);
    run_once(f, build_staged);
    assert_int_equal(watch.found, 0);
    f->model_config.flags |= TN_MODEL_READ_COPY;
    run_once(f, build_plain);
    run_once(f, build_staged);
    assert_int_equal(watch.found, 0);
}

// Otherwise the test above could not fail.
static void model__that_is_not_leaves_what_it_had(void **state) {
    flow_fixture *f = *state;
    start(f, 0);
    run_once(f, build_plain);
    assert_true(watch.found > 0);
}

static void model__is_never_quoted(void **state) {
    flow_fixture *f = *state;
    start(f, 0);
    run_once(f, build_plain);
    run_once(f, build_staged);
    assert_true(watch.logged_bytes > 1000); // the traces at least
    assert_null(strstr(watch.logged, "12345"));
    assert_null(strstr(watch.logged, "4321.8"));
    assert_null(strstr(watch.logged, "16667.5"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(model__that_is_sensitive_leaves_nothing),
        FLOW_CASE(model__that_is_not_leaves_what_it_had),
        FLOW_CASE(model__is_never_quoted),
    };
    return cmocka_run_group_tests_name("sensitive", tests, NULL, NULL);
}
