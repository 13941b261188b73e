"""The frozen result of an adaptation: cross-section, grids, maximal weight."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.core.digest import digest_arrays, digest_value
from darkfactory.core.errors import InputError
from darkfactory.core.seeds import generator
from darkfactory.generate.bias import needs_lab
from darkfactory.generate.integrate import Batch, State, improve, initial_state, sample
from darkfactory.generate.process import Process

__all__ = ["Effort", "Gridpack", "adapt", "overweight_limit"]

Array = NDArray[np.float64]
_SCALARS = (
    "sigma_fb", "sigma_err_fb", "sigma_before_fb", "sigma_before_err_fb", "branching_fraction", "w_max", "unit_fb",
    "efficiency",
)  # fmt: skip
_BATCH = 10_000


@dataclasses.dataclass(frozen=True, eq=False)
class Gridpack:
    """What generation needs beyond the process; the same bits for the same process and seed.

    Attributes:
        process: digest of the process that it was made for.
        name: the process's name.
        sigma_fb: cross-section inside the generation cuts, branching fractions included.
        sigma_err_fb: its statistical error.
        sigma_before_fb: the same before adaptation, a check against grids that shut a region out.
        sigma_before_err_fb: its error.
        branching_fraction: of the forced decays.
        w_max: weight times bias, in units of the hard process's fb, above which events are overweight.
        unit_fb: weight of an accepted event of unit bias that is not overweight.
        efficiency: share of attempts that are accepted.
        alpha: weights of the channel groups.
        edges: their grids.
        extra: grids of the radiated energy and of a wide leg's mass.

    Example:
        >>> pack = Gridpack("d", "p", 1.0, 0.1, 1.0, 0.2, 1.0, 2.0, 1.0, 0.5, np.ones(1), np.ones((1, 1, 2)),
        ...                 np.ones((2, 2)))
        >>> Gridpack.from_arrays(*pack.to_arrays()).digest == pack.digest
        True
    """

    process: str
    name: str
    sigma_fb: float
    sigma_err_fb: float
    sigma_before_fb: float
    sigma_before_err_fb: float
    branching_fraction: float
    w_max: float
    unit_fb: float
    efficiency: float
    alpha: Array
    edges: Array
    extra: Array

    @property
    def state(self) -> State:
        """Grids and weights for sampling."""
        return State(self.alpha, self.edges, self.extra)

    @property
    def deviation(self) -> float:
        """Change of the cross-section by adaptation in standard deviations."""
        error = float(np.hypot(self.sigma_err_fb, self.sigma_before_err_fb))
        return abs(self.sigma_fb - self.sigma_before_fb) / error if error > 0 else 0.0

    @property
    def suspicious(self) -> bool:
        """Whether adaptation changed the cross-section by more than four standard deviations."""
        return self.deviation > 4

    @property
    def digest(self) -> str:
        """Digest of everything."""
        header, arrays = self.to_arrays()
        return digest_value([header, digest_arrays(arrays)])

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """A JSON-like header and named arrays."""
        header: dict[str, Any] = {"process": self.process, "name": self.name}
        header |= {k: float(getattr(self, k)) for k in _SCALARS}
        return header, {"alpha": self.alpha, "edges": self.edges, "extra": self.extra}

    @staticmethod
    def from_arrays(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Gridpack:
        """Inverse of :meth:`to_arrays`.

        Raises:
            InputError: something is missing.
        """
        missing = [k for k in ("process", "name", *_SCALARS) if k not in header]
        missing += [k for k in ("alpha", "edges", "extra") if k not in arrays]
        if missing:
            raise InputError(f"gridpack lacks {missing}: it is of another version or damaged; adapt the process again")
        return Gridpack(
            process=str(header["process"]),
            name=str(header["name"]),
            sigma_fb=float(header["sigma_fb"]),
            sigma_err_fb=float(header["sigma_err_fb"]),
            sigma_before_fb=float(header["sigma_before_fb"]),
            sigma_before_err_fb=float(header["sigma_before_err_fb"]),
            branching_fraction=float(header["branching_fraction"]),
            w_max=float(header["w_max"]),
            unit_fb=float(header["unit_fb"]),
            efficiency=float(header["efficiency"]),
            alpha=np.asarray(arrays["alpha"], dtype=float),
            edges=np.asarray(arrays["edges"], dtype=float),
            extra=np.asarray(arrays["extra"], dtype=float),
        )


@dataclasses.dataclass(frozen=True)
class Effort:
    """How hard to adapt.

    Attributes:
        iterations: refinements of the grids.
        tries: attempts in each.
        final: attempts with frozen grids, for the cross-section and the maximal weight.
    """

    iterations: int
    tries: int
    final: int

    @staticmethod
    def of(process: Process) -> Effort:
        """Enough for two to four products."""
        simple = len(process.channels) <= 2
        if process.n_final == 2:
            # the cross-section at small s' asks for fine bins at the end of the radiated energy
            return Effort(3 if process.config.isr.radiator == "none" else 12, 5_000, 50_000)
        if needs_lab(process.biases):
            # narrow regions of a frame that the grids do not have
            return Effort(8, 100_000, 200_000)
        if process.n_final == 3:
            return Effort(3, 10_000, 60_000) if simple else Effort(5, 20_000, 100_000)
        if simple:
            # a narrow resonance and its decay: one channel for each line that radiates it
            return Effort(4, 15_000, 60_000)
        hard = any(pair.pt_min > 0 for pair in process.region.pairs)
        return Effort(12, 40_000, 300_000) if hard else Effort(8, 30_000, 200_000)


def overweight_limit(weights: Array, fraction: float) -> float:
    """Weight such that what is above it adds up to a fraction of the sum of weights.

    Example:
        >>> overweight_limit(np.array([1.0, 1.0, 4.0]), 0.5)
        1.0
    """
    order = np.sort(weights[weights > 0])[::-1]
    if len(order) == 0:
        return 0.0
    # excess over the k-th largest weight
    excess = np.cumsum(order) - np.arange(1, len(order) + 1) * order
    target = fraction * order.sum()
    k = int(np.searchsorted(excess, target, side="right")) - 1
    k = max(k, 0)
    # between order[k + 1] and order[k] the excess is linear
    limit = (np.cumsum(order)[k] - target) / (k + 1)
    low = order[k + 1] if k + 1 < len(order) else 0.0
    return float(min(max(limit, low), order[k]))


def _weights(batch: Batch) -> Array:
    w = np.zeros(batch.tries)
    w[batch.index] = batch.weight
    return w


def adapt(process: Process, seed: int, effort: Effort | None = None) -> Gridpack:
    """Adapt grids and channel weights, then integrate with both frozen.

    Args:
        process: what to integrate.
        seed: of the campaign; the stream is that of (seed, "adapt", process name).
        effort: attempts; by default as the number of products asks.

    Raises:
        InputError: no attempt is inside the cuts.
    """
    effort = effort or Effort.of(process)
    rng = generator(seed, "adapt", process.config.name)
    state = initial_state(process)
    before: list[Array] = []
    for iteration in range(effort.iterations):
        sizes = [min(_BATCH, effort.tries - start) for start in range(0, effort.tries, _BATCH)]
        batches = [sample(process, state, n, rng, trail=True) for n in sizes]
        if iteration == 0:
            before = [_weights(b) for b in batches]
        state = improve(process, state, batches, 1.0)
    parts, biased = [], []
    for start in range(0, effort.final, _BATCH):
        batch = sample(process, state, min(_BATCH, effort.final - start), rng)
        parts.append(_weights(batch))
        biased.append(batch.weight * batch.bias)
    w, b = np.concatenate(parts), np.concatenate(biased)
    sigma = float(w.mean())
    if not sigma > 0:
        raise InputError(
            f"process {process.config.name}: none of {len(w)} attempts is inside the generation cuts; loosen them"
        )
    w_max = overweight_limit(b, process.config.unweight.overweight_fraction)
    accepted = float(np.minimum(b, w_max).sum() / len(w))
    fraction = float(np.prod([process.decay_fraction(leg.name) for leg in process.amplitude.legs if not leg.incoming]))
    if process.tau_modes is not None:
        fraction *= process.tau_modes.weight
    scale = fraction
    if process.config.normalisation is not None:
        scale *= process.config.normalisation.value / sigma
    first = np.concatenate(before) if before else w
    return Gridpack(
        process.digest, process.config.name,
        sigma * scale, float(w.std() / np.sqrt(len(w))) * scale,
        float(first.mean()) * scale, float(first.std() / np.sqrt(len(first))) * scale,
        fraction, w_max, accepted * scale, accepted / w_max, state.alpha, state.edges, state.extra,
    )  # fmt: skip
