// SPDX-License-Identifier: Apache-2.0
// The search as seen from inside: with raised privileges nothing that a user can set has a say, and
// allocations may fail anywhere.
#include "loader/installation.h"
#include "loader/loader.h"
#include "support/plugin_folder.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void search__with_raised_privileges(void **state) {
    (void)state;
    plugin_folder folder;
    test_alloc alloc;
    tn_host_config config;
    plugin_folder_init(&folder);
    plugin_folder_add_folder(&folder, "tenon");
    plugin_folder_add_folder(&folder, "tenon/plugins");
    plugin_folder_write(&folder, "tenon/plugins/user.tenon.json", "{", 1);
    plugin_folder_write(&folder, "environment.tenon.json", "{", 1);
    setenv("TENON_PLUGIN_PATH", folder.path, 1);
    setenv("XDG_DATA_HOME", folder.path, 1);
    test_alloc_init(&alloc);
    tn_host_config_init(&config);
    config.search = TN_SEARCH_ENVIRONMENT | TN_SEARCH_USER;
    for (int secure = 0; secure < 2; secure++) {
        tni_loader loader = {.alloc = alloc.alloc, .config = &config, .secure_execution = secure};
        assert_int_equal(tni_loader_search(&loader), TN_OK);
        if (secure == 0) {
            assert_int_equal(loader.record_count, 2);
            assert_string_equal(loader.records[0]->name, "environment");
            assert_string_equal(loader.records[1]->name, "user");
        } else {
            assert_int_equal(loader.record_count, 1);
            assert_string_equal(loader.records[0]->name, "TENON_PLUGIN_PATH");
            assert_int_equal(loader.records[0]->stage, TN_LOAD_POLICY);
            assert_int_equal(loader.records[0]->status, TN_ERROR_DENIED);
            assert_non_null(strstr(loader.records[0]->text, "raised privileges"));
        }
        tni_loader_deinit(&loader);
    }
    unsetenv("TENON_PLUGIN_PATH");
    unsetenv("XDG_DATA_HOME");
    assert_true(test_alloc_clean(&alloc));
    test_alloc_deinit(&alloc);
    plugin_folder_deinit(&folder);
}

// Relative to the library only without raised privileges; the configured place comes last.
static void installation__places(void **state) {
    (void)state;
    char path[PATH_MAX];
    uint32_t count = 0;
    while (tni_installation_probe(count, false, path)) {
        assert_int_equal(path[0], '/');
        count++;
    }
    assert_true(count >= 2);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(tni_installation_probe(i, true, path));
        assert_int_equal(path[0] != '\0', i + 1 == count);
    }
    assert_true(tni_installation_plugins(0, false, path));
    assert_non_null(strstr(path, "/tenon/plugins"));
    assert_true(tni_installation_plugins(0, true, path));
    assert_string_equal(path, "");
    assert_true(tni_installation_plugins(1, true, path));
    assert_int_equal(path[0], '/');
    assert_false(tni_installation_plugins(2, true, path));
}

static void *pass_alloc(void *user_data, uint64_t size_bytes, uint64_t alignment_bytes) {
    const test_alloc *alloc = user_data;
    return alloc->alloc.alloc(alloc->alloc.user, size_bytes, alignment_bytes);
}

static void pass_free(void *user_data, void *pointer, uint64_t size_bytes,
                      uint64_t alignment_bytes) {
    const test_alloc *alloc = user_data;
    alloc->alloc.free(alloc->alloc.user, pointer, size_bytes, alignment_bytes);
}

// Fails each allocation of loading in turn, once alone and once with all after it.
static void load__allocation_failures(void **state) {
    (void)state;
    plugin_folder folder;
    test_alloc alloc;
    tn_host_config config;
    const char *dir = NULL;
    uint64_t count = 1;
    uint64_t refused = 0;
    plugin_folder_init(&folder);
    plugin_folder_add_good(&folder);
    plugin_folder_config(&folder, &dir, &config);
    config.skip_probe = 1;
    test_alloc_init(&alloc);
    config.allocator = (tn_allocator){pass_alloc, pass_free, &alloc};
    for (uint64_t i = 0; i < count * 2 + 1; i++) {
        tn_host *host = NULL;
        tn_error error;
        tn_error_init(&error);
        // The first round fails none and counts.
        test_alloc_reset(&alloc,
                         i == 0       ? TEST_ALLOC_NORMAL
                         : i % 2 == 1 ? TEST_ALLOC_FAIL_ONE
                                      : TEST_ALLOC_FAIL_FROM,
                         i == 0 ? 0 : (i - 1) / 2);
        const tn_status status = tn_host_create(&config, &host, &error);
        if (i == 0) {
            assert_int_equal(status, TN_OK);
            plugin_folder_assert_good(host);
            count = alloc.count;
            assert_true(count > 15);
        } else if (status == TN_OK) {
            // A candidate failed, and its record says why.
            tn_load_entry entry;
            assert_true(plugin_folder_find(host, "null", 0, &entry));
            assert_int_equal(entry.status, TN_ERROR_OUT_OF_MEMORY);
            assert_non_null(strstr(entry.text, "memory"));
        } else {
            assert_int_equal(status, TN_ERROR_OUT_OF_MEMORY);
            assert_null(host);
            refused++;
        }
        tn_host_release(host);
        assert_true(test_alloc_clean(&alloc));
    }
    print_message("%llu allocations, %llu of their failures end the host\n",
                  (unsigned long long)count, (unsigned long long)refused);
    assert_true(refused > 0 && refused < count * 2);
    test_alloc_deinit(&alloc);
    plugin_folder_deinit(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search__with_raised_privileges),
        cmocka_unit_test(installation__places),
        cmocka_unit_test(load__allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
