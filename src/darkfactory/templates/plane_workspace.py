"""One-bin workspaces of the windows of a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.ellipses import EllipsesConfig
from darkfactory.config.points import parse_point
from darkfactory.templates.workspace import MEASUREMENT, NO_SIGNAL, POI, PointWorkspace

__all__ = ["REGION", "window_workspaces"]

Array = NDArray[np.float64]

REGION = "window"
"""Name of the one channel."""


def _size(name: str, relative: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"lo": 1.0 / (1.0 + relative), "hi": 1.0 + relative}}


def _parameters(config: EllipsesConfig, luminosity_uncertainty: float) -> list[dict[str, Any]]:
    u = float(luminosity_uncertainty)
    bounds = [[max(1.0 - 8.0 * u, 0.01), 1.0 + 8.0 * u]]
    return [
        {"name": POI, "inits": [1.0], "bounds": [[float(b) for b in config.poi_bounds]]},
        {"name": "lumi", "auxdata": [1.0], "sigmas": [u], "inits": [1.0], "bounds": bounds},
    ]


def window_workspaces(
    hypothesis: str,
    points: Sequence[str],
    efficiency: Array,
    backgrounds: Mapping[str, tuple[Array, Array, float]],
    observed: Array,
    config: EllipsesConfig,
    *,
    luminosity: float,
    luminosity_uncertainty: float,
    data: str,
) -> dict[str, PointWorkspace]:
    """A counting workspace for each window.

    Args:
        hypothesis: kind of signal.
        points: names of the windows.
        efficiency: of selection and ellipse, one per window.
        backgrounds: by sample: expected events and their statistical error in each window, and the relative error of
            the sample's cross-section.
        observed: events in each window.
        config: the section.
        luminosity: in 1/fb.
        luminosity_uncertainty: relative.
        data: ``pseudo``, ``asimov`` or ``real``.
    """
    lumi = {"name": "lumi", "type": "lumi", "data": None}
    signal = [{"name": POI, "type": "normfactor", "data": None}, lumi]
    signal += [_size(n, t.value) for n, t in sorted(config.systematics.signal.items())]
    common = [lumi, *(_size(n, t.value) for n, t in sorted(config.systematics.background.items()))]
    yields = {}
    for name, (_, _, error) in backgrounds.items():
        own = config.normalisations.get(name, config.default_normalisation)
        yields[name] = _size(f"norm_{name}", float(np.hypot(own.value, error)))
    names = sorted(backgrounds)
    totals = np.array([backgrounds[n][0] for n in names]) if names else np.zeros((0, len(points)))
    parameters = _parameters(config, luminosity_uncertainty)
    built = {}
    for i, point in enumerate(points):
        b = float(totals[:, i].sum())
        events = float(np.sqrt(max(b, 1.0)))
        per_fb = float(efficiency[i]) * luminosity
        error = float(np.sqrt(sum(backgrounds[n][1][i] ** 2 for n in names)))
        samples = [{"name": "signal", "data": [events], "modifiers": signal}]
        # all of the statistical error on one sample: it is one parameter of the one bin
        largest = names[int(np.argmax(totals[:, i]))] if names else ""
        kept = [n for n in names if n == largest or float(backgrounds[n][0][i]) >= config.negligible]
        small = b - sum(float(backgrounds[n][0][i]) for n in kept)
        for name in kept:
            value = float(backgrounds[name][0][i]) + (max(small, 0.0) if name == largest else 0.0)
            modifiers = [*common, yields[name]]
            if name == largest and error > 0:
                modifiers.append({"name": f"staterror_{REGION}", "type": "staterror", "data": [error]})
            samples.append({"name": name, "data": [max(value, 1e-9)], "modifiers": modifiers})
        spec = {
            "channels": [{"name": REGION, "samples": samples}],
            "observations": [{"name": REGION, "data": [float(observed[i])]}],
            "measurements": [{"name": MEASUREMENT, "config": {"poi": POI, "parameters": parameters}}],
            "version": "1.0.0",
        }
        ok = per_fb > 0
        built[f"{hypothesis}/{point}"] = PointWorkspace(
            hypothesis, point, parse_point(point), REGION, "ok" if ok else "no_sensitivity", spec if ok else None,
            events / per_fb if ok else 0.0, events if ok else 0.0, b, float(efficiency[i]), ((0.0, 1.0),), (True,),
            (b / error) ** 2 / b if error > 0 and b > 0 else 0.0, (), None, None, data,
            reason="" if ok else NO_SIGNAL,
        )  # fmt: skip
    return built
