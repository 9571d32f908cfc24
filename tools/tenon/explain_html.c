// SPDX-License-Identifier: Apache-2.0
// `tenon explain --html`: one page that needs nothing else. A lane a device, time runs downwards:
// an island is a box in its device's lane, a transfer a line between lanes as thick as it is large,
// a place where the host waits is marked.
#include "explain.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define MAX_LANES 64u
#define LANE_WIDTH 260
#define BOX_WIDTH 210
#define BOX_LETTERS 30u
#define ROW_HEIGHT 64
#define BOX_HEIGHT 44
#define TOP 60

typedef struct page {
    const explain_report *report;
    FILE *out;
    uint32_t lanes[MAX_LANES]; // devices; the first is TN_NONE: the host
    uint32_t lane_count;
} page;

// Text of the model's, which may be anything.
static void put_text(FILE *out, const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc((unsigned char)*text < 32 ? ' ' : *text, out);
        }
    }
}

static uint32_t lane_of(page *p, uint32_t device) {
    for (uint32_t i = 0; i < p->lane_count; i++) {
        if (p->lanes[i] == device) {
            return i;
        }
    }
    if (p->lane_count == MAX_LANES) {
        return MAX_LANES - 1;
    }
    p->lanes[p->lane_count] = device;
    return p->lane_count++;
}

static const char *lane_colour(uint32_t lane) {
    static const char *const colours[] = {"#e9e9e9", "#cfe3f7", "#fbe0c3", "#d5efd0",
                                          "#f3d1dc", "#e3d9f2", "#fdf3b8", "#d0ecec"};
    return colours[lane == 0 ? 0 : 1 + (lane - 1) % 7];
}

// Row 0 is the host giving inputs, the last the host taking outputs.
static int row_y(uint32_t row) {
    return TOP + (int)row * ROW_HEIGHT;
}

static int lane_x(uint32_t lane) {
    return 20 + (int)lane * LANE_WIDTH;
}

// The beginning, where all does not fit; whole characters of it.
static void put_text_in_box(FILE *out, const char *text) {
    char clipped[BOX_LETTERS + 1];
    size_t size = strlen(text) > BOX_LETTERS ? BOX_LETTERS - 2 : strlen(text);
    while (text[size] != '\0' && ((unsigned char)text[size] & 0xc0) == 0x80) {
        size--;
    }
    snprintf(clipped, sizeof(clipped), "%.*s", (int)size, text);
    put_text(out, clipped);
    fputs(text[size] != '\0' ? "..." : "", out);
}

static void put_box(const page *p, uint32_t lane, uint32_t row, const char *title,
                    const char *second, bool marked) {
    fprintf(p->out,
            "<g><rect x='%d' y='%d' width='%d' height='%d' rx='7' fill='%s' stroke='%s' "
            "stroke-width='%d'/>",
            lane_x(lane), row_y(row), BOX_WIDTH, BOX_HEIGHT, lane_colour(lane),
            marked ? "#c00000" : "#555555", marked ? 3 : 1);
    fprintf(p->out, "<text x='%d' y='%d' class='b'>", lane_x(lane) + 9, row_y(row) + 18);
    put_text(p->out, title);
    fprintf(p->out, "</text><text x='%d' y='%d'>", lane_x(lane) + 9, row_y(row) + 35);
    put_text_in_box(p->out, second);
    fputs("</text><title>", p->out);
    put_text(p->out, second);
    fputs("</title></g>\n", p->out);
}

// A red tag on the upper edge of a box before which a host thread stops.
static void put_waits(const page *p, uint32_t lane, uint32_t row, uint32_t count,
                      const char *what) {
    if (count == 0) {
        return;
    }
    fprintf(p->out,
            "<g><rect x='%d' y='%d' width='%d' height='14' rx='4' fill='#c00000'/>"
            "<text x='%d' y='%d' class='w'>host waits",
            lane_x(lane) + 9, row_y(row) - 11, count > 1 ? 92 : 68, lane_x(lane) + 13,
            row_y(row) + 2);
    if (count > 1) {
        fprintf(p->out, " x%u", count);
    }
    fprintf(p->out, "</text><title>host waits: %u, ", count);
    put_text(p->out, what);
    fputs("</title></g>\n", p->out);
}

static void put_islands(page *p) {
    const explain_report *r = p->report;
    tn_island_desc island;
    char title[128];
    char ops[160];
    char what[EXPLAIN_WAITS_BYTES];
    put_box(p, 0, 0, "inputs", "the host submits", false);
    for (uint32_t i = 0; i < r->plan.island_count; i++) {
        if (!explain_island(r, i, &island)) {
            continue;
        }
        explain_op_text(r->session, island.nodes, island.node_count, ops, sizeof(ops));
        snprintf(title, sizeof(title), "%u: %u node%s", i, island.node_count,
                 island.node_count == 1 ? "" : "s");
        uint32_t waits = explain_waits_before(r, i, what, sizeof(what));
        put_box(p, lane_of(p, island.device), i + 1, title, ops, waits > 0);
        put_waits(p, lane_of(p, island.device), i + 1, waits, what);
    }
    uint32_t row = r->plan.island_count + 1;
    uint32_t waits = explain_waits_before(r, TN_NONE, what, sizeof(what));
    put_box(p, 0, row, "outputs", "the host takes them", waits > 0);
    put_waits(p, 0, row, waits, what);
}

// Lane and row of an end of a transfer.
static void place_end(page *p, uint32_t island, bool begin, uint32_t *lane, uint32_t *row) {
    tn_island_desc desc;
    *lane = 0;
    *row = begin ? 0 : p->report->plan.island_count + 1;
    if (island != TN_NONE && explain_island(p->report, island, &desc)) {
        *lane = lane_of(p, desc.device);
        *row = island + 1;
    }
}

static void put_transfer(page *p, const tn_planned_transfer *t, uint32_t index) {
    uint32_t from_lane;
    uint32_t from_row;
    uint32_t to_lane;
    uint32_t to_row;
    char bytes[CLI_TEXT_BYTES];
    char cost[CLI_TEXT_BYTES];
    place_end(p, t->from_island, true, &from_lane, &from_row);
    place_end(p, t->to_island, false, &to_lane, &to_row);
    double width = t->cost_ns > 0 ? 2.0 + log2(1.0 + (double)t->size_bytes / 4096.0) : 1.0;
    int shift = (int)(index % 9) * 9 - 36; // so that lines between the same boxes lie side by side
    int x1 = lane_x(from_lane) + BOX_WIDTH / 2 + shift;
    int x2 = lane_x(to_lane) + BOX_WIDTH / 2 + shift;
    int y1 = row_y(from_row) + BOX_HEIGHT;
    int y2 = row_y(to_row);
    fprintf(p->out,
            "<path d='M%d %d C%d %d %d %d %d %d' stroke='%s' stroke-width='%.1f' fill='none' "
            "opacity='0.65' marker-end='url(#arrow)'><title>",
            x1, y1, x1, y1 + ROW_HEIGHT / 2, x2, y2 - ROW_HEIGHT / 2, x2, y2,
            t->cost_ns > 0 ? "#d9730d" : "#888888", width);
    put_text(p->out, t->name);
    fprintf(p->out, ": %s, %s</title></path>\n", cli_bytes_text(t->size_bytes, bytes),
            t->cost_ns > 0 ? cli_time_text((uint64_t)t->cost_ns, cost) : "shared, not copied");
}

static void put_lanes(const page *p) {
    const explain_report *r = p->report;
    int height = row_y(r->plan.island_count + 2);
    for (uint32_t i = 0; i < p->lane_count; i++) {
        fprintf(p->out,
                "<rect x='%d' y='0' width='%d' height='%d' fill='%s' opacity='0.25'/>"
                "<text x='%d' y='28' class='h'>",
                lane_x(i) - 12, LANE_WIDTH - 26, height, lane_colour(i), lane_x(i));
        put_text(p->out, plan_device_text(r->session, p->lanes[i]));
        fputs("</text>\n", p->out);
    }
}

static void put_svg(page *p) {
    const explain_report *r = p->report;
    tn_island_desc island;
    tn_planned_transfer t;
    p->lane_count = 0;
    lane_of(p, TN_NONE);
    for (uint32_t i = 0; i < r->plan.island_count; i++) {
        if (explain_island(r, i, &island)) {
            lane_of(p, island.device);
        }
    }
    fprintf(p->out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' role='img'>"
            "<defs><marker id='arrow' viewBox='0 0 6 6' refX='5' refY='3' markerWidth='7' "
            "markerHeight='7' markerUnits='userSpaceOnUse' orient='auto'>"
            "<path d='M0 0L6 3L0 6z' fill='#555555'/></marker></defs>\n",
            lane_x(p->lane_count) + 20, row_y(r->plan.island_count + 2) + 10);
    put_lanes(p);
    for (uint32_t i = 0; explain_transfer(r, i, &t); i++) {
        put_transfer(p, &t, i);
    }
    put_islands(p);
    fputs("</svg>\n", p->out);
}

static void put_numbers(const page *p) {
    const explain_report *r = p->report;
    char text[3][CLI_TEXT_BYTES];
    fprintf(
        p->out,
        "<p><b>%u</b> islands, <b>%u</b> handovers, predicted <b>%s</b>, at least %s, gap "
        "%.3f&nbsp;%% (estimates)",
        r->plan.island_count, r->plan.handovers, cli_time_text((uint64_t)r->plan.cost_ns, text[0]),
        cli_time_text((uint64_t)(r->plan.lower_bound_ns > 0 ? r->plan.lower_bound_ns : 0), text[1]),
        plan_gap_percent(&r->plan));
    if (r->counted) {
        fprintf(p->out, ", <b>%u</b> host waits, <b>%u</b> transfers of <b>%s</b>",
                r->stats.planned_host_waits, r->stats.planned_transfers,
                cli_bytes_text(r->stats.planned_transfer_bytes, text[2]));
    } else if (r->plan.stage_count > 1) {
        fputs("; host waits and transfers are known once it has run", p->out);
    }
    fputs("</p>\n", p->out);
}

static void put_alternatives(const page *p) {
    const explain_report *r = p->report;
    char text[CLI_TEXT_BYTES];
    tn_plan_alternative one;
    fputs("<h2>Alternatives: one device for all it takes, or one less</h2><table>\n", p->out);
    for (uint32_t i = 0; i < tn_compiled_alternative_count(r->compiled); i++) {
        if (!explain_alternative(r, i, &one)) {
            continue;
        }
        fprintf(p->out, "<tr><td>%s", one.kind == TN_ALTERNATIVE_WITHOUT ? "all but " : "");
        put_text(p->out, plan_device_text(r->session, one.device));
        bool none = one.cost_ns == TN_COST_NO_PLAN;
        fprintf(p->out, "</td><td>%s</td><td>%.2f x the plan</td><td>%u nodes refused</td></tr>\n",
                none ? "no plan" : cli_time_text((uint64_t)one.cost_ns, text),
                none || r->plan.cost_ns <= 0 ? 0.0 : (double)one.cost_ns / (double)r->plan.cost_ns,
                one.refused_nodes);
    }
    fputs("</table>\n", p->out);
}

int explain_write_html(const explain_report *report, const char *path) {
    page p = {.report = report, .out = fopen(path, "w")};
    if (p.out == NULL) {
        cli_message(report->session->command, "%s: %s", path, strerror(errno));
        return CLI_ENVIRONMENT;
    }
    fputs("<!doctype html><html lang='en'><head><meta charset='utf-8'><title>", p.out);
    put_text(p.out, report->session->model_path);
    fputs("</title><style>body{font:14px system-ui,sans-serif;margin:24px;color:#222}"
          "svg text{font:12px system-ui,sans-serif}svg .b{font-weight:600}"
          "svg .h{font-size:15px;font-weight:600}"
          "svg .w{font-size:10px;font-weight:600;fill:#fff}td{padding:2px 14px 2px 0}"
          "</style></head><body><h1>",
          p.out);
    put_text(p.out, report->session->model_path);
    fputs("</h1>\n", p.out);
    put_numbers(&p);
    put_svg(&p);
    put_alternatives(&p);
    fputs("</body></html>\n", p.out);
    bool failed = ferror(p.out) != 0;
    failed |= fclose(p.out) != 0;
    if (failed) {
        cli_message(report->session->command, "%s: cannot be written", path);
        return CLI_ENVIRONMENT;
    }
    return CLI_OK;
}
