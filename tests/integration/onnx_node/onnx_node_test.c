// SPDX-License-Identifier: Apache-2.0
// Runs ONNX's node tests: each is a folder with a model, inputs and expected outputs. Tests that
// end otherwise than with equal outputs are listed in expected.txt with the reason; a test that
// ends better or worse than listed fails. Floors keep the counts from falling unnoticed. Views with
// bytes changed at random run beside each test: they must end without a stray access.
#include "support/abi_host.h"
#include "support/pb_tensor.h"

#include "graph/shape/shape.h"
#include "graph/version/present.h"
#include "graph/view.h"
#include "onnx/import.h"

#include "tenon/helper/graph_reader.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA_DIR "/usr/share/libonnx-testdata/data"
#define MAX_TENSORS 32u
#define TEXT 512

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

// How one test ended; the words are those of expected.txt.
typedef enum outcome {
    OUTCOME_PASSED,
    OUTCOME_LOOSE,   // right within ONNX's own tolerance, but not within ours
    OUTCOME_RANDOM,  // shapes and types are right; values are random by definition
    OUTCOME_REFUSED, // the plugin said no, with a reason
    OUTCOME_SKIPPED, // not importable, or data that is not plain tensors
    OUTCOME_FAILED,  // wrong outputs, or an error
    OUTCOME_COUNT,
} outcome;

static const char *const outcome_words[OUTCOME_COUNT] = {"passed",  "loose",   "random",
                                                         "refused", "skipped", "failed"};

#define EXPECTED_FILE TN_TEST_SOURCE_DIR "/tests/integration/onnx_node/expected.txt"
#define MAX_EXPECTED 512u

// One line of expected.txt.
typedef struct expectation {
    char set[32];
    char word[16];
    char name[128]; // of the test; a last * stands for any end
    uint32_t used;
} expectation;

typedef struct expectations {
    expectation lines[MAX_EXPECTED];
    uint32_t count;
} expectations;

static void read_expectations(expectations *out) {
    char line[512];
    FILE *file = fopen(EXPECTED_FILE, "r");
    assert_non_null(file);
    out->count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        assert_true(out->count < MAX_EXPECTED);
        expectation *e = &out->lines[out->count++];
        memset(e, 0, sizeof *e);
        assert_int_equal(sscanf(line, "%31s %15s %127s", e->set, e->word, e->name), 3);
    }
    (void)fclose(file);
}

// What is listed for a test; "passed" when nothing is.
static outcome expected_outcome(expectations *all, const char *set, const char *name) {
    for (uint32_t i = 0; i < all->count; ++i) {
        expectation *e = &all->lines[i];
        const size_t size = strlen(e->name);
        const uint32_t any_end = e->name[size - 1] == '*' ? 1u : 0u;
        if (strcmp(e->set, set) != 0 ||
            (any_end ? strncmp(e->name, name, size - 1) != 0 : strcmp(e->name, name) != 0)) {
            continue;
        }
        e->used = 1;
        for (uint32_t word = 0; word < OUTCOME_COUNT; ++word) {
            if (strcmp(e->word, outcome_words[word]) == 0) {
                return (outcome)word;
            }
        }
        fail_msg("%s: unknown word %s", EXPECTED_FILE, e->word);
    }
    return OUTCOME_PASSED;
}

typedef struct node_test {
    char folder[1024];
    char why[TEXT];
    tni_model *model;
    tni_view *view;
    uint32_t is_random; // values are not compared
    pb_tensor inputs[MAX_TENSORS];
    pb_tensor outputs[MAX_TENSORS];
    uint32_t input_count;
    uint32_t output_count;
} node_test;

static tn_error fresh_error(void) {
    return (tn_error){.struct_size = (uint32_t)sizeof(tn_error), .struct_type = TN_STRUCT_ERROR};
}

static uint32_t read_tensors(const node_test *test, const char *kind, pb_tensor *out_tensors) {
    uint32_t count = 0;
    for (; count < MAX_TENSORS; ++count) {
        char path[1200];
        (void)snprintf(path, sizeof path, "%s/test_data_set_0/%s_%u.pb", test->folder, kind, count);
        if (!pb_tensor_read(path, &out_tensors[count])) {
            break;
        }
    }
    return count;
}

// Inputs and outputs get the shapes of their data; shapes in between are inferred.
static tn_status fix_shapes(tni_model *model, const uint32_t *values, uint32_t value_count,
                            pb_tensor *tensors, uint32_t tensor_count) {
    for (uint32_t i = 0; i < value_count && i < tensor_count; ++i) {
        tn_graph_dim dims[TN_MAX_RANK];
        for (uint32_t axis = 0; axis < tensors[i].rank; ++axis) {
            dims[axis] = (tn_graph_dim){.size = tensors[i].dims[axis], .symbol = TN_NONE};
        }
        const tn_status status = tni_value_set_dims(model, values[i], tensors[i].rank, dims);
        if (status != TN_OK) {
            return status;
        }
        // Where the files disagree (bfloat16 data stored as uint16), the model is right.
        if (model->values[values[i]].dtype == TN_DTYPE_UNDEFINED) {
            model->values[values[i]].dtype = tensors[i].dtype;
        }
        tensors[i].dtype = model->values[values[i]].dtype;
    }
    return TN_OK;
}

// The view as the host writes it for the plugin: in the op versions that it knows.
static outcome build_view(node_test *test, abi_plugin *plugin) {
    tn_error error = fresh_error();
    tn_op_list ops = {.struct_size = (uint32_t)sizeof ops, .struct_type = TN_STRUCT_OP_LIST};
    tni_presentation presentation;
    bool changed = false;
    assert_int_equal(plugin->compile->op_list(plugin->device, &ops, &error), TN_OK);
    tn_status status = tni_presentation_init(test->model, &ops, &presentation, &changed, &error);
    if (status == TN_OK && changed) {
        status = tni_shapes_infer(test->model, &error);
    }
    if (status == TN_OK) {
        const tni_view_spec spec = {.without_expansions = true, .forms = presentation.forms};
        status = tni_view_build(tni_alloc_default(), test->model, &spec, &test->view, &error);
    }
    tni_presentation_deinit(&presentation);
    (void)snprintf(test->why, sizeof test->why, "view: %s", error.text);
    return status == TN_OK ? OUTCOME_PASSED : OUTCOME_SKIPPED;
}

static outcome load(node_test *test, abi_plugin *plugin) {
    char path[1200];
    tn_error error = fresh_error();
    (void)snprintf(path, sizeof path, "%s/model.onnx", test->folder);
    const tni_import_info info = {.path = path};
    if (tni_onnx_import(&info, &test->model, &error) != TN_OK) {
        (void)snprintf(test->why, sizeof test->why, "import: %s", error.text);
        return OUTCOME_SKIPPED;
    }
    const tni_graph *graph = &test->model->graphs[0];
    test->input_count = read_tensors(test, "input", test->inputs);
    test->output_count = read_tensors(test, "output", test->outputs);
    if (test->input_count != graph->input_count || test->output_count != graph->output_count) {
        (void)snprintf(test->why, sizeof test->why, "data: %u of %u inputs, %u of %u outputs",
                       test->input_count, graph->input_count, test->output_count,
                       graph->output_count);
        return OUTCOME_SKIPPED;
    }
    if (fix_shapes(test->model, graph->inputs, graph->input_count, test->inputs,
                   test->input_count) != TN_OK ||
        fix_shapes(test->model, graph->outputs, graph->output_count, test->outputs,
                   test->output_count) != TN_OK) {
        return OUTCOME_SKIPPED;
    }
    if (tni_shapes_infer(test->model, &error) != TN_OK) {
        (void)snprintf(test->why, sizeof test->why, "shapes: %s", error.text);
        return OUTCOME_SKIPPED;
    }
    return build_view(test, plugin);
}

static const void *find_weight(void *user_data, uint64_t key, uint64_t *out_bytes) {
    const tni_model *model = user_data;
    const void *data = NULL;
    const tn_status status =
        tni_constant_map(model, tni_constant_of_key(model, key), &data, out_bytes, NULL);
    return status == TN_OK ? data : NULL;
}

static outcome judge(node_test *test, abi_plugin *plugin) {
    const tn_graph_view *view = test->view->view;
    tn_error error = fresh_error();
    tn_node_verdict verdicts[512] = {{0}};
    const tn_query_info query = {.struct_size = (uint32_t)sizeof query,
                                 .struct_type = TN_STRUCT_QUERY_INFO};
    tn_verdicts all = {.struct_size = (uint32_t)sizeof all,
                       .struct_type = TN_STRUCT_VERDICTS,
                       .nodes = verdicts,
                       .node_capacity = 512,
                       .node_stride_bytes = (uint32_t)sizeof verdicts[0]};
    if (plugin->compile->query_support(plugin->device, view, &query, &all, &error) != TN_OK) {
        (void)snprintf(test->why, sizeof test->why, "query: %s", error.text);
        return OUTCOME_FAILED;
    }
    for (uint32_t i = 0; i < view->nodes.count; ++i) {
        if (verdicts[i].answer == TN_ANSWER_YES) {
            continue;
        }
        const tn_string type = tn_view_text(view, tn_view_node(view, i)->op_type);
        (void)snprintf(test->why, sizeof test->why,
                       "%.*s: reason %u, subject %d, limit %lld, actual %lld", (int)type.size_bytes,
                       type.data, verdicts[i].reason, (int)verdicts[i].subject,
                       (long long)verdicts[i].limit, (long long)verdicts[i].actual);
        // A no without a reason is a bug of its own (ABI-46).
        return verdicts[i].reason == TN_REASON_NONE ? OUTCOME_FAILED : OUTCOME_REFUSED;
    }
    return OUTCOME_PASSED;
}

static double half_to_double(uint16_t bits, int exponent_bits, int fraction_bits) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    const int fraction = bits & ((1 << fraction_bits) - 1);
    double value = exponent == 0
                       ? ldexp(fraction, 1 - bias - fraction_bits)
                       : ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
    if (exponent == (1 << exponent_bits) - 1) {
        value = fraction != 0 ? (double)NAN : (double)INFINITY;
    }
    return bits >> 15 != 0 ? -value : value;
}

static double element(const pb_tensor *tensor, const unsigned char *data, uint64_t index) {
    if (tensor->dtype == TN_DTYPE_FLOAT) {
        float value;
        memcpy(&value, data + index * 4, sizeof value);
        return (double)value;
    }
    if (tensor->dtype == TN_DTYPE_DOUBLE) {
        double value;
        memcpy(&value, data + index * 8, sizeof value);
        return value;
    }
    uint16_t bits;
    memcpy(&bits, data + index * 2, sizeof bits);
    return tensor->dtype == TN_DTYPE_FLOAT16 ? half_to_double(bits, 5, 10)
                                             : half_to_double(bits, 8, 7);
}

// Ours: relative 1e-5 (float16 1e-3; bfloat16 1e-2, because the data was made by cutting bits off
// where ONNX now rounds), absolute 1e-6. ONNX's: relative 1e-3 (bfloat16 2e-2). Everything else:
// equal bytes.
static outcome compare(const pb_tensor *expected, const unsigned char *data, char *why) {
    const uint32_t narrow =
        expected->dtype == TN_DTYPE_FLOAT16 || expected->dtype == TN_DTYPE_BFLOAT16 ? 1u : 0u;
    if (expected->dtype != TN_DTYPE_FLOAT && expected->dtype != TN_DTYPE_DOUBLE && !narrow) {
        (void)snprintf(why, TEXT, "bytes differ");
        return memcmp(expected->data, data, expected->size_bytes) == 0 ? OUTCOME_PASSED
                                                                       : OUTCOME_FAILED;
    }
    const uint32_t is_brain = expected->dtype == TN_DTYPE_BFLOAT16 ? 1u : 0u;
    const double strict = is_brain ? 1e-2 : (narrow ? 1e-3 : 1e-5);
    const double loose = is_brain ? 2e-2 : (narrow ? 2e-3 : 1e-3);
    outcome result = OUTCOME_PASSED;
    for (uint64_t i = 0; i < expected->count && result != OUTCOME_FAILED; ++i) {
        const double want = element(expected, expected->data, i);
        const double got = element(expected, data, i);
        const uint32_t same_special = (isnan(want) && isnan(got)) || want == got ? 1u : 0u;
        const double error = fabs(want - got);
        if (same_special || error <= 1e-6 + strict * fabs(want)) {
            continue;
        }
        result = error <= 1e-6 + loose * fabs(want) ? OUTCOME_LOOSE : OUTCOME_FAILED;
        (void)snprintf(why, TEXT, "element %llu: %.9g, expected %.9g", (unsigned long long)i, got,
                       want);
    }
    return result;
}

static uint32_t same_shape(const pb_tensor *expected, const abi_program *program, uint32_t port,
                           char *why) {
    const tn_port_info *info = &program->ports[port];
    const uint32_t dependent = (info->flags & TN_PORT_DATA_DEPENDENT) != 0 ? 1u : 0u;
    const int64_t *dims = dependent ? &program->shapes[port][1] : info->dims;
    const uint32_t rank = dependent ? (uint32_t)program->shapes[port][0] : info->rank;
    uint32_t same = rank == expected->rank ? 1u : 0u;
    for (uint32_t i = 0; same && i < rank; ++i) {
        same = dims[i] == expected->dims[i] ? 1u : 0u;
    }
    if (!same) {
        (void)snprintf(why, TEXT, "port %u: rank %u instead of %u, or another size", port, rank,
                       expected->rank);
    }
    return same;
}

static outcome execute(node_test *test, abi_plugin *plugin) {
    tn_error error = fresh_error();
    abi_program program;
    void *buffers[2 * MAX_TENSORS] = {0};
    tn_status status = abi_program_open(plugin, test->view->view, NULL, 0, &program, &error);
    if (status != TN_OK) {
        (void)snprintf(test->why, sizeof test->why, "compile or prepare: %s", error.text);
        // Sizes that only the data tells have no number at prepare: not the plugin's fault.
        return strcmp(error.id, "reference.symbol-missing") == 0 ? OUTCOME_REFUSED : OUTCOME_FAILED;
    }
    for (uint32_t i = 0; i < test->input_count; ++i) {
        buffers[i] = test->inputs[i].data;
    }
    for (uint32_t i = 0; i < test->output_count; ++i) {
        const size_t bytes = (size_t)program.ports[test->input_count + i].size_bytes + 1;
        buffers[test->input_count + i] = malloc(bytes);
        assert_non_null(buffers[test->input_count + i]);
        memset(buffers[test->input_count + i], 0x5a, bytes);
    }
    status = abi_program_run(&program, buffers, &error);
    outcome result = status == TN_OK ? OUTCOME_PASSED : OUTCOME_FAILED;
    if (status != TN_OK) {
        (void)snprintf(test->why, sizeof test->why, "run: %s", error.text);
    }
    for (uint32_t i = 0; result != OUTCOME_FAILED && i < test->output_count; ++i) {
        const unsigned char *data = buffers[test->input_count + i];
        const outcome one =
            !same_shape(&test->outputs[i], &program, test->input_count + i, test->why)
                ? OUTCOME_FAILED
            : test->is_random ? OUTCOME_RANDOM
                              : compare(&test->outputs[i], data, test->why);
        result = one > result ? one : result;
    }
    for (uint32_t i = 0; i < test->output_count; ++i) {
        free(buffers[test->input_count + i]);
    }
    abi_program_close(&program);
    return result;
}

#define MUTANTS 2u
// Mutants that want more memory than this are not run.
#define MAX_PORT_BYTES (1u << 22)

// Compiles and runs a view whose bytes were changed; whatever the plugin accepts ends well or in an
// error.
static void run_mutant(abi_plugin *plugin, const tn_graph_view *view) {
    tn_error error = fresh_error();
    abi_program program;
    void *buffers[2 * MAX_TENSORS] = {0};
    uint64_t total = 0;
    if (tn_view_validate(view, &error) != TN_OK ||
        abi_program_open(plugin, view, NULL, 0, &program, &error) != TN_OK) {
        return;
    }
    for (uint32_t i = 0; i < program.port_count; ++i) {
        total += program.ports[i].size_bytes <= MAX_PORT_BYTES ? program.ports[i].size_bytes
                                                               : MAX_PORT_BYTES + 1;
    }
    if (total <= MAX_PORT_BYTES && program.port_count <= 2 * MAX_TENSORS) {
        for (uint32_t i = 0; i < program.port_count; ++i) {
            buffers[i] = calloc(
                1, program.ports[i].size_bytes == 0 ? 1 : (size_t)program.ports[i].size_bytes);
            assert_non_null(buffers[i]);
        }
        (void)abi_program_run(&program, buffers, &error);
        for (uint32_t i = 0; i < program.port_count; ++i) {
            free(buffers[i]);
        }
    }
    abi_program_close(&program);
}

static void run_mutants(const node_test *test, abi_plugin *plugin) {
    static const unsigned char values[] = {0, 1, 2, 3, 5, 8, 0x7f, 0x80, 0xff};
    const size_t size = (size_t)test->view->total_bytes;
    uint64_t random = size;
    for (uint32_t round = 0; round < MUTANTS; ++round) {
        unsigned char *bytes = malloc(size);
        assert_non_null(bytes);
        memcpy(bytes, test->view->view, size);
        for (uint32_t i = 0; i <= round % 3; ++i) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[(random >> 33) % size] = values[(random >> 20) % sizeof values];
        }
        const tn_graph_view *mutant = (const tn_graph_view *)(const void *)bytes;
        if (mutant->total_bytes <= size) {
            run_mutant(plugin, mutant);
        }
        free(bytes);
    }
}

static outcome run_one(node_test *test) {
    abi_host host;
    abi_plugin plugin;
    tn_error error = fresh_error();
    abi_host_init(&host, NULL);
    host.find_weight = find_weight;
    assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_reference, &plugin, &error), TN_OK);
    outcome result = load(test, &plugin);
    host.find_weight_user_data = test->model;
    if (result == OUTCOME_PASSED) {
        result = judge(test, &plugin);
    }
    if (result == OUTCOME_PASSED) {
        run_mutants(test, &plugin);
        result = execute(test, &plugin);
    }
    assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    assert_int_equal(host.live_blocks, 0);
    for (uint32_t i = 0; i < MAX_TENSORS; ++i) {
        pb_tensor_deinit(&test->inputs[i]);
        pb_tensor_deinit(&test->outputs[i]);
    }
    tni_view_destroy(test->view);
    tni_model_destroy(test->model);
    return result;
}

// Runs one set; `set` is its name in expected.txt.
static void run_folder(const char *root, const char *name, const char *set, uint32_t floor) {
    static expectations all;
    uint32_t counts[OUTCOME_COUNT] = {0};
    uint32_t surprises = 0;
    char folder[512];
    struct dirent **entries = NULL;
    read_expectations(&all);
    (void)snprintf(folder, sizeof folder, "%s/%s", root, name);
    const int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; ++i) {
        if (strncmp(entries[i]->d_name, "test_", 5) == 0) {
            node_test test;
            memset(&test, 0, sizeof test);
            (void)snprintf(test.folder, sizeof test.folder, "%s/%s", folder, entries[i]->d_name);
            const outcome expected = expected_outcome(&all, set, entries[i]->d_name);
            test.is_random = expected == OUTCOME_RANDOM ? 1u : 0u;
            const outcome result = run_one(&test);
            counts[result] += 1;
            if (result != expected) {
                surprises += 1;
                print_message("%s %s, listed as %s: %s\n", outcome_words[result],
                              entries[i]->d_name, outcome_words[expected], test.why);
            }
        }
        free(entries[i]);
    }
    free(entries);
    print_message("%s: %u passed, %u within ONNX's tolerance, %u random, %u refused, %u skipped, "
                  "%u failed, %u not as listed\n",
                  set, counts[OUTCOME_PASSED], counts[OUTCOME_LOOSE], counts[OUTCOME_RANDOM],
                  counts[OUTCOME_REFUSED], counts[OUTCOME_SKIPPED], counts[OUTCOME_FAILED],
                  surprises);
    for (uint32_t i = 0; i < all.count; ++i) {
        if (strcmp(all.lines[i].set, set) == 0 && !all.lines[i].used) {
            fail_msg("%s %s is listed, but there is no such test", set, all.lines[i].name);
        }
    }
    assert_int_equal(surprises, 0);
    assert_true(counts[OUTCOME_PASSED] + counts[OUTCOME_LOOSE] + counts[OUTCOME_RANDOM] >= floor);
}

static void node__matches_expected_outputs(void **state) {
    (void)state;
    run_folder(DATA_DIR, "node", "node", 880);
}

static void pytorch_operator__matches_expected_outputs(void **state) {
    (void)state;
    run_folder(DATA_DIR, "pytorch-operator", "pytorch-operator", 35);
}

static void pytorch_converted__matches_expected_outputs(void **state) {
    (void)state;
    run_folder(DATA_DIR, "pytorch-converted", "pytorch-converted", 82);
}

static void simple__matches_expected_outputs(void **state) {
    (void)state;
    run_folder(DATA_DIR, "simple", "simple", 7);
}

// The node tests that the onnx package generates; scripts/setup.sh has put them here.
static void newest__matches_expected_outputs(void **state) {
    (void)state;
    run_folder(getenv("TENON_ONNX_NEWEST"), "node", "newest", 1720);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node__matches_expected_outputs),
        cmocka_unit_test(simple__matches_expected_outputs),
        cmocka_unit_test(pytorch_operator__matches_expected_outputs),
        cmocka_unit_test(pytorch_converted__matches_expected_outputs),
    };
    const struct CMUnitTest newest[] = {
        cmocka_unit_test(newest__matches_expected_outputs),
    };
    return getenv("TENON_ONNX_NEWEST") != NULL ? cmocka_run_group_tests(newest, NULL, NULL)
                                               : cmocka_run_group_tests(tests, NULL, NULL);
}
