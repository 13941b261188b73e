"""From the hard process's rest frame to the laboratory: radiated photon, recoil, beams."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.process import IsrConfig
from darkfactory.generate.frames import boost_from, boost_to, modulus, rotate
from darkfactory.physics.beams import beam_momenta, cm_to_lab
from darkfactory.physics.constants import M_E
from darkfactory.physics.isr import photon_cosine
from darkfactory.physics.kinematics import mass

__all__ = ["ToLab", "make_to_lab"]

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class ToLab:
    """Lorentz transformations of events and their radiated photons.

    Attributes:
        matrix: hard rest frame to laboratory, (n, 4, 4), for columns (E, px, py, pz).
        photon: photon momenta in the laboratory, (n, 4); zero energy where there is none.
        total: momenta of the colliding beams in the laboratory, (n, 4).
    """

    matrix: Array
    photon: Array
    total: Array

    def take(self, keep: NDArray[np.bool_] | NDArray[np.int64] | slice) -> ToLab:
        """Some of the events."""
        return ToLab(self.matrix[keep], self.photon[keep], self.total[keep])

    @staticmethod
    def join(parts: Sequence[ToLab]) -> ToLab:
        """Events of all parts, in order."""
        return ToLab(*(np.concatenate([getattr(p, k) for p in parts]) for k in ("matrix", "photon", "total")))

    def legs(self, p: Array) -> Array:
        """Transform (n, legs, 4)."""
        return np.asarray(np.einsum("nij,nlj->nli", self.matrix, p))

    def flat(self, p: Array, event: NDArray[np.int64]) -> Array:
        """Transform (m, 4) of the events (m,)."""
        return np.asarray(np.einsum("mij,mj->mi", self.matrix[event], p))


def make_to_lab(
    e_her: Array, e_ler: Array, half_crossing: float, v: Array, isr: IsrConfig, rng: np.random.Generator
) -> ToLab:
    """Draw photon directions and build the transformations.

    The photon has all of the radiated energy, v sqrt(s)/2, and leaves the beam on its side; the other beam, seen from
    the recoiling system, is the axis of the hard process.

    Args:
        e_her: electron energies, (n,), GeV.
        e_ler: positron energies, (n,), GeV.
        half_crossing: half the crossing angle, rad.
        v: radiated share of s, (n,).
        isr: whether and where photons go.
        rng: random stream.
    """
    n = len(v)
    electron, positron = beam_momenta(e_her, e_ler, half_crossing)
    root = mass(electron + positron)
    frame = np.eye(4)[:, :, None] * np.ones(n)
    photon = np.zeros((4, n))
    if isr.radiator != "none":
        if isr.photons == "collinear":
            c = np.where(rng.random(n) < 0.5, -1.0, 1.0)
        else:
            c = photon_cosine(v, root**2, rng.random((12, 2, n)), isr.exact_cos)
        azimuth = 2 * np.pi * rng.random(n)
        energy = v * root / 2
        sine = np.sqrt(np.maximum((1 - c) * (1 + c), 0.0))
        photon = energy * np.stack([np.ones(n), sine * np.cos(azimuth), sine * np.sin(azimuth), c])
        recoil = np.stack([root - photon[0], -photon[1], -photon[2], -photon[3]])
        m = root * np.sqrt(1 - v)
        recoil[0] = np.sqrt(modulus(recoil) ** 2 + m * m)
        # the beam that did not radiate keeps its direction
        sign = np.where(c > 0, 1.0, -1.0)
        k = np.sqrt(root**2 / 4 - M_E**2)
        zero = np.zeros(n)
        spectator = boost_to(np.stack([root / 2, zero, zero, -sign * k]), recoil, m)
        axis = -sign * spectator
        axis[:, v == 0] = np.array([[0.0], [0.0], [0.0], [1.0]])
        # columns: images of the unit vectors
        frame = np.stack([boost_from(rotate(frame[j], axis), recoil, m) for j in range(4)])
    columns = np.moveaxis(frame, 2, 0)
    lab = cm_to_lab(columns, electron, positron)
    photon_lab = cm_to_lab(np.ascontiguousarray(photon.T)[:, None, :], electron, positron)[:, 0]
    return ToLab(np.ascontiguousarray(np.swapaxes(lab, 1, 2)), photon_lab, electron + positron)
