// SPDX-License-Identifier: Apache-2.0
// `tenon compare`: two documents of `tenon bench`, side by side, and a criterion for CI.
#include "bench_stats.h"
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char command[] = "compare";

#define MAX_SAMPLES 1000000u
// More than these are thinned out before resampling, evenly.
#define MAX_RESAMPLED 20000u
// Fewer than these say nothing about chance.
#define MIN_RESAMPLED 6u

// What is compared: where it is in the document, and how it is called.
typedef struct compared {
    const char *section;
    const char *key;
    const char *name;
    bool bytes;
} compared;

static const compared all_compared[] = {
    {"steady", "p50_ns", "p50", false},
    {"steady", "p90_ns", "p90", false},
    {"steady", "p95_ns", "p95", false},
    {"steady", "p99_ns", "p99", false},
    {"phases", "compile_ns", "compile", false},
    {"phases", "first_result_ns", "load to first result", false},
    {"memory", "peak_rss_bytes", "peak RSS", true},
};
#define COMPARED_COUNT (sizeof(all_compared) / sizeof(all_compared[0]))

typedef struct bench_file {
    const char *path;
    json_t *document; // owned
    uint64_t values[COMPARED_COUNT];
    uint64_t *samples; // owned; null: the document has none
    uint64_t sample_count;
} bench_file;

typedef struct comparison {
    bench_file old;
    bench_file new;
    double allowed;  // part by which the new median may be larger; negative: no criterion
    json_t *differs; // owned: texts
    bench_ratio ratio;
    bool has_interval;
    bool slower; // than allowed
} comparison;

static int complain(const bench_file *file, const char *what, const char *more) {
    cli_message(command, "%s: %s%s", file->path, what, more);
    return CLI_USAGE;
}

static int read_samples(bench_file *file, const json_t *steady) {
    json_t *list = json_object_get(steady, "samples_ns");
    size_t count = json_array_size(list);
    if (list == NULL) {
        return CLI_OK;
    }
    if (!json_is_array(list) || count == 0 || count > MAX_SAMPLES) {
        return complain(file, "steady.samples_ns is no list of 1 to 1000000 samples", "");
    }
    size_t step = (count + MAX_RESAMPLED - 1) / MAX_RESAMPLED;
    file->samples = calloc(count, sizeof(*file->samples));
    if (file->samples == NULL) {
        cli_message(command, "out of memory");
        return CLI_ENVIRONMENT;
    }
    for (size_t i = 0; i < count; i += step) {
        const json_t *one = json_array_get(list, i);
        if (!json_is_integer(one) || json_integer_value(one) < 0) {
            return complain(file, "steady.samples_ns holds something else than times", "");
        }
        file->samples[file->sample_count++] = (uint64_t)json_integer_value(one);
    }
    return CLI_OK;
}

static int read_values(bench_file *file) {
    for (size_t i = 0; i < COMPARED_COUNT; i++) {
        const compared *c = &all_compared[i];
        const json_t *value = json_object_get(json_object_get(file->document, c->section), c->key);
        if (!json_is_integer(value) || json_integer_value(value) < 0) {
            char field[64];
            snprintf(field, sizeof(field), "%s.%s", c->section, c->key);
            return complain(file, "not a result of tenon bench: no number at ", field);
        }
        file->values[i] = (uint64_t)json_integer_value(value);
    }
    if (file->values[0] == 0) {
        return complain(file, "steady.p50_ns is 0", "");
    }
    return CLI_OK;
}

static int read_file(bench_file *file) {
    json_error_t error;
    file->document = json_load_file(file->path, JSON_REJECT_DUPLICATES, &error);
    if (file->document == NULL) {
        cli_message(command, "%s: line %d: %s", file->path, error.line, error.text);
        return CLI_USAGE;
    }
    const char *kind = json_string_value(json_object_get(file->document, "kind"));
    const json_t *version = json_object_get(file->document, "schema_version");
    if (kind == NULL || strcmp(kind, "bench") != 0) {
        return complain(file, "not a result of tenon bench --json: kind is not \"bench\"", "");
    }
    if (!json_is_integer(version) || json_integer_value(version) != CLI_SCHEMA_VERSION) {
        char text[32];
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(version));
        return complain(file, "this tenon reads schema_version 1, not ",
                        json_is_integer(version) ? text : "something without one");
    }
    int code = read_values(file);
    return code == CLI_OK ? read_samples(file, json_object_get(file->document, "steady")) : code;
}

// A value of the document as text, "SECTION.KEY" or "KEY"; the caller frees it. Null: not there.
static char *text_at(const bench_file *file, const char *section, const char *key) {
    const json_t *from =
        section != NULL ? json_object_get(file->document, section) : file->document;
    const json_t *value = json_object_get(from, key);
    return value != NULL ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS)
                         : NULL;
}

// What else than time differs: comparing is then the user's business, and said.
static void find_differences(comparison *c) {
    static const struct {
        const char *section;
        const char *key;
        const char *name;
    } fields[] = {
        {"model", "hash", "model"},
        {NULL, "devices", "devices"},
        {NULL, "threads", "threads"},
        {NULL, "precise", "precise"},
        {NULL, "relaxed", "relaxed"},
        {NULL, "copy_io", "copy_io"},
        {NULL, "fast_compile", "fast_compile"},
        {NULL, "large_pages", "large_pages"},
        {"machine", "cpu", "processor"},
        {"machine", "features", "processor features"},
        {"machine", "usable_cores", "usable cores"},
        {NULL, "tenon", "tenon's version"},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char *before = text_at(&c->old, fields[i].section, fields[i].key);
        char *after = text_at(&c->new, fields[i].section, fields[i].key);
        if (before == NULL || after == NULL ? before != after : strcmp(before, after) != 0) {
            json_array_append_new(c->differs, json_pack("{s:s, s:s, s:s}", "what", fields[i].name,
                                                        "old", before != NULL ? before : "not said",
                                                        "new", after != NULL ? after : "not said"));
        }
        free(before);
        free(after);
    }
}

static double ratio_of(const comparison *c, size_t index) {
    uint64_t before = c->old.values[index];
    return before > 0 ? (double)c->new.values[index] / (double)before : 0;
}

static int judge(comparison *c) {
    c->has_interval = c->old.sample_count >= MIN_RESAMPLED && c->new.sample_count >= MIN_RESAMPLED;
    if (c->has_interval &&
        !bench_ratio_of_samples(c->old.samples, c->old.sample_count, c->new.samples,
                                c->new.sample_count, 1, &c->ratio)) {
        cli_message(command, "out of memory");
        return CLI_ENVIRONMENT;
    }
    c->slower = c->allowed >= 0 && ratio_of(c, 0) > 1 + c->allowed &&
                (!c->has_interval || bench_ratio_sign(&c->ratio) > 0);
    return CLI_OK;
}

static const char *verdict(const comparison *c) {
    if (!c->has_interval) {
        return "without 6 --samples in both there is no interval: the difference may be chance";
    }
    int sign = bench_ratio_sign(&c->ratio);
    return sign == 0  ? "no difference is shown: the interval contains 1"
           : sign > 0 ? "the old one is faster"
                      : "the new one is faster";
}

static int print_json(const comparison *c) {
    json_t *values = json_object();
    for (size_t i = 0; i < COMPARED_COUNT; i++) {
        const compared *one = &all_compared[i];
        json_object_set_new(values, one->key,
                            json_pack("{s:I, s:I, s:f}", "old", (json_int_t)c->old.values[i], "new",
                                      (json_int_t)c->new.values[i], "ratio", ratio_of(c, i)));
    }
    json_t *document =
        json_pack("{s:i, s:s, s:s, s:s, s:O, s:o, s:b, s:s}", "schema_version", CLI_SCHEMA_VERSION,
                  "kind", "compare", "old", c->old.path, "new", c->new.path, "differs", c->differs,
                  "values", values, "slower_than_allowed", c->slower, "verdict", verdict(c));
    if (c->has_interval && document != NULL) {
        json_object_set_new(document, "p50_interval",
                            json_pack("[f, f]", c->ratio.low, c->ratio.high));
    }
    return cli_print_json(document);
}

static void print_text(const comparison *c) {
    for (size_t i = 0; i < json_array_size(c->differs); i++) {
        const json_t *one = json_array_get(c->differs, i);
        printf("%sdiffers%s  %s: %s, now %s\n", cli_bad(), cli_plain(),
               json_string_value(json_object_get(one, "what")),
               json_string_value(json_object_get(one, "old")),
               json_string_value(json_object_get(one, "new")));
    }
    for (size_t i = 0; i < COMPARED_COUNT; i++) {
        const compared *one = &all_compared[i];
        char text[2][CLI_TEXT_BYTES];
        const char *(*to_text)(uint64_t, char[CLI_TEXT_BYTES]) =
            one->bytes ? cli_bytes_text : cli_time_text;
        printf("%-22s %12s -> %12s  x%.3f", one->name, to_text(c->old.values[i], text[0]),
               to_text(c->new.values[i], text[1]), ratio_of(c, i));
        if (i == 0 && c->has_interval) {
            printf("  (95 %% interval %.3f to %.3f)", c->ratio.low, c->ratio.high);
        }
        putchar('\n');
    }
    printf("%s%s", verdict(c), c->allowed >= 0 ? "\n" : "");
    if (c->allowed >= 0) {
        printf("%s%s%s: at most %.4g %% slower was allowed", c->slower ? cli_bad() : cli_good(),
               c->slower ? "failed" : "passed", cli_plain(), 100 * c->allowed);
    }
    putchar('\n');
}

static double take_percent(cli_args *args, const char *option) {
    const char *text = cli_value(args, option);
    char *end = NULL;
    double percent = text != NULL ? strtod(text, &end) : 0;
    if (text != NULL &&
        (end == text || strcmp(end, "%") != 0 || !(percent >= 0) || !isfinite(percent))) {
        cli_message(command, "%s takes percent such as 5%%, not \"%s\"", option, text);
        args->failed = CLI_USAGE;
    }
    return percent / 100;
}

static int parse(cli_args *args, comparison *c) {
    for (const char *argument = cli_next(args); argument != NULL; argument = cli_next(args)) {
        if (strcmp(argument, "--fail-slower") == 0) {
            c->allowed = take_percent(args, argument);
        } else if (argument[0] != '-' && c->old.path == NULL) {
            c->old.path = argument;
        } else if (argument[0] != '-' && c->new.path == NULL) {
            c->new.path = argument;
        } else {
            return cli_unknown(args, argument);
        }
    }
    if (args->failed == CLI_OK && c->new.path == NULL) {
        cli_message(command, "two documents of tenon bench --json are needed; see tenon compare "
                             "--help");
        return CLI_USAGE;
    }
    return args->failed;
}

static void free_file(bench_file *file) {
    json_decref(file->document);
    free(file->samples);
}

int cli_compare(cli_args *args) {
    comparison c = {.allowed = -1, .differs = json_array()};
    int code = parse(args, &c);
    if (code == CLI_OK) {
        code = read_file(&c.old);
    }
    if (code == CLI_OK) {
        code = read_file(&c.new);
    }
    if (code == CLI_OK) {
        code = judge(&c);
    }
    if (code == CLI_OK) {
        find_differences(&c);
        if (args->options->json) {
            code = print_json(&c);
        } else {
            print_text(&c);
        }
    }
    json_decref(c.differs);
    free_file(&c.old);
    free_file(&c.new);
    return code == CLI_OK && c.slower ? CLI_CRITERION : code;
}
