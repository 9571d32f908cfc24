// SPDX-License-Identifier: Apache-2.0
// `tenon inspect`: what a model is made of.
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const char command[] = "inspect";

typedef struct inspect_options {
    const char *model;
    bool dot;
    bool nodes;
    bool no_rewrites;
} inspect_options;

// How often an op occurs and what it costs.
typedef struct op_count {
    const char *op_type;
    const char *domain;
    uint32_t count;
    uint64_t flops;
} op_count;

typedef struct op_counts {
    op_count *ops; // sorted by cost, then name
    uint32_t count;
} op_counts;

static int parse(cli_args *args, inspect_options *o) {
    *o = (inspect_options){0};
    for (const char *argument = cli_next(args); argument != NULL; argument = cli_next(args)) {
        if (strcmp(argument, "--dot") == 0) {
            o->dot = true;
        } else if (strcmp(argument, "--nodes") == 0) {
            o->nodes = true;
        } else if (strcmp(argument, "--no-rewrites") == 0) {
            o->no_rewrites = true;
        } else if (argument[0] != '-' && o->model == NULL) {
            o->model = argument;
        } else {
            return cli_unknown(args, argument);
        }
    }
    if (args->failed == CLI_OK && o->model == NULL) {
        cli_message(command, "no model is given; see tenon inspect --help");
        return CLI_USAGE;
    }
    return args->failed;
}

static bool get_node(const tn_model *model, uint32_t index, tn_node_desc *desc) {
    *desc = (tn_node_desc){.struct_size = sizeof(*desc), .struct_type = TN_STRUCT_NODE_DESC};
    return tn_model_node_get(model, index, desc) == TN_OK;
}

static bool get_value(const tn_model *model, uint32_t index, tn_tensor_desc *desc) {
    *desc = (tn_tensor_desc){.struct_size = sizeof(*desc), .struct_type = TN_STRUCT_TENSOR_DESC};
    return tn_model_value_get(model, index, desc) == TN_OK;
}

static int by_cost(const void *a, const void *b) {
    const op_count *one = a;
    const op_count *other = b;
    if (one->flops != other->flops) {
        return one->flops > other->flops ? -1 : 1;
    }
    return strcmp(one->op_type, other->op_type);
}

static bool count_ops(const tn_model *model, op_counts *out) {
    uint32_t nodes = tn_model_node_count(model);
    *out = (op_counts){.ops = calloc((size_t)nodes + 1, sizeof(*out->ops))};
    for (uint32_t i = 0; out->ops != NULL && i < nodes; i++) {
        tn_node_desc desc;
        uint32_t k = 0;
        if (!get_node(model, i, &desc)) {
            continue;
        }
        while (k < out->count && (strcmp(out->ops[k].op_type, desc.op_type) != 0 ||
                                  strcmp(out->ops[k].domain, desc.domain) != 0)) {
            k++;
        }
        out->count += k == out->count;
        out->ops[k].op_type = desc.op_type;
        out->ops[k].domain = desc.domain;
        out->ops[k].count++;
        out->ops[k].flops += desc.flops;
    }
    if (out->ops != NULL) {
        qsort(out->ops, out->count, sizeof(*out->ops), by_cost);
    }
    return out->ops != NULL;
}

static void print_ports(const tn_model *model, const char *what, uint32_t count,
                        tn_status (*get)(const tn_model *, uint32_t, tn_tensor_desc *)) {
    for (uint32_t i = 0; i < count; i++) {
        char shape[512];
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        if (get(model, i, &desc) == TN_OK) {
            cli_shape_text(&desc, shape, sizeof(shape));
            printf("%s%s %s%s  %s %s\n", cli_bold(), what, desc.name, cli_plain(),
                   tn_dtype_text(desc.dtype), shape);
        }
    }
}

static void print_nodes(const tn_model *model) {
    for (uint32_t i = 0; i < tn_model_node_count(model); i++) {
        char shape[512] = "";
        tn_node_desc node;
        tn_tensor_desc value;
        if (!get_node(model, i, &node)) {
            continue;
        }
        if (node.output_count > 0 && node.outputs[0] != TN_NONE &&
            get_value(model, node.outputs[0], &value)) {
            cli_shape_text(&value, shape, sizeof(shape));
        }
        printf("%5u  %-24s v%-3u %-24s %10.3f Mflop  %s\n", i, node.op_type, node.since_version,
               shape, (double)node.flops / 1e6, node.name);
    }
}

static void print_text(const tn_model *model, const tn_model_summary *s, const op_counts *ops,
                       bool nodes) {
    char text[4][CLI_TEXT_BYTES];
    printf("%s%s%s  opset %lld, IR %lld%s%s\n", cli_bold(),
           s->graph_name[0] != '\0' ? s->graph_name : "model", cli_plain(), (long long)s->opset,
           (long long)s->ir_version, s->producer[0] != '\0' ? ", by " : "", s->producer);
    print_ports(model, "input ", tn_model_input_count(model), tn_model_input_get);
    print_ports(model, "output", tn_model_output_count(model), tn_model_output_get);
    printf("nodes      %u (imported %u)\n", s->node_count, s->imported_count);
    printf("constants  %u, %.3f M elements, %s: %s left in the file, %s decoded, %s derived\n",
           s->constant_count, (double)s->parameter_count / 1e6,
           cli_bytes_text(s->parameter_bytes, text[0]), cli_bytes_text(s->mapped_bytes, text[1]),
           cli_bytes_text(s->decoded_bytes, text[2]), cli_bytes_text(s->derived_bytes, text[3]));
    printf("work       %.3f Gflop (estimate by op definition)\n", (double)s->flops / 1e9);
    for (uint32_t i = 0; i < ops->count; i++) {
        printf("  %6u  %-28s %12.3f Mflop\n", ops->ops[i].count, ops->ops[i].op_type,
               (double)ops->ops[i].flops / 1e6);
    }
    if (nodes) {
        print_nodes(model);
    }
}

static json_t *tensor_json(const tn_tensor_desc *desc) {
    json_t *shape = json_array();
    for (uint32_t i = 0; desc->rank != TN_RANK_UNKNOWN && i < desc->rank; i++) {
        json_array_append_new(shape, desc->dims[i] >= 0 ? json_integer(desc->dims[i])
                                                        : json_string(desc->symbols[i]));
    }
    return json_pack("{s:s, s:s, s:o, s:b}", "name", desc->name, "dtype",
                     tn_dtype_text(desc->dtype), "shape", shape, "rank_known",
                     desc->rank != TN_RANK_UNKNOWN);
}

static json_t *ports_json(const tn_model *model, uint32_t count,
                          tn_status (*get)(const tn_model *, uint32_t, tn_tensor_desc *)) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        if (get(model, i, &desc) == TN_OK) {
            json_array_append_new(list, tensor_json(&desc));
        }
    }
    return list;
}

static json_t *nodes_json(const tn_model *model) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < tn_model_node_count(model); i++) {
        tn_node_desc node;
        tn_tensor_desc value;
        if (!get_node(model, i, &node)) {
            continue;
        }
        json_t *outputs = json_array();
        for (uint32_t k = 0; k < node.output_count; k++) {
            if (node.outputs[k] != TN_NONE && get_value(model, node.outputs[k], &value)) {
                json_array_append_new(outputs, tensor_json(&value));
            }
        }
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:o}", "name", node.name, "op_type",
                            node.op_type, "domain", node.domain, "since_version",
                            (int)node.since_version, "flops_estimate", (json_int_t)node.flops,
                            "bytes_estimate", (json_int_t)node.bytes, "outputs", outputs));
    }
    return list;
}

static int print_json(const tn_model *model, const tn_model_summary *s, const op_counts *ops,
                      bool nodes) {
    json_t *counts = json_array();
    for (uint32_t i = 0; i < ops->count; i++) {
        json_array_append_new(counts, json_pack("{s:s, s:s, s:i, s:I}", "op_type",
                                                ops->ops[i].op_type, "domain", ops->ops[i].domain,
                                                "count", (int)ops->ops[i].count, "flops_estimate",
                                                (json_int_t)ops->ops[i].flops));
    }
    json_t *document = json_pack(
        "{s:i, s:s, s:s, s:I, s:I, s:o, s:o, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
        "schema_version", CLI_SCHEMA_VERSION, "graph", s->graph_name, "producer", s->producer,
        "opset", (json_int_t)s->opset, "ir_version", (json_int_t)s->ir_version, "inputs",
        ports_json(model, tn_model_input_count(model), tn_model_input_get), "outputs",
        ports_json(model, tn_model_output_count(model), tn_model_output_get), "nodes",
        (int)s->node_count, "imported_nodes", (int)s->imported_count, "constants",
        (int)s->constant_count, "parameters", (json_int_t)s->parameter_count, "parameter_bytes",
        (json_int_t)s->parameter_bytes, "mapped_bytes", (json_int_t)s->mapped_bytes,
        "decoded_bytes", (json_int_t)s->decoded_bytes, "derived_bytes",
        (json_int_t)s->derived_bytes, "flops_estimate", (json_int_t)s->flops, "ops", counts);
    if (document != NULL && nodes) {
        json_object_set_new(document, "node_list", nodes_json(model));
    }
    return cli_print_json(document);
}

// Graphviz text: quotes and backslashes are escaped, control characters dropped.
static void print_escaped(const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        if ((unsigned char)*text >= 0x20) {
            putchar(*text);
        }
    }
}

static void print_dot(const tn_model *model) {
    printf("digraph model {\n  rankdir=TB;\n  node [shape=box, style=rounded];\n");
    for (uint32_t i = 0; i < tn_model_node_count(model); i++) {
        tn_node_desc node;
        if (!get_node(model, i, &node)) {
            continue;
        }
        printf("  n%u [label=\"", i);
        print_escaped(node.op_type);
        printf("\\n");
        print_escaped(node.name);
        printf("\"];\n");
        for (uint32_t k = 0; k < node.output_count; k++) {
            if (node.outputs[k] != TN_NONE) {
                printf("  n%u -> v%u [arrowhead=none];\n", i, node.outputs[k]);
                printf("  v%u [shape=point, width=0.05];\n", node.outputs[k]);
            }
        }
        for (uint32_t k = 0; k < node.input_count; k++) {
            tn_tensor_desc value;
            if (node.inputs[k] == TN_NONE || !get_value(model, node.inputs[k], &value) ||
                value.is_constant) {
                continue;
            }
            char shape[512];
            cli_shape_text(&value, shape, sizeof(shape));
            printf("  v%u -> n%u [label=\"", node.inputs[k], i);
            print_escaped(shape);
            printf("\"];\n");
        }
    }
    for (uint32_t i = 0; i < tn_model_input_count(model); i++) {
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        if (tn_model_input_get(model, i, &desc) == TN_OK) {
            printf("  // input ");
            print_escaped(desc.name);
            putchar('\n');
        }
    }
    printf("}\n");
}

int cli_inspect(cli_args *args) {
    inspect_options o;
    tn_host *host = NULL;
    tn_model *model = NULL;
    tn_error error;
    tn_model_config config;
    tn_model_config_init(&config);
    tn_error_init(&error);
    int code = parse(args, &o);
    if (code == CLI_OK) {
        // No device is asked, so no plugin is needed.
        cli_options quiet = {.no_search = true, .threads = 1, .verbose = args->options->verbose};
        code = cli_open_host(&quiet, command, &host);
    }
    if (code == CLI_OK) {
        config.flags = o.no_rewrites ? TN_MODEL_NO_REWRITES : 0;
        tn_status status = tn_model_load_file(host, o.model, &config, &model, &error);
        code = status == TN_OK ? CLI_OK : cli_fail(command, &error, status);
    }
    tn_model_summary summary = {.struct_size = sizeof(summary),
                                .struct_type = TN_STRUCT_MODEL_SUMMARY};
    op_counts ops = {0};
    if (code == CLI_OK &&
        (tn_model_summary_get(model, &summary) != TN_OK || !count_ops(model, &ops))) {
        code = CLI_ENVIRONMENT;
    }
    if (code == CLI_OK && o.dot) {
        print_dot(model);
    } else if (code == CLI_OK && args->options->json) {
        code = print_json(model, &summary, &ops, o.nodes);
    } else if (code == CLI_OK) {
        print_text(model, &summary, &ops, o.nodes);
    }
    free(ops.ops);
    tn_model_release(model);
    tn_host_release(host);
    return code;
}
