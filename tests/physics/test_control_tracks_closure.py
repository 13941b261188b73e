"""Closure of the control samples of tracks: what a response injects is what their corrections find."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest
from detector_toys import ROOT, boost, detector_yaml, isotropic, nominal_frame, record

from darkfactory.config.control import ControlConfig
from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.formula import Formula
from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge
from darkfactory.config.period import load_periods, period_menu
from darkfactory.config.search import SearchFile
from darkfactory.config.selection import SelectionConfig
from darkfactory.detector.simulate import simulate
from darkfactory.physics.constants import M_D0, M_E, M_K0, M_KPLUS, M_PIPLUS
from darkfactory.physics.kinematics import two_body_momentum
from darkfactory.pipeline.control import compare
from darkfactory.select.preselect import preselect
from darkfactory.stats.ratios import Ratio

LIBRARY = Library(ROOT / "config")
TABLE = detector_yaml()
RESPONSE = LIBRARY.get("responses", "belle2_pseudodata")["detector"]
FRAME = nominal_frame(DetectorConfig.model_validate(TABLE).beams)
MENU = period_menu(load_periods(ROOT / "config" / "periods.yaml").get("run1_2021"), ROOT / "config" / "triggers")
M_DSTAR, CTAU_KS = 2.01026, 2.684


def with_mass(three: np.ndarray, mass: float) -> np.ndarray:
    return np.concatenate([np.sqrt(np.sum(three**2, axis=1) + mass**2)[:, None], three], axis=1)


def decay(parent: np.ndarray, mass: float, one: float, two: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Isotropic decay to two particles."""
    q = two_body_momentum(mass, one, two) * isotropic(len(parent), rng)
    return [boost(with_mass(q, one), parent), boost(with_mass(-q, two), parent)]


def dstars(n: int, rng: np.random.Generator) -> ak.Array:
    star = with_mass(rng.uniform(2.6, 4.2, n)[:, None] * isotropic(n, rng), M_DSTAR)
    d0, slow = decay(star, M_DSTAR, M_D0, M_PIPLUS, rng)
    kaon, pion = decay(d0, M_D0, M_KPLUS, M_PIPLUS, rng)
    return record(FRAME.to_lab(np.stack([kaon, pion, slow], axis=1)), [-321, 211, 211])


def taus(n: int, rng: np.random.Generator) -> ak.Array:
    """An electron on one side and three pions about the opposite direction: no particular decay."""
    axis = isotropic(n, rng)
    pions = [
        with_mass(rng.uniform(0.4, 1.6, n)[:, None] * axis + 0.25 * rng.normal(size=(n, 3)), M_PIPLUS) for _ in range(3)
    ]
    electron = with_mass(-rng.uniform(1.5, 4.0, n)[:, None] * axis + 0.2 * rng.normal(size=(n, 3)), M_E)
    return record(FRAME.to_lab(np.stack([electron, *pions], axis=1)), [-11, -211, -211, 211])


def kshorts(n: int, rng: np.random.Generator) -> ak.Array:
    """K_S with lives that are uniform in the logarithm and weighted to their exponential."""
    ks = with_mass(rng.uniform(0.5, 3.0, n)[:, None] * isotropic(n, rng), M_K0)
    life = np.exp(rng.uniform(np.log(0.05), np.log(30.0), n))
    place = ks[:, 1:] / M_K0 * life[:, None]
    events = record(
        np.stack(decay(ks, M_K0, M_PIPLUS, M_PIPLUS, rng), axis=1), [211, -211], np.stack([place, place], axis=1)
    )
    return ak.with_field(events, life * np.exp(-life / CTAU_KS), "weight")


MADE = {"control_dstar": dstars, "control_tau_3x1": taus, "control_ks": kshorts}


def found(name: str, n: int, seed: int) -> tuple[dict[str, Ratio], dict[str, np.ndarray]]:
    """The corrections of a control sample, and the candidates of its simulation."""
    file = SearchFile.model_validate(LIBRARY.get("searches", name))
    dataset = next(iter(file.datasets.values()))
    section = ControlConfig.model_validate(deep_merge(file.control, dataset.control))
    selection = SelectionConfig.model_validate(file.selection)
    columns = []
    for pseudo in (1, 0):
        rng = np.random.default_rng([seed, pseudo])
        config = DetectorConfig.model_validate(deep_merge(TABLE, RESPONSE if pseudo else {}))
        options = SimulateOptions(vertices=name == "control_ks")
        columns.append(preselect(simulate(MADE[name](n, rng), config, options, rng), selection, FRAME).columns)
    data, simulation = columns
    return {
        key: compare(data, simulation, one, (MENU, MENU))[2] for key, one in section.corrections.items()
    }, simulation


def close(one: Ratio, injected: Any) -> None:
    """Every bin and their mean are what was injected, which is far from one."""
    target = np.broadcast_to(injected, one.value.shape)[one.own]
    value, error = one.value[one.own], one.error[one.own]
    assert len(value) >= 2
    chi2 = np.sum(((value - target) / error) ** 2)
    assert chi2 < len(value) + 3.5 * np.sqrt(2 * len(value))
    weight = error**-2
    away = np.sum(weight * (value - target)) / np.sqrt(np.sum(weight))
    assert abs(away) < 3
    assert abs(np.sum(weight * (value - 1))) / np.sqrt(np.sum(weight)) > 4


def identified(flag: str, species: str) -> float:
    """Injected ratio of an identification probability."""
    pseudo, table = (d["pid"][flag]["probability"][species]["value"] for d in (deep_merge(TABLE, RESPONSE), TABLE))
    return float(pseudo / table)


def test_scale_of_momenta_and_identification_of_hadrons() -> None:
    ratios, simulation = found("control_dstar", 12_000, 5)
    scale = Formula.model_validate(RESPONSE["tracks"]["momentum_scale"])
    edges = [0.3, 0.75, 1.2, 2.6]
    bins = np.clip(np.digitize(simulation["theta_tracks"], edges) - 1, 0, 2)
    close(ratios["momentum_scale"], [np.mean(scale(theta=simulation["theta_tracks"][bins == i])) for i in range(3)])
    close(ratios["kaon_id"], identified("kaon", "K"))
    close(ratios["pion_id"], identified("pion", "pi"))
    # few pions are taken for kaons
    fakes = ratios["kaon_fake"]
    assert np.all(np.abs(fakes.value - identified("kaon", "pi")) < 4 * fakes.error)


def test_finding_tracks() -> None:
    plateaus = [d["tracks"]["efficiency"]["constants"]["plateau"]["value"] for d in (RESPONSE, TABLE)]
    # three standard deviations at this size: the sign and the size of half a per cent
    ratios, _ = found("control_tau_3x1", 25_000, 2)
    one, injected = ratios["tracking"], plateaus[0] / plateaus[1]
    weight = one.error**-2
    mean, error = np.sum(weight * one.value) / np.sum(weight), np.sum(weight) ** -0.5
    assert one.own.all()
    assert np.all(np.abs(one.value - injected) < 3.5 * one.error)
    assert error < 0.0025
    assert abs(mean - injected) < 3 * error


def test_displaced_vertices_by_radius() -> None:
    ratios, simulation = found("control_ks", 25_000, 3)
    tables = [d["displaced"]["efficiency_vs_r_cm"] for d in (RESPONSE, TABLE)]
    r, w = simulation["r_ks"], simulation["weight"]
    pseudo, table = (np.interp(r, t["x"], t["y"]) for t in tables)
    bins = np.clip(np.digitize(r, [0.05, 2.0, 5.0, 10.0, 20.0, 60.0]) - 1, 0, 4)
    # both pions of a pair
    lost = np.bincount(bins, weights=w * (pseudo / table) ** 2) / np.bincount(bins, weights=w)
    one = ratios["displaced"]
    assert (one.value[0], one.error[0]) == (1.0, 0.0)
    close(Ratio(one.value[1:], one.error[1:], one.own[1:]), lost[1:] / lost[0])


@pytest.mark.parametrize(("flag", "species"), [("kaon", "K"), ("pion", "pi")])
def test_something_is_injected(flag: str, species: str) -> None:
    assert abs(identified(flag, species) - 1) > 0.01
