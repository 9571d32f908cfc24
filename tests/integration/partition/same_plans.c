// SPDX-License-Identifier: Apache-2.0
// same_plans: the hashes of plans for random problems, a line each, found one after another and
// then again on eight threads at once. Exits with 1 where threads disagree, or where a plan is
// worse than one label alone. same_test.py compares what this prints as built by several compilers.
#include "support/partition/random_problem.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 8u
// Set by the build for sanitizers, which are slow.
#ifndef PROBLEMS
#define PROBLEMS 48u
#endif

typedef struct answer {
    tnp_status status;
    uint64_t hash;
    int64_t bound;
    int worse_than_one_label;
} answer;

typedef struct worker {
    pthread_t thread;
    answer answers[PROBLEMS];
} worker;

static void *heap_alloc(void *user_data, uint64_t size_bytes) {
    (void)user_data;
    return malloc(size_bytes);
}

static void heap_free(void *user_data, void *pointer, uint64_t size_bytes) {
    (void)user_data;
    (void)size_bytes;
    free(pointer);
}

// What label costs alone, with the claims that then hold; INT64_MAX where it cannot or does not
// fit.
static int64_t alone(const tnp_problem *problem, uint32_t label) {
    int64_t cost = 0;
    uint64_t bytes = 0;
    for (uint32_t op = 0; op < problem->op_count; op++) {
        int64_t op_cost = problem->op_cost[op * problem->label_count + label];
        if (op_cost == TNP_UNSUPPORTED) {
            return INT64_MAX;
        }
        cost += op_cost;
        bytes += problem->op_bytes != NULL ? problem->op_bytes[op] : 0;
    }
    for (uint32_t c = 0; c < problem->claim_count; c++) {
        cost -= problem->claims[c].label == label ? problem->claims[c].saving : 0;
    }
    int fits = problem->label_capacity == NULL || bytes <= problem->label_capacity[label];
    return fits ? cost : INT64_MAX;
}

// 24 to 64 ops, with one kind of feature or none.
static void solve(uint32_t index, random_problem *r, answer *out_answer) {
    static const random_features features[] = {0, RANDOM_GROUPS, RANDOM_CLAIMS, RANDOM_CAPACITIES};
    tnp_allocator heap = {heap_alloc, heap_free, NULL};
    tnp_plan plan;
    random_problem_make(index, 24 + index % 41, 2 + index % 3, features[index % 4], r);
    out_answer->status = tnp_plan_init(&heap, &r->problem, NULL, &plan);
    out_answer->hash = plan.hash;
    out_answer->bound = plan.lower_bound;
    out_answer->worse_than_one_label = 0;
    for (uint32_t label = 0; label < r->problem.label_count; label++) {
        int64_t cost = alone(&r->problem, label);
        out_answer->worse_than_one_label |=
            cost < (out_answer->status == TNP_OK ? plan.cost.total : INT64_MAX);
    }
    tnp_plan_deinit(&heap, &plan);
}

static void *work(void *argument) {
    worker *w = argument;
    random_problem *r = malloc(sizeof(*r));
    for (uint32_t i = 0; i < PROBLEMS && r != NULL; i++) {
        solve(i, r, &w->answers[i]);
    }
    free(r);
    return NULL;
}

static int same(const answer *a, const answer *b) {
    return a->status == b->status && a->hash == b->hash && a->bound == b->bound;
}

int main(int argc, char **argv) {
    static worker first;
    static worker workers[THREADS];
    (void)argv;
    work(&first);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < PROBLEMS; i++) {
        const answer *a = &first.answers[i];
        printf("%" PRIu32 " %" PRId32 " %016" PRIx64 " %" PRId64 "\n", i, a->status, a->hash,
               a->bound);
        wrong += a->worse_than_one_label ? 1u : 0u;
    }
    // With an argument only what is to be compared.
    for (uint32_t t = 0; t < THREADS && argc == 1; t++) {
        wrong += pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0;
    }
    for (uint32_t t = 0; t < THREADS && argc == 1; t++) {
        pthread_join(workers[t].thread, NULL);
        for (uint32_t i = 0; i < PROBLEMS; i++) {
            wrong += same(&first.answers[i], &workers[t].answers[i]) ? 0u : 1u;
        }
    }
    if (wrong > 0) {
        fprintf(stderr, "%" PRIu32 " plans differ between threads, or are worse than one label\n",
                wrong);
    }
    return wrong > 0;
}
