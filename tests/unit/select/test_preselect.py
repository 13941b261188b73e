from __future__ import annotations

import time

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import SelectionConfig
from darkfactory.core.errors import InputError, RunError
from darkfactory.records.cutflow import Cutflow
from darkfactory.select.cuts import compile_selection
from darkfactory.select.preselect import evaluate, preselect
from darkfactory.select.registry import CANDIDATES, OBSERVABLES
from darkfactory.select.selected import Selected, efficiency, merge

DIMUON = SelectionConfig.model_validate(
    {
        "candidate": "dimuon_recoil",
        "objects": {"photons": {"min_e": 0.1}},
        "cuts": [
            {"name": "muons", "observable": "n_mu", "min": 2},
            {"name": "pt_pair", "observable": "pt_pair_cms", "min": 1.0},
            {"name": "quiet", "observable": "extra_energy", "max": 2.0, "when": {"m2_recoil": [None, 30.0]}},
        ],
    }
)
TRIPLET = SelectionConfig.model_validate(
    {"candidate": "photon_triplet", "cuts": [{"name": "soft", "observable": "e_min", "min": 0.3}]}
)


def test_registries_have_the_same_candidates():
    assert list(CANDIDATES) == list(OBSERVABLES)
    for name, observables in OBSERVABLES.items():
        assert all(o.name == key and o.description and o.range[0] < o.range[1] for key, o in observables.items()), name


@pytest.mark.parametrize("selection", [DIMUON, TRIPLET], ids=["dimuon", "triplet"])
def test_bits_do_not_depend_on_the_chunk(selection, random_events, frame):
    whole = preselect(random_events, selection, frame)
    assert len(whole) > 10
    parts = merge([preselect(random_events[i : i + 7], selection, frame) for i in range(0, len(random_events), 7)])
    ones = merge([preselect(random_events[i : i + 1], selection, frame) for i in range(len(random_events))])
    for name, column in whole.columns.items():
        for other in (parts, ones):
            assert other.columns[name].dtype == column.dtype
            assert other.columns[name].tobytes() == column.tobytes(), name
    assert parts.cutflow.events == whole.cutflow.events
    assert parts.cutflow.sumw == pytest.approx(whole.cutflow.sumw)
    for a, b in zip(parts.n_minus_1, whole.n_minus_1, strict=True):
        assert a.sumw == pytest.approx(b.sumw)


def test_columns_of_a_row(random_events, frame):
    got = preselect(random_events, DIMUON, frame)
    assert set(OBSERVABLES["dimuon_recoil"]) | {"weight", "event_id", "candidate", "fold", "l1", "hlt"} == set(
        got.columns
    )
    index = got.columns["event_id"] - (3 << 32)
    assert np.array_equal(got.columns["fold"], got.columns["event_id"] % 4)
    assert np.array_equal(got.columns["weight"], ak.to_numpy(random_events.weight)[index])
    assert np.array_equal(got.columns["hlt"], 2 * index)


def test_folds_are_disjoint_and_complete(random_events, frame):
    got = preselect(random_events, DIMUON, frame)
    folds = [set(got.columns["event_id"][got.columns["fold"] == f].tolist()) for f in range(4)]
    assert sum(len(f) for f in folds) == len(set.union(*folds)) == len(got)


def test_three_pairings_are_one_event(random_events, frame):
    got = evaluate(random_events, compile_selection(TRIPLET), TRIPLET, frame)
    assert got.columns["candidate"].tolist() == [0, 1, 2] * (len(got.event) // 3)
    flow = preselect(random_events, TRIPLET, frame).cutflow
    neutral = ak.num(random_events.clusters[random_events.clusters.track < 0])
    assert flow.names == ("all", "candidate", "soft")
    assert flow.events[:2] == (400, int(np.sum(ak.to_numpy(neutral) >= 3)))


def test_selected_round_trip(random_events, frame):
    got = preselect(random_events, DIMUON, frame)
    back = Selected.from_arrays({k: v.copy() for k, v in got.to_arrays().items()})
    assert back.cutflow == got.cutflow
    assert {k: v.tobytes() for k, v in back.columns.items()} == {k: v.tobytes() for k, v in got.columns.items()}
    for a, b in zip(back.n_minus_1, got.n_minus_1, strict=True):
        assert (a.cut, a.observable, a.low, a.high) == (b.cut, b.observable, b.low, b.high)
        assert np.array_equal(a.edges, b.edges)
        assert np.array_equal(a.sumw2, b.sumw2)


def test_fewer_rows(random_events, frame):
    got = preselect(random_events, DIMUON, frame)
    late = got.where(got.columns["fold"] >= 2)
    assert set(late.columns["fold"].tolist()) == {2, 3}
    assert late.cutflow is got.cutflow


def test_broken_arrays_and_merges(random_events, frame):
    with pytest.raises(InputError, match="'meta' is missing"):
        Selected.from_arrays({"column/x": np.zeros(1)})
    with pytest.raises(RunError, match="no chunk of selected candidates"):
        merge([])
    a = preselect(random_events[:10], DIMUON, frame)
    b = preselect(random_events[:10], DIMUON.model_copy(update={"observables": ("m2_recoil",)}), frame)
    with pytest.raises(RunError, match="differ in columns"):
        merge([a, b])


def test_missing_event_column(frame):
    with pytest.raises(InputError, match="lack \\['tracks'"):
        preselect(ak.Array({"weight": [1.0], "event_id": [0]}), DIMUON, frame)


def test_no_events(random_events, frame):
    for selection in (DIMUON, TRIPLET):
        got = preselect(random_events[:0], selection, frame)
        assert len(got) == 0
        assert got.cutflow.events == (0,) * len(got.cutflow.names)


def test_efficiency_counts_events_once():
    columns = {
        "weight": np.array([2.0, 2.0, 1.0, 4.0]),
        "event_id": np.array([4, 4, 6, 7]),
        "fold": np.array([0, 0, 2, 3], dtype=np.int8),
    }
    got = Selected(columns, Cutflow(("all",), (8,), (16.0,), (32.0,)), ())
    one = efficiency(got, 8, 2.0)
    assert one.value == pytest.approx((2 + 1 + 4) / 16)
    assert one.passed == 3
    mean, square = 7 / 8, (4 + 1 + 16) / 8
    assert one.error == pytest.approx(np.sqrt((square - mean**2) / 8) / 2)
    # the largest factor of an event's candidates counts
    assert efficiency(got, 8, 2.0, factor=np.array([0.1, 0.9, 1.0, 1.0])).value == pytest.approx((1.8 + 5) / 16)
    assert efficiency(got, 8, 2.0, folds=(2, 3)).value == pytest.approx((5 / 4) / 2)
    assert efficiency(got, 8, 2.0, mask=np.array([0, 0, 0, 1], dtype=bool)).value == pytest.approx(4 / 16)
    with pytest.raises(RunError, match="must be positive"):
        efficiency(got, 0, 2.0)


def test_speed(random_events, frame):
    many = ak.concatenate([random_events] * 100)
    for selection in (DIMUON, TRIPLET):
        start = time.process_time()
        preselect(many, selection, frame)
        assert len(many) / (time.process_time() - start) > 5e4  # half of the target: machines are shared
