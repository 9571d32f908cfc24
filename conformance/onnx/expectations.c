// SPDX-License-Identifier: Apache-2.0
// Reading and searching the list of what does not pass.
#include "onnx/expectations.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 512

static char *trimmed(char *text) {
    while (isspace((unsigned char)*text)) {
        text++;
    }
    size_t size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1])) {
        text[--size] = '\0';
    }
    return text;
}

static bool add(suite_expectations *list, const char *name, const char *reason) {
    suite_expectation *grown =
        realloc(list->items, ((size_t)list->count + 1) * sizeof(*list->items));
    if (grown == NULL) {
        return false;
    }
    list->items = grown;
    suite_expectation item = {.name = strdup(name), .reason = strdup(reason)};
    if (item.name == NULL || item.reason == NULL) {
        free(item.name);
        free(item.reason);
        return false;
    }
    list->items[list->count++] = item;
    return true;
}

static bool read_line(suite_expectations *list, char *line) {
    char *name = trimmed(line);
    if (*name == '\0' || *name == '#') {
        return true;
    }
    char *end = name;
    while (*end != '\0' && !isspace((unsigned char)*end)) {
        end++;
    }
    if (*end == '\0') {
        return false;
    }
    *end = '\0';
    return strchr(name, '/') != NULL && add(list, name, trimmed(end + 1));
}

bool suite_expectations_read(const char *path, suite_expectations *out, uint32_t *out_line) {
    char line[LINE_BYTES];
    *out = (suite_expectations){0};
    *out_line = 0;
    FILE *file = fopen(path, "r");
    bool good = file != NULL;
    while (good && fgets(line, sizeof(line), file) != NULL) {
        ++*out_line;
        // What does not fit would be read as a line of its own.
        good = (strchr(line, '\n') != NULL || feof(file) != 0) && read_line(out, line);
    }
    if (file != NULL) {
        (void)fclose(file); // was only read
    }
    if (!good) {
        suite_expectations_free(out);
    }
    return good;
}

void suite_expectations_free(suite_expectations *list) {
    for (uint32_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].reason);
    }
    free(list->items);
    *list = (suite_expectations){0};
}

static bool matches(const char *pattern, const char *suite, const char *name) {
    size_t suite_size = strlen(suite);
    if (strncmp(pattern, suite, suite_size) != 0 || pattern[suite_size] != '/') {
        return false;
    }
    pattern += suite_size + 1;
    size_t size = strlen(pattern);
    return size > 0 && pattern[size - 1] == '*' ? strncmp(pattern, name, size - 1) == 0
                                                : strcmp(pattern, name) == 0;
}

// How much a name says: what it spells out, and that nothing may follow.
static size_t precision(const char *pattern) {
    size_t size = strlen(pattern);
    return size > 0 && pattern[size - 1] == '*' ? 2 * (size - 1) : 2 * size + 1;
}

suite_expectation *suite_expectations_find(suite_expectations *list, const char *suite,
                                           const char *name) {
    suite_expectation *best = NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        suite_expectation *item = &list->items[i];
        if (matches(item->name, suite, name) &&
            (best == NULL || precision(item->name) > precision(best->name))) {
            best = item;
        }
    }
    return best;
}
