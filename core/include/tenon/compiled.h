// SPDX-License-Identifier: Apache-2.0
// A compiled model: which device runs what, and the programs for it. Read next: request.h.
#ifndef TENON_COMPILED_H
#define TENON_COMPILED_H

#include "tenon/abi/compile.h"
#include "tenon/model.h"

#ifdef __cplusplus
extern "C" {
#endif

// Shared and immutable: any thread may create requests from it. Holds its model and host.
typedef struct tn_compiled tn_compiled;

typedef uint32_t tn_compile_policy;
// A node no listed device takes is an error, not a fallback to other devices.
#define TN_COMPILE_NO_FALLBACK 1u
// No program is built: the result can be asked about its plan, and not run.
#define TN_COMPILE_PLAN_ONLY 2u
// Keep what plan.h tells.
#define TN_COMPILE_EXPLAIN 4u
// Devices work at the same time: what counts is when the last one ends, not the sum of all work.
// Estimates do not know how much devices that share memory slow each other down.
#define TN_COMPILE_CONCURRENT 8u

typedef uint32_t tn_pin_kind;
#define TN_PIN_TO 0u     // the node runs on the device
#define TN_PIN_FORBID 1u // the node does not run on the device
// Plan as if the device took the node, at what the host estimates: what would it gain? Only with
// TN_COMPILE_PLAN_ONLY.
#define TN_PIN_ASSUME 2u

// Where one node must or must not run, whatever it costs.
typedef struct tn_pin {
    const char *device; // id
    uint32_t node;      // of the model
    tn_pin_kind kind;
} tn_pin;

// What passing work from one device to another costs: handover_ns each time, and for every tensor
// that is copied copy_ns and its bytes over bytes_per_second; 0: bytes cost nothing. Nothing is
// copied where memory is shared. A handover may pass through a third device where that is cheaper.
typedef struct tn_link_cost {
    const char *from; // device id, or "host"
    const char *to;
    int64_t handover_ns; // at most TN_LINK_MAX_NS
    int64_t copy_ns;
    uint64_t bytes_per_second;
} tn_link_cost;

#define TN_LINK_MAX_NS ((int64_t)1 << 40)

// Returns 0 to go on, anything else to stop with TN_ERROR_CANCELLED. Called on the calling thread:
// with phase "plan" now and then while a plan is searched for, and permille 0, because nobody knows
// how long that takes; with phase "compile" while programs are built.
typedef uint32_t (*tn_compile_progress_fn)(void *user_data, const char *phase, uint32_t permille);

// Texts and arrays are borrowed for the call.
// What the weights of a compiled model may take on a device. Devices of one resource group share
// their memory: the least cap of any of them holds for all together.
typedef struct tn_device_cap {
    const char *device;    // id
    uint64_t weight_bytes; // 0: the memory that the device says it has; where it says nothing: none
} tn_device_cap;

typedef struct tn_compile_config {
    uint32_t struct_size;
    uint32_t struct_type;
    // Device ids in order of preference for equal cost. Devices that are not listed are used only
    // for nodes no listed one takes, and never with NO_FALLBACK. None listed: the host chooses
    // among all its devices; of those with the same resource group it uses the one that takes most
    // nodes.
    const char *const *devices;
    uint32_t device_count;
    tn_compile_policy policy;
    uint32_t precision;     // TN_PRECISION_ (abi/compile.h)
    uint32_t compile_flags; // TN_COMPILE_FAST (abi/compile.h)
    // Of one request's tensors, states and workspaces; 0: the memory that the machine has.
    uint64_t memory_cap_bytes;
    tn_compile_progress_fn progress; // may be null
    void *progress_user_data;
    // Of all Loop, Scan and SequenceMap nodes of one run together, and pieces that SplitToSequence
    // makes; 0: 2^24.
    uint64_t max_iterations;
    const tn_pin *pins;
    uint32_t pin_count;
    uint32_t reserved;
    // Constants that nodes read count, as they are in the model, once a device for those that
    // several of its nodes read. Plugins may pack weights into more or less.
    const tn_device_cap *caps;
    uint32_t cap_count;
    uint32_t reserved2;
    // Counted from the call. Once it has passed, a search for a plan ends with the best one so far,
    // which tn_plan_summary calls truncated: it depends on how fast the machine was. Plans made
    // later, for a run's shapes, have the same time each. 0: no limit.
    uint64_t plan_time_limit_ns;
    // Instead of what was measured, or is assumed, for these ordered pairs.
    const tn_link_cost *links;
    uint32_t link_count;
    uint32_t reserved3;
} tn_compile_config;

TN_API void tn_compile_config_init(tn_compile_config *config);

// Asks the devices, partitions, and builds a program for every island. [any-thread] [may-block]
// config may be null.
// TN_ERROR_NOT_FOUND a device id, also one that a pin, a cap or a link names and that may not be
// used ·
// TN_ERROR_UNSUPPORTED no device takes a node: node_index, and the text has every device's reason
// · TN_ERROR_DENIED the same under NO_FALLBACK · TN_ERROR_LIMIT_EXCEEDED "plan.memory": no plan was
// found that keeps the caps; the text names them and the largest nodes · TN_ERROR_CANCELLED ·
// TN_ERROR_DEVICE_LOST ·
// TN_ERROR_OUT_OF_MEMORY · TN_ERROR_INVALID_ARGUMENT. *out_compiled is null on failure; else give
// it back with tn_compiled_release.
TN_API TN_MUST_USE tn_status tn_compile(tn_model *model, const tn_compile_config *config,
                                        tn_compiled **out_compiled, tn_error *error);

TN_API void tn_compiled_retain(tn_compiled *compiled);
TN_API void tn_compiled_release(tn_compiled *compiled); // null is ignored

// The plan in numbers. handover, host wait and transfer are defined in docs/guide/counting.md.
typedef struct tn_plan_summary {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t island_count;
    uint32_t fallback_count; // nodes on a device that was not listed
    // Predicted for one run, with bodies as often as body_ns says; waits and transfers depend on
    // the shapes and are in the request's stats.
    uint32_t handovers;
    uint32_t refused_programs; // islands a plugin claimed and then refused to compile
    uint32_t replans;
    uint32_t stage_count;   // 1, unless the host has something to do between parts of the graph
    int64_t cost_ns;        // estimate
    int64_t lower_bound_ns; // no plan can cost less, by the same estimates
    uint64_t compile_ns;    // measured
    uint64_t weight_bytes;  // packed by the plugins
    uint32_t host_nodes;    // control flow and sequences: the host carries them out itself
    uint32_t
        unplanned_nodes; // planned when a run tells their types or ranks; they cost nothing here
    // Parts of cost_ns: compute_ns + transfer_ns + handover_ns - claim_saving_ns.
    int64_t compute_ns;
    int64_t transfer_ns;
    int64_t handover_ns;
    int64_t claim_saving_ns; // devices taking groups of nodes for less
    uint64_t plan_hash;      // equal for equal plans, on any machine; 0 when truncated
    uint32_t claim_count;
    uint32_t truncated; // 1: a search was stopped by plan_time_limit_ns
    // With TN_COMPILE_CONCURRENT or TN_COMPILE_EXPLAIN: when the last island ends if devices work
    // at the same time (estimate, never above cost_ns), and what no plan ends before.
    int64_t makespan_ns;
    int64_t makespan_bound_ns;
    // Part of cost_ns that lies in bodies of If, Loop and Scan, as often as they run: a constant
    // trip count times, along an axis of known size, or else 10 times; of an If the dearer branch.
    int64_t body_ns;
    uint32_t assumed_loops; // loops that were taken to run 10 times
    uint32_t lost_claims;   // of devices, over nodes that no plan can keep together; logged
    uint32_t stored_stages; // whose plans were kept from an earlier compile
    // With measured costs: that stay on one device, because several would save less than 5 % if
    // handovers and copies cost twice as much, and such costs are not surer than that.
    // lower_bound_ns knows no such margin.
    uint32_t settled_stages;
} tn_plan_summary;

TN_API TN_MUST_USE tn_status tn_compiled_plan_get(const tn_compiled *compiled,
                                                  tn_plan_summary *out_summary);

typedef struct tn_island_desc {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t device; // index in the host
    uint32_t node_count;
    // Of the model; lives as long as the compiled model. A function op that several devices share
    // is listed wherever a part of it runs, once a part; of a call (below), all of its nodes are.
    const uint32_t *nodes;
    uint32_t input_count;
    uint32_t output_count;
    uint64_t flops;
    uint32_t call_count; // for tn_compiled_call_get
    uint32_t reserved;
} tn_island_desc;

TN_API TN_MUST_USE tn_status tn_compiled_island_get(const tn_compiled *compiled, uint32_t island,
                                                    tn_island_desc *out_desc);

// A call of a model-local function that was planned as one node, because a device takes the
// function as an op of its own. Texts and nodes live as long as the compiled model.
typedef struct tn_call_desc {
    uint32_t struct_size;
    uint32_t struct_type;
    const char *name;     // of the calling node; may be ""
    const char *function; // its name: the op type
    const char *domain;
    uint32_t version;  // of the domain
    uint32_t in_parts; // 1: the island's device does not know the function, and runs its nodes
    uint32_t node_count;
    uint32_t reserved;
    const uint32_t *nodes; // of the model: what the function consists of
} tn_call_desc;

// TN_ERROR_INVALID_ARGUMENT island or call out of range.
TN_API TN_MUST_USE tn_status tn_compiled_call_get(const tn_compiled *compiled, uint32_t island,
                                                  uint32_t call, tn_call_desc *out_desc);

// Where a node runs, and what one device said about it. Of a function op that several devices
// share: the part that makes its first output. Of a node of a call (above): the call.
typedef struct tn_placement {
    uint32_t struct_size;
    uint32_t struct_type;
    // TN_NONE for both: the host carries the node out itself, or it is planned at the first run.
    uint32_t island;
    uint32_t device; // where it runs, index in the host
    uint32_t answer; // TN_ANSWER_ of the device asked about
    uint32_t reason; // TN_REASON_ why it is not there; NONE when it is
    uint32_t subject;
    uint32_t cost_origin; // TN_COST_
    int64_t limit;
    int64_t actual;
    uint64_t cost_ns;
} tn_placement;

// TN_ERROR_INVALID_ARGUMENT node or device out of range · TN_ERROR_NOT_FOUND the device was not
// asked.
TN_API TN_MUST_USE tn_status tn_compiled_placement_get(const tn_compiled *compiled, uint32_t node,
                                                       uint32_t device,
                                                       tn_placement *out_placement);

#ifdef __cplusplus
}
#endif

#endif // TENON_COMPILED_H
