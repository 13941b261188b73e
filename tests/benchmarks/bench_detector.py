"""Events per second of the detector response on one core, for mu mu X and gamma gamma gamma events.

Peer: full simulation and reconstruction of basf2 at 0.2 events/s/core (HEP-workload summary, 2020).
"""

from __future__ import annotations

import time
from pathlib import Path

import awkward as ak
import numpy as np

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.load import read_yaml
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import simulate

BASF2_EVENTS_PER_SECOND = 0.2


def truth(n: int, codes: list[int], rng: np.random.Generator) -> ak.Array:
    k = len(codes)
    p = rng.normal(size=(n * k, 3)) * 2
    mass = np.tile([{13: 0.10566, 9900032: 1.0}.get(abs(c), 0.0) for c in codes], n)
    zero = np.zeros(n * k)
    flat = {
        "pdg": np.tile(codes, n).astype("i4"), "status": np.ones(n * k, "i1"), "mother": np.full(n * k, -1, "i4"),
        "px": p[:, 0], "py": p[:, 1], "pz": p[:, 2], "e": np.sqrt((p**2).sum(1) + mass**2),
        "vx": zero, "vy": zero, "vz": zero,
    }  # fmt: skip
    particles = ak.unflatten(ak.zip(flat), np.full(n, k))
    return ak.zip({"weight": np.ones(n), "event_id": np.arange(n), "particles": particles}, depth_limit=1)


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    detector = DetectorConfig.model_validate(read_yaml(root / "config/detectors/belle2.yaml"))
    n = 100_000
    for name, codes in (("mu mu X", [13, -13, 9900032]), ("3 gamma", [22, 22, 22])):
        events = truth(n, codes, generator(1, "bench", name))
        best = np.inf
        for _ in range(3):
            start = time.process_time()
            simulate(events, detector, SimulateOptions(), generator(1, name))
            best = min(best, time.process_time() - start)
        rate = n / best
        print(f"{name}: {rate:.3g} events/s/core, {rate / BASF2_EVENTS_PER_SECOND:.2g} x basf2 full simulation")


if __name__ == "__main__":
    main()
