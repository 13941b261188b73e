"""Closure of a control sample: what a response injects is what its correction finds."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from detector_toys import ROOT, detector_yaml, nominal_frame, record

from darkfactory.config.control import ControlConfig
from darkfactory.config.detector import DetectorConfig, SimulateOptions
from darkfactory.config.library import Library
from darkfactory.config.load import deep_merge
from darkfactory.config.period import load_periods, period_menu
from darkfactory.config.search import SearchFile
from darkfactory.config.selection import SelectionConfig
from darkfactory.config.trigger import TriggerMenu
from darkfactory.detector.simulate import simulate
from darkfactory.pipeline.control import compare, counted
from darkfactory.select.preselect import preselect
from darkfactory.stats.ratios import Ratio
from darkfactory.trigger.emulate import emulate, line_weight

CONFIG: Path = ROOT / "config"
LIBRARY = Library(CONFIG)
RESPONSE = LIBRARY.get("responses", "belle2_pseudodata")
M_MU = 0.1056583755


def muons_and_photon(n: int, rng: np.random.Generator) -> ak.Array:
    """A photon of 1 to 4 GeV and two muons that take the rest, isotropic: phase space of no particular process."""
    config = DetectorConfig.model_validate(detector_yaml())
    frame = nominal_frame(config.beams)

    def directions() -> np.ndarray:
        c, f = rng.uniform(-0.95, 0.95, n), rng.uniform(-np.pi, np.pi, n)
        s = np.sqrt(1 - c * c)
        return np.stack([s * np.cos(f), s * np.sin(f), c], axis=1)

    energy = rng.uniform(1.0, 4.0, n)
    photon = np.concatenate([energy[:, None], energy[:, None] * directions()], axis=1)
    pair = np.array([frame.sqrts, 0, 0, 0]) - photon
    mass = np.sqrt(pair[:, 0] ** 2 - np.sum(pair[:, 1:] ** 2, axis=1))
    p = np.sqrt(mass**2 / 4 - M_MU**2)
    one = np.concatenate([mass[:, None] / 2, p[:, None] * directions()], axis=1)
    # boost to the frame of the collision
    beta = pair[:, 1:] / pair[:, :1]
    gamma = pair[:, 0] / mass
    along = np.sum(beta * one[:, 1:], axis=1)
    factor = gamma * one[:, 0] + gamma**2 / (gamma + 1) * along
    first = np.concatenate([(gamma * (one[:, 0] + along))[:, None], one[:, 1:] + factor[:, None] * beta], axis=1)
    lab = frame.to_lab(np.stack([first, pair - first, photon], axis=1))
    return record(lab, [13, -13, 22])


def candidates(pseudo: bool, n: int, selection: SelectionConfig) -> tuple[dict[str, np.ndarray], TriggerMenu]:
    """Simulated and selected, with the response or without; triggered by the photon."""
    rng = np.random.default_rng([3, pseudo])
    values = deep_merge(detector_yaml(), RESPONSE["detector"] if pseudo else {})
    plain = period_menu(load_periods(CONFIG / "periods.yaml").get("run1_2020"), CONFIG / "triggers")
    changed = deep_merge(plain.model_dump(mode="json", by_alias=True), RESPONSE["trigger"] if pseudo else {})
    menu = TriggerMenu.model_validate(changed)
    config = DetectorConfig.model_validate(values)
    frame = nominal_frame(config.beams)
    events = emulate(simulate(muons_and_photon(n, rng), config, SimulateOptions(), rng), menu, frame, rng)
    columns = dict(preselect(events, selection, frame).columns)
    columns["weight"] = columns["weight"] * line_weight(columns["l1"], menu, "l1", ["hie"])
    return columns, menu


@pytest.fixture(scope="module")
def found() -> tuple[dict[str, Ratio], np.ndarray]:
    """The corrections, and what the menu of pseudo-data makes of the trigger efficiency of the simulated events."""
    file = SearchFile.model_validate(LIBRARY.get("searches", "control_mumu_gamma"))
    section = deep_merge(file.control, file.datasets["belle2_80fb"].control)
    corrections = ControlConfig.model_validate(section).corrections
    selection = SelectionConfig.model_validate(file.selection)
    (data, seen), (simulation, menu) = (candidates(pseudo, 9000, selection) for pseudo in (True, False))
    changed, plain = (counted(simulation, corrections["trigger"], m).value[:-1] for m in (seen, menu))
    return {name: compare(data, simulation, one, (seen, menu))[2] for name, one in corrections.items()}, changed / plain


def test_muon_identification_comes_back_in_every_bin(found: tuple[dict[str, Ratio], np.ndarray]) -> None:
    one = found[0]["muon_id"]
    table = detector_yaml()["pid"]["muon_tight"]["probability"]["mu"]["value"]
    injected = RESPONSE["detector"]["pid"]["muon_tight"]["probability"]["mu"]["value"] / table
    pulls = ((one.value - injected) / one.error)[one.own]
    assert len(pulls) >= 8
    assert np.all(one.error[one.own] < 0.12)
    assert np.sum(pulls**2) < len(pulls) + 3.5 * np.sqrt(2 * len(pulls))
    weight = 1 / one.error[one.own] ** 2
    mean = np.sum(weight * one.value[one.own]) / np.sum(weight)
    # the mean of all bins is far from one, and near the injected ratio
    assert abs(mean - injected) < 3 / np.sqrt(np.sum(weight))
    assert abs(mean - 1) > 4 / np.sqrt(np.sum(weight))


def test_the_trigger_comes_back(found: tuple[dict[str, Ratio], np.ndarray]) -> None:
    one, injected = found[0]["trigger"], found[1]
    lines = RESPONSE["trigger"]["l1"]["lines"]
    # below 90 degrees two-track lines fire only at the edge, in bins of the trigger
    # below 90 degrees two-track lines fire at the edge only, where bins of the trigger are coarse
    assert injected[0] == pytest.approx(lines["cdcklm1"]["eff"]["value"] / 0.90, rel=3e-3)
    # above, both may: the ratio lies between that of one line and that of two that may both fire
    assert np.all(injected < 1.0)
    assert np.all(injected[1:] > lines["ffo"]["eff"]["value"] / 0.95)
    pulls = (one.value - injected) / one.error
    assert np.all(np.abs(pulls) < 3)
    assert np.sum(pulls**2) < 3 + 3.0 * np.sqrt(6)
