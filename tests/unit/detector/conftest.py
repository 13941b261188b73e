"""Fixtures of the detector's unit tests."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import pytest

from darkfactory.config.detector import DetectorConfig
from darkfactory.config.load import deep_merge, read_yaml

_DETECTORS = Path(__file__).resolve().parents[3] / "config" / "detectors"
MakeDetector = Callable[..., DetectorConfig]


@pytest.fixture(scope="session")
def belle2_yaml() -> dict[str, Any]:
    return read_yaml(_DETECTORS / "belle2.yaml")


@pytest.fixture(scope="session")
def belle2(belle2_yaml: dict[str, Any]) -> DetectorConfig:
    return DetectorConfig.model_validate(belle2_yaml)


@pytest.fixture
def quiet(belle2_yaml: dict[str, Any]) -> MakeDetector:
    """Belle II without beam background, with overrides; a bare number becomes an assumed value."""

    def tag(value: Any) -> Any:
        if isinstance(value, dict):
            return value if "source" in value else {k: tag(v) for k, v in value.items()}
        number = isinstance(value, int | float)
        return {"value": value, "source": "assumed", "range": None} if number else value

    def make(**overrides: Any) -> DetectorConfig:
        silent = {"beam_background": {"clusters_per_event": {"run1": 0.0}, "tracks_per_event": 0.0}}
        return DetectorConfig.model_validate(deep_merge(copy.deepcopy(belle2_yaml), tag(silent), tag(overrides)))

    return make


@pytest.fixture
def shoot() -> Callable[..., ak.Array]:
    """Events with particles of given PDG codes, momentum and polar angles, from given points."""

    def make(
        n: int,
        pdg: int | list[int],
        p: float | list[float],
        theta_deg: float | list[float],
        *,
        mass: float = 0.0,
        phi: float | list[float] | npt.NDArray[np.float64] | None = None,
        vertex: tuple[float, float, float] = (0.0, 0.0, 0.0),
        seed: int = 1,
    ) -> ak.Array:
        rng = np.random.default_rng(seed)
        codes = np.atleast_1d(pdg)
        k = len(codes)
        shape = (n, k)
        theta = np.radians(np.broadcast_to(theta_deg, shape)).ravel()
        momentum = np.broadcast_to(p, shape).ravel()
        azimuth = rng.uniform(-np.pi, np.pi, n * k) if phi is None else np.broadcast_to(phi, shape).ravel()
        point = np.broadcast_to(vertex, (n * k, 3))
        flat = {
            "pdg": np.tile(codes, n).astype("i4"), "status": np.ones(n * k, "i1"),
            "mother": np.full(n * k, -1, "i4"), "px": momentum * np.sin(theta) * np.cos(azimuth),
            "py": momentum * np.sin(theta) * np.sin(azimuth), "pz": momentum * np.cos(theta),
            "e": np.hypot(momentum, mass), "vx": point[:, 0], "vy": point[:, 1], "vz": point[:, 2],
        }  # fmt: skip
        particles = ak.unflatten(ak.zip(flat), np.full(n, k))
        return ak.zip({"weight": np.ones(n), "event_id": np.arange(n), "particles": particles}, depth_limit=1)

    return make
