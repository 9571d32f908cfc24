#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tenon_loop.c does, with another runtime: it speaks the same lines.

    peer_loop.py RUNTIME MODEL [--threads N] [--option WORD] [--symbol NAME=N] [--input NAME FILE]

Each runtime at its best: all optimisations, the sizes of the inputs told before it starts, inputs
and outputs in place before the first run.
"""
import argparse
import os
import time

import numpy as np


class OnnxRuntime:
    """Options: `quiet` lets threads sleep while they wait; `literal` is no optimisation."""

    def __init__(self):
        import onnxruntime
        self.library = onnxruntime

    def create(self, args, feeds):
        ort = self.library
        options = ort.SessionOptions()
        literal = "literal" in args.option
        options.graph_optimization_level = (ort.GraphOptimizationLevel.ORT_DISABLE_ALL if literal
                                            else ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
        options.intra_op_num_threads = args.threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = True
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning",
                                         "0" if "quiet" in args.option else "1")
        for symbol in args.symbol:
            name, size = symbol.split("=")
            options.add_free_dimension_override_by_name(name, int(size))
        self.session = ort.InferenceSession(args.model, options,
                                            providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self.inputs = [ort.OrtValue.ortvalue_from_numpy(array) for array in feeds.values()]
        for name, value in zip(feeds, self.inputs):
            self.binding.bind_ortvalue_input(name, value)
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name)

    def first(self):
        """The first run tells how large the outputs are; from then on they stay where they are."""
        self.session.run_with_iobinding(self.binding)
        self.results = self.binding.get_outputs()
        for output, value in zip(self.session.get_outputs(), self.results):
            self.binding.bind_ortvalue_output(output.name, value)

    def runner(self):
        # What Session.run_with_iobinding calls, without the wrapper's Python around it.
        run, binding = self.session._sess.run_with_iobinding, self.binding._iobinding
        return lambda: run(binding, None)

    def outputs(self):
        return [value.numpy() for value in self.results]


class OpenVino:
    """Option: `bf16` leaves the precision inside to it; without, it is told float32."""

    def __init__(self):
        import openvino
        self.library = openvino

    def create(self, args, feeds):
        ov = self.library
        core = ov.Core()
        model = core.read_model(args.model)
        if args.symbol:
            model.reshape({name: list(array.shape) for name, array in feeds.items()})
        # Threads that are bound to a core lose their turn to whatever else runs on it. Unbound ones
        # are as fast where nothing does.
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": args.threads,
                  "NUM_STREAMS": "1", "ENABLE_CPU_PINNING": False}
        if "bf16" not in args.option:
            config["INFERENCE_PRECISION_HINT"] = "f32"
        self.compiled = core.compile_model(model, "CPU", config)
        self.request = self.compiled.create_infer_request()
        self.held = {name: ov.Tensor(array, shared_memory=True) for name, array in feeds.items()}
        for name, tensor in self.held.items():
            self.request.set_tensor(name, tensor)

    def first(self):
        self.runner()()

    def runner(self):
        # What InferRequest.infer calls, without the wrapper's Python around it and without copies.
        # start_async and wait take twice as long where there is nothing to do.
        from openvino import _pyopenvino
        infer, request = _pyopenvino.InferRequest.infer, self.request
        return lambda: infer(request, {}, True, False)

    def outputs(self):
        return [np.array(self.request.get_tensor(port).data) for port in self.compiled.outputs]


class Mnn:
    """Takes its own format: the path is of the converted model."""

    def __init__(self):
        import MNN
        self.library = MNN

    def create(self, args, feeds):
        nn = self.library.nn
        manager = nn.create_runtime_manager(
            ({"backend": "CPU", "power": "high", "numThread": args.threads},))
        self.names = args.output
        self.net = nn.load_module_from_file(args.model, list(feeds), self.names,
                                            runtime_manager=manager, rearrange=True)
        expr, np_expr = self.library.expr, self.library.numpy
        self.inputs = []
        for array in feeds.values():
            narrow = array.astype(np.int32) if array.dtype == np.int64 else array
            variable = expr.placeholder(list(narrow.shape), expr.NCHW,
                                        expr.int if narrow.dtype == np.int32 else expr.float)
            variable.write(narrow)
            self.inputs.append(variable)

    def first(self):
        self.runner()()

    def runner(self):
        def run():
            self.results = self.net.onForward(self.inputs)
            for result in self.results:
                result.ptr  # what is not asked for may not be computed
        return run

    def outputs(self):
        return [np.array(result.read()) for result in self.results]


RUNTIMES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "mnn": Mnn}


def peak_kib():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def obey(runtime, run, words, base_kib):
    if words[0] == "run":
        times = []
        for _ in range(int(words[1])):
            begin = time.perf_counter_ns()
            run()
            times.append(time.perf_counter_ns() - begin)
        return "ns " + " ".join(map(str, times))
    if words[0] == "outputs":
        arrays = runtime.outputs()
        for index, array in enumerate(arrays):
            np.save(os.path.join(words[1], f"{index}.npy"), array)
        return f"outputs {len(arrays)}"
    return f"stats peak_kib={peak_kib()} base_kib={base_kib}"


def serve(args, say):
    feeds = {name: np.load(path) for name, path in args.input}
    runtime = RUNTIMES[args.runtime]()
    base_kib = peak_kib()
    times = [time.perf_counter_ns()]
    runtime.create(args, feeds)
    times.append(time.perf_counter_ns())
    runtime.first()
    times.append(time.perf_counter_ns())
    say(f"ready 0 {times[1] - times[0]} {times[2] - times[1]}")
    run = runtime.runner()
    for line in iter(input_line, ""):
        say(obey(runtime, run, line.split(), base_kib))


def input_line():
    try:
        return input()
    except EOFError:
        return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--option", action="append", default=[])
    parser.add_argument("--symbol", action="append", default=[])
    parser.add_argument("--output", action="append", default=[])
    parser.add_argument("--input", action="append", nargs=2, default=[])
    args = parser.parse_args()
    # Libraries print where they like: what they say goes to stderr, and answers past them.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(text):
        print(text, file=answers, flush=True)
    try:
        serve(args, say)
    except Exception as why:  # whatever a library throws is an answer, too
        say("error " + " ".join(f"{type(why).__name__}: {why}".split())[:400])
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
