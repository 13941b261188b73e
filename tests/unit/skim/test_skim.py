from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from pydantic import ValidationError

from darkfactory.config.load import read_yaml
from darkfactory.config.skim import SkimConfig
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.events.schema import VERTEX
from darkfactory.physics.beams import BeamFrame, beam_frame
from darkfactory.skim.cuts import CUTS
from darkfactory.skim.skim import skim, skim_any, skim_masks

FOLDER = Path(__file__).resolve().parents[3] / "config" / "skims"
FRAME: BeamFrame = beam_frame(7.004, 4.002, 0.0415)
TRACK = {"charge": 1, "px": 1.0, "py": 0.0, "pz": 0.3, "d0": 0.0, "z0": 0.0, "is_mu": True, "is_mu_tight": False,
         "is_e": False, "is_pi": True, "is_k": False}  # fmt: skip
CLUSTER = {"e": 1.0, "theta": 1.5, "phi": 0.0, "time": 0.0, "dt99": 3.0, "track": -1, "photon_like": True}


def track(**change: Any) -> dict[str, Any]:
    return TRACK | change


def photon(**change: Any) -> dict[str, Any]:
    return CLUSTER | change


def cm_photons(energies: list[float], directions: list[tuple[float, float]]) -> list[dict[str, Any]]:
    """Laboratory clusters of photons given in the CM by energy, theta, phi."""
    out = []
    for e, (theta, phi) in zip(energies, directions, strict=True):
        s = np.sin(theta)
        lab = FRAME.to_lab(np.array([e, e * s * np.cos(phi), e * s * np.sin(phi), e * np.cos(theta)]))
        angle = float(np.arctan2(np.hypot(lab[1], lab[2]), lab[3]))
        out.append(photon(e=float(lab[0]), theta=angle, phi=float(np.arctan2(lab[2], lab[1]))))
    return out


def events(tracks: list[list[dict[str, Any]]], clusters: list[list[dict[str, Any]]] | None = None) -> ak.Array:
    n = len(tracks)
    # one spare event fixes the record types of empty lists
    spare = ak.Array([[TRACK], *tracks])[1:], ak.Array([[CLUSTER], *(clusters or [[]] * n)])[1:]
    return ak.zip(
        {"weight": np.arange(1.0, n + 1), "event_id": np.arange(n), "tracks": spare[0], "clusters": spare[1]},
        depth_limit=1,
    )


def load(name: str) -> SkimConfig:
    return SkimConfig.model_validate(read_yaml(FOLDER / f"{name}.yaml"))


def passed(sample: ak.Array, config: SkimConfig) -> list[int]:
    return skim(sample, config, FRAME)[0].event_id.tolist()


def one(cut: dict[str, Any]) -> SkimConfig:
    return SkimConfig.model_validate({"name": "s", "title": "t", "source": "test", "cuts": [{"name": "c", **cut}]})


def test_dimuon_missing() -> None:
    plus, minus = track(), track(charge=-1, px=-0.2, py=1.0)
    sample = events([
        [plus, minus],
        [plus, track(charge=1, px=-0.2, py=1.0)],  # same sign
        [plus, track(charge=-1, is_mu=False)],  # one muon
        [plus, track(charge=-1, is_mu=False, is_mu_tight=True, py=1.0)],  # the tight decision counts, too
        [plus, minus, plus],  # three tracks are allowed
        [plus, minus, plus, plus],  # four are not
        [plus, minus, plus, track(z0=6.0)],  # unless one is not from the interaction point
        [plus, track(charge=-1, d0=-2.5, py=1.0)],
        [],
    ])  # fmt: skip
    assert passed(sample, load("dimuon_missing")) == [0, 3, 4, 6]


def test_dimuon_transverse_momentum_is_in_the_cm_frame() -> None:
    """Back to back in the CM: pt* = 0, although the laboratory pt is 0.4 GeV for the tilted axis."""
    mass = 0.1056583755

    def pair(pt_star: float) -> list[dict[str, Any]]:
        out = []
        for charge, sign in ((1, 1.0), (-1, -1.0)):
            p = np.array([sign * 3.0 + (pt_star / 2), 0.5 * sign, sign])
            lab = FRAME.to_lab(np.array([np.sqrt(p @ p + mass**2), *p]))
            out.append(track(charge=charge, px=float(lab[1]), py=float(lab[2]), pz=float(lab[3])))
        return out

    sample = events([pair(0.0), pair(0.19), pair(0.21)])
    assert passed(sample, load("dimuon_missing")) == [2]


def test_electron_muon() -> None:
    muon, electron = track(), track(charge=-1, is_mu=False, is_e=True, py=1.0)
    both = track(charge=-1, is_e=True, py=1.0)
    sample = events([[muon, electron], [muon, muon], [muon, electron | {"pz": 10.0}], [both], [muon, both]])
    assert passed(sample, load("emu_missing")) == [0, 4]


def test_three_photons() -> None:
    # a symmetric star has the mass of the collision
    third = FRAME.sqrts / 3
    star = cm_photons([third] * 3, [(np.pi / 2, p) for p in (0.3, 0.3 + 2 * np.pi / 3, 0.3 + 4 * np.pi / 3)])
    soft = [c | {"e": 0.75 * c["e"]} for c in star]
    matched = [star[0] | {"track": 0}, *star[1:]]
    late = [star[0] | {"time": 12.0}, *star[1:]]  # (12 - 4)/3 = 2.7 of its uncertainty
    later = [star[0] | {"time": 8.0}, *star[1:]]  # 1.8
    forward = [star[0] | {"theta": 0.2}, *star[1:]]
    sample = events([[]] * 8, [star, soft, matched, late, later, forward, [*star, photon(e=0.05)], star[:2]])
    config = load("alp_3gamma")
    got = passed(sample, config)
    assert [i for i in got if i != 5] == [0, 4, 6]
    # one photon outside the tracker is allowed, two are not
    wide = config.model_copy(update={"cuts": (config.cuts[0].model_copy(update={"mass_over_sqrts": (0.1, 2.0)}),)})
    outside = [star[0] | {"theta": 0.2}, star[1] | {"theta": 2.7}, star[2]]
    assert passed(events([[], []], [forward, outside]), wide) == [0]


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        ({"kind": "track_count", "min": 1, "max": 2}, [0, 1]),
        ({"kind": "track_count", "min": 1, "tracks": {"pt_min_gev": 1.5}}, [2]),
        ({"kind": "track_count", "min": 1, "tracks": {"theta_deg": [80, 100]}}, [1, 2]),
        ({"kind": "photon_count", "min": 1}, [0, 1, 2]),
        ({"kind": "photon_count", "min": 1, "photons": {"e_min_gev": 0.7}}, [0]),
        ({"kind": "photon_count", "max": 0, "photons": {"e_cm_min_gev": 0.7}}, [1, 2, 3]),
        ({"kind": "photon_count", "min": 1, "photons": {"abs_time_ns": 10}}, [0, 2]),
        ({"kind": "photon_count", "min": 1, "photons": {"theta_deg": [80, 100]}}, [0, 1]),
        ({"kind": "photon_count", "min": 1, "photons": {"photon_like": True}}, [0, 1]),
        ({"kind": "total_charge"}, [1, 3]),
        ({"kind": "total_charge", "abs_max": 1}, [0, 1, 2, 3]),
        ({"kind": "neutral_energy", "min_gev": 0.55}, [0, 2]),
        ({"kind": "neutral_energy", "max_gev": 0.55}, [1, 3]),
        ({"kind": "track_pair", "first": {}, "mass_gev": [0.3, 0.4]}, [1]),
        ({"kind": "track_pair", "first": {}, "opposite_charge": False}, [1, 2]),
    ],
)
def test_every_kind_of_cut(cut: dict[str, Any], kept: list[int]) -> None:
    sample = events(
        [
            [track()],
            [track(pz=0.0), track(charge=-1)],
            [track(), track(px=2.0), track(charge=-1, px=-1.0)],
            [],
        ],
        [
            [photon()],
            [photon(e=0.5, time=50.0)],
            [photon(e=0.6, theta=0.5, photon_like=False), photon(e=3.0, track=0)],
            [photon(track=0)],
        ],
    )
    assert cut["kind"] in CUTS
    assert passed(sample, one(cut)) == kept


def test_every_kind_of_the_model_has_a_function() -> None:
    schema = SkimConfig.model_json_schema()
    kinds = set(schema["properties"]["cuts"]["items"]["discriminator"]["mapping"])
    assert kinds == set(CUTS)


def test_cutflow_and_objects() -> None:
    plus, minus = track(), track(charge=-1, px=-0.2, py=1.0)
    sample = events([[plus, minus], [plus], [plus] * 4, [plus, minus, track(z0=50.0)]], [[photon()]] * 4)
    kept, flow = skim(sample, load("dimuon_missing"), FRAME)
    assert flow.names == ("all", "tracks_from_ip", "dimuon")
    assert flow.events == (4, 3, 2)
    assert flow.sumw == (10.0, 7.0, 5.0)
    assert flow.sumw2 == (30.0, 21.0, 17.0)
    # the trigger still sees every object
    assert ak.num(kept.tracks).tolist() == [2, 3]
    assert ak.num(kept.clusters).tolist() == [1, 1]


def test_several_skims_share_one_pass() -> None:
    plus, minus = track(), track(charge=-1, px=-0.2, py=1.0)
    sample = events([[plus, minus], [plus], [], [plus, minus]], [[photon()], [photon()], [], []])
    photons = one({"kind": "photon_count", "min": 1})
    kept, flows = skim_any(sample, {"dimuon": load("dimuon_missing"), "photon": photons}, FRAME)
    assert kept.event_id.tolist() == [0, 1, 3]
    assert kept.skims.tolist() == [3, 2, 1]
    assert str(kept.skims.type.content) == "uint64"
    assert flows["dimuon"].events[-1] == 2
    assert flows["photon"].events == (4, 2)
    # a skim's own events are those with its bit
    alone = passed(sample, load("dimuon_missing"))
    assert kept.event_id[(kept.skims & np.uint64(1)) > 0].tolist() == alone


def test_masks_of_events_commute_with_any_other_mask() -> None:
    rng = np.random.default_rng(1)
    tracks = [
        [track(charge=int(c), px=float(x), py=float(y)) for c, x, y in zip(*rng.normal(size=(3, k)), strict=True)]
        for k in rng.integers(0, 5, 200)
    ]
    for event in tracks:
        for t in event:
            t["charge"] = 1 if t["px"] > 0 else -1
    sample = events(tracks)
    other = rng.random(200) < 0.5
    config = load("dimuon_missing")
    first = skim(sample, config, FRAME)[0]
    then = first.event_id[other[np.asarray(first.event_id)]].tolist()
    assert skim(sample[other], config, FRAME)[0].event_id.tolist() == then
    masks = skim_masks(sample, config, FRAME)
    assert all(mask.shape == (200,) for mask in masks.values())


@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.yaml")))
def test_skim_files_run_on_empty_samples(name: str) -> None:
    config = load(name)
    assert config.name == name
    nothing = events([[track()]], [[photon()]])[:0]
    nothing = ak.with_field(nothing, ak.Array([[dict.fromkeys(VERTEX, 0)]])[:0], "vertices")
    kept, flow = skim(nothing, config, FRAME)
    assert len(kept) == 0
    assert flow.events == (0,) * (len(config.cuts) + 1)


def test_errors() -> None:
    cut = {"kind": "track_count", "name": "n"}
    base = {"name": "s", "title": "t", "source": "test"}
    with pytest.raises(ValidationError, match=r"cut names \['n'\] are used twice or reserved"):
        SkimConfig.model_validate(base | {"cuts": [cut, cut]})
    with pytest.raises(ValidationError, match="min 3 exceeds max 2"):
        one({"kind": "track_count", "min": 3, "max": 2})
    with pytest.raises(ValidationError, match="does not match any of the expected tags"):
        one({"kind": "magic"})
    sample = events([[track()]])
    many = {f"s{i}": one(cut | {"name": "c"}) for i in range(65)}
    with pytest.raises(ConfigError, match="65 skims; at most 64"):
        skim_any(sample, many, FRAME)
    with pytest.raises(InputError, match=r"events lack \['clusters'\]"):
        skim(sample[["weight", "tracks"]], load("dimuon_missing"), FRAME)


def test_vertices_are_counted_within_their_limits() -> None:
    vertex = {"r_xy": 1.0, "distance": 1.5, "probability": 0.5, "cos_pointing": 0.9}
    sample = ak.with_field(
        events([[track()]] * 4),
        [
            [vertex],
            [vertex, {**vertex, "distance": 0.01}],
            [{**vertex, "r_xy": 70.0}],
            [{**vertex, "probability": 0.0}],
        ],
        "vertices",
    )
    cut = {"kind": "vertex_count", "name": "displaced", "min": 1, "max": 1}
    cut["vertices"] = {"distance_min_cm": 0.05, "r_xy_cm": [0.1, 60.0], "probability_min": 0.01, "pointing_min": 0.5}
    config = SkimConfig.model_validate({"name": "x", "title": "x", "source": "x", "cuts": [cut]})
    assert passed(sample, config) == [0, 1]
    with pytest.raises(InputError, match=r"events lack \['vertices'\]; they have"):
        skim(events([[track()]]), config, FRAME)
