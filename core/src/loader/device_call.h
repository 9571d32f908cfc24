// SPDX-License-Identifier: Apache-2.0
// Calls of an open device that can do work, each on the thread the device must be called from: its
// worker's with TN_DEVICE_OWN_THREADS (ABI-33), else the caller's. Submits and copies get there by
// their own way (exec/run.c); fences and cancel may be called from any thread.
#ifndef TENON_LOADER_DEVICE_CALL_H
#define TENON_LOADER_DEVICE_CALL_H

#include "loader/plugin.h"

// Runs run(user_data) on the device's thread and waits for it. Any thread, the device's included;
// no lock may be held.
void tni_device_call(tni_device *device, void (*run)(void *user_data), void *user_data);

// As the functions of the ABI. A lost device is noted, and "OK, but no object" is an error.
TN_MUST_USE tn_status tni_device_query_support(tni_device *device, const tn_graph_view *view,
                                               const tn_query_info *info,
                                               tn_verdicts *inout_verdicts, tn_error *error);
TN_MUST_USE tn_status tni_device_compile(tni_device *device, const tn_compile_info *info,
                                         tn_program **out_program, tn_error *error);
TN_MUST_USE tn_status tni_device_program_info(tni_device *device, tn_program *program,
                                              tn_program_info *out_info, tn_error *error);
TN_MUST_USE tn_status tni_device_port_query(tni_device *device, tn_program *program,
                                            const tn_port_query *query, tn_port_info *ports,
                                            uint32_t port_capacity, uint32_t *out_port_count,
                                            tn_error *error);
TN_MUST_USE tn_status tni_device_memory_alloc(tni_device *device, const tn_memory_alloc_info *info,
                                              tn_memory **out_memory, tn_error *error);
TN_MUST_USE tn_status tni_device_memory_import(tni_device *device,
                                               const tn_memory_import_info *info,
                                               tn_memory **out_memory, tn_error *error);
TN_MUST_USE tn_status tni_device_context_create(tni_device *device,
                                                const tn_context_create_info *info,
                                                tn_context **out_context, tn_error *error);
TN_MUST_USE tn_status tni_device_context_prepare(tni_device *device, tn_context *context,
                                                 const tn_prepare_info *info, tn_error *error);

// Null is ignored.
void tni_device_program_destroy(tni_device *device, tn_program *program);
void tni_device_memory_free(tni_device *device, tn_memory *memory);
void tni_device_context_destroy(tni_device *device, tn_context *context);

#endif // TENON_LOADER_DEVICE_CALL_H
