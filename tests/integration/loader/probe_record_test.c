// SPDX-License-Identifier: Apache-2.0
// Recorded verdicts of probes: used once they are there, for exactly what they were made for, and
// ignored, with the reason in the load report, when anything about them is not right.
#include "support/plugin_folder.h"

#include "tenon/abi/verdict.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define EVIL TN_TEST_EVIL_DIR "/evil.so"

// plugins/ and cache/ in one temporary folder.
typedef struct fixture {
    plugin_folder root;
    plugin_folder plugins;
    plugin_folder cache;
    const char *dir;
    tn_host_config config;
    tn_host *host;
    char probe[512]; // of the null plugin, after begin
} fixture;

static int setup(void **state) {
    fixture *own = calloc(1, sizeof(*own));
    assert_non_null(own);
    plugin_folder_init(&own->root);
    plugin_folder_add_folder(&own->root, "plugins");
    snprintf(own->plugins.path, sizeof(own->plugins.path), "%.100s/plugins", own->root.path);
    snprintf(own->cache.path, sizeof(own->cache.path), "%.100s/cache", own->root.path);
    plugin_folder_add_good(&own->plugins);
    plugin_folder_config(&own->plugins, &own->dir, &own->config);
    own->config.no_probe_cache = 0;
    own->config.probe_cache_dir = own->cache.path;
    *state = own;
    return 0;
}

static int teardown(void **state) {
    fixture *own = *state;
    tn_host_release(own->host);
    plugin_folder_deinit(&own->root);
    free(own);
    return 0;
}

static void load(fixture *own, const char *name) {
    tn_error error;
    tn_load_entry entry;
    tn_error_init(&error);
    tn_host_release(own->host);
    own->host = NULL;
    assert_int_equal(tn_host_create(&own->config, &own->host, &error), TN_OK);
    assert_true(plugin_folder_find(own->host, name, 0, &entry));
    snprintf(own->probe, sizeof(own->probe), "%s", entry.probe);
}

// Creates a host; the null plugin must work, whatever became of its record.
static void begin(fixture *own) {
    load(own, "null");
    plugin_folder_assert_good(own->host);
}

static void assert_probed(fixture *own) {
    begin(own);
    assert_string_equal(own->probe, "probed");
}

static void assert_recorded(fixture *own) {
    begin(own);
    // recorded verdict of 2026-01-31T12:00:00Z
    if (strncmp(own->probe, "recorded verdict of 20", 22) != 0 || strlen(own->probe) != 40) {
        fail_msg("\"%s\"", own->probe);
    }
}

static void assert_ignored(fixture *own, const char *why) {
    begin(own);
    if (strncmp(own->probe, "probed; no recorded verdict: ", 29) != 0 ||
        strstr(own->probe, why) == NULL) {
        fail_msg("\"%s\", not \"%s\"", own->probe, why);
    }
}

// Files in the cache folder; the path of the last one.
static int list(const fixture *own, char out_path[256]) {
    int count = 0;
    DIR *folder = opendir(own->cache.path);
    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] != '.') {
            plugin_folder_join(&own->cache, entry->d_name, out_path);
            count++;
        }
    }
    closedir(folder);
    return count;
}

static void the_record(const fixture *own, char out_path[256]) {
    assert_int_equal(list(own, out_path), 1);
}

static void write_file(const char *path, const unsigned char *data, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(size == 0 ? 0 : fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void record__is_used_from_the_second_start_on(void **state) {
    fixture *own = *state;
    char path[256];
    struct stat info;
    assert_probed(own);
    the_record(own, path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(stat(own->cache.path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    own->config.probe_path = "/nowhere/tenon-probe"; // not needed any more
    assert_recorded(own);
    assert_recorded(own);
    assert_int_equal(list(own, path), 1);
}

static void record__is_neither_made_nor_used_when_switched_off(void **state) {
    fixture *own = *state;
    char path[256];
    own->config.no_probe_cache = 1;
    assert_probed(own);
    assert_int_equal(access(own->cache.path, F_OK), -1);
    own->config.no_probe_cache = 0;
    assert_probed(own);
    own->config.no_probe_cache = 1;
    assert_probed(own);
    assert_int_equal(list(own, path), 1);
}

static void record__default_folder_is_the_users(void **state) {
    fixture *own = *state;
    char before[4096] = "";
    char path[256];
    const char *cache = getenv("XDG_CACHE_HOME");
    snprintf(before, sizeof(before), "%s", cache == NULL ? "" : cache);
    own->config.probe_cache_dir = NULL;
    plugin_folder_join(&own->root, "xdg", path);
    assert_int_equal(setenv("XDG_CACHE_HOME", path, 1), 0);
    assert_probed(own);
    assert_recorded(own);
    plugin_folder_join(&own->root, "xdg/tenon", path);
    assert_int_equal(access(path, W_OK), 0);
    assert_int_equal(setenv("XDG_CACHE_HOME", before, 1), 0);
}

// An explicit time: the clock behind a file's own times may stand still between two starts.
static void set_modified(const char *path, time_t seconds) {
    const struct timespec times[] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void record__holds_for_one_state_of_library_and_manifest(void **state) {
    fixture *own = *state;
    char path[256];
    unsigned char *manifest = NULL;
    size_t size = 0;
    assert_probed(own);
    // The same bytes again are another file.
    plugin_folder_copy(&own->plugins, TN_TEST_PLUGIN_DIR "/null.so", "null.so");
    plugin_folder_join(&own->plugins, "null.so", path);
    set_modified(path, 1000000);
    assert_ignored(own, "changed");
    assert_recorded(own);
    set_modified(path, 2000000);
    assert_ignored(own, "changed");
    assert_recorded(own);
    plugin_folder_join(&own->plugins, "null.tenon.json", path);
    manifest = plugin_folder_read(path, &size);
    manifest[size++] = '\n';
    plugin_folder_write(&own->plugins, "null.tenon.json", manifest, size);
    free(manifest);
    assert_ignored(own, "changed");
    assert_recorded(own);
}

static void record__damaged_in_any_byte_is_ignored(void **state) {
    fixture *own = *state;
    char path[256];
    size_t size = 0;
    assert_probed(own);
    the_record(own, path);
    unsigned char *data = plugin_folder_read(path, &size);
    // A bit in every part of the file, the first and the last byte included.
    for (size_t i = 0; i <= 16; i++) {
        const size_t at = i * (size - 1) / 16;
        data[at] ^= 1u;
        write_file(path, data, size);
        data[at] ^= 1u;
        assert_ignored(own, "it is damaged");
        assert_recorded(own);
    }
    free(data);
}

static void record__cut_off_or_longer_is_ignored(void **state) {
    fixture *own = *state;
    char path[256];
    size_t size = 0;
    assert_probed(own);
    the_record(own, path);
    unsigned char *data = plugin_folder_read(path, &size);
    const size_t sizes[] = {0, 1, 90, size / 2, size - 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        write_file(path, data, sizes[i]);
        assert_ignored(own, sizes[i] < 98 ? "it is cut off" : "it is damaged");
    }
    unsigned char *twice = calloc(2, size);
    assert_non_null(twice);
    memcpy(twice, data, size);
    memcpy(twice + size, data, size);
    write_file(path, twice, 2 * size);
    assert_ignored(own, "it is damaged");
    assert_recorded(own);
    free(twice);
    free(data);
}

// Whole and well formed, but of another plugin.
static void record__of_another_path_is_ignored(void **state) {
    fixture *own = *state;
    char path[256];
    char other[256];
    size_t size = 0;
    assert_probed(own);
    the_record(own, path);
    unsigned char *data = plugin_folder_read(path, &size);
    plugin_folder_clear(&own->cache);
    plugin_folder_clear(&own->plugins);
    plugin_folder_add(&own->plugins, TN_TEST_PLUGIN_DIR "/null.so", "zero", "null");
    assert_probed(own);
    the_record(own, other);
    assert_string_not_equal(path, other);
    write_file(other, data, size);
    assert_ignored(own, "changed");
    free(data);
}

static void record__that_is_no_file_of_ours_is_ignored(void **state) {
    fixture *own = *state;
    char path[256];
    char moved[256];
    assert_probed(own);
    the_record(own, path);
    plugin_folder_join(&own->root, "moved", moved);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(symlink(moved, path), 0);
    assert_ignored(own, "symbolic link");
    assert_recorded(own); // the link was replaced, not followed
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_ignored(own, "not a regular file");
    assert_recorded(own);
    assert_int_equal(chmod(path, 0620), 0);
    assert_ignored(own, "others may write");
    assert_int_equal(chmod(path, 0602), 0);
    assert_ignored(own, "others may write");
    assert_recorded(own);
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
        assert_ignored(own, "another user");
        assert_recorded(own);
    }
}

static void folder__that_others_may_write_is_not_used(void **state) {
    fixture *own = *state;
    char path[256];
    assert_probed(own);
    assert_int_equal(chmod(own->cache.path, 0770), 0);
    assert_ignored(own, "others may write");
    assert_int_equal(chmod(own->cache.path, 0702), 0);
    assert_ignored(own, "others may write");
    assert_int_equal(chmod(own->cache.path, 0700), 0);
    assert_recorded(own);
    if (geteuid() == 0) {
        assert_int_equal(chown(own->cache.path, 12345, (gid_t)-1), 0);
        assert_ignored(own, "another user");
        assert_int_equal(chown(own->cache.path, 0, (gid_t)-1), 0);
    }
    plugin_folder_join(&own->root, "elsewhere", path);
    assert_int_equal(rename(own->cache.path, path), 0);
    assert_int_equal(symlink(path, own->cache.path), 0);
    assert_ignored(own, "cache");
    assert_int_equal(unlink(own->cache.path), 0);
    own->config.probe_cache_dir = "/proc/nowhere/tenon";
    assert_ignored(own, "No such file");
}

static void bad_verdict__is_never_recorded(void **state) {
    fixture *own = *state;
    char path[256];
    plugin_folder_clear(&own->plugins);
    plugin_folder_add(&own->plugins, EVIL, "constructor-aborts", "evil");
    for (int i = 0; i < 2; i++) {
        tn_load_entry entry;
        load(own, "evil");
        assert_true(plugin_folder_find(own->host, "evil", 0, &entry));
        assert_int_equal(entry.stage, TN_LOAD_PROBE);
        assert_string_equal(entry.probe, "probed");
        assert_int_equal(list(own, path), 0);
    }
}

// A host that ends between opening and ready leaves no record in force.
static void record__is_set_aside_while_it_is_trusted(void **state) {
    fixture *own = *state;
    char path[256];
    char aside[256];
    assert_probed(own);
    the_record(own, path);
    const size_t stem = strlen(path) - strlen(".record");
    snprintf(aside, sizeof(aside), "%.*s.aside", (int)stem, path);
    assert_int_equal(rename(path, aside), 0); // as a host that died would leave it
    assert_probed(own);
    assert_recorded(own);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(record__is_used_from_the_second_start_on),
        TEST(record__is_neither_made_nor_used_when_switched_off),
        TEST(record__default_folder_is_the_users),
        TEST(record__holds_for_one_state_of_library_and_manifest),
        TEST(record__damaged_in_any_byte_is_ignored),
        TEST(record__cut_off_or_longer_is_ignored),
        TEST(record__of_another_path_is_ignored),
        TEST(record__that_is_no_file_of_ours_is_ignored),
        TEST(folder__that_others_may_write_is_not_used),
        TEST(bad_verdict__is_never_recorded),
        TEST(record__is_set_aside_while_it_is_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
