"""Decay sections of processes."""

from __future__ import annotations

import pytest

from darkfactory.config.load import validate
from darkfactory.config.model import ModelConfig
from darkfactory.config.process import DecayConfig, ProcessConfig
from darkfactory.core.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"products": ["a"]}, "are not two or three"),
        ({"products": ["mu-", "mu+"], "mediator": "Ap"}, "needs three products"),
        ({}, "either products .one mode. or modes"),
        ({"products": ["a", "b"], "modes": [{"products": ["a", "b"]}]}, "either products .one mode. or modes"),
        ({"modes": [{}]}, "every mode needs products"),
        ({"products": ["a", "b"], "lifetime": {}}, "either ctau_cm"),
        ({"products": ["a", "b"], "lifetime": {"mixture_cm": [1.0, 0.1]}}, "must rise from above 0"),
        ({"products": ["a", "b"], "lifetime": {"ctau_cm": {"value": 0, "source": "assumed"}}}, "must be positive"),
    ],
)
def test_wrong_decays_are_refused(value: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(DecayConfig, value)


def test_a_particle_that_never_occurs_cannot_decay() -> None:
    value = {"name": "x", "final": ["hp", "Ap"], "decays": {"a": {"products": ["gamma", "gamma"]}}}
    with pytest.raises(ConfigError, match=r"decays \['a'\]: neither in final .* nor products"):
        validate(ProcessConfig, value)


def test_charged_bosons_stay_out_of_vertices() -> None:
    value = {
        "name": "x", "parameters": {},
        "particles": [
            {"name": "e-", "antiparticle": "e+", "pdg": 11, "spin2": 1, "mass": 0.0},
            {"name": "pi+", "antiparticle": "pi-", "pdg": 211, "spin2": 0, "mass": 0.14},
        ],
        "vertices": [{"type": "FFS", "particles": ["e-", "e-", "pi+"], "couplings": {"scalar": 1.0}}],
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"pi\+ is a boson with an antiparticle"):
        validate(ModelConfig, value)
