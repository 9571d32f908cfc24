#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The trained digits model: accuracy on all held-out images, equal to what training measured, and
outputs equal to onnxruntime's.

    digits_test.py TENON DIGITS_PROGRAM DIGITS_FOLDER WORK_FOLDER
"""
import pathlib
import re
import subprocess
import sys

import numpy as np
import onnxruntime

TENON, PROGRAM, DIGITS, WORK = (pathlib.Path(a) for a in sys.argv[1:5])
TOLERANCE = 1e-5


def main():
    right, count = map(int, (DIGITS / "accuracy.txt").read_text().split())
    records = np.frombuffer((DIGITS / "held_out.bin").read_bytes(), np.uint8).reshape(-1, 65)
    labels, images = records[:, 0], records[:, 1:].reshape(-1, 1, 8, 8).astype(np.float32) / 16
    assert len(records) == count >= 350, (len(records), count)
    assert right >= 0.97 * count, (right, count)

    program = subprocess.run([PROGRAM, DIGITS / "digits.onnx", DIGITS / "held_out.bin"],
                             capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"(\d+) of (\d+) held-out images right", program.stdout)
    assert found and tuple(map(int, found.groups())) == (right, count), program.stdout

    WORK.mkdir(parents=True, exist_ok=True)
    np.save(WORK / "images.npy", images)
    subprocess.run([TENON, "run", DIGITS / "digits.onnx", "--input", f"image={WORK}/images.npy",
                    "--output", WORK / "out"], check=True, timeout=120, capture_output=True)
    ours = np.load(WORK / "out" / "probabilities.npy")
    session = onnxruntime.InferenceSession(str(DIGITS / "digits.onnx"))
    theirs = session.run(None, {"image": images})[0]
    difference = float(np.abs(ours - theirs).max())
    print(f"{right} of {count} right; largest difference to onnxruntime {difference:.2e}")
    assert ours.shape == theirs.shape == (count, 10)
    assert difference <= TOLERANCE, difference
    assert int((ours.argmax(1) == labels).sum()) == right


if __name__ == "__main__":
    main()
