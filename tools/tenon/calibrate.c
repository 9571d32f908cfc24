// SPDX-License-Identifier: Apache-2.0
// `tenon calibrate`: measure the devices of this machine, for the planner.
#include "calibrate.h"

#include <stdlib.h>
#include <string.h>

static const char command[] = "calibrate";

typedef struct calibrate_options {
    char *device_list; // owned; cut into names
    const char *output;
    bool quick;
} calibrate_options;

static int parse(cli_args *args, calibrate_options *o) {
    for (const char *argument = cli_next(args); argument != NULL; argument = cli_next(args)) {
        if (strcmp(argument, "--quick") == 0) {
            o->quick = true;
        } else if (strcmp(argument, "--output") == 0) {
            o->output = cli_value(args, argument);
        } else if (strcmp(argument, "--device") == 0) {
            const char *list = cli_value(args, argument);
            free(o->device_list);
            o->device_list = list == NULL ? NULL : strdup(list);
        } else {
            return cli_unknown(args, argument);
        }
    }
    return args->failed;
}

static const char *build_of(const tn_host *host, const char *plugin) {
    for (uint32_t i = 0; i < tn_host_load_count(host); i++) {
        tn_load_entry e = {.struct_size = sizeof(e), .struct_type = TN_STRUCT_LOAD_ENTRY};
        if (tn_host_load_get(host, i, &e) == TN_OK && e.status == TN_OK &&
            strcmp(e.name, plugin) == 0) {
            return e.build;
        }
    }
    return "";
}

static int add_device(calibration *own, uint32_t index) {
    calibrated_device *device = &own->devices[own->device_count];
    device->desc =
        (tn_device_desc){.struct_size = sizeof(device->desc), .struct_type = TN_STRUCT_DEVICE_DESC};
    if (own->device_count == CALIBRATE_MAX_DEVICES) {
        cli_message(command, "more than %u devices; name some with --device",
                    CALIBRATE_MAX_DEVICES);
        return CLI_USAGE;
    }
    if (tn_host_device_get(own->host, index, &device->desc) != TN_OK) {
        return CLI_INTERNAL;
    }
    device->build = build_of(own->host, device->desc.plugin);
    own->device_count++;
    return CLI_OK;
}

static int choose_devices(calibration *own, char *list) {
    char *rest = NULL;
    int code = CLI_OK;
    for (uint32_t i = 0; list == NULL && i < tn_host_device_count(own->host) && code == CLI_OK;
         i++) {
        code = add_device(own, i);
    }
    for (char *one = list == NULL ? NULL : strtok_r(list, ",", &rest);
         one != NULL && code == CLI_OK; one = strtok_r(NULL, ",", &rest)) {
        const uint32_t index = tn_host_device_find(own->host, one);
        if (index == TN_NONE) {
            cli_message(command, "there is no device \"%s\"; see tenon plugins", one);
            return CLI_USAGE;
        }
        code = add_device(own, index);
    }
    if (code == CLI_OK && own->device_count == 0) {
        cli_message(command, "there is no device to measure; see tenon doctor");
        return CLI_ENVIRONMENT;
    }
    return code;
}

// Devices that take none of the models are left out, and said to be.
static int measure_devices(calibration *own, cli_progress *progress) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < own->device_count; i++) {
        tn_error error;
        tn_error_init(&error);
        cli_progress_update(progress, 1 + i * 500 / own->device_count);
        const tn_status status = measure_device(own, &own->devices[i], &error);
        if (status != TN_OK) {
            cli_message(command, "%s is left out: %s", own->devices[i].desc.id, error.text);
            continue;
        }
        if (own->devices[i].class_count == 0) {
            cli_message(command, "%s is left out: it takes none of the models",
                        own->devices[i].desc.id);
            continue;
        }
        own->devices[kept++] = own->devices[i];
    }
    own->device_count = kept;
    return kept > 0 ? CLI_OK : CLI_ENVIRONMENT;
}

static void measure_one(calibration *own, const calibrated_device *from,
                        const calibrated_device *to) {
    calibrated_pair *pair = &own->pairs[own->pair_count];
    tn_error error;
    tn_error_init(&error);
    *pair = (calibrated_pair){from, to, {{0}, 0}};
    const tn_status status = measure_pair(own, pair, &error);
    if (status != TN_OK) {
        cli_message(command, "%s with %s is left out: %s", to->desc.id,
                    from == NULL ? "the host" : from->desc.id, error.text);
    }
    // Nothing was measured where nothing costs anything.
    own->pair_count += status == TN_OK && pair->fit.cost[0] + pair->fit.cost[1] > 0;
}

static void measure_pairs(calibration *own, cli_progress *progress) {
    for (uint32_t i = 0; i < own->device_count; i++) {
        cli_progress_update(progress, 500 + i * 500 / own->device_count);
        measure_one(own, NULL, &own->devices[i]);
        for (uint32_t k = 0; k < i; k++) {
            measure_one(own, &own->devices[k], &own->devices[i]);
        }
    }
}

static void print_rate(const char *unit, double ns) {
    if (ns > 0) {
        printf("  %8.3f G%s/s", 1 / ns, unit);
    } else {
        printf("  %8s  %s  ", "-", unit);
    }
}

static void print_device(const calibrated_device *device) {
    char text[CLI_TEXT_BYTES];
    printf("%s%s%s%s\n", cli_bold(), device->desc.id, cli_plain(),
           (device->desc.flags & TN_DEVICE_EMULATED) != 0 ? "  (emulated)" : "");
    for (uint32_t i = 0; i < device->class_count; i++) {
        const class_cost *c = &device->classes[i];
        printf("  %-15s %10s a node", c->op_class, cli_time_text((uint64_t)c->fit.cost[0], text));
        print_rate("FLOP", c->fit.cost[1]);
        print_rate("B", c->fit.cost[2]);
        print_rate("row", c->fit.cost[3]);
        printf("   within %.0f %%, %s\n", c->fit.noise * 100, fit_trust(&c->fit));
    }
}

static void print_pairs(const calibration *own) {
    char handover[CLI_TEXT_BYTES];
    char copy[CLI_TEXT_BYTES];
    printf("%sfrom one to the other%s\n", cli_bold(), cli_plain());
    for (uint32_t i = 0; i < own->pair_count; i++) {
        const calibrated_pair *p = &own->pairs[i];
        printf("  %-18s %-18s handover %10s, copy %10s",
               p->from == NULL ? "host" : p->from->desc.id, p->to->desc.id,
               cli_time_text((uint64_t)p->fit.cost[0], handover),
               cli_time_text((uint64_t)p->fit.cost[1], copy));
        print_rate("B", p->fit.cost[2]);
        printf("   within %.0f %%, %s\n", p->fit.noise * 100, fit_trust(&p->fit));
    }
}

static int report(const calibration *own, bool json, const char *path,
                  const tn_calibration_desc *state) {
    const bool own_folder = strcmp(path, state->path) == 0;
    json_t *document = calibrate_document(own, state);
    if (document == NULL) {
        return cli_print_json(NULL);
    }
    int code = calibrate_write(document, path, own_folder);
    if (code == CLI_OK && json) {
        return cli_print_json(document);
    }
    json_decref(document);
    for (uint32_t i = 0; i < own->device_count && code == CLI_OK; i++) {
        print_device(&own->devices[i]);
    }
    if (code == CLI_OK) {
        print_pairs(own);
        printf("written to %s\n", path);
    }
    return code;
}

static int calibrate(calibration *own, calibrate_options *o, const cli_options *common) {
    tn_calibration_desc state = {.struct_size = sizeof(state),
                                 .struct_type = TN_STRUCT_CALIBRATION_DESC};
    cli_progress progress;
    int code = cli_open_host(common, command, &own->host);
    if (code != CLI_OK) {
        return code;
    }
    if (tn_host_calibration_get(own->host, &state) != TN_OK) {
        return CLI_INTERNAL;
    }
    const char *path = o->output == NULL ? state.path : o->output;
    if (path[0] == '\0') {
        cli_message(command, "there is nowhere to write to: %s", state.text);
        return CLI_ENVIRONMENT;
    }
    own->quick = o->quick;
    code = choose_devices(own, o->device_list);
    if (code == CLI_OK) {
        cli_progress_begin(&progress, "measuring");
        code = measure_devices(own, &progress);
        if (code == CLI_OK) {
            measure_pairs(own, &progress);
        }
        cli_progress_end(&progress);
    }
    return code == CLI_OK ? report(own, common->json, path, &state) : code;
}

int cli_calibrate(cli_args *args) {
    calibrate_options o = {0};
    int code = parse(args, &o);
    calibration *own = calloc(1, sizeof(*own));
    if (own == NULL) {
        cli_message(command, "out of memory");
        code = CLI_ENVIRONMENT;
    }
    if (code == CLI_OK) {
        code = calibrate(own, &o, args->options);
    }
    if (own != NULL) {
        tn_host_release(own->host);
    }
    free(own);
    free(o.device_list);
    return code;
}
