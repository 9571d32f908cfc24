// SPDX-License-Identifier: Apache-2.0
// Hosts in several threads load and unload the same plugins at the same time: without probes, with
// probes, and with recorded verdicts that they all read and write.
#include "support/plugin_folder.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 8
#define ROUNDS 10

// The dynamic linker frees under a lock of its own that the sanitizer cannot see, so what malloc
// and free do when called from there is left out. Nothing of this project is.
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void) {
    return "called_from_lib:ld-linux-x86-64.so.2\n";
}

typedef struct job {
    const plugin_folder *folder;
    uint32_t skip_probe;
    const char *cache; // null: no recorded verdicts
    atomic_uint *failures;
} job;

// Asserts of the test library are for the main thread only, so failures are counted.
static void *load_and_unload(void *user_data) {
    const job *own = user_data;
    for (int round = 0; round < ROUNDS; round++) {
        const char *dir = NULL;
        tn_host_config config;
        tn_host *host = NULL;
        tn_error error;
        tn_error_init(&error);
        plugin_folder_config(own->folder, &dir, &config);
        config.skip_probe = own->skip_probe;
        config.no_probe_cache = own->cache == NULL;
        config.probe_cache_dir = own->cache;
        config.probe_timeout_ns = 60000000000ull;
        const tn_status status = tn_host_create(&config, &host, &error);
        if (status != TN_OK || tn_host_device_find(host, "null:null") == TN_NONE ||
            tn_host_device_find(host, "reference") == TN_NONE || tn_host_load_count(host) != 3) {
            atomic_fetch_add(own->failures, 1);
        }
        if (status == TN_OK && tn_host_shutdown(host, 5000000000ull, &error) != TN_OK) {
            atomic_fetch_add(own->failures, 1);
        }
        tn_host_release(host);
    }
    return NULL;
}

static void run(uint32_t skip_probe, const char *cache_name) {
    plugin_folder folder;
    pthread_t threads[THREADS];
    atomic_uint failures;
    atomic_init(&failures, 0);
    plugin_folder_init(&folder);
    plugin_folder_add_good(&folder);
    plugin_folder_add(&folder, TN_TEST_PLUGIN_DIR "/reference.so", "reference", "reference");
    plugin_folder_write(&folder, "broken.tenon.json", "{]", 2);
    char cache[256];
    plugin_folder_join(&folder, cache_name == NULL ? "" : cache_name, cache);
    const job all = {&folder, skip_probe, cache_name == NULL ? NULL : cache, &failures};
    for (int i = 0; i < THREADS; i++) {
        // The job is only read.
        assert_int_equal(
            pthread_create(&threads[i], NULL, load_and_unload, (void *)(uintptr_t)&all), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&failures), 0);
    plugin_folder_deinit(&folder);
}

static void load__in_eight_threads(void **state) {
    (void)state;
    run(1, NULL);
}

static void load__in_eight_threads_with_probes(void **state) {
    (void)state;
    run(0, NULL);
}

static void load__in_eight_threads_on_records(void **state) {
    (void)state;
    run(0, "cache");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__in_eight_threads),
        cmocka_unit_test(load__in_eight_threads_with_probes),
        cmocka_unit_test(load__in_eight_threads_on_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
