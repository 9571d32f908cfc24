// SPDX-License-Identifier: Apache-2.0
// `tenon explain --dot`: islands as clusters coloured by device, transfers as thick edges. Graphviz
// lays it out; big graphs are folded to one box an island.
#include "explain.h"

#define MAX_NODES_DRAWN 400u

// Text inside of a quoted label.
static void print_quoted(const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        putchar((unsigned char)*text < 32 ? ' ' : *text);
    }
}

static const char *colour(uint32_t device) {
    static const char *const colours[] = {"#cfe3f7", "#fbe0c3", "#d5efd0", "#f3d1dc",
                                          "#e3d9f2", "#fdf3b8", "#d0ecec", "#e4e4e4"};
    return colours[device % (sizeof(colours) / sizeof(colours[0]))];
}

static void print_island(const explain_report *r, uint32_t index, bool folded) {
    tn_island_desc island;
    char ops[160];
    char waits[EXPLAIN_WAITS_BYTES];
    if (!explain_island(r, index, &island)) {
        return;
    }
    explain_op_text(r->session, island.nodes, island.node_count, ops, sizeof(ops));
    printf("  subgraph cluster_%u {\n    style=filled; color=\"%s\"; label=\"%u: ", index,
           colour(island.device), index);
    print_quoted(plan_device_text(r->session, island.device));
    if (explain_waits_before(r, index, waits, sizeof(waits)) > 0) {
        printf("\\nthe host waits ");
        print_quoted(waits);
        printf("\"; pencolor=\"#c00000\"; penwidth=3;\n");
    } else {
        printf("\";\n");
    }
    if (folded) {
        printf("    i%u [label=\"%u node%s\\n", index, island.node_count,
               island.node_count == 1 ? "" : "s");
        print_quoted(ops);
        printf("\"];\n");
    }
    for (uint32_t k = 0; !folded && k < island.node_count; k++) {
        tn_node_desc node;
        if (plan_node_get(r->session, island.nodes[k], &node)) {
            printf("    n%u [label=\"", island.nodes[k]);
            print_quoted(node.op_type);
            printf("\\n");
            print_quoted(node.name);
            printf("\"];\n");
        }
    }
    printf("  }\n");
}

// Where the edges of an island begin and end.
static void print_end(const explain_report *r, uint32_t index, bool folded, bool begin) {
    tn_island_desc island;
    if (index == TN_NONE) {
        printf("host_%s", begin ? "in" : "out");
    } else if (folded || !explain_island(r, index, &island) || island.node_count == 0) {
        printf("i%u", index);
    } else {
        printf("n%u", island.nodes[begin ? island.node_count - 1 : 0]);
    }
}

// The host's two ends.
static void print_host(const explain_report *r) {
    char waits[EXPLAIN_WAITS_BYTES];
    printf("  host_in [label=\"host\"]; host_out [label=\"host");
    if (explain_waits_before(r, TN_NONE, waits, sizeof(waits)) > 0) {
        printf("\\nwaits ");
        print_quoted(waits);
        printf("\", color=\"#c00000\", penwidth=\"3");
    }
    printf("\"];\n");
}

void explain_print_dot(const explain_report *report) {
    bool folded = tn_model_node_count(report->session->model) > MAX_NODES_DRAWN;
    tn_planned_transfer t;
    char text[CLI_TEXT_BYTES];
    puts("digraph plan {\n  compound=true; node [shape=box, style=\"filled,rounded\", "
         "fillcolor=white];");
    print_host(report);
    for (uint32_t i = 0; i < report->plan.island_count; i++) {
        print_island(report, i, folded);
    }
    for (uint32_t i = 0; explain_transfer(report, i, &t); i++) {
        printf("  ");
        print_end(report, t.from_island, folded, true);
        printf(" -> ");
        print_end(report, t.to_island, folded, false);
        printf(" [penwidth=%s, label=\"", t.cost_ns > 0 ? "4" : "1");
        print_quoted(t.name);
        printf(" %s\"];\n", cli_bytes_text(t.size_bytes, text));
    }
    puts("}");
}
