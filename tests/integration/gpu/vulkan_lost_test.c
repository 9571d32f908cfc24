// SPDX-License-Identifier: Apache-2.0
// The Vulkan plugin on a device that is lost. The driver never loses its device, so this executable
// stands in front of two of its functions and loses it on command.
#include "gpu_direct.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

// Exported, so that the plugin finds these definitions before the loader's.
#pragma GCC visibility push(default)
#include <vulkan/vulkan.h>
#pragma GCC visibility pop

#include <cmocka.h>

static atomic_uint lose_submit;
static atomic_uint lose_wait;
static VkQueue last_queue; // submitted to

static void find_real(void *out_function, const char *name) {
    void *loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *found = dlsym(loader, name);
    (void)dlclose(loader);
    memcpy(out_function, &found, sizeof(found));
}

VKAPI_ATTR VkResult VKAPI_CALL vkQueueSubmit(VkQueue queue, uint32_t count,
                                             const VkSubmitInfo *submits, VkFence fence) {
    PFN_vkQueueSubmit real;
    find_real(&real, "vkQueueSubmit");
    last_queue = queue;
    return atomic_load(&lose_submit) ? VK_ERROR_DEVICE_LOST : real(queue, count, submits, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL vkWaitSemaphores(VkDevice device, const VkSemaphoreWaitInfo *info,
                                                uint64_t timeout) {
    PFN_vkWaitSemaphores real;
    find_real(&real, "vkWaitSemaphores");
    return atomic_load(&lose_wait) ? VK_ERROR_DEVICE_LOST : real(device, info, timeout);
}

typedef struct lost_fixture {
    direct d;
    abi_program program;
    view_builder *builder;
    tn_memory *memory;
    tn_fence *gate;
    tn_fence *done;
} lost_fixture;

static bool lost_open(lost_fixture *f) {
    atomic_store(&lose_submit, 0);
    atomic_store(&lose_wait, 0);
    if (!direct_open(&f->d)) {
        return false;
    }
    direct_double(&f->d, COUNT, &f->builder, &f->program);
    f->memory = direct_memory(&f->d, f->d.heap_count - 1, COUNT * 8);
    f->gate = direct_fence(&f->d, 0);
    f->done = direct_fence(&f->d, 0);
    return true;
}

static tn_status lost_submit(lost_fixture *f, uint64_t wait, uint64_t signal) {
    const tn_fence_point gate = {f->gate, wait};
    const tn_fence_point done = {f->done, signal};
    return direct_submit(&f->d, &f->program, f->memory, 0, COUNT * 4, wait > 0 ? &gate : NULL,
                         &done);
}

// Every call that can fail says so from now on; what is destroyed goes.
static void lost_close(lost_fixture *f) {
    direct *d = &f->d;
    uint64_t value = 0;
    atomic_int seen;
    tn_fence_create_info create = {sizeof(create), TN_STRUCT_FENCE_CREATE_INFO, 0};
    tn_memory_alloc_info alloc = {.struct_size = sizeof(alloc),
                                  .struct_type = TN_STRUCT_MEMORY_ALLOC_INFO,
                                  .size_bytes = 4096,
                                  .alignment_bytes = 64};
    tn_fence *fence = NULL;
    tn_memory *memory = NULL;
    static unsigned char bytes[64];
    const tn_fence_point late = {f->gate, 100};
    atomic_init(&seen, 0);
    atomic_store(&lose_submit, 0);
    atomic_store(&lose_wait, 0);
    assert_int_equal(lost_submit(f, 0, 50), TN_ERROR_DEVICE_LOST);
    assert_int_equal(d->plugin.sync->fence_create(d->plugin.device, &create, &fence, &d->error),
                     TN_ERROR_DEVICE_LOST);
    assert_null(fence);
    assert_int_equal(d->plugin.memory->memory_alloc(d->plugin.device, &alloc, &memory, &d->error),
                     TN_ERROR_DEVICE_LOST);
    assert_null(memory);
    assert_int_equal(direct_copy(d, (tn_copy_end){.pointer = bytes},
                                 (tn_copy_end){.memory = f->memory}, sizeof(bytes), NULL, &late),
                     TN_ERROR_DEVICE_LOST);
    assert_int_equal(d->plugin.sync->fence_query(f->gate, &value, &d->error), TN_ERROR_DEVICE_LOST);
    assert_int_equal(d->plugin.sync->fence_signal(f->gate, 99, &d->error), TN_ERROR_DEVICE_LOST);
    assert_int_equal(d->plugin.sync->fence_wait(f->gate, 99, SECOND, &d->error),
                     TN_ERROR_DEVICE_LOST);
    assert_int_equal(d->plugin.sync->fence_on_reach(f->gate, 99, direct_note, &seen, &d->error),
                     TN_ERROR_DEVICE_LOST);
    d->plugin.sync->fence_destroy(f->gate);
    d->plugin.sync->fence_destroy(f->done);
    d->plugin.memory->memory_free(f->memory);
    abi_program_close(&f->program);
    view_builder_destroy(f->builder);
    direct_close(d);
    assert_int_equal(d->host.live_blocks, 0);
}

static void submit__says_that_the_device_is_lost(void **state) {
    (void)state;
    lost_fixture f;
    if (!lost_open(&f)) {
        skip();
    }
    atomic_store(&lose_submit, 1);
    assert_int_equal(lost_submit(&f, 0, 1), TN_ERROR_DEVICE_LOST);
    assert_int_equal(f.d.error.domain, TN_DOMAIN_VULKAN);
    assert_int_equal(f.d.error.native_code, VK_ERROR_DEVICE_LOST);
    lost_close(&f);
}

// Work that waited when the device went ends as failed, also what could not have started yet.
static void submit__that_waits_fails_when_the_device_is_lost(void **state) {
    (void)state;
    lost_fixture f;
    atomic_int seen[2];
    if (!lost_open(&f)) {
        skip();
    }
    for (int i = 0; i < 2; i++) {
        atomic_init(&seen[i], 0);
        assert_int_equal(lost_submit(&f, (uint64_t)i * 10 + 1, (uint64_t)i + 1), TN_OK);
        assert_int_equal(f.d.plugin.sync->fence_on_reach(f.done, (uint64_t)i + 1, direct_note,
                                                         &seen[i], &f.d.error),
                         TN_OK);
    }
    atomic_store(&lose_submit, 1);
    (void)f.d.plugin.sync->fence_signal(f.gate, 1, &f.d.error);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&seen[i]), 100 + TN_ERROR_DEVICE_LOST);
    }
    lost_close(&f);
}

// The watcher finds out while it waits for a batch.
static void submit__under_way_fails_when_the_device_is_lost(void **state) {
    (void)state;
    lost_fixture f;
    PFN_vkQueueWaitIdle wait_idle;
    uint64_t value = 0;
    if (!lost_open(&f)) {
        skip();
    }
    atomic_store(&lose_wait, 1);
    tn_status status = TN_OK;
    for (uint64_t i = 1; i < 100000 && status != TN_ERROR_DEVICE_LOST; i++) {
        status = lost_submit(&f, 0, i);
        assert_true(status == TN_OK || status == TN_ERROR_BUSY || status == TN_ERROR_DEVICE_LOST);
    }
    assert_int_equal(status, TN_ERROR_DEVICE_LOST);
    assert_int_equal(f.d.plugin.sync->fence_query(f.done, &value, &f.d.error),
                     TN_ERROR_DEVICE_LOST);
    // The driver's device is well: its work has to end before what it uses goes.
    find_real(&wait_idle, "vkQueueWaitIdle");
    assert_int_equal(wait_idle(last_queue), VK_SUCCESS);
    lost_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submit__says_that_the_device_is_lost),
        cmocka_unit_test(submit__that_waits_fails_when_the_device_is_lost),
        cmocka_unit_test(submit__under_way_fails_when_the_device_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
