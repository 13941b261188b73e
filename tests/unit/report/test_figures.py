from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from darkfactory.report.limits import Curve, coupling_figure, limit_figure, significance_figure
from darkfactory.report.page import FigureEntry, Section, render_page
from darkfactory.report.planes import plane_figure
from darkfactory.report.spectra import (
    bars_figure,
    cutflow_figure,
    network_figure,
    pulls_figure,
    quantity_figure,
    spectrum_figure,
)
from darkfactory.report.style import figure, mark_projection, stamp, style

LABELS: dict[str, Any] = {"dataset": "belle2_80fb", "luminosity_fb": 79.7, "data": "pseudo"}
AXES: dict[str, Any] = {"xlabel": "mass [GeV]", "ylabel": "limit [fb]"}
BAND = ("expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")


def rows(statuses: list[str]) -> list[dict[str, Any]]:
    made = []
    for i, status in enumerate(statuses):
        ok = status == "ok"
        numbers = {k: (1.0 + i) * (j + 1) if ok else None for j, k in enumerate(BAND)}
        z = 0.5 * i if ok else None
        made.append(
            {"mass_gev": 0.5 + i, "cl": 0.9, "status": status, "observed": 3.0 if ok else None, "z_local": z, **numbers}
        )
    return made


CASES = {
    "good": rows(["ok"] * 4),
    "one": rows(["ok"]),
    "some failed": rows(["ok", "fit_failed", "ok"]),
    "all failed": rows(["no_sensitivity", "not_bracketed"]),
}


def drawn(fig: Figure) -> bytes:
    """Draw with warnings as errors, as the test configuration has them."""
    out = io.BytesIO()
    fig.savefig(out, format="png")
    return out.getvalue()


@pytest.mark.parametrize("case", CASES)
def test_limits_are_drawn_and_lost_points_are_marked(case: str) -> None:
    curve = Curve("published", (0.5, 3.0), (2.0, 4.0))
    fig = limit_figure(CASES[case], **LABELS, **AXES, curves=[curve], logx=True)
    assert drawn(fig).startswith(b"\x89PNG")
    texts = [t.get_text() for t in fig.axes[0].get_legend().get_texts()]
    assert "published" in texts
    assert ("no limit (see limits.csv)" in texts) == ("failed" in case)


@pytest.mark.parametrize("case", CASES)
def test_couplings_are_drawn_with_bands(case: str) -> None:
    bands = [Curve("two-sided", (0.5, 3.0), (3.0, 4.0), (1.0, 2.0)), Curve("one-sided", (0.5, 3.0), (1.0, 1.0))]
    fig = coupling_figure(CASES[case], **LABELS, **AXES, bands=bands)
    assert drawn(fig)
    texts = [t.get_text() for t in fig.axes[0].get_legend().get_texts()]
    assert "two-sided" in texts
    assert "one-sided, upper edge" in texts


@pytest.mark.parametrize("case", CASES)
def test_significances_are_drawn_and_the_largest_is_named(case: str) -> None:
    fig = significance_figure(CASES[case], **LABELS, xlabel="mass [GeV]")
    assert drawn(fig)
    assert [t.get_text() for t in fig.axes[0].texts] == {
        "good": ["1.5 at 3.500 GeV"],
        "one": ["0.0 at 0.500 GeV"],
        "some failed": ["1.0 at 2.500 GeV"],
        "all failed": [],
    }[case]


@pytest.mark.parametrize("observed", [[3.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
@pytest.mark.parametrize("stack", [[2.0, 1.0, 1.5], [0.0, 0.0, 0.0]])
def test_spectra_are_drawn_even_empty(observed: list[float], stack: list[float]) -> None:
    stacks = {"a": stack, "b": [0.0, 0.0, 0.0]}
    signal = ("signal", [1.0, 1.0, 1.0])
    fig = spectrum_figure([0.0, 1.0, 2.0, 4.0], observed, stacks, **LABELS, xlabel="x", signal=signal)
    assert drawn(fig)


def test_many_bins_are_merged_and_lose_no_counts() -> None:
    edges = np.linspace(0.0, 6.0, 1201)
    fig = spectrum_figure(edges.tolist(), [1.0] * 1200, {"a": [2.0] * 1200}, **LABELS, xlabel="x", log=False)
    pulls = fig.axes[1].lines[1].get_ydata()
    # eight bins each: 8 counts where 16 are expected
    assert len(pulls) == 150
    assert np.asarray(pulls) == pytest.approx(np.full(150, -2.0))


def test_signal_and_background_of_a_network_have_colours_of_their_own() -> None:
    flat = ([0.0, 1.0], [1.0])
    labels = ["signal, train", "background, train", "signal, test", "background, test"]
    fig = network_figure(dict.fromkeys(labels, flat), {"x": 1.0}, title="t")
    colours = [p.get_edgecolor() for p in fig.axes[0].patches]
    assert colours[0] == colours[2] != colours[1] == colours[3]


def test_pulls_of_a_spectrum_are_those_of_the_counts() -> None:
    fig = spectrum_figure([0.0, 1.0, 2.0], [9.0, 4.0], {"a": [4.0, 4.0]}, **LABELS, xlabel="x")
    points = fig.axes[1].lines[-1].get_ydata()
    assert list(points) == pytest.approx([2.5, 0.0])


def test_the_other_figures_are_drawn() -> None:
    flow = {"names": ["all", "cut"], "events": [10, 0], "sumw": [5.0, 0.0], "n_generated": 20}
    empty = {**flow, "sumw": [0.0, 0.0]}
    for fig in (
        quantity_figure([Curve("a", (1.0, 2.0), (0.1, 0.2))], **LABELS, **AXES),
        bars_figure({"ffo": 3.0, "hie": 3000.0, "off": 0.0}, xlabel="Hz", title="rates", limit=100.0),
        bars_figure({"off": 0.0}, xlabel="Hz", title="rates"),
        cutflow_figure({"signal": flow}, title="t"),
        cutflow_figure({"signal": flow, "empty": empty}, title="t"),
        network_figure({"train": ([0.0, 0.5, 1.0], [1.0, 2.0])}, {"x": 0.1, "y": 0.3}, title="t"),
        pulls_figure({"lumi": (0.1, 1.0), "trigger": (-0.5, 0.9)}, title="t"),
    ):
        assert drawn(fig)


def test_every_figure_says_what_its_data_are() -> None:
    for data, words in (("pseudo", "pseudo-data"), ("asimov", "Asimov"), ("real", "data")):
        fig, ax = figure()
        stamp(ax, "babar_514fb", 0.445, data)
        assert words in ax.get_title(loc="left")
        assert "445" in ax.get_title(loc="right")
        assert drawn(fig)


def test_a_projection_is_called_one_on_stamped_axes_alone() -> None:
    fig, ax = figure()
    other = ax.twinx()
    stamp(ax, "belle2_20fb", 20.0, "pseudo")
    mark_projection(fig)
    assert ax.get_title(loc="left") == "Belle II setting, pseudo-data, projection"
    assert other.get_title(loc="left") == ""
    assert "20" in ax.get_title(loc="right")


def test_style_leaves_no_trace_and_files_are_equal() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    made = []
    for _ in range(2):
        with style():
            fig = limit_figure(CASES["good"], **LABELS, **AXES)
            out = io.BytesIO()
            fig.savefig(out, format="svg", metadata={"Date": None})
            made.append(out.getvalue())
    assert made[0] == made[1]
    assert dict(mpl.rcParams) == before


def test_the_page_escapes_everything() -> None:
    nasty = "<script>alert(1)</script> & 'x' \"y\""
    section = Section(
        "a", nasty, notes=[nasty], figures=[FigureEntry(nasty, nasty)], tables={nasty: [{nasty: nasty, "n": None}]}
    )
    page = render_page(nasty, nasty, [section])
    # the page's own script, and nothing of the text
    assert page.count("<script") == 1
    assert "&lt;script&gt;" in page
    assert "'x' \"y\"" not in page
    assert "&ndash;" in page


def test_the_page_has_its_sections_and_marks_what_is_assumed(tmp_path: Path) -> None:
    table = {"assumed": [{"where": "x", "value": 0.12345678, "source": "assumed"}], "empty": []}
    page = render_page("laptop", "lead", [Section("one", "One", tables=table), Section("two", "Two")])
    assert '<a href="#one">One</a>' in page
    assert 'id="two"' in page
    assert '<tr class="assumed"><td>x</td><td class="n">0.1235</td>' in page
    assert "<p>nothing</p>" in page


@pytest.mark.parametrize("grid", [True, False])
def test_planes_show_grids_as_cells_and_scattered_points_as_dots(grid: bool) -> None:
    x = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0] if grid else [0.1 * i + 1 for i in range(12)]
    y = [0.5, 0.5, 1.0, 0.5, 1.0, 2.0] if grid else [0.07 * i for i in range(12)]
    fig = plane_figure(x, y, [1.0 + v for v in range(len(x))], **LABELS, xlabel="m", ylabel="n", label="limit")
    assert drawn(fig).startswith(b"\x89PNG")
    (shown,) = fig.axes[0].collections
    assert (type(shown).__name__ == "QuadMesh") == grid
    values = np.asarray(shown.get_array()).ravel()
    assert np.isfinite(np.ma.filled(values, np.nan)).sum() == len(x)
