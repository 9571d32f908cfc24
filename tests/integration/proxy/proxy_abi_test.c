// SPDX-License-Identifier: Apache-2.0
// The proxy through the ABI alone: what does not cross is refused, a host end is touched only
// between waits and signals, and a child that is gone ends every wait and callback.
#include "support/abi_host.h"
#include "support/proxy/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BYTES 64u
#define LONG_NS 20000000000u

typedef struct fixture {
    abi_host host;
    abi_plugin plugin;
    tn_memory *memory;
    tn_fence *gate;
    tn_fence *done;
} fixture;

static tn_fence *make_fence(fixture *f) {
    const tn_fence_create_info info = {sizeof(info), TN_STRUCT_FENCE_CREATE_INFO, 0};
    tn_fence *fence = NULL;
    assert_int_equal(f->plugin.sync->fence_create(f->plugin.device, &info, &fence, NULL), TN_OK);
    return fence;
}

static tn_status alloc_memory(fixture *f, tn_memory **out_memory) {
    const tn_memory_alloc_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
        .size_bytes = BYTES,
        .alignment_bytes = 16,
    };
    return f->plugin.memory->memory_alloc(f->plugin.device, &info, out_memory, NULL);
}

static void open_all(fixture *f) {
    memset(f, 0, sizeof(*f));
    abi_host_init(&f->host, NULL);
    assert_int_equal(abi_plugin_open(&f->host, proxy_entry, &f->plugin, NULL), TN_OK);
    assert_int_equal(alloc_memory(f, &f->memory), TN_OK);
    f->gate = make_fence(f);
    f->done = make_fence(f);
}

static void close_all(fixture *f) {
    f->plugin.sync->fence_destroy(f->gate);
    f->plugin.sync->fence_destroy(f->done);
    f->plugin.memory->memory_free(f->memory);
    assert_int_equal(abi_plugin_close(&f->plugin), TN_OK);
    assert_int_equal(f->host.live_blocks, 0);
    assert_int_equal(f->host.wrong_free_count, 0);
}

static tn_status copy(fixture *f, tn_copy_end source, tn_copy_end destination, tn_fence_point wait,
                      tn_fence_point signal) {
    const tn_copy_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_COPY_INFO,
        .source = source,
        .destination = destination,
        .size_bytes = BYTES,
        .waits = &wait,
        .wait_count = 1,
        .signals = &signal,
        .signal_count = 1,
    };
    return f->plugin.memory->copy(f->plugin.device, &info, NULL);
}

static tn_status upload(fixture *f, void *from) {
    return copy(f, (tn_copy_end){.pointer = from}, (tn_copy_end){.memory = f->memory},
                (tn_fence_point){f->gate, 1}, (tn_fence_point){f->done, 1});
}

static tn_status download(fixture *f, void *to) {
    return copy(f, (tn_copy_end){.memory = f->memory}, (tn_copy_end){.pointer = to},
                (tn_fence_point){f->done, 1}, (tn_fence_point){f->done, 2});
}

static void memory__pointers_do_not_cross(void **state) {
    (void)state;
    fixture f;
    unsigned char bytes[BYTES] = {0};
    void *mapped = bytes;
    open_all(&f);
    const tn_memory_interface *memory = f.plugin.memory;
    tn_memory *imported = f.memory;
    const tn_memory_import_info info = {
        .struct_size = sizeof(info),
        .struct_type = TN_STRUCT_MEMORY_IMPORT_INFO,
        .access = TN_ACCESS_READ,
        .pointer = bytes,
        .size_bytes = BYTES,
    };
    assert_int_equal(memory->memory_import(f.plugin.device, &info, &imported, NULL),
                     TN_ERROR_UNSUPPORTED);
    assert_null(imported);
    assert_int_equal(memory->memory_map(f.memory, 0, BYTES, &mapped, NULL), TN_ERROR_UNSUPPORTED);
    assert_null(mapped);
    assert_int_equal(memory->cpu_begin(f.memory, 0, BYTES, TN_ACCESS_READ, NULL),
                     TN_ERROR_INVALID_STATE);
    close_all(&f);
}

static void copy__reads_after_the_waits_and_writes_before_the_signals(void **state) {
    (void)state;
    fixture f;
    unsigned char from[BYTES];
    unsigned char to[BYTES] = {0};
    open_all(&f);
    memset(from, 1, sizeof(from));
    assert_int_equal(upload(&f, from), TN_OK);
    assert_int_equal(download(&f, to), TN_OK);
    assert_int_equal(f.plugin.sync->fence_wait(f.done, 1, 20000000, NULL), TN_ERROR_TIMEOUT);
    memset(from, 2, sizeof(from));
    assert_int_equal(f.plugin.sync->fence_signal(f.gate, 1, NULL), TN_OK);
    assert_int_equal(f.plugin.sync->fence_wait(f.done, 2, LONG_NS, NULL), TN_OK);
    assert_memory_equal(to, from, sizeof(to));
    close_all(&f);
}

static void note(void *user_data, tn_status status) {
    atomic_store((atomic_int *)user_data, status);
}

static void lost__ends_waits_and_callbacks_and_stays(void **state) {
    (void)state;
    fixture f;
    unsigned char bytes[BYTES] = {0};
    atomic_int seen = TN_OK;
    uint64_t value = 9;
    open_all(&f);
    const tn_sync_interface *sync = f.plugin.sync;
    assert_int_equal(upload(&f, bytes), TN_OK);
    assert_int_equal(download(&f, bytes), TN_OK);
    assert_int_equal(sync->fence_on_reach(f.done, 2, note, &seen, NULL), TN_OK);
    proxy_kill();
    assert_int_equal(sync->fence_wait(f.done, 2, LONG_NS, NULL), TN_ERROR_DEVICE_LOST);
    assert_int_equal(sync->fence_query(f.done, &value, NULL), TN_ERROR_DEVICE_LOST);
    assert_int_equal(value, 0);
    assert_int_equal(sync->fence_signal(f.gate, 1, NULL), TN_ERROR_DEVICE_LOST);
    tn_memory *memory = f.memory;
    assert_int_equal(alloc_memory(&f, &memory), TN_ERROR_DEVICE_LOST);
    assert_null(memory);
    assert_int_equal(upload(&f, bytes), TN_ERROR_DEVICE_LOST);
    close_all(&f);
    assert_int_equal(atomic_load(&seen), TN_ERROR_DEVICE_LOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory__pointers_do_not_cross),
        cmocka_unit_test(copy__reads_after_the_waits_and_writes_before_the_signals),
        cmocka_unit_test(lost__ends_waits_and_callbacks_and_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
