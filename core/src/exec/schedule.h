// SPDX-License-Identifier: Apache-2.0
// What one run does, worked out before any run: the steps in order, where every value lies, who
// waits for whom and how. Counting a schedule gives the plan's numbers; running it gives the
// trace's.
#ifndef TENON_EXEC_SCHEDULE_H
#define TENON_EXEC_SCHEDULE_H

#include "exec/external.h"
#include "graph/shape/shape.h"
#include "plan/plan.h"

// A memory that values lie in. Space 0 is the host's arena, which devices that share host memory
// import.
typedef struct tni_space {
    tni_device *device; // null for the host's
    uint32_t heap;
    uint64_t arena_bytes; // after tni_memory_plan
} tni_space;

// One copy of a value in one space, or the scratch of one step (value TN_NONE).
typedef struct tni_place {
    uint32_t value;
    uint32_t space;
    uint32_t writer; // step, or TN_NONE for graph inputs
    bool lasting;    // an input or output of the region: its memory is never shared
    bool measured;   // size_bytes is the most there can be; the run tells the shape
    uint64_t size_bytes;
    uint64_t alignment_bytes;
    uint64_t offset_bytes;        // in the space's arena, after tni_memory_plan
    const tni_external *external; // where it lies instead, or null
} tni_place;

typedef enum tni_step_kind {
    TNI_STEP_ISLAND,
    TNI_STEP_COPY,
} tni_step_kind;

// One call into a plugin. Ranges are of tni_schedule.links.
typedef struct tni_step {
    tni_step_kind kind;
    tni_device *device; // that executes it
    uint32_t island;    // ISLAND
    uint32_t from;      // COPY: places
    uint32_t to;
    uint32_t port_begin; // ISLAND: range of ports and port_places
    uint32_t port_count;
    tn_range inputs;       // places read
    tn_range dependencies; // steps whose results are read
    tn_range host_waits;   // steps the executing host thread blocks on first
    tn_range device_waits; // steps of the same device that submit names
    tn_range bridges;      // indices of tni_schedule.bridges that submit names
} tni_step;

// A step of one device that a step of another waits for, through a fence the host signals.
typedef struct tni_bridge {
    uint32_t from; // steps
    uint32_t to;
} tni_bridge;

// Defined in docs/guide/counting.md.
typedef struct tni_counts {
    uint32_t handovers;
    uint32_t host_waits;
    uint32_t transfers;
    uint32_t bridges;
    uint64_t transfer_bytes;
} tni_counts;

// Single owner, immutable once made.
typedef struct tni_schedule {
    tni_alloc alloc;
    const tni_plan *plan;
    uint32_t space_count, space_capacity;
    uint32_t place_count, place_capacity;
    uint32_t step_count, step_capacity;
    uint32_t link_count, link_capacity;
    uint32_t port_count, port_capacity;
    uint32_t bridge_count, bridge_capacity;
    tni_space *spaces;
    tni_place *places;
    tni_step *steps;
    uint32_t *links;
    tn_port_info *ports;   // of all islands
    uint32_t *port_places; // place of each port
    uint32_t port_place_capacity;
    tni_bridge *bridges;
    bool measures; // some port tells its shape only when it has run
    uint32_t input_count;
    uint32_t *input_places;
    uint32_t output_count;
    uint32_t *output_places;
    tn_range final_waits; // steps the host waits for at the end
    uint64_t *before;     // step_count rows of row_words: the steps known finished when it starts
    uint32_t row_words;   // 0: too many steps, nothing is known and no memory is shared
    tni_counts counts;    // one run, as planned
} tni_schedule;

// Lays out one run of plan for the shapes in table. Every symbol of the model must have a size
// there. externals must outlive the schedule. TN_OK · TN_ERROR_UNSUPPORTED a port kind or layout
// this host cannot serve, with id "schedule.state" when it is an external that a plugin cannot use
// · TN_ERROR_INVALID_DATA a plugin's ports contradict the island · TN_ERROR_LIMIT_EXCEEDED ·
// TN_ERROR_OUT_OF_MEMORY · the plugins' errors. *out_schedule is null on failure; free with
// tni_schedule_destroy.
TN_MUST_USE tn_status tni_schedule_create(const tni_alloc *alloc, const tni_plan *plan,
                                          const tni_shape_table *table,
                                          const tn_symbol_value *symbols, uint32_t symbol_count,
                                          const tni_external *externals, uint32_t external_count,
                                          tni_schedule **out_schedule, tn_error *error);
void tni_schedule_destroy(tni_schedule *schedule); // null is ignored

// Fills waits, bridges, before and counts (waits.c).
TN_MUST_USE tn_status tni_schedule_waits(tni_schedule *schedule);

// One host wait. Islands are of the plan; TN_NONE where there is none.
typedef struct tni_host_wait {
    uint32_t before_island; // whose start, or whose inputs' copy, it holds up
    uint32_t on_island;     // whose result is waited for
    bool on_copy;
} tni_host_wait;

// The index-th of counts.host_waits, in the order of the run (wait_list.c); false: out of range.
bool tni_schedule_wait_get(const tni_schedule *schedule, uint32_t index, tni_host_wait *out_wait);

// Assigns offsets and arena sizes (memory_plan.c): memory is shared only where the later writer
// starts after everybody who touched the earlier occupant is known to have finished. TN_OK ·
// TN_ERROR_LIMIT_EXCEEDED the arenas together exceed cap_bytes (0: the host's exceeds what the
// machine has); error names the largest tensors · TN_ERROR_OUT_OF_MEMORY. Checks that no tensor and
// no workspace is larger than one may be (0: any size). TN_OK · TN_ERROR_LIMIT_EXCEEDED with the
// value (id "memory.tensor-size").
TN_MUST_USE tn_status tni_memory_check(const tni_schedule *schedule, uint64_t max_tensor_bytes,
                                       tn_error *error);
TN_MUST_USE tn_status tni_memory_plan(tni_schedule *schedule, uint64_t cap_bytes, tn_error *error);

// Appends to links. TN_OK · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_LIMIT_EXCEEDED.
TN_MUST_USE tn_status tni_schedule_link(tni_schedule *schedule, uint32_t id);

// Whether step is known to be finished before later starts.
static inline bool tni_step_is_before(const tni_schedule *schedule, uint32_t step, uint32_t later) {
    const uint64_t *row = schedule->before + (uint64_t)later * schedule->row_words;
    return schedule->row_words > 0 && ((row[step / 64] >> (step % 64)) & 1u) != 0;
}

// Bytes that a copy step moves: a port may ask for more room than its tensor fills, and one end
// may have been widened after the other was made.
static inline uint64_t tni_copy_bytes(const tni_schedule *schedule, const tni_step *step) {
    uint64_t from = schedule->places[step->from].size_bytes;
    uint64_t to = schedule->places[step->to].size_bytes;
    return from < to ? from : to;
}

#endif // TENON_EXEC_SCHEDULE_H
