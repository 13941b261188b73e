"""Amplitudes of a process: squared matrix elements, helicity amplitudes, spin densities."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkfactory.config.model import ModelConfig
from darkfactory.core.errors import ConfigError
from darkfactory.generate.amplitude.interpreter import amplitudes
from darkfactory.generate.amplitude.records import Diagram, Kind, Leg, Program
from darkfactory.generate.amplitude.recursion import compile_program, diagrams_of, make_legs
from darkfactory.generate.amplitude.vertices import make_vertices

__all__ = ["Amplitude", "Backend", "compile_amplitude"]

Array = NDArray[Any]
Backend = Literal["auto", "numpy", "numba"]
# complex numbers per block and leg-helicity grid that stay in the second-level cache
_BLOCK = 1 << 15


@dataclass(frozen=True)
class Amplitude:
    """A compiled process; incoming legs come first. Pure: the same momenta give the same bits."""

    legs: tuple[Leg, ...]
    diagrams: tuple[Diagram, ...]
    symmetry_factor: float
    """Product of 1/n! over identical final particles; not part of :meth:`squared`."""
    program: Program

    @cached_property
    def _fixed(self) -> int | None:
        """Leg whose helicity is fixed in sums, where reversing all helicities changes nothing."""
        if not self.program.parity:
            return None
        two = [i for i, leg in enumerate(self.legs) if len(leg.helicities) == 2]
        return min(two, key=lambda i: (self.program.cost(i), i), default=None)

    @property
    def average(self) -> float:
        """One over the number of initial helicities."""
        return 1 / math.prod(len(leg.helicities) for leg in self.legs if leg.incoming)

    def _check(self, p: Array) -> Array:
        p = np.asarray(p)
        if p.ndim != 3 or p.shape[1:] != (len(self.legs), 4):
            raise ValueError(f"momenta have shape {p.shape}; (n, {len(self.legs)}, 4) is needed")
        return p if p.dtype == np.longdouble else p.astype(np.float64, copy=False)

    def _blocks(self, n: int, fixed: int | None) -> list[slice]:
        size = max(256, _BLOCK // math.prod(self.program.dimensions(fixed)))
        return [slice(i, min(i + size, n)) for i in range(0, n, size)]

    def squared(self, p: Array, backend: Backend = "auto") -> Array:
        """|M|^2 summed over final and averaged over initial helicities, couplings included.

        Args:
            p: physical momenta (E, px, py, pz) in GeV, shape (n, legs, 4), in the centre-of-mass frame with beams
                along z (other frames lose precision only); ``longdouble`` is computed as such by NumPy.
            backend: ``numba`` where installed (``auto``), or ``numpy``, which gives the same bits on all machines.

        Returns:
            Shape (n,), in GeV^(4 - 2 n_final); without the factor of identical particles.
        """
        p = self._check(p)
        if backend == "auto":
            backend = "numba" if p.dtype == np.float64 and importlib.util.find_spec("numba") else "numpy"
        fixed = self._fixed
        factor = self.average * (1 if fixed is None else 2)
        if backend == "numba" and self._machine is not None:
            vm = importlib.import_module("darkfactory.generate.amplitude.vm")
            return np.asarray(vm.run(self._machine, p) * factor)
        out = np.empty(len(p), dtype=p.dtype)
        for block in self._blocks(len(p), fixed):
            m = amplitudes(self.program, np.ascontiguousarray(p[block].transpose(1, 2, 0)), None, fixed)
            m = m.reshape(-1, m.shape[-1])
            out[block] = (m.real**2 + m.imag**2).sum(axis=0)
        return out * factor

    @cached_property
    def _machine(self) -> Any:
        """Tables for the Numba backend; None where it cannot run the program."""
        # here, since importing Numba takes time and it is optional
        vm = importlib.import_module("darkfactory.generate.amplitude.vm")
        return vm.assemble(self.program, self._fixed)

    def helicity_amplitudes(self, p: Array, external: Mapping[int, Array] | None = None) -> Array:
        """Amplitudes of all helicities.

        Order: a row-major grid of the legs' helicities, leg 0 slowest, each in the order of ``Leg.helicities``:
        (-1, +1) for fermions (in units of one half) and photons, (-1, 0, +1) for massive vectors.
        Fermions have the phases of :mod:`darkfactory.physics.dirac`. The overall phase is that of the Feynman rules
        with all i left out.

        Args:
            p: as for :meth:`squared`.
            external: wave functions to use for fermion legs in place of the helicity states: ubar for an outgoing
                particle, v for an antiparticle (u and vbar for incoming ones), shape (n, k, 4), k of them.

        Returns:
            Complex, shape (n, product of the legs' numbers of helicities), k where a leg is replaced.
        """
        p = self._check(p)
        waves = {i: np.asarray(w).transpose(2, 1, 0) for i, w in (external or {}).items()}
        for i, w in waves.items():
            if not (0 <= i < len(self.legs) and self.legs[i].spin2 == 1 and w.shape[::2] == (4, len(p))):
                raise ValueError(f"external[{i}] of shape {w.shape[::-1]}: fermion legs need ({len(p)}, k, 4)")
        parts = [
            amplitudes(
                self.program,
                np.ascontiguousarray(p[block].transpose(1, 2, 0)),
                {i: w[:, :, block] for i, w in waves.items()},
            )
            for block in self._blocks(len(p), None)
        ]
        sizes = [waves[i].shape[1] if i in waves else len(leg.helicities) for i, leg in enumerate(self.legs)]
        if not parts:
            return np.empty((0, math.prod(sizes)), dtype=np.result_type(p.dtype, np.complex64))
        full = [np.broadcast_to(m, (*sizes, m.shape[-1])).reshape(-1, m.shape[-1]).T for m in parts]
        return np.concatenate(full)

    def spin_density(self, p: Array, legs: tuple[int, int]) -> Array:
        """Spin density matrix of two legs, summed over all other helicities and averaged over the initial ones.

        Args:
            p: as for :meth:`squared`.
            legs: two legs i, j with two helicities each.

        Returns:
            Complex, shape (n, 2, 2, 2, 2), indices h_i, h_i', h_j, h_j': sum of M(h_i, h_j) M*(h_i', h_j'). Its trace
            is :meth:`squared`.
        """
        i, j = legs
        sizes = [len(leg.helicities) for leg in self.legs]
        if i == j or sizes[i] != 2 or sizes[j] != 2:
            raise ValueError(f"legs {legs}: two different legs with two helicities each are needed, not {sizes}")
        m = self.helicity_amplitudes(p).reshape(-1, *sizes)
        m = np.moveaxis(m, (i + 1, j + 1), (1, 2)).reshape(len(m), 2, 2, -1)
        density = np.einsum("nacx,nbdx->nabcd", m, np.conj(m))
        return np.asarray(density * self.average)

    def column(self, leg: int) -> bool:
        """Whether a fermion leg's wave function is a spinor (v, u) rather than a barred one."""
        return self.program.currents[leg].kind is Kind.COL


def compile_amplitude(
    model: ModelConfig,
    initial: Sequence[str],
    final: Sequence[str],
    *,
    parameters: Mapping[str, float] | None = None,
    exclude_internal: Sequence[str] = (),
    max_orders: Mapping[str, int] | None = None,
    min_orders: Mapping[str, int] | None = None,
    variable_mass: Sequence[str] = (),
    root: int | None = None,
) -> Amplitude:
    """Compile the tree-level amplitude of a process.

    Args:
        model: particles and vertices.
        initial: two incoming particles.
        final: outgoing particles.
        parameters: values that replace the model's.
        exclude_internal: particles that may not be internal lines.
        max_orders: largest power of a coupling order in the amplitude, such as ``{"NP": 1}``.
        min_orders: smallest power of an order of ``max_orders``: equal numbers in both take exactly these diagrams.
        variable_mass: final particles whose mass is that of each event's momentum.
        root: leg at which the recursion ends; the cheapest if none is given. The result does not depend on it.

    Raises:
        ConfigError: unknown particles or parameters, or a process without diagrams.
    """
    values = model.values(parameters)
    legs = make_legs(model, values, initial, final, variable_mass)
    if root is not None and not 0 <= root < len(legs):
        raise ConfigError(f"root leg {root}: the process has legs 0 to {len(legs) - 1}")
    unknown = set(max_orders or {}) - {n for v in model.vertices for n in v.orders}
    if unknown:
        raise ConfigError(f"max_orders: no vertex of model {model.name} has {sorted(unknown)}")
    if not set(min_orders or {}) <= set(max_orders or {}):
        raise ConfigError(f"min_orders {dict(min_orders or {})}: orders of max_orders {dict(max_orders or {})} only")
    vertices = make_vertices(model, values, exclude_internal)
    program = compile_program(vertices, legs, root, max_orders, min_orders)
    identical = Counter(leg.name for leg in legs if not leg.incoming)
    symmetry = 1 / math.prod(math.factorial(k) for k in identical.values())
    return Amplitude(legs, diagrams_of(program), symmetry, program)
