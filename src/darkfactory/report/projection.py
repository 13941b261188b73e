"""Figure of a projection: expected limits by mass, one line a luminosity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from darkfactory.report.style import figure

__all__ = ["projection_figure"]

Row = Mapping[str, Any]


def _luminosity(fb: float) -> str:
    return rf"{fb / 1000:g} ab$^{{-1}}$" if fb >= 1000 else rf"{fb:g} fb$^{{-1}}$"


def _curve(rows: Sequence[Row], column: str) -> tuple[np.ndarray, np.ndarray]:
    good = [r for r in rows if r.get(column) is not None]
    return np.array([float(r["mass_gev"]) for r in good]), np.array([float(r[column]) for r in good])


def projection_figure(rows: Sequence[Row], *, ylabel: str, dataset: str, rule: str, reach: str) -> Figure:
    """Median expected limits at each luminosity, and the signal that the largest one would discover.

    Args:
        rows: of one quantity and one level, all luminosities.
        ylabel: text of the y axis.
        dataset: whose selection and trigger are projected.
        rule: name of the rule for systematic uncertainties.
        reach: column of the discovery reach, ``reach_5p0``.
    """
    fig, ax = figure()
    luminosities = sorted({float(r["luminosity_fb"]) for r in rows})
    colours = mpl.colormaps["viridis"](np.linspace(0.9, 0.05, len(luminosities)))
    for colour, luminosity in zip(colours, luminosities, strict=True):
        own = [r for r in rows if float(r["luminosity_fb"]) == luminosity]
        ax.plot(*_curve(own, "expected"), color=colour, lw=1.4, label=_luminosity(luminosity))
    last = [r for r in rows if float(r["luminosity_fb"]) == luminosities[-1]]
    sigmas = reach.removeprefix("reach_").replace("p", ".").removesuffix(".0")
    ax.plot(*_curve(last, reach), "k:", lw=1.2, label=rf"{sigmas}$\sigma$ at {_luminosity(luminosities[-1])}")
    ax.set(yscale="log", xlabel="mass [GeV]", ylabel=ylabel)
    level = f"{float(rows[0]['cl']):.0%} CL"
    ax.set_title(f"{dataset} selection, expected, {level}, projection ({rule})", loc="left", fontsize=9)
    ax.legend(fontsize=8, ncols=2)
    return fig
