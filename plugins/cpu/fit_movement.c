// SPDX-License-Identifier: Apache-2.0
// See fit.h: what only moves elements. Results have the type of what they are made of.
#include "fit.h"

#include "build.h"

static const cpu_value *in(const cpu_build *build, const cpu_node *node, uint32_t index) {
    return tni_cpu_value(build, node->inputs[index]);
}

static const cpu_value *out(const cpu_build *build, const cpu_node *node, uint32_t index) {
    return tni_cpu_value(build, node->outputs[index]);
}

// The same type, and the same sizes but along one axis (any that is not: along all).
static uint32_t alike(const cpu_value *a, const cpu_value *b, uint32_t but) {
    uint32_t fits = a->dtype == b->dtype && a->rank == b->rank;
    for (uint32_t axis = 0; fits && axis < a->rank; ++axis) {
        fits = axis == but || a->dims[axis] == b->dims[axis];
    }
    return fits;
}

uint32_t tni_cpu_fit_view(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const cpu_value *y = out(build, node, 0);
    return x->dtype == y->dtype && x->count == y->count;
}

uint32_t tni_cpu_fit_transpose(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const cpu_value *y = out(build, node, 0);
    int64_t perm[CPU_MAX_RANK];
    uint32_t seen = 0;
    const uint32_t count =
        tn_view_attr_ints(build->view, tni_cpu_view_node(build, node), "perm", perm, CPU_MAX_RANK);
    if (x->dtype != y->dtype || x->rank != y->rank || (count != 0 && count != x->rank)) {
        return 0;
    }
    for (uint32_t axis = 0; axis < x->rank; ++axis) {
        const int64_t from = count == 0 ? (int64_t)x->rank - 1 - axis : perm[axis];
        if (from < 0 || from >= (int64_t)x->rank || (seen >> from & 1u) != 0 ||
            y->dims[axis] != x->dims[from]) {
            return 0;
        }
        seen |= 1u << from;
    }
    return 1;
}

// Whether parts lie one after another along an axis of the whole.
static uint32_t parts_fit(const cpu_build *build, const uint32_t *parts, uint32_t count,
                          const cpu_value *whole, uint32_t axis) {
    int64_t left = axis < whole->rank ? whole->dims[axis] : -1;
    for (uint32_t i = 0; i < count && left >= 0; ++i) {
        const cpu_value *part = parts[i] == TN_NONE ? NULL : tni_cpu_value(build, parts[i]);
        left = part != NULL && alike(part, whole, axis) ? left - part->dims[axis] : -1;
    }
    return left == 0;
}

uint32_t tni_cpu_fit_concat(const cpu_build *build, const cpu_node *node) {
    const cpu_value *y = out(build, node, 0);
    return parts_fit(build, node->inputs, node->input_count, y,
                     tni_cpu_axis(tni_cpu_int(build, node, "axis", 0), y->rank));
}

uint32_t tni_cpu_fit_split(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    return parts_fit(build, node->outputs, node->output_count, x,
                     tni_cpu_axis(tni_cpu_int(build, node, "axis", 0), x->rank));
}

// From the front, and not outside of the axis.
static int64_t border(int64_t at, int64_t size) {
    const int64_t from_front = at < 0 ? at + size : at;
    return from_front < 0 ? 0 : (from_front > size ? size : from_front);
}

uint32_t tni_cpu_fit_slice(const cpu_build *build, const cpu_node *node) {
    const tn_graph_node *from = tni_cpu_view_node(build, node);
    const cpu_value *y = out(build, node, 0);
    cpu_value cut = *in(build, node, 0);
    int64_t starts[CPU_MAX_RANK];
    int64_t ends[CPU_MAX_RANK];
    int64_t axes[CPU_MAX_RANK] = {0, 1, 2, 3, 4, 5};
    const uint32_t count = tn_view_attr_ints(build->view, from, "starts", starts, CPU_MAX_RANK);
    const uint32_t end_count = tn_view_attr_ints(build->view, from, "ends", ends, CPU_MAX_RANK);
    const uint32_t axis_count = tn_view_attr_ints(build->view, from, "axes", axes, CPU_MAX_RANK);
    uint32_t seen = 0;
    if (count > cut.rank || end_count != count || (axis_count != 0 && axis_count != count)) {
        return 0;
    }
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t axis = tni_cpu_axis(axes[i], cut.rank);
        if (axis == cut.rank || (seen >> axis & 1u) != 0) {
            return 0;
        }
        seen |= 1u << axis;
        const int64_t begin = border(starts[i], cut.dims[axis]);
        const int64_t end = border(ends[i], cut.dims[axis]);
        cut.dims[axis] = end > begin ? end - begin : 0;
    }
    return alike(&cut, y, cut.rank);
}

uint32_t tni_cpu_fit_expand(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const cpu_value *y = out(build, node, 0);
    uint32_t fits = x->dtype == y->dtype && x->rank <= y->rank;
    for (uint32_t axis = 0; fits && axis < x->rank; ++axis) {
        fits = x->dims[axis] == 1 || x->dims[axis] == y->dims[axis + y->rank - x->rank];
    }
    return fits;
}

// The indices' axes in the place of the axis that they go along.
uint32_t tni_cpu_fit_gather(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = in(build, node, 0);
    const cpu_value *indices = in(build, node, 1);
    const cpu_value *y = out(build, node, 0);
    const uint32_t along = tni_cpu_axis(tni_cpu_int(build, node, "axis", 0), x->rank);
    uint32_t fits =
        along < x->rank && x->dtype == y->dtype && y->rank == x->rank - 1 + indices->rank;
    for (uint32_t axis = 0; fits && axis < y->rank; ++axis) {
        const uint32_t behind = axis >= along + indices->rank;
        const int64_t size = axis < along ? x->dims[axis]
                             : behind     ? x->dims[axis + 1 - indices->rank]
                                          : indices->dims[axis - along];
        fits = y->dims[axis] == size;
    }
    return fits;
}
