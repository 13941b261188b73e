"""Particle-identification decisions and the match to the muon system."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import DetectorConfig, PidFlag, Species
from darkfactory.detector.flat import MU
from darkfactory.detector.geometry import within

__all__ = ["flag_probability", "identify"]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

_NAMES: tuple[Species, ...] = ("e", "mu", "pi", "K", "p")


def _by_species(flag: PidFlag, species: Ints) -> Floats:
    values = np.array([flag.probability[n].value if n in flag.probability else 0.0 for n in _NAMES])
    return np.asarray(values[species])


def flag_probability(flag: PidFlag, species: Ints, p: Floats, in_klm: Bools, in_ecl: Bools) -> Floats:
    """Probability that tracks pass a decision.

    Args:
        flag: the decision's working point.
        species: 0 e, 1 mu, 2 pi, 3 K, 4 p.
        p: momenta in GeV.
        in_klm: in the muon system's acceptance.
        in_ecl: reaches the calorimeter's active region.
    """
    chance = _by_species(flag, species) * flag.momentum(p=p)
    if flag.needs == "klm":
        chance = np.where(in_klm, chance, 0.0)
    elif flag.needs == "ecl":
        chance = np.where(in_ecl, chance, 0.0)
    return chance


def identify(
    species: Ints,
    p: Floats,
    theta: Floats,
    in_ecl: Bools,
    detector: DetectorConfig,
    rng: np.random.Generator,
    force_fakes: float | None = None,
) -> tuple[dict[str, Bools], Floats]:
    """The columns ``klm`` and ``is_*`` of tracks, and factors on the weights of their events.

    Decisions that rest on the same detector share a random number: a track that passes the narrower one
    passes the wider one; the kaon decision uses the opposite end of the pion's.

    With ``force_fakes`` f, a hadron whose chance q to pass either muon decision is above 0 and below f passes one with
    probability f; the factor is q/f if it does and (1-q)/(1-f) if not, which leaves every expectation value unchanged.
    """
    in_klm = within(theta, detector.acceptance.klm_deg)
    pid, n = detector.pid, len(p)

    def chance(flag: PidFlag) -> Floats:
        return flag_probability(flag, species, p, in_klm, in_ecl)

    muon = chance(pid.muon)
    if pid.muon_fallback is not None:
        fallback = pid.muon_fallback
        weak = np.where(
            species == MU,
            fallback.efficiency.value,
            np.minimum(_by_species(pid.muon, species) * fallback.fake_factor.value, 1.0),
        )
        use = in_ecl & ((p < fallback.below_gev.value) | ~in_klm)
        muon = np.where(use, np.maximum(muon, weak), muon)
    u_muon, u_electron, u_hadron, u_proton = rng.random((4, n))
    weight = np.ones(n)
    if force_fakes is not None:
        either = np.maximum(muon, chance(pid.muon_tight))
        u_muon, weight = _forced(u_muon, np.where(species > MU, either, 0.0), force_fakes)
    flags = {
        "klm": u_muon < chance(detector.klm.match),
        "is_mu": u_muon < muon,
        "is_mu_tight": u_muon < chance(pid.muon_tight),
        "is_e": u_electron < chance(pid.electron),
        "is_pi": u_hadron < chance(pid.pion),
        "is_k": u_hadron > 1 - chance(pid.kaon),
        "is_p": u_proton < chance(pid.proton),
    }
    return flags, weight


def _forced(u: Floats, chance: Floats, force: float) -> tuple[Floats, Floats]:
    """Uniform numbers pushed below ``chance`` with the probability ``force``, and the factors that undo it.

    Example:
        >>> u, w = _forced(np.array([0.25, 0.75]), np.array([0.1, 0.1]), 0.5)
        >>> u.round(6).tolist(), w.round(6).tolist()
        ([0.05, 0.55], [0.2, 1.8])
    """
    use = (chance > 0) & (chance < force)
    q = np.where(use, chance, force)
    below = u < force
    pushed = np.where(below, u / force * q, q + (u - force) / (1 - force) * (1 - q))
    factor = np.where(below, q / force, (1 - q) / (1 - force))
    return np.where(use, pushed, u), np.where(use, factor, 1.0)
