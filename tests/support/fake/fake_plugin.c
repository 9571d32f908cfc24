// SPDX-License-Identifier: Apache-2.0
// The fake plugin's entry, devices and controls.
#include "fake.h"

#include <stdio.h>
#include <string.h>

pthread_mutex_t fake_mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t fake_cond = PTHREAD_COND_INITIALIZER;

static fake_control controls[FAKE_DEVICE_COUNT];

void fake_reset(void) {
    memset(controls, 0, sizeof(controls));
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        controls[i].ops = FAKE_ALL;
    }
}

fake_control *fake_device(uint32_t device) {
    return &controls[device];
}

void fake_lock(void) {
    pthread_mutex_lock(&fake_mutex);
}

void fake_unlock(void) {
    pthread_cond_broadcast(&fake_cond);
    pthread_mutex_unlock(&fake_mutex);
}

bool fake_is_synchronous(const tn_device *device) {
    return device->index == FAKE_WORKER || device->index == FAKE_INLINE;
}

bool fake_uses_host_memory(const tn_device *device) {
    return device->index == FAKE_SHARED || fake_is_synchronous(device);
}

void fake_enter(const tn_device *device) {
    fake_lock();
    fake_control *control = fake_device(device->index);
    if ((control->flags & TN_DEVICE_OWN_THREADS) != 0 &&
        pthread_equal(device->opener, pthread_self()) == 0) {
        control->foreign_calls++;
    }
    fake_unlock();
}

static tn_status probe(tn_plugin *plugin, uint32_t *out_device_count, tn_error *error) {
    (void)plugin;
    (void)error;
    *out_device_count = FAKE_DEVICE_COUNT;
    return TN_OK;
}

static tn_status device_info(tn_plugin *plugin, uint32_t index, tn_device_info *out_info,
                             tn_error *error) {
    static const char *const names[FAKE_DEVICE_COUNT] = {"alpha",  "beta",   "shared",
                                                         "worker", "inline", "mute"};
    static const tn_device_flags flags[FAKE_DEVICE_COUNT] = {
        [FAKE_SHARED] = TN_DEVICE_HOST_MEMORY,
        [FAKE_WORKER] = TN_DEVICE_HOST_MEMORY | TN_DEVICE_SYNCHRONOUS,
        [FAKE_INLINE] = TN_DEVICE_HOST_MEMORY | TN_DEVICE_SYNCHRONOUS | TN_DEVICE_INLINE,
    };
    (void)plugin;
    if (index >= FAKE_DEVICE_COUNT) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "no device %u", index);
    }
    (void)snprintf(out_info->name, sizeof(out_info->name), "%s", names[index]);
    (void)snprintf(out_info->description, sizeof(out_info->description), "fake device");
    (void)snprintf(out_info->physical_id, sizeof(out_info->physical_id), "fake-%u", index);
    // The devices in host memory share their silicon, the others are apart.
    bool host = (flags[index] & TN_DEVICE_HOST_MEMORY) != 0;
    (void)snprintf(out_info->resource_group, sizeof(out_info->resource_group), "fake-%u",
                   host ? FAKE_SHARED : index);
    out_info->kind = TN_DEVICE_KIND_OTHER;
    out_info->flags = TN_DEVICE_EMULATED | flags[index] | controls[index].flags |
                      (controls[index].can_abort ? TN_DEVICE_CAN_ABORT : 0);
    out_info->max_contexts_in_flight = 64;
    out_info->heap_count = 1;
    out_info->dispatch_ns = 1000;
    return TN_OK;
}

static tn_status device_open(tn_plugin *plugin, const tn_device_open_info *info,
                             tn_device **out_device, tn_error *error) {
    *out_device = NULL;
    tn_device *device = tn_helper_alloc(&plugin->host, sizeof(*device));
    if (device == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fake: no memory");
    }
    device->plugin = plugin;
    device->index = info->device_index;
    device->opener = pthread_self();
    if (!fake_is_synchronous(device) && fake_queue_start(device) != 0) {
        tn_helper_free(&plugin->host, device, sizeof(*device));
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fake: no thread");
    }
    *out_device = device;
    return TN_OK;
}

static void device_close(tn_device *device) {
    if (device != NULL) {
        tn_plugin *plugin = device->plugin;
        fake_enter(device);
        fake_queue_stop(device);
        tn_helper_free(&plugin->host, device, sizeof(*device));
    }
}

static tn_status shut_down(tn_plugin *plugin, uint64_t timeout_ns, tn_error *error) {
    (void)timeout_ns;
    (void)error;
    const tn_helper_host host = plugin->host;
    tn_helper_free(&host, plugin, sizeof(*plugin));
    return TN_OK;
}

static const tn_core_interface core_table = {
    .base = TN_HELPER_BASE(tn_core_interface, TN_DIGEST_CORE),
    .probe = probe,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .shutdown = shut_down,
};

static const void *get_interface(tn_plugin *plugin, const char *name) {
    (void)plugin;
    const struct {
        const char *name;
        const void *table;
    } tables[] = {
        {TN_INTERFACE_CORE, &core_table},          {TN_INTERFACE_COMPILE, &fake_compile_table},
        {TN_INTERFACE_MEMORY, &fake_memory_table}, {TN_INTERFACE_SYNC, &fake_sync_table},
        {TN_INTERFACE_EXEC, &fake_exec_table},
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (strcmp(tables[i].name, name) == 0) {
            return tables[i].table;
        }
    }
    return NULL;
}

tn_status fake_plugin_entry(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    static const tn_interface_digest digests[] = {TN_HELPER_MANDATORY_DIGESTS};
    static const tn_helper_plugin_desc desc = {
        .name = "fake",
        .vendor = "Tenon tests",
        .build = "1",
        .flags = TN_PLUGIN_CREATES_THREADS,
        .sanitizers = TN_HELPER_SANITIZERS,
        .abi_minor_max = TN_ABI_VERSION_MINOR,
        .digests = digests,
        .digest_count = sizeof(digests) / sizeof(digests[0]),
        .get_interface = get_interface,
    };
    tn_status status = tn_helper_negotiate(offer, answer, &desc, error);
    if (status != TN_OK) {
        return status;
    }
    const tn_helper_host host = {offer->services, offer->host};
    answer->plugin = tn_helper_alloc(&host, sizeof(*answer->plugin));
    if (answer->plugin == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fake: no memory");
    }
    answer->plugin->host = host;
    return TN_OK;
}
