# SPDX-License-Identifier: Apache-2.0
"""Runs a graph on both sides and compares: type, shape, NaN and infinities are equal; an exact
value has the same bits; another one is within its tracked error."""
import dataclasses

import numpy as np

from graph import EPSILON, run_reference
from tenon import Contradiction, Failed, Refused


@dataclasses.dataclass
class Outcome:
    kind: str  # "same", "refused", "invalid", or "error", "shape", "value", maybe "resized" ones
    text: str = ""
    resized: bool = False  # other sizes were compared too
    distance: float = 0.0  # of the worst element; of floats over the largest magnitude

    @property
    def disagrees(self):
        return self.kind.endswith(("error", "shape", "value"))


def differs(value, expected, got):
    """Why an output is not the expected one, or None."""
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return ("shape", f"{got.dtype}{got.shape} instead of {expected.dtype}{expected.shape}",
                np.inf)
    if expected.dtype.kind != "f":
        bad = np.flatnonzero((got != expected).ravel())
        limit = 0.0
        error = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    else:
        if value.exact:
            limit = 0.0
        else:
            limit = value.error * EPSILON[expected.dtype.name] * max(value.scale, 1e-3)
        with np.errstate(all="ignore"):
            error = np.abs(got.astype(np.float64) - expected.astype(np.float64))
            same = (got == expected) | (np.isnan(got) & np.isnan(expected))
            both = np.isfinite(got) & np.isfinite(expected)
        bad = np.flatnonzero(~(same | both & (error <= limit)).ravel())
    if bad.size == 0:
        return None
    i = bad[0]
    worst = float(error.ravel()[bad].max())  # NaN where one side has it
    if expected.dtype.kind == "f":
        worst /= max(value.scale, 1e-30)
    return "value", (f"{bad.size} of {expected.size} elements; [{i}] {got.ravel()[i]!r} instead of "
                     f"{expected.ravel()[i]!r}, limit {limit:.3g}"), worst


def resized(inputs):
    """The same numbers in other shapes: one size, wherever it occurs, is one larger. None if no
    input has a size to change."""
    sizes = [d for v in inputs for d in v.shape if d > 1]
    if not sizes:
        return None
    old = max(set(sizes), key=lambda d: (sizes.count(d), d))
    shapes = [tuple(d + 1 if d == old else d for d in v.shape) for v in inputs]
    return [np.resize(v.array, s) for v, s in zip(inputs, shapes)]


def compare_run(tenon, model, inputs, arrays, results, prefix=""):
    """One set of inputs on both sides; prefix goes in front of the kind of a disagreement."""
    try:
        expected = run_reference(model, {v.name: a for v, a in zip(inputs, arrays)})
    except Exception as why:  # onnxruntime has no narrower base class for all its errors
        return Outcome("invalid", str(why)[:300])
    try:
        got = tenon.execute(arrays, len(results))
    except Refused as why:
        return Outcome("refused", str(why))
    except Failed as why:
        # In other sizes operands may contradict each other, which onnxruntime seldom looks at.
        contradictory = prefix and isinstance(why, Contradiction)
        return Outcome("invalid" if contradictory else prefix + "error", str(why))
    for value, one, other in zip(results, expected, got):
        why = differs(value, np.asarray(one), other)
        if why is not None:
            return Outcome(prefix + why[0], f"{value.name}: {why[1]}", distance=why[2])
    return Outcome("same")


def judge(tenon, model, inputs, results, symbolic=False):
    """inputs and results: Values in the order of the model's. With symbolic sizes other sizes are
    tried as well, where onnxruntime takes them, on the model as it was compiled."""
    try:
        tenon.load(model.SerializeToString())
        outcome = compare_run(tenon, model, inputs, [v.array for v in inputs], results)
        others = resized(inputs) if symbolic and outcome.kind == "same" else None
        if others is not None:
            again = compare_run(tenon, model, inputs, others, results, "resized ")
            outcome = again if again.disagrees else outcome
            outcome.resized = again.kind != "invalid"
        return outcome
    except Refused as why:
        return Outcome("refused", str(why))
    except Failed as why:
        return Outcome("error", str(why))
    finally:
        tenon.unload()
