"""Cross-sections against the references, and unweighted events per CPU second of one core.

Run: ``python tests/benchmarks/bench_generate.py [registry|reference]``. The table ``reference`` is at
sqrt(s) = 10.58 GeV without radiation; ``registry`` is every tree-level process of config/processes at Belle II's
beams with radiation, decays and record. The peer of the cross-sections is Sherpa 3.0.3b2
(tests/physics/cross_sections.yaml).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "physics"))

from generator_tools import LIBRARY, reference_process, registry, rows

from darkfactory.core.seeds import generator
from darkfactory.generate.chunk import generate_chunk
from darkfactory.generate.gridpack import Gridpack, adapt
from darkfactory.generate.process import Process
from darkfactory.generate.unweight import unweighted

POINTS = {"gamma_alp": {"m_a": 2.0}, "mumu_zprime": {"m_Zp": 3.0}, "mumu_scalar": {"m_S": 3.0}}


def timed_adapt(process: Process) -> tuple[Gridpack, float]:
    start = time.process_time()
    pack = adapt(process, 1)
    return pack, time.process_time() - start


def reference() -> None:
    heads = f"{'process':20s} {'ours / pb':>24s} {'reference / pb':>22s}"
    print(f"{heads} {'ratio':>8s} {'sigmas':>7s} {'eff':>6s} {'ev/s':>9s}")
    for name, row in rows().items():
        process = reference_process(name, row)
        pack, _ = timed_adapt(process)
        n = 5000
        start = time.process_time()
        unweighted(process, pack, n, generator(1, "bench", name))
        rate = n / (time.process_time() - start)
        value, error = pack.sigma_fb / 1e3, pack.sigma_err_fb / 1e3
        pull = (value - row["pb"]) / (error**2 + row["error"] ** 2) ** 0.5
        ours, other = f"{value:.6g} +- {error:.2g}", f"{row['pb']:.6g} +- {row['error']:.2g}"
        numbers = f"{value / row['pb']:8.4f} {pull:7.1f} {pack.efficiency:6.3f} {rate:9.0f}"
        print(f"{name:20s} {ours:>24s} {other:>22s} {numbers}")


def registered() -> None:
    print(f"{'process':20s} {'sigma / fb':>24s} {'eff':>6s} {'adapt / s':>9s} {'n_eff/n':>8s} {'ev/s':>9s}")
    for name in LIBRARY.names("processes"):
        if LIBRARY.get("processes", name).get("engine", "tree") != "tree":
            continue
        process = registry(name, parameters=POINTS.get(name))
        pack, seconds = timed_adapt(process)
        n = 10_000
        start = time.process_time()
        chunk = generate_chunk(process, pack, n, generator(1, "bench", name), 0)
        rate = n / (time.process_time() - start)
        share = chunk.sumw**2 / chunk.sumw2 / n
        value = f"{pack.sigma_fb:.6g} +- {pack.sigma_err_fb:.2g}"
        print(f"{name:20s} {value:>24s} {pack.efficiency:6.3f} {seconds:9.2f} {share:8.3f} {rate:9.0f}")


if __name__ == "__main__":
    what = sys.argv[1:] or ["reference", "registry"]
    # compile the kernels before the clock runs
    adapt(reference_process("mumu_gamma", rows()["mumu_gamma"]), 1)
    if "reference" in what:
        reference()
    if "registry" in what:
        registered()
