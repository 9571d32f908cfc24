// SPDX-License-Identifier: Apache-2.0
// TfIdfVectorizer over integers (ONNX operator list): how often each n-gram of a pool occurs in a
// row, where the items of an n-gram may lie a fixed distance apart.
#include "kernels.h"

typedef struct tfidf_job {
    const ref_call *call;
    const tn_graph_attribute *pool;    // all n-grams, the short ones first
    const tn_graph_attribute *counts;  // where the n-grams of each length begin
    const tn_graph_attribute *indexes; // the output column of each n-gram
    const tn_graph_attribute *weights; // by n-gram; may be null: ones
    int64_t shortest;
    int64_t longest;
    int64_t most_skips;
    uint32_t binary;   // IDF: weigh presence
    uint32_t weighted; // IDF and TFIDF
} tfidf_job;

static int64_t int_of(const tfidf_job *job, const tn_graph_attribute *list, int64_t i) {
    return tn_view_int(job->call->view, list->values.begin + (uint32_t)i);
}

// Items of the pool that belong to n-grams of one length.
static void pool_range(const tfidf_job *job, int64_t length, int64_t *out_begin, int64_t *out_end) {
    const int64_t lengths = job->counts->values.count;
    *out_begin = length <= lengths ? int_of(job, job->counts, length - 1) : 0;
    *out_end = length < lengths ? int_of(job, job->counts, length)
                                : (length == lengths ? job->pool->values.count : 0);
}

// How often an n-gram occurs in a row when its items lie `distance` apart.
static int64_t occurrences(const tfidf_job *job, int64_t row, int64_t size, int64_t gram,
                           int64_t length, int64_t distance) {
    int64_t found = 0;
    for (int64_t begin = 0; begin + (length - 1) * distance < size; ++begin) {
        int64_t same = 0;
        while (same < length &&
               tni_ref_load_int(job->call->inputs[0], row * size + begin + same * distance) ==
                   int_of(job, job->pool, gram + same)) {
            same += 1;
        }
        found += same == length ? 1 : 0;
    }
    return found;
}

static uint32_t read_job(const ref_call *call, tfidf_job *job) {
    const tn_graph_view *view = call->view;
    const tn_graph_node *node = call->node;
    job->pool = tn_view_find_attr(view, node, "pool_int64s", NULL);
    job->counts = tn_view_find_attr(view, node, "ngram_counts", NULL);
    job->indexes = tn_view_find_attr(view, node, "ngram_indexes", NULL);
    job->weights = tn_view_find_attr(view, node, "weights", NULL);
    job->shortest = tni_ref_int(call, "min_gram_length", 1);
    job->longest = tni_ref_int(call, "max_gram_length", 1);
    job->most_skips = tni_ref_int(call, "max_skip_count", 0);
    job->binary = tn_view_attr_string_is(view, node, "mode", "IDF");
    job->weighted = job->binary | tn_view_attr_string_is(view, node, "mode", "TFIDF");
    if (job->pool == NULL || job->counts == NULL || job->indexes == NULL ||
        job->pool->kind != TN_ATTR_INTS || job->counts->kind != TN_ATTR_INTS ||
        job->indexes->kind != TN_ATTR_INTS || job->shortest < 1 || job->longest < job->shortest ||
        job->longest > INT16_MAX || job->most_skips < 0 || job->most_skips > INT16_MAX ||
        (job->weights != NULL && (job->weights->kind != TN_ATTR_FLOATS ||
                                  job->weights->values.count != job->indexes->values.count))) {
        return 0;
    }
    int64_t last = 0;
    for (uint32_t i = 0; i < job->counts->values.count; ++i) {
        const int64_t begin = int_of(job, job->counts, i);
        if (begin < last || begin > (int64_t)job->pool->values.count) {
            return 0;
        }
        last = begin;
    }
    return 1;
}

// Adds the n-grams of one length to a row of the output.
static uint32_t count_length(const tfidf_job *job, int64_t row, int64_t length, int64_t gram_id) {
    const ref_tensor *x = job->call->inputs[0];
    ref_tensor *y = job->call->outputs[0];
    const int64_t size = x->dims[x->rank - 1];
    const int64_t columns = y->dims[y->rank - 1];
    int64_t begin = 0;
    int64_t end = 0;
    pool_range(job, length, &begin, &end);
    for (int64_t gram = begin; gram + length <= end; gram += length, ++gram_id) {
        int64_t found = 0;
        if (gram_id >= (int64_t)job->indexes->values.count) {
            return 0;
        }
        // A single item has nothing to skip.
        for (int64_t skip = 0; skip <= (length == 1 ? 0 : job->most_skips); ++skip) {
            found += occurrences(job, row, size, gram, length, skip + 1);
        }
        const int64_t column = int_of(job, job->indexes, gram_id);
        if (column < 0 || column >= columns) {
            return 0;
        }
        const double weight =
            job->weighted && job->weights != NULL
                ? (double)tn_view_float(job->call->view,
                                        job->weights->values.begin + (uint32_t)gram_id)
                : 1.0;
        found = job->binary && found > 1 ? 1 : found;
        tni_ref_store(y, row * columns + column, (double)found * weight);
    }
    return 1;
}

tn_status tni_ref_tfidf(const ref_call *call) {
    const ref_tensor *x = call->inputs[0];
    ref_tensor *y = call->outputs[0];
    tfidf_job job = {.call = call};
    if (x->rank < 1 || x->rank > 2 || y->rank != x->rank ||
        (x->rank == 2 && x->dims[0] != y->dims[0]) || !read_job(call, &job)) {
        return tni_ref_invalid(call, "shapes or attributes");
    }
    for (int64_t i = 0; i < y->count; ++i) {
        tni_ref_store(y, i, 0.0);
    }
    const int64_t rows = x->rank == 2 ? x->dims[0] : 1;
    for (int64_t row = 0; row < rows; ++row) {
        int64_t gram_id = 0;
        for (int64_t length = 1; length <= job.longest; ++length) {
            int64_t begin = 0;
            int64_t end = 0;
            pool_range(&job, length, &begin, &end);
            if (length >= job.shortest && !count_length(&job, row, length, gram_id)) {
                return tni_ref_invalid(call, "ngram_indexes");
            }
            gram_id += end > begin ? (end - begin) / length : 0;
        }
    }
    return TN_OK;
}
