"""The look of all figures: one neutral style, one place for the label that says what the data are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["COLOURS", "DATA_LABELS", "blinded_label", "figure", "mark_projection", "stamp", "style"]

COLOURS = (
    "#3b6ea5", "#d08c2f", "#5a9367", "#a94f4f", "#7a6aa8", "#8a7f5c", "#4aa3a2", "#777777", "#c77cbf", "#8fb84a",
    "#b5651d", "#2f4f4f",
)  # fmt: skip

DATA_LABELS = {
    "pseudo": "pseudo-data",
    "asimov": "Asimov data (expectation)",
    "real": "data",
    "blinded_pseudo": "pseudo-data (data blinded)",
    "blinded_asimov": "Asimov data (data blinded)",
}
"""Kind of data to words."""

_STYLE: dict[str, Any] = {
    "font.size": 11,
    "axes.labelsize": 12,
    "axes.grid": False,
    "axes.linewidth": 0.9,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.dpi": 110,
    # where titles are anyway, since ticks point inwards: placing them by the ticks takes a third of the drawing
    "axes.titley": 1.0,
    # equal figures are equal files
    "svg.hashsalt": "darkfactory",
}


def blinded_label(spec: Mapping[str, Any]) -> str:
    """The kind of data for figures, which say that data are hidden.

    Example:
        >>> blinded_label({"data": "pseudo"}), blinded_label({"data": "asimov", "blinding": {"record": None}})
        ('pseudo', 'blinded_asimov')
    """
    hidden = "blinding" in spec and spec["data"] != "real"
    return f"blinded_{spec['data']}" if hidden else str(spec["data"])


@contextmanager
def style() -> Iterator[None]:
    """The style for the duration of a block; no global state is left changed."""
    with mpl.rc_context(cast(Any, _STYLE)):
        yield


def figure(width: float = 6.4, height: float = 4.6) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes, without pyplot's global state."""
    fig = Figure(figsize=(width, height), layout="constrained")
    return fig, fig.add_subplot()


def stamp(ax: Axes, dataset: str, luminosity_fb: float, data: str) -> None:
    """Write experiment, luminosity and the kind of data above the axes."""
    name = {"belle2": "Belle II setting", "belle": "Belle setting", "babar": "BaBar setting"}
    experiment = name.get(dataset.split("_")[0], dataset)
    if luminosity_fb >= 1:
        luminosity = rf"$\int\!\mathcal{{L}}\,dt = {luminosity_fb:g}$ fb$^{{-1}}$"
    else:
        luminosity = rf"$\int\!\mathcal{{L}}\,dt = {luminosity_fb * 1e3:g}$ pb$^{{-1}}$"
    ax.set_title(f"{experiment}, {DATA_LABELS.get(data, data)}", loc="left", fontsize=10)
    ax.set_title(luminosity, loc="right", fontsize=10)


def mark_projection(fig: Figure) -> None:
    """Say above every stamped axes that there is no such result."""
    for ax in fig.axes:
        said = ax.get_title(loc="left")
        if said:
            ax.set_title(f"{said}, projection", loc="left", fontsize=10)
