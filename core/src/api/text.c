// SPDX-License-Identifier: Apache-2.0
// Names of statuses, reasons, stages and types.
#include "base/dtype.h"
#include "base/error.h"
#include "base/string.h"

#include "tenon/abi/verdict.h"
#include "tenon/tenon.h"

#include <string.h>

const char *tn_status_text(tn_status status) {
    static const char *const texts[TN_STATUS_COUNT] = {
        "OK",
        "INVALID_ARGUMENT",
        "INVALID_STATE",
        "INVALID_DATA",
        "UNSUPPORTED",
        "UNIMPLEMENTED",
        "OUT_OF_MEMORY",
        "LIMIT_EXCEEDED",
        "NOT_FOUND",
        "VERSION_MISMATCH",
        "BUSY",
        "TIMEOUT",
        "CANCELLED",
        "DEVICE_LOST",
        "STATE_LOST",
        "IO",
        "DENIED",
        "STALE",
        "INTERNAL",
    };
    return status >= 0 && status < TN_STATUS_COUNT ? texts[status] : "UNKNOWN";
}

const char *tn_reason_text(uint32_t reason) {
    static const char *const texts[TN_REASON_COUNT] = {
        "NONE",           "OP_UNSUPPORTED", "OP_VERSION",      "ATTR_UNSUPPORTED",
        "DTYPE",          "RANK_LIMIT",     "DIM_LIMIT",       "LAYOUT",
        "DYNAMIC_SHAPE",  "SHAPE_BUCKET",   "QUANT_SCHEME",    "PRECISION_POLICY",
        "MEM_LIMIT",      "SRAM_LIMIT",     "NEEDS_CONSTANT",  "OPTIONAL_INPUT",
        "CONTROL_FLOW",   "UNPROFITABLE",   "CONVEXITY",       "USER_PINNED",
        "USER_FORBID",    "COMPILE_FAILED", "COMPILE_TIMEOUT", "COMPILE_CANCELLED",
        "RUNTIME_FAILED", "DEVICE_LOST",    "NOT_REGISTERED",  "NOT_USABLE",
        "ABI_REJECTED",   "DEP_MISSING",    "ISA_REJECTED",    "CACHE_STALE",
    };
    return reason < TN_REASON_COUNT ? texts[reason] : "UNKNOWN";
}

const char *tn_load_stage_text(tn_load_stage stage) {
    static const char *const texts[] = {
        "found", "manifest", "policy", "target",     "cpu",     "digest", "elf",
        "probe", "open",     "entry",  "interfaces", "devices", "ready",
    };
    return stage < sizeof(texts) / sizeof(texts[0]) ? texts[stage] : "UNKNOWN";
}

const char *tn_dtype_text(tn_dtype dtype) {
    return tni_dtype_known(dtype) ? tni_dtype_name(dtype) : "UNKNOWN";
}

const char *tn_version_text(void) {
    return TN_VERSION_TEXT;
}

void tn_error_init(tn_error *error) {
    tni_error_init(error);
}
