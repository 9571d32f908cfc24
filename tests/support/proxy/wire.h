// SPDX-License-Identifier: Apache-2.0
// What both processes of the proxy share: one mapping with a frame for the call in progress and
// slots that stage the host's end of copies. Sockets carry only "go", "done" and fence events.
#ifndef TENON_TESTS_PROXY_WIRE_H
#define TENON_TESTS_PROXY_WIRE_H

#include "support/fake/fake_control.h"

#include "tenon/abi/exec.h"

#define PROXY_ARGUMENT_BYTES (1u << 20)
#define PROXY_SLOT_BYTES (1u << 20)
#define PROXY_SLOTS 32u
#define PROXY_MAX_POINTS 16u
#define PROXY_MAX_PORTS 64u
#define PROXY_MAX_OPS 32u

// Slots of the mandatory tables that need the child, then what only tests call.
typedef enum proxy_op {
    PROXY_PROBE,
    PROXY_DEVICE_INFO,
    PROXY_DEVICE_OPEN,
    PROXY_DEVICE_CLOSE,
    PROXY_SHUTDOWN,
    PROXY_OP_LIST,
    PROXY_QUERY_SUPPORT,
    PROXY_COMPILE,
    PROXY_PROGRAM_INFO,
    PROXY_PORT_QUERY,
    PROXY_PROGRAM_DESTROY,
    PROXY_HEAP_INFO,
    PROXY_MEMORY_ALLOC,
    PROXY_MEMORY_FREE,
    PROXY_COPY,
    PROXY_FENCE_CAPS,
    PROXY_FENCE_CREATE,
    PROXY_FENCE_DESTROY,
    PROXY_FENCE_SIGNAL,
    PROXY_FENCE_FAIL,
    PROXY_CONTEXT_CREATE,
    PROXY_CONTEXT_PREPARE,
    PROXY_SUBMIT,
    PROXY_CANCEL,
    PROXY_CONTEXT_DESTROY,
    PROXY_GET_CONTROL,
    PROXY_SET_CONTROL,
    PROXY_OP_COUNT
} proxy_op;

typedef struct proxy_op_text {
    char domain[64];
    char op_type[64];
    uint32_t newest_version;
    uint32_t oldest_version;
} proxy_op_text;

typedef struct proxy_point {
    uint32_t fence;
    uint32_t reserved;
    uint64_t value;
} proxy_point;

// One end of a copy: a handle, or (0) an offset in the shared mapping.
typedef struct proxy_copy_end {
    uint32_t memory;
    uint32_t reserved;
    uint64_t offset_bytes;
} proxy_copy_end;

typedef struct proxy_binding {
    uint32_t memory;
    uint32_t rank;
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint32_t has_strides;
    uint32_t reserved;
    int64_t dims[TN_MAX_RANK];
    int64_t strides[TN_MAX_RANK];
} proxy_binding;

// The call in progress. object: the handle the function takes first, 0 for the plugin. Handles are
// never used twice, so a late event cannot meet a newer object.
typedef struct proxy_frame {
    uint32_t op;
    uint32_t object;
    uint32_t result; // a new handle or a count
    tn_status status;
    uint64_t value[4];
    tn_error error;
    union {
        tn_device_info device_info;
        tn_device_open_info device_open;
        tn_query_info query;
        tn_verdicts verdicts;
        tn_compile_info compile;
        tn_program_info program_info;
        tn_heap_info heap_info;
        tn_memory_alloc_info memory_alloc;
        tn_fence_caps fence_caps;
        tn_submit_info submit;
        fake_control control;
    } u;
    tn_query_info query;
    proxy_copy_end source;
    proxy_copy_end destination;
    uint32_t wait_count;
    uint32_t signal_count;
    proxy_point waits[PROXY_MAX_POINTS];
    proxy_point signals[PROXY_MAX_POINTS];
    // Views, symbols, ports, verdicts, bindings, in the order in which the call names them.
    _Alignas(64) unsigned char bytes[PROXY_ARGUMENT_BYTES];
} proxy_frame;

typedef struct proxy_shared {
    proxy_frame frame;
    _Alignas(64) unsigned char slots[PROXY_SLOTS][PROXY_SLOT_BYTES];
} proxy_shared;

// From the child: a fence reached value, or failed.
typedef struct proxy_event {
    uint32_t fence;
    tn_status status;
    uint64_t value;
} proxy_event;

// Where the parts of frame.bytes lie, for both sides.
typedef struct proxy_verdict_layout {
    uint64_t nodes;
    uint64_t claims;
    uint64_t claim_nodes;
    uint64_t bounds;
    uint64_t end;
} proxy_verdict_layout;

static inline uint64_t proxy_align(uint64_t offset) {
    return (offset + 63u) & ~(uint64_t)63u;
}

static inline proxy_verdict_layout proxy_layout_verdicts(uint64_t view_bytes,
                                                         const tn_verdicts *v) {
    proxy_verdict_layout l;
    l.nodes = proxy_align(view_bytes);
    l.claims = proxy_align(l.nodes + (uint64_t)v->node_capacity * sizeof(tn_node_verdict));
    l.claim_nodes = proxy_align(l.claims + (uint64_t)v->claim_capacity * sizeof(tn_claim));
    l.bounds = proxy_align(l.claim_nodes + (uint64_t)v->claim_node_capacity * sizeof(uint32_t));
    l.end = l.bounds + (uint64_t)v->bound_capacity * sizeof(tn_verdict_bound);
    return l;
}

#endif // TENON_TESTS_PROXY_WIRE_H
