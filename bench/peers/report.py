# SPDX-License-Identifier: Apache-2.0
"""Tables in Markdown, for RESULTS.md."""
import math
import os
import platform
import statistics

import models

FEATURES = ("sse4_2", "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16",
            "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16")
ORT = ("onnxruntime", "onnxruntime, no spinning")


def machine():
    """The processor's name, and those of its features that decide how fast networks run."""
    facts = {}
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            key, _, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
    flags = facts.get("flags", "").split()
    there = " ".join(f for f in FEATURES if f in flags)
    model = facts.get("model name", platform.machine())
    family = f"family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
    return f"{os.cpu_count()} cores of {model} ({family}; {there or 'no features named'})"


def cell(number, digits=3):
    """So many significant digits."""
    if number is None:
        return "-"
    if number == 0 or not math.isfinite(number):
        return str(number)
    return f"{number:.{max(0, digits - 1 - math.floor(math.log10(abs(number))))}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def mean(numbers):
    numbers = [n for n in numbers if n]
    return math.exp(sum(map(math.log, numbers)) / len(numbers)) if numbers else None


def ratio(result, one, *others):
    """How many times one is as fast as the best of others."""
    best = result.best(*others)
    return result.times_faster(one, best) if best else None


def ratios(result):
    return [ratio(result, "tenon", *ORT), ratio(result, "tenon --precise", *ORT),
            ratio(result, "tenon --large-pages", *ORT),
            ratio(result, "tenon", "openvino"), ratio(result, "tenon", "mnn"),
            ratio(result, "tenon --relaxed", "tenon --precise")]


def steady(results):
    head = ["model", "tenon", "--precise", "--relaxed", "--large-pages", "onnxruntime", "openvino",
            "openvino bf16", "mnn", "onnxruntime / tenon", "onnxruntime / --precise",
            "onnxruntime / --large-pages", "openvino / tenon", "mnn / tenon",
            "--precise / --relaxed"]
    rows = []
    for r in results:
        best = r.best(*ORT)
        times = [r.milliseconds(n) if n else None for n in (
            "tenon", "tenon --precise", "tenon --relaxed", "tenon --large-pages", best, "openvino",
            "openvino, bf16", "mnn")]
        quiet = " (no spinning)" if best == ORT[1] else ""
        cells = [cell(t) for t in times]
        cells[4] += quiet
        rows.append([r.case.name] + cells + [cell(x) for x in ratios(r)])
    for title, tolerance in (("f32", models.F32), ("int8", models.INT8)):
        group = [ratios(r) for r in results if r.case.tolerance == tolerance]
        if group:
            means = [mean(column) for column in zip(*group)]
            rows.append([f"**geometric mean, {title}**"] + [""] * 8 + [cell(m) for m in means])
    return table(head, rows)


def starts(results):
    columns = ["tenon", "tenon, fast compile", "onnxruntime", "openvino", "mnn"]
    head = ["model"] + [f"{c}, ms" for c in columns] + ["onnxruntime / tenon", "/ fast compile"]
    head += ["tenon, whole process, MiB"] + [f"{c}, MiB" for c in columns]
    rows = []
    for r in results:
        ms = {c: statistics.median(r.start_ns[c]) / 1e6 for c in columns if c in r.start_ns}
        mib = {c: statistics.median(r.peak_kib[c]) / 1024 for c in columns if c in r.peak_kib}
        whole = [w / 1024 for w in r.whole_kib.get("tenon", [])]
        peer = ms.get("onnxruntime")
        shares = [peer / ms[c] if peer and c in ms else None for c in columns[:2]]
        rows.append([r.case.name] + [cell(ms.get(c)) for c in columns] + [cell(s) for s in shares] +
                    [cell(statistics.median(whole) if whole else None)] +
                    [cell(mib.get(c)) for c in columns])
    return table(head, rows)


def differences(results):
    columns = ["tenon", "tenon --precise", "tenon --relaxed", "onnxruntime", "openvino",
               "openvino, bf16", "mnn"]
    rows = []
    for r in results:
        row = [r.case.name]
        for c in columns:
            d = r.difference.get(c)
            text = "other shape" if d is not None and math.isnan(d) else (
                "-" if d is None else f"{d:.1e}")
            row.append(f"**{text}**" if d is not None and not d <= r.case.tolerance else text)
        rows.append(row)
    return table(["model"] + columns, rows)


def failures(results):
    """Who does not run what, a line each."""
    lines = [f"- {name} does not run {r.case.name} ({r.threads} thread(s)): {why}"
             for r in results for name, why in r.failed.items()]
    return "\n".join(lines) + "\n" if lines else ""


def wrong(results):
    """What makes the run fail: Tenon does not run a model, or answers something else."""
    found = []
    for r in results:
        for name in ("tenon", "tenon --precise"):
            if name in r.failed:
                found.append(f"{name}: {r.case.name}: {r.failed[name]}")
            elif not r.difference.get(name, 0.0) <= r.case.tolerance:
                found.append(f"{name}: {r.case.name}: differs by {r.difference[name]:.1e} of the "
                             f"range, allowed {r.case.tolerance:.0e}")
    return found


def summary(results):
    """The numbers that have targets, f32 models and int8 models apart."""
    lines = []
    for threads in sorted({r.threads for r in results}):
        group = [r for r in results if r.threads == threads and r.case.tolerance == models.F32]
        pairs = [(ratios(r)[0], r.case.name) for r in group if ratios(r)[0]]
        if pairs:
            lines.append(f"- {threads} thread(s), f32: {cell(mean(p[0] for p in pairs))} times as "
                         f"fast as onnxruntime in the mean of {len(pairs)}; least "
                         f"{cell(min(pairs)[0])} on {min(pairs)[1]}")
        by_name = {r.case.name: r for r in results if r.threads == threads}
        for name in ("resnet50", "mobilenet_v2"):
            f32, int8 = by_name.get(name), by_name.get(f"{name}_int8")
            if f32 and int8 and "tenon" in f32.turns and "tenon" in int8.turns:
                own = f32.milliseconds("tenon") / int8.milliseconds("tenon")
                lines.append(f"- {threads} thread(s), {name}: int8 is {cell(own)} times as fast as "
                             f"our f32, and {cell(ratios(int8)[0])} times onnxruntime's int8")
    return "\n".join(lines) + "\n"
