// SPDX-License-Identifier: Apache-2.0
// The dynamic section: collected into fields, then checked against the segments; names of needed
// libraries.
#include "loader/elf_image.h"

#include "base/error.h"
#include "base/string.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MAX_ENTRIES 1024u

#ifndef DT_RELRSZ
#define DT_RELRSZ 35
#define DT_RELR 36
#define DT_RELRENT 37
#endif

static const struct {
    int64_t tag;
    size_t offset;
} fields[] = {
    {DT_STRTAB, offsetof(tni_elf_dynamic, strtab)},
    {DT_STRSZ, offsetof(tni_elf_dynamic, strsz)},
    {DT_SYMTAB, offsetof(tni_elf_dynamic, symtab)},
    {DT_SYMENT, offsetof(tni_elf_dynamic, syment)},
    {DT_HASH, offsetof(tni_elf_dynamic, hash)},
    {DT_GNU_HASH, offsetof(tni_elf_dynamic, gnu_hash)},
    {DT_RELA, offsetof(tni_elf_dynamic, rela)},
    {DT_RELASZ, offsetof(tni_elf_dynamic, relasz)},
    {DT_RELAENT, offsetof(tni_elf_dynamic, relaent)},
    {DT_RELACOUNT, offsetof(tni_elf_dynamic, relacount)},
    {DT_RELR, offsetof(tni_elf_dynamic, relr)},
    {DT_RELRSZ, offsetof(tni_elf_dynamic, relrsz)},
    {DT_RELRENT, offsetof(tni_elf_dynamic, relrent)},
    {DT_JMPREL, offsetof(tni_elf_dynamic, jmprel)},
    {DT_PLTRELSZ, offsetof(tni_elf_dynamic, pltrelsz)},
    {DT_PLTREL, offsetof(tni_elf_dynamic, pltrel)},
    {DT_PLTGOT, offsetof(tni_elf_dynamic, pltgot)},
    {DT_INIT, offsetof(tni_elf_dynamic, init)},
    {DT_FINI, offsetof(tni_elf_dynamic, fini)},
    {DT_INIT_ARRAY, offsetof(tni_elf_dynamic, init_array)},
    {DT_INIT_ARRAYSZ, offsetof(tni_elf_dynamic, init_arraysz)},
    {DT_FINI_ARRAY, offsetof(tni_elf_dynamic, fini_array)},
    {DT_FINI_ARRAYSZ, offsetof(tni_elf_dynamic, fini_arraysz)},
    {DT_VERSYM, offsetof(tni_elf_dynamic, versym)},
    {DT_VERNEED, offsetof(tni_elf_dynamic, verneed)},
    {DT_VERNEEDNUM, offsetof(tni_elf_dynamic, verneednum)},
    {DT_VERDEF, offsetof(tni_elf_dynamic, verdef)},
    {DT_VERDEFNUM, offsetof(tni_elf_dynamic, verdefnum)},
    {DT_FLAGS, offsetof(tni_elf_dynamic, flags)},
};

static tn_status take_field(tni_elf_image *image, const Elf64_Dyn *entry) {
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].tag != entry->d_tag) {
            continue;
        }
        if ((image->dynamic.seen >> i & 1u) != 0) {
            return tni_elf_bad(image, "elf.dynamic-twice", "dynamic entry 0x%llx is there twice",
                               (unsigned long long)entry->d_tag);
        }
        image->dynamic.seen |= (uint64_t)1 << i;
        memcpy((char *)&image->dynamic + fields[i].offset, &entry->d_un.d_val, sizeof(uint64_t));
        return TN_OK;
    }
    return TN_OK;
}

static tn_status take_entry(tni_elf_image *image, const Elf64_Dyn *entry) {
    switch (entry->d_tag) {
    case DT_NEEDED:
        if (image->dynamic.needed_count == TNI_ELF_MAX_NEEDED) {
            return tni_elf_bad(image, "elf.needed-count", "more than %u needed libraries",
                               TNI_ELF_MAX_NEEDED);
        }
        image->dynamic.needed[image->dynamic.needed_count++] = entry->d_un.d_val;
        return TN_OK;
    case DT_TEXTREL:
        return tni_elf_bad(image, "elf.text-relocations",
                           "relocations in code (DT_TEXTREL): the code would be writable");
    case DT_REL:
    case DT_RELSZ:
    case DT_FILTER:
    case DT_AUXILIARY:
    case DT_AUDIT:
    case DT_DEPAUDIT:
        return tni_elf_bad(image, "elf.dynamic-tag",
                           "dynamic entry 0x%llx has no place in a plugin",
                           (unsigned long long)entry->d_tag);
    default:
        return take_field(image, entry);
    }
}

static tn_status collect(tni_elf_image *image) {
    const Elf64_Phdr *segment = &image->dynamic_segment;
    uint64_t offset = 0;
    if (segment->p_vaddr % 8 != 0 || segment->p_filesz % sizeof(Elf64_Dyn) != 0 ||
        segment->p_filesz / sizeof(Elf64_Dyn) > MAX_ENTRIES ||
        !tni_elf_offset_of(image, segment->p_vaddr, segment->p_filesz, &offset) ||
        offset != segment->p_offset ||
        !tni_elf_in_memory(image, segment->p_vaddr, segment->p_filesz, PF_W)) {
        return tni_elf_bad(image, "elf.dynamic-segment",
                           "the dynamic section: %llu bytes at address 0x%llx, offset 0x%llx",
                           (unsigned long long)segment->p_filesz,
                           (unsigned long long)segment->p_vaddr,
                           (unsigned long long)segment->p_offset);
    }
    for (uint64_t at = 0; at < segment->p_filesz; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        tn_status status = tni_elf_read(image, offset + at, &entry, sizeof(entry));
        if (status != TN_OK || entry.d_tag == DT_NULL) {
            return status;
        }
        status = take_entry(image, &entry);
        if (status != TN_OK) {
            return status;
        }
    }
    return tni_elf_bad(image, "elf.dynamic-end", "the dynamic section has no end (DT_NULL)");
}

static tn_status load_strings(tni_elf_image *image) {
    const tni_elf_dynamic *dynamic = &image->dynamic;
    if (dynamic->strtab == 0 || dynamic->symtab == 0 || dynamic->syment != sizeof(Elf64_Sym)) {
        return tni_elf_bad(image, "elf.symbol-table",
                           "string table at 0x%llx, symbols of %llu bytes at 0x%llx",
                           (unsigned long long)dynamic->strtab, (unsigned long long)dynamic->syment,
                           (unsigned long long)dynamic->symtab);
    }
    tn_status status = tni_elf_load_table(image, "the string table", "elf.string-table",
                                          dynamic->strtab, dynamic->strsz, &image->strings);
    if (status == TN_OK && image->strings.bytes[image->strings.size_bytes - 1] != '\0') {
        status = tni_elf_bad(image, "elf.string-table", "the string table does not end in NUL");
    }
    return status;
}

// Also notes the names for whoever must explain why dlopen refused.
static tn_status check_needed(tni_elf_image *image) {
    char *out = image->report->needed;
    size_t used = 0;
    for (uint32_t i = 0; i < image->dynamic.needed_count; i++) {
        const char *name = tni_elf_text(image, image->dynamic.needed[i]);
        if (name == NULL || name[0] == '\0') {
            return tni_elf_bad(image, "elf.needed", "the name of needed library %u is not there",
                               i);
        }
        const size_t room = sizeof(image->report->needed) - used;
        const int length = snprintf(out + used, room, "%s%s", used == 0 ? "" : ", ", name);
        used = length < 0 || (size_t)length >= room ? sizeof(image->report->needed) - 1
                                                    : used + (size_t)length;
    }
    tni_text_sanitise(out);
    return TN_OK;
}

static tn_status check_array(tni_elf_image *image, const char *what, uint64_t address,
                             uint64_t size_bytes) {
    return size_bytes == 0 || (size_bytes % 8 == 0 && address % 8 == 0 &&
                               tni_elf_in_memory(image, address, size_bytes, PF_R))
               ? TN_OK
               : tni_elf_bad(image, "elf.init-array", "%s: %llu bytes at 0x%llx", what,
                             (unsigned long long)size_bytes, (unsigned long long)address);
}

static tn_status check_code(tni_elf_image *image, const char *what, uint64_t address) {
    return address == 0 || tni_elf_in_memory(image, address, 1, PF_X)
               ? TN_OK
               : tni_elf_bad(image, "elf.init", "%s at 0x%llx is not in code", what,
                             (unsigned long long)address);
}

tn_status tni_elf_read_dynamic(tni_elf_image *image) {
    const tni_elf_dynamic *dynamic = &image->dynamic;
    tn_status status = collect(image);
    if (status == TN_OK && (dynamic->flags & DF_TEXTREL) != 0) {
        status = tni_elf_bad(image, "elf.text-relocations",
                             "relocations in code (DF_TEXTREL): the code would be writable");
    }
    if (status == TN_OK) {
        status = load_strings(image);
    }
    if (status == TN_OK) {
        status = check_needed(image);
    }
    if (status == TN_OK) {
        status = check_code(image, "the initialiser", dynamic->init);
    }
    if (status == TN_OK) {
        status = check_code(image, "the finaliser", dynamic->fini);
    }
    if (status == TN_OK) {
        status = check_array(image, "initialisers", dynamic->init_array, dynamic->init_arraysz);
    }
    if (status == TN_OK) {
        status = check_array(image, "finalisers", dynamic->fini_array, dynamic->fini_arraysz);
    }
    return status;
}
