"""Hadronic events by Pythia 8: continuum q qbar and Upsilon(4S) -> B Bbar.

Pythia gives the shape, the process's configuration the cross-section. Every chunk has its own Pythia object,
seeded from the chunk's random stream: the events are a function of that stream alone.

Settings (``pythia`` in the process's YAML): ``source: continuum | upsilon4s``; for the continuum ``flavours``, a
list of quark codes in a string such as ``"1 2 3"``, and ``isr``; for the Upsilon(4S) ``charged_fraction`` (of B+B-) and
``signal``, a meson (``B+`` or ``B0``) that decays as the process's ``decays`` say, in one of both charges, while the
other one decays as in Pythia's tables; or ``tag``, the kind of a pair of which one, in one of both charges, is left
whole for a tag to stand for it, and the other decays as in Pythia's tables or as ``decays`` say.

Keys with a colon, such as ``StringZ:aLund: 0.7``, go to Pythia as they are; several values of one are apart by
semicolons.

Pairs have the energy of their own beams: Pythia decays them at the nominal one, and both B are then boosted along
their directions. Of B pairs and of the continuum alike, the beams' spread is in the boost to the laboratory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.process import HadronicFilter, IsrConfig
from darkfactory.core.errors import ConfigError, RunError, UserError
from darkfactory.generate.b_signal import SignalSide, decay_signal
from darkfactory.generate.chunk import GeneratedChunk
from darkfactory.generate.hadronic import passes, spread_pairs
from darkfactory.generate.radiation import make_to_lab
from darkfactory.generate.record import Particles, concatenate, to_events
from darkfactory.generate.roulette import keep_particles
from darkfactory.generate.spectra import Spectrum
from darkfactory.physics.beams import BeamFrame, Beams
from darkfactory.physics.kinematics import mass

__all__ = ["generate_pythia_chunk"]

Array = NDArray[np.float64]
Settings = Mapping[str, bool | int | float | str]
Row = tuple[int, float, float, float, float, float]

_DEFAULTS: dict[str, dict[str, bool | int | float | str]] = {
    # at threshold and below two light quarks do not hadronise
    "continuum": {"flavours": "1 2 3", "isr": True, "23:mMin": 1.0, "PhaseSpace:mHatMin": 1.0},
    "upsilon4s": {"charged_fraction": 0.5125, "signal": "", "tag": "", "Check:epTolErr": 1e-4},
}
# stand for the B on the signal side, or for the tag, which Pythia leaves alone
_STAND_INS = {521: 9000521, 511: 9000511}
_MESONS = {"B+": 521, "B0": 511}
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
    # a particle must be there before anything is said of it
    for key, value in sorted(merged.items(), key=lambda item: not item[0].endswith(":new")):
        if ":" in key:
            text = ("on" if value else "off") if isinstance(value, bool) else str(value)
            lines = [*lines, *(f"{key} = {part.strip()}" for part in text.split(";"))]
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


def _b_pairs(pythia: Any, sqrts: float, charged: float, rng: np.random.Generator, signal: int = 0) -> Iterator[Row]:
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
        if signal:
            code = np.full(1024, signal)
        # sin^2: the middle root of c^3 - 3 c + 4 u - 2 = 0
        c = 2 * np.cos((np.arccos(1 - 2 * u[:, 1]) + 4 * np.pi) / 3)
        phi = 2 * np.pi * u[:, 2]
        sign = np.where(u[:, 3] < 0.5, 1, -1)
        m = np.where(code == 521, masses[521], masses[511])
        k = np.sqrt(sqrts**2 / 4 - m * m)
        s = np.sqrt(np.maximum(1 - c * c, 0.0))
        columns = (code * sign, m, np.full(1024, sqrts / 2), k * s * np.cos(phi), k * s * np.sin(phi), k * c)
        yield from zip(*(v.tolist() for v in columns), strict=True)


def _upsilon4s(
    module: Any,
    frame: BeamFrame,
    merged: Settings,
    signal: SignalSide | None,
    rng: np.random.Generator,
    forced: Sequence[str] = (),
) -> tuple[Any, Any]:
    """A Pythia that decays the B mesons given to it; the second object must live as long as the first."""
    charged = merged["charged_fraction"]
    if not isinstance(charged, (int, float)) or not 0 <= charged <= 1:
        raise ConfigError(f"{charged!r} is not a fraction; allowed: 0 to 1", where="pythia.charged_fraction")

    class Pairs(module.LHAup):  # type: ignore[misc]  # its base is untyped
        """Feeds B pairs as if they came from a Les Houches file."""

        def __init__(self, beam: float, rows: Iterator[Row], first: int) -> None:
            module.LHAup.__init__(self)
            self.beam, self.rows, self.first = beam, rows, first

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
            one = code if not self.first else (self.first if code > 0 else -self.first)
            self.addParticle(one, 1, 1, 2, 0, 0, px, py, pz, e, m, 0.0, 9.0)
            self.addParticle(-code, 1, 1, 2, 0, 0, -px, -py, -pz, e, m, 0.0, 9.0)
            return True

    pythia = module.Pythia("", False)
    seed = _seed(rng)
    meson = _MESONS.get(str(merged["tag"]), 0) if signal is None else signal.meson.pdg
    lines = ["Beams:frameType = 5", "PDF:lepton = off"]
    if meson:
        stand_in, three = _STAND_INS[meson], 3 if meson == 521 else 0
        m0 = float(pythia.particleData.m0(meson)) if signal is None else signal.meson.mass
        lines += [
            f"{meson}:m0 = {m0!r}",
            f"{stand_in}:new = Bsignal Bsignalbar 1 {three} 0 {m0!r} 0.0 0.0 0.0 0.0",
            f"{stand_in}:mayDecay = off",
        ]
    lines += forced
    rows = _b_pairs(pythia, frame.sqrts, float(charged), rng, meson)
    pairs = Pairs(frame.sqrts / 2, rows, _STAND_INS.get(meson, 0))
    pythia.readString("Print:quiet = on")
    pythia.setLHAupPtr(pairs)
    _configure(pythia, lines, merged)
    pythia.rndm.init(seed)
    return pythia, pairs


def _kept(pdg: NDArray[np.int64], status: NDArray[np.int64], energy: Array) -> NDArray[np.bool_]:
    """Final particles, and decayed hadrons and taus; no partons, no beams, no photons of no energy."""
    code = np.abs(pdg)
    diquark = (code > 1000) & (code < 10_000) & (code // 10 % 10 == 0)
    hadron = (code > 100) & ~diquark
    final = (status > 0) & ~((code == 22) & (energy < _SOFT_PHOTON) & (status > 40) & (status < 70))
    return np.asarray(final | ((status < 0) & (hadron | (code == 15))))


def _particles(batch: ak.Array) -> tuple[Particles, Array]:
    """Particles in the CM from Pythia's event record, with their production times and vertices (m, 4), cm."""
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
    event = np.repeat(np.arange(len(counts), dtype=np.int64), kept_counts)
    state = np.where(status[keep] > 0, 1, 2).astype(np.int64)
    return Particles(event, pdg[keep], state, index[keep], p[keep], np.zeros((len(event), 3))), 0.1 * v[keep]


def _with_signal(
    found: Particles, counts: NDArray[np.int64], signal: SignalSide, rng: np.random.Generator
) -> tuple[Particles, dict[str, Array]]:
    """Replace the stand-in of each event, its first particle, by the meson, and append the chain that it decays to."""
    starts = np.cumsum(counts) - counts
    sign = np.sign(found.pdg[starts])
    pdg, status = found.pdg.copy(), found.status.copy()
    pdg[starts], status[starts] = sign * signal.meson.pdg, 2
    momenta, vertices, columns = decay_signal(signal, found.p[starts], rng)
    n = len(counts)
    every = np.arange(n, dtype=np.int64)
    parts = [Particles(found.event, pdg, status, found.mother, found.p, found.vertex)]
    for place, particle in enumerate(signal.particles[1:], start=1):
        code = np.where(sign > 0, particle.pdg, particle.conjugate)
        # the meson is first; its products follow Pythia's particles
        mother = np.zeros(n, np.int64) if particle.mother == 0 else counts + particle.mother - 1
        state = np.full(n, 2 if particle.products else 1)
        parts.append(Particles(every, code, state, mother, momenta[place], vertices[place]))
    return concatenate(parts), columns


def _with_tag(found: Particles, counts: NDArray[np.int64]) -> Particles:
    """Replace the stand-in of each event, its first particle, by the meson, which counts as decayed."""
    starts = np.cumsum(counts) - counts
    pdg, status = found.pdg.copy(), found.status.copy()
    mesons = {stand_in: meson for meson, stand_in in _STAND_INS.items()}
    pdg[starts] = [mesons[abs(int(code))] * (1 if code > 0 else -1) for code in found.pdg[starts]]
    status[starts] = 2
    return dataclasses.replace(found, pdg=pdg, status=status)


def generate_pythia_chunk(
    settings: Settings,
    sigma_fb: float,
    frame: BeamFrame,
    n_events: int,
    rng: np.random.Generator,
    chunk: int,
    *,
    beams: Beams | None = None,
    signal: SignalSide | None = None,
    keep: HadronicFilter | None = None,
    forced: Sequence[str] = (),
    spectrum: Spectrum | None = None,
) -> GeneratedChunk:
    """Generate one chunk of hadronic events.

    Args:
        settings: the process's Pythia settings, see the module.
        sigma_fb: cross-section of the process in fb; every event has it as its weight.
        frame: the collider's nominal CM frame.
        n_events: number of events, before the filter.
        rng: the chunk's random stream.
        chunk: the chunk's number, part of the events' identifiers.
        beams: with their spreads; nominal beams without.
        signal: what the meson ``signal`` of the settings decays to.
        keep: which events go on; those that do not count as generated.
        forced: lines for Pythia with the decays of the B beside a tag.
        spectrum: weights of that decay.

    Raises:
        UserError: Pythia is not installed.
        ConfigError: settings that are unknown or that Pythia refuses.
        RunError: Pythia gives up on too many events.
    """
    source, merged = _settings(settings)
    if (signal is None) != (not merged.get("signal")):
        raise ConfigError("a signal side needs both the meson's name and its decays", where="pythia.signal")
    module = _import_pythia()
    if source == "continuum":
        pythia, feeder = _continuum(module, frame, merged, rng), None
    else:
        pythia, feeder = _upsilon4s(module, frame, merged, signal, rng, forced)
    parts, times, have = [], [], 0
    for _ in range(_MAX_BATCHES):
        if have >= n_events:
            break
        batch = pythia.nextBatch(n_events - have)
        if len(batch):
            found, vertex = _particles(batch)
            parts.append(dataclasses.replace(found, event=found.event + have))
            times.append(vertex)
            have += len(batch)
    if have < n_events:
        raise RunError(
            f"Pythia made only {have} of {n_events} events of source {source} with {dict(merged)}; "
            "check mass limits against the beams' energy"
        )
    del feeder
    found = concatenate(parts) if parts else _nothing()
    counts = np.bincount(found.event, minlength=n_events)
    p, v = found.p, np.concatenate([np.zeros((0, 4)), *times])
    if beams is None:
        lab, where = frame.to_lab(p), frame.to_lab(v)[:, 1:]
    else:
        energies = rng.normal(size=(2, n_events))
        her, ler = beams.e_her + beams.sigma_her * energies[0], beams.e_ler + beams.sigma_ler * energies[1]
        to_lab = make_to_lab(her, ler, beams.half_crossing, np.zeros(n_events), IsrConfig(), rng)
        if source == "upsilon4s":
            p, v = spread_pairs(found, p, v, counts, mass(to_lab.total))
        lab, where = to_lab.flat(p, found.event), to_lab.flat(v, found.event)[:, 1:]
    found = dataclasses.replace(found, p=lab, vertex=where)
    columns: dict[str, Array] = {}
    if signal is not None:
        found, columns = _with_signal(found, counts, signal, rng)
    if merged.get("tag"):
        found = _with_tag(found, counts)
    weight, number = np.full(n_events, float(sigma_fb)), None
    if spectrum is not None:
        weight = weight * spectrum.weights(found, counts)
    if keep is not None:
        chosen = passes(found, n_events, keep)
        number = np.flatnonzero(chosen)
        found, weight = keep_particles(found, chosen), weight[chosen]
        columns = {name: values[chosen] for name, values in columns.items()}
    events = to_events(found, weight, chunk, number, columns)
    return GeneratedChunk(
        events=events,
        n_events=n_events,
        sumw=float(weight.sum()),
        sumw2=float((weight**2).sum()),
        tries=n_events,
    )


def _nothing() -> Particles:
    none = np.zeros(0, dtype=np.int64)
    return Particles(none, none, none, none, np.zeros((0, 4)), np.zeros((0, 3)))
