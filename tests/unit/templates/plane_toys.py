"""A plane with the resolutions of a dimuon and its recoil, as derived for two smeared muons: for tests."""

from __future__ import annotations

import numpy as np

from darkfactory.physics.resolution import Core
from darkfactory.templates.plane import PlaneModel, make_resolution

SQRTS = 10.58
ORDERS = {"resolution": 4, "correlation": 3, "offset": 1}


def toy_plane(rho: float = -0.9) -> PlaneModel:
    """Widths that grow and fall with the masses, one correlation."""
    masses = [(a, b) for a in np.arange(1.7, 10.4, 0.6) for b in np.arange(0.1, 5.2, 0.7) if b < a and a + b < SQRTS]
    cores = [Core(a * a, b * b, 0.02 + 0.0075 * a * a, 0.45 - 0.035 * a - 0.03 * b, rho, 1000.0) for a, b in masses]
    return make_resolution([(float(a), float(b)) for a, b in masses], cores, ORDERS, SQRTS)
