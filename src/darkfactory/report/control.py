"""Figures of control samples: data, simulation and their ratio by bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from darkfactory.report.style import COLOURS, DATA_LABELS, stamp

__all__ = ["ratio_figure"]

_LABELS = {"efficiency": "efficiency", "ratio": "candidates over reference", "scale": "median"}


def _numbers(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([np.nan if r[name] is None else r[name] for r in rows], dtype=float)


def ratio_figure(
    rows: Sequence[Mapping[str, Any]],
    axes: Sequence[str],
    method: str,
    *,
    dataset: str,
    luminosity_fb: float,
    data: str,
) -> Figure:
    """Data and simulation above, their ratio below, one place a bin.

    Args:
        rows: one a bin, in the order of the axes.
        axes: names of the axes.
        method: what was counted.
        dataset: name of the dataset.
        luminosity_fb: its luminosity.
        data: kind of data.
    """
    fig = Figure(figsize=(6.8, 5.4), layout="constrained")
    ax, low = fig.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    x = np.arange(len(rows), dtype=float)
    for name, label, shift, colour in (
        ("simulation", "simulation", 0.08, COLOURS[0]),
        ("data", DATA_LABELS[data], -0.08, "k"),
    ):
        ax.errorbar(x + shift, _numbers(rows, name), _numbers(rows, f"{name}_error"), fmt=".", ms=4, lw=1.0,
                    color=colour, label=label)  # fmt: skip
    ax.set(ylabel=_LABELS[method])
    ax.legend()
    stamp(ax, dataset, luminosity_fb, data)
    factor, stat, syst = (_numbers(rows, n) for n in ("factor", "statistical", "systematic"))
    total = np.hypot(stat, syst)
    low.bar(x, 2 * total, 0.9, bottom=factor - total, color=COLOURS[0], alpha=0.25, label="all errors")
    own = np.array([bool(r["own"]) for r in rows])
    for mask, mark, label in ((own, "ko", "statistical"), (~own, "kx", "of all bins: too few events")):
        if mask.any():
            low.errorbar(x[mask], factor[mask], stat[mask], fmt=mark, ms=4, lw=1.0, mfc="k", label=label)
    low.axhline(1.0, color="#777777", lw=0.7)
    ends = np.array([*(factor - total), *(factor + total), 1.0])
    ends = ends[np.isfinite(ends)]
    low.set_ylim(ends.min() - 0.08 * np.ptp(ends), ends.max() + 0.08 * np.ptp(ends))
    text = ["\n".join(f"{lo:.3g} to {hi:.3g}" for lo, hi in (r["bin"][name] for name in axes)) for r in rows]
    low.set_xticks(x, text, fontsize=7 if len(rows) < 10 else 5, rotation=0 if len(rows) < 7 else 60)
    low.minorticks_off()
    low.set(xlabel=" and ".join(axes), ylabel="data / simulation", xlim=(-0.6, len(rows) - 0.4))
    low.legend(fontsize=8)
    return fig
