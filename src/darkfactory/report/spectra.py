"""Figures of what the limits rest on: spectra, efficiencies, resolutions, trigger, cutflow, network, pulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from darkfactory.report.limits import Curve
from darkfactory.report.style import COLOURS, DATA_LABELS, figure, stamp

__all__ = [
    "bars_figure",
    "cutflow_figure",
    "network_figure",
    "pulls_figure",
    "quantity_figure",
    "spectrum_figure",
]

_MOST_BINS = 150


def spectrum_figure(
    edges: Sequence[float], observed: Sequence[float], stacks: Mapping[str, Sequence[float]], *,
    dataset: str, luminosity_fb: float, data: str, xlabel: str,
    signal: tuple[str, Sequence[float]] | None = None, log: bool = True,
) -> Figure:  # fmt: skip
    """Stacked expectations and observed counts with their pulls below.

    Args:
        edges: bin edges.
        observed: counts.
        stacks: sample to expected counts.
        dataset: name of the dataset.
        luminosity_fb: luminosity.
        data: kind of data.
        xlabel: text of the x axis.
        signal: label and counts of a signal drawn over the stack.
        log: logarithmic counts.

    Neighbouring bins are merged to no more than a reader can tell apart.
    """
    fig = Figure(figsize=(6.4, 5.2), layout="constrained")
    ax, low = fig.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    starts = np.arange(0, len(observed), -(-len(observed) // _MOST_BINS))
    observed = np.add.reduceat(np.asarray(observed, dtype=float), starts).tolist()
    stacks = {k: np.add.reduceat(np.asarray(v, dtype=float), starts).tolist() for k, v in stacks.items()}
    if signal is not None:
        signal = signal[0], np.add.reduceat(np.asarray(signal[1], dtype=float), starts).tolist()
    e = np.asarray(edges, dtype=float)[[*starts, -1]]
    width = np.diff(e)
    centres = 0.5 * (e[1:] + e[:-1])
    total = np.zeros(len(width))
    order = sorted(stacks, key=lambda name: float(np.sum(stacks[name])))
    for i, name in enumerate(order):
        counts = np.asarray(stacks[name], dtype=float)
        top = (total + counts) / width
        ax.stairs(top, e, baseline=total / width, fill=True, color=COLOURS[i % len(COLOURS)], label=name, lw=0)
        total = total + counts
    n = np.asarray(observed, dtype=float)
    ax.errorbar(
        centres, n / width, np.sqrt(np.clip(n, 0, None)) / width, fmt="k.", ms=3, lw=0.7, label=DATA_LABELS[data]
    )
    if signal is not None:
        ax.stairs(np.asarray(signal[1], dtype=float) / width, e, color="#b3121d", lw=1.2, label=signal[0])
    positive = total[total > 0]
    if log and positive.size:
        ax.set_yscale("log")
        ax.set_ylim(max(0.3 * float((positive / width[total > 0]).min()), 1e-6 * float((total / width).max())), None)
    ax.set_ylabel("events / unit of the axis")
    ax.legend(ncols=2)
    stamp(ax, dataset, luminosity_fb, data)
    pull = np.divide(n - total, np.sqrt(np.where(total > 0, total, 1.0)))
    low.axhline(0, color="#777777", lw=0.7)
    low.plot(centres[total > 0], pull[total > 0], "k.", ms=3)
    low.set(xlabel=xlabel, ylabel="pull", ylim=(-4.5, 4.5))
    return fig


def quantity_figure(
    curves: Sequence[Curve], *, dataset: str, luminosity_fb: float, data: str, xlabel: str, ylabel: str,
    log: bool = False, points: bool = True,
) -> Figure:  # fmt: skip
    """Quantities by mass (efficiency, resolution): one line each."""
    fig, ax = figure(6.4, 4.0)
    for i, curve in enumerate(curves):
        ax.plot(
            curve.mass,
            curve.high,
            color=COLOURS[i % len(COLOURS)],
            lw=1.1,
            marker="." if points else None,
            label=curve.label,
        )
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    if not log:
        ax.set_ylim(0, None)
    ax.legend()
    stamp(ax, dataset, luminosity_fb, data)
    return fig


def bars_figure(values: Mapping[str, float], *, xlabel: str, title: str, limit: float | None = None) -> Figure:
    """Horizontal bars, such as trigger rates by line, on a logarithmic axis where they span decades."""
    fig, ax = figure(6.4, max(2.0, 0.28 * len(values) + 1.0))
    names = list(values)
    numbers = [values[n] for n in names]
    ax.barh(names, numbers, color=COLOURS[0])
    if limit is not None:
        ax.axvline(limit, color="#b3121d", lw=1.0, label="limit")
        ax.legend()
    positive = [v for v in numbers if v > 0]
    if positive and max(positive) / min(positive) > 50:
        ax.set_xscale("log")
    ax.invert_yaxis()
    ax.minorticks_off()
    ax.set_xlabel(xlabel)
    ax.set_title(title, loc="left", fontsize=10)
    return fig


def cutflow_figure(cutflows: Mapping[str, Mapping[str, Any]], *, title: str) -> Figure:
    """Fraction of the weight that is left after each cut, one line a sample."""
    fig, ax = figure(6.8, 4.2)
    for i, (sample, flow) in enumerate(cutflows.items()):
        sumw = np.asarray(flow["sumw"], dtype=float)
        first = sumw[0] if sumw[0] > 0 else 1.0
        left = np.where(sumw > 0, sumw / first, np.nan)
        ax.step(range(len(sumw)), left, where="mid", color=COLOURS[i % len(COLOURS)], label=sample, lw=1.2)
        ax.set_xticks(range(len(sumw)), flow["names"], rotation=60, ha="right", fontsize=8)
    ax.minorticks_off()
    ax.set(yscale="log", ylabel="fraction of the skimmed weight")
    ax.set_title(title, loc="left", fontsize=10)
    ax.legend(fontsize=8)
    return fig


def network_figure(
    responses: Mapping[str, tuple[Sequence[float], Sequence[float]]], ranking: Mapping[str, float], *, title: str
) -> Figure:
    """Response of the network in the folds, and the importance of its inputs.

    Args:
        responses: label to (bin edges, density).
        ranking: input to importance.
        title: text.
    """
    fig = Figure(figsize=(8.6, 3.8), layout="constrained")
    ax, right = fig.subplots(1, 2)
    classes = list(dict.fromkeys(label.split(",")[0] for label in responses))
    for label, (edges, density) in responses.items():
        dashed = "--" if "test" in label else "-"
        colour = COLOURS[classes.index(label.split(",")[0]) % len(COLOURS)]
        ax.stairs(density, edges, color=colour, ls=dashed, label=label)
    ax.set(xlabel="network response", ylabel="density", yscale="log")
    ax.legend()
    ax.set_title(title, loc="left", fontsize=10)
    names = sorted(ranking, key=lambda n: -ranking[n])
    right.barh(names, [ranking[n] for n in names], color=COLOURS[0])
    right.invert_yaxis()
    right.minorticks_off()
    right.set_xlabel("smallest cross-section:\ninput shuffled over intact")
    return fig


def pulls_figure(pulls: Mapping[str, tuple[float, float]], *, title: str) -> Figure:
    """Nuisance parameters at the best fit: (value - nominal) / prior width, with the fitted width."""
    fig, ax = figure(5.6, max(2.0, 0.26 * len(pulls) + 1.0))
    names = list(pulls)
    y = np.arange(len(names))
    ax.axvspan(-1, 1, color="#e6e6e6")
    ax.errorbar([pulls[n][0] for n in names], y, xerr=[pulls[n][1] for n in names], fmt="ko", ms=3, lw=1.0)
    ax.set_yticks(y, names, fontsize=8)
    ax.minorticks_off()
    ax.invert_yaxis()
    ax.set(xlabel="pull", xlim=(-3, 3))
    ax.set_title(title, loc="left", fontsize=10)
    return fig
