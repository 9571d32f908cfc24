// SPDX-License-Identifier: Apache-2.0
// Einsum (ONNX operator list, numpy.einsum): every letter is an axis of one common index space; an
// operand steps through it by the strides of its own axes, so that a repeated letter walks along a
// diagonal. The output sums over the letters it does not have.
#include "kernels.h"

// Letters of both cases, then the axes that an ellipsis stands for, counted from the last.
#define LETTERS 52u
#define MAX_LABELS (LETTERS + TN_MAX_RANK)
#define MAX_OPERANDS 16u

typedef struct einsum_job {
    const ref_call *call;
    uint32_t operand_count;
    int64_t sizes[MAX_LABELS]; // 0: not seen
    uint32_t seen[MAX_LABELS]; // how often, in all operands
    int64_t steps[MAX_OPERANDS][MAX_LABELS];
    uint32_t kept_count; // labels of the output, in order
    uint32_t kept[MAX_LABELS];
    uint32_t summed_count;
    uint32_t summed[MAX_LABELS];
    uint32_t ellipsis_rank;
} einsum_job;

// Reading a term: letters, blanks, at most one "...".
typedef struct term {
    uint32_t count;
    uint32_t labels[TN_MAX_RANK];
    uint32_t ellipsis_at; // position among the labels; UINT32_MAX: none
} term;

static uint32_t label_of(char c, uint32_t *out_label) {
    if (c >= 'A' && c <= 'Z') {
        *out_label = (uint32_t)(c - 'A');
        return 1;
    }
    *out_label = (uint32_t)(c - 'a') + 26;
    return c >= 'a' && c <= 'z' ? 1u : 0u;
}

// Reads up to `end` or a comma or an arrow; moves *inout_at behind what was read.
static uint32_t read_term(tn_string text, uint64_t *inout_at, term *out_term) {
    *out_term = (term){.ellipsis_at = UINT32_MAX};
    uint64_t at = *inout_at;
    while (at < text.size_bytes && text.data[at] != ',' && text.data[at] != '-') {
        const char c = text.data[at];
        if (c == '.') {
            if (at + 2 >= text.size_bytes || text.data[at + 1] != '.' || text.data[at + 2] != '.' ||
                out_term->ellipsis_at != UINT32_MAX) {
                return 0;
            }
            out_term->ellipsis_at = out_term->count;
            at += 3;
            continue;
        }
        if (c != ' ') {
            uint32_t label = 0;
            if (!label_of(c, &label) || out_term->count == TN_MAX_RANK) {
                return 0;
            }
            out_term->labels[out_term->count++] = label;
        }
        ++at;
    }
    *inout_at = at;
    return 1;
}

static uint32_t add_axis(einsum_job *job, uint32_t operand, uint32_t label, int64_t size,
                         int64_t step) {
    job->seen[label] += 1;
    if (job->seen[label] == 1 || job->sizes[label] == 1) {
        job->sizes[label] = size;
    } else if (size != 1 && size != job->sizes[label]) {
        return 0;
    }
    // An axis of size 1 is repeated.
    job->steps[operand][label] += size == 1 ? 0 : step;
    return 1;
}

static uint32_t add_operand(einsum_job *job, uint32_t operand, const term *t) {
    const ref_tensor *tensor = job->call->inputs[operand];
    const uint32_t hidden = t->ellipsis_at == UINT32_MAX ? 0 : tensor->rank - t->count;
    if (t->count > tensor->rank || t->count + hidden != tensor->rank) {
        return 0;
    }
    job->ellipsis_rank = hidden > job->ellipsis_rank ? hidden : job->ellipsis_rank;
    int64_t step = 1;
    for (uint32_t axis = tensor->rank; axis-- > 0;) {
        uint32_t label;
        if (hidden != 0 && axis >= t->ellipsis_at && axis < t->ellipsis_at + hidden) {
            label = LETTERS + (t->ellipsis_at + hidden - 1 - axis);
        } else {
            label = t->labels[hidden != 0 && axis >= t->ellipsis_at ? axis - hidden : axis];
        }
        if (!add_axis(job, operand, label, tensor->dims[axis], step)) {
            return 0;
        }
        step *= tensor->dims[axis];
    }
    return 1;
}

static void keep_ellipsis(einsum_job *job) {
    for (uint32_t i = job->ellipsis_rank; i-- > 0;) {
        job->kept[job->kept_count++] = LETTERS + i;
    }
}

// Without an arrow: the ellipsis, then the letters that occur once, in alphabetical order.
static void implicit_output(einsum_job *job) {
    keep_ellipsis(job);
    for (uint32_t label = 0; label < LETTERS; ++label) {
        if (job->seen[label] == 1) {
            job->kept[job->kept_count++] = label;
        }
    }
}

static uint32_t explicit_output(einsum_job *job, const term *t) {
    for (uint32_t i = 0; i <= t->count; ++i) {
        if (t->ellipsis_at == i) {
            keep_ellipsis(job);
        }
        if (i < t->count) {
            if (job->seen[t->labels[i]] == 0) {
                return 0;
            }
            job->kept[job->kept_count++] = t->labels[i];
        }
    }
    return 1;
}

static uint32_t parse(einsum_job *job) {
    const tn_string text = tn_view_attr_string(job->call->view, job->call->node, "equation");
    uint64_t at = 0;
    term t;
    for (uint32_t operand = 0; operand < job->operand_count; ++operand) {
        if (!read_term(text, &at, &t) || !add_operand(job, operand, &t)) {
            return 0;
        }
        if (operand + 1 < job->operand_count) {
            if (at >= text.size_bytes || text.data[at] != ',') {
                return 0;
            }
            ++at;
        }
    }
    if (at == text.size_bytes) {
        implicit_output(job);
    } else {
        if (at + 1 >= text.size_bytes || text.data[at] != '-' || text.data[at + 1] != '>') {
            return 0;
        }
        at += 2;
        if (!read_term(text, &at, &t) || at != text.size_bytes || !explicit_output(job, &t)) {
            return 0;
        }
    }
    uint32_t kept[MAX_LABELS] = {0};
    for (uint32_t i = 0; i < job->kept_count; ++i) {
        if (kept[job->kept[i]]++ != 0) {
            return 0;
        }
    }
    for (uint32_t label = 0; label < MAX_LABELS; ++label) {
        if (job->seen[label] != 0 && !kept[label]) {
            job->summed[job->summed_count++] = label;
        }
    }
    return 1;
}

// Adds what an index over some labels means to the position of each operand.
static void move_to(const einsum_job *job, const uint32_t *labels, uint32_t count, int64_t index,
                    int64_t *inout_at) {
    for (uint32_t i = count; i-- > 0;) {
        const int64_t size = job->sizes[labels[i]];
        for (uint32_t operand = 0; operand < job->operand_count; ++operand) {
            inout_at[operand] += index % size * job->steps[operand][labels[i]];
        }
        index /= size;
    }
}

static void einsum_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const einsum_job *job = user_data;
    ref_tensor *output = job->call->outputs[0];
    const uint32_t floats = tni_ref_is_float(output->dtype);
    int64_t summed = 1;
    for (uint32_t i = 0; i < job->summed_count; ++i) {
        summed *= job->sizes[job->summed[i]];
    }
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        int64_t base[MAX_OPERANDS] = {0};
        double sum = 0.0;
        uint64_t integers = 0;
        move_to(job, job->kept, job->kept_count, i, base);
        for (int64_t k = 0; k < summed; ++k) {
            int64_t at[MAX_OPERANDS];
            double product = 1.0;
            uint64_t integer = 1;
            memcpy(at, base, sizeof at);
            move_to(job, job->summed, job->summed_count, k, at);
            for (uint32_t operand = 0; operand < job->operand_count; ++operand) {
                const ref_tensor *tensor = job->call->inputs[operand];
                if (floats) {
                    product *= tni_ref_load(tensor, at[operand]);
                } else {
                    integer *= (uint64_t)tni_ref_load_int(tensor, at[operand]);
                }
            }
            sum += product;
            integers += integer;
        }
        if (floats) {
            tni_ref_store(output, i, sum);
        } else {
            tni_ref_store_int(output, i, (int64_t)integers);
        }
    }
}

tn_status tni_ref_einsum(const ref_call *call) {
    einsum_job job = {.call = call, .operand_count = call->input_count};
    const ref_tensor *output = call->outputs[0];
    if (call->input_count > MAX_OPERANDS) {
        return tni_ref_invalid(call, "too many operands");
    }
    for (uint32_t i = 0; i < call->input_count; ++i) {
        if (call->inputs[i] == NULL || call->inputs[i]->dtype != output->dtype) {
            return tni_ref_invalid(call, "operand types");
        }
    }
    if (!parse(&job)) {
        return tni_ref_invalid(call, "the equation does not fit the operands");
    }
    uint32_t fits = job.kept_count == output->rank ? 1u : 0u;
    for (uint32_t i = 0; fits && i < output->rank; ++i) {
        fits = output->dims[i] == job.sizes[job.kept[i]] ? 1u : 0u;
    }
    int64_t summed[MAX_LABELS];
    for (uint32_t i = 0; i < job.summed_count; ++i) {
        summed[i] = job.sizes[job.summed[i]];
    }
    int64_t terms = 0;
    if (!fits || !tni_ref_count(summed, job.summed_count, &terms)) {
        return tni_ref_invalid(call, "shape of the output");
    }
    const int64_t cost = terms > INT64_MAX / 64 / 40 ? INT64_MAX / 64 : terms * 40 + 40;
    tni_ref_parallel(call, output->count, cost, einsum_range, &job);
    return TN_OK;
}
