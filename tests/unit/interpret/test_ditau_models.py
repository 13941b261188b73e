"""The rates and couplings of X -> tau tau: sigma B = 1 fb in each model."""

from __future__ import annotations

import pytest

from darkfactory.config.interpretation import ModelInterpretation
from darkfactory.interpret.couplings import coupling_from_rate
from darkfactory.models.alp import lepton_branching_fraction, lepton_coupling, lepton_width
from darkfactory.models.leptophilic_scalar import branching_fraction, muon_coupling
from darkfactory.models.leptophilic_scalar import lepton_width as scalar_width
from darkfactory.physics.constants import M_MU

# sigma/g^2 in fb of a vector, a scalar and a pseudoscalar radiated by muons at 10.58 GeV, and the C/Lambda (1/TeV), xi
# and g' with sigma B(tau tau) = 1 fb; derived: numerical integrals of the closed Dalitz densities
ROWS = [
    (3.6, (7906.68, 2232.85, 2215.04), (203, 67, 0.0345)),
    (4.0, (5439.24, 1644.16, 1631.01), (235, 59, 0.0275)),
    (5.0, (2025.24, 705.263, 699.135), (359, 88, 0.0402)),
    (7.0, (174.101, 73.9254, 72.8709), (1111, 272, 0.133)),
    (9.5, (0.319776, 0.170531, 0.153813), (24200, 5660, 3.07)),
]


@pytest.mark.parametrize(("mass", "rates", "couplings"), ROWS)
def test_couplings_of_one_femtobarn(
    mass: float, rates: tuple[float, float, float], couplings: tuple[float, float, float]
) -> None:
    alp = ModelInterpretation(
        hypothesis="alp", coupling="c", reference_coupling=1000.0, branching_fraction="alp_leptons_tautau"
    )
    scalar = ModelInterpretation(hypothesis="scalar", coupling="xi", branching_fraction="leptophilic_scalar_tautau")
    vector = ModelInterpretation(hypothesis="zprime", coupling="g", branching_fraction="zprime_tautau")
    found = [
        coupling_from_rate(1.0, rates[2] * lepton_coupling(M_MU, 1.0) ** 2, alp, mass),
        coupling_from_rate(1.0, rates[1] * muon_coupling(1.0) ** 2, scalar, mass),
        coupling_from_rate(1.0, rates[0], vector, mass),
    ]
    assert found == pytest.approx(list(couplings), rel=0.01)


@pytest.mark.parametrize("function", [lepton_width, lepton_branching_fraction, branching_fraction, scalar_width])
def test_unknown_final_states(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="allowed are \\['ee', 'mumu', 'tautau'\\]"):
        function(4.0, "photons")


def test_closed_channels_have_no_width() -> None:
    assert lepton_width(3.5, "tautau") == 0
    assert branching_fraction(0.1, "ee") == 1
