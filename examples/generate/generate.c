// SPDX-License-Identifier: Apache-2.0
// Generates tokens, always the likeliest, with a decoder that has a key-value cache: inputs
// input_ids and past_*, outputs present_* and logits. The request keeps the cache, so that a token
// writes its own rows and nothing else. --stateless carries the cache by hand, for comparison.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenon/tenon.h>
#include <time.h>

#define MAX_STATES 64u

typedef struct session {
    tn_host *host;
    tn_model *model;
    tn_compiled *compiled;
    tn_request *request;
    tn_error error;
    const char *device;
    uint32_t tokens;
    int64_t batch;
    bool stateless;
    uint32_t state_count;
    tn_state_desc states[MAX_STATES];
    void *cache[MAX_STATES]; // stateless: what came out last
    uint64_t cache_bytes[MAX_STATES];
    uint64_t first_bytes; // written into states by the first token, and by the last
    uint64_t last_bytes;
    uint64_t in_place;
} session;

static double now(void) {
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

// The states that the model shows by its form, with room for all tokens.
static tn_status make_request(session *s) {
    tn_state_config pairs[MAX_STATES];
    tn_request_config config;
    tn_request_config_init(&config);
    s->state_count = tn_model_state_count(s->model);
    if (s->state_count == 0 || s->state_count > MAX_STATES) {
        snprintf(s->error.text, sizeof(s->error.text), "the model shows %u states", s->state_count);
        return TN_ERROR_INVALID_ARGUMENT;
    }
    for (uint32_t i = 0; i < s->state_count; i++) {
        s->states[i] = (tn_state_desc){.struct_size = sizeof(tn_state_desc),
                                       .struct_type = TN_STRUCT_STATE_DESC};
        tn_status status = tn_model_state_get(s->model, i, &s->states[i]);
        if (status != TN_OK) {
            return status;
        }
        tn_state_config_init(&pairs[i]);
        pairs[i].input = s->states[i].input;
        pairs[i].output = s->states[i].output;
        pairs[i].axis = s->states[i].axis;
        pairs[i].capacity = s->tokens;
    }
    config.states = pairs;
    config.state_count = s->stateless ? 0 : s->state_count;
    return tn_request_create(s->compiled, &config, &s->request, &s->error);
}

static tn_status open_session(session *s, const char *path) {
    tn_host_config host;
    tn_compile_config compile;
    tn_host_config_init(&host);
    tn_compile_config_init(&compile);
    compile.devices = &s->device;
    compile.device_count = s->device != NULL ? 1 : 0;
    tn_status status = tn_host_create(&host, &s->host, &s->error);
    if (status == TN_OK) {
        status = tn_model_load_file(s->host, path, NULL, &s->model, &s->error);
    }
    if (status == TN_OK) {
        status = tn_compile(s->model, &compile, &s->compiled, &s->error);
    }
    return status == TN_OK ? make_request(s) : status;
}

// Shapes for one more token; the request knows those of its states after the first.
static tn_status prepare(session *s, uint32_t token) {
    static const int64_t one[] = {1, 1};
    tn_input_shape shapes[MAX_STATES + 1] = {{0, 2, one}};
    int64_t dims[MAX_STATES][TN_MAX_RANK];
    uint32_t count = 1;
    for (uint32_t i = 0; i < s->state_count && (s->stateless || token == 0); i++) {
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        tn_status status = tn_model_input_get(s->model, s->states[i].input, &desc);
        if (status != TN_OK) {
            return status;
        }
        for (uint32_t k = 0; k < desc.rank; k++) {
            dims[i][k] = desc.dims[k] >= 0 ? desc.dims[k] : s->batch;
        }
        dims[i][s->states[i].axis] = token;
        shapes[count++] = (tn_input_shape){s->states[i].input, desc.rank, dims[i]};
    }
    return tn_request_prepare(s->request, shapes, count, &s->error);
}

// Without states: everything that came out goes in again.
static tn_status carry(session *s, bool out) {
    tn_status status = TN_OK;
    for (uint32_t i = 0; i < s->state_count && status == TN_OK; i++) {
        tn_tensor_view view = {.struct_size = sizeof(view), .struct_type = TN_STRUCT_TENSOR_VIEW};
        status = out ? tn_request_output(s->request, s->states[i].output, &view)
                     : tn_request_input(s->request, s->states[i].input, &view);
        if (status == TN_OK && out) {
            free(s->cache[i]);
            s->cache[i] = malloc(view.size_bytes);
            s->cache_bytes[i] = s->cache[i] != NULL ? view.size_bytes : 0;
        }
        if (status == TN_OK && s->cache_bytes[i] == view.size_bytes && view.size_bytes > 0) {
            memcpy(out ? s->cache[i] : view.data, out ? view.data : s->cache[i], view.size_bytes);
        }
    }
    return status;
}

// The first output that is no state.
static uint32_t logits_of(const session *s) {
    uint32_t output = 0;
    for (uint32_t i = 0; i < s->state_count; i++) {
        if (s->states[i].output == output) {
            output++;
            i = UINT32_MAX; // begin again with the next
        }
    }
    return output;
}

static int64_t likeliest(const tn_tensor_view *logits) {
    const float *values = logits->data;
    int64_t count = logits->dims[logits->rank - 1];
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++) {
        best = values[i] > values[best] ? i : best;
    }
    return best;
}

static tn_status step(session *s, uint32_t index, int64_t *inout_token) {
    tn_tensor_view logits = {.struct_size = sizeof(logits), .struct_type = TN_STRUCT_TENSOR_VIEW};
    tn_run_stats stats = {.struct_size = sizeof(stats), .struct_type = TN_STRUCT_RUN_STATS};
    tn_status status = prepare(s, index);
    if (status == TN_OK) {
        status = tn_request_write(s->request, 0, inout_token, sizeof(*inout_token), &s->error);
    }
    if (status == TN_OK && s->stateless) {
        status = carry(s, false);
    }
    if (status == TN_OK) {
        status = tn_request_run(s->request, 0, &s->error);
    }
    if (status == TN_OK && s->stateless) {
        status = carry(s, true);
    }
    if (status == TN_OK) {
        status = tn_request_output(s->request, logits_of(s), &logits);
    }
    if (status == TN_OK) {
        *inout_token = likeliest(&logits);
        status = tn_request_stats(s->request, &stats);
    }
    s->first_bytes = index == 0 ? stats.state_bytes : s->first_bytes;
    s->last_bytes = stats.state_bytes;
    s->in_place = stats.states_in_place;
    return status;
}

static tn_status generate(session *s) {
    int64_t token = 1;
    tn_status status = TN_OK;
    double begin = now();
    for (uint32_t i = 0; i < s->tokens && status == TN_OK; i++) {
        status = step(s, i, &token);
        if (status == TN_OK) {
            printf("%lld%c", (long long)token, i + 1 == s->tokens ? '\n' : ' ');
        }
    }
    if (status == TN_OK) {
        fprintf(stderr,
                "%u tokens, %.3f ms each; %llu of %u states in place; bytes written into states: "
                "%llu for the first token, %llu for the last\n",
                s->tokens, 1e3 * (now() - begin) / s->tokens, (unsigned long long)s->in_place,
                s->state_count, (unsigned long long)s->first_bytes,
                (unsigned long long)s->last_bytes);
    }
    return status;
}

int main(int argc, char **argv) {
    session s = {.tokens = 256, .batch = 1};
    const char *path = NULL;
    tn_error_init(&s.error);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--stateless") == 0) {
            s.stateless = true;
        } else if (strcmp(argv[i], "--device") == 0 && i + 1 < argc) {
            s.device = argv[++i];
        } else if (strcmp(argv[i], "--tokens") == 0 && i + 1 < argc) {
            s.tokens = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else {
            path = argv[i];
        }
    }
    if (path == NULL || s.tokens == 0) {
        fprintf(stderr, "usage: generate MODEL.onnx [--tokens N] [--device ID] [--stateless]\n");
        return 2;
    }
    tn_status status = open_session(&s, path);
    if (status == TN_OK) {
        status = generate(&s);
    }
    if (status != TN_OK) {
        fprintf(stderr, "generate: %s\n", s.error.text);
    }
    for (uint32_t i = 0; i < MAX_STATES; i++) {
        free(s.cache[i]);
    }
    tn_request_destroy(s.request);
    tn_compiled_release(s.compiled);
    tn_model_release(s.model);
    tn_host_release(s.host);
    return status == TN_OK ? 0 : 1;
}
