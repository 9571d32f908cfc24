// SPDX-License-Identifier: Apache-2.0
// Symbol versions: the linked lists of needed and defined versions, and the number every symbol
// has. The dynamic linker follows the lists without a bound and asserts what it finds.
#include "loader/elf_image.h"

#include <string.h>

#define MAX_VERSIONS 1024u
#define INDEX_BITS 0x7fffu

static tn_status bad(tni_elf_image *image, const char *what) {
    return tni_elf_bad(image, "elf.versions", "symbol versions: %s", what);
}

static tn_status read_at(tni_elf_image *image, uint64_t address, void *record,
                         uint64_t size_bytes) {
    uint64_t offset = 0;
    return tni_elf_offset_of(image, address, size_bytes, &offset)
               ? tni_elf_read(image, offset, record, size_bytes)
               : bad(image, "a list leaves the file");
}

static bool is_needed(const tni_elf_image *image, const char *name) {
    for (uint32_t i = 0; i < image->dynamic.needed_count; i++) {
        if (strcmp(tni_elf_text(image, image->dynamic.needed[i]), name) == 0) {
            return true;
        }
    }
    return false;
}

static tn_status check_wanted(tni_elf_image *image, const Elf64_Verneed *file, uint64_t address,
                              uint32_t *inout_max) {
    uint64_t at = address + file->vn_aux;
    for (uint32_t i = 0; i < file->vn_cnt; i++) {
        Elf64_Vernaux wanted;
        tn_status status = read_at(image, at, &wanted, sizeof(wanted));
        if (status != TN_OK) {
            return status;
        }
        const uint32_t index = wanted.vna_other & INDEX_BITS;
        if (tni_elf_text(image, wanted.vna_name) == NULL || index < 2) {
            return bad(image, "a needed version has no name or number");
        }
        *inout_max = index > *inout_max ? index : *inout_max;
        if ((wanted.vna_next == 0) != (i + 1 == file->vn_cnt)) {
            return bad(image, "a list of needed versions has another length than it says");
        }
        at += wanted.vna_next;
    }
    return TN_OK;
}

static tn_status check_needs(tni_elf_image *image, uint32_t *inout_max) {
    uint64_t at = image->dynamic.verneed;
    const uint64_t count = image->dynamic.verneednum;
    if ((count == 0) != (at == 0) || count > MAX_VERSIONS) {
        return bad(image, "the number of needed versions");
    }
    for (uint64_t i = 0; i < count; i++) {
        Elf64_Verneed file;
        tn_status status = read_at(image, at, &file, sizeof(file));
        if (status != TN_OK) {
            return status;
        }
        const char *name = tni_elf_text(image, file.vn_file);
        if (file.vn_version != VER_NEED_CURRENT || file.vn_cnt == 0 || name == NULL ||
            !is_needed(image, name)) {
            return bad(image, "a version is needed of a library that is not");
        }
        status = check_wanted(image, &file, at, inout_max);
        if (status != TN_OK) {
            return status;
        }
        if ((file.vn_next == 0) != (i + 1 == count)) {
            return bad(image, "the list of libraries has another length than it says");
        }
        at += file.vn_next;
    }
    return TN_OK;
}

static tn_status check_definitions(tni_elf_image *image, uint32_t *inout_max) {
    uint64_t at = image->dynamic.verdef;
    const uint64_t count = image->dynamic.verdefnum;
    if ((count == 0) != (at == 0) || count > MAX_VERSIONS) {
        return bad(image, "the number of defined versions");
    }
    for (uint64_t i = 0; i < count; i++) {
        Elf64_Verdef definition;
        Elf64_Verdaux name;
        tn_status status = read_at(image, at, &definition, sizeof(definition));
        if (status == TN_OK) {
            status = read_at(image, at + definition.vd_aux, &name, sizeof(name));
        }
        if (status != TN_OK) {
            return status;
        }
        const uint32_t index = definition.vd_ndx & INDEX_BITS;
        if (definition.vd_version != VER_DEF_CURRENT || definition.vd_cnt == 0 || index == 0 ||
            tni_elf_text(image, name.vda_name) == NULL ||
            (definition.vd_next == 0) != (i + 1 == count)) {
            return bad(image, "a defined version");
        }
        *inout_max = index > *inout_max ? index : *inout_max;
        at += definition.vd_next;
    }
    return TN_OK;
}

static tn_status check_numbers(tni_elf_image *image, uint32_t max) {
    tni_elf_table numbers;
    tn_status status =
        tni_elf_load_table(image, "the versions of symbols", "elf.versions", image->dynamic.versym,
                           image->symbol_count * sizeof(uint16_t), &numbers);
    for (uint64_t i = 0; status == TN_OK && i < image->symbol_count; i++) {
        if ((tni_elf_u16(&numbers, i) & INDEX_BITS) > max) {
            status = bad(image, "a symbol has a version that is not in the lists");
        }
    }
    tni_elf_drop_table(image, &numbers);
    return status;
}

tn_status tni_elf_check_versions(tni_elf_image *image) {
    uint32_t max = 1;
    tn_status status = check_needs(image, &max);
    if (status == TN_OK) {
        status = check_definitions(image, &max);
    }
    if (status == TN_OK && max > MAX_VERSIONS) {
        status = bad(image, "the number of a version");
    }
    if (status == TN_OK && image->dynamic.versym != 0) {
        status = check_numbers(image, max);
    }
    return status;
}
