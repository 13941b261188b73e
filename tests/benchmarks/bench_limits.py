"""Limit sets (observed and five expected) per second and core: plain pyhf, cabinetry, pyhf with our optimiser, engine.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_limits.py --all`` (five to six minutes on a quiet machine; two
without ``--all``, which adds one window of B in plain pyhf; ``--everything`` adds Minuit and cabinetry there, many
minutes). One run, CPU time, medians over windows. ``loop`` is the CPU time of a fixed Python loop taken beside each
measurement: on a shared machine it says what a second was worth. Differences are relative to the NumPy engine, the
largest of all six limits. cabinetry takes part where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyhf

from darkfactory.config.statistics import CertificateConfig
from darkfactory.stats import NewtonOptimizer
from darkfactory.stats.certificate import Claim, certify
from darkfactory.stats.examples import bump_window, counting_window, plane_window, template_window
from darkfactory.stats.histfactory import Batch, compile_workspaces
from darkfactory.stats.newton import Backend
from darkfactory.stats.optimizer import pyhf_backend
from darkfactory.stats.scan import asymptotic_limits

LEVEL = 0.95
ROUNDS = 3
BATCH = 128
KINDS: dict[str, Callable[[int], dict]] = {
    "A bump, 50 bins, 12 par": lambda s: bump_window(s, injected=float(s % 3)),
    "B staterror, 50 bins, 63 par": template_window,
    "C plane, 20 x 10 bins": plane_window,
    "D counting": lambda s: counting_window(20 + s % 20, 30.0, 0.1, signal=5.0, signal_error=0.05),
}
# what takes minutes for one window, and the option that it needs
SLOW = {("B", "pyhf numpy+scipy"): 1, ("B", "pyhf numpy+minuit"): 2, ("B", "cabinetry"): 2}
Limits = list[float]


def loop() -> float:
    """CPU time of a fixed amount of Python."""
    start = time.process_time()
    total = 0
    for i in range(2_000_000):
        total += i & 7
    return time.process_time() - start


def toms748(spec: dict, optimizer: Any) -> Limits:
    """Plain pyhf's limit machinery with its bounds widened enough to succeed."""
    workspace = pyhf.Workspace(spec, validate=False)
    model = workspace.model(validate=False)
    data = workspace.data(model)
    bounds = model.config.suggested_bounds()
    bounds[model.config.poi_index] = (0, 40)
    with pyhf_backend(optimizer):
        observed, expected = pyhf.infer.intervals.upper_limits.toms748_scan(
            data, model, 0.05, 30, level=1 - LEVEL, rtol=1e-8, par_bounds=bounds
        )
    return [float(observed), *map(float, expected)]


def cabinetry_limit(spec: dict) -> Limits:
    """cabinetry with its own settings."""
    import cabinetry

    logging.getLogger("cabinetry").setLevel(logging.ERROR)
    model, data = cabinetry.model_utils.model_and_data(spec)
    bounds = model.config.suggested_bounds()
    bounds[model.config.poi_index] = (0, 40)
    result = cabinetry.fit.limit(model, data, bracket=(0.1, 30), confidence_level=LEVEL, par_bounds=bounds)
    return [float(result.observed_limit), *map(float, result.expected_limit)]


def batched(windows: Batch, backend: Backend) -> tuple[np.ndarray, int]:
    """All limits (windows, 6) by the engine, and how many have one."""
    rows = []
    good = 0
    for first in range(0, len(windows), BATCH):
        part = windows.take(np.arange(first, min(first + BATCH, len(windows))))
        result = asymptotic_limits(part, (LEVEL,), backend=backend)
        rows.append(np.column_stack([result.observed[:, 0], result.expected[:, 0]]))
        good += sum(s[0] == "ok" for s in result.status)
    return np.concatenate(rows), good


def measure(run: Callable[[], Any], rounds: int) -> tuple[Any, float, float]:
    """Result, median CPU seconds, median seconds of the loop beside it."""
    times, loops = [], []
    result = None
    for _ in range(rounds):
        start = time.process_time()
        result = run()
        times.append(time.process_time() - start)
        loops.append(loop())
    return result, float(np.median(times)), float(np.median(loops))


def kind(name: str, make: Callable[[int], dict], windows: int, stock: int, depth: int) -> None:
    """All approaches on one kind of window."""
    specs = [make(s) for s in range(windows)]
    rows: list[tuple[str, float, float, float, str]] = []
    start = time.process_time()
    (group,), _ = compile_workspaces(specs)
    compiled = time.process_time() - start
    stack = group.batch
    reference = np.zeros((windows, 6))
    backends: list[Backend] = ["numpy", "numba"] if importlib.util.find_spec("numba") else ["numpy"]
    for backend in backends:
        batched(stack.take(np.arange(2)), backend)
        (limits, good), seconds, beside = measure(lambda b=backend: batched(stack, b), ROUNDS)
        if backend == "numpy":
            reference = limits
        worst = float(np.nanmax(np.abs(limits / reference - 1)))
        rows.append(
            (
                f"engine, {backend}",
                windows / seconds,
                worst,
                beside,
                f"{good}/{windows} ok; JSON to arrays {1e3 * compiled / windows:.2f} ms each",
            )
        )
    single: dict[str, Callable[[dict], Limits]] = {
        f"pyhf with ours, {b}": (lambda spec, b=b: toms748(spec, NewtonOptimizer(backend=b))) for b in backends
    }
    single["pyhf numpy+scipy"] = lambda spec: toms748(spec, pyhf.optimize.scipy_optimizer())
    single["pyhf numpy+minuit"] = lambda spec: toms748(spec, pyhf.optimize.minuit_optimizer())
    if importlib.util.find_spec("cabinetry"):
        single["cabinetry"] = cabinetry_limit
    for label, run in single.items():
        if SLOW.get((name[0], label), 0) > depth:
            continue
        ours = label.startswith("pyhf with ours")
        count = max(stock, 8) if ours else stock
        if ours:
            run(specs[0])
        seconds_of, loops, worst, failed = [], [], 0.0, 0
        for i in range(count):
            try:
                limits, seconds, beside = measure(lambda r=run, i=i: r(specs[i]), 1)
            except (pyhf.exceptions.FailedMinimization, ValueError):
                failed += 1
                continue
            seconds_of.append(seconds)
            loops.append(beside)
            worst = max(worst, float(np.max(np.abs(np.array(limits) / reference[i] - 1))))
        if seconds_of:
            note = f"{len(seconds_of)} windows" + (f", {failed} failed" if failed else "")
            rows.append((label, 1 / float(np.median(seconds_of)), worst, float(np.median(loops)), note))
        else:
            print(f"{name:30s} {label:22s} failed on {failed} of {count} windows")
    # rates in units of the loop, so that a slower second does not count
    base = next((rate * beside for label, rate, _, beside, _ in rows if label == "pyhf numpy+scipy"), float("nan"))
    for label, rate, worst, beside, note in rows:
        ratio = rate * beside / base
        print(f"{name:30s} {label:22s} {rate:10.4g} {ratio:10.4g} {worst:10.1e} {beside:7.3f}  {note}", flush=True)


def certificates(name: str, make: Callable[[int], dict]) -> None:
    """Cost of a certificate of two levels."""
    specs = [make(s) for s in range(9)]
    levels = (0.90, LEVEL)
    (group,), _ = compile_workspaces(specs)
    result = asymptotic_limits(group.batch, levels)
    backends: list[Backend] = ["numpy", "numba"] if importlib.util.find_spec("numba") else ["numpy"]
    for backend in backends:
        seconds, made = [], []
        for i, spec in enumerate(specs):
            claims = [
                Claim(cl, float(result.observed[i, j]), tuple(float(v) for v in result.expected[i, j]))
                for j, cl in enumerate(levels)
            ]
            hints = [*result.observed_fit[i], *result.observed_asimov[i], *result.expected_fit[i].reshape(10, -1)]
            start = time.process_time()
            made.append(certify(spec, claims, hints, CertificateConfig(), backend=backend))
            seconds.append(time.process_time() - start)
        print(
            f"{name:30s} certificate, {backend}: {1e3 * float(np.median(seconds)):.0f} ms for 12 limits, worst "
            f"|CLs/alpha - 1| {max(c['cls_deviation'] for c in made):.1e}, possible gain "
            f"{max(c['possible_gain'] for c in made):.1e}, passed {sum(c['passed'] for c in made)}/{len(made)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=512)
    parser.add_argument("--stock", type=int, default=3, help="windows of the slow approaches")
    parser.add_argument("--all", action="store_true", help="a window of B in plain pyhf too")
    parser.add_argument("--everything", action="store_true", help="and with Minuit and by cabinetry: many minutes")
    parser.add_argument("--kinds", default="ABCD")
    arguments = parser.parse_args()
    print(f"{'kind':30s} {'approach':22s} {'sets/s':>10s} {'ratio':>10s} {'worst':>10s} {'loop/s':>7s}")
    for name, make in KINDS.items():
        if name[0] in arguments.kinds:
            depth = 2 if arguments.everything else int(arguments.all)
            kind(name, make, arguments.windows, 1 if name[0] == "B" else arguments.stock, depth)
            certificates(name, make)


if __name__ == "__main__":
    main()
