from __future__ import annotations

import numpy as np
import pytest

from darkfactory.models.alp import alp_strahlung_cross_section
from darkfactory.models.widths import (
    axial_photons_width,
    scalar_fermions_width,
    vector_fermions_width,
    vector_neutrinos_width,
)
from darkfactory.models.zprime import branching_fraction, delta_a_mu, g_minus_2_coupling, total_width
from darkfactory.physics.constants import ALPHA, M_MU, M_TAU

# mass, B(invisible), B(mu mu), B(tau tau), width / g'^2 in GeV; worked out independently from the Lagrangian
ZPRIME = [
    (0.25, 0.580, 0.420, 0.0, 0.0114),
    (0.3, 0.530, 0.470, 0.0, 0.0150),
    (0.5, 0.503, 0.497, 0.0, 0.0264),
    (1.0, 0.500, 0.500, 0.0, 0.0531),
    (3.6, 0.447, 0.447, 0.106, 0.214),
    (4.0, 0.379, 0.379, 0.242, 0.280),
    (5.0, 0.347, 0.347, 0.306, 0.382),
    (6.0, 0.339, 0.339, 0.321, 0.469),
    (8.0, 0.335, 0.335, 0.330, 0.633),
    (9.0, 0.334, 0.334, 0.331, 0.714),
]


@pytest.mark.parametrize(("mass", "invisible", "mumu", "tautau", "width"), ZPRIME)
def test_zprime_widths_and_branching_fractions(
    mass: float, invisible: float, mumu: float, tautau: float, width: float
) -> None:
    found = [float(branching_fraction(mass, f)) for f in ("invisible", "mumu", "tautau")]
    assert found == pytest.approx([invisible, mumu, tautau], abs=6e-4)
    assert float(total_width(mass)) == pytest.approx(width, rel=6e-3)
    assert sum(found) == pytest.approx(1.0, abs=1e-12)


def test_zprime_below_the_muon_threshold_is_invisible() -> None:
    assert float(branching_fraction(0.2112, "invisible")) == 1.0
    assert float(branching_fraction(0.2115, "invisible")) < 1.0
    assert float(total_width(0.1)) == pytest.approx(0.1 / (12 * np.pi))


def test_thresholds_open_continuously_and_widths_go_as_the_coupling_squared() -> None:
    for m in (M_MU, M_TAU):
        assert vector_fermions_width([2 * m * 0.999, 2 * m, 2 * m * 1.0001], 1.0, m)[:2] == pytest.approx([0.0, 0.0])
    assert total_width(1.0, 3e-3) / total_width(1.0, 1e-3) == pytest.approx(9.0)
    with pytest.raises(ValueError, match=r"final state 'ee' is unknown; allowed are \['invisible', 'mumu', 'tautau'\]"):
        branching_fraction(1.0, "ee")


def test_massless_limits_of_widths() -> None:
    # one Dirac fermion is two chiralities: twice a left-handed neutrino
    assert vector_fermions_width(1.0, 1.0, 0.0) == pytest.approx(float(2 * vector_neutrinos_width(1.0, 1.0, 1)))
    scalar, pseudo = (float(scalar_fermions_width(1.0, 1.0, 0.4, pseudoscalar=p)) for p in (False, True))
    assert scalar / pseudo == pytest.approx(1 - 4 * 0.4**2)
    # a 1 GeV dark photon with epsilon = 1 into electrons: alpha M / 3
    assert vector_fermions_width(1.0, np.sqrt(4 * np.pi * ALPHA), 0.0) == pytest.approx(ALPHA / 3)


def test_alp_width() -> None:
    assert float(axial_photons_width(0.2, 1e-3)) == pytest.approx(4e-11, rel=0.01)
    assert axial_photons_width(2.0, 1e-3) / axial_photons_width(1.0, 1e-3) == pytest.approx(8.0)


def test_alp_cross_section() -> None:
    masses = [0.2, 0.5, 1, 2, 4, 6, 6.85, 8, 9, 9.7]
    published = [118.3, 117.6, 115.2, 106.2, 74.5, 37.0, 23.2, 9.30, 2.50, 0.48]
    assert alp_strahlung_cross_section(masses, 1e-3, 10.58) == pytest.approx(published, rel=6e-3)
    assert alp_strahlung_cross_section([10.58, 11.0], 1e-3, 10.58) == pytest.approx([0.0, 0.0])


def test_g_minus_2_of_heavy_and_light_vectors() -> None:
    heavy = 50.0
    assert delta_a_mu(heavy, 0.1) == pytest.approx(0.01 * M_MU**2 / (12 * np.pi**2 * heavy**2), rel=1e-3)
    # the photon's alpha / (2 pi) with g'^2 = 4 pi alpha
    assert delta_a_mu(1e-6, np.sqrt(4 * np.pi * ALPHA)) == pytest.approx(ALPHA / (2 * np.pi), rel=1e-3)


def test_the_g_minus_2_coupling_solves_for_the_difference() -> None:
    for mass in (0.01, 0.5, 8.0):
        assert delta_a_mu(mass, g_minus_2_coupling(mass, 251e-11)) == pytest.approx(251e-11)
    assert g_minus_2_coupling(1.0, -1e-11) == 0.0
