"""Plots that pages draw themselves: what is embedded, and in a real browser what is drawn."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from darkfactory.report.page import FigureEntry, Link, Section, render_page
from darkfactory.report.plots import Plot, Series, limit_plots, plain, region_plots

BAND = ("expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")


def rows(points: list[str], **more: Any) -> list[dict[str, Any]]:
    made = []
    for i, point in enumerate(points):
        band = {k: 10.0 ** (j - 2) * (i + 1) for j, k in enumerate(BAND)}
        mass = float(point.split("_")[0][1:].replace("p", "."))
        made.append(
            {"hypothesis": "zprime", "point": point, "mass_gev": mass, "quantity": "cross_section", "unit": "fb",
             "cl": 0.9, "status": "ok", "observed": 1.5 * (i + 1), **band, **more}
        )  # fmt: skip
    return made


def embedded(page: str) -> list[dict[str, Any]]:
    return [json.loads(t) for t in re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)]


def test_a_scan_by_mass_has_its_bands_and_keeps_gaps() -> None:
    found = rows(["m3p00000", "m1p00000", "m2p00000"])
    found[2] |= {"status": "fit_failed"}
    (plot,) = limit_plots(found, "limits", {}, "limits.csv")
    by_name = {s.name: s for s in plot.series}
    assert plot.ylabel == "cross section [fb]"
    assert by_name["expected"].x == (1.0, 2.0, 3.0)
    assert by_name["expected"].y == (2.0, None, 1.0)
    assert by_name["expected, 2 sigma"].low == (0.02, None, 0.01)
    assert by_name["expected, 2 sigma"].high == (200.0, None, 100.0)
    assert by_name["observed, 90% CL"].y == (3.0, None, 1.5)


def test_lifetimes_are_lines_for_some_masses_at_the_middle_of_the_second_lifetime() -> None:
    points = [f"m{m}p00000_t{t}p00000_u{u}p00000" for m in range(1, 9) for t in (1, 9) for u in (1, 5, 9)]
    (plot,) = limit_plots(rows(points), "limits", {}, "limits.csv")
    assert plot.logx
    assert [s.name for s in plot.series] == ["1 GeV", "3 GeV", "5 GeV", "6 GeV", "8 GeV"]
    assert all(s.x == (1.0, 9.0) for s in plot.series)


def test_regions_are_bars_side_by_side() -> None:
    one = {"model": "m", "coupling": "sin_theta", "cl": 0.95, "mass_gev": 1.0, "upper": 1e-2}
    found = [
        one | {"input": "combined", "quantity": "sin_theta", "lower": 1e-4},
        one | {"input": "combined", "quantity": "sin_theta_expected", "lower": 2e-4},
        one | {"input": "a/b", "quantity": "sin_theta", "lower": None, "upper": None},
    ]
    (plot,) = region_plots(found, "c", {"m": r"$\sin\theta$"}, "couplings.csv")
    assert [s.name for s in plot.series] == ["combined, observed", "combined, expected"]
    assert plot.series[0].low == (1e-4,)
    assert plot.series[0].x[0] < plot.series[1].x[0]
    assert plot.ylabel == "sin\u03b8"


def test_embedded_numbers_are_those_of_the_plot_and_cannot_end_their_element() -> None:
    plot = Plot("a", "</script><b>", "x", "y", (Series("</script>", (1.0, 2.0), (3.0, None)),))
    page = render_page("t", "", [Section("s", "S", plots=[plot])])
    (told,) = embedded(page)
    assert told["series"][0]["y"] == [3.0, None]
    assert told["title"] == "</script><b>"
    assert "source" not in told
    # the data's element and the script's
    assert page.count("</script>") == 2


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [v for k, v in attrs if k in ("src", "href") and v]


def test_nothing_is_loaded_from_the_network_and_numbers_stand_beside_figures() -> None:
    figure = FigureEntry("../a.png", "a", "../limits.csv", "../a.pdf")
    plots = limit_plots(rows(["m1p00000", "m2p00000"]), "limits", {}, "../limits.csv")
    page = render_page("t", "", [Section("s", "S", figures=[figure], plots=plots)], [Link("other", "other.html")])
    parser = _Addresses()
    parser.feed(page)
    assert {"../a.png", "../a.pdf", "../limits.csv", "other.html", "#s"} == set(parser.found)
    outside = re.sub(r'"http://www.w3.org/2000/svg"', "", page)
    assert not re.search(r"https?://|@import|url\((?!#)", outside)
    assert "fetch(" not in page
    assert "XMLHttpRequest" not in page


def test_long_tables_are_folded() -> None:
    page = render_page(
        "t", "", [Section("s", "S", tables={"long": [{"n": i} for i in range(30)], "short": [{"n": 1}]})]
    )
    assert "<summary>long (30 rows)</summary>" in page
    assert "<h3>short</h3>" in page


def test_formulas_become_letters() -> None:
    assert plain(r"$B^0\to K^{*0}S$, $\chi_1$") == "B\u2070 \u2192 K*\u2070S, \u03c7\u2081"


@pytest.mark.browser
def test_a_browser_draws_zooms_and_moves_nothing_over_the_network(tmp_path: Path) -> None:
    browser = next((b for n in ("chromium", "chromium-browser", "google-chrome") if (b := shutil.which(n))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine; `apt-get install chromium` or the like")
    plots = limit_plots(rows(["m1p00000", "m2p00000", "m4p00000"]), "limits", {}, "limits.csv")
    plots += region_plots(
        [{"model": "m", "coupling": "g", "cl": 0.9, "mass_gev": 1.0, "quantity": "g", "lower": 0.1, "upper": 2.0,
          "hypothesis": "h"}], "c", {}, "c.csv",
    )  # fmt: skip
    file = tmp_path / "page.html"
    file.write_text(render_page("t", "", [Section("s", "S", plots=plots)]), encoding="utf-8")

    def opened(view: str) -> str:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000"]
        # the state of other sessions stays out; nothing may be resolved
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom"]
        done = subprocess.run([*command, f"{file.as_uri()}{view}"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-500:]
        return done.stdout

    def ticks(dom: str, axis: str) -> list[float]:
        first = dom.partition('id="plot-c-')[0]
        return [float(t) for t in re.findall(rf'class="tick {axis}"[^>]*>([^<]+)<', first)]

    whole = opened("")
    assert 'data-plots="2"' in whole
    assert len(re.findall(r'<path d="M[^"]+Z" class="band', whole)) == 2
    # three points of the observed limit
    assert whole.count("<circle") == 3
    assert 'class="series s1 bar"' in whole
    assert (min(ticks(whole, "y")), max(ticks(whole, "y"))) == (0.01, 100.0)
    name = plots[0].id
    zoomed = opened(f"#view:{name}:1.5,2.5,1,10")
    assert min(ticks(zoomed, "x")) >= 1.5
    assert max(ticks(zoomed, "x")) <= 2.5
    assert ticks(zoomed, "y") == [1.0, 10.0]
