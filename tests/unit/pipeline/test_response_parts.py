"""Folded templates read their candidates part by part: the bits are those of all at once, and parts do not pile up."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkfactory.config.base import Tagged
from darkfactory.config.response import ResponseConfig
from darkfactory.config.templates import TemplatesConfig
from darkfactory.core.errors import InputError
from darkfactory.pipeline import responses
from darkfactory.records.histogram import Histogram
from darkfactory.store.arrays import write_table
from darkfactory.templates.binning import Binning, RegionBinning
from darkfactory.templates.fill import fill

EDGES = np.linspace(0.0, 2.0, 21)
RESPONSE = ResponseConfig(
    truth="true_x", lepton_mass=Tagged(value=0.1, source="assumed"), tau_mass=Tagged(value=1.777, source="assumed"),
    groups=10, components=2,
)  # fmt: skip
NAMES = ("one", "two")


def config() -> TemplatesConfig:
    common: dict[str, Any] = {"observable": "x", "mass": (0, 1), "observable_range": (0, 2), "bins": 20}
    cuts = [{"column": "good", "min": 0.5}]
    pools = {"one": ("two",), "two": ()}
    return TemplatesConfig.model_validate(
        {
            "signal": "simulation", "background": "simulation", "window": {"mode": "full"},
            "regions": [
                {**common, "name": n, "hypotheses": [n], "normalisation": f"sample_{n}", "cuts": cuts,
                 "response": RESPONSE.model_copy(update={"pool": pools[n]}).model_dump()} for n in NAMES
            ],
        }
    )  # fmt: skip


def candidates(n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.15, 1.0, n)
    return {
        "event_id": np.arange(n), "fold": np.arange(n) % 4, "weight": rng.exponential(1.0, n), "true_x": x,
        "x": x * np.exp(rng.normal(0.0, 0.25, n)), "good": (rng.random(n) < 0.8).astype(float),
        "var_id_up": 1 + 0.1 * rng.random(n), "var_id_down": 1 - 0.1 * rng.random(n), "unused": rng.random(n),
    }  # fmt: skip


def items(folder: Path, parts: int) -> list[dict[str, Any]]:
    made = []
    for seed, name in enumerate(NAMES):
        table, paths = candidates(6000, seed), []
        for i, rows in enumerate(np.array_split(np.arange(6000), parts)):
            paths.append(str(folder / f"{name}_{parts}_{i}.root"))
            write_table(Path(paths[-1]), {k: v[rows] for k, v in table.items()})
        made.append({"sample": f"sample_{name}", "paths": paths, "folds": [0, 1, 2, 3], "n_generated": 9000})
    return made


BINNING = Binning({n: RegionBinning("x", EDGES) for n in NAMES})


def arrays(found: Histogram) -> dict[str, np.ndarray]:
    return {"sumw": found.sumw, "sumw2": found.sumw2, **found.variations}


def test_filling_on_top_has_the_bits_of_all_at_once() -> None:
    rng = np.random.default_rng(5)
    x, w = rng.uniform(-0.1, 2.1, 5000), rng.exponential(1.0, 5000)
    f = {"id_up": rng.random(5000)}
    whole = fill([x], [EDGES], w, n_generated=7, variations=f)
    made: Histogram | None = None
    for rows in np.array_split(np.arange(5000), 7):
        made = fill([x[rows]], [EDGES], w[rows], n_generated=7, variations={"id_up": f["id_up"][rows]}, onto=made)
    assert made is not None
    for name, values in arrays(whole).items():
        np.testing.assert_array_equal(arrays(made)[name], values)
    # sums of sums would differ
    parts = [fill([x[r]], [EDGES], w[r], n_generated=1) for r in np.array_split(np.arange(5000), 7)]
    assert not np.array_equal(Histogram.total(parts).sumw, whole.sumw)


def test_templates_do_not_depend_on_parts_and_parts_do_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = responses.response_histograms(config(), BINNING, items(tmp_path, 1))
    alive: list[int] = []
    living: list[weakref.ref[np.ndarray]] = []
    read = responses.read_candidates

    def watched(path: str, item: dict[str, Any]) -> dict[str, np.ndarray]:
        alive.append(sum(one() is not None for one in living))
        columns = read(path, item)
        living.append(weakref.ref(columns["unused"]))
        return columns

    monkeypatch.setattr(responses, "read_candidates", watched)
    split = responses.response_histograms(config(), BINNING, items(tmp_path, 6))
    assert set(split) == set(whole) == {("one", "sample_one"), ("two", "sample_two")}
    for key, made in whole.items():
        assert (split[key].chi2, split[key].gain) == (made.chi2, made.gain)
        for name, values in arrays(made.histogram).items():
            np.testing.assert_array_equal(arrays(split[key].histogram)[name], values)
    # each part is read once, for both regions that use it, and only the one before may still be there
    assert len(alive) == 12
    assert max(alive) <= 1


def test_a_missing_truth_is_told(tmp_path: Path) -> None:
    made = items(tmp_path, 1)[:1]
    table = candidates(100, 1)
    del table["true_x"]
    write_table(Path(made[0]["paths"][0]), table)
    with pytest.raises(InputError, match=r"no column 'true_x' among the candidates of 'sample_one'; set `taus"):
        responses.response_histograms(config(), BINNING, made)
