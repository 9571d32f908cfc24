// SPDX-License-Identifier: Apache-2.0
// A file is: "tenonpl1", the key, ops, lower bound, cost, hash, all in the host's byte order (the
// digest fails elsewhere); a byte for each op's label; four for each op of the order; a digest.
#include "plan/plan_store.h"

#include "base/string.h"
#include "loader/state_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "plan-"
#define NAME_BYTES 64u

typedef struct header {
    char magic[8];
    tni_plan_key key;
    uint64_t op_count;
    int64_t lower_bound;
    int64_t cost;
    uint64_t hash;
} header;

static const char magic[8] = {'t', 'e', 'n', 'o', 'n', 'p', 'l', '1'};

static uint64_t file_bytes(uint64_t op_count) {
    return sizeof(header) + op_count * (1 + sizeof(uint32_t)) + TNI_DIGEST_BYTES;
}

static void add(tni_digest *digest, const void *data, uint64_t count, uint64_t size_bytes) {
    const uint64_t given[2] = {count, data == NULL ? 0 : 1};
    tni_digest_update(digest, given, sizeof(given));
    if (data != NULL) {
        tni_digest_update(digest, data, count * size_bytes);
    }
}

// Structs one member at a time: bytes between members are nobody's.
static void add_claims(tni_digest *digest, const tnp_problem *p) {
    for (uint32_t i = 0; i < p->claim_count; i++) {
        const tnp_claim *c = &p->claims[i];
        const uint64_t members[] = {c->label, c->op_begin, c->op_count, c->bound_count,
                                    (uint64_t)c->saving};
        tni_digest_update(digest, members, sizeof(members));
    }
}

void tni_plan_key_make(const tnp_problem *problem, bool concurrent, tni_plan_key *out_key) {
    static const char version[] = "tenon plan 1 of " TN_VERSION_TEXT;
    const tnp_problem *p = problem;
    const uint64_t counts[] = {TNP_REVISION,   concurrent,        p->op_count,
                               p->label_count, p->tensor_count,   p->consumer_total,
                               p->claim_count, p->claim_op_total, sizeof(int64_t)};
    const uint64_t cells = (uint64_t)p->label_count * p->label_count;
    tni_digest digest;
    tni_digest_init(&digest);
    tni_digest_update(&digest, version, sizeof(version));
    tni_digest_update(&digest, counts, sizeof(counts));
    add(&digest, p->op_cost, (uint64_t)p->op_count * p->label_count, sizeof(*p->op_cost));
    add(&digest, p->tensors, p->tensor_count, sizeof(*p->tensors));
    add(&digest, p->consumers, p->consumer_total, sizeof(*p->consumers));
    add(&digest, p->copy_cost, p->tensor_count * cells, sizeof(*p->copy_cost));
    add(&digest, p->handover_cost, cells, sizeof(*p->handover_cost));
    add_claims(&digest, p);
    add(&digest, p->claim_ops, p->claim_op_total, sizeof(*p->claim_ops));
    add(&digest, p->group, p->op_count, sizeof(*p->group));
    add(&digest, p->op_bytes, p->op_count, sizeof(*p->op_bytes));
    add(&digest, p->label_capacity, p->label_count, sizeof(*p->label_capacity));
    tni_digest_final(&digest, out_key->bytes);
}

static void name_of(const tni_plan_key *key, char out_name[NAME_BYTES]) {
    char hex[2 * TNI_DIGEST_BYTES + 1];
    (void)sodium_bin2hex(hex, sizeof(hex), key->bytes, sizeof(key->bytes));
    (void)snprintf(out_name, NAME_BYTES, PREFIX "%.40s", hex);
}

static void digest_of(const uint8_t *data, uint64_t size_bytes, uint8_t out[TNI_DIGEST_BYTES]) {
    tni_digest digest;
    tni_digest_init(&digest);
    tni_digest_update(&digest, data, size_bytes);
    tni_digest_final(&digest, out);
}

// Why a file is not one of this problem; null: it may be.
static const char *check_file(const uint8_t *data, uint64_t size_bytes, const tnp_problem *problem,
                              const tni_plan_key *key, header *out_header) {
    uint8_t digest[TNI_DIGEST_BYTES];
    if (size_bytes != file_bytes(problem->op_count)) {
        return "its size is not that of a plan";
    }
    digest_of(data, size_bytes - TNI_DIGEST_BYTES, digest);
    if (memcmp(data + size_bytes - TNI_DIGEST_BYTES, digest, sizeof(digest)) != 0) {
        return "it is damaged";
    }
    memcpy(out_header, data, sizeof(*out_header));
    if (memcmp(out_header->magic, magic, sizeof(magic)) != 0) {
        return "it is of another version";
    }
    return memcmp(&out_header->key, key, sizeof(*key)) != 0 ||
                   out_header->op_count != problem->op_count
               ? "it is of another problem"
               : NULL;
}

// From a file that is whole to a plan that is sound; null: it is.
static const char *price_file(const uint8_t *data, const header *head,
                              const tnp_allocator *allocator, const tnp_problem *problem,
                              uint32_t *words, tnp_plan *out_plan) {
    const uint32_t count = problem->op_count;
    uint32_t *label = words;
    uint32_t *order = words + count;
    const uint8_t *labels = data + sizeof(*head);
    for (uint32_t i = 0; i < count; i++) {
        label[i] = labels[i];
    }
    memcpy(order, labels + count, (uint64_t)count * sizeof(*order));
    const tnp_status status = tnp_plan_of_order(allocator, problem, label, order, out_plan);
    if (status == TNP_OK && out_plan->cost.total == head->cost && out_plan->hash == head->hash &&
        head->lower_bound >= 0 && head->lower_bound <= head->cost) {
        out_plan->lower_bound = head->lower_bound;
        return NULL;
    }
    tnp_plan_deinit(allocator, out_plan);
    return status == TNP_OUT_OF_MEMORY ? "" : "its plan is not one of this problem";
}

// One block for the file, which may be a byte too long, and for labels and order as words.
static uint64_t work_bytes(uint32_t op_count) {
    return (uint64_t)op_count * 2 * sizeof(uint32_t) + file_bytes(op_count) + 1;
}

static bool is_kept(const tni_plan_store *store, uint32_t op_count) {
    return store != NULL && store->folder[0] != '\0' && op_count >= TNI_PLAN_STORE_LEAST_OPS &&
           op_count <= TNI_PLAN_STORE_MOST_OPS;
}

bool tni_plan_store_take(const tni_plan_store *store, const tnp_allocator *allocator,
                         const tnp_problem *problem, const tni_plan_key *key, tnp_plan *out_plan) {
    char name[NAME_BYTES];
    char reason[TNI_STATE_REASON_BYTES] = "";
    memset(out_plan, 0, sizeof(*out_plan));
    const int folder =
        is_kept(store, problem->op_count) ? tni_state_folder_find(store->folder) : -1;
    if (folder < 0) {
        return false;
    }
    const uint64_t block = work_bytes(problem->op_count);
    uint32_t *words = allocator->alloc(allocator->user_data, block);
    const char *wrong = "";
    name_of(key, name);
    if (words != NULL) {
        uint8_t *data = (uint8_t *)(words + 2 * (uint64_t)problem->op_count);
        header head;
        const size_t size =
            tni_state_file_read(folder, name, data, file_bytes(problem->op_count) + 1, reason);
        wrong = size == 0 ? reason : check_file(data, size, problem, key, &head);
        wrong =
            wrong == NULL ? price_file(data, &head, allocator, problem, words, out_plan) : wrong;
        allocator->free(allocator->user_data, words, block);
    }
    if (wrong != NULL && wrong[0] != '\0') {
        tni_log_write(store->log, TN_LOG_WARN, "a stored plan is not used: %s: %s", name, wrong);
        (void)unlinkat(folder, name, 0);
    }
    (void)close(folder);
    return wrong == NULL;
}

static bool is_older(struct timespec a, struct timespec b) {
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

// Makes room for one more: the plan that was kept first goes. What others delete meanwhile is no
// loss.
static void make_room(int folder) {
    char oldest[NAME_BYTES + 64] = "";
    struct timespec when = {0};
    uint32_t count = 0;
    const int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = again < 0 ? NULL : fdopendir(again);
    if (stream == NULL) {
        if (again >= 0) {
            (void)close(again);
        }
        return;
    }
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        struct stat info;
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
            strlen(entry->d_name) >= sizeof(oldest) ||
            fstatat(folder, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (count++ == 0 || is_older(info.st_mtim, when)) {
            when = info.st_mtim;
            memcpy(oldest, entry->d_name, strlen(entry->d_name) + 1);
        }
    }
    (void)closedir(stream);
    if (count >= TNI_PLAN_STORE_FILES) {
        (void)unlinkat(folder, oldest, 0);
    }
}

static void write_plan(const tni_plan_key *key, const tnp_plan *plan, uint8_t *out_data) {
    const header head = {
        .magic = {magic[0], magic[1], magic[2], magic[3], magic[4], magic[5], magic[6], magic[7]},
        .key = *key,
        .op_count = plan->op_count,
        .lower_bound = plan->lower_bound,
        .cost = plan->cost.total,
        .hash = plan->hash,
    };
    uint8_t *labels = out_data + sizeof(head);
    const uint64_t size = file_bytes(plan->op_count) - TNI_DIGEST_BYTES;
    memcpy(out_data, &head, sizeof(head));
    for (uint32_t i = 0; i < plan->op_count; i++) {
        labels[i] = (uint8_t)plan->label[i];
    }
    memcpy(labels + plan->op_count, plan->order, (uint64_t)plan->op_count * sizeof(*plan->order));
    digest_of(out_data, size, out_data + size);
}

void tni_plan_store_keep(const tni_plan_store *store, const tnp_allocator *allocator,
                         const tni_plan_key *key, const tnp_plan *plan) {
    char name[NAME_BYTES];
    char reason[TNI_STATE_REASON_BYTES] = "";
    if (!is_kept(store, plan->op_count) || plan->truncated || plan->hash == 0 ||
        plan->work < TNI_PLAN_STORE_LEAST_WORK) {
        return;
    }
    const uint64_t size = file_bytes(plan->op_count);
    const int folder = tni_state_folder_open(store->folder, reason);
    uint8_t *data = folder < 0 ? NULL : allocator->alloc(allocator->user_data, size);
    if (data != NULL) {
        name_of(key, name);
        write_plan(key, plan, data);
        make_room(folder);
        (void)tni_state_file_write(folder, name, data, size, reason);
        allocator->free(allocator->user_data, data, size);
    }
    if (reason[0] != '\0') {
        tni_log_write(store->log, TN_LOG_INFO, "a plan is not kept: %s", reason);
    }
    if (folder >= 0) {
        (void)close(folder);
    }
}
