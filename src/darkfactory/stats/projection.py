"""A workspace at another luminosity, and the signal that would be seen there."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkfactory.config.projection import SystematicsRule
from darkfactory.core.errors import InputError
from darkfactory.stats.histfactory import FloatArray, compile_workspaces
from darkfactory.stats.likelihood import expected
from darkfactory.stats.newton import Backend
from darkfactory.stats.scan import base_fits

__all__ = ["discovery_reach", "expected_counts", "projected_workspace"]

_STEPS = 40
_CLOSE = 1e-4


def _around_one(data: Mapping[str, float], factor: float) -> dict[str, float]:
    return {side: 1 + factor * (float(data[side]) - 1) for side in ("hi", "lo")}


def _modifier(m: Mapping[str, Any], nominal: FloatArray, ratio: float, rule: SystematicsRule) -> dict[str, Any] | None:
    """A modifier at ``ratio`` times the luminosity, None where the rule leaves it out."""
    kind, data = m["type"], m.get("data")
    if kind in ("normfactor", "shapefactor"):
        return dict(m)
    if kind == "staterror":
        if rule.simulation == "unlimited":
            return None
        scale = ratio if rule.simulation == "kept" else math.sqrt(ratio)
        return {**m, "data": (np.asarray(data, dtype=float) * scale).tolist()}
    if rule.drop:
        return None
    factor = 1.0 if m["name"] in rule.fixed else rule.factor(ratio)
    if kind == "lumi":
        return dict(m)
    if kind == "normsys":
        return {**m, "data": _around_one(dict(data or {}), factor)}
    if kind == "histosys":
        shifts = {k: np.asarray(v, dtype=float) - nominal for k, v in dict(data or {}).items()}
        return {**m, "data": {k: (ratio * (nominal + factor * v)).tolist() for k, v in shifts.items()}}
    if kind == "shapesys":
        return {**m, "data": (np.asarray(data, dtype=float) * ratio * factor).tolist()}
    raise InputError(f"projection: modifier {m['name']} of type {kind} has no rule; HistFactory has no such type")


def projected_workspace(spec: Mapping[str, Any], ratio: float, rule: SystematicsRule) -> dict[str, Any]:
    """The workspace with ``ratio`` times the data, observing what it expects without signal.

    One unit of the parameter of interest stays what it was in physical units: the signal grows with the data.

    Args:
        spec: complete HistFactory workspace.
        ratio: new luminosity over old.
        rule: what becomes of the uncertainties.

    Raises:
        InputError: no positive ratio.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> rule = SystematicsRule(drop=True, simulation="unlimited", source="assumed")
        >>> there = projected_workspace(counting_window(7, 5.0, signal=2.0), 10.0, rule)
        >>> there["observations"][0]["data"], there["channels"][0]["samples"][0]["data"]
        ([50.0], [20.0])
    """
    if not ratio > 0:
        raise InputError(f"projection: the ratio of luminosities is {ratio}; it must be above 0")
    result = copy.deepcopy(dict(spec))
    for channel in result["channels"]:
        for sample in channel["samples"]:
            nominal = np.asarray(sample["data"], dtype=float)
            made = (_modifier(m, nominal, ratio, rule) for m in sample["modifiers"])
            sample["modifiers"] = [m for m in made if m is not None]
            sample["data"] = (nominal * ratio).tolist()
    left = {m["name"] for c in result["channels"] for s in c["samples"] for m in s["modifiers"]}
    for measurement in result["measurements"]:
        parameters = [dict(p) for p in measurement["config"].get("parameters", []) if p["name"] in left]
        for parameter in parameters:
            if "sigmas" in parameter and parameter["name"] not in rule.fixed:
                parameter["sigmas"] = [s * rule.factor(ratio) for s in parameter["sigmas"]]
        measurement["config"] = {**measurement["config"], "parameters": parameters}
    counts = expected_counts(result, 0.0)
    result["observations"] = [{**o, "data": counts[o["name"]]} for o in result["observations"]]
    return result


def expected_counts(spec: Mapping[str, Any], mu: float) -> dict[str, list[float]]:
    """Counts by channel that a workspace expects at its initial parameters and a signal strength.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> list(expected_counts(counting_window(7, 5.0, signal=2.0), 1.5).values())
        [[8.0]]
    """
    groups, refused = compile_workspaces([spec])
    for error in refused.values():
        raise error
    m = groups[0].batch
    theta = m.init.copy()
    theta[:, m.structure.poi] = mu
    rates = expected(m, theta, tuple(b.g_init for b in m.blocks))
    return {block.name: nu[0].tolist() for block, nu in zip(m.structure.blocks, rates, strict=True)}


def discovery_reach(
    spec: Mapping[str, Any], significances: Sequence[float], guess: float, backend: Backend = "numpy"
) -> list[float | None]:
    """Signal strengths whose median excess has the given local significances (asymptotic formula, Asimov data).

    Args:
        spec: workspace; its observation is not used.
        significances: in standard deviations.
        guess: about the expected error of the signal strength, a start value.
        backend: of the fits.

    Returns:
        One strength each, None where the search for it does not end.

    Example:
        Cowan et al., Eur. Phys. J. C 71 (2011) 1554, eq. 97, for s on b = 100:

        >>> from darkfactory.stats.examples import counting_window
        >>> [mu] = discovery_reach(counting_window(100, 100.0, signal=1.0), [5.0], 10.0)
        >>> round((2 * ((mu + 100) * math.log(1 + mu / 100) - mu)) ** 0.5, 3)
        5.0
    """
    return [_reach(spec, z, guess * z, backend) for z in significances]


def _reach(spec: Mapping[str, Any], z: float, mu: float, backend: Backend) -> float | None:
    """Secant steps in the logarithms of strength and significance, whose slope is about one."""
    before: tuple[float, float] | None = None
    for _ in range(_STEPS):
        counts = expected_counts(spec, mu)
        with_signal = {**spec, "observations": [{**o, "data": counts[o["name"]]} for o in spec["observations"]]}
        batch = compile_workspaces([with_signal])[0][0].batch
        base = base_fits(batch, batch.observed, backend=backend)
        q0 = float(base.q0[0])
        if not base.ok[0] or not math.isfinite(q0):
            return None
        if q0 <= 0:
            mu *= 10.0
            continue
        x, y = math.log(mu), 0.5 * math.log(q0)
        if abs(y - math.log(z)) < _CLOSE:
            return mu
        slope = 1.0 if before is None or x == before[0] else (y - before[1]) / (x - before[0])
        step = (math.log(z) - y) / min(max(slope, 0.2), 2.0)
        before = x, y
        mu = math.exp(x + min(max(step, -3.0), 3.0))
    return None
