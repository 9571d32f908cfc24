// SPDX-License-Identifier: Apache-2.0
// Running one region: find or make what it takes for the shapes at hand, bring the inputs in, run,
// take the outputs out.
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "flow/run.h"

#include <string.h>

// Elements of larger tensors never decide sizes.
#define MAX_READ_BYTES 8192u

static bool is_read(const tni_region *region, uint32_t input, const tni_tensor *tensor) {
    return region->read_inputs[input] != 0 && tensor->size_bytes <= MAX_READ_BYTES;
}

static tn_status check_inputs(tni_flow_run *run, const tni_region *region, tn_error *error) {
    for (uint32_t i = 0; i < region->input_count; i++) {
        if (run->items[region->inputs[i]].kind != TNI_ITEM_TENSOR) {
            const tni_value *value = &run->flow->model->values[region->inputs[i]];
            return tni_fail_node(error, TN_ERROR_INVALID_DATA, "flow.no-tensor", value->producer,
                                 region->inputs[i], "'%.*s' is no tensor where one is needed",
                                 TNI_TEXT(value->name));
        }
    }
    return TN_OK;
}

// What the preparation depends on, as bytes: per input its type, rank, dims and elements read.
static uint64_t write_key(const tni_flow_run *run, const tni_region *region, uint8_t *key) {
    uint64_t used = 0;
    for (uint32_t i = 0; i < region->input_count; i++) {
        const tni_tensor *tensor = run->items[region->inputs[i]].tensor;
        uint64_t dim_bytes = tensor->rank * sizeof(*tensor->dims);
        uint64_t data_bytes = is_read(region, i, tensor) ? tensor->size_bytes : 0;
        if (key != NULL) {
            memcpy(key + used, &tensor->dtype, sizeof(tensor->dtype));
            memcpy(key + used + sizeof(tensor->dtype), &tensor->rank, sizeof(tensor->rank));
        }
        used += sizeof(tensor->dtype) + sizeof(tensor->rank);
        if (key != NULL) {
            memcpy(key + used, tensor->dims, dim_bytes);
            memcpy(key + used + dim_bytes, tensor->data, data_bytes);
        }
        used += dim_bytes + data_bytes;
    }
    return used;
}

static tn_status make_table(tni_flow_run *run, const tni_region *region,
                            tni_shape_table **out_table, tn_error *error) {
    uint64_t room = (uint64_t)region->input_count + 1;
    tni_shape_input *inputs = tni_alloc_array(&run->alloc, room, sizeof(*inputs));
    if (inputs == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "input shapes");
    }
    for (uint32_t i = 0; i < region->input_count; i++) {
        const tni_tensor *tensor = run->items[region->inputs[i]].tensor;
        inputs[i] = (tni_shape_input){
            .value = region->inputs[i],
            .rank = tensor->rank,
            .dims = tensor->dims,
            .dtype = tensor->dtype,
            .data = is_read(region, i, tensor) ? tensor->data : NULL,
            .size_bytes = tensor->size_bytes,
        };
    }
    tn_status status = tni_shapes_evaluate_region(run->flow->model, &run->alloc, region, inputs,
                                                  region->input_count, out_table, error);
    tni_free_array(&run->alloc, inputs, room, sizeof(*inputs));
    return status;
}

static void drop_profile(tni_flow_run *run, tni_profile *profile) {
    if (profile->prepared != NULL) {
        tni_store_give(&run->store, profile->prepared->arena_bytes);
        tni_prepared_drop(profile->prepared);
    }
    tni_free(&run->alloc, profile->key, profile->key_bytes);
    *profile = (tni_profile){0};
}

bool tni_flow_drop_oldest(void *user_data) {
    tni_flow_run *run = user_data;
    uint32_t count = run->flow->stage_count * TNI_PROFILES_PER_STAGE;
    tni_profile *oldest = NULL;
    for (uint32_t i = 0; i < count; i++) {
        tni_profile *p = &run->profiles[i];
        bool older = p->prepared != NULL && p->prepared != run->in_use &&
                     (oldest == NULL || p->last_use < oldest->last_use);
        oldest = older ? p : oldest;
    }
    if (oldest != NULL) {
        drop_profile(run, oldest);
    }
    return oldest != NULL;
}

// Makes a region ready within what the cap leaves; regions that are not in use give way.
static tn_status create_within_cap(tni_flow_run *run, const tni_stage *stage,
                                   tni_shape_table *table, tni_prepared **out_prepared,
                                   tn_error *error) {
    tni_prepare_context context = run->context;
    const tni_store *store = &run->store;
    tn_status status = TN_OK;
    tn_error reason;
    do {
        tni_error_init(&reason);
        if (store->cap_bytes > 0) {
            uint64_t left = store->cap_bytes - store->live_bytes;
            context.memory_cap_bytes = left > 0 ? left : 1;
        }
        status = tni_prepared_create(&context, &stage->region, run->flow->plans[stage->id], table,
                                     out_prepared, &reason);
    } while (status == TN_ERROR_LIMIT_EXCEEDED && tni_flow_drop_oldest(run));
    if (status != TN_OK) {
        tni_error_copy(error, &reason);
    }
    return status;
}

static tn_status prepare(tni_flow_run *run, const tni_stage *stage, tni_profile *profile,
                         tn_error *error) {
    uint64_t begin = tni_clock_ns();
    tni_shape_table *table = NULL;
    tni_prepared *prepared = NULL;
    tn_status status = make_table(run, &stage->region, &table, error);
    if (status == TN_OK) {
        status = create_within_cap(run, stage, table, &prepared, error);
    }
    if (status != TN_OK) {
        tni_shape_table_destroy(table);
        return status;
    }
    status = tni_store_take(&run->store, prepared->arena_bytes, error);
    if (status != TN_OK) {
        tni_prepared_drop(prepared);
        return status;
    }
    profile->prepared = prepared;
    run->counts.prepared++;
    run->counts.replanned += prepared->plan != NULL;
    run->counts.prepare_ns += tni_clock_ns() - begin;
    tni_trace_add(run->context.trace, TN_TRACE_PREPARE, TN_NONE, TN_NONE, 0, begin, 0);
    return TN_OK;
}

// The slot of a stage that holds this key, else the one used longest ago, emptied.
static tni_profile *find_profile(tni_flow_run *run, const tni_stage *stage, const uint8_t *key,
                                 uint64_t key_bytes) {
    tni_profile *slots = run->profiles + (uint64_t)stage->id * TNI_PROFILES_PER_STAGE;
    tni_profile *oldest = &slots[0];
    for (uint32_t i = 0; i < TNI_PROFILES_PER_STAGE; i++) {
        if (slots[i].prepared != NULL && slots[i].key_bytes == key_bytes &&
            memcmp(slots[i].key, key, key_bytes) == 0) {
            return &slots[i];
        }
        oldest = slots[i].last_use < oldest->last_use ? &slots[i] : oldest;
    }
    drop_profile(run, oldest);
    return oldest;
}

static tn_status get_prepared(tni_flow_run *run, const tni_stage *stage,
                              tni_prepared **out_prepared, tn_error *error) {
    uint64_t key_bytes = write_key(run, &stage->region, NULL) + 1; // a region may have no inputs
    uint8_t *key = tni_alloc_zeroed(&run->alloc, key_bytes);
    if (key == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a prepared region");
    }
    (void)write_key(run, &stage->region, key);
    tni_profile *profile = find_profile(run, stage, key, key_bytes);
    tn_status status = TN_OK;
    if (profile->prepared != NULL) {
        tni_free(&run->alloc, key, key_bytes);
    } else {
        status = prepare(run, stage, profile, error);
        if (status != TN_OK) {
            tni_free(&run->alloc, key, key_bytes);
            return status;
        }
        profile->key = key;
        profile->key_bytes = key_bytes;
    }
    profile->last_use = ++run->uses;
    *out_prepared = profile->prepared;
    return status;
}

static void bring_in(const tni_flow_run *run, const tni_region *region, tni_execution *execution) {
    for (uint32_t i = 0; i < region->input_count; i++) {
        const tni_tensor *tensor = run->items[region->inputs[i]].tensor;
        uint32_t place = execution->schedule->input_places[i];
        if (tensor->size_bytes > 0) {
            memcpy(tni_execution_host(execution, place), tensor->data, tensor->size_bytes);
        }
    }
}

static tn_status take_output(tni_flow_run *run, const tni_region *region,
                             const tni_prepared *prepared, uint32_t index, tn_error *error) {
    const tni_execution *execution = prepared->execution;
    uint32_t place = execution->schedule->output_places[index];
    const tni_shape *shape = tni_shape_of(prepared->table, region->outputs[index]);
    uint32_t rank = shape->rank;
    const int64_t *dims = shape->dims;
    tni_tensor *tensor = NULL;
    tn_status status = TN_OK;
    if (execution->schedule->places[place].measured) {
        status = tni_execution_measured(execution, index, &rank, &dims, error);
    } else if (!shape->known) {
        const tni_value *value = &run->flow->model->values[region->outputs[index]];
        status = tni_fail_node(error, TN_ERROR_UNSUPPORTED, "flow.unknown-shape", value->producer,
                               region->outputs[index], "the shape of '%.*s' cannot be told",
                               TNI_TEXT(value->name));
    }
    if (status == TN_OK) {
        status = tni_tensor_create(&run->store, shape->dtype, rank, dims, &tensor, error);
    }
    if (status != TN_OK) {
        return status;
    }
    if (tensor->size_bytes > 0) {
        memcpy(tensor->data, tni_execution_host(execution, place), tensor->size_bytes);
    }
    tni_flow_set(run, region->outputs[index], tni_item_of(tensor));
    return TN_OK;
}

static void add_counts(tni_flow_run *run, tni_execution *e) {
    tni_flow_counts *c = &run->counts;
    const tni_counts *planned = &e->schedule->counts;
    c->planned.handovers += planned->handovers;
    c->planned.host_waits += planned->host_waits;
    c->planned.transfers += planned->transfers;
    c->planned.bridges += planned->bridges;
    c->planned.transfer_bytes += planned->transfer_bytes;
    c->counted.handovers += atomic_load(&e->handovers);
    c->counted.host_waits += atomic_load(&e->host_waits);
    c->counted.transfers += atomic_load(&e->transfers);
    c->counted.transfer_bytes += atomic_load(&e->transfer_bytes);
    c->submits += atomic_load(&e->submits);
    c->bridged += atomic_load(&e->bridged);
    c->wait_ns += atomic_load(&e->wait_ns);
    c->transfer_ns += atomic_load(&e->transfer_ns);
    c->kernel_ns += atomic_load(&e->kernel_ns);
    c->worker_wait_ns += atomic_load(&e->worker_wait_ns);
    c->worker_transfer_ns += atomic_load(&e->worker_transfer_ns);
    c->worker_kernel_ns += atomic_load(&e->worker_kernel_ns);
    c->submit_ns += e->submit_ns;
    c->own_ns += tni_execution_own_ns(e);
}

static uint64_t time_left(const tni_flow_run *run) {
    if (run->deadline_ns == UINT64_MAX) {
        return 0; // none
    }
    uint64_t now = tni_clock_ns();
    return run->deadline_ns > now ? run->deadline_ns - now : 1;
}

static void set_current(tni_flow_run *run, tni_execution *execution) {
    tni_mutex_lock(&run->mutex);
    run->current = execution;
    if (execution != NULL) {
        atomic_store(&execution->cancelled, atomic_load(&run->cancelled));
    }
    tni_mutex_unlock(&run->mutex);
}

static tn_status run_prepared(tni_flow_run *run, const tni_region *region,
                              const tni_prepared *prepared, tn_error *error) {
    tni_execution *execution = prepared->execution;
    if (!tni_execution_drained(execution)) {
        return tni_fail(error, TN_ERROR_BUSY, "run.busy",
                        "devices are still at work on a run that was given up");
    }
    uint64_t begin = tni_clock_ns();
    bring_in(run, region, execution);
    run->counts.copy_ns += tni_clock_ns() - begin;
    uint64_t last_run = execution->run;
    set_current(run, execution);
    tn_status status = tni_execution_run(execution, time_left(run), error);
    set_current(run, NULL);
    if (execution->run != last_run) {
        add_counts(run, execution); // one that did not begin has the counts of the run before
    }
    begin = tni_clock_ns();
    for (uint32_t i = 0; i < region->output_count && status == TN_OK; i++) {
        status = take_output(run, region, prepared, i, error);
    }
    run->counts.copy_ns += tni_clock_ns() - begin;
    return status;
}

tn_status tni_flow_run_region(tni_flow_run *run, const tni_stage *stage, tn_error *error) {
    const tni_region *region = &stage->region;
    tni_prepared *prepared = NULL;
    tn_status status = check_inputs(run, region, error);
    if (status == TN_OK) {
        status = get_prepared(run, stage, &prepared, error);
    }
    if (status != TN_OK) {
        return status;
    }
    run->in_use = prepared;
    status = run_prepared(run, region, prepared, error);
    run->in_use = NULL;
    return status;
}
