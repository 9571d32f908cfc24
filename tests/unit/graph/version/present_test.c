// SPDX-License-Identifier: Apache-2.0
// One node a case: what a device that knows one range of versions of its op is shown. Nodes are
// written as "Op-version(inputs){attributes}", constants by their elements.
#include "graph/shape/shape.h"
#include "graph/version/present.h"
#include "unit/graph/model_fixture.h"

#include "graph/elements.h"
#include "present_cases.h"
#include "present_models.h"

#include <stdio.h>
#include <string.h>

static void append(char *text, const char *format, ...) TNI_PRINTF(2, 3);
static void append(char *text, const char *format, ...) {
    va_list args;
    const size_t used = strlen(text);
    va_start(args, format);
    (void)vsnprintf(text + used, 1024 - used, format, args);
    va_end(args);
}

static void describe_value(model_fixture *f, uint32_t value, char *text) {
    if (value == TN_NONE) {
        append(text, "_");
        return;
    }
    const tni_value *record = &f->model->values[value];
    if (record->constant == TN_NONE) {
        append(text, "%s", record->name.size_bytes > 0 ? record->name.data : "?");
        return;
    }
    const tni_constant *constant = &f->model->constants[record->constant];
    append(text, constant->rank == 0 ? "" : "[");
    for (uint32_t i = 0; i < constant->element_count; i++) {
        double number = 0.0;
        int64_t whole[64];
        uint32_t count = 0;
        if (constant->dtype == TN_DTYPE_INT64) {
            must(f, tni_constant_ints(f->model, record->constant, whole, 64, &count, &f->error));
            number = (double)whole[i];
        } else {
            must(f, tni_elements_read(f->model, record->constant, i, 1, &number, &f->error));
        }
        append(text, i == 0 ? "%g" : " %g", number);
    }
    append(text, constant->rank == 0 ? "" : "]");
}

static void describe_attr(const tni_attr *attr, char *text) {
    append(text, "%.*s=", TNI_TEXT(attr->name));
    for (uint32_t i = 0; i < attr->count; i++) {
        append(text, i == 0 ? "" : " ");
        if (attr->ints != NULL) {
            append(text, "%lld", (long long)attr->ints[i]);
        } else if (attr->floats != NULL) {
            append(text, "%g", (double)attr->floats[i]);
        } else {
            append(text, "%.*s", TNI_TEXT(attr->texts[i]));
        }
    }
}

static void describe_node(model_fixture *f, const tni_presentation *p, uint32_t id, char *text) {
    const tni_node *node = &f->model->nodes[id];
    if (p->forms[id].graph != TN_NONE) {
        const tni_graph *graph = &f->model->graphs[p->forms[id].graph];
        for (uint32_t i = 0; i < graph->node_count; i++) {
            describe_node(f, p, graph->nodes[i], text);
        }
        return;
    }
    append(text, text[0] == '\0' ? "" : " ");
    append(text, "%.*s-%u(", TNI_TEXT(node->op_type), p->forms[id].since_version);
    for (uint32_t i = 0; i < node->input_count; i++) {
        append(text, i == 0 ? "" : ",");
        describe_value(f, node->inputs[i], text);
    }
    append(text, ")");
    for (uint32_t i = 0; i < node->attr_count; i++) {
        append(text, i == 0 ? "{" : ",");
        describe_attr(&node->attrs[i], text);
    }
    append(text, node->attr_count > 0 ? "}" : "");
}

static void presentation_init__case(void **state) {
    model_fixture *f = *state;
    int wrong = 0;
    for (size_t i = 0; i < version_case_count; i++) {
        const version_case *c = &version_cases[i];
        const tn_op_list ops = {
            .ops = &c->known, .op_count = 1, .op_stride_bytes = sizeof c->known};
        tni_presentation shown;
        bool changed = false;
        char text[1024] = "";
        onnx_begin(&f->b, c->opset);
        c->build(&f->b);
        onnx_output_untyped(&f->b, "y");
        import_built(f);
        must(f, tni_shapes_infer(f->model, &f->error));
        const uint32_t id = f->model->graphs[0].nodes[0];
        must(f, tni_presentation_init(f->model, &ops, &shown, &changed, &f->error));
        describe_node(f, &shown, id, text);
        if (strcmp(text, c->expected) != 0 || shown.forms[id].limit != c->limit) {
            print_message("%s:\n  %s, limit %u\n  expected %s, limit %u\n", c->name, text,
                          shown.forms[id].limit, c->expected, c->limit);
        }
        wrong += strcmp(text, c->expected) != 0 || shown.forms[id].limit != c->limit;
        // What is shown can be seen as a whole, and the model is still in order.
        must(f, tni_shapes_infer(f->model, &f->error));
        must(f, tni_model_validate(f->model, &f->error));
        tni_view *view = NULL;
        const tni_view_spec spec = {.forms = shown.forms};
        must(f, tni_view_build(&f->allocator.alloc, f->model, &spec, &view, &f->error));
        tni_view_destroy(view);
        tni_presentation_deinit(&shown);
        tni_model_destroy(f->model);
        f->model = NULL;
        pb_free(&f->bytes);
    }
    assert_int_equal(wrong, 0);
}

// Whichever allocation fails, the model stays in order and can be presented afterwards.
static void presentation_init__survives_failing_allocations(void **state) {
    model_fixture *f = *state;
    static const tn_op_record known = {"", "Softmax", 13, 13};
    static const tn_op_list ops = {.ops = &known, .op_count = 1, .op_stride_bytes = sizeof known};
    tn_status status = TN_ERROR_OUT_OF_MEMORY;
    uint64_t failing = 0;
    for (; status != TN_OK && failing < 1000; failing++) {
        tni_presentation shown;
        bool changed = false;
        char text[1024] = "";
        onnx_begin(&f->b, 11);
        model_softmax(&f->b);
        onnx_output_untyped(&f->b, "y");
        import_built(f);
        must(f, tni_shapes_infer(f->model, &f->error));
        test_alloc_reset(&f->allocator, TEST_ALLOC_FAIL_ONE, failing);
        status = tni_presentation_init(f->model, &ops, &shown, &changed, &f->error);
        test_alloc_reset(&f->allocator, TEST_ALLOC_NORMAL, 0);
        assert_true(status == TN_OK || status == TN_ERROR_OUT_OF_MEMORY);
        tni_presentation_deinit(&shown);
        must(f, tni_model_validate(f->model, &f->error));
        must(f, tni_presentation_init(f->model, &ops, &shown, &changed, &f->error));
        describe_node(f, &shown, f->model->graphs[0].nodes[0], text);
        assert_string_equal(text, "Flatten-13(x){axis=1} Softmax-13(?){axis=-1} Shape-13(x) "
                                  "Reshape-13(?,?)");
        tni_presentation_deinit(&shown);
        tni_model_destroy(f->model);
        f->model = NULL;
        pb_free(&f->bytes);
    }
    assert_int_equal(status, TN_OK);
    assert_true(failing > 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_CASE(presentation_init__case),
        MODEL_CASE(presentation_init__survives_failing_allocations),
    };
    return cmocka_run_group_tests_name("graph_present", tests, NULL, NULL);
}
