"""Figure of a combination: the coupling's limits from all inputs together, and from each alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from darkfactory.report.style import COLOURS, DATA_LABELS, figure

__all__ = ["combination_figure", "region_figure"]

Row = Mapping[str, Any]


def _curve(rows: Sequence[Row], key: str) -> tuple[np.ndarray, np.ndarray]:
    good = [r for r in rows if r["status"] == "ok" and r[key] is not None]
    return np.array([float(r["mass_gev"]) for r in good]), np.array([float(r[key]) for r in good])


def combination_figure(
    combined: Sequence[Row], inputs: Mapping[str, Sequence[Row]], *, ylabel: str, title: str, data: str
) -> Figure:
    """Expected and observed limits of the combination with its band, expected limits of the inputs.

    Args:
        combined: rows of the combination at one level, by mass.
        inputs: label of each input to its rows.
        ylabel: text of the y axis.
        title: text.
        data: kind of data.
    """
    fig, ax = figure()
    for two, colour, label in ((2, "#f5d76e", r"combined, expected $\pm2\sigma$"), (1, "#7fbf7b", r"$\pm1\sigma$")):
        x, low = _curve(combined, f"expected_m{two}")
        _, high = _curve(combined, f"expected_p{two}")
        ax.fill_between(x, low, high, color=colour, lw=0, label=label)
    cl = float(combined[0]["cl"]) if combined else 0.9
    ax.plot(*_curve(combined, "expected"), "k--", lw=1.3, label="combined, expected")
    ax.plot(*_curve(combined, "observed"), "k-", lw=1.2, marker="o", ms=2.5, label=f"combined, observed, {cl:.0%} CL")
    styles = ("-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
    for i, (label, rows) in enumerate(inputs.items()):
        x, y = _curve(rows, "expected")
        ax.plot(x, y, color=COLOURS[(i * 3) % len(COLOURS)], ls=styles[i % len(styles)], lw=1.3, label=label)
    lost = [float(r["mass_gev"]) for r in combined if r["status"] != "ok"]
    if lost:
        ax.plot(lost, np.full(len(lost), 0.02), "x", color="#a94f4f", transform=ax.get_xaxis_transform(), clip_on=False)
        ax.plot([], [], "x", color="#a94f4f", label="no limit (see couplings.csv)")
    ax.set(yscale="log", xlabel="mass [GeV]", ylabel=ylabel)
    ax.set_title(f"{title}, {DATA_LABELS.get(data, data)}", loc="left", fontsize=9)
    ax.legend(fontsize=8)
    return fig


def _edges(rows: Sequence[Row], quantity_ends: bool) -> list[tuple[float, float, float]]:
    """Mass, lower and upper edge of observed (or median expected) regions."""
    return [
        (float(r["mass_gev"]), float(r["lower"]), float(r["upper"]))
        for r in rows
        if r.get("lower") is not None and str(r["quantity"]).endswith("_expected") == quantity_ends
    ]


def region_figure(
    combined: Sequence[Row], inputs: Mapping[str, Sequence[Row]], *, ylabel: str, title: str, data: str
) -> Figure:
    """Excluded regions with two edges: of the combination (bars: observed) and of the inputs, by mass.

    Masses with several regions show all of them; arrows mark regions that end where the scan does.

    Args:
        combined: rows of the combination at one level.
        inputs: label of each input to its rows.
        ylabel: text of the y axis.
        title: text.
        data: kind of data.
    """
    fig, ax = figure(7.2, 5.4)
    families = {"combined": combined, **inputs}
    places = np.linspace(-0.022, 0.022, len(families)) if len(families) > 1 else [0.0]
    for i, ((label, rows), shift) in enumerate(zip(families.items(), places, strict=True)):
        colour, width = ("#222222", 5.0) if label == "combined" else (COLOURS[i - 1], 3.0)
        # shifted in the logarithm, so that bars of one mass stand side by side
        for expected, alpha in ((True, 0.35), (False, 1.0)):
            for m, low, high in _edges(rows, expected):
                x = m * (1 + shift)
                ax.plot([x, x], [low, high], color=colour, lw=width if expected else width / 3, alpha=alpha,
                        solid_capstyle="butt")  # fmt: skip
        ax.plot([], [], color=colour, lw=width / 3, label=f"{label}, observed")
        ax.plot([], [], color=colour, lw=width, alpha=0.35, label=f"{label}, median expected")
        ends = [(m * (1 + shift), h) for m, low, h in _edges([r for r in rows if r["status"] != "ok"], False)]
        if ends:
            ax.plot(*zip(*ends, strict=True), ls="", marker="^", ms=4, color=colour)
    none = sorted({float(r["mass_gev"]) for r in combined} - {m for m, _, _ in _edges(combined, False)})
    if none:
        ax.plot(none, np.full(len(none), 0.02), "x", color="#a94f4f", transform=ax.get_xaxis_transform(), clip_on=False)
        ax.plot([], [], "x", color="#a94f4f", label="nothing excluded")
    cl = float(combined[0]["cl"]) if combined else 0.95
    ax.set(yscale="log", xscale="log", xlabel="mass [GeV]", ylabel=f"{ylabel}, excluded at {cl:.0%} CL")
    ax.set_title(f"{title}, {DATA_LABELS.get(data, data)}", loc="left", fontsize=9)
    # few masses: numbers as they are read, at round places
    ax.xaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    fig.legend(fontsize=8, ncols=2, loc="outside lower center")
    return fig
