"""Mesons radiated by leptons: couplings from widths, rates against the Z' that muons radiate."""

from __future__ import annotations

import numpy as np
import pytest
from generator_tools import LIBRARY, SYMMETRIC

from darkfactory.config.load import deep_merge, validate
from darkfactory.config.model import ModelConfig
from darkfactory.config.process import ProcessConfig
from darkfactory.generate.gridpack import Effort, adapt
from darkfactory.generate.process import build_process

MODEL = validate(ModelConfig, LIBRARY.get("models", "vector_mesons"))


@pytest.mark.parametrize(("name", "mass", "width"), [("rho", 0.77526, 7.04e-6), ("jpsi", 3.0969, 5.53e-6)])
def test_the_coupling_gives_the_width_to_electrons(name: str, mass: float, width: float) -> None:
    values = MODEL.values()
    g = values[f"eps_{name}"] * values["e"]
    # of a vector with coupling g to massless fermions
    assert g**2 * mass / (12 * np.pi) == pytest.approx(width, rel=1e-3)


def test_radiation_from_muons_alone_is_that_of_a_zprime() -> None:
    # 1 GeV and g = 0.01: 99573 fb (Sherpa, g = 1) times g^2; electrons do not radiate here
    e2 = MODEL.values()["e"] ** 2
    width = 1e-4 / e2 * (1 / 137.036) * 1.0 / 3
    value = deep_merge(
        LIBRARY.get("processes", "mumu_jpsi"),
        {"isr": {"radiator": "none"}, "cuts": {"legs": []}, "exclude_internal": ["e-"], "decays": {}},
    )
    value["decays"] = {}
    process = build_process(
        validate(ProcessConfig, value), MODEL, {"m_jpsi": 1.0, "w_jpsi_ee": width}, SYMMETRIC, None
    )  # fmt: skip
    pack = adapt(process, 3, Effort(3, 10_000, 40_000))
    assert pack.sigma_fb == pytest.approx(9.9573, rel=0.01)
