// SPDX-License-Identifier: Apache-2.0
// tenon-onnx-suite: runs every case of folders in the layout of ONNX's backend tests and compares
// what passed with what should. Exit codes: 0 as expected, 1 not, 2 usage or input, 3 environment.
#include "onnx/expectations.h"
#include "onnx/suite.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_BYTES 1024u

typedef struct options {
    const char *folder; // that holds the cases
    const char *name;   // of the suite, for the list
    const char *device;
    const char *list;
    const char *plugins;
    const char *json;
    const char *only; // one case
    uint32_t floor;   // at least so many must pass
    double range;     // judge by this part of each tensor's range; 0: by the two tolerances
    bool claimed;     // what no device takes need not pass
    bool verbose;
} options;

typedef struct totals {
    uint32_t cases;
    uint32_t outcomes[SUITE_OUTCOMES];
    uint32_t strict;
    uint32_t surprises; // passed though listed, or not passed though not listed
    uint64_t elements;
} totals;

static const char usage_text[] =
    "usage: tenon-onnx-suite FOLDER [options]\n"
    "\n"
    "Runs FOLDER/CASE/model.onnx with FOLDER/CASE/test_data_set_N for every CASE.\n"
    "\n"
    "  --device LIST    run on these devices alone, separated by commas (default: what the host\n"
    "                   chooses)\n"
    "  --claimed        cases that these devices do not take need not pass\n"
    "  --plugins DIR    look for plugins here\n"
    "  --list FILE      what is known not to pass: lines \"SUITE/CASE REASON\"\n"
    "  --name SUITE     name of this suite in the list (default: FOLDER's last part)\n"
    "  --floor N        fail when fewer than N cases pass\n"
    "  --range X        an error is more than X times the range of its tensor, nothing else\n"
    "  --only CASE      run this case alone\n"
    "  --json FILE      write a report\n"
    "  --verbose        print every case\n"
    "\n"
    "example: tenon-onnx-suite /usr/share/libonnx-testdata/data/node --device reference:cpu\n";

static bool read_options(int argc, char **argv, options *o) {
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        const char **target = strcmp(argv[i], "--device") == 0    ? &o->device
                              : strcmp(argv[i], "--plugins") == 0 ? &o->plugins
                              : strcmp(argv[i], "--list") == 0    ? &o->list
                              : strcmp(argv[i], "--name") == 0    ? &o->name
                              : strcmp(argv[i], "--only") == 0    ? &o->only
                              : strcmp(argv[i], "--json") == 0    ? &o->json
                                                                  : NULL;
        if (target != NULL && i + 1 < argc) {
            *target = argv[++i];
        } else if (strcmp(argv[i], "--verbose") == 0) {
            o->verbose = true;
        } else if (strcmp(argv[i], "--claimed") == 0) {
            o->claimed = true;
        } else if (strcmp(argv[i], "--floor") == 0 && i + 1 < argc) {
            unsigned long floor = strtoul(argv[++i], &end, 10);
            o->floor = (uint32_t)floor;
            if (*end != '\0' || floor > UINT32_MAX) {
                return false;
            }
        } else if (strcmp(argv[i], "--range") == 0 && i + 1 < argc) {
            o->range = strtod(argv[++i], &end);
            if (*end != '\0' || !(o->range > 0.0)) {
                return false;
            }
        } else if (argv[i][0] != '-' && o->folder == NULL) {
            o->folder = argv[i];
        } else {
            return false;
        }
    }
    return o->folder != NULL;
}

// The last part of a path.
static void suite_name(const char *folder, char *name, size_t capacity) {
    size_t end = strlen(folder);
    while (end > 0 && folder[end - 1] == '/') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && folder[begin - 1] != '/') {
        begin--;
    }
    snprintf(name, capacity, "%.*s", (int)(end - begin), folder + begin);
}

// JSON has no infinity: -1 stands for it.
static double json_number(double value) {
    return isfinite(value) ? value : -1.0;
}

static json_t *case_json(const char *name, const suite_report *report, const char *reason) {
    json_t *out = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:b, s:b, s:f, s:f, s:f}", "case", name, "outcome",
        suite_outcome_name(report->outcome), "class", suite_class_name(report->kind), "data_sets",
        (json_int_t)report->data_sets, "elements", (json_int_t)report->result.elements, "strict",
        (int)report->result.strict, "tolerant", (int)report->result.tolerant, "max_error",
        json_number(report->result.max_error), "max_ulp", json_number(report->result.max_ulp),
        "max_range_error", json_number(report->result.max_range_error));
    bool passed = report->outcome == SUITE_PASSED;
    if (out != NULL &&
        (json_object_set_new(out, passed ? "output_sha256" : "why",
                             json_string(passed ? report->hash : report->text)) != 0 ||
         (reason != NULL && json_object_set_new(out, "listed", json_string(reason)) != 0))) {
        json_decref(out);
        out = NULL;
    }
    return out;
}

static void count_case(totals *t, const suite_report *report, bool listed) {
    bool passed = report->outcome == SUITE_PASSED;
    t->cases++;
    t->outcomes[report->outcome]++;
    t->strict += passed && report->result.strict;
    t->elements += passed ? report->result.elements : 0;
    t->surprises += passed == listed;
}

static bool is_case(const char *folder, const char *name) {
    char path[NAME_BYTES * 2];
    struct stat info;
    snprintf(path, sizeof(path), "%s/%s/model.onnx", folder, name);
    return name[0] != '.' && stat(path, &info) == 0;
}

static void run_case(tn_host *host, const options *o, const char *suite, const char *name,
                     suite_expectations *list, totals *t, json_t *cases) {
    char folder[NAME_BYTES];
    suite_report report;
    snprintf(folder, sizeof(folder), "%s/%s", o->folder, name);
    suite_run_case(host, o->device, folder, o->range, &report);
    suite_expectation *line = suite_expectations_find(list, suite, name);
    bool passed = report.outcome == SUITE_PASSED;
    bool expected = line != NULL || (o->claimed && report.outcome == SUITE_UNSUPPORTED);
    count_case(t, &report, expected);
    if (line != NULL) {
        line->used++;
    }
    if (passed == expected) {
        printf("%s %s/%s: %s\n", passed ? "UNEXPECTED PASS" : "NOT LISTED", suite, name,
               passed ? line->reason : report.text);
    } else if (o->verbose) {
        printf("%s %s/%s: %s\n", suite_outcome_name(report.outcome), suite, name,
               passed ? suite_class_name(report.kind) : report.text);
    }
    // A report that cannot be written is missed at the end, when its length is compared.
    (void)json_array_append_new(cases,
                                case_json(name, &report, line != NULL ? line->reason : NULL));
}

static int scan(tn_host *host, const options *o, const char *suite, suite_expectations *list,
                totals *t, json_t *cases) {
    struct dirent **entries = NULL;
    int count = scandir(o->folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        bool wanted = o->only == NULL || strcmp(o->only, entries[i]->d_name) == 0;
        if (wanted && is_case(o->folder, entries[i]->d_name)) {
            run_case(host, o, suite, entries[i]->d_name, list, t, cases);
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}

static bool write_json(const options *o, const char *suite, const totals *t, json_t *cases) {
    if (o->json == NULL) {
        return true;
    }
    json_t *root = json_pack(
        "{s:i, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:O}", "schema_version", 1, "suite", suite,
        "device", o->device != NULL ? o->device : "", "cases", (int)t->cases, "passed",
        (int)t->outcomes[SUITE_PASSED], "passed_strict", (int)t->strict, "wrong",
        (int)t->outcomes[SUITE_WRONG], "failed", (int)t->outcomes[SUITE_FAILED], "unsupported",
        (int)t->outcomes[SUITE_UNSUPPORTED], "results", cases);
    bool good = root != NULL && json_array_size(cases) == t->cases &&
                json_dump_file(root, o->json, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0;
    json_decref(root);
    return good;
}

// A line of the list that stands for no case any more has outlived its reason.
static uint32_t report_unused(const options *o, const char *suite, const suite_expectations *list) {
    uint32_t unused = 0;
    size_t size = strlen(suite);
    for (uint32_t i = 0; i < list->count && o->only == NULL; i++) {
        const suite_expectation *item = &list->items[i];
        if (strncmp(item->name, suite, size) == 0 && item->name[size] == '/' && item->used == 0) {
            printf("NO SUCH CASE %s: %s\n", item->name, item->reason);
            unused++;
        }
    }
    return unused;
}

static int run(tn_host *host, const options *o, suite_expectations *list) {
    char last[NAME_BYTES];
    suite_name(o->folder, last, sizeof(last));
    const char *suite = o->name != NULL ? o->name : last;
    totals t = {0};
    json_t *cases = json_array();
    if (cases == NULL || scan(host, o, suite, list, &t, cases) < 0) {
        fprintf(stderr, "tenon-onnx-suite: %s cannot be read\n", o->folder);
        json_decref(cases);
        return 2;
    }
    uint32_t unused = report_unused(o, suite, list);
    printf("%s: %u cases, %u passed (%u of them strictly, %llu elements), %u wrong, %u failed, "
           "%u unsupported\n",
           suite, t.cases, t.outcomes[SUITE_PASSED], t.strict, (unsigned long long)t.elements,
           t.outcomes[SUITE_WRONG], t.outcomes[SUITE_FAILED], t.outcomes[SUITE_UNSUPPORTED]);
    bool written = write_json(o, suite, &t, cases);
    json_decref(cases);
    if (!written) {
        fprintf(stderr, "tenon-onnx-suite: %s cannot be written\n", o->json);
        return 3;
    }
    bool enough = t.outcomes[SUITE_PASSED] >= o->floor && t.cases > 0;
    if (!enough) {
        printf("%s: %u passed, at least %u must\n", suite, t.outcomes[SUITE_PASSED], o->floor);
    }
    return enough && t.surprises == 0 && unused == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    options o = {0};
    suite_expectations list = {0};
    uint32_t line = 0;
    tn_error error = {.struct_size = sizeof(error), .struct_type = TN_STRUCT_ERROR};
    tn_host *host = NULL;
    if (!read_options(argc, argv, &o)) {
        fputs(usage_text, stderr);
        return 2;
    }
    if (o.list != NULL && !suite_expectations_read(o.list, &list, &line)) {
        fprintf(stderr, "tenon-onnx-suite: %s:%u: no line \"SUITE/CASE REASON\"\n", o.list, line);
        return 2;
    }
    tn_host_config config;
    tn_host_config_init(&config);
    if (o.plugins != NULL) {
        config.search_dirs = &o.plugins;
        config.search_dir_count = 1;
        config.search = 0;
    }
    if (sodium_init() < 0 || tn_host_create(&config, &host, &error) != TN_OK) {
        fprintf(stderr, "tenon-onnx-suite: %s\n", error.text);
        suite_expectations_free(&list);
        return 3;
    }
    int code = run(host, &o, &list);
    tn_host_release(host);
    suite_expectations_free(&list);
    return code;
}
