// SPDX-License-Identifier: Apache-2.0
// Manifests: every hand-made file of the corpus against the error id in its name, every id against
// the corpus, thousands of mutants of all of them, and allocation failures.
#include "loader/manifest.h"

#include "base/error.h"
#include "base/string.h"
#include "support/test_alloc.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define CORPUS TN_TEST_SOURCE_DIR "/tests/fuzz/corpus/manifest"
#define MAX_SEEDS 256u
#define MUTANTS_PER_SEED 40u

typedef struct seed {
    char name[128]; // "manifest.name--upper.json"; before "--": the error id, or "good"
    char *data;
    size_t size;
} seed;

typedef struct corpus {
    seed seeds[MAX_SEEDS];
    uint32_t count;
    test_alloc alloc;
    uint64_t random;
} corpus;

static char *read_file(const char *path, size_t *out_size) {
    struct stat info;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &info), 0);
    *out_size = (size_t)info.st_size;
    char *data = malloc(*out_size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *out_size, file), *out_size);
    data[*out_size] = '\0';
    fclose(file);
    return data;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const seed *)a)->name, ((const seed *)b)->name);
}

static int setup(void **state) {
    corpus *own = calloc(1, sizeof(*own));
    DIR *folder = opendir(CORPUS);
    const struct dirent *entry = NULL;
    assert_non_null(own);
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        char path[512];
        if (strstr(entry->d_name, "--") == NULL) {
            continue;
        }
        assert_true(own->count < MAX_SEEDS);
        seed *next = &own->seeds[own->count++];
        snprintf(next->name, sizeof(next->name), "%.120s", entry->d_name);
        snprintf(path, sizeof(path), CORPUS "/%.120s", entry->d_name);
        next->data = read_file(path, &next->size);
    }
    closedir(folder);
    qsort(own->seeds, own->count, sizeof(own->seeds[0]), by_name);
    test_alloc_init(&own->alloc);
    own->random = 20261120;
    *state = own;
    return 0;
}

static int teardown(void **state) {
    corpus *own = *state;
    for (uint32_t i = 0; i < own->count; i++) {
        free(own->seeds[i].data);
    }
    assert_true(test_alloc_clean(&own->alloc));
    test_alloc_deinit(&own->alloc);
    free(own);
    return 0;
}

static tn_status parse(corpus *own, const void *data, size_t size, tni_manifest *out_manifest,
                       tn_error *error) {
    memset(out_manifest, 0xa5, sizeof(*out_manifest));
    memset(error, 0xa5, sizeof(*error));
    tni_error_init(error);
    return tni_manifest_parse(&own->alloc.alloc, data, size, out_manifest, error);
}

static void parse__every_file_gives_the_id_in_its_name(void **state) {
    corpus *own = *state;
    uint32_t good = 0;
    assert_true(own->count >= 100);
    for (uint32_t i = 0; i < own->count; i++) {
        const seed *from = &own->seeds[i];
        tni_manifest manifest;
        tn_error error;
        char wanted[64];
        const size_t length = (size_t)(strstr(from->name, "--") - from->name);
        snprintf(wanted, sizeof(wanted), "%.*s", (int)length, from->name);
        const tn_status status = parse(own, from->data, from->size, &manifest, &error);
        if (strcmp(wanted, "good") == 0) {
            good++;
            if (status != TN_OK) {
                fail_msg("%s: %s: %s", from->name, error.id, error.text);
            }
            assert_non_null(manifest.library);
        } else {
            assert_int_not_equal(status, TN_OK);
            assert_int_equal(status, error.status);
            if (strcmp(error.id, wanted) != 0 || error.text[0] == '\0') {
                fail_msg("%s: id %s: %s", from->name, error.id, error.text);
            }
        }
        tni_manifest_deinit(&manifest);
    }
    assert_true(good >= 10);
}

// Whether a file gives this id.
static bool has_file(const corpus *own, const char *id) {
    const size_t size = strlen(id);
    // About files, which the corpus has none of; the loader's tests have.
    bool found = strcmp(id, "manifest.unreadable") == 0;
    for (uint32_t i = 0; i < own->count && !found; i++) {
        found = strncmp(own->seeds[i].name, id, size) == 0 &&
                strncmp(own->seeds[i].name + size, "--", 2) == 0;
    }
    return found;
}

// Every text in quotes of a source that consists of these characters and has one of `needed`.
static uint32_t check_ids(const corpus *own, const char *path, const char *prefix,
                          const char *needed) {
    size_t size = 0;
    uint32_t ids = 0;
    char *source = read_file(path, &size);
    for (char *at = strchr(source, '"'); at != NULL; at = strchr(at + 1, '"')) {
        char id[80];
        const size_t length = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz0123456789-.");
        snprintf(id, sizeof(id), "%s%.*s", prefix, (int)length, at + 1);
        if (length == 0 || at[1 + length] != '"' || at[length] == '-' ||
            strpbrk(id + strlen(prefix), needed) == NULL || strncmp(id, "manifest.", 9) != 0) {
            continue;
        }
        if (!has_file(own, id)) {
            fail_msg("no file for %s", id);
        }
        ids++;
    }
    free(source);
    return ids;
}

// The ids are read from the sources, so that a new one without a file is noticed.
static void parse__every_id_has_a_file(void **state) {
    corpus *own = *state;
    assert_true(has_file(own, "manifest.syntax") && has_file(own, "manifest.incomplete"));
    assert_true(check_ids(own, TN_TEST_SOURCE_DIR "/core/src/loader/manifest.c", "", ".") >= 12);
    assert_true(check_ids(own, TN_TEST_SOURCE_DIR "/core/src/base/json.c", "manifest.", "-") >= 12);
}

static void parse__reads_every_field(void **state) {
    corpus *own = *state;
    tni_manifest manifest;
    tn_error error;
    static const char text[] =
        "{\"manifest_version\": 1, \"name\": \"one\", \"vendor\": \"two\", \"description\": \"3\","
        "\"library\": \"four.so\", \"target\": {\"os\": \"five\", \"arch\": \"six\", \"libc\": "
        "\"seven\"}, \"abi\": {\"major\": 8, \"min_minor\": 9, \"max_minor\": 10}, \"sha256\": "
        "\"00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef\", \"requires_cpu\": "
        "[\"a\", \"b\"], \"requires_path\": [\"/c\"], \"license\": \"eleven\"}";
    assert_int_equal(parse(own, text, sizeof(text) - 1, &manifest, &error), TN_OK);
    assert_string_equal(manifest.name, "one");
    assert_string_equal(manifest.vendor, "two");
    assert_string_equal(manifest.description, "3");
    assert_string_equal(manifest.library, "four.so");
    assert_string_equal(manifest.os, "five");
    assert_string_equal(manifest.arch, "six");
    assert_string_equal(manifest.libc, "seven");
    assert_string_equal(manifest.license, "eleven");
    assert_int_equal(manifest.abi_major, 8);
    assert_int_equal(manifest.abi_min_minor, 9);
    assert_int_equal(manifest.abi_max_minor, 10);
    assert_int_equal(manifest.sha256[0], 0x00);
    assert_int_equal(manifest.sha256[15], 0xff);
    assert_int_equal(manifest.sha256[31], 0xef);
    assert_int_equal(manifest.requires_cpu.count, 2);
    assert_string_equal(manifest.requires_cpu.texts[1], "b");
    assert_int_equal(manifest.requires_path.count, 1);
    assert_string_equal(manifest.requires_path.texts[0], "/c");
    tni_manifest_deinit(&manifest);
}

static void parse__syntax_errors_have_an_offset(void **state) {
    corpus *own = *state;
    tni_manifest manifest;
    tn_error error;
    static const char text[] = "{\"manifest_version\": 1,\n\"name\": oops}";
    assert_int_equal(parse(own, text, sizeof(text) - 1, &manifest, &error), TN_ERROR_INVALID_DATA);
    assert_string_equal(error.id, "manifest.syntax");
    assert_true(error.byte_offset >= 32 && error.byte_offset <= 37);
    assert_non_null(strstr(error.text, "line 2"));
    tni_manifest_deinit(&manifest);
}

static uint32_t next_random(corpus *own, size_t below) {
    own->random = own->random * 6364136223846793005ull + 1442695040888963407ull;
    return below == 0 ? 0 : (uint32_t)((own->random >> 33) % below);
}

// One change of the kinds that broken editors and broken disks make. Returns the new size.
static size_t mutate(corpus *own, char *data, size_t size, const seed *other) {
    static const char *const words[] = {"\"",       "{",    "}",  "[",    "]",
                                        ",",        "null", "-1", "1e99", "\\u0000",
                                        "\"name\"", "..",   "/",  "\xff", "\n"};
    const size_t at = next_random(own, size);
    const char *word = words[next_random(own, sizeof(words) / sizeof(words[0]))];
    size_t length = strlen(word);
    switch (next_random(own, 6)) {
    case 0:
        data[at] = (char)(data[at] ^ (1 << next_random(own, 8)));
        return size;
    case 1:
        return at;
    case 2:
        length = 1 + next_random(own, size - at);
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 3:
        memmove(data + at + length, data + at, size - at);
        memcpy(data + at, word, length);
        return size + length;
    case 4:
        length = other->size > 200 ? 200 : other->size;
        memmove(data + at + length, data + at, size - at);
        memcpy(data + at, other->data + next_random(own, other->size - length + 1), length);
        return size + length;
    default:
        memcpy(data + at, word, length > size - at ? size - at : length);
        return size;
    }
}

// Whatever happens to a manifest: an id and a text, or a manifest in which everything is in range.
static void parse__mutants(void **state) {
    corpus *own = *state;
    uint32_t mutants = 0;
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < own->count; i++) {
        const seed *from = &own->seeds[i];
        for (uint32_t k = 0; k < MUTANTS_PER_SEED && from->size > 0; k++) {
            tni_manifest manifest;
            tn_error error;
            char *data = malloc(from->size + 2048);
            assert_non_null(data);
            memcpy(data, from->data, from->size);
            size_t size = from->size;
            for (uint32_t change = 0; change <= k % 3 && size > 0; change++) {
                size = mutate(own, data, size, &own->seeds[next_random(own, own->count)]);
            }
            // A block of exactly its size, so that a sanitizer sees every byte too far.
            char *exact = malloc(size > 0 ? size : 1);
            assert_non_null(exact);
            memcpy(exact, data, size);
            const tn_status status = parse(own, exact, size, &manifest, &error);
            if (status == TN_OK) {
                accepted++;
                assert_true(strlen(manifest.name) <= 32);
                assert_null(strstr(manifest.library, "../"));
                assert_true(manifest.library[0] != '/');
                assert_true(manifest.abi_min_minor <= manifest.abi_max_minor);
            } else {
                assert_int_equal(strncmp(error.id, "manifest.", 9), 0);
                assert_true(error.text[0] != '\0');
                assert_true(tni_utf8_valid(tni_string_of(error.text)));
            }
            tni_manifest_deinit(&manifest);
            free(exact);
            free(data);
            mutants++;
        }
    }
    print_message("%u mutants of %u seeds, %u of them still manifests\n", mutants, own->count,
                  accepted);
    assert_true(mutants >= 4000);
    assert_true(accepted > 0 && accepted < mutants / 2);
}

static void parse__allocation_failures(void **state) {
    corpus *own = *state;
    for (uint32_t i = 0; i < own->count; i++) {
        const seed *from = &own->seeds[i];
        tni_manifest manifest;
        tn_error error;
        if (strncmp(from->name, "good--", 6) != 0) {
            continue;
        }
        test_alloc_reset(&own->alloc, TEST_ALLOC_NORMAL, 0);
        assert_int_equal(parse(own, from->data, from->size, &manifest, &error), TN_OK);
        tni_manifest_deinit(&manifest);
        const uint64_t count = own->alloc.count;
        assert_true(count > 0);
        for (uint64_t k = 0; k < count; k++) {
            test_alloc_reset(&own->alloc, TEST_ALLOC_FAIL_FROM, k);
            assert_int_equal(parse(own, from->data, from->size, &manifest, &error),
                             TN_ERROR_OUT_OF_MEMORY);
            tni_manifest_deinit(&manifest);
            assert_true(test_alloc_clean(&own->alloc));
        }
        test_alloc_reset(&own->alloc, TEST_ALLOC_NORMAL, 0);
    }
}

static void read__files_and_what_is_none(void **state) {
    corpus *own = *state;
    tni_manifest manifest;
    tn_error error;
    static const struct {
        const char *path;
        tn_status status;
        const char *id;
    } cases[] = {
        {CORPUS "/good--full.json", TN_OK, ""},
        {CORPUS "/manifest.too-large--fill.json", TN_ERROR_LIMIT_EXCEEDED, "manifest.too-large"},
        {CORPUS "/nothing.json", TN_ERROR_NOT_FOUND, "manifest.unreadable"},
        {CORPUS, TN_ERROR_INVALID_DATA, "manifest.unreadable"},
        {"/dev/zero", TN_ERROR_INVALID_DATA, "manifest.unreadable"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tni_error_init(&error);
        assert_int_equal(tni_manifest_read(&own->alloc.alloc, cases[i].path, &manifest, &error),
                         cases[i].status);
        assert_string_equal(error.id, cases[i].id);
        tni_manifest_deinit(&manifest);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(parse__every_file_gives_the_id_in_its_name),
        CASE(parse__every_id_has_a_file),
        CASE(parse__reads_every_field),
        CASE(parse__syntax_errors_have_an_offset),
        CASE(parse__mutants),
        CASE(parse__allocation_failures),
        CASE(read__files_and_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
