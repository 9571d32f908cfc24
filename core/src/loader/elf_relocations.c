// SPDX-License-Identifier: Apache-2.0
// Relocations: of a kind this machine knows, into writable memory of the library, with symbols that
// exist. A damaged one would make the dynamic linker write or read anywhere.
#include "loader/elf_image.h"

#include <string.h>

#define CHUNK_ENTRIES 512u

typedef struct relocation_kind {
    uint32_t type;
    bool is_relative; // the addend is an address in the library
    bool is_resolver; // the addend is a function that the linker calls
} relocation_kind;

static const relocation_kind kinds[] = {
#if defined(__x86_64__)
    {R_X86_64_NONE, false, false},     {R_X86_64_64, false, false},
    {R_X86_64_GLOB_DAT, false, false}, {R_X86_64_JUMP_SLOT, false, false},
    {R_X86_64_RELATIVE, true, false},  {R_X86_64_DTPMOD64, false, false},
    {R_X86_64_DTPOFF64, false, false}, {R_X86_64_TPOFF64, false, false},
    {R_X86_64_TLSDESC, false, false},  {R_X86_64_IRELATIVE, true, true},
#elif defined(__aarch64__)
    {R_AARCH64_NONE, false, false},       {R_AARCH64_ABS64, false, false},
    {R_AARCH64_GLOB_DAT, false, false},   {R_AARCH64_JUMP_SLOT, false, false},
    {R_AARCH64_RELATIVE, true, false},    {R_AARCH64_TLS_DTPMOD, false, false},
    {R_AARCH64_TLS_DTPREL, false, false}, {R_AARCH64_TLS_TPREL, false, false},
    {R_AARCH64_TLSDESC, false, false},    {R_AARCH64_IRELATIVE, true, true},
#else
    {0, false, false},
#endif
};

static const relocation_kind *find_kind(uint32_t type) {
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

static bool is_in(uint64_t address, uint64_t begin, uint64_t size_bytes) {
    return address >= begin && address - begin < size_bytes;
}

// A slot of the initialisers or finalisers is called: it must point into code.
static bool is_called(const tni_elf_image *image, uint64_t address) {
    const tni_elf_dynamic *dynamic = &image->dynamic;
    return is_in(address, dynamic->init_array, dynamic->init_arraysz) ||
           is_in(address, dynamic->fini_array, dynamic->fini_arraysz);
}

static bool target_is_good(const tni_elf_image *image, const relocation_kind *kind,
                           const Elf64_Rela *entry) {
    const uint64_t target = (uint64_t)entry->r_addend;
    if (kind->is_resolver || (kind->is_relative && is_called(image, entry->r_offset))) {
        return tni_elf_in_memory(image, target, 1, PF_X);
    }
    // Compilers may point a little before or behind an object, so only the whole image bounds it.
    const Elf64_Phdr *last = &image->loads[image->load_count - 1];
    return !kind->is_relative || target <= last->p_vaddr + last->p_memsz;
}

static tn_status check_entry(tni_elf_image *image, const Elf64_Rela *entry, bool must_be_relative) {
    const uint32_t type = (uint32_t)ELF64_R_TYPE(entry->r_info);
    const uint64_t symbol = ELF64_R_SYM(entry->r_info);
    const relocation_kind *kind = find_kind(type);
    if (kind == NULL || (must_be_relative && (!kind->is_relative || kind->is_resolver))) {
        return tni_elf_bad(image, "elf.relocation-type", "relocation of type %u at 0x%llx", type,
                           (unsigned long long)entry->r_offset);
    }
    if (!tni_elf_in_memory(image, entry->r_offset, sizeof(uint64_t), PF_W)) {
        return tni_elf_bad(image, "elf.relocation-place",
                           "a relocation writes to 0x%llx, outside the library's data",
                           (unsigned long long)entry->r_offset);
    }
    if (!target_is_good(image, kind, entry)) {
        return tni_elf_bad(image, "elf.relocation-target",
                           "a relocation at 0x%llx points to 0x%llx, outside the library",
                           (unsigned long long)entry->r_offset,
                           (unsigned long long)entry->r_addend);
    }
    if (symbol > image->max_relocated) {
        image->max_relocated = symbol;
    }
    return TN_OK;
}

static tn_status check_chunk(tni_elf_image *image, const tni_elf_table *chunk, uint64_t first,
                             uint64_t relative_count) {
    for (uint64_t i = 0; i < chunk->size_bytes / sizeof(Elf64_Rela); i++) {
        Elf64_Rela entry;
        memcpy(&entry, chunk->bytes + i * sizeof(entry), sizeof(entry));
        tn_status status = check_entry(image, &entry, first + i < relative_count);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

static tn_status check_table(tni_elf_image *image, const char *what, uint64_t address,
                             uint64_t size_bytes, uint64_t relative_count) {
    const uint64_t count = size_bytes / sizeof(Elf64_Rela);
    uint64_t offset = 0;
    if (size_bytes % sizeof(Elf64_Rela) != 0 || relative_count > count ||
        !tni_elf_offset_of(image, address, size_bytes, &offset)) {
        return tni_elf_bad(image, "elf.relocation-table",
                           "%s: %llu bytes at address 0x%llx, %llu relative ones first", what,
                           (unsigned long long)size_bytes, (unsigned long long)address,
                           (unsigned long long)relative_count);
    }
    for (uint64_t first = 0; first < count; first += CHUNK_ENTRIES) {
        const uint64_t left = count - first;
        tni_elf_table chunk;
        tn_status status = tni_elf_load_table(
            image, what, "elf.relocation-table", address + first * sizeof(Elf64_Rela),
            (left < CHUNK_ENTRIES ? left : CHUNK_ENTRIES) * sizeof(Elf64_Rela), &chunk);
        if (status == TN_OK) {
            status = check_chunk(image, &chunk, first, relative_count);
        }
        tni_elf_drop_table(image, &chunk);
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

// The packed form: an even entry is an address, an odd one a bitmap over the 63 words behind it.
static tn_status check_packed(tni_elf_image *image) {
    const tni_elf_dynamic *dynamic = &image->dynamic;
    tni_elf_table table;
    uint64_t next = 0;
    if (dynamic->relrent != sizeof(uint64_t) || dynamic->relrsz % sizeof(uint64_t) != 0) {
        return tni_elf_bad(image, "elf.relocation-table", "packed: %llu bytes, %llu each",
                           (unsigned long long)dynamic->relrsz,
                           (unsigned long long)dynamic->relrent);
    }
    tn_status status = tni_elf_load_table(image, "packed relocations", "elf.relocation-table",
                                          dynamic->relr, dynamic->relrsz, &table);
    for (uint64_t i = 0; status == TN_OK && i < table.size_bytes / sizeof(uint64_t); i++) {
        const uint64_t entry = tni_elf_u64(&table, i);
        const bool is_bitmap = (entry & 1u) != 0;
        for (uint64_t bit = 1; is_bitmap && bit < 64 && status == TN_OK; bit++) {
            if ((entry >> bit & 1u) != 0 &&
                !tni_elf_in_memory(image, next + (bit - 1) * 8, sizeof(uint64_t), PF_W)) {
                status = tni_elf_bad(image, "elf.relocation-place",
                                     "packed relocation %llu writes outside the library's data",
                                     (unsigned long long)i);
            }
        }
        if (!is_bitmap && !tni_elf_in_memory(image, entry, sizeof(uint64_t), PF_W)) {
            status = tni_elf_bad(image, "elf.relocation-place",
                                 "a packed relocation writes to 0x%llx, outside the library's data",
                                 (unsigned long long)entry);
        }
        next = is_bitmap ? next + 63 * sizeof(uint64_t) : entry + sizeof(uint64_t);
    }
    tni_elf_drop_table(image, &table);
    return status;
}

tn_status tni_elf_check_relocations(tni_elf_image *image) {
    const tni_elf_dynamic *dynamic = &image->dynamic;
    tn_status status = TN_OK;
    if (dynamic->relasz != 0 || dynamic->rela != 0) {
        status = dynamic->relaent != sizeof(Elf64_Rela)
                     ? tni_elf_bad(image, "elf.relocation-table", "relocations of %llu bytes",
                                   (unsigned long long)dynamic->relaent)
                     : check_table(image, "relocations", dynamic->rela, dynamic->relasz,
                                   dynamic->relacount);
    }
    if (status == TN_OK && (dynamic->pltrelsz != 0 || dynamic->jmprel != 0)) {
        status =
            dynamic->pltrel != DT_RELA ||
                    !tni_elf_in_memory(image, dynamic->pltgot, 3 * sizeof(uint64_t), PF_W)
                ? tni_elf_bad(image, "elf.relocation-table",
                              "calls: relocations of kind %llu, table at 0x%llx",
                              (unsigned long long)dynamic->pltrel,
                              (unsigned long long)dynamic->pltgot)
                : check_table(image, "relocations of calls", dynamic->jmprel, dynamic->pltrelsz, 0);
    }
    if (status == TN_OK && (dynamic->relrsz != 0 || dynamic->relr != 0)) {
        status = check_packed(image);
    }
    return status;
}
