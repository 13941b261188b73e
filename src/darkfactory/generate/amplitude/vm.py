"""Numba virtual machine: runs any compiled program, eight events at a time, without compiling anew."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkfactory.generate.amplitude import formulas, kernels, vm_waves
from darkfactory.generate.amplitude.kernels import close, kernel, multiply, propagate, shift, vertex
from darkfactory.generate.amplitude.records import Kind, Program
from darkfactory.generate.amplitude.vm_waves import (
    momenta,
    pair_denominator,
    spinor_leg,
    sum_denominator,
    vector_leg,
)

__all__ = ["Machine", "assemble", "run"]

Array = NDArray[Any]
U = np.uint64
_8 = U(8)


@dataclass(frozen=True)
class Machine:
    """A program as tables of numbers."""

    tables: tuple[Array, ...]
    scale2: float


def _helicity(program: Program, dims: tuple[int, ...], mask: int, index: Array) -> Array:
    """Position in a current of the grid of helicities ``index`` (legs, combinations)."""
    position = np.zeros(index.shape[1], dtype=np.int64)
    for i, d in enumerate(dims):
        if mask >> i & 1:
            position = position * d + index[i]
    return position


def _grid(dims: tuple[int, ...], mask: int) -> Array:
    sizes = [d if mask >> i & 1 else 1 for i, d in enumerate(dims)]
    return np.indices(sizes).reshape(len(dims), -1)


def assemble(program: Program, fixed: int | None) -> Machine | None:
    """Tables of a program; none if its vertices have relative phases, which the kernels do not know."""
    phases = [z.imag for o in program.operations for z in (o.left, o.right)]
    if any(phases + [z.imag for c in program.closures for z in (c.left, c.right)]):
        return None
    dims, legs = program.dimensions(fixed), program.legs
    whole = (1 << len(legs)) - 1
    components = [1 if c.kind is Kind.SCA else 4 for c in program.currents]
    sizes = [len(_grid(dims, c.mask)[0]) * n * 16 for c, n in zip(program.currents, components, strict=True)]
    base = np.concatenate([[0], np.cumsum(sizes)])
    pair_masks = [program.currents[c.a].mask | program.currents[c.b].mask for c in program.closures]
    scratch = int(base[-1])
    amplitude = scratch + max(len(_grid(dims, m)[0]) for m in pair_masks) * 64
    total = len(_grid(dims, whole)[0])

    masks = sorted({c.mask for c in program.currents} | set(pair_masks))
    keys = sorted({(c.mask, c.mass, c.width) for c in program.currents if not c.external})
    leg_table, leg_masses = [], []
    for i, leg in enumerate(legs):
        c = program.currents[i]
        both = int(i != fixed)
        leg_table.append((c.kind, leg.incoming, leg.variable_mass, len(leg.helicities) == 3, both, base[i]))
        leg_masses.append(leg.mass)
    den_table, den_numbers = [], []
    for mask, mass, width in keys:
        pair = next((m for m in (mask, whole ^ mask) if m.bit_count() == 2), 0)
        i, j = [k for k in range(len(legs)) if pair >> k & 1] if pair else (0, 0)
        den_table.append((bool(pair), i, j, legs[i].incoming != legs[j].incoming, masks.index(mask)))
        den_numbers.append((mass * mass, mass * width))
    ops, numbers = [], []
    maps: list[Array] = []
    done = 0
    for index, c in enumerate(program.currents):
        if c.external:
            continue
        first, key = 1, keys.index((c.mask, c.mass, c.width))
        while done < len(program.operations) and program.operations[done].out == index:
            o = program.operations[done]
            grid = _grid(dims, c.mask)
            start = sum(len(m) for m in maps)
            own = base[index] + _helicity(program, dims, c.mask, grid) * components[index] * 16
            maps.append(np.column_stack([own, *_inputs(program, dims, base, components, (o.a, o.b), grid)]))
            ka, kb = (masks.index(program.currents[k].mask) for k in (o.a, o.b))
            last = int(done + 1 == len(program.operations) or program.operations[done + 1].out != index)
            simple = c.width == 0 and c.scale.imag == 0
            row = (o.code, start, len(grid[0]), first, last, ka, kb, masks.index(c.mask), key, c.kind, c.shift, simple)
            ops.append((*row, components[index]))
            numbers.append((o.left.real, o.right.real, c.mass, c.scale.real, c.scale.imag))
            first, done = 0, done + 1
    closures, closure_numbers = [], []
    pair_maps: list[Array] = []
    end_maps: list[Array] = []
    for k, (cl, mask) in enumerate(zip(program.closures, pair_masks, strict=True)):
        n = components[cl.c]
        grid, everything = _grid(dims, mask), _grid(dims, whole)
        starts = sum(len(m) for m in pair_maps), sum(len(m) for m in end_maps)
        own = scratch + _helicity(program, dims, mask, grid) * n * 16
        pair_maps.append(np.column_stack([own, *_inputs(program, dims, base, components, (cl.a, cl.b), grid)]))
        (third,) = _inputs(program, dims, base, components, (cl.c,), everything)
        made = scratch + _helicity(program, dims, mask, everything) * n * 16
        end_maps.append(np.column_stack([amplitude + np.arange(total) * 16, made, third]))
        ka, kb = (masks.index(program.currents[i].mask) for i in (cl.a, cl.b))
        v = program.currents[cl.c]
        key = keys.index((v.mask, v.mass, v.width)) if cl.shift else 0
        closures.append((cl.code, *starts, len(grid[0]), int(k == 0), ka, kb, masks.index(mask), key, n, cl.shift))
        closure_numbers.append((cl.left.real, cl.right.real))
    table = np.array
    tables = (
        table([-1.0 if leg.incoming else 1.0 for leg in legs]),
        table(masks, dtype=np.int64),
        table(leg_table, dtype=np.int64),
        table(leg_masses, dtype=float),
        table(den_table, dtype=np.int64),
        table(den_numbers, dtype=float),
        table(ops, dtype=np.int64),
        table(numbers, dtype=float),
        np.concatenate(maps).astype(np.uint64),
        table(closures, dtype=np.int64),
        table(closure_numbers, dtype=float),
        np.concatenate(pair_maps).astype(np.uint64),
        np.concatenate(end_maps).astype(np.uint64),
        table([amplitude, total, 8], dtype=np.int64),
    )
    return Machine(tables, abs(program.scale) ** 2)


def _inputs(
    program: Program, dims: tuple[int, ...], base: Array, components: list[int], currents: tuple[int, ...], grid: Array
) -> list[Array]:
    """Positions in memory of the inputs' helicities for the helicities of a grid."""
    return [base[k] + _helicity(program, dims, program.currents[k].mask, grid) * components[k] * 16 for k in currents]


@kernel
def _external(raw: Any, n: Any, w: Any, leg_table: Any, leg_masses: Any) -> None:
    for i in range(len(leg_masses)):
        kind, incoming, variable, massive, both, base = leg_table[i]
        at, o = U(i * 32), U(base)
        if kind == 3:
            for b in range(8):
                w[o + U(b)] = 1.0
                w[o + U(b) + _8] = 0.0
        elif kind == 2:
            vector_leg(raw, n, at, massive == 1, incoming == 1, w, o, both == 1)
        else:
            barred = kind == 0
            anti = (incoming == 1) == barred
            spinor_leg(raw, n, at, leg_masses[i], variable == 1, anti, barred, w, o, both == 1)


@kernel
def _all_denominators(
    raw: Any, n: Any, q: Any, d: Any, den_table: Any, den_numbers: Any, leg_table: Any, masses: Any
) -> None:
    for m in range(len(den_table)):
        pair, i, j, opposite, k = den_table[m]
        if pair == 1:
            vi, vj = leg_table[i, 2] == 1, leg_table[j, 2] == 1
            mass2 = den_numbers[m, 0]
            pair_denominator(
                raw, n, U(i * 32), U(j * 32), masses[i], masses[j], vi, vj, opposite == 1, mass2, d, U(m * 8)
            )
        else:
            sum_denominator(q, n, U(k * 32), den_numbers[m, 0], d, U(m * 8))


@kernel
def _operations(
    w: Any, n: Any, q: Any, d: Any, f: Any, g: Any, ops: Any, numbers: Any, maps: Any, den_numbers: Any
) -> None:
    for i in range(len(ops)):
        code, start, count, first, last, ka, kb, k, key, kind, shifted, simple, components = ops[i]
        left, right, mass, sr, si = numbers[i]
        qa, qb = U(ka * 32), U(kb * 32)
        for m in range(start, start + count):
            vertex(code, w, maps[m, 0], maps[m, 1], maps[m, 2], q, qa, qb, left, right, first == 1)
        if last == 0:
            continue
        at, di = U(k * 32), U(key * 8)
        if shifted == 1:
            for m in range(start, start + count):
                shift(w, maps[m, 0], q, at, d, di)
        if simple == 1:
            for b in range(8):
                f[b] = sr / d[key * 8 + b]
        else:
            # complex factor afterwards; scale / (d + i m Gamma)
            gamma = den_numbers[key, 1]
            for b in range(8):
                x = d[key * 8 + b]
                size = 1.0 / (x * x + gamma * gamma)
                f[b] = 1.0
                g[b] = (sr * x + si * gamma) * size
                g[8 + b] = (si * x - sr * gamma) * size
        for m in range(start, start + count):
            propagate(kind, w, maps[m, 0], q, at, mass, f)
            if simple == 0:
                multiply(w, maps[m, 0], components, g)


@kernel
def _closures(
    w: Any, n: Any, q: Any, d: Any, table: Any, numbers: Any, pair_maps: Any, end_maps: Any, total: int
) -> None:
    for i in range(len(table)):
        code, start, end, count, first, ka, kb, k, key, components, shifted = table[i]
        left, right = numbers[i]
        qa, qb = U(ka * 32), U(kb * 32)
        for m in range(start, start + count):
            o = pair_maps[m, 0]
            vertex(code, w, o, pair_maps[m, 1], pair_maps[m, 2], q, qa, qb, left, right, True)
            if shifted == 1:
                shift(w, o, q, U(k * 32), d, U(key * 8))
        for m in range(end, end + total):
            close(w, end_maps[m, 0], end_maps[m, 1], end_maps[m, 2], components, first == 1)


@kernel
def _run(
    p: Any,
    out: Any,
    signs: Any,
    masks: Any,
    leg_table: Any,
    leg_masses: Any,
    den_table: Any,
    den_numbers: Any,
    ops: Any,
    numbers: Any,
    maps: Any,
    closures: Any,
    closure_numbers: Any,
    pair_maps: Any,
    end_maps: Any,
    sizes: Any,
) -> None:
    raw, q = np.empty(len(signs) * 32), np.empty(len(masks) * 32)
    d, f, g = np.empty(len(den_table) * 8), np.empty(8), np.empty(16)
    # a number of events that the compiler does not know: it vectorises such loops, and unrolls those of 8
    amplitude, total, n = sizes[0], sizes[1], U(sizes[2])
    w = np.zeros(amplitude + total * 16)
    sums = np.empty(8)
    for start in range(0, len(p), 8):
        count = min(8, len(p) - start)
        momenta(p, start, count, signs, masks, raw, q)
        _external(raw, n, w, leg_table, leg_masses)
        _all_denominators(raw, n, q, d, den_table, den_numbers, leg_table, leg_masses)
        _operations(w, n, q, d, f, g, ops, numbers, maps, den_numbers)
        _closures(w, n, q, d, closures, closure_numbers, pair_maps, end_maps, total)
        for b in range(8):
            sums[b] = 0.0
        for m in range(total):
            at = U(amplitude + m * 16)
            for b in range(n):
                sums[b] += w[at + b] ** 2 + w[at + b + _8] ** 2
        for b in range(count):
            out[start + b] = sums[b]


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    """The machine, with a digest of all its sources in the key of its cached code."""
    sources = "".join(inspect.getsource(module) for module in (formulas, kernels, vm_waves, sys.modules[__name__]))
    stamp = int(hashlib.sha256(sources.encode()).hexdigest()[:15], 16)

    def outermost(p: Any, out: Any, tables: Any) -> None:
        if stamp >= 0:
            _run(p, out, *tables)

    try:
        return kernel(outermost, cache=True)
    except RuntimeError:
        # no directory that Numba may write to: compile once per process
        return kernel(outermost)


def run(machine: Machine, p: Array) -> Array:
    """Sum of |M|^2 over the helicities of the machine, shape (n,), for momenta (n, legs, 4)."""
    out = np.empty(len(p))
    _compiled()(np.ascontiguousarray(p), out, machine.tables)
    return np.asarray(out * machine.scale2)
