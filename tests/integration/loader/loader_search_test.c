// SPDX-License-Identifier: Apache-2.0
// Where plugins are looked for and in which order, who wins, what policy and manifests keep out,
// and what is said about it.
#include "support/plugin_folder.h"

#include "tenon/abi/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define EVIL TN_TEST_EVIL_DIR "/evil.so"

typedef struct fixture {
    plugin_folder folder;
    const char *dir;
    tn_host_config config;
    tn_host *host;
    tn_load_entry entry;
} fixture;

static int setup(void **state) {
    fixture *own = calloc(1, sizeof(*own));
    assert_non_null(own);
    plugin_folder_init(&own->folder);
    plugin_folder_config(&own->folder, &own->dir, &own->config);
    *state = own;
    return 0;
}

static void end(fixture *own) {
    tn_host_release(own->host);
    own->host = NULL;
}

static int teardown(void **state) {
    fixture *own = *state;
    end(own);
    plugin_folder_deinit(&own->folder);
    free(own);
    unsetenv("TENON_PLUGIN_PATH");
    unsetenv("XDG_DATA_HOME");
    return 0;
}

static void begin(fixture *own) {
    tn_error error;
    tn_error_init(&error);
    end(own);
    assert_int_equal(tn_host_create(&own->config, &own->host, &error), TN_OK);
}

// The index-th entry of this name, or a failure.
static const tn_load_entry *find(fixture *own, const char *name, uint32_t index) {
    if (!plugin_folder_find(own->host, name, index, &own->entry)) {
        fail_msg("no entry %u named %s", index, name);
    }
    return &own->entry;
}

static void assert_failed(const tn_load_entry *entry, tn_load_stage stage, tn_status status,
                          tn_reason reason, const char *text) {
    if (entry->stage != stage || entry->status != status || entry->reason != reason ||
        strstr(entry->text, text) == NULL) {
        fail_msg("stage %s, status %s, reason %s: \"%s\" (wanted \"%s\")",
                 tn_load_stage_text(entry->stage), tn_status_text(entry->status),
                 tn_reason_text(entry->reason), entry->text, text);
    }
}

// The null plugin in a folder below.
static void add_in(fixture *own, const char *below) {
    plugin_folder inner;
    char path[256];
    plugin_folder_join(&own->folder, below, path);
    assert_true(snprintf(inner.path, sizeof(inner.path), "%s", path) < (int)sizeof(inner.path));
    plugin_folder_add_good(&inner);
}

static void search__names_are_sorted_and_others_ignored(void **state) {
    fixture *own = *state;
    plugin_folder_add(&own->folder, EVIL, "zz", "evil");
    plugin_folder_add(&own->folder, TN_TEST_PLUGIN_DIR "/null.so", "aa", "null");
    plugin_folder_write(&own->folder, "mm.tenon.json", "{", 1);
    plugin_folder_write(&own->folder, ".hidden.tenon.json", "{", 1);
    plugin_folder_write(&own->folder, "README", "x", 1);
    plugin_folder_write(&own->folder, "stray.so", "x", 1);
    plugin_folder_write(&own->folder, ".tenon.json", "{", 1);
    plugin_folder_add_folder(&own->folder, "below");
    begin(own);
    assert_int_equal(tn_host_load_count(own->host), 3);
    static const char *const names[] = {"null", "mm", "evil"};
    for (uint32_t i = 0; i < 3; i++) {
        tn_load_entry entry = {.struct_size = sizeof(entry), .struct_type = TN_STRUCT_LOAD_ENTRY};
        assert_int_equal(tn_host_load_get(own->host, i, &entry), TN_OK);
        assert_string_equal(entry.name, names[i]);
        assert_int_equal(entry.source, TN_SOURCE_DIR);
    }
    assert_failed(find(own, "mm", 0), TN_LOAD_MANIFEST, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
                  "line 1, byte 1");
}

static void search__order_of_sources(void **state) {
    fixture *own = *state;
    char paths[3][256];
    char list[300];
    char data[256];
    static const char *const folders[] = {"given", "environment", "user/tenon/plugins"};
    static const tn_load_source sources[] = {TN_SOURCE_DIR, TN_SOURCE_ENVIRONMENT, TN_SOURCE_USER};
    plugin_folder_add_folder(&own->folder, "given");
    plugin_folder_add_folder(&own->folder, "environment");
    plugin_folder_add_folder(&own->folder, "user");
    plugin_folder_add_folder(&own->folder, "user/tenon");
    plugin_folder_add_folder(&own->folder, "user/tenon/plugins");
    for (size_t i = 0; i < 3; i++) {
        add_in(own, folders[i]);
        plugin_folder_join(&own->folder, folders[i], paths[i]);
    }
    plugin_folder_join(&own->folder, "user", data);
    const char *dir = paths[0];
    own->config.search_dirs = &dir;
    own->config.search = TN_SEARCH_ENVIRONMENT | TN_SEARCH_USER;
    snprintf(list, sizeof(list), ":%.250s:", paths[1]);
    setenv("TENON_PLUGIN_PATH", list, 1);
    setenv("XDG_DATA_HOME", data, 1);
    // The first one wins, the others say so; with the winner gone the next one wins.
    for (uint32_t winner = 0; winner < 3; winner++) {
        begin(own);
        assert_int_equal(tn_host_load_count(own->host), 3 - winner);
        const tn_load_entry *entry = find(own, "null", 0);
        assert_int_equal(entry->source, sources[winner]);
        assert_int_equal(entry->status, TN_OK);
        assert_string_equal(entry->text, "");
        for (uint32_t i = winner + 1; i < 3; i++) {
            entry = find(own, "null", i - winner);
            assert_int_equal(entry->source, sources[i]);
            assert_failed(entry, TN_LOAD_POLICY, TN_ERROR_DENIED, TN_REASON_NOT_REGISTERED,
                          "a plugin \"null\" is loaded already, from ");
            assert_non_null(strstr(entry->text, paths[winner]));
        }
        assert_int_equal(tn_host_device_count(own->host), 1);
        end(own);
        char manifest[300];
        snprintf(manifest, sizeof(manifest), "%.250s/null.tenon.json", paths[winner]);
        assert_int_equal(unlink(manifest), 0);
    }
}

// A broken plugin in front does not hide a good one of the same name.
static void search__a_broken_first_leaves_its_name(void **state) {
    fixture *own = *state;
    plugin_folder_add(&own->folder, TN_TEST_PLUGIN_DIR "/null.so", "a", "null");
    plugin_folder_write(&own->folder, "a.so", "broken", 6);
    plugin_folder_add(&own->folder, TN_TEST_PLUGIN_DIR "/null.so", "b", "null");
    begin(own);
    assert_failed(find(own, "null", 0), TN_LOAD_DIGEST, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
                  "the manifest says sha256");
    assert_int_equal(find(own, "null", 1)->status, TN_OK);
}

static void search__a_folder_is_searched_once(void **state) {
    fixture *own = *state;
    plugin_folder_add_good(&own->folder);
    plugin_folder_link(&own->folder, own->folder.path, "again");
    char again[256];
    plugin_folder_join(&own->folder, "again", again);
    const char *dirs[] = {own->folder.path, own->folder.path, again};
    own->config.search_dirs = dirs;
    own->config.search_dir_count = 3;
    begin(own);
    assert_int_equal(tn_host_load_count(own->host), 1);
    plugin_folder_assert_good(own->host);
}

static void search__folders_that_are_not_there(void **state) {
    fixture *own = *state;
    char missing[256];
    char user[256];
    const char *dir = missing;
    plugin_folder_join(&own->folder, "nowhere", missing);
    plugin_folder_join(&own->folder, "nobody", user);
    own->config.search_dirs = &dir;
    own->config.search = TN_SEARCH_ALL;
    setenv("TENON_PLUGIN_PATH", missing, 1);
    setenv("XDG_DATA_HOME", user, 1);
    begin(own);
    // Named by somebody: a record each. The user's and the installation's: nothing.
    assert_int_equal(tn_host_load_count(own->host), 2);
    assert_failed(find(own, missing, 0), TN_LOAD_FOUND, TN_ERROR_NOT_FOUND, TN_REASON_NOT_USABLE,
                  "No such file or directory");
    assert_int_equal(own->entry.source, TN_SOURCE_DIR);
    assert_int_equal(find(own, missing, 1)->source, TN_SOURCE_ENVIRONMENT);
}

static void search__paths(void **state) {
    fixture *own = *state;
    char library[256];
    char manifest[256];
    char missing[256];
    char folder[256];
    plugin_folder_add_good(&own->folder);
    plugin_folder_add(&own->folder, EVIL, "plain", "evil");
    plugin_folder_join(&own->folder, "null.so", library);
    plugin_folder_join(&own->folder, "plain.tenon.json", manifest);
    plugin_folder_join(&own->folder, "missing.so", missing);
    plugin_folder_join(&own->folder, ".", folder);
    const char *paths[] = {missing, library, manifest, folder, library, ""};
    own->config.plugin_paths = paths;
    own->config.plugin_path_count = 6;
    own->config.search_dir_count = 0;
    own->config.probe_path = "/nowhere/tenon-probe"; // not used for paths
    begin(own);
    assert_int_equal(tn_host_load_count(own->host), 6);
    assert_failed(find(own, "missing", 0), TN_LOAD_FOUND, TN_ERROR_NOT_FOUND, TN_REASON_NOT_USABLE,
                  "missing.so: No such file or directory");
    plugin_folder_assert_good(own->host);
    assert_int_equal(find(own, "null", 0)->source, TN_SOURCE_PATH);
    assert_string_equal(own->entry.path, library);
    assert_int_equal(find(own, "evil", 0)->status, TN_OK);
    assert_failed(find(own, "null", 1), TN_LOAD_POLICY, TN_ERROR_DENIED, TN_REASON_NOT_REGISTERED,
                  "is loaded already, from ");
    // Both the folder and the empty path have no name; neither is a library.
    assert_failed(find(own, "", 0), TN_LOAD_DIGEST, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
                  "not a regular file");
    assert_failed(find(own, "", 1), TN_LOAD_FOUND, TN_ERROR_NOT_FOUND, TN_REASON_NOT_USABLE,
                  "No such file or directory");
}

static void search__allow_and_deny(void **state) {
    fixture *own = *state;
    static const struct {
        const char *allow;
        const char *deny;
        const char *text; // null: it loads
    } cases[] = {
        {NULL, NULL, NULL},
        {"null", NULL, NULL},
        {"n?l*", NULL, NULL},
        {"evil", NULL, "the allow list does not have \"null\""},
        {NULL, "null", "the deny list has \"null\""},
        {"null", "n*", "the deny list has \"null\""},
        {"*", "evil", NULL},
    };
    plugin_folder_add_good(&own->folder);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        own->config.allow = &cases[i].allow;
        own->config.allow_count = cases[i].allow == NULL ? 0 : 1;
        own->config.deny = &cases[i].deny;
        own->config.deny_count = cases[i].deny == NULL ? 0 : 1;
        begin(own);
        const tn_load_entry *entry = find(own, "null", 0);
        if (cases[i].text == NULL) {
            assert_int_equal(entry->status, TN_OK);
        } else {
            assert_failed(entry, TN_LOAD_POLICY, TN_ERROR_DENIED, TN_REASON_USER_FORBID,
                          cases[i].text);
        }
    }
}

typedef struct target_case {
    manifest_fields fields;
    tn_load_stage stage;
    tn_status status;
    tn_reason reason;
    const char *text;
} target_case;

static void search__not_for_this_machine(void **state) {
    fixture *own = *state;
    manifest_fields good;
    manifest_fields_init(&good, "null", "null.so");
    target_case cases[10];
    for (size_t i = 0; i < 10; i++) {
        cases[i] =
            (target_case){good, TN_LOAD_TARGET, TN_ERROR_UNSUPPORTED, TN_REASON_NOT_USABLE, ""};
    }
    cases[0].fields.os = "plan9";
    cases[0].text = "built for operating system \"plan9\", this host is \"linux\"";
    cases[1].fields.arch = "riscv64";
    cases[1].reason = TN_REASON_ISA_REJECTED;
    cases[1].text = "built for architecture \"riscv64\", this host is";
    cases[2].fields.libc = "musl";
    cases[2].text = "built for C library \"musl\", this host is \"glibc\"";
    cases[3].fields.abi_major = TN_ABI_VERSION_MAJOR + 1;
    cases[3].text = "the plugin is too new: it speaks ABI 2.0 to 2.";
    cases[4].fields.abi_major = TN_ABI_VERSION_MAJOR - 1;
    cases[4].text = "the plugin is too old: it speaks ABI 0.0 to 0.";
    cases[5].fields.abi_min_minor = TN_ABI_VERSION_MINOR + 1;
    cases[5].fields.abi_max_minor = TN_ABI_VERSION_MINOR + 9;
    cases[5].text = "the plugin is too new: it speaks ABI 1.";
    for (size_t i = 3; i <= 5; i++) {
        cases[i].status = TN_ERROR_VERSION_MISMATCH;
        cases[i].reason = TN_REASON_ABI_REJECTED;
    }
    cases[6].fields.requires_path = "[\"/nowhere/a\", \"/nowhere/b\"]";
    cases[6].status = TN_ERROR_NOT_FOUND;
    cases[6].reason = TN_REASON_DEP_MISSING;
    cases[6].text = "/nowhere/a (and every alternative): the plugin needs it";
    cases[7].fields.requires_cpu = "[\"warp-drive\"]";
    cases[7].stage = TN_LOAD_CPU;
    cases[7].reason = TN_REASON_ISA_REJECTED;
    cases[7].text = "\"warp-drive\", which this host does not know";
    cases[8].fields.library = "absent.so";
    cases[8].stage = TN_LOAD_DIGEST;
    cases[8].status = TN_ERROR_NOT_FOUND;
    cases[8].text = "absent.so: No such file or directory";
    cases[9].fields.sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    cases[9].stage = TN_LOAD_DIGEST;
    cases[9].status = TN_ERROR_INVALID_DATA;
    cases[9].text = "the manifest says sha256 00000000";
    plugin_folder_copy(&own->folder, TN_TEST_PLUGIN_DIR "/null.so", "null.so");
    for (size_t i = 0; i < 10; i++) {
        plugin_folder_manifest(&own->folder, "null.tenon.json", &cases[i].fields);
        begin(own);
        assert_failed(find(own, "null", 0), cases[i].stage, cases[i].status, cases[i].reason,
                      cases[i].text);
    }
    // One of several paths is enough, and a known feature that every such machine has.
    good.requires_path = "[\"/nowhere/a\", \"/\"]";
#if defined(__x86_64__)
    good.requires_cpu = "[\"sse2\"]";
#endif
    plugin_folder_manifest(&own->folder, "null.tenon.json", &good);
    begin(own);
    plugin_folder_assert_good(own->host);
}

static void search__library_outside_the_folder(void **state) {
    fixture *own = *state;
    manifest_fields fields;
    plugin_folder inner;
    char path[256];
    plugin_folder_add_folder(&own->folder, "in");
    plugin_folder_join(&own->folder, "in", path);
    assert_true(snprintf(inner.path, sizeof(inner.path), "%s", path) < (int)sizeof(inner.path));
    plugin_folder_copy(&own->folder, TN_TEST_PLUGIN_DIR "/null.so", "outside.so");
    plugin_folder_link(&inner, "../outside.so", "null.so");
    manifest_fields_init(&fields, "null", "null.so");
    plugin_folder_manifest(&inner, "null.tenon.json", &fields);
    const char *dir = inner.path;
    own->config.search_dirs = &dir;
    begin(own);
    assert_failed(find(own, "null", 0), TN_LOAD_DIGEST, TN_ERROR_DENIED, TN_REASON_NOT_USABLE,
                  "outside the manifest's folder");
    // A link that stays inside is fine, as versioned libraries are installed.
    plugin_folder_copy(&inner, TN_TEST_PLUGIN_DIR "/null.so", "null.so.1");
    char link[256];
    plugin_folder_join(&inner, "null.so", link);
    assert_int_equal(unlink(link), 0);
    plugin_folder_link(&inner, "null.so.1", "null.so");
    begin(own);
    plugin_folder_assert_good(own->host);
}

static void search__without_a_helper(void **state) {
    fixture *own = *state;
    plugin_folder_add_good(&own->folder);
    own->config.probe_path = "/nowhere/tenon-probe";
    begin(own);
    assert_failed(find(own, "null", 0), TN_LOAD_PROBE, TN_ERROR_NOT_FOUND, TN_REASON_NOT_USABLE,
                  "there is no helper: /nowhere/tenon-probe");
    own->config.skip_probe = 1;
    begin(own);
    plugin_folder_assert_good(own->host);
    // A helper that is something else: it ends without a word.
    own->config.skip_probe = 0;
    own->config.probe_path = "/bin/true";
    begin(own);
    assert_failed(find(own, "null", 0), TN_LOAD_PROBE, TN_ERROR_INVALID_DATA, TN_REASON_NOT_USABLE,
                  "the probe ended with exit code 0 in stage start");
    own->config.probe_path = own->folder.path; // executable, as folders are, but no program
    begin(own);
    assert_failed(find(own, "null", 0), TN_LOAD_PROBE, TN_ERROR_IO, TN_REASON_NOT_USABLE,
                  "Permission denied");
}

static void search__manifests_that_are_no_files(void **state) {
    fixture *own = *state;
    char path[256];
    plugin_folder_add_folder(&own->folder, "dir.tenon.json");
    plugin_folder_link(&own->folder, "nowhere", "link.tenon.json");
    plugin_folder_join(&own->folder, "pipe.tenon.json", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    plugin_folder_add_good(&own->folder);
    begin(own);
    assert_failed(find(own, "dir", 0), TN_LOAD_MANIFEST, TN_ERROR_INVALID_DATA,
                  TN_REASON_NOT_USABLE, "not a regular file");
    assert_failed(find(own, "link", 0), TN_LOAD_FOUND, TN_ERROR_NOT_FOUND, TN_REASON_NOT_USABLE,
                  "No such file or directory");
    assert_failed(find(own, "pipe", 0), TN_LOAD_MANIFEST, TN_ERROR_INVALID_DATA,
                  TN_REASON_NOT_USABLE, "not a regular file");
    plugin_folder_assert_good(own->host);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(search__names_are_sorted_and_others_ignored),
        CASE(search__order_of_sources),
        CASE(search__a_broken_first_leaves_its_name),
        CASE(search__a_folder_is_searched_once),
        CASE(search__folders_that_are_not_there),
        CASE(search__paths),
        CASE(search__allow_and_deny),
        CASE(search__not_for_this_machine),
        CASE(search__library_outside_the_folder),
        CASE(search__without_a_helper),
        CASE(search__manifests_that_are_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
