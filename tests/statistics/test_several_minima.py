"""Likelihoods with several minima: the limit is that of the lowest, pyhf confirms it, and a tie is no number."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import pytest
from random_workspaces import random_workspace
from scipy.optimize import brentq
from scipy.stats import norm

from darkfactory.config.statistics import CertificateConfig, StatisticsConfig
from darkfactory.stats.asymptotics import band_targets, log_cls
from darkfactory.stats.base_fits import base_fits, floating
from darkfactory.stats.certificate import Claim, PyhfWindow, _stock_is_better, certify
from darkfactory.stats.channel_density import density_of
from darkfactory.stats.examples import bump_window, template_window, two_minima_window, workspace
from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.stats.minima import bends, bends_at, may_have_several, offsets
from darkfactory.stats.newton import Backend, fit
from darkfactory.stats.optimizer import NewtonOptimizer, pyhf_backend
from darkfactory.stats.scan import asymptotic_limits

BACKENDS: tuple[Backend, ...] = ("numpy", "numba") if importlib.util.find_spec("numba") else ("numpy",)
SHAPE = np.linspace(-5, 5, 5001)


def by_hand(spec: dict[str, Any], cl: float) -> tuple[float, float]:
    """Observed and median expected limit of ``two_minima_window`` from a grid over all of its one nuisance."""
    signal, background = spec["channels"][0]["samples"]
    s, b = np.array(signal["data"]), np.array(background["data"])
    variation = background["modifiers"][0]["data"]
    up, down = np.array(variation["hi_data"]) - b, b - np.array(variation["lo_data"])

    def rates(mu: float, a: np.ndarray) -> np.ndarray:
        inner = a**2 * (3 * a**4 - 10 * a**2 + 15)
        bend = np.where(np.abs(a) <= 1, inner, 8 * np.abs(a))
        shift = 0.5 * (up + down) * a[:, None] + (up - down) / 16 * bend[:, None]
        return mu * s + b + shift

    def lowest(mu: float, n: np.ndarray, centre: float) -> tuple[float, float, np.ndarray]:
        grid = SHAPE
        for _ in range(3):
            nu = rates(mu, grid)
            with np.errstate(all="ignore"):
                value = (nu - n + n * np.log(n / nu)).sum(axis=1) + 0.5 * (grid - centre) ** 2
            value = np.where((nu > 0).all(axis=1), value, np.inf)
            best, step = grid[int(value.argmin())], grid[1] - grid[0]
            grid = best + np.linspace(-2, 2, 401) * step
        return float(value.min()), float(best), rates(mu, np.array([best]))[0]

    n = np.array(spec["observations"][0]["data"])
    _, shape, asimov = lowest(0.0, n, 0.0)
    free = min(lowest(float(mu), n, 0.0)[0] for mu in np.linspace(0, 4, 101))

    def cls(mu: float) -> float:
        q = 2 * (lowest(mu, n, 0.0)[0] - free)
        qa = 2 * lowest(mu, asimov, shape)[0]
        root, roota = math.sqrt(max(q, 0)), math.sqrt(qa)
        if root <= roota:
            both, background_only = norm.sf(root), norm.sf(root - roota)
        else:
            both, background_only = norm.sf((q + qa) / (2 * roota)), norm.sf((q - qa) / (2 * roota))
        return float(both / background_only)

    target = norm.isf((1 - cl) * 0.5)
    observed = brentq(lambda mu: cls(mu) - (1 - cl), 0.5, 20.0, xtol=1e-6)
    expected = brentq(lambda mu: math.sqrt(2 * lowest(mu, asimov, shape)[0]) - target, 0.5, 20.0, xtol=1e-6)
    return observed, expected


@pytest.mark.parametrize(("tilt", "slope", "backend"), [(1.0, 0.2, BACKENDS[-1]), (4.0, 0.05, "numpy")])
def test_the_limit_is_that_of_the_lowest_minimum(tilt: float, slope: float, backend: Backend) -> None:
    spec = two_minima_window(tilt, slope=slope)
    _, m = compile_workspace(spec)
    assert base_fits(m, m.observed).null.theta[0, 1] > 0.3
    found = asymptotic_limits(m, [0.9], backend=backend)
    assert found.status == (("ok",),)
    assert found.base.null.theta[0, 1] < -0.3
    observed, expected = by_hand(spec, 0.9)
    assert found.observed[0, 0] == pytest.approx(observed, rel=2e-4)
    assert found.expected[0, 0, 2] == pytest.approx(expected, rel=2e-4)


def test_pyhf_confirms_the_lowest_minimum_and_a_tie_is_no_number() -> None:
    config = StatisticsConfig(
        cls=(0.9,), method="asymptotic", backend="numpy", certificate=CertificateConfig(stock_fraction=1.0)
    )
    items = [
        WorkspaceInput(f"m{i}p00000", "x", {"mass": float(i)}, spec)
        for i, spec in enumerate((two_minima_window(1.0), two_minima_window(0.0, slope=0.0)))
    ]
    good, tie = compute_limits(items, config)
    assert (good.status, good.certificate["passed"]) == ("ok", True)
    # stock pyhf stays in the minimum on its own side, and its own density says that it is the higher one
    assert good.certificate["stock"]["deviation"] > 0.1
    assert not good.certificate["stock"]["stock_minimum_lower"]
    assert (tie.status, tie.observed, tie.expected) == ("several_minima", None, None)


def far_behind_zero() -> dict[str, Any]:
    """Empty bins whose rate shapes extrapolated by three standard deviations turn negative."""
    data = np.array([0.25] * 11 + [3.0])
    losses = [
        {
            "name": f"loss{k}", "type": "histosys",
            "data": {"hi_data": [*((1 - drop) * data[:11]), 3.0], "lo_data": [*((1 + drop) * data[:11]), 3.0]},
        }
        for k, drop in enumerate((0.3, 0.35))
    ]  # fmt: skip
    signal = {
        "name": "signal", "data": [0.0] * 11 + [1.0],
        "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
    }  # fmt: skip
    # a yield that grows makes less than nothing still less
    norm = {"name": "yield", "type": "normsys", "data": {"hi": 1.8, "lo": 0.55}}
    background = {"name": "background", "data": data.tolist(), "modifiers": [norm, *losses]}
    return workspace({"sr": [signal, background]}, {"sr": np.array([0.0] * 11 + [3.0])})


def test_a_minimum_behind_zero_is_none() -> None:
    """A start from which steps lead behind zero: twice the log-likelihood gains without end there."""
    window = PyhfWindow(far_behind_zero(), 10.0)
    assert may_have_several(compile_workspace(window.spec)[1]).all()
    far = np.array(window.model.config.suggested_init())
    for name in ("loss0", "loss1", "yield"):
        far[window.model.config.par_slice(name)] = 4.0
    values = []
    for hints in ([], [far]):
        optimizer = NewtonOptimizer(hints=hints)
        density = density_of(window.model)
        with pyhf_backend(optimizer):
            optimizer.prepare(window.model, window.data, window.bounds, [1.0, 2.0], density.values)
            values.append(window.hypotest(1.0)[0])
            fits = window.hypotest(2.0)[2].fitted_pars
        for name in ("asimov_pars", "free_fit_to_data", "fixed_poi_fit_to_data", "fixed_poi_fit_to_asimov"):
            assert np.min(window.model.main_model.expected_data(np.asarray(getattr(fits, name)))) > -1e-9
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def test_a_stock_minimum_behind_zero_is_no_evidence() -> None:
    window = PyhfWindow(far_behind_zero(), 10.0)
    start = np.array(window.model.config.suggested_init())
    behind = start.copy()
    for name in ("loss0", "loss1", "yield"):
        behind[window.model.config.par_slice(name)] = 5.0

    class Fits:
        def __init__(self, pars: np.ndarray) -> None:
            self.asimov_pars = self.free_fit_to_data = self.fixed_poi_fit_to_data = pars
            self.fixed_poi_fit_to_asimov = pars

    behind[window.model.config.poi_index] = start[window.model.config.poi_index] = 0.0
    observed = window.model.main_model.expected_data(behind)
    assert np.min(observed) < -1
    assert not _stock_is_better(window, Fits(behind), Fits(start))


def test_a_lower_stock_minimum_of_the_asimov_set_is_evidence() -> None:
    window = PyhfWindow(two_minima_window(1.0), 10.0)
    poi = window.model.config.poi_index
    good, bad = np.zeros(2), np.zeros(2)
    good[1 - poi], bad[1 - poi] = -0.49, 0.42

    class Fits:
        def __init__(self, asimov: np.ndarray) -> None:
            self.asimov_pars = self.free_fit_to_data = self.fixed_poi_fit_to_data = good
            self.fixed_poi_fit_to_asimov = asimov

    assert _stock_is_better(window, Fits(good), Fits(bad))
    assert not _stock_is_better(window, Fits(bad), Fits(good))
    assert not _stock_is_better(window, Fits(good), Fits(good))


def test_which_windows_are_searched() -> None:
    few = template_window(1, events=2000.0, bins=50)
    assert not may_have_several(compile_workspace(few)[1]).any()
    single = template_window(1, events=10.0, bins=50)
    assert may_have_several(compile_workspace(single)[1]).all()
    assert not may_have_several(compile_workspace(bump_window(1))[1]).any()


def tilted(up: float, down: float, events: float = 1e4) -> dict[str, Any]:
    """A variation of the first of two bins by parts of itself, and what a free yield makes of it."""
    nominal = np.array([events, events])
    hi, lo = nominal.copy(), nominal.copy()
    hi[0] *= 1 + up
    lo[0] *= 1 + down
    shape = {"name": "shape", "type": "histosys", "data": {"hi_data": hi.tolist(), "lo_data": lo.tolist()}}
    parts = [
        {"name": "signal", "data": [0.0, 10.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        {"name": "background", "data": nominal.tolist(), "modifiers": [shape]},
    ]
    return workspace({"sr": parts}, {"sr": nominal})


def test_a_variation_that_leads_back_is_searched() -> None:
    """Both directions raise a bin of one per cent error: by ten, by a fifth, and in opposite directions."""
    found = [
        bool(may_have_several(compile_workspace(tilted(up, down))[1])[0])
        for up, down in ((0.1, 0.1), (0.002, 0.002), (0.1, -0.1), (0.1, 0.0))
    ]
    assert found == [True, False, False, False]
    # the same per cents of few events are less than their errors
    assert not may_have_several(compile_workspace(tilted(0.1, 0.1, events=10.0))[1]).any()


def lowest(m: Any, data: Any, mu: float, rng: np.random.Generator) -> float:
    """The lowest of the minima that forty random starts end in."""
    many = m.take(np.zeros(40, dtype=np.intp))
    start = many.init + 1.5 * rng.normal(size=many.init.shape) * many.width
    start[:, m.structure.poi] = mu
    sets = data.take(np.zeros(40, dtype=np.intp))
    made = fit(many, sets, start, np.repeat(floating(m, False), 40, axis=0), physical=True)
    return float(np.where(made.converged, made.value, np.inf).min())


def test_data_far_from_any_description_and_a_variation_that_leads_back() -> None:
    """At the limits, the Asimov set has its lowest minimum on the other side, where only stock pyhf ended."""
    spec = random_workspace(710)
    _, m = compile_workspace(spec)
    found = asymptotic_limits(m, [0.9, 0.95])
    assert found.status == (("ok", "ok"),)
    rng = np.random.default_rng(1)
    free = found.base.free.value[0]
    for j, cl in enumerate((0.9, 0.95)):
        mu = float(found.observed[0, j])
        q = 2 * (lowest(m, m.observed, mu, rng) - free)
        asimov = 2 * lowest(m, found.base.asimov, mu, rng)
        value, _ = log_cls(np.array([q]), np.zeros(1), np.array([asimov]), np.zeros(1))
        assert np.exp(value[0]) == pytest.approx(1 - cl, rel=1e-8)
        for mu, target in zip(found.expected[0, j], band_targets(cl), strict=True):
            assert math.sqrt(2 * lowest(m, found.base.asimov, float(mu), rng)) == pytest.approx(target, rel=1e-8)


@pytest.mark.parametrize("reason", ["", pytest.param("flagged", marks=pytest.mark.long)])
def test_the_certificate_of_such_data_passes_with_and_without_hints(reason: str) -> None:
    spec = random_workspace(710)
    found = asymptotic_limits(compile_workspace(spec)[1], [0.9])
    claim = Claim(0.9, float(found.observed[0, 0]), tuple(float(v) for v in found.expected[0, 0]))
    for hints in ([], [found.base.null.theta[0], found.observed_asimov[0, 0]]):
        made = certify(spec, [claim], hints, CertificateConfig(), stock_reason=reason)
        assert made["passed"]
        assert made["cls_deviation"] < 1e-8


def test_starts_are_spread_and_mirrored() -> None:
    made = offsets(41, 7)
    assert (made[0] == 0).all()
    assert (made[1::2] == -made[2::2]).all()
    assert np.abs(made).max() <= 4.0
    # every other pair stays near
    assert np.abs(made[1:3]).max() <= 2.0
    # every parameter is tried on both sides at more than one standard deviation
    assert (made.max(axis=0) > 1).all()
    assert (made[1:].std(axis=0) > 0.6).all()


def test_data_that_cannot_turn_a_variation_are_not_searched() -> None:
    """The worst data at the largest limit could, the data at hand are a quarter of that."""
    _, m = compile_workspace(template_window(1))
    found = asymptotic_limits(m, [0.95])
    strongest = found.expected[0, 0, 4:5]
    assert bends(m, strongest).all()
    one = np.zeros(1, dtype=np.intp)
    assert not bends_at(m, found.base.asimov, found.expected_fit[0, 0, 4:5], one, one).any()


def test_data_between_both_ends_of_a_variation_are() -> None:
    _, m = compile_workspace(two_minima_window())
    one = np.zeros(1, dtype=np.intp)
    # in the middle, and at the end that a fit reaches
    for pull in (0.0, 1.0, -1.0):
        theta = m.init.copy()
        theta[0, [p for p in range(theta.shape[1]) if p != m.structure.poi]] = pull
        assert bends_at(m, m.observed, theta, one, one).all()
