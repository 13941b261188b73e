"""Candidate ``kaon_diphoton``: B -> K a, a -> gamma gamma, with the photons' energies fitted to the mass of the B.

After the searches for an axion-like particle in B decays, Phys. Rev. Lett. 128, 131802 and JHEP 12 (2025) 109. Every
kaon system (K+; K_S, K*0 and K*+ where ``objects.b_meson`` asks for them, see :mod:`darkfactory.select.strange`) goes
with every pair of photons in the box of ``objects.b_meson``. The fit scales the
two energies so that the energy and the momentum of the B are those of its production, within the resolutions that
``objects.b_meson.fit`` has; photons come from the interaction point. CM quantities use the nominal beams.
"""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import BFitConfig, ObjectsConfig
from darkfactory.core.errors import ConfigError
from darkfactory.events.schema import require_fields
from darkfactory.physics.beams import BeamFrame
from darkfactory.physics.constants import M_BPLUS, M_ETA, M_KPLUS, M_PI0
from darkfactory.select.candidates import Candidates, Observable
from darkfactory.select.kaon_pair import beam_constrained_mass, event_shape, pairs_of_events, with_mass
from darkfactory.select.objects import Array, Flat, cm_matrix, flatten, good_photons, good_tracks, photon_p4, transform
from darkfactory.select.strange import MODES, kaon_systems
from darkfactory.select.vectors import dot3, mass2, modulus, polar_angle, signed_root

__all__ = ["OBSERVABLES", "fit_energies", "kaon_diphoton", "nearest_partner"]

Ints = NDArray[np.int64]
_TRACK = ("charge", "px", "py", "pz", "d0", "z0", "is_k")
_CLUSTER = ("e", "theta", "phi", "time", "dt99", "track", "photon_like")
_STEPS = 5


def fit_energies(
    kaon: Array,
    one: Array,
    two: Array,
    sigma: tuple[Array, Array],
    sqrts: float,
    fit: BFitConfig,
    mass: Array | float = M_BPLUS,
) -> tuple[Array, Array, Array]:
    """Scale two photon energies so that kaon and photons are a B: least squares by Gauss and Newton.

    Residuals: both scales less one over their resolutions, the energy less that of a beam, the squared momentum less
    that of a B of this energy over 2 E_beam, each over its resolution.

    Args:
        kaon: momenta in the CM, (n, 4).
        one: of the first photon.
        two: of the second.
        sigma: relative resolutions of both energies.
        sqrts: CM energy, GeV.
        fit: resolutions of the constraints.
        mass: of the B, GeV.

    Returns:
        Scales of both energies, and chi^2.

    Example:
        Photons with the right energies stay as they are:

        >>> from darkfactory.config.base import Tagged
        >>> from darkfactory.physics.constants import M_KPLUS
        >>> fit = BFitConfig(sigma_energy=Tagged(value=0.0045, source="recalled"),
        ...                  sigma_m_bc=Tagged(value=0.0027, source="recalled"), photon={"formula": "0.02"})
        >>> e = 5.29 / 2
        >>> kaon = np.array([[2.0, 0.0, 0.0, np.sqrt(4 - M_KPLUS**2)]])
        >>> k = np.array([[1.645, 0.0, 1.0, -1.306324]])
        >>> k[:, 3] = -np.sqrt(1.645**2 - 1.0)
        >>> a, b, chi2 = fit_energies(kaon, k, k * [1, 1, -1, 1], (np.full(1, 0.02),) * 2, 10.58, fit)
        >>> bool(chi2[0] >= 0 and abs(a[0] - b[0]) < 1e-12)
        True
    """
    beam = sqrts / 2
    wanted = beam**2 - np.asarray(mass, dtype=float) ** 2
    width = 2 * beam * fit.sigma_m_bc.value
    a, b = np.ones(len(kaon)), np.ones(len(kaon))

    def residuals() -> tuple[Array, Array, Array, Array, Array]:
        total = kaon + a[:, None] * one + b[:, None] * two
        return (
            (a - 1) / sigma[0],
            (b - 1) / sigma[1],
            (total[:, 0] - beam) / fit.sigma_energy.value,
            (dot3(total, total) - wanted) / width,
            total,
        )

    for _ in range(_STEPS):
        r1, r2, r3, r4, total = residuals()
        e1, e2 = one[:, 0] / fit.sigma_energy.value, two[:, 0] / fit.sigma_energy.value
        p1, p2 = 2 * dot3(total, one) / width, 2 * dot3(total, two) / width
        m11, m22, m12 = sigma[0] ** -2 + e1**2 + p1**2, sigma[1] ** -2 + e2**2 + p2**2, e1 * e2 + p1 * p2
        g1, g2 = r1 / sigma[0] + e1 * r3 + p1 * r4, r2 / sigma[1] + e2 * r3 + p2 * r4
        det = m11 * m22 - m12 * m12
        # energies stay positive however far the start is from a B
        a = np.clip(a - (m22 * g1 - m12 * g2) / det, 0.2, 5.0)
        b = np.clip(b - (m11 * g2 - m12 * g1) / det, 0.2, 5.0)
    r1, r2, r3, r4, _ = residuals()
    return a, b, r1**2 + r2**2 + r3**2 + r4**2


def nearest_partner(photons: Flat, p: Array, mass: float) -> Array:
    """Distance in GeV of the mass of each photon with any other of its event to a given one; infinite without one.

    Args:
        photons: of many events.
        p: their momenta, (n, 4).
        mass: GeV.

    Example:
        >>> two = Flat(2, np.array([0, 0, 1]), {})
        >>> p = np.array([[1.0, 1.0, 0, 0], [1.0, -1.0, 0, 0], [1.0, 0, 0, 1.0]])
        >>> nearest_partner(two, p, 1.5).tolist()
        [0.5, 0.5, inf]
    """
    a, b = pairs_of_events(photons.event, photons.event, photons.n_events)
    other = a != b
    a, b = a[other], b[other]
    m2 = 2 * (p[a, 0] * p[b, 0] - dot3(p[a], p[b]))
    best = np.full(len(p), np.inf)
    np.minimum.at(best, a, np.abs(np.sqrt(np.maximum(m2, 0.0)) - mass))
    return best


def kaon_diphoton(events: ak.Array, objects: ObjectsConfig, frame: BeamFrame) -> Candidates:
    """All combinations of a kaon system and two photons in the box, with fitted energies.

    ``objects.veto_photons`` are those that a photon of a pi0 or an eta may have as its partner.

    Raises:
        ConfigError: ``objects.b_meson`` or its fit is absent.
        InputError: events without vertices, where K_S are asked for.
    """
    require_fields(events, "tracks", "clusters")
    box = objects.b_meson
    if box is None or box.fit is None:
        raise ConfigError("candidate kaon_diphoton needs a box of M_bc and Delta E with a fit", where="objects.b_meson")
    tracks, clusters = flatten(events["tracks"], _TRACK), flatten(events["clusters"], _CLUSTER)
    prompt = good_tracks(tracks, objects.tracks)
    three = np.stack([tracks["px"], tracks["py"], tracks["pz"]], axis=-1)
    to_cm = cm_matrix(frame)
    kaon = kaon_systems(events, tracks, prompt, three, objects.tracks, box)
    k_cm = transform(kaon.p, to_cm)
    used = good_photons(clusters, objects.photons)
    partners = used | good_photons(clusters, objects.veto_photons or objects.photons)
    others = clusters.where(partners)
    lab = photon_p4(others)
    pi0, eta = (nearest_partner(others, lab, m) for m in (M_PI0, M_ETA))
    photons, lab, pi0, eta = others.where(used[partners]), lab[used[partners]], pi0[used[partners]], eta[used[partners]]
    cm = transform(lab, to_cm)
    a, b = pairs_of_events(photons.event, photons.event, photons.n_events)
    a, b = a[a < b], b[a < b]
    k, pair = pairs_of_events(kaon.event, photons.event[a], tracks.n_events)
    a, b = a[pair], b[pair]
    total = k_cm[k] + cm[a] + cm[b]
    inside = np.abs(total[:, 0] - frame.sqrts / 2) <= box.max_delta_e
    inside &= beam_constrained_mass(total, frame.sqrts) >= box.min_m_bc
    k, a, b = k[inside], a[inside], b[inside]
    resolution = [np.asarray(box.fit.photon(E=photons["e"][i]), dtype=float) * np.ones(len(i)) for i in (a, b)]
    m_b = np.array([m for _, m in MODES])[kaon.mode[k]]
    one, two, chi2 = fit_energies(k_cm[k], cm[a], cm[b], (resolution[0], resolution[1]), frame.sqrts, box.fit, m_b)
    event = kaon.event[k]
    fitted = one[:, None] * cm[a] + two[:, None] * cm[b]
    r2 = event_shape(events, tracks, prompt, three, objects, to_cm)
    basis: dict[str, np.ndarray] = {
        "b": k_cm[k] + cm[a] + cm[b],
        "fitted": k_cm[k] + fitted,
        "pair": fitted,
        "first": one[:, None] * cm[a],
        "m2": 2 * one * two * (cm[a][:, 0] * cm[b][:, 0] - dot3(cm[a], cm[b])),
        "chi2": chi2,
        "kaon": kaon.kaon[k].astype(float),
        "mode": kaon.mode[k].astype(float),
        "strange": kaon.p[k],
        "charged": with_mass(kaon.charged[k], M_KPLUS),
        "radius": kaon.radius[k],
        "pointing": kaon.pointing[k],
        "energy": np.minimum(photons["e"][a], photons["e"][b]),
        "pi0": np.minimum(pi0[a], pi0[b]),
        "eta": np.minimum(eta[a], eta[b]),
        "sqrts": np.full(len(event), frame.sqrts),
        "r2": r2[event],
    }
    return Candidates(event, np.arange(len(event)) - np.searchsorted(event, event, side="left"), basis)


def _helicity(first: Array, pair: Array, m2: Array) -> Array:
    """Modulus of the cosine of a photon in the frame of the pair: difference of the energies over the momentum."""
    p = np.sqrt(np.maximum(pair[:, 0] ** 2 - m2, 1e-12))
    return np.asarray(np.minimum(np.abs(2 * first[:, 0] - pair[:, 0]) / p, 1.0))


OBSERVABLES: tuple[Observable, ...] = (
    Observable("m2_gg", "GeV^2", ("m2",), lambda m: m, (0.0, 23.0), "squared mass of the photons, fitted energies"),
    Observable("m_bc", "GeV", ("b", "sqrts"), beam_constrained_mass, (5.0, 5.3), "beam-constrained mass, not fitted"),
    Observable("delta_e", "GeV", ("b", "sqrts"), lambda b, s: b[:, 0] - s / 2, (-1.0, 1.0),
               "CM energy of the B less that of a beam, not fitted"),
    Observable("chi2", "1", ("chi2",), lambda c: c, (0.0, 50.0), "of the fit of the energies"),
    Observable("is_kaon", "1", ("kaon",), lambda x: x, (-0.5, 1.5), "1 for a kaon that is identified as one"),
    Observable("mode", "1", ("mode",), lambda x: x, (-0.5, 3.5), "0: K+, 1: K_S, 2: K*0 to K+ pi-, 3: K*+ to K_S pi+"),
    Observable("p_kaon", "GeV", ("charged",), modulus, (0.0, 5.0), "laboratory momentum of a charged kaon, 0 without"),
    Observable("theta_kaon", "rad", ("charged",), polar_angle, (0.0, np.pi),
               "laboratory polar angle of a charged kaon, 0 without"),
    Observable("m_strange", "GeV", ("strange",), lambda p: signed_root(mass2(p)), (0.4, 1.2), "mass of the kaons"),
    Observable("r_ks", "cm", ("radius",), lambda r: np.minimum(r, 200.0), (0.0, 60.0),
               "transverse radius of the vertex of the K_S; 200 cm without one"),
    Observable("pointing_ks", "1", ("pointing",), lambda c: c, (-1.0, 1.0),
               "cosine between position and momentum of the K_S; 1 without one"),
    Observable("e_min", "GeV", ("energy",), lambda e: e, (0.0, 4.0), "energy of the softer photon, laboratory"),
    Observable("pi0_distance", "GeV", ("pi0",), lambda d: np.minimum(d, 9.0), (0.0, 0.2),
               "distance of either photon's mass with any other photon to that of the pi0"),
    Observable("eta_distance", "GeV", ("eta",), lambda d: np.minimum(d, 9.0), (0.0, 0.2),
               "distance of either photon's mass with any other photon to that of the eta"),
    Observable("helicity", "1", ("first", "pair", "m2"), _helicity, (0.0, 1.0),
               "modulus of the cosine of a photon in the frame of the pair"),
    Observable("cos_b", "1", ("fitted",), lambda b: np.abs(b[:, 3]) / np.maximum(modulus(b), 1e-12), (0.0, 1.0),
               "modulus of the cosine of the B in the CM"),
    Observable("r2", "1", ("r2",), lambda r: r, (0.0, 1.0), "second over zeroth Fox-Wolfram moment of the event"),
)  # fmt: skip
"""All observables of this candidate."""
