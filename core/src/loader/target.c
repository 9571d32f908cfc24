// SPDX-License-Identifier: Apache-2.0
// What a plugin was built for, against what this host is.
#include "loader/candidate.h"

#include "base/error.h"

#include "tenon/abi/version.h"

#include <string.h>
#include <unistd.h>

#define HOST_OS "linux"
#if defined(__x86_64__)
#define HOST_ARCH "x86_64"
#elif defined(__aarch64__)
#define HOST_ARCH "aarch64"
#else
#define HOST_ARCH "other"
#endif
#if defined(__GLIBC__)
#define HOST_LIBC "glibc"
#else
#define HOST_LIBC "other"
#endif
#define HOST_MINOR_MIN 0u

static tn_status check_word(const char *what, const char *wanted, const char *have,
                            const char *error_id, tn_error *error) {
    return strcmp(wanted, have) == 0
               ? TN_OK
               : tni_fail(error, TN_ERROR_UNSUPPORTED, error_id,
                          "built for %s \"%s\", this host is \"%s\"", what, wanted, have);
}

static tn_status check_abi(const tni_manifest *manifest, tn_error *error) {
    const unsigned host_max = TN_ABI_VERSION_MINOR;
    const bool older = manifest->abi_major < TN_ABI_VERSION_MAJOR ||
                       (manifest->abi_major == TN_ABI_VERSION_MAJOR &&
                        manifest->abi_max_minor + 1 <= HOST_MINOR_MIN);
    const bool newer =
        manifest->abi_major > TN_ABI_VERSION_MAJOR ||
        (manifest->abi_major == TN_ABI_VERSION_MAJOR && manifest->abi_min_minor > host_max);
    if (!older && !newer) {
        return TN_OK;
    }
    return tni_fail(error, TN_ERROR_VERSION_MISMATCH,
                    older ? "load.abi-too-old" : "load.abi-too-new",
                    "the plugin is too %s: it speaks ABI %u.%u to %u.%u, this host %d.%u to %d.%u",
                    older ? "old" : "new", manifest->abi_major, manifest->abi_min_minor,
                    manifest->abi_major, manifest->abi_max_minor, TN_ABI_VERSION_MAJOR,
                    HOST_MINOR_MIN, TN_ABI_VERSION_MAJOR, host_max);
}

static tn_status check_paths(const tni_text_list *paths, tn_error *error) {
    for (uint32_t i = 0; i < paths->count; i++) {
        if (access(paths->texts[i], F_OK) == 0) {
            return TN_OK;
        }
    }
    return paths->count == 0
               ? TN_OK
               : tni_fail(error, TN_ERROR_NOT_FOUND, "load.requires-path",
                          "%.200s%s: the plugin needs it and it does not exist", paths->texts[0],
                          paths->count > 1 ? " (and every alternative)" : "");
}

tn_status tni_target_check(const tni_manifest *manifest, tn_reason *out_reason, tn_error *error) {
    *out_reason = TN_REASON_NOT_USABLE;
    tn_status status = check_word("operating system", manifest->os, HOST_OS, "load.os", error);
    if (status == TN_OK) {
        *out_reason = TN_REASON_ISA_REJECTED;
        status = check_word("architecture", manifest->arch, HOST_ARCH, "load.arch", error);
    }
    if (status == TN_OK) {
        *out_reason = TN_REASON_NOT_USABLE;
        status = check_word("C library", manifest->libc, HOST_LIBC, "load.libc", error);
    }
    if (status == TN_OK) {
        *out_reason = TN_REASON_ABI_REJECTED;
        status = check_abi(manifest, error);
    }
    if (status == TN_OK) {
        *out_reason = TN_REASON_DEP_MISSING;
        status = check_paths(&manifest->requires_path, error);
    }
    return status;
}
