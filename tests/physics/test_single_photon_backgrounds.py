"""Single photons: the irreducible endpoint of radiative Bhabha events, and the signal's closed form."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import registry, rows

from darkfactory.generate.chunk import generate_chunk
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.models.dark_photon import invisible_width, radiative_cross_section
from darkfactory.physics.beams import Beams

BABAR = Beams(9.0, 3.1, 0.0, 0.0, 0.0)


def endpoint(theta: np.ndarray, forward: float, backward: float, sqrts: float) -> np.ndarray:
    """Largest CM energy of a photon at a CM angle, with massless electrons at the ends of the calorimeter.

    Three massless momenta balance in a plane: each is to the sine of the angle between the other two as their sum,
    sqrt(s), is to the sum of the three sines.
    """
    electrons = np.sin(backward - forward)
    return np.asarray(sqrts * electrons / (np.sin(2 * np.pi - theta - backward) + np.sin(theta + forward) + electrons))


def to_cm(theta_deg: np.ndarray | float, beams: Beams) -> np.ndarray:
    p4 = beams.frame.p4
    beta, c = p4[3] / p4[0], np.cos(np.radians(theta_deg))
    return np.asarray(np.arccos((c - beta) / (1 - beta * c)))


def test_the_endpoint_is_that_of_the_published_boost() -> None:
    # independent computation for Belle II's boost and the ends 12.4 and 155.1 degrees: theta_lab, E* in GeV
    known = [(32, 3.36), (45, 2.82), (60, 2.54), (75, 2.46), (90, 2.53), (110, 2.81), (129, 3.34)]
    beams = Beams(7.007, 4.0, 0.0, 0.0, 0.0)
    lab = np.array([k[0] for k in known], dtype=float)
    got = endpoint(to_cm(lab, beams), float(to_cm(12.4, beams)), float(to_cm(155.1, beams)), 10.58)
    assert got == pytest.approx([k[1] for k in known], rel=0.015)


def test_below_42_gev2_no_electrons_along_the_beams_balance_a_photon_of_babars_region() -> None:
    ends = float(to_cm(15.8, BABAR)), float(to_cm(141.8, BABAR))
    cosine = np.array([-0.35, 0.0, 0.35])
    m2 = 10.58**2 - 2 * 10.58 * endpoint(np.arccos(cosine), *ends, 10.58)
    assert m2 == pytest.approx([42.2, 45.8, 43.1], abs=0.4)


def test_generated_electrons_along_the_beams_leave_the_photon_below_the_endpoint() -> None:
    process = registry("ee_gamma_lost_babar", {"bias": []}, beams=BABAR)
    pack = adapt(process, 1, Effort(4, 15_000, 20_000))
    p = generate_chunk(process, pack, 4000, np.random.default_rng(2), 0).events.particles
    energy, pz, pt = (ak.to_numpy(v) for v in (p.e, p.pz, np.hypot(p.px, p.py)))
    cm = to_cm(np.degrees(np.arctan2(pt, pz)), BABAR)
    ends = to_cm(15.8, BABAR), to_cm(141.8, BABAR)
    # legs: electron, positron, photon
    lost = (cm[:, 0] < ends[0]) & (cm[:, 1] > ends[1])
    frame = BABAR.frame
    gamma, beta = frame.p4[0] / frame.sqrts, frame.p4[3] / frame.p4[0]
    star = gamma * (energy[:, 2] - beta * pz[:, 2])
    ratio = star[lost] / endpoint(cm[lost, 2], float(ends[0]), float(ends[1]), frame.sqrts)
    assert lost.sum() > 1000
    assert 0.85 < ratio.max() < 1.0 + 1e-6


def test_the_signal_is_the_generators() -> None:
    table = rows()
    for name, mass in (("gamma_darkphoton", 1.0), ("gamma_darkphoton_5", 5.0)):
        pb = float(radiative_cross_section(mass, 1.0, 10.58, 0.95)) / 1000
        assert pb == pytest.approx(table[name]["pb"], rel=1e-3)
    assert float(radiative_cross_section(11.0, 1.0, 10.58, 0.95)) == 0.0
    assert float(invisible_width(1.0, 0.1, 0.6)) == 0.0
