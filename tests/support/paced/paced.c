// SPDX-License-Identifier: Apache-2.0
// Emulated devices that take real time. The kernels are the reference plugin's; what is paced is
// how long they take. Built twice: "paced_npu" has memory of its own, a launch that costs, copies
// at a rate, and knows the ops of convolutional networks; "paced_cpu" knows everything, in host
// memory, and takes SLOWER times as long as the kernels need. Nothing here says how fast real
// devices are.
#include "tenon/abi/compile.h"
#include "tenon/abi/exec.h"
#include "tenon/abi/plugin.h"
#include "tenon/helper/negotiate.h"
#include "tenon/helper/verdicts.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#if PACED_NPU
#define NAME "paced_npu"
#define SLOWER 1u
#define LAUNCH_NS 150000u // spent by every island
#define COPY_NS 20000u    // spent by every copy, and
#define COPY_BYTES_PER_SECOND 2000000000u
#else
#define NAME "paced_cpu"
#define SLOWER 4u
#define LAUNCH_NS 0u
#define COPY_NS 0u
#define COPY_BYTES_PER_SECOND 0u
#endif

#define MAX_OPS 256u
#define MAX_SIGNALS 64u

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);
TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

// A run is held back until its time has passed: reference signals a fence of ours, and the host's
// are raised afterwards.
struct tn_context {
    tn_context *own; // reference's
    tn_fence *done;
    uint64_t runs;
};

// A plugin's tables know no plugin; there is one of it.
static struct {
    tn_helper_host host;
    const void *(*get_interface)(tn_plugin *plugin, const char *name); // reference's
    tn_core_interface core;
    tn_compile_interface compile;
    tn_memory_interface memory;
    tn_sync_interface sync;
    tn_exec_interface exec;
    tn_op_record ops[MAX_OPS];
    uint32_t op_count;
} paced;

// What the others do is reference's own.
static tn_core_interface core_table;
static tn_compile_interface compile_table;
static tn_memory_interface memory_table;
static tn_exec_interface exec_table;

static uint64_t read_clock(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void) {
    return read_clock(CLOCK_MONOTONIC);
}

// Spins: a sleep ends when the kernel sees fit, which is no pace.
static void spend_until(uint64_t when_ns) {
    while (now_ns() < when_ns) {
    }
}

static bool is_known(const char *op_type) {
    static const char *const known[] = {
        "Add",
        "Mul",
        "Sub",
        "Relu",
        "Clip",
        "Sigmoid",
        "Tanh",
        "Conv",
        "MatMul",
        "Gemm",
        "MaxPool",
        "GlobalAveragePool",
        "AveragePool",
        "Concat",
        "Pad",
        "Reshape",
        "Flatten",
        "Transpose",
        "ConvTranspose",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "BatchNormalization",
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i], op_type) == 0) {
            return true;
        }
    }
    return PACED_NPU == 0;
}

static tn_status device_info(tn_plugin *plugin, uint32_t index, tn_device_info *out_info,
                             tn_error *error) {
    const tn_status status = paced.core.device_info(plugin, index, out_info, error);
    if (status != TN_OK) {
        return status;
    }
    (void)snprintf(out_info->name, sizeof(out_info->name), PACED_NPU ? "npu" : "cpu");
    (void)snprintf(out_info->description, sizeof(out_info->description),
                   "Emulated: reference kernels, paced");
    (void)snprintf(out_info->physical_id, sizeof(out_info->physical_id), NAME);
    (void)snprintf(out_info->resource_group, sizeof(out_info->resource_group), NAME);
    out_info->flags |= TN_DEVICE_EMULATED;
    out_info->flops_per_second /= SLOWER;
    out_info->bytes_per_second /= SLOWER;
    if (PACED_NPU) {
        out_info->kind = TN_DEVICE_KIND_NPU;
        out_info->flags &= ~(TN_DEVICE_INLINE | TN_DEVICE_HOST_MEMORY);
        out_info->dispatch_ns = LAUNCH_NS;
    }
    return TN_OK;
}

static tn_status op_list(tn_device *device, tn_op_list *out_ops, tn_error *error) {
    tn_op_list all = {.struct_size = sizeof(all), .struct_type = TN_STRUCT_OP_LIST};
    const tn_status status = paced.compile.op_list(device, &all, error);
    paced.op_count = 0;
    for (uint32_t i = 0; i < all.op_count && paced.op_count < MAX_OPS; i++) {
        const unsigned char *base = (const unsigned char *)(const void *)all.ops;
        tn_op_record record;
        memcpy(&record, base + (uint64_t)i * all.op_stride_bytes, sizeof(record));
        if (is_known(record.op_type)) {
            paced.ops[paced.op_count++] = record;
        }
    }
    out_ops->ops = paced.ops;
    out_ops->op_count = paced.op_count;
    out_ops->op_stride_bytes = sizeof(tn_op_record);
    return status;
}

static tn_status query_support(tn_device *device, const tn_graph_view *view,
                               const tn_query_info *info, tn_verdicts *verdicts, tn_error *error) {
    const tn_status status = paced.compile.query_support(device, view, info, verdicts, error);
    for (uint32_t i = 0; i < view->nodes.count && status == TN_OK; i++) {
        const tn_op_record *record = NULL;
        tn_node_verdict refusal;
        if (!tn_helper_find_op(view, tn_view_node(view, i), paced.ops, paced.op_count,
                               sizeof(tn_op_record), &record, &refusal)) {
            tn_helper_put_verdict(verdicts, i, &refusal);
        }
    }
    return status;
}

static tn_status heap_info(tn_device *device, uint32_t heap, tn_heap_info *out_info,
                           tn_error *error) {
    const tn_status status = paced.memory.heap_info(device, heap, out_info, error);
    out_info->flags = TN_HEAP_DEVICE_LOCAL;
    out_info->import_alignment_bytes = 0;
    out_info->import_granularity_bytes = 0;
    return status;
}

static tn_status memory_import(tn_device *device, const tn_memory_import_info *info,
                               tn_memory **out_memory, tn_error *error) {
    (void)device;
    (void)info;
    *out_memory = NULL;
    return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "it has memory of its own");
}

static tn_status memory_map(tn_memory *memory, uint64_t offset_bytes, uint64_t size_bytes,
                            void **out_pointer, tn_error *error) {
    (void)memory;
    (void)offset_bytes;
    (void)size_bytes;
    *out_pointer = NULL;
    return tn_helper_fail(error, TN_ERROR_UNSUPPORTED, NULL, "the host cannot see this heap");
}

// Signals come last in reference's copy, so the time is spent before it.
static tn_status copy(tn_device *device, const tn_copy_info *info, tn_error *error) {
    const uint64_t rate = COPY_BYTES_PER_SECOND > 0 ? COPY_BYTES_PER_SECOND : 1;
    spend_until(now_ns() + COPY_NS + info->size_bytes * 1000000000u / rate);
    return paced.memory.copy(device, info, error);
}

static tn_status context_create(tn_device *device, const tn_context_create_info *info,
                                tn_context **out_context, tn_error *error) {
    const tn_fence_create_info fence = {.struct_size = sizeof(fence),
                                        .struct_type = TN_STRUCT_FENCE_CREATE_INFO};
    *out_context = NULL;
    tn_context *context = tn_helper_alloc(&paced.host, sizeof(*context));
    if (context == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "context: no memory");
    }
    tn_status status = paced.exec.context_create(device, info, &context->own, error);
    if (status == TN_OK) {
        status = paced.sync.fence_create(device, &fence, &context->done, error);
    }
    if (status != TN_OK) {
        paced.exec.context_destroy(context->own);
        tn_helper_free(&paced.host, context, sizeof(*context));
        return status;
    }
    *out_context = context;
    return TN_OK;
}

static void context_destroy(tn_context *context) {
    if (context != NULL) {
        paced.exec.context_destroy(context->own);
        paced.sync.fence_destroy(context->done);
        tn_helper_free(&paced.host, context, sizeof(*context));
    }
}

static tn_status context_prepare(tn_context *context, const tn_prepare_info *info,
                                 tn_error *error) {
    return paced.exec.context_prepare(context->own, info, error);
}

static tn_status cancel(tn_context *context, tn_error *error) {
    return paced.exec.cancel(context->own, error);
}

// A run that fails fails the fence for good; so does a real device's context.
static tn_status submit(tn_context *context, const tn_submit_info *info, tn_error *error) {
    const tn_fence_point point = {context->done, ++context->runs};
    tn_fence_point signals[MAX_SIGNALS];
    tn_submit_info own = *info;
    const uint64_t signal_count = info->signal_count;
    if (signal_count > MAX_SIGNALS) {
        return tn_helper_fail(error, TN_ERROR_LIMIT_EXCEEDED, NULL, "more than %u signals",
                              MAX_SIGNALS);
    }
    if (signal_count > 0) {
        memcpy(signals, info->signals, signal_count * sizeof(signals[0]));
    }
    own.signals = &point;
    own.signal_count = 1;
    // What the kernels computed, not how long another process held them up.
    const uint64_t begin = read_clock(CLOCK_THREAD_CPUTIME_ID);
    const tn_status status = paced.exec.submit(context->own, &own, error);
    if (status != TN_OK) {
        context->runs--;
        return status;
    }
    const uint64_t spent = read_clock(CLOCK_THREAD_CPUTIME_ID) - begin;
    spend_until(now_ns() + LAUNCH_NS + spent * (SLOWER - 1));
    uint64_t reached = 0;
    const tn_status result = paced.sync.fence_query(context->done, &reached, NULL);
    for (uint64_t i = 0; i < signal_count; i++) {
        (void)(result == TN_OK ? paced.sync.fence_signal(signals[i].fence, signals[i].value, NULL)
                               : paced.sync.fence_fail(signals[i].fence, result, NULL));
    }
    return TN_OK;
}

static void make_tables(tn_plugin *plugin) {
    memcpy(&paced.core, paced.get_interface(plugin, TN_INTERFACE_CORE), sizeof(paced.core));
    memcpy(&paced.compile, paced.get_interface(plugin, TN_INTERFACE_COMPILE),
           sizeof(paced.compile));
    memcpy(&paced.memory, paced.get_interface(plugin, TN_INTERFACE_MEMORY), sizeof(paced.memory));
    memcpy(&paced.sync, paced.get_interface(plugin, TN_INTERFACE_SYNC), sizeof(paced.sync));
    memcpy(&paced.exec, paced.get_interface(plugin, TN_INTERFACE_EXEC), sizeof(paced.exec));
    core_table = paced.core;
    core_table.device_info = device_info;
    compile_table = paced.compile;
    compile_table.op_list = op_list;
    compile_table.query_support = query_support;
    memory_table = paced.memory;
    if (PACED_NPU) {
        memory_table.heap_info = heap_info;
        memory_table.memory_import = memory_import;
        memory_table.memory_map = memory_map;
        memory_table.copy = copy;
    }
    exec_table = paced.exec;
    exec_table.context_create = context_create;
    exec_table.context_prepare = context_prepare;
    exec_table.submit = submit;
    exec_table.cancel = cancel;
    exec_table.context_destroy = context_destroy;
}

static const void *get_interface(tn_plugin *plugin, const char *name) {
    const struct {
        const char *name;
        const void *table;
    } tables[] = {
        {TN_INTERFACE_CORE, &core_table},
        {TN_INTERFACE_COMPILE, &compile_table},
        {TN_INTERFACE_MEMORY, &memory_table},
        {TN_INTERFACE_EXEC, &exec_table},
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (strcmp(tables[i].name, name) == 0) {
            return tables[i].table;
        }
    }
    return paced.get_interface(plugin, name);
}

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    const tn_status status = tn_plugin_entry_1_reference(offer, answer, error);
    if (status == TN_OK) {
        paced.host = (tn_helper_host){offer->services, offer->host};
        paced.get_interface = answer->get_interface;
        make_tables(answer->plugin);
        answer->get_interface = get_interface;
        answer->name = NAME;
        answer->build = NAME " 1";
    }
    return status;
}
