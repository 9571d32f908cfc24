// SPDX-License-Identifier: Apache-2.0
// The dynamic symbols, the hash table that finds them, and the rule of one exported symbol.
#include "loader/elf_image.h"

#include "base/error.h"

#include "tenon/abi/plugin.h"

#include <string.h>

#define MAX_SYMBOLS ((uint64_t)1 << 20)

typedef struct gnu_hash {
    tni_elf_table header;
    tni_elf_table bloom;
    tni_elf_table buckets;
    uint32_t bucket_count;
    uint32_t first; // the first symbol that is in the table
    uint32_t bloom_count;
    uint32_t bloom_shift;
    uint64_t chain_address;
} gnu_hash;

static tn_status bad_hash(tni_elf_image *image, const char *what) {
    return tni_elf_bad(image, "elf.hash-table", "the hash table of symbols: %s", what);
}

static tn_status load_gnu_hash(tni_elf_image *image, gnu_hash *hash) {
    const uint64_t base = image->dynamic.gnu_hash;
    tn_status status =
        tni_elf_load_table(image, "the hash table", "elf.hash-table", base, 16, &hash->header);
    if (status != TN_OK) {
        return status;
    }
    hash->bucket_count = tni_elf_u32(&hash->header, 0);
    hash->first = tni_elf_u32(&hash->header, 1);
    hash->bloom_count = tni_elf_u32(&hash->header, 2);
    hash->bloom_shift = tni_elf_u32(&hash->header, 3);
    if (hash->bucket_count == 0 || hash->bucket_count > MAX_SYMBOLS || hash->bloom_count == 0 ||
        hash->bloom_count > MAX_SYMBOLS || (hash->bloom_count & (hash->bloom_count - 1)) != 0 ||
        hash->bloom_shift > 31 || hash->first > MAX_SYMBOLS) {
        return bad_hash(image, "its header is out of range");
    }
    const uint64_t bloom_bytes = (uint64_t)hash->bloom_count * 8;
    const uint64_t bucket_bytes = (uint64_t)hash->bucket_count * 4;
    hash->chain_address = base + 16 + bloom_bytes + bucket_bytes;
    status = tni_elf_load_table(image, "the hash table's filter", "elf.hash-table", base + 16,
                                bloom_bytes, &hash->bloom);
    if (status == TN_OK) {
        status = tni_elf_load_table(image, "the hash table's buckets", "elf.hash-table",
                                    base + 16 + bloom_bytes, bucket_bytes, &hash->buckets);
    }
    return status;
}

static void drop_gnu_hash(const tni_elf_image *image, gnu_hash *hash) {
    tni_elf_drop_table(image, &hash->header);
    tni_elf_drop_table(image, &hash->bloom);
    tni_elf_drop_table(image, &hash->buckets);
}

// The chain value of one symbol; the last of a bucket has its lowest bit set.
static tn_status chain_value(tni_elf_image *image, const gnu_hash *hash, uint64_t symbol,
                             uint32_t *out_value) {
    uint64_t offset = 0;
    const uint64_t address = hash->chain_address + (symbol - hash->first) * 4;
    if (symbol >= MAX_SYMBOLS || !tni_elf_offset_of(image, address, 4, &offset)) {
        return bad_hash(image, "a chain leaves the file");
    }
    return tni_elf_read(image, offset, out_value, sizeof(*out_value));
}

// Symbols behind the last bucket's chain are in no bucket, so that chain's end is their number.
static tn_status count_gnu(tni_elf_image *image, const gnu_hash *hash, uint64_t *out_count) {
    uint64_t last = 0;
    *out_count = hash->first;
    for (uint32_t i = 0; i < hash->bucket_count; i++) {
        const uint32_t symbol = tni_elf_u32(&hash->buckets, i);
        if (symbol != 0 && symbol < hash->first) {
            return bad_hash(image, "a bucket begins before the first symbol");
        }
        last = symbol > last ? symbol : last;
    }
    uint32_t value = 0;
    for (uint64_t symbol = last; last != 0 && (value & 1u) == 0; symbol++) {
        tn_status status = chain_value(image, hash, symbol, &value);
        if (status != TN_OK) {
            return status;
        }
        *out_count = symbol + 1;
    }
    return TN_OK;
}

static tn_status load_symbols(tni_elf_image *image, uint64_t hashed_count) {
    const uint64_t relocated = image->max_relocated + 1;
    image->symbol_count = hashed_count > relocated ? hashed_count : relocated;
    if (image->symbol_count > MAX_SYMBOLS) {
        return tni_elf_bad(image, "elf.symbol-table", "more than %llu symbols",
                           (unsigned long long)MAX_SYMBOLS);
    }
    return tni_elf_load_table(image, "the symbol table", "elf.symbol-table", image->dynamic.symtab,
                              image->symbol_count * sizeof(Elf64_Sym), &image->symbols);
}

static uint32_t gnu_hash_of(const char *name) {
    uint32_t hash = 5381;
    for (const char *at = name; *at != '\0'; at++) {
        hash = hash * 33 + (unsigned char)*at;
    }
    return hash;
}

static uint32_t sysv_hash_of(const char *name) {
    uint32_t hash = 0;
    for (const char *at = name; *at != '\0'; at++) {
        hash = (hash << 4) + (unsigned char)*at;
        hash ^= hash >> 24 & 0xf0u;
        hash &= 0x0fffffffu;
    }
    return hash;
}

// Follows the table as the linker does when it looks for the entry function.
static tn_status find_by_gnu(tni_elf_image *image, const gnu_hash *hash, bool *out_found) {
    const uint32_t wanted = gnu_hash_of(TN_PLUGIN_ENTRY_NAME);
    const uint64_t word = tni_elf_u64(&hash->bloom, wanted / 64 & (hash->bloom_count - 1));
    uint64_t symbol = tni_elf_u32(&hash->buckets, wanted % hash->bucket_count);
    *out_found = false;
    if ((word >> (wanted & 63u) & word >> (wanted >> hash->bloom_shift & 63u) & 1u) == 0 ||
        symbol == 0) {
        return TN_OK;
    }
    for (uint32_t value = 0; (value & 1u) == 0; symbol++) {
        tn_status status = chain_value(image, hash, symbol, &value);
        if (status != TN_OK) {
            return status;
        }
        if (symbol >= image->symbol_count) {
            return bad_hash(image, "a chain leaves the symbol table");
        }
        const char *name = tni_elf_text(image, tni_elf_symbol(image, symbol).st_name);
        if ((value | 1u) == (wanted | 1u) && name != NULL &&
            strcmp(name, TN_PLUGIN_ENTRY_NAME) == 0) {
            *out_found = true;
        }
    }
    return TN_OK;
}

static tn_status check_gnu(tni_elf_image *image, bool *out_found) {
    gnu_hash hash;
    uint64_t count = 0;
    memset(&hash, 0, sizeof(hash));
    tn_status status = load_gnu_hash(image, &hash);
    if (status == TN_OK) {
        status = count_gnu(image, &hash, &count);
    }
    if (status == TN_OK) {
        status = load_symbols(image, count);
    }
    if (status == TN_OK) {
        status = find_by_gnu(image, &hash, out_found);
    }
    drop_gnu_hash(image, &hash);
    return status;
}

// The old table. A chain could be made to run in a circle: together they have as many steps as
// there are symbols.
static tn_status walk_sysv(tni_elf_image *image, const tni_elf_table *table, uint32_t bucket_count,
                           uint32_t symbol_count, bool *out_found) {
    uint64_t steps = 0;
    for (uint32_t i = 0; i < bucket_count; i++) {
        uint32_t symbol = tni_elf_u32(table, 2 + (uint64_t)i);
        for (; symbol != 0; symbol = tni_elf_u32(table, 2 + (uint64_t)bucket_count + symbol)) {
            if (symbol >= symbol_count || ++steps > symbol_count) {
                return bad_hash(image, "a chain has no end");
            }
            const char *name = tni_elf_text(image, tni_elf_symbol(image, symbol).st_name);
            if (name != NULL && strcmp(name, TN_PLUGIN_ENTRY_NAME) == 0 &&
                sysv_hash_of(name) % bucket_count == i) {
                *out_found = true;
            }
        }
    }
    return TN_OK;
}

static tn_status check_sysv(tni_elf_image *image, bool *out_found) {
    tni_elf_table header;
    tni_elf_table table = {NULL, 0};
    uint32_t buckets = 0;
    uint32_t symbols = 0;
    *out_found = false;
    tn_status status = tni_elf_load_table(image, "the hash table", "elf.hash-table",
                                          image->dynamic.hash, 8, &header);
    if (status == TN_OK) {
        buckets = tni_elf_u32(&header, 0);
        symbols = tni_elf_u32(&header, 1);
        if (buckets == 0 || buckets > MAX_SYMBOLS || symbols > MAX_SYMBOLS) {
            status = bad_hash(image, "its header is out of range");
        }
    }
    if (status == TN_OK) {
        status = tni_elf_load_table(image, "the hash table", "elf.hash-table", image->dynamic.hash,
                                    (2 + (uint64_t)buckets + symbols) * 4, &table);
    }
    if (status == TN_OK) {
        status = load_symbols(image, symbols);
    }
    if (status == TN_OK) {
        status = walk_sysv(image, &table, buckets, symbols, out_found);
    }
    tni_elf_drop_table(image, &header);
    tni_elf_drop_table(image, &table);
    return status;
}

static bool is_exported(const Elf64_Sym *symbol) {
    const unsigned bind = ELF64_ST_BIND(symbol->st_info);
    const unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    return symbol->st_shndx != SHN_UNDEF && symbol->st_shndx != SHN_ABS && bind != STB_LOCAL &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

// Old linkers export these on their own account.
static bool is_of_linker(const char *name) {
    static const char *const names[] = {"_init", "_fini", "_edata", "_end", "__bss_start"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static tn_status reject(tni_elf_image *image, const char *id, const char *what, const char *name) {
    image->report->reason = TN_REASON_ABI_REJECTED;
    return tni_elf_bad(image, id, "%s \"%.200s\"", what, name);
}

static tn_status check_export(tni_elf_image *image, const Elf64_Sym *symbol, const char *name,
                              bool *inout_has_entry) {
    const unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (strcmp(name, TN_PLUGIN_ENTRY_NAME) == 0) {
        *inout_has_entry = true;
        return type == STT_FUNC && tni_elf_in_memory(image, symbol->st_value, 1, PF_X)
                   ? TN_OK
                   : reject(image, "elf.entry-type", "not a function in code:", name);
    }
    return is_of_linker(name) ? TN_OK
                              : reject(image, "elf.extra-symbol",
                                       "a plugin exports " TN_PLUGIN_ENTRY_NAME
                                       " only (ABI-2); this one also exports",
                                       name);
}

static tn_status check_each(tni_elf_image *image, bool *out_has_entry) {
    *out_has_entry = false;
    for (uint64_t i = 1; i < image->symbol_count; i++) {
        const Elf64_Sym symbol = tni_elf_symbol(image, i);
        const char *name = tni_elf_text(image, symbol.st_name);
        if (name == NULL) {
            return tni_elf_bad(image, "elf.symbol-name",
                               "the name of symbol %llu is outside the string table",
                               (unsigned long long)i);
        }
        const bool is_placed = symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS ||
                               ELF64_ST_TYPE(symbol.st_info) == STT_TLS ||
                               tni_elf_in_memory(image, symbol.st_value, 0, 0);
        if (!is_placed) {
            return tni_elf_bad(image, "elf.symbol-value",
                               "symbol \"%.100s\" at 0x%llx is outside the library", name,
                               (unsigned long long)symbol.st_value);
        }
        tn_status status =
            is_exported(&symbol) ? check_export(image, &symbol, name, out_has_entry) : TN_OK;
        if (status != TN_OK) {
            return status;
        }
    }
    return TN_OK;
}

tn_status tni_elf_check_symbols(tni_elf_image *image) {
    bool found = false;
    bool has_entry = false;
    if (image->dynamic.gnu_hash == 0 && image->dynamic.hash == 0) {
        return bad_hash(image, "there is none");
    }
    tn_status status =
        image->dynamic.gnu_hash != 0 ? check_gnu(image, &found) : check_sysv(image, &found);
    if (status == TN_OK) {
        status = check_each(image, &has_entry);
    }
    if (status == TN_OK && !has_entry) {
        status = reject(image, "elf.no-entry", "the library does not export", TN_PLUGIN_ENTRY_NAME);
    }
    if (status == TN_OK && !found) {
        status = bad_hash(image, "it does not lead to " TN_PLUGIN_ENTRY_NAME);
    }
    return status;
}
