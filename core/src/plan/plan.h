// SPDX-License-Identifier: Apache-2.0
// From verdicts to islands: the partition problem of a model, its answer, and for every island the
// values that cross its border and its program. Immutable once made.
#ifndef TENON_PLAN_PLAN_H
#define TENON_PLAN_PLAN_H

#include "plan/cost_table.h"
#include "plan/verdicts.h"

#include "tenon/partition.h"
#include "tenon/plan.h"

// A maximal run of one device: its nodes, and the values it exchanges with the rest.
typedef struct tni_island {
    tni_device *device;
    uint32_t node_count;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t *nodes;   // of the model, in execution order
    uint32_t *places;  // of the same nodes in the region's list
    uint32_t *inputs;  // values: the program's input ports, in order
    uint32_t *outputs; // values: the program's output ports, in order
    tn_program *program;
    tn_program_info program_info;
} tni_island;

// Where a node must or must not run.
typedef struct tni_pin {
    uint32_t node; // of graph 0 of the model as it was loaded
    tn_pin_kind kind;
    const tni_device *device;
} tni_pin;

// What weights may take on a device; devices of one resource group share the least of theirs.
typedef struct tni_cap {
    const tni_device *device;
    uint64_t weight_bytes;
    uint64_t used_bytes; // by regions that have a plan already
} tni_cap;

// What to plan. Borrowed for the call; devices, their presentations and
// the region must outlive the plan.
typedef struct tni_plan_info {
    tni_model *model;
    const tni_region *region;
    // Null: for whatever shapes a request has. Else for these alone: every size is a number.
    const tni_shape_table *shapes;
    tni_device *const *devices;            // open; listed ones first
    const tni_presentation *presentations; // one a device
    uint32_t device_count;
    uint32_t listed_count; // the first of devices; the others only take what no listed one takes
    uint32_t call_device_count; // the first of devices, which are offered calls: tni_flow_create's
    tn_precision precision;
    tn_compile_flags compile_flags;
    bool no_fallback;
    const tni_pin *pins;
    uint32_t pin_count;
    const tni_cap *caps;
    uint32_t cap_count;
    const tni_cost_table *costs; // what was measured; may be null
    uint32_t margin_permille;    // what several devices have to save against one: tni_plan_settle
    const struct tni_plan_store *store; // of earlier plans; may be null
    bool plan_only;                     // build no programs
    bool explain;                       // keep a tni_why
    bool concurrent;                    // plan for devices that work at the same time
    bool merge_copies; // a trial: copies of a node count once where no claim has them
    bool automatic;    // nobody named devices: of those that share a resource group, one is used
    uint64_t plan_time_limit_ns;     // of plans that are made later; 0: none
    uint64_t plan_deadline_ns;       // when a search takes the best plan so far; UINT64_MAX: never
    tn_compile_progress_fn progress; // may be null
    void *progress_user_data;
} tni_plan_info;

// Single owner; read by any thread.
typedef struct tni_plan {
    tni_alloc alloc;
    tni_model *model;
    const tni_region *region;
    bool automatic; // nobody named devices
    uint32_t set_count;
    uint32_t set_capacity;
    tni_verdict_set *sets; // one a device asked, in order of the devices
    uint32_t listed_count; // the first of sets; the others only take what none of these takes
    uint32_t island_count;
    uint32_t island_capacity;
    tni_island *islands; // in execution order
    uint32_t *island_of; // by place in the region's list
    tnp_cost cost;
    int64_t lower_bound_ns;
    int64_t makespan_ns; // 0 unless asked for
    int64_t makespan_bound_ns;
    uint64_t hash;
    bool truncated;      // the search was stopped: hash is 0
    bool stored;         // the plan was found in the store
    bool settled;        // one device, although several would cost a little less
    struct tni_why *why; // null unless asked for
    uint32_t replan_count;
    uint32_t refused_count;
    uint64_t weight_bytes;
} tni_plan;

// Asks about the region, partitions it, and compiles every island; a refused island becomes a
// constraint and the whole is planned again; from the TNI_MAX_REPLANS-th time on without devices
// that refused. TN_OK · TN_ERROR_UNSUPPORTED no device takes a node (node_index; the text has each
// device's reason) · TN_ERROR_DENIED the same when listed devices alone may be used ·
// TN_ERROR_LIMIT_EXCEEDED "plan.memory" the weights do not fit the caps · TN_ERROR_CANCELLED ·
// TN_ERROR_OUT_OF_MEMORY · the plugins' errors. *out_plan is null on failure; free with
// tni_plan_destroy.
#define TNI_MAX_REPLANS 8u
TN_MUST_USE tn_status tni_plan_create(const tni_alloc *alloc, const tni_plan_info *info,
                                      tni_plan **out_plan, tn_error *error);
void tni_plan_destroy(tni_plan *plan); // null is ignored

// Fills islands from the current verdicts (partition.c). TN_OK or the errors above.
TN_MUST_USE tn_status tni_plan_partition(tni_plan *plan, const tni_plan_info *info,
                                         tn_error *error);
// Frees islands and their programs.
void tni_plan_clear_islands(tni_plan *plan);
// Compiles every island (build.c). TN_OK · TN_ERROR_STALE one was refused: verdicts have changed,
// plan again · the errors above.
TN_MUST_USE tn_status tni_plan_build(tni_plan *plan, const tni_plan_info *info, tn_error *error);

// Whether the device takes the node through its expansion only.
bool tni_plan_inlines(const tni_plan *plan, const tni_device *device, uint32_t node);

// Whether the verdicts that the plan rests on hold for these sizes (bounds.c). If not, it has to be
// made anew for them.
bool tni_plan_holds(const tni_plan *plan, const tni_shape_table *table);

// "DTYPE operand 1: 8, limit 0" and the like, for messages. Always terminated.
void tni_option_text(const tni_option *option, char *text, uint32_t capacity);

#endif // TENON_PLAN_PLAN_H
