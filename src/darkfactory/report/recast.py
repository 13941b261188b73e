"""Figure of a recast: limits on the user's coupling, beside the model that was published if there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from darkfactory.report.style import COLOURS, figure

__all__ = ["recast_figure"]

Row = Mapping[str, Any]


def _curve(rows: Sequence[Row], column: str) -> tuple[np.ndarray, np.ndarray]:
    good = sorted((float(r["mass_gev"]), float(r[column])) for r in rows if r.get(column) is not None)
    return np.array([m for m, _ in good]), np.array([v for _, v in good])


def recast_figure(
    rows: Sequence[Row], *, ylabel: str, title: str, published: Sequence[Row] = (), published_name: str = ""
) -> Figure:
    """Limits by mass; with ``published``, the ratio of both below.

    Args:
        rows: of one level.
        ylabel: text of the y axis.
        title: text.
        published: rows of the search's own couplings for a model that this one should reproduce.
        published_name: of that model.
    """
    fig, ax = figure(6.4, 5.4 if published else 4.6)
    if published:
        fig.clear()
        ax, below = fig.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
        x, ours = _curve(rows, "expected")
        px, theirs = _curve(published, "expected")
        both = np.isin(x, px)
        below.plot(x[both], ours[both] / np.interp(x[both], px, theirs), color=COLOURS[0], marker=".", ms=4, lw=1)
        below.axhline(1.0, color="grey", lw=0.8)
        below.set(xlabel="mass [GeV]", ylabel="ratio")
        ax.plot(px, theirs, color=COLOURS[3], lw=1.2, ls=":", label=f"{published_name}, expected")
    if any(r.get("expected") is not None for r in rows):
        ax.plot(*_curve(rows, "expected"), "k--", lw=1.2, label="expected")
        ax.plot(*_curve(rows, "observed"), "k-", lw=1.2, marker="o", ms=2.5, label="observed")
    else:
        for suffix, colour, label in (("", COLOURS[0], "observed"), ("_expected", COLOURS[1], "expected")):
            own = [r for r in rows if r["quantity"].endswith("_expected") == bool(suffix) and r["lower"] is not None]
            for i, r in enumerate(own):
                ax.plot([r["mass_gev"]] * 2, [r["lower"], r["upper"]], color=colour, lw=3 if suffix else 1.5,
                        alpha=0.6 if suffix else 1.0, label=f"excluded, {label}" if i == 0 else None)  # fmt: skip
    ax.set(yscale="log", ylabel=ylabel, xlabel="" if published else "mass [GeV]")
    ax.set_title(title, loc="left", fontsize=9)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=8)
    return fig
