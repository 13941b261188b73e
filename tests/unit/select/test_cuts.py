from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from darkfactory.config.selection import SelectionConfig
from darkfactory.core.errors import ConfigError
from darkfactory.select.cuts import Cut, compile_selection, cutflow, mask_bits, n_minus_1


def selection(*cuts, **more):
    return SelectionConfig.model_validate({"candidate": "dimuon_recoil", "cuts": list(cuts), **more})


def cut(name="a", observable="m2_recoil", **more):
    return {"name": name, "observable": observable, **more}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"candidate": "dimuon"}, r"^selection.candidate: unknown candidate 'dimuon'; did you mean 'dimuon_\w+'."),
        ({"cuts": [cut(min=1), cut("b", "mass", min=1)]},
         r"^selection.cuts\[1\].observable: unknown observable 'mass' of 'dimuon_recoil'; allowed are \['abs_cos"),
        ({"cuts": [cut(min=1, when={"m": [0, 1]})]}, r"^selection.cuts\[0\].when.m: unknown observable 'm'"),
        ({"cuts": [cut(min=1, when={"m_recoil": [2, 1]})]}, r"when.m_recoil: range \[2, 1\) is empty"),
        ({"cuts": [cut(min=2, max=1)]}, r"^selection.cuts\[0\]: min 2 is above max 1"),
        ({"cuts": [cut(min="3 GeV")]}, r"cuts\[0\].min: '3 GeV' carries a unit, but the observable is in GeV\^2"),
        ({"cuts": [cut(observable="dphi", max="3 GeV")]}, r"cuts\[0\].max: '3 GeV': unit 'GeV' is no unit of angle"),
        ({"observables": ["m2_recoil", "x"]}, r"^selection.observables\[1\]: unknown observable 'x'"),
        ({"trigger_profiles": ["x"]}, r"^selection.trigger_profiles\[0\]: unknown observable 'x'"),
        ({"parameters": {"dphi": {"a": 1}}}, r"parameters.dphi: unknown parameter 'a' of 'dphi'; allowed are \[\]"),
        ({"cuts": [cut(f"c{i}", min=1) for i in range(65)]}, r"^selection.cuts: 65 cuts; at most 64"),
    ],
)  # fmt: skip
def test_wrong_names_and_units(config, message):
    with pytest.raises(ConfigError, match=message):
        compile_selection(SelectionConfig.model_validate({"candidate": "dimuon_recoil", **config}))


@pytest.mark.parametrize(
    ("cuts", "message"),
    [
        ([cut()], "has neither min nor max"),
        ([cut(min=1), cut(min=2)], r"cut names \['a'\] occur more than once"),
        ([cut("all", min=1)], "are reserved"),
        ([cut(minimum=1)], "Extra inputs are not permitted"),
    ],
)
def test_wrong_shapes(cuts, message):
    with pytest.raises(ValidationError, match=message):
        selection(*cuts)


def test_units_and_open_ranges():
    plan = compile_selection(
        selection(cut(observable="dphi", min="90 deg", when={"m_recoil": [None, "500 MeV"]}), cut("b", max=5))
    )
    assert plan.cuts[0].low == pytest.approx(np.pi / 2)
    assert plan.cuts[0].high == np.inf
    assert plan.cuts[0].when == (("m_recoil", -np.inf, 0.5),)
    assert plan.cuts[1] == Cut("b", "m2_recoil", -np.inf, 5.0)


def test_columns_are_those_asked_for_and_those_cut_on():
    plan = compile_selection(selection(cut(observable="dphi", min=1, when={"m_recoil": [0, 1]}),
                                       observables=["m2_recoil"]))  # fmt: skip
    assert [o.name for o, _ in plan.observables] == ["m2_recoil", "dphi", "m_recoil"]


COLUMNS = {
    "m2_recoil": np.array([1.0, 3.0, 3.0, np.nan, 9.0]),
    "dphi": np.array([0.5, 0.5, 2.0, 2.0, 0.5]),
    "extra_energy": np.array([0.0, 1.0, 0.0, 0.0, 0.4]),
}
CUTS = (
    Cut("m2", "m2_recoil", 2.0, 9.0),
    Cut("dphi", "dphi", 1.0, np.inf, (("m2_recoil", 0.0, 9.0),)),
    Cut("quiet", "extra_energy", -np.inf, 0.4),
)


def test_bits_bounds_conditions_and_nan():
    # bounds are inclusive; conditions half open; NaN fails its own cut and meets no condition
    assert mask_bits(COLUMNS, CUTS, 5).tolist() == [0b100, 0b001, 0b111, 0b110, 0b111]


def test_cutflow_counts_events_not_candidates():
    bits = mask_bits(COLUMNS, CUTS, 5)
    # six events; 0 and 5 have no candidate, 1 has two, 2 has one, 3 has two
    event = np.array([1, 1, 2, 3, 3])
    weight = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    flow = cutflow(event, bits, weight, ("m2", "dphi", "quiet"))
    assert flow.names == ("all", "candidate", "m2", "dphi", "quiet")
    assert flow.events == (6, 3, 3, 2, 2)
    assert flow.sumw == (63.0, 14.0, 14.0, 12.0, 12.0)
    assert flow.sumw2 == (1365.0, 84.0, 84.0, 80.0, 80.0)


def test_n_minus_1_shows_what_only_this_cut_removes():
    plan = compile_selection(
        selection(
            cut("m2", min=2, max=9),
            cut("dphi", "dphi", min=1, when={"m2_recoil": [0, 9]}),
            cut("quiet", "extra_energy", max=0.4),
        )
    )
    bits = mask_bits(COLUMNS, plan.cuts, 5)
    weight = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    m2, dphi, quiet = n_minus_1(COLUMNS, bits, weight, plan, 10)
    # rows 2 and 4 pass all; row 3 (NaN) fails m2 alone: into the overflow, as NaN sorts last
    assert m2.sumw.sum() == 4 + 8 + 16
    assert m2.sumw[-1] == 8
    # row 4 passes all, but the cut does not apply to it; row 0 fails m2, row 1 fails two
    assert dphi.sumw.sum() == 4
    assert dphi.sumw[1 + int(2.0 / (np.pi / 10))] == 4
    assert quiet.sumw.sum() == 4 + 16
    assert quiet.sumw2.sum() == 16 + 256
    assert (quiet.cut, quiet.observable, quiet.high) == ("quiet", "extra_energy", 0.4)
