from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from darkfactory.config.base import Tagged
from darkfactory.config.detector import DetectorConfig, Interval, KlmConfig, SimulateOptions
from darkfactory.config.load import deep_merge, read_yaml
from darkfactory.physics.beams import beam_frame
from darkfactory.physics.constants import M_BPLUS

FOLDER = Path(__file__).resolve().parents[3] / "config" / "detectors"
NAMES = ("belle2", "belle", "babar")


def load(name: str, **override: Any) -> DetectorConfig:
    return DetectorConfig.model_validate(deep_merge(read_yaml(FOLDER / f"{name}.yaml"), override))


def numbers(value: Any) -> Iterator[Tagged]:
    if isinstance(value, Tagged):
        yield value
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from numbers(getattr(value, field))
    elif isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)


@pytest.mark.parametrize("name", NAMES)
def test_detectors_load_and_every_number_has_a_source(name: str) -> None:
    detector = load(name)
    assert detector.name == name
    sources = [n.source for n in numbers(detector)]
    assert len(sources) > 100
    assert set(sources) <= {"published", "derived", "measured", "recalled", "assumed"}


@pytest.mark.parametrize("name", NAMES)
def test_resolutions_are_finite_over_the_range_used(name: str) -> None:
    detector = load(name)
    energy, pt = np.geomspace(0.02, 12, 40), np.geomspace(0.05, 10, 40)
    for formula in (detector.ecl.energy_resolution, detector.ecl.phi_mrad, detector.ecl.dt99_ns):
        assert np.all(formula(E=energy) > 0)
    for formula in (detector.tracks.pt_resolution, detector.tracks.d0_um, detector.tracks.tanlambda):
        values = formula(pt=pt, p=pt, beta=np.full(40, 0.9), theta=np.full(40, 1.5), lever=np.ones(40))
        assert np.all(values > 0)
        assert np.all(np.isfinite(values))


def test_numbers_of_the_tables() -> None:
    belle2 = load("belle2")
    # TDR form of the calorimeter: 3.7 % at 0.1, 2.0 % at 1, 1.5 % at 8 GeV
    assert belle2.ecl.energy_resolution(E=[0.1, 1.0, 8.0]).tolist() == pytest.approx([0.0368, 0.0201, 0.0153], abs=1e-4)
    one = belle2.tracks.pt_resolution(pt=1.0, p=1.0, beta=1.0, theta=1.57, lever=1.0)
    assert float(one) == pytest.approx(np.hypot(0.001, 0.003), rel=1e-6)
    assert belle2.ecl.hole_inefficiency.source == "assumed"
    assert belle2.ecl.hole_inefficiency.range == (1e-6, 3e-3)


def test_mean_displaced_efficiency_agrees_with_the_published_average() -> None:
    belle2 = load("belle2")
    r = np.linspace(0, 100, 1001)
    # 48.0 % for uniform production radii, arXiv:2602.10897; the shape gives 50.2 %
    mean = 0.975 * float(np.mean(belle2.displaced.efficiency_vs_r_cm(r)))
    assert mean == pytest.approx(0.480, abs=0.03)


def test_errors() -> None:
    with pytest.raises(ValidationError, match=r"low 3\.0 must be below high 2\.0"):
        Interval(low=3, high=2, source="assumed")
    gap = {"acceptance": {"ecl_gap_fwd_deg": {"low": 31.5, "high": 32.2, "source": "assumed"}}}
    with pytest.raises(ValidationError, match="calorimeter regions must touch"):
        load("belle2", **gap)
    klm = load("belle2").klm.model_dump()
    klm["kl_klm"]["value"] = 0.9
    with pytest.raises(ValidationError, match=r"kl_klm 0\.9 exceeds kl_any 0\.6"):
        KlmConfig.model_validate(klm)
    with pytest.raises(ValidationError, match="force_photon_loss"):
        SimulateOptions(force_photon_loss=1.0)
    with pytest.raises(ValidationError, match="Extra inputs"):
        load("belle2", colour="blue")


@pytest.mark.parametrize("name", NAMES)
def test_the_beams_have_the_energy_of_the_resonance(name: str) -> None:
    beams = load(name).beams
    frame = beam_frame(beams.e_her_gev.value, beams.e_ler_gev.value, 1e-3 * beams.half_crossing_mrad.value)
    assert frame.sqrts == pytest.approx(beams.sqrts_gev.value, abs=2e-3)
    # B mesons of the Upsilon(4S) have 0.33 GeV: a few MeV of energy are tens of MeV of it
    assert np.sqrt(frame.sqrts**2 / 4 - M_BPLUS**2) == pytest.approx(0.335, abs=0.015)
    boost = float(np.sqrt(np.sum(frame.p4[1:] ** 2)) / frame.sqrts)
    assert boost == pytest.approx({"belle2": 0.287, "belle": 0.425, "babar": 0.56}[name], abs=2e-3)
