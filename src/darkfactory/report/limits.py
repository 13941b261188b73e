"""Figures of limits: bands by mass, couplings with overlays, local significance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from darkfactory.report.style import COLOURS, figure, stamp

__all__ = ["Curve", "coupling_figure", "limit_figure", "significance_figure"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """A curve or band to lay over a figure: ``low`` is None for a line."""

    label: str
    mass: tuple[float, ...]
    high: tuple[float, ...]
    low: tuple[float, ...] | None = None


def _column(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([np.nan if r[name] is None else float(r[name]) for r in rows])


def _band(ax: Axes, rows: Sequence[Row], cl: float) -> None:
    ok = [r for r in rows if r["status"] == "ok"]
    m = _column(ok, "mass_gev")
    ax.fill_between(
        m, _column(ok, "expected_m2"), _column(ok, "expected_p2"), color="#f5d76e", label=r"expected $\pm2\sigma$"
    )
    ax.fill_between(
        m, _column(ok, "expected_m1"), _column(ok, "expected_p1"), color="#7fbf7b", label=r"expected $\pm1\sigma$"
    )
    ax.plot(m, _column(ok, "expected"), "k--", lw=1.2, label="expected (median)")
    ax.plot(m, _column(ok, "observed"), "k-", lw=1.2, marker="o", ms=2.5, label=f"observed, {cl:.0%} CL")


def _missing(ax: Axes, rows: Sequence[Row]) -> None:
    """Mark the points without a limit on the mass axis: nothing is left out silently."""
    lost = [float(r["mass_gev"]) for r in rows if r["status"] != "ok"]
    if lost:
        ax.plot(lost, np.full(len(lost), 0.02), "x", color="#a94f4f", transform=ax.get_xaxis_transform(), clip_on=False)
        ax.plot([], [], "x", color="#a94f4f", label="no limit (see limits.csv)")


def limit_figure(
    rows: Sequence[Row], *, dataset: str, luminosity_fb: float, data: str, ylabel: str, xlabel: str,
    curves: Sequence[Curve] = (), logx: bool = False,
) -> Figure:  # fmt: skip
    """Observed and expected limits on the rate by mass.

    Args:
        rows: rows of limits.csv of one hypothesis, CL and family of points, by mass.
        dataset: name of the dataset, for the label.
        luminosity_fb: luminosity in /fb.
        data: kind of data.
        ylabel: text of the y axis.
        xlabel: text of the x axis.
        curves: published limits.
        logx: logarithmic mass axis.
    """
    fig, ax = figure()
    _band(ax, rows, float(rows[0]["cl"]))
    for i, curve in enumerate(curves):
        ax.plot(curve.mass, curve.high, color=COLOURS[3 + i % 4], lw=1.0, label=curve.label)
    _missing(ax, rows)
    ax.set(yscale="log", xlabel=xlabel, ylabel=ylabel, xscale="log" if logx else "linear")
    stamp(ax, dataset, luminosity_fb, data)
    ax.legend()
    return fig


def coupling_figure(
    rows: Sequence[Row], *, dataset: str, luminosity_fb: float, data: str, ylabel: str, xlabel: str,
    curves: Sequence[Curve] = (), bands: Sequence[Curve] = (), logx: bool = False,
) -> Figure:  # fmt: skip
    """Limits on a coupling with published curves and bands of explained anomalies."""
    fig, ax = figure()
    for band, colour in zip(bands, ("#c94c4c", "#4c6fc9", "#888888"), strict=False):
        low = np.array(band.low if band.low is not None else np.zeros(len(band.high)))
        high = np.array(band.high)
        if np.any(low > 0):
            ax.fill_between(band.mass, low, high, color=colour, alpha=0.25, lw=0, label=band.label)
        else:
            ax.plot(band.mass, high, color=colour, lw=1.0, ls=":", label=f"{band.label}, upper edge")
    _band(ax, rows, float(rows[0]["cl"]))
    for i, curve in enumerate(curves):
        ax.plot(curve.mass, curve.high, color=COLOURS[3 + i % 4], lw=1.1, label=curve.label)
    _missing(ax, rows)
    shown = _column([r for r in rows if r["status"] == "ok"], "expected_p2")
    least = _column([r for r in rows if r["status"] == "ok"], "expected_m2")
    if shown.size:
        ax.set_ylim(np.nanmin(least) / 4, np.nanmax(shown) * 4)
    ax.set(yscale="log", xlabel=xlabel, ylabel=ylabel, xscale="log" if logx else "linear")
    stamp(ax, dataset, luminosity_fb, data)
    ax.legend()
    return fig


def significance_figure(rows: Sequence[Row], *, dataset: str, luminosity_fb: float, data: str, xlabel: str) -> Figure:
    """Local significance by mass, the largest one marked."""
    fig, ax = figure(6.4, 3.2)
    ok = [r for r in rows if r["z_local"] is not None]
    m, z = _column(ok, "mass_gev"), _column(ok, "z_local")
    ax.plot(m, z, color=COLOURS[0], lw=1.0, marker=".", ms=3)
    if len(ok):
        i = int(np.argmax(z))
        ax.annotate(
            f"{z[i]:.1f} at {m[i]:.3f} GeV", (m[i], z[i]), xytext=(4, 4), textcoords="offset points", fontsize=9
        )
    ax.set(xlabel=xlabel, ylabel=r"local significance [$\sigma$]", ylim=(0, None))
    stamp(ax, dataset, luminosity_fb, data)
    return fig
