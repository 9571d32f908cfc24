// SPDX-License-Identifier: Apache-2.0
// The child: maps what the parent made, owns the fake plugin with host services of its own, and
// answers calls until the parent closes its end. proxy_child MEMORY CALLS EVENTS (descriptors).
#include "child.h"

#include "tenon/helper/negotiate.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#define CHILD_HANDLES 1024u

child_state child;

static struct {
    child_kind kind;
    uint32_t handle;
    void *object;
} handles[CHILD_HANDLES];
static uint32_t next_handle = 1;
static atomic_llong live_bytes;

uint32_t child_put(child_kind kind, void *object) {
    for (uint32_t i = 0; i < CHILD_HANDLES && object != NULL; i++) {
        if (handles[i].kind == CHILD_NONE) {
            handles[i].kind = kind;
            handles[i].handle = next_handle++;
            handles[i].object = object;
            return handles[i].handle;
        }
    }
    return 0;
}

static void *find(child_kind kind, uint32_t handle, bool forget) {
    for (uint32_t i = 0; i < CHILD_HANDLES; i++) {
        if (handles[i].kind == kind && handles[i].handle == handle) {
            handles[i].kind = forget ? CHILD_NONE : kind;
            return handles[i].object;
        }
    }
    return NULL;
}

void *child_get(child_kind kind, uint32_t handle) {
    return find(kind, handle, false);
}

void *child_take(child_kind kind, uint32_t handle) {
    return find(kind, handle, true);
}

// The services: the child's own memory and clock. A log line and weights do not cross.
static void *serve_alloc(tn_host_context *host, uint64_t size_bytes, uint64_t alignment_bytes) {
    (void)host;
    void *pointer = NULL;
    size_t alignment = alignment_bytes == 0 ? 16 : (size_t)alignment_bytes;
    if (size_bytes == 0 || posix_memalign(&pointer, alignment, (size_t)size_bytes) != 0) {
        return NULL;
    }
    atomic_fetch_add(&live_bytes, (long long)size_bytes);
    return pointer;
}

static void serve_free(tn_host_context *host, void *pointer, uint64_t size_bytes,
                       uint64_t alignment_bytes) {
    (void)host;
    (void)alignment_bytes;
    if (pointer != NULL) {
        atomic_fetch_sub(&live_bytes, (long long)size_bytes);
        free(pointer);
    }
}

static uint32_t serve_log_enabled(tn_host_context *host, tn_log_level level) {
    (void)host;
    (void)level;
    return 0;
}

static void serve_log(tn_host_context *host, tn_log_level level, tn_string text) {
    (void)host;
    (void)level;
    (void)text;
}

static uint64_t serve_clock(tn_host_context *host) {
    struct timespec now;
    (void)host;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t serve_worker_count(tn_host_context *host) {
    (void)host;
    return 1;
}

static void serve_parallel_for(tn_host_context *host, uint64_t count, uint64_t grain,
                               tn_parallel_fn body, void *user_data) {
    (void)host;
    (void)grain;
    if (count > 0) {
        body(user_data, 0, count, 0);
    }
}

static tn_status serve_weight_map(tn_host_context *host, uint64_t key, const void **out_data,
                                  uint64_t *out_size_bytes) {
    (void)host;
    (void)key;
    *out_data = NULL;
    *out_size_bytes = 0;
    return TN_ERROR_UNSUPPORTED;
}

static tn_status serve_weight_read(tn_host_context *host, uint64_t key, uint64_t offset_bytes,
                                   uint64_t size_bytes, void *destination) {
    (void)host;
    (void)key;
    (void)offset_bytes;
    (void)size_bytes;
    (void)destination;
    return TN_ERROR_IO;
}

static bool load(void) {
    static const tn_interface_digest digests[] = {TN_HELPER_MANDATORY_DIGESTS};
    static const tn_host_services services = {
        sizeof(services), TN_STRUCT_HOST_SERVICES, serve_alloc,
        serve_free,       serve_log_enabled,       serve_log,
        serve_clock,      serve_worker_count,      serve_parallel_for,
        serve_weight_map, serve_weight_read,
    };
    const tn_host_offer offer = {
        .struct_size = sizeof(offer),
        .struct_type = TN_STRUCT_HOST_OFFER,
        .abi_minor_max = TN_ABI_VERSION_MINOR,
        .sanitizers = TN_HELPER_SANITIZERS,
        .digests = digests,
        .digest_count = sizeof(digests) / sizeof(digests[0]),
        .services = &services,
        .host_build = "proxy",
        .plugin_path = "",
    };
    tn_plugin_answer answer = {.struct_size = sizeof(answer),
                               .struct_type = TN_STRUCT_PLUGIN_ANSWER};
    if (fake_plugin_entry(&offer, &answer, NULL) != TN_OK) {
        return false;
    }
    child.plugin = answer.plugin;
    child.core = answer.get_interface(child.plugin, TN_INTERFACE_CORE);
    child.compile = answer.get_interface(child.plugin, TN_INTERFACE_COMPILE);
    child.memory = answer.get_interface(child.plugin, TN_INTERFACE_MEMORY);
    child.sync = answer.get_interface(child.plugin, TN_INTERFACE_SYNC);
    child.exec = answer.get_interface(child.plugin, TN_INTERFACE_EXEC);
    return true;
}

// 0 when the plugin was shut down and left nothing behind.
static int leftovers(void) {
    int left = child.plugin != NULL || atomic_load(&live_bytes) != 0;
    for (uint32_t i = 0; i < CHILD_HANDLES; i++) {
        left |= handles[i].kind != CHILD_NONE;
    }
    fake_lock();
    for (uint32_t i = 0; i < FAKE_DEVICE_COUNT; i++) {
        left |= fake_device(i)->memory_count != 0 || fake_device(i)->fence_count != 0;
    }
    fake_unlock();
    return left;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        return 2;
    }
    void *shared = mmap(NULL, sizeof(proxy_shared), PROT_READ | PROT_WRITE, MAP_SHARED,
                        (int)strtol(argv[1], NULL, 10), 0);
    int calls = (int)strtol(argv[2], NULL, 10);
    child.shared = shared;
    child.event_socket = (int)strtol(argv[3], NULL, 10);
    fake_reset();
    if (shared == MAP_FAILED || !load() || !child_watch_start()) {
        return 2;
    }
    for (;;) {
        char word = 0;
        ssize_t got = recv(calls, &word, 1, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got != 1) {
            break;
        }
        child_answer(&child.shared->frame);
        if (send(calls, &word, 1, MSG_NOSIGNAL) != 1) {
            break;
        }
    }
    child_watch_stop();
    munmap(shared, sizeof(proxy_shared));
    return leftovers();
}
