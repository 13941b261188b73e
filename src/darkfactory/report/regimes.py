"""Figure of the regimes of a mediator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from darkfactory.report.limits import Curve

__all__ = ["Plane", "regime_figure"]

# falling lightness: told apart in grey
_COLOURS = ("#f3ead2", "#e3c79a", "#c7d9ea", "#8fb89a", "#5b6f9a")
_HATCHES = ("", "\\\\", "..", "//", "")
_LABELS = ("invisible", "both seen and unseen", "escapes the detector", "long-lived", "prompt, visible")


@dataclass(frozen=True, eq=False)
class Plane:
    """A map of regimes: rising ``x`` and ``y``, ``regime`` of shape (y, x), text of the y axis, what is fixed."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    regime: NDArray[np.float64]
    ylabel: str
    fixed: str


def _draw(ax: Axes, plane: Plane) -> None:
    norm = BoundaryNorm(np.arange(-0.5, len(_COLOURS)), len(_COLOURS))
    ax.pcolormesh(
        plane.x,
        plane.y,
        plane.regime,
        cmap=ListedColormap(list(_COLOURS)),
        norm=norm,
        shading="nearest",
        rasterized=True,
    )
    for i, hatch in enumerate(_HATCHES):
        if hatch and np.any(plane.regime == i) and min(plane.regime.shape) > 1:
            mask = (plane.regime == i).astype(float)
            ax.contourf(plane.x, plane.y, mask, levels=[0.5, 1.5], colors="none", hatches=[hatch])
    ax.set(xscale="log", yscale="log", xlabel="mediator mass [GeV]", ylabel=plane.ylabel)
    ax.set_title(plane.fixed, loc="right", fontsize=9)


def regime_figure(
    planes: Sequence[Plane], title: str, searches: Mapping[str, Sequence[str]], curves: Sequence[Curve] = ()
) -> Figure:
    """The planes side by side, with the searches of each regime in the legend.

    Args:
        planes: maps.
        title: of the mediator.
        searches: regime to names of searches, in the order of the regimes.
        curves: expected limits on the coupling, over the first plane.
    """
    fig = Figure(figsize=(5.4 * len(planes), 5.2), layout="constrained")
    axes = [fig.add_subplot(1, len(planes), i + 1) for i in range(len(planes))]
    for ax, plane in zip(axes, planes, strict=True):
        _draw(ax, plane)
    axes[0].set_title(title, loc="left", fontsize=10)
    low, high = planes[0].y[0], planes[0].y[-1]
    handles: list[object] = []
    for i, label in enumerate(_LABELS):
        if not any(np.any(plane.regime == i) for plane in planes):
            continue
        names = list(searches.values())[i]
        text = f"{label}: {', '.join(names)}" if names else label
        handles.append(Patch(facecolor=_COLOURS[i], edgecolor="#444444", hatch=_HATCHES[i], label=text))
    for style, curve in zip(("-", "--", ":", "-."), curves, strict=False):
        inside = [
            (x, y) for x, y in zip(curve.mass, curve.high, strict=True) if low <= y <= high and x >= planes[0].x[0]
        ]
        if inside:
            drawn = axes[0].plot(*zip(*inside, strict=True), color="black", ls=style, lw=1.6, label=curve.label)
            handles += drawn
    fig.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
    return fig
