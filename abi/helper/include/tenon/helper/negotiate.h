// SPDX-License-Identifier: Apache-2.0
// The handshake as a plugin does it: version range, layout digests, sanitizers, a bounded answer.
// Include this instead of writing the checks again. Read next: graph_reader.h, sync_adapter.h.
#ifndef TENON_HELPER_NEGOTIATE_H
#define TENON_HELPER_NEGOTIATE_H

#include "tenon/abi/compile.h"
#include "tenon/abi/digest.h"
#include "tenon/abi/exec.h"
#include "tenon/abi/memory.h"
#include "tenon/abi/plugin.h"
#include "tenon/abi/sync.h"
#include "tenon/helper/fail.h"

#ifdef __cplusplus
extern "C" {
#endif

// Sanitizers that the including translation unit is compiled with. A macro, so that the plugin's
// own flags count and not those the helper library was built with.
#if defined(__has_feature)
#define TN_HELPER_HAS_FEATURE(feature) __has_feature(feature)
#else
#define TN_HELPER_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || TN_HELPER_HAS_FEATURE(address_sanitizer)
#define TN_HELPER_SANITIZER_ADDRESS TN_SANITIZER_ADDRESS
#else
#define TN_HELPER_SANITIZER_ADDRESS 0u
#endif
#if defined(__SANITIZE_THREAD__) || TN_HELPER_HAS_FEATURE(thread_sanitizer)
#define TN_HELPER_SANITIZER_THREAD TN_SANITIZER_THREAD
#else
#define TN_HELPER_SANITIZER_THREAD 0u
#endif
#if TN_HELPER_HAS_FEATURE(memory_sanitizer)
#define TN_HELPER_SANITIZER_MEMORY TN_SANITIZER_MEMORY
#else
#define TN_HELPER_SANITIZER_MEMORY 0u
#endif
#define TN_HELPER_SANITIZERS                                                                       \
    (TN_HELPER_SANITIZER_ADDRESS | TN_HELPER_SANITIZER_THREAD | TN_HELPER_SANITIZER_MEMORY)

// Begins a table of the type table_type, e.g. {.base = TN_HELPER_BASE(tn_core_interface,
// TN_DIGEST_CORE), .probe = ...}.
#define TN_HELPER_BASE(table_type, digest)                                                         \
    { (uint32_t)sizeof(table_type), TN_STRUCT_INTERFACE, TN_ABI_VERSION_MINOR, 0u, (digest) }

// One entry of tn_helper_plugin_desc.digests.
#define TN_HELPER_DIGEST(interface_name, digest)                                                   \
    { (interface_name), (digest), TN_ABI_VERSION_MINOR, 0u }

// The digests of the five mandatory interfaces, as the including translation unit was built.
#define TN_HELPER_MANDATORY_DIGESTS                                                                \
    TN_HELPER_DIGEST(TN_INTERFACE_CORE, TN_DIGEST_CORE),                                           \
        TN_HELPER_DIGEST(TN_INTERFACE_COMPILE, TN_DIGEST_COMPILE),                                 \
        TN_HELPER_DIGEST(TN_INTERFACE_MEMORY, TN_DIGEST_MEMORY),                                   \
        TN_HELPER_DIGEST(TN_INTERFACE_SYNC, TN_DIGEST_SYNC),                                       \
        TN_HELPER_DIGEST(TN_INTERFACE_EXEC, TN_DIGEST_EXEC)

// What a plugin says of itself. Everything is static in the plugin.
typedef struct tn_helper_plugin_desc {
    const char *name; // [a-z][a-z0-9_-]{0,31}
    const char *vendor;
    const char *build;
    tn_plugin_flags flags;
    tn_sanitizer_flags sanitizers; // TN_HELPER_SANITIZERS
    uint32_t abi_minor_min;        // the oldest minor the plugin still speaks
    uint32_t abi_minor_max;        // usually TN_ABI_VERSION_MINOR
    const tn_interface_digest *digests;
    uint64_t digest_count;
    const void *(*get_interface)(tn_plugin *plugin, const char *name);
    const void *(*get_experimental)(tn_plugin *plugin, const char *name, uint32_t revision);
} tn_helper_plugin_desc;

// Checks the offer against the plugin and fills the answer, all but answer->plugin, which stays
// null for the caller to set once it has made its own state. [load-thread] [no-block] [no-alloc]
// All pointers are borrowed for the call; error may be null. TN_OK · TN_ERROR_INVALID_ARGUMENT a
// struct is null, too short or of another type, or a host service is missing ·
// TN_ERROR_VERSION_MISMATCH no common minor; or an interface has another layout at the same minor
// (a digest of 0 is unknown and skipped); or the sanitizers differ. Nothing is written to the
// answer on failure.
TN_MUST_USE tn_status tn_helper_negotiate(const tn_host_offer *offer, tn_plugin_answer *answer,
                                          const tn_helper_plugin_desc *desc, tn_error *error);

// Fill optional slots whose function the plugin does not have: they return TN_ERROR_UNIMPLEMENTED,
// and copy TN_ERROR_UNSUPPORTED, upon which the host does the work its own way.
tn_status tn_helper_stub_cancel(tn_context *context, tn_error *error);
tn_status tn_helper_stub_fence_on_reach(tn_fence *fence, uint64_t value,
                                        tn_fence_reached_fn callback, void *user_data,
                                        tn_error *error);
tn_status tn_helper_stub_copy(tn_device *device, const tn_copy_info *info, tn_error *error);

// The host as a plugin keeps it: valid until shutdown returned.
typedef struct tn_helper_host {
    const tn_host_services *services;
    tn_host_context *context;
} tn_helper_host;

// Allocates zeroed memory from the host; null when there is none or size_bytes is 0.
// [any-thread] [may-block] [may-alloc] Give it back with tn_helper_free and the same size.
void *tn_helper_alloc(const tn_helper_host *host, uint64_t size_bytes);
// The same for count elements; null also when the product overflows.
void *tn_helper_alloc_array(const tn_helper_host *host, uint64_t count, uint64_t element_bytes);
void tn_helper_free(const tn_helper_host *host, void *pointer, uint64_t size_bytes);

// Logs one formatted line when the host wants messages of this level. [any-thread] [may-block]
void tn_helper_log(const tn_helper_host *host, tn_log_level level, const char *format, ...)
    TN_HELPER_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif

#endif // TENON_HELPER_NEGOTIATE_H
