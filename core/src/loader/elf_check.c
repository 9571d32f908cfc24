// SPDX-License-Identifier: Apache-2.0
// The ELF check as a whole, and what its parts share.
#include "loader/elf_image.h"

#include "base/checked.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// No table of a plugin is near this; it bounds what a damaged size makes the check allocate.
#define MAX_TABLE_BYTES (64u << 20)

tn_status tni_elf_bad(tni_elf_image *image, const char *id, const char *format, ...) {
    char text[TN_ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof(text), format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    return tni_fail(image->error, TN_ERROR_INVALID_DATA, id, "%s", text);
}

tn_status tni_elf_read(tni_elf_image *image, uint64_t offset, void *destination,
                       uint64_t size_bytes) {
    uint64_t end = 0;
    if (!tni_add_u64(offset, size_bytes, &end) || end > image->source->size_bytes) {
        return tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.truncated", offset,
                           "the file ends at byte %llu, %llu bytes are needed at %llu",
                           (unsigned long long)image->source->size_bytes,
                           (unsigned long long)size_bytes, (unsigned long long)offset);
    }
    return image->source->read(image->source->user_data, offset, destination, size_bytes)
               ? TN_OK
               : tni_fail_at(image->error, TN_ERROR_IO, "elf.read", offset,
                             "the file cannot be read at byte %llu", (unsigned long long)offset);
}

// Whether [address, address + size) is within [begin, begin + room).
static bool is_within(uint64_t address, uint64_t size_bytes, uint64_t begin, uint64_t room) {
    return address >= begin && address - begin <= room && size_bytes <= room - (address - begin);
}

bool tni_elf_offset_of(const tni_elf_image *image, uint64_t address, uint64_t size_bytes,
                       uint64_t *out_offset) {
    for (uint32_t i = 0; i < image->load_count; i++) {
        const Elf64_Phdr *load = &image->loads[i];
        if (is_within(address, size_bytes, load->p_vaddr, load->p_filesz)) {
            *out_offset = load->p_offset + (address - load->p_vaddr);
            return true;
        }
    }
    return false;
}

bool tni_elf_in_memory(const tni_elf_image *image, uint64_t address, uint64_t size_bytes,
                       uint32_t access) {
    for (uint32_t i = 0; i < image->load_count; i++) {
        const Elf64_Phdr *load = &image->loads[i];
        if ((load->p_flags & access) == access &&
            is_within(address, size_bytes, load->p_vaddr, load->p_memsz)) {
            return true;
        }
    }
    return false;
}

tn_status tni_elf_load_table(tni_elf_image *image, const char *what, const char *id,
                             uint64_t address, uint64_t size_bytes, tni_elf_table *out_table) {
    uint64_t offset = 0;
    *out_table = (tni_elf_table){NULL, 0};
    if (size_bytes == 0 || size_bytes > MAX_TABLE_BYTES ||
        !tni_elf_offset_of(image, address, size_bytes, &offset)) {
        return tni_elf_bad(image, id, "%s: %llu bytes at address 0x%llx are not in the file", what,
                           (unsigned long long)size_bytes, (unsigned long long)address);
    }
    out_table->bytes = tni_alloc_bytes(image->alloc, size_bytes, TNI_ALIGNMENT);
    out_table->size_bytes = size_bytes;
    if (out_table->bytes == NULL) {
        return tni_fail_plain(image->error, TN_ERROR_OUT_OF_MEMORY, what);
    }
    return tni_elf_read(image, offset, out_table->bytes, size_bytes);
}

void tni_elf_drop_table(const tni_elf_image *image, tni_elf_table *table) {
    tni_free(image->alloc, table->bytes, table->size_bytes);
    *table = (tni_elf_table){NULL, 0};
}

const char *tni_elf_text(const tni_elf_image *image, uint64_t offset) {
    return offset < image->strings.size_bytes ? (const char *)image->strings.bytes + offset : NULL;
}

uint16_t tni_elf_u16(const tni_elf_table *table, uint64_t index) {
    uint16_t value = 0;
    memcpy(&value, table->bytes + index * sizeof(value), sizeof(value));
    return value;
}

uint32_t tni_elf_u32(const tni_elf_table *table, uint64_t index) {
    uint32_t value = 0;
    memcpy(&value, table->bytes + index * sizeof(value), sizeof(value));
    return value;
}

uint64_t tni_elf_u64(const tni_elf_table *table, uint64_t index) {
    uint64_t value = 0;
    memcpy(&value, table->bytes + index * sizeof(value), sizeof(value));
    return value;
}

Elf64_Sym tni_elf_symbol(const tni_elf_image *image, uint64_t index) {
    Elf64_Sym symbol;
    memcpy(&symbol, image->symbols.bytes + index * sizeof(symbol), sizeof(symbol));
    return symbol;
}

tn_status tni_elf_check(const tni_alloc *alloc, const tni_elf_source *source,
                        tni_elf_report *out_report, tn_error *error) {
    static tn_status (*const steps[])(tni_elf_image *) = {
        tni_elf_read_headers,  tni_elf_read_dynamic,   tni_elf_check_relocations,
        tni_elf_check_symbols, tni_elf_check_versions,
    };
    memset(out_report, 0, sizeof(*out_report));
    out_report->reason = TN_REASON_NOT_USABLE;
    tni_elf_image *image = tni_alloc_zeroed(alloc, sizeof(*image));
    if (image == NULL) {
        return tni_fail_plain(error, TN_ERROR_OUT_OF_MEMORY, "the check of a library");
    }
    image->alloc = alloc;
    image->source = source;
    image->report = out_report;
    image->error = error;
    tn_status status = TN_OK;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == TN_OK; i++) {
        status = steps[i](image);
    }
    tni_elf_drop_table(image, &image->strings);
    tni_elf_drop_table(image, &image->symbols);
    tni_free(alloc, image, sizeof(*image));
    return status;
}
