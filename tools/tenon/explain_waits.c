// SPDX-License-Identifier: Apache-2.0
// Where a run would make a host thread wait, for all forms of `tenon explain`.
#include "explain.h"

#include <stdarg.h>
#include <stdlib.h>

#define WAITS_NAMED 4u

int explain_find_waits(const tn_request *request, explain_report *report) {
    uint32_t count = report->stats.planned_host_waits;
    report->waits = calloc((size_t)count + 1, sizeof(*report->waits));
    if (report->waits == NULL) {
        cli_message(report->session->command, "out of memory");
        return CLI_ENVIRONMENT;
    }
    for (uint32_t i = 0; i < count; i++) {
        report->waits[i] = (tn_planned_wait){.struct_size = sizeof(report->waits[i]),
                                             .struct_type = TN_STRUCT_PLANNED_WAIT};
        // Shapes with a plan of their own have islands that are not those told of here.
        if (tn_request_planned_wait_get(request, i, &report->waits[i]) != TN_OK) {
            return CLI_OK;
        }
        report->wait_count = i + 1;
    }
    return CLI_OK;
}

static size_t append(char *text, size_t capacity, size_t used, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int wrote = vsnprintf(text + used, capacity - used, format, arguments);
    va_end(arguments);
    size_t end = used + (wrote > 0 ? (size_t)wrote : 0);
    return end < capacity ? end : capacity - 1;
}

uint32_t explain_waits_before(const explain_report *report, uint32_t island, char *text,
                              size_t capacity) {
    uint32_t count = 0;
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < report->wait_count; i++) {
        const tn_planned_wait *wait = &report->waits[i];
        if (wait->before_island != island) {
            continue;
        }
        const char *before = count == 0 ? "for " : ", ";
        if (count == WAITS_NAMED) {
            used = append(text, capacity, used, ", ...");
        } else if (count > WAITS_NAMED) {
            // Told by the number alone.
        } else if (wait->on_island == TN_NONE) {
            used = append(text, capacity, used, "%sthe copy of an input", before);
        } else if (wait->on_copy != 0) {
            used = append(text, capacity, used, "%sthe copy of island %u's results", before,
                          wait->on_island);
        } else {
            used = append(text, capacity, used, "%sisland %u", before, wait->on_island);
        }
        count++;
    }
    return count;
}
