// SPDX-License-Identifier: Apache-2.0
// Damaged libraries with manifests that were written for the damage, so that the digest is right:
// truncated at every sort of length, bits flipped in everything the dynamic linker reads. What the
// ELF check lets pass, the probe must catch; the host survives all of it.
#include "support/plugin_folder.h"

#include "tenon/abi/verdict.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Each damage that passes the ELF check costs a process, and a sanitizer makes that slow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FLIPS 800u
#else
#define FLIPS 4000u
#endif
#define TRUNCATIONS 250u

typedef struct damage {
    plugin_folder folder;
    unsigned char *good;
    unsigned char *bad;
    size_t size;
    uint64_t random;
    uint32_t refused_by[TN_LOAD_READY + 1];
} damage;

static uint32_t next_random(damage *own, uint32_t below) {
    own->random = own->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((own->random >> 33) % below);
}

static int open_damage(void **state) {
    damage *own = calloc(1, sizeof(*own));
    assert_non_null(own);
    plugin_folder_init(&own->folder);
    own->good = plugin_folder_read(TN_TEST_PLUGIN_DIR "/null.so", &own->size);
    own->bad = malloc(own->size);
    assert_non_null(own->bad);
    own->random = 20261120;
    *state = own;
    return 0;
}

static int close_damage(void **state) {
    damage *own = *state;
    plugin_folder_deinit(&own->folder);
    free(own->good);
    free(own->bad);
    free(own);
    return 0;
}

// Loads the damaged bytes as a found plugin; the entry is copied out, its texts included.
static tn_load_stage load(damage *own, size_t size, char out_text[640]) {
    manifest_fields fields;
    tn_host_config config;
    tn_load_entry entry;
    tn_error error;
    tn_host *host = NULL;
    const char *dir = NULL;
    tn_error_init(&error);
    plugin_folder_write(&own->folder, "null.so", own->bad, size);
    manifest_fields_init(&fields, "null", "null.so");
    plugin_folder_manifest(&own->folder, "null.tenon.json", &fields);
    plugin_folder_config(&own->folder, &dir, &config);
    config.probe_timeout_ns = 20000000000ull;
    assert_int_equal(tn_host_create(&config, &host, &error), TN_OK);
    assert_int_equal(tn_host_load_count(host), 1);
    entry = (tn_load_entry){.struct_size = sizeof(entry), .struct_type = TN_STRUCT_LOAD_ENTRY};
    assert_int_equal(tn_host_load_get(host, 0, &entry), TN_OK);
    const tn_load_stage stage = entry.stage;
    snprintf(out_text, 640, "%s", entry.text);
    assert_true((entry.status == TN_OK) == (stage == TN_LOAD_READY));
    // A failure always says why.
    assert_true(entry.status == TN_OK || out_text[0] != '\0');
    tn_host_release(host);
    own->refused_by[stage]++;
    return stage;
}

static void assert_host_works(damage *own) {
    tn_host_config config;
    tn_error error;
    tn_host *host = NULL;
    const char *dir = NULL;
    plugin_folder_add_good(&own->folder);
    plugin_folder_config(&own->folder, &dir, &config);
    tn_error_init(&error);
    assert_int_equal(tn_host_create(&config, &host, &error), TN_OK);
    plugin_folder_assert_good(host);
    tn_host_release(host);
}

static void load__truncated(void **state) {
    damage *own = *state;
    char text[640];
    for (uint32_t i = 0; i < TRUNCATIONS; i++) {
        // Every short length of the header, then lengths all over the file, then its last bytes.
        size_t size = i;
        if (i >= 80) {
            size = i < 200 ? 80 + (own->size - 80) * (i - 80) / 120 : own->size - (i - 199);
        }
        memcpy(own->bad, own->good, own->size);
        if (load(own, size, text) != TN_LOAD_ELF) {
            fail_msg("%zu of %zu bytes were not refused by the ELF check: %s", size, own->size,
                     text);
        }
    }
    assert_int_equal(own->refused_by[TN_LOAD_ELF], TRUNCATIONS);
    assert_host_works(own);
}

// Where the dynamic linker looks: program headers and what they point to, but no code.
static uint32_t find_ranges(const damage *own, size_t (*out_ranges)[2], uint32_t capacity) {
    Elf64_Ehdr header;
    uint32_t count = 0;
    memcpy(&header, own->good, sizeof(header));
    out_ranges[count][0] = 0;
    out_ranges[count++][1] = sizeof(header);
    out_ranges[count][0] = header.e_phoff;
    out_ranges[count++][1] = (size_t)header.e_phnum * sizeof(Elf64_Phdr);
    for (uint32_t i = 0; i < header.e_shnum && count < capacity; i++) {
        Elf64_Shdr section;
        memcpy(&section, own->good + header.e_shoff + i * sizeof(section), sizeof(section));
        switch (section.sh_type) {
        case SHT_DYNAMIC:
        case SHT_DYNSYM:
        case SHT_RELA:
        case SHT_GNU_HASH:
        case SHT_GNU_versym:
        case SHT_GNU_verneed:
        case SHT_INIT_ARRAY:
        case SHT_FINI_ARRAY:
            out_ranges[count][0] = section.sh_offset;
            out_ranges[count++][1] = section.sh_size;
            break;
        case SHT_STRTAB:
            if ((section.sh_flags & SHF_ALLOC) != 0) {
                out_ranges[count][0] = section.sh_offset;
                out_ranges[count++][1] = section.sh_size;
            }
            break;
        default:
            break;
        }
    }
    return count;
}

static void load__flipped_bits(void **state) {
    damage *own = *state;
    char text[640];
    size_t ranges[32][2];
    const uint32_t range_count = find_ranges(own, ranges, 32);
    assert_true(range_count >= 9);
    for (uint32_t i = 0; i < FLIPS; i++) {
        const size_t *range = ranges[i % range_count];
        const size_t at = range[0] + next_random(own, (uint32_t)range[1]);
        memcpy(own->bad, own->good, own->size);
        own->bad[at] ^= (unsigned char)(1u << next_random(own, 8));
        // Sometimes damage comes in pieces.
        if (i % 5 == 0) {
            own->bad[range[0] + next_random(own, (uint32_t)range[1])] ^= 0xff;
        }
        (void)load(own, own->size, text);
    }
    print_message("%u flips: %u refused by the ELF check, %u by the probe, %u after it, "
                  "%u harmless\n",
                  FLIPS, own->refused_by[TN_LOAD_ELF], own->refused_by[TN_LOAD_PROBE],
                  own->refused_by[TN_LOAD_OPEN] + own->refused_by[TN_LOAD_ENTRY] +
                      own->refused_by[TN_LOAD_INTERFACES] + own->refused_by[TN_LOAD_DEVICES],
                  own->refused_by[TN_LOAD_READY]);
    assert_true(own->refused_by[TN_LOAD_ELF] > FLIPS / 4);
    assert_host_works(own);
}

// The same without a fitting digest: nothing gets further than that.
static void load__flipped_bits_with_the_old_digest(void **state) {
    damage *own = *state;
    manifest_fields fields;
    tn_host_config config;
    tn_load_entry entry;
    tn_error error;
    tn_host *host = NULL;
    const char *dir = NULL;
    tn_error_init(&error);
    memcpy(own->bad, own->good, own->size);
    own->bad[own->size / 2] ^= 1;
    plugin_folder_write(&own->folder, "null.so", own->good, own->size);
    manifest_fields_init(&fields, "null", "null.so");
    plugin_folder_manifest(&own->folder, "null.tenon.json", &fields);
    plugin_folder_write(&own->folder, "null.so", own->bad, own->size);
    plugin_folder_config(&own->folder, &dir, &config);
    assert_int_equal(tn_host_create(&config, &host, &error), TN_OK);
    assert_true(plugin_folder_find(host, "null", 0, &entry));
    assert_int_equal(entry.stage, TN_LOAD_DIGEST);
    assert_int_equal(entry.status, TN_ERROR_INVALID_DATA);
    assert_non_null(strstr(entry.text, "the manifest says sha256 "));
    assert_non_null(strstr(entry.text, ", the library has "));
    tn_host_release(host);
    assert_host_works(own);
}

static void load__another_machine(void **state) {
    damage *own = *state;
    char text[640];
    static const struct {
        size_t offset;
        unsigned char value;
        const char *text;
    } cases[] = {
        {0, 'X', "not an ELF file: it begins with 58 45 4c 46"},
        {EI_CLASS, ELFCLASS32, "ELF class 1, not 64 bit"},
        {EI_DATA, ELFDATA2MSB, "ELF data encoding 2, not little-endian"},
        {offsetof(Elf64_Ehdr, e_machine), EM_RISCV, "built for RISC-V (machine 243), this host is"},
        {offsetof(Elf64_Ehdr, e_machine), EM_ARM, "built for ARM (32 bit) (machine 40), this host"},
        {offsetof(Elf64_Ehdr, e_type), ET_EXEC, "ELF type 2, not a shared library (3)"},
        {offsetof(Elf64_Ehdr, e_type), ET_REL, "ELF type 1, not a shared library (3)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memcpy(own->bad, own->good, own->size);
        own->bad[cases[i].offset] = cases[i].value;
        assert_int_equal(load(own, own->size, text), TN_LOAD_ELF);
        if (strstr(text, cases[i].text) == NULL) {
            fail_msg("\"%s\" is not in \"%s\"", cases[i].text, text);
        }
    }
    assert_host_works(own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(load__truncated, open_damage, close_damage),
        cmocka_unit_test_setup_teardown(load__flipped_bits, open_damage, close_damage),
        cmocka_unit_test_setup_teardown(load__flipped_bits_with_the_old_digest, open_damage,
                                        close_damage),
        cmocka_unit_test_setup_teardown(load__another_machine, open_damage, close_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
