"""Changes of pyhf's log-density along single coordinates, from pyhf's own models of single channels.

The log-density of a model is the sum of those of its channels, less the constraints that they share. A parameter of
one channel does not move the others, and pyhf's arrays grow with the product of modifiers, samples and bins: many
channels one by one cost a small part of all at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyhf

from darkfactory.core.errors import RunError

__all__ = ["ChannelDensity", "Density", "WholeDensity", "density_of", "density_rows", "log_density"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# numbers in one of the arrays of a batched evaluation (there are about ten), and the least points of a batch
_BATCH_NUMBERS = 4_000_000
_LEAST_ROWS = 8
_PER_BIN = ("staterror", "shapesys", "shapefactor")
# relative: sums in another order
_SAME = 1e-9


def density_rows(config: Any) -> int:
    """Points that pyhf evaluates at a time: it holds a number for each point, modifier, sample and bin.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> density_rows(pyhf.Workspace(counting_window(1, 1.0)).model().config)
        3
    """
    bins = sum(config.channel_nbins.values())
    size = max(1, len(config.modifiers) * len(config.samples) * bins)
    return int(min(2 * config.npars + 1, max(_LEAST_ROWS, _BATCH_NUMBERS // size)))


def log_density(batched: Any, points: FloatArray, data: FloatArray) -> FloatArray:
    """Log-density by pyhf at many points, as many at a time as the batched model takes; the last lot is filled up.

    Args:
        batched: pyhf model with a batch size.
        points: (n, parameters).
        data: main and auxiliary, for all points or for each.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> model = pyhf.Workspace(counting_window(1, 1.0)).model(batch_size=2)
        >>> log_density(model, np.array([[0.0], [1.0], [2.0]]), np.array([1.0])).round(3).tolist()
        [-1.0, -1.307, -1.901]
    """
    rows = int(batched.batch_size)
    sets = np.broadcast_to(data, (len(points), data.shape[-1]))
    lots = []
    for start in range(0, len(points), rows):
        at = np.minimum(np.arange(start, start + rows), len(points) - 1)
        with np.errstate(all="ignore"):
            lots.append(np.asarray(batched.logpdf(points[at], sets[at]), dtype=float)[: len(points) - start])
    return np.concatenate(lots)


class Density(Protocol):
    """Values of a log-density around a point."""

    def along(
        self, pars: FloatArray, data: FloatArray, up: FloatArray, down: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """At the point, and with each coordinate in turn moved up and down."""

    def values(self, points: FloatArray, data: FloatArray) -> FloatArray:
        """At many points, each with data of its own."""


def density_of(model: Any) -> Density:
    """The cheaper way to evaluate a pyhf model: whole, or channel by channel where there are several.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> type(density_of(pyhf.Workspace(counting_window(1, 1.0)).model())).__name__
        'WholeDensity'
    """
    return ChannelDensity(model) if _separable(model) else WholeDensity(model)


def _separable(model: Any) -> bool:
    """Several channels, each a model that pyhf builds by itself, with per-bin factors of its own."""
    channels = model.spec["channels"]
    names = [{(m["name"], m["type"]) for s in c["samples"] for m in s["modifiers"]} for c in channels]
    per_bin = [n for found in names for n, kind in found if kind in _PER_BIN]
    return len(channels) > 1 and all(names) and len(set(per_bin)) == len(per_bin)


def _around(point: FloatArray, up: FloatArray, down: FloatArray) -> FloatArray:
    """The point with each coordinate moved up, then each moved down, then the point itself (2 n + 1, n)."""
    n = len(point)
    points = np.tile(point, (2 * n + 1, 1))
    points[np.arange(n), np.arange(n)] = up
    points[n + np.arange(n), np.arange(n)] = down
    return points


class WholeDensity:
    """A pyhf model in batches.

    Args:
        model: pyhf model without a batch size.
    """

    def __init__(self, model: Any) -> None:
        rows, poi = density_rows(model.config), model.config.poi_name
        self.batched = pyhf.Model(model.spec, validate=False, poi_name=poi, batch_size=rows)

    def along(
        self, pars: FloatArray, data: FloatArray, up: FloatArray, down: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """At the point, and with each coordinate in turn moved up and down."""
        n = len(pars)
        f = log_density(self.batched, _around(pars, up, down), data)
        return np.array(f[-1]), f[:n], f[n : 2 * n]

    def values(self, points: FloatArray, data: FloatArray) -> FloatArray:
        """At many points, each with data of its own."""
        return log_density(self.batched, points, data)


@dataclass(frozen=True)
class _Channel:
    """One channel's pyhf model: plain and batched, and where its parameters and data are in the whole model."""

    model: Any
    batched: Any
    where: IntArray
    data: IntArray


def _aux_positions(config: Any, first: int) -> Mapping[str, IntArray]:
    """Positions of each parameter set's auxiliary data."""
    found = {}
    for name in config.auxdata_order:
        n = config.param_set(name).n_parameters
        found[name] = np.arange(first, first + n)
        first += n
    return found


def _channel(model: Any, channel: Mapping[str, Any]) -> _Channel:
    config = model.config
    names = {m["name"] for s in channel["samples"] for m in s["modifiers"]}
    parameters = [p for p in model.spec.get("parameters", []) if p["name"] in names]
    spec = {"channels": [channel], "parameters": parameters}
    poi = config.poi_name if config.poi_name in names else None
    plain = pyhf.Model(spec, validate=False, poi_name=poi)
    batched = pyhf.Model(spec, validate=False, poi_name=poi, batch_size=density_rows(plain.config))
    where = [np.arange(*config.par_slice(n).indices(config.npars)) for n in plain.config.par_order]
    sizes = [config.channel_nbins[c] for c in config.channels]
    starts = dict(zip(config.channels, np.cumsum([0, *sizes[:-1]]), strict=True))
    main = np.arange(config.channel_nbins[channel["name"]]) + starts[channel["name"]]
    aux = _aux_positions(config, sum(sizes))
    data = np.concatenate([main, *(aux[n] for n in plain.config.auxdata_order)]).astype(np.intp)
    return _Channel(plain, batched, np.concatenate(where).astype(np.intp), data)


class ChannelDensity:
    """A pyhf model of several channels, taken apart.

    Args:
        model: pyhf model without a batch size.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> model = pyhf.Workspace(counting_window(1, 1.0)).model()
        >>> f = ChannelDensity(model).along(np.array([1.0]), np.array([1.0]), np.array([2.0]), np.array([0.0]))
        >>> [v.round(3).tolist() for v in f]
        [-1.307, [-1.901], [-1.0]]
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.channels = [_channel(model, c) for c in model.spec["channels"]]

    def along(
        self, pars: FloatArray, data: FloatArray, up: FloatArray, down: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-density at a point, and with each coordinate in turn moved up and down.

        Args:
            pars: the point (parameters,).
            data: main and auxiliary.
            up: coordinates after the move up (parameters,).
            down: coordinates after the move down.

        Returns:
            The value, and two arrays (parameters,).

        Raises:
            RunError: the channels do not add up to the model.
        """
        n = len(pars)
        with np.errstate(all="ignore"):
            centre = float(np.asarray(self.model.logpdf(pars, data)).item())
        total = _constraints(self.model, pars, data)
        moved = np.zeros((2, n))
        seen = np.zeros(n, dtype=bool)
        for channel in self.channels:
            own, k = data[channel.data], len(channel.where)
            point = pars[channel.where]
            points = _around(point, up[channel.where], down[channel.where])
            f = log_density(channel.batched, points, own)
            shared = seen[channel.where]
            change = f[: 2 * k].reshape(2, k) - f[-1]
            change[:, shared] -= _constraint_changes(channel, points, own, shared)
            moved[:, channel.where] += change
            seen[channel.where] = True
            total += f[-1] - _constraints(channel.model, point, own)
        if np.isfinite(centre) and not abs(total - centre) <= _SAME * max(1.0, abs(centre)):
            raise RunError(
                f"pyhf's log-density of {len(self.channels)} channels is {centre!r}, their sum {total!r}; "
                "check the workspace for parameters that channels share under one name with different types"
            )
        return np.array(centre), centre + moved[0], centre + moved[1]

    def values(self, points: FloatArray, data: FloatArray) -> FloatArray:
        """At many points, each with data of its own: the whole model, one after the other."""
        with np.errstate(all="ignore"):
            found = [np.asarray(self.model.logpdf(p, d)).item() for p, d in zip(points, data, strict=True)]
        return np.array(found, dtype=float)


def _constraints(model: Any, pars: FloatArray, data: FloatArray) -> float:
    """The part of the log-density that auxiliary data make; pyhf has no value where there are none."""
    if not len(model.config.auxdata):
        return 0.0
    aux = data[len(data) - len(model.config.auxdata) :]
    with np.errstate(all="ignore"):
        return float(np.asarray(model.constraint_logpdf(aux, pars)).item())


def _constraint_changes(
    channel: _Channel, points: FloatArray, data: FloatArray, shared: npt.NDArray[np.bool_]
) -> FloatArray:
    """What the constraints of shared parameters change, which an earlier channel has counted (2, shared)."""
    k = points.shape[1]
    before = _constraints(channel.model, points[-1], data)
    chosen = np.flatnonzero(shared)
    rows = [[_constraints(channel.model, points[side * k + i], data) - before for i in chosen] for side in range(2)]
    return np.array(rows).reshape(2, len(chosen))
