"""Models and phase-space points for the tests of amplitudes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darkfactory.config.load import read_yaml, validate
from darkfactory.config.model import ModelConfig
from darkfactory.generate.amplitude.engine import Amplitude, compile_amplitude

NEW = ("Zp", "S", "phiL", "a", "Ap", "hp", "pi0", "eta", "etap")
SQRT_S = 10.58


def dark_qed() -> ModelConfig:
    path = Path(__file__).parents[2] / "config" / "models" / "dark_qed.yaml"
    return validate(ModelConfig, read_yaml(path))


def make(final: Sequence[str], allow: Sequence[str] = (), **options: Any) -> Amplitude:
    """Amplitude of e- e+ -> final without internal new particles but those allowed."""
    return compile_amplitude(
        dark_qed(), ["e-", "e+"], final, exclude_internal=[n for n in NEW if n not in allow], **options
    )


def boosted(p: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Boost p (n, 4) by velocities (n, 3)."""
    b2 = (beta**2).sum(1)
    gamma = 1 / np.sqrt(1 - b2)
    bp = (beta * p[:, 1:]).sum(1)
    factor = gamma**2 / (1 + gamma) * bp + gamma * p[:, 0]
    return np.column_stack([gamma * (p[:, 0] + bp), p[:, 1:] + factor[:, None] * beta])


def two_body(total: np.ndarray, m1: np.ndarray | float, m2: np.ndarray | float, rng: np.random.Generator) -> tuple:
    """Isotropic decay of momenta (n, 4)."""
    n = len(total)
    s = total[:, 0] ** 2 - (total[:, 1:] ** 2).sum(1)
    root = np.sqrt(s)
    k = np.sqrt(np.maximum((s - (m1 + m2) ** 2) * (s - (m1 - m2) ** 2), 0)) / (2 * root)
    c, phi = rng.uniform(-1, 1, n), rng.uniform(-np.pi, np.pi, n)
    st = np.sqrt(1 - c * c)
    v = k[:, None] * np.column_stack([st * np.cos(phi), st * np.sin(phi), c])
    a = np.column_stack([np.sqrt(k**2 + m1**2), v])
    b = np.column_stack([np.sqrt(k**2 + m2**2), -v])
    beta = total[:, 1:] / total[:, :1]
    return boosted(a, beta), boosted(b, beta)


def points(amplitude: Amplitude, n: int, seed: int = 1, masses: Sequence[float] | None = None) -> np.ndarray:
    """Points that cover phase space, without the right density, in the centre-of-mass frame."""
    rng = np.random.default_rng(seed)
    m = [leg.mass for leg in amplitude.legs[2:]] if masses is None else list(masses)
    me = amplitude.legs[0].mass
    pz = np.sqrt(SQRT_S**2 / 4 - me**2)
    p = np.zeros((n, len(m) + 2, 4))
    p[:, :2, 0] = SQRT_S / 2
    p[:, 0, 3], p[:, 1, 3] = pz, -pz
    rest = np.zeros((n, 4))
    rest[:, 0] = SQRT_S
    left = np.full(n, SQRT_S)
    for i in range(len(m) - 2):
        low = sum(m[i + 1 :])
        mass = low + (left - m[i] - low) * rng.uniform(0.05, 0.95, n)
        p[:, i + 2], rest = two_body(rest, m[i], mass, rng)
        left = mass
    p[:, -2], p[:, -1] = two_body(rest, m[-2], m[-1], rng)
    # exactly on shell
    p[:, 2:, 0] = np.sqrt((p[:, 2:, 1:] ** 2).sum(2) + np.array(m) ** 2)
    return p


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Minkowski product over the last axis."""
    return 2 * a[..., 0] * b[..., 0] - (a * b).sum(-1)
