// SPDX-License-Identifier: Apache-2.0
// A hostile host against the plugin cpu: views changed at random go through verdict, compile, ports
// and run. Whatever the plugin accepts runs or fails with an error that says what is wrong, without
// a leak and without a stray access: of our code AddressSanitizer sees it, of the library's
// generated code the pages behind what it is given.
#include "cpu_mutate.h"
#include "cpu_subjects.h"

#include "support/abi_host.h"

#include "tenon/helper/graph_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define ROUNDS 4000u // of each subject
// Mutants that want more memory than this are not run, and no block is larger.
#define MOST_PORT_BYTES (1u << 20)
#define MOST_BLOCK_BYTES (64u << 20)
#define PAGE 4096u

tn_status tn_plugin_entry_1_cpu(const tn_host_offer *offer, tn_plugin_answer *answer,
                                tn_error *error);

// Weights as a mutant describes them: those of the subject, cut or repeated to the size.
typedef struct weights {
    const view_builder *given;
    const tn_graph_view *view;
    unsigned char *bytes[64];
} weights;

static const void *find_weight(void *user_data, uint64_t key, uint64_t *out_bytes) {
    weights *w = user_data;
    uint64_t have = 0;
    const unsigned char *from = view_builder_weight(w->given, key, &have);
    for (uint32_t i = 0; from != NULL && i < w->view->constants.count && i < 64; ++i) {
        const tn_graph_constant *constant = tn_view_constant(w->view, i);
        if (constant->key != key || constant->size_bytes > MOST_PORT_BYTES) {
            continue;
        }
        *out_bytes = constant->size_bytes;
        if (w->bytes[i] == NULL) {
            w->bytes[i] = malloc(*out_bytes + (*out_bytes == 0));
            assert_non_null(w->bytes[i]);
            for (uint64_t at = 0; at < *out_bytes; ++at) {
                w->bytes[i][at] = from[at % have];
            }
        }
        return w->bytes[i];
    }
    *out_bytes = have;
    return from;
}

typedef struct buffer {
    unsigned char *pages;
    uint64_t mapped_bytes;
    void *data;
} buffer;

// Bytes that end where a page begins that nobody may touch, as nearly as alignment allows.
// Zeros, small integers of up to eight bytes, or anything.
static buffer guarded(uint64_t bytes, uint64_t *random) {
    const uint64_t used = (bytes + 63) / 64 * 64;
    buffer made = {.mapped_bytes = (used + 2 * PAGE - 1) / PAGE * PAGE};
    made.pages =
        mmap(NULL, made.mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(made.pages != MAP_FAILED);
    assert_int_equal(mprotect(made.pages + made.mapped_bytes - PAGE, PAGE, PROT_NONE), 0);
    unsigned char *data = made.pages + made.mapped_bytes - PAGE - used;
    const uint32_t kind = random == NULL ? 0 : cpu_random(random, 3);
    for (uint64_t i = 0; i < bytes && kind > 0; i += kind == 1 ? 8 : 1) {
        data[i] = (unsigned char)cpu_random(random, kind == 1 ? 3 : 256);
    }
    made.data = data;
    return made;
}

// Memory of exactly the sizes that the program asks for; random: of what is in it, null for zeros.
static tn_status run_exactly(abi_program *program, uint64_t *random, tn_error *error) {
    buffer buffers[64] = {{0}};
    void *data[64] = {NULL};
    uint64_t total = 0;
    for (uint32_t i = 0; i < program->port_count; ++i) {
        total += program->ports[i].size_bytes;
        if (program->ports[i].size_bytes > MOST_PORT_BYTES || total > MOST_PORT_BYTES) {
            return TN_ERROR_LIMIT_EXCEEDED;
        }
    }
    for (uint32_t i = 0; i < program->port_count; ++i) {
        buffers[i] = guarded(program->ports[i].size_bytes, random);
        data[i] = buffers[i].data;
    }
    const tn_status status = abi_program_run(program, data, error);
    for (uint32_t i = 0; i < program->port_count; ++i) {
        assert_int_equal(munmap(buffers[i].pages, buffers[i].mapped_bytes), 0);
    }
    return status;
}

typedef struct tally {
    uint32_t statuses[TN_STATUS_COUNT];
    uint32_t compiled;
} tally;

// Sizes for the view's symbols: as the subject has them, or some other. random: null for those.
static uint64_t choose_sizes(const cpu_subject *subject, const tn_graph_view *view,
                             uint64_t *random, tn_symbol_value *out_sizes) {
    const uint32_t strange = random != NULL && cpu_random(random, 4) == 0;
    uint64_t count =
        view->symbols.count < CPU_SUBJECT_SYMBOLS ? view->symbols.count : CPU_SUBJECT_SYMBOLS;
    for (uint32_t i = 0; i < count; ++i) {
        out_sizes[i] = (tn_symbol_value){
            .symbol = i, .size = strange ? (int64_t)cpu_random(random, 70) - 1 : subject->sizes[i]};
    }
    return count > 0 && strange && cpu_random(random, 4) == 0 ? count - 1 : count;
}

static void check_error(const cpu_subject *subject, uint32_t round, tn_status status,
                        const tn_error *error) {
    const uint32_t has_text = error->text[0] != '\0';
    if (status == TN_ERROR_INTERNAL ||
        (status != TN_OK && status != TN_ERROR_LIMIT_EXCEEDED && !has_text)) {
        fail_msg("%s, round %u: status %d, %s", subject->name, round, status, error->text);
    }
}

// random: what else than the view is chosen at random; null for nothing.
static tn_status run_view(const cpu_subject *subject, view_builder *given,
                          const tn_graph_view *view, uint64_t *random, tally *count,
                          tn_error *error) {
    weights w = {.given = given, .view = view};
    abi_host host;
    abi_plugin plugin;
    abi_program program;
    tn_node_verdict verdict;
    tn_symbol_value sizes[CPU_SUBJECT_SYMBOLS];
    abi_host_init(&host, NULL);
    host.find_weight = find_weight;
    host.find_weight_user_data = &w;
    host.most_bytes = MOST_BLOCK_BYTES;
    assert_int_equal(abi_plugin_open(&host, tn_plugin_entry_1_cpu, &plugin, error), TN_OK);
    plugin.compile_flags = TN_COMPILE_FAST;
    plugin.precision = random == NULL ? TN_PRECISION_AS_WRITTEN : cpu_random(random, 3);
    tn_status status = abi_plugin_judge(&plugin, view, &verdict, error);
    if (status == TN_OK) {
        const uint64_t symbols = choose_sizes(subject, view, random, sizes);
        status = abi_program_open(&plugin, view, sizes, symbols, &program, error);
    }
    if (status == TN_OK) {
        ++count->compiled;
        status = run_exactly(&program, random, error);
        abi_program_close(&program);
    }
    assert_int_equal(abi_plugin_close(&plugin), TN_OK);
    assert_int_equal(host.live_blocks, 0);
    assert_int_equal(host.wrong_free_count, 0);
    for (uint32_t i = 0; i < 64; ++i) {
        free(w.bytes[i]);
    }
    return status;
}

static void mutants_of(const cpu_subject *subject, tally *count) {
    uint64_t random = 20261129;
    view_builder *b = view_builder_create();
    subject->build(b);
    const tn_graph_view *view = view_builder_finish(b, 0);
    const size_t size = (size_t)view->total_bytes;
    for (uint32_t round = 0; round <= ROUNDS; ++round) {
        unsigned char *bytes = malloc(size);
        assert_non_null(bytes);
        memcpy(bytes, view, size);
        tn_graph_view *mutant = (tn_graph_view *)(void *)bytes;
        for (uint32_t i = 0; round > 0 && i < 1 + round % 3; ++i) {
            cpu_mutate(mutant, &random);
        }
        if (round % 16 == 15) {
            cpu_mutate_bytes(mutant, &random);
        }
        tn_error error = {.struct_size = (uint32_t)sizeof error, .struct_type = TN_STRUCT_ERROR};
        const tn_status status =
            run_view(subject, b, mutant, round == 0 ? NULL : &random, count, &error);
        check_error(subject, round, status, &error);
        assert_true(round > 0 || status == TN_OK); // as it is, it runs
        count->statuses[status] += 1;
        free(bytes);
    }
    view_builder_destroy(b);
}

static void mutants__run_or_fail_cleanly(void **state) {
    (void)state;
    for (const cpu_subject *subject = cpu_subjects; subject->name != NULL; ++subject) {
        tally count = {.compiled = 0};
        mutants_of(subject, &count);
        print_message("%s: %u compiled, %u ran, %u broken, %u unsupported\n", subject->name,
                      count.compiled, count.statuses[TN_OK], count.statuses[TN_ERROR_INVALID_DATA],
                      count.statuses[TN_ERROR_UNSUPPORTED]);
        assert_true(count.compiled > ROUNDS / 20);
        assert_true(count.statuses[TN_OK] > ROUNDS / 40);
        assert_true(count.statuses[TN_ERROR_INVALID_DATA] > ROUNDS / 4);
        assert_true(count.statuses[TN_ERROR_UNSUPPORTED] > ROUNDS / 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutants__run_or_fail_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
