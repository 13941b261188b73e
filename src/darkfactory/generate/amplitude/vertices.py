"""A model's vertices with their couplings evaluated, as the rules of the recursion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from darkfactory.config.model import ModelConfig, VertexConfig
from darkfactory.generate.amplitude.records import Code, Kind, Leg

__all__ = ["Field", "Rule", "Triple", "Vertices", "make_vertices"]

Field = tuple[str, Kind]


@dataclass(frozen=True)
class Rule:
    """Two fields make a third one."""

    code: Code
    particle: str
    kind: Kind
    left: complex
    right: complex
    symmetric: bool
    """The two fields are identical."""
    orders: Mapping[str, int]


@dataclass(frozen=True)
class Triple:
    """Three fields make a number; the fields are in the order of the code's arguments."""

    code: Code
    fields: tuple[Field, Field, Field]
    left: complex
    right: complex
    orders: Mapping[str, int]


@dataclass(frozen=True)
class Vertices:
    """All rules of a model at given parameters."""

    rules: Mapping[tuple[Field, Field], tuple[Rule, ...]]
    triples: Mapping[tuple[Field, ...], tuple[Triple, ...]]
    masses: Mapping[str, tuple[float, float]]
    antiparticles: Mapping[str, str]

    def external(self, leg: Leg) -> Field:
        """Field that an external leg is a quantum of."""
        if leg.spin2 != 1:
            return leg.name, Kind.VEC if leg.spin2 == 2 else Kind.SCA
        anti = leg.name in self.antiparticles
        species = self.antiparticles.get(leg.name, leg.name)
        return species, Kind.COL if anti != leg.incoming else Kind.ROW


def _chiral(vertex: VertexConfig, numbers: Mapping[str, float]) -> tuple[complex, complex]:
    """Couplings of the column spinor's left- and right-handed parts."""

    def get(name: str) -> float:
        return numbers.get(name, 0.0)

    if vertex.type == "FFV":
        if {"left", "right"} & set(numbers):
            return complex(get("left")), complex(get("right"))
        return complex(get("vector") - get("axial")), complex(get("vector") + get("axial"))
    if vertex.type == "FFS":
        # gamma5 is -1 on the left-handed part
        return complex(get("scalar"), -get("pseudoscalar")), complex(get("scalar"), get("pseudoscalar"))
    return complex(get("coupling")), complex(get("coupling"))


class _Table:
    """Rules under construction, without those that would make an excluded particle."""

    def __init__(self, excluded: frozenset[str]) -> None:
        self.excluded = excluded
        self.rules: defaultdict[tuple[Field, Field], list[Rule]] = defaultdict(list)
        self.triples: defaultdict[tuple[Field, ...], list[Triple]] = defaultdict(list)

    def rule(
        self, code: Code, a: Field, b: Field, out: Field, g: tuple[complex, complex], o: Mapping[str, int]
    ) -> None:
        if out[0] not in self.excluded:
            self.rules[a, b].append(Rule(code, out[0], out[1], g[0], g[1], a == b, o))

    def triple(
        self, code: Code, fields: tuple[Field, Field, Field], g: tuple[complex, complex], o: Mapping[str, int]
    ) -> None:
        self.triples[tuple(sorted(fields))].append(Triple(code, fields, g[0], g[1], o))


def _add_fermion_vertex(table: _Table, vertex: VertexConfig, g: tuple[complex, complex]) -> None:
    f1, f2, boson = vertex.particles
    row, col = (f1, Kind.ROW), (f2, Kind.COL)
    vector = vertex.type == "FFV"
    field = (boson, Kind.VEC if vector else Kind.SCA)
    o = vertex.orders
    doubled = (2 * g[0], 2 * g[1]) if vector else g
    table.rule(Code.FF_V if vector else Code.FF_S, row, col, field, doubled, o)
    table.rule(Code.V_COL if vector else Code.S_COL, field, col, (f1, Kind.COL), g, o)
    table.rule(Code.ROW_V if vector else Code.ROW_S, row, field, (f2, Kind.ROW), g, o)
    table.triple(Code.FF_V if vector else Code.FF_S, (row, col, field), doubled, o)


def _add_boson_vertex(table: _Table, vertex: VertexConfig, g: tuple[complex, complex]) -> None:
    first, second = (vertex.particles[0], Kind.VEC), (vertex.particles[1], Kind.VEC)
    scalar = (vertex.particles[2], Kind.SCA)
    make_s, make_v = (Code.VV_S, Code.VS_V) if vertex.type == "VVS" else (Code.VV_P, Code.VP_V)
    o = vertex.orders
    table.rule(make_s, first, second, scalar, g, o)
    table.rule(make_v, first, scalar, second, g, o)
    if first != second:
        table.rule(make_v, second, scalar, first, g, o)
    table.triple(make_s, (first, second, scalar), g, o)


def make_vertices(model: ModelConfig, values: Mapping[str, float], exclude_internal: Iterable[str] = ()) -> Vertices:
    """Evaluate a model's couplings; vertices whose couplings are zero do not take part.

    Args:
        model: the model.
        values: values of all its parameters.
        exclude_internal: particles that may not be internal lines.

    Raises:
        ConfigError: an excluded particle that the model does not have.
    """
    excluded = frozenset(model.particle(name)[0].name for name in exclude_internal)
    table = _Table(excluded)
    for i, vertex in enumerate(model.vertices):
        numbers = {k: model.number(c, values, f"vertices[{i}].couplings.{k}") for k, c in vertex.couplings.items()}
        g = _chiral(vertex, numbers)
        if g == (0, 0):
            continue
        (_add_fermion_vertex if vertex.type in ("FFV", "FFS") else _add_boson_vertex)(table, vertex, g)
    masses = {
        p.name: (
            model.number(p.mass, values, f"particles.{p.name}.mass"),
            model.number(p.width, values, f"particles.{p.name}.width"),
        )
        for p in model.particles
    }
    return Vertices(
        {k: tuple(v) for k, v in table.rules.items()},
        {k: tuple(v) for k, v in table.triples.items()},
        masses,
        {p.antiparticle: p.name for p in model.particles if p.antiparticle is not None},
    )
