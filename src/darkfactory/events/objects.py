"""From columns of an ntuple to the tracks and clusters of the event schema."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.external import CollectionConfig, Recipe, Threshold
from darkfactory.core.errors import ConfigError, InputError
from darkfactory.events.schema import CLUSTER, ECL_BARREL, KLM_CLUSTER, TRACK, zip_checked

__all__ = ["FIELDS", "SCHEMAS", "Field", "Objects", "build_objects", "empty_objects", "field_recipes", "recipe_columns"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Field:
    """Where a field comes from when the sample does not say.

    Attributes:
        tries: columns or decisions on columns, the first that the ntuple has.
        otherwise: the constant if it has none of them; None: the ntuple must have one.
        missing: stands for a missing value (NaN) in a row; None: it stays NaN, and cuts on it fail.
    """

    tries: tuple[str | Threshold, ...] = ()
    otherwise: float | bool | None = None
    missing: float | None = None


def _id(column: str, above: float) -> Field:
    return Field((Threshold(column=column, above=above),), False)


_TRUTH = Field((), -1)
_TRUTH_PDG = Field(("mc_pdg",), 0, missing=0)
_MUON = _id("id_mu", 0.5)

FIELDS: Mapping[str, Mapping[str, Field]] = {
    "tracks": {
        "charge": Field(("charge",)),
        "px": Field(("px",)),
        "py": Field(("py",)),
        "pz": Field(("pz",)),
        "d0": Field(("d0", "dr"), 0.0),
        "z0": Field(("z0", "dz"), 0.0),
        "cluster_e": Field(("cluster_e",), 0.0, missing=0.0),
        "klm": _MUON,
        "is_mu": _MUON,
        "is_mu_tight": _id("id_mu", 0.9),
        "is_e": _id("id_e", 0.9),
        "is_pi": _id("id_pi", 0.6),
        "is_k": _id("id_k", 0.6),
        "is_p": _id("id_p", 0.6),
        "truth": _TRUTH,
        "truth_pdg": _TRUTH_PDG,
    },
    "clusters": {
        "e": Field(("cluster_e", "E")),
        "theta": Field(("cluster_theta", "theta")),
        "phi": Field(("cluster_phi", "phi")),
        "time": Field(("cluster_time",), 0.0),
        # wide enough that every cluster is in time
        "dt99": Field(("cluster_dt99",), 1000.0),
        "region": Field(("cluster_region",), float(ECL_BARREL), missing=float(ECL_BARREL)),
        "track": Field((Threshold(column="cluster_is_track", above=0.5),), -1),
        "photon_like": Field((Threshold(column="zernike_mva", above=0.5),), True),
        "truth": _TRUTH,
        "truth_pdg": _TRUTH_PDG,
    },
    "klm_clusters": {
        "theta": Field(("klm_theta", "theta")),
        "phi": Field(("klm_phi", "phi")),
        "truth": _TRUTH,
    },
}
"""Collection and field to its default. ``klm`` follows what the sample says of ``is_mu``."""

SCHEMAS: Mapping[str, Mapping[str, str]] = {"tracks": TRACK, "clusters": CLUSTER, "klm_clusters": KLM_CLUSTER}
"""Collection to its columns."""

_SAME = {"tracks": ("charge", "px", "py", "pz"), "clusters": ("e", "theta", "phi"), "klm_clusters": ("theta", "phi")}


def _column(recipe: Recipe) -> str | None:
    if isinstance(recipe, Threshold):
        return recipe.column
    return recipe if isinstance(recipe, str) else None


def _named(prefix: str, column: str) -> str:
    return f"{prefix}_{column}" if prefix else column


def _with_prefix(prefix: str, recipe: Recipe) -> Recipe:
    if isinstance(recipe, Threshold):
        return recipe.model_copy(update={"column": _named(prefix, recipe.column)})
    return _named(prefix, recipe) if isinstance(recipe, str) else recipe


def field_recipes(
    kind: str, config: CollectionConfig, prefix: str, available: Collection[str]
) -> tuple[dict[str, Recipe], list[str]]:
    """Where every field of one object comes from.

    Args:
        kind: ``tracks``, ``clusters`` or ``klm_clusters``.
        config: what the sample says of this collection.
        prefix: of the daughter's columns; empty: the row is the object.
        available: columns that the tree has.

    Returns:
        Field to its recipe, columns with their prefix; and the fields for which a constant stands in.

    Raises:
        ConfigError: the sample names a field that the schema does not have.
        InputError: a column is missing.

    Example:
        >>> from darkfactory.config.external import CollectionConfig
        >>> recipes, filled = field_recipes("klm_clusters", CollectionConfig(tree="t"), "k0", ["k0_theta", "k0_phi"])
        >>> recipes, filled
        ({'theta': 'k0_theta', 'phi': 'k0_phi', 'truth': -1}, [])
    """
    fields = FIELDS[kind]
    unknown = sorted(set(config.columns) - set(fields))
    if unknown:
        allowed = ", ".join(fields)
        raise ConfigError(f"unknown fields {unknown}; allowed: {allowed}", where=f"external.collections.{kind}.columns")
    given = dict(config.columns)
    if kind == "tracks" and "is_mu" in given:
        given.setdefault("klm", given["is_mu"])
    found: dict[str, Recipe] = {}
    filled, absent = [], []
    for name, field in fields.items():
        tries = (given[name],) if name in given else field.tries
        usable = [r for t in tries if _column(r := _with_prefix(prefix, t)) is None or _column(r) in available]
        if usable:
            found[name] = usable[0]
        elif name in given or field.otherwise is None:
            absent.append(f"{name} ({' or '.join(str(_column(_with_prefix(prefix, t))) for t in tries)})")
        else:
            found[name] = field.otherwise
            # data have no truth
            if tries and field is not _TRUTH_PDG:
                filled.append(f"{kind}.{name}")
    if absent:
        raise InputError(
            f"collections.{kind}: columns of {', '.join(absent)} are missing; there are: "
            f"{', '.join(sorted(available)[:60])}; write the ntuple with them, or say in columns where these fields "
            "come from"
        )
    return found, filled


def recipe_columns(recipes: Mapping[str, Recipe]) -> list[str]:
    """Columns that recipes read, each once.

    Example:
        >>> recipe_columns({"px": "mu0_px", "is_e": False})
        ['mu0_px']
    """
    return list(dict.fromkeys(c for r in recipes.values() if (c := _column(r)) is not None))


def _decide(values: Array, threshold: Threshold) -> Array:
    # comparisons with NaN are false
    yes = np.ones(values.shape, dtype=bool)
    if threshold.above is not None:
        yes &= values > threshold.above
    if threshold.below is not None:
        yes &= values < threshold.below
    return yes


def _evaluate(
    name: str, kind: str, recipe: Recipe, columns: Mapping[str, Array], n: int, field: Field, gap: int
) -> Array:
    column = _column(recipe)
    if column is None:
        return np.full(n, recipe, dtype=bool if kind == "?" else np.float64)
    values = columns[column]
    number = values.astype(np.float64)
    if values.dtype.kind == "i":
        number[values == gap] = np.nan
    if isinstance(recipe, Threshold):
        yes = _decide(number, recipe)
        # of a cluster only whether it has a track is known, not which
        if name == "track":
            return np.where(yes, 0.0, -1.0)
        return np.asarray(yes if kind == "?" else yes.astype(np.float64))
    if kind == "?":
        return np.asarray(~np.isnan(number) & (number != 0))
    if field.missing is not None:
        number[np.isnan(number)] = field.missing
    return number


@dataclass(frozen=True)
class Objects:
    """A collection of every event.

    Attributes:
        array: jagged records of the schema.
        dropped: rows without a value in a field that must have one (a daughter that is not there).
        repeated: rows that repeat an object of their event (a track of several candidates).
    """

    array: ak.Array
    dropped: int
    repeated: int


def build_objects(
    kind: str,
    recipes: Sequence[Mapping[str, Recipe]],
    columns: Mapping[str, Array],
    event: Array,
    n_events: int,
    *,
    integer_missing: int,
    regions: Callable[[Array], Array] | None = None,
) -> Objects:
    """Collect the objects of one kind.

    Args:
        kind: ``tracks``, ``clusters`` or ``klm_clusters``.
        recipes: of :func:`field_recipes`, one per daughter.
        columns: flat columns, one entry per row.
        event: number of each row's event, below ``n_events``.
        n_events: number of events, those without rows included.
        integer_missing: stands for a missing value in integer columns.
        regions: calorimeter region by polar angle, for clusters that do not say theirs.

    Returns:
        Objects in the order of rows and daughters. Of equal objects of an event the first is kept.

    Example:
        >>> from darkfactory.config.external import CollectionConfig
        >>> x = {"theta": np.array([1.0, 1.0, 2.0]), "phi": np.array([0.5, 0.5, 0.1])}
        >>> r, _ = field_recipes("klm_clusters", CollectionConfig(tree="t"), "", list(x))
        >>> made = build_objects("klm_clusters", [r], x, np.array([0, 0, 2]), 3, integer_missing=-1)
        >>> made.array.theta.to_list(), made.repeated
        ([[1.0], [], [2.0]], 1)
    """
    schema, fields = SCHEMAS[kind], FIELDS[kind]
    n, daughters = len(event), len(recipes)
    flat: dict[str, Array] = {}
    for name in schema:
        parts = [_evaluate(name, schema[name], r[name], columns, n, fields[name], integer_missing) for r in recipes]
        flat[name] = np.stack(parts, axis=1).reshape(n * daughters)
    if kind == "clusters" and regions is not None and not isinstance(recipes[0]["region"], str):
        flat["region"] = regions(flat["theta"])
    owner = np.repeat(np.asarray(event, dtype=np.int64), daughters)
    whole = np.ones(len(owner), dtype=bool)
    for name, field in fields.items():
        if field.otherwise is None:
            whole &= np.isfinite(flat[name])
    order = np.flatnonzero(whole)
    order = order[np.argsort(owner[order], kind="stable")]
    fresh = _first_of_equals([owner[order], *(flat[name][order] for name in _SAME[kind])])
    kept = order[fresh]
    records = zip_checked({name: ak.Array(flat[name][kept]) for name in schema}, schema)
    counts = np.bincount(owner[kept], minlength=n_events)
    return Objects(ak.unflatten(records, counts), int((~whole).sum()), int((~fresh).sum()))


def _first_of_equals(keys: Sequence[Array]) -> Array:
    """Which entries are not equal to an earlier one in all keys."""
    order = np.lexsort(tuple(reversed(keys)))
    same = np.zeros(len(order), dtype=bool)
    if len(order):
        same[1:] = np.all([k[order][1:] == k[order][:-1] for k in keys], axis=0)
    fresh = np.ones(len(order), dtype=bool)
    fresh[order[same]] = False
    return fresh


def empty_objects(kind: str, n_events: int) -> ak.Array:
    """A collection without objects.

    Example:
        >>> empty_objects("clusters", 2).e.to_list()
        [[], []]
    """
    records = zip_checked({name: ak.Array(np.zeros(0)) for name in SCHEMAS[kind]}, SCHEMAS[kind])
    return ak.unflatten(records, np.zeros(n_events, dtype=np.int64))
