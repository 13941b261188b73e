"""One door to the multivariate steps: a network, or cuts that follow the mass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from darkfactory.config.selection import LinearConfig, NetworkConfig
from darkfactory.core.errors import InputError
from darkfactory.select.folds import TrainingSample
from darkfactory.select.linear import LinearCuts, optimise_cuts
from darkfactory.select.network import TrainedNetwork
from darkfactory.select.registry import find_observable
from darkfactory.select.training import train_network

__all__ = ["MultivariateStep", "check_multivariate", "multivariate_from_dict", "train_multivariate"]

MultivariateStep = TrainedNetwork | LinearCuts
"""Both have ``columns``, ``cut``, ``apply(columns)`` (keep where at least ``cut``), ``check`` and ``to_dict()``."""


def check_multivariate(config: NetworkConfig | LinearConfig, candidate: str, where: str = "network") -> tuple[str, ...]:
    """Columns that the training needs, checked against the registry.

    Raises:
        ConfigError: unknown observable; names the path.

    Example:
        >>> config = LinearConfig(threshold="x_pt_pair", plane=("x_pt_lmax", "x_pt_lmin"))
        >>> check_multivariate(config, "dimuon_recoil")
        ('m2_recoil', 'x_pt_pair', 'x_pt_lmax', 'x_pt_lmin')
    """
    find_observable(candidate, config.window_observable, f"{where}.window_observable")
    if isinstance(config, NetworkConfig):
        names = tuple(i.observable for i in config.inputs)
        for i, name in enumerate(names):
            find_observable(candidate, name, f"{where}.inputs[{i}].observable")
    else:
        names = (config.threshold, *config.plane)
        find_observable(candidate, config.threshold, f"{where}.threshold")
        for i, name in enumerate(config.plane):
            find_observable(candidate, name, f"{where}.plane[{i}]")
    return (config.window_observable, *names)


def train_multivariate(
    signal: Sequence[TrainingSample],
    background: Sequence[TrainingSample],
    config: NetworkConfig | LinearConfig,
    candidate: str,
    rng: np.random.Generator,
) -> MultivariateStep:
    """Train what the configuration asks for; arguments as of :func:`train_network` and :func:`optimise_cuts`."""
    if isinstance(config, NetworkConfig):
        return train_network(signal, background, config, rng)
    return optimise_cuts(signal, background, config, candidate)


def multivariate_from_dict(value: Mapping[str, Any]) -> MultivariateStep:
    """Read what ``to_dict`` of either step wrote.

    Raises:
        InputError: neither.
    """
    kind = value.get("kind")
    if kind == "punzi_net":
        return TrainedNetwork.from_dict(value)
    if kind == "linear_cuts":
        return LinearCuts.from_dict(value)
    raise InputError(f"no multivariate step: kind is {kind!r}; allowed are 'linear_cuts', 'punzi_net'; train it again")
