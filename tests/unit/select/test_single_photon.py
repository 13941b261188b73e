"""The candidate ``single_photon`` on hand-made events."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
import pytest

from darkfactory.config.selection import ObjectsConfig
from darkfactory.events.schema import KLM_CLUSTER, zip_checked
from darkfactory.physics.beams import beam_frame
from darkfactory.select.registry import find_candidate, find_observable

FRAME = beam_frame(7.004, 4.002, 0.0415)
DEG = np.pi / 180


def with_klm(made: ak.Array, klm: list[list[dict[str, Any]]] | None = None) -> ak.Array:
    klm = klm or [[]] * len(made)
    counts = [len(row) for row in klm]
    flat = {k: ak.unflatten(np.array([o.get(k, 0) for row in klm for o in row], dtype=KLM_CLUSTER[k]), counts)
            for k in KLM_CLUSTER}  # fmt: skip
    return ak.with_field(made, zip_checked(flat, KLM_CLUSTER), "klm_clusters")


def columns(make_events: Any, events: list[dict[str, Any]], objects: ObjectsConfig | None = None, **parameters: Any):
    made = with_klm(make_events(events), [e.get("klm", []) for e in events])
    found = find_candidate("single_photon")(made, objects or ObjectsConfig(), FRAME)

    def value(name: str) -> np.ndarray:
        return find_observable("single_photon", name)(found.basis, parameters.get(name))

    return found, value


def cluster(p: np.ndarray, **more: Any) -> dict[str, Any]:
    """A cluster of a CM-frame photon (E, px, py, pz)."""
    e, x, y, z = FRAME.to_lab(p[None])[0]
    return {"e": e, "theta": np.arctan2(np.hypot(x, y), z), "phi": np.arctan2(y, x), **more}


def photon(e: float, theta: float, phi: float = 0.3) -> np.ndarray:
    s = np.sin(theta)
    return np.array([e, e * s * np.cos(phi), e * s * np.sin(phi), e * np.cos(theta)])


def test_the_recoil_is_that_of_the_photon_of_largest_cm_energy(make_events: Any) -> None:
    # backwards a photon of more CM energy has less in the laboratory
    soft, hard = photon(2.0, 0.6), photon(2.5, 2.4)
    assert FRAME.to_lab(soft[None])[0][0] > FRAME.to_lab(hard[None])[0][0]
    found, value = columns(make_events, [{"clusters": [cluster(soft), cluster(hard)]}, {"clusters": []}])
    assert found.event.tolist() == [0]
    s = FRAME.sqrts
    assert value("e_cms")[0] == pytest.approx(2.5)
    assert value("m2_recoil")[0] == pytest.approx(s * s - 2 * s * 2.5)
    assert value("cos_theta_cms")[0] == pytest.approx(np.cos(2.4))
    assert value("extra_energy")[0] == pytest.approx(FRAME.to_lab(soft[None])[0][0])
    assert value("second_energy")[0] == value("extra_energy")[0]
    assert value("n_photons")[0] == 2


def test_only_clusters_of_the_veto_count_as_extra(make_events: Any) -> None:
    objects = ObjectsConfig.model_validate(
        {"photons": {"min_e": 0.5}, "veto_photons": {"min_e": 0.1, "max_time_over_dt99": 1.0}}
    )
    clusters = [cluster(photon(3.0, 1.5)), {"e": 0.05}, {"e": 0.2, "theta": 1.0}, {"e": 0.3, "theta": 2.0, "time": 5.0}]
    # a track's cluster is energy, too, but no candidate
    clusters.append({"e": 4.0, "theta": 1.8, "track": 0})
    _, value = columns(make_events, [{"clusters": clusters, "tracks": [{}]}], objects)
    assert value("extra_energy")[0] == pytest.approx(4.2)
    assert value("second_energy")[0] == pytest.approx(4.0)
    assert value("n_tracks")[0] == 1


def test_klm_angle_is_from_the_missing_momentum(make_events: Any) -> None:
    p = photon(5.0, 1.4)
    unseen = FRAME.p4 - FRAME.to_lab(p[None])[0]
    theta, phi = np.arctan2(np.hypot(unseen[1], unseen[2]), unseen[3]), np.arctan2(unseen[2], unseen[1])
    near, far = {"theta": theta + 0.1, "phi": phi}, {"theta": theta, "phi": phi + 3.0}
    events = [{"clusters": [cluster(p)], "klm": [far, near]}, {"clusters": [cluster(p)], "klm": []}]
    _, value = columns(make_events, events)
    assert value("klm_angle").tolist() == pytest.approx([0.1, np.pi], abs=1e-5)
    assert value("n_klm").tolist() == [2, 0]
    assert value("theta_missing")[0] == pytest.approx(theta)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_second_photon_is_found_when_a_third_one_went_along_a_beam(make_events: Any, side: float) -> None:
    # exact three-photon kinematics: a chosen k along the beam, the other two back to back in their rest frame
    k, c, s = 1.5, 0.35, FRAME.sqrts
    total = np.array([s - k, 0.0, 0.0, -side * k])
    beta = total[3] / total[0]
    gamma = 1 / np.sqrt(1 - beta**2)
    half = np.sqrt(s * s - 2 * s * k) / 2
    legs = [half * np.array([1.0, sign * np.sqrt(1 - c * c), 0.0, sign * c]) for sign in (1, -1)]
    first, second = (np.array([gamma * (p[0] + beta * p[3]), p[1], p[2], gamma * (p[3] + beta * p[0])]) for p in legs)
    lab = FRAME.to_lab(second[None])[0]
    theta = float(np.arctan2(np.hypot(lab[1], lab[2]), lab[3]))
    gap = {"uncovered_distance": {"edge_fwd": -10.0, "edge_bwd": 10.0, "gap_fwd": theta, "gap_bwd": -10.0}}
    _, value = columns(make_events, [{"clusters": [cluster(first)]}], **gap)
    assert value("uncovered_distance")[0] == pytest.approx(0.0, abs=1e-6)
    ends = {"uncovered_distance": {"edge_fwd": theta + 0.1, "edge_bwd": 10.0, "gap_fwd": -9.0, "gap_bwd": 19.0}}
    _, value = columns(make_events, [{"clusters": [cluster(first)]}], **ends)
    # beyond the end for this direction; the other direction has another second photon
    assert value("uncovered_distance")[0] <= -0.1 + 1e-6


def test_crack_distance_is_the_azimuth_to_a_crack(make_events: Any) -> None:
    pitch = 2 * np.pi / 120
    # what is missing flies opposite to the photon in azimuth, since beams have no transverse momentum
    phis = np.array([0.0, 0.010, 17.5 * pitch, -3 * pitch + 0.004])
    events = [{"clusters": [{"e": 6.0, "theta": 1.2, "phi": phi}]} for phi in phis]
    frame = beam_frame(9.0271, 3.1, 0.0)
    found = find_candidate("single_photon")(with_klm(make_events(events)), ObjectsConfig(), frame)
    crack = find_observable("single_photon", "crack_distance")
    assert crack(found.basis, {"cracks": 120.0}) == pytest.approx([0.0, 0.010, pitch / 2, 0.004], abs=1e-6)
    assert crack(found.basis).tolist() == [np.pi] * 4
