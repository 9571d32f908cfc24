// SPDX-License-Identifier: Apache-2.0
// The handshake, stubs for optional slots, and the host's allocator and log as plugins use them.
// Nothing here keeps state.
#include "tenon/helper/negotiate.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

static tn_status check_structs(const tn_host_offer *offer, const tn_plugin_answer *answer,
                               tn_error *error) {
    if (!tn_helper_struct_reaches(offer, END_OF(tn_host_offer, plugin_path)) ||
        offer->struct_type != TN_STRUCT_HOST_OFFER) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "handshake.offer",
                              "the host's offer is null, too short or of another type");
    }
    if (!tn_helper_struct_reaches(answer, END_OF(tn_plugin_answer, get_experimental)) ||
        answer->struct_type != TN_STRUCT_PLUGIN_ANSWER) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "handshake.answer",
                              "the answer is null, too short or of another type");
    }
    const tn_host_services *services = offer->services;
    if (!tn_helper_struct_reaches(services, END_OF(tn_host_services, weight_read)) ||
        services->struct_type != TN_STRUCT_HOST_SERVICES) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "handshake.services",
                              "the host services are null, too short or of another type");
    }
    if (services->alloc == NULL || services->free == NULL || services->log_enabled == NULL ||
        services->log == NULL || services->clock_ns == NULL || services->worker_count == NULL ||
        services->parallel_for == NULL || services->weight_map == NULL ||
        services->weight_read == NULL) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, "handshake.service-missing",
                              "a slot of the host services is null");
    }
    return TN_OK;
}

static tn_status check_digests(const tn_host_offer *offer, const tn_helper_plugin_desc *desc,
                               tn_error *error) {
    for (uint64_t i = 0; i < desc->digest_count; ++i) {
        const tn_interface_digest *mine = &desc->digests[i];
        for (uint64_t j = 0; offer->digests != NULL && j < offer->digest_count; ++j) {
            const tn_interface_digest *theirs = &offer->digests[j];
            if (theirs->name == NULL || strcmp(mine->name, theirs->name) != 0) {
                continue;
            }
            if (mine->version_minor == theirs->version_minor && mine->layout_digest != 0 &&
                theirs->layout_digest != 0 && mine->layout_digest != theirs->layout_digest) {
                return tn_helper_fail(
                    error, TN_ERROR_VERSION_MISMATCH, "handshake.digest",
                    "interface %s: layout %016llx in the host, %016llx in the plugin, both called "
                    "%d.%u; build one of them again",
                    mine->name, (unsigned long long)theirs->layout_digest,
                    (unsigned long long)mine->layout_digest, TN_ABI_VERSION_MAJOR,
                    mine->version_minor);
            }
        }
    }
    return TN_OK;
}

tn_status tn_helper_negotiate(const tn_host_offer *offer, tn_plugin_answer *answer,
                              const tn_helper_plugin_desc *desc, tn_error *error) {
    tn_status status = check_structs(offer, answer, error);
    if (status != TN_OK) {
        return status;
    }
    if (offer->abi_minor_max < desc->abi_minor_min || offer->abi_minor_min > desc->abi_minor_max) {
        return tn_helper_fail(error, TN_ERROR_VERSION_MISMATCH, "handshake.version",
                              "plugin %s speaks ABI %d.%u to %d.%u, the host %d.%u to %d.%u",
                              desc->name, TN_ABI_VERSION_MAJOR, desc->abi_minor_min,
                              TN_ABI_VERSION_MAJOR, desc->abi_minor_max, TN_ABI_VERSION_MAJOR,
                              offer->abi_minor_min, TN_ABI_VERSION_MAJOR, offer->abi_minor_max);
    }
    const tn_sanitizer_flags fatal =
        TN_SANITIZER_ADDRESS | TN_SANITIZER_THREAD | TN_SANITIZER_MEMORY;
    if ((offer->sanitizers & fatal) != (desc->sanitizers & fatal)) {
        return tn_helper_fail(error, TN_ERROR_VERSION_MISMATCH, "handshake.sanitizers",
                              "plugin %s has sanitizer bits %u, the host %u", desc->name,
                              desc->sanitizers & fatal, offer->sanitizers & fatal);
    }
    status = check_digests(offer, desc, error);
    if (status != TN_OK) {
        return status;
    }
    tn_plugin_answer filled = {
        .abi_minor =
            offer->abi_minor_max < desc->abi_minor_max ? offer->abi_minor_max : desc->abi_minor_max,
        .sanitizers = desc->sanitizers,
        .flags = desc->flags,
        .name = desc->name,
        .vendor = desc->vendor,
        .build = desc->build,
        .plugin = NULL,
        .get_interface = desc->get_interface,
        .get_experimental = desc->get_experimental,
    };
    tn_helper_copy_out(answer, &filled, (uint32_t)sizeof filled);
    return TN_OK;
}

tn_status tn_helper_stub_cancel(tn_context *context, tn_error *error) {
    (void)context;
    return tn_helper_fail(error, TN_ERROR_UNIMPLEMENTED, NULL, "cancel is not implemented");
}

tn_status tn_helper_stub_fence_on_reach(tn_fence *fence, uint64_t value,
                                        tn_fence_reached_fn callback, void *user_data,
                                        tn_error *error) {
    (void)fence;
    (void)value;
    (void)callback;
    (void)user_data;
    return tn_helper_fail(error, TN_ERROR_UNIMPLEMENTED, NULL, "fence_on_reach is not implemented");
}

tn_status tn_helper_stub_copy(tn_device *device, const tn_copy_info *info, tn_error *error) {
    (void)device;
    (void)info;
    return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "the device does not copy");
}

void *tn_helper_alloc(const tn_helper_host *host, uint64_t size_bytes) {
    if (size_bytes == 0 || size_bytes > SIZE_MAX) {
        return NULL;
    }
    void *pointer = host->services->alloc(host->context, size_bytes, 0);
    if (pointer != NULL) {
        memset(pointer, 0, (size_t)size_bytes);
    }
    return pointer;
}

void *tn_helper_alloc_array(const tn_helper_host *host, uint64_t count, uint64_t element_bytes) {
    if (element_bytes != 0 && count > UINT64_MAX / element_bytes) {
        return NULL;
    }
    return tn_helper_alloc(host, count * element_bytes);
}

void tn_helper_free(const tn_helper_host *host, void *pointer, uint64_t size_bytes) {
    if (pointer != NULL) {
        host->services->free(host->context, pointer, size_bytes, 0);
    }
}

void tn_helper_log(const tn_helper_host *host, tn_log_level level, const char *format, ...) {
    if (!host->services->log_enabled(host->context, level)) {
        return;
    }
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    const uint64_t size = (size_t)length < sizeof text ? (uint64_t)length : sizeof text - 1;
    host->services->log(host->context, level, (tn_string){text, size});
}
