// SPDX-License-Identifier: Apache-2.0
// Every error id of the importer: a hand-made model provokes it, and the error says what, where in
// the file and where in the message. A last case lists the ids in the sources and wants one for
// each.
#include "base/error.h"
#include "onnx/importer.h"
#include "support/test_alloc.h"
#include "unit/onnx/error_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tenon-onnx-XXXXXX";
static char outside[] = "/tmp/tenon-onnx-outside-XXXXXX";

static void path_in(char *path, size_t capacity, const char *name) {
    snprintf(path, capacity, "%s/%s", folder, name);
}

static int make_folder(void **state) {
    char path[128];
    char target[128];
    const uint8_t bytes[64] = {1, 2, 3};
    pb data = {NULL, 0, 0};
    (void)state;
    if (mkdtemp(folder) == NULL || mkdtemp(outside) == NULL) {
        return -1;
    }
    pb_append(&data, bytes, sizeof bytes);
    path_in(path, sizeof path, "data.bin");
    pb_write_file(&data, path);
    snprintf(target, sizeof target, "%s/secret.bin", outside);
    pb_write_file(&data, target);
    pb_free(&data);
    path_in(path, sizeof path, "leak.bin");
    if (symlink(target, path) != 0) {
        return -1;
    }
    path_in(path, sizeof path, "sub");
    return mkdir(path, 0700);
}

static int remove_folder(void **state) {
    char path[128];
    static const char *const names[] = {"data.bin", "leak.bin"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        path_in(path, sizeof path, names[i]);
        unlink(path);
    }
    path_in(path, sizeof path, "sub");
    rmdir(path);
    snprintf(path, sizeof path, "%s/secret.bin", outside);
    unlink(path);
    rmdir(outside);
    return rmdir(folder);
}

// Imports a copy of exactly the model's bytes, so that ASan sees an over-read of one byte.
static tn_status import_case(const error_case *test, test_alloc *allocator, tn_error *error) {
    tni_import_limits limits = {0};
    pb model = {NULL, 0, 0};
    tni_model *imported = (tni_model *)(uintptr_t)1;
    test->make(&model, &limits);
    uint8_t *exact = malloc(model.size > 0 ? model.size : 1);
    assert_non_null(exact);
    if (model.size > 0) {
        memcpy(exact, model.data, model.size);
    }
    const tni_import_info info = {.alloc = &allocator->alloc,
                                  .data = exact,
                                  .size_bytes = model.size,
                                  .external_folder = test->with_folder != 0 ? folder : NULL,
                                  .limits = &limits};
    tni_error_init(error);
    const tn_status status = tni_onnx_import(&info, &imported, error);
    if (status == TN_OK) {
        tni_model_destroy(imported);
    } else {
        assert_null(imported);
        const bool inside = error->byte_offset <= model.size;
        assert_true(inside);
    }
    free(exact);
    pb_free(&model);
    return status;
}

static void import__names_what_is_wrong_and_where(void **state) {
    const error_case *test = *state;
    test_alloc allocator;
    tn_error error;
    test_alloc_init(&allocator);
    const tn_status status = import_case(test, &allocator, &error);
    if (strcmp(error.id, test->id) != 0) {
        print_message("got %s: %s\n", error.id, error.text);
    }
    assert_string_equal(error.id, test->id);
    assert_int_equal(status, test->status);
    assert_int_equal(error.status, test->status);
    assert_int_not_equal(error.byte_offset, TN_NO_OFFSET);
    if (test->path != NULL && strncmp(error.text, test->path, strlen(test->path)) != 0) {
        print_message("got %s\n", error.text);
        assert_string_equal(error.text, test->path);
    }
    assert_true(test_alloc_clean(&allocator));
    test_alloc_deinit(&allocator);
}

static void import__refuses_unclear_arguments(void **state) {
    const tni_import_info neither = {.path = NULL};
    const tni_import_info both = {.path = "x", .data = "y", .size_bytes = 1};
    tni_model *model = NULL;
    tn_error error;
    (void)state;
    assert_int_equal(tni_onnx_import(&neither, &model, &error), TN_ERROR_INVALID_ARGUMENT);
    tni_error_init(&error);
    assert_int_equal(tni_onnx_import(&both, &model, &error), TN_ERROR_INVALID_ARGUMENT);
    assert_string_equal(error.id, "onnx.arguments");
}

static void import__says_which_file_is_missing(void **state) {
    const tni_import_info info = {.path = "/nonexistent/model.onnx"};
    tni_model *model = NULL;
    tn_error error;
    (void)state;
    tni_error_init(&error);
    assert_int_equal(tni_onnx_import(&info, &model, &error), TN_ERROR_NOT_FOUND);
    assert_string_equal(error.id, "onnx.file-open");
    assert_int_equal(error.status, TN_ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, "/nonexistent/model.onnx"));
    assert_int_equal(error.domain, TN_DOMAIN_ERRNO);
}

static int open_steps(const char *location) {
    char path[128];
    const int at = open(folder, O_PATH | O_DIRECTORY);
    assert_true(at >= 0);
    snprintf(path, sizeof path, "%s", location);
    const int fd = tni_import_open_by_steps(at, path);
    const int os_error = errno;
    close(at);
    errno = os_error;
    return fd;
}

static void open_by_steps__follows_no_link(void **state) {
    static const char *const good[] = {"data.bin", "./data.bin"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const int fd = open_steps(good[i]);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_int_equal(open_steps("leak.bin"), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(open_steps("missing/data.bin"), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(open_steps("data.bin/x"), -1);
    assert_int_equal(errno, ENOTDIR);
}

static bool has_case(const char *id) {
    if (strcmp(id, "onnx.arguments") == 0 || strcmp(id, "onnx.file-open") == 0) {
        return true; // They have tests of their own above.
    }
    for (size_t i = 0; i < error_case_count; i++) {
        if (strcmp(error_cases[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

// Counts the ids in one line of source and those without a case.
static void check_line(const char *path, const char *line, int *ids, int *missing) {
    for (const char *at = strstr(line, "\"onnx."); at != NULL; at = strstr(at + 1, "\"onnx.")) {
        char id[64] = "";
        if (sscanf(at, "\"%63[a-z0-9.-]\"", id) != 1) {
            continue;
        }
        (*ids)++;
        if (!has_case(id)) {
            print_message("%s: no case for %s\n", path, id);
            (*missing)++;
        }
    }
}

static void check_file(const char *path, int *ids, int *missing) {
    char line[512];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        check_line(path, line, ids, missing);
    }
    fclose(file);
}

static void error_ids__all_have_a_case(void **state) {
    static const char source_folder[] = TN_TEST_SOURCE_DIR "/core/src/onnx";
    DIR *sources = opendir(source_folder);
    int ids = 0;
    int missing = 0;
    (void)state;
    assert_non_null(sources);
    for (struct dirent *entry = readdir(sources); entry != NULL; entry = readdir(sources)) {
        const size_t length = strlen(entry->d_name);
        if (length > 2 && strcmp(entry->d_name + length - 2, ".c") == 0) {
            char path[1024];
            snprintf(path, sizeof path, "%s/%s", source_folder, entry->d_name);
            check_file(path, &ids, &missing);
        }
    }
    closedir(sources);
    assert_true(ids > 70);
    assert_int_equal(missing, 0);
}

int main(void) {
    static struct CMUnitTest tests[256];
    size_t count = 0;
    for (size_t i = 0; i < error_case_count; i++) {
        tests[count++] = (struct CMUnitTest){
            .name = error_cases[i].id,
            .test_func = import__names_what_is_wrong_and_where,
            .initial_state = (void *)(uintptr_t)&error_cases[i],
        };
    }
    const struct CMUnitTest others[] = {
        cmocka_unit_test(import__refuses_unclear_arguments),
        cmocka_unit_test(import__says_which_file_is_missing),
        cmocka_unit_test(open_by_steps__follows_no_link),
        cmocka_unit_test(error_ids__all_have_a_case),
    };
    memcpy(tests + count, others, sizeof others);
    count += sizeof others / sizeof others[0];
    return _cmocka_run_group_tests("onnx_error", tests, count, make_folder, remove_folder);
}
