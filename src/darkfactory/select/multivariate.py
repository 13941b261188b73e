"""One door to the multivariate steps: a network, networks in ranges of mass, or cuts that follow the masses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.selection import LinearConfig, NetworkConfig, RegionalConfig, SurfaceConfig
from darkfactory.core.errors import InputError
from darkfactory.select.folds import TrainingSample
from darkfactory.select.linear import LinearCuts, optimise_cuts
from darkfactory.select.network import TrainedNetwork
from darkfactory.select.objects import Array
from darkfactory.select.regional import RegionalNetworks, train_regional
from darkfactory.select.registry import find_observable
from darkfactory.select.surface import ThresholdSurface, optimise_surface
from darkfactory.select.training import train_network

__all__ = [
    "AnyConfig",
    "MultivariateStep",
    "check_multivariate",
    "judge",
    "multivariate_from_dict",
    "train_multivariate",
]

AnyConfig = NetworkConfig | LinearConfig | RegionalConfig | SurfaceConfig
"""The ``network`` section of a search, of any kind."""

MultivariateStep = TrainedNetwork | LinearCuts | RegionalNetworks | ThresholdSurface
"""Both have ``columns``, ``cut``, ``apply(columns)`` (keep where at least ``cut``), ``check`` and ``to_dict()``."""


def check_multivariate(config: AnyConfig, candidate: str, where: str = "network") -> tuple[str, ...]:
    """Columns that the training needs, checked against the registry.

    Raises:
        ConfigError: unknown observable; names the path.

    Example:
        >>> config = LinearConfig(threshold="x_pt_pair", plane=("x_pt_lmax", "x_pt_lmin"))
        >>> check_multivariate(config, "dimuon_recoil")
        ('m2_recoil', 'x_pt_pair', 'x_pt_lmax', 'x_pt_lmin')
    """
    find_observable(candidate, config.window_observable, f"{where}.window_observable")
    if isinstance(config, NetworkConfig | RegionalConfig):
        names = tuple(i.observable for i in config.inputs)
        for i, name in enumerate(names):
            find_observable(candidate, name, f"{where}.inputs[{i}].observable")
    elif isinstance(config, SurfaceConfig):
        names = (config.first, config.observable)
        find_observable(candidate, config.first, f"{where}.first")
        find_observable(candidate, config.observable, f"{where}.observable")
    else:
        names = (config.threshold, *config.plane)
        find_observable(candidate, config.threshold, f"{where}.threshold")
        for i, name in enumerate(config.plane):
            find_observable(candidate, name, f"{where}.plane[{i}]")
    return (config.window_observable, *names)


def train_multivariate(
    signal: Sequence[TrainingSample],
    background: Sequence[TrainingSample],
    config: AnyConfig,
    candidate: str,
    rng: np.random.Generator,
) -> MultivariateStep:
    """Train what the configuration asks for; arguments as of :func:`train_network` and :func:`optimise_cuts`."""
    if isinstance(config, NetworkConfig):
        return train_network(signal, background, config, rng)
    if isinstance(config, RegionalConfig):
        return train_regional(signal, background, config, rng)
    if isinstance(config, SurfaceConfig):
        return optimise_surface(signal, background, config, candidate)
    return optimise_cuts(signal, background, config, candidate)


def judge(step: MultivariateStep, columns: Mapping[str, np.ndarray]) -> tuple[NDArray[np.bool_], dict[str, Array]]:
    """Which rows a step keeps, and the response columns ``mva`` and, of several networks, ``mva_r<k>``."""
    response = step.apply(columns)
    extra = step.responses(columns) if isinstance(step, RegionalNetworks) else {"mva": response}
    return np.asarray(response >= step.cut), extra


def multivariate_from_dict(value: Mapping[str, Any]) -> MultivariateStep:
    """Read what ``to_dict`` of a step wrote.

    Raises:
        InputError: no such step.
    """
    kind = value.get("kind")
    if kind == "punzi_net":
        return TrainedNetwork.from_dict(value)
    if kind == "linear_cuts":
        return LinearCuts.from_dict(value)
    if kind == "regional_networks":
        return RegionalNetworks.from_dict(value)
    if kind == "threshold_surface":
        return ThresholdSurface.from_dict(value)
    allowed = "'linear_cuts', 'punzi_net', 'regional_networks', 'threshold_surface'"
    raise InputError(f"no multivariate step: kind is {kind!r}; allowed are {allowed}; train it again")
