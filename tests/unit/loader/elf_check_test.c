// SPDX-License-Identifier: Apache-2.0
// The ELF check over a real plugin in memory: each thing that can be wrong gives its own id, random
// damage never makes it read outside the block, and allocations may fail.
#include "loader/elf_check.h"

#include "base/error.h"
#include "support/plugin_folder.h"
#include "support/test_alloc.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Sanitized plugins are large and sanitized checks slow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DAMAGES 9000u
#else
#define DAMAGES 60000u
#endif

typedef struct image {
    unsigned char *good;
    unsigned char *bad;
    size_t size;
    test_alloc alloc;
    tni_elf_report report;
    tn_error error;
    uint64_t random;
} image;

static bool read_memory(const void *user_data, uint64_t offset, void *destination,
                        uint64_t size_bytes) {
    memcpy(destination, (const unsigned char *)user_data + offset, size_bytes);
    return true;
}

static bool read_nothing(const void *user_data, uint64_t offset, void *destination,
                         uint64_t size_bytes) {
    (void)user_data;
    (void)offset;
    (void)destination;
    (void)size_bytes;
    return false;
}

static void open_file(image *own, const char *path) {
    free(own->good);
    free(own->bad);
    own->good = plugin_folder_read(path, &own->size);
    own->bad = malloc(own->size);
    assert_non_null(own->bad);
    memcpy(own->bad, own->good, own->size);
}

static int setup(void **state) {
    image *own = calloc(1, sizeof(*own));
    assert_non_null(own);
    open_file(own, TN_TEST_PLUGIN_DIR "/null.so");
    test_alloc_init(&own->alloc);
    own->random = 20261120;
    *state = own;
    return 0;
}

static int teardown(void **state) {
    image *own = *state;
    assert_true(test_alloc_clean(&own->alloc));
    test_alloc_deinit(&own->alloc);
    free(own->good);
    free(own->bad);
    free(own);
    return 0;
}

// A block of exactly size bytes, so that a sanitizer sees a byte too far.
static tn_status check(image *own, size_t size) {
    unsigned char *exact = malloc(size > 0 ? size : 1);
    assert_non_null(exact);
    memcpy(exact, own->bad, size);
    const tni_elf_source source = {size, read_memory, exact};
    tni_error_init(&own->error);
    memset(&own->report, 0xa5, sizeof(own->report));
    const tn_status status = tni_elf_check(&own->alloc.alloc, &source, &own->report, &own->error);
    free(exact);
    return status;
}

static Elf64_Ehdr header_of(const image *own) {
    Elf64_Ehdr header;
    memcpy(&header, own->good, sizeof(header));
    return header;
}

// Offset of the first program header of this type (and with these flags).
static size_t segment_of(const image *own, uint32_t type, uint32_t flags) {
    const Elf64_Ehdr header = header_of(own);
    for (size_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        const size_t at = header.e_phoff + i * sizeof(segment);
        memcpy(&segment, own->good + at, sizeof(segment));
        if (segment.p_type == type && (segment.p_flags & flags) == flags) {
            return at;
        }
    }
    fail_msg("no segment of type %x", type);
    return 0;
}

static Elf64_Shdr section_of(const image *own, uint32_t type) {
    const Elf64_Ehdr header = header_of(own);
    Elf64_Shdr section;
    for (size_t i = 0; i < header.e_shnum; i++) {
        memcpy(&section, own->good + header.e_shoff + i * sizeof(section), sizeof(section));
        if (section.sh_type == type) {
            return section;
        }
    }
    memset(&section, 0, sizeof(section));
    fail_msg("no section of type %x", type);
    return section;
}

// Offset of a dynamic entry.
static size_t dynamic_of(const image *own, int64_t tag) {
    const Elf64_Shdr section = section_of(own, SHT_DYNAMIC);
    for (size_t at = 0; at < section.sh_size; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        memcpy(&entry, own->good + section.sh_offset + at, sizeof(entry));
        if (entry.d_tag == tag) {
            return section.sh_offset + at;
        }
    }
    fail_msg("no dynamic entry %llx", (unsigned long long)tag);
    return 0;
}

static void put(image *own, size_t offset, uint64_t value, size_t bytes) {
    memcpy(own->bad + offset, &value, bytes);
}

static void assert_id(image *own, const char *id) {
    const tn_status status = check(own, own->size);
    if (status == TN_OK || strcmp(own->error.id, id) != 0 || own->error.text[0] == '\0') {
        fail_msg("%s expected, not \"%s\": %s", id, own->error.id, own->error.text);
    }
    assert_int_equal(own->error.status, status);
    assert_true(own->report.reason != TN_REASON_NONE && own->report.reason < TN_REASON_COUNT);
    memcpy(own->bad, own->good, own->size);
}

static void check__good_libraries(void **state) {
    image *own = *state;
    static const char *const paths[] = {
        TN_TEST_PLUGIN_DIR "/null.so", TN_TEST_PLUGIN_DIR "/reference.so",
        TN_TEST_EVIL_DIR "/evil.so", TN_TEST_EVIL_DIR "/evil_sysv_hash.so",
        TN_TEST_EVIL_DIR "/evil_packed.so"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        open_file(own, paths[i]);
        if (check(own, own->size) != TN_OK) {
            fail_msg("%s: %s: %s", paths[i], own->error.id, own->error.text);
        }
        assert_non_null(strstr(own->report.needed, "libc.so"));
    }
}

static void check__header(void **state) {
    image *own = *state;
    static const struct {
        size_t offset;
        uint64_t value;
        size_t bytes;
        const char *id;
    } cases[] = {
        {0, 0, 1, "elf.magic"},
        {EI_CLASS, ELFCLASS32, 1, "elf.class"},
        {EI_DATA, ELFDATA2MSB, 1, "elf.byte-order"},
        {EI_VERSION, 0, 1, "elf.version"},
        {EI_OSABI, ELFOSABI_FREEBSD, 1, "elf.os-abi"},
        {offsetof(Elf64_Ehdr, e_machine), EM_S390, 2, "elf.machine"},
        {offsetof(Elf64_Ehdr, e_type), ET_CORE, 2, "elf.type"},
        {offsetof(Elf64_Ehdr, e_version), 2, 4, "elf.version"},
        {offsetof(Elf64_Ehdr, e_ehsize), 65, 2, "elf.header-size"},
        {offsetof(Elf64_Ehdr, e_phentsize), 32, 2, "elf.program-headers"},
        {offsetof(Elf64_Ehdr, e_phnum), 0, 2, "elf.program-headers"},
        {offsetof(Elf64_Ehdr, e_phnum), 0xffff, 2, "elf.program-headers"},
        {offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 8, 8, "elf.truncated"},
        {offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 63, 8, "elf.truncated"},
        {offsetof(Elf64_Ehdr, e_shentsize), 0, 2, "elf.section-headers"},
        {offsetof(Elf64_Ehdr, e_shnum), 0, 2, "elf.section-headers"},
        {offsetof(Elf64_Ehdr, e_shstrndx), 0x7fff, 2, "elf.section-headers"},
        {offsetof(Elf64_Ehdr, e_shoff), UINT64_MAX, 8, "elf.truncated"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put(own, cases[i].offset, cases[i].value, cases[i].bytes);
        assert_id(own, cases[i].id);
    }
}

static void check__segments(void **state) {
    image *own = *state;
    static const struct {
        uint32_t type;
        uint32_t flags;
        size_t field;
        uint64_t value;
        size_t bytes;
        const char *id;
    } cases[] = {
        {PT_LOAD, PF_X, offsetof(Elf64_Phdr, p_offset), (uint64_t)1 << 40, 8, "elf.segment-range"},
        {PT_LOAD, PF_X, offsetof(Elf64_Phdr, p_filesz), UINT64_MAX, 8, "elf.segment-range"},
        {PT_LOAD, PF_X, offsetof(Elf64_Phdr, p_memsz), 0, 8, "elf.segment-size"},
        {PT_LOAD, PF_W, offsetof(Elf64_Phdr, p_memsz), UINT64_MAX, 8, "elf.segment-size"},
        {PT_LOAD, PF_W, offsetof(Elf64_Phdr, p_vaddr), UINT64_MAX, 8, "elf.segment-size"},
        {PT_LOAD, PF_X, offsetof(Elf64_Phdr, p_align), 3, 8, "elf.segment-align"},
        {PT_LOAD, PF_X, offsetof(Elf64_Phdr, p_align), (uint64_t)1 << 62, 8, "elf.segment-align"},
        {PT_LOAD, PF_X, offsetof(Elf64_Phdr, p_flags), PF_R | PF_W | PF_X, 4, "elf.segment-access"},
        {PT_LOAD, PF_X, offsetof(Elf64_Phdr, p_vaddr), 0, 8, "elf.segment-"},
        {PT_GNU_STACK, 0, offsetof(Elf64_Phdr, p_flags), PF_R | PF_W | PF_X, 4,
         "elf.executable-stack"},
        {PT_GNU_STACK, 0, offsetof(Elf64_Phdr, p_type), PT_NULL, 4, "elf.executable-stack"},
        {PT_GNU_STACK, 0, offsetof(Elf64_Phdr, p_type), PT_DYNAMIC, 4, "elf.dynamic-segment"},
        {PT_DYNAMIC, 0, offsetof(Elf64_Phdr, p_type), PT_NULL, 4, "elf.no-dynamic"},
        {PT_DYNAMIC, 0, offsetof(Elf64_Phdr, p_vaddr), 8, 8, "elf.dynamic-segment"},
        {PT_DYNAMIC, 0, offsetof(Elf64_Phdr, p_filesz), 16, 8, "elf.dynamic-end"},
        {PT_DYNAMIC, 0, offsetof(Elf64_Phdr, p_filesz), 17, 8, "elf.dynamic-segment"},
        {PT_GNU_RELRO, 0, offsetof(Elf64_Phdr, p_vaddr), 0x10000000, 8, "elf.segment-place"},
        {PT_NOTE, 0, offsetof(Elf64_Phdr, p_vaddr), 0x10000000, 8, "elf.segment-place"},
        {PT_GNU_EH_FRAME, 0, offsetof(Elf64_Phdr, p_type), PT_TLS, 4, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t at = segment_of(own, cases[i].type, cases[i].flags);
        put(own, at + cases[i].field, cases[i].value, cases[i].bytes);
        if (cases[i].id == NULL) {
            // Thread-local data that wants an impossible alignment.
            put(own, at + offsetof(Elf64_Phdr, p_align), 3, 8);
            assert_id(own, "elf.tls");
        } else if (cases[i].id[strlen(cases[i].id) - 1] == '-') {
            assert_int_not_equal(check(own, own->size), TN_OK);
            assert_int_equal(strncmp(own->error.id, cases[i].id, strlen(cases[i].id)), 0);
            memcpy(own->bad, own->good, own->size);
        } else {
            assert_id(own, cases[i].id);
        }
    }
    // Two loadable segments in the wrong order, and none at all.
    const size_t code = segment_of(own, PT_LOAD, PF_X);
    const Elf64_Ehdr header = header_of(own);
    memcpy(own->bad + code, own->good + code - sizeof(Elf64_Phdr), sizeof(Elf64_Phdr));
    assert_id(own, "elf.segment-order");
    for (size_t i = 0; i < header.e_phnum; i++) {
        put(own, header.e_phoff + i * sizeof(Elf64_Phdr), PT_NULL, 4);
    }
    assert_id(own, "elf.no-segment");
    const size_t section = header.e_shoff + sizeof(Elf64_Shdr);
    put(own, section + offsetof(Elf64_Shdr, sh_offset), UINT64_MAX - 1, 8);
    assert_id(own, "elf.section-range");
}

static void check__dynamic_section(void **state) {
    image *own = *state;
    static const struct {
        int64_t tag;
        bool is_tag; // the entry's tag is overwritten, not its value
        uint64_t value;
        const char *id;
    } cases[] = {
        {DT_NEEDED, false, 1u << 30, "elf.needed"},
        {DT_NEEDED, true, DT_FILTER, "elf.dynamic-tag"},
        {DT_NEEDED, true, DT_TEXTREL, "elf.text-relocations"},
        {DT_NEEDED, true, DT_STRTAB, "elf.dynamic-twice"},
        {DT_STRTAB, false, 0, "elf.symbol-table"},
        {DT_STRTAB, false, 1u << 30, "elf.string-table"},
        {DT_STRSZ, false, UINT64_MAX, "elf.string-table"},
        {DT_STRSZ, false, 0, "elf.string-table"},
        {DT_SYMTAB, false, 1u << 30, "elf.symbol-table"},
        {DT_SYMENT, false, 16, "elf.symbol-table"},
        {DT_GNU_HASH, false, 1u << 30, "elf.hash-table"},
        {DT_GNU_HASH, true, DT_DEBUG, "elf.hash-table"},
        {DT_RELA, false, 1u << 30, "elf.relocation-table"},
        {DT_RELASZ, false, 23, "elf.relocation-table"},
        {DT_RELAENT, false, 0, "elf.relocation-table"},
        {DT_RELACOUNT, false, 1u << 20, "elf.relocation-table"},
        {DT_INIT, false, 1u << 30, "elf.init"},
        {DT_FINI, false, 1u << 30, "elf.init"},
        {DT_INIT_ARRAY, false, 4, "elf.init-array"},
        {DT_FINI_ARRAYSZ, false, 7, "elf.init-array"},
        {DT_VERSYM, false, 1u << 30, "elf.versions"},
        {DT_VERNEED, false, 1u << 30, "elf.versions"},
        {DT_VERNEEDNUM, false, 0, "elf.versions"},
        {DT_VERNEEDNUM, false, 1000, "elf.versions"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t at = dynamic_of(own, cases[i].tag);
        put(own, at + (cases[i].is_tag ? 0 : 8), cases[i].value, 8);
        assert_id(own, cases[i].id);
    }
}

static void check__tables(void **state) {
    image *own = *state;
    const size_t hash = section_of(own, SHT_GNU_HASH).sh_offset;
    put(own, hash, 0, 4);
    assert_id(own, "elf.hash-table"); // the linker would divide by the number of buckets
    put(own, hash + 4, 1u << 30, 4);
    assert_id(own, "elf.hash-table");
    put(own, hash + 8, 3, 4);
    assert_id(own, "elf.hash-table"); // it asserts a power of two
    put(own, hash + 16, 0, 8);
    assert_id(own, "elf.hash-table"); // the filter hides the entry function
    const size_t relocations = section_of(own, SHT_RELA).sh_offset;
    put(own, relocations, 1u << 30, 8);
    assert_id(own, "elf.relocation-place");
    put(own, relocations, 0, 8);
    assert_id(own, "elf.relocation-place"); // the first page is not writable
    put(own, relocations + 8, 99, 8);
    assert_id(own, "elf.relocation-type");
    put(own, relocations + 16, UINT64_MAX, 8);
    assert_id(own, "elf.relocation-target");
    const Elf64_Shdr symbols = section_of(own, SHT_DYNSYM);
    put(own, symbols.sh_offset + sizeof(Elf64_Sym), 0x7fffffff, 4);
    assert_id(own, "elf.symbol-name");
    const size_t versions = section_of(own, SHT_GNU_versym).sh_offset;
    put(own, versions + 2, 0x7ffe, 2);
    assert_id(own, "elf.versions");
}

static size_t entry_symbol(const image *own) {
    const Elf64_Shdr symbols = section_of(own, SHT_DYNSYM);
    for (size_t at = sizeof(Elf64_Sym); at < symbols.sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        memcpy(&symbol, own->good + symbols.sh_offset + at, sizeof(symbol));
        if (symbol.st_shndx != SHN_UNDEF) {
            return symbols.sh_offset + at;
        }
    }
    fail_msg("no defined symbol");
    return 0;
}

static void check__entry_symbol(void **state) {
    image *own = *state;
    const size_t at = entry_symbol(own);
    put(own, at + offsetof(Elf64_Sym, st_info), ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 1);
    assert_id(own, "elf.entry-type");
    put(own, at + offsetof(Elf64_Sym, st_value), 0, 8);
    assert_id(own, "elf.entry-type"); // the ELF header is no code
    put(own, at + offsetof(Elf64_Sym, st_value), 1u << 30, 8);
    assert_id(own, "elf.symbol-value");
    put(own, at + offsetof(Elf64_Sym, st_other), STV_HIDDEN, 1);
    assert_id(own, "elf.no-entry");
    put(own, at + offsetof(Elf64_Sym, st_shndx), SHN_UNDEF, 2);
    assert_id(own, "elf.no-entry");
    put(own, at + offsetof(Elf64_Sym, st_name), 1, 4);
    assert_id(own, "elf.extra-symbol");
    // A chain of the old hash table that runs in a circle.
    open_file(own, TN_TEST_EVIL_DIR "/evil_sysv_hash.so");
    const Elf64_Shdr hash = section_of(own, SHT_HASH);
    for (size_t word = 2; word < hash.sh_size / 4; word++) {
        put(own, hash.sh_offset + word * 4, 1, 4);
    }
    assert_id(own, "elf.hash-table");
    put(own, hash.sh_offset, 0, 4);
    assert_id(own, "elf.hash-table");
}

static void check__truncated_everywhere(void **state) {
    image *own = *state;
    for (size_t size = 0; size < own->size; size += size < 1024 ? 1 : own->size / 1000 + 1) {
        assert_int_not_equal(check(own, size), TN_OK);
        assert_int_equal(strncmp(own->error.id, "elf.", 4), 0);
    }
}

static uint32_t next_random(image *own, size_t below) {
    own->random = own->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((own->random >> 33) % below);
}

// Up to eight bytes anywhere in the first pages, where everything but code and names is.
static void check__random_damage(void **state) {
    image *own = *state;
    static const char *const paths[] = {TN_TEST_PLUGIN_DIR "/null.so",
                                        TN_TEST_EVIL_DIR "/evil_sysv_hash.so",
                                        TN_TEST_EVIL_DIR "/evil_packed.so"};
    static const uint64_t values[] = {0, 1, 0x7fffffff, 0xffffffff, UINT64_MAX, 0x1000, 8};
    uint32_t refused = 0;
    for (uint32_t i = 0; i < DAMAGES; i++) {
        if (i % (DAMAGES / 3) == 0) {
            open_file(own, paths[i / (DAMAGES / 3)]);
        }
        const size_t region = i % 2 == 0 ? 4096 : own->size - 8;
        const size_t at = next_random(own, region);
        if (i % 3 == 0) {
            put(own, at, values[next_random(own, sizeof(values) / sizeof(values[0]))],
                (size_t)1 << next_random(own, 4));
        } else {
            own->bad[at] ^= (unsigned char)(1u << next_random(own, 8));
        }
        refused += check(own, own->size) != TN_OK;
        memcpy(own->bad, own->good, own->size);
    }
    print_message("%u of %u damages refused\n", refused, DAMAGES);
    assert_true(refused > DAMAGES / 20);
}

static void check__unreadable(void **state) {
    image *own = *state;
    const tni_elf_source source = {own->size, read_nothing, NULL};
    tni_error_init(&own->error);
    assert_int_equal(tni_elf_check(&own->alloc.alloc, &source, &own->report, &own->error),
                     TN_ERROR_IO);
    assert_string_equal(own->error.id, "elf.read");
}

static void check__allocation_failures(void **state) {
    image *own = *state;
    test_alloc_reset(&own->alloc, TEST_ALLOC_NORMAL, 0);
    assert_int_equal(check(own, own->size), TN_OK);
    const uint64_t count = own->alloc.count;
    assert_true(count > 5);
    for (uint64_t i = 0; i < count; i++) {
        test_alloc_reset(&own->alloc, TEST_ALLOC_FAIL_ONE, i);
        assert_int_equal(check(own, own->size), TN_ERROR_OUT_OF_MEMORY);
        assert_true(test_alloc_clean(&own->alloc));
    }
    test_alloc_reset(&own->alloc, TEST_ALLOC_NORMAL, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(check__good_libraries),       CASE(check__header),        CASE(check__segments),
        CASE(check__dynamic_section),      CASE(check__tables),        CASE(check__entry_symbol),
        CASE(check__truncated_everywhere), CASE(check__random_damage), CASE(check__unreadable),
        CASE(check__allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
