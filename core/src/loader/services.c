// SPDX-License-Identifier: Apache-2.0
// The host services a plugin calls. Arguments come from the plugin and are checked, not trusted.
#include "loader/services.h"

#include "base/clock.h"
#include "graph/graph.h"

#include <string.h>

// Room for the constants of one model; a model's own limit on constants is far below.
#define KEYS_PER_MODEL ((uint64_t)1 << 32)

tn_status tni_weights_init(tni_weights *weights, const tni_alloc *alloc) {
    memset(weights, 0, sizeof(*weights));
    weights->alloc = *alloc;
    weights->next_key_base = KEYS_PER_MODEL;
    return tni_mutex_init(&weights->mutex);
}

void tni_weights_deinit(tni_weights *weights) {
    tni_free_array(&weights->alloc, weights->models, weights->model_capacity,
                   sizeof(*weights->models));
    tni_mutex_deinit(&weights->mutex);
}

void tni_weights_wipe(tni_weights *weights) {
    atomic_store(&weights->wipes, true);
}

uint64_t tni_weights_reserve(tni_weights *weights) {
    tni_mutex_lock(&weights->mutex);
    uint64_t base = weights->next_key_base;
    weights->next_key_base += KEYS_PER_MODEL;
    tni_mutex_unlock(&weights->mutex);
    return base;
}

tn_status tni_weights_add(tni_weights *weights, struct tni_model *model) {
    void *models = NULL;
    tni_mutex_lock(&weights->mutex);
    models = weights->models;
    tn_status status = tni_grow(&weights->alloc, &models, &weights->model_capacity,
                                (uint64_t)weights->model_count + 1, sizeof(*weights->models));
    weights->models = models;
    if (status == TN_OK) {
        weights->models[weights->model_count++] = model;
    }
    tni_mutex_unlock(&weights->mutex);
    return status;
}

void tni_weights_remove(tni_weights *weights, struct tni_model *model) {
    tni_mutex_lock(&weights->mutex);
    for (uint32_t i = 0; i < weights->model_count; i++) {
        if (weights->models[i] == model) {
            weights->models[i] = weights->models[--weights->model_count];
            break;
        }
    }
    tni_mutex_unlock(&weights->mutex);
}

// The model stays alive without the lock: whoever compiles or runs it holds it.
static struct tni_model *find_model(tni_weights *weights, uint64_t key, uint32_t *out_constant) {
    struct tni_model *found = NULL;
    tni_mutex_lock(&weights->mutex);
    for (uint32_t i = 0; i < weights->model_count && found == NULL; i++) {
        *out_constant = tni_constant_of_key(weights->models[i], key);
        found = *out_constant != TN_NONE ? weights->models[i] : NULL;
    }
    tni_mutex_unlock(&weights->mutex);
    return found;
}

static uint64_t alignment_or_default(uint64_t alignment_bytes) {
    return alignment_bytes == 0 ? TNI_ALIGNMENT : alignment_bytes;
}

static void *service_alloc(tn_host_context *host, uint64_t size_bytes, uint64_t alignment_bytes) {
    void *pointer =
        tni_alloc_bytes(&host->alloc, size_bytes, alignment_or_default(alignment_bytes));
    if (pointer != NULL) {
        atomic_fetch_add(&host->live_bytes, size_bytes);
        atomic_fetch_add(&host->allocation_count, 1);
    }
    return pointer;
}

static void service_free(tn_host_context *host, void *pointer, uint64_t size_bytes,
                         uint64_t alignment_bytes) {
    if (pointer != NULL) {
        atomic_fetch_sub(&host->live_bytes, size_bytes);
        if (host->weights != NULL && atomic_load(&host->weights->wipes)) {
            explicit_bzero(pointer, (size_t)size_bytes);
        }
        tni_free_aligned(&host->alloc, pointer, size_bytes, alignment_or_default(alignment_bytes));
    }
}

static uint32_t service_log_enabled(tn_host_context *host, tn_log_level level) {
    return tni_log_enabled(&host->log, level) ? 1u : 0u;
}

static void service_log(tn_host_context *host, tn_log_level level, tn_string text) {
    int size = text.size_bytes > 1024 ? 1024 : (int)text.size_bytes;
    tni_log_write(&host->log, level, "%.*s", size, text.data == NULL ? "" : text.data);
}

static uint64_t service_clock_ns(tn_host_context *host) {
    (void)host;
    return tni_clock_ns();
}

static uint32_t service_worker_count(tn_host_context *host) {
    return tni_pool_worker_count(host->pool);
}

static void service_parallel_for(tn_host_context *host, uint64_t count, uint64_t grain,
                                 tn_parallel_fn body, void *user_data) {
    tni_pool_run(host->pool, count, grain, body, user_data);
}

static tn_status service_weight_map(tn_host_context *host, uint64_t key, const void **out_data,
                                    uint64_t *out_size_bytes) {
    uint32_t constant = TN_NONE;
    *out_data = NULL;
    *out_size_bytes = 0;
    struct tni_model *model = find_model(host->weights, key, &constant);
    return model == NULL ? TN_ERROR_NOT_FOUND
                         : tni_constant_map(model, constant, out_data, out_size_bytes, NULL);
}

static tn_status service_weight_read(tn_host_context *host, uint64_t key, uint64_t offset_bytes,
                                     uint64_t size_bytes, void *destination) {
    uint32_t constant = TN_NONE;
    struct tni_model *model = find_model(host->weights, key, &constant);
    return model == NULL
               ? TN_ERROR_NOT_FOUND
               : tni_constant_read(model, constant, offset_bytes, size_bytes, destination, NULL);
}

void tni_services_fill(tn_host_services *out_services) {
    *out_services = (tn_host_services){
        .struct_size = sizeof(*out_services),
        .struct_type = TN_STRUCT_HOST_SERVICES,
        .alloc = service_alloc,
        .free = service_free,
        .log_enabled = service_log_enabled,
        .log = service_log,
        .clock_ns = service_clock_ns,
        .worker_count = service_worker_count,
        .parallel_for = service_parallel_for,
        .weight_map = service_weight_map,
        .weight_read = service_weight_read,
    };
}
