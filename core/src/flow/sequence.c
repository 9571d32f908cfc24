// SPDX-License-Identifier: Apache-2.0
// Sequences and optionals as the ONNX standard defines them (docs/Operators.md). Sequences are
// never changed: an op that inserts makes a new list of the same tensors.
#include "base/checked.h"
#include "base/dtype.h"
#include "base/error.h"
#include "flow/host_ops.h"

#include <string.h>

// What operands hold contradicts the op: what it is, the number found, and what there is of it.
static tn_status bad_operand(const tni_flow_run *run, const tni_node *node, const char *id,
                             const char *what, int64_t number, int64_t of, tn_error *error) {
    return tni_fail_node(error, TN_ERROR_INVALID_DATA, id,
                         (uint32_t)(node - run->flow->model->nodes), TN_NONE,
                         "node \"%.*s\" (%.*s): %s %lld of %lld", TNI_TEXT(node->name),
                         TNI_TEXT(node->op_type), what, (long long)number, (long long)of);
}

static tn_status undivided(const tni_tensor *tensor, tn_error *error) {
    return tni_fail(error, TN_ERROR_UNSUPPORTED, "flow.packed",
                    "elements of type %s cannot be taken apart", tni_dtype_name(tensor->dtype));
}

static tni_item item_of_sequence(tni_sequence *sequence) {
    return (tni_item){.kind = TNI_ITEM_SEQUENCE, .sequence = sequence};
}

static tni_tensor *share_tensor(tni_tensor *tensor) {
    return tni_item_share(tni_item_of(tensor)).tensor;
}

// Operand index as a position in [0, count), or in [0, count] when behind the last is allowed.
static tn_status position(tni_flow_run *run, const tni_node *node, uint32_t index, uint32_t count,
                          bool at_end, uint32_t fallback, uint32_t *out_position, tn_error *error) {
    int64_t at = fallback;
    tn_status status =
        tni_operand_present(node, index) ? tni_operand_int(run, node, index, &at, error) : TN_OK;
    int64_t given = at;
    at += at < 0 ? count : 0;
    if (status == TN_OK && (at < 0 || at >= (int64_t)count + (at_end ? 1 : 0))) {
        status = bad_operand(run, node, "flow.sequence-index", "position", given, count, error);
    }
    *out_position = status == TN_OK ? (uint32_t)at : 0;
    return status;
}

tn_status tni_op_identity(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_item item;
    tn_status status = tni_operand(run, node, 0, &item, error);
    tni_result(run, node, 0, item);
    return status;
}

tn_status tni_op_optional(tni_flow_run *run, const tni_node *node, tn_error *error) {
    if (tni_operand_present(node, 0)) {
        return tni_op_identity(run, node, error);
    }
    tni_result(run, node, 0, (tni_item){.kind = TNI_ITEM_NONE});
    return TN_OK;
}

tn_status tni_op_optional_has(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_item item = {.kind = TNI_ITEM_NONE};
    tn_status status =
        tni_operand_present(node, 0) ? tni_operand(run, node, 0, &item, error) : TN_OK;
    if (status != TN_OK) {
        return status;
    }
    const uint8_t has = item.kind != TNI_ITEM_NONE;
    tni_item_clear(&item);
    status = tni_scalar(run, TN_DTYPE_BOOL, &has, &item, error);
    tni_result(run, node, 0, item);
    return status;
}

tn_status tni_op_optional_get(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_item item;
    tn_status status = tni_operand(run, node, 0, &item, error);
    if (status == TN_OK && item.kind == TNI_ITEM_NONE) {
        return tni_fail_node(error, TN_ERROR_INVALID_DATA, "flow.optional-empty",
                             (uint32_t)(node - run->flow->model->nodes), TN_NONE,
                             "node \"%.*s\" (OptionalGetElement): there is no element",
                             TNI_TEXT(node->name));
    }
    tni_result(run, node, 0, item);
    return status;
}

tn_status tni_op_sequence_empty(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_sequence *sequence = NULL;
    tn_status status = tni_sequence_create(&run->store, 0, &sequence, error);
    if (status == TN_OK) {
        tni_result(run, node, 0, item_of_sequence(sequence));
    }
    return status;
}

tn_status tni_op_sequence_construct(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_sequence *sequence = NULL;
    tn_status status = tni_sequence_create(&run->store, node->input_count, &sequence, error);
    for (uint32_t i = 0; i < node->input_count && status == TN_OK; i++) {
        status = tni_operand_tensor(run, node, i, &sequence->tensors[i], error);
    }
    if (status != TN_OK) {
        tni_sequence_release(sequence);
        return status;
    }
    tni_result(run, node, 0, item_of_sequence(sequence));
    return TN_OK;
}

tn_status tni_op_sequence_length(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_sequence *sequence = NULL;
    tni_item item = {.kind = TNI_ITEM_EMPTY};
    tn_status status = tni_operand_sequence(run, node, 0, &sequence, error);
    if (status == TN_OK) {
        const int64_t count = sequence->count;
        status = tni_scalar(run, TN_DTYPE_INT64, &count, &item, error);
        tni_result(run, node, 0, item);
    }
    tni_sequence_release(sequence);
    return status;
}

tn_status tni_op_sequence_at(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_sequence *sequence = NULL;
    uint32_t at = 0;
    tn_status status = tni_operand_sequence(run, node, 0, &sequence, error);
    if (status == TN_OK) {
        status = position(run, node, 1, sequence->count, false, 0, &at, error);
    }
    if (status == TN_OK) {
        tni_result(run, node, 0, tni_item_of(share_tensor(sequence->tensors[at])));
    }
    tni_sequence_release(sequence);
    return status;
}

// Long lists cost time to copy, which a loop multiplies: this many tensors count as an iteration.
#define TENSORS_AN_ITERATION 4096u

static tn_status make_list(tni_flow_run *run, const tni_node *node, uint32_t count,
                           tni_sequence **out_made, tn_error *error) {
    const tn_status status = tni_spend(run, node, count / TENSORS_AN_ITERATION, error);
    return status == TN_OK ? tni_sequence_create(&run->store, count, out_made, error) : status;
}

tn_status tni_op_sequence_erase(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_sequence *old = NULL;
    tni_sequence *made = NULL;
    uint32_t at = 0;
    tn_status status = tni_operand_sequence(run, node, 0, &old, error);
    if (status == TN_OK) {
        uint32_t last = old->count > 0 ? old->count - 1 : 0;
        status = position(run, node, 1, old->count, false, last, &at, error);
    }
    if (status == TN_OK) {
        status = make_list(run, node, old->count - 1, &made, error);
    }
    for (uint32_t i = 0; status == TN_OK && i < made->count; i++) {
        made->tensors[i] = share_tensor(old->tensors[i < at ? i : i + 1]);
    }
    if (status == TN_OK) {
        tni_result(run, node, 0, item_of_sequence(made));
    }
    tni_sequence_release(old);
    return status;
}

tn_status tni_op_sequence_insert(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_sequence *old = NULL;
    tni_sequence *made = NULL;
    tni_tensor *tensor = NULL;
    uint32_t at = 0;
    tn_status status = tni_operand_sequence(run, node, 0, &old, error);
    if (status == TN_OK) {
        status = tni_operand_tensor(run, node, 1, &tensor, error);
    }
    if (status == TN_OK) {
        status = position(run, node, 2, old->count, true, old->count, &at, error);
    }
    if (status == TN_OK) {
        status = make_list(run, node, old->count + 1, &made, error);
    }
    for (uint32_t i = 0; status == TN_OK && i < made->count; i++) {
        made->tensors[i] = share_tensor(i == at ? tensor : old->tensors[i < at ? i : i - 1]);
    }
    if (status == TN_OK) {
        tni_result(run, node, 0, item_of_sequence(made));
    }
    tni_tensor_release(tensor);
    tni_sequence_release(old);
    return status;
}

static tn_status resolve_axis(const tni_flow_run *run, const tni_node *node, int64_t fallback,
                              uint32_t rank, uint32_t *out_axis, tn_error *error) {
    int64_t given = tni_node_int(node, "axis", fallback);
    int64_t axis = given < 0 ? given + rank : given;
    *out_axis = (uint32_t)axis;
    return axis >= 0 && axis < (int64_t)rank
               ? TN_OK
               : bad_operand(run, node, "flow.axis", "axis", given, rank, error);
}

// Where the pieces of a split end: sizes, one size for all, or pieces of one.
typedef struct pieces {
    uint32_t count;
    const int64_t *sizes; // null: all of `each`, the last may be shorter
    int64_t each;
} pieces;

static tn_status find_pieces(tni_flow_run *run, const tni_node *node, const tni_tensor *split,
                             int64_t length, pieces *out, int64_t *sizes, tn_error *error) {
    *out = (pieces){.each = 1};
    if (split != NULL && split->rank > 0) {
        int64_t sum = 0;
        out->count = (uint32_t)split->dims[0];
        for (uint32_t i = 0; i < out->count; i++) {
            int32_t narrow = 0;
            if (split->dtype == TN_DTYPE_INT64) {
                memcpy(&sizes[i], split->data + 8 * i, 8);
            } else {
                memcpy(&narrow, split->data + 4 * i, 4);
                sizes[i] = narrow;
            }
            if (sizes[i] < 0 || sizes[i] > length - sum) {
                return bad_operand(run, node, "flow.split", "a piece takes", sizes[i], length - sum,
                                   error);
            }
            sum += sizes[i];
        }
        out->sizes = sizes;
        return sum == length ? TN_OK
                             : bad_operand(run, node, "flow.split", "all pieces together take", sum,
                                           length, error);
    }
    if (split != NULL) {
        tn_status status = tni_operand_int(run, node, 1, &out->each, error);
        if (status != TN_OK) {
            return status;
        }
    }
    int64_t count = out->each > 0 ? length / out->each + (length % out->each != 0) : -1;
    if (count < 0 || count > INT32_MAX) {
        return bad_operand(run, node, "flow.split", "every piece takes", out->each, length, error);
    }
    out->count = (uint32_t)count;
    return TN_OK;
}

// One piece; without keepdims its axis, which is 1 long, goes.
static tn_status cut_piece(tni_flow_run *run, const tni_tensor *tensor, uint32_t axis,
                           int64_t begin, int64_t size, bool keep, tni_tensor **out_piece,
                           tn_error *error) {
    if (!keep) {
        return tni_tensor_part(tensor, axis, begin, out_piece, error);
    }
    int64_t dims[TN_MAX_RANK];
    memcpy(dims, tensor->dims, sizeof(dims));
    dims[axis] = size;
    tn_status status =
        tni_tensor_create(&run->store, tensor->dtype, tensor->rank, dims, out_piece, error);
    if (status == TN_OK) {
        tni_tensor_copy_rows(*out_piece, 0, tensor, begin, size, axis);
    }
    return status;
}

static tn_status split_tensor(tni_flow_run *run, const tni_node *node, const tni_tensor *tensor,
                              const tni_tensor *split, int64_t *sizes, tn_error *error) {
    uint32_t axis = 0;
    pieces cut = {0};
    tni_sequence *made = NULL;
    if (!tni_tensor_divides(tensor)) {
        return undivided(tensor, error);
    }
    tn_status status = resolve_axis(run, node, 0, tensor->rank, &axis, error);
    if (status == TN_OK) {
        status = find_pieces(run, node, split, tensor->dims[axis], &cut, sizes, error);
    }
    if (status == TN_OK && cut.count > run->limits.max_iterations) {
        status = tni_fail_node(error, TN_ERROR_LIMIT_EXCEEDED, "flow.pieces",
                               (uint32_t)(node - run->flow->model->nodes), TN_NONE,
                               "node \"%.*s\" (SplitToSequence): %u pieces", TNI_TEXT(node->name),
                               cut.count);
    }
    if (status == TN_OK) {
        status = tni_sequence_create(&run->store, cut.count, &made, error);
    }
    bool keep = split != NULL || tni_node_int(node, "keepdims", 1) != 0;
    int64_t begin = 0;
    for (uint32_t i = 0; i < cut.count && status == TN_OK; i++) {
        int64_t left = tensor->dims[axis] - begin;
        int64_t size = cut.sizes != NULL ? cut.sizes[i] : cut.each < left ? cut.each : left;
        status = tni_iterate(run, node, error);
        if (status == TN_OK) {
            status = cut_piece(run, tensor, axis, begin, size, keep, &made->tensors[i], error);
        }
        begin += size;
    }
    if (status != TN_OK) {
        tni_sequence_release(made);
        return status;
    }
    tni_result(run, node, 0, item_of_sequence(made));
    return TN_OK;
}

tn_status tni_op_split_to_sequence(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_tensor *tensor = NULL;
    tni_tensor *split = NULL;
    tn_status status = tni_operand_tensor(run, node, 0, &tensor, error);
    if (status == TN_OK && tni_operand_present(node, 1)) {
        status = tni_operand_tensor(run, node, 1, &split, error);
    }
    bool integers =
        split == NULL || split->dtype == TN_DTYPE_INT64 || split->dtype == TN_DTYPE_INT32;
    uint64_t room = split != NULL && split->rank > 0 ? (uint64_t)split->dims[0] + 1 : 1;
    if (status == TN_OK && (!integers || room > INT32_MAX || (split != NULL && split->rank > 1))) {
        status = tni_fail_node(error, TN_ERROR_INVALID_DATA, "flow.split",
                               (uint32_t)(node - run->flow->model->nodes), TN_NONE,
                               "node \"%.*s\" (SplitToSequence): the sizes are no integer and no "
                               "list of integers",
                               TNI_TEXT(node->name));
    }
    if (status == TN_OK) {
        int64_t *sizes = tni_alloc_array(&run->alloc, room, sizeof(*sizes));
        status = sizes != NULL ? split_tensor(run, node, tensor, split, sizes, error)
                               : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a sequence");
        tni_free_array(&run->alloc, sizes, room, sizeof(*sizes));
    }
    tni_tensor_release(split);
    tni_tensor_release(tensor);
    return status;
}

// The shape of all tensors joined along axis, which is new or theirs.
static tn_status joined_dims(const tni_flow_run *run, const tni_node *node,
                             const tni_sequence *sequence, uint32_t axis, bool is_new,
                             int64_t *dims, tn_error *error) {
    const tni_tensor *first = sequence->tensors[0];
    for (uint32_t i = 0, from = 0; i < first->rank + (is_new ? 1u : 0u); i++) {
        dims[i] = i == axis && is_new ? sequence->count : first->dims[from++];
    }
    for (uint32_t k = 1; k < sequence->count; k++) {
        const tni_tensor *other = sequence->tensors[k];
        bool same = other->rank == first->rank && other->dtype == first->dtype;
        for (uint32_t i = 0; same && i < first->rank; i++) {
            same = other->dims[i] == first->dims[i] || (!is_new && i == axis);
        }
        if (!same || (!is_new && !tni_add_i64(dims[axis], other->dims[axis], &dims[axis]))) {
            return bad_operand(run, node, "flow.join", "no tensor like the first is", k,
                               sequence->count, error);
        }
    }
    return TN_OK;
}

static tn_status join(tni_flow_run *run, const tni_node *node, const tni_sequence *sequence,
                      tn_error *error) {
    bool is_new = tni_node_int(node, "new_axis", 0) != 0;
    int64_t dims[TN_MAX_RANK + 1];
    uint32_t axis = 0;
    tni_tensor *made = NULL;
    if (sequence->count == 0) {
        return bad_operand(run, node, "flow.join", "nothing to join: tensor", 0, 0, error);
    }
    if (!tni_tensor_divides(sequence->tensors[0])) {
        return undivided(sequence->tensors[0], error);
    }
    uint32_t rank = sequence->tensors[0]->rank + (is_new ? 1u : 0u);
    tn_status status = resolve_axis(run, node, 0, rank, &axis, error);
    if (status == TN_OK) {
        status = joined_dims(run, node, sequence, axis, is_new, dims, error);
    }
    if (status == TN_OK) {
        status =
            tni_tensor_create(&run->store, sequence->tensors[0]->dtype, rank, dims, &made, error);
    }
    int64_t begin = 0;
    for (uint32_t i = 0; i < sequence->count && status == TN_OK; i++) {
        tni_tensor row = *sequence->tensors[i];
        if (is_new) {
            memmove(row.dims + axis + 1, row.dims + axis, (row.rank - axis) * sizeof(row.dims[0]));
            row.dims[axis] = 1;
            row.rank++;
        }
        tni_tensor_copy_rows(made, begin, &row, 0, row.dims[axis], axis);
        begin += row.dims[axis];
    }
    if (status == TN_OK) {
        tni_result(run, node, 0, tni_item_of(made));
    }
    return status;
}

tn_status tni_op_concat_from_sequence(tni_flow_run *run, const tni_node *node, tn_error *error) {
    tni_sequence *sequence = NULL;
    tn_status status = tni_operand_sequence(run, node, 0, &sequence, error);
    if (status == TN_OK) {
        status = join(run, node, sequence, error);
    }
    tni_sequence_release(sequence);
    return status;
}
