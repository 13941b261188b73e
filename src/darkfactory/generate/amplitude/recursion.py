"""Off-shell recursion over subsets of legs, with fermion signs, compiled to a program of operations.

All legs are taken as outgoing; the current of a subset is the sum of all trees that its legs make. Each subset and
particle is computed once (Kanaki, Papadopoulos, CPC 132 (2000) 306; Gleisberg, Hoeche, JHEP 12 (2008) 039). With
anticommuting sources the sign of a merger is that of the permutation that sorts the fermions of both subsets.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from darkfactory.config.model import ModelConfig
from darkfactory.core.errors import ConfigError
from darkfactory.generate.amplitude.records import (
    Closure,
    Code,
    Current,
    Diagram,
    Kind,
    Leg,
    Operation,
    Program,
    Propagator,
)
from darkfactory.generate.amplitude.vertices import Rule, Triple, Vertices

__all__ = ["compile_program", "diagrams_of", "make_legs"]

_MOST_LEGS = 10


def make_legs(
    model: ModelConfig,
    values: Mapping[str, float],
    initial: Sequence[str],
    final: Sequence[str],
    variable_mass: Iterable[str],
) -> tuple[Leg, ...]:
    """External legs, incoming first.

    Raises:
        ConfigError: not two incoming legs, too few or too many legs, or an unknown particle.
    """
    where = f"models.{model.name}"
    if len(initial) != 2 or not 2 <= len(final) <= _MOST_LEGS - 2:
        raise ConfigError(
            f"{list(initial)} -> {list(final)}: 2 incoming and 2 to {_MOST_LEGS - 2} outgoing legs are allowed",
            where=where,
        )
    variable = set(variable_mass)
    if not variable <= set(final):
        raise ConfigError(f"variable_mass {sorted(variable - set(final))} are no final legs {list(final)}", where=where)
    legs = []
    for i, name in enumerate((*initial, *final)):
        particle, anti = model.particle(name)
        sign = -1 if anti else 1
        mass = model.number(particle.mass, values, f"particles.{particle.name}.mass")
        if mass < 0:
            raise ConfigError(f"mass {mass} GeV is negative", where=f"{where}.particles.{particle.name}.mass")
        legs.append(
            Leg(name, sign * particle.pdg, mass, particle.spin2, sign * particle.charge3, i < 2, name in variable)
        )
    return tuple(legs)


def _parity(*groups: Sequence[int]) -> int:
    """Sign of the permutation that sorts the concatenated groups."""
    flat = [i for group in groups for i in group]
    return -1 if sum(a > b for a, b in itertools.combinations(flat, 2)) % 2 else 1


class _Builder:
    """Collects currents and operations of one choice of the root leg."""

    def __init__(
        self,
        vertices: Vertices,
        legs: tuple[Leg, ...],
        root: int,
        max_orders: Mapping[str, int],
        min_orders: Mapping[str, int],
    ) -> None:
        self.vertices, self.legs, self.root = vertices, legs, root
        self.names = tuple(sorted(max_orders))
        self.limits = tuple(max_orders[n] for n in self.names)
        self.least = tuple(min_orders.get(n, 0) for n in self.names)
        self.currents: list[Current] = []
        self.orders: list[tuple[int, ...]] = []
        self.index: dict[tuple[int, str, Kind, tuple[int, ...]], int] = {}
        self.by_mask: defaultdict[int, list[int]] = defaultdict(list)
        self.operations: list[Operation] = []
        self.fermions = tuple(i for i, leg in enumerate(legs) if leg.spin2 == 1)
        for i, leg in enumerate(legs):
            species, kind = vertices.external(leg)
            current = Current(1 << i, species, kind, leg.mass, 0.0, True, False, (i,))
            self._add(current, (0,) * len(self.names))

    def _add(self, current: Current, orders: tuple[int, ...]) -> int:
        key = (current.mask, current.particle, current.kind, orders)
        if key not in self.index:
            self.index[key] = len(self.currents)
            self.currents.append(current)
            self.orders.append(orders)
            self.by_mask[current.mask].append(self.index[key])
        return self.index[key]

    def _odd(self, current: int) -> list[int]:
        return [i for i in self.currents[current].legs if i in self.fermions]

    def _total(self, orders: Iterable[tuple[int, ...]], added: Mapping[str, int]) -> tuple[int, ...] | None:
        extra = tuple(added.get(n, 0) for n in self.names)
        total = tuple(map(sum, zip(extra, *orders, strict=True)))
        return None if any(t > m for t, m in zip(total, self.limits, strict=True)) else total

    def _transfer(self, a: int, b: int) -> bool:
        """Whether two external fermions of one species are an incoming and an outgoing one."""
        x, y = self.currents[a], self.currents[b]
        if not (x.external and y.external and x.particle == y.particle):
            return False
        return self.legs[x.legs[0]].incoming != self.legs[y.legs[0]].incoming

    def merge(self, a: int, b: int, rule: Rule) -> None:
        """Add one operation and, if it is new, its current."""
        orders = self._total((self.orders[a], self.orders[b]), rule.orders)
        if orders is None:
            return
        mask = self.currents[a].mask | self.currents[b].mask
        mass, width = self.vertices.masses[rule.particle]
        legs = tuple(i for i in range(len(self.legs)) if mask >> i & 1)
        shift = rule.code is Code.FF_V and mass == 0.0 and self._transfer(a, b)
        out = self._add(Current(mask, rule.particle, rule.kind, mass, width, False, shift, legs), orders)
        sign = _parity(self._odd(a), self._odd(b))
        self.operations.append(Operation(rule.code, out, a, b, sign * rule.left, sign * rule.right))

    def run(self) -> None:
        """All currents of subsets without the root that are no whole."""
        free = [i for i in range(len(self.legs)) if i != self.root]
        for size in range(2, len(free)):
            for chosen in itertools.combinations(free, size):
                mask = sum(1 << i for i in chosen)
                sub = (mask - 1) & mask
                while sub:
                    for a in self.by_mask[sub]:
                        for b in self.by_mask[mask ^ sub]:
                            self._pair(a, b)
                    sub = (sub - 1) & mask

    def _pair(self, a: int, b: int) -> None:
        x, y = self.currents[a], self.currents[b]
        for rule in self.vertices.rules.get(((x.particle, x.kind), (y.particle, y.kind)), ()):
            # both orders of the pair come by: count identical fields once
            if rule.symmetric and x.mask > y.mask:
                continue
            self.merge(a, b, rule)

    def close(self) -> list[Closure]:
        """Contractions of the root with all pairs of complementary currents."""
        whole = (1 << len(self.legs)) - 1 ^ (1 << self.root)
        root = self.by_mask[1 << self.root][0]
        closures: list[Closure] = []
        sub = (whole - 1) & whole
        while sub:
            if sub > whole ^ sub:
                for a in self.by_mask[sub]:
                    for b in self.by_mask[whole ^ sub]:
                        closures += self._close(root, a, b)
            sub = (sub - 1) & whole
        return closures

    def _close(self, *three: int) -> Iterable[Closure]:
        fields = sorted((self.currents[i].particle, self.currents[i].kind) for i in three)
        for triple in self.vertices.triples.get(tuple(fields), ()):
            total = self._total((self.orders[i] for i in three), triple.orders)
            if total is None or any(t < m for t, m in zip(total, self.least, strict=True)):
                continue
            yield self._contraction(triple, list(three))

    def _contraction(self, triple: Triple, three: list[int]) -> Closure:
        ordered = []
        for field in triple.fields:
            found = next(i for i in three if (self.currents[i].particle, self.currents[i].kind) == field)
            ordered.append(found)
            three.remove(found)
        a, b, c = ordered
        sign = _parity(*(self._odd(i) for i in ordered))
        shift = triple.code is Code.FF_V and self.currents[c].mass == 0.0 and self._transfer(a, b)
        # an on-shell photon has no propagator to lose: the shift is for internal lines only
        # both ends of one photon shifted would add (J^z/q^z)(J'^z/q^z) q^2
        shift = shift and not self.currents[c].external and not self.currents[c].shift
        return Closure(triple.code, a, b, c, sign * triple.left, sign * triple.right, shift)


def _conserves_parity(currents: Sequence[Current], contractions: Iterable[tuple[Code, complex, complex, int]]) -> bool:
    """Whether every boson has one parity (vector couplings only; scalar or pseudoscalar) and no line a width."""
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for code, left, right, scalar in contractions:
        if code in (Code.FF_V, Code.V_COL, Code.ROW_V):
            if left != right:
                return False
        elif code in (Code.FF_S, Code.S_COL, Code.ROW_S):
            if left not in (right, -right):
                return False
            kinds[currents[scalar].particle].add("S" if left == right else "P")
        else:
            kinds[currents[scalar].particle].add("S" if code in (Code.VV_S, Code.VS_V) else "P")
    return all(len(k) == 1 for k in kinds.values()) and not any(c.width for c in currents if not c.external)


def _scalar_of(operation: Operation) -> int:
    """The spin-0 current of an operation, if its code has one."""
    if operation.code is Code.S_COL:
        return operation.a
    return operation.b if operation.code in (Code.ROW_S, Code.VS_V, Code.VP_V) else operation.out


def _prune(builder: _Builder, closures: list[Closure]) -> Program:
    """Keep what leads to the amplitude, renumbered; operations sorted by their result."""
    used = {i for c in closures for i in (c.a, c.b, c.c)} | set(range(len(builder.legs)))
    for operation in sorted(builder.operations, key=lambda o: -o.out):
        if operation.out in used:
            used |= {operation.a, operation.b}
    new = {old: i for i, old in enumerate(sorted(used))}
    operations = sorted((o for o in builder.operations if o.out in used), key=lambda o: o.out)
    contractions = [(o.code, o.left, o.right, _scalar_of(o)) for o in operations]
    contractions += [(c.code, c.left, c.right, c.c) for c in closures]
    lines = [c if i in used else replace(c, width=0.0) for i, c in enumerate(builder.currents)]
    scales: dict[int, complex] = {}
    for o in operations:
        scales.setdefault(o.out, o.left or o.right)
    # a product of vectors in light-cone components is half of what a closure computes
    halves = [0.5 if lines[c.c].kind is Kind.VEC else 1.0 for c in closures]
    overall = (closures[0].left or closures[0].right) * halves[0]
    return Program(
        builder.legs,
        builder.root,
        tuple(replace(lines[i], scale=scales.get(i, 1.0 + 0j)) for i in sorted(used)),
        tuple(
            Operation(o.code, new[o.out], new[o.a], new[o.b], o.left / scales[o.out], o.right / scales[o.out])
            for o in operations
        ),
        tuple(
            Closure(c.code, new[c.a], new[c.b], new[c.c], c.left * h / overall, c.right * h / overall, c.shift)
            for c, h in zip(closures, halves, strict=True)
        ),
        overall,
        _conserves_parity(lines, contractions),
    )


def compile_program(
    vertices: Vertices,
    legs: tuple[Leg, ...],
    root: int | None = None,
    max_orders: Mapping[str, int] | None = None,
    min_orders: Mapping[str, int] | None = None,
) -> Program:
    """Compile the amplitude of some legs; the cheapest root leg is chosen unless one is given.

    Raises:
        ConfigError: no diagram exists.
    """
    programs = []
    for candidate in range(len(legs)) if root is None else (root,):
        builder = _Builder(vertices, legs, candidate, max_orders or {}, min_orders or {})
        builder.run()
        closures = builder.close()
        if not closures:
            names = [leg.name for leg in legs]
            raise ConfigError(
                f"no diagram for {names[:2]} -> {names[2:]}; check the model's vertices, couplings that are zero, "
                "exclude_internal and max_orders"
            )
        programs.append(_prune(builder, closures))
    return min(programs, key=lambda p: (p.cost(), p.root))


def diagrams_of(program: Program) -> tuple[Diagram, ...]:
    """All diagrams with their propagators."""
    whole = (1 << len(program.legs)) - 1
    made_by: defaultdict[int, list[Operation]] = defaultdict(list)
    for operation in program.operations:
        made_by[operation.out].append(operation)
    trees: list[list[frozenset[Propagator]]] = []
    for i, current in enumerate(program.currents):
        if current.external:
            trees.append([frozenset()])
            continue
        mask = whole ^ current.mask if current.mask & 1 else current.mask
        own = frozenset({Propagator(mask, current.particle, current.mass, current.width)})
        trees.append([own | x | y for o in made_by[i] for x in trees[o.a] for y in trees[o.b]])
    found = [x | y | z for c in program.closures for x in trees[c.a] for y in trees[c.b] for z in trees[c.c]]
    ordered = [tuple(sorted(d, key=lambda p: (p.mask, p.particle))) for d in found]
    return tuple(Diagram(d) for d in sorted(ordered, key=lambda d: [(p.mask, p.particle) for p in d]))
