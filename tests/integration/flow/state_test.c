// SPDX-License-Identifier: Apache-2.0
// State kept by a request: a decoder with a key-value cache answers as without, writes as much per
// token at the end as at the beginning, and loses nothing when a run fails.
#include "flow_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

// One head of x, [1, n, HEADS * WIDTH], as [1, HEADS, n, WIDTH] under another name.
static void split_heads(flow_fixture *f, const char *from, const char *to) {
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
static void build_decoder(flow_fixture *f) {
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

static tn_status request_with(flow_fixture *f, uint32_t count, const tn_state_config *states) {
    tn_request_config config;
    tn_request_config_init(&config);
    config.states = states;
    config.state_count = count;
    return tn_request_create(f->compiled, &config, &f->request, &f->error);
}

// The pairs the model shows, with room for capacity tokens.
static void find_states(flow_fixture *f, int64_t capacity, tn_state_config states[2]) {
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

// One step of count tokens whose numbers follow from their place.
static void step(flow_fixture *f, int64_t first, int64_t count) {
    float x[8 * ROW];
    const int64_t dims[] = {1, count, ROW};
    const tn_input_shape shape = {0, 3, dims};
    for (int64_t i = 0; i < count * ROW; i++) {
        x[i] = (float)((first * ROW + i) * 37 % 101) / 50.0f - 1.0f;
    }
    flow_must(f, tn_request_prepare(f->request, &shape, 1, &f->error));
    flow_must(f, tn_request_write(f->request, 0, x, (uint64_t)count * ROW_BYTES, &f->error));
    flow_must(f, tn_request_run(f->request, 0, &f->error));
}

// Carries past in and present out by hand, as an embedder without states would.
static void run_stateless(flow_fixture *f, float answers[TOKENS][ROW]) {
    static float cache[2][TOKENS * ROW];
    for (int64_t t = 0; t < TOKENS; t++) {
        const int64_t token[] = {1, 1, ROW};
        const int64_t past[] = {1, HEADS, t, WIDTH};
        const tn_input_shape shapes[] = {{0, 3, token}, {1, 4, past}, {2, 4, past}};
        float x[ROW];
        for (int64_t i = 0; i < ROW; i++) {
            x[i] = (float)((t * ROW + i) * 37 % 101) / 50.0f - 1.0f;
        }
        flow_must(f, tn_request_prepare(f->request, shapes, 3, &f->error));
        flow_must(f, tn_request_write(f->request, 0, x, sizeof(x), &f->error));
        for (uint32_t i = 0; i < 2; i++) {
            flow_must(f, tn_request_write(f->request, 1 + i, cache[i], (uint64_t)t * ROW_BYTES,
                                          &f->error));
        }
        flow_must(f, tn_request_run(f->request, 0, &f->error));
        memcpy(answers[t], flow_output(f, 0).data, ROW_BYTES);
        for (uint32_t i = 0; i < 2; i++) {
            memcpy(cache[i], flow_output(f, 1 + i).data, (uint64_t)(t + 1) * ROW_BYTES);
        }
    }
}

static void decoder__answers_as_without_state(void **state) {
    flow_fixture *f = *state;
    static float expected[TOKENS][ROW];
    tn_state_config states[2];
    build_decoder(f);
    flow_compile_on(f, "reference:cpu");
    assert_int_equal(request_with(f, 0, NULL), TN_OK);
    run_stateless(f, expected);
    tn_request_destroy(f->request);
    f->request = NULL;
    find_states(f, TOKENS, states);
    assert_int_equal(request_with(f, 2, states), TN_OK);
    for (int64_t t = 0; t < TOKENS; t++) {
        step(f, t, 1);
        assert_memory_equal(flow_output(f, 0).data, expected[t], ROW_BYTES);
        // The new rows of both caches, however many there were before.
        assert_int_equal(flow_stats(f).state_bytes, 2 * ROW_BYTES);
        assert_int_equal(flow_stats(f).states_in_place, 2);
        assert_int_equal(flow_stats(f).transfers, 0);
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
    flow_fixture *f = *state;
    static float expected[TOKENS][ROW];
    tn_state_config states[2];
    build_decoder(f);
    flow_compile_on(f, "reference:cpu");
    assert_int_equal(request_with(f, 0, NULL), TN_OK);
    run_stateless(f, expected);
    tn_request_destroy(f->request);
    f->request = NULL;
    find_states(f, 64, states);
    assert_int_equal(request_with(f, 2, states), TN_OK);
    step(f, 0, 5);
    assert_int_equal(flow_stats(f).state_bytes, 5 * 2 * ROW_BYTES);
    // Each of the five saw the others, so that only what follows compares with one at a time.
    step(f, 5, 1);
    assert_memory_equal(flow_output(f, 0).data, expected[5], ROW_BYTES);
}

#define LONG_PAST 2048
#define PAGE 4096u

// An allocator over the fixture's that notes the blocks of the caches' size.
typedef struct cache_notes {
    tn_allocator inner;
    unsigned char *caches[2];
    uint32_t count;
} cache_notes;

static void *note_caches(void *user_data, uint64_t size_bytes, uint64_t alignment_bytes) {
    cache_notes *notes = user_data;
    void *block = notes->inner.alloc(notes->inner.user_data, size_bytes, alignment_bytes);
    if (size_bytes == 2 * LONG_PAST * ROW_BYTES && alignment_bytes == PAGE && notes->count < 2) {
        notes->caches[notes->count++] = block;
    }
    return block;
}

static void pass_free(void *user_data, void *pointer, uint64_t size_bytes,
                      uint64_t alignment_bytes) {
    cache_notes *notes = user_data;
    notes->inner.free(notes->inner.user_data, pointer, size_bytes, alignment_bytes);
}

// With the pages of the past made read-only, a single byte written there would end the process
// (ABI-88).
static void decoder__never_writes_the_past(void **state) {
    flow_fixture *f = *state;
    static float past[LONG_PAST * ROW];
    tn_state_config states[2];
    build_decoder(f);
    static cache_notes notes; // until teardown
    notes = (cache_notes){.inner = f->allocator};
    f->allocator = (tn_allocator){note_caches, pass_free, &notes};
    flow_compile_on(f, "reference:cpu");
    find_states(f, 2 * LONG_PAST, states);
    assert_int_equal(request_with(f, 2, states), TN_OK);
    step(f, 0, 1);
    assert_int_equal(notes.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        flow_must(f, tn_request_state_write(f->request, i, LONG_PAST, past, sizeof(past)));
    }
    // Half of each head's room is past; protect what lies before the row that comes next.
    const uint64_t past_bytes = LONG_PAST * WIDTH * sizeof(float);
    assert_int_equal(past_bytes % PAGE, 0);
    for (uint32_t i = 0; i < 2 * HEADS; i++) {
        void *head = notes.caches[i / HEADS] + i % HEADS * 2 * past_bytes;
        assert_int_equal(mprotect(head, past_bytes, PROT_READ), 0);
    }
    step(f, LONG_PAST, 1);
    assert_int_equal(flow_stats(f).state_bytes, 2 * ROW_BYTES);
    for (uint32_t i = 0; i < 2 * HEADS; i++) {
        void *head = notes.caches[i / HEADS] + i % HEADS * 2 * past_bytes;
        assert_int_equal(mprotect(head, past_bytes, PROT_READ | PROT_WRITE), 0);
    }
}

// The reference plugin, with what it says of ports that are updated in place changed.
static const void *(*good_lookup)(tn_plugin *plugin, const char *name);
static tn_compile_interface good_compile;
static tn_compile_interface changed_compile;
static bool keeps_flag;

static tn_status changed_ports(tn_program *program, const tn_port_query *query, tn_port_info *ports,
                               uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    const tn_status status =
        good_compile.port_query(program, query, ports, port_capacity, out_port_count, error);
    for (uint32_t i = 0; i < *out_port_count && i < port_capacity; i++) {
        if ((ports[i].flags & TN_PORT_IN_PLACE) != 0 && keeps_flag) {
            ports[i].alias_of = TN_NONE - 1;
        } else if ((ports[i].flags & TN_PORT_IN_PLACE) != 0) {
            ports[i].flags &= ~TN_PORT_IN_PLACE;
        }
    }
    return status;
}

static const void *changed_lookup(tn_plugin *plugin, const char *name) {
    return strcmp(name, TN_INTERFACE_COMPILE) == 0 ? (const void *)&changed_compile
                                                   : good_lookup(plugin, name);
}

static tn_status changed_entry(const tn_host_offer *offer, tn_plugin_answer *answer,
                               tn_error *error) {
    const tn_status status = tn_plugin_entry_1_reference(offer, answer, error);
    if (status == TN_OK) {
        good_lookup = answer->get_interface;
        memcpy(&good_compile, good_lookup(answer->plugin, TN_INTERFACE_COMPILE),
               sizeof(good_compile));
        changed_compile = good_compile;
        changed_compile.port_query = changed_ports;
        answer->get_interface = changed_lookup;
    }
    return status;
}

// ABI-88: where a port does not name the past it grows from, the host copies, with the same
// answers.
static void decoder__is_copied_where_ports_are_not_in_place(void **state) {
    flow_fixture *f = *state;
    static float expected[TOKENS][ROW];
    for (int pass = 0; pass < 2; pass++) {
        tn_state_config states[2];
        keeps_flag = pass == 1;
        f->reference = changed_entry;
        build_decoder(f);
        flow_compile_on(f, "reference:cpu");
        assert_int_equal(request_with(f, 0, NULL), TN_OK);
        run_stateless(f, expected);
        tn_request_destroy(f->request);
        f->request = NULL;
        find_states(f, 8, states);
        assert_int_equal(request_with(f, 2, states), TN_OK);
        for (int64_t t = 0; t < 8; t++) {
            step(f, t, 1);
            assert_memory_equal(flow_output(f, 0).data, expected[t], ROW_BYTES);
            assert_int_equal(flow_stats(f).states_in_place, 0);
        }
        flow_close(f);
        pb_free(&f->bytes);
        onnx_begin(&f->b, 17);
    }
}

static void state__is_read_and_put_back(void **state) {
    flow_fixture *f = *state;
    tn_state_config states[2];
    float kept[2][3 * ROW];
    float answer[ROW];
    build_decoder(f);
    flow_compile_on(f, "reference:cpu");
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
    memcpy(answer, flow_output(f, 0).data, sizeof(answer));
    step(f, 4, 1);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(tn_request_state_write(f->request, i, 9, kept[i], sizeof(kept[i])),
                         TN_ERROR_LIMIT_EXCEEDED);
        assert_int_equal(tn_request_state_write(f->request, i, 2, kept[i], sizeof(kept[i])),
                         TN_ERROR_INVALID_ARGUMENT);
        assert_int_equal(tn_request_state_write(f->request, i, 3, kept[i], sizeof(kept[i])), TN_OK);
    }
    step(f, 3, 1);
    assert_memory_equal(flow_output(f, 0).data, answer, sizeof(answer));
}

static void state__that_has_grown_asks_for_prepare(void **state) {
    flow_fixture *f = *state;
    tn_state_config states[2];
    tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
    build_decoder(f);
    flow_compile_on(f, "reference:cpu");
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
    flow_fixture *f = *state;
    tn_state_config states[2];
    build_decoder(f);
    flow_compile_on(f, "reference:cpu");
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
    flow_fixture *f = *state;
    static const int64_t four[] = {4};
    static const float x[] = {1.0f, 2.0f, 3.0f, 4.0f};
    onnx_input(&f->b, "x", TN_DTYPE_FLOAT, 1, four);
    onnx_input(&f->b, "h", TN_DTYPE_FLOAT, 1, four);
    onnx_node(&f->b, "Relu", "h", "r");
    onnx_node(&f->b, "Add", "r,x", "next");
    onnx_node(&f->b, "Neg", "next", "y");
    onnx_output(&f->b, "next", TN_DTYPE_FLOAT, 1, four);
    onnx_output(&f->b, "y", TN_DTYPE_FLOAT, 1, four);
    flow_compile_on(f, "fake:alpha");
    tn_state_config pair;
    tn_state_config_init(&pair);
    pair.input = 1;
    pair.output = 0;
    assert_int_equal(request_with(f, 1, &pair), TN_OK);
    flow_must(f, tn_request_prepare(f->request, NULL, 0, &f->error));
    flow_must(f, tn_request_write(f->request, 0, x, sizeof(x), &f->error));
    for (int i = 1; i <= 3; i++) {
        flow_must(f, tn_request_run(f->request, 0, &f->error));
        const float *y = flow_output(f, 1).data;
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

int main(void) {
    const struct CMUnitTest tests[] = {
        FLOW_CASE(decoder__answers_as_without_state),
        FLOW_CASE(decoder__never_writes_the_past),
        FLOW_CASE(decoder__takes_several_tokens_at_once),
        FLOW_CASE(state__is_read_and_put_back),
        FLOW_CASE(state__that_has_grown_asks_for_prepare),
        FLOW_CASE(state__pairs_are_checked),
        FLOW_CASE(decoder__is_copied_where_ports_are_not_in_place),
        FLOW_CASE(state__of_fixed_size_goes_round),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
