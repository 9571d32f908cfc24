// SPDX-License-Identifier: Apache-2.0
// Caps on what weights may take on devices, as words: "DEVICE=SIZE,...".
#include "plan_session.h"

#include <string.h>

// A size, or "own". Returns false for anything else, and for 0: that would be "own".
static bool parse_size(const char *text, size_t size, uint64_t *out_bytes) {
    *out_bytes = 0;
    return (size == 3 && strncmp(text, "own", 3) == 0) || cli_parse_bytes(text, size, out_bytes);
}

static plan_cap *find_cap(plan_rules *rules, const char *device, size_t size) {
    for (uint32_t i = 0; i < rules->cap_count; i++) {
        if (strlen(rules->caps[i].device) == size &&
            memcmp(rules->caps[i].device, device, size) == 0) {
            return &rules->caps[i];
        }
    }
    return NULL;
}

static plan_cap *cap_named(plan_rules *rules, const char *device, size_t size) {
    plan_cap *known = find_cap(rules, device, size);
    return known != NULL                     ? known
           : rules->cap_count < CLI_MAX_LIST ? &rules->caps[rules->cap_count++]
                                             : NULL;
}

static bool add_one(plan_rules *rules, const char *text, size_t size) {
    const char *equals = memchr(text, '=', size);
    const size_t named = equals != NULL ? (size_t)(equals - text) : 0;
    uint64_t bytes = 0;
    if (named == 0 || named >= PLAN_DEVICE_BYTES ||
        !parse_size(equals + 1, size - named - 1, &bytes)) {
        return false;
    }
    plan_cap *cap = cap_named(rules, text, named);
    if (cap != NULL) {
        memcpy(cap->device, text, named);
        cap->device[named] = '\0';
        cap->bytes = bytes;
    }
    return cap != NULL;
}

int plan_memory_add(const char *command, plan_rules *rules, const char *list) {
    for (const char *one = list; one != NULL;) {
        const size_t size = strcspn(one, ",");
        if (!add_one(rules, one, size)) {
            cli_message(command,
                        "a cap is DEVICE=SIZE, such as opencl=64MB or opencl=own, at most %u of "
                        "them; \"%.*s\" is not that",
                        CLI_MAX_LIST, (int)(size > 100 ? 100 : size), one);
            return CLI_USAGE;
        }
        one = one[size] == ',' ? one + size + 1 : NULL;
    }
    return CLI_OK;
}

void plan_memory_join(const plan_rules *base, plan_rules *rules) {
    for (uint32_t i = 0; i < base->cap_count && rules->cap_count < CLI_MAX_LIST; i++) {
        const plan_cap *cap = &base->caps[i];
        if (find_cap(rules, cap->device, strlen(cap->device)) == NULL) {
            rules->caps[rules->cap_count++] = *cap;
        }
    }
}

void plan_memory_caps(const plan_rules *rules, tn_device_cap *out_caps) {
    for (uint32_t i = 0; i < rules->cap_count; i++) {
        out_caps[i] = (tn_device_cap){rules->caps[i].device, rules->caps[i].bytes};
    }
}
