"""The Numba backend against the NumPy reference."""

from __future__ import annotations

import numpy as np
import pytest
from amplitude_points import make, points

pytest.importorskip("numba")

MUMU = ["mu-", "mu+"]
WIDE = {"m_Zp": 3.0, "w_Zp": 0.3, "m_S": 2.0, "w_S": 0.1, "m_Ap": 4.0, "w_Ap": 0.2}


@pytest.mark.parametrize(
    ("final", "allow", "options"),
    [
        (MUMU, (), {}),
        ([*MUMU, "gamma"], (), {}),
        ([*MUMU, "Zp"], (), {"variable_mass": ("Zp",), "parameters": {"m_Zp": 3.0}}),
        ([*MUMU, "S"], (), {}),
        ([*MUMU, "a"], (), {"parameters": {"c_all_f": 1.0}}),
        (["gamma", "pi0"], (), {}),
        (["gamma", "gamma", "a"], (), {}),
        (["e-", "e+", "a"], (), {}),
        (["Ap", "hp"], ["Ap"], {"parameters": WIDE}),
        ([*MUMU, "hp"], ["Ap"], {"parameters": WIDE}),
        (["gamma"] * 3, (), {}),
        ([*MUMU, "tau-", "tau+"], ["Zp", "S"], {"parameters": WIDE}),
        (["e-", "e+", *MUMU], (), {}),
        (MUMU * 2, ["Zp"], {"parameters": WIDE}),
        # relative phases of couplings: the kernels leave it to NumPy
        (MUMU * 2, ["a"], {"parameters": {"c_all_f": 1.0}}),
    ],
    ids=lambda x: "".join(x) if isinstance(x, list) else "",
)
def test_backends_agree(final: list[str], allow: list[str], options: dict) -> None:
    a = make(final, allow, **options)
    p = points(a, 203)
    np.testing.assert_allclose(a.squared(p, "numba"), a.squared(p, "numpy"), rtol=1e-9)
    np.testing.assert_array_equal(a.squared(p), a.squared(p, "numba"))


def test_an_event_has_the_same_bits_wherever_it_stands() -> None:
    for final in ([*MUMU, "gamma"], ["e-", "e+", *MUMU]):
        a = make(final)
        p = points(a, 101)
        order = np.random.default_rng(2).permutation(101)
        np.testing.assert_array_equal(a.squared(p, "numba")[order], a.squared(p[order], "numba"))
        np.testing.assert_array_equal(a.squared(p, "numpy")[order], a.squared(p[order], "numpy"))
        np.testing.assert_array_equal(a.squared(p, "numba")[:13], a.squared(p[:13], "numba"))


def test_no_events() -> None:
    assert make(MUMU).squared(np.empty((0, 4, 4)), "numba").shape == (0,)


def test_forward_and_resting_particles() -> None:
    """Momenta along the axis, and vectors at rest, where angles are not defined."""
    a = make([*MUMU, "gamma"])
    m = a.legs[2].mass
    e = 5.29
    k = (4 * e * e - m * m * 4) / (4 * e) * 0.5
    # photon along +z, muons backward along -z sharing the recoil
    rest = 2 * e - k
    pz = -k / 2
    q = np.array([[[0, 0, 0, 1.0]] * 5])
    q[0, 0], q[0, 1] = (e, 0, 0, np.sqrt(e**2 - a.legs[0].mass ** 2)), (e, 0, 0, -np.sqrt(e**2 - a.legs[0].mass ** 2))
    pt = np.sqrt((rest / 2) ** 2 - m * m - pz * pz)
    q[0, 2], q[0, 3], q[0, 4] = (rest / 2, pt, 0, pz), (rest / 2, -pt, 0, pz), (k, 0, 0, k)
    for backend in ("numpy", "numba"):
        assert np.isfinite(a.squared(q, backend)).all()
    np.testing.assert_allclose(a.squared(q, "numba"), a.squared(q, "numpy"), rtol=1e-8)
