// SPDX-License-Identifier: Apache-2.0
// Classifies handwritten digits it has never seen, draws some of them, and says what ran where.
//
//     digits MODEL HELD_OUT [--draw N]
//
// HELD_OUT holds, for every image, one byte label and 64 bytes of pixels from 0 to 16.
#include "tenon/tenon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIXELS 64
#define CLASSES 10
#define MAX_IMAGES 4096

typedef struct digits {
    unsigned char *records; // 1 + PIXELS bytes each
    uint32_t count;
} digits;

static int fail(const char *what, const tn_error *error) {
    fprintf(stderr, "digits: %s: %s\n", what, error->text);
    return 3;
}

static int read_digits(const char *path, digits *out) {
    FILE *file = fopen(path, "rb");
    size_t record = 1 + PIXELS;
    out->records = malloc(MAX_IMAGES * record);
    if (file == NULL || out->records == NULL) {
        perror(path);
        if (file != NULL) {
            fclose(file);
        }
        return 2;
    }
    out->count = (uint32_t)fread(out->records, record, MAX_IMAGES, file);
    fclose(file);
    if (out->count == 0) {
        fprintf(stderr, "digits: %s holds no image\n", path);
        return 2;
    }
    return 0;
}

static void draw(const unsigned char *record, uint32_t answer, float probability) {
    static const char *const shades[] = {"  ", "░░", "▒▒", "▓▓", "██"};
    for (int y = 0; y < 8; y++) {
        printf("    ");
        for (int x = 0; x < 8; x++) {
            printf("%s", shades[(record[1 + y * 8 + x] + 3) / 4]);
        }
        if (y == 3) {
            printf("   it is a %u, with %.1f %%", answer, (double)probability * 100);
        }
        if (y == 4) {
            printf("   labelled %u%s", record[0], answer == record[0] ? "" : "  (wrong)");
        }
        putchar('\n');
    }
    putchar('\n');
}

static void report(tn_host *host, tn_model *model, tn_compiled *compiled, tn_request *request) {
    tn_model_summary m = {.struct_size = sizeof(m), .struct_type = TN_STRUCT_MODEL_SUMMARY};
    tn_plan_summary p = {.struct_size = sizeof(p), .struct_type = TN_STRUCT_PLAN_SUMMARY};
    tn_run_stats s = {.struct_size = sizeof(s), .struct_type = TN_STRUCT_RUN_STATS};
    if (tn_model_summary_get(model, &m) != TN_OK || tn_compiled_plan_get(compiled, &p) != TN_OK ||
        tn_request_stats(request, &s) != TN_OK) {
        return;
    }
    for (uint32_t i = 0; i < p.island_count; i++) {
        tn_island_desc island = {.struct_size = sizeof(island),
                                 .struct_type = TN_STRUCT_ISLAND_DESC};
        tn_device_desc device = {.struct_size = sizeof(device),
                                 .struct_type = TN_STRUCT_DEVICE_DESC};
        if (tn_compiled_island_get(compiled, i, &island) == TN_OK &&
            tn_host_device_get(host, island.device, &device) == TN_OK) {
            printf("  %-24s ran %u of %u nodes\n", device.id, island.node_count, m.node_count);
        }
    }
    printf("  load %.2f ms, compile %.2f ms, prepare %.2f ms, run %.2f ms\n",
           (double)m.load_ns / 1e6, (double)p.compile_ns / 1e6, (double)s.prepare_ns / 1e6,
           (double)s.run_ns / 1e6);
    printf("  %u handovers, %u host waits, %u transfers\n", s.handovers, s.host_waits, s.transfers);
}

// All images in one batch. Returns how many were right, or a negative number.
static int classify(tn_host *host, tn_model *model, tn_request *request, tn_compiled *compiled,
                    const digits *d, uint32_t drawn, tn_error *error) {
    const int64_t dims[] = {d->count, 1, 8, 8};
    const tn_input_shape shape = {0, 4, dims};
    tn_tensor_view in = {.struct_size = sizeof(in), .struct_type = TN_STRUCT_TENSOR_VIEW};
    tn_tensor_view out = in;
    if (tn_request_prepare(request, &shape, 1, error) != TN_OK ||
        tn_request_input(request, 0, &in) != TN_OK) {
        return -fail("prepare", error);
    }
    float *pixels = in.data;
    for (uint32_t i = 0; i < d->count * PIXELS; i++) {
        pixels[i] = (float)d->records[i / PIXELS * (1 + PIXELS) + 1 + i % PIXELS] / 16.0f;
    }
    if (tn_request_run(request, 0, error) != TN_OK ||
        tn_request_output(request, 0, &out) != TN_OK) {
        return -fail("run", error);
    }
    int right = 0;
    const float *rows = out.data;
    for (uint32_t i = 0; i < d->count; i++) {
        const float *row = rows + i * CLASSES;
        uint32_t best = 0;
        for (uint32_t k = 1; k < CLASSES; k++) {
            best = row[k] > row[best] ? k : best;
        }
        right += best == d->records[i * (1 + PIXELS)];
        if (i < drawn) {
            draw(d->records + i * (1 + PIXELS), best, row[best]);
        }
    }
    report(host, model, compiled, request);
    return right;
}

static int run(const char *path, const digits *d, uint32_t drawn) {
    tn_host *host = NULL;
    tn_model *model = NULL;
    tn_compiled *compiled = NULL;
    tn_request *request = NULL;
    tn_host_config config;
    tn_error error;
    int code = 0;
    tn_error_init(&error);
    tn_host_config_init(&config);
    if (tn_host_create(&config, &host, &error) != TN_OK) {
        code = fail("host", &error);
    } else if (tn_model_load_file(host, path, NULL, &model, &error) != TN_OK) {
        code = fail("load", &error);
    } else if (tn_compile(model, NULL, &compiled, &error) != TN_OK) {
        code = fail("compile", &error);
    } else if (tn_request_create(compiled, NULL, &request, &error) != TN_OK) {
        code = fail("request", &error);
    } else {
        int right = classify(host, model, request, compiled, d, drawn, &error);
        code = right < 0 ? -right : 0;
        if (right >= 0) {
            printf("  %d of %u held-out images right (%.2f %%)\n", right, d->count,
                   100.0 * right / d->count);
        }
    }
    tn_request_destroy(request);
    tn_compiled_release(compiled);
    tn_model_release(model);
    tn_host_release(host);
    return code;
}

int main(int argc, char **argv) {
    digits d = {0};
    uint32_t drawn = 4;
    if (argc != 3 && (argc != 5 || strcmp(argv[3], "--draw") != 0)) {
        fprintf(stderr, "usage: digits MODEL HELD_OUT [--draw N]\n");
        return 2;
    }
    if (argc == 5) {
        drawn = (uint32_t)strtoul(argv[4], NULL, 10);
    }
    int code = read_digits(argv[2], &d);
    if (code == 0) {
        code = run(argv[1], &d, drawn);
    }
    free(d.records);
    return code;
}
