"""Global significance of a local excess in a four-muon-like scan, by toys of whole scans and by Gross-Vitells.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/look_elsewhere_four_muons.py [toys] [points]``. Windows of 15 mass
resolutions slide over a falling spectrum that all of them share; a linear background floats in each. What decides is
how many resolutions the scan covers, hence its step, and not its number of points.
"""

from __future__ import annotations

import importlib.util
import sys
import time

import numpy as np
from scipy.special import ndtr, ndtri

from darkfactory.stats.examples import workspace
from darkfactory.stats.newton import Backend
from darkfactory.stats.significance import ScanToys, scan_significance, scan_toys

LOCAL = 3.4
LEVEL = 0.5
BINS_A_SIGMA = 4
BINS = 15 * BINS_A_SIGMA


def window(expected: np.ndarray) -> dict:
    """A peak in the middle of a window with a linear background of free height and slope."""
    x = (np.arange(BINS) + 0.5 - BINS / 2) / BINS_A_SIGMA
    peak = np.exp(-0.5 * x**2)
    peak *= np.sqrt(max(float((expected * peak).sum() / (peak**2).sum()), 0.1))
    ramp = (np.arange(BINS) + 0.5) / BINS
    total = float(expected.sum())
    samples = [
        {"name": "signal", "data": peak.tolist(), "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}
    ]
    for name, shape in (("up", ramp), ("down", 1 - ramp)):
        data = (0.5 * total * shape / shape.sum()).tolist()
        samples.append({"name": name, "data": data, "modifiers": [{"name": name, "type": "normfactor", "data": None}]})
    return workspace({"sr": samples}, {"sr": expected})


def main() -> None:
    toys = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    points = int(sys.argv[2]) if len(sys.argv) > 2 else 2200
    backend: Backend = "numba" if importlib.util.find_spec("numba") else "numpy"
    print(f"{points} points, {toys} toys, local {LOCAL} (p = {ndtr(-LOCAL):.2e})")
    print(f"{'step/sigma':>10s} {'events/sigma':>12s} {'p toys':>8s} {'error':>7s} {'Z':>5s} {'p GV':>7s} {'Z GV':>5s} "
          f"{'crossings':>9s} {'trials':>7s} {'CPU s':>6s}")  # fmt: skip
    for step, density in ((1.0, 40.0), (1.0, 2.5), (0.25, 40.0), (0.25, 4.0)):
        stride = int(step * BINS_A_SIGMA)
        length = BINS + stride * (points - 1)
        spectrum = density / BINS_A_SIGMA * np.exp(-np.linspace(-0.5, 0.5, length))
        bins = [[np.arange(i * stride, i * stride + BINS)] for i in range(points)]
        specs = [window(spectrum[b[0]]) for b in bins]
        start = time.process_time()
        found: ScanToys | None = None
        for chunk in range(0, toys, 100):
            count = min(100, toys - chunk)
            part = scan_toys(
                specs, bins, spectrum, count, seed=1, path=("four_muons", chunk), level=LEVEL, backend=backend
            )
            found = part if found is None else found + part
        assert found is not None
        result = scan_significance(np.array([LOCAL]), found, LEVEL)
        z_gv = scan_z(result.p_gross_vitells)
        p, error, z = result.p_global, result.p_global_error, result.z_global
        trials = -np.log1p(-p) / ndtr(-LOCAL) if p < 1 else np.inf
        print(f"{step:10.2f} {density:12.1f} {p:8.3f} {error:7.3f} {z:5.2f} "
              f"{result.p_gross_vitells:7.3f} {z_gv:5.2f} {result.mean_upcrossings:9.1f} {trials:7.0f} "
              f"{time.process_time() - start:6.1f}  failed {result.failed}", flush=True)  # fmt: skip


def scan_z(p: float) -> float:
    """Significance of a p-value, zero above one half."""
    return 0.0 if p >= 0.5 else float(-ndtri(p))


if __name__ == "__main__":
    main()
