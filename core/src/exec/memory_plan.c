// SPDX-License-Identifier: Apache-2.0
// Offsets by liveness, one arena a space. Two places may overlap only when everybody who touches
// the one is known to have finished before the writer of the other starts. Largest first, first
// fit.
#include "exec/schedule.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/machine.h"

#include <stdio.h>
#include <string.h>

typedef struct planner {
    tni_schedule *s;
    uint32_t *by_size;      // places, largest first
    uint32_t *reader_begin; // place_count + 1
    uint32_t *readers;      // steps
    uint32_t reader_count;
    uint32_t *placed; // places of the current space, by offset
    uint32_t placed_count;
} planner;

// Whether everything that touches place has finished before step starts.
static bool finished_before(const planner *p, uint32_t place, uint32_t step) {
    const tni_place *one = &p->s->places[place];
    if (one->lasting || one->writer == TN_NONE || step == TN_NONE ||
        !tni_step_is_before(p->s, one->writer, step)) {
        return false;
    }
    for (uint32_t i = p->reader_begin[place]; i < p->reader_begin[place + 1]; i++) {
        if (!tni_step_is_before(p->s, p->readers[i], step)) {
            return false;
        }
    }
    return true;
}

static bool may_overlap(const planner *p, uint32_t a, uint32_t b) {
    const tni_place *places = p->s->places;
    return !places[a].lasting && !places[b].lasting &&
           (finished_before(p, a, places[b].writer) || finished_before(p, b, places[a].writer));
}

static void find_readers(planner *p) {
    tni_schedule *s = p->s;
    for (uint32_t i = 0; i < s->step_count; i++) {
        for (uint32_t k = 0; k < s->steps[i].inputs.count; k++) {
            p->reader_begin[s->links[s->steps[i].inputs.begin + k] + 1]++;
        }
    }
    for (uint32_t i = 0; i < s->place_count; i++) {
        p->reader_begin[i + 1] += p->reader_begin[i];
        p->by_size[i] = p->reader_begin[i]; // the next free slot, for now
    }
    for (uint32_t i = 0; i < s->step_count; i++) {
        for (uint32_t k = 0; k < s->steps[i].inputs.count; k++) {
            p->readers[p->by_size[s->links[s->steps[i].inputs.begin + k]]++] = i;
        }
    }
}

// Heap sort, so that the order is the same everywhere and nothing recurses: larger first, ties by
// index.
static bool goes_first(const planner *p, uint32_t a, uint32_t b) {
    uint64_t size_a = p->s->places[a].size_bytes;
    uint64_t size_b = p->s->places[b].size_bytes;
    return size_a != size_b ? size_a > size_b : a < b;
}

static void sift(planner *p, uint32_t root, uint32_t count) {
    uint32_t *order = p->by_size;
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && goes_first(p, order[child], order[child + 1])) {
            child++;
        }
        if (!goes_first(p, order[root], order[child])) {
            return;
        }
        uint32_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
        root = child;
    }
}

static void sort_by_size(planner *p) {
    uint32_t count = p->s->place_count;
    for (uint32_t i = 0; i < count; i++) {
        p->by_size[i] = i;
    }
    for (uint32_t i = count / 2; i-- > 0;) {
        sift(p, i, count);
    }
    for (uint32_t end = count; end-- > 1;) {
        uint32_t swap = p->by_size[0];
        p->by_size[0] = p->by_size[end];
        p->by_size[end] = swap;
        sift(p, 0, end);
    }
}

static bool place_fits(uint64_t offset, uint64_t size, const tni_place *other) {
    return offset + size <= other->offset_bytes ||
           offset >= other->offset_bytes + other->size_bytes;
}

// The lowest offset where place collides with none of those already placed that it may not overlap.
static bool find_offset(planner *p, uint32_t place, uint64_t *out_offset) {
    tni_place *one = &p->s->places[place];
    uint64_t offset = 0;
    bool moved = true;
    // Each move passes the end of one placed neighbour for good, so this ends.
    while (moved) {
        moved = false;
        for (uint32_t i = 0; i < p->placed_count; i++) {
            const tni_place *other = &p->s->places[p->placed[i]];
            if (!place_fits(offset, one->size_bytes, other) &&
                !may_overlap(p, place, p->placed[i])) {
                uint64_t end = other->offset_bytes + other->size_bytes;
                if (!tni_align_u64(end, one->alignment_bytes, &offset)) {
                    return false;
                }
                moved = true;
            }
        }
    }
    *out_offset = offset;
    return true;
}

static bool plan_space(planner *p, uint32_t space) {
    tni_schedule *s = p->s;
    p->placed_count = 0;
    for (uint32_t i = 0; i < s->place_count; i++) {
        tni_place *place = &s->places[p->by_size[i]];
        uint64_t end;
        if (place->space != space || place->external != NULL) {
            continue;
        }
        if (!find_offset(p, p->by_size[i], &place->offset_bytes) ||
            !tni_add_u64(place->offset_bytes, place->size_bytes, &end)) {
            return false;
        }
        s->spaces[space].arena_bytes =
            end > s->spaces[space].arena_bytes ? end : s->spaces[space].arena_bytes;
        p->placed[p->placed_count++] = p->by_size[i];
    }
    // Whole pages, so that the arena can be imported.
    return tni_align_u64(s->spaces[space].arena_bytes, TNI_MAX_ALIGNMENT,
                         &s->spaces[space].arena_bytes);
}

static tn_status over_cap(const planner *p, uint64_t total, uint64_t cap, tn_error *error) {
    char text[256] = "";
    int used = 0;
    for (uint32_t i = 0; i < p->s->place_count && i < 3; i++) {
        const tni_place *place = &p->s->places[p->by_size[i]];
        const tni_model *model = p->s->plan->model;
        tn_string name = place->value == TN_NONE ? tni_string_of("a workspace")
                                                 : model->values[place->value].name;
        int wrote = snprintf(text + used, sizeof(text) - (size_t)used, "%s%.*s %llu",
                             i > 0 ? ", " : "", name.size_bytes > 48 ? 48 : (int)name.size_bytes,
                             name.data, (unsigned long long)place->size_bytes);
        used += wrote > 0 ? wrote : 0;
    }
    return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "memory.cap",
                    "a run needs %llu bytes, the cap is %llu; largest tensors: %s",
                    (unsigned long long)total, (unsigned long long)cap, text);
}

tn_status tni_memory_check(const tni_schedule *s, uint64_t max_tensor_bytes, tn_error *error) {
    for (uint32_t i = 0; i < s->place_count && max_tensor_bytes > 0; i++) {
        const tni_place *place = &s->places[i];
        if (place->size_bytes > max_tensor_bytes) {
            const tn_string name = place->value == TN_NONE
                                       ? tni_string_of("a workspace")
                                       : s->plan->model->values[place->value].name;
            return tni_fail_node(error, TN_ERROR_LIMIT_EXCEEDED, "memory.tensor-size", TN_NONE,
                                 place->value, "'%.*s' takes %llu bytes, the limit is %llu",
                                 TNI_TEXT(name), (unsigned long long)place->size_bytes,
                                 (unsigned long long)max_tensor_bytes);
        }
    }
    return TN_OK;
}

static tn_status plan_all(planner *p, uint64_t cap_bytes, tn_error *error) {
    uint64_t total = 0;
    find_readers(p);
    sort_by_size(p);
    for (uint32_t i = 0; i < p->s->space_count; i++) {
        p->s->spaces[i].arena_bytes = 0;
        if (!plan_space(p, i) || !tni_add_u64(total, p->s->spaces[i].arena_bytes, &total)) {
            return tni_fail(error, TN_ERROR_LIMIT_EXCEEDED, "memory.size",
                            "the tensors of one run exceed 2^64 bytes");
        }
    }
    if (cap_bytes == 0 && p->s->space_count > 0) {
        total = p->s->spaces[0].arena_bytes;
        cap_bytes = tni_machine_memory_bytes();
    }
    return total > cap_bytes ? over_cap(p, total, cap_bytes, error) : TN_OK;
}

tn_status tni_memory_plan(tni_schedule *s, uint64_t cap_bytes, tn_error *error) {
    planner p = {.s = s};
    uint64_t places = (uint64_t)s->place_count + 1;
    for (uint32_t i = 0; i < s->step_count; i++) {
        p.reader_count += s->steps[i].inputs.count;
    }
    uint64_t readers = (uint64_t)p.reader_count + 1;
    p.by_size = tni_alloc_array(&s->alloc, places, sizeof(uint32_t));
    p.placed = tni_alloc_array(&s->alloc, places, sizeof(uint32_t));
    p.reader_begin = tni_alloc_array(&s->alloc, places, sizeof(uint32_t));
    p.readers = tni_alloc_array(&s->alloc, readers, sizeof(uint32_t));
    tn_status status =
        p.by_size != NULL && p.placed != NULL && p.reader_begin != NULL && p.readers != NULL
            ? plan_all(&p, cap_bytes, error)
            : tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the memory plan");
    tni_free_array(&s->alloc, p.by_size, places, sizeof(uint32_t));
    tni_free_array(&s->alloc, p.placed, places, sizeof(uint32_t));
    tni_free_array(&s->alloc, p.reader_begin, places, sizeof(uint32_t));
    tni_free_array(&s->alloc, p.readers, readers, sizeof(uint32_t));
    return status;
}
