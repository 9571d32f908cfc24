// SPDX-License-Identifier: Apache-2.0
// See the header. Only the table "compile" is not reference's own.
#include "narrow.h"

#include "tenon/abi/compile.h"
#include "tenon/helper/verdicts.h"

#include <string.h>

#define MAX_OPS 256u

tn_status tn_plugin_entry_1_reference(const tn_host_offer *offer, tn_plugin_answer *answer,
                                      tn_error *error);

narrow_control narrow_controls[NARROW_COUNT];

static struct {
    const void *(*get_interface)(tn_plugin *plugin, const char *name);
    tn_compile_interface own; // reference's
    tn_compile_interface table;
    tn_op_record ops[MAX_OPS];
    uint32_t op_count;
} instances[NARROW_COUNT];

static tn_status op_list(uint32_t at, tn_device *device, tn_op_list *out_ops, tn_error *error) {
    tn_op_list all = {.struct_size = sizeof(all), .struct_type = TN_STRUCT_OP_LIST};
    const narrow_control *control = &narrow_controls[at];
    const tn_status status = instances[at].own.op_list(device, &all, error);
    instances[at].op_count = 0;
    for (uint32_t i = 0; i < all.op_count && instances[at].op_count < MAX_OPS; i++) {
        const unsigned char *base = (const unsigned char *)(const void *)all.ops;
        tn_op_record record;
        memcpy(&record, base + (uint64_t)i * all.op_stride_bytes, sizeof(record));
        if (control->hides != NULL && control->hides(record.op_type)) {
            continue;
        }
        if (control->versions != NULL) {
            control->versions(record.op_type, &record.newest_version, &record.oldest_version);
        }
        instances[at].ops[instances[at].op_count++] = record;
    }
    out_ops->ops = instances[at].ops;
    out_ops->op_count = instances[at].op_count;
    out_ops->op_stride_bytes = sizeof(tn_op_record);
    return status;
}

static tn_status query_support(uint32_t at, tn_device *device, const tn_graph_view *view,
                               const tn_query_info *info, tn_verdicts *verdicts, tn_error *error) {
    const tn_status status = instances[at].own.query_support(device, view, info, verdicts, error);
    for (uint32_t i = 0; i < view->nodes.count && status == TN_OK; i++) {
        const tn_op_record *record = NULL;
        tn_node_verdict refusal;
        if (!tn_helper_find_op(view, tn_view_node(view, i), instances[at].ops,
                               instances[at].op_count, sizeof(tn_op_record), &record, &refusal)) {
            tn_helper_put_verdict(verdicts, i, &refusal);
        }
    }
    if (status == TN_OK && narrow_controls[at].judges != NULL) {
        narrow_controls[at].judges(view, verdicts);
    }
    return status;
}

// The functions of a table do not learn which plugin they belong to.
#define INSTANCE(n)                                                                                \
    static tn_status op_list_##n(tn_device *device, tn_op_list *out_ops, tn_error *error) {        \
        return op_list(n, device, out_ops, error);                                                 \
    }                                                                                              \
    static tn_status query_support_##n(tn_device *device, const tn_graph_view *view,               \
                                       const tn_query_info *info, tn_verdicts *verdicts,           \
                                       tn_error *error) {                                          \
        return query_support(n, device, view, info, verdicts, error);                              \
    }                                                                                              \
    static const void *get_interface_##n(tn_plugin *plugin, const char *name) {                    \
        const void *table = instances[n].get_interface(plugin, name);                              \
        if (table == NULL || strcmp(name, TN_INTERFACE_COMPILE) != 0) {                            \
            return table;                                                                          \
        }                                                                                          \
        memcpy(&instances[n].own, table, sizeof(instances[n].own));                                \
        instances[n].table = instances[n].own;                                                     \
        instances[n].table.op_list = op_list_##n;                                                  \
        instances[n].table.query_support = query_support_##n;                                      \
        return &instances[n].table;                                                                \
    }                                                                                              \
    tn_status narrow_entry_##n(const tn_host_offer *offer, tn_plugin_answer *answer,               \
                               tn_error *error) {                                                  \
        const tn_status status = tn_plugin_entry_1_reference(offer, answer, error);                \
        if (status == TN_OK) {                                                                     \
            instances[n].get_interface = answer->get_interface;                                    \
            answer->get_interface = get_interface_##n;                                             \
            answer->name = "narrow" #n;                                                            \
        }                                                                                          \
        return status;                                                                             \
    }

INSTANCE(0)
INSTANCE(1)
