"""Synthetic look-alikes of basf2 ntuples with muon pairs of known recoil mass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import uproot

from darkfactory.physics.beams import BeamFrame

M_MU = 0.1056583755


def write_tree(path: Path, trees: dict[str, dict[str, np.ndarray]]) -> Path:
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        for name, columns in trees.items():
            tree = file.mktree(name, {k: v.dtype for k, v in columns.items()})
            n = len(next(iter(columns.values())))
            for start in range(0, n, 700):
                tree.extend({k: v[start : start + 700] for k, v in columns.items()})
    return path


def muon_pairs(recoil: np.ndarray, frame: BeamFrame, seed: int = 1) -> np.ndarray:
    """Laboratory momenta (n, 2, 3) of muons from a pair of 2 GeV that recoils against the given masses."""
    rng = np.random.default_rng(seed)
    n, pair = len(recoil), 2.0

    def direction(low: float, high: float) -> np.ndarray:
        cosine, phi = rng.uniform(low, high, n), rng.uniform(-np.pi, np.pi, n)
        sine = np.sqrt(1 - cosine**2)
        return np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine], axis=1)

    s = frame.sqrts**2
    p = np.sqrt((s - (recoil + pair) ** 2) * (s - (recoil - pair) ** 2)) / (2 * frame.sqrts)
    of_pair = p[:, None] * direction(-0.3, 0.3)
    e_pair = np.sqrt(pair**2 + p**2)
    star = np.sqrt(pair**2 / 4 - M_MU**2) * direction(-0.8, 0.8)
    muons = []
    for sign in (1, -1):
        # boost from the rest frame of the pair to the centre of mass
        along = np.einsum("ij,ij->i", of_pair, sign * star) / pair
        momentum = sign * star + of_pair * (along / (e_pair + pair) + 0.5)[:, None]
        energy = np.sqrt(M_MU**2 + np.einsum("ij,ij->i", momentum, momentum))
        muons.append(frame.to_lab(np.concatenate([energy[:, None], momentum], axis=1))[:, 1:])
    return np.stack(muons, axis=1)


def _index(event: np.ndarray, candidate: np.ndarray, announced: np.ndarray, experiment: int) -> dict[str, np.ndarray]:
    n = len(event)
    return {
        "__experiment__": np.full(n, experiment, dtype=np.int32),
        "__run__": np.full(n, 3, dtype=np.int32),
        "__event__": event.astype(np.int32),
        "__candidate__": candidate.astype(np.int32),
        "__ncandidates__": announced.astype(np.int32),
        "__weight__": np.ones(n),
    }


def _muon(p: np.ndarray, charge: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    columns = {
        "px": p[:, 0], "py": p[:, 1], "pz": p[:, 2],
        "charge": charge.astype(float),
        "dr": np.full(len(p), 0.01), "dz": np.full(len(p), -0.1),
        "muonID": np.full(len(p), 0.97), "electronID": np.full(len(p), np.nan),
        "clusterE": np.where(np.arange(len(p)) % 3 == 0, np.nan, 0.2),
        "mcPDG": -13.0 * charge,
    }  # fmt: skip
    return {prefix + name: values for name, values in columns.items()}


def _photon(n: int, prefix: str = "", seed: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = {
        "clusterE": rng.uniform(0.02, 0.09, n),
        "clusterTheta": rng.uniform(0.6, 2.0, n),
        "clusterPhi": rng.uniform(-3, 3, n),
        "clusterTiming": rng.normal(0, 5, n),
        "clusterErrorTiming": np.full(n, 30.0),
        "clusterReg": np.full(n, 2.0),
        "clusterZernikeMVA": np.where(np.arange(n) % 2 == 0, 0.9, np.nan),
    }
    return {prefix + name: values for name, values in columns.items()}


def particle_lists(momenta: np.ndarray, experiment: int = 20) -> dict[str, dict[str, np.ndarray]]:
    """One row an object: two muons in every event, 0, 1 or 2 photons; the last event has a photon only."""
    n = len(momenta)
    event = np.repeat(np.arange(1, n + 1), 2)
    charge = np.tile([1, -1], n)
    muons = _index(event, np.tile([0, 1], n), np.full(2 * n, 2), experiment)
    muons |= _muon(momenta.reshape(-1, 3), charge)
    muons["L1PSNM__bolml0__bc"] = np.repeat(np.arange(n) % 2, 2).astype(float)
    count = np.append(np.arange(n) % 3, 1)
    of = np.repeat(np.arange(1, n + 2), count)
    candidate = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    photons = _index(of, candidate, np.repeat(count, count), experiment) | _photon(len(of))
    return {"mu": muons, "gamma": photons}


def candidate_tree(momenta: np.ndarray, experiment: int = 1003) -> dict[str, dict[str, np.ndarray]]:
    """One row a candidate: the same muons with 1 to 3 different photons, the order of the muons changing."""
    n = len(momenta)
    count = np.arange(n) % 3 + 1
    row = np.repeat(np.arange(n), count)
    candidate = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    columns = _index(row + 1, candidate, count[row], experiment)
    swap = candidate % 2
    for i, prefix in enumerate(("mu0_", "mu1_")):
        which = np.where(swap == 1, 1 - i, i)
        columns |= _muon(momenta[row, which], 1 - 2 * which, prefix)
        # of a track all rows say the same
        columns[prefix + "clusterE"] = np.full(len(row), 0.2)
    columns |= _photon(len(row), "gamma0_")
    # a candidate without photon
    columns["gamma0_clusterE"][candidate == 2] = np.nan
    columns["allNan"] = np.full(len(row), np.nan)
    return {"variables": columns}
