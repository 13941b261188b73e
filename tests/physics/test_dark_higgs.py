from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import SYMMETRIC, registry

from darkfactory.core.seeds import generator
from darkfactory.generate.chunk import generate_chunk
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.models.dark_higgs import dark_higgsstrahlung, longitudinal_fraction
from darkfactory.models.inelastic_dm import higgsstrahlung_cross_section
from darkfactory.physics.kinematics import boost

# fb over eps^2 alpha_D at 10.58 GeV: derived from the trace of the amplitude, independent of the closed form's code
TABLE = {
    (2.0, 1.0): 3.65781e7, (3.0, 0.1): 5.23237e7, (4.0, 1.0): 7.43015e7, (4.0, 2.0): 6.94e7, (5.0, 2.0): 1.013e8,
    (6.0, 4.0): 7.34e7, (7.0, 2.0): 2.13e8, (8.0, 1.0): 4.01e8, (9.0, 1.0): 6.49e8, (9.7, 0.1): 1.68e9,
}  # fmt: skip


@pytest.mark.parametrize("masses", TABLE)
def test_closed_form(masses: tuple[float, float]) -> None:
    assert float(dark_higgsstrahlung(*masses, 10.58)) == pytest.approx(TABLE[masses], rel=4e-3)
    other = higgsstrahlung_cross_section(10.58, *masses, 1.0, 1.0, charge=1.0)
    assert float(dark_higgsstrahlung(*masses, 10.58)) == pytest.approx(other, rel=1e-12)


def test_nothing_above_threshold() -> None:
    found = dark_higgsstrahlung(np.array([5.0, 9.0]), np.array([1.0, 2.0]), 10.58)
    assert found[0] > 0
    assert found[1] == 0


@pytest.mark.parametrize("masses", [(4.0, 1.0), (8.0, 2.0)])
def test_generated_rate_and_helicity(masses: tuple[float, float]) -> None:
    """The resonance in mu mu h' gives the two-body cross-section and the muons of a polarised dark photon."""
    m_ap, m_hp = masses
    process = registry("mumu_darkhiggs", {"isr": {"radiator": "none"}}, {"m_Ap": m_ap, "m_hp": m_hp}, SYMMETRIC)
    pack = adapt(process, 1, Effort(3, 5_000, 40_000))
    closed = 1e-4 * float(dark_higgsstrahlung(m_ap, m_hp, 10.58))
    assert pack.sigma_fb == pytest.approx(closed, rel=4e-3)
    chunk = generate_chunk(process, pack, 20_000, generator(1, "helicity"), 0)
    p = np.stack([ak.to_numpy(chunk.events["particles"][c][:, :3]) for c in ("e", "px", "py", "pz")], axis=-1)
    pair = p[:, 0] + p[:, 1]
    mass = np.sqrt(pair[:, 0] ** 2 - np.sum(pair[:, 1:] ** 2, axis=1))
    assert np.mean(np.abs(mass / m_ap - 1) < 1e-4) > 0.995
    muon = boost(p[:, 0], -pair[:, 1:] / pair[:, :1])
    cosine = np.sum(muon[:, 1:] * pair[:, 1:], axis=1)
    cosine /= np.linalg.norm(muon[:, 1:], axis=1) * np.linalg.norm(pair[:, 1:], axis=1)
    f = float(longitudinal_fraction(m_ap, m_hp, 10.58))
    # <cos^2> is 1/5 of longitudinal and 2/5 of transverse dark photons, up to the muon's mass
    wanted = 0.2 * f + 0.4 * (1 - f)
    weight = np.asarray(chunk.events["weight"])
    assert np.average(cosine**2, weights=weight) == pytest.approx(wanted, abs=0.008)
