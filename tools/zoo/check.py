# SPDX-License-Identifier: Apache-2.0
"""What onnxruntime makes of a model, and whether its answers are worth comparing."""
import numpy as np
import onnxruntime

# The histogram of an output over 32 classes, three deviations to each side, has so many bits.
ENTROPY_FLOOR = 1.0
# Another input moves an output by at least this part of its deviation (root mean square).
RESPONSE_FLOOR = 0.05
SMALLEST_JUDGED = 16  # fewer numbers have no distribution


class Degenerate(Exception):
    """A model whose outputs would agree with almost anything."""


def session(model):
    """Literal execution: no fusion, one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def run(model, feeds):
    return session(model).run(None, feeds)


def entropy_bits(values):
    mean, deviation = values.mean(), values.std()
    if deviation == 0.0:
        return 0.0
    counts, _ = np.histogram(np.clip((values - mean) / deviation, -3.0, 3.0), 32, (-3.0, 3.0))
    share = counts[counts > 0] / values.size
    return float(-(share * np.log2(share)).sum())


def response(one, other):
    if one.shape != other.shape:
        return 1.0
    moved = float(np.sqrt(np.mean((one.astype(float) - other) ** 2)))
    return moved / max(float(one.std()), 1e-30)


def refuse_degenerate(name, one, other):
    """Two answers to two inputs of one shape: finite, spread out, and not the same."""
    if one.dtype.kind == "f" and not np.isfinite(one).all():
        raise Degenerate(f"{name}: not finite")
    if one.size < SMALLEST_JUDGED:
        if one.size == 0 or np.array_equal(one, other):
            raise Degenerate(f"{name}: the same for every input, or empty")
        return
    bits, moved = entropy_bits(one), response(one, other)
    if bits < ENTROPY_FLOOR or moved < RESPONSE_FLOOR:
        raise Degenerate(f"{name}: {bits:.2f} bits, moves by {moved:.3f} deviations")
