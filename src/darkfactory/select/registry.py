"""The explicit list of candidate builders and of the observables of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from darkfactory.core.errors import ConfigError
from darkfactory.core.suggest import did_you_mean
from darkfactory.select import (
    dilepton,
    dimuon,
    ditau,
    dstar,
    emu,
    fourmuon,
    kaon_diphoton,
    kaon_pair,
    ks_pair,
    pair_photon,
    single_photon,
    tag_probe,
    tagged,
    tau_probe,
    tau_topology,
    triplet,
    two_vertices,
)
from darkfactory.select.candidates import Builder, Observable

__all__ = ["CANDIDATES", "OBSERVABLES", "find_candidate", "find_observable"]

CANDIDATES: Mapping[str, Builder] = MappingProxyType(
    {
        "dimuon_ditau": ditau.dimuon_ditau,
        "dimuon_recoil": dimuon.dimuon_recoil,
        "dstar": dstar.dstar,
        "emu_recoil": emu.emu_recoil,
        "four_muon_pairs": fourmuon.four_muon_pairs,
        "kaon_diphoton": kaon_diphoton.kaon_diphoton,
        "kaon_displaced_pair": kaon_pair.kaon_displaced_pair,
        "pair_photon": pair_photon.pair_photon,
        "ks_pair": ks_pair.ks_pair,
        "photon_triplet": triplet.photon_triplet,
        "single_photon": single_photon.single_photon,
        "tag_and_probe": tag_probe.tag_and_probe,
        "tagged_hadron": tagged.tagged_hadron,
        "tau_3x1": tau_topology.tau_3x1,
        "tau_tag_probe": tau_probe.tau_tag_probe,
        "tautau_dilepton": dilepton.tautau_dilepton,
        "two_vertices": two_vertices.two_vertices,
    }
)
"""Candidate builders by the name that a search uses."""

OBSERVABLES: Mapping[str, Mapping[str, Observable]] = MappingProxyType(
    {
        "dimuon_ditau": MappingProxyType({o.name: o for o in ditau.OBSERVABLES}),
        "dimuon_recoil": MappingProxyType({o.name: o for o in dimuon.OBSERVABLES}),
        "dstar": MappingProxyType({o.name: o for o in dstar.OBSERVABLES}),
        "emu_recoil": MappingProxyType({o.name: o for o in emu.OBSERVABLES}),
        "four_muon_pairs": MappingProxyType({o.name: o for o in fourmuon.OBSERVABLES}),
        "kaon_diphoton": MappingProxyType({o.name: o for o in kaon_diphoton.OBSERVABLES}),
        "kaon_displaced_pair": MappingProxyType({o.name: o for o in kaon_pair.OBSERVABLES}),
        "pair_photon": MappingProxyType({o.name: o for o in pair_photon.OBSERVABLES}),
        "ks_pair": MappingProxyType({o.name: o for o in ks_pair.OBSERVABLES}),
        "photon_triplet": MappingProxyType({o.name: o for o in triplet.OBSERVABLES}),
        "single_photon": MappingProxyType({o.name: o for o in single_photon.OBSERVABLES}),
        "tag_and_probe": MappingProxyType({o.name: o for o in tag_probe.OBSERVABLES}),
        "tagged_hadron": MappingProxyType({o.name: o for o in tagged.OBSERVABLES}),
        "tau_3x1": MappingProxyType({o.name: o for o in tau_topology.OBSERVABLES}),
        "tau_tag_probe": MappingProxyType({o.name: o for o in tau_probe.OBSERVABLES}),
        "tautau_dilepton": MappingProxyType({o.name: o for o in dilepton.OBSERVABLES}),
        "two_vertices": MappingProxyType({o.name: o for o in two_vertices.OBSERVABLES}),
    }
)
"""Observables by candidate and name."""


def find_candidate(name: str, where: str = "") -> Builder:
    """The builder of a candidate.

    Raises:
        ConfigError: no such candidate.

    Example:
        >>> find_candidate("dimuon_recoil").__name__
        'dimuon_recoil'
    """
    if name not in CANDIDATES:
        hint = did_you_mean(name, CANDIDATES) or ";"
        raise ConfigError(f"unknown candidate {name!r}{hint} allowed are {sorted(CANDIDATES)}", where=where)
    return CANDIDATES[name]


def find_observable(candidate: str, name: str, where: str = "") -> Observable:
    """An observable of a candidate.

    Raises:
        ConfigError: no such observable.

    Example:
        >>> find_observable("dimuon_recoil", "m2_recoil").unit
        'GeV^2'
    """
    known = OBSERVABLES[candidate]
    if name not in known:
        hint = did_you_mean(name, known) or ";"
        raise ConfigError(
            f"unknown observable {name!r} of {candidate!r}{hint} allowed are {sorted(known)}", where=where
        )
    return known[name]
