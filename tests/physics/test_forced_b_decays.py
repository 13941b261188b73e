"""B pairs with decays forced by Pythia's own settings: photon spectrum of B -> X_s gamma, primary muons."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from generator_tools import LIBRARY

from darkfactory.config.load import validate
from darkfactory.config.process import ProcessConfig
from darkfactory.core.seeds import generator
from darkfactory.physics.beams import Beams
from darkfactory.physics.constants import M_BPLUS

BEAMS = Beams(7.998213, 3.499218, 0.011)
CODES = (511, 521)


def events(name: str, n: int) -> ak.Array:
    """Particles with the code of their mother."""
    pytest.importorskip("pythia8mc")
    from darkfactory.generate.pythia_engine import generate_pythia_chunk

    process = validate(ProcessConfig, LIBRARY.get("processes", name))
    made = generate_pythia_chunk(process.pythia, 1.0, BEAMS.frame, n, generator(3, name), 0)
    p = made.events.particles
    of = ak.where(p.mother >= 0, p.pdg[ak.where(p.mother >= 0, p.mother, 0)], 0)
    return ak.with_field(p, of, "of")


def test_radiative_decays_have_the_measured_photon_spectrum() -> None:
    p = events("b_xs_gamma", 700)
    names = (9000313, 9000323, 313, 323)
    x = p[_among(p.of, CODES) & _among(p.pdg, names)]
    # a few are K* of other decays
    m2 = ak.to_numpy(ak.flatten(x.e**2 - x.px**2 - x.py**2 - x.pz**2))
    photon = p[(p.pdg == 22) & _among(p.of, CODES)]
    assert np.mean(ak.to_numpy(ak.num(photon)) > 0) > 0.85
    energy = (M_BPLUS**2 - m2) / (2 * M_BPLUS)
    high = energy[energy > 1.8]
    assert len(high) > 0.8 * len(p)
    # HFLAV: about 2.3 GeV and 0.03 GeV^2
    assert float(np.mean(high)) == pytest.approx(2.33, abs=0.03)
    assert float(np.var(high)) == pytest.approx(0.031, abs=0.008)


def _among(values: ak.Array, codes: tuple[int, ...]) -> ak.Array:
    found = values == codes[0]
    for code in codes[1:]:
        found = found | (values == code)
    return found


def test_one_b_of_each_pair_has_a_primary_muon() -> None:
    p = events("bbbar_muon", 400)
    primary = ak.to_numpy(ak.num(p[(abs(p.pdg) == 13) & _among(abs(p.of), CODES)]))
    # neutral B mix: some pairs have none, as many have two; and a tenth of the other B
    assert float(np.mean(primary == 0)) < 0.12
    assert float(np.mean(primary)) == pytest.approx(1.10, abs=0.07)
