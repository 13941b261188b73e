"""Ward identities, Lorentz invariance, choice of the root, precision, diagrams, spin densities."""

from __future__ import annotations

import numpy as np
import pytest
from amplitude_points import NEW, boosted, dark_qed, make, points, product

from darkfactory.core.errors import ConfigError
from darkfactory.generate.amplitude.engine import compile_amplitude
from darkfactory.generate.amplitude.interpreter import amplitudes
from darkfactory.generate.amplitude.waves import light_cone, spinors
from darkfactory.physics.dirac import bar, u_spinor, v_spinor

MUMU = ["mu-", "mu+"]
EE = ["e-", "e+"]
FINALS = [
    [*MUMU, "gamma"],
    [*MUMU, "Zp"],
    [*MUMU, "S"],
    [*MUMU, "tau-", "tau+"],
    [*EE, *MUMU],
    [*EE, *EE],
    ["gamma"] * 3,
    ["gamma", "a"],
    ["gamma", "pi0"],
]


@pytest.mark.parametrize(
    ("final", "number"),
    [
        (MUMU, 1),
        ([*MUMU, "gamma"], 4),
        ([*MUMU, "Zp"], 2),
        ([*MUMU, "tau-", "tau+"], 6),
        (MUMU * 2, 12),
        ([*EE, *MUMU], 12),
        (EE * 2, 36),
        ([*MUMU, *MUMU, "gamma"], 84),
        (["gamma"] * 3, 6),
    ],
)
def test_number_of_diagrams(final: list[str], number: int) -> None:
    a = make(final)
    assert len(a.diagrams) == number
    assert len(set(a.diagrams)) == number
    for diagram in a.diagrams:
        assert len(diagram.propagators) == len(final) - 1
        assert not any(p.mask & 1 for p in diagram.propagators)


def test_propagators_of_radiative_muons() -> None:
    sets = {tuple((p.mask, p.particle) for p in d.propagators) for d in make([*MUMU, "gamma"]).diagrams}
    # legs: 0 e-, 1 e+, 2 mu-, 3 mu+, 4 gamma
    assert sets == {
        ((0b01100, "gamma"), (0b01110, "e-")),
        ((0b01100, "gamma"), (0b10010, "e-")),
        ((0b10100, "mu-"), (0b11100, "gamma")),
        ((0b11000, "mu-"), (0b11100, "gamma")),
    }


@pytest.mark.parametrize(
    "final", [["gamma"] * 2, [*MUMU, "gamma"], ["gamma"] * 3, [*EE, "gamma"], [*MUMU, *MUMU, "gamma"]]
)
def test_ward_identity(final: list[str]) -> None:
    a = make(final)
    p = points(a, 200)
    leg = len(a.legs) - 1
    k = p[:, leg]
    wave = np.array(np.broadcast_arrays(*light_cone(k.T)))[:, None]
    m = amplitudes(a.program, np.ascontiguousarray(p.transpose(1, 2, 0)), {leg: wave})
    gauge = (np.abs(m.reshape(-1, len(p))) ** 2).sum(0) / 4
    assert (gauge / (a.squared(p, "numpy") * k[:, 0] ** 2)).max() < 1e-20


@pytest.mark.parametrize("final", FINALS, ids="".join)
def test_boosts_and_rotations_change_nothing(final: list[str]) -> None:
    a = make(final)
    p = points(a, 100)
    rotation, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    q = boosted(p.reshape(-1, 4), np.tile([0.3, -0.4, 0.2], (p[..., 0].size, 1)))
    q[:, 1:] = q[:, 1:] @ (rotation * np.linalg.det(rotation))
    np.testing.assert_allclose(a.squared(q.reshape(p.shape), "numpy"), a.squared(p, "numpy"), rtol=1e-9)


@pytest.mark.parametrize("final", FINALS, ids="".join)
def test_root_helicity_sum_and_precision(final: list[str]) -> None:
    a = make(final)
    p = points(a, 100)
    reference = a.squared(p, "numpy")
    assert a.program.parity
    np.testing.assert_allclose((np.abs(a.helicity_amplitudes(p)) ** 2).sum(1) * a.average, reference, rtol=1e-12)
    long = a.squared(p.astype(np.longdouble))
    assert long.dtype == np.longdouble
    np.testing.assert_allclose(reference, long.astype(float), rtol=1e-11)
    for root in range(len(a.legs)):
        np.testing.assert_allclose(make(final, root=root).squared(p, "numpy"), reference, rtol=1e-10)


def test_undetected_electrons_keep_their_digits() -> None:
    """Momentum transfers down to 1e-11 GeV^2: double against extended precision of the same momenta."""
    a = make([*EE, *MUMU])
    rng = np.random.default_rng(3)
    n, me = 2000, a.legs[0].mass
    p = points(a, n)
    for leg, sign in ((2, 1), (3, -1)):
        e, theta, phi = 5.29 - 10 ** rng.uniform(-1, 0.3, n), 10 ** rng.uniform(-8, -1, n), rng.uniform(0, 6.28, n)
        k = np.sqrt(e * e - me * me)
        p[:, leg] = np.column_stack(
            [e, k * np.sin(theta) * np.cos(phi), k * np.sin(theta) * np.sin(phi), sign * k * np.cos(theta)]
        )
    pair = p[:, 0] + p[:, 1] - p[:, 2] - p[:, 3]
    w2 = product(pair, pair)
    good = w2 > 4 * 0.106**2
    p, pair, w2 = p[good], pair[good], w2[good]
    k = np.sqrt(w2 / 4 - a.legs[4].mass ** 2)
    c = rng.uniform(-1, 1, len(p))
    v = k[:, None] * np.column_stack([np.sqrt(1 - c * c), 0 * c, c])
    beta = pair[:, 1:] / pair[:, :1]
    p[:, 4] = boosted(np.column_stack([np.sqrt(w2) / 2, v]), beta)
    p[:, 5] = boosted(np.column_stack([np.sqrt(w2) / 2, -v]), beta)
    p[:, 4:, 0] = np.sqrt((p[:, 4:, 1:] ** 2).sum(2) + a.legs[4].mass ** 2)
    ratio = np.abs(a.squared(p, "numpy") / a.squared(p.astype(np.longdouble)) - 1)
    assert np.median(ratio) < 1e-14
    assert ratio.max() < 1e-11


def test_legs_share_their_phases_with_the_spinors_of_the_library() -> None:
    rng = np.random.default_rng(4)
    k = np.vstack([rng.normal(size=(50, 3)), [[0, 0, 2.0], [0, 0, -2.0], [0, 0, 0]]])
    p = np.column_stack([np.sqrt(0.3**2 + (k**2).sum(1)), k])
    for i, h in enumerate((-1, 1)):
        for function, anti in ((u_spinor, False), (v_spinor, True)):
            np.testing.assert_allclose(spinors(p.T, 0.3, anti, False)[:, i].T, function(p, 0.3, h), atol=1e-14)
            np.testing.assert_allclose(spinors(p.T, 0.3, anti, True)[:, i].T, bar(function(p, 0.3, h)), atol=1e-14)


def test_external_wave_functions_replace_helicity_states() -> None:
    a = make(["tau-", "tau+"])
    p = points(a, 50)
    m = a.legs[2].mass
    full = a.helicity_amplitudes(p).reshape(-1, 2, 2, 2, 2)
    own = np.stack([bar(u_spinor(p[:, 2], m, 1)), bar(u_spinor(p[:, 2], m, -1)), 2 * bar(u_spinor(p[:, 2], m, 1))], 1)
    other = v_spinor(p[:, 3], m, 1)[:, None]
    replaced = a.helicity_amplitudes(p, {2: own, 3: other}).reshape(-1, 2, 2, 3, 1)
    np.testing.assert_allclose(replaced[..., 0, 0], full[..., 1, 1], atol=1e-14)
    np.testing.assert_allclose(replaced[..., 1, 0], full[..., 0, 1], atol=1e-14)
    np.testing.assert_allclose(replaced[..., 2, 0], 2 * full[..., 1, 1], atol=1e-14)
    with pytest.raises(ValueError, match=r"fermion legs need \(50, k, 4\)"):
        a.helicity_amplitudes(p, {2: own[:10]})


@pytest.mark.parametrize(("final", "legs"), [(["tau-", "tau+"], (2, 3)), ([*MUMU, "tau-", "tau+"], (5, 4))])
def test_spin_density(final: list[str], legs: tuple[int, int]) -> None:
    a = make(final)
    p = points(a, 50)
    rho = a.spin_density(p, legs)
    np.testing.assert_allclose(np.einsum("naabb->n", rho), a.squared(p, "numpy"), rtol=1e-12)
    matrix = rho.transpose(0, 1, 3, 2, 4).reshape(-1, 4, 4)
    np.testing.assert_allclose(matrix, matrix.conj().transpose(0, 2, 1), atol=1e-12 * np.abs(matrix).max())
    assert np.linalg.eigvalsh(matrix).min() > -1e-12 * np.abs(matrix).max()
    with pytest.raises(ValueError, match="two different legs"):
        a.spin_density(p, (2, 2))


def test_taus_far_above_threshold_have_opposite_helicities() -> None:
    a = make(["tau-", "tau+"], parameters={"m_tau": 1e-4})
    rho = a.spin_density(points(a, 20), (2, 3))
    unlike = rho[:, 0, 0, 1, 1] + rho[:, 1, 1, 0, 0]
    like = rho[:, 0, 0, 0, 0] + rho[:, 1, 1, 1, 1]
    assert (like.real < 1e-8 * unlike.real).all()


def test_variable_mass_leg_is_the_resonance_of_that_mass() -> None:
    wide = make([*MUMU, "Zp"], variable_mass=("Zp",), parameters={"m_Zp": 3.0})
    fixed = make([*MUMU, "Zp"], parameters={"m_Zp": 1.7})
    p = points(fixed, 50)
    np.testing.assert_allclose(wide.squared(p, "numpy"), fixed.squared(p, "numpy"), rtol=1e-12)


def test_identical_muons_interfere() -> None:
    """Exchange of identical particles changes nothing; without interference the sum would be another one."""
    a = make(MUMU * 2)
    p = points(a, 100)
    for order in ([0, 1, 4, 3, 2, 5], [0, 1, 2, 5, 4, 3]):
        np.testing.assert_allclose(a.squared(p[:, order], "numpy"), a.squared(p, "numpy"), rtol=1e-9)
    b = make([*MUMU, "tau-", "tau+"], parameters={"m_tau": a.legs[2].mass})
    incoherent = b.squared(p, "numpy") + b.squared(p[:, [0, 1, 4, 3, 2, 5]], "numpy")
    assert a.symmetry_factor == pytest.approx(1 / 4)
    assert np.abs(a.squared(p, "numpy") / incoherent - 1).max() > 0.1


def test_pauli_forbids_two_muons_in_one_state() -> None:
    """With equal momenta of the two mu-, amplitudes of equal helicities vanish: the relative signs are right."""
    a = make(MUMU * 2)
    m = a.legs[2].mass
    p = points(a, 50)
    p[:, 4] = p[:, 2]
    # both mu- share a momentum, the mu+ pair takes the rest
    rest = p[:, 0] + p[:, 1] - 2 * p[:, 2]
    w2 = product(rest, rest)
    p, rest, w2 = (x[w2 > 4.1 * m * m] for x in (p, rest, w2))
    k = np.sqrt(w2 / 4 - m * m)
    v = np.column_stack([0.6 * k, 0 * k, 0.8 * k])
    beta = rest[:, 1:] / rest[:, :1]
    p[:, 3], p[:, 5] = (boosted(np.column_stack([np.sqrt(w2) / 2, s * v]), beta) for s in (1, -1))
    assert len(p) > 10
    grid = np.abs(a.helicity_amplitudes(p)).reshape(-1, *[2] * 6)
    equal = max(grid[:, :, :, h, :, h].max() for h in (0, 1))
    assert equal < 1e-10 * grid.max()


def test_narrow_resonance_in_four_leptons_factorises() -> None:
    """On the peak |M|^2 -> |M_production|^2 x decay / (m Gamma)^2 after averaging over the decay's angles."""
    m, width, m_l = 3.0, 1e-7, 0.5
    values = {"m_Zp": m, "w_Zp": width, "m_tau": m_l}
    full = make([*MUMU, "tau-", "tau+"], ["Zp"], parameters=values, max_orders={"NP": 2})
    two = make([*MUMU, "Zp"], parameters={"m_Zp": m})
    # absorptive parts: helicities reversed are not the complex conjugate
    assert not full.program.parity
    p = points(two, 1, seed=9)
    nodes, weights = np.polynomial.legendre.leggauss(4)
    c, phi = (x.ravel() for x in np.meshgrid(nodes, np.arange(6) * np.pi / 3))
    w = np.tile(weights, 6) / 12
    k = np.sqrt(m * m / 4 - m_l**2)
    v = k * np.column_stack([np.sqrt(1 - c * c) * np.cos(phi), np.sqrt(1 - c * c) * np.sin(phi), c])
    beta = np.tile(p[0, 4, 1:] / p[0, 4, 0], (len(c), 1))
    q = np.zeros((len(c), 6, 4))
    q[:, :4] = p[0, :4]
    q[:, 4], q[:, 5] = (boosted(np.column_stack([np.full(len(c), m / 2), s * v]), beta) for s in (1, -1))
    mean = (full.squared(q, "numpy") * w).sum()
    decay = 4 / 3 * (m * m + 2 * m_l**2)
    assert mean == pytest.approx(two.squared(p, "numpy")[0] * decay / (m * width) ** 2, rel=1e-4)


def test_orders_and_exclusions_choose_diagrams() -> None:
    model = dark_qed()
    final = [*MUMU, "tau-", "tau+"]
    everything = compile_amplitude(model, EE, final, exclude_internal=[n for n in NEW if n != "Zp"])
    assert len(everything.diagrams) == 10
    qed = compile_amplitude(model, EE, final, max_orders={"NP": 0})
    assert len(qed.diagrams) == 6
    assert {p.particle for d in everything.diagrams for p in d.propagators} == {"e-", "mu-", "tau-", "gamma", "Zp"}


def test_empty_input_and_wrong_shapes() -> None:
    a = make(MUMU)
    assert a.squared(np.empty((0, 4, 4)), "numpy").shape == (0,)
    assert a.helicity_amplitudes(np.empty((0, 4, 4))).shape == (0, 16)
    with pytest.raises(ValueError, match=r"\(n, 4, 4\) is needed"):
        a.squared(np.zeros((3, 5, 4)))


def test_processes_that_cannot_be() -> None:
    model = dark_qed()
    with pytest.raises(ConfigError, match="no diagram for"):
        compile_amplitude(model, EE, ["mu-", "tau+"])
    with pytest.raises(ConfigError, match="unknown particle 'nu'"):
        compile_amplitude(model, EE, ["nu", "gamma"])
    with pytest.raises(ConfigError, match="2 incoming and 2 to 8 outgoing"):
        compile_amplitude(model, EE, ["gamma"])
    with pytest.raises(ConfigError, match="are no final legs"):
        compile_amplitude(model, EE, MUMU, variable_mass=["Zp"])
    with pytest.raises(ConfigError, match="no vertex of model dark_qed has"):
        compile_amplitude(model, EE, MUMU, max_orders={"QCD": 1})
    with pytest.raises(ConfigError, match="root leg 7"):
        compile_amplitude(model, EE, MUMU, root=7)
    with pytest.raises(ConfigError, match="is negative"):
        compile_amplitude(model, EE, [*MUMU, "Zp"], parameters={"m_Zp": -1.0})
