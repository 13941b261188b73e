from __future__ import annotations

import numpy as np
import pyhf
import pytest

from darkfactory.core.errors import RunError
from darkfactory.stats.channel_density import ChannelDensity, WholeDensity, density_of
from darkfactory.stats.combine import WorkspacePart, combine_workspaces
from darkfactory.stats.examples import bump_window, counting_window, template_window


@pytest.fixture(scope="module")
def model() -> pyhf.Model:
    """Three channels with luminosity, free norms, normsys, histosys and per-bin factors, some of them shared."""
    parts = [
        WorkspacePart("one", bump_window(1, events=300.0, bins=12), 1.0, ("a",)),
        WorkspacePart("two", template_window(2), 0.5, ("a",)),
        WorkspacePart("three", counting_window(3, 4.0, 0.2, signal=0.3), 2.0, ("a",)),
    ]
    return pyhf.Workspace(combine_workspaces(parts, {"lumi": ("a",)})).model()


def test_channels_one_by_one_are_the_whole_model(model: pyhf.Model) -> None:
    rng = np.random.default_rng(5)
    bounds = np.array(model.config.suggested_bounds())
    pars = np.clip(np.array(model.config.suggested_init()) + rng.normal(0, 0.05, model.config.npars), *bounds.T)
    data = np.array([*rng.poisson(30.0, sum(model.config.channel_nbins.values())), *model.config.auxdata], dtype=float)
    up, down = pars + 1e-3, np.maximum(pars - 1e-3, bounds[:, 0])
    whole = WholeDensity(model).along(pars, data, up, down)
    parts = ChannelDensity(model).along(pars, data, up, down)
    for ours, theirs in zip(parts, whole, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-11)
    # differences are what certificates look at
    assert parts[1] - parts[0] == pytest.approx(whole[1] - whole[0], abs=1e-8)
    lumi = model.config.par_slice("lumi").start
    assert sum(lumi in c.where for c in ChannelDensity(model).channels) > 1


def test_one_channel_is_taken_whole() -> None:
    one = pyhf.Workspace(counting_window(1, 1.0)).model()
    assert isinstance(density_of(one), WholeDensity)


def test_channels_that_are_no_models_are_taken_whole() -> None:
    """A channel without parameters, and per-bin factors that two channels share."""
    poi = {"name": "mu", "type": "normfactor", "data": None}
    mc = {"name": "mc", "type": "staterror", "data": [1.0]}

    def built(first: list[dict], second: list[dict]) -> pyhf.Model:
        channels = [
            {"name": name, "samples": [{"name": "s", "data": [5.0], "modifiers": modifiers}]}
            for name, modifiers in (("a", first), ("b", second))
        ]
        return pyhf.Model({"channels": channels}, poi_name="mu")

    assert isinstance(density_of(built([poi], [poi])), ChannelDensity)
    for model in (built([poi], []), built([poi, mc], [mc])):
        density = density_of(model)
        assert isinstance(density, WholeDensity)
        pars = np.array(model.config.suggested_init())
        data = np.array([5.0, 6.0, *model.config.auxdata])
        centre, up, _ = density.along(pars, data, pars + 0.1, pars - 0.1)
        assert centre == pytest.approx(float(model.logpdf(pars, data)[0]))
        assert up[0] != centre
        assert density.values(np.stack([pars, pars]), np.stack([data, data])) == pytest.approx([float(centre)] * 2)


def test_channels_that_do_not_add_up_are_refused(model: pyhf.Model) -> None:
    density = ChannelDensity(model)
    density.channels.pop()
    pars = np.array(model.config.suggested_init())
    data = np.array([*[30.0] * sum(model.config.channel_nbins.values()), *model.config.auxdata])
    with pytest.raises(RunError, match=r"log-density of 2 channels is .* their sum"):
        density.along(pars, data, pars, pars)
