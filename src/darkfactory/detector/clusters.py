"""Calorimeter clusters: merging of close showers, then smearing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.detector.deposits import Deposits, wrap
from darkfactory.detector.flat import Columns
from darkfactory.detector.geometry import ecl_region

__all__ = ["Clusters", "cluster", "merge_labels", "separation_probability"]

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

# beyond this many widths above a50 two showers are two clusters
_FAR = 6.0


@dataclass(frozen=True, eq=False)
class Clusters(Columns):
    """Reconstructed clusters; ``owner`` is the row of the charged candidate, -1 if neutral."""

    e: Floats
    theta: Floats
    phi: Floats
    time: Floats
    dt99: Floats
    region: Ints
    owner: Ints
    photon_like: Bools
    truth: Ints
    truth_pdg: Ints


def separation_probability(angle: Floats, detector: DetectorConfig) -> Floats:
    """Probability that two showers at an opening angle in rad are two clusters."""
    ecl, mrad = detector.ecl, 1e3 * np.asarray(angle)
    rise = 1 / (1 + np.exp(-(mrad - ecl.separation_a50_mrad.value) / ecl.separation_w_mrad.value))
    return np.where(mrad < ecl.separation_min_mrad.value, 0.0, rise)


def merge_labels(deposits: Deposits, detector: DetectorConfig, rng: np.random.Generator) -> Ints:
    """Label of each deposit (the first row of its cluster); deposits are ordered by event.

    Every pair of an event is merged with its probability; merging is transitive.
    """
    n = len(deposits)
    labels = np.arange(n)
    if n == 0:
        return labels
    widest = 1e-3 * (detector.ecl.separation_a50_mrad.value + _FAR * detector.ecl.separation_w_mrad.value)
    sine = np.sin(deposits.theta)
    unit = np.stack([sine * np.cos(deposits.phi), sine * np.sin(deposits.phi), np.cos(deposits.theta)], axis=1)
    most = int(np.bincount(deposits.event).max())
    first: list[Ints] = []
    second: list[Ints] = []
    for step in range(1, most):
        near = deposits.event[step:] == deposits.event[:-step]
        near &= np.abs(deposits.theta[step:] - deposits.theta[:-step]) < widest
        i = np.flatnonzero(near)
        # chord length rather than the angle's cosine: exact for small angles
        i = i[np.sum((unit[i + step] - unit[i]) ** 2, axis=1) < widest**2]
        first.append(i)
        second.append(i + step)
    a = np.concatenate(first) if first else np.zeros(0, dtype=np.int64)
    b = np.concatenate(second) if second else np.zeros(0, dtype=np.int64)
    chord = np.linalg.norm(unit[a] - unit[b], axis=1)
    apart = separation_probability(2 * np.arcsin(np.minimum(chord / 2, 1.0)), detector)
    joined = rng.random(len(a)) >= apart
    a, b = a[joined], b[joined]
    while len(a) > 0:
        least = np.minimum(labels[a], labels[b])
        before = labels.copy()
        np.minimum.at(labels, a, least)
        np.minimum.at(labels, b, least)
        if np.array_equal(before, labels):
            break
    return labels


def _merge(deposits: Deposits, labels: Ints, detector: DetectorConfig) -> tuple[Deposits, Ints]:
    """One row per cluster, and the cluster's row of every deposit."""
    n = len(deposits)
    _, of = np.unique(labels, return_inverse=True)
    if len(of) == 0 or int(of.max()) + 1 == n:
        return deposits, np.arange(n)
    size = int(of.max()) + 1
    total = np.bincount(of, weights=deposits.e, minlength=size).astype(np.float64)
    # the last of each cluster in this order: the most energetic, and the most energetic of the charged ones
    by_energy = np.argsort(deposits.e, kind="stable")
    leader = np.zeros(size, dtype=np.int64)
    leader[of[by_energy]] = by_energy
    owner = np.full(size, -1, dtype=np.int64)
    charged = by_energy[deposits.owner[by_energy] >= 0]
    owner[of[charged]] = deposits.owner[charged]
    sine = np.sin(deposits.theta)
    weight = np.maximum(deposits.e, 1e-12)
    x, y, z = (
        np.bincount(of, weights=weight * c, minlength=size)
        for c in (sine * np.cos(deposits.phi), sine * np.sin(deposits.phi), np.cos(deposits.theta))
    )
    head = deposits.take(leader)
    single = head.e >= 0.9 * total
    merged = Deposits(
        event=head.event,
        e=total,
        theta=np.arctan2(np.hypot(x, y), z),
        phi=np.arctan2(y, x),
        late=head.late,
        like=np.where(single, head.like, detector.ecl.photon_like.merged.value),
        owner=owner,
        truth=head.truth,
        truth_pdg=head.truth_pdg,
    )
    return merged, of


def cluster(
    deposits: Deposits,
    n_charged: int,
    detector: DetectorConfig,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> tuple[Clusters, Floats]:
    """Merge and smear deposits that are ordered by event.

    Args:
        deposits: deposits of all events.
        n_charged: number of charged candidates to which ``owner`` points.
        detector: the detector.
        options: resolution and scale factors.
        rng: random numbers.

    Returns:
        Clusters above threshold, and the cluster energy of each charged candidate (0 without a cluster).
    """
    ecl = detector.ecl
    merged, of = _merge(deposits, merge_labels(deposits, detector, rng), detector)
    n = len(merged)
    energy = np.maximum(merged.e, 1e-3)
    sigma = ecl.energy_resolution(E=energy) * options.photon_resolution_scale
    tail = rng.random(n) < ecl.low_tail_fraction.value
    below = np.where(tail, ecl.low_tail_slope_sigma.value * rng.exponential(size=n), 0.0)
    g = rng.normal(size=(4, n))
    e = merged.e * np.maximum(1 + sigma * (g[0] - below), 0.0) * options.photon_energy_scale
    angle = 1e-3 * options.photon_resolution_scale
    theta = merged.theta + angle * ecl.theta_mrad(E=energy) * g[1]
    theta = np.abs(np.pi - np.abs(np.pi - theta))
    phi = wrap(merged.phi + angle * ecl.phi_mrad(E=energy) * g[2])
    region = ecl_region(theta, detector.acceptance)
    # a shower at the rim is not smeared out of the calorimeter
    region = np.where(region == 0, ecl_region(merged.theta, detector.acceptance), region)
    at = np.maximum(e, ecl.threshold_gev.value)
    kept = (e > ecl.threshold_gev.value) & (region > 0)
    clusters = Clusters(
        event=merged.event,
        e=e,
        theta=theta,
        phi=phi,
        time=merged.late + ecl.time_ns(E=at) * g[3],
        dt99=ecl.dt99_ns(E=at),
        region=region,
        owner=merged.owner,
        photon_like=rng.random(n) < merged.like,
        truth=merged.truth,
        truth_pdg=merged.truth_pdg,
    ).take(kept)
    of_track = np.zeros(n_charged)
    charged = deposits.owner >= 0
    of_track[deposits.owner[charged]] = np.where(kept, e, 0.0)[of[charged]]
    return clusters, of_track
