// SPDX-License-Identifier: Apache-2.0
// The handshake of the helper: ranges, digests, sanitizers, bounded writes; and tn_helper_fail.
#include "support/abi_host.h"

#include "tenon/helper/negotiate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const void *no_interface(tn_plugin *plugin, const char *name) {
    (void)plugin;
    (void)name;
    return NULL;
}

static const tn_interface_digest digests[] = {TN_HELPER_MANDATORY_DIGESTS};

static tn_helper_plugin_desc make_desc(void) {
    return (tn_helper_plugin_desc){.name = "sample",
                                   .vendor = "vendor",
                                   .build = "1",
                                   .flags = TN_PLUGIN_UNLOADABLE,
                                   .sanitizers = TN_HELPER_SANITIZERS,
                                   .abi_minor_max = TN_ABI_VERSION_MINOR,
                                   .digests = digests,
                                   .digest_count = 5,
                                   .get_interface = no_interface};
}

typedef struct fixture {
    abi_host host;
    tn_helper_plugin_desc desc;
    tn_plugin_answer answer;
    tn_error error;
} fixture;

static void make_fixture(fixture *f) {
    memset(f, 0x77, sizeof *f);
    abi_host_init(&f->host, NULL);
    f->desc = make_desc();
    f->answer = (tn_plugin_answer){.struct_size = (uint32_t)sizeof f->answer,
                                   .struct_type = TN_STRUCT_PLUGIN_ANSWER};
    f->error.struct_size = (uint32_t)sizeof f->error;
    f->error.struct_type = TN_STRUCT_ERROR;
}

static tn_status negotiate(fixture *f) {
    return tn_helper_negotiate(&f->host.offer, &f->answer, &f->desc, &f->error);
}

static void negotiate__fills_the_answer(void **state) {
    (void)state;
    fixture f;
    make_fixture(&f);
    assert_int_equal(negotiate(&f), TN_OK);
    assert_string_equal(f.answer.name, "sample");
    assert_int_equal(f.answer.abi_minor, TN_ABI_VERSION_MINOR);
    assert_int_equal(f.answer.flags, TN_PLUGIN_UNLOADABLE);
    assert_null(f.answer.plugin);
    assert_ptr_equal(f.answer.get_interface, no_interface);
    assert_int_equal(f.answer.struct_size, sizeof f.answer);
}

// ABI-3.
static void negotiate__refuses_disjoint_versions(void **state) {
    (void)state;
    static const struct {
        uint32_t host_min, host_max, plugin_min, plugin_max;
        tn_status expected;
        uint32_t chosen;
    } rows[] = {
        {0, 0, 0, 0, TN_OK, 0},
        {0, 9, 0, 4, TN_OK, 4},
        {0, 4, 2, 9, TN_OK, 4},
        {5, 9, 0, 4, TN_ERROR_VERSION_MISMATCH, 0},
        {0, 4, 5, 9, TN_ERROR_VERSION_MISMATCH, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        fixture f;
        make_fixture(&f);
        f.host.offer.abi_minor_min = rows[i].host_min;
        f.host.offer.abi_minor_max = rows[i].host_max;
        f.desc.abi_minor_min = rows[i].plugin_min;
        f.desc.abi_minor_max = rows[i].plugin_max;
        assert_int_equal(negotiate(&f), rows[i].expected);
        assert_int_equal(f.answer.abi_minor, rows[i].chosen);
        if (rows[i].expected != TN_OK) {
            assert_string_equal(f.error.id, "handshake.version");
            assert_null(f.answer.name);
        }
    }
}

// ABI-19.
static void negotiate__names_the_interface_of_another_layout(void **state) {
    (void)state;
    fixture f;
    make_fixture(&f);
    f.host.digests[2].layout_digest ^= 1;
    assert_int_equal(negotiate(&f), TN_ERROR_VERSION_MISMATCH);
    assert_string_equal(f.error.id, "handshake.digest");
    assert_non_null(strstr(f.error.text, "interface memory"));
    assert_null(f.answer.name);
}

static void negotiate__skips_unknown_digests_and_other_minors(void **state) {
    (void)state;
    fixture f;
    make_fixture(&f);
    f.host.digests[2].layout_digest = 0;
    assert_int_equal(negotiate(&f), TN_OK);
    make_fixture(&f);
    f.host.digests[2].layout_digest ^= 1;
    f.host.digests[2].version_minor += 1;
    assert_int_equal(negotiate(&f), TN_OK);
}

// ABI-18.
static void negotiate__refuses_another_sanitizer(void **state) {
    (void)state;
    fixture f;
    make_fixture(&f);
    f.host.offer.sanitizers ^= TN_SANITIZER_THREAD;
    assert_int_equal(negotiate(&f), TN_ERROR_VERSION_MISMATCH);
    assert_string_equal(f.error.id, "handshake.sanitizers");
}

static void negotiate__refuses_short_or_wrong_structs(void **state) {
    (void)state;
    fixture f;
    make_fixture(&f);
    assert_int_equal(tn_helper_negotiate(NULL, &f.answer, &f.desc, &f.error),
                     TN_ERROR_INVALID_ARGUMENT);
    f.host.offer.struct_size = 16;
    assert_int_equal(negotiate(&f), TN_ERROR_INVALID_ARGUMENT);
    make_fixture(&f);
    f.answer.struct_size = 24;
    assert_int_equal(negotiate(&f), TN_ERROR_INVALID_ARGUMENT);
    make_fixture(&f);
    f.answer.struct_type = TN_STRUCT_ERROR;
    assert_int_equal(negotiate(&f), TN_ERROR_INVALID_ARGUMENT);
    make_fixture(&f);
    f.host.services.weight_read = NULL;
    assert_int_equal(negotiate(&f), TN_ERROR_INVALID_ARGUMENT);
    assert_string_equal(f.error.id, "handshake.service-missing");
}

// Every struct_size from the header to the whole: nothing behind it changes, and text stays
// terminated.
static void fail__never_writes_past_struct_size(void **state) {
    (void)state;
    for (uint32_t size = (uint32_t)sizeof(tn_struct_header); size <= sizeof(tn_error); ++size) {
        tn_error error;
        memset(&error, 0x5a, sizeof error);
        error.struct_size = size;
        error.struct_type = TN_STRUCT_ERROR;
        assert_int_equal(tn_helper_fail(&error, TN_ERROR_BUSY, "an.id", "%s %d", "text", 7),
                         TN_ERROR_BUSY);
        const unsigned char *bytes = (const unsigned char *)(const void *)&error;
        for (size_t i = size; i < sizeof error; ++i) {
            assert_int_equal(bytes[i], 0x5a);
        }
        assert_int_equal(error.struct_size, size);
        if (size > offsetof(tn_error, text)) {
            assert_non_null(memchr(error.text, '\0', size - offsetof(tn_error, text)));
        }
    }
}

static void fail__cuts_long_text(void **state) {
    (void)state;
    tn_error error = {.struct_size = (uint32_t)sizeof error, .struct_type = TN_STRUCT_ERROR};
    char text[2 * TN_ERROR_TEXT_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    (void)tn_helper_fail_at(&error, TN_ERROR_IO, 3, 4, text, "%s", text);
    assert_int_equal(strlen(error.text), TN_ERROR_TEXT_BYTES - 1);
    assert_int_equal(strlen(error.id), sizeof error.id - 1);
    assert_int_equal(error.node_index, 3);
    assert_int_equal(error.value_index, 4);
    assert_int_equal(tn_helper_fail(NULL, TN_ERROR_IO, NULL, "%s", text), TN_ERROR_IO);
}

static void copy_in__reads_missing_fields_as_zero(void **state) {
    (void)state;
    tn_submit_info given;
    tn_submit_info read;
    memset(&given, 0x33, sizeof given);
    given.struct_size = (uint32_t)offsetof(tn_submit_info, waits);
    given.struct_type = TN_STRUCT_SUBMIT_INFO;
    tn_helper_copy_in(&read, (uint32_t)sizeof read, &given);
    assert_int_equal(read.binding_count, 0x33333333);
    assert_null(read.waits);
    assert_int_equal(read.signal_count, 0);
}

static void stubs__say_unimplemented(void **state) {
    (void)state;
    assert_int_equal(tn_helper_stub_cancel(NULL, NULL), TN_ERROR_UNIMPLEMENTED);
    assert_int_equal(tn_helper_stub_fence_on_reach(NULL, 1, NULL, NULL, NULL),
                     TN_ERROR_UNIMPLEMENTED);
    assert_int_equal(tn_helper_stub_copy(NULL, NULL, NULL), TN_ERROR_UNSUPPORTED);
}

static void alloc_array__refuses_overflow(void **state) {
    (void)state;
    abi_host host;
    abi_host_init(&host, NULL);
    const tn_helper_host own = {&host.services, host.offer.host};
    assert_null(tn_helper_alloc_array(&own, UINT64_MAX / 2, 3));
    assert_null(tn_helper_alloc_array(&own, 0, 8));
    assert_int_equal(host.live_blocks, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(negotiate__fills_the_answer),
        cmocka_unit_test(negotiate__refuses_disjoint_versions),
        cmocka_unit_test(negotiate__names_the_interface_of_another_layout),
        cmocka_unit_test(negotiate__skips_unknown_digests_and_other_minors),
        cmocka_unit_test(negotiate__refuses_another_sanitizer),
        cmocka_unit_test(negotiate__refuses_short_or_wrong_structs),
        cmocka_unit_test(fail__never_writes_past_struct_size),
        cmocka_unit_test(fail__cuts_long_text),
        cmocka_unit_test(copy_in__reads_missing_fields_as_zero),
        cmocka_unit_test(stubs__say_unimplemented),
        cmocka_unit_test(alloc_array__refuses_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
