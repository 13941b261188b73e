"""Figures of a mass from the edge of a spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from darkfactory.report.style import COLOURS, DATA_LABELS, figure, stamp

__all__ = ["calibration_figure", "edge_figure", "toys_figure"]

Array = NDArray[np.float64]
_MOST_BINS = 75


def edge_figure(
    edges: Array, counts: Array, curve: Array, edge: float, *, dataset: str, luminosity_fb: float, data: str
) -> Figure:
    """Spectrum and fitted function, with pulls below; neighbouring bins are merged.

    Args:
        edges: of the bins, GeV.
        counts: in the bins.
        curve: fitted counts in the bins.
        edge: fitted place of the edge.
        dataset: name of the dataset.
        luminosity_fb: its luminosity.
        data: kind of data.
    """
    fig = Figure(figsize=(6.4, 5.2), layout="constrained")
    ax, low = fig.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    starts = np.arange(0, len(counts), -(-len(counts) // _MOST_BINS))
    n, f = np.add.reduceat(counts, starts), np.add.reduceat(curve, starts)
    e = edges[[*starts, -1]]
    middle = 0.5 * (e[1:] + e[:-1])
    ax.errorbar(middle, n, np.sqrt(np.maximum(n, 0)), fmt="k.", ms=3, lw=0.8, label=DATA_LABELS[data])
    ax.plot(middle, f, color=COLOURS[0], lw=1.3, label="fit")
    ax.axvline(edge, color="#b3121d", lw=0.9, ls=":", label=f"edge at {1e3 * edge:.2f} MeV")
    ax.set(ylabel=f"simulated events / {1e3 * (e[1] - e[0]):g} MeV", ylim=(0, None))
    ax.legend()
    stamp(ax, dataset, luminosity_fb, data)
    low.axhline(0, color="#777777", lw=0.7)
    low.plot(middle, (n - f) / np.sqrt(np.maximum(f, 1e-9)), "k.", ms=3)
    low.set(xlabel="pseudomass [GeV]", ylabel="pull", ylim=(-4.5, 4.5))
    return fig


def calibration_figure(
    masses: Sequence[float], edges: Sequence[float], errors: Sequence[float], line: Array, reference: float, *,
    dataset: str, luminosity_fb: float, data: str,
) -> Figure:  # fmt: skip
    """Place of the edge less the generated mass, by generated mass, with the straight line that is used."""
    fig, ax = figure(6.4, 4.0)
    x, y = np.asarray(masses), np.asarray(edges)
    ax.errorbar(1e3 * x, 1e3 * (y - x), 1e3 * np.asarray(errors), fmt="ko", ms=4, lw=1.0, label="simulation")
    span = np.linspace(x.min(), x.max(), 2)
    fitted = reference + line[0] + line[1] * (span - reference)
    ax.plot(1e3 * span, 1e3 * (fitted - span), color=COLOURS[0], lw=1.2, label="calibration")
    ax.axhline(0, color="#777777", lw=0.7)
    ax.set(xlabel="generated mass [MeV]", ylabel="edge less generated mass [MeV]")
    ax.legend()
    stamp(ax, dataset, luminosity_fb, data)
    return fig


def toys_figure(pulls: Sequence[float], *, dataset: str, luminosity_fb: float, data: str) -> Figure:
    """Pulls of pseudo-experiments beside the standard normal distribution."""
    fig, ax = figure(6.4, 4.0)
    edges = np.linspace(-4, 4, 33)
    ax.hist(pulls, bins=edges.tolist(), color=COLOURS[0], label=f"mean {np.mean(pulls):.2f}, width {np.std(pulls):.2f}")
    x = np.linspace(-4, 4, 200)
    normal = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi) * len(pulls) * (edges[1] - edges[0])
    ax.plot(x, normal, color="#b3121d", lw=1.2, label="standard normal")
    ax.set(xlabel="(edge - true edge) / error", ylabel="pseudo-experiments")
    ax.legend()
    stamp(ax, dataset, luminosity_fb, data)
    return fig
