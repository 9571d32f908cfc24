// SPDX-License-Identifier: Apache-2.0
// Small views that between them reach every op and every rule of fusion of the plugin cpu.
#ifndef TENON_TESTS_CPU_SUBJECTS_H
#define TENON_TESTS_CPU_SUBJECTS_H

#include "support/view_builder.h"

#define CPU_SUBJECT_SYMBOLS 2u

typedef struct cpu_subject {
    const char *name;
    void (*build)(view_builder *b);
    int64_t sizes[CPU_SUBJECT_SYMBOLS]; // of the symbols, where the view has some
} cpu_subject;

// The last one has no name.
extern const cpu_subject cpu_subjects[];

#endif // TENON_TESTS_CPU_SUBJECTS_H
