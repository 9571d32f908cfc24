// SPDX-License-Identifier: Apache-2.0
// The end of a plugin that does not end: the host goes, and leaves it what it may still use.
#include "support/plugin_folder.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// Never gives memory back, so that what is left behind is no leak. One thread.
typedef struct block_arena {
    uint64_t used_bytes;
    uint64_t live_blocks;
    _Alignas(4096) unsigned char bytes[1u << 20];
} block_arena;

static void *arena_alloc(void *user_data, uint64_t size_bytes, uint64_t alignment_bytes) {
    block_arena *arena = user_data;
    const uint64_t begin = (arena->used_bytes + alignment_bytes - 1) & ~(alignment_bytes - 1);
    if (alignment_bytes > 4096 || begin > sizeof(arena->bytes) ||
        size_bytes > sizeof(arena->bytes) - begin) {
        return NULL;
    }
    arena->used_bytes = begin + size_bytes;
    arena->live_blocks++;
    return arena->bytes + begin;
}

static void arena_free(void *user_data, void *pointer, uint64_t size_bytes,
                       uint64_t alignment_bytes) {
    block_arena *arena = user_data;
    (void)size_bytes;
    (void)alignment_bytes;
    arena->live_blocks -= pointer != NULL;
}

// A plugin whose threads do not end in time: the host says so and goes, and leaves what the plugin
// may still touch: its library, and the memory that the host's services use.
static void shutdown__that_times_out_leaves_the_plugin_its_things(void **state) {
    (void)state;
    static block_arena memory;
    plugin_folder folder;
    tn_host_config config;
    tn_error error;
    char path[256];
    const char *paths = path;
    const char *dir = NULL;
    plugin_folder_init(&folder);
    plugin_folder_add(&folder, TN_TEST_EVIL_DIR "/evil.so", "shutdown-fails", "evil");
    plugin_folder_config(&folder, &dir, &config);
    plugin_folder_join(&folder, "shutdown-fails.so", path);
    config.allocator = (tn_allocator){arena_alloc, arena_free, &memory};
    config.search_dir_count = 0;
    config.plugin_paths = &paths;
    config.plugin_path_count = 1;
    tn_host *host = NULL;
    tn_error_init(&error);
    assert_int_equal(tn_host_create(&config, &host, &error), TN_OK);
    assert_int_equal(tn_host_device_count(host), 1);
    assert_int_equal(tn_host_shutdown(host, 1000000, &error), TN_ERROR_TIMEOUT);
    assert_non_null(strstr(error.text, "a thread did not end"));
    assert_int_equal(tn_host_device_count(host), 0);
    assert_int_equal(tn_host_shutdown(host, 1000000, &error), TN_OK); // never called twice
    tn_host_release(host);
    assert_true(memory.live_blocks > 0);
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(library);
    assert_int_equal(dlclose(library), 0);
    // The process goes on as before.
    plugin_folder_add_good(&folder);
    plugin_folder_config(&folder, &dir, &config);
    config.deny = &(const char *){"evil"};
    config.deny_count = 1;
    assert_int_equal(tn_host_create(&config, &host, &error), TN_OK);
    plugin_folder_assert_good(host);
    tn_host_release(host);
    plugin_folder_deinit(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shutdown__that_times_out_leaves_the_plugin_its_things),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
