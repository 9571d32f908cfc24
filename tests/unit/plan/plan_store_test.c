// SPDX-License-Identifier: Apache-2.0
// Plans on disk: found again, never another problem's, never damaged, never half written.
#include "plan/plan_store.h"

#include "support/partition/random_problem.h"
#include "support/plugin_folder.h"
#include "support/test_alloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define OPS 40u
#define LABELS 3u
#define DIGEST_BYTES TNI_DIGEST_BYTES
#define BOUND_AT 48u // of the header
#define ORDER_AT(size) ((size)-DIGEST_BYTES - OPS * sizeof(uint32_t))

typedef struct fixture {
    plugin_folder folder;
    test_alloc memory;
    tnp_allocator allocator;
    tni_log log;
    uint32_t warnings;
    tni_plan_store store;
    random_problem random;
    tni_plan_key key;
    tnp_plan plan;
} fixture;

static void *take_bytes(void *user_data, uint64_t size_bytes) {
    return tni_alloc_zeroed(user_data, size_bytes);
}

static void give_bytes(void *user_data, void *pointer, uint64_t size_bytes) {
    tni_free(user_data, pointer, size_bytes);
}

static void count_line(void *user_data, tn_log_level level, tn_string text) {
    fixture *f = user_data;
    (void)text;
    f->warnings += level == TN_LOG_WARN;
}

static int setup(void **state) {
    static fixture f;
    memset(&f, 0, sizeof(f));
    plugin_folder_init(&f.folder);
    assert_int_equal(chmod(f.folder.path, 0700), 0);
    test_alloc_init(&f.memory);
    f.allocator = (tnp_allocator){take_bytes, give_bytes, &f.memory.alloc};
    f.log = (tni_log){count_line, &f, TN_LOG_DEBUG};
    f.store.log = &f.log;
    (void)snprintf(f.store.folder, sizeof(f.store.folder), "%s", f.folder.path);
    // The first that has a plan: groups and claims may be at odds.
    tnp_status solved = TNP_INFEASIBLE;
    for (uint64_t seed = 1; solved != TNP_OK; seed++) {
        random_problem_make(seed, OPS, LABELS, RANDOM_CLAIMS | RANDOM_GROUPS, &f.random);
        tnp_plan_deinit(&f.allocator, &f.plan);
        solved = tnp_plan_init(&f.allocator, &f.random.problem, NULL, &f.plan);
    }
    tni_plan_key_make(&f.random.problem, false, &f.key);
    f.plan.work = TNI_PLAN_STORE_LEAST_WORK; // however easy it was
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    tnp_plan_deinit(&f->allocator, &f->plan);
    assert_true(test_alloc_clean(&f->memory));
    test_alloc_deinit(&f->memory);
    plugin_folder_deinit(&f->folder);
    return 0;
}

static void keep(const fixture *f) {
    tni_plan_store_keep(&f->store, &f->allocator, &f->key, &f->plan);
}

// Whether there is a plan; it must be the one that was kept.
static bool take(const fixture *f) {
    tnp_plan found;
    if (!tni_plan_store_take(&f->store, &f->allocator, &f->random.problem, &f->key, &found)) {
        return false;
    }
    assert_true(found.hash == f->plan.hash && found.lower_bound == f->plan.lower_bound);
    assert_memory_equal(&found.cost, &f->plan.cost, sizeof(found.cost));
    assert_memory_equal(found.label, f->plan.label, OPS * sizeof(uint32_t));
    assert_memory_equal(found.order, f->plan.order, OPS * sizeof(uint32_t));
    assert_int_equal(found.segment_count, f->plan.segment_count);
    tnp_plan_deinit(&f->allocator, &found);
    return true;
}

// How many files there are, and the path of the last one.
static uint32_t files(const fixture *f, char out_path[256]) {
    uint32_t count = 0;
    DIR *stream = opendir(f->folder.path);
    assert_non_null(stream);
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (entry->d_name[0] != '.') {
            plugin_folder_join(&f->folder, entry->d_name, out_path);
            count++;
        }
    }
    (void)closedir(stream);
    return count;
}

static void put(const char *path, const void *data, size_t size) {
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void store__gives_back_what_was_kept(void **state) {
    fixture *f = *state;
    char path[256];
    struct stat info;
    assert_false(take(f));
    keep(f);
    assert_int_equal(files(f, path), 1);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(take(f));
    keep(f); // again: over itself
    assert_int_equal(files(f, path), 1);
    assert_int_equal(f->warnings, 0);
}

static void store__keeps_no_plan_that_the_clock_made(void **state) {
    fixture *f = *state;
    char path[256];
    const uint64_t hash = f->plan.hash;
    f->plan.truncated = 1;
    keep(f);
    f->plan.truncated = 0;
    f->plan.hash = 0;
    keep(f);
    f->plan.hash = hash;
    f->plan.work = TNI_PLAN_STORE_LEAST_WORK - 1; // nor one that was found at once
    keep(f);
    f->plan.work = TNI_PLAN_STORE_LEAST_WORK;
    const tni_plan_store off = {.log = &f->log};
    tni_plan_store_keep(&off, &f->allocator, &f->key, &f->plan);
    tni_plan_store_keep(NULL, &f->allocator, &f->key, &f->plan);
    assert_int_equal(files(f, path), 0);
}

static void store__damaged_in_any_bit_is_refused(void **state) {
    fixture *f = *state;
    char path[256];
    size_t size = 0;
    keep(f);
    assert_int_equal(files(f, path), 1);
    unsigned char *data = plugin_folder_read(path, &size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        data[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        put(path, data, size);
        assert_false(take(f));
        data[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        assert_int_equal(access(path, F_OK), -1); // it is gone
    }
    assert_int_equal(f->warnings, 8 * size);
    put(path, data, size);
    assert_true(take(f));
    free(data);
}

static void store__of_any_other_size_is_refused(void **state) {
    fixture *f = *state;
    char path[256];
    size_t size = 0;
    keep(f);
    assert_int_equal(files(f, path), 1);
    unsigned char *data = plugin_folder_read(path, &size);
    unsigned char *longer = calloc(2, size);
    assert_non_null(longer);
    memcpy(longer, data, size);
    for (size_t now = 0; now < 2 * size; now++) {
        put(path, longer, now);
        assert_int_equal(take(f), now == size);
    }
    free(longer);
    free(data);
}

// A digest says that a file is whole, not that it is right.
static void sign(unsigned char *data, size_t size) {
    tni_digest digest;
    tni_digest_init(&digest);
    tni_digest_update(&digest, data, size - DIGEST_BYTES);
    tni_digest_final(&digest, data + size - DIGEST_BYTES);
}

static void store__whole_and_wrong_is_refused(void **state) {
    fixture *f = *state;
    char path[256];
    size_t size = 0;
    keep(f);
    assert_int_equal(files(f, path), 1);
    unsigned char *data = plugin_folder_read(path, &size);
    for (size_t at = 0; at < size - DIGEST_BYTES; at++) {
        data[at] ^= 0x41;
        sign(data, size);
        put(path, data, size);
        // All of it is checked but how high the bound is: only a search could find that again.
        tnp_plan found;
        if (tni_plan_store_take(&f->store, &f->allocator, &f->random.problem, &f->key, &found)) {
            assert_true(found.lower_bound >= 0 && found.lower_bound <= found.cost.total);
            assert_true(at >= BOUND_AT && at < BOUND_AT + sizeof(int64_t));
            tnp_plan_deinit(&f->allocator, &found);
        }
        data[at] ^= 0x41;
    }
    // Two ops of the order the other way around.
    unsigned char kept[sizeof(uint32_t)];
    memcpy(kept, data + ORDER_AT(size), sizeof(kept));
    memmove(data + ORDER_AT(size), data + ORDER_AT(size) + (OPS - 1) * sizeof(kept), sizeof(kept));
    memcpy(data + ORDER_AT(size) + (OPS - 1) * sizeof(kept), kept, sizeof(kept));
    sign(data, size);
    put(path, data, size);
    assert_false(take(f));
    free(data);
}

static void store__that_others_may_write_is_refused(void **state) {
    fixture *f = *state;
    char path[256];
    char aside[256];
    keep(f);
    assert_int_equal(files(f, path), 1);
    assert_int_equal(chmod(path, 0622), 0);
    assert_false(take(f));
    keep(f);
    assert_int_equal(chmod(f->folder.path, 0777), 0);
    assert_false(take(f));
    assert_int_equal(chmod(f->folder.path, 0700), 0);
    assert_true(take(f));
    (void)snprintf(aside, sizeof(aside), "%.200s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink(aside, path), 0);
    assert_false(take(f));
}

static bool same_key(const tni_plan_key *a, const tni_plan_key *b) {
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void key__differs_with_every_part_of_the_problem(void **state) {
    fixture *f = *state;
    random_problem *r = &f->random;
    tni_plan_key key;
    tni_plan_key_make(&r->problem, true, &key);
    assert_false(same_key(&key, &f->key));
    random_problem_make(11, OPS, LABELS, 7u, r); // claims, groups and capacities
    tni_plan_key first;
    tni_plan_key_make(&r->problem, false, &first);
    assert_true(r->problem.claim_count > 0);
    const struct {
        void *at;
        size_t size;
    } parts[] = {
        {r->op_cost + OPS * LABELS - 1, 1},
        {&r->tensors[0].producer, 1},
        {&r->tensors[1].consumer_count, 1},
        {r->consumers + r->problem.consumer_total - 1, 1},
        {r->copy_cost + r->problem.tensor_count * LABELS * LABELS - 1, 1},
        {r->handover_cost + LABELS * LABELS - 2, 1},
        {&r->claims[0].bound_count, 1},
        {&r->claims[0].saving, 1},
        {&r->claim_ops[0], 1},
        {&r->group[OPS - 1], 1},
        {&r->op_bytes[OPS - 1], 1},
        {&r->label_capacity[LABELS - 1], 1},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        unsigned char *byte = parts[i].at;
        *byte ^= 1;
        tni_plan_key_make(&r->problem, false, &key);
        assert_false(same_key(&key, &first));
        *byte ^= 1;
    }
    tni_plan_key_make(&r->problem, false, &key);
    assert_true(same_key(&key, &first));
    r->problem.op_bytes = NULL; // no weights are not weights of nothing
    tni_plan_key_make(&r->problem, false, &key);
    assert_false(same_key(&key, &first));
}

static void store__of_another_cost_is_a_miss(void **state) {
    fixture *f = *state;
    keep(f);
    f->random.op_cost[0] += f->random.op_cost[0] == TNP_UNSUPPORTED ? 0 : 1;
    f->random.handover_cost[1] += 1;
    tni_plan_key_make(&f->random.problem, false, &f->key);
    assert_false(take(f));
    assert_int_equal(f->warnings, 0);
}

static void store__stays_small(void **state) {
    fixture *f = *state;
    char path[256];
    for (uint32_t i = 0; i < TNI_PLAN_STORE_FILES + 20; i++) {
        memcpy(f->key.bytes, &i, sizeof(i));
        keep(f);
    }
    assert_int_equal(files(f, path), TNI_PLAN_STORE_FILES);
    assert_true(take(f)); // the last one
}

// Children write and read the same file at once; none may ever see half of it.
static void store__is_shared_by_processes(void **state) {
    fixture *f = *state;
    char path[256];
    pid_t children[4];
    keep(f);
    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            uint32_t missed = 0;
            for (uint32_t round = 0; round < 300; round++) {
                tnp_plan found;
                keep(f);
                if (!tni_plan_store_take(&f->store, &f->allocator, &f->random.problem, &f->key,
                                         &found)) {
                    missed++;
                } else {
                    missed += found.hash != f->plan.hash;
                    tnp_plan_deinit(&f->allocator, &found);
                }
            }
            _exit(missed == 0 && f->warnings == 0 ? 0 : 1);
        }
    }
    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
        int status = 1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(files(f, path), 1);
    assert_true(take(f));
}

static void store__survives_every_lack_of_memory(void **state) {
    fixture *f = *state;
    char path[256];
    keep(f);
    bool found = false;
    for (uint64_t i = 0; !found; i++) {
        test_alloc_reset(&f->memory, TEST_ALLOC_FAIL_FROM, i);
        found = take(f);
        assert_int_equal(files(f, path), 1); // it is not the file's fault
    }
    test_alloc_reset(&f->memory, TEST_ALLOC_FAIL_FROM, 0);
    keep(f);
    test_alloc_reset(&f->memory, TEST_ALLOC_NORMAL, 0);
    assert_true(take(f));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(store__gives_back_what_was_kept),
        CASE(store__keeps_no_plan_that_the_clock_made),
        CASE(store__damaged_in_any_bit_is_refused),
        CASE(store__of_any_other_size_is_refused),
        CASE(store__whole_and_wrong_is_refused),
        CASE(store__that_others_may_write_is_refused),
        CASE(key__differs_with_every_part_of_the_problem),
        CASE(store__of_another_cost_is_a_miss),
        CASE(store__stays_small),
        CASE(store__is_shared_by_processes),
        CASE(store__survives_every_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
