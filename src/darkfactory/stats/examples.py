"""Synthetic workspaces of the kinds that the searches fit, for tests, benchmarks and the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

import numpy as np

__all__ = ["bump_window", "counting_window", "plane_window", "template_window", "two_minima_window", "workspace"]

_LUMI = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.01], "bounds": [[0.5, 1.5]], "inits": [1.0]}


def _norm(name: str) -> dict[str, Any]:
    return {"name": name, "type": "normfactor", "data": None}


def _normsys(name: str, hi: float, lo: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"hi": hi, "lo": lo}}


def _histosys(name: str, hi: np.ndarray, lo: np.ndarray) -> dict[str, Any]:
    return {"name": name, "type": "histosys", "data": {"hi_data": hi.tolist(), "lo_data": lo.tolist()}}


def _sample(name: str, data: np.ndarray, modifiers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"name": name, "data": np.asarray(data, dtype=float).tolist(), "modifiers": list(modifiers)}


def workspace(
    channels: Mapping[str, Sequence[Mapping[str, Any]]], observed: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """A complete HistFactory workspace with parameter of interest ``mu`` from samples and observations per channel.

    Example:
        >>> workspace({"sr": []}, {"sr": np.array([1.0])})["observations"]
        [{'name': 'sr', 'data': [1.0]}]
    """
    types = {m["type"] for samples in channels.values() for s in samples for m in s["modifiers"]}
    return {
        "channels": [{"name": name, "samples": list(samples)} for name, samples in channels.items()],
        "observations": [{"name": k, "data": np.asarray(v, dtype=float).tolist()} for k, v in observed.items()],
        "measurements": [{"name": "limit", "config": {"poi": "mu", "parameters": [_LUMI] if "lumi" in types else []}}],
        "version": "1.0.0",
    }


def bump_window(
    seed: int, *, events: float = 2000.0, bins: int = 50, injected: float = 0.0, signal_scale: float = 1.0
) -> dict[str, Any]:
    """Kind A: a peak on four Bernstein polynomials with free norms; luminosity, four normsys, two histosys.

    Args:
        seed: of the observation.
        events: expected background.
        bins: number of bins.
        injected: signal strength in the data.
        signal_scale: multiplies the signal template (1: about the square root of the background under the peak).

    Example:
        >>> len(bump_window(1)["channels"][0]["samples"])
        5
    """
    rng = np.random.default_rng(seed)
    x = (np.arange(bins) + 0.5) / bins
    peak = np.exp(-0.5 * ((x - 0.5) / 0.04) ** 2)
    peak /= peak.sum()
    shapes = [comb(3, k) * x**k * (1 - x) ** (3 - k) for k in range(4)]
    shapes = [events * (0.25 + 0.05 * rng.random()) * b / b.sum() for b in shapes]
    background = np.sum(shapes, axis=0)
    signal = peak * np.sqrt((background * peak).sum() / (peak**2).sum())
    broad = np.exp(-0.5 * ((x - 0.5) / 0.044) ** 2)
    narrow = np.exp(-0.5 * ((x - 0.5) / 0.036) ** 2)
    shifted = [np.exp(-0.5 * ((x - 0.5 - d) / 0.04) ** 2) for d in (0.002, -0.002)]
    up, down, wide, slim = (signal.sum() * v / v.sum() for v in (*shifted, broad, narrow))
    k = signal_scale
    modifiers = [
        _norm("mu"),
        {"name": "lumi", "type": "lumi", "data": None},
        _normsys("efficiency", 1.05, 0.94),
        _normsys("tracking", 1.02, 0.98),
        _normsys("trigger", 1.03, 0.975),
        _normsys("photon", 1.01, 0.985),
        _histosys("mass_scale", k * up, k * down),
        _histosys("resolution", k * wide, k * slim),
    ]
    samples = [_sample("signal", k * signal, modifiers)]
    samples += [_sample(f"bernstein{i}", b, [_norm(f"c{i}")]) for i, b in enumerate(shapes)]
    return workspace({"sr": samples}, {"sr": rng.poisson(background + injected * signal)})


def template_window(seed: int, *, events: float = 2000.0, bins: int = 50, staterror: bool = True) -> dict[str, Any]:
    """Kind B: a peak on four simulated backgrounds with shared systematics and, per bin, MC statistics.

    Example:
        >>> len(template_window(1, bins=10)["observations"][0]["data"])
        10
    """
    rng = np.random.default_rng(seed)
    x = (np.arange(bins) + 0.5) / bins
    return _templates(rng, x, np.exp(-0.5 * ((x - 0.5) / 0.05) ** 2), x, events, staterror, 4)


def plane_window(
    seed: int, *, events: float = 3000.0, shape: tuple[int, int] = (20, 10), staterror: bool = False
) -> dict[str, Any]:
    """Kind C: a two-dimensional window, unrolled, with two backgrounds.

    Example:
        >>> len(plane_window(1, shape=(4, 3))["observations"][0]["data"])
        12
    """
    rng = np.random.default_rng(seed)
    u, v = (a.ravel() for a in np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij"))
    peak = np.exp(-0.5 * ((u - 0.5) / 0.08) ** 2 - 0.5 * ((v - 0.4) / 0.2) ** 2)
    return _templates(rng, u, peak, v, events, staterror, 2)


def _templates(
    rng: np.random.Generator, u: np.ndarray, peak: np.ndarray, v: np.ndarray, events: float, staterror: bool, count: int
) -> dict[str, Any]:
    peak = peak / peak.sum()
    raw = [np.exp(-(k + 0.5) * u) * (1 + 0.3 * k * v) for k in range(count)]
    share = np.array([0.55, 0.25, 0.15, 0.05][:count])
    backgrounds = [events * f * b / b.sum() for f, b in zip(share / share.sum(), raw, strict=True)]
    total = np.sum(backgrounds, axis=0)
    signal = peak * np.sqrt((total * peak).sum() / (peak**2).sum())
    smeared = 0.9 * signal + 0.1 * signal.mean()
    modifiers = [
        _norm("mu"),
        {"name": "lumi", "type": "lumi", "data": None},
        _normsys("efficiency", 1.05, 0.95),
        _histosys("resolution", smeared, np.maximum(2 * signal - smeared, 0.0)),
    ]
    samples = [_sample("signal", signal, modifiers)]
    for i, b in enumerate(backgrounds):
        extra = [
            {"name": "lumi", "type": "lumi", "data": None},
            _normsys("tracking", 1.02, 0.98),
            _normsys(f"cross_section{i}", 1.1, 0.9),
            _histosys("tilt", b * (1 + 0.1 * (u - 0.5)), b * (1 - 0.12 * (u - 0.5))),
        ]
        if i == 0:
            extra.append(_norm("norm0"))
        if staterror:
            extra.append({"name": "mc", "type": "staterror", "data": np.sqrt(b / 8).tolist()})
        samples.append(_sample(f"background{i}", b, extra))
    return workspace({"sr": samples}, {"sr": rng.poisson(total)})


def counting_window(
    n: float, background: float, error: float = 0.0, *, signal: float = 1.0, signal_error: float = 0.0
) -> dict[str, Any]:
    """Kind D: one bin, with a Gaussian (normsys) relative error on background and signal.

    Args:
        n: observed events.
        background: expected events.
        error: its relative error.
        signal: events of one unit of signal.
        signal_error: its relative error.

    Example:
        >>> counting_window(3, 1.5)["observations"][0]["data"]
        [3.0]
    """
    b_mods = [_normsys("background_norm", 1 + error, 1 / (1 + error))] if error > 0 else []
    s_mods = [_norm("mu")]
    if signal_error > 0:
        s_mods.append(_normsys("signal_norm", 1 + signal_error, 1 / (1 + signal_error)))
    samples = [_sample("signal", np.array([signal]), s_mods), _sample("background", np.array([background]), b_mods)]
    return workspace({"sr": samples}, {"sr": np.array([float(n)])})


def two_minima_window(tilt: float = 1.0, *, slope: float = 0.2, events: float = 20.0) -> dict[str, Any]:
    """A window that two values of a nuisance describe: both its directions raise a bin that lies high.

    The other two bins tell the directions apart, as far as ``tilt`` shifts their data; the signal is three times as
    large in the first of them.

    Args:
        tilt: events moved from the third to the second bin; the minima are equally deep at zero if ``slope`` is zero.
        slope: how much more the first bin is raised in the positive direction, where a search from the nominal value
            goes then.
        events: expected in each of the other bins.

    Example:
        >>> two_minima_window(tilt=2.0)["observations"][0]["data"]
        [170.0, 22.0, 18.0]
    """
    nominal = np.array([100.0, events, events])
    up = nominal * np.array([3.0 + slope, 0.6, 1.4])
    down = nominal * np.array([3.0 - slope, 1.4, 0.6])
    signal = _sample("signal", np.array([0.0, 3.0, 1.0]), [_norm("mu")])
    background = _sample("background", nominal, [_histosys("shape", up, down)])
    return workspace({"sr": [signal, background]}, {"sr": np.array([170.0, events + tilt, events - tilt])})
