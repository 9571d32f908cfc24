// SPDX-License-Identifier: Apache-2.0
// A model imported from bytes, with what the tests of core/src/graph need around it.
#ifndef TENON_TESTS_MODEL_FIXTURE_H
#define TENON_TESTS_MODEL_FIXTURE_H

#include "base/error.h"
#include "graph/graph.h"
#include "onnx/import.h"
#include "support/onnx_builder.h"
#include "support/recording_sink.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <stdlib.h>

typedef struct model_fixture {
    test_alloc allocator;
    recording_sink sink;
    pb bytes;
    onnx_builder b;
    tni_model *model;
    tn_error error;
} model_fixture;

static inline int model_set_up(void **state) {
    model_fixture *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return -1;
    }
    test_alloc_init(&f->allocator);
    recording_sink_init(&f->sink, TN_LOG_TRACE);
    tni_error_init(&f->error);
    *state = f;
    return 0;
}

static inline int model_tear_down(void **state) {
    model_fixture *f = *state;
    tni_model_destroy(f->model);
    const bool clean = test_alloc_clean(&f->allocator);
    test_alloc_deinit(&f->allocator);
    recording_sink_deinit(&f->sink);
    onnx_abandon(&f->b);
    pb_free(&f->bytes);
    free(f);
    return clean ? 0 : -1;
}

// Fails the test with the error's text unless the status is TN_OK.
static inline void must(model_fixture *f, tn_status status) {
    if (status != TN_OK) {
        print_message("%s: %s\n", f->error.id, f->error.text);
    }
    assert_int_equal(status, TN_OK);
}

// Imports f->bytes.
static inline void import_bytes(model_fixture *f) {
    const tni_import_info info = {.alloc = &f->allocator.alloc,
                                  .log = &f->sink.log,
                                  .data = f->bytes.data,
                                  .size_bytes = f->bytes.size};
    must(f, tni_onnx_import(&info, &f->model, &f->error));
}

// Imports what f->b has built.
static inline void import_built(model_fixture *f) {
    onnx_end(&f->b, &f->bytes);
    import_bytes(f);
}

static inline uint32_t value_named(const tni_model *model, const char *name) {
    for (uint32_t i = 0; i < model->value_count; i++) {
        if (tni_string_is(model->values[i].name, name)) {
            return i;
        }
    }
    fail_msg("no value '%s'", name);
    return TN_NONE;
}

// The i-th node of graph 0.
static inline tni_node *node_at(const tni_model *model, uint32_t i) {
    assert_true(i < model->graphs[0].node_count);
    return &model->nodes[model->graphs[0].nodes[i]];
}

#define MODEL_CASE(name) cmocka_unit_test_setup_teardown(name, model_set_up, model_tear_down)

#endif // TENON_TESTS_MODEL_FIXTURE_H
