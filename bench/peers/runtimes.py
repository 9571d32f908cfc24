# SPDX-License-Identifier: Apache-2.0
"""How each contender is started on a case, and where its model comes from."""
import os
import pathlib
import subprocess

import onnx

import chains
from contender import Failed

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# name -> arguments of tenon-loop
TENON = {
    "tenon": [],
    "tenon --precise": ["--precision", "strict"],
    "tenon --relaxed": ["--precision", "relaxed"],
    "tenon --large-pages": ["--large-pages"],
}
TENON_FAST = ("tenon, fast compile", ["--fast"])
# name -> runtime and options of peer_loop.py; the literal one is what outputs are compared with
PEERS = {
    "onnxruntime": ("onnxruntime", []),
    "onnxruntime, no spinning": ("onnxruntime", ["quiet"]),
    "openvino": ("openvino", []),
    "openvino, bf16": ("openvino", ["bf16"]),
    "mnn": ("mnn", []),
}
LITERAL = ("onnxruntime", ["literal"])
NARROW = {"tenon --relaxed", "openvino, bf16"}  # compute in bfloat16: their difference is only told


def names(threads):
    """With one thread there is nobody to wait for, spinning or not."""
    peers = [name for name in PEERS if threads > 1 or "spinning" not in name]
    return list(TENON) + peers


def forget_pages(path):
    """Takes a file that was just written out of the page cache, where it lies in pieces of up to
    2 MiB that count as a whole in who maps one byte; read from the disk, it does not."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Starter:
    """Commands for one build of Tenon, one environment with the peers, one folder of models."""

    def __init__(self, build, venv, zoo, work):
        self.loop = build / "bench" / "peers" / "tenon-loop"
        self.plugins = build / "lib" / "tenon" / "plugins"
        self.venv, self.zoo, self.work = venv, zoo, work

    def model(self, case):
        """The case's file, written when it is not there."""
        if case.model in chains.CHAINS:
            return chains.write(case.model, self.work)
        path = self.zoo / f"{case.model}.onnx"
        if not path.is_file():
            subprocess.run([ROOT / ".venv/bin/python", ROOT / "tools/zoo/zoo.py", case.model,
                            "--out", self.zoo], check=True, stdout=subprocess.DEVNULL)
            forget_pages(path)
        return path

    def tenon(self, case, feeds, threads, options, devices=("cpu", "reference")):
        command = [self.loop, self.model(case), "--threads", threads, *options]
        for device in devices:
            command += ["--plugin", self.plugins / f"{device}.so", "--device", device]
        for name, (array, path) in feeds.items():
            command += ["--input", name, "x".join(map(str, array.shape)) or "scalar", path]
        return [str(word) for word in command]

    def peer(self, case, feeds, threads, runtime, options):
        model = self.model(case)
        command = [self.venv / "bin/python", HERE / "peer_loop.py", runtime,
                   self.converted(model) if runtime == "mnn" else model, "--threads", threads]
        for option in options:
            command += ["--option", option]
        for name, size in case.symbols.items():
            command += ["--symbol", f"{name}={size}"]
        if runtime == "mnn":  # the only one that has to be told
            graph = onnx.load(model, load_external_data=False).graph
            for output in graph.output:
                command += ["--output", output.name]
        for name, (_, path) in feeds.items():
            command += ["--input", name, path]
        return [str(word) for word in command]

    def converted(self, model):
        path = self.work / "mnn" / f"{model.stem}.mnn"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            command = [self.venv / "bin/mnnconvert", "-f", "ONNX", "--modelFile", model,
                       "--MNNModel", partial, "--bizCode", "tenon"]
            result = subprocess.run(command, capture_output=True, text=True, errors="replace",
                                    check=False)
            if result.returncode != 0 or not partial.is_file():
                raise Failed(f"conversion: {(result.stdout.splitlines() or [''])[-1]}")
            partial.replace(path)
        return path

    def command(self, name, case, feeds, threads):
        if name == TENON_FAST[0]:
            return self.tenon(case, feeds, threads, TENON_FAST[1])
        if name in TENON:
            return self.tenon(case, feeds, threads, TENON[name])
        return self.peer(case, feeds, threads, *PEERS[name])
