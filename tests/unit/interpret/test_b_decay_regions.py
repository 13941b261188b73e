from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darkfactory.config.base import Tagged
from darkfactory.config.interpretation import (
    BDecayChannel,
    BDecayRegion,
    InterpretationConfig,
    ScalarTable,
)
from darkfactory.interpret.regions import b_decay_rows
from darkfactory.models.b_to_s import (
    alp_lepton_ctau_cm,
    alp_w_coupling,
    alp_w_ctau_cm,
    branching_fraction_alp,
    branching_fraction_scalar,
)
from darkfactory.models.examples import FLAVOUR

TABLE = ScalarTable(
    mass=(0.1, 1.0), ctau_cm=(1e-5, 1e-7), ee=(1.0, 0.5), mumu=(0.0, 0.0), pipi=(0.0, 0.0), kk=(0.0, 0.0),
    source="assumed",
)  # fmt: skip


def higgs(kaon: str) -> BDecayRegion:
    return BDecayRegion(
        particle="dark_higgs", hypotheses={"k": BDecayChannel(kaon=kaon, final="ee")}, coupling="sin_theta",
        scan=(1e-6, 0.3),
    )  # fmt: skip


def limits(value: float, lifetimes: tuple[float, ...] = (0.001, 1.0, 400.0)) -> list[dict[str, Any]]:
    names = [f"m1p00000_t{t:.5f}".replace(".", "p") for t in lifetimes]
    common = {"search": "s", "dataset": "d", "hypothesis": "k", "cl": 0.95, "method": "exact", "data": "pseudo"}
    return [{**common, "point": n, "observed": value, "expected": 2 * value} for n in names]


def test_a_flat_limit_excludes_from_its_rate_to_the_shortest_lifetime() -> None:
    # c tau = 1e-7 cm / sin^2: 400 cm at 1.6e-5, 0.001 cm at 0.01
    rows = b_decay_rows(limits(1e-7), {("k", "m1p00000_t0p00100"): 1.0}, "m", higgs("K+"), FLAVOUR, TABLE)
    observed, expected = (next(r for r in rows if r["quantity"] == q) for q in ("sin_theta", "sin_theta_expected"))
    unit = 0.5 * float(branching_fraction_scalar(1.0, "K+", FLAVOUR))
    assert observed["lower"] == pytest.approx(np.sqrt(1e-7 / unit), rel=1e-6)
    assert expected["lower"] == pytest.approx(np.sqrt(2e-7 / unit), rel=1e-6)
    assert observed["upper"] == pytest.approx(0.01, rel=0.05)
    # the upper end is where the lifetimes scanned end, no crossing
    assert observed["status"] == "not_bracketed"


def test_limits_of_kstar_are_on_its_decay_to_charged_particles() -> None:
    rows = b_decay_rows(limits(1e-7), {("k", "m1p00000_t0p00100"): 1.0}, "m", higgs("K*0"), FLAVOUR, TABLE)
    unit = 0.5 * 2 / 3 * float(branching_fraction_scalar(1.0, "K*0", FLAVOUR))
    assert rows[0]["lower"] == pytest.approx(np.sqrt(1e-7 / unit), rel=1e-6)


def test_above_the_mass_where_widths_are_known_nothing_is_excluded() -> None:
    alp = BDecayRegion(
        particle="alp_fermions", hypotheses={"k": BDecayChannel(kaon="K+", final="mumu")}, coupling="inverse_f",
        scan=(1e-9, 1e-2), scale_gev=Tagged(value=1000.0, source="assumed"), max_mass=0.41,
    )  # fmt: skip
    rows = b_decay_rows(limits(1e-7), {("k", "m1p00000_t0p00100"): 1.0}, "a", alp, FLAVOUR, None)
    assert {r["status"] for r in rows} == {"no_sensitivity"}
    low = [dict(r, point=r["point"].replace("m1p0", "m0p3")) for r in limits(1e-9)]
    found = b_decay_rows(low, {("k", "m0p30000_t0p00100"): 1.0}, "a", alp, FLAVOUR, None)
    # rates go as 1/f^2, so that the lifetime at the upper edge is the shortest scanned
    edge = float(alp_lepton_ctau_cm(0.3, found[0]["upper"]))
    assert edge == pytest.approx(0.001, rel=0.1)


def test_a_coupling_to_w_sets_rate_and_lifetime() -> None:
    region = BDecayRegion(
        particle="alp_w", hypotheses={"k": BDecayChannel(kaon="K+", final="gg")}, coupling="g_aw", scan=(1e-7, 1e-2)
    )  # fmt: skip
    rows = b_decay_rows(limits(1e-7), {("k", "m1p00000_t0p00100"): 1.0}, "w", region, FLAVOUR, None)
    unit = float(branching_fraction_alp(1.0, "K+", FLAVOUR, alp_w_coupling(FLAVOUR)))
    assert rows[0]["lower"] == pytest.approx(np.sqrt(1e-7 / unit), rel=1e-6)
    # about 7e-6/GeV, as published limits of 1e-7 give
    assert rows[0]["lower"] == pytest.approx(7.3e-6, rel=0.03)
    assert float(alp_w_ctau_cm(1.0, rows[0]["upper"])) == pytest.approx(0.001, rel=0.1)


def test_regions_need_what_their_rates_need() -> None:
    channel = BDecayChannel(kaon="K+", final="ee")
    with pytest.raises(ValueError, match="inverse_f is not that of dark_higgs"):
        BDecayRegion(particle="dark_higgs", hypotheses={"k": channel}, coupling="inverse_f", scan=(1e-6, 1.0))
    with pytest.raises(ValueError, match="scale_gev: the rate of an ALP goes as a logarithm"):
        BDecayRegion(particle="alp_fermions", hypotheses={"k": channel}, coupling="inverse_f", scan=(1e-6, 1.0))
    with pytest.raises(ValueError, match="regions need the table `dark_scalar`"):
        InterpretationConfig(b_decays={"h": higgs("K+")}, flavour=FLAVOUR)
    with pytest.raises(ValueError, match="b_decays need the inputs `flavour`"):
        InterpretationConfig(b_decays={"h": higgs("K+")}, dark_scalar=TABLE)
