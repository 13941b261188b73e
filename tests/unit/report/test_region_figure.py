from __future__ import annotations

from typing import Any

from darkfactory.report.combination import region_figure
from darkfactory.report.style import style


def row(mass: float, low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
    status = "no_sensitivity" if low is None else "ok"
    base = {"mass_gev": mass, "lower": low, "upper": high, "quantity": "sin_theta", "status": status, "cl": 0.95}
    return base | more


def test_regions_are_bars_and_masses_without_one_are_marked() -> None:
    combined = [row(0.5, 1e-4, 1e-2), row(0.5, 2e-4, 8e-3, quantity="sin_theta_expected"), row(1.0, None, None)]
    open_end = [row(0.5, 3e-4, 9e-3, status="not_bracketed")]
    with style():
        figure = region_figure(combined, {"a/b": open_end}, ylabel="g", title="t", data="asimov")
    (ax,) = figure.axes
    bars = {tuple(line.get_ydata()) for line in ax.lines if len(line.get_xdata()) == 2}
    assert {(1e-4, 1e-2), (2e-4, 8e-3), (3e-4, 9e-3)} <= bars
    # an arrow at the end that is that of the scan, a cross at the mass without a region
    arrows = [line for line in ax.lines if line.get_marker() == "^"]
    assert [line.get_ydata()[0] for line in arrows] == [9e-3]
    crosses = [list(line.get_xdata()) for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert crosses == [[1.0]]
    assert "Asimov data" in ax.get_title(loc="left")
