// SPDX-License-Identifier: Apache-2.0
// Allocation helpers, arena, map, and the test allocator they are checked with.
#include "base/alloc.h"
#include "base/arena.h"
#include "base/map.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h needs the four above.
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static test_alloc allocator;

static int set_up(void **state) {
    (void)state;
    test_alloc_init(&allocator);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    const bool clean = test_alloc_clean(&allocator);
    test_alloc_deinit(&allocator);
    return clean ? 0 : -1;
}

static void alloc_bytes__aligns_and_refuses(void **state) {
    const tni_alloc *allocs[3] = {tni_alloc_default(), tni_alloc_large_pages(), &allocator.alloc};
    (void)state;
    for (int i = 0; i < 3; i++) {
        for (uint64_t alignment = 1; alignment <= TNI_MAX_ALIGNMENT; alignment *= 2) {
            void *pointer = tni_alloc_bytes(allocs[i], 33, alignment);
            assert_non_null(pointer);
            assert_int_equal((uintptr_t)pointer % alignment, 0);
            tni_free_aligned(allocs[i], pointer, 33, alignment);
        }
        assert_null(tni_alloc_bytes(allocs[i], 0, 16));
        assert_null(tni_alloc_bytes(allocs[i], 8, 3));
        assert_null(tni_alloc_bytes(allocs[i], 8, 0));
        assert_null(tni_alloc_bytes(allocs[i], 8, 8192));
        assert_null(tni_alloc_bytes(allocs[i], UINT64_MAX, 16));
        assert_null(tni_alloc_array(allocs[i], UINT64_MAX / 2, 4));
        tni_free(allocs[i], NULL, 8);
    }
}

// Whether the mapping that holds an address has asked for large pages.
static bool asks_for_large_pages(const void *pointer) {
    char line[512];
    bool inside = false;
    bool asks = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t begin = 0;
        uintptr_t end = 0;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &begin, &end) == 2) {
            inside = begin <= (uintptr_t)pointer && (uintptr_t)pointer < end;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            asks = strstr(line, " hg") != NULL;
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return asks;
}

static void large_pages__are_asked_for_by_large_blocks(void **state) {
    (void)state;
    const uint64_t size_bytes = (5u << 20) + 7;
    uint8_t *bytes = tni_alloc_bytes(tni_alloc_large_pages(), size_bytes, 16);
    assert_non_null(bytes);
    assert_int_equal((uintptr_t)bytes % (2u << 20), 0);
    bytes[0] = 1;
    bytes[size_bytes - 1] = 2;
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0) {
        assert_true(asks_for_large_pages(bytes));
        assert_true(asks_for_large_pages(bytes + (4u << 20) - 1));
    }
    tni_free(tni_alloc_large_pages(), bytes, size_bytes);
}

static void realloc__keeps_and_zeroes(void **state) {
    (void)state;
    uint8_t *bytes = tni_realloc(&allocator.alloc, NULL, 0, 4);
    assert_non_null(bytes);
    memset(bytes, 7, 4);
    bytes = tni_realloc(&allocator.alloc, bytes, 4, 8);
    assert_memory_equal(bytes, "\7\7\7\7\0\0\0\0", 8);
    test_alloc_reset(&allocator, TEST_ALLOC_FAIL_FROM, 0);
    assert_null(tni_realloc(&allocator.alloc, bytes, 8, 16));
    test_alloc_reset(&allocator, TEST_ALLOC_NORMAL, 0);
    bytes = tni_realloc(&allocator.alloc, bytes, 8, 2);
    assert_memory_equal(bytes, "\7\7", 2);
    tni_free(&allocator.alloc, bytes, 2);
}

static void grow__doubles_and_keeps_on_failure(void **state) {
    uint32_t *items = NULL;
    uint32_t capacity = 0;
    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(
            tni_grow(&allocator.alloc, (void **)&items, &capacity, i + 1, sizeof *items), TN_OK);
        items[i] = i;
    }
    assert_true(allocator.count <= 5);
    test_alloc_reset(&allocator, TEST_ALLOC_FAIL_FROM, 0);
    const uint32_t before = capacity;
    assert_int_equal(
        tni_grow(&allocator.alloc, (void **)&items, &capacity, before + 1, sizeof *items),
        TN_ERROR_OUT_OF_MEMORY);
    assert_int_equal(capacity, before);
    assert_int_equal(items[99], 99);
    assert_int_equal(tni_grow(&allocator.alloc, (void **)&items, &capacity, TN_NONE, 4),
                     TN_ERROR_LIMIT_EXCEEDED);
    tni_free_array(&allocator.alloc, items, capacity, sizeof *items);
}

static void arena__zeroes_aligns_and_frees_at_once(void **state) {
    tni_arena arena;
    void *block = NULL;
    (void)state;
    tni_arena_init(&arena, &allocator.alloc, 1 << 20);
    for (uint64_t size = 0; size < 3000; size += 37) {
        assert_int_equal(tni_arena_alloc(&arena, size, 16, &block), TN_OK);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        for (uint64_t i = 0; i < size; i++) {
            assert_int_equal(((uint8_t *)block)[i], 0);
        }
        memset(block, 0xff, (size_t)size);
    }
    assert_true(allocator.live_blocks < 12);
    assert_int_equal(arena.used_bytes, allocator.live_bytes);
    tni_arena_deinit(&arena);
    assert_int_equal(allocator.live_blocks, 0);
}

static void arena__tells_limit_from_memory(void **state) {
    tni_arena arena;
    void *block = &arena;
    (void)state;
    tni_arena_init(&arena, &allocator.alloc, 10000);
    assert_int_equal(tni_arena_alloc(&arena, 10001, 1, &block), TN_ERROR_LIMIT_EXCEEDED);
    assert_null(block);
    assert_int_equal(tni_arena_alloc(&arena, UINT64_MAX, 1, &block), TN_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(tni_arena_array(&arena, UINT64_MAX, 16, 8, &block), TN_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(tni_arena_alloc(&arena, 9000, 1, &block), TN_OK);
    test_alloc_reset(&allocator, TEST_ALLOC_FAIL_FROM, 0);
    assert_int_equal(tni_arena_alloc(&arena, 100, 1, &block), TN_ERROR_OUT_OF_MEMORY);
    tni_arena_deinit(&arena);
}

static void arena_text__copies_and_terminates(void **state) {
    tni_arena arena;
    tn_string copy;
    (void)state;
    tni_arena_init(&arena, &allocator.alloc, 1 << 20);
    assert_int_equal(tni_arena_text(&arena, (tn_string){"hello", 4}, &copy), TN_OK);
    assert_string_equal(copy.data, "hell");
    assert_int_equal(copy.size_bytes, 4);
    assert_int_equal(tni_arena_text(&arena, (tn_string){NULL, 0}, &copy), TN_OK);
    assert_string_equal(copy.data, "");
    tni_arena_deinit(&arena);
}

static void map__finds_texts_and_numbers(void **state) {
    static char names[500][8];
    tni_map texts;
    tni_map numbers;
    uint32_t value = 0;
    (void)state;
    tni_map_init(&texts, &allocator.alloc);
    tni_map_init(&numbers, &allocator.alloc);
    assert_false(tni_map_find(&texts, TNI_LITERAL("n1"), &value));
    for (uint32_t i = 0; i < 500; i++) {
        snprintf(names[i], sizeof names[i], "n%u", i);
        assert_int_equal(tni_map_set(&texts, tni_string_of(names[i]), i), TN_OK);
        assert_int_equal(tni_map_set_u64(&numbers, (uint64_t)i << 32, i), TN_OK);
    }
    for (uint32_t i = 0; i < 500; i++) {
        assert_true(tni_map_find(&texts, tni_string_of(names[i]), &value));
        assert_int_equal(value, i);
        assert_true(tni_map_find_u64(&numbers, (uint64_t)i << 32, &value));
        assert_int_equal(value, i);
    }
    assert_false(tni_map_find(&texts, TNI_LITERAL("n500"), &value));
    assert_false(tni_map_find(&texts, TNI_LITERAL(""), &value));
    assert_false(tni_map_find_u64(&numbers, 1, &value));
    assert_int_equal(tni_map_set(&texts, TNI_LITERAL("n7"), 70), TN_OK);
    assert_int_equal(tni_map_set(&texts, (tn_string){NULL, 0}, 71), TN_OK);
    assert_int_equal(texts.count, 501);
    assert_true(tni_map_find(&texts, TNI_LITERAL("n7"), &value));
    assert_int_equal(value, 70);
    assert_true(tni_map_find(&texts, TNI_LITERAL(""), &value));
    assert_int_equal(value, 71);
    tni_map_deinit(&numbers);
    tni_map_deinit(&texts);
}

static void map__keeps_what_it_has_without_memory(void **state) {
    tni_map map;
    uint32_t value = 0;
    uint64_t added = 0;
    (void)state;
    tni_map_init(&map, &allocator.alloc);
    assert_int_equal(tni_map_set_u64(&map, 0, 42), TN_OK);
    test_alloc_reset(&allocator, TEST_ALLOC_FAIL_FROM, 0);
    while (tni_map_set_u64(&map, ++added, 1) == TN_OK) {
        assert_true(added < 100);
    }
    assert_true(tni_map_find_u64(&map, 0, &value));
    assert_int_equal(value, 42);
    assert_false(tni_map_find_u64(&map, added, &value));
    tni_map_deinit(&map);
}

static void test_alloc__notices_a_wrong_free(void **state) {
    test_alloc checked;
    (void)state;
    test_alloc_init(&checked);
    void *block = tni_alloc_zeroed(&checked.alloc, 10);
    assert_false(test_alloc_clean(&checked));
    tni_free(&checked.alloc, block, 11);
    assert_int_equal(checked.mistakes, 1);
    assert_int_equal(checked.live_blocks, 0);
    checked.cap_bytes = 100;
    assert_null(tni_alloc_zeroed(&checked.alloc, 101));
    assert_int_equal(checked.failed, 1);
    test_alloc_deinit(&checked);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(large_pages__are_asked_for_by_large_blocks),
        CASE(alloc_bytes__aligns_and_refuses),
        CASE(realloc__keeps_and_zeroes),
        CASE(grow__doubles_and_keeps_on_failure),
        CASE(arena__zeroes_aligns_and_frees_at_once),
        CASE(arena__tells_limit_from_memory),
        CASE(arena_text__copies_and_terminates),
        CASE(map__finds_texts_and_numbers),
        CASE(map__keeps_what_it_has_without_memory),
        CASE(test_alloc__notices_a_wrong_free),
    };
    return cmocka_run_group_tests_name("base_memory", tests, NULL, NULL);
}
