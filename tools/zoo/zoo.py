#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes realistic ONNX models with seeded weights, for demonstrations, tests and benchmarks.

    zoo.py resnet50 --out DIR               writes DIR/resnet50.onnx
    zoo.py --size small --cases --out DIR   writes DIR/NAME/model.onnx for every model, and beside
                                            it test_data_set_N with inputs and what onnxruntime
                                            answers

Weights are random but scaled so that activations keep their size through the network and the output
is not degenerate: the models compute at the cost of trained ones, they do not recognise anything.
A model whose outputs hardly depend on its inputs is refused.
"""
import argparse
import pathlib
import sys

import numpy as np
import onnx
from onnx import numpy_helper

import check
import convnets
import dense_vision
import quantized
import sound
import transformers

FAMILIES = [
    (convnets, "resnet50 mobilenet_v2 squeezenet densenet121 inception efficientnet_b0"),
    (dense_vision, "unet yolo"),
    (transformers, "bert_base vit_small gpt_decoder decoder_int4"),
    (sound, "whisper_encoder lstm_tagger voice_activity"),
    (quantized, "resnet50_int8 mobilenet_v2_int8"),
]
MODELS = {name: getattr(module, name) for module, names in FAMILIES for name in names.split()}


def write_bytes(path, data):
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    partial.replace(path)


def answers(model):
    """(inputs, outputs) for every data set; refuses a model that is not worth running."""
    engine = check.session(model.proto)
    names = [o.name for o in model.proto.graph.output]
    rng = np.random.default_rng(2024)
    found = []
    for case in model.cases:
        feeds, others = case(rng), case(rng)
        outputs = engine.run(None, feeds)
        for name, one, other in zip(names, outputs, engine.run(None, others)):
            check.refuse_degenerate(f"{model.proto.graph.name}: {name}", one, other)
        found.append(([feeds[i.name] for i in model.proto.graph.input], outputs))
    return found


def write_cases(folder, found):
    for index, (inputs, outputs) in enumerate(found):
        for word, arrays in (("input", inputs), ("output", outputs)):
            for i, array in enumerate(arrays):
                data = numpy_helper.from_array(array).SerializeToString()
                write_bytes(folder / f"test_data_set_{index}" / f"{word}_{i}.pb", data)


def write(name, args):
    model = MODELS[name](args.size == "real")
    found = answers(model)
    path = args.out / name / "model.onnx" if args.cases else args.out / f"{name}.onnx"
    write_bytes(path, model.proto.SerializeToString(deterministic=True))
    if args.cases:
        write_cases(path.parent, found)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="all of them, or: " + ", ".join(MODELS))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--size", choices=["small", "real"], default="real")
    parser.add_argument("--cases", action="store_true", help="with inputs and expected outputs")
    args = parser.parse_args()
    unknown = [name for name in args.models if name not in MODELS]
    if unknown:
        print(f"zoo: no model {unknown[0]}; there are: {', '.join(MODELS)}", file=sys.stderr)
        return 2
    for name in args.models or MODELS:
        try:
            write(name, args)
        except check.Degenerate as why:
            print(f"zoo: {why}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
