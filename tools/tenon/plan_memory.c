// SPDX-License-Identifier: Apache-2.0
// Caps on what weights may take on devices, as words: "DEVICE=SIZE,...".
#include "plan_session.h"

#include <string.h>

// A size, or "own". Returns false for anything else, and for 0: that would be "own".
static bool parse_size(const char *text, size_t size, uint64_t *out_bytes) {
    *out_bytes = 0;
    return (size == 3 && strncmp(text, "own", 3) == 0) || cli_parse_bytes(text, size, out_bytes);
}

static bool add_one(plan_rules *rules, const char *text, size_t size, cli_origin origin) {
    const char *equals = memchr(text, '=', size);
    const size_t named = equals != NULL ? (size_t)(equals - text) : 0;
    uint64_t bytes = 0;
    if (named == 0 || named >= PLAN_DEVICE_BYTES || rules->cap_count == CLI_MAX_LIST ||
        !parse_size(equals + 1, size - named - 1, &bytes)) {
        return false;
    }
    plan_cap *cap = &rules->caps[rules->cap_count++];
    *cap = (plan_cap){.bytes = bytes, .origin = origin};
    memcpy(cap->device, text, named);
    return true;
}

int plan_memory_add(const char *command, plan_rules *rules, const char *list, cli_origin origin) {
    for (const char *one = list; one != NULL;) {
        const size_t size = strcspn(one, ",");
        if (!add_one(rules, one, size, origin)) {
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
        rules->caps[rules->cap_count++] = base->caps[i];
    }
}

// Whether another cap counts for the same device instead: of a source before, or a later one of the
// same source.
static bool is_overruled(const plan_session *session, const plan_rules *rules, uint32_t cap) {
    const tn_host *host = session->host;
    const uint32_t device = tn_host_device_find(host, rules->caps[cap].device);
    for (uint32_t i = 0; i < rules->cap_count; i++) {
        const bool same_source = rules->caps[i].origin.file == rules->caps[cap].origin.file;
        if ((same_source ? i > cap : i < cap) &&
            tn_host_device_find(host, rules->caps[i].device) == device) {
            return true;
        }
    }
    return false;
}

int plan_memory_caps(const plan_session *session, const plan_rules *rules, tn_device_cap *out_caps,
                     uint32_t *out_count) {
    int code = CLI_OK;
    *out_count = 0;
    for (uint32_t i = 0; i < rules->cap_count && code == CLI_OK; i++) {
        const plan_cap *cap = &rules->caps[i];
        code = plan_rules_check_device(session, cap->device, cap->origin);
        if (code == CLI_OK && !is_overruled(session, rules, i)) {
            out_caps[(*out_count)++] = (tn_device_cap){cap->device, cap->bytes};
        }
    }
    return code;
}
