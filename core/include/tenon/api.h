// SPDX-License-Identifier: Apache-2.0
// Symbol visibility and struct tags of the embedding API. Embedders include tenon.h.
#ifndef TENON_API_H
#define TENON_API_H

#include "tenon/abi/types.h"

#if defined(__GNUC__) || defined(__clang__)
#define TN_API __attribute__((visibility("default")))
#else
#define TN_API
#endif

// struct_type of the embedding API's structs. Like in the ABI, structs that may grow start with
// their size and tag. A configuration has an _init function that fills both and every default; in a
// struct that is filled for the caller, the caller sets both.
#define TN_STRUCT_HOST_CONFIG 1000u
#define TN_STRUCT_LOAD_ENTRY 1001u
#define TN_STRUCT_DEVICE_DESC 1002u
#define TN_STRUCT_MODEL_CONFIG 1003u
#define TN_STRUCT_TENSOR_DESC 1004u
#define TN_STRUCT_NODE_DESC 1005u
#define TN_STRUCT_MODEL_SUMMARY 1006u
#define TN_STRUCT_COMPILE_CONFIG 1007u
#define TN_STRUCT_PLAN_SUMMARY 1008u
#define TN_STRUCT_ISLAND_DESC 1009u
#define TN_STRUCT_PLACEMENT 1010u
#define TN_STRUCT_REQUEST_CONFIG 1011u
#define TN_STRUCT_TENSOR_VIEW 1012u
#define TN_STRUCT_RUN_STATS 1013u
#define TN_STRUCT_TRACE_EVENT 1014u
#define TN_STRUCT_MEMORY_STATS 1015u
#define TN_STRUCT_FOLDER_ENTRY 1016u
#define TN_STRUCT_STATE_CONFIG 1017u
#define TN_STRUCT_STATE_DESC 1018u
#define TN_STRUCT_SAVE_CONFIG 1019u
#define TN_STRUCT_CALL_DESC 1020u
#define TN_STRUCT_PLAN_ALTERNATIVE 1021u
#define TN_STRUCT_PLANNED_TRANSFER 1022u
#define TN_STRUCT_CHOICE 1023u
#define TN_STRUCT_CALIBRATION_DESC 1024u
#define TN_STRUCT_PLANNED_WAIT 1025u

#endif // TENON_API_H
