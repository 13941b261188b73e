"""Results as HEPData tables: documents of a submission, as plain values for YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from darkfactory.config.points import AXES

__all__ = ["HepdataTable", "coupling_tables", "efficiency_tables", "limit_tables", "submission_documents"]

Row = Mapping[str, Any]

_NAMES = {"lifetime": "c tau", "lifetime2": "second c tau", "mass2": "second mass", "mass3": "third mass"}
_NAMES |= {"width": "width over mass", "splitting": "mass splitting over mass"}
_AXES = {axis.column: (_NAMES.get(axis.name, axis.name), axis.unit) for axis in AXES.values()}
# HEPData's sign for no value
_NONE = "-"
_NAME_LENGTH = 64


@dataclass(frozen=True)
class HepdataTable:
    """One table.

    Attributes:
        name: of the table; the submission has it cut to 64 characters.
        file: name of its YAML file.
        description: a sentence or two.
        independent: headers and values of independent variables.
        dependent: the same of dependent ones.
        keywords: HEPData's: reactions, observables, centre-of-mass energies.
    """

    name: str
    file: str
    description: str
    independent: Sequence[Mapping[str, Any]]
    dependent: Sequence[Mapping[str, Any]]
    keywords: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """What the table's file holds."""
        return {"independent_variables": list(self.independent), "dependent_variables": list(self.dependent)}


def _value(value: Any) -> Any:
    return _NONE if value is None else value


def _variable(
    name: str, units: str, values: Sequence[Any], qualifiers: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    header = {"name": name, **({"units": units} if units else {})}
    made: dict[str, Any] = {"header": header, "values": [{"value": _value(v)} for v in values]}
    if qualifiers:
        made["qualifiers"] = [{"name": k, "value": v} for k, v in qualifiers.items()]
    return made


def _axes(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Independent variables: the axes that any of the points has."""
    used = [a for a in _AXES if any(r.get(a) is not None for r in rows)]
    return [_variable(*_AXES[a], [r.get(a) for r in rows]) for a in used]


def _banded(name: str, unit: str, rows: Sequence[Row], qualifiers: Mapping[str, Any]) -> dict[str, Any]:
    """Median expected limits with their one- and two-sigma bands as errors."""
    made = _variable(name, unit, [r["expected"] for r in rows], qualifiers)
    for value, row in zip(made["values"], rows, strict=True):
        errors = []
        for n in (1, 2):
            low, high, middle = row[f"expected_m{n}"], row[f"expected_p{n}"], row["expected"]
            # an error of zero, where counts leave no choice, is none to HEPData
            if None not in (low, high, middle) and low < high:
                errors.append({"asymerror": {"minus": low - middle, "plus": high - middle}, "label": f"{n} s.d."})
        if errors:
            value["errors"] = errors
    return made


def _limits(rows: Sequence[Row], quantity: str, unit: str, qualifiers: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        _variable(f"observed upper limit on {quantity}", unit, [r["observed"] for r in rows], qualifiers),
        _banded(f"expected upper limit on {quantity}", unit, rows, qualifiers),
        _variable("local p-value", "", [r.get("p0_local") for r in rows], qualifiers),
        _variable("method", "", [r["method"] for r in rows], qualifiers),
        _variable("status", "", [r["status"] for r in rows], qualifiers),
    ]


def _families(rows: Sequence[Row], keys: Sequence[str]) -> list[tuple[tuple[Any, ...], list[Row]]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(k) for k in keys), []).append(row)
    return list(found.items())


def _file(*parts: Any) -> str:
    text = "_".join(str(p) for p in parts).replace(".", "p").replace("/", "_")
    return f"{text}.yaml"


def limit_tables(rows: Sequence[Row], about: Mapping[str, Any]) -> list[HepdataTable]:
    """A table of limits for each hypothesis, confidence level and method.

    Args:
        rows: of limits.csv.
        about: ``dataset``, ``luminosity_fb``, ``sqrts_gev``, ``data`` (what stands for data).

    Example:
        >>> band = dict.fromkeys(("expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2"), 2.0)
        >>> row = {"hypothesis": "alp", "cl": 0.95, "mass_gev": 1.0, "observed": 3.0, "quantity": "cross_section",
        ...     "unit": "fb", "method": "asymptotic", "status": "ok", **band}
        >>> about = {"dataset": "d", "luminosity_fb": 1.0, "sqrts_gev": 10.58, "data": "pseudo-data"}
        >>> [t.name for t in limit_tables([row], about)]
        ['d: limits, alp, 95% CL']
    """
    tables = []
    several = len({r["method"] == "bayes" for r in rows}) > 1
    for (hypothesis, cl, bayes), own in _families(
        [{**r, "bayes": several and r["method"] == "bayes"} for r in rows], ("hypothesis", "cl", "bayes")
    ):
        quantity = str(own[0]["quantity"]).replace("_", " ")
        kind = ", credible" if bayes else ""
        tables.append(
            HepdataTable(
                name=f"{about['dataset']}: limits, {hypothesis}, {cl:.0%} CL{kind}",
                file=_file(about["dataset"], "limits", hypothesis, f"cl{cl}", *(["bayes"] if bayes else [])),
                description=f"Upper limits on the {quantity} of {hypothesis} at {cl:.0%} confidence level, "
                f"{about['luminosity_fb']:g} /fb, {about['data']}.",
                independent=_axes(own),
                dependent=_limits(own, quantity, str(own[0]["unit"] or ""), _qualifiers(about, cl)),
                keywords=_keywords(about, "CLS"),
            )
        )
    return tables


def coupling_tables(rows: Sequence[Row], about: Mapping[str, Any]) -> list[HepdataTable]:
    """A table of limits or excluded intervals for each model, coupling and confidence level."""
    tables = []
    for (model, quantity, cl), own in _families(rows, ("model", "quantity", "cl")):
        unit = str(own[0]["unit"] or "")
        qualifiers = _qualifiers(about, cl)
        if all(r.get("lower") is None and r.get("expected") is not None for r in own if r["status"] == "ok"):
            dependent = _limits(own, str(quantity), unit, qualifiers)
        else:
            dependent = [
                _variable(f"lower edge of excluded {quantity}", unit, [r["lower"] for r in own], qualifiers),
                _variable(f"upper edge of excluded {quantity}", unit, [r["upper"] for r in own], qualifiers),
                _variable("status", "", [r["status"] for r in own], qualifiers),
            ]
        hypotheses = {r["hypothesis"] for r in own}
        independent = _axes(own)
        if len(hypotheses) > 1:
            independent.append(_variable("signal", "", [r["hypothesis"] for r in own]))
        tables.append(
            HepdataTable(
                name=f"{about['dataset']}: {quantity}, {model}, {cl:.0%} CL",
                file=_file(about["dataset"], "coupling", model, quantity, f"cl{cl}"),
                description=f"Limits on {quantity} of the model {model} at {cl:.0%} confidence level, {about['data']}.",
                independent=independent,
                dependent=dependent,
                keywords=_keywords(about, "CLS"),
            )
        )
    return tables


def efficiency_tables(rows: Sequence[Row], about: Mapping[str, Any]) -> list[HepdataTable]:
    """A table of efficiency and trigger efficiency for each hypothesis."""
    tables = []
    for (hypothesis,), own in _families(rows, ("hypothesis",)):
        dependent = [_variable("efficiency", "", [r["efficiency"] for r in own])]
        dependent += [_variable("trigger efficiency", "", [r["trigger_efficiency"] for r in own])]
        tables.append(
            HepdataTable(
                name=f"{about['dataset']}: efficiency, {hypothesis}",
                file=_file(about["dataset"], "efficiency", hypothesis),
                description=f"Selected signal candidates of {hypothesis} per generated event, and the part of the "
                "events before it that the trigger lines take.",
                independent=_axes(own),
                dependent=dependent,
                keywords=_keywords(about, "EFF"),
            )
        )
    return tables


def _qualifiers(about: Mapping[str, Any], cl: float) -> dict[str, Any]:
    return {
        "CL": f"{cl:.0%}",
        "SQRT(S)": f"{about['sqrts_gev']:g} GeV",
        "LUMINOSITY": f"{about['luminosity_fb']:g} fb$^{{-1}}$",
    }


def _keywords(about: Mapping[str, Any], observable: str) -> dict[str, list[Any]]:
    return {"observables": [observable], "cmenergies": [float(about["sqrts_gev"])]}


def _unique(names: Sequence[str]) -> list[str]:
    """Names that differ and are no longer than HEPData takes.

    Example:
        >>> _unique(["a", "b" * 70, "b" * 71])[1][-5:], _unique(["b" * 70, "b" * 71])[1][-5:]
        ('bbbbb', 'b (2)')
    """
    found: list[str] = []
    for name in names:
        short, number = name[:_NAME_LENGTH], 1
        while short in found:
            number += 1
            short = f"{name[: _NAME_LENGTH - 4]} ({number})"
        found.append(short)
    return found


def submission_documents(
    tables: Sequence[HepdataTable], comment: str, resources: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Documents of submission.yaml: the general one, then one a table.

    Args:
        tables: in order.
        comment: what the submission is.
        resources: file to its description.
    """
    names = _unique([t.name for t in tables])
    first: dict[str, Any] = {"comment": comment}
    if resources:
        first["additional_resources"] = [{"location": k, "description": v} for k, v in resources.items()]
    return [
        first,
        *(
            {
                "name": name,
                "location": "",
                "description": t.description,
                "keywords": [{"name": k, "values": list(v)} for k, v in t.keywords.items()],
                "data_file": t.file,
            }
            for t, name in zip(tables, names, strict=True)
        ),
    ]
