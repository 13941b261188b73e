"""Tau pairs decayed per CPU second with full spin correlations, against Pythia 8 doing the same.

Run: python tests/benchmarks/bench_taus.py [pairs]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from darkfactory.config.load import read_yaml
from darkfactory.config.tau_decays import TauDecaysConfig
from darkfactory.generate.taus.decay import decay_tau_pair
from darkfactory.generate.taus.modes import build_modes

CASES = {
    "mu x mu": ("mu", "mu"),
    "mu x (e, mu, pi, rho)": ("mu", ["e", "mu", "pi", "rho"]),
    "one prong x 3pi": ("one_prong", "3pi"),
    "any x any": ("any", "any"),
}


def pairs(n: int, m: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Back-to-back taus at 10.58 GeV with opposite helicities."""
    c, f = 2 * rng.random(n) - 1, 2 * np.pi * rng.random(n)
    k, s = np.sqrt(5.29**2 - m * m), np.sqrt(1 - c * c)
    minus = np.stack([np.full(n, 5.29), k * s * np.cos(f), k * s * np.sin(f), k * c], axis=1)
    density = np.zeros((n, 2, 2, 2, 2), dtype=complex)
    density[:, 0, 0, 1, 1] = density[:, 1, 1, 0, 0] = 1
    return density, minus, minus * [1, -1, -1, -1]


def pythia_rate(n: int = 300) -> float:
    """Pythia's tau pairs with its own correlated decays, events per CPU second."""
    import pythia8mc

    p = pythia8mc.Pythia("", False)
    for line in (
        "Print:quiet = on", "Beams:idA = 11", "Beams:idB = -11", "Beams:eCM = 10.58", "PDF:lepton = off",
        "WeakSingleBoson:ffbar2gmZ = on", "WeakZ0:gmZmode = 1", "23:onMode = off", "23:onIfAny = 15",
    ):  # fmt: skip
        p.readString(line)
    p.init()
    start = time.process_time()
    for _ in range(n):
        p.next()
    return n / (time.process_time() - start)


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    config = TauDecaysConfig.model_validate(read_yaml(Path(__file__).parents[2] / "config" / "tau_decays.yaml"))
    rates = {}
    for name, (first, second) in CASES.items():
        start = time.process_time()
        modes = build_modes(config, first, second)
        built = time.process_time() - start
        arrays = pairs(n, modes.tau_mass, np.random.default_rng(1))
        start = time.process_time()
        decay_tau_pair(*arrays, modes, np.random.default_rng(2))
        rates[name] = n / (time.process_time() - start)
        print(f"{name:24s} {rates[name] / 1e3:8.1f}k pairs per CPU second (tables: {built:.2f} s)")
    try:
        peer = pythia_rate()
    except ImportError:
        print("pythia8mc is not installed: no peer")
        return
    print(f"{'Pythia 8, any x any':24s} {peer / 1e3:8.3f}k pairs per CPU second")
    print(f"ratio any x any: {rates['any x any'] / peer:.0f}")


if __name__ == "__main__":
    main()
