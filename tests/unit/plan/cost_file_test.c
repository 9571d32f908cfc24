// SPDX-License-Identifier: Apache-2.0
// Calibration files: a good one read into a table, every kind of bad one against its error id,
// stale devices, mutants, and allocation failures.
#include "plan/cost_file.h"

#include "base/error.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEED TN_TEST_SOURCE_DIR "/tests/fuzz/corpus/calibration/good--two-devices.json"
#define MUTANTS 4000u

typedef struct fixture {
    test_alloc alloc;
    tni_plugin plugin;
    tni_device devices[2];
    const tni_device *list[2];
    tni_cost_file_info info;
    tni_cost_table table;
    tni_cost_file file;
    tn_error error;
    char seed[4096];
    size_t seed_size;
} fixture;

static int setup(void **state) {
    static fixture f;
    memset(&f, 0, sizeof(f));
    test_alloc_init(&f.alloc);
    // Who made the plugin does not matter, only who made the device.
    (void)snprintf(f.plugin.vendor, sizeof(f.plugin.vendor), "%s", "p");
    (void)snprintf(f.plugin.build, sizeof(f.plugin.build), "%s", "b");
    for (uint32_t i = 0; i < 2; i++) {
        f.devices[i].plugin = &f.plugin;
        f.devices[i].host_index = i;
        (void)snprintf(f.devices[i].info.vendor, sizeof(f.devices[i].info.vendor), "%s", "v");
        (void)snprintf(f.devices[i].info.driver, sizeof(f.devices[i].info.driver), "%s", "d");
        (void)snprintf(f.devices[i].id, sizeof(f.devices[i].id), "%s", i == 0 ? "a:cpu" : "b:gpu");
        f.list[i] = &f.devices[i];
    }
    f.info = (tni_cost_file_info){f.list, 2, "test x 2"};
    FILE *file = fopen(SEED, "rb");
    assert_non_null(file);
    f.seed_size = fread(f.seed, 1, sizeof(f.seed) - 1, file);
    fclose(file);
    assert_true(f.seed_size > 900);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    assert_true(test_alloc_clean(&f->alloc));
    test_alloc_deinit(&f->alloc);
    return 0;
}

// The table has to be deinitialised.
static tn_status parse(fixture *f, const void *data, size_t size) {
    memset(&f->table, 0xa5, sizeof(f->table));
    memset(&f->file, 0xa5, sizeof(f->file));
    tni_error_init(&f->error);
    return tni_cost_file_parse(&f->alloc.alloc, &f->info, data, size, &f->table, &f->file,
                               &f->error);
}

static void parse__fills_the_table(void **state) {
    fixture *f = *state;
    assert_int_equal(parse(f, f->seed, f->seed_size), TN_OK);
    assert_string_equal(f->file.date, "2026-11-20T00:00:00Z");
    assert_int_equal(f->file.device_count, 2);
    assert_int_equal(f->file.stale_count, 0);
    assert_int_equal(f->file.pair_count, 2);
    const tni_class_cost *matmul = tni_cost_of_class(&f->table, &f->devices[0], TNI_OP_MATMUL);
    assert_int_equal(matmul->fixed_ns, 100);
    assert_int_equal(matmul->flops_per_second, 2000000000);
    assert_int_equal(matmul->bytes_per_second, 0);
    assert_int_equal(matmul->rows_per_second, 50000000);
    // What was not measured is looked up as other, or not at all.
    assert_int_equal(tni_cost_of_class(&f->table, &f->devices[0], TNI_OP_VIEW)->fixed_ns, 7);
    assert_null(tni_cost_of_class(&f->table, &f->devices[1], TNI_OP_MATMUL));
    assert_int_equal(tni_cost_of_pair(&f->table, NULL, &f->devices[0])->handover_ns, 500);
    const tni_pair_cost *pair = tni_cost_of_pair(&f->table, &f->devices[0], &f->devices[1]);
    assert_int_equal(pair->handover_ns, 70000);
    assert_int_equal(pair->copy_ns, 9000);
    assert_int_equal(pair->bytes_per_second, 8000000000);
    assert_null(tni_cost_of_pair(&f->table, &f->devices[1], &f->devices[0]));
    tni_cost_table_deinit(&f->table);
}

static void parse__leaves_stale_devices_out(void **state) {
    fixture *f = *state;
    (void)snprintf(f->devices[0].info.vendor, sizeof(f->devices[0].info.vendor), "%s", "other");
    assert_int_equal(parse(f, f->seed, f->seed_size), TN_OK);
    assert_int_equal(f->file.stale_count, 1);
    assert_null(tni_cost_of_class(&f->table, &f->devices[0], TNI_OP_MATMUL));
    tni_cost_table_deinit(&f->table);

    (void)snprintf(f->devices[0].info.vendor, sizeof(f->devices[0].info.vendor), "%s", "v");
    (void)snprintf(f->devices[1].info.driver, sizeof(f->devices[1].info.driver), "%s", "newer");
    assert_int_equal(parse(f, f->seed, f->seed_size), TN_OK);
    assert_int_equal(f->file.device_count, 1);
    assert_int_equal(f->file.stale_count, 1);
    assert_int_equal(f->file.pair_count, 1);
    assert_null(tni_cost_of_class(&f->table, &f->devices[1], TNI_OP_VIEW));
    assert_null(tni_cost_of_pair(&f->table, &f->devices[0], &f->devices[1]));
    tni_cost_table_deinit(&f->table);

    f->info.device_count = 1; // and those that are not here
    assert_int_equal(parse(f, f->seed, f->seed_size), TN_OK);
    assert_int_equal(f->file.device_count, 1);
    assert_int_equal(f->file.stale_count, 0);
    tni_cost_table_deinit(&f->table);
}

static void parse__bad_files_by_id(void **state) {
    fixture *f = *state;
    static const struct {
        const char *from; // of the seed, replaced by to
        const char *to;
        tn_status status;
        const char *id;
    } cases[] = {
        {"{\"schema_version\": 1", "[1", TN_ERROR_INVALID_DATA, "calibration.syntax"},
        {"\"schema_version\": 1", "\"schema_version\": 2", TN_ERROR_UNSUPPORTED,
         "calibration.version"},
        {"\"schema_version\": 1", "\"version\": 1", TN_ERROR_INVALID_DATA,
         "calibration.missing-key"},
        {"\"tenon\": \"0.1.0\"", "\"tenon\": \"0.1.0\", \"more\": 1", TN_ERROR_INVALID_DATA,
         "calibration.unknown-key"},
        {"\"tenon\": \"0.1.0\"", "\"tenon\": 1", TN_ERROR_INVALID_DATA, "calibration.wrong-type"},
        {"\"date\"", "\"kind\"", TN_ERROR_INVALID_DATA, "calibration.duplicate-key"},
        {"tenon-calibration", "tenon-run", TN_ERROR_INVALID_DATA, "calibration.kind"},
        {"test x 2", "test x 4", TN_ERROR_STALE, "calibration.machine"},
        {"test x 2", "test\\u0007x 2", TN_ERROR_INVALID_DATA, "calibration.control-character"},
        {"\"other\"", "\"another\"", TN_ERROR_INVALID_DATA, "calibration.class"},
        {"\"good\"", "\"best\"", TN_ERROR_INVALID_DATA, "calibration.trust"},
        {"100", "-1", TN_ERROR_INVALID_DATA, "calibration.out-of-range"},
        {"100", "1.5", TN_ERROR_INVALID_DATA, "calibration.wrong-type"},
        {"100", "99999999999999999999", TN_ERROR_INVALID_DATA, "calibration.number-range"},
        {"b:gpu", "a:cpu", TN_ERROR_INVALID_DATA, "calibration.duplicate-device"},
        {"\"from\": \"host\"", "\"from\": \"a:cpu\"", TN_ERROR_INVALID_DATA,
         "calibration.duplicate-pair"},
        {"\"pairs\": [", "\"pairs\": [5, ", TN_ERROR_INVALID_DATA, "calibration.wrong-type"},
        {"\"emulated\": true", "\"emulated\": 1", TN_ERROR_INVALID_DATA, "calibration.wrong-type"},
        {"\"classes\": {", "\"classes\": {\"view\": 3, ", TN_ERROR_INVALID_DATA,
         "calibration.wrong-type"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[5000];
        const char *at = strstr(f->seed, cases[i].from);
        assert_non_null(at);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - f->seed), f->seed, cases[i].to,
                 at + strlen(cases[i].from));
        if (parse(f, text, strlen(text)) != cases[i].status ||
            strcmp(f->error.id, cases[i].id) != 0) {
            fail_msg("%s: %s: %s", cases[i].id, f->error.id, f->error.text);
        }
        assert_null(tni_cost_of_class(&f->table, &f->devices[0], TNI_OP_MATMUL));
        assert_int_equal(f->file.device_count, 0);
        tni_cost_table_deinit(&f->table);
    }
}

static void parse__mutants(void **state) {
    fixture *f = *state;
    uint32_t good = 0;
    srand(20261120);
    for (uint32_t i = 0; i < MUTANTS; i++) {
        char *text = malloc(f->seed_size); // of its exact size, for sanitizers
        size_t size = f->seed_size;
        assert_non_null(text);
        memcpy(text, f->seed, size);
        for (uint32_t k = 0; k <= i % 3; k++) {
            const size_t at = (size_t)rand() % size;
            if (i % 5 == 0) {
                text[at] = (char)((unsigned char)text[at] ^ (1u << (rand() % 8)));
            } else if (i % 5 == 1) {
                text[at] = "{}[]\",:-19e.\\\n"[rand() % 14];
            } else {
                text[at] = f->seed[(size_t)rand() % f->seed_size];
            }
        }
        size = i % 7 == 0 ? 1 + (size_t)rand() % size : size;
        const tn_status status = parse(f, text, size);
        good += status == TN_OK;
        assert_true(status == TN_OK || strncmp(f->error.id, "calibration.", 12) == 0);
        tni_cost_table_deinit(&f->table);
        free(text);
    }
    assert_true(good > 0 && good < MUTANTS / 2);
}

static void parse__allocation_failures(void **state) {
    fixture *f = *state;
    assert_int_equal(parse(f, f->seed, f->seed_size), TN_OK);
    tni_cost_table_deinit(&f->table);
    const uint64_t count = f->alloc.count;
    assert_true(count > 0);
    for (uint64_t k = 0; k < count; k++) {
        test_alloc_reset(&f->alloc, TEST_ALLOC_FAIL_FROM, k);
        assert_int_equal(parse(f, f->seed, f->seed_size), TN_ERROR_OUT_OF_MEMORY);
        tni_cost_table_deinit(&f->table);
        assert_true(test_alloc_clean(&f->alloc));
    }
    test_alloc_reset(&f->alloc, TEST_ALLOC_NORMAL, 0);
}

static void read__files_that_cannot_be_used(void **state) {
    fixture *f = *state;
    char path[] = "/tmp/tenon-cost-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, f->seed, f->seed_size), f->seed_size);
    const struct {
        mode_t mode;
        off_t size;
        tn_status status;
        const char *id;
    } cases[] = {
        {0600, (off_t)f->seed_size, TN_OK, ""},
        {0622, (off_t)f->seed_size, TN_ERROR_DENIED, "calibration.distrusted"},
        {0600, (off_t)TNI_COST_FILE_MAX_BYTES + 1, TN_ERROR_LIMIT_EXCEEDED,
         "calibration.too-large"},
        {0600, 100, TN_ERROR_INVALID_DATA, "calibration.incomplete"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(fchmod(file, cases[i].mode), 0);
        assert_int_equal(ftruncate(file, cases[i].size), 0);
        tni_error_init(&f->error);
        assert_int_equal(
            tni_cost_file_read(&f->alloc.alloc, &f->info, path, &f->table, &f->file, &f->error),
            cases[i].status);
        assert_string_equal(f->error.id, cases[i].id);
        tni_cost_table_deinit(&f->table);
    }
    close(file);
    unlink(path);
    assert_int_equal(
        tni_cost_file_read(&f->alloc.alloc, &f->info, path, &f->table, &f->file, &f->error),
        TN_ERROR_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(parse__fills_the_table),     CASE(parse__leaves_stale_devices_out),
        CASE(parse__bad_files_by_id),     CASE(parse__mutants),
        CASE(parse__allocation_failures), CASE(read__files_that_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
