"""Hand-made reconstructed events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.events.schema import CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import BeamFrame, beam_frame

TRACK_DEFAULTS = {
    "charge": 1, "px": 1.0, "py": 0.0, "pz": 0.0, "d0": 0.0, "z0": 0.0, "cluster_e": 0.2, "klm": True, "is_mu": True,
    "is_mu_tight": True, "is_e": False, "is_pi": False, "is_k": False, "is_p": False, "truth": 0, "truth_pdg": 13,
}  # fmt: skip
CLUSTER_DEFAULTS = {
    "e": 1.0, "theta": 1.5, "phi": 0.0, "time": 0.0, "dt99": 2.0, "region": 2, "track": -1, "photon_like": True,
    "truth": 0, "truth_pdg": 22,
}  # fmt: skip


def _jagged(rows: list[list[dict[str, Any]]], defaults: dict[str, Any], schema: Any) -> ak.Array:
    counts = [len(r) for r in rows]
    flat = [{**defaults, **o} for row in rows for o in row]
    return zip_checked(
        {k: ak.unflatten(np.array([o[k] for o in flat], dtype=schema[k]), counts) for k in schema}, schema
    )


@pytest.fixture(scope="session")
def make_events() -> Callable[..., ak.Array]:
    """Events from a list of {tracks: [...], clusters: [...], weight, event_id, ...}; absent fields have defaults."""

    def make(events: list[dict[str, Any]]) -> ak.Array:
        fields: dict[str, Any] = {
            "weight": np.array([e.get("weight", 1.0) for e in events]),
            "event_id": np.array([e.get("event_id", i) for i, e in enumerate(events)], dtype=np.int64),
            "tracks": _jagged([e.get("tracks", []) for e in events], TRACK_DEFAULTS, TRACK),
            "clusters": _jagged([e.get("clusters", []) for e in events], CLUSTER_DEFAULTS, CLUSTER),
        }
        for name in ("l1", "hlt"):
            if name in events[0]:
                fields[name] = np.array([e[name] for e in events], dtype=np.uint64)
        return ak.zip(fields, depth_limit=1)

    return make


@pytest.fixture(scope="session")
def frame() -> BeamFrame:
    return beam_frame(7.004, 4.002, 0.0415)


@pytest.fixture(scope="session")
def random_events(make_events: Callable[..., ak.Array]) -> ak.Array:
    """A few hundred events with random numbers of tracks and clusters."""
    rng = np.random.default_rng(5)
    events = []
    for i in range(400):
        tracks = [
            {"charge": int(rng.choice([-1, 1])), **dict(zip(("px", "py", "pz"), rng.normal(0, 2, 3), strict=True)),
             "cluster_e": float(rng.uniform(0, 0.5)), "is_mu": bool(rng.random() < 0.8)}
            for _ in range(rng.integers(0, 4))
        ]  # fmt: skip
        clusters = [
            {"e": float(rng.exponential(1.5)) + 0.05, "theta": float(rng.uniform(0.4, 2.5)),
             "phi": float(rng.uniform(-np.pi, np.pi)), "time": float(rng.normal(0, 3)),
             "track": int(rng.choice([-1, -1, -1, 0])), "photon_like": bool(rng.random() < 0.9)}
            for _ in range(rng.integers(0, 7))
        ]  # fmt: skip
        events.append({"tracks": tracks, "clusters": clusters, "weight": float(rng.uniform(0.5, 2)),
                       "event_id": (3 << 32) + i, "l1": i, "hlt": 2 * i})  # fmt: skip
    return make_events(events)
