// SPDX-License-Identifier: Apache-2.0
// The command line's entry: which subcommand, and help.
#include "cli.h"

#include <string.h>

static const char general_help[] =
    "usage: tenon COMMAND [options]\n"
    "\n"
    "  run MODEL       run a model and show what ran where, and how long it took\n"
    "  bench MODEL     measure how long it takes, again and again, and against a budget\n"
    "  compare A B     compare two results of bench, for CI\n"
    "  inspect MODEL   show ops, shapes, parameters and cost of a model\n"
    "  explain MODEL   show where it would run, what that costs, and why\n"
    "  whatif MODEL    plan it under other rules and show the difference\n"
    "  save MODEL OUT  write a model as ONNX: constants folded, no-ops gone\n"
    "  plugins         list plugins and their devices\n"
    "  doctor          check every plugin and device of this machine\n"
    "  calibrate       measure the devices of this machine, for better plans\n"
    "\n"
    "Options of every command:\n"
    "  --json              print one JSON document instead of text\n"
    "  --plugin FILE       open this plugin (library or manifest); may be repeated\n"
    "  --plugin-dir DIR    search this folder first; may be repeated\n"
    "  --no-search         only the plugins and folders given\n"
    "  --allow PATTERN     open only plugins with such names; may be repeated\n"
    "  --deny PATTERN      never open plugins with such names; may be repeated\n"
    "  --no-calibration    estimate costs as if nothing had been measured\n"
    "  --no-plan-store     search for every plan, and keep none\n"
    "  --large-pages       ask for large pages: maybe faster runs and a later first result\n"
    "  --threads N         threads that plugins may share, the main one included (default 1)\n"
    "  --verbose           show what plugins log\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 ok, 1 a criterion was not met, 2 usage or bad input, 3 environment,\n"
    "4 internal error.\n"
    "\n"
    "Examples:\n"
    "  tenon run resnet50.onnx\n"
    "  tenon run bert.onnx --input ids=ids.npy --device opencl --no-fallback --trace t.json\n"
    "  tenon inspect resnet50.onnx --dot | dot -Tsvg > resnet50.svg\n"
    "  tenon COMMAND --help\n";

typedef struct command {
    const char *name;
    int (*run)(cli_args *args);
    const char *help;
} command;

static const command commands[] = {
    {"run", cli_run,
     "usage: tenon run MODEL [options]\n"
     "\n"
     "  --input NAME=FILE   an input from FILE.npy or FILE.pb (ONNX TensorProto); may be "
     "repeated.\n"
     "                      Inputs that are not given are random, from --seed\n"
     "  --shape NAME=AxBxC  the shape of a random input with unknown dimensions (default 1 each)\n"
     "  --seed N            of random inputs (default 1)\n"
     "  --output DIR        write every output as DIR/NAME.npy; other bytes than letters, digits, "
     "'.',\n"
     "                      '_' and '-' become %XX, so that a/b is DIR/a%2Fb.npy\n"
     "  --device LIST       devices to use, by preference, separated by commas\n"
     "  --no-fallback       fail (exit 1) rather than use a device that is not listed\n"
     "  --without LIST      do not use these devices\n"
     "  --concurrent        plan for devices that work at the same time\n"
     "  --pin NODES=DEVICE, --forbid NODES=DEVICE, --memory DEVICE=SIZE, --policy FILE\n"
     "                      where nodes must or must not run, and what weights may take there;\n"
     "                      see tenon explain --help\n"
     "  --precise           no algebraic rewrites, no narrower types\n"
     "  --fast-compile      no algorithms are chosen by measuring: a shorter compile, and the\n"
     "                      same results in every process\n"
     "  --relaxed           narrower types inside are allowed (not faster everywhere)\n"
     "  --deadline-ms N     give the run up after N ms (exit 1)\n"
     "  --memory-mb N       refuse to use more for tensors and workspaces\n"
     "  --repeat N          run N times, report the last (default 1)\n"
     "  --top N             how many classes to show (default 5)\n"
     "  --trace FILE        write what happened when, for chrome://tracing or Perfetto\n"
     "\n"
     "Examples:\n"
     "  tenon run digits.onnx --shape image=1x1x8x8\n"
     "  tenon run resnet50.onnx --input image=cat.npy --output out --trace trace.json\n"},
    {"bench", cli_bench,
     "usage: tenon bench MODEL [options]\n"
     "\n"
     "Times every phase once, then runs again and again: percentiles (nearest rank), throughput,\n"
     "where the time went, memory, and how far the numbers can be trusted. Run it while the "
     "machine\n"
     "does nothing else.\n"
     "\n"
     "  --runs N, --seconds S  how often, or how long at least; both: N runs, no longer than S.\n"
     "                         Default: 30 runs and 3 s, but no longer than a minute\n"
     "  --warmup N             runs before that, of at most a second (default 3)\n"
     "  --budget LIST          limits such as p95=15ms,mem=64MB, on p50, p90, p95, p99, max, "
     "first\n"
     "                         (load to first result), mem (peak RSS); exit 1 when one is missed\n"
     "  --copy-io              write inputs and read outputs in every run (pre and post)\n"
     "  --interleave OTHER     run this model too, pair by pair in random order, and compare\n"
     "  --versus-device LIST, --versus-threads N\n"
     "                         the same with other devices or threads; may be combined\n"
     "  --sustain 10m          then run on for so long, and show every minute\n"
     "  --samples              with --json: the time of every run, for tenon compare\n"
     "  --fast-compile         ask devices for a short compile rather than short runs\n"
     "  --input, --shape, --seed, --device, --no-fallback, --without, --concurrent, --pin,\n"
     "  --forbid, --memory, --policy, --precise, --relaxed, --memory-mb\n"
     "                         as for tenon run; the seed is also that of orders and resampling\n"
     "\n"
     "Examples:\n"
     "  tenon bench resnet50.onnx --budget p95=15ms,mem=256MB\n"
     "  tenon bench resnet50.onnx --device cpu --versus-device reference\n"
     "  tenon bench new.onnx --interleave old.onnx --json --samples > new.json\n"},
    {"compare", cli_compare,
     "usage: tenon compare OLD.json NEW.json [--fail-slower P%]\n"
     "\n"
     "Compares two documents of tenon bench --json: ratios, with a 95 % interval where both have\n"
     "--samples, and what differs in what was measured.\n"
     "\n"
     "  --fail-slower P%    exit 1 when the new median is more than P percent above the old one;\n"
     "                      where there is an interval, only when it lies above 1 too\n"
     "\n"
     "Example:\n"
     "  tenon compare old.json new.json --fail-slower 5%\n"},
    {"inspect", cli_inspect,
     "usage: tenon inspect MODEL [--dot] [--no-rewrites] [--nodes]\n"
     "\n"
     "  --dot           print the graph for Graphviz\n"
     "  --nodes         list every node\n"
     "  --no-rewrites   as imported: no folding, no no-op removal\n"
     "\n"
     "Examples:\n"
     "  tenon inspect resnet50.onnx\n"
     "  tenon inspect resnet50.onnx --json\n"},
    {"explain", cli_explain,
     "usage: tenon explain MODEL [options]\n"
     "\n"
     "Shows where everything would run, what that is predicted to cost, and why. All times are\n"
     "estimates. Rules are also read from MODEL.plan when there is one.\n"
     "\n"
     "  --device A,B         plan for these; others only where none of them can\n"
     "  --without A,B        plan without these\n"
     "  --no-fallback        a node that no --device takes is an error\n"
     "  --concurrent         plan for devices that work at the same time\n"
     "  --pin NODES=DEVICE   (or --move) run nodes there; --forbid NODES=DEVICE: do not. NODES:\n"
     "                       numbers, ranges 3-7, op:TYPE or patterns of names, by commas\n"
     "  --policy FILE        rules from a file instead of MODEL.plan; options count first\n"
     "  --memory DEVICE=64MB what weights may take there; =own: what the device says it has\n"
     "  --shape NAME=1x3x8   size of an input, for counts\n"
     "  --plan-only          build no programs: no counts, refusals to compile stay unseen\n"
     "  --gain               which op, if a device learned it, would save most\n"
     "  --dot                print the plan for Graphviz\n"
     "  --html FILE          draw it: lanes for devices, lines for transfers\n"
     "\n"
     "Examples:\n"
     "  tenon explain resnet50.onnx --device opencl,reference --gain\n"
     "  tenon explain resnet50.onnx --pin op:Softmax=reference --html plan.html\n"},
    {"whatif", cli_whatif,
     "usage: tenon whatif MODEL [options]\n"
     "\n"
     "Plans as it is and with a change, and shows the difference. Nothing is built or run.\n"
     "\n"
     "  --device A,B         plan both for these\n"
     "  --move NODES=DEVICE  (or --pin) the change: nodes there; --forbid NODES=DEVICE: not there\n"
     "  --without A,B        the change: without these devices\n"
     "  --no-fallback        the change: no devices but those listed\n"
     "  --concurrent         the change: devices work at the same time\n"
     "  --memory DEVICE=64MB the change: what weights may take there\n"
     "  --policy FILE        the change: the rules of a file\n"
     "  --links FILE         the change: what handovers and copies cost, as \"pairs\" of a\n"
     "                       calibration file; pairs that are not there stay as they are\n"
     "\n"
     "Examples:\n"
     "  tenon whatif resnet50.onnx --device opencl,reference --move 3-7=reference\n"
     "  tenon whatif resnet50.onnx --device opencl,reference --links faster-bus.json\n"},
    {"save", cli_save,
     "usage: tenon save MODEL OUT [options]\n"
     "\n"
     "Writes the canonical model: constants folded, no-ops gone. OUT may be MODEL.\n"
     "\n"
     "  --no-rewrites        as imported: no folding, no no-op removal\n"
     "  --external NAME      put large weights into this file beside OUT\n"
     "  --external-bytes N   weights of at least N bytes (default 1024)\n"
     "\n"
     "Examples:\n"
     "  tenon save resnet50.onnx folded.onnx\n"
     "  tenon save llm.onnx out/llm.onnx --external llm.weights\n"},
    {"plugins", cli_plugins,
     "usage: tenon plugins\n"
     "\n"
     "Lists loaded plugins, their devices, and what could not be loaded.\n"
     "\n"
     "Example:\n"
     "  tenon plugins --plugin-dir build/release/lib/tenon/plugins\n"},
    {"calibrate", cli_calibrate,
     "usage: tenon calibrate [options]\n"
     "\n"
     "Measures how fast each device runs which kinds of ops, and what passing work between two\n"
     "costs, and writes it where every host of this user finds it. Plans made from then on use "
     "it.\n"
     "Run it while the machine does nothing else.\n"
     "\n"
     "  --device LIST   measure these, separated by commas; what is known of others is kept\n"
     "  --quick         a few seconds, and less exact\n"
     "  --output FILE   write this file instead\n"
     "\n"
     "Examples:\n"
     "  tenon calibrate\n"
     "  tenon calibrate --device reference,opencl --json\n"},
    {"doctor", cli_doctor,
     "usage: tenon doctor\n"
     "\n"
     "Shows every candidate with the stage it reached and why, runs one op on every device, and\n"
     "prints versions. Exit code 3 when no device works.\n"
     "\n"
     "Example:\n"
     "  tenon doctor --json\n"},
};

static bool asks_for_help(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs(general_help, stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        fputs(general_help, stdout);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("tenon %s\n", tn_version_text());
        return CLI_OK;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) != 0) {
            continue;
        }
        if (asks_for_help(argc, argv)) {
            fputs(commands[i].help, stdout);
            return CLI_OK;
        }
        cli_options options = {.threads = 1};
        cli_args args = {argc, argv, 2, commands[i].name, &options, CLI_OK};
        int code = commands[i].run(&args);
        if (fflush(stdout) != 0 || ferror(stdout)) {
            cli_message(commands[i].name, "standard output cannot be written");
            return code == CLI_OK ? CLI_ENVIRONMENT : code;
        }
        return code;
    }
    fprintf(stderr, "tenon: there is no command \"%s\"; see tenon --help\n", argv[1]);
    return CLI_USAGE;
}
