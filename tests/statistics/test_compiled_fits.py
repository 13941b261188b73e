"""The compiled kernels give the reference's fits, limits, toys and scans."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from test_limits_against_pyhf import two_channels

from darkfactory.config.statistics import StatisticsConfig
from darkfactory.stats.examples import bump_window, counting_window, plane_window, template_window
from darkfactory.stats.histfactory import Batch, compile_workspaces
from darkfactory.stats.limits import WorkspaceInput, compute_limits
from darkfactory.stats.newton import fit
from darkfactory.stats.scan import asymptotic_limits
from darkfactory.stats.significance import scan_toys
from darkfactory.stats.toys import toy_sample

pytest.importorskip("numba")


def several(seed: int) -> dict:
    """All modifiers in two channels, other data each time; one shapefactor and one profiled factor on one sample."""
    rng = np.random.default_rng(seed)
    spec = two_channels()
    for o in spec["observations"]:
        o["data"] = rng.poisson(o["data"]).astype(float).tolist()
    return spec


KINDS: dict[str, Callable[[int], dict]] = {
    "A": lambda s: bump_window(s, injected=float(s % 3)),
    "A at 5 events": lambda s: bump_window(s, events=5.0),
    "B": lambda s: template_window(s, bins=13),
    "C": lambda s: plane_window(s, shape=(7, 5), staterror=True),
    "D": lambda s: counting_window(20 + s % 20, 30.0, 0.1, signal=5.0, signal_error=0.05),
    "D, few events": lambda s: counting_window(s % 4, 0.5, 0.3),
    "all modifiers": several,
}


def stack(kind: str, count: int = 12) -> Batch:
    groups, refused = compile_workspaces([KINDS[kind](s) for s in range(count)])
    assert len(groups) == 1
    assert not refused
    return groups[0].batch


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_signal", [False, True])
def test_fits_agree(kind: str, with_signal: bool) -> None:
    m = stack(kind)
    free = ~m.fixed
    free[:, m.structure.poi] = with_signal
    start = m.init.copy()
    start[:, m.structure.poi] = 0.0
    reference = fit(m, m.observed, start, free)
    compiled = fit(m, m.observed, start, free, backend="numba")
    assert reference.converged.all()
    assert np.array_equal(reference.converged, compiled.converged)
    for name in ("theta", "value", "slope", "tangent", "curvature"):
        expected = getattr(reference, name)
        np.testing.assert_allclose(
            getattr(compiled, name), expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max(), err_msg=name
        )
    for ours, theirs in zip(compiled.gammas, reference.gammas, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_windows_and_data_are_picked_by_index(backend: str) -> None:
    m = stack("all modifiers")
    windows, sets = np.array([3, 3, 0, 7]), np.array([1, 3, 11, 7])
    free = ~m.fixed[windows]
    picked = fit(m, m.observed, m.init[windows], free, windows=windows, sets=sets, backend=backend)  # type: ignore[arg-type]
    copied = fit(m.take(windows), m.observed.take(sets), m.init[windows], free)
    np.testing.assert_allclose(picked.value, copied.value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(picked.theta, copied.theta, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_limits_agree(kind: str) -> None:
    m = stack(kind)
    reference = asymptotic_limits(m, (0.9, 0.95))
    compiled = asymptotic_limits(m, (0.9, 0.95), backend="numba")
    assert reference.status == compiled.status
    assert {s for row in reference.status for s in row} == {"ok"}
    np.testing.assert_allclose(compiled.observed, reference.observed, rtol=1e-10)
    np.testing.assert_allclose(compiled.expected, reference.expected, rtol=1e-10)
    np.testing.assert_allclose(compiled.base.q0, reference.base.q0, rtol=1e-9, atol=1e-10)


def test_failures_agree() -> None:
    """Data where nothing is expected, and a signal that changes nothing."""
    impossible = counting_window(3, 0.0)
    impossible["channels"][0]["samples"][0]["data"] = [0.0]
    flat = counting_window(3, 3.0)
    flat["channels"][0]["samples"][0]["data"] = [0.0]
    groups, _ = compile_workspaces([impossible, flat, counting_window(3, 3.0), counting_window(2, 0.0)])
    m = groups[0].batch
    reference = asymptotic_limits(m, (0.9,))
    compiled = asymptotic_limits(m, (0.9,), backend="numba")
    assert reference.status == compiled.status
    assert reference.status[:3] == (("fit_failed",), ("no_sensitivity",), ("ok",))
    assert np.array_equal(np.isnan(reference.observed), np.isnan(compiled.observed))


def test_bits_do_not_depend_on_the_batch() -> None:
    m = stack("A", 9)
    together = asymptotic_limits(m, (0.9,), backend="numba")
    for i in (0, 4, 8):
        alone = asymptotic_limits(m.take(np.array([i])), (0.9,), backend="numba")
        assert np.array_equal(together.observed[i : i + 1], alone.observed)
        assert np.array_equal(together.expected[i : i + 1], alone.expected)


def test_toys_agree() -> None:
    m = stack("B", 1)
    reference = toy_sample(m, 1.5, 60, seed=3)
    compiled = toy_sample(m, 1.5, 60, seed=3, backend="numba")
    assert compiled.failed == 0
    # a toy is fitted to a gain of 1e-8 only, whose square is left
    np.testing.assert_allclose(compiled.q_signal, reference.q_signal, atol=1e-9)
    np.testing.assert_allclose(compiled.q_background, reference.q_background, atol=1e-9)


def test_scans_agree() -> None:
    specs = [KINDS["A"](s) for s in range(3)]
    bins = [[np.arange(50)]] * 3
    spectrum = np.full(50, 40.0)
    reference = scan_toys(specs, bins, spectrum, 30, seed=3)
    compiled = scan_toys(specs, bins, spectrum, 30, seed=3, backend="numba")
    np.testing.assert_allclose(compiled.z_max, reference.z_max, atol=1e-6)


def test_the_configured_backend_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    item = WorkspaceInput("m1p00000", "alp", {"mass_gev": 1.0}, bump_window(1))

    def limits(backend: str) -> list[float]:
        return [float(r.observed or 0) for r in compute_limits([item], StatisticsConfig(backend=backend))]  # type: ignore[arg-type]

    assert limits("numpy") == pytest.approx(limits("numba"), rel=1e-10)
    assert limits("auto") == limits("numba")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert limits("auto") == limits("numpy")
