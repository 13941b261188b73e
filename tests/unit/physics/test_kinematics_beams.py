from __future__ import annotations

import numpy as np
import pytest

from darkfactory.core.seeds import generator
from darkfactory.generate.frames import boost_from, boost_to, rotate
from darkfactory.physics.beams import Beams, beam_frame, beam_momenta, cm_to_lab, rotate_about_shortest
from darkfactory.physics.constants import M_E, M_MU, M_TAU
from darkfactory.physics.kinematics import (
    boost,
    cos_angle,
    cos_theta,
    dot,
    from_rest_frame,
    kallen,
    mass,
    mass2,
    rotate_from_z,
    rotation_to_z,
    to_rest_frame,
    two_body,
    two_body_momentum,
)
from darkfactory.physics.vacuum_polarisation import (
    HADRONIC,
    delta_alpha_hadronic,
    delta_alpha_leptonic,
    vacuum_polarisation_factor,
)


def vectors(n: int, m: float = 1.3) -> np.ndarray:
    p = generator(1, "v").normal(size=(n, 3)) * 2
    return np.concatenate([np.sqrt((p**2).sum(1, keepdims=True) + m * m), p], axis=1)


def test_boosts_agree_and_invert() -> None:
    p, frame = vectors(100), vectors(100, 0.4)[::-1]
    there = to_rest_frame(p, frame)
    assert np.allclose(from_rest_frame(there, frame), p)
    assert np.allclose(boost(p, -frame[:, 1:] / frame[:, :1]), there)
    assert np.allclose(dot(p, frame), there[:, 0] * 0.4)
    assert np.allclose(mass2(there), 1.3**2)
    m = np.full(100, 0.4)
    assert np.allclose(boost_to(p.T, frame.T, m).T, there)
    assert np.allclose(boost_from(there.T, frame.T, m).T, p)


def test_rotations() -> None:
    axis = vectors(50)
    z = np.broadcast_to(np.array([1.0, 0, 0, 1.0]), (50, 4))
    turned = rotate_from_z(z, axis)
    assert np.allclose(cos_angle(turned, axis), 1.0)
    assert np.allclose(rotate(z.T, axis.T).T, turned)
    for n in ([0.0, 0, 1], [0.0, 0, -1], [0.3, -0.4, 0.5]):
        r = rotation_to_z(n)
        assert np.allclose(r @ n, [0, 0, np.sqrt(np.dot(n, n))])
        assert np.linalg.det(r) == pytest.approx(1.0)
    back = rotate_about_shortest(z[:, None], np.tile([0.0, 0.1, -0.9], (50, 1)))
    assert np.allclose(back[:, 0, 3], -0.9 / np.hypot(0.1, 0.9))


def test_two_body_is_isotropic_in_its_frame() -> None:
    parent = vectors(1, 5.0)
    a, b = two_body(np.repeat(parent, 3, axis=0), 0.1, 0.2, np.array([-1.0, 0.2, 1.0]), np.array([0.0, 1.0, 2.0]))
    assert np.allclose(a + b, parent)
    assert np.allclose(mass(a), 0.1)
    inside = to_rest_frame(a, np.repeat(parent, 3, axis=0))
    assert np.allclose(cos_angle(inside, np.repeat(parent, 3, axis=0)), [-1.0, 0.2, 1.0])
    assert np.allclose(np.sqrt(kallen(25.0, 0.01, 0.04)) / 10, two_body_momentum(5.0, 0.1, 0.2))


def test_nominal_frame() -> None:
    """Belle II's: 10.579 GeV, beta gamma 0.287, axes along the boosted electron."""
    frame = beam_frame(7.007, 4.0, 0.0415)
    assert frame.sqrts == pytest.approx(10.5792, abs=1e-4)
    assert np.allclose(frame.p4, [11.007, 0.4567, 0.0, 3.0044], atol=1e-4)
    electron, positron = beam_momenta(7.007, 4.0, 0.0415)
    cm = frame.to_cm(np.stack([electron, positron]))
    assert np.allclose(cos_theta(cm), [1.0, -1.0])
    assert np.allclose(cm[:, 0], frame.sqrts / 2)
    p = vectors(20).reshape(4, 5, 4)
    assert np.allclose(frame.to_lab(frame.to_cm(p)), p)


def test_events_in_sharp_beams_are_as_in_the_nominal_frame() -> None:
    beams = Beams(7.004, 4.002, 0.0415)
    p = vectors(12).reshape(6, 2, 4)
    electron, positron = beam_momenta(np.full(6, beams.e_her), np.full(6, beams.e_ler), beams.half_crossing)
    assert np.allclose(cm_to_lab(p, electron, positron), beams.frame.to_lab(p))


def test_vacuum_polarisation() -> None:
    s = 10.58**2
    # high-energy limit: alpha/3pi (ln(s/m^2) - 5/3)
    alpha = 1 / 137.036
    assert delta_alpha_leptonic(s, M_E).real == pytest.approx(
        alpha / 3 / np.pi * (np.log(s / M_E**2) - 5 / 3), rel=1e-5
    )
    assert delta_alpha_leptonic(s, M_MU).imag == pytest.approx(-alpha / 3, rel=1e-4)
    assert delta_alpha_leptonic(4.0, M_TAU).imag == 0
    # continuous at threshold, and small and negative-free below
    edge = delta_alpha_leptonic(np.array([4 * M_MU**2 * (1 - 1e-9), 4 * M_MU**2 * (1 + 1e-9)]), M_MU)
    assert edge[0].real == pytest.approx(edge[1].real, rel=1e-3)
    # published for a sum of leptons at the Z: 0.0314 at one loop
    assert sum(delta_alpha_leptonic(91.19**2, m).real for m in (M_E, M_MU, M_TAU)) == pytest.approx(0.03142, abs=2e-4)
    assert vacuum_polarisation_factor(s) == pytest.approx(1.076, abs=0.003)


def test_hadronic_parametrisation_has_no_steps() -> None:
    for upper, *_ in HADRONIC[:-1]:
        x = np.array([upper * (1 - 1e-6), upper * (1 + 1e-6)]) ** 2
        low, high = delta_alpha_hadronic(x)
        assert low == pytest.approx(high, rel=1e-3)
    assert all(t.source == "recalled" for row in HADRONIC for t in row[1:])
