"""Truth events for tests of the detector response, independent of the package's generators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from scipy.optimize import curve_fit

from darkfactory.config.detector import BeamsConfig, DetectorConfig
from darkfactory.config.load import read_yaml
from darkfactory.physics.beams import BeamFrame, beam_frame, beam_momenta, cm_to_lab

Floats = npt.NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[2]
M_MU = 0.1056583755


def detector_yaml(name: str = "belle2") -> dict[str, Any]:
    return read_yaml(ROOT / "config" / "detectors" / f"{name}.yaml")


def detector(name: str = "belle2") -> DetectorConfig:
    return DetectorConfig.model_validate(detector_yaml(name))


def nominal_frame(beams: BeamsConfig) -> BeamFrame:
    return beam_frame(beams.e_her_gev.value, beams.e_ler_gev.value, 1e-3 * beams.half_crossing_mrad.value)


def record(p4: Floats, pdg: list[int], vertex: Floats | None = None) -> ak.Array:
    """Events with the same final particles: p4 (n, k, 4) in the laboratory, vertex (n, k, 3) in cm."""
    n, k = p4.shape[:2]
    p, v = p4.reshape(-1, 4), np.zeros((n * k, 3)) if vertex is None else vertex.reshape(-1, 3)
    flat = {
        "pdg": np.tile(pdg, n).astype("i4"), "status": np.ones(n * k, "i1"), "mother": np.full(n * k, -1, "i4"),
        "px": p[:, 1], "py": p[:, 2], "pz": p[:, 3], "e": p[:, 0], "vx": v[:, 0], "vy": v[:, 1], "vz": v[:, 2],
    }  # fmt: skip
    particles = ak.unflatten(ak.zip(flat), np.full(n, k))
    return ak.zip({"weight": np.ones(n), "event_id": np.arange(n), "particles": particles}, depth_limit=1)


def single(pdg: int, mass: float, p: float, theta_deg: float | Floats, n: int, rng: np.random.Generator) -> ak.Array:
    """n events with one particle of given momentum and polar angle, uniform in azimuth."""
    theta, phi = np.broadcast_to(np.radians(theta_deg), n), rng.uniform(-np.pi, np.pi, n)
    three = p * np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    return record(np.concatenate([np.full((n, 1), np.hypot(p, mass)), three], axis=1)[:, None, :], [pdg])


def isotropic(n: int, rng: np.random.Generator) -> Floats:
    c, f = rng.uniform(-1, 1, n), rng.uniform(-np.pi, np.pi, n)
    s = np.sqrt(1 - c * c)
    return np.stack([s * np.cos(f), s * np.sin(f), c], axis=1)


def boost(p: Floats, parent: Floats) -> Floats:
    """From the rest frame of the parents (n, 4)."""
    mass = np.sqrt(parent[:, 0] ** 2 - np.sum(parent[:, 1:] ** 2, axis=1))
    e = (p[:, 0] * parent[:, 0] + np.sum(p[:, 1:] * parent[:, 1:], axis=1)) / mass
    f = (p[:, 0] + e) / (parent[:, 0] + mass)
    return np.concatenate([e[:, None], p[:, 1:] + f[:, None] * parent[:, 1:]], axis=1)


def colliding(n: int, beams: BeamsConfig, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Beam momenta with their energy spread, and sqrt(s)."""
    her = beams.e_her_gev.value + beams.sigma_e_her_gev.value * rng.normal(size=n)
    ler = beams.e_ler_gev.value + beams.sigma_e_ler_gev.value * rng.normal(size=n)
    electron, positron = beam_momenta(her, ler, 1e-3 * beams.half_crossing_mrad.value)
    total = electron + positron
    return electron, positron, np.sqrt(total[:, 0] ** 2 - np.sum(total[:, 1:] ** 2, axis=1))


def alp_events(mass: float, n: int, beams: BeamsConfig, rng: np.random.Generator) -> ak.Array:
    """e+ e- -> gamma a, 1 + cos^2, a -> gamma gamma isotropic; the first photon is the recoiling one."""
    electron, positron, sqrts = colliding(n, beams, rng)
    c = rng.uniform(-1, 1, 4 * n)
    c = c[2 * rng.random(4 * n) < 1 + c * c][:n]
    s, f = np.sqrt(1 - c * c), rng.uniform(-np.pi, np.pi, n)
    axis = np.stack([s * np.cos(f), s * np.sin(f), c], axis=1)
    k = (sqrts**2 - mass**2) / (2 * sqrts)
    photon = np.concatenate([k[:, None], k[:, None] * axis], axis=1)
    alp = np.concatenate([np.hypot(k, mass)[:, None], -k[:, None] * axis], axis=1)
    half = 0.5 * mass * np.concatenate([np.ones((n, 1)), isotropic(n, rng)], axis=1)
    other = half * np.array([1.0, -1.0, -1.0, -1.0])
    legs = np.stack([photon, boost(half, alp), boost(other, alp)], axis=1)
    return record(cm_to_lab(legs, electron, positron), [22, 22, 22])


def zprime_events(mass: float, n: int, beams: BeamsConfig, rng: np.random.Generator) -> ak.Array:
    """e+ e- -> mu mu Z', the Born Dalitz density of a vector coupling to muons, isotropic orientation.

    T_V summed over spins with s = 1, x_i = 2 E_i, u = 1 - x1, v = 1 - x2.
    """
    electron, positron, sqrts = colliding(n, beams, rng)
    s = float(np.mean(sqrts)) ** 2
    a, r = M_MU**2 / s, mass**2 / s
    low, high = np.log((np.sqrt(a) + np.sqrt(r)) ** 2 - a), np.log(1 - 2 * np.sqrt(a))
    chosen: list[Floats] = []
    top = 0.0
    while sum(len(c) for c in chosen) < n:
        u, v = np.exp(rng.uniform(low, high, (2, 100_000)))
        p1, p2 = (np.sqrt(np.maximum((1 - w) ** 2 - 4 * a, 0)) for w in (u, v))
        third2 = (u + v) ** 2 - 4 * r
        cosine = (third2 - p1**2 - p2**2) / (2 * p1 * p2 + 1e-30)
        t = (8 * (u * u + v * v) + 16 + 32 * r + 16 * r * r - 64 * a * a) / (u * v)
        t -= 8 * (u * u + v * v) / (u * v) ** 2 * (r + 2 * a + 2 * a * r + 4 * a * a)
        t -= 16 * (u + v) / (u * v) * (1 + r + 2 * a)
        inside = (third2 > 0) & (np.abs(cosine) <= 1) & (p1 > 0) & (p2 > 0)
        w = np.where(inside, t * u * v, 0.0)
        top = max(top, 1.1 * float(w.max()))
        keep = rng.random(len(w)) * top < w
        chosen.append(np.stack([1 - u, 1 - v, cosine], axis=1)[keep])
    x1, x2, cosine = np.concatenate(chosen)[:n].T
    e1, e2 = x1 * sqrts / 2, x2 * sqrts / 2
    d1, across = isotropic(n, rng), isotropic(n, rng)
    across -= np.sum(across * d1, axis=1)[:, None] * d1
    across /= np.linalg.norm(across, axis=1)[:, None]
    d2 = cosine[:, None] * d1 + np.sqrt(1 - cosine**2)[:, None] * across
    q1 = np.concatenate([e1[:, None], np.sqrt(e1**2 - M_MU**2)[:, None] * d1], axis=1)
    q2 = np.concatenate([e2[:, None], np.sqrt(e2**2 - M_MU**2)[:, None] * d2], axis=1)
    q3 = np.concatenate([(sqrts - e1 - e2)[:, None], -(q1 + q2)[:, 1:]], axis=1)
    return record(cm_to_lab(np.stack([q1, q2, q3], axis=1), electron, positron), [13, -13, 9900032])


def half_width_68(x: Floats) -> float:
    low, high = np.percentile(x, [15.865, 84.135])
    return float(high - low) / 2


def _crystal_ball(x: Floats, size: float, mean: float, sigma: float, alpha: float) -> Floats:
    order = 5.0
    t = (x - mean) / sigma
    joint = (order / alpha) ** order * np.exp(-0.5 * alpha**2)
    tail = joint * np.maximum(order / alpha - alpha - np.minimum(t, -alpha), 1e-9) ** -order
    return size * np.where(t > -alpha, np.exp(-0.5 * np.minimum(t * t, 100.0)), tail)


def core_width(x: Floats) -> float:
    """Sigma of a Crystal Ball fitted to a histogram, as signal shapes are."""
    middle, width = float(np.median(x)), half_width_68(x)
    counts, edges = np.histogram(x, 60, (middle - 4 * width, middle + 3 * width))
    centres = 0.5 * (edges[1:] + edges[:-1])
    start = (float(counts.max()), middle, width, 1.0)
    bounds = ([0, middle - 2 * width, width / 5, 0.3], [np.inf, middle + 2 * width, 3 * width, 5.0])
    found, _ = curve_fit(_crystal_ball, centres, counts, start, sigma=np.sqrt(counts + 1.0), bounds=bounds)
    return float(found[2])


def narrow_double_gaussian(x: Floats) -> float:
    """Weighted sigma of two Gaussians with one mean, as the published recoil widths are quoted."""
    width = half_width_68(x)
    counts, edges = np.histogram(x, 60, (np.median(x) - 5 * width, np.median(x) + 5 * width))
    centres = 0.5 * (edges[1:] + edges[:-1])

    def shape(y: Floats, size: float, mean: float, s1: float, s2: float, f: float) -> Floats:
        parts = [g / s * np.exp(-0.5 * ((y - mean) / s) ** 2) for g, s in ((f, s1), (1 - f, s2))]
        return size * (parts[0] + parts[1])

    start = (float(counts.max()) * width, float(np.median(x)), 0.8 * width, 2 * width, 0.7)
    low = [0, -np.inf, width / 10, width / 10, 0.0]
    high = [np.inf, np.inf, 10 * width, 10 * width, 1.0]
    found, _ = curve_fit(shape, centres, counts, start, sigma=np.sqrt(counts + 1.0), bounds=(low, high))
    return float(found[4] * found[2] + (1 - found[4]) * found[3])
