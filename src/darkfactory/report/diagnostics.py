"""Figures of what is behind one fit: impacts, correlations, goodness of fit, injected signals, coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from darkfactory.report.style import COLOURS, figure

__all__ = [
    "correlation_figure",
    "coverage_figure",
    "coverage_map_figure",
    "goodness_figure",
    "impacts_figure",
    "injection_figure",
]

Row = Mapping[str, Any]
_SHOWN = 20


def _numbers(rows: Sequence[Row], key: str) -> np.ndarray:
    return np.array([np.nan if r[key] is None else float(r[key]) for r in rows])


def impacts_figure(rows: Sequence[Row], sigma: float, *, title: str) -> Figure:
    """Changes of the signal strength by parameter, before and after the fit, with the pulls beside them.

    Args:
        rows: name, pull, constraint, prefit_down, prefit_up, postfit_down, postfit_up; the largest first.
        sigma: error of the signal strength, the unit of the axis.
        title: text.
    """
    shown = rows[:_SHOWN]
    fig = Figure(figsize=(7.2, max(2.4, 0.27 * len(shown) + 1.3)), layout="constrained")
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=[2, 3])
    y = np.arange(len(shown))
    left.axvspan(-1, 1, color="#e6e6e6", lw=0)
    left.errorbar(_numbers(shown, "pull"), y, xerr=_numbers(shown, "constraint"), fmt="ko", ms=3, lw=1.0)
    left.set(xlabel="pull", xlim=(-2.6, 2.6))
    for side, colour in (("down", COLOURS[0]), ("up", COLOURS[1])):
        right.barh(y, _numbers(shown, f"prefit_{side}") / sigma, 0.8, fill=False, edgecolor=colour, lw=1.0)
        right.barh(y, _numbers(shown, f"postfit_{side}") / sigma, 0.5, color=colour, label=f"{side} by its error")
    before = Patch(fill=False, edgecolor="#555555", label="before the fit")
    right.axvline(0, color="#555555", lw=0.7)
    largest = max((abs(v) for v in right.get_xlim()), default=1.0)
    right.set(xlabel=r"change of $\hat\mu$ / error of $\hat\mu$", xlim=(-largest, largest))
    right.legend(handles=[*right.get_legend_handles_labels()[0], before], fontsize=8, loc="lower right")
    left.set_yticks(y, [str(r["name"]) for r in shown], fontsize=8)
    left.invert_yaxis()
    for ax in (left, right):
        ax.minorticks_off()
    more = f", {len(rows) - len(shown)} smaller ones left out" if len(rows) > len(shown) else ""
    fig.suptitle(f"{title}{more}", x=0.01, ha="left", fontsize=10)
    return fig


def correlation_figure(names: Sequence[str], matrix: Sequence[Sequence[float]], *, title: str) -> Figure:
    """Correlation matrix of the fitted parameters; numbers where there is room for them."""
    values = np.asarray(matrix, dtype=float)
    keep = np.arange(len(names))
    if len(names) > 2 * _SHOWN:
        # those that the first one, the signal strength, depends on most
        keep = np.sort(np.argsort(-np.abs(values[0]), kind="stable")[: 2 * _SHOWN])
    shown = values[np.ix_(keep, keep)]
    size = min(9.0, 2.6 + 0.24 * len(keep))
    fig, ax = figure(size + 0.6, size)
    image = ax.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1)
    labels = [names[int(i)] for i in keep]
    ax.set_xticks(range(len(keep)), labels, rotation=90, fontsize=7)
    ax.set_yticks(range(len(keep)), labels, fontsize=7)
    ax.minorticks_off()
    ax.tick_params(length=0)
    if len(keep) <= 16:
        for i, j in np.ndindex(shown.shape):
            ink = "white" if abs(shown[i, j]) > 0.6 else "black"
            ax.text(j, i, str(round(100 * shown[i, j])), ha="center", va="center", fontsize=6, color=ink)
    fig.colorbar(image, ax=ax, shrink=0.8, label="correlation" + (" (numbers: %)" if len(keep) <= 16 else ""))
    ax.set_title(title, loc="left", fontsize=10)
    return fig


def goodness_figure(results: Sequence[Row], *, title: str) -> Figure:
    """The saturated statistic of the data among pseudo-experiments, for background alone and with signal.

    Args:
        results: signal, statistic, degrees, p_toys, p_chi2, toys of each hypothesis.
        title: text.
    """
    fig, ax = figure(6.4, 3.8)
    for i, r in enumerate(results):
        toys = np.asarray(r["toys"], dtype=float)
        name = "signal and background" if r["signal"] else "background alone"
        formula = f" (chi-square: {r['p_chi2']:.3f}, {r['degrees']} d.o.f.)" if r["degrees"] > 0 else ""
        label = f"{name}: p = {r['p_toys']:.3f}{formula}"
        if toys.size:
            ax.hist(toys, bins=30, histtype="step", color=COLOURS[i], label=label, density=True)
        ax.axvline(float(r["statistic"]), color=COLOURS[i], ls="--", lw=1.4)
    ax.set(xlabel=r"$-2\,\ln(L/L_\mathrm{saturated})$", ylabel="density of pseudo-experiments")
    low, high = ax.get_ylim()
    ax.set_ylim(low, 1.3 * high)
    ax.plot([], [], "k--", lw=1.4, label="data")
    ax.legend(fontsize=8)
    ax.set_title(title, loc="left", fontsize=10)
    return fig


def injection_figure(rows: Sequence[Row], *, title: str) -> Figure:
    """Fitted against injected signal in expected errors, bias and pull below."""
    fig = Figure(figsize=(6.0, 5.4), layout="constrained")
    ax, middle, low = fig.subplots(3, 1, sharex=True, height_ratios=[3, 1.2, 1.2])
    x = _numbers(rows, "strength")
    unit = np.array([r["injected"] / r["strength"] if r["strength"] else np.nan for r in rows])
    unit = np.where(np.isfinite(unit), unit, np.nanmax(unit) if np.isfinite(unit).any() else 1.0)
    fitted, spread, error = (_numbers(rows, k) / unit for k in ("fitted", "spread", "fitted_error"))
    ax.plot(x, x, color="#777777", lw=0.8, label="fitted = injected")
    ax.fill_between(x, fitted - spread, fitted + spread, color="#cfe0ee", lw=0, label="spread of the fits")
    ax.errorbar(x, fitted, error, fmt="ko", ms=3, lw=1.0, label="mean of the fits")
    ax.set_ylabel("fitted / expected error")
    ax.legend()
    ax.set_title(title, loc="left", fontsize=10)
    middle.axhline(0, color="#777777", lw=0.7)
    middle.errorbar(x, _numbers(rows, "bias_sigma"), _numbers(rows, "bias_error"), fmt="ko", ms=3, lw=1.0)
    middle.set_ylabel("bias")
    low.axhline(1, color="#777777", lw=0.7)
    low.axhline(0, color="#777777", lw=0.7)
    low.errorbar(x, _numbers(rows, "pull"), _numbers(rows, "pull_error"), fmt="o", ms=3, color=COLOURS[0], label="mean")
    low.errorbar(
        x, _numbers(rows, "pull_width"), _numbers(rows, "pull_width_error"), fmt="s", ms=3, color=COLOURS[1],
        label="width",
    )  # fmt: skip
    low.set(ylabel="pull", xlabel="injected signal / expected error")
    low.legend(fontsize=8, ncols=2)
    return fig


def coverage_figure(rows: Sequence[Row], *, title: str) -> Figure:
    """Coverage by true signal, one line for each background and method.

    Args:
        rows: signal_events, background_events, method, cl, coverage, error.
        title: text.
    """
    fig, ax = figure(6.4, 4.0)
    families: dict[tuple[Any, ...], list[Row]] = {}
    for r in rows:
        families.setdefault((r["background_events"], r["method"], r["cl"]), []).append(r)
    for i, ((background, method, cl), family) in enumerate(families.items()):
        colour = COLOURS[i % len(COLOURS)]
        x, y, e = (_numbers(family, k) for k in ("signal_events", "coverage", "error"))
        ax.errorbar(x, y, e, color=colour, marker=".", lw=1.0, label=f"b = {background:.3g}, {method}, {cl:.0%} CL")
        ax.axhline(cl, color="#555555", lw=0.8, ls="--")
    ax.set(xlabel="true signal [events]", ylabel="coverage")
    ax.legend(fontsize=8)
    ax.set_title(title, loc="left", fontsize=10)
    return fig


def coverage_map_figure(rows: Sequence[Row], *, title: str) -> Figure:
    """Coverage by true signal and background as a map with its numbers; under-coverage would be red."""
    signals = sorted({float(r["signal_events"]) for r in rows})
    backgrounds = sorted({float(r["background_events"]) for r in rows})
    cl = float(rows[0]["cl"])
    grid = np.full((len(backgrounds), len(signals)), np.nan)
    methods: dict[float, str] = {}
    for r in rows:
        b = float(r["background_events"])
        if r["coverage"] is not None:
            grid[backgrounds.index(b), signals.index(float(r["signal_events"]))] = r["coverage"]
        methods[b] = str(r["method"])
    fig, ax = figure(max(5.0, 1.8 + 0.52 * len(signals)), 1.6 + 0.55 * len(backgrounds))
    image = ax.imshow(grid, cmap="RdBu", vmin=2 * cl - 1, vmax=1.0, aspect="auto", origin="lower")
    for i, j in np.ndindex(grid.shape):
        if np.isfinite(grid[i, j]):
            ink = "white" if abs(grid[i, j] - cl) > 0.7 * (1 - cl) else "black"
            ax.text(j, i, f"{100 * grid[i, j]:.1f}", ha="center", va="center", fontsize=8, color=ink)
    ax.set_xticks(range(len(signals)), [f"{s:g}" for s in signals])
    ax.set_yticks(range(len(backgrounds)), [f"{b:.3g} ({methods[b]})" for b in backgrounds])
    ax.minorticks_off()
    ax.tick_params(length=0)
    ax.set(xlabel="true signal [events]", ylabel="background [events]")
    # what the numbers are stands above: beside a map of few rows it would not fit
    fig.colorbar(image, ax=ax, label="coverage")
    ax.set_title(f"{title}: coverage of {cl:.0%} CL limits in %", loc="left", fontsize=10)
    return fig
