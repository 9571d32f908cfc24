// SPDX-License-Identifier: Apache-2.0
// List scheduling by label closure. For two labels the number of changes it makes is minimal for
// the starting label (Kennedy and McKinley 1994, typed fusion of an unordered loop graph).
#include "schedule.h"

#include <string.h>

static uint32_t *alloc_words(const tnp_allocator *allocator, uint64_t count) {
    return allocator->alloc(allocator->user_data, (count + 1) * sizeof(uint32_t));
}

static void free_words(const tnp_allocator *allocator, uint32_t *words, uint64_t count) {
    if (words != NULL) {
        allocator->free(allocator->user_data, words, (count + 1) * sizeof(uint32_t));
    }
}

static void fill_successors(tnp_schedule *schedule) {
    const tnp_problem *problem = schedule->problem;
    uint32_t *begin = schedule->successor_begin;
    memset(begin, 0, ((uint64_t)problem->op_count + 1) * sizeof(*begin));
    memset(schedule->in_degree, 0, (uint64_t)problem->op_count * sizeof(uint32_t));
    for (uint32_t t = 0; t < problem->tensor_count; t++) {
        begin[problem->tensors[t].producer + 1] += problem->tensors[t].consumer_count;
    }
    for (uint32_t op = 0; op < problem->op_count; op++) {
        begin[op + 1] += begin[op];
        schedule->waiting[op] = begin[op]; // the next free place of each list
    }
    for (uint32_t t = 0; t < problem->tensor_count; t++) {
        const tnp_tensor *tensor = &problem->tensors[t];
        for (uint32_t i = 0; i < tensor->consumer_count; i++) {
            uint32_t consumer = problem->consumers[tensor->consumer_begin + i];
            schedule->successors[schedule->waiting[tensor->producer]++] = consumer;
            schedule->in_degree[consumer]++;
        }
    }
}

tnp_status tnp_schedule_init(const tnp_allocator *allocator, const tnp_problem *problem,
                             tnp_schedule *out_schedule) {
    uint64_t ops = problem->op_count;
    uint64_t consumers = 0;
    for (uint32_t t = 0; t < problem->tensor_count; t++) {
        consumers += problem->tensors[t].consumer_count;
    }
    memset(out_schedule, 0, sizeof(*out_schedule));
    out_schedule->problem = problem;
    out_schedule->successor_count = consumers;
    if (consumers >= UINT32_MAX) {
        return TNP_OUT_OF_MEMORY;
    }
    out_schedule->successor_begin = alloc_words(allocator, ops + 1);
    out_schedule->successors = alloc_words(allocator, consumers);
    out_schedule->in_degree = alloc_words(allocator, ops);
    out_schedule->waiting = alloc_words(allocator, ops);
    out_schedule->next_ready = alloc_words(allocator, ops);
    if (out_schedule->successor_begin == NULL || out_schedule->successors == NULL ||
        out_schedule->in_degree == NULL || out_schedule->waiting == NULL ||
        out_schedule->next_ready == NULL) {
        return TNP_OUT_OF_MEMORY;
    }
    fill_successors(out_schedule);
    return TNP_OK;
}

void tnp_schedule_deinit(const tnp_allocator *allocator, tnp_schedule *schedule) {
    uint64_t ops = schedule->problem->op_count;
    uint64_t consumers = schedule->successor_count;
    free_words(allocator, schedule->successor_begin, ops + 1);
    free_words(allocator, schedule->successors, consumers);
    free_words(allocator, schedule->in_degree, ops);
    free_words(allocator, schedule->waiting, ops);
    free_words(allocator, schedule->next_ready, ops);
    memset(schedule, 0, sizeof(*schedule));
}

// Ready ops of each label, first in first out, so that ties follow the ops' numbering.
typedef struct ready_lists {
    uint32_t head[TNP_MAX_LABELS];
    uint32_t tail[TNP_MAX_LABELS];
    uint32_t count[TNP_MAX_LABELS];
} ready_lists;

static void push_ready(tnp_schedule *schedule, ready_lists *ready, uint32_t label, uint32_t op) {
    schedule->next_ready[op] = UINT32_MAX;
    if (ready->count[label] == 0) {
        ready->head[label] = op;
    } else {
        schedule->next_ready[ready->tail[label]] = op;
    }
    ready->tail[label] = op;
    ready->count[label]++;
}

static uint32_t fullest_label(const ready_lists *ready, uint32_t label_count) {
    uint32_t best = 0;
    for (uint32_t label = 1; label < label_count; label++) {
        if (ready->count[label] > ready->count[best]) {
            best = label;
        }
    }
    return best;
}

void tnp_schedule_order(tnp_schedule *schedule, const uint32_t *label, uint32_t *out_order) {
    const tnp_problem *problem = schedule->problem;
    ready_lists ready;
    memset(&ready, 0, sizeof(ready));
    for (uint32_t op = 0; op < problem->op_count; op++) {
        schedule->waiting[op] = schedule->in_degree[op];
        if (schedule->in_degree[op] == 0) {
            push_ready(schedule, &ready, label[op], op);
        }
    }
    uint32_t current = problem->op_count > 0 ? label[0] : 0;
    for (uint32_t done = 0; done < problem->op_count; done++) {
        if (ready.count[current] == 0) {
            current = fullest_label(&ready, problem->label_count);
        }
        uint32_t op = ready.head[current];
        ready.head[current] = schedule->next_ready[op];
        ready.count[current]--;
        out_order[done] = op;
        for (uint32_t i = schedule->successor_begin[op]; i < schedule->successor_begin[op + 1];
             i++) {
            uint32_t next = schedule->successors[i];
            if (--schedule->waiting[next] == 0) {
                push_ready(schedule, &ready, label[next], next);
            }
        }
    }
}
