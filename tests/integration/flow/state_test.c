// SPDX-License-Identifier: Apache-2.0
// State kept by a request: a decoder with a key-value cache answers as without, writes as much per
// token at the end as at the beginning, and loses nothing when a run fails.
#include "support/fake/fake_control.h"
#include "support/onnx_builder.h"
#include "support/test_alloc.h"

#include "tenon/tenon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

#define HEADS 2
#define WIDTH 2
#define ROW (HEADS * WIDTH) // floats of one token
#define TOKENS 256
#define ROW_BYTES (ROW * sizeof(float))

typedef struct fixture {
    test_alloc memory;
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    pb bytes;
    onnx_builder b;
    tn_error error;
    void *(*allocate)(void *user_data, uint64_t size_bytes, uint64_t alignment_bytes); // or null
    unsigned char *caches[2]; // what allocate noted
    uint32_t cache_count;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return -1;
    }
    test_alloc_init(&f->memory);
    tn_error_init(&f->error);
    fake_reset();
    onnx_begin(&f->b, 17);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tn_request_destroy(f->request);
    tn_compiled_release(f->compiled);
    tn_model_release(f->model);
    tn_host_release(f->host);
    onnx_abandon(&f->b);
    pb_free(&f->bytes);
    const bool clean = test_alloc_clean(&f->memory);
    test_alloc_deinit(&f->memory);
    free(f);
    return clean ? 0 : -1;
}

// One head of x, [1, n, HEADS * WIDTH], as [1, HEADS, n, WIDTH] under another name.
static void split_heads(fixture *f, const char *from, const char *to) {
    static const int64_t perm[] = {0, 2, 1, 3};
    char middle[16];
    char inputs[32];
    snprintf(middle, sizeof(middle), "r_%s", to);
    snprintf(inputs, sizeof(inputs), "%s,split", from);
    onnx_node(&f->b, "Reshape", inputs, middle);
    onnx_node(&f->b, "Transpose", middle, to);
    onnx_attr_ints(&f->b, "perm", 4, perm);
}

// Attention over everything so far: inputs x, past_k, past_v; outputs y, present_k, present_v.
static void build_decoder(fixture *f) {
    static const int64_t split[] = {1, -1, HEADS, WIDTH};
    static const int64_t swap[] = {0, 1, 3, 2};
    static const int64_t token[] = {1, -3, ROW};
    static const int64_t past[] = {1, HEADS, -2, WIDTH};
    onnx_builder *b = &f->b;
    onnx_input(b, "x", TN_DTYPE_FLOAT, 3, token);
    onnx_input(b, "past_k", TN_DTYPE_FLOAT, 4, past);
    onnx_input(b, "past_v", TN_DTYPE_FLOAT, 4, past);
    onnx_initializer_ints(b, "split", 4, split);
    onnx_node(b, "Sin", "x", "xk");
    onnx_node(b, "Cos", "x", "xv");
    split_heads(f, "x", "q");
    split_heads(f, "xk", "k");
    split_heads(f, "xv", "v");
    onnx_node(b, "Concat", "past_k,k", "present_k");
    onnx_attr_int(b, "axis", 2);
    onnx_node(b, "Concat", "past_v,v", "present_v");
    onnx_attr_int(b, "axis", -2);
    onnx_node(b, "Transpose", "present_k", "kt");
    onnx_attr_ints(b, "perm", 4, swap);
    onnx_node(b, "MatMul", "q,kt", "scores");
    onnx_node(b, "Softmax", "scores", "weights");
    onnx_attr_int(b, "axis", -1);
    onnx_node(b, "MatMul", "weights,present_v", "y");
    onnx_output_untyped(b, "y");
    onnx_output_untyped(b, "present_k");
    onnx_output_untyped(b, "present_v");
}

static void pass_free(void *user_data, void *pointer, uint64_t size_bytes,
                      uint64_t alignment_bytes) {
    fixture *f = user_data;
    f->memory.alloc.free(f->memory.alloc.user, pointer, size_bytes, alignment_bytes);
}

static void open_on(fixture *f, const char *device) {
    static const tn_static_plugin plugins[] = {{"reference", tn_plugin_entry_1_reference},
                                               {"fake", fake_plugin_entry}};
    tn_host_config config;
    tn_host_config_init(&config);
    config.allocator =
        f->allocate != NULL
            ? (tn_allocator){f->allocate, pass_free, f}
            : (tn_allocator){f->memory.alloc.alloc, f->memory.alloc.free, f->memory.alloc.user};
    config.search = TN_SEARCH_NONE;
    config.static_plugins = plugins;
    config.static_plugin_count = 2;
    tn_compile_config compile;
    tn_compile_config_init(&compile);
    compile.devices = &device;
    compile.device_count = 1;
    compile.policy = TN_COMPILE_NO_FALLBACK;
    onnx_end(&f->b, &f->bytes);
    assert_int_equal(tn_host_create(&config, &f->host, &f->error), TN_OK);
    assert_int_equal(
        tn_model_load_memory(f->host, f->bytes.data, f->bytes.size, NULL, &f->model, &f->error),
        TN_OK);
    tn_status status = tn_compile(f->model, &compile, &f->compiled, &f->error);
    if (status != TN_OK) {
        print_message("%s\n", f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

static tn_status request_with(fixture *f, uint32_t count, const tn_state_config *states) {
    tn_request_config config;
    tn_request_config_init(&config);
    config.states = states;
    config.state_count = count;
    return tn_request_create(f->compiled, &config, &f->request, &f->error);
}

// The pairs the model shows, with room for capacity tokens.
static void find_states(fixture *f, int64_t capacity, tn_state_config states[2]) {
    assert_int_equal(tn_model_state_count(f->model), 2);
    for (uint32_t i = 0; i < 2; i++) {
        tn_state_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_STATE_DESC};
        assert_int_equal(tn_model_state_get(f->model, i, &desc), TN_OK);
        assert_int_equal(desc.input, i + 1);
        assert_int_equal(desc.output, i + 1);
        assert_int_equal(desc.axis, 2);
        tn_state_config_init(&states[i]);
        states[i].input = desc.input;
        states[i].output = desc.output;
        states[i].axis = desc.axis;
        states[i].capacity = capacity;
    }
}

static void must(fixture *f, tn_status status) {
    if (status != TN_OK) {
        print_message("%s: %s\n", f->error.id, f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

// One step of count tokens whose numbers follow from their place.
static void step(fixture *f, int64_t first, int64_t count) {
    float x[8 * ROW];
    const int64_t dims[] = {1, count, ROW};
    const tn_input_shape shape = {0, 3, dims};
    for (int64_t i = 0; i < count * ROW; i++) {
        x[i] = (float)((first * ROW + i) * 37 % 101) / 50.0f - 1.0f;
    }
    must(f, tn_request_prepare(f->request, &shape, 1, &f->error));
    must(f, tn_request_write(f->request, 0, x, (uint64_t)count * ROW_BYTES, &f->error));
    must(f, tn_request_run(f->request, 0, &f->error));
}

static tn_tensor_view output(fixture *f, uint32_t index) {
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    assert_int_equal(tn_request_output(f->request, index, &view), TN_OK);
    return view;
}

static tn_run_stats stats_of(const fixture *f) {
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    assert_int_equal(tn_request_stats(f->request, &stats), TN_OK);
    return stats;
}

// Carries past in and present out by hand, as an embedder without states would.
static void run_stateless(fixture *f, float answers[TOKENS][ROW]) {
    static float cache[2][TOKENS * ROW];
    for (int64_t t = 0; t < TOKENS; t++) {
        const int64_t token[] = {1, 1, ROW};
        const int64_t past[] = {1, HEADS, t, WIDTH};
        const tn_input_shape shapes[] = {{0, 3, token}, {1, 4, past}, {2, 4, past}};
        float x[ROW];
        for (int64_t i = 0; i < ROW; i++) {
            x[i] = (float)((t * ROW + i) * 37 % 101) / 50.0f - 1.0f;
        }
        must(f, tn_request_prepare(f->request, shapes, 3, &f->error));
        must(f, tn_request_write(f->request, 0, x, sizeof(x), &f->error));
        for (uint32_t i = 0; i < 2; i++) {
            must(f,
                 tn_request_write(f->request, 1 + i, cache[i], (uint64_t)t * ROW_BYTES, &f->error));
        }
        must(f, tn_request_run(f->request, 0, &f->error));
        memcpy(answers[t], output(f, 0).data, ROW_BYTES);
        for (uint32_t i = 0; i < 2; i++) {
            memcpy(cache[i], output(f, 1 + i).data, (uint64_t)(t + 1) * ROW_BYTES);
        }
    }
}

static void decoder__answers_as_without_state(void **state) {
    fixture *f = *state;
    static float expected[TOKENS][ROW];
    tn_state_config states[2];
    build_decoder(f);
    open_on(f, "reference:cpu");
    assert_int_equal(request_with(f, 0, NULL), TN_OK);
    run_stateless(f, expected);
    tn_request_destroy(f->request);
    f->request = NULL;
    find_states(f, TOKENS, states);
    assert_int_equal(request_with(f, 2, states), TN_OK);
    for (int64_t t = 0; t < TOKENS; t++) {
        step(f, t, 1);
        assert_memory_equal(output(f, 0).data, expected[t], ROW_BYTES);
        // The new rows of both caches, however many there were before.
        assert_int_equal(stats_of(f).state_bytes, 2 * ROW_BYTES);
        assert_int_equal(stats_of(f).states_in_place, 2);
        assert_int_equal(stats_of(f).transfers, 0);
    }
    int64_t length = 0;
    assert_int_equal(tn_request_state_length(f->request, 1, &length), TN_OK);
    assert_int_equal(length, TOKENS);
    // There is no room for another token, and nothing is lost by asking.
    const int64_t dims[] = {1, 1, ROW};
    const tn_input_shape shape = {0, 3, dims};
    assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error), TN_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(f->error.id, "state.capacity");
}

static void decoder__takes_several_tokens_at_once(void **state) {
    fixture *f = *state;
    static float expected[TOKENS][ROW];
    tn_state_config states[2];
    build_decoder(f);
    open_on(f, "reference:cpu");
    assert_int_equal(request_with(f, 0, NULL), TN_OK);
    run_stateless(f, expected);
    tn_request_destroy(f->request);
    f->request = NULL;
    find_states(f, 64, states);
    assert_int_equal(request_with(f, 2, states), TN_OK);
    step(f, 0, 5);
    assert_int_equal(stats_of(f).state_bytes, 5 * 2 * ROW_BYTES);
    // Each of the five saw the others, so that only what follows compares with one at a time.
    step(f, 5, 1);
    assert_memory_equal(output(f, 0).data, expected[5], ROW_BYTES);
}

#define LONG_PAST 2048
#define PAGE 4096u

// Passes on to the fixture's allocator and notes blocks of the caches' size.
static void *note_caches(void *user_data, uint64_t size_bytes, uint64_t alignment_bytes) {
    fixture *f = user_data;
    void *block = f->memory.alloc.alloc(f->memory.alloc.user, size_bytes, alignment_bytes);
    if (size_bytes == 2 * LONG_PAST * ROW_BYTES && alignment_bytes == PAGE && f->cache_count < 2) {
        f->caches[f->cache_count++] = block;
    }
    return block;
}

// With the pages of the past made read-only, a single byte written there would end the process.
static void decoder__never_writes_the_past(void **state) {
    fixture *f = *state;
    static float past[LONG_PAST * ROW];
    tn_state_config states[2];
    build_decoder(f);
    f->allocate = note_caches;
    open_on(f, "reference:cpu");
    find_states(f, 2 * LONG_PAST, states);
    assert_int_equal(request_with(f, 2, states), TN_OK);
    step(f, 0, 1);
    assert_int_equal(f->cache_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        must(f, tn_request_state_write(f->request, i, LONG_PAST, past, sizeof(past)));
    }
    // Half of each head's room is past; protect what lies before the row that comes next.
    const uint64_t past_bytes = LONG_PAST * WIDTH * sizeof(float);
    assert_int_equal(past_bytes % PAGE, 0);
    for (uint32_t i = 0; i < 2 * HEADS; i++) {
        void *head = f->caches[i / HEADS] + i % HEADS * 2 * past_bytes;
        assert_int_equal(mprotect(head, past_bytes, PROT_READ), 0);
    }
    step(f, LONG_PAST, 1);
    assert_int_equal(stats_of(f).state_bytes, 2 * ROW_BYTES);
    for (uint32_t i = 0; i < 2 * HEADS; i++) {
        void *head = f->caches[i / HEADS] + i % HEADS * 2 * past_bytes;
        assert_int_equal(mprotect(head, past_bytes, PROT_READ | PROT_WRITE), 0);
    }
}

static void state__is_read_and_put_back(void **state) {
    fixture *f = *state;
    tn_state_config states[2];
    float kept[2][3 * ROW];
    float answer[ROW];
    build_decoder(f);
    open_on(f, "reference:cpu");
    find_states(f, 8, states);
    assert_int_equal(request_with(f, 2, states), TN_OK);
    for (int64_t t = 0; t < 3; t++) {
        step(f, t, 1);
    }
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t bytes = 0;
        assert_int_equal(tn_request_state_bytes(f->request, i, &bytes), TN_OK);
        assert_int_equal(bytes, sizeof(kept[i]));
        assert_int_equal(tn_request_state_read(f->request, i, kept[i], bytes), TN_OK);
    }
    step(f, 3, 1);
    memcpy(answer, output(f, 0).data, sizeof(answer));
    step(f, 4, 1);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(tn_request_state_write(f->request, i, 9, kept[i], sizeof(kept[i])),
                         TN_ERROR_LIMIT_EXCEEDED);
        assert_int_equal(tn_request_state_write(f->request, i, 2, kept[i], sizeof(kept[i])),
                         TN_ERROR_INVALID_ARGUMENT);
        assert_int_equal(tn_request_state_write(f->request, i, 3, kept[i], sizeof(kept[i])), TN_OK);
    }
    step(f, 3, 1);
    assert_memory_equal(output(f, 0).data, answer, sizeof(answer));
}

static void state__that_has_grown_asks_for_prepare(void **state) {
    fixture *f = *state;
    tn_state_config states[2];
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    build_decoder(f);
    open_on(f, "reference:cpu");
    find_states(f, 8, states);
    assert_int_equal(request_with(f, 2, states), TN_OK);
    step(f, 0, 1);
    assert_int_equal(tn_request_run(f->request, 0, &f->error), TN_ERROR_INVALID_STATE);
    assert_string_equal(f->error.id, "request.state-grown");
    // What is state is the request's.
    assert_int_equal(tn_request_input(f->request, 1, &view), TN_ERROR_INVALID_ARGUMENT);
    assert_int_equal(tn_request_output(f->request, 1, &view), TN_ERROR_INVALID_ARGUMENT);
    const int64_t past[] = {1, HEADS, 5, WIDTH};
    const tn_input_shape shape = {1, 4, past};
    assert_int_equal(tn_request_prepare(f->request, &shape, 1, &f->error),
                     TN_ERROR_INVALID_ARGUMENT);
    assert_string_equal(f->error.id, "request.state-shape");
}

static void state__pairs_are_checked(void **state) {
    fixture *f = *state;
    tn_state_config states[2];
    build_decoder(f);
    open_on(f, "reference:cpu");
    find_states(f, 8, states);
    states[1].input = 7;
    assert_int_equal(request_with(f, 2, states), TN_ERROR_INVALID_ARGUMENT);
    states[1] = states[0];
    assert_int_equal(request_with(f, 2, states), TN_ERROR_INVALID_ARGUMENT);
    find_states(f, 0, states);
    assert_int_equal(request_with(f, 2, states), TN_ERROR_INVALID_ARGUMENT);
    assert_null(f->request);
}

// h' = Relu(h) + x on devices that know nothing of state: the host carries it.
static void state__of_fixed_size_goes_round(void **state) {
    fixture *f = *state;
    static const int64_t four[] = {4};
    static const float x[] = {1.0f, 2.0f, 3.0f, 4.0f};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "h", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "Relu", "h", "r");
    onnx_node(&f->b, "Add", "r,x", "next");
    onnx_node(&f->b, "Neg", "next", "y");
    onnx_output(&f->b, "next", TN_DTYPE_FLOAT, 1, four);
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, four);
    open_on(f, "fake:alpha");
    tn_state_config pair;
    tn_state_config_init(&pair);
    pair.input = 1;
    pair.output = 0;
    assert_int_equal(request_with(f, 1, &pair), TN_OK);
    must(f, tn_request_prepare(f->request, NULL, 0, &f->error));
    must(f, tn_request_write(f->request, 0, x, sizeof(x), &f->error));
    for (int i = 1; i <= 3; i++) {
        must(f, tn_request_run(f->request, 0, &f->error));
        const float *y = output(f, 1).data;
        for (int k = 0; k < 4; k++) {
            assert_true(y[k] == -x[k] * (float)i);
        }
    }
    // A run that fails leaves the state as it was.
    float before[4];
    float after[4];
    assert_int_equal(tn_request_state_read(f->request, 0, before, sizeof(before)), TN_OK);
    tn_request_cancel(f->request);
    assert_int_equal(tn_request_run(f->request, 1, &f->error), TN_ERROR_TIMEOUT);
    assert_int_equal(tn_request_state_read(f->request, 0, after, sizeof(after)), TN_OK);
    assert_memory_equal(before, after, sizeof(before));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(decoder__answers_as_without_state),      CASE(decoder__never_writes_the_past),
        CASE(decoder__takes_several_tokens_at_once),  CASE(state__is_read_and_put_back),
        CASE(state__that_has_grown_asks_for_prepare), CASE(state__pairs_are_checked),
        CASE(state__of_fixed_size_goes_round),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
