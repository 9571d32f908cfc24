// SPDX-License-Identifier: Apache-2.0
// A request: one prepared, reusable execution of a compiled model. Prepare fixes shapes and plans
// memory; run or submit may then be repeated without allocating, but for models of several stages,
// whose parts are made ready as the run tells their shapes. Read next: trace.h.
#ifndef TENON_REQUEST_H
#define TENON_REQUEST_H

#include "tenon/compiled.h"

#ifdef __cplusplus
extern "C" {
#endif

// Single owner, one thread at a time, except tn_request_cancel. Holds its compiled model.
typedef struct tn_request tn_request;

// An input and the output that becomes the same input of the next run, kept by the request. The
// embedder neither writes the one nor reads the other.
typedef struct tn_state_config {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t input; // by position in the model
    uint32_t output;
    // The dimension along which the output is longer than the input, as in Concat(past, new);
    // TN_NONE: both have one shape.
    uint32_t axis;
    uint32_t reserved; // zero
    int64_t capacity;  // of that dimension: memory for so many rows is taken at the first prepare
} tn_state_config;

TN_API void tn_state_config_init(tn_state_config *config);

typedef struct tn_request_config {
    uint32_t struct_size;
    uint32_t struct_type;
    // 1: tn_request_submit works; prepare then starts one thread for this request. Without it
    // submit returns TN_ERROR_UNSUPPORTED and the request starts no thread.
    uint32_t background;
    uint32_t state_count;
    const tn_state_config *states; // borrowed for tn_request_create
    // So many sets of input shapes stay prepared, those used last, so that coming back to one costs
    // nothing; each holds memory of its own, together within the memory cap. 0 and 1: only the
    // current one. At most 16. Growing states make new shapes with every run: 1 is right for them.
    uint32_t shape_profiles;
    uint32_t reserved; // zero
} tn_request_config;

TN_API void tn_request_config_init(tn_request_config *config);

// config may be null. TN_ERROR_OUT_OF_MEMORY · TN_ERROR_INVALID_ARGUMENT · TN_ERROR_DEVICE_LOST.
TN_API TN_MUST_USE tn_status tn_request_create(tn_compiled *compiled,
                                               const tn_request_config *config,
                                               tn_request **out_request, tn_error *error);

// Frees the request; null is ignored. Work that is still running is cancelled. Where a device
// cannot stop, what it may still touch is kept aside until it has finished, so this never waits for
// long.
TN_API void tn_request_destroy(tn_request *request);

// Sizes of one input, by position in the model.
typedef struct tn_input_shape {
    uint32_t input;
    uint32_t rank;
    const int64_t *dims;
} tn_input_shape;

// Fixes the shapes, plans memory and readies every context. Inputs that are not listed must have
// known dimensions. May be repeated between runs; inputs have to be written again.
// [may-block] TN_ERROR_INVALID_ARGUMENT a shape contradicts the model: text names input and
// dimension · TN_ERROR_LIMIT_EXCEEDED over the memory cap: text names the largest tensors ·
// TN_ERROR_INVALID_STATE running · TN_ERROR_BUSY a device is still at work on a run that was given
// up, which may write to states · TN_ERROR_OUT_OF_MEMORY · TN_ERROR_UNSUPPORTED ·
// TN_ERROR_DEVICE_LOST
TN_API TN_MUST_USE tn_status tn_request_prepare(tn_request *request, const tn_input_shape *shapes,
                                                uint32_t shape_count, tn_error *error);

// A tensor's place and shape; dense row-major. data and dims live until the next prepare or
// destroy. Strings: one uint64_t more than there are elements, the first 0, then where each string
// ends, counted from the first character behind them; then the characters of all.
typedef struct tn_tensor_view {
    uint32_t struct_size;
    uint32_t struct_type;
    void *data;
    uint64_t size_bytes;
    tn_dtype dtype;
    uint32_t rank;
    const int64_t *dims;
} tn_tensor_view;

// The request's own memory for an input: write it before run. For both: TN_ERROR_INVALID_STATE not
// prepared · TN_ERROR_INVALID_ARGUMENT index out of range or bad struct.
TN_API TN_MUST_USE tn_status tn_request_input(tn_request *request, uint32_t input,
                                              tn_tensor_view *out_view);
// The request's own memory for an output: read it after run, until the next run. Where a model runs
// in stages (tn_plan_summary.stage_count above 1), only a run tells the shapes of its outputs;
// before the first one: TN_ERROR_INVALID_STATE.
TN_API TN_MUST_USE tn_status tn_request_output(tn_request *request, uint32_t output,
                                               tn_tensor_view *out_view);

// Sequences and optionals among the outputs: how many tensors one consists of (a tensor: 1; an
// optional: 0 or 1), and each of them, as tn_request_output. TN_ERROR_INVALID_STATE there was no
// run yet, it failed, or one is under way · TN_ERROR_INVALID_ARGUMENT index out of range or bad
// struct.
TN_API TN_MUST_USE tn_status tn_request_output_length(tn_request *request, uint32_t output,
                                                      uint64_t *out_length);
TN_API TN_MUST_USE tn_status tn_request_output_element(tn_request *request, uint32_t output,
                                                       uint64_t index, tn_tensor_view *out_view);
// Sets an input that is a sequence or an optional: copies count tensors, strings in the form that
// tn_request_write takes. elements null: an optional without an element. TN_ERROR_INVALID_ARGUMENT
// the input is a tensor, or takes no such number, or an element is of another type than the model's
// or of another size than its type and dims · TN_ERROR_INVALID_STATE not prepared, or running ·
// TN_ERROR_LIMIT_EXCEEDED the memory cap · TN_ERROR_OUT_OF_MEMORY.
TN_API TN_MUST_USE tn_status tn_request_write_elements(tn_request *request, uint32_t input,
                                                       const tn_tensor_view *elements,
                                                       uint32_t count, tn_error *error);

// State. The first prepare that succeeds fixes the shapes of states: from the given shapes, else
// the model's, with 0 rows where the growing dimension is not known. A run that succeeds replaces
// the state, one that fails leaves it as it was. After a state has grown, prepare again before the
// next run; shapes of states need not be given then.

// Rows of a growing state; elements of a fixed one. For all of these: TN_ERROR_INVALID_ARGUMENT no
// such state, or bad arguments · TN_ERROR_INVALID_STATE not prepared, or running.
TN_API TN_MUST_USE tn_status tn_request_state_length(tn_request *request, uint32_t state,
                                                     int64_t *out_length);
// Bytes of what tn_request_state_read gives: the rows there are, dense row-major.
TN_API TN_MUST_USE tn_status tn_request_state_bytes(tn_request *request, uint32_t state,
                                                    uint64_t *out_bytes);
// Copies a state out, e.g. to keep it elsewhere. size_bytes must be exact.
TN_API TN_MUST_USE tn_status tn_request_state_read(tn_request *request, uint32_t state, void *data,
                                                   uint64_t size_bytes);
// Replaces a state by length rows (ignored for a fixed one). TN_ERROR_LIMIT_EXCEEDED more than the
// capacity · TN_ERROR_BUSY a device is still at work on a run that was given up. Prepare again
// before the next run.
TN_API TN_MUST_USE tn_status tn_request_state_write(tn_request *request, uint32_t state,
                                                    int64_t length, const void *data,
                                                    uint64_t size_bytes);

// What became of one output in the last run: TN_OK, or the status of the first failure it depends
// on. After a run that failed, outputs that do not depend on the failure are good.
// TN_ERROR_INVALID_STATE not prepared, or running, or a model of several stages that has not run
// since · TN_ERROR_INVALID_ARGUMENT no such output.
TN_API TN_MUST_USE tn_status tn_request_output_status(tn_request *request, uint32_t output);

// Copies size_bytes into the request's memory for the input. Strings may have any length: only
// their number is fixed by the shape, and a view of the input from before is void.
// TN_ERROR_INVALID_ARGUMENT wrong index or size · TN_ERROR_INVALID_STATE not prepared, or running.
TN_API TN_MUST_USE tn_status tn_request_write(tn_request *request, uint32_t input, const void *data,
                                              uint64_t size_bytes, tn_error *error);

// Runs once and returns when the outputs are there. deadline_ns: from now; 0: none.
// TN_ERROR_INVALID_STATE not prepared, or running · TN_ERROR_TIMEOUT · TN_ERROR_CANCELLED ·
// TN_ERROR_DEVICE_LOST · TN_ERROR_OUT_OF_MEMORY · what a program failed with. After an error
// tn_request_output_status tells which outputs hold, and the request may be run again once its
// devices are done with it (TN_ERROR_BUSY).
TN_API TN_MUST_USE tn_status tn_request_run(tn_request *request, uint64_t deadline_ns,
                                            tn_error *error);

// Called once when a submitted run has ended, on any thread; must not block or call back in.
typedef void (*tn_request_done_fn)(void *user_data, tn_status status);

// Starts a run and returns at once. done may be null. Errors as run's, before anything was started;
// TN_ERROR_UNSUPPORTED: see tn_request_config.background. End it with tn_request_wait.
TN_API TN_MUST_USE tn_status tn_request_submit(tn_request *request, uint64_t deadline_ns,
                                               tn_request_done_fn done, void *user_data,
                                               tn_error *error);

// Waits for a submitted run and gives its result. TN_ERROR_TIMEOUT with error.id "request.wait": it
// is still running · TN_ERROR_INVALID_STATE nothing was submitted.
TN_API TN_MUST_USE tn_status tn_request_wait(tn_request *request, uint64_t timeout_ns,
                                             tn_error *error);

// Asks the run under way to end early with TN_ERROR_CANCELLED; without one it does nothing, and the
// next run is not affected. Never during or after destroy; null is ignored. [any-thread] [no-block]
TN_API void tn_request_cancel(tn_request *request);

// What the last run did, counted at the calls to the plugins, beside what the plan said it would.
typedef struct tn_run_stats {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t handovers;
    uint32_t host_waits;
    uint32_t transfers;
    uint32_t submits;
    uint64_t transfer_bytes;
    uint32_t planned_handovers;
    uint32_t planned_host_waits;
    uint32_t planned_transfers;
    uint32_t bridged_fences; // of them none blocks a host thread
    uint64_t planned_transfer_bytes;
    uint64_t run_ns;
    uint64_t transfer_ns; // host time in copies
    uint64_t wait_ns;     // host time in waits
    uint64_t kernel_ns;   // host time in programs that run on a thread of the host's
    uint64_t prepare_ns;
    uint64_t host_arena_bytes;
    uint64_t device_arena_bytes;
    // Models of several stages: parts that had to be made ready for new shapes during this run.
    uint64_t prepared_regions;
    // Parts that run by a plan made for these very shapes: the general one did not hold for them.
    uint64_t replanned_regions;
    uint64_t state_bytes;     // written into states, or to bring them where the run needs them
    uint64_t states_in_place; // of the states, those that a plugin updates where they lie
    // Where the thread of the run was, besides: together with transfer_ns, wait_ns and kernel_ns,
    // less the three worker_ parts, they make up the run but for its beginning and end.
    uint64_t submit_ns;         // handing programs to devices that work on their own
    uint64_t dispatch_ns;       // between the calls: order, fences, nodes the host carries out
    uint64_t host_copy_ns;      // copies that are no transfers: states, tensors between stages
    uint64_t region_prepare_ns; // of prepared_regions
    // Of transfer_ns, wait_ns and kernel_ns: on threads of devices, while the run's did something
    // else, or waited.
    uint64_t worker_transfer_ns;
    uint64_t worker_wait_ns;
    uint64_t worker_kernel_ns;
} tn_run_stats;

// Of the run before, if the last one did not begin. TN_ERROR_INVALID_STATE not prepared, or running
// · TN_ERROR_INVALID_ARGUMENT bad struct.
TN_API TN_MUST_USE tn_status tn_request_stats(const tn_request *request, tn_run_stats *out_stats);

// One of the places where a run makes a host thread wait (docs/guide/counting.md). Islands are
// those of tn_compiled_island_get.
typedef struct tn_planned_wait {
    uint32_t struct_size;
    uint32_t struct_type;
    uint32_t before_island; // whose start, or whose inputs' copy, it holds up; TN_NONE: the end
    uint32_t on_island;     // whose result is waited for; TN_NONE: an input's copy
    uint32_t on_copy;       // 1: until that result is copied; 0: until it is there
    uint32_t reserved;
} tn_planned_wait;

// In the order of the run; tn_run_stats.planned_host_waits of them. Says where a run waits before
// there was one. TN_ERROR_INVALID_STATE not prepared, or running · TN_ERROR_NOT_FOUND the model has
// several stages, which are laid out as they run, or these shapes have a plan of their own
// (replanned_regions), with islands of its own · TN_ERROR_INVALID_ARGUMENT bad struct, or index out
// of range.
TN_API TN_MUST_USE tn_status tn_request_planned_wait_get(const tn_request *request, uint32_t index,
                                                         tn_planned_wait *out_wait);

#ifdef __cplusplus
}
#endif

#endif // TENON_REQUEST_H
