// SPDX-License-Identifier: Apache-2.0
// How a plugin and a host meet: the one exported symbol, the host's offer, the plugin's answer, and
// look-up of function tables by name. A plugin author includes negotiate.h of abi/helper instead of
// writing this part. Read next: host.h (what the host gives), device.h (the first table).
#ifndef TENON_ABI_PLUGIN_H
#define TENON_ABI_PLUGIN_H

#include "tenon/abi/host.h"
#include "tenon/abi/types.h"
#include "tenon/abi/version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TN_PLUGIN_ENTRY_NAME "tn_plugin_entry_1"

#if defined(__GNUC__) || defined(__clang__)
#define TN_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define TN_PLUGIN_EXPORT
#endif

// Names of tables. The first five are mandatory.
#define TN_INTERFACE_CORE "core"
#define TN_INTERFACE_COMPILE "compile"
#define TN_INTERFACE_MEMORY "memory"
#define TN_INTERFACE_SYNC "sync"
#define TN_INTERFACE_EXEC "exec"
#define TN_INTERFACE_BLOB "blob"
#define TN_INTERFACE_PROFILE "profile"
#define TN_INTERFACE_EXTERNAL_MEMORY "external-memory"
#define TN_INTERFACE_EXTERNAL_SYNC "external-sync"

// Every table begins with this. struct_type is TN_STRUCT_INTERFACE, struct_size the size of the
// whole table as the plugin was built. A slot beyond struct_size, or a null optional slot, is
// absent; a null mandatory slot fails the load and is named in the load report (ABI-20).
typedef struct tn_interface {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t version_minor;
    uint32_t reserved; // zero
    uint64_t layout_digest;
} tn_interface;

// Name and layout of one interface as one side was built; values are in digest.h.
typedef struct tn_interface_digest {
    const char *name; // NUL-terminated, static
    uint64_t layout_digest;
    uint32_t version_minor;
    uint32_t reserved; // zero
} tn_interface_digest;

// Sanitizers that a build was made with; host and plugin must agree on the address, thread and
// memory bits, because mixing them crashes (ABI-18).
typedef uint32_t tn_sanitizer_flags;
#define TN_SANITIZER_NONE 0u
#define TN_SANITIZER_ADDRESS 1u
#define TN_SANITIZER_THREAD 2u
#define TN_SANITIZER_MEMORY 4u

// What the host offers. Borrowed: valid during the entry call only, except services, host and
// plugin_path, which stay valid until shutdown returned.
typedef struct tn_host_offer {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t abi_minor_min; // the oldest minor of this major that the host still speaks
    uint32_t abi_minor_max;
    tn_sanitizer_flags sanitizers;
    uint32_t secure_execution; // 1: the process has raised privileges; read no environment
    const tn_interface_digest *digests;
    uint64_t digest_count;
    const tn_host_services *services;
    tn_host_context *host;
    const char *host_build; // NUL-terminated text for reports
    // Absolute path of the library, so that it finds its data files; empty when linked statically.
    const char *plugin_path;
} tn_host_offer;

typedef uint64_t tn_plugin_flags;
// dlclose is safe after shutdown returned TN_OK. Without it the library stays mapped.
#define TN_PLUGIN_UNLOADABLE 1ull
// The plugin or a library under it starts threads of its own.
#define TN_PLUGIN_CREATES_THREADS 2ull
// Works behind a proxy in another process: it keeps no pointer into a graph view, an info struct or
// host memory that it was not lent.
#define TN_PLUGIN_REMOTE_SAFE 4ull
// Enumerating devices starts threads or takes long in the driver: the host enumerates in the probe
// process first.
#define TN_PLUGIN_PROBE_FIRST 8ull

// What the plugin answers. The host allocates it zeroed with struct_size and struct_type set.
typedef struct tn_plugin_answer {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t abi_minor; // chosen; within the host's range
    tn_sanitizer_flags sanitizers;
    tn_plugin_flags flags;
    // NUL-terminated, static in the plugin. name is the key users type: [a-z][a-z0-9_-]{0,31}.
    const char *name;
    const char *vendor;
    const char *build;
    tn_plugin *plugin;
    // Looks a table up. [any-thread] [no-block] [no-alloc]
    // name: NUL-terminated. Returns the table, static until shutdown returned, or null when the
    // plugin has no such interface. The host casts it to the struct that belongs to the name.
    const void *(*get_interface)(tn_plugin *plugin, const char *name);
    // Like get_interface, for experimental tables: name and revision must match exactly, nothing is
    // promised between revisions. Null: the plugin has none.
    const void *(*get_experimental)(tn_plugin *plugin, const char *name, uint32_t revision);
} tn_plugin_answer;

// The entry function: the only symbol a plugin exports (ABI-2).
// [load-thread] [may-alloc] Must not open devices, start threads or touch hardware: that is
// probe's. offer: non-null. answer: non-null, host-allocated. error: may be null. Returns
//   TN_OK                       answer is filled; the host calls shutdown when done
//   TN_ERROR_VERSION_MISMATCH   no common minor, or a mandatory layout digest differs
//   TN_ERROR_OUT_OF_MEMORY      host allocation failed
//   TN_ERROR_UNSUPPORTED        the plugin cannot work here at all; error says why
// After any error answer->plugin is null and nothing is left behind.
typedef tn_status (*tn_plugin_entry_fn)(const tn_host_offer *offer, tn_plugin_answer *answer,
                                        tn_error *error);

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_PLUGIN_H
