"""HistFactory JSON compiled to arrays: one structure, one stack of numbers per window.

What is compiled is exactly pyhf 0.7's likelihood with its default interpolation codes (normsys code 4, histosys
code 4p). One kernel row is one (channel, sample) pair, so that a modifier never leaks from one channel into another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from darkfactory.stats.structure import (
    Batch,
    Block,
    BlockArrays,
    BlockData,
    Data,
    FloatArray,
    Structure,
    UnsupportedModel,
    WorkspaceGroup,
)

__all__ = [
    "Batch",
    "Block",
    "BlockArrays",
    "BlockData",
    "Data",
    "FloatArray",
    "Structure",
    "UnsupportedModel",
    "WorkspaceGroup",
    "compile_workspace",
    "compile_workspaces",
    "stack",
]

# inverse of the conditions that fix the six coefficients of interpolation code 4 at alpha0 = 1 (pyhf, code4.py)
_CODE4 = np.array(
    [
        [15 / 16, -15 / 16, -7 / 16, -7 / 16, 1 / 16, -1 / 16],
        [3 / 2, 3 / 2, -9 / 16, 9 / 16, 1 / 16, 1 / 16],
        [-5 / 8, 5 / 8, 5 / 8, 5 / 8, -1 / 8, 1 / 8],
        [-3 / 2, -3 / 2, 7 / 8, -7 / 8, -1 / 8, -1 / 8],
        [3 / 16, -3 / 16, -3 / 16, -3 / 16, 1 / 16, -1 / 16],
        [1 / 2, 1 / 2, -5 / 16, 5 / 16, 1 / 16, 1 / 16],
    ]
)
_SCALAR = {"normfactor": "free", "normsys": "normal", "histosys": "normal", "lumi": "normal"}
_PER_BIN = {"staterror": "normal", "shapesys": "poisson", "shapefactor": "free"}


@dataclass
class _ParSet:
    kind: str
    size: int
    types: set[str]
    init: list[float]
    lo: list[float]
    hi: list[float]
    aux: list[float]
    width: list[float]
    fixed: list[bool]


def _scalar_set(kind: str, mtype: str) -> _ParSet:
    if mtype == "normfactor":
        return _ParSet(kind, 1, {mtype}, [1.0], [0.0], [10.0], [0.0], [1.0], [False])
    if mtype == "lumi":
        return _ParSet(kind, 1, {mtype}, [], [], [], [], [], [False])
    return _ParSet(kind, 1, {mtype}, [0.0], [-5.0], [5.0], [0.0], [1.0], [False])


def _shapesys_set(nominal: Sequence[float], unc: Sequence[float]) -> _ParSet:
    n = len(nominal)
    valid = [s > 0 and u > 0 for s, u in zip(nominal, unc, strict=True)]
    tau = [float(s) ** 2 / float(u) ** 2 if ok else 1.0 for s, u, ok in zip(nominal, unc, valid, strict=True)]
    return _ParSet(
        "poisson", n, {"shapesys"}, [1.0] * n, [1e-10] * n, [10.0] * n, list(tau), tau, [not v for v in valid]
    )


def _configure(name: str, par: _ParSet, user: Mapping[str, Any]) -> None:
    """Apply the measurement's own settings of a parameter, as pyhf does."""
    sources = {"inits": "init", "auxdata": "aux", "sigmas": "width", "factors": "width"}
    for key, attribute in sources.items():
        if key in user:
            setattr(par, attribute, [float(v) for v in user[key]])
    if "bounds" in user:
        par.lo = [float(b[0]) for b in user["bounds"]]
        par.hi = [float(b[1]) for b in user["bounds"]]
    if "fixed" in user:
        value = user["fixed"]
        par.fixed = [bool(value)] * par.size if isinstance(value, bool) else [bool(v) for v in value]
    for attribute in ("init", "lo", "hi", "aux", "width", "fixed"):
        if len(getattr(par, attribute)) != par.size:
            raise UnsupportedModel(
                f"parameter {name!r} has {len(getattr(par, attribute))} values of {attribute}, {par.size} expected; "
                "give inits, bounds, auxdata and sigmas of lumi in the measurement's parameters"
            )


def _staterror_sets(channels: Sequence[Mapping[str, Any]]) -> dict[str, tuple[_ParSet, dict[str, int]]]:
    """Widths of all staterror sets: quadrature over samples, relative to the summed nominal rate."""
    parts: dict[str, dict[str, tuple[FloatArray, FloatArray]]] = {}
    for channel in channels:
        for sample in channel["samples"]:
            for mod in sample["modifiers"]:
                if mod["type"] != "staterror":
                    continue
                nominal = np.asarray(sample["data"], dtype=float)
                unc = np.asarray(mod["data"], dtype=float)
                if unc.shape != nominal.shape:
                    raise UnsupportedModel(
                        f"channels.{channel['name']}.samples.{sample['name']}: staterror {mod['name']!r} has "
                        f"{len(unc)} values for {len(nominal)} bins"
                    )
                total, square = parts.setdefault(mod["name"], {}).get(
                    channel["name"], (np.zeros_like(nominal), np.zeros_like(nominal))
                )
                parts[mod["name"]][channel["name"]] = (total + nominal, square + unc**2)
    sets: dict[str, tuple[_ParSet, dict[str, int]]] = {}
    for name, by_channel in parts.items():
        sigma: list[float] = []
        first: dict[str, int] = {}
        for channel_name in sorted(by_channel):
            total, square = by_channel[channel_name]
            first[channel_name] = len(sigma)
            good = total > 0
            sigma += list(np.where(good, np.sqrt(square) / np.where(good, total, 1.0), 0.0))
        fixed = [s == 0.0 for s in sigma]
        width = [1.0 if f else float(s) for s, f in zip(sigma, fixed, strict=True)]
        n = len(sigma)
        sets[name] = (
            _ParSet("normal", n, {"staterror"}, [1.0] * n, [1e-10] * n, [10.0] * n, [1.0] * n, width, fixed),
            first,
        )
    return sets


def _collect(channels: Sequence[Mapping[str, Any]]) -> tuple[dict[str, _ParSet], dict[tuple[str, str], int]]:
    """All parameter sets, and where each per-bin set starts in each channel."""
    sets: dict[str, _ParSet] = {}
    first: dict[tuple[str, str], int] = {}
    for name, (par, starts) in _staterror_sets(channels).items():
        sets[name] = par
        first.update({(name, channel): start for channel, start in starts.items()})
    for channel in channels:
        for sample in channel["samples"]:
            where = f"channels.{channel['name']}.samples.{sample['name']}"
            seen: set[tuple[str, str]] = set()
            for mod in sample["modifiers"]:
                name, mtype = mod["name"], mod["type"]
                if mtype not in _SCALAR and mtype not in _PER_BIN:
                    raise UnsupportedModel(f"{where}: modifier type {mtype!r} is outside pyhf 0.7's HistFactory")
                if (name, mtype) in seen:
                    raise UnsupportedModel(f"{where}: modifier {name!r} of type {mtype} appears twice")
                seen.add((name, mtype))
                nbins = len(sample["data"])
                if mtype == "staterror":
                    new = sets[name]
                elif mtype == "shapesys":
                    if name in sets:
                        raise UnsupportedModel(f"{where}: shapesys {name!r} is shared; pyhf forbids that")
                    new = _shapesys_set(sample["data"], mod["data"])
                elif mtype == "shapefactor":
                    new = _ParSet(
                        "free", nbins, {mtype}, [1.0] * nbins, [0.0] * nbins, [10.0] * nbins, [0.0] * nbins,
                        [1.0] * nbins, [False] * nbins,
                    )  # fmt: skip
                else:
                    new = _scalar_set(_SCALAR[mtype], mtype)
                known = sets.setdefault(name, new)
                together = known.types | {mtype}
                if len(together) > 1 and together != {"normsys", "histosys"}:
                    raise UnsupportedModel(f"{where}: {name!r} names modifiers of types {sorted(together)}")
                if known.size != new.size:
                    raise UnsupportedModel(f"{where}: {name!r} has {new.size} bins here and {known.size} elsewhere")
                known.types.add(mtype)
                if mtype in ("shapesys", "shapefactor"):
                    first[(name, channel["name"])] = 0
    return sets, first


def _gamma_choice(channels: Sequence[Mapping[str, Any]], sets: Mapping[str, _ParSet]) -> dict[str, str]:
    """Per channel, the constrained per-bin set that is profiled in closed form (the first one, if any)."""
    chosen: dict[str, str] = {}
    for channel in channels:
        for sample in channel["samples"]:
            for mod in sample["modifiers"]:
                if mod["type"] in ("staterror", "shapesys"):
                    chosen.setdefault(channel["name"], mod["name"])
    # a set with bins in several channels is either profiled in all of them or in none
    for name in {m["name"] for c in channels for s in c["samples"] for m in s["modifiers"] if m["type"] == "staterror"}:
        where = {c["name"] for c in channels for s in c["samples"] for m in s["modifiers"] if m["name"] == name}
        if any(chosen.get(c) != name for c in where):
            chosen = {c: n for c, n in chosen.items() if n != name}
    return chosen


@dataclass(frozen=True)
class _One:
    """A compiled workspace before stacking."""

    structure: Structure
    blocks: tuple[dict[str, FloatArray], ...]
    vectors: dict[str, Any]
    data: tuple[tuple[FloatArray, FloatArray], ...]
    aux: FloatArray


def _log_factor(value: float, where: str) -> float:
    if not value > 0:
        raise UnsupportedModel(f"{where}: normsys factor {value} is not positive; code 4 needs its logarithm")
    return math.log(value)


def compile_workspace(spec: Mapping[str, Any], measurement: int = 0) -> tuple[Structure, Batch]:
    """Compile one complete workspace (signal, measurement and observations included).

    Args:
        spec: the workspace as read from JSON; nothing else is used.
        measurement: which measurement.

    Returns:
        Its structure, and a stack of one window.

    Raises:
        UnsupportedModel: a modifier or a setting that the fast engine does not compute exactly.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(8, 9.0, signal=3.0)
        >>> structure, batch = compile_workspace(spec)
        >>> structure.names, float(batch.observed.blocks[0].counts[0, 0])
        (('mu',), 8.0)
    """
    one = _compile(spec, measurement)
    return one.structure, stack([one])


def _compile(spec: Mapping[str, Any], measurement: int = 0) -> _One:
    config = spec["measurements"][measurement]["config"]
    observed = {o["name"]: o["data"] for o in spec["observations"]}
    return _compile_model(spec["channels"], config.get("parameters", []), config["poi"], observed)


def _compile_model(
    channel_list: Sequence[Mapping[str, Any]],
    parameters: Sequence[Mapping[str, Any]],
    poi: str | None,
    observed: Mapping[str, Sequence[float]] | None,
) -> _One:
    channels = sorted(channel_list, key=lambda c: str(c["name"]))
    sets, first = _collect(channels)
    for user in parameters:
        if user["name"] in sets:
            _configure(user["name"], sets[user["name"]], user)
    for name, par in sets.items():
        _configure(name, par, {})
    chosen = _gamma_choice(channels, sets)
    profiled = set(chosen.values())
    explicit = [n for n in sorted(sets) if n not in profiled]
    index: dict[str, int] = {}
    names: list[str] = []
    for name in explicit:
        index[name] = len(names)
        size = sets[name].size
        scalar = sets[name].types & set(_SCALAR)
        names += [name] if scalar else [f"{name}[{b}]" for b in range(size)]
    if poi is not None and (poi not in index or "normfactor" not in sets[poi].types):
        raise UnsupportedModel(f"parameter of interest {poi!r} is no normfactor of the model")

    linear: list[tuple[int, int, int]] = []
    normsys: list[tuple[int, int, int]] = []
    factors: list[tuple[float, float]] = []
    for ic, channel in enumerate(channels):
        for ir, sample in enumerate(channel["samples"]):
            for mod in sample["modifiers"]:
                if mod["type"] in ("normfactor", "lumi"):
                    linear.append((ic, ir, index[mod["name"]]))
                elif mod["type"] == "normsys":
                    normsys.append((ic, ir, index[mod["name"]]))
                    factors.append((float(mod["data"]["hi"]), float(mod["data"]["lo"])))
    slots = linear + normsys
    blocks: list[Block] = []
    arrays: list[dict[str, FloatArray]] = []
    data: list[tuple[FloatArray, FloatArray]] = []
    for ic, channel in enumerate(channels):
        block, numbers = _compile_channel(ic, channel, sets, index, first, chosen, slots)
        blocks.append(block)
        arrays.append(numbers)
        counts = observed[channel["name"]] if observed is not None else [0.0] * block.nbins
        if len(counts) != block.nbins:
            raise UnsupportedModel(
                f"observations.{channel['name']} has {len(counts)} bins, the channel has {block.nbins}"
            )
        data.append((np.asarray(counts, dtype=float), numbers.pop("g_aux")))
    structure = Structure(
        names=tuple(names),
        kinds=tuple(sets[n].kind for n in explicit for _ in range(sets[n].size)),
        linear=tuple(linear),
        normsys=tuple(normsys),
        blocks=tuple(blocks),
        poi=index[poi] if poi is not None else -1,
    )
    log_hi = np.array([_log_factor(h, "hi") for h, _ in factors])
    log_lo = np.array([_log_factor(x, "lo") for _, x in factors])
    hi = np.array([h for h, _ in factors])
    lo = np.array([x for _, x in factors])
    conditions = np.stack([hi - 1, lo - 1, log_hi * hi, -log_lo * lo, log_hi**2 * hi, log_lo**2 * lo], axis=-1)
    # an explicit sum: its order, hence its bits, does not depend on a library
    coef = np.zeros((len(factors), 6))
    for column in range(6):
        coef = coef + conditions[:, column : column + 1] * _CODE4[:, column]
    vectors: dict[str, Any] = {"coef": coef, "log_hi": log_hi, "log_lo": log_lo}
    for key in ("init", "lo", "hi", "width", "fixed"):
        values = [v for n in explicit for v in getattr(sets[n], key)]
        vectors[key] = np.array(values, dtype=bool if key == "fixed" else float)
    aux = np.array([v for n in explicit for v in sets[n].aux], dtype=float)
    return _One(structure, tuple(arrays), vectors, tuple(data), aux)


def _compile_channel(
    ic: int,
    channel: Mapping[str, Any],
    sets: Mapping[str, _ParSet],
    index: Mapping[str, int],
    first: Mapping[tuple[str, str], int],
    chosen: Mapping[str, str],
    slots: Sequence[tuple[int, int, int]],
) -> tuple[Block, dict[str, FloatArray]]:
    samples = channel["samples"]
    nbins = len(samples[0]["data"])
    name = channel["name"]
    histo: list[tuple[int, int]] = []
    up: list[FloatArray] = []
    dn: list[FloatArray] = []
    perbin: list[tuple[int, int]] = []
    gamma_rows: list[int] = []
    nominal = np.zeros((len(samples), nbins))
    gamma = chosen.get(name)
    for ir, sample in enumerate(samples):
        if len(sample["data"]) != nbins:
            raise UnsupportedModel(
                f"channels.{name}.samples.{sample['name']}: {len(sample['data'])} bins, others have {nbins}"
            )
        nominal[ir] = sample["data"]
        for mod in sample["modifiers"]:
            if mod["type"] == "histosys":
                histo.append((ir, index[mod["name"]]))
                high = np.asarray(mod["data"]["hi_data"], dtype=float)
                low = np.asarray(mod["data"]["lo_data"], dtype=float)
                if high.shape != (nbins,) or low.shape != (nbins,):
                    raise UnsupportedModel(
                        f"channels.{name}.samples.{sample['name']}: histosys {mod['name']!r} has {len(high)} and "
                        f"{len(low)} values for {nbins} bins"
                    )
                up.append(high - nominal[ir])
                dn.append(nominal[ir] - low)
            elif mod["type"] in _PER_BIN:
                if mod["name"] == gamma:
                    gamma_rows.append(ir)
                else:
                    perbin.append((ir, index[mod["name"]] + first[(mod["name"], name)]))
    table = [[s for s, (c, r, _) in enumerate(slots) if c == ic and r == ir] for ir in range(len(samples))]
    width = max((len(t) for t in table), default=0)
    start = first[(gamma, name)] if gamma is not None else 0
    block = Block(
        name=name,
        nbins=nbins,
        rows=tuple(s["name"] for s in samples),
        table=tuple(tuple(t + [len(slots)] * (width - len(t))) for t in table),
        histo=tuple(histo),
        gamma=sets[gamma].kind if gamma is not None else "none",
        gamma_name=(gamma or "", start),
        gamma_rows=tuple(gamma_rows),
        perbin=tuple(perbin),
    )
    ones = np.ones(nbins)
    numbers: dict[str, FloatArray] = {
        "nominal": nominal,
        "up": np.array(up).reshape(len(up), nbins),
        "dn": np.array(dn).reshape(len(dn), nbins),
        "g_width": ones,
        "g_lo": ones,
        "g_hi": ones,
        "g_init": ones,
        "g_aux": ones,
    }
    if gamma is not None:
        par = sets[gamma]
        part = slice(start, start + nbins)
        fixed = np.array(par.fixed[part])
        init = np.array(par.init[part])
        numbers["g_width"] = np.array(par.width[part])
        # a fixed factor is one whose bounds have met
        numbers["g_lo"] = np.where(fixed, init, np.array(par.lo[part]))
        numbers["g_hi"] = np.where(fixed, init, np.array(par.hi[part]))
        numbers["g_init"] = init
        numbers["g_aux"] = np.array(par.aux[part])
    return block, numbers


def stack(ones: Sequence[_One]) -> Batch:
    """Stack compiled workspaces of one structure.

    Example:
        >>> stack([])
        Traceback (most recent call last):
        ...
        ValueError: nothing to stack
    """
    if not ones:
        raise ValueError("nothing to stack")
    structure = ones[0].structure
    blocks = tuple(
        BlockArrays(**{f.name: np.stack([o.blocks[i][f.name] for o in ones]) for f in fields(BlockArrays)})
        for i in range(len(structure.blocks))
    )
    observed = Data(
        tuple(
            BlockData(np.stack([o.data[i][0] for o in ones]), np.stack([o.data[i][1] for o in ones]))
            for i in range(len(structure.blocks))
        ),
        np.stack([o.aux for o in ones]),
    )
    vectors = {key: np.stack([o.vectors[key] for o in ones]) for key in ones[0].vectors}
    return Batch(structure=structure, blocks=blocks, observed=observed, **vectors)


def compile_workspaces(
    workspaces: Sequence[Mapping[str, Any]],
) -> tuple[list[WorkspaceGroup], dict[int, UnsupportedModel]]:
    """Compile complete workspaces and group those of equal structure.

    Args:
        workspaces: HistFactory JSON, signal and observations included.

    Returns:
        The groups, in order of first appearance, and the error of every workspace that only pyhf can take.

    Example:
        >>> groups, refused = compile_workspaces([])
        >>> groups, refused
        ([], {})
    """
    by_key: dict[Structure, list[tuple[int, _One]]] = {}
    refused: dict[int, UnsupportedModel] = {}
    for position, spec in enumerate(workspaces):
        try:
            one = _compile(spec)
        except UnsupportedModel as error:
            refused[position] = error
            continue
        by_key.setdefault(one.structure, []).append((position, one))
    groups = [
        WorkspaceGroup(stack([one for _, one in members]), tuple(position for position, _ in members))
        for members in by_key.values()
    ]
    return groups, refused
