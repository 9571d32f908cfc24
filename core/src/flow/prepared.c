// SPDX-License-Identifier: Apache-2.0
// From shapes to an execution: choose or make the plan, lay out the run, get its memory.
#include "flow/prepared.h"

#include "base/error.h"

#include <string.h>

static void destroy(void *user_data) {
    tni_prepared *prepared = user_data;
    tni_keeper keeper = prepared->keeper;
    tni_alloc alloc = prepared->alloc;
    tni_shape_table_destroy(prepared->table);
    tni_plan_destroy(prepared->plan);
    tni_states_release(prepared->states);
    tni_free(&alloc, prepared, sizeof(*prepared));
    keeper.let_go(keeper.user_data);
}

// With states in place if all plugins can, else without.
static tn_status lay_out(const tni_prepare_context *context, const tni_plan *plan,
                         tni_prepared *prepared, const tn_symbol_value *symbols,
                         uint32_t symbol_count, tni_schedule **out_schedule, tn_error *error) {
    tni_state_set *states = context->states;
    if (states != NULL && states->external_count > 0) {
        tn_error reason;
        tni_error_init(&reason);
        tn_status status =
            tni_schedule_create(&context->alloc, plan, prepared->table, symbols, symbol_count,
                                states->externals, states->external_count, out_schedule, &reason);
        if (status == TN_OK) {
            tni_states_retain(states);
            prepared->states = states;
        }
        if (status != TN_ERROR_UNSUPPORTED || strcmp(reason.id, "schedule.state") != 0) {
            tni_error_copy(error, &reason);
            return status;
        }
    }
    return tni_schedule_create(&context->alloc, plan, prepared->table, symbols, symbol_count, NULL,
                               0, out_schedule, error);
}

static tn_status make_execution(const tni_prepare_context *context, const tni_plan *plan,
                                tni_prepared *prepared, const tn_symbol_value *symbols,
                                uint32_t symbol_count, tn_error *error) {
    tni_schedule *schedule = NULL;
    tn_status status = lay_out(context, plan, prepared, symbols, symbol_count, &schedule, error);
    if (status == TN_OK) {
        status = tni_memory_check(schedule, context->flow->model->max_tensor_bytes, error);
    }
    if (status == TN_OK) {
        status = tni_memory_plan(schedule, context->memory_cap_bytes, error);
    }
    for (uint32_t i = 0; status == TN_OK && i < schedule->space_count; i++) {
        prepared->arena_bytes += schedule->spaces[i].arena_bytes;
    }
    if (status == TN_OK) {
        status =
            tni_execution_create(&context->alloc, context->trace, schedule, symbols, symbol_count,
                                 context->sensitive, &prepared->execution, error);
    }
    if (status != TN_OK) {
        tni_schedule_destroy(schedule);
        return status;
    }
    prepared->execution->release = destroy;
    prepared->execution->release_user_data = prepared;
    return TN_OK;
}

static tn_status make(const tni_prepare_context *context, const tni_region *region,
                      const tni_plan *plan, tni_prepared *prepared, tn_error *error) {
    const tni_shape_table *table = prepared->table;
    tn_status status = TN_OK;
    if (plan == NULL || !tni_plan_holds(plan, table) ||
        !tni_shapes_agree(context->flow->model, region, table)) {
        status = tni_flow_plan_for(context->flow, region, table, &prepared->plan, error);
        plan = prepared->plan;
    }
    uint64_t room = (uint64_t)table->symbol_count + 1;
    tn_symbol_value *symbols = tni_alloc_array(&context->alloc, room, sizeof(*symbols));
    if (status == TN_OK && symbols == NULL) {
        status = tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "shape symbols");
    }
    for (uint32_t i = 0; status == TN_OK && i < table->symbol_count; i++) {
        symbols[i] = (tn_symbol_value){.symbol = i, .size = table->symbol_sizes[i]};
    }
    if (status == TN_OK) {
        status = make_execution(context, plan, prepared, symbols, table->symbol_count, error);
    }
    tni_free_array(&context->alloc, symbols, room, sizeof(*symbols));
    return status;
}

tn_status tni_prepared_create(const tni_prepare_context *context, const tni_region *region,
                              const tni_plan *plan, tni_shape_table *table,
                              tni_prepared **out_prepared, tn_error *error) {
    *out_prepared = NULL;
    tni_prepared *prepared = tni_alloc_zeroed(&context->alloc, sizeof(*prepared));
    if (prepared == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "a prepared region");
    }
    prepared->alloc = context->alloc;
    prepared->keeper = context->keeper;
    prepared->table = table;
    prepared->keeper.hold(prepared->keeper.user_data);
    tn_status status = make(context, region, plan, prepared, error);
    if (status != TN_OK) {
        prepared->table = NULL; // stays the caller's
        destroy(prepared);
        return status;
    }
    *out_prepared = prepared;
    return TN_OK;
}

void tni_prepared_drop(tni_prepared *prepared) {
    if (prepared == NULL) {
        return;
    }
    tni_execution *execution = prepared->execution;
    tni_execution_abandon(execution);
    prepared->keeper.retire(prepared->keeper.user_data, execution);
}
