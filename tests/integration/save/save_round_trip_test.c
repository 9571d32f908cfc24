// SPDX-License-Identifier: Apache-2.0
// Import, write, import: every model of ONNX's test sets comes back as the same graph, and writing
// that again gives the same bytes. Once as imported, once in canonical form. With TENON_ONNX_NEWEST
// set, the newest node set alone.
#include "base/error.h"
#include "graph/rewrite/rewrite.h"
#include "onnx/import.h"
#include "onnx/write.h"
#include "support/model_compare.h"
#include "support/onnx_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA_DIR "/usr/share/libonnx-testdata/data"

typedef struct trip {
    char folder[64];
    char first[128];
    char second[128];
    tn_error error;
    char text[640]; // what differs
} trip;

static tn_status read_model(trip *t, const char *path, bool canonical, tni_model **out) {
    const tni_import_info info = {.path = path};
    tn_status status = tni_onnx_import(&info, out, &t->error);
    if (status == TN_OK && canonical) {
        status = tni_model_canonicalise(*out, NULL, &t->error);
    }
    return status;
}

static void read_bytes(const char *path, pb *out) {
    uint8_t block[4096];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t got = fread(block, 1, sizeof block, file); got > 0;
         got = fread(block, 1, sizeof block, file)) {
        pb_append(out, block, got);
    }
    fclose(file);
}

static bool same_files(const char *a, const char *b) {
    pb left = {NULL, 0, 0};
    pb right = {NULL, 0, 0};
    read_bytes(a, &left);
    read_bytes(b, &right);
    const bool same = left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
    pb_free(&left);
    pb_free(&right);
    return same;
}

// A canonical model may need Identity nodes at the ends of bodies, which the next import sees: only
// what was imported is compared as a graph.
static bool goes_round(trip *t, const char *path, bool canonical) {
    tni_model *before = NULL;
    tni_model *after = NULL;
    const tni_write_info first = {.path = t->first};
    const tni_write_info second = {.path = t->second};
    bool good = read_model(t, path, canonical, &before) == TN_OK &&
                tni_onnx_write(before, &first, &t->error) == TN_OK &&
                read_model(t, t->first, false, &after) == TN_OK &&
                tni_onnx_write(after, &second, &t->error) == TN_OK;
    snprintf(t->text, sizeof t->text, "%s: %s", t->error.id, t->error.text);
    if (good && !canonical) {
        good = models_equal(before, after, t->text, sizeof t->text);
    }
    if (good && !same_files(t->first, t->second)) {
        snprintf(t->text, sizeof t->text, "the bytes are not stable");
        good = false;
    }
    tni_model_destroy(after);
    tni_model_destroy(before);
    return good;
}

// What import refuses is not ours to write.
static bool is_importable(trip *t, const char *path) {
    tni_model *model = NULL;
    const bool good = read_model(t, path, true, &model) == TN_OK;
    tni_model_destroy(model);
    return good;
}

static void go_through(const char *root, const char *set, uint32_t floor) {
    struct dirent **entries = NULL;
    char folder[1024];
    trip t = {.folder = "/tmp/tenon-save-XXXXXX"};
    uint32_t done = 0;
    uint32_t wrong = 0;
    tni_error_init(&t.error);
    assert_non_null(mkdtemp(t.folder));
    snprintf(t.first, sizeof t.first, "%s/first.onnx", t.folder);
    snprintf(t.second, sizeof t.second, "%s/second.onnx", t.folder);
    snprintf(folder, sizeof folder, "%s/%s", root, set);
    const int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[2048];
        snprintf(path, sizeof path, "%s/%s/model.onnx", folder, entries[i]->d_name);
        if (access(path, R_OK) == 0 && is_importable(&t, path)) {
            for (int canonical = 0; canonical < 2; canonical++) {
                if (!goes_round(&t, path, canonical != 0)) {
                    print_message("%s%s: %s\n", entries[i]->d_name,
                                  canonical != 0 ? " (canonical)" : "", t.text);
                    wrong++;
                }
            }
            done++;
        }
        free(entries[i]);
    }
    free(entries);
    (void)unlink(t.first);
    (void)unlink(t.second);
    // Nothing temporary is left behind.
    assert_int_equal(rmdir(t.folder), 0);
    print_message("%s: %u models, %u wrong\n", set, done, wrong);
    assert_int_equal(wrong, 0);
    assert_true(done >= floor);
}

static void installed_sets__go_round(void **state) {
    (void)state;
    if (getenv("TENON_ONNX_NEWEST") != NULL || access(DATA_DIR, R_OK) != 0) {
        skip();
    }
    go_through(DATA_DIR, "node", 932);
    go_through(DATA_DIR, "simple", 23);
    go_through(DATA_DIR, "pytorch-converted", 82);
    go_through(DATA_DIR, "pytorch-operator", 35);
}

static void newest_set__goes_round(void **state) {
    (void)state;
    const char *root = getenv("TENON_ONNX_NEWEST");
    if (root == NULL) {
        skip();
    }
    go_through(root, "node", 1884);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(installed_sets__go_round),
        cmocka_unit_test(newest_set__goes_round),
    };
    return cmocka_run_group_tests_name("save_round_trip", tests, NULL, NULL);
}
