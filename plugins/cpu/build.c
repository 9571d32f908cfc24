// SPDX-License-Identifier: Apache-2.0
// From the view and the actual sizes to an instance: reads nodes and values, lets fusion rewrite
// them, emits every node, and brings the results to the ports.
#include "choose.h"

#include <float.h>
#include <string.h>

const tn_graph_node *tni_cpu_view_node(const cpu_build *build, const cpu_node *node) {
    return tn_view_node(build->view, node->index);
}

int64_t tni_cpu_int(const cpu_build *build, const cpu_node *node, const char *name,
                    int64_t otherwise) {
    return tn_view_attr_int(build->view, tni_cpu_view_node(build, node), name, otherwise);
}

float tni_cpu_float(const cpu_build *build, const cpu_node *node, const char *name,
                    float otherwise) {
    return tn_view_attr_float(build->view, tni_cpu_view_node(build, node), name, otherwise);
}

uint32_t tni_cpu_input(const cpu_node *node, uint32_t index) {
    return index < node->input_count ? node->inputs[index] : TN_NONE;
}

uint32_t tni_cpu_bias(const cpu_node *node) {
    return node->bias != TN_NONE ? node->bias : tni_cpu_input(node, 2);
}

uint32_t tni_cpu_axis(int64_t axis, uint32_t rank) {
    const int64_t from_front = axis < 0 ? axis + (int64_t)rank : axis;
    return from_front < 0 || from_front >= (int64_t)rank ? rank : (uint32_t)from_front;
}

int64_t tni_cpu_ints(cpu_build *build, const cpu_node *node, uint32_t index, const char *name,
                     int64_t *out_values, uint32_t capacity) {
    const uint32_t value = tni_cpu_input(node, index);
    if (value == TN_NONE) {
        const uint32_t count = tn_view_attr_ints(build->view, tni_cpu_view_node(build, node), name,
                                                 out_values, capacity);
        return count > capacity ? -1 : (int64_t)count;
    }
    const cpu_value *v = tni_cpu_value(build, value);
    const int64_t count = v->count;
    const tn_dtype dtype = v->dtype;
    const void *data = count <= capacity ? tni_cpu_known(build, value) : NULL;
    if (count == 0) {
        return 0;
    }
    if (data == NULL) {
        return -1;
    }
    for (int64_t i = 0; i < count; ++i) {
        out_values[i] =
            dtype == TN_DTYPE_INT64 ? ((const int64_t *)data)[i] : ((const int32_t *)data)[i];
    }
    return count;
}

static int64_t symbol_size(const cpu_build *build, uint32_t symbol) {
    for (uint64_t i = 0; i < build->symbol_count; ++i) {
        if (build->symbols[i].symbol == symbol) {
            return build->symbols[i].size;
        }
    }
    return -1;
}

// Whether a value that is a constant has its type and shape.
static uint32_t is_as_written(const cpu_build *build, const tn_graph_value *value, uint32_t rank,
                              const int64_t *dims) {
    const tn_graph_constant *constant = tn_view_value_constant(build->view, value);
    uint32_t same = constant == NULL ||
                    (constant->dtype == value->dtype && constant->dims.count == value->dims.count);
    for (uint32_t axis = 0; same && constant != NULL && axis < rank; ++axis) {
        same = tn_view_dim(build->view, constant->dims.begin + axis)->size == dims[axis];
    }
    return same;
}

static void read_value(cpu_build *build, uint32_t index) {
    const tn_graph_value *from = tn_view_value(build->view, index);
    int64_t dims[CPU_MAX_RANK] = {0};
    uint32_t rank = from->dims.count;
    int64_t bytes = 16;
    uint32_t unsized = 0;
    if (rank > CPU_MAX_RANK) {
        rank = 0; // of a body or of nobody: verdicts refuse it where it counts
    }
    for (uint32_t axis = 0; axis < rank; ++axis) {
        const tn_graph_dim *dim = tn_view_value_dim(build->view, from, axis);
        dims[axis] = dim->size >= 0
                         ? dim->size
                         : (dim->symbol != TN_NONE ? symbol_size(build, dim->symbol) : 0);
        if (dims[axis] < 0) {
            dims[axis] = 0;
            unsized = 1;
        }
        if (dims[axis] > 0 && bytes > INT64_MAX / 4 / dims[axis]) {
            (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "a tensor is too large");
            return;
        }
        bytes *= dims[axis] > 0 ? dims[axis] : 1;
    }
    const uint32_t value = tni_cpu_value_new(build, from->dtype, rank, dims);
    if (value != TN_NONE && !is_as_written(build, from, rank, dims)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA,
                                 "a constant has another type or shape than its value");
    }
    if (value != TN_NONE) {
        tni_cpu_value(build, value)->constant = from->constant;
        tni_cpu_value(build, value)->unsized = unsized;
    }
}

static uint32_t *copy_list(cpu_build *build, const tn_graph_node *node, uint32_t outputs) {
    const uint32_t count = outputs ? node->outputs.count : node->inputs.count;
    uint32_t *list = tni_cpu_arena_array(build->arena, count, sizeof *list);
    for (uint32_t i = 0; list != NULL && i < count; ++i) {
        list[i] = outputs ? tn_view_node_output(build->view, node, i)
                          : tn_view_node_input(build->view, node, i);
    }
    return list;
}

// What the attributes of an act say; see cpu_act for the meaning.
static void read_act(const cpu_build *build, cpu_node *node) {
    switch (node->variant) {
    case CPU_ACT_RELU:
        node->a = node->op->attributes == NULL ? 0.0f : tni_cpu_float(build, node, "alpha", 0.01f);
        break;
    case CPU_ACT_ELU:
        node->a = tni_cpu_float(build, node, "alpha", 1.0f);
        break;
    case CPU_ACT_CLIP:
        node->a = tni_cpu_float(build, node, "min", -FLT_MAX);
        node->b = tni_cpu_float(build, node, "max", FLT_MAX);
        break;
    case CPU_ACT_HARD_SIGMOID:
        node->a = tni_cpu_float(build, node, "alpha", 0.2f);
        node->b = tni_cpu_float(build, node, "beta", 0.5f);
        break;
    case CPU_ACT_GELU:
        if (tn_view_attr_string_is(build->view, tni_cpu_view_node(build, node), "approximate",
                                   "tanh")) {
            node->variant = CPU_ACT_GELU_TANH;
        }
        break;
    default:
        break;
    }
}

static uint32_t is_made(const cpu_value *value) {
    return value->given || value->constant != TN_NONE || value->producer != TN_NONE;
}

// What depends on a symbol that the host gave no size for has no size either.
static void check_operands(cpu_build *build, const cpu_node *node) {
    uint32_t open = 0;
    for (uint32_t i = 0; i < node->input_count; ++i) {
        if (node->inputs[i] != TN_NONE && !is_made(tni_cpu_value(build, node->inputs[i]))) {
            (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "nothing makes an input");
            return;
        }
    }
    for (uint32_t i = 0; i < node->input_count + node->output_count; ++i) {
        const uint32_t value =
            i < node->input_count ? node->inputs[i] : node->outputs[i - node->input_count];
        open |= value != TN_NONE && tni_cpu_value(build, value)->unsized;
    }
    for (uint32_t i = 0; i < node->output_count; ++i) {
        if (node->outputs[i] != TN_NONE) {
            tni_cpu_value(build, node->outputs[i])->unsized |= open;
        }
    }
    if (!open && !node->op->fit(build, node)) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "the shapes do not fit");
    }
}

static void read_node(cpu_build *build, uint32_t index) {
    const tn_graph_node *from = tn_view_node(build->view, index);
    cpu_node *node = &build->nodes[build->node_count];
    node->op = tni_cpu_find_op(build->view, from);
    node->index = index;
    node->bias = TN_NONE;
    node->mask = TN_NONE;
    node->inputs = copy_list(build, from, 0);
    node->outputs = copy_list(build, from, 1);
    node->input_count = from->inputs.count;
    node->output_count = from->outputs.count;
    if (node->op == NULL || node->inputs == NULL || node->outputs == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    node->kind = node->op->kind;
    node->variant = node->op->variant;
    node->emit = node->op->emit;
    if (node->kind == CPU_KIND_ACT) {
        read_act(build, node);
    }
    build->current = build->node_count++;
    uint32_t twice = 0;
    for (uint32_t i = 0; i < node->output_count; ++i) {
        if (node->outputs[i] != TN_NONE) {
            tni_cpu_value(build, node->outputs[i])->producer = build->current;
            twice |= tni_cpu_value(build, node->outputs[i])->given;
        }
    }
    if (twice) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "a result is an input as well");
    } else {
        check_operands(build, node);
    }
}

static void place_inputs(cpu_build *build) {
    const tn_graph_record *graph = tn_view_graph(build->view, 0);
    for (uint32_t i = 0; i < graph->inputs.count && build->status == TN_OK; ++i) {
        const uint32_t index = tn_view_graph_input(build->view, graph, i);
        if (index == TN_NONE) {
            continue;
        }
        cpu_value *value = tni_cpu_value(build, index);
        const cpu_value before = *value;
        const dnnl_memory_desc_t plain = tni_cpu_plain_of(value);
        // It lies where the host has it, whoever reads it.
        value->output_port = TN_NONE;
        value->concat = TN_NONE;
        tni_cpu_define(build, index, &plain);
        value = tni_cpu_value(build, index);
        value->output_port = before.output_port;
        value->concat = before.concat;
        if (build->status == TN_OK) {
            cpu_storage *storage = &build->out->storages[value->storage];
            storage->home = CPU_HOME_PORT;
            storage->index = i;
            storage->fixed = 1;
        }
    }
}

// Counts who reads what, once fusion has decided which nodes there are.
// Who reads floats that are made from integers reads those.
static void count_use(cpu_build *build, uint32_t value, uint32_t node) {
    if (value != TN_NONE) {
        tni_cpu_value(build, value)->uses++;
        tni_cpu_value(build, value)->user = node;
        count_use(build, tni_cpu_value(build, value)->quant.value, node);
    }
}

void tni_cpu_count_uses(cpu_build *build) {
    for (uint32_t i = 0; i < build->value_count; ++i) {
        cpu_value *value = tni_cpu_value(build, i);
        value->uses = 0;
        value->user = TN_NONE;
        value->concat = TN_NONE;
    }
    for (uint32_t i = 0; i < build->value_count; ++i) {
        if (tni_cpu_value(build, i)->output_port != TN_NONE) {
            count_use(build, i, TN_NONE);
        }
    }
    for (uint32_t i = 0; i < build->node_count; ++i) {
        const cpu_node *node = &build->nodes[i];
        if (node->dead) {
            continue;
        }
        for (uint32_t k = 0; k < node->input_count; ++k) {
            count_use(build, node->inputs[k], i);
            if (node->kind == CPU_KIND_CONCAT && node->inputs[k] != TN_NONE) {
                tni_cpu_value(build, node->inputs[k])->concat = i;
            }
        }
        for (uint32_t k = 0; k < node->post_count; ++k) {
            count_use(build, node->posts[k].value, i);
        }
        count_use(build, node->bias, i);
        count_use(build, node->mask, i);
    }
}

static void release_use(cpu_build *build, uint32_t value) {
    if (value != TN_NONE && build->status == TN_OK) {
        release_use(build, tni_cpu_value(build, value)->quant.value);
        const uint32_t storage = tni_cpu_value(build, value)->storage;
        if (storage != TN_NONE) {
            build->out->storages[storage].pending--;
        }
    }
}

// Whether a node has nothing to compute; where an input is empty and the result is not, no kernel
// here knows what it would be.
static uint32_t is_empty(cpu_build *build, const cpu_node *node) {
    uint32_t some = 0;
    for (uint32_t i = 0; i < node->output_count; ++i) {
        some |= node->outputs[i] != TN_NONE && tni_cpu_value(build, node->outputs[i])->count > 0;
    }
    for (uint32_t i = 0;
         some && node->kind != CPU_KIND_CONCAT && node->grows == 0 && i < node->input_count; ++i) {
        const uint32_t value = node->inputs[i];
        if (value != TN_NONE && tni_cpu_value(build, value)->count == 0 &&
            tni_cpu_value(build, value)->dtype == TN_DTYPE_FLOAT) {
            (void)tni_cpu_build_fail(build, TN_ERROR_UNSUPPORTED, "an input has no elements");
        }
    }
    return some ? 0u : 1u;
}

// A symbol that the host gave no size for may be one that nothing of the program depends on.
static void check_sized(cpu_build *build, const cpu_node *node) {
    uint32_t open = 0;
    for (uint32_t i = 0; i < node->input_count; ++i) {
        open |= node->inputs[i] != TN_NONE && tni_cpu_value(build, node->inputs[i])->unsized;
    }
    for (uint32_t i = 0; i < node->output_count; ++i) {
        open |= node->outputs[i] != TN_NONE && tni_cpu_value(build, node->outputs[i])->unsized;
    }
    if (open) {
        (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_ARGUMENT, "a symbol has no size");
    }
}

static void emit_node(cpu_build *build, const cpu_node *node) {
    check_sized(build, node);
    if (is_empty(build, node)) {
        for (uint32_t i = 0; i < node->output_count; ++i) {
            if (node->outputs[i] != TN_NONE) {
                tni_cpu_define_plain(build, node->outputs[i]);
            }
        }
    } else if (build->status == TN_OK) {
        node->emit(build, node);
    }
    for (uint32_t i = 0; i < node->input_count; ++i) {
        release_use(build, node->inputs[i]);
    }
    for (uint32_t i = 0; i < node->post_count; ++i) {
        release_use(build, node->posts[i].value);
    }
    release_use(build, node->bias);
    release_use(build, node->mask);
}

// Results that did not come to lie in their port: other layouts, inputs, constants, views.
static void deliver(cpu_build *build) {
    const tn_graph_record *graph = tn_view_graph(build->view, 0);
    for (uint32_t i = 0; i < graph->outputs.count && build->status == TN_OK; ++i) {
        const uint32_t index = tn_view_graph_output(build->view, graph, i);
        const cpu_value *value = tni_cpu_value(build, index);
        const uint32_t port = build->program->input_count + i;
        if (value->storage != TN_NONE && value->offset_bytes == 0 &&
            build->out->storages[value->storage].home == CPU_HOME_PORT &&
            build->out->storages[value->storage].index == port && tni_cpu_is_plain(value)) {
            continue;
        }
        const uint32_t source = value->storage == TN_NONE ? tni_cpu_as_plain(build, index) : index;
        const uint32_t target =
            source == TN_NONE ? TN_NONE
                              : tni_cpu_value_new(build, value->dtype, value->rank, value->dims);
        if (target == TN_NONE) {
            return;
        }
        tni_cpu_value(build, target)->output_port = i;
        tni_cpu_define_plain(build, target);
        tni_cpu_step_copy(build, source, target);
    }
}

static void describe_ports(cpu_build *build) {
    cpu_instance *out = build->out;
    const tn_graph_record *graph = tn_view_graph(build->view, 0);
    const uint32_t count = graph->inputs.count + graph->outputs.count;
    out->port_count = count + 1;
    out->ports = tni_cpu_arena_array(build->arena, out->port_count, sizeof *out->ports);
    if (out->ports == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
        return;
    }
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t is_input = i < graph->inputs.count;
        const uint32_t index =
            is_input ? tn_view_graph_input(build->view, graph, i)
                     : tn_view_graph_output(build->view, graph, i - graph->inputs.count);
        tn_port_info *port = &out->ports[i];
        port->kind = is_input ? TN_PORT_INPUT : TN_PORT_OUTPUT;
        port->alias_of = TN_NONE;
        port->alignment_bytes = CPU_ALIGNMENT;
        if (index == TN_NONE) {
            continue;
        }
        const cpu_value *value = tni_cpu_value(build, index);
        port->dtype = value->dtype;
        port->rank = value->rank;
        memcpy(port->dims, value->dims, value->rank * sizeof *value->dims);
        port->size_bytes = tn_view_dtype_bytes(value->dtype, (uint64_t)value->count);
    }
    out->ports[count] = (tn_port_info){.kind = TN_PORT_WORKSPACE,
                                       .alias_of = TN_NONE,
                                       .dtype = TN_DTYPE_UINT8,
                                       .rank = 1,
                                       .dims = {out->workspace_bytes},
                                       .size_bytes = (uint64_t)out->workspace_bytes,
                                       .alignment_bytes = CPU_ALIGNMENT};
}

// States that grow where they lie.
static void describe_states(cpu_build *build) {
    for (uint32_t i = 0; i < build->node_count && build->status == TN_OK; ++i) {
        const cpu_node *node = &build->nodes[i];
        if (node->dead || node->grows == 0) {
            continue;
        }
        const uint32_t port =
            build->program->input_count + tni_cpu_value(build, node->outputs[0])->output_port;
        tn_port_info *output = &build->out->ports[port];
        output->flags |= TN_PORT_IN_PLACE;
        output->alias_of = node->grows - 1;
        output->accepts_strides = 1;
        build->out->ports[output->alias_of].accepts_strides = 1;
    }
}

static void mark_inputs(cpu_build *build) {
    const tn_graph_record *graph = tn_view_graph(build->view, 0);
    for (uint32_t i = 0; i < graph->inputs.count && build->status == TN_OK; ++i) {
        const uint32_t index = tn_view_graph_input(build->view, graph, i);
        if (index != TN_NONE) {
            tni_cpu_value(build, index)->given = 1;
        }
    }
}

static void mark_outputs(cpu_build *build) {
    const tn_graph_record *graph = tn_view_graph(build->view, 0);
    for (uint32_t i = 0; i < graph->outputs.count && build->status == TN_OK; ++i) {
        const uint32_t index = tn_view_graph_output(build->view, graph, i);
        if (index == TN_NONE || !is_made(tni_cpu_value(build, index))) {
            (void)tni_cpu_build_fail(build, TN_ERROR_INVALID_DATA, "nothing makes a result");
            return;
        }
        tni_cpu_value(build, index)->output_port = i;
    }
}

static void build_all(cpu_build *build) {
    const tn_graph_view *view = build->view;
    const tn_range nodes = tn_view_graph(view, 0)->nodes;
    for (uint32_t i = 0; i < view->values.count && build->status == TN_OK; ++i) {
        read_value(build, i);
    }
    mark_inputs(build);
    build->nodes = tni_cpu_arena_array(build->arena, nodes.count, sizeof *build->nodes);
    if (build->nodes == NULL) {
        (void)tni_cpu_build_fail(build, TN_ERROR_OUT_OF_MEMORY, "no memory");
    }
    for (uint32_t i = 0; i < nodes.count && build->status == TN_OK; ++i) {
        read_node(build, nodes.begin + i);
    }
    build->current = TN_NONE;
    mark_outputs(build);
    if (build->status == TN_OK) {
        tni_cpu_fuse(build);
        tni_cpu_count_uses(build);
        tni_cpu_choose_images(build);
        place_inputs(build);
    }
    for (uint32_t i = 0; i < build->node_count && build->status == TN_OK; ++i) {
        build->current = i;
        if (!build->nodes[i].dead) {
            emit_node(build, &build->nodes[i]);
        }
    }
    build->current = TN_NONE;
    deliver(build);
    if (build->status == TN_OK) {
        build->status = tni_cpu_instance_place(build->out, build->error);
    }
    if (build->status == TN_OK) {
        describe_ports(build);
        describe_states(build);
    }
}

static cpu_instance *instance_new(const cpu_program *program, const tn_symbol_value *symbols,
                                  uint64_t symbol_count) {
    cpu_arena arena = {.host = program->host};
    cpu_instance *instance = tni_cpu_arena_alloc(&arena, sizeof *instance);
    if (instance == NULL) {
        return NULL;
    }
    instance->arena = arena;
    instance->symbols =
        tni_cpu_arena_array(&instance->arena, symbol_count, sizeof *instance->symbols);
    if (instance->symbols == NULL) {
        tni_cpu_instance_destroy(instance);
        return NULL;
    }
    if (symbol_count > 0) {
        memcpy(instance->symbols, symbols, symbol_count * sizeof *symbols);
    }
    instance->symbol_count = (uint32_t)symbol_count;
    return instance;
}

tn_status tni_cpu_build(cpu_program *program, const tn_symbol_value *symbols, uint64_t symbol_count,
                        cpu_instance **out_instance, tn_error *error) {
    *out_instance = NULL;
    cpu_instance *instance = instance_new(program, symbols, symbol_count);
    if (instance == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "cpu: no memory");
    }
    cpu_build build = {.program = program,
                       .view = program->view,
                       .symbols = symbols,
                       .symbol_count = symbol_count,
                       .out = instance,
                       .arena = &instance->arena,
                       .current = TN_NONE,
                       .status = TN_OK,
                       .error = error};
    build_all(&build);
    tni_cpu_choose_done(&build);
    tni_cpu_packing_done(program);
    if (build.status != TN_OK) {
        tni_cpu_instance_destroy(instance);
        return build.status;
    }
    *out_instance = instance;
    return TN_OK;
}
