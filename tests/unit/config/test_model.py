from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from darkfactory.config.load import read_yaml, validate
from darkfactory.config.model import ModelConfig
from darkfactory.core.errors import ConfigError

QED: dict[str, Any] = {
    "name": "qed",
    "parameters": {"e": 0.3, "m": {"value": 0.1, "source": "assumed"}},
    "particles": [
        {"name": "l-", "antiparticle": "l+", "pdg": 13, "spin2": 1, "mass": "m", "charge3": -3},
        {"name": "gamma", "pdg": 22, "spin2": 2, "mass": 0.0},
    ],
    "vertices": [{"type": "FFV", "particles": ["l-", "l-", "gamma"], "couplings": {"vector": "e"}}],
}


def test_models_of_the_repository_are_valid() -> None:
    files = sorted((Path(__file__).parents[3] / "config" / "models").glob("*.yaml"))
    assert files
    for file in files:
        model = validate(ModelConfig, read_yaml(file), file=str(file))
        assert model.name == file.stem


def test_alpha_is_the_reference_value() -> None:
    file = Path(__file__).parents[3] / "config" / "models" / "dark_qed.yaml"
    values = validate(ModelConfig, read_yaml(file)).values()
    assert values["alpha"] == 1 / 137.036
    # widths of the light pseudoscalars, g^2 m^3 / (64 pi), and the measured production of eta gamma, 4.5 fb
    assert values["g0_pi0"] ** 2 * values["m_pi0"] ** 3 / (64 * 3.141592653589793) == pytest.approx(7.8e-9)
    g = values["g0_eta"] * values["ff_eta"]
    assert values["alpha"] * g**2 / 24 * 0.3893793721e12 == pytest.approx(4.2, abs=0.3)


def test_names_of_particles_and_antiparticles() -> None:
    model = validate(ModelConfig, QED)
    assert model.particle("l-")[1] is False
    assert model.particle("l+") == (model.particles[0], True)
    with pytest.raises(ConfigError, match=r"unknown particle 'x'; the model has \['l-', 'l\+', 'gamma'\]"):
        model.particle("x")


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (("particles", 0, "antiparticle"), None, "l-: a fermion needs an antiparticle's name"),
        (("particles", 1, "name"), "l+", r"\['l\+'\] are named twice"),
        (("particles", 0, "mass"), "mm", r"particles.l-.mass: unknown parameters \['mm'\]"),
        (("vertices", 0, "particles"), ["l-", "l-", "photon"], r"vertices\[0\]: unknown particle 'photon'"),
        (("vertices", 0, "particles"), ["gamma", "l-", "l-"], "gamma has spin 2/2, FFV needs 1/2"),
        (("vertices", 0, "couplings"), {"vector": 1.0, "left": 1.0}, "couplings .* of a FFV vertex: allowed are"),
        (("vertices", 0, "couplings"), {}, "couplings .* of a FFV vertex: allowed are"),
        (("parameters", "e"), "2 *", "is no expression"),
        (("parameters", "e"), "e2", "unknown name 'e2'"),
    ],
)
def test_inconsistent_models(path: tuple[Any, ...], value: Any, match: str) -> None:
    broken = copy.deepcopy(QED)
    target: Any = broken
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(ConfigError, match=match):
        validate(ModelConfig, broken)
