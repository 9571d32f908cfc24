// SPDX-License-Identifier: Apache-2.0
// The machine's memory and processors, by sysconf and /proc/cpuinfo.
#include "base/machine.h"

#include "base/checked.h"
#include "base/string.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

uint64_t tni_machine_memory_bytes(void) {
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t bytes = 0;
    if (pages <= 0 || page_bytes <= 0 ||
        !tni_mul_u64((uint64_t)pages, (uint64_t)page_bytes, &bytes)) {
        return UINT64_MAX;
    }
    return bytes;
}

// The text behind "model name" of the first processor; "" where the system does not tell.
static void read_model(char *out_text, size_t capacity) {
    static const char key[] = "model name";
    char line[256];
    out_text[0] = '\0';
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && out_text[0] == '\0' && fgets(line, sizeof(line), file) != NULL) {
        char *text = strncmp(line, key, sizeof(key) - 1) == 0 ? strchr(line, ':') : NULL;
        if (text != NULL) {
            text += 1 + strspn(text + 1, " \t");
            text[strcspn(text, "\n")] = '\0';
            snprintf(out_text, capacity, "%s", text);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

void tni_machine_name(char out_name[TNI_MACHINE_NAME_BYTES]) {
    char model[128];
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    read_model(model, sizeof(model));
    snprintf(out_name, TNI_MACHINE_NAME_BYTES, "%s x %ld", model[0] == '\0' ? "unknown" : model,
             count > 0 ? count : 1);
    tni_text_sanitise(out_name);
}
