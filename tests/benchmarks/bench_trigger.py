"""Events per second of processor time of the trigger emulation: low-multiplicity and busy events, both levels."""

from __future__ import annotations

import time
from pathlib import Path

import awkward as ak
import numpy as np

from darkfactory.config.trigger import load_menu
from darkfactory.events.schema import CLUSTER, KLM_CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.trigger.emulate import _bits, emulate
from darkfactory.trigger.menu import compile_menu
from darkfactory.trigger.noise import Noise
from darkfactory.trigger.objects import hlt_scope, l1_scope

MENUS = Path(__file__).parents[2] / "config" / "triggers"


def make(rng: np.random.Generator, n: int, tracks: float, clusters: float) -> ak.Array:
    """Events with Poisson numbers of tracks and clusters, isotropic in the laboratory."""
    out = {"weight": np.ones(n), "event_id": np.arange(n)}
    for field, schema, mean in (
        ("tracks", TRACK, tracks),
        ("clusters", CLUSTER, clusters),
        ("klm_clusters", KLM_CLUSTER, 0.1),
    ):
        counts = rng.poisson(mean, n)
        m = int(counts.sum())
        theta, phi, p = np.arccos(rng.uniform(-0.9, 0.95, m)), rng.uniform(-np.pi, np.pi, m), rng.exponential(1.2, m)
        values = {
            "charge": rng.choice([-1, 1], m), "px": p * np.sin(theta) * np.cos(phi), "pz": p * np.cos(theta),
            "py": p * np.sin(theta) * np.sin(phi), "e": p, "theta": theta, "phi": phi, "cluster_e": 0.2 * p,
            "z0": rng.normal(0, 0.1, m), "d0": rng.normal(0, 0.01, m), "klm": p > 0.7, "track": rng.integers(-1, 2, m),
            "dt99": np.full(m, 5.0), "photon_like": np.ones(m),
        }  # fmt: skip
        out[field] = zip_checked({k: ak.unflatten(values.get(k, np.zeros(m)), counts) for k in schema}, schema)
    return ak.zip(out, depth_limit=1)


def main() -> None:
    """Print the rates."""
    rng = np.random.default_rng(1)
    frame, menu = beam_frame(7.004, 4.002, 0.0415), load_menu("belle2_run2", MENUS)
    compiled = compile_menu(menu)
    for kind, tracks, clusters, n in (("low multiplicity", 2.0, 4.0, 100_000), ("busy", 9.0, 20.0, 20_000)):
        sample = make(rng, n, tracks, clusters)
        emulate(sample[:1000], menu, frame, rng)  # imports and first touches
        start = time.process_time()
        _bits(l1_scope(sample, menu.l1_objects, compiled.l1.rules, frame, Noise(rng)), compiled.l1)
        middle = time.process_time()
        _bits(hlt_scope(sample, menu.hlt_objects, compiled.hlt.rules, frame), compiled.hlt)
        end = time.process_time()
        emulate(sample, menu, frame, rng)
        last = time.process_time()
        print(
            f"{kind:>17}: L1 {n / (middle - start):9.0f}/s, HLT {n / (end - middle):9.0f}/s, "
            f"emulate {n / (last - end):9.0f}/s  (basf2 full simulation: 0.2/s)"
        )


if __name__ == "__main__":
    main()
