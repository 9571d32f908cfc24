// SPDX-License-Identifier: Apache-2.0
// The proxy's entry, its child, one call over the frame, and the core table.
#include "host.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// What the test's controls reach: the plugin with a child, and how the last child ended.
static tn_plugin *current;
static int child_status = -1;

proxy_frame *proxy_begin(tn_plugin *plugin, proxy_op op, uint32_t object) {
    pthread_mutex_lock(&plugin->call_mutex);
    proxy_frame *frame = &plugin->shared->frame;
    memset(frame, 0, offsetof(proxy_frame, bytes));
    frame->op = op;
    frame->object = object;
    return frame;
}

tn_status proxy_send(tn_plugin *plugin, tn_error *error) {
    char word = 0;
    proxy_frame *frame = &plugin->shared->frame;
    ssize_t got = -1;
    if (!atomic_load(&plugin->lost) && send(plugin->call_socket, &word, 1, MSG_NOSIGNAL) == 1) {
        do {
            got = recv(plugin->call_socket, &word, 1, 0);
        } while (got < 0 && errno == EINTR);
    }
    if (got != 1) {
        atomic_store(&plugin->lost, true);
        return tn_helper_fail(error, TN_ERROR_DEVICE_LOST, "proxy.lost",
                              "proxy: the child is gone");
    }
    if (frame->status != TN_OK && error != NULL) {
        tn_helper_copy_out(error, &frame->error, sizeof(frame->error));
        error->status = frame->status;
    }
    return frame->status;
}

void proxy_end(tn_plugin *plugin) {
    pthread_mutex_unlock(&plugin->call_mutex);
}

tn_status proxy_call(tn_plugin *plugin, proxy_op op, uint32_t object, uint64_t value,
                     tn_error *error) {
    proxy_begin(plugin, op, object)->value[0] = value;
    tn_status status = proxy_send(plugin, error);
    proxy_end(plugin);
    return status;
}

static int spawn_child(tn_plugin *plugin, int memory, int calls, int events) {
    char path[] = TN_TEST_PROXY_CHILD;
    char numbers[3][16];
    char *arguments[] = {path, numbers[0], numbers[1], numbers[2], NULL};
    const int fds[3] = {memory, calls, events};
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0) {
        return failed;
    }
    for (int i = 0; i < 3 && failed == 0; i++) {
        // Onto itself: the child's copy loses close-on-exec, ours keeps it.
        failed = posix_spawn_file_actions_adddup2(&actions, fds[i], fds[i]);
        (void)snprintf(numbers[i], sizeof(numbers[i]), "%d", fds[i]);
    }
    if (failed == 0) {
        failed = posix_spawn(&plugin->child, path, &actions, NULL, arguments, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static void close_all(const int *fds, int count) {
    for (int i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

static void reap(tn_plugin *plugin) {
    pthread_join(plugin->reader, NULL);
    while (waitpid(plugin->child, &child_status, 0) < 0 && errno == EINTR) {
    }
    close(plugin->event_socket);
    munmap(plugin->shared, sizeof(*plugin->shared));
    plugin->shared = NULL;
    current = NULL;
}

static tn_status start(tn_plugin *plugin, tn_error *error) {
    int calls[2] = {-1, -1};
    int events[2] = {-1, -1};
    int memory = memfd_create("proxy", MFD_CLOEXEC);
    void *shared = MAP_FAILED;
    if (memory >= 0 && ftruncate(memory, sizeof(proxy_shared)) == 0) {
        shared = mmap(NULL, sizeof(proxy_shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    }
    bool made = shared != MAP_FAILED &&
                socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, calls) == 0 &&
                socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, events) == 0 &&
                spawn_child(plugin, memory, calls[1], events[1]) == 0;
    const int given[] = {memory, calls[1], events[1]};
    close_all(given, 3);
    plugin->call_socket = calls[0];
    plugin->event_socket = events[0];
    plugin->shared = made ? shared : NULL;
    if (made && pthread_create(&plugin->reader, NULL, proxy_read_events, plugin) == 0) {
        current = plugin;
        return TN_OK;
    }
    const int kept[] = {calls[0], events[0]};
    close_all(kept, 2);
    plugin->shared = NULL;
    if (made) {
        (void)waitpid(plugin->child, &child_status, 0);
    }
    if (shared != MAP_FAILED) {
        munmap(shared, sizeof(proxy_shared));
    }
    return tn_helper_fail(error, TN_ERROR_INTERNAL, NULL, "proxy: no child: errno %d", errno);
}

static tn_status fetch_info(tn_plugin *plugin, uint32_t index, tn_device_info *out_info,
                            tn_error *error) {
    proxy_frame *frame = proxy_begin(plugin, PROXY_DEVICE_INFO, 0);
    frame->value[0] = index;
    tn_status status = proxy_send(plugin, error);
    if (status == TN_OK) {
        tn_helper_copy_out(out_info, &frame->u.device_info, sizeof(frame->u.device_info));
    }
    proxy_end(plugin);
    return status;
}

static tn_status probe(tn_plugin *plugin, uint32_t *out_device_count, tn_error *error) {
    *out_device_count = 0;
    tn_status status = plugin->shared == NULL ? start(plugin, error) : TN_OK;
    if (status != TN_OK) {
        return status;
    }
    proxy_frame *frame = proxy_begin(plugin, PROXY_PROBE, 0);
    status = proxy_send(plugin, error);
    uint32_t count = status == TN_OK ? frame->result : 0;
    proxy_end(plugin);
    plugin->exposed_count = 0;
    for (uint32_t i = 0; i < count && i < FAKE_DEVICE_COUNT && status == TN_OK; i++) {
        tn_device_info info = {sizeof(info), TN_STRUCT_DEVICE_INFO, .name = ""};
        status = fetch_info(plugin, i, &info, error);
        if (status == TN_OK && (info.flags & TN_DEVICE_HOST_MEMORY) == 0) {
            plugin->exposed[plugin->exposed_count++] = i;
        }
    }
    *out_device_count = status == TN_OK ? plugin->exposed_count : 0;
    return status;
}

static tn_status device_info(tn_plugin *plugin, uint32_t device_index, tn_device_info *out_info,
                             tn_error *error) {
    if (plugin->shared == NULL) {
        return tn_helper_fail(error, TN_ERROR_INVALID_STATE, NULL, "proxy: not probed");
    }
    if (device_index >= plugin->exposed_count) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "no device %u", device_index);
    }
    return fetch_info(plugin, plugin->exposed[device_index], out_info, error);
}

// The list must stay the same until the device is closed, so it is fetched once.
static tn_status fetch_ops(tn_device *device, tn_error *error) {
    proxy_frame *frame = proxy_begin(device->plugin, PROXY_OP_LIST, device->id);
    tn_status status = proxy_send(device->plugin, error);
    if (status == TN_OK) {
        device->op_count = frame->result;
        memcpy(device->texts, frame->bytes, sizeof(device->texts));
    }
    proxy_end(device->plugin);
    for (uint32_t i = 0; i < device->op_count; i++) {
        const proxy_op_text *text = &device->texts[i];
        device->ops[i] =
            (tn_op_record){text->domain, text->op_type, text->newest_version, text->oldest_version};
    }
    return status;
}

static void device_close(tn_device *device) {
    if (device == NULL) {
        return;
    }
    tn_plugin *plugin = device->plugin;
    (void)proxy_call(plugin, PROXY_DEVICE_CLOSE, device->id, 0, NULL);
    pthread_mutex_lock(&plugin->state_mutex);
    for (uint32_t i = 0; i < PROXY_SLOTS; i++) {
        if (plugin->slots[i].device == device) {
            plugin->slots[i].state = PROXY_SLOT_FREE;
        }
    }
    pthread_mutex_unlock(&plugin->state_mutex);
    tn_helper_free(&plugin->host, device, sizeof(*device));
}

static tn_status device_open(tn_plugin *plugin, const tn_device_open_info *info,
                             tn_device **out_device, tn_error *error) {
    *out_device = NULL;
    if (info->device_index >= plugin->exposed_count) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "no such device");
    }
    if (info->option_count > 0) {
        return tn_helper_fail(error, TN_ERROR_NOT_FOUND, NULL, "proxy: no options");
    }
    tn_device *device = tn_helper_alloc(&plugin->host, sizeof(*device));
    if (device == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "proxy: no memory");
    }
    proxy_frame *frame = proxy_begin(plugin, PROXY_DEVICE_OPEN, 0);
    frame->u.device_open = (tn_device_open_info){
        .struct_size = sizeof(*info),
        .struct_type = TN_STRUCT_DEVICE_OPEN_INFO,
        .device_index = plugin->exposed[info->device_index],
        .memory_cap_bytes = info->memory_cap_bytes,
    };
    tn_status status = proxy_send(plugin, error);
    *device = (tn_device){.plugin = plugin, .id = frame->result, .notifies = frame->value[0] != 0};
    proxy_end(plugin);
    if (status != TN_OK) {
        tn_helper_free(&plugin->host, device, sizeof(*device));
        return status;
    }
    status = fetch_ops(device, error);
    if (status != TN_OK) {
        device_close(device);
        return status;
    }
    *out_device = device;
    return TN_OK;
}

static tn_status shut_down(tn_plugin *plugin, uint64_t timeout_ns, tn_error *error) {
    tn_status status = TN_OK;
    if (plugin->shared != NULL) {
        status = proxy_call(plugin, PROXY_SHUTDOWN, 0, timeout_ns, error);
        if (status != TN_OK && status != TN_ERROR_DEVICE_LOST) {
            return status;
        }
        // The end of the calls ends the child; its end of the events ends the reader.
        close(plugin->call_socket);
        reap(plugin);
    }
    pthread_cond_destroy(&plugin->state_cond);
    pthread_mutex_destroy(&plugin->state_mutex);
    pthread_mutex_destroy(&plugin->call_mutex);
    const tn_helper_host host = plugin->host;
    tn_helper_free(&host, plugin, sizeof(*plugin));
    return TN_OK; // a child that is gone is shut down
}

const tn_core_interface proxy_core_table = {
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
        {TN_INTERFACE_CORE, &proxy_core_table},     {TN_INTERFACE_COMPILE, &proxy_compile_table},
        {TN_INTERFACE_MEMORY, &proxy_memory_table}, {TN_INTERFACE_SYNC, &proxy_sync_table},
        {TN_INTERFACE_EXEC, &proxy_exec_table},
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (strcmp(tables[i].name, name) == 0) {
            return tables[i].table;
        }
    }
    return NULL;
}

tn_status proxy_entry(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    static const tn_interface_digest digests[] = {TN_HELPER_MANDATORY_DIGESTS};
    static const tn_helper_plugin_desc desc = {
        .name = "proxy",
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
    tn_plugin *plugin = tn_helper_alloc(&host, sizeof(*plugin));
    if (plugin == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "proxy: no memory");
    }
    plugin->host = host;
    pthread_mutex_init(&plugin->call_mutex, NULL);
    pthread_mutex_init(&plugin->state_mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&plugin->state_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    answer->plugin = plugin;
    return TN_OK;
}

static const uint32_t fake_index[PROXY_DEVICE_COUNT] = {FAKE_ALPHA, FAKE_BETA, FAKE_MUTE};

tn_status proxy_get(uint32_t device, fake_control *out_control) {
    if (current == NULL) {
        return TN_ERROR_INVALID_STATE;
    }
    proxy_frame *frame = proxy_begin(current, PROXY_GET_CONTROL, 0);
    frame->value[0] = fake_index[device];
    tn_status status = proxy_send(current, NULL);
    *out_control = frame->u.control;
    proxy_end(current);
    return status;
}

tn_status proxy_set(uint32_t device, const fake_control *control) {
    if (current == NULL) {
        return TN_ERROR_INVALID_STATE;
    }
    proxy_frame *frame = proxy_begin(current, PROXY_SET_CONTROL, 0);
    frame->value[0] = fake_index[device];
    frame->u.control = *control;
    tn_status status = proxy_send(current, NULL);
    proxy_end(current);
    return status;
}

void proxy_kill(void) {
    if (current != NULL) {
        (void)kill(current->child, SIGKILL);
    }
}

int proxy_child_status(void) {
    return child_status;
}
