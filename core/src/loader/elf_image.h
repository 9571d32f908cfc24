// SPDX-License-Identifier: Apache-2.0
// What the parts of the ELF check share: the segments, the dynamic section's values, tables read
// into memory. elf_image.c reads headers, elf_dynamic.c the dynamic section, elf_symbols.c symbols
// and hash tables, elf_relocations.c relocations, elf_versions.c symbol versions.
#ifndef TENON_LOADER_ELF_IMAGE_H
#define TENON_LOADER_ELF_IMAGE_H

#include "loader/elf_check.h"

#include <elf.h>

#define TNI_ELF_MAX_LOADS 32u
#define TNI_ELF_MAX_NEEDED 128u

// A part of the file in memory.
typedef struct tni_elf_table {
    uint8_t *bytes;
    uint64_t size_bytes;
} tni_elf_table;

// Addresses and sizes from the dynamic section; 0 where absent.
typedef struct tni_elf_dynamic {
    uint64_t strtab, strsz, symtab, syment;
    uint64_t hash, gnu_hash;
    uint64_t rela, relasz, relaent, relacount;
    uint64_t relr, relrsz, relrent;
    uint64_t jmprel, pltrelsz, pltrel, pltgot;
    uint64_t init, fini;
    uint64_t init_array, init_arraysz, fini_array, fini_arraysz;
    uint64_t versym, verneed, verneednum, verdef, verdefnum;
    uint64_t flags;
    uint64_t seen;                       // bit by field, to find what is given twice
    uint64_t needed[TNI_ELF_MAX_NEEDED]; // offsets in the string table
    uint32_t needed_count;
} tni_elf_dynamic;

typedef struct tni_elf_image {
    const tni_alloc *alloc;
    const tni_elf_source *source;
    tni_elf_report *report;
    tn_error *error;
    uint32_t load_count;
    Elf64_Phdr loads[TNI_ELF_MAX_LOADS];
    Elf64_Phdr dynamic_segment;
    bool has_dynamic;
    bool has_stack;
    tni_elf_dynamic dynamic;
    tni_elf_table strings; // ends in NUL
    tni_elf_table symbols; // symbol_count times Elf64_Sym
    uint64_t symbol_count;
    uint64_t max_relocated; // the highest symbol that a relocation names
} tni_elf_image;

// Each step: TN_OK, or error and report->reason are filled.
TN_MUST_USE tn_status tni_elf_read_headers(tni_elf_image *image);
TN_MUST_USE tn_status tni_elf_read_dynamic(tni_elf_image *image);
TN_MUST_USE tn_status tni_elf_check_relocations(tni_elf_image *image);
TN_MUST_USE tn_status tni_elf_check_symbols(tni_elf_image *image);
TN_MUST_USE tn_status tni_elf_check_versions(tni_elf_image *image);

// Fills the error with status INVALID_DATA.
tn_status tni_elf_bad(tni_elf_image *image, const char *id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Reads from the file; the error has the id "elf.read".
TN_MUST_USE tn_status tni_elf_read(tni_elf_image *image, uint64_t offset, void *destination,
                                   uint64_t size_bytes);

// Where an address range lies in the file: the range must be within the file part of one segment.
bool tni_elf_offset_of(const tni_elf_image *image, uint64_t address, uint64_t size_bytes,
                       uint64_t *out_offset);
// Whether an address range lies in the memory of one segment that has all access flags (PF_).
bool tni_elf_in_memory(const tni_elf_image *image, uint64_t address, uint64_t size_bytes,
                       uint32_t access);

// Reads a table by its address. what is for the message. Free with tni_elf_drop_table.
TN_MUST_USE tn_status tni_elf_load_table(tni_elf_image *image, const char *what, const char *id,
                                         uint64_t address, uint64_t size_bytes,
                                         tni_elf_table *out_table);
void tni_elf_drop_table(const tni_elf_image *image, tni_elf_table *table);

// The text at an offset of the string table, or null.
const char *tni_elf_text(const tni_elf_image *image, uint64_t offset);

// Reads number index of a table; the caller has checked the range.
uint16_t tni_elf_u16(const tni_elf_table *table, uint64_t index);
uint32_t tni_elf_u32(const tni_elf_table *table, uint64_t index);
uint64_t tni_elf_u64(const tni_elf_table *table, uint64_t index);
Elf64_Sym tni_elf_symbol(const tni_elf_image *image, uint64_t index);

#endif // TENON_LOADER_ELF_IMAGE_H
