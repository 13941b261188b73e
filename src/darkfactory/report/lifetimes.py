"""Figures of searches for long-lived particles: limits by lifetime, and regions of a coupling by mass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from darkfactory.report.style import COLOURS, figure, stamp

__all__ = ["lifetime_figure", "region_figure"]

Row = Mapping[str, Any]


def lifetime_figure(
    families: Mapping[str, Sequence[Row]], *, dataset: str, luminosity_fb: float, data: str, ylabel: str, xlabel: str,
    column: str,
) -> Figure:  # fmt: skip
    """Limits against a lifetime, one curve a family: expected (median) dashed, observed with markers.

    Args:
        families: label to rows of limits.csv.
        dataset: name of the dataset, for the label.
        luminosity_fb: luminosity in /fb.
        data: kind of data.
        ylabel: text of the y axis.
        xlabel: text of the x axis.
        column: column of the lifetime.
    """
    fig, ax = figure()
    for i, (label, rows) in enumerate(families.items()):
        ok = sorted((r for r in rows if r["status"] == "ok"), key=lambda r: float(r[column]))
        x = [float(r[column]) for r in ok]
        colour = COLOURS[i % len(COLOURS)]
        ax.plot(x, [float(r["expected"]) for r in ok], "--", color=colour, lw=1.0)
        ax.plot(x, [float(r["observed"]) for r in ok], "-", color=colour, lw=1.2, marker="o", ms=2.5, label=label)
    ax.plot([], [], "k--", lw=1.0, label="expected (median)")
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    drawn = [
        float(r[c]) for rows in families.values() for r in rows if r["status"] == "ok" for c in ("observed", "expected")
    ]
    if drawn:
        # limits rise without end where nothing is left of a lifetime: four decades show the fall-off
        ax.set_ylim(min(drawn) / 2, min(2 * max(drawn), 1e4 * min(drawn)))
    stamp(ax, dataset, luminosity_fb, data)
    ax.legend(loc="upper center")
    return fig


def region_figure(
    families: Mapping[str, tuple[Sequence[Row], Sequence[Row]]], *, dataset: str, luminosity_fb: float, data: str,
    ylabel: str, xlabel: str,
) -> Figure:  # fmt: skip
    """Excluded regions of a coupling by mass: observed filled, expected (median) as an outline.

    An interval whose end is the end of what was scanned has an open marker there.

    Args:
        families: label to the observed and to the expected rows, with mass_gev, lower and upper.
        dataset: name of the dataset, for the label.
        luminosity_fb: luminosity in /fb.
        data: kind of data.
        ylabel: text of the y axis.
        xlabel: text of the x axis.
    """
    fig, ax = figure()
    for i, (label, (observed, expected)) in enumerate(families.items()):
        colour = COLOURS[i % len(COLOURS)]
        # masses without a region break the lines
        ordered = sorted(observed, key=lambda r: float(r["mass_gev"]))
        shown = [r for r in ordered if r["lower"] is not None]
        mass = np.array([float(r["mass_gev"]) for r in ordered])
        low, high = (np.array([np.nan if r[k] is None else float(r[k]) for r in ordered]) for k in ("lower", "upper"))
        if len(shown) > 1:
            ax.fill_between(mass, low, high, color=colour, alpha=0.25, lw=0)
        there = np.isfinite(low)
        ax.vlines(mass[there], low[there], high[there], color=colour, lw=1.0)
        ax.plot(mass, low, "o-", color=colour, ms=3, lw=1.0, label=label)
        ax.plot(mass, high, "o-", color=colour, ms=3, lw=1.0)
        edge = [r for r in shown if r["status"] != "ok"]
        for r in edge:
            ax.plot([r["mass_gev"]] * 2, [r["lower"], r["upper"]], "s", color=colour, mfc="none", ms=6)
        dashed = sorted(expected, key=lambda r: float(r["mass_gev"]))
        for side in ("lower", "upper"):
            edges = [np.nan if r[side] is None else float(r[side]) for r in dashed]
            ax.plot([float(r["mass_gev"]) for r in dashed], edges, "--", color=colour, lw=0.8)
    ax.plot([], [], "k--", lw=0.8, label="expected (median)")
    ax.plot([], [], "ks", mfc="none", ms=6, label="ends where the scan does")
    ax.set(yscale="log", xlabel=xlabel, ylabel=ylabel)
    masses = [float(r["mass_gev"]) for rows, _ in families.values() for r in rows]
    if masses and max(masses) > 30 * min(masses):
        ax.set_xscale("log")
    if masses and not any(r["lower"] is not None for pair in families.values() for rows in pair for r in rows):
        ax.set_xlim(min(masses), max(masses))
        ax.text(0.5, 0.4, "nothing is excluded", transform=ax.transAxes, ha="center")
    stamp(ax, dataset, luminosity_fb, data)
    ax.legend()
    return fig
