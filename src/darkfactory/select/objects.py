"""Flat arrays of tracks and photons, with the masks of the object definitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import PhotonConfig, TrackConfig
from darkfactory.physics.beams import BeamFrame

__all__ = ["Array", "Flat", "cm_matrix", "flatten", "good_photons", "good_tracks", "photon_p4", "transform"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Flat:
    """Objects of many events, one after the other.

    Attributes:
        n_events: number of events, empty ones included.
        event: index of each object's event, ascending.
        columns: the fields, one entry per object.
    """

    n_events: int
    event: NDArray[np.int64]
    columns: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        """One column."""
        return self.columns[name]

    def where(self, mask: NDArray[np.bool_]) -> Flat:
        """Only the objects in a mask; the events stay."""
        return Flat(self.n_events, self.event[mask], {k: v[mask] for k, v in self.columns.items()})

    def counts(self) -> NDArray[np.int64]:
        """Objects per event."""
        return np.bincount(self.event, minlength=self.n_events)


def flatten(objects: ak.Array, fields: tuple[str, ...]) -> Flat:
    """Flatten jagged records; floats become double.

    Example:
        >>> flat = flatten(ak.Array([[{"e": 1.0}], [], [{"e": 2.0}]]), ("e",))
        >>> flat.event.tolist(), flat["e"].tolist()
        ([0, 2], [1.0, 2.0])
    """
    counts = ak.to_numpy(ak.num(objects, axis=1))
    columns = {}
    for name in fields:
        column = ak.to_numpy(ak.flatten(objects[name], axis=1))
        # a contiguous double: vectorised functions then take the same path for every row
        columns[name] = np.ascontiguousarray(column, np.float64 if column.dtype.kind == "f" else column.dtype)
    return Flat(len(objects), np.repeat(np.arange(len(objects)), counts), columns)


def good_tracks(tracks: Flat, config: TrackConfig) -> NDArray[np.bool_]:
    """Tracks that count, by impact parameters, transverse momentum and polar angle."""
    pt = np.sqrt(tracks["px"] ** 2 + tracks["py"] ** 2)
    mask = np.asarray(pt >= config.min_pt)
    if config.max_d0 is not None:
        mask &= np.abs(tracks["d0"]) <= config.max_d0
    if config.max_z0 is not None:
        mask &= np.abs(tracks["z0"]) <= config.max_z0
    if config.theta is not None:
        theta = np.arctan2(pt, tracks["pz"])
        mask &= (theta >= config.theta[0]) & (theta <= config.theta[1])
    return mask


def good_photons(clusters: Flat, config: PhotonConfig) -> NDArray[np.bool_]:
    """Clusters that count as photons: no track, by energy, polar angle, shower shape and time."""
    mask = np.asarray((clusters["track"] < 0) & (clusters["e"] >= config.min_e))
    if config.theta is not None:
        mask &= (clusters["theta"] >= config.theta[0]) & (clusters["theta"] <= config.theta[1])
    if config.photon_like:
        mask &= clusters["photon_like"]
    if config.max_time_over_dt99 is not None:
        mask &= np.abs(clusters["time"]) <= config.max_time_over_dt99 * clusters["dt99"]
    return mask


def photon_p4(photons: Flat) -> Array:
    """Four-momenta (n, 4) of photons from the interaction point.

    Example:
        >>> one = Flat(1, np.array([0]), {"e": np.array([2.0]), "theta": np.array([0.0]), "phi": np.array([1.0])})
        >>> photon_p4(one).tolist()
        [[2.0, 0.0, 0.0, 2.0]]
    """
    e, sin = photons["e"], np.sin(photons["theta"])
    return np.stack(
        [e, e * sin * np.cos(photons["phi"]), e * sin * np.sin(photons["phi"]), e * np.cos(photons["theta"])],
        axis=-1,
    )


def cm_matrix(frame: BeamFrame) -> Array:
    """Matrix of the map from the laboratory to the CM frame, for :func:`transform`.

    Example:
        >>> from darkfactory.physics.beams import beam_frame
        >>> frame = beam_frame(7.007, 4.0, 0.0415)
        >>> transform(frame.p4[None], cm_matrix(frame)).round(4).tolist()[0][0]
        10.5792
    """
    return np.ascontiguousarray(frame.to_cm(np.eye(4)))


def transform(p: Array, matrix: Array) -> Array:
    """Apply a matrix to rows (n, 4): p'_j = sum_i p_i m_ij.

    Written out, not as a matrix product: the bits of a row must not depend on how many rows there are.

    Example:
        >>> transform(np.array([[1.0, 2.0, 3.0, 4.0]]), np.eye(4)).tolist()
        [[1.0, 2.0, 3.0, 4.0]]
    """
    e, x, y, z = (np.ascontiguousarray(p[:, i]) for i in range(4))
    rows = [e * matrix[0, j] + x * matrix[1, j] + y * matrix[2, j] + z * matrix[3, j] for j in range(4)]
    return np.stack(rows, axis=-1)
