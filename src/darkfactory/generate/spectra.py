"""Weights that turn decays of uniform phase space into those of a left-handed current."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.interpretation import FormFactor
from darkfactory.generate.record import Particles
from darkfactory.models.b_to_s import form_factor
from darkfactory.physics.kinematics import kallen, mass2

__all__ = ["Spectrum", "pair_spectrum_weight"]

Array = NDArray[np.float64]
_STEPS = 4001


def pair_spectrum_weight(q2: Array, m_b: float, m_h: float, config: FormFactor) -> Array:
    """Weight of a decay of a pseudoscalar to another one and two massless leptons, of mean one over phase space.

    dGamma/dq^2 goes as lambda^(3/2) f+^2 (W. Altmannshofer et al., JHEP 04 (2009) 022), phase space as lambda^(1/2).

    Args:
        q2: squared masses of the pair, GeV^2.
        m_b: mass of the parent, GeV.
        m_h: of the product, GeV.
        config: f+.

    Example:
        The form factor rises towards the end of the spectrum, where no decay has the product at rest:

        >>> f = FormFactor(coefficients=(0.466, -0.885, -0.213), pole=5.4154, source="recalled")
        >>> w = pair_spectrum_weight(np.array([0.0, 5.0, 15.0, 22.9]), 5.27934, 0.493677, f)
        >>> w.round(2).tolist()
        [0.78, 0.93, 1.22, 0.0]
    """
    end = (m_b - m_h) ** 2
    grid = np.linspace(0.0, end, _STEPS)

    def square(x: Array) -> Array:
        return np.asarray(np.maximum(kallen(m_b**2, m_h**2, x), 0.0))

    space = np.sqrt(square(grid))
    rate = square(grid) * form_factor(config, grid, m_b, m_h) ** 2
    mean = float(np.sum(space * rate) / np.sum(space))
    inside = np.clip(q2, 0.0, end)
    return np.asarray(square(inside) * form_factor(config, inside, m_b, m_h) ** 2 / mean)


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Of the decay of the B beside a tag.

    Attributes:
        pdg: code of the pseudoscalar, sign ignored.
        m_b: mass of the B, GeV.
        m_h: of the pseudoscalar.
        form_factor: its f+.
    """

    pdg: int
    m_b: float
    m_h: float
    form_factor: FormFactor

    def weights(self, found: Particles, counts: NDArray[np.int64]) -> Array:
        """Weights of events whose second particle is the B, (n,).

        Args:
            found: particles of all events.
            counts: particles per event.
        """
        starts = np.cumsum(counts) - counts
        hadron = found.p[(found.mother == 1) & (np.abs(found.pdg) == abs(self.pdg))]
        return pair_spectrum_weight(mass2(found.p[starts + 1] - hadron), self.m_b, self.m_h, self.form_factor)
