"""Hadronic events by Pythia 8: continuum q qbar and Upsilon(4S) -> B Bbar.

Pythia gives the shape, the process's configuration the cross-section. Every chunk has its own Pythia object,
seeded from the chunk's random stream: the events are a function of that stream alone.

Settings (``pythia`` in the process's YAML): ``source: continuum | upsilon4s``; for the continuum ``flavours``, a
list of quark codes in a string such as ``"1 2 3"``, and ``isr``; for the Upsilon(4S) ``charged_fraction`` (of B+B-).
Keys with a colon, such as ``StringZ:aLund: 0.7``, go to Pythia as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.core.errors import ConfigError, RunError, UserError
from darkfactory.events.schema import PARTICLE, zip_checked
from darkfactory.generate.chunk import GeneratedChunk
from darkfactory.physics.beams import BeamFrame

__all__ = ["generate_pythia_chunk"]

Array = NDArray[np.float64]
Settings = Mapping[str, bool | int | float | str]
Row = tuple[int, float, float, float, float, float]

_DEFAULTS: dict[str, dict[str, bool | int | float | str]] = {
    # at threshold and below two light quarks do not hadronise
    "continuum": {"flavours": "1 2 3", "isr": True, "23:mMin": 1.0, "PhaseSpace:mHatMin": 1.0},
    "upsilon4s": {"charged_fraction": 0.5125, "Check:epTolErr": 1e-4},
}
_SOFT_PHOTON = 1e-3
_MAX_BATCHES = 50


def _import_pythia() -> Any:
    try:
        import pythia8mc
    except ImportError as error:
        raise UserError(
            "this process needs Pythia 8, which is not installed; run "
            "`pip install --only-binary :all: pythia8mc==8.317.2` (or `pip install darkfactory[pythia]`), "
            "or leave the process out of the samples"
        ) from error
    return pythia8mc


def _settings(settings: Settings) -> tuple[str, dict[str, bool | int | float | str]]:
    source = settings.get("source", "continuum")
    if not isinstance(source, str) or source not in _DEFAULTS:
        raise ConfigError(f"{source!r} is not a source; allowed: {sorted(_DEFAULTS)}", where="pythia.source")
    merged = {**_DEFAULTS[source], **{k: v for k, v in settings.items() if k != "source"}}
    unknown = sorted(k for k in merged if ":" not in k and k not in _DEFAULTS[source])
    if unknown:
        raise ConfigError(
            f"unknown keys {unknown} for source {source}; allowed: "
            f"{sorted(k for k in _DEFAULTS[source] if ':' not in k)} and Pythia's own keys with a colon",
            where="pythia",
        )
    return source, merged


def _configure(pythia: Any, lines: list[str], merged: Mapping[str, bool | int | float | str]) -> None:
    for key, value in merged.items():
        if ":" in key:
            text = ("on" if value else "off") if isinstance(value, bool) else value
            lines = [*lines, f"{key} = {text}"]
    for line in lines:
        if not pythia.readString(line):
            raise ConfigError(f"Pythia does not accept {line!r}; see its manual for keys and values", where="pythia")
    if not pythia.init():
        raise ConfigError(f"Pythia cannot start with {lines}; see its manual", where="pythia")


def _seed(rng: np.random.Generator) -> int:
    # Pythia takes seeds from 1 to 900 000 000
    return int(rng.integers(1, 900_000_000))


def _continuum(module: Any, frame: BeamFrame, merged: Settings, rng: np.random.Generator) -> Any:
    pythia = module.Pythia("", False)
    flavours = str(merged["flavours"]).split()
    if not flavours or any(f not in ("1", "2", "3", "4") for f in flavours):
        raise ConfigError(
            f"{merged['flavours']!r} are not flavours; allowed: quark codes 1 to 4 in a string such as '1 2 3'",
            where="pythia.flavours",
        )
    lines = [
        "Print:quiet = on", "Beams:idA = 11", "Beams:idB = -11", f"Beams:eCM = {frame.sqrts!r}",
        f"PDF:lepton = {'on' if merged['isr'] else 'off'}",
        "WeakSingleBoson:ffbar2gmZ = on", "WeakZ0:gmZmode = 1",
        "23:onMode = off", "23:onIfAny = " + " ".join(flavours),
    ]  # fmt: skip
    _configure(pythia, lines, merged)
    pythia.rndm.init(_seed(rng))
    return pythia


def _b_pairs(pythia: Any, sqrts: float, charged: float, rng: np.random.Generator) -> Iterator[Row]:
    """Endless (code, mass, E, px, py, pz) of one B of each pair; dN/dcos = sin^2 from a polarised Upsilon(4S)."""
    masses = {code: float(pythia.particleData.m0(code)) for code in (511, 521)}
    if sqrts <= 2 * max(masses.values()):
        raise ConfigError(
            f"the beams' {sqrts:.4f} GeV are below the threshold of B pairs, {2 * max(masses.values()):.4f} GeV; "
            "use a detector with beams at the Upsilon(4S)",
            where="pythia.source",
        )
    while True:
        u = rng.random((1024, 4))
        code = np.where(u[:, 0] < charged, 521, 511)
        # sin^2: the middle root of c^3 - 3 c + 4 u - 2 = 0
        c = 2 * np.cos((np.arccos(1 - 2 * u[:, 1]) + 4 * np.pi) / 3)
        phi = 2 * np.pi * u[:, 2]
        sign = np.where(u[:, 3] < 0.5, 1, -1)
        m = np.where(code == 521, masses[521], masses[511])
        k = np.sqrt(sqrts**2 / 4 - m * m)
        s = np.sqrt(np.maximum(1 - c * c, 0.0))
        columns = (code * sign, m, np.full(1024, sqrts / 2), k * s * np.cos(phi), k * s * np.sin(phi), k * c)
        yield from zip(*(v.tolist() for v in columns), strict=True)


def _upsilon4s(module: Any, frame: BeamFrame, merged: Settings, rng: np.random.Generator) -> tuple[Any, Any]:
    """A Pythia that decays the B mesons given to it; the second object must live as long as the first."""
    charged = merged["charged_fraction"]
    if not isinstance(charged, (int, float)) or not 0 <= charged <= 1:
        raise ConfigError(f"{charged!r} is not a fraction; allowed: 0 to 1", where="pythia.charged_fraction")

    class Pairs(module.LHAup):  # type: ignore[misc]  # its base is untyped
        """Feeds B pairs as if they came from a Les Houches file."""

        def __init__(self, beam: float, rows: Iterator[Row]) -> None:
            module.LHAup.__init__(self)
            self.beam, self.rows = beam, rows

        def setInit(self) -> bool:
            self.setBeamA(11, self.beam)
            self.setBeamB(-11, self.beam)
            self.setStrategy(3)
            self.addProcess(1, 1.0, 0.0, 1.0)
            return True

        def setEvent(self, _process: int = 0) -> bool:
            code, m, e, px, py, pz = next(self.rows)
            self.setProcess(1, 1.0, 0.0, 1 / 137.0, 0.12)
            for pdg, z in ((11, self.beam), (-11, -self.beam)):
                self.addParticle(pdg, -1, 0, 0, 0, 0, 0.0, 0.0, z, self.beam, 0.0, 0.0, 9.0)
            self.addParticle(code, 1, 1, 2, 0, 0, px, py, pz, e, m, 0.0, 9.0)
            self.addParticle(-code, 1, 1, 2, 0, 0, -px, -py, -pz, e, m, 0.0, 9.0)
            return True

    pythia = module.Pythia("", False)
    seed = _seed(rng)
    pairs = Pairs(frame.sqrts / 2, _b_pairs(pythia, frame.sqrts, float(charged), rng))
    pythia.readString("Print:quiet = on")
    pythia.setLHAupPtr(pairs)
    _configure(pythia, ["Beams:frameType = 5", "PDF:lepton = off"], merged)
    pythia.rndm.init(seed)
    return pythia, pairs


def _kept(pdg: NDArray[np.int64], status: NDArray[np.int64], energy: Array) -> NDArray[np.bool_]:
    """Final particles, and decayed hadrons and taus; no partons, no beams, no photons of no energy."""
    code = np.abs(pdg)
    diquark = (code > 1000) & (code < 10_000) & (code // 10 % 10 == 0)
    hadron = (code > 100) & ~diquark
    final = (status > 0) & ~((code == 22) & (energy < _SOFT_PHOTON) & (status > 40) & (status < 70))
    return np.asarray(final | ((status < 0) & (hadron | (code == 15))))


def _particles(batch: ak.Array, frame: BeamFrame) -> ak.Array:
    """Truth particles per schema, in the laboratory, from Pythia's event record in the CM."""
    prt = batch.prt
    counts = ak.to_numpy(ak.num(prt.id))
    start = np.repeat(np.cumsum(counts) - counts, counts)

    def flat(values: ak.Array) -> NDArray[Any]:
        return np.asarray(ak.to_numpy(ak.flatten(values)))

    pdg, status = flat(prt.id).astype(np.int64), flat(prt.status).astype(np.int64)
    p = np.stack([flat(prt.p[c]) for c in ("e", "px", "py", "pz")], axis=1)
    produced = ak.is_none(prt.vProd, axis=1)
    v = np.stack([flat(ak.where(produced, 0.0, ak.fill_none(prt.vProd[c], 0.0))) for c in ("e", "px", "py", "pz")], 1)
    keep = _kept(pdg, status, p[:, 0])

    # climb over partons and copies to the nearest ancestor that is kept; entry 0 is the whole event
    mother1 = flat(prt.mother1).astype(np.int64)
    mother = mother1.copy()
    climbing = (mother > 0) & ~keep[start + mother]
    while climbing.any():
        mother[climbing] = mother1[(start + mother)[climbing]]
        climbing = (mother > 0) & ~keep[start + mother]

    order = np.cumsum(keep) - 1
    kept_counts = np.add.reduceat(keep, np.cumsum(counts) - counts) if len(counts) else counts
    first = np.repeat(np.cumsum(kept_counts) - kept_counts, counts)
    index = np.where(mother > 0, order[start + mother] - first, -1)
    lab, vertex = frame.to_lab(p[keep]), frame.to_lab(0.1 * v[keep])
    columns: dict[str, NDArray[Any]] = {
        "pdg": pdg[keep], "status": np.where(status[keep] > 0, 1, 2), "mother": index[keep],
        "px": lab[:, 1], "py": lab[:, 2], "pz": lab[:, 3], "e": lab[:, 0],
        "vx": vertex[:, 1], "vy": vertex[:, 2], "vz": vertex[:, 3],
    }  # fmt: skip
    return zip_checked({k: ak.unflatten(c, kept_counts) for k, c in columns.items()}, PARTICLE)


def generate_pythia_chunk(
    settings: Settings,
    sigma_fb: float,
    frame: BeamFrame,
    n_events: int,
    rng: np.random.Generator,
    chunk: int,
) -> GeneratedChunk:
    """Generate one chunk of hadronic events.

    Args:
        settings: the process's Pythia settings, see the module.
        sigma_fb: cross-section of the process in fb; every event has it as its weight.
        frame: the collider's CM frame.
        n_events: number of events.
        rng: the chunk's random stream.
        chunk: the chunk's number, part of the events' identifiers.

    Raises:
        UserError: Pythia is not installed.
        ConfigError: settings that are unknown or that Pythia refuses.
        RunError: Pythia gives up on too many events.
    """
    source, merged = _settings(settings)
    module = _import_pythia()
    if source == "continuum":
        pythia, feeder = _continuum(module, frame, merged, rng), None
    else:
        pythia, feeder = _upsilon4s(module, frame, merged, rng)
    parts, have = [], 0
    for _ in range(_MAX_BATCHES):
        if have >= n_events:
            break
        batch = pythia.nextBatch(n_events - have)
        if len(batch):
            parts.append(_particles(batch, frame))
            have += len(batch)
    if have < n_events:
        raise RunError(
            f"Pythia made only {have} of {n_events} events of source {source} with {dict(merged)}; "
            "check mass limits against the beams' energy"
        )
    del feeder
    particles = ak.concatenate(parts) if parts else _no_particles()
    ids = np.int64(chunk) * np.int64(2**32) + np.arange(n_events, dtype=np.int64)
    weight = np.full(n_events, float(sigma_fb))
    events = ak.zip({"weight": weight, "event_id": ids, "particles": particles}, depth_limit=1)
    return GeneratedChunk(
        events=events,
        n_events=n_events,
        sumw=sigma_fb * n_events,
        sumw2=sigma_fb * sigma_fb * n_events,
        tries=n_events,
    )


def _no_particles() -> ak.Array:
    none = ak.unflatten(np.zeros(0), np.zeros(0, dtype=np.int64))
    return zip_checked(dict.fromkeys(PARTICLE, none), PARTICLE)
