"""Windows that merge the bins of one spectrum differently look at one spectrum all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darkfactory.stats.histfactory import compile_workspace
from darkfactory.stats.significance import _merged_pulls, _window_data, scan_toys
from darkfactory.stats.spectrum import ScanWindow, SharedSpectrum, shared_spectrum

FINE, SECOND = 48, 2
RNG = np.random.default_rng(4)
TRUTH = np.linspace(9.0, 3.0, FINE)[:, None] * np.array([1.0, 0.4]) * RNG.uniform(0.9, 1.1, (FINE, SECOND))


def window(first: int, bins: int, merge: int, *, scale: float = 1.0, drop: int | None = None) -> ScanWindow:
    """Bins ``first`` to ``first + bins * merge`` of the fine spectrum, each the sum of ``merge``."""
    part = scale * TRUTH[first : first + bins * merge].reshape(bins, merge, SECOND).sum(axis=1)
    keep = [i != drop for i in range(bins)]
    content = part[np.array(keep)].reshape(-1)
    signal = np.zeros((sum(keep), SECOND))
    signal[sum(keep) // 2] = [2.0, 1.0]
    samples: list[dict[str, Any]] = [
        {
            "name": "s",
            "data": signal.reshape(-1).tolist(),
            "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
        },
        {
            "name": "b",
            "data": content.tolist(),
            "modifiers": [{"name": "mc", "type": "staterror", "data": (0.1 * content).tolist()}],
        },
    ]
    spec = {
        "channels": [{"name": "sr", "samples": samples}],
        "observations": [{"name": "sr", "data": content.tolist()}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }
    edges = (0.1 * np.arange(first, first + bins * merge + 1, merge)).tolist()
    return ScanWindow(spec, [edges, [0.0, 0.5, 1.0]], keep)


WINDOWS = [window(0, 12, 1), window(2, 6, 2), window(6, 6, 3), window(11, 5, 4, drop=1), window(20, 5, 5)]


def shared() -> SharedSpectrum:
    found = shared_spectrum(WINDOWS)
    assert found is not None
    return found


def test_expectations_add_up_in_every_window() -> None:
    found = shared()
    padded = np.append(found.expected, 0.0)
    for w, bins in zip(WINDOWS, found.bins, strict=True):
        wanted = w.spec["channels"][0]["samples"][1]["data"]
        assert padded[bins[0]].sum(axis=1) == pytest.approx(wanted, rel=1e-6)
    # what single bins of the first window know is kept
    assert found.expected[: 12 * SECOND] == pytest.approx(TRUTH[:12].reshape(-1), rel=1e-6)


def test_windows_share_what_falls_between() -> None:
    """The same events are seen by all: sums over what two windows have in common are equal, toy by toy."""
    found = shared()
    spectra = np.random.default_rng(2).poisson(found.expected, (40, len(found.expected))).astype(float)
    pulls = {"bins": np.random.default_rng(3).normal(size=spectra.shape)}
    counts = []
    for w, bins in zip(WINDOWS, found.bins, strict=True):
        _, m = compile_workspace(w.spec)
        data = _window_data(m, bins, spectra, pulls, found.expected)
        counts.append(data.blocks[0].counts.reshape(40, -1, SECOND))
        # auxiliary data of staterrors scatter by their widths of a tenth
        assert data.blocks[0].g_aux.std() == pytest.approx(0.1, rel=0.15)
    # fine bins 2 to 12 are in the first window one by one and in the second in pairs
    assert np.array_equal(counts[0][:, 2:12].sum(axis=1), counts[1][:, :5].sum(axis=1))
    assert np.array_equal(counts[0][:, 2:12:2] + counts[0][:, 3:12:2], counts[1][:, :5])


def test_merged_pulls_have_unit_width() -> None:
    pulls = np.random.default_rng(1).normal(size=(20_000, 3))
    merged = _merged_pulls(pulls, np.array([[0, 1], [2, -1]]), np.array([4.0, 1.0, 7.0]))
    assert merged.std(axis=0) == pytest.approx([1.0, 1.0], abs=0.02)
    assert merged[:, 1] == pytest.approx(pulls[:, 2])


def test_toys_of_the_whole_scan() -> None:
    found = shared()
    toys = scan_toys([w.spec for w in WINDOWS], found.bins, found.expected, 300, seed=1)
    assert toys.failed == 0
    # a single window exceeds one standard deviation in a sixth of the scans; five that share data less than five would
    assert 0.16 < np.mean(toys.z_max > 1.0) < 1 - 0.84**5 + 0.08
    alone = scan_toys([WINDOWS[1].spec], found.bins[1:2], found.expected, 300, seed=1)
    assert np.mean(alone.z_max > 1.0) == pytest.approx(0.159, abs=0.07)
    assert (alone.z_max <= toys.z_max + 1e-9).all()


def test_windows_of_other_spectra_share_none() -> None:
    assert shared_spectrum([window(0, 12, 1), window(2, 6, 2, scale=1.5)]) is None
    # within what smoothing may change
    assert shared_spectrum([window(0, 12, 1), window(2, 6, 2, scale=1.01)]) is not None
