// SPDX-License-Identifier: Apache-2.0
// The call of query_support, its growing arrays, and the reading of its answer.
#include "plan/verdicts.h"

#include "plan/claims.h"
#include "plan/claims_inner.h"

#include "base/error.h"
#include "graph/shape/shape.h"
#include "loader/device_call.h"

#include <string.h>

// A plugin may ask for larger arrays this often, and never for more records than this.
#define MAX_ROUNDS 3
#define MAX_RECORDS (1u << 24)

typedef struct answer_arrays {
    const tni_alloc *alloc;
    tn_verdicts verdicts;
} answer_arrays;

static void arrays_deinit(answer_arrays *arrays) {
    tn_verdicts *v = &arrays->verdicts;
    tni_free_array(arrays->alloc, v->nodes, v->node_capacity, sizeof(*v->nodes));
    tni_free_array(arrays->alloc, v->claims, v->claim_capacity, sizeof(*v->claims));
    tni_free_array(arrays->alloc, v->claim_nodes, v->claim_node_capacity, sizeof(*v->claim_nodes));
    tni_free_array(arrays->alloc, v->bounds, v->bound_capacity, sizeof(*v->bounds));
    memset(v, 0, sizeof(*v));
}

static tn_status arrays_init(answer_arrays *arrays, uint32_t nodes, uint32_t claims,
                             uint32_t claim_nodes, uint32_t bounds) {
    tn_verdicts *v = &arrays->verdicts;
    const tni_alloc *alloc = arrays->alloc;
    memset(v, 0, sizeof(*v));
    v->struct_size = sizeof(*v);
    v->struct_type = TN_STRUCT_VERDICTS;
    v->node_stride_bytes = sizeof(*v->nodes);
    v->claim_stride_bytes = sizeof(*v->claims);
    v->bound_stride_bytes = sizeof(*v->bounds);
    v->nodes = tni_alloc_array(alloc, nodes, sizeof(*v->nodes));
    v->node_capacity = v->nodes != NULL ? nodes : 0;
    v->claims = tni_alloc_array(alloc, claims, sizeof(*v->claims));
    v->claim_capacity = v->claims != NULL ? claims : 0;
    v->claim_nodes = tni_alloc_array(alloc, claim_nodes, sizeof(*v->claim_nodes));
    v->claim_node_capacity = v->claim_nodes != NULL ? claim_nodes : 0;
    v->bounds = tni_alloc_array(alloc, bounds, sizeof(*v->bounds));
    v->bound_capacity = v->bounds != NULL ? bounds : 0;
    return v->nodes != NULL && v->claims != NULL && v->claim_nodes != NULL && v->bounds != NULL
               ? TN_OK
               : TN_ERROR_OUT_OF_MEMORY;
}

// Calls the plugin until its arrays are long enough.
static tn_status ask(answer_arrays *arrays, const tni_view *view, tni_device *device,
                     const tn_query_info *query, tn_error *error) {
    uint32_t claims = 64;
    uint32_t claim_nodes = 1024;
    uint32_t bounds = 64;
    for (int round = 0; round < MAX_ROUNDS; round++) {
        arrays_deinit(arrays);
        tn_status status = arrays_init(arrays, view->node_count > 0 ? view->node_count : 1, claims,
                                       claim_nodes, bounds);
        if (status != TN_OK) {
            return tni_fail_plain(error, status, "verdicts");
        }
        status = tni_device_query_support(device, view->view, query, &arrays->verdicts, error);
        if (status != TN_ERROR_LIMIT_EXCEEDED) {
            return status;
        }
        const tn_verdicts *v = &arrays->verdicts;
        claims = v->claim_count > claims ? v->claim_count : claims;
        claim_nodes = v->claim_node_count > claim_nodes ? v->claim_node_count : claim_nodes;
        bounds = v->bound_count > bounds ? v->bound_count : bounds;
        if (claims > MAX_RECORDS || claim_nodes > MAX_RECORDS || bounds > MAX_RECORDS) {
            break;
        }
    }
    return tni_fail(error, TN_ERROR_INVALID_DATA, "verdict.never-enough",
                    "%s: query_support asks for ever larger arrays", device->id);
}

static tn_status check(const answer_arrays *arrays, const tni_view *view, const tni_device *device,
                       tn_error *error) {
    const tn_verdicts *v = &arrays->verdicts;
    if (v->claim_count > v->claim_capacity || v->claim_node_count > v->claim_node_capacity ||
        v->bound_count > v->bound_capacity) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "verdict.count",
                        "%s: query_support reports more records than there is room for",
                        device->id);
    }
    for (uint32_t i = 0; i < view->node_count; i++) {
        const tn_node_verdict *node = &v->nodes[i];
        if (node->answer > TN_ANSWER_IN_CLAIM ||
            (node->answer == TN_ANSWER_NO && node->reason == TN_REASON_NONE)) {
            return tni_fail_node(error, TN_ERROR_INVALID_DATA, "verdict.no-reason", i, TN_NONE,
                                 "%s: answer %u with reason %u for node %u (ABI-46)", device->id,
                                 node->answer, node->reason, i);
        }
    }
    return TN_OK;
}

static tni_option option_of(const tn_node_verdict *verdict) {
    return (tni_option){
        .possible = verdict->answer != TN_ANSWER_NO,
        .bound = verdict->answer == TN_ANSWER_IN_CLAIM,
        .reason = verdict->answer != TN_ANSWER_NO     ? TN_REASON_NONE
                  : verdict->reason != TN_REASON_NONE ? verdict->reason
                                                      : TN_REASON_OP_UNSUPPORTED,
        .subject = verdict->subject,
        .limit = verdict->limit,
        .actual = verdict->actual,
        .cost_ns = verdict->origin == TN_COST_UNKNOWN ? 0 : verdict->cost_ns,
        .origin = verdict->origin,
        .numerics = verdict->numerics,
    };
}

const tn_graph_node *tni_view_node(const tni_view *view, uint32_t index) {
    const unsigned char *base = (const unsigned char *)view->view;
    return (const tn_graph_node *)(const void *)(base + view->view->nodes.offset_bytes +
                                                 (uint64_t)index * view->view->nodes.stride_bytes);
}

const tn_graph_record *tni_view_graph(const tni_view *view, uint32_t index) {
    const unsigned char *base = (const unsigned char *)view->view;
    return (const tn_graph_record *)(const void *)(base + view->view->graphs.offset_bytes +
                                                   (uint64_t)index *
                                                       view->view->graphs.stride_bytes);
}

// The answer for node i of the view. A version outside of what the device lists is refused for it
// (ABI-48), whatever it says.
static tni_option view_option(const tni_verdict_set *set, const answer_arrays *arrays,
                              const tni_view *view, uint32_t i) {
    const tni_form *form = &set->presentation->forms[view->node_of[i]];
    if (form->limit == 0) {
        return option_of(&arrays->verdicts.nodes[i]);
    }
    return (tni_option){.reason = TN_REASON_OP_VERSION,
                        .subject = TN_NONE,
                        .limit = form->limit,
                        .actual = form->since_version};
}

// Adds what a device says of one of several nodes that stand for one: it takes them all or none.
static void add_option(tni_option *sum, const tni_option *one) {
    if (!sum->possible || !one->possible) {
        *sum = sum->possible ? *one : *sum;
        return;
    }
    sum->bound |= one->bound;
    sum->cost_ns += one->cost_ns;
    sum->origin = one->origin == TN_COST_UNKNOWN ? TN_COST_UNKNOWN : sum->origin;
    sum->cost_ns = sum->origin == TN_COST_UNKNOWN ? 0 : sum->cost_ns;
    sum->numerics = one->numerics > sum->numerics ? one->numerics : sum->numerics;
}

// One answer and what is needed to read it.
typedef struct reading {
    tni_verdict_set *set;
    const answer_arrays *arrays;
    const tni_model *model;
    const tni_region *region;
    const tni_view *view;
    tni_inner_claims inner;
} reading;

tn_range tni_view_outermost(const tni_view *view) {
    return tni_view_graph(view, 0)->nodes;
}

uint32_t tni_view_written_for(const tni_model *model, const tni_view *view, uint32_t node) {
    uint32_t owner = view->node_of[node];
    while (model->graphs[model->nodes[owner].graph].is_form) {
        owner = model->graphs[model->nodes[owner].graph].parent_node;
    }
    return owner;
}

static uint32_t written_for(const reading *r, uint32_t i) {
    return tni_view_written_for(r->model, r->view, i);
}

static void save(const reading *r, uint32_t begin, uint32_t count, tni_option *sum) {
    if (sum->possible && sum->origin != TN_COST_UNKNOWN) {
        const uint64_t saving = tni_inner_claims_saving(&r->inner, begin, count);
        sum->cost_ns -= saving < sum->cost_ns ? saving : sum->cost_ns;
    }
}

// The device takes a function op through its expansion when it takes every node of it, which may be
// function ops again. Recursion is as deep as expansions lie in each other.
static tn_status try_expansion(const reading *r, uint32_t i, tni_option *inout_option) {
    const uint32_t expansion = tni_view_node(r->view, i)->expansion;
    tni_option sum = {.possible = true, .origin = TN_COST_DECLARED};
    tn_status status = TN_OK;
    if (inout_option->possible || expansion == TN_NONE) {
        return TN_OK;
    }
    const tn_range nodes = tni_view_graph(r->view, expansion)->nodes;
    for (uint32_t k = nodes.begin; k < nodes.begin + nodes.count && sum.possible && status == TN_OK;
         k++) {
        tni_option one = view_option(r->set, r->arrays, r->view, k);
        tni_inner_claims_member(&r->inner, k, &one);
        const bool whole = one.possible;
        status = try_expansion(r, k, &one);
        one.possible = one.possible && (whole || !one.bound); // claims do not reach that far
        add_option(&sum, &one);
    }
    save(r, nodes.begin, nodes.count, &sum);
    if (status == TN_OK && sum.possible && nodes.count > 0) {
        status = tni_map_set_u64(&r->set->inlined, written_for(r, i), 1);
        *inout_option = sum;
    }
    return status;
}

// Several nodes of the view may stand for one of the region; they follow each other, as the
// region's do.
static tn_status read_answer(const reading *r) {
    const tn_range outermost = tni_view_outermost(r->view);
    const uint32_t end = outermost.begin + outermost.count;
    uint32_t begin = outermost.begin;
    tn_status status = TN_OK;
    for (uint32_t place = 0; place < r->region->node_count && status == TN_OK; place++) {
        tni_option *option = &r->set->options[place];
        uint32_t i = begin;
        for (; i < end && written_for(r, i) == r->region->nodes[place]; i++) {
            tni_option one = view_option(r->set, r->arrays, r->view, i);
            tni_inner_claims_member(&r->inner, i, &one);
            if (i == begin) {
                *option = one;
            } else {
                add_option(option, &one);
            }
        }
        save(r, begin, i - begin, option);
        for (uint32_t k = begin; k < i && status == TN_OK; k++) {
            status = try_expansion(r, k, option);
        }
        begin = i;
    }
    return status;
}

tn_status tni_device_op_list(tni_device *device, tn_op_list *out_ops, tn_error *error) {
    *out_ops = (tn_op_list){.struct_size = sizeof(*out_ops), .struct_type = TN_STRUCT_OP_LIST};
    const tn_status status = device->plugin->compile.op_list(device->handle, out_ops, error);
    if (status != TN_OK) {
        return tni_device_note(device, status);
    }
    if (out_ops->op_count > 0 &&
        (out_ops->ops == NULL || out_ops->op_stride_bytes < sizeof(tn_op_record))) {
        return tni_fail(error, TN_ERROR_INVALID_DATA, "verdict.op-list",
                        "%s: op_list gives %u records and nowhere to read them", device->id,
                        out_ops->op_count);
    }
    return TN_OK;
}

tn_status tni_verdicts_present(tni_model *model, tni_device *device,
                               tni_presentation *out_presentation, tn_error *error) {
    *out_presentation = (tni_presentation){.alloc = model->alloc};
    tn_op_list ops;
    bool changed = false;
    tn_status status = tni_device_op_list(device, &ops, error);
    if (status != TN_OK) {
        return status;
    }
    status = tni_presentation_init(model, &ops, out_presentation, &changed, error);
    return status == TN_OK && changed ? tni_shapes_infer(model, error) : status;
}

// Keeps the bounds, about the region's nodes. Strides as the plugin was told them.
static tn_status keep_bounds(const reading *r, const tni_map *places, tn_error *error) {
    const tn_verdicts *v = &r->arrays->verdicts;
    const tni_view *view = r->view;
    const tni_model *model = r->model;
    tni_verdict_set *set = r->set;
    for (uint32_t i = 0; i < v->bound_count; i++) {
        set->bounds[i] = v->bounds[i];
        if (v->bounds[i].node >= view->node_count || v->bounds[i].symbol >= model->symbol_count) {
            return tni_fail(error, TN_ERROR_INVALID_DATA, "verdict.bound",
                            "%s: bound %u names node %u of %u and symbol %u of %u", set->device->id,
                            i, v->bounds[i].node, view->node_count, v->bounds[i].symbol,
                            model->symbol_count);
        }
        const uint32_t owner = tni_node_owner(model, view->node_of[v->bounds[i].node]);
        set->bounds[i].node = TN_NONE; // of a node in a body
        (void)tni_map_find_u64(places, owner, &set->bounds[i].node);
    }
    return TN_OK;
}

static tn_status read_bounds(const reading *r, const tni_map *places, tn_error *error) {
    tni_verdict_set *set = r->set;
    const uint32_t count = r->arrays->verdicts.bound_count;
    if (count == 0) {
        return TN_OK;
    }
    set->bounds = tni_alloc_array(&set->alloc, count, sizeof(*set->bounds));
    set->bound_count = set->bounds != NULL ? count : 0;
    return set->bounds != NULL ? keep_bounds(r, places, error)
                               : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "verdicts");
}

// What an answer says about nodes by name, beside its options.
static tn_status read_named(const reading *r, tn_error *error) {
    const tn_verdicts *v = &r->arrays->verdicts;
    tni_map places;
    tni_map_init(&places, &r->set->alloc);
    tn_status status = TN_OK;
    for (uint32_t i = 0; v->bound_count + (uint64_t)v->claim_count > 0 &&
                         i < r->region->node_count && status == TN_OK;
         i++) {
        status = tni_map_set_u64(&places, r->region->nodes[i], i);
    }
    status = status == TN_OK ? read_bounds(r, &places, error)
                             : tni_fail_plain(error, status, "verdicts");
    if (status == TN_OK) {
        status = tni_claims_read(r->set, &r->inner, &places, error);
    }
    tni_map_deinit(&places);
    return status;
}

static tn_status read_all(reading *r, tn_error *error) {
    tn_status status =
        tni_inner_claims_init(&r->set->alloc, r->model, r->view, &r->arrays->verdicts, &r->inner);
    if (status == TN_OK) {
        status = read_answer(r);
    }
    return status == TN_OK ? read_named(r, error) : tni_fail_plain(error, status, "verdicts");
}

tn_status tni_verdicts_ask(const tni_alloc *alloc, const tni_query *query, tni_verdict_set *out_set,
                           tn_error *error) {
    const tni_model *model = query->model;
    const tni_region *region = query->region;
    memset(out_set, 0, sizeof(*out_set));
    out_set->alloc = *alloc;
    out_set->device = query->device;
    out_set->presentation = query->presentation;
    out_set->options = tni_alloc_array(alloc, region->node_count > 0 ? region->node_count : 1,
                                       sizeof(*out_set->options));
    out_set->node_count = region->node_count;
    tni_map_init(&out_set->inlined, alloc);
    if (out_set->options == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "verdicts");
    }
    const tni_view_spec spec = {
        .nodes = region->nodes,
        .node_count = region->node_count,
        .inputs = region->inputs,
        .input_count = region->input_count,
        .outputs = region->outputs,
        .output_count = region->output_count,
        .forms = query->presentation->forms,
        .shapes = query->shapes,
    };
    const tn_query_info info = {sizeof(info), TN_STRUCT_QUERY_INFO, query->precision, 0};
    answer_arrays arrays = {.alloc = alloc};
    tni_view *view = NULL;
    tn_status status = tni_view_build(alloc, query->model, &spec, &view, error);
    if (status == TN_OK) {
        status = ask(&arrays, view, query->device, &info, error);
    }
    if (status == TN_OK) {
        status = check(&arrays, view, query->device, error);
    }
    if (status == TN_OK) {
        reading r = {
            .set = out_set, .arrays = &arrays, .model = model, .region = region, .view = view};
        status = tni_claims_check(out_set, &arrays.verdicts, view, error);
        status = status == TN_OK ? read_all(&r, error) : status;
        tni_inner_claims_deinit(&r.inner);
    }
    arrays_deinit(&arrays);
    tni_view_destroy(view);
    return status;
}

void tni_verdicts_deinit(tni_verdict_set *set) {
    tni_free_array(&set->alloc, set->options, set->node_count > 0 ? set->node_count : 1,
                   sizeof(*set->options));
    tni_map_deinit(&set->inlined);
    tni_free_array(&set->alloc, set->bounds, set->bound_count, sizeof(*set->bounds));
    tni_free_array(&set->alloc, set->claims, (uint64_t)set->claim_count + 1, sizeof(*set->claims));
    tni_free_array(&set->alloc, set->claim_places, (uint64_t)set->claim_place_capacity + 1,
                   sizeof(*set->claim_places));
    memset(set, 0, sizeof(*set));
}

bool tni_verdicts_inline(const tni_verdict_set *set, uint32_t node) {
    uint32_t yes = 0;
    return tni_map_find_u64(&set->inlined, node, &yes);
}

void tni_verdicts_forbid(tni_verdict_set *set, uint32_t place, tn_reason reason) {
    set->options[place] = (tni_option){.possible = false, .reason = reason, .subject = TN_NONE};
}
