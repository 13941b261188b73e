"""The limit of one point at one confidence level, with everything that vouches for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from darkfactory.config.points import AXES
from darkfactory.core.errors import InputError

__all__ = ["ABOVE_MAXIMUM", "BAND_COLUMNS", "CSV_COLUMNS", "DataKind", "LimitRecord", "Method", "Status", "flag_of"]

Method = Literal["asymptotic", "toys", "exact", "bayes"]
Status = Literal["ok", "no_sensitivity", "not_bracketed", "several_minima", "fit_failed"]
DataKind = Literal["pseudo", "asimov", "real"]

BAND_COLUMNS = ("expected_m2", "expected_m1", "expected", "expected_p1", "expected_p2")
CSV_COLUMNS = (
    "search", "dataset", "hypothesis", "point", "mass_gev", "quantity", "unit", "observed", *BAND_COLUMNS, "cl",
    "method", "scale", "p0_local", "z_local", "status",
)  # fmt: skip


ABOVE_MAXIMUM = "above_maximum"
"""Flag of a limit above the largest value that its quantity can have."""


def flag_of(observed: float | None, maximum: float | None) -> str:
    """What a limit's value says of itself: ``above_maximum`` where it constrains nothing, else nothing.

    Args:
        observed: the observed limit, None without one.
        maximum: largest value that the quantity can have, None without one.

    Example:
        >>> flag_of(84.6, 1.0), flag_of(0.3, 1.0), flag_of(84.6, None)
        ('above_maximum', '', '')
    """
    above = observed is not None and maximum is not None and observed > maximum
    return ABOVE_MAXIMUM if above else ""


@dataclass(frozen=True)
class LimitRecord:
    """An upper limit in physical units.

    Attributes:
        point: name of the point, ``m0p50000``.
        hypothesis: kind of signal, ``zprime``.
        axes: physical values of the point's axes, ``{"mass_gev": 0.5}``.
        quantity: what is limited, ``cross_section``.
        unit: its unit, ``fb``.
        cl: confidence level.
        observed: observed limit; None where status is not ``ok``.
        expected: the five expected limits, -2 to +2 standard deviations; None where there are none.
        method: ``asymptotic``, ``toys``, ``exact`` or ``bayes``.
        scale: physical value of one unit of the workspace's parameter of interest.
        p0_local: local p-value of the background-only hypothesis.
        z_local: its significance.
        best_fit: best-fit signal in physical units (at or above zero), and ``error`` its error.
        mu_hat: the same in units of the parameter of interest, and ``mu_err``.
        status: ``ok``, ``no_sensitivity``, ``not_bracketed``, ``several_minima`` or ``fit_failed``.
        data: ``pseudo``, ``asimov`` or ``real``.
        blinded: whether the signal region of real data was hidden.
        certificate: what confirmed the limit, and the recipe to do it again.
        lint: warnings about the workspace.
        extra: second opinions (asymptotic limit beside toys, statistical error of toys, seeds).
    """

    point: str
    hypothesis: str
    axes: Mapping[str, float]
    quantity: str
    unit: str
    cl: float
    observed: float | None
    expected: tuple[float, float, float, float, float] | None
    method: Method
    scale: float
    p0_local: float | None
    z_local: float | None
    mu_hat: float | None
    mu_err: float | None
    status: Status
    data: DataKind
    blinded: bool = False
    certificate: Mapping[str, Any] = field(default_factory=dict)
    lint: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A record that says ok has finite numbers, one that does not has none."""
        numbers = [self.observed, *(self.expected or ())]
        if self.status == "ok":
            if self.observed is None or not all(v is not None and math.isfinite(v) for v in numbers):
                raise InputError(
                    f"limit of {self.point} at {self.cl} has status ok and the values {numbers}; "
                    "an ok limit is finite, set another status"
                )
        elif self.observed is not None:
            raise InputError(
                f"limit of {self.point} at {self.cl} has status {self.status} and a value {self.observed}; "
                "only an ok limit has a value"
            )

    @property
    def best_fit(self) -> float | None:
        """Best-fit signal in physical units."""
        return None if self.mu_hat is None else self.mu_hat * self.scale

    @property
    def error(self) -> float | None:
        """Error of the best fit in physical units."""
        return None if self.mu_err is None else self.mu_err * self.scale

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form.

        Example:
            >>> r = LimitRecord("m0p50000", "alp", {"mass_gev": 0.5}, "cross_section", "fb", 0.95, 12.0,
            ...     (6.0, 8.0, 11.0, 15.0, 21.0), "asymptotic", 2.0, 0.3, 0.52, 1.0, 2.0, "ok", "pseudo")
            >>> LimitRecord.from_dict(r.to_dict()) == r
            True
        """
        value = asdict(self)
        value["axes"] = dict(self.axes)
        value["expected"] = None if self.expected is None else list(self.expected)
        value["lint"] = list(self.lint)
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> LimitRecord:
        """Read the form of :meth:`to_dict`.

        Raises:
            InputError: a key is unknown or missing.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(value) - known):
            raise InputError(f"limit record has unknown keys {unknown}; allowed are {sorted(known)}")
        data = dict(value)
        if data.get("expected") is not None:
            data["expected"] = tuple(data["expected"])
        data["lint"] = tuple(data.get("lint", ()))
        try:
            return cls(**data)
        except TypeError as error:
            raise InputError(f"limit record is incomplete: {error}; rerun the limits stage") from error

    def csv_row(self, search: str, dataset: str) -> dict[str, Any]:
        """Row of limits.csv; empty strings where there is no number.

        Example:
            >>> r = LimitRecord("m0p50000", "alp", {"mass_gev": 0.5, "width": 0.1}, "cross_section", "fb", 0.95, None,
            ...     None, "asymptotic", 2.0, None, None, None, None, "no_sensitivity", "pseudo")
            >>> row = r.csv_row("alp_3gamma", "belle2_445pb")
            >>> row["status"], row["observed"], row["width"]
            ('no_sensitivity', '', 0.1)
        """
        band = self.expected if self.expected is not None else ("",) * 5
        row: dict[str, Any] = {
            "search": search,
            "dataset": dataset,
            "hypothesis": self.hypothesis,
            "point": self.point,
            "mass_gev": self.axes.get("mass_gev", self.axes.get("mass", "")),
            **{AXES[k].column if k in AXES else k: v for k, v in self.axes.items() if k not in ("mass_gev", "mass")},
            "quantity": self.quantity,
            "unit": self.unit,
            "observed": self.observed,
            **dict(zip(BAND_COLUMNS, band, strict=True)),
            "cl": self.cl,
            "method": self.method,
            "scale": self.scale,
            "p0_local": self.p0_local,
            "z_local": self.z_local,
            "status": self.status,
        }
        return {k: "" if v is None else v for k, v in row.items()}
