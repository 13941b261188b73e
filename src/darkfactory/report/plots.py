"""Numbers of limits as plots that a page draws itself: bands, lines and regions by mass or by lifetime."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from darkfactory.config.points import further_axes, parse_point

__all__ = ["Plot", "Series", "limit_plots", "plain", "region_plots"]

Row = Mapping[str, Any]
_MASSES = 5


@dataclass(frozen=True)
class Series:
    """A line, points, a band or bars of a plot; None leaves a gap.

    Attributes:
        name: text of the legend.
        x: positions.
        y: values of lines and points.
        low, high: ends of bands and bars.
        kind: ``line``, ``points``, ``band`` or ``bars``.
        dash: ``solid``, ``dashed`` or ``dotted``.
        style: ``one`` for the inner band.
        colour: number of the page's palette.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...] = ()
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    kind: str = "line"
    dash: str = "solid"
    style: str = ""
    colour: int = 0


@dataclass(frozen=True)
class Plot:
    """A zoomable plot: what the page embeds, and the file that the numbers come from."""

    id: str
    title: str
    xlabel: str
    ylabel: str
    series: tuple[Series, ...]
    logx: bool = False
    logy: bool = True
    source: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """What the page's script reads."""
        return {k: v for k, v in asdict(self).items() if k not in ("source", "extra")}


_WORDS = {
    "alpha": "\u03b1",
    "gamma": "\u03b3",
    "epsilon": "\u03b5",
    "varepsilon": "\u03b5",
    "theta": "\u03b8",
    "mu": "\u03bc",
    "tau": "\u03c4",
    "chi": "\u03c7",
    "pi": "\u03c0",
    "xi": "\u03be",
    "ell": "\u2113",
    "Lambda": "\u039b",
    "Upsilon": "\u03a5",
    "to": " \u2192 ",
    "bar": "",
    "pm": "\u00b1",
    "mp": "\u2213",
    "beta": "\u03b2",
    "delta": "\u03b4",
    "Delta": "\u0394",
    "eta": "\u03b7",
    "kappa": "\u03ba",
    "lambda": "\u03bb",
    "nu": "\u03bd",
    "omega": "\u03c9",
    "phi": "\u03c6",
    "varphi": "\u03c6",
    "psi": "\u03c8",
    "rho": "\u03c1",
    "mathrm": "",
    "sigma": "\u03c3",
    "mathcal": "",
    "times": "\u00d7",
}
_RAISED = str.maketrans(
    "0123456789+-*()", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b*()"
)


def plain(text: str) -> str:
    r"""Text of figures, with formulas, as plain letters for a page.

    Example:
        >>> ascii(plain(r"$e^+e^-\to\gamma A'$ [GeV$^{-1}$]"))
        '"e\\u207ae\\u207b \\u2192 \\u03b3A\' [GeV\\u207b\\xb9]"'
        >>> ascii(plain(r"$e^\pm\mu^\mp$"))
        "'e\\xb1\\u03bc\\u2213'"
        >>> plain("$\\sin x$, A'(one)")
        "sinx, A'(one)"
    """
    text = text.replace("\\,", " ").replace("\\!", "").replace("\\ ", " ")
    text = re.sub(r"\\([A-Za-z]+)(?: (?=[A-Za-z]))?", lambda m: _WORDS.get(m.group(1), m.group(1)), text)
    text = re.sub(r"\^\{([^{}]*)\}", lambda m: m.group(1).translate(_RAISED), text)
    text = re.sub(r"\^(.)", lambda m: m.group(1).translate(_RAISED), text)
    text = text.replace("( ", "(")
    text = re.sub(r"_\{?([0-9])\}?", lambda m: chr(0x2080 + int(m.group(1))), text)
    return re.sub(r"\s+", " ", re.sub(r"[${}\\]", "", text)).strip()


def _values(rows: Sequence[Row], name: str) -> tuple[float | None, ...]:
    return tuple(None if r[name] is None or r["status"] != "ok" else float(r[name]) for r in rows)


def _bands(rows: Sequence[Row], x: tuple[float, ...], cl: float, observed: bool) -> list[Series]:
    made = [
        Series("expected, 2 sigma", x, (), _values(rows, "expected_m2"), _values(rows, "expected_p2"), "band"),
        Series(
            "expected, 1 sigma", x, (), _values(rows, "expected_m1"), _values(rows, "expected_p1"), "band", style="one"
        ),
        Series("expected", x, _values(rows, "expected"), dash="dashed"),
    ]
    if observed:
        made.append(Series(f"observed, {cl:.0%} CL", x, _values(rows, "observed"), kind="points"))
    return made


def _spans(x: Sequence[float]) -> bool:
    """Whether an axis is better logarithmic."""
    return len(x) > 1 and min(x) > 0 and max(x) / min(x) > 30


def _name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in text)


def limit_plots(rows: Sequence[Row], stem: str, label: Mapping[str, str], source: str) -> list[Plot]:
    """Plots of limits by mass with their bands; of points with lifetimes, expected limits by lifetime for some masses.

    Args:
        rows: of limits.csv or couplings.csv with one-sided limits.
        stem: of the plots' names.
        label: hypothesis or model to the text of the y axis; its quantity and unit where there is none.
        source: file of the rows, as a link.
    """
    families: dict[tuple[str, float, Any], list[Row]] = {}
    for r in rows:
        families.setdefault((str(r.get("model") or r["hypothesis"]), float(r["cl"]), r.get("width")), []).append(r)
    made = []
    for (name, cl, width), family in families.items():
        if not any(r["expected"] is not None for r in family):
            continue
        first = family[0]
        unit = f" [{first['unit']}]" if first["unit"] else ""
        ylabel = plain(label.get(name, "")) or f"{str(first['quantity']).replace('_', ' ')}{unit}"
        wide = "" if width is None else f", width {float(width):.0%}"
        plot_id = _name(f"{stem}-{name}-cl{cl:g}" + ("" if width is None else f"-w{float(width):g}"))
        title = f"{name}{wide}, {cl:.0%} CL"
        narrow = sorted((r for r in family if not further_axes(str(r["point"]))), key=lambda r: float(r["mass_gev"]))
        if narrow:
            x = tuple(float(r["mass_gev"]) for r in narrow)
            made.append(
                Plot(plot_id, title, "mass [GeV]", ylabel, tuple(_bands(narrow, x, cl, True)), _spans(x), True, source)
            )
            continue
        lines = _by_lifetime(family)
        if lines:
            made.append(Plot(plot_id, f"{title}, expected", "c tau [cm]", ylabel, lines, True, True, source))
    return made


def _by_lifetime(family: Sequence[Row]) -> tuple[Series, ...]:
    """Expected limits by lifetime, at a few masses and the middle of a second lifetime."""
    points = [(parse_point(str(r["point"])), r) for r in family]
    live = [(axes, r) for axes, r in points if "lifetime" in axes and set(axes) <= {"mass", "lifetime", "lifetime2"}]
    second = sorted({axes["lifetime2"] for axes, _ in live if "lifetime2" in axes})
    if second:
        live = [(axes, r) for axes, r in live if axes.get("lifetime2") == second[len(second) // 2]]
    masses = sorted({axes["mass"] for axes, _ in live})
    step = max((len(masses) - 1) / (_MASSES - 1), 1.0) if len(masses) > 1 else 1.0
    chosen = list(
        dict.fromkeys(masses[min(round(i * step), len(masses) - 1)] for i in range(min(_MASSES, len(masses))))
    )
    made = []
    for i, mass in enumerate(chosen):
        own = sorted(((axes["lifetime"], r) for axes, r in live if axes["mass"] == mass), key=lambda e: e[0])
        x = tuple(t for t, _ in own)
        made.append(Series(f"{mass:g} GeV", x, _values([r for _, r in own], "expected"), kind="points", colour=i + 1))
    return tuple(made)


def region_plots(rows: Sequence[Row], stem: str, label: Mapping[str, str], source: str) -> list[Plot]:
    """Plots of regions with two edges: a bar from the lower to the upper edge at each mass.

    Args:
        rows: of couplings.csv with ``lower`` and ``upper``.
        stem: of the plots' names.
        label: model to the text of the y axis.
        source: file of the rows, as a link.
    """
    made = []
    sided = [r for r in rows if r.get("lower") is not None]
    for model, cl in dict.fromkeys((str(r["model"]), float(r["cl"])) for r in sided):
        own = [r for r in sided if (str(r["model"]), float(r["cl"])) == (model, cl)]
        series = []
        # a combination tells its inputs apart, a search its hypotheses
        groups = list(dict.fromkeys((str(r.get("input") or r.get("hypothesis")), str(r["quantity"])) for r in own))
        places = {g: i for i, g in enumerate(dict.fromkeys(g for g, _ in groups))}
        for group, quantity in groups:
            chosen = [
                r for r in own if (str(r.get("input") or r.get("hypothesis")), str(r["quantity"])) == (group, quantity)
            ]
            expected = quantity.endswith("_expected")
            # side by side
            shift = 1 + 0.012 * (2 * places[group] + expected - len(places))
            x = tuple(float(r["mass_gev"]) * shift for r in chosen)
            low, high = (tuple(float(r[k]) for r in chosen) for k in ("lower", "upper"))
            kind = "expected" if expected else "observed"
            series.append(
                Series(f"{group}, {kind}", x, (), low, high, "bars", "dotted" if expected else "solid",
                       colour=2 * places[group] + expected + 1)
            )  # fmt: skip
        ylabel = plain(label.get(model, "")) or str(own[0]["coupling"])
        title = f"{model}: excluded at {cl:.0%} CL"
        x_all = [x for s in series for x in s.x]
        plot_id = _name(f"{stem}-{model}-cl{cl:g}")
        made.append(Plot(plot_id, title, "mass [GeV]", ylabel, tuple(series), _spans(x_all), True, source))
    return made
