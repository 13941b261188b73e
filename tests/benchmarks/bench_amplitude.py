"""Microseconds per event and core of squared amplitudes, NumPy and Numba.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/bench_amplitude.py
"""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "physics"))
from amplitude_points import make, points

FINALS = {
    "mumu": ["mu-", "mu+"],
    "mumu gamma": ["mu-", "mu+", "gamma"],
    "mumu Zp": ["mu-", "mu+", "Zp"],
    "3 gamma": ["gamma", "gamma", "gamma"],
    "gamma a": ["gamma", "a"],
    "mumu tautau": ["mu-", "mu+", "tau-", "tau+"],
    "4 mu": ["mu-", "mu+", "mu-", "mu+"],
    "ee mumu": ["e-", "e+", "mu-", "mu+"],
    "eeee": ["e-", "e+", "e-", "e+"],
    "4 mu gamma": ["mu-", "mu+", "mu-", "mu+", "gamma"],
}


def measure(amplitude, p: np.ndarray, backend: str) -> float:
    """Best CPU time of five calls, in microseconds per event."""
    amplitude.squared(p, backend)
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        amplitude.squared(p, backend)
        best = min(best, time.process_time() - start)
    return best / len(p) * 1e6


def main() -> None:
    numba = importlib.util.find_spec("numba") is not None
    print(f"{'final state':12s} {'diagrams':>8s} {'numpy us':>9s} {'numba us':>9s} {'ratio':>6s} {'deviation':>9s}")
    for name, final in FINALS.items():
        a = make(final)
        p = points(a, 20000 if len(final) < 4 else 8192)
        slow = measure(a, p, "numpy")
        fast = measure(a, p, "numba") if numba else np.nan
        deviation = np.abs(a.squared(p, "numba") / a.squared(p, "numpy") - 1).max() if numba else np.nan
        print(
            f"{name:12s} {len(a.diagrams):8d} {slow:9.2f} {fast:9.2f} {slow / fast:6.2f} {deviation:9.1e}", flush=True
        )


if __name__ == "__main__":
    main()
