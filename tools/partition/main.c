// SPDX-License-Identifier: Apache-2.0
// tenon-partition FILE: solves one problem in the text form of problem_file.h and prints
// cost, lower bound and gap, so that partitioners can be compared on the same problems; with --plan
// the plan too, so that others can price it.
#include "problem_file.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *heap_alloc(void *user_data, uint64_t size_bytes) {
    (void)user_data;
    return malloc(size_bytes);
}

static void heap_free(void *user_data, void *pointer, uint64_t size_bytes) {
    (void)user_data;
    (void)size_bytes;
    free(pointer);
}

static double now_ms(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int usage(FILE *stream) {
    fputs("usage: tenon-partition [--work STEPS] [--plan] FILE\n"
          "prints: cost lower_bound gap_percent handovers copies ms\n"
          "--plan: then a line with the label of every op, and one with the order of the ops\n",
          stream);
    return stream == stdout ? 0 : 2;
}

static void print_numbers(const uint32_t *numbers, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        printf("%s%" PRIu32, i > 0 ? " " : "", numbers[i]);
    }
    putchar('\n');
}

static void print_answer(const tnp_plan *plan, bool whole, double took_ms) {
    double cost = (double)plan->cost.total / TNP_FILE_UNIT;
    double bound = (double)plan->lower_bound / TNP_FILE_UNIT;
    printf("%.3f %.3f %.6f %" PRIu32 " %" PRIu32 " %.3f\n", cost, bound,
           plan->cost.total > 0 ? 100.0 * (cost - bound) / cost : 0.0, plan->cost.handover_count,
           plan->cost.copy_count, took_ms);
    if (whole) {
        print_numbers(plan->label, plan->op_count);
        print_numbers(plan->order, plan->op_count);
    }
}

int main(int argc, char **argv) {
    tnp_options options = {0};
    const char *path = NULL;
    bool whole = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return usage(stdout);
        }
        if (strcmp(argv[i], "--work") == 0 && i + 1 < argc) {
            options.work_budget = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--plan") == 0) {
            whole = true;
        } else if (argv[i][0] != '-' && path == NULL) {
            path = argv[i];
        } else {
            return usage(stderr);
        }
    }
    if (path == NULL) {
        return usage(stderr);
    }
    tnp_problem_file file;
    char message[160];
    if (!tnp_problem_file_read(path, &file, message, sizeof(message))) {
        fprintf(stderr, "tenon-partition: %s: %s\n", path, message);
        return 1;
    }
    tnp_allocator allocator = {heap_alloc, heap_free, NULL};
    tnp_plan plan;
    double begin = now_ms();
    tnp_status status = tnp_plan_init(&allocator, &file.problem, &options, &plan);
    double took = now_ms() - begin;
    if (status != TNP_OK) {
        fprintf(stderr, "tenon-partition: %s: status %" PRId32 " at %" PRIu32 "\n", path, status,
                plan.culprit);
        tnp_problem_file_free(&file);
        return 1;
    }
    print_answer(&plan, whole, took);
    tnp_plan_deinit(&allocator, &plan);
    tnp_problem_file_free(&file);
    return 0;
}
