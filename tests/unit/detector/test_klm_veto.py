"""Lost photons in the muon system, and showers of parametric samples in the calorimeter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.detector import SimulateOptions
from darkfactory.core.errors import InputError
from darkfactory.detector.simulate import simulate
from darkfactory.events.schema import DEPOSIT


def options(veto: float, low: float, high: float) -> SimulateOptions:
    setting = {"value": veto, "source": "assumed", "range": [low, high]}
    return SimulateOptions.model_validate({"force_photon_loss": 0.9, "klm_photon_veto": setting})


def test_factors_turn_one_veto_efficiency_into_another(
    quiet: Callable[..., Any], shoot: Callable[..., ak.Array]
) -> None:
    detector = quiet(material={"conversion_x0": 1e-9})
    n = 20_000
    out = simulate(shoot(n, 22, 4.0, 90.0), detector, options(0.3, 0.1, 0.6), np.random.default_rng(1))
    lost = ak.to_numpy(ak.num(out.clusters, axis=1)) == 0
    weight = ak.to_numpy(out.weight)
    seen = ak.to_numpy(ak.num(out.klm_clusters, axis=1)) > 0
    assert not np.any(seen & ~lost)
    for side, wanted in (("up", 0.6), ("down", 0.1)):
        factor = ak.to_numpy(out[f"var_klm_veto_{side}"])
        assert np.all(factor[~lost] == 1.0)
        # the total does not change, the vetoed share does
        assert np.average(factor[lost], weights=weight[lost]) == pytest.approx(1.0, abs=0.02)
        vetoed = np.sum((factor * weight)[lost & seen]) / np.sum((factor * weight)[lost])
        assert vetoed == pytest.approx(wanted, abs=0.02)


def test_without_a_veto_kept_events_become_fewer_with_one(
    quiet: Callable[..., Any], shoot: Callable[..., ak.Array]
) -> None:
    detector = quiet(material={"conversion_x0": 1e-9})
    out = simulate(shoot(200, 22, 4.0, 90.0), detector, options(0.0, 0.0, 0.7), np.random.default_rng(1))
    lost = ak.to_numpy(ak.num(out.clusters, axis=1)) == 0
    assert ak.all(ak.num(out.klm_clusters, axis=1) == 0)
    assert np.allclose(ak.to_numpy(out.var_klm_veto_up)[lost], 0.3)
    assert np.all(ak.to_numpy(out.var_klm_veto_down) == 1.0)


def test_samples_that_do_not_ask_have_no_such_columns(
    quiet: Callable[..., Any], shoot: Callable[..., ak.Array]
) -> None:
    out = simulate(shoot(3, 22, 4.0, 90.0), quiet(), SimulateOptions(), np.random.default_rng(1))
    assert "var_klm_veto_up" not in out.fields


def test_parametric_showers_become_clusters_with_their_time_and_shape(
    quiet: Callable[..., Any], shoot: Callable[..., ak.Array]
) -> None:
    events = shoot(4000, DEPOSIT, 3.0, 60.0)
    with pytest.raises(InputError, match=r"lack \['deposit_time', 'deposit_like'\]"):
        simulate(events, quiet(), SimulateOptions(), np.random.default_rng(2))
    events = ak.with_field(events, np.full(4000, 150.0), "deposit_time")
    events = ak.with_field(events, np.full(4000, 0.25), "deposit_like")
    out = simulate(events, quiet(), SimulateOptions(), np.random.default_rng(2))
    assert "deposit_time" not in out.fields
    assert ak.all(ak.num(out.clusters, axis=1) == 1)
    flat = out.clusters[:, 0]
    assert float(np.mean(ak.to_numpy(flat.time))) == pytest.approx(150.0, abs=0.2)
    assert float(np.mean(ak.to_numpy(flat.photon_like))) == pytest.approx(0.25, abs=0.03)
    assert float(np.median(ak.to_numpy(flat.e))) == pytest.approx(3.0, rel=0.01)
    assert np.degrees(float(np.mean(ak.to_numpy(flat.theta)))) == pytest.approx(60.0, abs=0.05)
    assert ak.all(flat.track == -1)
