# SPDX-License-Identifier: Apache-2.0
"""Runs a graph on both sides and compares: type, shape, NaN and infinities are equal; an exact
value has the same bits; another one is within its tracked error."""
import dataclasses

import numpy as np

from graph import EPSILON, run_reference
from tenon import Failed, Refused


@dataclasses.dataclass
class Outcome:
    kind: str  # "same", "refused", "error", "shape", "value", "invalid"
    text: str = ""
    distance: float = 0.0  # of the worst element; of floats over the largest magnitude

    @property
    def disagrees(self):
        return self.kind in ("error", "shape", "value")


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


def judge(tenon, model, inputs, results):
    """inputs and results: Values in the order of the model's."""
    arrays = [v.array for v in inputs]
    try:
        expected = run_reference(model, {v.name: v.array for v in inputs})
    except Exception as why:  # onnxruntime has no narrower base class for all its errors
        return Outcome("invalid", str(why)[:300])
    try:
        got = tenon.run(model.SerializeToString(), arrays, len(results))
    except Refused as why:
        return Outcome("refused", str(why))
    except Failed as why:
        return Outcome("error", str(why))
    for value, one, other in zip(results, expected, got):
        why = differs(value, np.asarray(one), other)
        if why is not None:
            return Outcome(why[0], f"{value.name}: {why[1]}", why[2])
    return Outcome("same")
