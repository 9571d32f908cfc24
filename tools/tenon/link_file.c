// SPDX-License-Identifier: Apache-2.0
// See the header. Ids are looked up by the host, which names one that it does not know.
#include "link_file.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES ((long)1 << 20)

typedef struct place {
    const char *command;
    const char *path;
    size_t pair;
} place;

static int fail(const place *at, const char *key, const char *wrong) {
    cli_message(at->command, "%s: pairs[%zu]: \"%s\" %s", at->path, at->pair, key, wrong);
    return CLI_USAGE;
}

static int read_id(const place *at, const json_t *pair, const char *key, const char **out_id) {
    const json_t *value = json_object_get(pair, key);
    *out_id = json_string_value(value);
    return value == NULL      ? fail(at, key, "is missing")
           : *out_id == NULL  ? fail(at, key, "is not a text")
           : **out_id == '\0' ? fail(at, key, "is empty")
                              : CLI_OK;
}

static int read_number(const place *at, const json_t *pair, const char *key, int64_t most,
                       int64_t *out_value) {
    const json_t *value = json_object_get(pair, key);
    *out_value = json_integer_value(value);
    return value == NULL                         ? fail(at, key, "is missing")
           : !json_is_integer(value)             ? fail(at, key, "is not a whole number")
           : *out_value < 0 || *out_value > most ? fail(at, key, "is out of range")
                                                 : CLI_OK;
}

static int check_keys(const place *at, json_t *pair) {
    static const char *const known[] = {
        "from", "to", "handover_ns", "copy_ns", "trust", "bytes_per_second", "noise_permille"};
    for (void *i = json_object_iter(pair); i != NULL; i = json_object_iter_next(pair, i)) {
        const char *key = json_object_iter_key(i);
        bool found = strncmp(key, "x-", 2) == 0;
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
            found |= strcmp(key, known[k]) == 0;
        }
        if (!found) {
            return fail(at, key, "is no key of a pair");
        }
    }
    return CLI_OK;
}

static int read_pair(const place *at, json_t *pair, tn_link_cost *out_link) {
    int64_t rate = 0;
    int code = json_is_object(pair) ? check_keys(at, pair) : fail(at, "", "is not an object");
    if (code == CLI_OK) {
        code = read_id(at, pair, "from", &out_link->from);
    }
    if (code == CLI_OK) {
        code = read_id(at, pair, "to", &out_link->to);
    }
    if (code == CLI_OK) {
        code = read_number(at, pair, "handover_ns", TN_LINK_MAX_NS, &out_link->handover_ns);
    }
    if (code == CLI_OK) {
        code = read_number(at, pair, "copy_ns", TN_LINK_MAX_NS, &out_link->copy_ns);
    }
    if (code == CLI_OK) {
        code = read_number(at, pair, "bytes_per_second", INT64_MAX, &rate);
    }
    out_link->bytes_per_second = (uint64_t)rate;
    return code;
}

static int read_pairs(const char *command, const char *path, link_file *file) {
    json_t *pairs = json_object_get(file->document, "pairs");
    const size_t count = json_array_size(pairs);
    if (!json_is_array(pairs) || count == 0 || count > LINK_FILE_MOST) {
        cli_message(command, "%s: \"pairs\" is not a list of 1 to %u pairs", path, LINK_FILE_MOST);
        return CLI_USAGE;
    }
    file->links = calloc(count, sizeof(*file->links));
    if (file->links == NULL) {
        cli_message(command, "out of memory");
        return CLI_ENVIRONMENT;
    }
    int code = CLI_OK;
    for (size_t i = 0; i < count && code == CLI_OK; i++) {
        const place at = {command, path, i};
        code = read_pair(&at, json_array_get(pairs, i), &file->links[i]);
    }
    file->count = (uint32_t)count;
    return code;
}

// A file that is not larger than it may be; null after a message.
static json_t *load(const char *command, const char *path) {
    json_error_t wrong;
    FILE *stream = fopen(path, "rb");
    json_t *document = NULL;
    if (stream == NULL || fseek(stream, 0, SEEK_END) != 0) {
        cli_message(command, "%s: it cannot be read", path);
    } else if (ftell(stream) < 0 || ftell(stream) > MAX_BYTES) {
        cli_message(command, "%s: it is larger than %ld bytes", path, MAX_BYTES);
    } else {
        rewind(stream);
        document = json_loadf(stream, JSON_REJECT_DUPLICATES, &wrong);
        if (document == NULL) {
            cli_message(command, "%s: line %d: %s", path, wrong.line, wrong.text);
        }
    }
    if (stream != NULL) {
        (void)fclose(stream);
    }
    return document;
}

int link_file_read(const char *command, const char *path, link_file *out_file) {
    *out_file = (link_file){.document = load(command, path)};
    if (out_file->document == NULL) {
        return CLI_USAGE;
    }
    const json_t *version = json_object_get(out_file->document, "schema_version");
    if (!json_is_integer(version) || json_integer_value(version) != CLI_SCHEMA_VERSION) {
        cli_message(command, "%s: \"schema_version\" is not %d", path, CLI_SCHEMA_VERSION);
        return CLI_USAGE;
    }
    return read_pairs(command, path, out_file);
}

void link_file_free(link_file *file) {
    free(file->links);
    json_decref(file->document);
    *file = (link_file){0};
}
