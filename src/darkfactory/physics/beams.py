"""Colliding beams: the nominal centre-of-mass frame and its event-by-event fluctuation.

Both beams lie in the x-z plane of the laboratory at plus and minus half the crossing angle from the z axis:
electrons along (sin a, 0, cos a), positrons along (sin a, 0, -cos a). The CM frame has its z axis along the
boosted electron direction.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.physics.constants import M_E
from darkfactory.physics.kinematics import (
    from_rest_frame,
    mass,
    rotate_from_z,
    rotation_to_z,
    to_rest_frame,
)

__all__ = ["BeamFrame", "Beams", "beam_frame", "beam_momenta", "cm_to_lab"]

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class BeamFrame:
    """The nominal centre-of-mass frame of two beams.

    Attributes:
        p4: nominal total four-momentum in the laboratory, shape (4,), GeV.
        axis: direction of the electron beam in the unrotated CM frame, shape (3,).
    """

    p4: Array
    axis: Array

    @property
    def sqrts(self) -> float:
        """CM energy in GeV."""
        return float(mass(self.p4))

    def to_cm(self, p: Array) -> Array:
        """Four-vectors (..., 4) from the laboratory to the CM frame with z along the electron beam."""
        rest = to_rest_frame(p, self.p4)
        space = rest[..., 1:] @ rotation_to_z(self.axis).T
        return np.concatenate([rest[..., :1], space], axis=-1)

    def to_lab(self, p: Array) -> Array:
        """Inverse of :meth:`to_cm`."""
        space = p[..., 1:] @ rotation_to_z(self.axis)
        return from_rest_frame(np.concatenate([p[..., :1], space], axis=-1), self.p4)


def beam_momenta(e_her: ArrayLike, e_ler: ArrayLike, half_crossing_rad: float) -> tuple[Array, Array]:
    """Laboratory four-momenta of the electron and the positron, shapes (..., 4).

    Args:
        e_her: electron energies in GeV.
        e_ler: positron energies in GeV.
        half_crossing_rad: half the crossing angle in rad.

    Example:
        >>> electron, positron = beam_momenta(7.004, 4.002, 0.0415)
        >>> (electron + positron).round(4).tolist()
        [11.006, 0.4566, 0.0, 2.9994]
    """
    out = []
    for energy, sign in ((np.asarray(e_her, float), 1.0), (np.asarray(e_ler, float), -1.0)):
        k = np.sqrt(energy * energy - M_E * M_E)
        s, c = np.sin(half_crossing_rad), sign * np.cos(half_crossing_rad)
        out.append(np.stack([energy, k * s, 0 * k, k * c], axis=-1))
    return out[0], out[1]


def beam_frame(e_her: float, e_ler: float, half_crossing_rad: float) -> BeamFrame:
    """The CM frame of an electron and a positron beam.

    Args:
        e_her: energy of the electrons in GeV (high-energy ring).
        e_ler: energy of the positrons in GeV (low-energy ring).
        half_crossing_rad: half the crossing angle in rad.

    Example:
        >>> frame = beam_frame(7.007, 4.0, 0.0415)
        >>> round(frame.sqrts, 4)
        10.5792
        >>> p = np.array([[1.0, 0.2, 0.3, 0.4]])
        >>> bool(np.allclose(frame.to_lab(frame.to_cm(p)), p))
        True
    """
    electron, positron = beam_momenta(e_her, e_ler, half_crossing_rad)
    total = electron + positron
    return BeamFrame(p4=total, axis=to_rest_frame(electron, total)[1:])


def cm_to_lab(p: Array, electron: Array, positron: Array) -> Array:
    """Boost events from their own CM frames, one pair of beam momenta per event.

    Args:
        p: four-vectors in the CM with z along the electron, shape (n, legs, 4).
        electron: laboratory momenta of the electrons, shape (n, 4).
        positron: laboratory momenta of the positrons, shape (n, 4).

    Example:
        >>> e, q = beam_momenta(np.array([7.0]), np.array([4.0]), 0.0415)
        >>> lab = cm_to_lab(np.array([[[10.0, 0, 0, 0.0]]]), e, q)
        >>> bool(np.allclose(lab[0, 0] * mass(e + q), 10 * (e + q)[0]))
        True
    """
    total = electron + positron
    axis = to_rest_frame(electron, total)[..., 1:]
    space = rotate_about_shortest(p, axis)
    return from_rest_frame(space, np.broadcast_to(total[:, None, :], p.shape))


def rotate_about_shortest(p: Array, axis: Array) -> Array:
    """Rotate (n, legs, 4) so that z goes to ``axis`` (n, 3) by the shortest way, as in the nominal frame.

    Example:
        >>> along_z = np.array([[[1.0, 0.0, 0.0, 1.0]]])
        >>> rotate_about_shortest(along_z, np.array([[0.6, 0.0, 0.8]])).round(12)
        array([[[1. , 0.6, 0. , 0.8]]])
    """
    n = axis / np.sqrt(np.sum(axis * axis, axis=-1, keepdims=True))
    if np.any(n[:, 2] < -0.5):
        return rotate_from_z(p, np.broadcast_to(n[:, None, :], (*p.shape[:-1], 3)))
    x, y, c = n[:, 0, None], n[:, 1, None], n[:, 2, None]
    k = 1.0 / (1.0 + c)
    px, py, pz = p[..., 1], p[..., 2], p[..., 3]
    # transpose of kinematics.rotation_to_z
    qx = (1 - k * x * x) * px - k * x * y * py + x * pz
    qy = -k * x * y * px + (1 - k * y * y) * py + y * pz
    qz = -x * px - y * py + c * pz
    return np.stack([p[..., 0], qx, qy, qz], axis=-1)


@dataclasses.dataclass(frozen=True)
class Beams:
    """Two beams as an event generator sees them.

    Attributes:
        e_her: electron energy in GeV.
        e_ler: positron energy in GeV.
        half_crossing: half the crossing angle in rad.
        sigma_her: spread of the electron energy in GeV.
        sigma_ler: spread of the positron energy in GeV.

    Example:
        >>> round(Beams.symmetric(10.58).frame.sqrts, 6)
        10.58
    """

    e_her: float
    e_ler: float
    half_crossing: float = 0.0
    sigma_her: float = 0.0
    sigma_ler: float = 0.0

    @staticmethod
    def symmetric(sqrts: float) -> Beams:
        """Head-on beams of equal and sharp energies with the given CM energy in GeV."""
        return Beams(sqrts / 2, sqrts / 2)

    @property
    def frame(self) -> BeamFrame:
        """The nominal CM frame."""
        return beam_frame(self.e_her, self.e_ler, self.half_crossing)
