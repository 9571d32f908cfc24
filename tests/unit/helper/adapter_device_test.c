// SPDX-License-Identifier: Apache-2.0
// The adapter: devices, verdicts and ports.
#include "adapter_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void device__checks_calls_and_arguments(void **state) {
    adapter_fixture *f = *state;
    const tn_core_interface *core = f->plugin.core;
    tn_plugin *plugin = f->plugin.answer.plugin;
    tn_device_info info;
    memset(&info, 0x5a, sizeof info);
    info.struct_size = (uint32_t)offsetof(tn_device_info, vendor);
    assert_int_equal(core->device_info(plugin, 0, &info, &f->error), TN_OK);
    assert_string_equal(info.name, "sample");
    assert_int_equal(info.vendor[0], 0x5a); // beyond the caller's struct_size (ABI-11)
    assert_int_equal(core->device_info(plugin, 1, &info, &f->error), TN_ERROR_INVALID_ARGUMENT);
    info.struct_size = (uint32_t)sizeof info;
    assert_int_equal(core->device_info(plugin, 0, &info, &f->error), TN_OK);
    assert_int_equal(info.flags, TN_DEVICE_HOST_MEMORY | TN_DEVICE_SYNCHRONOUS);
    assert_int_equal(info.heap_count, 1);
    const tn_string key = {"speed", 5};
    const tn_device_open_info open = {.struct_size = (uint32_t)sizeof open,
                                      .struct_type = TN_STRUCT_DEVICE_OPEN_INFO,
                                      .option_keys = &key,
                                      .option_values = &key,
                                      .option_count = 1};
    tn_device *device = f->plugin.device;
    assert_int_equal(core->device_open(plugin, &open, &device, &f->error), TN_ERROR_NOT_FOUND);
    assert_null(device);
    assert_non_null(strstr(f->error.text, "speed"));
    assert_int_equal(core->shutdown(plugin, 0, &f->error), TN_ERROR_INVALID_STATE);
    assert_null(f->plugin.answer.get_interface(plugin, "blob"));
}

static void verdict__names_versions_outside_the_range(void **state) {
    adapter_fixture *f = *state;
    static const struct {
        const char *op;
        uint32_t version;
        tn_answer answer;
        tn_reason reason;
        int64_t limit;
    } rows[] = {
        {"Copy", 3, TN_ANSWER_YES, TN_REASON_NONE, 0},
        {"Copy", 2, TN_ANSWER_YES, TN_REASON_NONE, 0},
        {"Copy", 1, TN_ANSWER_NO, TN_REASON_OP_VERSION, 2},
        {"Copy", 4, TN_ANSWER_NO, TN_REASON_OP_VERSION, 3},
        {"Other", 3, TN_ANSWER_NO, TN_REASON_OP_UNSUPPORTED, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        view_builder *b = view_builder_create();
        const uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 0, NULL);
        const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 0, NULL);
        view_builder_node(b, rows[i].op, rows[i].version, &x, 1, &y, 1);
        tn_node_verdict verdict;
        assert_int_equal(
            abi_plugin_judge(&f->plugin, view_builder_finish(b, 0), &verdict, &f->error), TN_OK);
        assert_int_equal(verdict.answer, rows[i].answer);
        assert_int_equal(verdict.reason, rows[i].reason);
        assert_int_equal(verdict.limit, rows[i].limit);
        view_builder_destroy(b);
    }
}

// Copy, Copy, Copy, and one that is refused.
static const tn_graph_view *four_nodes(view_builder *b) {
    uint32_t x = view_builder_value(b, TN_DTYPE_FLOAT, 0, NULL);
    for (uint32_t i = 0; i < 4; ++i) {
        const uint32_t y = view_builder_value(b, TN_DTYPE_FLOAT, 0, NULL);
        view_builder_node(b, i < 3 ? "Copy" : "Other", 3, &x, 1, &y, 1);
        x = y;
    }
    return view_builder_finish(b, 0);
}

static void claims__fill_what_there_is_room_for(void **state) {
    adapter_fixture *f = *state;
    struct {
        tn_node_verdict verdict;
        unsigned char newer[8];
    } nodes[4];
    struct {
        tn_claim claim;
        unsigned char newer[8];
    } claims[2];
    uint32_t claim_nodes[4];
    static const struct {
        uint32_t claims;
        uint32_t nodes;
        tn_status status;
    } rows[] = {{0, 0, TN_ERROR_LIMIT_EXCEEDED},
                {2, 3, TN_ERROR_LIMIT_EXCEEDED},
                {1, 4, TN_ERROR_LIMIT_EXCEEDED},
                {2, 4, TN_OK}};
    view_builder *b = view_builder_create();
    const tn_graph_view *view = four_nodes(b);
    const tn_query_info info = {.struct_size = (uint32_t)sizeof info,
                                .struct_type = TN_STRUCT_QUERY_INFO};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        tn_verdicts v = {.struct_size = (uint32_t)sizeof v,
                         .struct_type = TN_STRUCT_VERDICTS,
                         .nodes = &nodes[0].verdict,
                         .claims = rows[i].claims > 0 ? &claims[0].claim : NULL,
                         .claim_nodes = rows[i].nodes > 0 ? claim_nodes : NULL,
                         .node_capacity = 4,
                         .node_stride_bytes = (uint32_t)sizeof nodes[0],
                         .claim_capacity = rows[i].claims,
                         .claim_stride_bytes = (uint32_t)sizeof claims[0],
                         .claim_node_capacity = rows[i].nodes};
        memset(nodes, 0x5a, sizeof nodes);
        memset(claims, 0x5a, sizeof claims);
        assert_int_equal(
            f->plugin.compile->query_support(f->plugin.device, view, &info, &v, &f->error),
            rows[i].status);
        assert_int_equal(v.claim_count, 2);
        assert_int_equal(v.claim_node_count, 4);
        assert_int_equal(v.bound_count, 0);
        assert_int_equal(nodes[0].newer[0], 0x5a);
        assert_int_equal(claims[0].newer[0], 0x5a);
    }
    assert_int_equal(claims[1].claim.nodes.begin, 2);
    assert_int_equal(claims[1].claim.nodes.count, 2);
    assert_int_equal(claims[1].claim.cost_ns, 101);
    assert_int_equal(claim_nodes[2], 1);
    assert_int_equal(claim_nodes[3], 2);
    view_builder_destroy(b);
}

static void port_query__strides_over_longer_records(void **state) {
    adapter_fixture *f = *state;
    struct {
        tn_port_info info;
        unsigned char newer[24];
    } ports[2];
    memset(ports, 0, sizeof ports);
    for (uint32_t i = 0; i < 2; ++i) {
        ports[i].info.struct_size = (uint32_t)sizeof ports[i];
        ports[i].info.struct_type = TN_STRUCT_PORT_INFO;
        memset(ports[i].newer, 0x5a, sizeof ports[i].newer);
    }
    const tn_port_query query = {.struct_size = (uint32_t)sizeof query,
                                 .struct_type = TN_STRUCT_PORT_QUERY};
    uint32_t count = 0;
    assert_int_equal(f->plugin.compile->port_query(f->program.program, &query, &ports[0].info, 1,
                                                   &count, &f->error),
                     TN_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(count, 2);
    assert_int_equal(f->plugin.compile->port_query(f->program.program, &query, &ports[0].info, 2,
                                                   &count, &f->error),
                     TN_OK);
    assert_int_equal(ports[1].info.kind, TN_PORT_OUTPUT);
    assert_int_equal(ports[1].info.struct_size, sizeof ports[1]);
    assert_int_equal(ports[0].newer[0], 0x5a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ADAPTER_CASE(device__checks_calls_and_arguments),
        ADAPTER_CASE(verdict__names_versions_outside_the_range),
        ADAPTER_CASE(claims__fill_what_there_is_room_for),
        ADAPTER_CASE(port_query__strides_over_longer_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
