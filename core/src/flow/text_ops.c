// SPDX-License-Identifier: Apache-2.0
// Ops on strings as the ONNX standard defines them (docs/Operators.md): Equal, StringConcat,
// StringNormalizer and StringSplit.
#include "base/error.h"
#include "flow/host_ops.h"
#include "flow/text.h"

#include <string.h>

// Strings in one result: each takes memory although it may be empty.
#define MAX_TEXTS ((uint64_t)1 << 28)

static tn_status bad_node(const tni_flow_run *run, const tni_node *node, tn_status status,
                          const char *what, tn_error *error) {
    return tni_fail_node(error, status, "flow.text", (uint32_t)(node - run->flow->model->nodes),
                         TN_NONE, "node \"%.*s\" (%.*s): %s", TNI_TEXT(node->name),
                         TNI_TEXT(node->op_type), what);
}

// An operand that must be a tensor of strings.
static tn_status take_texts(tni_flow_run *run, const tni_node *node, uint32_t index,
                            tni_tensor **out_tensor, tn_error *error) {
    tn_status status = tni_operand_tensor(run, node, index, out_tensor, error);
    if (status == TN_OK && (*out_tensor)->dtype != TN_DTYPE_STRING) {
        tni_tensor_release(*out_tensor);
        *out_tensor = NULL;
        status = bad_node(run, node, TN_ERROR_INVALID_DATA, "an operand has no strings", error);
    }
    return status;
}

// Two operands and the shape they broadcast to.
typedef struct pair {
    tni_tensor *a;
    tni_tensor *b;
    uint32_t rank;
    int64_t dims[TN_MAX_RANK];
    uint64_t count;
} pair;

static int64_t dim_of(const tni_tensor *tensor, uint32_t rank, uint32_t axis) {
    uint32_t lead = rank - tensor->rank;
    return axis < lead ? 1 : tensor->dims[axis - lead];
}

static tn_status take_pair(tni_flow_run *run, const tni_node *node, pair *p, tn_error *error) {
    tn_status status = take_texts(run, node, 0, &p->a, error);
    if (status == TN_OK) {
        status = take_texts(run, node, 1, &p->b, error);
    }
    if (status != TN_OK) {
        return status;
    }
    p->rank = p->a->rank > p->b->rank ? p->a->rank : p->b->rank;
    p->count = 1;
    for (uint32_t i = 0; i < p->rank; i++) {
        int64_t x = dim_of(p->a, p->rank, i);
        int64_t y = dim_of(p->b, p->rank, i);
        if (x != y && x != 1 && y != 1) {
            return bad_node(run, node, TN_ERROR_INVALID_DATA, "the shapes do not broadcast", error);
        }
        p->dims[i] = x == 1 ? y : x;
        if (__builtin_mul_overflow(p->count, (uint64_t)p->dims[i], &p->count) ||
            p->count > MAX_TEXTS) {
            return bad_node(run, node, TN_ERROR_LIMIT_EXCEEDED, "the result is too large", error);
        }
    }
    return TN_OK;
}

static void drop_pair(pair *p) {
    tni_tensor_release(p->a);
    tni_tensor_release(p->b);
}

// The string of an operand that broadcasting puts at index of the result.
static tn_string text_for(const pair *p, const tni_tensor *tensor, uint64_t index) {
    uint64_t at = 0;
    uint64_t step = 1;
    for (uint32_t i = p->rank; i-- > 0;) {
        int64_t own = dim_of(tensor, p->rank, i);
        at += own == 1 ? 0 : index % (uint64_t)p->dims[i] * step;
        step *= (uint64_t)own;
        index /= (uint64_t)p->dims[i];
    }
    return tni_texts_at(tensor, at);
}

tn_status tni_op_equal_text(tni_flow_run *run, const tni_node *node, tn_error *error) {
    pair p = {0};
    tni_tensor *made = NULL;
    tn_status status = take_pair(run, node, &p, error);
    if (status == TN_OK) {
        status = tni_tensor_create(&run->store, TN_DTYPE_BOOL, p.rank, p.dims, &made, error);
    }
    for (uint64_t i = 0; status == TN_OK && i < p.count; i++) {
        made->data[i] = tni_string_equal(text_for(&p, p.a, i), text_for(&p, p.b, i));
    }
    if (status == TN_OK) {
        tni_result(run, node, 0, tni_item_of(made));
    }
    drop_pair(&p);
    return status;
}

// Strings under construction, and the characters of those that are new.
typedef struct texts {
    const tni_alloc *alloc;
    uint64_t count;
    uint64_t byte_count;
    tn_string *items;
    char *bytes;
    uint64_t used;
} texts;

static tn_status make_texts(texts *t, const tni_alloc *alloc, uint64_t count, uint64_t bytes,
                            tn_error *error) {
    *t = (texts){.alloc = alloc, .count = count + 1, .byte_count = bytes + 1};
    t->items = tni_alloc_array(alloc, t->count, sizeof(*t->items));
    t->bytes = tni_alloc_zeroed(alloc, t->byte_count);
    return t->items != NULL && t->bytes != NULL
               ? TN_OK
               : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "strings");
}

static void free_texts(texts *t) {
    if (t->alloc != NULL) {
        tni_free_array(t->alloc, t->items, t->count, sizeof(*t->items));
        tni_free(t->alloc, t->bytes, t->byte_count);
    }
}

static tn_status put_result(tni_flow_run *run, const tni_node *node, uint32_t output, uint32_t rank,
                            const int64_t *dims, const texts *t, tn_error *error) {
    tni_tensor *made = NULL;
    tn_status status = tni_texts_create(&run->store, rank, dims, t->items, &made, error);
    if (status == TN_OK) {
        tni_result(run, node, output, tni_item_of(made));
    }
    return status;
}

tn_status tni_op_string_concat(tni_flow_run *run, const tni_node *node, tn_error *error) {
    pair p = {0};
    texts t = {0};
    uint64_t bytes = 0;
    tn_status status = take_pair(run, node, &p, error);
    for (uint64_t i = 0; status == TN_OK && i < p.count; i++) {
        bytes += text_for(&p, p.a, i).size_bytes + text_for(&p, p.b, i).size_bytes;
    }
    if (status == TN_OK) {
        status = tni_store_take(&run->store, bytes, error);
    }
    if (status == TN_OK) {
        tni_store_give(&run->store, bytes); // the result takes them; this asked for the cap
        status = make_texts(&t, &run->alloc, p.count, bytes, error);
    }
    for (uint64_t i = 0; status == TN_OK && i < p.count; i++) {
        tn_string parts[2] = {text_for(&p, p.a, i), text_for(&p, p.b, i)};
        t.items[i] = (tn_string){t.bytes + t.used, parts[0].size_bytes + parts[1].size_bytes};
        for (int k = 0; k < 2; k++) {
            if (parts[k].size_bytes > 0) {
                memcpy(t.bytes + t.used, parts[k].data, parts[k].size_bytes);
            }
            t.used += parts[k].size_bytes;
        }
    }
    if (status == TN_OK) {
        status = put_result(run, node, 0, p.rank, p.dims, &t, error);
    }
    free_texts(&t);
    drop_pair(&p);
    return status;
}

static char change_case(char c, char action) {
    if (action == 'L' && c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return action == 'U' && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool equal_words(tn_string a, tn_string b, bool sensitive) {
    bool same = a.size_bytes == b.size_bytes;
    for (uint64_t i = 0; same && i < a.size_bytes; i++) {
        char action = sensitive ? 'N' : 'L';
        same = change_case(a.data[i], action) == change_case(b.data[i], action);
    }
    return same;
}

static bool is_stopword(const tni_attr *stopwords, tn_string word, bool sensitive) {
    for (uint32_t i = 0; stopwords != NULL && i < stopwords->count; i++) {
        if (equal_words(stopwords->texts[i], word, sensitive)) {
            return true;
        }
    }
    return false;
}

static bool is_ascii(tn_string text) {
    for (uint64_t i = 0; i < text.size_bytes; i++) {
        if ((unsigned char)text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

// What is left of the words, in the case that is asked for.
static tn_status normalize(tni_flow_run *run, const tni_node *node, const tni_tensor *words,
                           texts *t, uint64_t *out_count, tn_error *error) {
    tn_string action = tni_node_text(node, "case_change_action", "NONE");
    bool sensitive = tni_node_int(node, "is_case_sensitive", 0) != 0;
    const tni_attr *stopwords = tni_node_attr(node, "stopwords");
    bool changes = !tni_string_is(action, "NONE");
    *out_count = 0;
    for (uint64_t i = 0; i < tni_texts_count(words); i++) {
        tn_string word = tni_texts_at(words, i);
        if ((changes || !sensitive) && !is_ascii(word)) {
            return bad_node(run, node, TN_ERROR_UNSUPPORTED,
                            "upper and lower case are known of ASCII letters only", error);
        }
        if (is_stopword(stopwords, word, sensitive)) {
            continue;
        }
        t->items[(*out_count)++] = (tn_string){t->bytes + t->used, word.size_bytes};
        for (uint64_t k = 0; k < word.size_bytes; k++) {
            t->bytes[t->used++] =
                changes ? change_case(word.data[k], action.data[0]) : word.data[k];
        }
    }
    return TN_OK;
}

tn_status tni_op_string_normalizer(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_tensor *words = NULL;
    texts t = {0};
    uint64_t count = 0;
    tn_status status = take_texts(run, node, 0, &words, error);
    if (status == TN_OK &&
        (words->rank < 1 || words->rank > 2 || (words->rank == 2 && words->dims[0] != 1))) {
        status =
            bad_node(run, node, TN_ERROR_INVALID_DATA, "the shape is not [C] or [1, C]", error);
    }
    if (status == TN_OK) {
        status = make_texts(&t, &run->alloc, tni_texts_count(words), words->size_bytes, error);
    }
    if (status == TN_OK) {
        status = normalize(run, node, words, &t, &count, error);
    }
    if (status == TN_OK) {
        // When nothing is left, the result is one empty string.
        const int64_t dims[] = {1, count > 0 ? (int64_t)count : 1};
        status =
            put_result(run, node, 0, words->rank, dims + (words->rank == 1 ? 1 : 0), &t, error);
    }
    free_texts(&t);
    tni_tensor_release(words);
    return status;
}

// Where the next piece of text begins and ends; *inout_at moves behind it. Returns false at the
// end. left: how many more cuts may be made; the last piece takes the rest.
static bool next_piece(tn_string text, tn_string delimiter, int64_t left, uint64_t *inout_at,
                       bool *inout_more, tn_string *out_piece) {
    bool spaces = delimiter.size_bytes == 0;
    uint64_t at = *inout_at;
    while (spaces && at < text.size_bytes && text.data[at] == ' ') {
        at++;
    }
    if (spaces ? at == text.size_bytes : !*inout_more) {
        return false;
    }
    uint64_t width = spaces ? 1 : delimiter.size_bytes;
    const char *mark = spaces ? " " : delimiter.data;
    uint64_t end = at;
    while (left > 0 && end + width <= text.size_bytes &&
           memcmp(text.data + end, mark, width) != 0) {
        end++;
    }
    bool cut = left > 0 && end + width <= text.size_bytes;
    end = cut ? end : text.size_bytes;
    // The rest, when it is split at spaces, ends before the spaces at its end.
    uint64_t last = end;
    while (spaces && !cut && last > at && text.data[last - 1] == ' ') {
        last--;
    }
    *out_piece = (tn_string){text.data + at, last - at};
    *inout_at = cut ? end + width : end;
    *inout_more = cut;
    return true;
}

// Counts the pieces of a text and, where items is not null, lists them.
static uint64_t split_text(tn_string text, tn_string delimiter, int64_t most, tn_string *items) {
    uint64_t at = 0;
    uint64_t count = 0;
    bool more = true;
    tn_string piece;
    while (next_piece(text, delimiter, most - (int64_t)count, &at, &more, &piece)) {
        if (items != NULL) {
            items[count] = piece;
        }
        count++;
    }
    return count;
}

static tn_status split_all(tni_flow_run *run, const tni_node *node, const tni_tensor *from,
                           tni_tensor *counts, tn_error *error) {
    tn_string delimiter = tni_node_text(node, "delimiter", "");
    int64_t most = tni_node_int(node, "maxsplit", INT64_MAX);
    uint64_t count = tni_texts_count(from);
    uint64_t longest = 0;
    uint64_t total = 0;
    texts t = {0};
    for (uint64_t i = 0; i < count; i++) {
        uint64_t pieces = split_text(tni_texts_at(from, i), delimiter, most, NULL);
        memcpy(counts->data + i * sizeof(pieces), &pieces, sizeof(pieces));
        longest = pieces > longest ? pieces : longest;
    }
    if (__builtin_mul_overflow(count, longest, &total) || total > MAX_TEXTS ||
        from->rank == TN_MAX_RANK) {
        return bad_node(run, node, TN_ERROR_LIMIT_EXCEEDED, "the result is too large", error);
    }
    tn_status status = make_texts(&t, &run->alloc, total, 0, error);
    for (uint64_t i = 0; i < count && status == TN_OK; i++) {
        (void)split_text(tni_texts_at(from, i), delimiter, most, t.items + i * longest);
    }
    int64_t dims[TN_MAX_RANK];
    memcpy(dims, from->dims, sizeof(dims));
    dims[from->rank] = (int64_t)longest;
    if (status == TN_OK) {
        status = put_result(run, node, 0, from->rank + 1, dims, &t, error);
    }
    free_texts(&t);
    return status;
}

tn_status tni_op_string_split(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_tensor *from = NULL;
    tni_tensor *counts = NULL;
    tn_status status = take_texts(run, node, 0, &from, error);
    if (status == TN_OK) {
        status =
            tni_tensor_create(&run->store, TN_DTYPE_INT64, from->rank, from->dims, &counts, error);
    }
    if (status == TN_OK) {
        status = split_all(run, node, from, counts, error);
    }
    if (status == TN_OK) {
        tni_result(run, node, 1, tni_item_of(counts));
    } else {
        tni_tensor_release(counts);
    }
    tni_tensor_release(from);
    return status;
}
