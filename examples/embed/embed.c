// SPDX-License-Identifier: Apache-2.0
// The shortest whole program: runs a model once on whatever the machine has, in 40 lines.
#include <stdio.h>
#include <tenon/tenon.h>

static int done(const char *what, const tn_error *error) {
    fprintf(stderr, "%s: %s\n", what, error->text);
    return 1;
}

int main(int argc, char **argv) {
    tn_host *host = NULL;
    tn_model *model = NULL;
    tn_compiled *compiled = NULL;
    tn_request *request = NULL;
    tn_error error;
    tn_host_config config;
    tn_tensor_view out = {.struct_size = sizeof out, .struct_type = TN_STRUCT_TENSOR_VIEW};
    const int64_t dims[] = {1, 1, 8, 8};
    const tn_input_shape shape = {0, 4, dims};
    float image[64] = {0};
    int code = 0;

    tn_error_init(&error);
    tn_host_config_init(&config);
    if (tn_host_create(&config, &host, &error) != TN_OK ||
        tn_model_load_file(host, argc > 1 ? argv[1] : "digits.onnx", NULL, &model, &error) != 0 ||
        tn_compile(model, NULL, &compiled, &error) != TN_OK ||
        tn_request_create(compiled, NULL, &request, &error) != TN_OK ||
        tn_request_prepare(request, &shape, 1, &error) != TN_OK ||
        tn_request_write(request, 0, image, sizeof image, &error) != TN_OK ||
        tn_request_run(request, 0, &error) != TN_OK ||
        tn_request_output(request, 0, &out) != TN_OK) {
        code = done("embed", &error);
    }
    for (uint64_t i = 0; code == 0 && i < out.size_bytes / sizeof(float); i++) {
        printf("class %llu: %.4f\n", (unsigned long long)i, (double)((float *)out.data)[i]);
    }
    tn_request_destroy(request);
    tn_compiled_release(compiled);
    tn_model_release(model);
    tn_host_release(host);
    return code;
}
