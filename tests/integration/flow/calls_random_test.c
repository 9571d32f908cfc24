// SPDX-License-Identifier: Apache-2.0
// Random models of functions that call each other: whoever takes a call, in one piece or in parts,
// the answers are those of a device that has never heard of functions.
#include "flow_fixture.h"

#include "support/narrow/narrow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define MODELS 150
#define FUNCTIONS 4
#define WIDTH 4
#define OUTPUTS 2

static const int64_t dims[1] = {WIDTH};

typedef struct signature {
    char name[16];
    uint32_t inputs;
    uint32_t outputs;
} signature;

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}

// Adds ",name" for a random one of the values so far.
static void append_value(char *list, size_t capacity, uint64_t *seed, uint32_t value_count) {
    const size_t used = strlen(list);
    (void)snprintf(list + used, capacity - used, "%sv%u", used > 0 ? "," : "",
                   next_random(seed) % value_count);
}

static void add_call(onnx_builder *b, uint64_t *seed, const signature *function, uint32_t values) {
    char inputs[64] = "";
    char outputs[64] = "";
    for (uint32_t i = 0; i < function->inputs; i++) {
        append_value(inputs, sizeof inputs, seed, values);
    }
    for (uint32_t i = 0; i < function->outputs; i++) {
        const size_t used = strlen(outputs);
        (void)snprintf(outputs + used, sizeof outputs - used, "%sv%u", i > 0 ? "," : "",
                       values + i);
    }
    onnx_node(b, function->name, inputs, outputs);
    onnx_node_domain(b, FAKE_DOMAIN);
}

// Nodes and calls of functions that were defined before. Returns how many values there are then.
static uint32_t add_nodes(onnx_builder *b, uint64_t *seed, const signature *functions,
                          uint32_t function_count, uint32_t values) {
    static const char *const ops[] = {"Add", "Relu", "Neg", "Identity", "Abs"};
    const uint32_t count = 2 + next_random(seed) % 6;
    for (uint32_t i = 0; i < count; i++) {
        char inputs[64] = "";
        char output[16];
        if (next_random(seed) % 2 == 0) {
            const signature *function = &functions[next_random(seed) % function_count];
            add_call(b, seed, function, values);
            values += function->outputs;
            continue;
        }
        const uint32_t op = next_random(seed) % 5;
        append_value(inputs, sizeof inputs, seed, values);
        if (op == 0) {
            append_value(inputs, sizeof inputs, seed, values);
        }
        (void)snprintf(output, sizeof output, "v%u", values++);
        onnx_node(b, ops[op], inputs, output);
    }
    return values;
}

// AddRelu, in words that differ.
static void write_add_relu(pb *model, uint64_t *seed) {
    onnx_builder b;
    onnx_begin_function(&b, FAKE_DOMAIN, FAKE_ADD_RELU_NAME, "a,b", "r");
    onnx_function_opset(&b, FAKE_DOMAIN, 1);
    onnx_node(&b, "Neg", "a", "n");
    switch (next_random(seed) % 3) {
    case 0:
        onnx_node(&b, "Add", "a,b", "s");
        break;
    case 1:
        onnx_node(&b, "Neg", "n", "m");
        onnx_node(&b, "Add", "m,b", "s");
        break;
    default:
        onnx_node(&b, "Plus", "a,b", "s");
        onnx_node_domain(&b, FAKE_DOMAIN);
        break;
    }
    onnx_node(&b, "Relu", "s", "t");
    onnx_node(&b, "Identity", "t", "r");
    onnx_end_function(&b, model);
    onnx_begin_function(&b, FAKE_DOMAIN, "Plus", "a,b", "r");
    onnx_node(&b, "Add", "a,b", "r");
    onnx_end_function(&b, model);
}

static void write_function(pb *model, uint64_t *seed, const signature *functions, uint32_t index) {
    onnx_builder b;
    char inputs[64] = "";
    char outputs[64] = "";
    const signature *own = &functions[index];
    // Outputs are named first; they are any values, inputs and each other included.
    uint64_t body = *seed;
    onnx_builder dry;
    onnx_begin_function(&dry, FAKE_DOMAIN, own->name, "", "");
    const uint32_t values = add_nodes(&dry, &body, functions, index, own->inputs);
    onnx_abandon(&dry);
    for (uint32_t i = 0; i < own->inputs; i++) {
        const size_t used = strlen(inputs);
        (void)snprintf(inputs + used, sizeof inputs - used, "%sv%u", i > 0 ? "," : "", i);
    }
    for (uint32_t i = 0; i < own->outputs; i++) {
        append_value(outputs, sizeof outputs, &body, values);
    }
    onnx_begin_function(&b, FAKE_DOMAIN, own->name, inputs, outputs);
    onnx_function_opset(&b, FAKE_DOMAIN, 1);
    (void)add_nodes(&b, seed, functions, index, own->inputs);
    onnx_end_function(&b, model);
    *seed = body;
}

// y = c ? one call : another, over values of the graph around them.
static uint32_t add_branches(onnx_builder *b, uint64_t *seed, const signature *functions,
                             uint32_t values) {
    char output[16];
    pb branches[2];
    for (uint32_t i = 0; i < 2; i++) {
        onnx_builder body;
        onnx_begin_graph(&body);
        add_call(&body, seed, &functions[next_random(seed) % FUNCTIONS], values);
        (void)snprintf(output, sizeof output, "v%u", values);
        onnx_output_untyped(&body, output);
        onnx_end_graph(&body, &branches[i]);
    }
    (void)snprintf(output, sizeof output, "v%u", values + 3);
    onnx_node(b, "If", "c", output);
    onnx_attr_graph(b, "then_branch", &branches[0]);
    onnx_attr_graph(b, "else_branch", &branches[1]);
    (void)snprintf(output, sizeof output, "v%u", values);
    for (uint32_t i = 0; i < 3; i++) {
        (void)snprintf(output, sizeof output, "v%u", values + i);
        onnx_node(b, "Identity", "v0", output);
    }
    return values + 4;
}

static void build(flow_fixture *f, uint64_t *seed) {
    signature functions[FUNCTIONS] = {{FAKE_ADD_RELU_NAME, 2, 1}};
    onnx_builder *b = &f->b;
    for (uint32_t i = 1; i < FUNCTIONS; i++) {
        (void)snprintf(functions[i].name, sizeof functions[i].name, "F%u", i);
        functions[i].inputs = 1 + next_random(seed) % 3;
        functions[i].outputs = 1 + next_random(seed) % 2;
    }
    onnx_opset(b, FAKE_DOMAIN, 1);
    onnx_input(b, "v0", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(b, "v1", TN_DTYPE_FLOAT, 1, dims);
    onnx_input(b, "c", TN_DTYPE_BOOL, 0, NULL);
    uint32_t values = add_nodes(b, seed, functions, FUNCTIONS, 2);
    if (next_random(seed) % 3 == 0) {
        values = add_branches(b, seed, functions, values);
        values = add_nodes(b, seed, functions, FUNCTIONS, values);
    }
    for (uint32_t i = 0; i < OUTPUTS; i++) {
        char output[16];
        (void)snprintf(output, sizeof output, "v%u", values - 1 - i);
        onnx_output(b, output, TN_DTYPE_FLOAT, 1, dims);
    }
    onnx_end(b, &f->bytes);
    write_add_relu(&f->bytes, seed);
    for (uint32_t i = 1; i < FUNCTIONS; i++) {
        write_function(&f->bytes, seed, functions, i);
    }
}

static void compute(flow_fixture *f, const char *devices, uint8_t c,
                    float out_values[OUTPUTS][WIDTH]) {
    static const float x[2][WIDTH] = {{-2.0f, -1.0f, 1.0f, 3.0f}, {1.0f, -4.0f, 0.5f, 2.0f}};
    tn_compile_config limits;
    tn_compile_config_init(&limits);
    const tn_status status = flow_open(f, devices, &limits);
    if (status != TN_OK) {
        print_message("%s: %s: %s\n", devices, f->error.id, f->error.text);
    }
    assert_int_equal(status, TN_OK);
    flow_put(f, 0, x[0], sizeof x[0]);
    flow_put(f, 1, x[1], sizeof x[1]);
    flow_put(f, 2, &c, 1);
    flow_run(f);
    for (uint32_t i = 0; i < OUTPUTS; i++) {
        memcpy(out_values[i], flow_output(f, i).data, sizeof out_values[i]);
    }
    flow_close(f);
}

static bool hides_relu(const char *op_type) {
    return strcmp(op_type, "Relu") == 0;
}

static bool hides_nothing(const char *op_type) {
    (void)op_type;
    return false;
}

// Who knows AddRelu, and what else. Where the other device has no Relu, calls go whole.
static const struct {
    const char *devices;
    bool (*hides)(const char *op_type);
    uint32_t alpha;
    uint32_t inline_ops;
} sets[] = {
    {"fake:inline,narrow0:cpu", hides_relu, 0, FAKE_ADD_RELU | FAKE_RELU},
    {"fake:inline,narrow0:cpu", hides_relu, 0, FAKE_ADD_RELU | FAKE_ALL},
    {"fake:alpha,narrow0:cpu", hides_relu, FAKE_ADD_RELU | FAKE_RELU | FAKE_NEG, 0},
    {"fake:inline,narrow0:cpu", hides_nothing, 0, FAKE_ADD_RELU},
};

// But for the sign of zero.
static bool same_values(float a[OUTPUTS][WIDTH], float b[OUTPUTS][WIDTH]) {
    bool same = true;
    for (uint32_t i = 0; i < OUTPUTS * WIDTH; i++) {
        same = same && a[i / WIDTH][i % WIDTH] == b[i / WIDTH][i % WIDTH];
    }
    return same;
}

static uint32_t one_model(uint64_t *seed) {
    static const tn_static_plugin narrow = {"narrow0", narrow_entry_0};
    void *fixture = NULL;
    uint32_t taken = 0;
    float expected[OUTPUTS][WIDTH];
    float got[OUTPUTS][WIDTH];
    const uint64_t begin = *seed;
    assert_int_equal(flow_set_up(&fixture), 0);
    flow_fixture *f = fixture;
    f->extra = &narrow;
    build(f, seed);
    for (uint8_t c = 0; c < 2; c++) {
        compute(f, "reference:cpu", c, expected);
        for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
            fake_reset();
            fake_device(FAKE_ALPHA)->ops = sets[i].alpha;
            fake_device(FAKE_INLINE)->ops = sets[i].inline_ops;
            narrow_controls[0] = (narrow_control){.hides = sets[i].hides};
            fake_device(FAKE_INLINE)->refuses_add_relu = next_random(seed) % 4 == 0;
            compute(f, sets[i].devices, c, got);
            taken += fake_device(FAKE_INLINE)->seen_add_relu;
            taken += fake_device(FAKE_ALPHA)->seen_add_relu;
            if (!same_values(got, expected)) {
                fail_msg("model %llu on set %zu", (unsigned long long)begin, i);
            }
        }
    }
    assert_int_equal(flow_tear_down(&fixture), 0);
    return taken;
}

static void random_functions__answer_the_same_whoever_takes_them(void **state) {
    uint64_t seed = 41;
    uint32_t taken = 0;
    (void)state;
    for (uint32_t i = 0; i < MODELS; i++) {
        taken += one_model(&seed);
    }
    print_message("%u calls in one piece\n", taken);
    assert_true(taken > MODELS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_functions__answer_the_same_whoever_takes_them),
    };
    return cmocka_run_group_tests_name("calls random", tests, NULL, NULL);
}
