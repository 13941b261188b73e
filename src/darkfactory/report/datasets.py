"""Figures that set the datasets of one search side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from darkfactory.report.limits import Curve
from darkfactory.report.style import COLOURS, DATA_LABELS, figure

__all__ = ["datasets_figure", "profile_curve"]


def profile_curve(profile: Mapping[str, Any], label: str, least_share: float = 1e-3) -> Curve:
    """Efficiency at the centres of the bins that hold enough of the signal to tell one.

    Example:
        >>> profile_curve({"edges": [0.0, 1.0, 2.0], "efficiency": [0.5, None], "share": [1.0, 0.0]}, "a").mass
        (0.5,)
    """
    centres = [(a + b) / 2 for a, b in zip(profile["edges"], profile["edges"][1:], strict=False)]
    rows = zip(centres, profile["efficiency"], profile["share"], strict=True)
    points = [(x, e) for x, e, share in rows if e is not None and share >= least_share]
    return Curve(label, tuple(x for x, _ in points), tuple(e for _, e in points))


def datasets_figure(
    curves: Sequence[Curve], *, title: str, data: str, xlabel: str, ylabel: str, log: bool = False, logx: bool = False
) -> Figure:
    """A quantity by mass, one line for each dataset.

    Args:
        curves: one for each dataset (and hypothesis), labelled.
        title: name of the search.
        data: kind of data.
        xlabel: text of the x axis.
        ylabel: text of the y axis.
        log: logarithmic y axis.
        logx: logarithmic x axis.
    """
    fig, ax = figure(6.4, 4.0)
    for i, curve in enumerate(curves):
        ax.plot(curve.mass, curve.high, color=COLOURS[i % len(COLOURS)], lw=1.2, marker=".", label=curve.label)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    if logx:
        ax.set_xscale("log")
    if not log:
        ax.set_ylim(0, None)
    ax.set_title(f"{title}, {DATA_LABELS.get(data, data)}", loc="left", fontsize=10)
    ax.legend()
    return fig
