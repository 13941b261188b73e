"""Limit sets (observed and five expected) per second and core: plain pyhf, pyhf with our optimiser, the engine.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_limits.py [windows] [stock windows]``. One run, CPU time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pyhf

from darkfactory.config.statistics import CertificateConfig
from darkfactory.stats import NewtonOptimizer
from darkfactory.stats.certificate import Claim, certify
from darkfactory.stats.examples import bump_window, counting_window, plane_window, template_window
from darkfactory.stats.histfactory import compile_workspaces
from darkfactory.stats.optimizer import pyhf_backend
from darkfactory.stats.scan import asymptotic_limits

LEVEL = 0.95
KINDS: dict[str, Callable[[int], dict]] = {
    "A bump, 50 bins, 12 par": lambda s: bump_window(s, injected=float(s % 3)),
    "B staterror, 50 bins, 60 par": template_window,
    "C plane, 20 x 10": plane_window,
    "D counting": lambda s: counting_window(20 + s % 20, 30.0, 0.1, signal=5.0, signal_error=0.05),
}
# plain pyhf on B takes minutes for one window
SKIP_STOCK = ("B",)


def plain(spec: dict, optimizer: object) -> tuple[list[float], float]:
    """Plain pyhf's toms748 scan with its bounds widened enough to succeed."""
    start = time.process_time()
    workspace = pyhf.Workspace(spec)
    model = workspace.model()
    data = workspace.data(model)
    bounds = model.config.suggested_bounds()
    bounds[model.config.poi_index] = (0, 40)
    with pyhf_backend(optimizer):
        observed, expected = pyhf.infer.intervals.upper_limits.toms748_scan(
            data, model, 0.05, 30, level=1 - LEVEL, rtol=1e-8, par_bounds=bounds
        )
    return [float(observed), *map(float, expected)], time.process_time() - start


def main() -> None:
    windows = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    stock = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(f"{'kind':30s} {'engine/s':>9s} {'pyhf+ours/s':>12s} {'pyhf/s':>8s} {'ratio':>8s} {'worst deviation':>16s}")
    for name, make in KINDS.items():
        specs = [make(s) for s in range(windows)]
        start = time.process_time()
        groups, _ = compile_workspaces(specs)
        compiled = time.process_time() - start
        rounds = []
        for _ in range(3):
            start = time.process_time()
            for first in range(0, windows, 128):
                asymptotic_limits(groups[0].batch.take(np.arange(first, min(first + 128, windows))), (LEVEL,))
            rounds.append(time.process_time() - start)
        engine = windows / float(np.median(rounds))
        result = asymptotic_limits(groups[0].batch, (LEVEL,))
        statuses = [s[0] for s in result.status]
        claims = [
            Claim(LEVEL, float(result.observed[i, 0]), tuple(float(v) for v in result.expected[i, 0]))
            for i in range(windows)
        ]
        with_ours, without, worst = [], [], 0.0
        for i in range(stock):
            ours = [claims[i].observed, *claims[i].expected]
            limits, seconds = plain(specs[i], NewtonOptimizer())
            with_ours.append(seconds)
            worst = max(worst, float(np.max(np.abs(np.array(limits) / ours - 1))))
            if not name.startswith(SKIP_STOCK):
                limits, seconds = plain(specs[i], pyhf.optimize.scipy_optimizer())
                without.append(seconds)
                worst = max(worst, float(np.max(np.abs(np.array(limits) / ours - 1))))
        pyhf_ours = 1 / float(np.median(with_ours))
        pyhf_plain = 1 / float(np.median(without)) if without else float("nan")
        print(
            f"{name:30s} {engine:9.0f} {pyhf_ours:12.2f} {pyhf_plain:8.3f} {engine / pyhf_plain:8.0f} {worst:16.1e}"
            f"   compile {1e3 * compiled / windows:.2f} ms, ok {statuses.count('ok')}/{windows}"
        )
        start = time.process_time()
        certificates = [certify(specs[i], [claims[i]], [], CertificateConfig()) for i in range(min(16, windows))]
        seconds = (time.process_time() - start) / len(certificates)
        deviation = max(c["cls_deviation"] for c in certificates)
        gain = max(c["possible_gain"] for c in certificates)
        print(
            f"{'':30s} certificate {1e3 * seconds:.0f} ms/window, worst |CLs/alpha - 1| {deviation:.1e}, "
            f"possible gain {gain:.1e}, passed {sum(c['passed'] for c in certificates)}/{len(certificates)}"
        )


if __name__ == "__main__":
    main()
