// SPDX-License-Identifier: Apache-2.0
// Ops that move elements without looking at them. Most are one strided walk over the input: the
// output is filled in order, and each output axis steps through the input by its own distance.
#include "kernels.h"
#include "state.h"

typedef struct walk {
    const ref_tensor *input;
    ref_tensor *output;
    int64_t begin;             // element of the input that belongs to output position 0
    int64_t step[TN_MAX_RANK]; // per output axis, in elements of the input
} walk;

static void walk_range(void *user_data, uint64_t begin, uint64_t end, uint32_t worker) {
    (void)worker;
    const walk *w = user_data;
    const ref_tensor *output = w->output;
    for (int64_t i = (int64_t)begin; i < (int64_t)end; ++i) {
        int64_t rest = i;
        int64_t from = w->begin;
        for (uint32_t axis = output->rank; axis-- > 0;) {
            from += rest % output->dims[axis] * w->step[axis];
            rest /= output->dims[axis];
        }
        tni_ref_move(w->output, i, w->input, from);
    }
}

// The caller has made sure that every step stays inside the input.
static void run_walk(const ref_call *call, walk *w) {
    if (tni_ref_element_bits(w->output->dtype) % 8 != 0) {
        walk_range(w, 0, (uint64_t)w->output->count, 0);
        return;
    }
    tni_ref_parallel(call, w->output->count, 20, walk_range, w);
}

// Distances of neighbours along each axis of a dense tensor.
static void dense_steps(const ref_tensor *tensor, int64_t *steps) {
    int64_t step = 1;
    for (uint32_t axis = tensor->rank; axis-- > 0;) {
        steps[axis] = step;
        step *= tensor->dims[axis];
    }
}

// Flatten and Identity, and what follows: the same elements under another shape.
tn_status tni_ref_copy(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    ref_tensor *output = call->outputs[0];
    if (input->count != output->count || input->dtype != output->dtype) {
        return tni_ref_invalid(call, "element counts or types");
    }
    if (output->size_bytes != 0) {
        memcpy(output->data, input->data, (size_t)output->size_bytes);
    }
    return TN_OK;
}

static uint32_t dims_are(const ref_tensor *tensor, const int64_t *dims, int64_t rank) {
    return (int64_t)tensor->rank == rank &&
                   memcmp(tensor->dims, dims, tensor->rank * sizeof *dims) == 0
               ? 1u
               : 0u;
}

// Reshape: 0 takes the input's size (unless allowzero), -1 what is left.
tn_status tni_ref_reshape(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    const ref_tensor *output = call->outputs[0];
    const uint32_t allow_zero = tni_ref_int(call, "allowzero", 0) != 0 ? 1u : 0u;
    int64_t dims[TN_MAX_RANK];
    const int64_t rank = tni_ref_int_list(call, 1, "shape", dims, TN_MAX_RANK);
    for (int64_t i = 0; i < rank && rank == (int64_t)output->rank; ++i) {
        if (dims[i] == 0 && !allow_zero) {
            dims[i] = i < (int64_t)input->rank ? input->dims[i] : -1;
        } else if (dims[i] == -1) {
            // The element counts decide, which are compared below.
            dims[i] = output->dims[i];
        }
    }
    return dims_are(output, dims, rank) ? tni_ref_copy(call) : tni_ref_stale(call, 1);
}

// Unsqueeze adds axes of size 1, Squeeze takes them away: by name, or all that there are.
tn_status tni_ref_squeeze(const ref_call *call) {
    const uint32_t removes = call->op->variant == REF_SQUEEZE ? 1u : 0u;
    // The side that has the axes, and the one that has not.
    const ref_tensor *with = removes ? call->inputs[0] : call->outputs[0];
    const ref_tensor *without = removes ? call->outputs[0] : call->inputs[0];
    int64_t axes[TN_MAX_RANK];
    int64_t dims[TN_MAX_RANK];
    const int64_t count = tni_ref_int_list(call, 1, "axes", axes, TN_MAX_RANK);
    const uint32_t given = tni_ref_input(call, 1) != NULL || tni_ref_has(call, "axes") ? 1u : 0u;
    uint32_t listed = 0;
    for (int64_t i = 0; i < count; ++i) {
        uint32_t axis = 0;
        if (!tni_ref_axis(axes[i], with->rank, &axis)) {
            return tni_ref_stale(call, 1);
        }
        listed |= 1u << axis;
    }
    int64_t rank = 0;
    for (uint32_t i = 0; i < with->rank; ++i) {
        const uint32_t goes = given ? listed >> i & 1u : (uint32_t)(with->dims[i] == 1);
        if (!goes) {
            dims[rank++] = with->dims[i];
        } else if (with->dims[i] != 1) {
            return tni_ref_stale(call, 1);
        }
    }
    return count >= 0 && dims_are(without, dims, rank) ? tni_ref_copy(call)
                                                       : tni_ref_stale(call, 1);
}

tn_status tni_ref_transpose(const ref_call *call) {
    walk w = {.input = call->inputs[0], .output = call->outputs[0]};
    const uint32_t rank = w.input->rank;
    int64_t steps[TN_MAX_RANK];
    int64_t order[TN_MAX_RANK] = {0};
    uint32_t seen = 0;
    const uint32_t count = tn_view_attr_ints(call->view, call->node, "perm", order, TN_MAX_RANK);
    if (w.output->rank != rank || w.output->dtype != w.input->dtype ||
        (count != 0 && count != rank)) {
        return tni_ref_invalid(call, "rank, type or perm");
    }
    dense_steps(w.input, steps);
    for (uint32_t axis = 0; axis < rank; ++axis) {
        uint32_t from = rank - 1 - axis;
        if (count != 0 && !tni_ref_axis(order[axis], rank, &from)) {
            return tni_ref_invalid(call, "perm");
        }
        if ((seen >> from & 1u) != 0 || w.output->dims[axis] != w.input->dims[from]) {
            return tni_ref_invalid(call, "perm or shape");
        }
        seen |= 1u << from;
        w.step[axis] = steps[from];
    }
    run_walk(call, &w);
    return TN_OK;
}

// Whether the output is what the input and the shape operand broadcast to.
static uint32_t fits_expansion(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    const ref_tensor *output = call->outputs[0];
    int64_t dims[TN_MAX_RANK];
    const int64_t count = tni_ref_int_list(call, 1, "shape", dims, TN_MAX_RANK);
    if (count < 0 || output->rank != (count > input->rank ? (uint32_t)count : input->rank)) {
        return 0;
    }
    for (uint32_t i = 0; i < output->rank; ++i) {
        const int64_t in_axis = (int64_t)i - (int64_t)(output->rank - input->rank);
        const int64_t shape_axis = (int64_t)i - ((int64_t)output->rank - count);
        const int64_t size = in_axis < 0 ? 1 : input->dims[in_axis];
        const int64_t asked = shape_axis < 0 ? 1 : dims[shape_axis];
        if (output->dims[i] != (asked == 1 ? size : asked)) {
            return 0;
        }
    }
    return 1;
}

tn_status tni_ref_expand(const ref_call *call) {
    walk w = {.input = call->inputs[0], .output = call->outputs[0]};
    int64_t steps[TN_MAX_RANK];
    if (!tni_ref_broadcasts_to(w.input, w.output->dims, w.output->rank) ||
        w.input->dtype != w.output->dtype) {
        return tni_ref_invalid(call, "the input does not broadcast to the output");
    }
    if (!fits_expansion(call)) {
        return tni_ref_stale(call, 1);
    }
    dense_steps(w.input, steps);
    const uint32_t lead = w.output->rank - w.input->rank;
    for (uint32_t axis = 0; axis < w.input->rank; ++axis) {
        w.step[lead + axis] = w.input->dims[axis] == 1 ? 0 : steps[axis];
    }
    run_walk(call, &w);
    return TN_OK;
}

// What Slice does along each axis; untouched axes are {0, 1}.
typedef struct cut {
    int64_t begin[TN_MAX_RANK];
    int64_t step[TN_MAX_RANK];
} cut;

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : (value > high ? high : value);
}

// Turns one axis of Slice into a first element and a step, and checks the output's size.
static uint32_t cut_axis(const walk *w, uint32_t axis, int64_t begin, int64_t end, int64_t step,
                         cut *out_cut) {
    const int64_t size = w->input->dims[axis];
    if (step == 0) {
        return 0;
    }
    // Longer steps take one element as well, and would overflow below.
    step = clamp(step, -size - 1, size + 1);
    begin = clamp(begin, -size - 1, size);
    end = clamp(end, -size - 1, size);
    begin += begin < 0 ? size : 0;
    // An end in front of the first element cannot be written with a sign alone: it stays at -1.
    end = end == -size - 1 ? -1 : end + (end < 0 ? size : 0);
    begin = clamp(begin, 0, step > 0 || size == 0 ? size : size - 1);
    end = step > 0 ? clamp(end, 0, size) : clamp(end, -1, size - 1);
    int64_t count = step > 0 ? (end - begin + step - 1) / step : (begin - end - step - 1) / -step;
    if (count < 0 || size == 0) {
        count = 0;
    }
    out_cut->begin[axis] = begin;
    out_cut->step[axis] = step;
    return count == w->output->dims[axis] ? 1u : 0u;
}

tn_status tni_ref_slice(const ref_call *call) {
    walk w = {.input = call->inputs[0], .output = call->outputs[0]};
    const uint32_t rank = w.input->rank;
    int64_t begins[TN_MAX_RANK];
    int64_t ends[TN_MAX_RANK];
    int64_t axes[TN_MAX_RANK];
    int64_t steps[TN_MAX_RANK];
    const int64_t count = tni_ref_int_list(call, 1, "starts", begins, TN_MAX_RANK);
    const int64_t axis_count = tni_ref_int_list(call, 3, "axes", axes, TN_MAX_RANK);
    const int64_t step_count = tni_ref_int_list(call, 4, "steps", steps, TN_MAX_RANK);
    if (count < 0 || tni_ref_int_list(call, 2, "ends", ends, TN_MAX_RANK) != count ||
        (axis_count != 0 && axis_count != count) || (step_count != 0 && step_count != count) ||
        count > (int64_t)rank || w.output->rank != rank || w.output->dtype != w.input->dtype) {
        return tni_ref_stale(call, 1);
    }
    cut c = {{0}, {0}};
    for (uint32_t axis = 0; axis < rank; ++axis) {
        c.step[axis] = 1;
    }
    uint32_t seen = 0;
    for (int64_t i = 0; i < count; ++i) {
        uint32_t axis = 0;
        if (!tni_ref_axis(axis_count == 0 ? i : axes[i], rank, &axis) || (seen >> axis & 1u) ||
            !cut_axis(&w, axis, begins[i], ends[i], step_count == 0 ? 1 : steps[i], &c)) {
            return tni_ref_stale(call, 1);
        }
        seen |= 1u << axis;
    }
    int64_t dense[TN_MAX_RANK];
    dense_steps(w.input, dense);
    for (uint32_t axis = 0; axis < rank; ++axis) {
        if ((seen >> axis & 1u) == 0 && w.output->dims[axis] != w.input->dims[axis]) {
            return tni_ref_stale(call, 3);
        }
        w.begin += c.begin[axis] * dense[axis];
        // A step is only taken where there is a second element, and then it is small.
        w.step[axis] = w.output->dims[axis] > 1 ? c.step[axis] * dense[axis] : 0;
    }
    run_walk(call, &w);
    return TN_OK;
}

// Copies a block of `inner` bytes from every outer position of one tensor to another.
static void copy_blocks(unsigned char *to, int64_t to_stride, const unsigned char *from,
                        int64_t from_stride, int64_t inner, int64_t outer) {
    for (int64_t i = 0; i < outer && inner != 0; ++i) {
        memcpy(to + i * to_stride, from + i * from_stride, (size_t)inner);
    }
}

// Whether two shapes agree outside one axis.
static uint32_t agree_outside(const ref_tensor *a, const ref_tensor *b, uint32_t axis) {
    if (a->rank != b->rank || a->dtype != b->dtype) {
        return 0;
    }
    for (uint32_t i = 0; i < a->rank; ++i) {
        if (i != axis && a->dims[i] != b->dims[i]) {
            return 0;
        }
    }
    return 1;
}

tn_status tni_ref_concat(const ref_call *call) {
    ref_tensor *output = call->outputs[0];
    uint32_t axis = 0;
    if (!tni_ref_axis(tni_ref_int(call, "axis", 1), output->rank, &axis)) {
        return tni_ref_invalid(call, "axis");
    }
    int64_t position = 0;
    for (uint32_t i = 0; i < call->input_count; ++i) {
        const ref_tensor *input = call->inputs[i];
        if (input == NULL || !agree_outside(input, output, axis) ||
            input->dims[axis] > output->dims[axis] - position) {
            return tni_ref_invalid(call, "shapes");
        }
        position += input->dims[axis];
    }
    return position == output->dims[axis] ? tni_ref_append(call, axis)
                                          : tni_ref_invalid(call, "shapes");
}

// The sizes of the parts are those of the outputs; a split list must say the same.
tn_status tni_ref_split(const ref_call *call) {
    const ref_tensor *input = call->inputs[0];
    const ref_tensor *list = tni_ref_input(call, 1);
    uint32_t axis = 0;
    if (!tni_ref_axis(tni_ref_int(call, "axis", 0), input->rank, &axis)) {
        return tni_ref_invalid(call, "axis");
    }
    const int64_t outer = tni_ref_product(input->dims, 0, axis);
    const int64_t unit =
        tni_ref_product(input->dims, axis + 1, input->rank) * tni_ref_element_bytes(input->dtype);
    int64_t position = 0;
    for (uint32_t i = 0; i < call->output_count; ++i) {
        ref_tensor *output = call->outputs[i];
        if (output == NULL || !agree_outside(input, output, axis) ||
            output->dims[axis] > input->dims[axis] - position) {
            return tni_ref_invalid(call, "shapes");
        }
        if (list != NULL && (i >= list->count || tni_ref_load_int(list, i) != output->dims[axis])) {
            return tni_ref_stale(call, 1);
        }
        copy_blocks(output->data, output->dims[axis] * unit, input->data + position * unit,
                    input->dims[axis] * unit, output->dims[axis] * unit, outer);
        position += output->dims[axis];
    }
    return position == input->dims[axis] ? TN_OK : tni_ref_invalid(call, "shapes");
}
