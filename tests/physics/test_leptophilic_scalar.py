"""Production of a leptophilic scalar with taus: rates, chains of decays, one prong from each tau."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import SYMMETRIC, TAUS, registry

from darkfactory.config.interpretation import ModelInterpretation
from darkfactory.generate.chunk import GeneratedChunk, generate_chunk
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.interpret.couplings import coupling_from_rate
from darkfactory.models.leptophilic_scalar import branching_fraction, ctau_cm, tautau_cross_section
from darkfactory.physics.constants import M_MU
from darkfactory.physics.kinematics import mass

BORN = {"isr": {"radiator": "none"}}


@pytest.mark.parametrize("m", [0.1, 1.0, 5.0])
def test_the_generated_rate_is_that_of_the_integral(m: float) -> None:
    final = "ee" if m < 2 * M_MU else "mumu"
    process = registry(f"tautau_leptophilic_{final}", BORN, {"m_phiL": m}, SYMMETRIC)
    pack = adapt(process, 1, Effort(4, 10_000, 20_000))
    modes = TAUS.modes
    one = sum(modes[name].bf.value for name in TAUS.groups["one_prong"])
    assert pack.sigma_fb == pytest.approx(tautau_cross_section(m, sqrts=10.58) * one**2, rel=0.02)


@pytest.mark.parametrize(
    ("m", "fb", "ctau"),
    [
        (0.04, "7.83", "3e+00"),
        (0.1, "5.72", "1e+00"),
        (0.2, "4.21", "6e-01"),
        (0.25, "3.76", "7e-05"),
        (1.0, "1.38", "3e-06"),
        (2.0, "0.571", "1e-06"),
        (4.0, "0.095", "2e-08"),
        (6.5, "0.00106", "2e-09"),
    ],
)
def test_rates_and_lifetimes_of_unit_coupling(m: float, fb: str, ctau: str) -> None:
    """But for the last lifetime, integrals made independently of the same Lagrangian."""
    assert f"{tautau_cross_section(m):.3g}" == fb
    assert f"{float(ctau_cm(m)):.0e}" == ctau


def test_branching_fractions_add_up() -> None:
    m = np.array([0.04, 0.3, 3.0, 5.0])
    total = sum(branching_fraction(m, final) for final in ("ee", "mumu", "tautau"))
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


@pytest.mark.parametrize(("m", "final", "b"), [(0.1, "ee", 1.0), (1.0, "mumu", 1.0), (5.0, "mumu", 0.01)])
def test_couplings_of_a_limit_on_the_rate(m: float, final: str, b: float) -> None:
    model = ModelInterpretation.model_validate(
        {"hypothesis": "x", "coupling": "xi", "branching_fraction": f"leptophilic_scalar_{final}"}
    )
    rate = tautau_cross_section(m)
    assert coupling_from_rate(4 * b * rate, rate, model, m) == pytest.approx(2.0, rel=0.02)


def test_too_heavy_a_scalar_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tau tau S of 7.5 GeV is too heavy for sqrt\(s\) = 10.58 GeV"):
        tautau_cross_section(7.5)


@pytest.fixture(scope="module")
def electrons() -> GeneratedChunk:
    process = registry("tautau_leptophilic_ee", {}, {"m_phiL": 0.1})
    return generate_chunk(process, adapt(process, 1, Effort(3, 5000, 5000)), 4000, np.random.default_rng(2), 0)


def test_events_have_four_charged_particles_and_a_displaced_pair_of_electrons(electrons: GeneratedChunk) -> None:
    p = electrons.events.particles
    charged = np.isin(ak.to_numpy(ak.flatten(np.abs(p.pdg))), (11, 13, 211, 321)) & (ak.flatten(p.status) == 1)
    number = ak.sum(ak.unflatten(charged, ak.num(p)), axis=1)
    assert ak.all(number == 4)
    pair = p[(p.mother == 2) & (np.abs(p.pdg) == 11)]
    assert ak.all(ak.num(pair) == 2)
    momenta = np.stack([ak.to_numpy(ak.sum(pair[c], axis=1)) for c in ("e", "px", "py", "pz")], axis=1)
    np.testing.assert_allclose(mass(momenta), 0.1, atol=1e-6)
    scalar = p[:, 2]
    flight = ak.to_numpy(electrons.events.proper_phiL) * np.hypot(ak.to_numpy(scalar.px), ak.to_numpy(scalar.py)) / 0.1
    np.testing.assert_allclose(np.hypot(*(ak.to_numpy(pair[c][:, 0]) for c in ("vx", "vy"))), flight, rtol=1e-6)
