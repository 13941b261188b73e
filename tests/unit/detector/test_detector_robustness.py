"""Odd events in every detector: no warnings (they are errors), finite columns, sane weights."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.load import read_yaml
from darkfactory.core.seeds import generator
from darkfactory.detector.simulate import NUISANCES, simulate

DETECTORS = Path(__file__).resolve().parents[3] / "config" / "detectors"
MASS = {11: 0.000511, 13: 0.10566, 211: 0.13957, 321: 0.4937, 2212: 0.938272, 130: 0.4976, 2112: 0.93957}
CODES = [22, 22, 22, 11, -11, 13, 211, -321, 2212, 130, 2112, -2112, 12]


def odd_events(n: int) -> ak.Array:
    """Momenta from eV to 10 GeV, at rest, along the beam; vertices out to several metres."""
    rng, k = np.random.default_rng(1), len(CODES)
    p = rng.normal(size=(n * k, 3)) * 10 ** rng.uniform(-6, 1, (n * k, 1))
    p[::17] = 0
    p[1::19, :2] = 0
    v = rng.normal(size=(n * k, 3)) * 10 ** rng.uniform(-3, 2.5, (n * k, 1))
    v[::3] = 0
    mass = np.tile([MASS.get(abs(c), 0.0) for c in CODES], n)
    flat = {
        "pdg": np.tile(CODES, n).astype("i4"), "status": np.ones(n * k, "i1"),
        "mother": np.full(n * k, -1, "i4"), "px": p[:, 0], "py": p[:, 1], "pz": p[:, 2],
        "e": np.sqrt(np.sum(p**2, axis=1) + mass**2), "vx": v[:, 0], "vy": v[:, 1], "vz": v[:, 2],
    }  # fmt: skip
    particles = ak.unflatten(ak.zip(flat), np.full(n, k))
    return ak.zip({"weight": np.ones(n), "event_id": np.arange(n), "particles": particles}, depth_limit=1)


@pytest.mark.parametrize("name", ["belle2", "belle", "babar"])
def test_odd_events(name: str) -> None:
    detector = DetectorConfig.model_validate(read_yaml(DETECTORS / f"{name}.yaml"))
    result = simulate(odd_events(1000), detector, SimulateOptions(force_photon_loss=0.5), generator(1, name))
    for objects in ("tracks", "clusters", "klm_clusters"):
        for column in result[objects].fields:
            assert np.all(np.isfinite(np.asarray(ak.flatten(result[objects][column])))), column
    for nuisance in NUISANCES:
        for side in ("up", "down"):
            factor = np.asarray(result[f"var_{nuisance}_{side}"])
            assert np.all(np.isfinite(factor) & (factor >= 0))
    weight = np.asarray(result.weight)
    assert weight.mean() == pytest.approx(1.0, abs=5 * weight.std() / np.sqrt(len(weight)))
    regions = set(np.unique(np.asarray(ak.flatten(result.clusters.region))).tolist())
    assert regions <= ({1, 2} if name == "babar" else {1, 2, 3, 11, 13})
    assert float(ak.max(np.abs(result.clusters.phi))) <= np.pi + 1e-12
