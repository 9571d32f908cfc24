// SPDX-License-Identifier: Apache-2.0
// What every function of Tenon returns, and where it puts the detail. Each code says what the
// caller should do, not where the callee noticed. Rules: CONTRACT.md, section "Errors".
#ifndef TENON_ABI_STATUS_H
#define TENON_ABI_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Every struct that crosses the boundary begins with its size in bytes, as the caller was built,
// and one of the TN_STRUCT_ tags (types.h). The callee reads and writes only the first struct_size
// bytes (ABI-10, ABI-11); a field beyond them counts as "not given".
typedef struct tn_struct_header {
    uint32_t struct_size;
    uint32_t struct_type;
} tn_struct_header;

typedef int32_t tn_status;

// Values are frozen; new ones are appended. An unknown value is treated as TN_ERROR_INTERNAL.
#define TN_OK ((tn_status)0)
// Fix the call: an argument is null, out of range or contradicts another.
#define TN_ERROR_INVALID_ARGUMENT ((tn_status)1)
// Fix the order of calls: the object is not in a state that allows this one.
#define TN_ERROR_INVALID_STATE ((tn_status)2)
// Fix the data: a file, message or graph breaks its format; the text says where.
#define TN_ERROR_INVALID_DATA ((tn_status)3)
// Fall back: this device or build cannot do this; another may.
#define TN_ERROR_UNSUPPORTED ((tn_status)4)
// The optional function behind this slot is absent.
#define TN_ERROR_UNIMPLEMENTED ((tn_status)5)
// Free memory and retry: an allocation failed, on the host or on the device.
#define TN_ERROR_OUT_OF_MEMORY ((tn_status)6)
// Raise the limit or shrink the work: a configured limit would be exceeded.
#define TN_ERROR_LIMIT_EXCEEDED ((tn_status)7)
// A named thing (file, device, option, input) does not exist.
#define TN_ERROR_NOT_FOUND ((tn_status)8)
// Replace one side: the two builds share no ABI version, or their layouts differ.
#define TN_ERROR_VERSION_MISMATCH ((tn_status)9)
// Retry later: the object is in use, or a queue is full.
#define TN_ERROR_BUSY ((tn_status)10)
// The deadline or time-out passed before the work was done.
#define TN_ERROR_TIMEOUT ((tn_status)11)
// The caller asked to stop, and the work stopped.
#define TN_ERROR_CANCELLED ((tn_status)12)
// Drop the device: it will not answer any more. Sticky: every later call on it returns this.
#define TN_ERROR_DEVICE_LOST ((tn_status)13)
// Persistent state could not be carried over; start again from the beginning.
#define TN_ERROR_STATE_LOST ((tn_status)14)
// The operating system refused a file or device operation; native_code holds errno.
#define TN_ERROR_IO ((tn_status)15)
// Policy forbids it: allow and deny lists, no-fallback, secure execution.
#define TN_ERROR_DENIED ((tn_status)16)
// Compile again: a stored program belongs to other weights, options, driver or plugin.
#define TN_ERROR_STALE ((tn_status)17)
// Report a bug: the callee broke its own invariant.
#define TN_ERROR_INTERNAL ((tn_status)18)

#define TN_STATUS_COUNT 19

#if defined(__GNUC__) || defined(__clang__)
#define TN_MUST_USE __attribute__((warn_unused_result))
#else
#define TN_MUST_USE
#endif

#define TN_ERROR_TEXT_BYTES 480
// "Not about any node, value or byte" in the fields of tn_error, and "absent" in graph records.
#define TN_NONE UINT32_MAX
#define TN_NO_OFFSET UINT64_MAX

// Where native_code comes from.
#define TN_DOMAIN_NONE 0u
#define TN_DOMAIN_ERRNO 1u
#define TN_DOMAIN_OPENCL 2u
#define TN_DOMAIN_VULKAN 3u
#define TN_DOMAIN_VENDOR 4u

// The detail of a failure. The caller allocates it, fills struct_size and struct_type, and passes
// its address or null. The callee fills it only when it returns something other than TN_OK, and
// then text is always NUL-terminated UTF-8, one line, naming the object and the values. Nothing in
// it needs freeing.
typedef struct tn_error {
    uint32_t struct_size;
    uint32_t struct_type;
    tn_status status;
    uint32_t domain;
    int64_t native_code;
    // Index in the graph view the call was given, or TN_NONE.
    uint32_t node_index;
    uint32_t value_index;
    // Byte offset in the input that was read (file, manifest, blob), or TN_NO_OFFSET.
    uint64_t byte_offset;
    // A stable identifier of the check that failed ("onnx.varint-too-long"), for tests and tools.
    char id[64];
    char text[TN_ERROR_TEXT_BYTES];
} tn_error;

#ifdef __cplusplus
}
#endif

#endif // TENON_ABI_STATUS_H
