// SPDX-License-Identifier: Apache-2.0
// tenon-partition-bench FILE...: solves every problem and lets the imitated runtimes decide it. A
// line for each problem and decider:
//   name decider cost handovers copies bytes
// Exits with 1 when a strategy beats the partitioner anywhere.
#include "problem_file.h"
#include "strategies.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *heap_alloc(void *user_data, uint64_t size_bytes) {
    (void)user_data;
    return malloc(size_bytes);
}

static void heap_free(void *user_data, void *pointer, uint64_t size_bytes) {
    (void)user_data;
    (void)size_bytes;
    free(pointer);
}

static const tnp_allocator heap = {heap_alloc, heap_free, NULL};

// Bytes of all copies: one of each tensor for every label that reads and did not produce it.
static uint64_t bytes_copied(const tnp_problem_file *file, const uint32_t *label) {
    const tnp_problem *p = &file->problem;
    uint64_t bytes = 0;
    for (uint32_t t = 0; t < p->tensor_count && file->tensor_bytes != NULL; t++) {
        uint64_t seen = (uint64_t)1 << label[p->tensors[t].producer];
        for (uint32_t i = 0; i < p->tensors[t].consumer_count; i++) {
            uint64_t to = (uint64_t)1 << label[p->consumers[p->tensors[t].consumer_begin + i]];
            bytes += (seen & to) == 0 ? file->tensor_bytes[t] : 0;
            seen |= to;
        }
    }
    return bytes;
}

static void print_row(const char *name, const char *decider, const tnp_problem_file *file,
                      const tnp_cost *cost, const uint32_t *label) {
    printf("%s %s %.3f %" PRIu32 " %" PRIu32 " %" PRIu64 "\n", name, decider,
           (double)cost->total / TNP_FILE_UNIT, cost->handover_count, cost->copy_count,
           bytes_copied(file, label));
}

// Returns how many strategies beat the plan, or -1 on failure.
static int compare(const char *name, const tnp_problem_file *file, const tnp_plan *plan) {
    const tnp_problem *p = &file->problem;
    uint32_t *label = calloc((size_t)p->op_count + 1, sizeof(*label));
    uint32_t *order = calloc((size_t)p->op_count + 1, sizeof(*order));
    int beaten = label != NULL && order != NULL ? 0 : -1;
    for (uint32_t i = 0; i < STRATEGY_COUNT && beaten >= 0; i++) {
        tnp_cost cost;
        if (!strategies[i].decide(p, label, order) ||
            tnp_cost_of_order(&heap, p, label, order, &cost) != TNP_OK) {
            beaten = -1;
            break;
        }
        print_row(name, strategies[i].name, file, &cost, label);
        beaten += cost.total < plan->cost.total;
    }
    free(label);
    free(order);
    return beaten;
}

static int run_file(const char *path) {
    tnp_problem_file file;
    char message[160] = "no plan";
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    tnp_plan plan = {0};
    int beaten = -1;
    if (tnp_problem_file_read(path, &file, message, sizeof(message)) &&
        tnp_plan_init(&heap, &file.problem, NULL, &plan) == TNP_OK) {
        print_row(name, "tenon", &file, &plan.cost, plan.label);
        beaten = compare(name, &file, &plan);
    }
    if (beaten != 0) {
        fprintf(stderr, "%s: %s\n", path, beaten > 0 ? "a strategy costs less" : message);
    }
    tnp_plan_deinit(&heap, &plan);
    tnp_problem_file_free(&file);
    return beaten == 0;
}

static int usage(FILE *stream) {
    fputs("usage: tenon-partition-bench FILE...\n"
          "prints: name decider cost handovers copies bytes\n"
          "The first decider is the partitioner; exit code 1 when another costs less anywhere.\n",
          stream);
    return stream == stdout ? 0 : 2;
}

int main(int argc, char **argv) {
    int fine = 1;
    if (argc < 2 || argv[1][0] == '-') {
        return usage(argc > 1 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
    }
    for (int i = 1; i < argc; i++) {
        fine &= run_file(argv[i]);
    }
    return fine ? 0 : 1;
}
