"""Hand-made reconstructed events for tests of the trigger: angles in degrees, energies in GeV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge, validate
from darkfactory.config.trigger import TriggerMenu
from darkfactory.events.schema import CLUSTER, KLM_CLUSTER, TRACK, zip_checked
from darkfactory.physics.beams import BeamFrame, beam_frame

MENUS = Path(__file__).parents[3] / "config" / "triggers"
LIBRARY = Library(MENUS.parent)
FRAME: BeamFrame = beam_frame(7.004, 4.002, 0.0415)
# perfect objects: what a line decides then follows from geometry and thresholds alone
PERFECT: dict[str, Any] = {
    "l1_objects": {
        "calorimeter": {
            "sigma_e_constant": {"value": 0.0, "source": "assumed"},
            "sigma_e_stochastic": {"value": 0.0, "source": "assumed"},
        },
        "tracks": {
            "efficiency": {"value": 1.0, "source": "assumed"},
            "short_efficiency": {"value": 1.0, "source": "assumed"},
            "neuro_efficiency": {"value": 1.0, "source": "assumed"},
            "neuro_sigma_z_cm": {"value": 0.0, "source": "assumed", "range": [0, 10]},
        },
    }
}


def menu(name: str = "belle2_run2", **overrides: Any) -> TriggerMenu:
    return shipped(name, deep_merge(PERFECT, overrides))


def shipped(name: str, *overrides: dict[str, Any]) -> TriggerMenu:
    """As ``load_menu``, but every file is read once in a session."""
    merged = deep_merge(LIBRARY.get("triggers", name), *overrides, {"name": name, "file": f"triggers/{name}.yaml"})
    return validate(TriggerMenu, merged, file=f"triggers/{name}.yaml")


def lab_angles(theta_cms: float, phi_cms: float) -> tuple[float, float, float]:
    """theta, phi (deg) in the laboratory of a massless CM direction, and E_lab / E_cms."""
    t, f = np.radians([theta_cms, phi_cms])
    p = FRAME.to_lab(np.array([1.0, np.sin(t) * np.cos(f), np.sin(t) * np.sin(f), np.cos(t)]))
    theta = np.degrees(np.arctan2(np.hypot(p[1], p[2]), p[3]))
    return float(theta), float(np.degrees(np.arctan2(p[2], p[1]))), float(p[0])


def cluster(
    e: float, theta: float, phi: float, *, track: int = -1, time: float = 0.0, photon: bool = True
) -> dict[str, Any]:
    return {
        "e": e, "theta": np.radians(theta), "phi": np.radians(phi), "time": time, "dt99": 5.0, "region": 2,
        "track": track, "photon_like": photon, "truth": 0, "truth_pdg": 22,
    }  # fmt: skip


def cluster_cms(e: float, theta: float, phi: float, **more: Any) -> dict[str, Any]:
    """A cluster given in the CM frame."""
    theta_lab, phi_lab, boost = lab_angles(theta, phi)
    return cluster(e * boost, theta_lab, phi_lab, **more)


def track(
    p: float, theta: float, phi: float, charge: int, *, d0: float = 0.0, z0: float = 0.0, cluster_e: float = 0.2,
    klm: bool = False,
) -> dict[str, Any]:  # fmt: skip
    t, f = np.radians([theta, phi])
    return {
        "charge": charge, "px": p * np.sin(t) * np.cos(f), "py": p * np.sin(t) * np.sin(f), "pz": p * np.cos(t),
        "d0": d0, "z0": z0, "cluster_e": cluster_e, "klm": klm, "is_mu": klm, "is_mu_tight": klm, "is_e": False,
        "is_pi": True, "is_k": False, "is_p": False, "truth": 0, "truth_pdg": -13 * charge,
    }  # fmt: skip


def track_cms(p: float, theta: float, phi: float, charge: int, **more: Any) -> dict[str, Any]:
    """A (massless) track given in the CM frame."""
    theta_lab, phi_lab, boost = lab_angles(theta, phi)
    return track(p * boost, theta_lab, phi_lab, charge, **more)


def _jagged(rows: Sequence[Sequence[dict[str, Any]]], schema: dict[str, str]) -> ak.Array:
    counts = [len(r) for r in rows]
    flat = [obj for r in rows for obj in r]
    columns = {n: ak.unflatten(np.array([o[n] for o in flat], dtype=kind), counts) for n, kind in schema.items()}
    return zip_checked(columns, schema)


def events(*content: dict[str, Sequence[dict[str, Any]]]) -> ak.Array:
    """Events from ``{"tracks": [...], "clusters": [...], "klm": [...]}``."""
    return ak.zip(
        {
            "weight": np.ones(len(content)),
            "event_id": np.arange(len(content)) + 5 * 2**32,
            "tracks": _jagged([c.get("tracks", ()) for c in content], dict(TRACK)),
            "clusters": _jagged([c.get("clusters", ()) for c in content], dict(CLUSTER)),
            "klm_clusters": _jagged([c.get("klm", ()) for c in content], dict(KLM_CLUSTER)),
        },
        depth_limit=1,
    )
