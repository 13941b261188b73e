"""Biases: factors of the generation rate as functions of observables of the hard process."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.process import BiasConfig
from darkfactory.core.errors import InputError
from darkfactory.generate.frames import modulus
from darkfactory.generate.pairs import PAIR_OBSERVABLES, pair_value
from darkfactory.generate.radiation import ToLab
from darkfactory.generate.topology import LegLike
from darkfactory.physics.kinematics import mass2

__all__ = ["Bias", "make_biases", "needs_lab", "total_bias"]

Array = NDArray[np.float64]
_LAB = frozenset({"m2_total_recoil", "theta_lab_leg"})


@dataclasses.dataclass(frozen=True)
class Bias:
    """A table in one observable of the first or the first two ``legs`` (numbers)."""

    observable: str
    legs: tuple[int, ...]
    x: tuple[float, ...]
    log_b: tuple[float, ...]

    def value(self, p: Sequence[Array | None], root: Array, lab: ToLab | None = None) -> Array:
        """The observable, in GeV, GeV^2, degrees or 1.

        Args:
            p: momenta of the legs, (4, n), in the hard process's rest frame.
            root: mass of the hard process, (n,).
            lab: radiation and beams, for observables that see them.

        Raises:
            InputError: the observable needs ``lab``.
        """
        members = [q for i in self.legs if (q := p[i]) is not None]
        if self.observable in PAIR_OBSERVABLES:
            return pair_value(self.observable, members[0], members[1], root)
        total = members[0] if len(members) == 1 else members[0] + members[1]
        if self.observable in _LAB:
            if lab is None:
                raise InputError(f"bias {self.observable}: radiated photon and beams are missing")
            seen = np.einsum("nij,jn->in", lab.matrix, total)
            if self.observable == "theta_lab_leg":
                return np.asarray(np.degrees(np.arctan2(np.hypot(seen[1], seen[2]), seen[3])))
            return mass2(lab.total - seen.T)
        if self.observable == "e_leg":
            return np.asarray(total[0])
        return np.asarray(total[3] / np.maximum(modulus(total), 1e-150))

    def factor(self, p: Sequence[Array | None], root: Array, lab: ToLab | None = None) -> Array:
        """The bias, (n,)."""
        return np.asarray(np.exp(np.interp(self.value(p, root, lab), self.x, self.log_b)))


def make_biases(configs: Sequence[BiasConfig], legs: Sequence[LegLike]) -> tuple[Bias, ...]:
    """Resolve names to the first leg of each name, or the one asked for (the second for a name given twice)."""
    out = []
    for config in configs:
        taken: list[int] = []
        for name in config.legs:
            same = [i for i, g in enumerate(legs) if g.name == name and not g.incoming and i not in taken]
            taken.append(same[config.number - 1])
        points = np.asarray(config.points, float)
        out.append(Bias(config.observable, tuple(taken), tuple(points[:, 0]), tuple(np.log(points[:, 1]))))
    return tuple(out)


def needs_lab(biases: Sequence[Bias]) -> bool:
    """Whether a bias sees the radiated photon and the beams."""
    return any(b.observable in _LAB for b in biases)


def total_bias(biases: Sequence[Bias], p: Sequence[Array | None], root: Array, lab: ToLab | None = None) -> Array:
    """Product of all biases, (n,).

    Example:
        >>> total_bias([], [], np.ones(2)).tolist()
        [1.0, 1.0]
    """
    out = np.ones_like(root)
    for bias in biases:
        out *= bias.factor(p, root, lab)
    return out
