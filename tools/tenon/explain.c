// SPDX-License-Identifier: Apache-2.0
// `tenon explain`: where everything would run, what that costs, and why.
#include "explain.h"
#include "model_inputs.h"

#include <stdlib.h>
#include <string.h>

static const char command[] = "explain";

typedef struct explain_options {
    plan_rules rules;
    const char *model;
    const char *html;
    input_options inputs; // their shapes alone
    bool plan_only;
    bool gain;
    bool dot;
} explain_options;

static bool take_flag(explain_options *o, const char *argument) {
    bool *flag = strcmp(argument, "--plan-only") == 0 ? &o->plan_only
                 : strcmp(argument, "--gain") == 0    ? &o->gain
                 : strcmp(argument, "--dot") == 0     ? &o->dot
                                                      : NULL;
    if (flag != NULL) {
        *flag = true;
    }
    return flag != NULL;
}

static int parse(cli_args *args, explain_options *o) {
    for (const char *argument = cli_next(args); argument != NULL; argument = cli_next(args)) {
        if (take_flag(o, argument) || plan_rules_take(args, &o->rules, argument)) {
            continue;
        }
        if (strcmp(argument, "--html") == 0) {
            o->html = cli_value(args, argument);
        } else if (strcmp(argument, "--shape") == 0 && o->inputs.shape_count < CLI_MAX_LIST) {
            const char *shape = cli_value(args, argument);
            o->inputs.shapes[o->inputs.shape_count] = shape;
            o->inputs.shape_count += shape != NULL;
        } else if (argument[0] != '-' && o->model == NULL) {
            o->model = argument;
        } else {
            return cli_unknown(args, argument);
        }
    }
    if (args->failed == CLI_OK && o->model == NULL) {
        cli_message(command, "no model is given; see tenon explain --help");
        return CLI_USAGE;
    }
    return args->failed;
}

// The size given for an input, or that of the model with 1 for what it leaves open.
static bool input_shape(const explain_options *o, const tn_tensor_desc *desc, int64_t *dims,
                        uint32_t *out_rank) {
    size_t size = strlen(desc->name);
    for (uint32_t i = 0; i < o->inputs.shape_count; i++) {
        const char *shape = o->inputs.shapes[i];
        if (strncmp(shape, desc->name, size) == 0 && shape[size] == '=') {
            return cli_parse_shape(shape + size + 1, dims, out_rank);
        }
    }
    *out_rank = desc->rank == TN_RANK_UNKNOWN ? 0 : desc->rank;
    for (uint32_t k = 0; k < *out_rank; k++) {
        dims[k] = desc->dims[k] < 0 ? 1 : desc->dims[k];
    }
    return true;
}

// What a run would count: known once the model is prepared for shapes.
static int count_run(const explain_options *o, const plan_session *s, tn_compiled *compiled,
                     explain_report *report) {
    uint32_t count = tn_model_input_count(s->model);
    tn_input_shape *shapes = calloc((size_t)count + 1, sizeof(*shapes));
    int64_t(*dims)[TN_MAX_RANK] = calloc((size_t)count + 1, sizeof(*dims));
    tn_request *request = NULL;
    tn_error error;
    tn_error_init(&error);
    int code = shapes == NULL || dims == NULL ? CLI_ENVIRONMENT : CLI_OK;
    for (uint32_t i = 0; i < count && code == CLI_OK; i++) {
        tn_tensor_desc desc = {.struct_size = sizeof(desc), .struct_type = TN_STRUCT_TENSOR_DESC};
        uint32_t rank = 0;
        if (tn_model_input_get(s->model, i, &desc) != TN_OK ||
            !input_shape(o, &desc, dims[i], &rank)) {
            cli_message(command, "a --shape for %s is not like 1x3x224x224", desc.name);
            code = CLI_USAGE;
        }
        shapes[i] = (tn_input_shape){i, rank, dims[i]};
    }
    if (code == CLI_OK) {
        tn_status status = tn_request_create(compiled, NULL, &request, &error);
        if (status == TN_OK) {
            status = tn_request_prepare(request, shapes, count, &error);
        }
        report->stats = (tn_run_stats){.struct_size = sizeof(report->stats),
                                       .struct_type = TN_STRUCT_RUN_STATS};
        // Several stages are made ready one after the other, while they run.
        report->counted = status == TN_OK && report->plan.stage_count <= 1 &&
                          tn_request_stats(request, &report->stats) == TN_OK;
        if (status != TN_OK) {
            cli_message(command, "no counts: %s", error.text);
        } else if (report->counted) {
            code = explain_find_waits(request, report);
        }
    }
    tn_request_destroy(request);
    free(shapes);
    free(dims);
    return code;
}

bool explain_island(const explain_report *report, uint32_t island, tn_island_desc *out_desc) {
    *out_desc =
        (tn_island_desc){.struct_size = sizeof(*out_desc), .struct_type = TN_STRUCT_ISLAND_DESC};
    return tn_compiled_island_get(report->compiled, island, out_desc) == TN_OK;
}

bool explain_transfer(const explain_report *report, uint32_t transfer,
                      tn_planned_transfer *out_transfer) {
    *out_transfer = (tn_planned_transfer){.struct_size = sizeof(*out_transfer),
                                          .struct_type = TN_STRUCT_PLANNED_TRANSFER};
    return tn_compiled_transfer_get(report->compiled, transfer, out_transfer) == TN_OK;
}

static bool is_used(const explain_report *report, uint32_t device) {
    tn_island_desc island;
    for (uint32_t i = 0; i < report->plan.island_count; i++) {
        if (explain_island(report, i, &island) && island.device == device) {
            return true;
        }
    }
    return false;
}

static bool takes_any(const explain_report *report, uint32_t device) {
    for (uint32_t node = 0; node < tn_model_node_count(report->session->model); node++) {
        tn_placement p = {.struct_size = sizeof(p), .struct_type = TN_STRUCT_PLACEMENT};
        if (tn_compiled_placement_get(report->compiled, node, device, &p) == TN_OK &&
            p.answer != TN_ANSWER_NO) {
            return true;
        }
    }
    return false;
}

bool explain_alternative(const explain_report *report, uint32_t index,
                         tn_plan_alternative *out_alternative) {
    *out_alternative = (tn_plan_alternative){.struct_size = sizeof(*out_alternative),
                                             .struct_type = TN_STRUCT_PLAN_ALTERNATIVE};
    if (tn_compiled_alternative_get(report->compiled, index, out_alternative) != TN_OK) {
        return false;
    }
    return out_alternative->kind == TN_ALTERNATIVE_WITHOUT
               ? is_used(report, out_alternative->device)
               : takes_any(report, out_alternative->device);
}

uint32_t explain_cost_origin(const explain_report *report, uint32_t node) {
    tn_choice choice = {.struct_size = sizeof(choice), .struct_type = TN_STRUCT_CHOICE};
    tn_placement placement = {.struct_size = sizeof(placement), .struct_type = TN_STRUCT_PLACEMENT};
    bool known =
        tn_compiled_choice_get(report->compiled, node, &choice) == TN_OK &&
        tn_compiled_placement_get(report->compiled, node, choice.device, &placement) == TN_OK;
    return known ? placement.cost_origin : TN_NONE;
}

const char *explain_origin_text(uint32_t origin) {
    static const char *const words[EXPLAIN_ORIGINS] = {"unknown", "declared", "calibrated",
                                                       "observed", "roofline"};
    return words[origin < EXPLAIN_ORIGINS ? origin : TN_COST_UNKNOWN];
}

#define MAX_OP_TYPES 512u

typedef struct op_tally {
    const char *op_type;
    uint32_t count;
} op_tally;

static int by_tally(const void *a, const void *b) {
    const op_tally *one = a;
    const op_tally *other = b;
    if (one->count != other->count) {
        return one->count > other->count ? -1 : 1;
    }
    return strcmp(one->op_type, other->op_type);
}

void explain_op_text(const plan_session *session, const uint32_t *nodes, uint32_t count, char *text,
                     size_t capacity) {
    op_tally tally[MAX_OP_TYPES];
    uint32_t types = 0;
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        tn_node_desc node;
        uint32_t k = 0;
        if (!plan_node_get(session, nodes[i], &node)) {
            continue;
        }
        while (k < types && strcmp(tally[k].op_type, node.op_type) != 0) {
            k++;
        }
        if (k == types && types < MAX_OP_TYPES) {
            tally[types++] = (op_tally){node.op_type, 0};
        }
        tally[k < types ? k : types - 1].count++;
    }
    qsort(tally, types, sizeof(tally[0]), by_tally);
    for (uint32_t i = 0; i < types && used + 1 < capacity; i++) {
        int wrote = i == 6 ? snprintf(text + used, capacity - used, ", ...")
                           : snprintf(text + used, capacity - used, "%s%s x%u", i > 0 ? ", " : "",
                                      tally[i].op_type, tally[i].count);
        used += wrote > 0 ? (size_t)wrote : 0;
        if (i == 6) {
            break;
        }
    }
}

static int tell(const explain_options *o, const cli_options *common, explain_report *report) {
    if (o->html != NULL) {
        return explain_write_html(report, o->html);
    }
    if (o->dot) {
        explain_print_dot(report);
        return CLI_OK;
    }
    if (common->json) {
        return explain_print_json(report);
    }
    explain_print(report);
    return CLI_OK;
}

static int explain(const explain_options *o, const cli_options *common, plan_session *s) {
    tn_compiled *compiled = NULL;
    explain_report report = {.session = s, .with_gains = o->gain};
    tn_compile_policy policy = TN_COMPILE_EXPLAIN | (o->plan_only ? TN_COMPILE_PLAN_ONLY : 0);
    int code = plan_compile_with(s, &o->rules, policy, &compiled);
    if (code == CLI_OK) {
        report.compiled = compiled;
        report.plan = plan_summary_of(compiled);
        code = o->plan_only ? CLI_OK : count_run(o, s, compiled, &report);
    }
    if (code == CLI_OK && o->gain) {
        code = explain_find_gains(s, &o->rules, &report);
    }
    if (code == CLI_OK) {
        code = tell(o, common, &report);
    }
    free(report.gains);
    free(report.waits);
    tn_compiled_release(compiled);
    return code;
}

int cli_explain(cli_args *args) {
    explain_options o = {0};
    plan_session s = {.command = command};
    int code = parse(args, &o);
    if (code == CLI_OK) {
        code = plan_rules_complete(command, o.model, &o.rules);
    }
    if (code == CLI_OK) {
        s.model_path = o.model;
        code = plan_open(&s, args->options);
        code = code == CLI_OK ? model_inputs_check(command, s.model, &o.inputs) : code;
        if (code == CLI_OK) {
            code = explain(&o, args->options, &s);
        }
        plan_close(&s);
    }
    plan_rules_free(&o.rules);
    return code;
}
