// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "flow/host_op.h"

#include "base/error.h"

#include <stdlib.h>

static const char *const names[TNI_HOST_OP_COUNT] = {
    [TNI_HOST_CAST] = "Cast",
    [TNI_HOST_CAST_LIKE] = "CastLike",
    [TNI_HOST_CONCAT_FROM_SEQUENCE] = "ConcatFromSequence",
    [TNI_HOST_EQUAL] = "Equal",
    [TNI_HOST_IDENTITY] = "Identity",
    [TNI_HOST_IF] = "If",
    [TNI_HOST_LOOP] = "Loop",
    [TNI_HOST_OPTIONAL] = "Optional",
    [TNI_HOST_OPTIONAL_GET_ELEMENT] = "OptionalGetElement",
    [TNI_HOST_OPTIONAL_HAS_ELEMENT] = "OptionalHasElement",
    [TNI_HOST_SCAN] = "Scan",
    [TNI_HOST_SEQUENCE_AT] = "SequenceAt",
    [TNI_HOST_SEQUENCE_CONSTRUCT] = "SequenceConstruct",
    [TNI_HOST_SEQUENCE_EMPTY] = "SequenceEmpty",
    [TNI_HOST_SEQUENCE_ERASE] = "SequenceErase",
    [TNI_HOST_SEQUENCE_INSERT] = "SequenceInsert",
    [TNI_HOST_SEQUENCE_LENGTH] = "SequenceLength",
    [TNI_HOST_SEQUENCE_MAP] = "SequenceMap",
    [TNI_HOST_SPLIT_TO_SEQUENCE] = "SplitToSequence",
    [TNI_HOST_STRING_CONCAT] = "StringConcat",
    [TNI_HOST_STRING_NORMALIZER] = "StringNormalizer",
    [TNI_HOST_STRING_SPLIT] = "StringSplit",
};

static int compare(const void *key, const void *element) {
    const tn_string *op_type = key;
    const char *const *candidate = element;
    return tni_string_compare(*op_type, tni_string_of(*candidate));
}

tni_host_op tni_host_op_of(const tni_node *node) {
    const char *const *found = NULL;
    if (node->domain.size_bytes == 0) {
        found = bsearch(&node->op_type, names, TNI_HOST_OP_COUNT, sizeof(names[0]), compare);
    }
    return found != NULL ? (tni_host_op)(found - names) : TNI_HOST_OP_COUNT;
}

tn_status tni_host_op_check(const tni_model *model, uint32_t id, tn_error *error) {
    const tni_node *node = &model->nodes[id];
    return tni_host_op_of(node) != TNI_HOST_OP_COUNT
               ? TN_OK
               : tni_fail_node(error, TN_ERROR_UNSUPPORTED, "flow.op", id, TN_NONE,
                               "the host cannot carry out node \"%.*s\" (%.*s), and devices are "
                               "not asked about sequences, optionals and strings",
                               TNI_TEXT(node->name), TNI_TEXT(node->op_type));
}
