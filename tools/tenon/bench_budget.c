// SPDX-License-Identifier: Apache-2.0
// Parsing of budgets and durations.
#include "bench_budget.h"

#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const char *const keys[BENCH_KEY_COUNT] = {"p50", "p90",   "p95", "p99",
                                                  "max", "first", "mem"};

const char *bench_key_text(bench_key key) {
    return keys[key];
}

bool bench_parse_duration(const char *text, size_t size, uint64_t *out_ns) {
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    size_t digits = strspn(text, "0123456789.");
    char *end = NULL;
    double number = strtod(text, &end);
    if (digits == 0 || digits >= size || end != text + digits) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strlen(units[i].unit) == size - digits &&
            strncmp(text + digits, units[i].unit, size - digits) == 0) {
            double ns = number * units[i].ns;
            *out_ns = ns < 1e18 ? (uint64_t)(ns + 0.5) : 0;
            return *out_ns > 0;
        }
    }
    return false;
}

static bool complain(char *text, const char *what, const char *one, size_t size) {
    snprintf(text, BENCH_BUDGET_TEXT_BYTES, "%s; \"%.*s\" is not that", what,
             (int)(size > 60 ? 60 : size), one);
    return false;
}

static bool add_limit(bench_budget *budget, const char *one, size_t size, char *text) {
    size_t named = strcspn(one, "=");
    uint32_t key = 0;
    while (key < BENCH_KEY_COUNT &&
           (strlen(keys[key]) != named || strncmp(keys[key], one, named) != 0)) {
        key++;
    }
    if (named >= size || key == BENCH_KEY_COUNT) {
        return complain(text, "a budget limits p50, p90, p95, p99, max, first or mem", one, size);
    }
    for (uint32_t i = 0; i < budget->count; i++) {
        if (budget->limits[i].key == key) {
            return complain(text, "a budget limits each thing once", one, size);
        }
    }
    bench_limit limit = {.key = (bench_key)key};
    const char *value = one + named + 1;
    size_t length = size - named - 1;
    if (key == BENCH_MEM && !cli_parse_bytes(value, length, &limit.limit)) {
        return complain(text, "memory is a size such as 64MB", one, size);
    }
    if (key != BENCH_MEM && !bench_parse_duration(value, length, &limit.limit)) {
        return complain(text, "a time is such as 15ms, 80us or 1.5s", one, size);
    }
    budget->limits[budget->count++] = limit;
    return true;
}

bool bench_budget_parse(const char *list, bench_budget *out_budget,
                        char text[BENCH_BUDGET_TEXT_BYTES]) {
    *out_budget = (bench_budget){0};
    for (const char *one = list; one != NULL;) {
        size_t size = strcspn(one, ",");
        if (!add_limit(out_budget, one, size, text)) {
            return false;
        }
        one = one[size] == ',' ? one + size + 1 : NULL;
    }
    return true;
}
