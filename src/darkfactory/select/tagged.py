"""Candidate ``tagged_hadron``: a hadron of a B beside a hadronic tag, and nothing else.

After the searches for invisible particles in B -> h X, arXiv:2601.07104, and in B decays to baryons, Phys. Rev. D 105,
L051101, Phys. Rev. D 107, 092001 and Phys. Rev. Lett. 131, 201801. All tracks of the event that are not the tag's make
the hadron: an event with more of them has no candidate. The B on the signal side has the energy of a beam and the
momentum opposite to the tag's, in the CM of the nominal beams.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import ObjectsConfig, TaggedConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import TAG, require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import (
    M_D0,
    M_DS,
    M_KPLUS,
    M_LAMBDA,
    M_LAMBDA_C,
    M_PIPLUS,
    M_PROTON,
)
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.kaon_pair import with_mass
from darkfactory.select.objects import Array, Flat, cm_matrix, flatten, good_photons, good_tracks, photon_p4, transform
from darkfactory.select.vectors import dot3, mass2, modulus, signed_root

__all__ = ["FINALS", "HADRONS", "OBSERVABLES", "Final", "assignments", "tagged_hadron"]

Ints = NDArray[np.int64]
_TRACK = ("charge", "px", "py", "pz", "d0", "z0", "is_e", "is_mu", "is_pi", "is_k", "is_p")
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")
_SPECIES = {"pi": (M_PIPLUS, "is_pi"), "K": (M_KPLUS, "is_k"), "p": (M_PROTON, "is_p")}

HADRONS = ("pi", "K", "p", "D_s", "D0", "Lambda", "Lambda_c", "Lambda_c_pi")
"""Hadrons in the order of the observable ``hadron``."""


@dataclass(frozen=True)
class Final:
    """What a hadron decays to.

    Attributes:
        hadron: one of ``HADRONS``.
        tracks: species and sign of charge of each, for the hadron of a B+ or a B0.
        mass: of the hadron, GeV; of a hadron and a pion that of the hadron.
        bachelor: the last track is beside the hadron.
        prompt: whether tracks come from the interaction point.
        pi0: whether a pi0 is among the products.
    """

    hadron: str
    tracks: tuple[tuple[str, int], ...]
    mass: float
    bachelor: bool = False
    prompt: bool = True
    pi0: bool = False

    @property
    def charged(self) -> bool:
        """Whether the B has a charge."""
        return sum(sign for _, sign in self.tracks) != 0


FINALS: tuple[Final, ...] = (
    Final("pi", (("pi", 1),), M_PIPLUS),
    Final("K", (("K", 1),), M_KPLUS),
    Final("p", (("p", 1),), M_PROTON),
    Final("D_s", (("K", 1), ("K", -1), ("pi", 1)), M_DS),
    Final("D0", (("K", 1), ("pi", -1)), M_D0),
    Final("D0", (("K", 1), ("pi", -1)), M_D0, pi0=True),
    Final("D0", (("K", 1), ("pi", -1), ("pi", 1), ("pi", -1)), M_D0),
    Final("Lambda", (("p", 1), ("pi", -1)), M_LAMBDA, prompt=False),
    Final("Lambda_c", (("p", 1), ("K", -1), ("pi", 1)), M_LAMBDA_C),
    Final("Lambda_c_pi", (("p", 1), ("K", -1), ("pi", 1), ("pi", -1)), M_LAMBDA_C, bachelor=True),
)
"""All final states that are built."""


def assignments(tracks: tuple[tuple[str, int], ...]) -> list[tuple[int, ...]]:
    """Orders of the tracks of an event, each another assignment to the products; equal products once.

    Args:
        tracks: species and sign of charge of the products.

    Returns:
        Per assignment, which track each product is.

    Example:
        >>> assignments((("K", 1), ("pi", -1)))
        [(0, 1), (1, 0)]
        >>> len(assignments((("K", 1), ("pi", -1), ("pi", 1), ("pi", -1))))
        12
    """
    found = []
    for order in itertools.permutations(range(len(tracks))):
        equal = itertools.combinations(range(len(tracks)), 2)
        if all(order[i] < order[j] for i, j in equal if tracks[i] == tracks[j]):
            found.append(order)
    return found


@dataclass(frozen=True)
class _Event:
    """Flat objects of many events: tracks that count, photons, CM momenta of both."""

    tracks: Flat
    three: Array
    prompt: NDArray[np.bool_]
    photons: Flat
    photon_cm: Array
    to_cm: Array


def _pi0s(event: _Event, config: TaggedConfig) -> tuple[Ints, Ints, Ints, Array]:
    """Event, photons and CM momentum of the pi0 with the mass closest to the middle of its range, one an event."""
    low, high = config.pi0_mass if config.pi0_mass is not None else (0.0, 0.0)
    photons, p = event.photons, event.photon_cm
    counts = photons.counts()
    starts = np.cumsum(counts) - counts
    repeats = counts[photons.event]
    one = np.repeat(np.arange(len(photons.event)), repeats)
    within = np.arange(len(one)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    two = starts[photons.event[one]] + within
    one, two = one[one < two], two[one < two]
    total = p[one] + p[two]
    away = np.abs(signed_root(mass2(total)) - 0.5 * (low + high))
    inside = away < 0.5 * (high - low)
    one, two, total, away = one[inside], two[inside], total[inside], away[inside]
    order = np.lexsort((one, away, photons.event[one]))
    _, first = np.unique(photons.event[one][order], return_index=True)
    best = order[first]
    return photons.event[one[best]], one[best], two[best], total[best]


@dataclass(frozen=True)
class _Found:
    """Candidates of one final state."""

    event: Ints
    number: Ints
    four: Array
    delta_m: Array
    identified: Array
    lepton: Array
    charge: Ints
    asymmetry: Array
    d0: Array
    used_energy: Array


def _combine(final: Final, event: _Event, config: TaggedConfig) -> _Found:
    """Candidates of a final state; of several of an event the one with most identified tracks, then in mass."""
    tracks, n = event.tracks, len(final.tracks)
    events = np.flatnonzero(tracks.counts() == n)
    extra = np.zeros((len(events), 4))
    used = np.zeros(len(events))
    if final.pi0:
        of, one, two, total = _pi0s(event, config)
        place = np.searchsorted(of, events)
        has = (place < len(of)) & (of[np.minimum(place, max(len(of) - 1, 0))] == events) if len(of) else used > 1
        events, place = events[has], place[has]
        extra, used = total[place], event.photons["e"][one[place]] + event.photons["e"][two[place]]
    starts = (np.cumsum(tracks.counts()) - tracks.counts())[events]
    signs = np.array([sign for _, sign in final.tracks])
    parts: list[_Found] = []
    for order in assignments(final.tracks):
        rows = np.stack([starts + i for i in order], axis=1)
        charge = np.sign(tracks["charge"][rows]).astype(np.int64)
        sense = charge[:, 0] * signs[0]
        good = (charge == sense[:, None] * signs[None, :]).all(axis=1)
        if final.prompt:
            good &= event.prompt[rows].all(axis=1)
        rows, at = rows[good], np.flatnonzero(good)
        inner = len(final.tracks) - int(final.bachelor)
        four = extra[at].copy()
        for i, (species, _) in enumerate(final.tracks[:inner]):
            four += transform(with_mass(event.three[rows[:, i]], _SPECIES[species][0]), event.to_cm)
        m = signed_root(mass2(four))
        # the hadron's own mass is known better than it is measured
        four[:, 0] = np.sqrt(dot3(four, four) + final.mass**2)
        if final.bachelor:
            four += transform(with_mass(event.three[rows[:, -1]], M_PIPLUS), event.to_cm)
        flags = [tracks[_SPECIES[species][1]][rows[:, i]] for i, (species, _) in enumerate(final.tracks)]
        size = [np.sqrt((event.three[rows[:, i]] ** 2).sum(axis=1)) for i in range(min(n, 2))]
        parts.append(
            _Found(
                events[at], np.full(len(at), HADRONS.index(final.hadron)), four, m - final.mass,
                np.min(flags, axis=0).astype(float),
                np.max([tracks[f][rows] for f in ("is_e", "is_mu")], axis=0).any(axis=1).astype(float),
                sense[good] * int(signs.sum()) if final.charged else np.zeros(len(at), dtype=np.int64),
                (size[0] - size[-1]) / np.maximum(size[0] + size[-1], 1e-12),
                np.abs(tracks["d0"][rows]).max(axis=1), used[at],
            )
        )  # fmt: skip
    names = list(_Found.__dataclass_fields__)
    joined = _Found(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
    if n > 1:
        keep = np.abs(joined.delta_m) <= config.max_delta_m[final.hadron]  # type: ignore[index]  # checked there
        joined = _Found(*(getattr(joined, name)[keep] for name in names))
    order_by = np.lexsort((np.abs(joined.delta_m), -joined.identified, joined.event))
    _, first = np.unique(joined.event[order_by], return_index=True)
    return _Found(*(getattr(joined, name)[order_by[first]] for name in names))


def tagged_hadron(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """A hadron that has all tracks of the event beside a tag; one candidate for each of the hadrons asked for.

    ``objects.tracks`` are those of the interaction point; tracks that are not, within the same limits of transverse
    momentum and angle, count as tracks of the event. ``objects.photons`` are those of the extra energy.

    Raises:
        ConfigError: ``objects.tagged`` is absent.
        InputError: events without tags.
    """
    require_fields(events, "tracks", "clusters", "klm_clusters", *TAG)
    config = objects.tagged
    if config is None:
        raise ConfigError("candidate tagged_hadron needs the hadrons that it may be", where="objects.tagged")
    found = flatten(events["tracks"], _TRACK)
    tracks = found.where(good_tracks(found, objects.tracks.model_copy(update={"max_d0": None, "max_z0": None})))
    clusters = flatten(events["clusters"], _CLUSTER)
    photons = clusters.where(good_photons(clusters, objects.photons))
    to_cm = cm_matrix(frame)
    flat = _Event(
        tracks,
        np.stack([tracks["px"], tracks["py"], tracks["pz"]], axis=-1),
        good_tracks(tracks, objects.tracks),
        photons,
        transform(photon_p4(photons), to_cm),
        to_cm,
    )
    wanted = [f for f in FINALS if f.hadron in config.hadrons and (not f.pi0 or config.pi0_mass is not None)]
    parts = [_combine(final, flat, config) for final in wanted]
    names = list(_Found.__dataclass_fields__)
    made = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    order = np.lexsort((made["number"], made["event"]))
    made = {name: values[order] for name, values in made.items()}
    # of several final states of a hadron the one closest in mass
    keys = made["event"] * len(HADRONS) + made["number"]
    best = np.lexsort((np.abs(made["delta_m"]), -made["identified"], keys))
    _, first = np.unique(keys[best], return_index=True)
    made = {name: values[best[first]] for name, values in made.items()}
    event = made["event"]
    tag = {name: ak.to_numpy(events[name])[event].astype(np.float64) for name in TAG}
    b = np.stack([np.full(len(event), frame.sqrts / 2), *(-tag[f"tag_{c}"] for c in ("px", "py", "pz"))], axis=-1)
    energy = np.bincount(photons.event, weights=photons["e"], minlength=len(events))[event]
    basis: dict[str, np.ndarray] = {
        "b": b,
        "h": made["four"],
        "missing": transform(b - made["four"], np.ascontiguousarray(frame.to_lab(np.eye(4)))),
        "axis": np.stack([np.zeros(len(event)), *(tag[f"tag_{c}"] for c in ("ax", "ay", "az"))], axis=-1),
        "hadron": made["number"].astype(float),
        "extra": energy - made["used_energy"] + tag["tag_extra"],
        "klm": ak.to_numpy(ak.num(events["klm_clusters"], axis=1))[event].astype(float),
        "charges": made["charge"] * tag["tag_charge"],
        **{k: made[k] for k in ("delta_m", "identified", "lepton", "asymmetry", "d0")},
        **{k: tag[k] for k in ("tag_m_bc", "tag_delta_e", "tag_charge")},
    }
    return Candidates(event, np.arange(len(event)) - np.searchsorted(event, event, side="left"), basis)


def _momentum(b: Array, h: Array) -> Array:
    """Momentum of the hadron in the frame of the B: from its energy there, (b . h)/m_B."""
    m_b = signed_root(mass2(b))
    energy = (b[:, 0] * h[:, 0] - dot3(b, h)) / m_b
    return np.asarray(np.sqrt(np.maximum(energy**2 - mass2(h), 0.0)))


def _cosine(a: Array, b: Array) -> Array:
    return np.asarray(np.minimum(np.abs(dot3(a, b)) / np.maximum(modulus(a) * modulus(b), 1e-12), 1.0))


OBSERVABLES: tuple[Observable, ...] = (
    Observable("m2_x", "GeV^2", ("b", "h"), lambda b, h: mass2(b - h), (-2.0, 28.0),
               "squared mass of what is missing beside the hadron in the B, from its momentum there"),
    Observable("p_h", "GeV", ("b", "h"), _momentum, (0.0, 3.0), "momentum of the hadron in the rest frame of the B"),
    Observable("hadron", "1", ("hadron",), lambda x: x, (-0.5, len(HADRONS) - 0.5), f"number of the hadron: {HADRONS}"),
    Observable("m_bc", "GeV", ("tag_m_bc",), lambda x: x, (5.2, 5.3), "beam-constrained mass of the tag"),
    Observable("delta_e", "GeV", ("tag_delta_e",), lambda x: x, (-0.2, 0.2),
               "CM energy of the tag less that of a beam"),
    Observable("tag_charge", "1", ("tag_charge",), np.abs, (-0.5, 1.5), "modulus of the charge of the tag"),
    Observable("charge_product", "1", ("charges",), lambda x: x, (-1.5, 1.5), "charge of the hadron times the tag's"),
    Observable("e_extra", "GeV", ("extra",), lambda x: x, (0.0, 3.0),
               "calorimeter energy beside tag and hadron, laboratory"),
    Observable("n_klm", "1", ("klm",), lambda x: x, (-0.5, 5.5), "neutral clusters of the muon system"),
    Observable("identified", "1", ("identified",), lambda x: x, (-0.5, 1.5),
               "1 where all tracks are identified as what they are taken for"),
    Observable("lepton", "1", ("lepton",), lambda x: x, (-0.5, 1.5),
               "1 where a track is identified as an electron or a muon"),
    Observable("delta_m", "GeV", ("delta_m",), lambda x: x, (-0.1, 0.1),
               "mass of the hadron's products less that of the hadron"),
    Observable("asymmetry", "1", ("asymmetry",), lambda x: x, (-1.0, 1.0),
               "difference of the momenta of the first two tracks over their sum"),
    Observable("d0_max", "cm", ("d0",), lambda x: x, (0.0, 5.0), "largest transverse impact parameter of the tracks"),
    Observable("cos_thrust", "1", ("h", "axis"), _cosine, (0.0, 1.0),
               "modulus of the cosine between the hadron and the axis of the tag's particles, CM"),
    Observable("cos_missing", "1", ("missing",), lambda p: p[:, 3] / np.maximum(modulus(p), 1e-12), (-1.0, 1.0),
               "cosine of the missing momentum, laboratory"),
)  # fmt: skip
"""All observables of this candidate."""
