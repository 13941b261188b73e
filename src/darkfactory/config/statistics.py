"""The statistics section of a search: levels, methods, tolerances and the depth of the certificate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel

__all__ = ["CertificateConfig", "LintConfig", "StatisticsConfig", "ToysConfig"]

Level = Annotated[float, Field(gt=0.5, lt=1.0)]


class ToysConfig(StrictModel):
    """Pseudo-experiments for limits at few events."""

    toys: int = Field(default=1000, ge=100)
    """Pseudo-experiments per hypothesis and signal strength."""
    steps: int = Field(default=5, ge=3, le=30)
    """Signal strengths at which CLs is sampled around the asymptotic limits."""
    chunk: int = Field(default=1000, ge=10)
    """Pseudo-experiments of one seeded chunk: part of the result's bits, not of the machine."""


class CertificateConfig(StrictModel):
    """How each written limit is confirmed by pyhf itself; (a) ``hypotest`` at the limit is always done."""

    tolerance: float = Field(default=1e-6, gt=0)
    """Largest relative deviation of pyhf's CLs from 1 - cl at a written limit."""
    gradient: bool = True
    """(b) Projected gradient of pyhf's own log-density at the fits used."""
    gradient_tolerance: float = Field(default=1e-5, gt=0)
    """Largest gain in twice the log-likelihood that the gradient leaves possible. It moves ln CLs by about half of
    itself, far below any statistical or interpolation error of a limit; a fit at a wrong place gains more than 1e-2."""
    stock_fraction: float = Field(default=0.01, ge=0, le=1)
    """(c) Fraction of points, drawn from seed and point, redone by stock pyhf with a tight tolerance."""
    stock_significance: float = Field(default=3.0, gt=0)
    """Local significance from which a point is redone by stock pyhf."""
    stock_tolerance: float = Field(default=1e-4, gt=0)
    """Largest relative deviation of stock pyhf's CLs; its own minimiser is good to about 1e-6, worse at low counts."""
    stock_max_parameters: int = Field(default=80, ge=1)
    """Models with more parameters, per-bin factors included, are not given to stock pyhf, neither for (c) nor as the
    fallback: its gradients are numerical, and a limit would take minutes."""
    stock_evaluations: int = Field(default=40_000, ge=100)
    """Evaluations of pyhf's density (0.1 to 0.5 ms each) after which a search in stock pyhf is given up; the point's
    status is then ``fit_failed``."""
    fallback: bool = True
    """Let stock pyhf search the limit where the engine fails or its certificate does."""


class LintConfig(StrictModel):
    """What the workspace linter warns about before any fit."""

    effective_over_expected: float = Field(default=5.0, gt=0)
    """Effective MC events of a bin must be this many times its expected background."""
    signal_over_background: float = Field(default=30.0, gt=0)
    """Warn where one unit of signal is this many times the background under it."""
    negligible: float = Field(default=1e-3, ge=0)
    """Bins that expect less than this many background events are not asked for MC statistics."""


class StatisticsConfig(StrictModel):
    """Confidence levels, choice of method, tolerances."""

    cls: tuple[Level, ...] = (0.90, 0.95)
    """Confidence levels; each gives a row of limits.csv."""
    method: Literal["auto", "asymptotic", "toys", "exact", "bayes"] = "auto"
    """``auto``: exact for one-bin counting, else asymptotic, and toys below ``few_events``."""
    few_events: float = Field(default=12.0, ge=0)
    """Effective background events below which the asymptotic formula is not used (for up to 15 signal events its 90 %
    limits cover 88.9 % at three events, 89.5 % at seven, 89.7 % at ten and 90.3 % at twelve, measured): those of a
    one-bin counting that would measure three signal events as well as all bins of the window do."""
    check_events: float = Field(default=30.0, ge=0)
    """Up to this expectation, a sample of points is checked by toys."""
    check_fraction: float = Field(default=0.0, ge=0, le=1)
    """Fraction of the points between ``few_events`` and ``check_events`` that toys check."""
    backend: Literal["auto", "numpy", "numba"] = "auto"
    """What the fits run on: ``numba`` (compiled, the extra ``fast``), ``numpy`` (the reference; same limits to
    rounding), or ``auto``: Numba where it is installed."""
    batch: int = Field(default=128, ge=1)
    """Windows fitted together; does not change any number."""
    quadrature: int = Field(default=4096, ge=64)
    """Points of the quadrature over nuisance parameters in exact counting (a power of two)."""
    toys: ToysConfig = ToysConfig()
    certificate: CertificateConfig = CertificateConfig()
    lint: LintConfig = LintConfig()

    @model_validator(mode="after")
    def _sensible(self) -> StatisticsConfig:
        if not self.cls:
            raise ValueError("cls is empty; give at least one confidence level, for example [0.90]")
        if len(set(self.cls)) != len(self.cls):
            raise ValueError(f"cls {list(self.cls)} repeats a level; give each once")
        if self.quadrature & (self.quadrature - 1):
            raise ValueError(f"quadrature {self.quadrature} is no power of two; use for example 4096")
        if self.check_events < self.few_events:
            raise ValueError(f"check_events {self.check_events} is below few_events {self.few_events}; raise it")
        return self
