// SPDX-License-Identifier: Apache-2.0
// Records of waits and signals under way. Contexts reserve what one submit can need, so that
// submit finds them and allocates nothing (ABI-81); copies allocate their own.
#include "opencl.h"

void ocl_records_release(tn_device *device, uint32_t count) {
    const tn_helper_host *host = &device->plugin->host;
    ocl_record *freed = NULL;
    (void)pthread_mutex_lock(&device->record_mutex);
    for (uint32_t i = 0; i < count; i++) {
        ocl_record *one = device->records;
        if (one == NULL) {
            // Still in the hands of a callback that is about to end: freed when given back.
            device->surplus += count - i;
            break;
        }
        device->records = one->next;
        one->next = freed;
        freed = one;
    }
    (void)pthread_mutex_unlock(&device->record_mutex);
    while (freed != NULL) {
        ocl_record *next = freed->next;
        tn_helper_free(host, freed, sizeof(*freed));
        freed = next;
    }
}

tn_status ocl_records_reserve(tn_device *device, uint32_t count, tn_error *error) {
    for (uint32_t i = 0; i < count; i++) {
        ocl_record *one = tn_helper_alloc(&device->plugin->host, sizeof(*one));
        if (one == NULL) {
            ocl_records_release(device, i);
            return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL,
                                  "no memory for waits and signals");
        }
        one->reserved = 1;
        (void)pthread_mutex_lock(&device->record_mutex);
        one->next = device->records;
        device->records = one;
        (void)pthread_mutex_unlock(&device->record_mutex);
    }
    return TN_OK;
}

ocl_record *ocl_record_take(tn_device *device, uint32_t reserved) {
    ocl_record *one = NULL;
    if (reserved) {
        (void)pthread_mutex_lock(&device->record_mutex);
        one = device->records;
        if (one != NULL) {
            device->records = one->next;
        }
        (void)pthread_mutex_unlock(&device->record_mutex);
    }
    if (one != NULL) {
        *one = (ocl_record){.reserved = 1};
        return one;
    }
    // Beyond the reserve only when one context has several submits under way.
    return tn_helper_alloc(&device->plugin->host, sizeof(*one));
}

void ocl_record_give(tn_device *device, ocl_record *record) {
    uint32_t keep = 0;
    if (record->reserved) {
        (void)pthread_mutex_lock(&device->record_mutex);
        keep = device->surplus == 0;
        if (keep) {
            record->next = device->records;
            device->records = record;
        } else {
            device->surplus--;
        }
        (void)pthread_mutex_unlock(&device->record_mutex);
    }
    if (!keep) {
        tn_helper_free(&device->plugin->host, record, sizeof(*record));
    }
}
