// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "cpu_mutate.h"

#include "tenon/helper/graph_reader.h"

#include <math.h>
#include <stddef.h>

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

uint32_t cpu_random(uint64_t *inout_random, uint32_t below) {
    *inout_random = *inout_random * 6364136223846793005u + 1442695040888963407u;
    return below == 0 ? 0 : (uint32_t)(*inout_random >> 33) % below;
}

static void *record(tn_graph_view *view, const tn_span *span, uint32_t index) {
    return (unsigned char *)view + span->offset_bytes + (uint64_t)index * span->stride_bytes;
}

// One of a pool's records, or null.
static void *any(tn_graph_view *view, const tn_span *span, uint64_t *random) {
    return span->count == 0 ? NULL : record(view, span, cpu_random(random, span->count));
}

static int64_t strange_size(int64_t was, uint64_t *random) {
    const int64_t old = was > 0 && was < 1000000 ? was : 4;
    const int64_t sizes[] = {0,       1,        2,         3,         5,         16,
                             old - 1, old + 1,  old * 2,   old / 2,   -1,        -2,
                             1 << 20, 1u << 31, 1ll << 32, INT64_MAX, INT64_MIN, 7};
    return sizes[cpu_random(random, COUNT(sizes))];
}

// Another index, mostly one that exists.
static uint32_t other_index(uint32_t count, uint64_t *random) {
    const uint32_t kind = cpu_random(random, 8);
    return kind == 0 ? TN_NONE : kind == 1 ? count : cpu_random(random, count);
}

static void change_dim(tn_graph_view *view, uint64_t *random) {
    tn_graph_dim *dim = any(view, &view->dims, random);
    if (dim != NULL && cpu_random(random, 8) == 0) {
        dim->symbol = other_index(view->symbols.count, random);
        dim->size = -1;
    } else if (dim != NULL) {
        dim->size = strange_size(dim->size, random);
    }
}

// Makes the bytes of every constant what its shape says.
static void fit_constants(tn_graph_view *view) {
    for (uint32_t i = 0; i < view->constants.count; ++i) {
        tn_graph_constant *constant = record(view, &view->constants, i);
        uint64_t count = 1;
        for (uint32_t d = 0; d < constant->dims.count && constant->dims.count <= TN_MAX_RANK; ++d) {
            const uint32_t at = constant->dims.begin + d;
            const int64_t size =
                at < view->dims.count ? ((tn_graph_dim *)record(view, &view->dims, at))->size : 0;
            count = size < 0 || size > 100000 || count > 100000 ? 0 : count * (uint64_t)size;
        }
        constant->size_bytes = tn_view_dtype_bytes(constant->dtype, count);
    }
}

// One size, wherever it occurs.
static void change_size(tn_graph_view *view, uint64_t *random) {
    const tn_graph_dim *picked = any(view, &view->dims, random);
    const int64_t old =
        picked == NULL || picked->size < 0 || picked->size > 1000 ? 0 : picked->size;
    const int64_t sizes[] = {1, 2, 3, 15, 17, 31, old + 1, old * 2, old > 1 ? old - 1 : 0};
    const int64_t now = sizes[cpu_random(random, COUNT(sizes))];
    for (uint32_t i = 0; i < view->dims.count && old >= 0; ++i) {
        tn_graph_dim *dim = record(view, &view->dims, i);
        dim->size = dim->size == old ? now : dim->size;
    }
    fit_constants(view);
}

static void change_value(tn_graph_view *view, uint64_t *random) {
    tn_graph_value *value = any(view, &view->values, random);
    switch (value == NULL ? 9 : cpu_random(random, 6)) {
    case 0:
        value->dtype = cpu_random(random, TN_DTYPE_COUNT + 1);
        break;
    case 1:
        value->dims.count = cpu_random(random, 4) == 0 ? TN_RANK_UNKNOWN : cpu_random(random, 9);
        break;
    case 2:
        value->dims.begin = cpu_random(random, view->dims.count + 1);
        break;
    case 3:
        value->dims = ((tn_graph_value *)any(view, &view->values, random))->dims;
        break;
    case 4:
        value->constant = other_index(view->constants.count, random);
        break;
    case 5:
        value->kind = cpu_random(random, 6);
        break;
    default:
        break;
    }
}

static void change_operand(tn_graph_view *view, uint64_t *random) {
    tn_graph_node *node = any(view, &view->nodes, random);
    if (node == NULL || cpu_random(random, 3) > 0) {
        uint32_t *id = any(view, &view->value_ids, random);
        *id = other_index(view->values.count, random);
        return;
    }
    tn_range *range = cpu_random(random, 3) == 0 ? &node->outputs : &node->inputs;
    range->count += cpu_random(random, 2) == 0 ? 1u : (range->count > 0 ? UINT32_MAX : 0u);
}

static void change_attribute(tn_graph_view *view, uint64_t *random) {
    tn_graph_attribute *attribute = any(view, &view->attributes, random);
    if (attribute == NULL) {
        return;
    }
    switch (cpu_random(random, 4)) {
    case 0:
        attribute->kind = cpu_random(random, 12);
        break;
    case 1:
        attribute->values.count = cpu_random(random, 10);
        break;
    case 2:
        attribute->values.begin += cpu_random(random, 3) - 1;
        break;
    default:
        attribute->name = ((tn_graph_attribute *)any(view, &view->attributes, random))->name;
        break;
    }
}

static void change_number(tn_graph_view *view, uint64_t *random) {
    static const float floats[] = {0.0f, -1.0f, 1e-38f, 1e38f, INFINITY, NAN};
    int64_t *integer = any(view, &view->attr_ints, random);
    float *real = any(view, &view->attr_floats, random);
    if (real != NULL && (integer == NULL || cpu_random(random, 5) == 0)) {
        *real = floats[cpu_random(random, COUNT(floats))];
    } else if (integer != NULL) {
        *integer = cpu_random(random, 2) == 0 ? (int64_t)cpu_random(random, 9) - 4
                                              : strange_size(*integer, random);
    }
}

static void change_constant(tn_graph_view *view, uint64_t *random) {
    tn_graph_constant *constant = any(view, &view->constants, random);
    if (constant == NULL) {
        return;
    }
    switch (cpu_random(random, 5)) {
    case 0:
        constant->dtype = cpu_random(random, TN_DTYPE_COUNT + 1);
        fit_constants(view);
        break;
    case 1:
        constant->flags = cpu_random(random, 8);
        break;
    case 2:
        constant->key = 1000 + cpu_random(random, view->constants.count + 1);
        break;
    case 3:
        constant->dims = ((tn_graph_value *)any(view, &view->values, random))->dims;
        fit_constants(view);
        break;
    default:
        constant->size_bytes = (uint64_t)strange_size((int64_t)constant->size_bytes, random);
        break;
    }
}

static void change_op(tn_graph_view *view, uint64_t *random) {
    tn_graph_node *node = any(view, &view->nodes, random);
    if (node != NULL && cpu_random(random, 4) == 0) {
        node->since_version = cpu_random(random, 26);
    } else if (node != NULL) {
        node->op_type = ((tn_graph_node *)any(view, &view->nodes, random))->op_type;
    }
}

static void change_symbol(tn_graph_view *view, uint64_t *random) {
    tn_graph_symbol *symbol = any(view, &view->symbols, random);
    if (symbol == NULL) {
        change_dim(view, random);
    } else if (cpu_random(random, 2) == 0) {
        symbol->min = strange_size(symbol->min, random);
    } else {
        symbol->max = strange_size(4, random);
    }
}

void cpu_mutate(tn_graph_view *view, uint64_t *inout_random) {
    static void (*const changes[])(tn_graph_view *, uint64_t *) = {
        change_dim,       change_dim,    change_dim,    change_size,     change_size,
        change_size,      change_value,  change_value,  change_operand,  change_operand,
        change_attribute, change_number, change_number, change_constant, change_constant,
        change_op,        change_symbol};
    changes[cpu_random(inout_random, COUNT(changes))](view, inout_random);
}

void cpu_mutate_bytes(tn_graph_view *view, uint64_t *inout_random) {
    static const unsigned char values[] = {0, 1, 2, 3, 4, 5, 8, 0x7f, 0x80, 0xfe, 0xff};
    unsigned char *bytes = (unsigned char *)view;
    const uint64_t total = view->total_bytes;
    bytes[cpu_random(inout_random, (uint32_t)total)] =
        values[cpu_random(inout_random, COUNT(values))];
    // How many bytes there are is what the plugin trusts its host about.
    view->total_bytes = total;
}
