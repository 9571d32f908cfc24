// SPDX-License-Identifier: Apache-2.0
// The OpenCL plugin's entry and devices: every OpenCL 1.2 device of every platform, through the ICD
// loader. The driver chooses its own threads.
#include "opencl.h"

#include <stdio.h>
#include <string.h>

TN_PLUGIN_EXPORT tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer,
                                             tn_error *error);

#define MAX_PLATFORMS 8u

static const char kernel_source[] =
    "__kernel void add(__global const float *a, ulong a_at, __global const float *b, ulong b_at,\n"
    "                  __global float *out, ulong out_at) {\n"
    "    size_t i = get_global_id(0);\n"
    "    out[out_at + i] = a[a_at + i] + b[b_at + i];\n"
    "}\n"
    // A comparison that lets NaN through, as max(x, 0) of ONNX does.
    "__kernel void relu(__global const float *a, ulong a_at, __global float *out, ulong out_at) {\n"
    "    size_t i = get_global_id(0);\n"
    "    float x = a[a_at + i];\n"
    "    out[out_at + i] = x < 0.0f ? 0.0f : x;\n"
    "}\n";

tn_status ocl_fail(tn_device *device, tn_error *error, cl_int code, const char *what) {
    tn_status status = TN_ERROR_INTERNAL;
    if (code == CL_OUT_OF_HOST_MEMORY || code == CL_MEM_OBJECT_ALLOCATION_FAILURE ||
        code == CL_OUT_OF_RESOURCES) {
        status = TN_ERROR_OUT_OF_MEMORY;
    } else if (code == CL_DEVICE_NOT_AVAILABLE) {
        status = TN_ERROR_DEVICE_LOST;
    }
    if (status == TN_ERROR_DEVICE_LOST && device != NULL) {
        atomic_store(&device->lost, 1u);
    }
    (void)tn_helper_fail(error, status, "opencl.call", "%s: OpenCL error %d", what, code);
    // Afterwards: it clears what it does not fill.
    if (error != NULL && tn_helper_struct_reaches(error, sizeof(*error))) {
        error->domain = TN_DOMAIN_OPENCL;
        error->native_code = code;
    }
    return status;
}

// A driver of a platform may be broken; the others still count.
static void add_devices(tn_plugin *plugin, cl_platform_id platform) {
    cl_device_id found[OCL_MAX_DEVICES];
    cl_uint count = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, OCL_MAX_DEVICES, found, &count) !=
        CL_SUCCESS) {
        return;
    }
    for (cl_uint i = 0; i < count && i < OCL_MAX_DEVICES; i++) {
        cl_bool available = CL_FALSE;
        cl_bool compiler = CL_FALSE;
        (void)clGetDeviceInfo(found[i], CL_DEVICE_AVAILABLE, sizeof(available), &available, NULL);
        (void)clGetDeviceInfo(found[i], CL_DEVICE_COMPILER_AVAILABLE, sizeof(compiler), &compiler,
                              NULL);
        if (available && compiler && plugin->device_count < OCL_MAX_DEVICES) {
            plugin->devices[plugin->device_count++] = found[i];
        }
    }
}

static tn_status probe(tn_plugin *plugin, uint32_t *out_device_count, tn_error *error) {
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint count = 0;
    *out_device_count = 0;
    plugin->device_count = 0;
    cl_int code = clGetPlatformIDs(MAX_PLATFORMS, platforms, &count);
    if (code != CL_SUCCESS || count == 0) {
        return tn_helper_fail(
            error, TN_ERROR_UNSUPPORTED, "opencl.no-platform",
            "the OpenCL ICD loader finds no platform (error %d); install a driver "
            "or pocl-opencl-icd",
            code);
    }
    for (cl_uint i = 0; i < count && i < MAX_PLATFORMS; i++) {
        add_devices(plugin, platforms[i]);
    }
    *out_device_count = plugin->device_count;
    return TN_OK;
}

static cl_device_type type_of(cl_device_id id) {
    cl_device_type type = CL_DEVICE_TYPE_DEFAULT;
    (void)clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
    return type;
}

static void text_info(cl_device_id id, cl_device_info what, char *text, size_t capacity) {
    char full[256] = "";
    (void)clGetDeviceInfo(id, what, sizeof(full) - 1, full, NULL);
    (void)snprintf(text, capacity, "%.*s", (int)capacity - 1, full);
}

static tn_status device_info(tn_plugin *plugin, uint32_t index, tn_device_info *out_info,
                             tn_error *error) {
    if (index >= plugin->device_count) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "no OpenCL device %u", index);
    }
    cl_device_id id = plugin->devices[index];
    cl_device_type type = type_of(id);
    cl_ulong bytes = 0;
    tn_device_info info;
    memset(&info, 0, sizeof(info));
    uint32_t cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
    (void)snprintf(info.name, sizeof(info.name), "%s%u", cpu ? "cpu" : "gpu", index);
    text_info(id, CL_DEVICE_NAME, info.description, sizeof(info.description));
    text_info(id, CL_DEVICE_VENDOR, info.vendor, sizeof(info.vendor));
    text_info(id, CL_DRIVER_VERSION, info.driver, sizeof(info.driver));
    if (cpu) {
        (void)snprintf(info.physical_id, sizeof(info.physical_id), "cpu");
    } else {
        (void)snprintf(info.physical_id, sizeof(info.physical_id), "opencl-%u", index);
    }
    memcpy(info.resource_group, info.physical_id, sizeof(info.resource_group));
    (void)clGetDeviceInfo(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(bytes), &bytes, NULL);
    info.memory_bytes = bytes;
    info.kind = cpu ? TN_DEVICE_KIND_CPU : TN_DEVICE_KIND_GPU;
    info.max_contexts_in_flight = 1024;
    info.heap_count = cpu ? 2 : 1;
    tn_helper_copy_out(out_info, &info, sizeof(info));
    return TN_OK;
}

static void device_close(tn_device *device) {
    if (device == NULL) {
        return;
    }
    const tn_helper_host host = device->plugin->host;
    if (device->queue != NULL) {
        (void)clFinish(device->queue);
        (void)clReleaseCommandQueue(device->queue);
    }
    if (device->program != NULL) {
        (void)clReleaseProgram(device->program);
    }
    if (device->context != NULL) {
        (void)clReleaseContext(device->context);
    }
    if (device->has_mutex) {
        (void)pthread_mutex_destroy(&device->record_mutex);
    }
    tn_helper_free(&host, device, sizeof(*device));
}

static tn_status open_queue(tn_device *device, tn_error *error) {
    cl_int code = CL_SUCCESS;
    cl_command_queue_properties can = 0;
    (void)clGetDeviceInfo(device->id, CL_DEVICE_QUEUE_PROPERTIES, sizeof(can), &can, NULL);
    (void)clGetDeviceInfo(device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(device->max_alloc_bytes),
                          &device->max_alloc_bytes, NULL);
    device->context = clCreateContext(NULL, 1, &device->id, NULL, NULL, &code);
    if (device->context == NULL) {
        return ocl_fail(device, error, code, "clCreateContext");
    }
    device->queue = clCreateCommandQueue(device->context, device->id,
                                         can & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
    if (device->queue == NULL) {
        return ocl_fail(device, error, code, "clCreateCommandQueue");
    }
    const char *source = kernel_source;
    device->program = clCreateProgramWithSource(device->context, 1, &source, NULL, &code);
    if (device->program == NULL) {
        return ocl_fail(device, error, code, "clCreateProgramWithSource");
    }
    code = clBuildProgram(device->program, 1, &device->id, "", NULL, NULL);
    return code == CL_SUCCESS ? TN_OK : ocl_fail(device, error, code, "clBuildProgram");
}

static tn_status device_open(tn_plugin *plugin, const tn_device_open_info *info,
                             tn_device **out_device, tn_error *error) {
    *out_device = NULL;
    if (info->device_index >= plugin->device_count) {
        return tn_helper_fail(error, TN_ERROR_INVALID_ARGUMENT, NULL, "no OpenCL device %u",
                              info->device_index);
    }
    tn_device *device = tn_helper_alloc(&plugin->host, sizeof(*device));
    if (device == NULL) {
        return tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no memory for a device");
    }
    device->plugin = plugin;
    device->id = plugin->devices[info->device_index];
    device->shares_host = (type_of(device->id) & CL_DEVICE_TYPE_CPU) != 0;
    atomic_init(&device->lost, 0u);
    tn_status status = TN_OK;
    device->has_mutex = pthread_mutex_init(&device->record_mutex, NULL) == 0;
    if (!device->has_mutex) {
        status = tn_helper_fail(error, TN_ERROR_OUT_OF_MEMORY, NULL, "no mutex for a device");
    } else {
        status = open_queue(device, error);
    }
    if (status != TN_OK) {
        device_close(device);
        return status;
    }
    *out_device = device;
    return TN_OK;
}

static tn_status shut_down(tn_plugin *plugin, uint64_t timeout_ns, tn_error *error) {
    (void)timeout_ns;
    (void)error;
    const tn_helper_host host = plugin->host;
    tn_helper_free(&host, plugin, sizeof(*plugin));
    return TN_OK;
}

static const tn_core_interface core_table = {
    .base = TN_HELPER_BASE(tn_core_interface, TN_DIGEST_CORE),
    .probe = probe,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .shutdown = shut_down,
};

static const void *get_interface(tn_plugin *plugin, const char *name) {
    static const gpu_table tables[] = {
        {TN_INTERFACE_CORE, &core_table},         {TN_INTERFACE_COMPILE, &gpu_compile_table},
        {TN_INTERFACE_MEMORY, &ocl_memory_table}, {TN_INTERFACE_SYNC, &ocl_sync_table},
        {TN_INTERFACE_EXEC, &ocl_exec_table},
    };
    (void)plugin;
    return gpu_find_table(tables, sizeof(tables) / sizeof(tables[0]), name);
}

tn_status tn_plugin_entry_1(const tn_host_offer *offer, tn_plugin_answer *answer, tn_error *error) {
    return gpu_enter(offer, answer, "opencl", "opencl 0.1.0", get_interface, sizeof(tn_plugin),
                     error);
}
