// SPDX-License-Identifier: Apache-2.0
// See the header and docs/decisions/0017.
#include "plan/caps.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint64_t tni_caps_declared(const tni_device *device) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < device->heap_count; i++) {
        const tn_heap_info *heap = &device->heaps[i];
        const bool own = (heap->flags & TN_HEAP_DEVICE_LOCAL) != 0 || device->heap_count == 1;
        most = own && heap->size_bytes > most ? heap->size_bytes : most;
    }
    return most > 0 ? most : device->info.memory_bytes;
}

bool tni_caps_wanted(const tni_draft_plan *draft) {
    return draft->info->cap_count > 0;
}

static bool shares_memory(const tni_device *a, const tni_device *b) {
    return a == b || (a->info.resource_group[0] != '\0' &&
                      strcmp(a->info.resource_group, b->info.resource_group) == 0);
}

// The cap that holds for a device: the least of its group's. Null: none.
static const tni_cap *cap_of(const tni_cap *caps, uint32_t count, const tni_device *device) {
    const tni_cap *least = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (shares_memory(caps[i].device, device) &&
            (least == NULL || caps[i].weight_bytes < least->weight_bytes)) {
            least = &caps[i];
        }
    }
    return least;
}

static uint64_t room_in(const tni_cap *cap) {
    return cap->weight_bytes > cap->used_bytes ? cap->weight_bytes - cap->used_bytes : 0;
}

// A sum over constants, each counted once until the next tally begins.
typedef struct tally {
    const tni_model *model;
    uint32_t *seen; // by constant: the tally that counted it last
    uint32_t current;
} tally;

static tn_status tally_init(tally *t, const tni_model *model) {
    *t = (tally){.model = model};
    t->seen = tni_alloc_array(&model->alloc, (uint64_t)model->constant_count + 1, sizeof(uint32_t));
    return t->seen != NULL ? TN_OK : TN_ERROR_OUT_OF_MEMORY;
}

static void tally_deinit(tally *t) {
    tni_free_array(&t->model->alloc, t->seen, (uint64_t)t->model->constant_count + 1,
                   sizeof(uint32_t));
}

static uint64_t add(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t bytes_of_graph(tally *t, uint32_t graph);

// Bytes of the constants that a node reads, its bodies included; of a call, what its nodes read.
static uint64_t bytes_of_node(tally *t, uint32_t id) {
    const tni_node *node = &t->model->nodes[id];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const uint32_t constant =
            node->inputs[i] == TN_NONE ? TN_NONE : t->model->values[node->inputs[i]].constant;
        if (constant != TN_NONE && t->seen[constant] != t->current) {
            t->seen[constant] = t->current;
            sum = add(sum, t->model->constants[constant].size_bytes);
        }
    }
    for (uint32_t i = 0; i < node->attr_count; i++) {
        const tni_attr *attr = &node->attrs[i];
        const bool bodies = attr->kind == TN_ATTR_GRAPH || attr->kind == TN_ATTR_GRAPHS;
        for (uint32_t k = 0; bodies && k < attr->count; k++) {
            sum = add(sum, bytes_of_graph(t, attr->indices[k]));
        }
    }
    return node->called == TN_NONE ? sum : add(sum, bytes_of_graph(t, node->expansion));
}

// Recursion is as deep as graphs nest, which the importer bounds.
static uint64_t bytes_of_graph(tally *t, uint32_t graph) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->model->graphs[graph].node_count; i++) {
        sum = add(sum, bytes_of_node(t, t->model->graphs[graph].nodes[i]));
    }
    return sum;
}

static const tni_device *label_device(const tni_draft_plan *d, uint32_t label) {
    return d->plan->sets[label - 1].device;
}

static const tni_cap *label_cap(const tni_draft_plan *d, uint32_t label) {
    return cap_of(d->info->caps, d->info->cap_count, label_device(d, label));
}

// What each label holds, every constant once; out_bytes has room for label_count.
static void tally_labels(tally *t, const tni_draft_plan *d, const uint32_t *label,
                         uint64_t *out_bytes) {
    for (uint32_t l = 1; l < d->label_count; l++) {
        out_bytes[l] = 0;
        t->current++;
        for (uint32_t i = 0; i < d->region->node_count; i++) {
            if (label[i + 1] == l) {
                out_bytes[l] = add(out_bytes[l], bytes_of_node(t, d->region->nodes[i]));
            }
        }
    }
}

// Of labels that share a cap, the one with most weights keeps it; of equals the first.
static void leave_room_to_one(const tni_draft_plan *d, const uint64_t *held, uint64_t *capacity) {
    for (uint32_t a = 1; a < d->label_count; a++) {
        for (uint32_t b = 1; b < d->label_count && label_cap(d, a) != NULL; b++) {
            if (a != b && label_cap(d, a) == label_cap(d, b) &&
                (held[b] > held[a] || (held[b] == held[a] && b < a))) {
                capacity[a] = 0;
            }
        }
    }
}

tn_status tni_caps_fill(tni_draft_plan *d, tni_cap_count how, const uint32_t *answer_label,
                        tn_error *error) {
    uint64_t held[TNP_MAX_LABELS] = {0};
    tally t;
    if (d->op_bytes == NULL) {
        d->op_bytes = tni_alloc_array(&d->plan->alloc, d->op_count, sizeof(*d->op_bytes));
    }
    tn_status status = tally_init(&t, d->plan->model);
    if (d->op_bytes == NULL || status != TN_OK) {
        tally_deinit(&t);
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "memory caps");
    }
    if (how == TNI_CAP_EACH) {
        tally_labels(&t, d, answer_label, held);
    }
    d->capacity[0] = TNP_NO_CAPACITY;
    for (uint32_t l = 1; l < d->label_count; l++) {
        const tni_cap *cap = label_cap(d, l);
        d->capacity[l] = cap == NULL ? TNP_NO_CAPACITY : room_in(cap);
    }
    if (how == TNI_CAP_EACH) {
        leave_room_to_one(d, held, d->capacity);
    }
    t.current++;
    for (uint32_t i = 0; i < d->region->node_count; i++) {
        // Within a node a constant counts once in any case.
        t.current += how == TNI_CAP_EACH;
        d->op_bytes[i + 1] = bytes_of_node(&t, d->region->nodes[i]);
    }
    tally_deinit(&t);
    return TN_OK;
}

void tni_caps_deinit(tni_draft_plan *d) {
    tni_free_array(&d->plan->alloc, d->op_bytes, d->op_count, sizeof(*d->op_bytes));
    d->op_bytes = NULL;
}

tn_status tni_caps_check(const tni_draft_plan *d, const uint32_t *label) {
    uint64_t held[TNP_MAX_LABELS] = {0};
    tally t;
    tn_status status = tally_init(&t, d->plan->model);
    if (status == TN_OK) {
        tally_labels(&t, d, label, held);
    }
    for (uint32_t a = 1; a < d->label_count && status == TN_OK; a++) {
        const tni_cap *cap = label_cap(d, a);
        uint64_t sum = 0;
        for (uint32_t b = 1; b < d->label_count && cap != NULL; b++) {
            sum = label_cap(d, b) == cap ? add(sum, held[b]) : sum;
        }
        status = cap != NULL && sum > room_in(cap) ? TN_ERROR_LIMIT_EXCEEDED : TN_OK;
    }
    tally_deinit(&t);
    return status;
}

// Text that is appended to as far as there is room.
typedef struct writing {
    char text[400];
    size_t used;
} writing;

TNI_PRINTF(2, 3) static void say(writing *w, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const size_t room = sizeof(w->text) - w->used;
    const int wrote = vsnprintf(w->text + w->used, room, format, arguments);
    va_end(arguments);
    w->used += wrote < 0 ? 0 : (size_t)wrote < room ? (size_t)wrote : room - 1;
}

// Whether one that comes before has the same cap and says so for both.
static bool is_told(const tni_draft_plan *d, uint32_t label) {
    for (uint32_t l = 1; l < label; l++) {
        if (label_cap(d, l) == label_cap(d, label)) {
            return true;
        }
    }
    return label_cap(d, label) == NULL;
}

// Other devices for which the cap holds: those of the group that could be planned for.
static void say_group(const tni_draft_plan *d, const tni_cap *cap, writing *w) {
    uint32_t told = 0;
    for (uint32_t l = 1; l < d->label_count; l++) {
        if (label_cap(d, l) == cap && label_device(d, l) != cap->device) {
            say(w, "%s%s", told++ == 0 ? " together with " : ", ", label_device(d, l)->id);
        }
    }
    if (told > 0) {
        say(w, " (resource group \"%s\")", cap->device->info.resource_group);
    }
}

static void say_caps(const tni_draft_plan *d, writing *w) {
    for (uint32_t l = 1; l < d->label_count; l++) {
        if (!is_told(d, l)) {
            const tni_cap *cap = label_cap(d, l);
            say(w, "%s%s has room for %llu of %llu bytes", w->used > 0 ? ", " : "", cap->device->id,
                (unsigned long long)room_in(cap), (unsigned long long)cap->weight_bytes);
            say_group(d, cap, w);
        }
    }
}

// The op with most bytes that is not above the one before: largest first, then by number.
static uint32_t next_largest(const tni_draft_plan *d, uint32_t before) {
    uint32_t best = TN_NONE;
    for (uint32_t op = 1; op + 1 < d->op_count; op++) {
        const bool later = before == TN_NONE || d->op_bytes[op] < d->op_bytes[before] ||
                           (d->op_bytes[op] == d->op_bytes[before] && op > before);
        if (later && d->op_bytes[op] > 0 &&
            (best == TN_NONE || d->op_bytes[op] > d->op_bytes[best])) {
            best = op;
        }
    }
    return best;
}

tn_status tni_caps_refuse(const tni_draft_plan *d, tn_error *error) {
    const tni_model *model = d->plan->model;
    writing w = {.used = 0};
    uint64_t all = 0;
    for (uint32_t op = 1; op + 1 < d->op_count; op++) {
        all = add(all, d->op_bytes[op]);
    }
    say_caps(d, &w);
    say(&w, "; the nodes read %llu bytes, most of all", (unsigned long long)all);
    const uint32_t largest = next_largest(d, TN_NONE);
    uint32_t op = largest;
    for (uint32_t i = 0; i < 3 && op != TN_NONE; i++, op = next_largest(d, op)) {
        const tni_node *node = &model->nodes[d->region->nodes[op - 1]];
        say(&w, "%s \"%.*s\" (%.*s) %llu", i > 0 ? "," : "", TNI_TEXT(node->name),
            TNI_TEXT(node->op_type), (unsigned long long)d->op_bytes[op]);
    }
    return tni_fail_node(error, TN_ERROR_LIMIT_EXCEEDED, "plan.memory",
                         largest == TN_NONE ? TN_NONE : d->region->nodes[largest - 1], TN_NONE,
                         "no plan was found in which the weights fit: %s", w.text);
}

// What the islands of one device hold, every constant once.
static uint64_t held_by(tally *t, const tni_plan *plan, const tni_device *device) {
    uint64_t sum = 0;
    t->current++;
    for (uint32_t i = 0; i < plan->island_count; i++) {
        const tni_island *island = &plan->islands[i];
        for (uint32_t n = 0; island->device == device && n < island->node_count; n++) {
            sum = add(sum, bytes_of_node(t, island->nodes[n]));
        }
    }
    return sum;
}

tn_status tni_caps_add_used(const tni_plan *plan, tni_cap *caps, uint32_t cap_count,
                            tn_error *error) {
    tally t;
    if (tally_init(&t, plan->model) != TN_OK) {
        tally_deinit(&t);
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "memory caps");
    }
    for (uint32_t c = 0; c < cap_count; c++) {
        for (uint32_t k = 0; k < plan->set_count; k++) {
            const tni_device *device = plan->sets[k].device;
            if (shares_memory(device, caps[c].device)) {
                caps[c].used_bytes = add(caps[c].used_bytes, held_by(&t, plan, device));
            }
        }
    }
    tally_deinit(&t);
    return TN_OK;
}
