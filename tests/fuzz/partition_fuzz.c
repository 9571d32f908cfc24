// SPDX-License-Identifier: Apache-2.0
// The partitioner on problems made of any bytes: some valid, some not. What it refuses has a
// reason; a plan is what the interface allows, costs what an independent pricing says, and no less
// than its bound; of the smallest problems the bound is held against the optimum.
#include "fuzz/fuzz_target.h"

#include "support/partition/brute_force.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OPS BRUTE_MAX_OPS
#define MAX_LABELS BRUTE_MAX_LABELS
#define MAX_TENSORS 12u
#define MAX_READERS 4u
#define MAX_CLAIMS 4u
// Trying everything takes milliseconds up to here.
#define TINY_OPS 5u
#define WORK 300000u

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

typedef struct fuzzed {
    tnp_problem problem;
    int64_t op_cost[MAX_OPS * MAX_LABELS];
    tnp_tensor tensors[MAX_TENSORS];
    uint32_t consumers[MAX_TENSORS * MAX_READERS];
    int64_t copy_cost[MAX_TENSORS * MAX_LABELS * MAX_LABELS];
    int64_t handover_cost[MAX_LABELS * MAX_LABELS];
    tnp_claim claims[MAX_CLAIMS];
    uint32_t claim_ops[MAX_CLAIMS * MAX_OPS];
    uint32_t group[MAX_OPS];
    uint64_t op_bytes[MAX_OPS];
    uint64_t label_capacity[MAX_LABELS];
} fuzzed;

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

// Zeros follow the input's end.
static uint32_t next_byte(input *in) {
    if (in->size == 0) {
        return 0;
    }
    in->size--;
    return *in->data++;
}

// Mostly small, with the limits and what is beyond them among it.
static int64_t next_cost(input *in) {
    static const int64_t special[] = {TNP_UNSUPPORTED, TNP_MAX_COST, TNP_MAX_COST + 1, -2,
                                      INT64_MAX,       INT64_MIN,    TNP_MAX_TOTAL,    1 << 20};
    uint32_t byte = next_byte(in);
    return byte >= 248 ? special[byte - 248] : (int64_t)byte * (int64_t)byte;
}

static void fill_costs(input *in, int64_t *costs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        costs[i] = next_cost(in);
    }
}

static void fill_matrix(input *in, int64_t *matrix, uint32_t labels) {
    fill_costs(in, matrix, labels * labels);
    for (uint32_t i = 0; i < labels && next_byte(in) != 255; i++) {
        matrix[i * labels + i] = 0;
    }
}

static void fill_tensors(input *in, fuzzed *f) {
    uint32_t labels = f->problem.label_count;
    f->problem.tensor_count = next_byte(in) % (MAX_TENSORS + 1);
    for (uint32_t t = 0; t < f->problem.tensor_count; t++) {
        uint32_t readers = next_byte(in) % (MAX_READERS + 1);
        // An index out of range at times, and consumers before their producer.
        f->tensors[t] = (tnp_tensor){next_byte(in) % (f->problem.op_count + 1),
                                     f->problem.consumer_total, readers};
        for (uint32_t i = 0; i < readers; i++) {
            f->consumers[f->problem.consumer_total++] = next_byte(in) % (f->problem.op_count + 1);
        }
        fill_matrix(in, f->copy_cost + (uint64_t)t * labels * labels, labels);
    }
    f->problem.consumer_total -= next_byte(in) == 255 && f->problem.consumer_total > 0 ? 1 : 0;
}

static void fill_claims(input *in, fuzzed *f) {
    f->problem.claim_count = next_byte(in) % (MAX_CLAIMS + 1);
    for (uint32_t c = 0; c < f->problem.claim_count; c++) {
        tnp_claim *claim = &f->claims[c];
        claim->label = next_byte(in) % (f->problem.label_count + 1);
        claim->op_begin = f->problem.claim_op_total;
        claim->op_count = next_byte(in) % (f->problem.op_count + 1);
        claim->bound_count = next_byte(in) % (claim->op_count + 2);
        claim->saving = next_cost(in);
        for (uint32_t i = 0; i < claim->op_count; i++) {
            f->claim_ops[f->problem.claim_op_total++] = next_byte(in) % (f->problem.op_count + 1);
        }
    }
    f->problem.claims = f->claims;
    f->problem.claim_ops = f->claim_ops;
}

static void fill_capacities(input *in, fuzzed *f) {
    for (uint32_t op = 0; op < f->problem.op_count; op++) {
        f->op_bytes[op] = next_byte(in);
    }
    for (uint32_t label = 0; label < f->problem.label_count; label++) {
        uint32_t byte = next_byte(in);
        f->label_capacity[label] = byte == 255 ? TNP_NO_CAPACITY : (uint64_t)byte * 4;
    }
    f->problem.op_bytes = f->op_bytes;
    f->problem.label_capacity = f->label_capacity;
}

static void make_problem(input *in, uint32_t features, fuzzed *f) {
    memset(f, 0, sizeof(*f));
    f->problem.op_count = next_byte(in) % (MAX_OPS + 1);
    f->problem.label_count = next_byte(in) % (MAX_LABELS + 1);
    f->problem.op_cost = f->op_cost;
    f->problem.tensors = f->tensors;
    f->problem.consumers = f->consumers;
    f->problem.copy_cost = f->copy_cost;
    f->problem.handover_cost = f->handover_cost;
    fill_costs(in, f->op_cost, f->problem.op_count * f->problem.label_count);
    fill_matrix(in, f->handover_cost, f->problem.label_count);
    fill_tensors(in, f);
    if ((features & 1u) != 0) {
        fill_claims(in, f);
    }
    for (uint32_t op = 0; (features & 2u) != 0 && op < f->problem.op_count; op++) {
        uint32_t byte = next_byte(in);
        f->group[op] = byte < 128 ? TNP_NONE : byte % (f->problem.op_count + 1);
        f->problem.group = f->group;
    }
    if ((features & 4u) != 0) {
        fill_capacities(in, f);
    }
}

static void require(int holds) {
    if (!holds) {
        abort();
    }
}

static void check_timeline(const tnp_problem *problem, const tnp_plan *plan) {
    tnp_timeline timeline;
    tnp_choice choices[MAX_OPS];
    require(tnp_simulate(&heap, problem, plan, &timeline) == TNP_OK);
    require(timeline.makespan <= plan->cost.total);
    require(timeline.lower_bound <= timeline.makespan);
    tnp_timeline_deinit(&heap, &timeline);
    require(tnp_choices(&heap, problem, plan, choices) == TNP_OK);
}

static void check_plan(const tnp_problem *problem, const tnp_plan *plan) {
    tnp_cost cost;
    require(brute_force_price(problem, plan->label, plan->order) == plan->cost.total);
    require(tnp_cost_of_order(&heap, problem, plan->label, plan->order, &cost) == TNP_OK);
    require(memcmp(&cost, &plan->cost, sizeof(cost)) == 0);
    require(plan->lower_bound <= plan->cost.total);
    if (problem->op_count <= TINY_OPS) {
        int64_t optimum = brute_force(problem, plan->cost.total + 1);
        require(plan->lower_bound <= optimum && optimum <= plan->cost.total);
    }
    check_timeline(problem, plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzzed f;
    input in = {data, size};
    uint32_t features = next_byte(&in);
    tnp_options options = {.work_budget = WORK, .concurrent = (features >> 3) & 1u};
    tnp_plan plan;
    uint32_t culprit;
    make_problem(&in, features, &f);
    tnp_status valid = tnp_problem_validate(&f.problem, &culprit);
    tnp_status status = tnp_plan_init(&heap, &f.problem, &options, &plan);
    require(valid == TNP_OK || status == valid);
    require(status != TNP_OUT_OF_MEMORY);
    if (status == TNP_OK) {
        check_plan(&f.problem, &plan);
    } else {
        require(plan.label == NULL && plan.order == NULL);
    }
    tnp_plan_deinit(&heap, &plan);
    return 0;
}
