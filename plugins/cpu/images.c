// SPDX-License-Identifier: Apache-2.0
// How images lie in a program, and whether in bfloat16: one decision for all convolutions, because
// who disagrees with the next pays for a copy. The layers that weigh most are a sample of all.
#include "conv_choice.h"

#include <string.h>

// The sample: kinds of layers until they make up this share of the work, but no more than so many.
#define SAMPLE_SHARE 0.6
#define SAMPLES 6u
// Half of that share is enough, where one takes less than this part of what the other takes.
#define CLEAR 0.75
// What reading or writing an element weighs, in products.
#define ELEMENT_WORK 16.0

// Convolutions of one shape.
typedef struct layer_kind {
    uint32_t node;  // the first of them
    uint32_t count; // 0: of those that lie in another kind
    double work;    // of all
} layer_kind;

// The first stays, unless another is clearly faster. The narrow one only where it is allowed: the
// library has its kernels for that with channels last.
static const cpu_arrangement arrangements[CPU_ARRANGEMENTS] = {
    {CPU_IMAGES_BLOCKED, 0}, {CPU_IMAGES_ANY, 0}, {CPU_IMAGES_ANY, 1}};
#define WIDE 2u        // of them
#define NARROW_FAST 2u // where nothing is measured: tiles want channels last

void tni_cpu_arrange(cpu_program *program, cpu_arrangement arrangement) {
    program->images = arrangement.images;
    program->narrow = arrangement.narrow;
}

static uint32_t same_dims(const cpu_build *build, uint32_t a, uint32_t b) {
    const cpu_value *x = tni_cpu_value(build, a);
    const cpu_value *y = tni_cpu_value(build, b);
    return x->rank == y->rank && memcmp(x->dims, y->dims, x->rank * sizeof x->dims[0]) == 0;
}

static uint32_t same_kind(const cpu_build *build, const cpu_node *a, const cpu_node *b) {
    return same_dims(build, a->inputs[0], b->inputs[0]) &&
           same_dims(build, a->inputs[1], b->inputs[1]) &&
           same_dims(build, a->outputs[0], b->outputs[0]) && a->post_count == b->post_count;
}

static double work_of(const cpu_build *build, const cpu_node *node) {
    const cpu_value *x = tni_cpu_value(build, node->inputs[0]);
    const cpu_value *w = tni_cpu_value(build, node->inputs[1]);
    const cpu_value *y = tni_cpu_value(build, node->outputs[0]);
    if (w->rank != 4 || w->dims[0] < 1) {
        return 0.0;
    }
    return (double)y->count * (double)w->count / (double)w->dims[0] +
           ELEMENT_WORK * ((double)x->count + (double)w->count + (double)y->count);
}

// Returns how many kinds there are; their work is in *out_work.
static uint32_t find_kinds(const cpu_build *build, layer_kind *out_kinds, double *out_work) {
    uint32_t count = 0;
    *out_work = 0.0;
    for (uint32_t i = 0; i < build->node_count; ++i) {
        const cpu_node *node = &build->nodes[i];
        if (node->dead || node->kind != CPU_KIND_CONV || tni_cpu_is_integer_product(build, node)) {
            continue;
        }
        uint32_t k = 0;
        while (k < count && !same_kind(build, &build->nodes[out_kinds[k].node], node)) {
            ++k;
        }
        if (k == count) {
            out_kinds[count++] = (layer_kind){.node = i};
        }
        const double work = work_of(build, node);
        out_kinds[k].count++;
        out_kinds[k].work += work;
        *out_work += work;
    }
    return count;
}

// Blocks of channels follow each other where images are joined; with channels last every pixel is
// copied, at some bytes a nanosecond.
static double time_to_join(const cpu_build *build) {
    double sum = 0.0;
    for (uint32_t i = 0; i < build->node_count; ++i) {
        const cpu_node *node = &build->nodes[i];
        if (!node->dead && node->kind == CPU_KIND_CONCAT) {
            sum += 0.8 * (double)tni_cpu_value(build, node->outputs[0])->count;
        }
    }
    return sum;
}

static layer_kind *heaviest(layer_kind *kinds, uint32_t count) {
    layer_kind *found = &kinds[0];
    for (uint32_t i = 1; i < count; ++i) {
        found = kinds[i].work > found->work ? &kinds[i] : found;
    }
    return found;
}

static uint32_t is_clear(const double *sums, uint32_t count) {
    uint32_t best = 0;
    uint32_t behind = 0;
    for (uint32_t i = 1; i < count; ++i) {
        best = sums[i] < sums[best] ? i : best;
    }
    for (uint32_t i = 0; i < count; ++i) {
        behind += sums[best] < CLEAR * sums[i];
    }
    return behind + 1 == count;
}

// What the program's convolutions take in each arrangement, judged by the heaviest.
static void sample(cpu_build *build, layer_kind *kinds, uint32_t kind_count, double work,
                   uint32_t count, double *out_sums) {
    double seen = 0.0;
    for (uint32_t i = 0; i < SAMPLES && i < kind_count && seen < SAMPLE_SHARE * work &&
                         (seen < SAMPLE_SHARE / 2 * work || !is_clear(out_sums, count));
         ++i) {
        layer_kind *kind = heaviest(kinds, kind_count);
        uint64_t took[CPU_ARRANGEMENTS];
        uint32_t known = 0;
        build->current = kind->node;
        tni_cpu_conv_times(build, &build->nodes[kind->node], count, arrangements, took);
        for (uint32_t k = 0; k < count; ++k) {
            known += took[k] != UINT64_MAX;
        }
        for (uint32_t k = 0; k < count && known == count; ++k) {
            out_sums[k] += (double)took[k] * kind->count;
        }
        seen += known == count ? kind->work : 0.0;
        kind->work = 0.0;
    }
    for (uint32_t k = 0; k < count && seen > 0.0; ++k) {
        out_sums[k] *= work / seen;
    }
    build->current = TN_NONE;
}

static uint32_t best_measured(cpu_build *build, layer_kind *kinds) {
    const uint32_t count = tni_cpu_may_narrow(build->program) ? CPU_ARRANGEMENTS : WIDE;
    const double copies = time_to_join(build);
    double sums[CPU_ARRANGEMENTS] = {0.0};
    uint64_t took[CPU_ARRANGEMENTS];
    double work = 0.0;
    const uint32_t kind_count = find_kinds(build, kinds, &work);
    sample(build, kinds, kind_count, work, count, sums);
    for (uint32_t k = 0; k < count; ++k) {
        const uint32_t joins = arrangements[k].images == CPU_IMAGES_ANY;
        took[k] = (uint64_t)(sums[k] + (joins ? copies / (1.0 + arrangements[k].narrow) : 0.0));
    }
    return tni_cpu_best(took, count, CPU_MARGIN_ARRANGEMENT);
}

// Who displaces the first does so twice: several threads that wait for each other are slowed down
// by whatever else the machine does, and all layers follow from this.
static uint32_t best_confirmed(cpu_build *build, layer_kind *kinds) {
    const uint32_t best = best_measured(build, kinds);
    return best > 0 && best_measured(build, kinds) == best ? best : 0;
}

void tni_cpu_choose_images(cpu_build *build) {
    cpu_program *program = build->program;
    const tn_helper_host *host = &program->host;
    if (program->images != CPU_IMAGES_UNDECIDED) {
        return;
    }
    uint32_t best = 0;
    const uint64_t bytes = (uint64_t)build->node_count * sizeof(layer_kind);
    layer_kind *kinds =
        tni_cpu_measures(program) && bytes > 0 ? tn_helper_alloc(host, bytes) : NULL;
    if (kinds != NULL) {
        best = best_confirmed(build, kinds);
        tn_helper_free(host, kinds, bytes);
    } else if (tni_cpu_may_narrow(program) && tni_cpu_narrow_is_safe()) {
        best = NARROW_FAST;
    }
    tni_cpu_arrange(program, arrangements[best]);
}
