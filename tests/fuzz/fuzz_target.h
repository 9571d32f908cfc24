// SPDX-License-Identifier: Apache-2.0
// The function that every fuzz harness defines: called by libFuzzer, or by replay_main.c in
// ordinary builds.
#ifndef TENON_TESTS_FUZZ_TARGET_H
#define TENON_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

// Feeds one input to the code under test. data: borrowed for the call, exactly size bytes.
// Always returns 0; a finding is a crash, a sanitizer report or a time-out.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif // TENON_TESTS_FUZZ_TARGET_H
