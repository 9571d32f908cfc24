// SPDX-License-Identifier: Apache-2.0
// ELF header, section headers (as a sign that the file is whole) and program headers.
#include "loader/elf_image.h"

#include "base/checked.h"
#include "base/error.h"

#include <string.h>

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#else
#define HOST_MACHINE EM_NONE
#endif

#define MAX_PROGRAM_HEADERS 64u
#define MAX_SECTIONS 4096u
#define PAGE_BYTES 4096u
#define MAX_ALIGN ((uint64_t)1 << 30)
// Code, data and zeroed memory of one library.
#define MAX_SPAN_BYTES ((uint64_t)1 << 31)
#define MAX_TLS_BYTES ((uint64_t)1 << 20)

static const char *machine_name(uint16_t machine) {
    static const struct {
        uint16_t machine;
        const char *name;
    } names[] = {
        {EM_386, "x86 (32 bit)"}, {EM_X86_64, "x86-64"}, {EM_ARM, "ARM (32 bit)"},
        {EM_AARCH64, "AArch64"},  {EM_RISCV, "RISC-V"},  {EM_PPC64, "POWER (64 bit)"},
        {EM_S390, "S/390"},       {EM_MIPS, "MIPS"},     {EM_NONE, "no machine"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].machine == machine) {
            return names[i].name;
        }
    }
    return "another machine";
}

static tn_status check_identity(tni_elf_image *image, const Elf64_Ehdr *header) {
    const unsigned char *ident = header->e_ident;
    if (memcmp(ident, ELFMAG, SELFMAG) != 0) {
        return tni_elf_bad(image, "elf.magic",
                           "not an ELF file: it begins with %02x %02x %02x %02x", ident[0],
                           ident[1], ident[2], ident[3]);
    }
    if (ident[EI_CLASS] != ELFCLASS64) {
        return tni_elf_bad(image, "elf.class", "ELF class %u, not 64 bit", ident[EI_CLASS]);
    }
    if (ident[EI_DATA] != ELFDATA2LSB) {
        return tni_elf_bad(image, "elf.byte-order", "ELF data encoding %u, not little-endian",
                           ident[EI_DATA]);
    }
    if (ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT) {
        return tni_elf_bad(image, "elf.version", "ELF version %u, not %d", header->e_version,
                           EV_CURRENT);
    }
    if (ident[EI_OSABI] != ELFOSABI_SYSV && ident[EI_OSABI] != ELFOSABI_GNU) {
        return tni_elf_bad(image, "elf.os-abi", "ELF OS ABI %u, not System V or GNU",
                           ident[EI_OSABI]);
    }
    if (header->e_machine != HOST_MACHINE) {
        image->report->reason = TN_REASON_ISA_REJECTED;
        return tni_fail(image->error, TN_ERROR_UNSUPPORTED, "elf.machine",
                        "built for %s (machine %u), this host is %s (machine %u)",
                        machine_name(header->e_machine), header->e_machine,
                        machine_name(HOST_MACHINE), (unsigned)HOST_MACHINE);
    }
    if (header->e_type != ET_DYN) {
        return tni_elf_bad(image, "elf.type", "ELF type %u, not a shared library (%d)",
                           header->e_type, ET_DYN);
    }
    if (header->e_ehsize != sizeof(*header)) {
        return tni_elf_bad(image, "elf.header-size", "the ELF header says it has %u bytes, not %zu",
                           header->e_ehsize, sizeof(*header));
    }
    return TN_OK;
}

// The linker writes section headers last, so a file that was cut short has lost them.
static tn_status check_sections(tni_elf_image *image, const Elf64_Ehdr *header) {
    if (header->e_shnum == 0) {
        return header->e_shoff == 0
                   ? TN_OK
                   : tni_elf_bad(image, "elf.section-headers",
                                 "there is an offset of section headers, but no number");
    }
    if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shnum > MAX_SECTIONS ||
        header->e_shstrndx >= header->e_shnum) {
        return tni_elf_bad(image, "elf.section-headers",
                           "%u section headers of %u bytes, names in section %u", header->e_shnum,
                           header->e_shentsize, header->e_shstrndx);
    }
    for (uint64_t i = 0; i < header->e_shnum; i++) {
        Elf64_Shdr section;
        uint64_t at = 0;
        uint64_t end = 0;
        if (!tni_add_u64(header->e_shoff, i * sizeof(section), &at)) {
            return tni_elf_bad(image, "elf.section-headers", "the section headers wrap around");
        }
        tn_status status = tni_elf_read(image, at, &section, sizeof(section));
        if (status != TN_OK) {
            return status;
        }
        const bool has_bytes = section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL;
        if (has_bytes && (!tni_add_u64(section.sh_offset, section.sh_size, &end) ||
                          end > image->source->size_bytes)) {
            return tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.section-range", at,
                               "section %llu: %llu bytes at %llu are not in the file",
                               (unsigned long long)i, (unsigned long long)section.sh_size,
                               (unsigned long long)section.sh_offset);
        }
    }
    return TN_OK;
}

static uint64_t page_down(uint64_t address) {
    return address & ~(uint64_t)(PAGE_BYTES - 1);
}

static bool is_power_of_two(uint64_t number) {
    return number != 0 && (number & (number - 1)) == 0;
}

// Range, alignment and order of one PT_LOAD; program headers list them by ascending address.
static tn_status check_load(tni_elf_image *image, const Elf64_Phdr *load, uint64_t at) {
    uint64_t end = 0;
    if (load->p_filesz > load->p_memsz || !tni_add_u64(load->p_vaddr, load->p_memsz, &end) ||
        end > MAX_SPAN_BYTES) {
        return tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.segment-size", at,
                           "a segment has %llu bytes in the file and %llu at address 0x%llx",
                           (unsigned long long)load->p_filesz, (unsigned long long)load->p_memsz,
                           (unsigned long long)load->p_vaddr);
    }
    if (!is_power_of_two(load->p_align) || load->p_align < PAGE_BYTES ||
        load->p_align > MAX_ALIGN ||
        ((load->p_vaddr - load->p_offset) & (load->p_align - 1)) != 0) {
        return tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.segment-align", at,
                           "a segment at 0x%llx, in the file at 0x%llx, has alignment 0x%llx",
                           (unsigned long long)load->p_vaddr, (unsigned long long)load->p_offset,
                           (unsigned long long)load->p_align);
    }
    if ((load->p_flags & PF_W) != 0 && (load->p_flags & PF_X) != 0) {
        return tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.segment-access", at,
                           "a segment is writable and executable");
    }
    if (image->load_count > 0) {
        const Elf64_Phdr *before = &image->loads[image->load_count - 1];
        const uint64_t before_end = before->p_vaddr + before->p_memsz;
        if (page_down(load->p_vaddr) < before_end) {
            return tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.segment-order", at,
                               "a segment at 0x%llx begins before 0x%llx, where the last one ends",
                               (unsigned long long)load->p_vaddr, (unsigned long long)before_end);
        }
    }
    if (image->load_count == TNI_ELF_MAX_LOADS) {
        return tni_elf_bad(image, "elf.segment-count", "more than %u loadable segments",
                           TNI_ELF_MAX_LOADS);
    }
    image->loads[image->load_count++] = *load;
    return TN_OK;
}

static tn_status check_other(tni_elf_image *image, const Elf64_Phdr *segment, uint64_t at) {
    switch (segment->p_type) {
    case PT_DYNAMIC:
        if (image->has_dynamic) {
            return tni_elf_bad(image, "elf.dynamic-segment", "there are two dynamic segments");
        }
        image->has_dynamic = true;
        image->dynamic_segment = *segment;
        return TN_OK;
    case PT_GNU_STACK:
        image->has_stack = true;
        return (segment->p_flags & PF_X) == 0
                   ? TN_OK
                   : tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.executable-stack", at,
                                 "the library asks for an executable stack");
    case PT_TLS:
        return segment->p_filesz <= segment->p_memsz && segment->p_memsz <= MAX_TLS_BYTES &&
                       (segment->p_align <= PAGE_BYTES) &&
                       (segment->p_align == 0 || is_power_of_two(segment->p_align))
                   ? TN_OK
                   : tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.tls", at,
                                 "thread-local data: %llu bytes of %llu, alignment %llu",
                                 (unsigned long long)segment->p_filesz,
                                 (unsigned long long)segment->p_memsz,
                                 (unsigned long long)segment->p_align);
    default:
        return TN_OK;
    }
}

// The dynamic linker reads these by address; they must lie in what it maps.
static tn_status check_placed(tni_elf_image *image, const Elf64_Phdr *segment, uint64_t at) {
    uint64_t offset = 0;
    bool good = true;
    switch (segment->p_type) {
    case PT_PHDR:
    case PT_NOTE:
    case PT_GNU_PROPERTY:
    case PT_GNU_EH_FRAME:
        good = segment->p_filesz == 0 ||
               tni_elf_offset_of(image, segment->p_vaddr, segment->p_filesz, &offset);
        break;
    case PT_TLS:
        good = segment->p_filesz == 0 ||
               tni_elf_offset_of(image, segment->p_vaddr, segment->p_filesz, &offset);
        break;
    case PT_GNU_RELRO:
        good = tni_elf_in_memory(image, segment->p_vaddr, segment->p_memsz, PF_W);
        break;
    default:
        break;
    }
    return good ? TN_OK
                : tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.segment-place", at,
                              "segment of type 0x%x: 0x%llx bytes at address 0x%llx are not in a "
                              "loadable segment",
                              segment->p_type, (unsigned long long)segment->p_memsz,
                              (unsigned long long)segment->p_vaddr);
}

static tn_status check_segment(tni_elf_image *image, const Elf64_Phdr *segment, uint64_t at) {
    uint64_t end = 0;
    if (!tni_add_u64(segment->p_offset, segment->p_filesz, &end) ||
        end > image->source->size_bytes) {
        return tni_fail_at(image->error, TN_ERROR_INVALID_DATA, "elf.segment-range", at,
                           "a segment needs %llu bytes at %llu, the file ends at %llu",
                           (unsigned long long)segment->p_filesz,
                           (unsigned long long)segment->p_offset,
                           (unsigned long long)image->source->size_bytes);
    }
    return segment->p_type == PT_LOAD ? check_load(image, segment, at)
                                      : check_other(image, segment, at);
}

// Runs check over every program header, in order.
static tn_status for_each(tni_elf_image *image, const Elf64_Ehdr *header,
                          tn_status (*check)(tni_elf_image *, const Elf64_Phdr *, uint64_t)) {
    tn_status status = TN_OK;
    for (uint64_t i = 0; i < header->e_phnum && status == TN_OK; i++) {
        Elf64_Phdr segment;
        uint64_t at = 0;
        if (!tni_add_u64(header->e_phoff, i * sizeof(segment), &at)) {
            return tni_elf_bad(image, "elf.program-headers", "the program headers wrap around");
        }
        status = tni_elf_read(image, at, &segment, sizeof(segment));
        if (status == TN_OK) {
            status = check(image, &segment, at);
        }
    }
    return status;
}

tn_status tni_elf_read_headers(tni_elf_image *image) {
    Elf64_Ehdr header;
    tn_status status = tni_elf_read(image, 0, &header, sizeof(header));
    if (status == TN_OK) {
        status = check_identity(image, &header);
    }
    if (status != TN_OK) {
        return status;
    }
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
        header.e_phnum > MAX_PROGRAM_HEADERS) {
        return tni_elf_bad(image, "elf.program-headers", "%u program headers of %u bytes",
                           header.e_phnum, header.e_phentsize);
    }
    status = for_each(image, &header, check_segment);
    if (status == TN_OK) {
        status = check_sections(image, &header);
    }
    if (status == TN_OK && image->load_count == 0) {
        status = tni_elf_bad(image, "elf.no-segment", "there is no loadable segment");
    }
    if (status == TN_OK && !image->has_dynamic) {
        status = tni_elf_bad(image, "elf.no-dynamic", "there is no dynamic segment");
    }
    // Without this header the linker assumes that the stack must be executable.
    if (status == TN_OK && !image->has_stack) {
        status = tni_elf_bad(image, "elf.executable-stack",
                             "no PT_GNU_STACK header, which means an executable stack");
    }
    return status == TN_OK ? for_each(image, &header, check_placed) : status;
}
