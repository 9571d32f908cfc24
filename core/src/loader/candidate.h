// SPDX-License-Identifier: Apache-2.0
// One candidate on its way from a path to a running plugin, stage by stage. Each stage either lets
// it pass or writes the reason into its record.
#ifndef TENON_LOADER_CANDIDATE_H
#define TENON_LOADER_CANDIDATE_H

#include "loader/file.h"
#include "loader/loader.h"
#include "loader/manifest.h"

// Takes a manifest, or with source TN_SOURCE_PATH a library too, through every stage, in a record
// of its own. name: for the report until the manifest says better.
// TN_OK whatever became of it · TN_ERROR_OUT_OF_MEMORY no room for the record.
TN_MUST_USE tn_status tni_candidate_load(tni_loader *loader, tn_load_source source,
                                         const char *name, const char *path);

// Whether this machine is what the manifest was built for: operating system, architecture, C
// library, ABI range, required paths (target.c). TN_OK · TN_ERROR_UNSUPPORTED ·
// TN_ERROR_VERSION_MISMATCH · TN_ERROR_NOT_FOUND none of the required paths. *out_reason is for the
// load report.
TN_MUST_USE tn_status tni_target_check(const tni_manifest *manifest, tn_reason *out_reason,
                                       tn_error *error);

// Whether this processor and system have every feature the manifest asks for (cpu.c).
// TN_OK · TN_ERROR_UNSUPPORTED: error names the feature, and says whether it is not known at all.
TN_MUST_USE tn_status tni_cpu_check(const tni_text_list *features, tn_error *error);

// Compares the SHA-256 of the open library with the manifest's (digest.c).
// TN_OK · TN_ERROR_INVALID_DATA error has both · TN_ERROR_IO · TN_ERROR_OUT_OF_MEMORY.
TN_MUST_USE tn_status tni_digest_check(const tni_alloc *alloc, const tni_file *library,
                                       const uint8_t sha256[TNI_SHA256_BYTES], tn_error *error);

#endif // TENON_LOADER_CANDIDATE_H
