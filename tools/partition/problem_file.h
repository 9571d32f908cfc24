// SPDX-License-Identifier: Apache-2.0
// Partition problems as text: a record a line, words separated by blanks.
//   P name ops labels tensors
//   S handover costs, [from][to]
//   N the cost of one op on every label, -1 where it cannot run; a line for every op, in order
//   T producer, number of consumers, consumers, copy costs [from][to]; a line for every tensor
//   B bytes of every tensor; may be left out
// Costs are decimal; in memory they are integers of a thousandth.
#ifndef TENON_PARTITIONER_PROBLEM_FILE_H
#define TENON_PARTITIONER_PROBLEM_FILE_H

#include "tenon/partition.h"

#include <stddef.h>

#define TNP_FILE_UNIT 1000.0

typedef struct tnp_problem_file {
    tnp_problem problem;
    int64_t *op_cost;
    tnp_tensor *tensors;
    uint32_t *consumers;
    int64_t *copy_cost;
    int64_t *handover_cost;
    uint64_t *tensor_bytes; // null when the file says nothing
} tnp_problem_file;

// 1, or 0 with a message. Free it in both cases.
int tnp_problem_file_read(const char *path, tnp_problem_file *out_file, char *message,
                          size_t capacity);
void tnp_problem_file_free(tnp_problem_file *file);

#endif // TENON_PARTITIONER_PROBLEM_FILE_H
