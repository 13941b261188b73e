"""Spin of tau leptons: helicity axes, polarisation and correlation from a spin density matrix, rest frame.

The spin states are the helicity spinors of :mod:`darkfactory.physics.dirac` with their phases. The two-spinors
there are those of a spin along +-z turned by the shortest rotation of +z to the momentum, so that the axes of
the tau's rest frame are the laboratory axes under that rotation. The antiparticle spinors are charge conjugates
of the particle spinors up to a sign: v(p, h) = h C ubar(p, h)^T. That relative sign of the two helicities is taken
out here, so that particle and antiparticle have the same axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darkfactory.physics.kinematics import from_rest_frame

__all__ = ["conditional", "correlations", "from_helicity_frame", "helicity_axes", "joint_weight", "turn"]

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


def helicity_axes(p: Array) -> Array:
    """Matrices whose columns are the rest-frame axes of particles with momenta ``p`` (n, 4); shape (n, 3, 3).

    Example:
        >>> helicity_axes(np.array([[5.0, 4.0, 0, 0]]))[0].round(9).tolist()
        [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]
    """
    mod = np.sqrt(p[:, 1] ** 2 + p[:, 2] ** 2 + p[:, 3] ** 2)
    safe = np.where(mod > 0, mod, 1.0)
    pt = np.hypot(p[:, 1], p[:, 2])
    transverse = pt > 0
    scale = np.where(transverse, pt, 1.0)
    cf, sf = np.where(transverse, p[:, 1] / scale, 1.0), np.where(transverse, p[:, 2] / scale, 0.0)
    c, s = np.where(mod > 0, p[:, 3] / safe, 1.0), pt / safe
    f = 1 - c
    out = np.empty((len(p), 3, 3))
    out[:, 0, 0], out[:, 0, 1], out[:, 0, 2] = 1 - f * cf * cf, -f * cf * sf, s * cf
    out[:, 1, 0], out[:, 1, 1], out[:, 1, 2] = -f * cf * sf, 1 - f * sf * sf, s * sf
    out[:, 2, 0], out[:, 2, 1], out[:, 2, 2] = -s * cf, -s * sf, c
    return out


def correlations(density: Complex) -> tuple[Array, Array, Array]:
    """Polarisations and spin correlation of a pair from its spin density matrix.

    Args:
        density: ``R[n, h1, h1', h2, h2'] = sum M_{h1 h2} M*_{h1' h2'}``, a particle first and an antiparticle
            second, helicities ordered (-1, +1), any normalisation, shape (n, 2, 2, 2, 2).

    Returns:
        P1 (n, 3), P2 (n, 3) and C (n, 3, 3) along the rest-frame axes of each particle: the joint decay
        probability is proportional to ``1 + h1.P1 + h2.P2 + h1.C.h2``.

    Example:
        >>> r = np.zeros((1, 2, 2, 2, 2), complex); r[0, 1, 1, 0, 0] = 3.0
        >>> p1, p2, c = correlations(r)
        >>> p1.tolist(), p2.tolist(), float(c[0, 2, 2])
        ([[0.0, 0.0, 1.0]], [[0.0, 0.0, -1.0]], -1.0)
    """

    def vector(m: Complex) -> list[Complex]:
        """Traces with the Pauli matrices over the two leading axes."""
        return [m[0, 1] + m[1, 0], 1j * (m[0, 1] - m[1, 0]), m[0, 0] - m[1, 1]]

    # the spin up along z is helicity +1, the second index
    r = np.moveaxis(density[:, ::-1, ::-1, ::-1, ::-1], 0, -1)
    plus = r[:, :, 0, 0] + r[:, :, 1, 1]
    minus = r[0, 0] + r[1, 1]
    total = (plus[0, 0] + plus[1, 1]).real
    norm = np.where(total > 0, total, 1.0)
    p1 = np.stack([v.real for v in vector(plus)], axis=-1) / norm[:, None]
    p2 = np.stack([v.real for v in vector(minus)], axis=-1) / norm[:, None]
    c = np.stack([np.stack([w.real for w in vector(v)], axis=-1) for v in vector(r)], axis=-2)
    # v(p, -1) has the opposite sign of a charge conjugate: half a turn about the antiparticle's z axis
    half_turn = np.array([-1.0, -1.0, 1.0])
    return p1, p2 * half_turn, c / norm[:, None, None] * half_turn


def joint_weight(h1: Array, h2: Array, p1: Array, p2: Array, c: Array) -> Array:
    """``|sum M D1 D2|^2`` over the product of the traces: between 0 and 1, mean 1/4 over unpolarised decays.

    Args:
        h1: polarimeters of the first tau, shape (n, 3), rest-frame axes.
        h2: of the second.
        p1: polarisation of the first, shape (n, 3).
        p2: of the second.
        c: spin correlation, shape (n, 3, 3).

    Example:
        >>> z = np.array([[0.0, 0.0, 1.0]])
        >>> float(joint_weight(z, -z, 0 * z, 0 * z, -np.eye(3)[None])[0])
        0.5
    """
    return np.asarray(
        0.25 * (1 + (h1 * p1).sum(1) + (h2 * p2).sum(1) + np.einsum("ni,nij,nj->n", h1, c, h2)), dtype=float
    )


def conditional(h1: Array, p1: Array, p2: Array, c: Array) -> Array:
    """Polarisation of the second tau once the first has decayed with polarimeter ``h1``; shape (n, 3).

    Example:
        >>> z = np.array([[0.0, 0.0, 1.0]])
        >>> conditional(z, 0 * z, 0 * z, -np.eye(3)[None]).tolist()
        [[0.0, 0.0, -1.0]]
    """
    denominator = 1 + (h1 * p1).sum(1)
    denominator = np.where(denominator > 1e-12, denominator, 1.0)
    return np.asarray((p2 + np.einsum("ni,nij->nj", h1, c)) / denominator[:, None])


def turn(vectors: Array, h: Array, polarisation: Array, u: Array) -> tuple[Array, Array]:
    """Give isotropic decays the angular distribution of polarised ones, without rejecting any.

    With probability ``(1 - h.P)/2`` a decay is turned by half a turn about an axis perpendicular to P, which
    only reverses h.P. As the angle between h and P is uniform before, its density becomes
    ``(1 + h.P)/2``: exactly that of accept-reject with the spin weight.

    Args:
        vectors: four-momenta of the products in the rest frame, shape (n, k, 4).
        h: polarimeters, shape (n, 3).
        polarisation: of the tau, shape (n, 3).
        u: uniform random numbers, shape (n,).

    Returns:
        The momenta and the polarimeters after the turn.

    Example:
        >>> z = np.array([[0.0, 0.0, 1.0]])
        >>> turn(np.array([[[1.0, 0, 0, 1.0]]]), z, -z, np.array([0.5]))[1].tolist()
        [[0.0, 0.0, -1.0]]
    """
    flip = u >= 0.5 * (1 + (h * polarisation).sum(1))
    px, py = polarisation[flip, 0], polarisation[flip, 1]
    pt = np.hypot(px, py)
    safe = np.where(pt > 0, pt, 1.0)
    ax, ay = np.where(pt > 0, -py / safe, 1.0), np.where(pt > 0, px / safe, 0.0)
    vectors, h = vectors.copy(), h.copy()
    v, g = vectors[flip], h[flip]
    dot_v = 2 * (ax[:, None] * v[..., 1] + ay[:, None] * v[..., 2])
    dot_h = 2 * (ax * g[:, 0] + ay * g[:, 1])
    v[..., 1], v[..., 2], v[..., 3] = dot_v * ax[:, None] - v[..., 1], dot_v * ay[:, None] - v[..., 2], -v[..., 3]
    g[:, 0], g[:, 1], g[:, 2] = dot_h * ax - g[:, 0], dot_h * ay - g[:, 1], -g[:, 2]
    vectors[flip], h[flip] = v, g
    return vectors, h


def from_helicity_frame(vectors: Array, p: Array) -> Array:
    """From the rest frame with helicity axes to the frame where the particle has momentum ``p``.

    Args:
        vectors: four-momenta in the rest frame, shape (n, k, 4).
        p: momenta of the decaying particle, shape (n, 4).

    Example:
        >>> p = np.array([[5.0, 4.0, 0, 0]])
        >>> from_helicity_frame(np.array([[[3.0, 0, 0, 0]]]), p)[0].tolist()
        [[5.0, 4.0, 0.0, 0.0]]
    """
    space = np.einsum("nij,nkj->nki", helicity_axes(p), vectors[..., 1:])
    rotated = np.concatenate([vectors[..., :1], space], axis=-1)
    return from_rest_frame(rotated, np.broadcast_to(p[:, None, :], rotated.shape))
