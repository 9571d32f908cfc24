// SPDX-License-Identifier: Apache-2.0
// Runs upon runs: the steady state of one side or of two in pairs, and the long haul.
#include "bench.h"

#include "seeded_random.h"

#include <stdlib.h>

// When nothing else is asked for: so many runs and so long, whichever ends later, but no longer
// than the last.
#define DEFAULT_RUNS 30u
#define DEFAULT_NS 3000000000u
#define LONGEST_DEFAULT_NS 60000000000u

#define MINUTE_NS 60000000000u
// Of one minute, kept to tell its percentiles.
#define MINUTE_SAMPLES 262144u

static const char command[] = "bench";

static int out_of_memory(void) {
    cli_message(command, "out of memory");
    return CLI_ENVIRONMENT;
}

bool bench_samples_add(bench_samples *samples, uint64_t max, uint64_t seen, uint64_t ns) {
    if (samples->count == max) {
        // Reservoir sampling: each of the runs seen so far stays with the same chance.
        uint64_t random = seen;
        uint64_t at = seeded_random(&random) % (seen + 1);
        if (at < max) {
            samples->ns[at] = ns;
        }
        return true;
    }
    if (samples->count == samples->capacity) {
        uint64_t capacity = samples->capacity > 0 ? 2 * samples->capacity : 1024;
        uint64_t *grown = realloc(samples->ns, capacity * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        samples->ns = grown;
        samples->capacity = capacity;
    }
    samples->ns[samples->count++] = ns;
    return true;
}

// Whether another run is due, of max at most.
static bool goes_on(const bench_options *o, uint64_t runs, uint64_t elapsed_ns, uint64_t max) {
    if (runs >= max) {
        return false;
    }
    if (o->runs == 0 && o->window_ns == 0) {
        return runs < 3 || (elapsed_ns < LONGEST_DEFAULT_NS &&
                            (runs < DEFAULT_RUNS || elapsed_ns < DEFAULT_NS));
    }
    return runs == 0 ||
           ((o->runs == 0 || runs < o->runs) && (o->window_ns == 0 || elapsed_ns < o->window_ns));
}

// Runs a side once and keeps the sample.
static int sample(bench_side *side) {
    uint64_t ns = 0;
    int code = bench_side_run(side, true, &ns);
    if (code == CLI_OK && !bench_samples_add(&side->samples, BENCH_MAX_RUNS, 0, ns)) {
        return out_of_memory();
    }
    return code;
}

static int conclude(bench_side *side, const bench_machine *machine) {
    side->rss_peak_bytes = bench_rss_peak_bytes();
    if (!bench_summarise(side->samples.ns, side->samples.count, &side->summary)) {
        return out_of_memory();
    }
    bench_trust_of(&side->summary, machine->load_average, machine->core_count, &side->trust);
    return CLI_OK;
}

int bench_steady(bench_session *session) {
    bench_side *side = &session->base;
    cli_progress progress;
    cli_progress_begin(&progress, "measuring");
    int code = bench_side_warm_up(side);
    uint64_t begin = cli_now_ns();
    while (code == CLI_OK &&
           goes_on(&side->options, side->samples.count, cli_now_ns() - begin, BENCH_MAX_RUNS)) {
        code = sample(side);
        cli_progress_update(&progress, 0);
    }
    cli_progress_end(&progress);
    return code == CLI_OK ? conclude(side, &session->machine) : code;
}

int bench_pairs(bench_session *session) {
    bench_side *base = &session->base;
    bench_side *other = &session->other;
    uint64_t random = base->options.inputs.seed;
    cli_progress progress;
    cli_progress_begin(&progress, "measuring");
    int code = bench_side_warm_up(base);
    code = code == CLI_OK ? bench_side_warm_up(other) : code;
    uint64_t begin = cli_now_ns();
    while (code == CLI_OK &&
           goes_on(&base->options, base->samples.count, cli_now_ns() - begin, BENCH_MAX_PAIRS)) {
        // Which goes first is chance, so that neither always finds what the other left in caches.
        bool swap = (seeded_random(&random) & 1) != 0;
        code = sample(swap ? other : base);
        code = code == CLI_OK ? sample(swap ? base : other) : code;
        cli_progress_update(&progress, 0);
    }
    cli_progress_end(&progress);
    code = code == CLI_OK ? conclude(base, &session->machine) : code;
    code = code == CLI_OK ? conclude(other, &session->machine) : code;
    if (code == CLI_OK &&
        !bench_ratio_of_pairs(base->samples.ns, other->samples.ns, base->samples.count,
                              base->options.inputs.seed, &session->ratio)) {
        return out_of_memory();
    }
    return code;
}

static int run_minute(bench_side *side, bench_samples *samples, bench_minute *out_minute) {
    uint64_t begin = cli_now_ns();
    uint64_t seen = 0;
    samples->count = 0;
    while (seen == 0 || cli_now_ns() - begin < side->minute_ns) {
        uint64_t ns = 0;
        int code = bench_side_run(side, false, &ns);
        if (code != CLI_OK) {
            return code;
        }
        if (!bench_samples_add(samples, MINUTE_SAMPLES, seen++, ns)) {
            return out_of_memory();
        }
    }
    bench_summary summary;
    if (!bench_summarise(samples->ns, samples->count, &summary)) {
        return out_of_memory();
    }
    *out_minute = (bench_minute){seen, summary.p50_ns, summary.p95_ns};
    return CLI_OK;
}

int bench_sustain(bench_session *session) {
    bench_side *side = &session->base;
    uint64_t all = side->options.sustain_ns;
    side->minute_ns = all >= 2 * (uint64_t)MINUTE_NS ? MINUTE_NS : all / 10 + 1;
    uint64_t count = all / side->minute_ns + (all % side->minute_ns != 0);
    bench_samples samples = {0};
    cli_progress progress;
    side->minutes = calloc(count, sizeof(*side->minutes));
    if (side->minutes == NULL) {
        return out_of_memory();
    }
    int code = CLI_OK;
    cli_progress_begin(&progress, "sustaining");
    for (uint64_t i = 0; i < count && code == CLI_OK; i++) {
        code = run_minute(side, &samples, &side->minutes[i]);
        side->minute_count += code == CLI_OK;
        cli_progress_update(&progress, (uint32_t)(1000 * (i + 1) / count));
    }
    cli_progress_end(&progress);
    free(samples.ns);
    return code;
}
