// SPDX-License-Identifier: Apache-2.0
// What the author of a model can change so that a device takes a node that it refuses: derived from
// the reason, with its limit and actual value, and from what the model says of the operand.
#include "explain.h"

#include <stdarg.h>
#include <string.h>

typedef struct hint_text {
    char *text;
    size_t used;
} hint_text;

__attribute__((format(printf, 2, 3))) static void say(hint_text *h, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const size_t room = EXPLAIN_HINT_BYTES - h->used;
    const int wrote = vsnprintf(h->text + h->used, room, format, arguments);
    va_end(arguments);
    h->used += wrote < 0 ? 0 : (size_t)wrote < room ? (size_t)wrote : room - 1;
}

// The operand that a refusal speaks of. Returns false when it speaks of none.
static bool operand_of(const plan_session *s, const tn_node_desc *node, uint32_t subject,
                       tn_tensor_desc *out_desc) {
    *out_desc =
        (tn_tensor_desc){.struct_size = sizeof(*out_desc), .struct_type = TN_STRUCT_TENSOR_DESC};
    return subject < node->input_count && node->inputs[subject] != TN_NONE &&
           tn_model_value_get(s->model, node->inputs[subject], out_desc) == TN_OK;
}

static bool has_symbol(const tn_tensor_desc *desc, const char *symbol) {
    for (uint32_t k = 0; desc->rank != TN_RANK_UNKNOWN && k < desc->rank; k++) {
        if (desc->dims[k] < 0 && strcmp(desc->symbols[k], symbol) == 0) {
            return true;
        }
    }
    return false;
}

// Sizes that are open: the inputs of the model that leave them open, by name where the operand
// shares one with them, else all that leave anything open.
static void say_dynamic(hint_text *h, const plan_session *s, const tn_tensor_desc *operand) {
    const char *comma = " ";
    uint32_t told = 0;
    for (uint32_t i = 0; i < tn_model_input_count(s->model); i++) {
        tn_tensor_desc input = {.struct_size = sizeof(input), .struct_type = TN_STRUCT_TENSOR_DESC};
        if (tn_model_input_get(s->model, i, &input) != TN_OK || input.rank == TN_RANK_UNKNOWN) {
            continue;
        }
        bool open = false;
        for (uint32_t k = 0; k < input.rank; k++) {
            const bool shared = operand->rank == TN_RANK_UNKNOWN || input.symbols[k][0] == '\0' ||
                                has_symbol(operand, input.symbols[k]);
            open |= input.dims[k] < 0 && shared;
        }
        if (open && told++ == 0) {
            say(h, "give the model fixed sizes for");
        }
        if (open) {
            say(h, "%s%s", comma, input.name);
            comma = ", ";
        }
    }
    if (told == 0) {
        say(h, "the size follows from data: no fixed size of an input settles it");
    }
}

static void say_version(hint_text *h, const tn_node_desc *node, const tn_placement *p) {
    if (p->actual > p->limit) {
        say(h,
            "write the model with opset %lld: %s of version %lld cannot be said in older ones as "
            "it stands",
            (long long)p->limit, node->op_type, (long long)p->actual);
    } else {
        say(h, "write the model with opset %lld or newer: the device knows %s from there on",
            (long long)p->limit, node->op_type);
    }
}

static void say_dtype(hint_text *h, const tn_placement *p, const tn_tensor_desc *operand) {
    if (operand->is_constant != 0) {
        say(h, "constant operand %u of type %s: store it in another type", p->subject,
            tn_dtype_text(operand->dtype));
    } else {
        say(h, "operand %u is of type %s: put a Cast before it, or quantise", p->subject,
            tn_dtype_text(operand->dtype));
    }
}

// Reasons that speak of sizes and types of an operand.
static bool say_of_operand(hint_text *h, const plan_session *s, const tn_node_desc *node,
                           const tn_placement *p) {
    tn_tensor_desc operand;
    const bool known = operand_of(s, node, p->subject, &operand);
    switch (p->reason) {
    case TN_REASON_DTYPE:
        if (known) {
            say_dtype(h, p, &operand);
        }
        return known;
    case TN_REASON_RANK_LIMIT:
        say(h, "rank %lld, at most %lld: merge axes with a Reshape before it and split them after",
            (long long)p->actual, (long long)p->limit);
        return true;
    case TN_REASON_DIM_LIMIT:
        say(h, "size %lld, at most %lld: split the tensor into pieces of at most that",
            (long long)p->actual, (long long)p->limit);
        return true;
    case TN_REASON_DYNAMIC_SHAPE:
    case TN_REASON_SHAPE_BUCKET:
        operand.rank = known ? operand.rank : TN_RANK_UNKNOWN;
        say_dynamic(h, s, &operand);
        return true;
    case TN_REASON_NEEDS_CONSTANT:
        say(h, "operand %u has to be a constant: make it an initializer", p->subject);
        return true;
    case TN_REASON_OPTIONAL_INPUT:
        say(h, known ? "leave operand %u out" : "give operand %u, with its default", p->subject);
        return true;
    default:
        return false;
    }
}

static bool say_of_node(hint_text *h, const tn_node_desc *node, const tn_placement *p) {
    switch (p->reason) {
    case TN_REASON_OP_VERSION:
        say_version(h, node, p);
        return true;
    case TN_REASON_ATTR_UNSUPPORTED:
        say(h,
            p->limit != 0 || p->actual != 0
                ? "attribute %u is %lld and may be %lld: write it as such nodes"
                : "attribute %u alone stands in the way: write it as nodes with another value",
            p->subject, (long long)p->actual, (long long)p->limit);
        return true;
    case TN_REASON_QUANT_SCHEME:
        say(h, "quantise it in the scheme that the device documents (limit %lld, actual %lld)",
            (long long)p->limit, (long long)p->actual);
        return true;
    case TN_REASON_PRECISION_POLICY:
        say(h, "allowed without --precise");
        return true;
    case TN_REASON_MEM_LIMIT:
    case TN_REASON_SRAM_LIMIT:
        say(h, "needs %lld bytes, there are %lld: split it along an axis that it does not sum over",
            (long long)p->actual, (long long)p->limit);
        return true;
    case TN_REASON_USER_PINNED:
    case TN_REASON_USER_FORBID:
        say(h, "a rule of yours keeps it away");
        return true;
    case TN_REASON_COMPILE_FAILED:
        say(h, "the device claimed it and then refused: tell its vendor");
        return true;
    default:
        return false;
    }
}

void explain_hint_text(const explain_report *report, uint32_t node, const tn_placement *placement,
                       char text[EXPLAIN_HINT_BYTES]) {
    hint_text h = {text, 0};
    tn_node_desc desc;
    text[0] = '\0';
    if (plan_node_get(report->session, node, &desc) &&
        !say_of_operand(&h, report->session, &desc, placement)) {
        (void)say_of_node(&h, &desc, placement);
    }
}
