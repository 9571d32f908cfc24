// SPDX-License-Identifier: Apache-2.0
// `tenon bench`: how long every phase takes, how long runs take again and again, and whether that
// keeps a budget or beats another way to run.
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static const char command[] = "bench";

static uint64_t take_duration(cli_args *args, const char *option) {
    const char *text = cli_value(args, option);
    uint64_t ns = 0;
    if (text != NULL && !bench_parse_duration(text, strlen(text), &ns)) {
        cli_message(command, "%s takes a time such as 10m, 3s or 500ms, not \"%s\"", option, text);
        args->failed = CLI_USAGE;
    }
    return ns;
}

static void take_budget(cli_args *args, bench_options *o, const char *option) {
    char text[BENCH_BUDGET_TEXT_BYTES];
    const char *list = cli_value(args, option);
    if (list != NULL && !bench_budget_parse(list, &o->budget, text)) {
        cli_message(command, "%s", text);
        args->failed = CLI_USAGE;
    }
}

// Options that make a second side. Returns false when argument is none of them.
static bool take_versus(cli_args *args, bench_options *o, const char *argument) {
    if (strcmp(argument, "--interleave") == 0) {
        o->other = cli_value(args, argument);
    } else if (strcmp(argument, "--versus-device") == 0) {
        o->versus_devices = cli_value(args, argument);
    } else if (strcmp(argument, "--versus-threads") == 0) {
        o->versus_threads = (uint32_t)cli_number(args, argument, 0, 1024);
        o->has_versus_threads = true;
    } else {
        return false;
    }
    o->versus = true;
    return true;
}

static bool take_valued(cli_args *args, bench_options *o, const char *argument) {
    if (strcmp(argument, "--runs") == 0) {
        o->runs = cli_number(args, argument, 1, BENCH_MAX_RUNS);
    } else if (strcmp(argument, "--seconds") == 0) {
        o->window_ns = cli_number(args, argument, 1, 86400) * 1000000000;
    } else if (strcmp(argument, "--warmup") == 0) {
        o->warmup = cli_number(args, argument, 0, BENCH_MAX_RUNS);
    } else if (strcmp(argument, "--memory-mb") == 0) {
        o->memory_mb = cli_number(args, argument, 1, 1u << 30);
    } else if (strcmp(argument, "--sustain") == 0) {
        o->sustain_ns = take_duration(args, argument);
    } else if (strcmp(argument, "--budget") == 0) {
        take_budget(args, o, argument);
    } else {
        return take_versus(args, o, argument) || input_options_take(args, &o->inputs, argument) ||
               plan_rules_take(args, &o->rules, argument);
    }
    return true;
}

static bool take_flag(bench_options *o, const char *argument) {
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--precise", &o->precise},
                 {"--relaxed", &o->relaxed},
                 {"--fast-compile", &o->fast_compile},
                 {"--copy-io", &o->copy_io},
                 {"--samples", &o->samples}};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(argument, flags[i].name) == 0) {
            *flags[i].flag = true;
            return true;
        }
    }
    return false;
}

// What cannot be asked for together.
static int check_versus(const bench_options *o) {
    if (o->versus && o->sustain_ns > 0) {
        cli_message(command, "--sustain runs one side; it does not go with --interleave, "
                             "--versus-device or --versus-threads");
        return CLI_USAGE;
    }
    if (o->versus && o->runs > BENCH_MAX_PAIRS) {
        cli_message(command, "at most %u pairs are compared, not %llu", BENCH_MAX_PAIRS,
                    (unsigned long long)o->runs);
        return CLI_USAGE;
    }
    for (uint32_t i = 0; o->versus && i < o->budget.count; i++) {
        if (o->budget.limits[i].key == BENCH_MEM) {
            cli_message(command, "mem is the memory of the process, which holds two sides here: "
                                 "it cannot be limited");
            return CLI_USAGE;
        }
    }
    return CLI_OK;
}

static int parse(cli_args *args, bench_options *o) {
    *o = (bench_options){.inputs.seed = 1, .warmup = 3};
    for (const char *argument = cli_next(args); argument != NULL; argument = cli_next(args)) {
        if (take_flag(o, argument)) {
            continue;
        }
        if (argument[0] != '-' && o->model == NULL) {
            o->model = argument;
        } else if (!take_valued(args, o, argument)) {
            return cli_unknown(args, argument);
        }
    }
    if (args->failed == CLI_OK && o->model == NULL) {
        cli_message(command, "no model is given; see tenon bench --help");
        return CLI_USAGE;
    }
    return args->failed == CLI_OK ? check_versus(o) : args->failed;
}

// Reads the same arguments again, so that nothing is shared, and then what makes the side another.
static int parse_other(const cli_args *args, bench_side *side) {
    cli_args again = *args;
    bench_options *o = &side->options;
    side->common = (cli_options){.threads = 1};
    again.options = &side->common;
    again.next = 2;
    again.failed = CLI_OK;
    int code = parse(&again, o);
    if (code != CLI_OK) {
        return code;
    }
    o->budget.count = 0; // it holds for the first side
    o->model = o->other != NULL ? o->other : o->model;
    side->common.threads = o->has_versus_threads ? o->versus_threads : side->common.threads;
    code = plan_rules_complete(command, o->model, &o->rules);
    if (code == CLI_OK && o->versus_devices != NULL) {
        code = cli_parse_devices(command, "--versus-device", o->versus_devices, &o->rules.devices);
    }
    return code;
}

static uint64_t measured(const bench_side *side, bench_key key) {
    const bench_summary *s = &side->summary;
    switch (key) {
    case BENCH_P50:
        return s->p50_ns;
    case BENCH_P90:
        return s->p90_ns;
    case BENCH_P95:
        return s->p95_ns;
    case BENCH_P99:
        return s->p99_ns;
    case BENCH_MAX:
        return s->max_ns;
    case BENCH_FIRST:
        return bench_first_result_ns(side);
    case BENCH_MEM:
    case BENCH_KEY_COUNT:
        break;
    }
    return side->rss_peak_bytes;
}

bool bench_judge(bench_side *side) {
    bool all = true;
    for (uint32_t i = 0; i < side->options.budget.count; i++) {
        bench_limit *limit = &side->options.budget.limits[i];
        limit->actual = measured(side, limit->key);
        limit->kept = limit->actual <= limit->limit;
        for (uint64_t k = 0; limit->key <= BENCH_MAX && k < side->samples.count; k++) {
            limit->late += side->samples.ns[k] > limit->limit;
        }
        all = all && limit->kept;
    }
    return all;
}

static int measure(bench_session *session) {
    bool versus = session->base.options.versus;
    bench_machine_read(&session->machine);
    int code = bench_side_open(&session->base);
    if (code == CLI_OK && versus) {
        code = bench_side_open(&session->other);
    }
    if (code == CLI_OK) {
        code = versus ? bench_pairs(session) : bench_steady(session);
    }
    if (code == CLI_OK && session->base.options.sustain_ns > 0) {
        code = bench_sustain(session);
    }
    if (code != CLI_OK) {
        return code;
    }
    session->over_budget = !bench_judge(&session->base);
    if (session->base.common.json) {
        code = bench_print_json(session);
    } else {
        bench_print_text(session);
    }
    return code == CLI_OK && session->over_budget ? CLI_CRITERION : code;
}

int cli_bench(cli_args *args) {
    bench_session *session = calloc(1, sizeof(*session)); // two sides are much for a stack
    if (session == NULL) {
        cli_message(command, "out of memory");
        return CLI_ENVIRONMENT;
    }
    int code = parse(args, &session->base.options);
    session->base.common = *args->options;
    if (code == CLI_OK) {
        code =
            plan_rules_complete(command, session->base.options.model, &session->base.options.rules);
    }
    if (code == CLI_OK && session->base.options.versus) {
        code = parse_other(args, &session->other);
    }
    if (code == CLI_OK) {
        code = measure(session);
    }
    bench_side_close(&session->base);
    bench_side_close(&session->other);
    free(session);
    return code;
}
