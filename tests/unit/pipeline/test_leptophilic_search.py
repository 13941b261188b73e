"""The search for a leptophilic scalar as shipped: one sample per mass is enough for all of its lifetimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from darkfactory.config.load import read_yaml
from darkfactory.config.points import PointGrid
from darkfactory.models.leptophilic_scalar import ctau_cm
from darkfactory.physics.lifetimes import (
    draw_proper_lengths,
    effective_fraction,
    lifetime_weight,
    mixture_components,
    mixture_density,
)

CONFIG = Path(__file__).parents[3] / "config"
SEARCH = read_yaml(CONFIG / "searches" / "leptophilic_scalar.yaml")
PROCESS = read_yaml(CONFIG / "processes" / "tautau_leptophilic_ee.yaml")
MIXTURE = PROCESS["decays"]["phiL"]["lifetime"]["mixture_cm"]


@pytest.mark.parametrize("grid", ["tiny", "laptop", "closure", "full"])
def test_every_lifetime_of_the_grid_has_a_tenth_of_the_events(grid: str) -> None:
    parts = [PointGrid.model_validate(g) for g in SEARCH["hypotheses"]["ee"]["grids"][grid]]
    lifetimes = sorted({p["lifetime"] for part in parts for p in part.points()})
    components = mixture_components(*MIXTURE, 1)
    length = draw_proper_lengths(*np.random.default_rng(1).random((2, 40_000)), components)
    density = mixture_density(length, components)
    for ctau in lifetimes:
        assert effective_fraction(lifetime_weight(length, density, ctau)) > 0.1, ctau


@pytest.mark.parametrize("grid", ["laptop", "closure", "full"])
def test_lifetimes_cover_couplings_around_one(grid: str) -> None:
    parts = [PointGrid.model_validate(g) for g in SEARCH["hypotheses"]["ee"]["grids"][grid]]
    for part in parts:
        lifetimes = [p["lifetime"] for p in part.points()]
        for mass in {p["mass"] for p in part.points()}:
            for xi in (0.3, 5.0):
                assert min(lifetimes) < float(ctau_cm(mass, xi)) < max(lifetimes)


def test_masses_of_muons_are_not_masked() -> None:
    masks = [m["mass"] for m in SEARCH["templates"]["masks"]]
    for grids in SEARCH["hypotheses"]["mumu"]["grids"].values():
        for part in grids:
            for point in PointGrid.model_validate(part).points():
                assert not any(low <= point["mass"] <= high for low, high in masks)
