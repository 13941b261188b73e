from __future__ import annotations

import numpy as np
import pytest

from darkfactory.physics.dirac import METRIC, bar, slash, u_spinor, v_spinor


@pytest.fixture
def momenta() -> np.ndarray:
    rng = np.random.default_rng(1)
    k = np.vstack([rng.normal(size=(200, 3)), [[0, 0, 2.0], [0, 0, -2.0], [0, 0, 0.0]]])
    return np.column_stack([np.sqrt(0.3**2 + (k**2).sum(1)), k])


def test_spin_sums_give_pslash_plus_and_minus_mass(momenta: np.ndarray) -> None:
    m = np.eye(4) * 0.3
    uu = sum(np.einsum("ni,nj->nij", u_spinor(momenta, 0.3, h), bar(u_spinor(momenta, 0.3, h))) for h in (1, -1))
    vv = sum(np.einsum("ni,nj->nij", v_spinor(momenta, 0.3, h), bar(v_spinor(momenta, 0.3, h))) for h in (1, -1))
    np.testing.assert_allclose(uu, slash(momenta) + m, atol=1e-12)
    np.testing.assert_allclose(vv, slash(momenta) - m, atol=1e-12)


def test_slash_squared_is_the_invariant(momenta: np.ndarray) -> None:
    s = slash(momenta)
    np.testing.assert_allclose(
        s @ s, np.einsum("ni,ij,nj->n", momenta, METRIC, momenta)[:, None, None] * np.eye(4), atol=1e-12
    )
