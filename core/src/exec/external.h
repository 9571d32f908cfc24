// SPDX-License-Identifier: Apache-2.0
// Memory that stands for values of a region but belongs to a request: state that stays from run to
// run. It lies in no arena, and not densely: there is room to grow along one axis.
#ifndef TENON_EXEC_EXTERNAL_H
#define TENON_EXEC_EXTERNAL_H

#include "tenon/abi/types.h"

#include <stdint.h>

// One value in such memory. A value that comes in and the one that replaces it name one buffer.
typedef struct tni_external {
    uint32_t value;
    uint32_t buffer; // equal numbers are one buffer
    uint32_t past;   // of the value that is made: the one it grows; else TN_NONE
    void *data;
    uint64_t size_bytes; // of the whole buffer
    int64_t stride_elements[TN_MAX_RANK];
} tni_external;

#endif // TENON_EXEC_EXTERNAL_H
