// SPDX-License-Identifier: Apache-2.0
// Reads the records of a problem file; every count is checked before anything is sized by it.
#include "problem_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// More than any problem that could be solved here, small enough that sizes cannot overflow.
#define MAX_COUNT 10000000u

typedef struct reader {
    FILE *stream;
    tnp_problem_file *file;
    uint32_t consumer_capacity;
} reader;

static int read_word(reader *r, char *word, size_t capacity) {
    char format[16];
    snprintf(format, sizeof(format), "%%%us", (unsigned)(capacity - 1));
    return fscanf(r->stream, format, word) == 1;
}

static int read_tag(reader *r, const char *tag) {
    char word[8];
    return read_word(r, word, sizeof(word)) && strcmp(word, tag) == 0;
}

static int read_count(reader *r, uint32_t most, uint32_t *out_count) {
    unsigned long long value;
    if (fscanf(r->stream, "%llu", &value) != 1 || value > most) {
        return 0;
    }
    *out_count = (uint32_t)value;
    return 1;
}

static int read_cost(reader *r, int64_t *out_cost) {
    double value;
    if (fscanf(r->stream, "%lf", &value) != 1 || !(value >= -1.0) || value > 1e12) {
        return 0;
    }
    *out_cost = value < 0 ? TNP_UNSUPPORTED : (int64_t)llround(value * TNP_FILE_UNIT);
    return value >= 0 || value == -1.0;
}

static int read_costs(reader *r, int64_t *costs, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        if (!read_cost(r, &costs[i])) {
            return 0;
        }
    }
    return 1;
}

static int read_head(reader *r) {
    tnp_problem_file *f = r->file;
    char name[256];
    uint32_t labels;
    if (!read_tag(r, "P") || !read_word(r, name, sizeof(name)) ||
        !read_count(r, MAX_COUNT, &f->problem.op_count) ||
        !read_count(r, TNP_MAX_LABELS, &labels) ||
        !read_count(r, MAX_COUNT, &f->problem.tensor_count)) {
        return 0;
    }
    f->problem.label_count = labels;
    uint64_t ops = f->problem.op_count;
    uint64_t tensors = f->problem.tensor_count;
    f->op_cost = calloc(ops * labels + 1, sizeof(*f->op_cost));
    f->tensors = calloc(tensors + 1, sizeof(*f->tensors));
    f->copy_cost = calloc(tensors * labels * labels + 1, sizeof(*f->copy_cost));
    f->handover_cost = calloc((uint64_t)labels * labels + 1, sizeof(*f->handover_cost));
    return f->op_cost != NULL && f->tensors != NULL && f->copy_cost != NULL &&
           f->handover_cost != NULL;
}

static int add_consumer(reader *r) {
    tnp_problem_file *f = r->file;
    if (f->problem.consumer_total == r->consumer_capacity) {
        uint32_t capacity = r->consumer_capacity == 0 ? 256 : r->consumer_capacity * 2;
        uint32_t *grown = realloc(f->consumers, (size_t)capacity * sizeof(*grown));
        if (grown == NULL || capacity > 4 * MAX_COUNT) {
            f->consumers = grown != NULL ? grown : f->consumers;
            return 0;
        }
        f->consumers = grown;
        r->consumer_capacity = capacity;
    }
    return read_count(r, MAX_COUNT, &f->consumers[f->problem.consumer_total++]);
}

static int read_tensor(reader *r, uint32_t index) {
    tnp_problem_file *f = r->file;
    tnp_tensor *tensor = &f->tensors[index];
    uint64_t cells = (uint64_t)f->problem.label_count * f->problem.label_count;
    tensor->consumer_begin = f->problem.consumer_total;
    if (!read_tag(r, "T") || !read_count(r, MAX_COUNT, &tensor->producer) ||
        !read_count(r, MAX_COUNT, &tensor->consumer_count)) {
        return 0;
    }
    for (uint32_t i = 0; i < tensor->consumer_count; i++) {
        if (!add_consumer(r)) {
            return 0;
        }
    }
    return read_costs(r, f->copy_cost + index * cells, cells);
}

static int read_records(reader *r, char *message, size_t capacity) {
    tnp_problem_file *f = r->file;
    uint64_t labels = f->problem.label_count;
    if (!read_tag(r, "S") || !read_costs(r, f->handover_cost, labels * labels)) {
        snprintf(message, capacity, "bad handover costs");
        return 0;
    }
    for (uint32_t op = 0; op < f->problem.op_count; op++) {
        if (!read_tag(r, "N") || !read_costs(r, f->op_cost + op * labels, labels)) {
            snprintf(message, capacity, "bad op %u", op);
            return 0;
        }
    }
    for (uint32_t tensor = 0; tensor < f->problem.tensor_count; tensor++) {
        if (!read_tensor(r, tensor)) {
            snprintf(message, capacity, "bad tensor %u", tensor);
            return 0;
        }
    }
    return 1;
}

static int read_bytes(reader *r, char *message, size_t capacity) {
    tnp_problem_file *f = r->file;
    char word[8];
    if (!read_word(r, word, sizeof(word))) {
        return 1;
    }
    int complete = strcmp(word, "B") == 0;
    f->tensor_bytes = calloc((size_t)f->problem.tensor_count + 1, sizeof(*f->tensor_bytes));
    complete = complete && f->tensor_bytes != NULL;
    for (uint32_t tensor = 0; tensor < f->problem.tensor_count && complete; tensor++) {
        unsigned long long bytes;
        complete = fscanf(r->stream, "%llu", &bytes) == 1 && bytes <= UINT64_MAX / 2 / MAX_COUNT;
        f->tensor_bytes[tensor] = complete ? bytes : 0;
    }
    if (!complete) {
        snprintf(message, capacity, "bad sizes of tensors");
    }
    return complete;
}

int tnp_problem_file_read(const char *path, tnp_problem_file *out_file, char *message,
                          size_t capacity) {
    memset(out_file, 0, sizeof(*out_file));
    reader r = {.file = out_file, .stream = fopen(path, "r")};
    if (r.stream == NULL) {
        snprintf(message, capacity, "cannot be opened");
        return 0;
    }
    int complete = read_head(&r);
    if (!complete) {
        snprintf(message, capacity, "bad head, or too large");
    }
    complete = complete && read_records(&r, message, capacity) && read_bytes(&r, message, capacity);
    fclose(r.stream);
    out_file->problem.op_cost = out_file->op_cost;
    out_file->problem.tensors = out_file->tensors;
    out_file->problem.consumers = out_file->consumers;
    out_file->problem.copy_cost = out_file->copy_cost;
    out_file->problem.handover_cost = out_file->handover_cost;
    return complete;
}

void tnp_problem_file_free(tnp_problem_file *file) {
    free(file->op_cost);
    free(file->tensors);
    free(file->consumers);
    free(file->copy_cost);
    free(file->handover_cost);
    free(file->tensor_bytes);
    memset(file, 0, sizeof(*file));
}
