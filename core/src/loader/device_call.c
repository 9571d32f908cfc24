// SPDX-License-Identifier: Apache-2.0
// See the header. Every function packs its arguments for a helper that runs on the right thread.
#include "loader/device_call.h"

// What any of the calls needs.
typedef struct call {
    tni_device *device;
    void *object;   // program, context or memory
    const void *in; // the struct that says what is wanted
    void *out;      // where the answer goes
    tn_error *error;
    tn_status status;
} call;

void tni_device_call(tni_device *device, void (*run)(void *user_data), void *user_data) {
    if (tni_device_is(device, TN_DEVICE_OWN_THREADS)) {
        tni_worker_call(device->worker, run, user_data);
    } else {
        run(user_data);
    }
}

static tn_status finish(call *c, void (*run)(void *user_data)) {
    tni_device_call(c->device, run, c);
    return tni_device_note(c->device, c->status);
}

// The same for a constructor, whose out-pointer is read through object once it returned.
static tn_status finish_made(call *c, void (*run)(void *user_data), const char *what) {
    tni_device_call(c->device, run, c);
    return tni_device_made(c->device, c->status, c->object, what, c->error);
}

typedef struct query_call {
    call base;
    const tn_graph_view *view;
} query_call;

static void run_query_support(void *user_data) {
    query_call *q = user_data;
    call *c = &q->base;
    c->status = c->device->plugin->compile.query_support(c->device->handle, q->view, c->in, c->out,
                                                         c->error);
}

tn_status tni_device_query_support(tni_device *device, const tn_graph_view *view,
                                   const tn_query_info *info, tn_verdicts *inout_verdicts,
                                   tn_error *error) {
    query_call q = {{.device = device, .in = info, .out = inout_verdicts, .error = error}, view};
    tni_device_call(device, run_query_support, &q);
    return tni_device_note(device, q.base.status);
}

static void run_compile(void *user_data) {
    call *c = user_data;
    tn_program **out_program = c->out;
    c->status = c->device->plugin->compile.compile(c->device->handle, c->in, out_program, c->error);
    c->object = *out_program;
}

tn_status tni_device_compile(tni_device *device, const tn_compile_info *info,
                             tn_program **out_program, tn_error *error) {
    call c = {.device = device, .in = info, .out = out_program, .error = error};
    return finish_made(&c, run_compile, "compile");
}

static void run_program_info(void *user_data) {
    call *c = user_data;
    c->status = c->device->plugin->compile.program_info(c->object, c->out, c->error);
}

tn_status tni_device_program_info(tni_device *device, tn_program *program,
                                  tn_program_info *out_info, tn_error *error) {
    call c = {.device = device, .object = program, .out = out_info, .error = error};
    return finish(&c, run_program_info);
}

typedef struct port_call {
    call base;
    uint32_t capacity;
    uint32_t *out_count;
} port_call;

static void run_port_query(void *user_data) {
    port_call *p = user_data;
    call *c = &p->base;
    c->status = c->device->plugin->compile.port_query(c->object, c->in, c->out, p->capacity,
                                                      p->out_count, c->error);
}

tn_status tni_device_port_query(tni_device *device, tn_program *program, const tn_port_query *query,
                                tn_port_info *ports, uint32_t port_capacity,
                                uint32_t *out_port_count, tn_error *error) {
    port_call p = {{.device = device, .object = program, .in = query, .out = ports, .error = error},
                   port_capacity,
                   out_port_count};
    tni_device_call(device, run_port_query, &p);
    return tni_device_note(device, p.base.status);
}

static void run_memory_alloc(void *user_data) {
    call *c = user_data;
    tn_memory **out_memory = c->out;
    c->status =
        c->device->plugin->memory.memory_alloc(c->device->handle, c->in, out_memory, c->error);
    c->object = *out_memory;
}

tn_status tni_device_memory_alloc(tni_device *device, const tn_memory_alloc_info *info,
                                  tn_memory **out_memory, tn_error *error) {
    call c = {.device = device, .in = info, .out = out_memory, .error = error};
    return finish_made(&c, run_memory_alloc, "memory_alloc");
}

static void run_memory_import(void *user_data) {
    call *c = user_data;
    tn_memory **out_memory = c->out;
    c->status =
        c->device->plugin->memory.memory_import(c->device->handle, c->in, out_memory, c->error);
    c->object = *out_memory;
}

tn_status tni_device_memory_import(tni_device *device, const tn_memory_import_info *info,
                                   tn_memory **out_memory, tn_error *error) {
    call c = {.device = device, .in = info, .out = out_memory, .error = error};
    return finish_made(&c, run_memory_import, "memory_import");
}

static void run_context_create(void *user_data) {
    call *c = user_data;
    tn_context **out_context = c->out;
    c->status =
        c->device->plugin->exec.context_create(c->device->handle, c->in, out_context, c->error);
    c->object = *out_context;
}

tn_status tni_device_context_create(tni_device *device, const tn_context_create_info *info,
                                    tn_context **out_context, tn_error *error) {
    call c = {.device = device, .in = info, .out = out_context, .error = error};
    return finish_made(&c, run_context_create, "context_create");
}

static void run_context_prepare(void *user_data) {
    call *c = user_data;
    c->status = c->device->plugin->exec.context_prepare(c->object, c->in, c->error);
}

tn_status tni_device_context_prepare(tni_device *device, tn_context *context,
                                     const tn_prepare_info *info, tn_error *error) {
    call c = {.device = device, .object = context, .in = info, .error = error};
    return finish(&c, run_context_prepare);
}

static void run_program_destroy(void *user_data) {
    const call *c = user_data;
    c->device->plugin->compile.program_destroy(c->object);
}

void tni_device_program_destroy(tni_device *device, tn_program *program) {
    if (program != NULL) {
        tni_device_call(device, run_program_destroy, &(call){.device = device, .object = program});
    }
}

static void run_memory_free(void *user_data) {
    const call *c = user_data;
    c->device->plugin->memory.memory_free(c->object);
}

void tni_device_memory_free(tni_device *device, tn_memory *memory) {
    if (memory != NULL) {
        tni_device_call(device, run_memory_free, &(call){.device = device, .object = memory});
    }
}

static void run_context_destroy(void *user_data) {
    const call *c = user_data;
    c->device->plugin->exec.context_destroy(c->object);
}

void tni_device_context_destroy(tni_device *device, tn_context *context) {
    if (context != NULL) {
        tni_device_call(device, run_context_destroy, &(call){.device = device, .object = context});
    }
}
