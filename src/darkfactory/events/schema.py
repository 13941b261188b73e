"""Columns of truth and reconstructed events: awkward record arrays, one entry per event.

Lengths in cm, energies and momenta in GeV, angles in rad, times in ns, all in the laboratory frame with z
along the detector's axis (roughly the electron direction). ``weight`` is in fb: its mean over the generated
events of a sample is the sample's cross section, so that an event stands for
``weight * luminosity / n_generated`` expected events.
"""

from __future__ import annotations

from collections.abc import Mapping

import awkward as ak
import numpy as np

from darkfactory.core.errors import InputError

__all__ = [
    "CLUSTER",
    "DEPOSIT",
    "ECL_BARREL",
    "ECL_BWD",
    "ECL_FWD",
    "ECL_GAP_BWD",
    "ECL_GAP_FWD",
    "EVENT",
    "KLM_CLUSTER",
    "PARTICLE",
    "TAG",
    "TAKEN",
    "TRACK",
    "VERTEX",
    "require_fields",
    "zip_checked",
]

EVENT: Mapping[str, str] = {"weight": "f8", "event_id": "i8"}
"""Per event. ``event_id`` is unique in a sample: chunk * 2**32 + index; ``event_id % 4`` is the fold
(0: training, 1: over-training test, 2 and 3: templates)."""

PARTICLE: Mapping[str, str] = {
    "pdg": "i4", "status": "i1", "mother": "i4",
    "px": "f8", "py": "f8", "pz": "f8", "e": "f8",
    "vx": "f8", "vy": "f8", "vz": "f8",
}  # fmt: skip
"""``particles`` of truth events. status 1: final (the detector sees it, or it escapes), 2: decayed;
``mother`` is the index in the event's list, -1 for products of the hard scatter; vx, vy, vz: production
vertex relative to the interaction point."""

DEPOSIT = 81
"""Code (of those that PDG leaves to generators) of a calorimeter shower that no simulated particle stands for: cosmic
rays and beam background as parametric samples. ``e`` is its energy, ``px, py, pz`` its direction seen from the origin;
the event columns ``deposit_time`` (ns) and ``deposit_like`` (probability of a photon's shower shape) go with it."""

TAKEN = 3
"""``status`` of final particles that belong to a tag: they are not simulated."""

TAG: Mapping[str, str] = {
    "tag_px": "f8", "tag_py": "f8", "tag_pz": "f8", "tag_ax": "f8", "tag_ay": "f8", "tag_az": "f8",
    "tag_m_bc": "f8", "tag_delta_e": "f8", "tag_charge": "i1", "tag_extra": "f8", "tag_right": "?",
}  # fmt: skip
"""Columns of events with a hadronic tag, where the sample asks for one. tag_px, tag_py, tag_pz: its measured momentum
in the CM, scaled to that of a B; tag_ax, tag_ay, tag_az: axis along which its particles move; beam-constrained mass and
energy difference; charge; extra energy that comes with it; whether it is a B."""

TRACK: Mapping[str, str] = {
    "charge": "i1", "px": "f8", "py": "f8", "pz": "f8", "d0": "f4", "z0": "f4",
    "cluster_e": "f4", "klm": "?", "is_mu": "?", "is_mu_tight": "?", "is_e": "?", "is_pi": "?", "is_k": "?",
    "is_p": "?", "truth": "i4", "truth_pdg": "i4",
}  # fmt: skip
"""``tracks`` of reconstructed events. d0, z0: impact parameters in cm; cluster_e: energy of the associated
calorimeter cluster, 0 if none; klm: a matched KLM track (reaches the muon system); is_*: decisions at the
detector's working points; truth: index of the true particle, -1 for background."""

VERTEX: Mapping[str, str] = {
    "track_minus": "i4", "track_plus": "i4", "x": "f8", "y": "f8", "z": "f8", "r_xy": "f8", "distance": "f8",
    "sigma_r": "f4", "sigma_distance": "f4", "probability": "f4", "cos_pointing": "f8", "same": "?",
}  # fmt: skip
"""``vertices`` of reconstructed events, where the sample asks for them: pairs of tracks of opposite charge.
track_minus, track_plus: indices in ``tracks``; x, y, z, transverse radius r_xy and distance in cm from the nominal
interaction point, with the fit's uncertainties of both; probability of the fit; cos_pointing: cosine between the
position and the pair's momentum; same: both tracks are of one true vertex. Masses are left to the selection: momenta
of displaced tracks are given at their production point."""

CLUSTER: Mapping[str, str] = {
    "e": "f8", "theta": "f8", "phi": "f8", "time": "f4", "dt99": "f4", "region": "i1", "track": "i4",
    "photon_like": "?", "truth": "i4", "truth_pdg": "i4",
}  # fmt: skip
"""``clusters`` of reconstructed events (calorimeter). track: index of the associated track, -1 if neutral;
photon_like: shower shape as of a photon (zernikeMVA > 0.5); truth: as for tracks."""

KLM_CLUSTER: Mapping[str, str] = {"theta": "f4", "phi": "f4", "truth": "i4"}
"""``klm_clusters``: neutral clusters in the muon system."""

ECL_FWD, ECL_BARREL, ECL_BWD, ECL_GAP_FWD, ECL_GAP_BWD = 1, 2, 3, 11, 13
"""Values of ``clusters.region``, as basf2's clusterReg."""


def zip_checked(columns: Mapping[str, ak.Array], schema: Mapping[str, str]) -> ak.Array:
    """Zip jagged columns into records, each cast to its type in the schema and in the schema's order.

    Raises:
        InputError: a column is missing or is not in the schema.

    Example:
        >>> k = zip_checked({"theta": ak.Array([[1.0], []]), "phi": ak.Array([[0.5], []]),
        ...                  "truth": ak.Array([[-1], []])}, KLM_CLUSTER)
        >>> str(k.theta.type)
        '2 * var * float32'
    """
    if set(columns) != set(schema):
        missing, extra = sorted(set(schema) - set(columns)), sorted(set(columns) - set(schema))
        raise InputError(f"event columns: missing {missing}, unknown {extra}; the schema has {list(schema)}")
    cast = {name: ak.values_astype(columns[name], np.dtype(kind)) for name, kind in schema.items()}
    return ak.zip(cast)


def require_fields(events: ak.Array, *fields: str) -> None:
    """Check that an event array has the named fields.

    Raises:
        InputError: a field is missing.

    Example:
        >>> require_fields(ak.Array({"weight": [1.0]}), "weight")
    """
    missing = [f for f in fields if f not in events.fields]
    if missing:
        raise InputError(f"events lack {missing}; they have {events.fields}; rerun the stage before this one")
