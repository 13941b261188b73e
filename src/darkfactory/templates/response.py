"""Templates of backgrounds whose true spectrum is known: spectrum times efficiency, folded with a response.

Counting simulated events wastes what is known without them. With a truth x of known density f and an observable
y = R x the template is the integral of f(x) e(x) g(R | x); events need only tell the efficiency e, a polynomial, and
the density g of the response: ln R less its mean, over its width, is one function for all x. What they leave open is
the covariance of the template under leaving out groups of them (jackknife); its leading directions become variations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkfactory.config.response import ResponseConfig
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray, Histogram

__all__ = ["Response", "ResponseEvents", "lepton_spectrum", "response_template"]

_NODES = 400
_EFFICIENCY_BINS = 24
_PULL_BINS = 800
_LARGEST_PULL = 12.0
_LEAST_EVENTS = 200.0


@dataclass(frozen=True, eq=False)
class ResponseEvents:
    """Selected events of one sample in its region.

    Attributes:
        observable, truth, weight: one entry each.
        group: number of the group that it is left out with.
    """

    observable: FloatArray
    truth: FloatArray
    weight: FloatArray
    group: NDArray[np.integer]


@dataclass(frozen=True)
class Response:
    """A template and how well it stands.

    Attributes:
        histogram: contents, with variations ``template_<k>`` and ``template_closure``; the variance is what the
            directions leave.
        chi2: of counted events against the template, in the bins that are not counted anyway.
        bins: number of bins that chi2 has.
        gain: variance of counted events over that of the template, of these bins together.
    """

    histogram: Histogram
    chi2: float
    bins: int
    gain: float


def lepton_spectrum(x: ArrayLike, lepton_mass: float, tau_mass: float) -> FloatArray:
    """Density of x = 2 E/m_tau of the lepton of tau -> l nu nu, unpolarised, V-A (PDG, muon decay parameters).

    With z = E/E_max and z_0 = m_l/E_max: sqrt(z^2 - z_0^2) (z (1 - z) + (4 z^2 - 3 z - z_0^2)/6).

    Args:
        x: 2 E/m_tau.
        lepton_mass: GeV.
        tau_mass: GeV.

    Example:
        Without a mass 2 x^2 (3 - 2 x):

        >>> lepton_spectrum(np.array([0.5, 1.0]), 0.0, 1.777).round(4).tolist()
        [1.0, 2.0]
    """
    top = 1 + (lepton_mass / tau_mass) ** 2
    z, z0 = np.asarray(x, dtype=float) / top, 2 * (lepton_mass / tau_mass) / top
    inside = (z >= z0) & (z <= 1)
    z = np.where(inside, z, 1.0)
    value = np.sqrt(z * z - z0 * z0) * (z * (1 - z) + (4 * z * z - 3 * z - z0 * z0) / 6)
    norm = _norm(z0) * top
    return np.asarray(np.where(inside, value / norm, 0.0))


def _norm(z0: float) -> float:
    z = np.linspace(z0, 1.0, 20001)
    value = np.sqrt(np.maximum(z * z - z0 * z0, 0.0)) * (z * (1 - z) + (4 * z * z - 3 * z - z0 * z0) / 6)
    return float(np.sum(0.5 * (value[1:] + value[:-1]) * np.diff(z)))


def _line(x: FloatArray, y: FloatArray, w: FloatArray) -> tuple[float, float]:
    """Weighted straight line: intercept and slope."""
    s, sx, sy = float(w.sum()), float((w * x).sum()), float((w * y).sum())
    sxx, sxy = float((w * x * x).sum()), float((w * x * y).sum())
    det = s * sxx - sx * sx
    slope = (s * sxy - sx * sy) / det if det > 0 else 0.0
    return (sy - slope * sx) / s, slope


def _template(
    own: ResponseEvents, pooled: Sequence[ResponseEvents], edges: FloatArray, config: ResponseConfig
) -> FloatArray:
    mass = config.lepton_mass.value, config.tau_mass.value
    low, high = 2 * mass[0] / mass[1], 1 + (mass[0] / mass[1]) ** 2
    # efficiency: selected over known spectrum
    steps = np.linspace(low, high, _EFFICIENCY_BINS * 50 + 1)
    density = lepton_spectrum(0.5 * (steps[1:] + steps[:-1]), *mass)
    known = (density * np.diff(steps)).reshape(_EFFICIENCY_BINS, 50).sum(axis=1)
    bins = steps[::50]
    selected = np.histogram(own.truth, bins, weights=own.weight)[0]
    squares = np.histogram(own.truth, bins, weights=own.weight**2)[0]
    mean_weight = float(np.sum(own.weight**2) / np.sum(own.weight))
    error = np.sqrt(squares + mean_weight**2) / known
    centre = 2 * (0.5 * (bins[1:] + bins[:-1]) - low) / (high - low) - 1
    fit = np.polynomial.legendre.legfit(centre, selected / known, config.efficiency_order, w=1 / error)
    nodes = np.linspace(low, high, _NODES + 1)
    x, width = 0.5 * (nodes[1:] + nodes[:-1]), np.diff(nodes)
    efficiency = np.polynomial.legendre.legval(2 * (x - low) / (high - low) - 1, fit)
    number = lepton_spectrum(x, *mass) * width * np.maximum(efficiency, 0.0)
    # response: all samples alike
    events = [own, *pooled]
    truth, weight = (np.concatenate([getattr(e, n) for e in events]) for n in ("truth", "weight"))
    ratio = np.log(np.concatenate([e.observable for e in events]) / truth)
    a, b = _line(truth, ratio, weight)
    rest = ratio - a - b * truth
    c, d = _line(truth, rest * rest, weight)
    floor = 0.1 * float(np.sum(weight * rest * rest) / np.sum(weight))
    pull = rest / np.sqrt(np.maximum(c + d * truth, floor))
    grid = np.linspace(-_LARGEST_PULL, _LARGEST_PULL, _PULL_BINS + 1)
    content = np.histogram(np.clip(pull, -_LARGEST_PULL, _LARGEST_PULL), grid, weights=weight)[0]
    cumulative = np.concatenate([[0.0], np.cumsum(content)]) / float(content.sum())
    logs = np.log(np.maximum(edges, 1e-9))
    at = (logs[None, :] - np.log(x)[:, None] - (a + b * x)[:, None]) / np.sqrt(np.maximum(c + d * x, floor))[:, None]
    below = np.interp(at, grid, cumulative)
    return np.asarray(np.sum(number[:, None] * np.diff(below, axis=1), axis=0))


def _without(events: ResponseEvents, group: int) -> ResponseEvents:
    keep = events.group != group
    return ResponseEvents(events.observable[keep], events.truth[keep], events.weight[keep], events.group[keep])


def response_template(
    counted: Histogram, own: ResponseEvents, pooled: Sequence[ResponseEvents], config: ResponseConfig, where: str = ""
) -> Response:
    """The template of a background with a known true spectrum.

    Args:
        counted: its events in the bins, with variations of weights; these scale the template bin by bin.
        own: its events.
        pooled: events of other samples with the same response.
        config: spectrum, groups, components.
        where: region and sample, for messages.

    Raises:
        RunError: too few events.
    """
    effective = float(own.weight.sum()) ** 2 / max(float(np.sum(own.weight**2)), 1e-300)
    if effective < _LEAST_EVENTS:
        raise RunError(
            f"{where}: {effective:.0f} effective events tell no response; generate more (at least {_LEAST_EVENTS:.0f} "
            "must be selected) or leave out `response`"
        )
    edges, g = counted.edges[0], config.groups
    plain = edges[1:] <= config.counted_below + 1e-9
    nominal = np.where(plain, counted.sumw, _template(own, pooled, edges, config))
    left = []
    for k in range(g):
        rest = _without(own, k)
        scale = float(own.weight.sum()) / float(rest.weight.sum())
        folded = scale * _template(rest, [_without(e, k) for e in pooled], edges, config)
        left.append(np.where(plain, counted.sumw, folded))
    apart = np.array(left) - np.mean(left, axis=0)
    covariance = (g - 1) / g * apart.T @ apart
    # the yield as a whole floats: only the shape is uncertain
    values, vectors = np.linalg.eigh(covariance)
    variations: dict[str, FloatArray] = {}
    kept = np.zeros(len(nominal))
    for k in range(min(config.components, len(values))):
        vector = vectors[:, -1 - k] * np.sqrt(max(float(values[-1 - k]), 0.0))
        vector = vector * np.sign(vector[np.argmax(np.abs(vector))])
        kept += vector**2
        variations |= {
            f"template_{k}_up": np.maximum(nominal + vector, 0.0),
            f"template_{k}_down": np.maximum(nominal - vector, 0.0),
        }
    scale = float(nominal[~plain].sum()) / max(float(counted.sumw[~plain].sum()), 1e-300)
    difference = np.where(plain, 0.0, counted.sumw * scale - nominal)
    variations |= {
        "template_closure_up": np.maximum(nominal + difference, 0.0),
        "template_closure_down": np.maximum(nominal - difference, 0.0),
    }
    ratio = np.where(counted.sumw > 0, nominal / np.where(counted.sumw > 0, counted.sumw, 1.0), 1.0)
    variations |= {name: varied * ratio for name, varied in counted.variations.items()}
    left_over = np.where(plain, counted.sumw2, np.maximum(np.diag(covariance) - kept, 0.0))
    filled = (counted.sumw2 > 0) & ~plain
    chi2 = float(np.sum(difference[filled] ** 2 / counted.sumw2[filled]))
    gain = float(counted.sumw2[~plain].sum()) / max(float(np.trace(covariance)), 1e-300)
    histogram = Histogram(counted.edges, nominal, left_over, variations, counted.n_generated)
    return Response(histogram, chi2, int(filled.sum()), gain)
