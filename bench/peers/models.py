# SPDX-License-Identifier: Apache-2.0
"""What is run: the zoo's models, each with the sizes and the meaning of its inputs."""
import collections
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "zoo"))
from convnets import image_case  # noqa: E402  (behind the path that it is found on)
from transformers import cache_case, token_case  # noqa: E402

SEED = 2024

# model: of tools/zoo. draw: rng -> {input: array}. symbols: the sizes that the model leaves open.
# tolerance: allowed difference, as a part of the range of the output.
Case = collections.namedtuple("Case", "name model draw symbols tolerance")

F32, INT8 = 1e-3, 5e-2


def picture(name, side, tolerance=F32, **symbols):
    return Case(name, name, image_case(side), symbols, tolerance)


def decoder(model, step, time, past, **sizes):
    symbols = {"batch": 1, "time": time, "past": past}
    return Case(f"{model} {step}", model, cache_case(time=time, past=past, batch=1, **sizes),
                symbols, F32)


GPT = {"layers": 6, "heads": 12, "size": 64, "words": 50257}
LLAMA = {"layers": 8, "heads": 4, "size": 64, "words": 32000}


def speech(rng):
    return {"mel": rng.standard_normal((1, 80, 3000), "float32")}


def tagger(time):
    def draw(rng):
        return {"tokens": rng.integers(0, 20000, (1, time)), "lengths": np.array([time], np.int32)}
    return Case("lstm_tagger", "lstm_tagger", draw, {"batch": 1, "time": time}, F32)


def voice(samples):
    def draw(rng):
        return {"samples": rng.standard_normal((1, samples), "float32"),
                "state": rng.standard_normal((2, 1, 128), "float32") * np.float32(0.3),
                "rate": np.array(16000)}
    return Case("voice_activity", "voice_activity", draw, {"batch": 1, "samples": samples}, F32)


CASES = [
    picture("resnet50", 224),
    picture("mobilenet_v2", 224),
    picture("squeezenet", 224),
    picture("densenet121", 224),
    picture("inception", 299),
    picture("efficientnet_b0", 224),
    picture("unet", 256),
    picture("yolo", 320),
    Case("bert_base", "bert_base", token_case(1, 128, 30522), {"batch": 1, "time": 128}, F32),
    picture("vit_small", 224, batch=1),
    decoder("gpt_decoder", "prefill", 64, 0, **GPT),
    decoder("gpt_decoder", "decode", 1, 128, **GPT),
    decoder("decoder_int4", "prefill", 64, 0, **LLAMA),
    decoder("decoder_int4", "decode", 1, 128, **LLAMA),
    Case("whisper_encoder", "whisper_encoder", speech, {"batch": 1}, F32),
    tagger(32),
    voice(512),
    picture("resnet50_int8", 224, INT8),
    picture("mobilenet_v2_int8", 224, INT8),
]


def chosen(names):
    """The cases of the models or cases named; None: an unknown name."""
    if not names:
        return CASES
    known = {case.name for case in CASES} | {case.model for case in CASES}
    if not set(names) <= known:
        return None
    return [case for case in CASES if case.name in names or case.model in names]


def inputs(case):
    feeds = case.draw(np.random.default_rng(SEED))
    return {name: np.array(array, order="C") for name, array in feeds.items()}
