// SPDX-License-Identifier: Apache-2.0
// The model of the smoke run.
#ifndef TENON_TOOLS_SMOKE_H
#define TENON_TOOLS_SMOKE_H

#include <stdint.h>

extern const uint8_t smoke_model[];
extern const uint64_t smoke_model_bytes;

#endif // TENON_TOOLS_SMOKE_H
