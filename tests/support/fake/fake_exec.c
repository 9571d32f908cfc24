// SPDX-License-Identifier: Apache-2.0
// The fake plugin's verdicts, programs and contexts: Add, Relu and Neg over equal shapes, and an op
// of its own.
#include "fake.h"

#include <string.h>

static const tn_op_record ops[FAKE_OP_COUNT] = {{"", "Add", 14, 7},
                                                {"", "Relu", 14, 6},
                                                {"", "Neg", 13, 6},
                                                {FAKE_DOMAIN, FAKE_ADD_RELU_NAME, 1, 1}};

static uint32_t op_of(const tn_graph_view *view, const tn_graph_node *node) {
    for (uint32_t i = 0; i < FAKE_OP_COUNT; i++) {
        if (tn_view_node_is(view, node, ops[i].domain, ops[i].op_type)) {
            return 1u << i;
        }
    }
    return 0;
}

static tn_status op_list(tn_device *device, tn_op_list *out_ops, tn_error *error) {
    (void)error;
    memcpy(device->ops, ops, sizeof(ops));
    fake_lock();
    const fake_control *control = fake_device(device->index);
    for (uint32_t i = 0; i < 3 && control->newest_version != 0; i++) {
        device->ops[i].newest_version = control->newest_version;
        device->ops[i].oldest_version = control->oldest_version;
    }
    out_ops->ops = device->ops;
    // The last one is listed by those that have it.
    out_ops->op_count = FAKE_OP_COUNT - ((control->ops & FAKE_ADD_RELU) == 0);
    out_ops->op_stride_bytes = sizeof(ops[0]);
    fake_unlock();
    return TN_OK;
}

static bool same_shape(const tn_graph_view *view, uint32_t a, uint32_t b) {
    const tn_graph_value *one = tn_view_value(view, a);
    const tn_graph_value *other = tn_view_value(view, b);
    bool same = one->dims.count == other->dims.count && one->dims.count <= FAKE_MAX_RANK;
    for (uint32_t i = 0; same && i < one->dims.count; i++) {
        const tn_graph_dim *x = tn_view_value_dim(view, one, i);
        const tn_graph_dim *y = tn_view_value_dim(view, other, i);
        same = x->size == y->size && x->symbol == y->symbol;
    }
    return same;
}

// Models may call a function of that name with other operands.
static bool has_operands(const tn_graph_view *view, const tn_graph_node *node) {
    return node->inputs.count == 2 && node->outputs.count == 1 &&
           tn_view_node_input(view, node, 0) != TN_NONE &&
           tn_view_node_input(view, node, 1) != TN_NONE &&
           tn_view_node_output(view, node, 0) != TN_NONE;
}

static void judge(tn_device *device, const tn_graph_view *view, uint32_t index,
                  tn_node_verdict *out_verdict) {
    fake_lock();
    fake_control control = *fake_device(device->index);
    fake_unlock();
    const tn_graph_node *node = tn_view_node(view, index);
    uint32_t op = op_of(view, node);
    if ((op & control.ops) == 0 ||
        (op == FAKE_ADD_RELU && (control.refuses_add_relu != 0 || !has_operands(view, node)))) {
        tn_helper_no(out_verdict, TN_REASON_OP_UNSUPPORTED, TN_NONE, 0, 0);
        return;
    }
    uint32_t output = tn_view_node_output(view, node, 0);
    for (uint32_t i = 0; i < node->inputs.count; i++) {
        uint32_t input = tn_view_node_input(view, node, i);
        const bool constant = tn_view_value(view, input)->constant != TN_NONE;
        if (tn_view_value(view, input)->dtype != TN_DTYPE_FLOAT ||
            (constant && control.takes_constants == 0) || !same_shape(view, input, output)) {
            tn_helper_no(out_verdict, TN_REASON_DTYPE, i, 0, 0);
            return;
        }
    }
    const tn_graph_value *result = tn_view_value(view, output);
    for (uint32_t i = 0; control.most_size > 0 && i < result->dims.count; i++) {
        int64_t size = tn_view_value_dim(view, result, i)->size;
        if (size > control.most_size) {
            tn_helper_no(out_verdict, TN_REASON_DIM_LIMIT, i, control.most_size, size);
            return;
        }
    }
    for (uint32_t i = 0; control.fixed_only != 0 && i < result->dims.count; i++) {
        if (tn_view_value_dim(view, result, i)->size < 0) {
            tn_helper_no(out_verdict, TN_REASON_DYNAMIC_SHAPE, 0, 0, 0);
            return;
        }
    }
    tn_helper_yes(out_verdict, TN_NUMERICS_EXACT);
    if (control.cost_ns != 0) {
        out_verdict->cost_ns = control.cost_ns;
        out_verdict->origin = TN_COST_DECLARED;
    }
}

// The verdict on a node holds while no size of its result is above the device's most.
static void put_bounds(const tn_device *device, const tn_graph_view *view, uint32_t index,
                       tn_verdicts *verdicts) {
    int64_t most = fake_device(device->index)->most_size;
    uint32_t off = fake_device(device->index)->bound_off;
    uint32_t output = tn_view_node_output(view, tn_view_node(view, index), 0);
    if (output == TN_NONE) {
        return;
    }
    const tn_graph_value *value = tn_view_value(view, output);
    for (uint32_t i = 0; most > 0 && i < value->dims.count; i++) {
        const tn_graph_dim *dim = tn_view_value_dim(view, value, i);
        if (dim->size < 0 && dim->symbol != TN_NONE) {
            if (verdicts->bound_count < verdicts->bound_capacity) {
                verdicts->bounds[verdicts->bound_count] =
                    (tn_verdict_bound){off == 1 ? view->nodes.count : index,
                                       off == 2 ? view->symbols.count : dim->symbol, 0, most};
            }
            verdicts->bound_count++;
        }
    }
}

// The Relu that alone reads what a Neg makes, or TN_NONE.
static uint32_t partner_of(const tn_graph_view *view, uint32_t index) {
    const tn_graph_node *node = tn_view_node(view, index);
    uint32_t partner = TN_NONE;
    if (op_of(view, node) != FAKE_NEG) {
        return TN_NONE;
    }
    uint32_t value = tn_view_node_output(view, node, 0);
    const tn_graph_record *graph = tn_view_graph(view, 0);
    for (uint32_t i = 0; i < graph->outputs.count; i++) {
        if (tn_view_graph_output(view, graph, i) == value) {
            return TN_NONE;
        }
    }
    for (uint32_t i = index + 1; i < view->nodes.count; i++) {
        const tn_graph_node *reader = tn_view_node(view, i);
        for (uint32_t k = 0; k < reader->inputs.count; k++) {
            if (tn_view_node_input(view, reader, k) == value) {
                if (partner != TN_NONE || op_of(view, reader) != FAKE_RELU) {
                    return TN_NONE;
                }
                partner = i;
            }
        }
    }
    return partner;
}

static void put_claim(const fake_control *control, uint32_t node, uint32_t partner,
                      tn_verdicts *verdicts) {
    uint32_t begin = verdicts->claim_node_count;
    if (begin + 2 <= verdicts->claim_node_capacity &&
        verdicts->claim_count < verdicts->claim_capacity) {
        verdicts->claim_nodes[begin] = node;
        verdicts->claim_nodes[begin + 1] = partner;
        verdicts->claims[verdicts->claim_count] = (tn_claim){
            .nodes = {begin, 2},
            .kind = control->claims == FAKE_CLAIMS_BONUS      ? TN_CLAIM_BONUS
                    : control->claims == FAKE_CLAIMS_BAD_KIND ? 7u
                                                              : TN_CLAIM_ALL_OR_NOTHING,
            .cost_ns = control->claim_ns,
            .origin = control->claim_ns != 0 ? TN_COST_DECLARED : TN_COST_UNKNOWN,
        };
    }
    verdicts->claim_node_count += 2;
    verdicts->claim_count++;
}

static void put_claims(const tn_device *device, const tn_graph_view *view, tn_verdicts *verdicts) {
    fake_lock();
    fake_control control = *fake_device(device->index);
    fake_unlock();
    for (uint32_t i = 0; i < view->nodes.count && control.claims != FAKE_CLAIMS_NONE; i++) {
        uint32_t partner = partner_of(view, i);
        if (control.claims == FAKE_CLAIMS_BOUND && partner == TN_NONE &&
            op_of(view, tn_view_node(view, i)) == FAKE_NEG) {
            tn_helper_no(&verdicts->nodes[i], TN_REASON_OP_UNSUPPORTED, TN_NONE, 0, 0);
        }
        if (partner == TN_NONE || verdicts->nodes[i].answer != TN_ANSWER_YES ||
            verdicts->nodes[partner].answer != TN_ANSWER_YES) {
            continue;
        }
        if (control.claims == FAKE_CLAIMS_BOUND || control.claims == FAKE_CLAIMS_NOWHERE) {
            verdicts->nodes[i].answer = TN_ANSWER_IN_CLAIM;
        } else if (control.claims == FAKE_CLAIMS_REFUSED) {
            tn_helper_no(&verdicts->nodes[i], TN_REASON_OP_UNSUPPORTED, TN_NONE, 0, 0);
        }
        if (control.claims != FAKE_CLAIMS_NOWHERE) {
            put_claim(&control, i,
                      control.claims == FAKE_CLAIMS_OUTSIDE ? view->nodes.count : partner,
                      verdicts);
        }
    }
}

static tn_status query_support(tn_device *device, const tn_graph_view *view,
                               const tn_query_info *info, tn_verdicts *inout_verdicts,
                               tn_error *error) {
    (void)info;
    fake_enter(device);
    tn_status status = tn_view_validate(view, error);
    for (uint32_t i = 0; i < view->nodes.count && status == TN_OK; i++) {
        tn_node_verdict verdict = {0};
        judge(device, view, i, &verdict);
        tn_helper_put_verdict(inout_verdicts, i, &verdict);
        put_bounds(device, view, i, inout_verdicts);
    }
    put_claims(device, view, inout_verdicts);
    bool fits = inout_verdicts->bound_count <= inout_verdicts->bound_capacity &&
                inout_verdicts->claim_count <= inout_verdicts->claim_capacity &&
                inout_verdicts->claim_node_count <= inout_verdicts->claim_node_capacity;
    return fits ? status : TN_ERROR_LIMIT_EXCEEDED;
}

// The lowest node that index is connected to, as far as linked nodes say.
static uint32_t lowest(const uint32_t *linked, uint32_t index) {
    while (linked[index] != index) {
        index = linked[index];
    }
    return index;
}

// Whether the values between nodes make one piece of an island.
static bool is_connected(const tn_graph_view *view) {
    const tn_graph_record *graph = tn_view_graph(view, 0);
    uint32_t linked[FAKE_MAX_NODES];
    uint32_t pieces = graph->nodes.count;
    for (uint32_t i = 0; i < graph->nodes.count; i++) {
        const tn_graph_node *node = tn_view_node(view, graph->nodes.begin + i);
        linked[i] = i;
        for (uint32_t k = 0; k < node->inputs.count; k++) {
            uint32_t maker = tn_view_value(view, tn_view_node_input(view, node, k))->producer;
            if (maker == TN_NONE) {
                continue;
            }
            uint32_t a = lowest(linked, maker - graph->nodes.begin);
            uint32_t b = lowest(linked, i);
            pieces -= a != b;
            linked[a > b ? a : b] = a > b ? b : a;
        }
    }
    return pieces == 1;
}

static tn_status refuse_pieces(tn_device *device, const tn_graph_view *view, tn_error *error) {
    fake_lock();
    fake_control *control = fake_device(device->index);
    bool refused = (control->flags & TN_DEVICE_CONNECTED_ISLANDS) != 0 && !is_connected(view);
    control->disconnected += refused;
    fake_unlock();
    return refused ? tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "fake: an island in pieces")
                   : TN_OK;
}

static tn_status refuse(tn_device *device, tn_error *error) {
    fake_lock();
    fake_control *control = fake_device(device->index);
    tn_status status = control->compile_status;
    if (status != TN_OK && control->compile_refusals > 0 && --control->compile_refusals == 0) {
        control->compile_status = TN_OK;
    }
    fake_unlock();
    return status == TN_OK ? TN_OK : tn_helper_fail(error, status, NULL, "fake: told to refuse");
}

static void note_nodes(fake_control *control, const tn_graph_view *view) {
    const tn_range nodes = tn_view_graph(view, 0)->nodes;
    fake_lock();
    control->seen_nodes = nodes.count;
    control->seen_add_relu = 0;
    for (uint32_t i = nodes.begin; i < nodes.begin + nodes.count; i++) {
        const tn_graph_node *node = tn_view_node(view, i);
        control->seen_version = node->since_version;
        if (op_of(view, node) == FAKE_ADD_RELU) {
            control->seen_add_relu++;
            control->seen_k = tn_view_attr_int(view, node, "k", -1);
        }
        control->seen_lone_neg += control->claims == FAKE_CLAIMS_BOUND &&
                                  op_of(view, node) == FAKE_NEG && partner_of(view, i) == TN_NONE;
    }
    fake_unlock();
}

static void fill_program(tn_program *program, const tn_graph_view *view) {
    const tn_graph_record *graph = tn_view_graph(view, 0);
    memset(program->port_of, 0xff, sizeof(program->port_of));
    program->input_count = graph->inputs.count;
    program->output_count = graph->outputs.count;
    program->value_count = view->values.count;
    program->node_count = graph->nodes.count;
    for (uint32_t i = 0; i < graph->inputs.count; i++) {
        program->ports[i] = tn_view_graph_input(view, graph, i);
    }
    for (uint32_t i = 0; i < graph->outputs.count; i++) {
        program->ports[graph->inputs.count + i] = tn_view_graph_output(view, graph, i);
    }
    for (uint32_t i = 0; i < graph->inputs.count + graph->outputs.count; i++) {
        program->port_of[program->ports[i]] = i;
    }
    for (uint32_t i = 0; i < graph->nodes.count; i++) {
        const tn_graph_node *node = tn_view_node(view, graph->nodes.begin + i);
        program->nodes[i] =
            (fake_node){op_of(view, node),
                        {tn_view_node_input(view, node, 0), tn_view_node_input(view, node, 1)},
                        tn_view_node_output(view, node, 0)};
    }
    note_nodes(fake_device(program->device->index), view);
    for (uint32_t i = 0; i < view->values.count; i++) {
        const tn_graph_value *value = tn_view_value(view, i);
        fake_shape *shape = &program->shapes[i];
        shape->rank = value->dims.count <= FAKE_MAX_RANK ? value->dims.count : 0;
        for (uint32_t k = 0; k < shape->rank; k++) {
            shape->dims[k] = *tn_view_value_dim(view, value, k);
        }
    }
}

static tn_status compile(tn_device *device, const tn_compile_info *info, tn_program **out_program,
                         tn_error *error) {
    *out_program = NULL;
    fake_enter(device);
    tn_status status = tn_view_validate(info->view, error);
    if (status == TN_OK) {
        status = refuse(device, error);
    }
    const tn_graph_record *graph = status == TN_OK ? tn_view_graph(info->view, 0) : NULL;
    if (graph != NULL &&
        (graph->nodes.count > FAKE_MAX_NODES || info->view->values.count > FAKE_MAX_VALUES ||
         graph->inputs.count + graph->outputs.count > FAKE_MAX_PORTS)) {
        status = tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "fake: the island is too large");
    }
    if (status == TN_OK) {
        status = refuse_pieces(device, info->view, error);
    }
    if (status != TN_OK) {
        return status;
    }
    tn_program *program = tn_helper_alloc(&device->plugin->host, sizeof(*program));
    if (program == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fake: no memory");
    }
    program->device = device;
    fill_program(program, info->view);
    *out_program = program;
    return TN_OK;
}

static tn_status program_info(tn_program *program, tn_program_info *out_info, tn_error *error) {
    (void)error;
    fake_enter(program->device);
    out_info->input_count = program->input_count;
    out_info->output_count = program->output_count;
    return TN_OK;
}

static uint64_t resolve(const fake_shape *shape, const tn_symbol_value *symbols,
                        uint64_t symbol_count, int64_t *out_dims) {
    uint64_t count = 1;
    for (uint32_t i = 0; i < shape->rank; i++) {
        int64_t size = shape->dims[i].size;
        for (uint64_t k = 0; size < 0 && k < symbol_count; k++) {
            size = symbols[k].symbol == shape->dims[i].symbol ? symbols[k].size : size;
        }
        if (out_dims != NULL) {
            out_dims[i] = size;
        }
        count *= size > 0 ? (uint64_t)size : 0;
    }
    return count;
}

static tn_status port_query(tn_program *program, const tn_port_query *query, tn_port_info *ports,
                            uint32_t port_capacity, uint32_t *out_port_count, tn_error *error) {
    (void)error;
    fake_enter(program->device);
    *out_port_count = program->input_count + program->output_count;
    if (*out_port_count > port_capacity) {
        return TN_ERROR_LIMIT_EXCEEDED;
    }
    for (uint32_t i = 0; i < *out_port_count; i++) {
        // The host's records may be longer than ours (ABI-41).
        unsigned char *place = (unsigned char *)ports + (size_t)i * ports->struct_size;
        tn_port_info port = {
            .kind = i < program->input_count ? TN_PORT_INPUT : TN_PORT_OUTPUT,
            .dtype = TN_DTYPE_FLOAT,
            .rank = program->shapes[program->ports[i]].rank,
            .alignment_bytes = 16,
            .alias_of = TN_NONE,
            .heap_count = 1,
        };
        port.size_bytes = sizeof(float) * resolve(&program->shapes[program->ports[i]],
                                                  query->symbols, query->symbol_count, port.dims) +
                          fake_device(program->device->index)->port_extra_bytes;
        tn_helper_copy_out(place, &port, sizeof(port));
    }
    return TN_OK;
}

static void program_destroy(tn_program *program) {
    if (program != NULL) {
        const tn_helper_host host = program->device->plugin->host;
        fake_enter(program->device);
        tn_helper_free(&host, program, sizeof(*program));
    }
}

const tn_compile_interface fake_compile_table = {
    .base = TN_HELPER_BASE(tn_compile_interface, TN_DIGEST_COMPILE),
    .op_list = op_list,
    .query_support = query_support,
    .compile = compile,
    .program_info = program_info,
    .port_query = port_query,
    .program_destroy = program_destroy,
};

static tn_status context_create(tn_device *device, const tn_context_create_info *info,
                                tn_context **out_context, tn_error *error) {
    fake_enter(device);
    *out_context = tn_helper_alloc(&device->plugin->host, sizeof(**out_context));
    if (*out_context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fake: no memory");
    }
    (*out_context)->program = info->program;
    return TN_OK;
}

static tn_status context_prepare(tn_context *context, const tn_prepare_info *info,
                                 tn_error *error) {
    const tn_program *program = context->program;
    fake_enter(program->device);
    context->most_elements = 0;
    for (uint32_t i = 0; i < program->value_count; i++) {
        uint64_t count = resolve(&program->shapes[i], info->symbols, info->symbol_count, NULL);
        context->element_counts[i] = count;
        context->most_elements = count > context->most_elements ? count : context->most_elements;
    }
    context->scratch_bytes = program->value_count * context->most_elements * sizeof(float);
    context->scratch = tn_helper_alloc(&program->device->plugin->host, context->scratch_bytes);
    if (context->scratch == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "fake: no memory");
    }
    context->prepared = true;
    return TN_OK;
}

static float *value_of(const tn_context *context, const tn_binding *bindings, uint32_t value) {
    uint32_t port = context->program->port_of[value];
    if (port == TN_NONE) {
        return context->scratch + value * context->most_elements;
    }
    return (float *)(void *)(bindings[port].memory->data + bindings[port].offset_bytes);
}

void fake_compute(tn_context *context, const tn_binding *bindings) {
    const tn_program *program = context->program;
    for (uint32_t i = 0; i < program->node_count; i++) {
        const fake_node *node = &program->nodes[i];
        const float *a = value_of(context, bindings, node->inputs[0]);
        const bool adds = node->op == FAKE_ADD || node->op == FAKE_ADD_RELU;
        const float *b = adds ? value_of(context, bindings, node->inputs[1]) : a;
        float *out = value_of(context, bindings, node->output);
        for (uint64_t k = 0; k < context->element_counts[node->output]; k++) {
            const float x = adds ? a[k] + b[k] : a[k];
            out[k] = node->op == FAKE_ADD ? x : node->op == FAKE_NEG ? -x : x > 0 ? x : 0;
        }
    }
}

static tn_status submit(tn_context *context, const tn_submit_info *info, tn_error *error) {
    tn_device *device = context->program->device;
    fake_control *control = fake_device(device->index);
    fake_enter(device);
    fake_lock();
    tn_status status = control->submit_status;
    if (status == TN_OK && (!context->prepared || context->job.active)) {
        status = TN_ERROR_INVALID_STATE;
    }
    if (status == TN_OK && !fake_set_points(&context->job, info->waits, info->wait_count,
                                            info->signals, info->signal_count)) {
        status = TN_ERROR_BUSY;
    }
    if (status == TN_OK) {
        for (uint32_t i = 0; i < info->binding_count && i < FAKE_MAX_PORTS; i++) {
            memcpy(&context->job.bindings[i],
                   (const unsigned char *)info->bindings + (size_t)i * info->binding_stride_bytes,
                   sizeof(tn_binding));
        }
        context->job.context = context;
        control->submit_count++;
        fake_queue_push(device, &context->job);
    }
    fake_unlock();
    return status == TN_OK ? TN_OK : tn_helper_fail(error, status, NULL, "fake: submit refused");
}

static tn_status cancel(tn_context *context, tn_error *error) {
    (void)error;
    fake_lock();
    bool can = fake_device(context->program->device->index)->can_abort;
    context->job.cancelled = can && context->job.active;
    fake_unlock();
    return can ? TN_OK : TN_ERROR_UNIMPLEMENTED;
}

static void context_destroy(tn_context *context) {
    if (context != NULL) {
        const tn_helper_host host = context->program->device->plugin->host;
        fake_enter(context->program->device);
        tn_helper_free(&host, context->scratch, context->scratch_bytes);
        tn_helper_free(&host, context, sizeof(*context));
    }
}

const tn_exec_interface fake_exec_table = {
    .base = TN_HELPER_BASE(tn_exec_interface, TN_DIGEST_EXEC),
    .context_create = context_create,
    .context_prepare = context_prepare,
    .submit = submit,
    .cancel = cancel,
    .context_destroy = context_destroy,
};
