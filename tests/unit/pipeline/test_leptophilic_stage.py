"""From limits by lifetime to the excluded xi of a leptophilic scalar: table and figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkfactory.config.points import point_name
from darkfactory.models.leptophilic_scalar import ctau_cm
from darkfactory.pipeline.figures import _couplings as couplings
from darkfactory.pipeline.interpret import finish
from darkfactory.pipeline.lifetime_figures import regions
from darkfactory.pipeline.request import Request
from darkfactory.store.tables import read_csv, write_csv

CTAU = np.geomspace(1e-3, 1e3, 13)


def test_the_stage_writes_intervals_and_their_figure(tmp_path: Path) -> None:
    points = [(m, point_name({"mass": m, "lifetime": float(t)})) for m in (0.05, 0.1, 0.2) for t in CTAU]
    limits = [
        {"search": "leptophilic", "dataset": "belle", "hypothesis": "ee", "point": p, "observed": 0.2, "expected": 0.8,
         "cl": 0.9, "method": "exact", "data": "pseudo"} for _, p in points
    ]  # fmt: skip
    rates = [{"hypothesis": "ee", "point": p, "sigma_fb": 5.0} for _, p in points]
    paths = {name: tmp_path / f"{name}.csv" for name in ("limits_csv", "efficiency", "couplings")}
    write_csv(paths["limits_csv"], limits, tuple(limits[0]))
    write_csv(paths["efficiency"], rates, tuple(rates[0]))
    model = {"hypotheses": {"ee": "ee"}, "scan": [0.01, 100.0], "label": "$\\xi$"}
    spec = {"interpretation": {"leptophilic": {"leptophilic_scalar": model}}}
    inputs = {k: str(paths[k]) for k in ("limits_csv", "efficiency")}
    finish(Request("interpret", inputs, {"couplings": str(paths["couplings"])}, spec, "x").to_dict())

    found = read_csv(paths["couplings"])
    assert [(r["mass_gev"], r["quantity"]) for r in found] == [
        (m, q) for m in (0.05, 0.1, 0.2) for q in ("xi", "xi_expected")
    ]
    for row in found:
        # flat limits: xi^2 = limit over rate, up to the shortest lifetime scanned
        expected = np.sqrt((0.2 if row["quantity"] == "xi" else 0.8) / 5.0)
        assert row["lower"] == pytest.approx(expected, rel=0.01)
        assert row["upper"] == pytest.approx(np.sqrt(float(ctau_cm(row["mass_gev"])) / 1e-3), rel=0.03)

    job = Request("figures", {"couplings": str(paths["couplings"])}, {}, spec, "x")
    drawn = list(regions(job, {"dataset": "belle", "luminosity_fb": 626.0, "data": "pseudo"}))
    assert [name for name, _, _ in drawn] == ["region_leptophilic_scalar_cl0p9"]
    assert drawn[0][2].axes[0].get_ylabel() == "$\\xi$"


def test_prompt_muons_join_the_region_of_displaced_electrons(tmp_path: Path) -> None:
    common = {"search": "s", "dataset": "belle", "cl": 0.9, "method": "exact", "data": "pseudo", "unit": "fb",
              "quantity": "cross_section", "status": "ok", "width": None}  # fmt: skip
    band = {"expected": 0.8, "expected_m2": 0.3, "expected_m1": 0.5, "expected_p1": 1.1, "expected_p2": 1.6}
    electrons = [(0.1, point_name({"mass": 0.1, "lifetime": float(t)}), "ee") for t in CTAU]
    muons = [(m, point_name({"mass": m}), "mumu") for m in (0.5, 1.0, 2.0)]
    limits = [
        common | band | {"hypothesis": h, "point": p, "mass_gev": m, "observed": 0.2} for m, p, h in electrons + muons
    ]
    rates = [{"hypothesis": h, "point": p, "sigma_fb": 5.0} for _, p, h in electrons + muons]
    paths = {name: tmp_path / f"{name}.csv" for name in ("limits_csv", "efficiency", "couplings")}
    write_csv(paths["limits_csv"], limits, tuple(limits[0]))
    write_csv(paths["efficiency"], rates, tuple(rates[0]))
    spec: dict[str, Any] = {
        "interpretation": {
            "leptophilic": {"leptophilic_scalar": {"hypotheses": {"ee": "ee"}, "scan": [0.01, 100.0]}},
            "models": {"leptophilic_scalar": {"hypothesis": "mumu", "coupling": "xi",
                                              "branching_fraction": "leptophilic_scalar_mumu"}},
        },
        "references": "nowhere",
    }  # fmt: skip
    inputs = {k: str(paths[k]) for k in ("limits_csv", "efficiency")}
    finish(Request("interpret", inputs, {"couplings": str(paths["couplings"])}, spec, "x").to_dict())
    job = Request("figures", {"couplings": str(paths["couplings"])}, {}, spec, "x")
    figure_of = {"dataset": "belle", "luminosity_fb": 626.0, "data": "pseudo"}

    (_, _, region), *_ = list(regions(job, figure_of))
    labels = region.axes[0].get_legend_handles_labels()[1]
    assert labels[:2] == ["ee", "mumu"]
    line = next(x for x in region.axes[0].lines if x.get_label() == "mumu")
    np.testing.assert_allclose(line.get_xdata(), [0.5, 1.0, 2.0])
    np.testing.assert_allclose(line.get_ydata(), np.sqrt(0.2 / 5.0), rtol=1e-3)
    # the figure of upper limits is of muons alone
    drawn = list(couplings(job, figure_of))
    assert len(drawn) == 1
    x = np.concatenate([line.get_xdata() for line in drawn[0][2].axes[0].lines])
    assert x.min() == pytest.approx(0.5)
