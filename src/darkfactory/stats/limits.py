"""From workspaces to limit records: lint, fit, certify, fall back, and switch method where events are few."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from scipy.special import ndtri

from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.errors import InputError, RunError, UserError
from darkfactory.core.seeds import generator
from darkfactory.records.limits import DataKind, LimitRecord, Method, Status
from darkfactory.stats.asymptotics import p_value_q0
from darkfactory.stats.bayes import bayes_counting_limit, bayes_limit
from darkfactory.stats.certificate import Claim, certify
from darkfactory.stats.counting import counting_limits, counting_p0, counting_rates, is_counting
from darkfactory.stats.histfactory import Batch, FloatArray, compile_workspace, compile_workspaces
from darkfactory.stats.lint import effective_background, lint_workspace
from darkfactory.stats.minima import undescribed
from darkfactory.stats.newton import Backend, fastest
from darkfactory.stats.scan import asymptotic_limits
from darkfactory.stats.stock import stock_limits
from darkfactory.stats.toys import ToyLimit, toy_limits

__all__ = ["WorkspaceInput", "choose_method", "compute_limits", "fit_backend"]

log = logging.getLogger(__name__)

Band = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class WorkspaceInput:
    """One point's workspace and what its limit means.

    Attributes:
        point: name, ``m0p50000``.
        hypothesis: kind of signal.
        axes: physical values of the axes.
        spec: complete HistFactory workspace: signal, measurement, observations.
        scale: physical value of one unit of the parameter of interest.
        quantity: what is limited.
        unit: its unit.
        background: effective background (``lint.effective_background``); worked out from the workspace if None.
        data: ``pseudo``, ``asimov`` or ``real``.
        blinded: whether real data were hidden.
    """

    point: str
    hypothesis: str
    axes: Mapping[str, float]
    spec: Mapping[str, Any]
    scale: float = 1.0
    quantity: str = "cross_section"
    unit: str = "fb"
    background: float | None = None
    data: DataKind = "pseudo"
    blinded: bool = False


@dataclass
class _Point:
    """Asymptotic answer for one point, before the choice of method."""

    status: Status
    claims: tuple[Claim, ...] = ()
    statuses: tuple[Status, ...] = ()
    hints: list[FloatArray] = field(default_factory=list)
    mu_hat: float | None = None
    mu_err: float | None = None
    q0: float | None = None
    flagged: bool = False
    certificate: Mapping[str, Any] = field(default_factory=dict)
    sigma: float = 1.0


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def fit_backend(config: StatisticsConfig) -> Backend:
    """What runs the fits: the configured backend, or the fastest there is."""
    return fastest() if config.backend == "auto" else config.backend


def _engine(specs: Sequence[Mapping[str, Any]], config: StatisticsConfig) -> list[_Point | None]:
    """Asymptotic limits of all workspaces that the engine takes; None where only stock pyhf does."""
    groups, refused = compile_workspaces(specs)
    result: list[_Point | None] = [None] * len(specs)
    for position, error in refused.items():
        log.info("workspace %d goes to stock pyhf: %s", position, error)
    for group in groups:
        for first in range(0, len(group.positions), config.batch):
            part = np.arange(first, min(first + config.batch, len(group.positions)))
            batch = group.batch.take(part)
            scan = asymptotic_limits(batch, config.cls, backend=fit_backend(config))
            base = scan.base
            poor = undescribed(batch, base.free.value)
            for i, position in enumerate(group.positions[first : first + config.batch]):
                statuses = cast(tuple[Status, ...], scan.status[i])
                good = all(s == "ok" for s in statuses)
                claims = tuple(
                    Claim(cl, float(scan.observed[i, j]), tuple(float(v) for v in scan.expected[i, j]))
                    for j, cl in enumerate(config.cls)
                )
                hints = [*scan.observed_fit[i], *scan.observed_asimov[i], base.null.theta[i], base.free.theta[i]]
                hints += [theta for level in scan.expected_fit[i] for theta in level]
                fitted = bool(base.ok[i])
                # a profile without curvature (all information from one side) still has an expected error
                error = base.sigma[i] if np.isfinite(base.sigma[i]) else scan.sigma_asimov[i]
                result[position] = _Point(
                    status="ok" if good else next(s for s in statuses if s != "ok"),
                    claims=claims if good else (),
                    statuses=statuses,
                    hints=hints,
                    mu_hat=_finite(base.free.theta[i, batch.structure.poi]) if fitted else None,
                    mu_err=_finite(error) if fitted else None,
                    q0=_finite(base.q0[i]) if fitted else None,
                    flagged=bool(fitted and (poor[i] or not base.free.curvature[i] > 0)),
                    sigma=float(scan.sigma_asimov[i]) if np.isfinite(scan.sigma_asimov[i]) else 1.0,
                )
    return result


def _certified(item: WorkspaceInput, point: _Point | None, config: StatisticsConfig, seed: int) -> _Point:
    """The point with its certificate, searched in stock pyhf where the engine or the certificate failed."""
    options = config.certificate
    if point is not None and point.status in ("no_sensitivity", "several_minima"):
        # stock pyhf would find one of several minima, whichever is nearest
        return point
    if point is not None and point.status == "ok":
        drawn = generator(seed, "stats", "certificate", item.hypothesis, item.point).random()
        reason = ""
        if point.flagged:
            reason = "flagged"
        elif point.q0 is not None and math.sqrt(point.q0) >= options.stock_significance:
            reason = "excess"
        elif drawn < options.stock_fraction:
            reason = "random"
        point.certificate = certify(
            item.spec, point.claims, point.hints, options, stock_reason=reason, backend=fit_backend(config)
        )
        if point.certificate["passed"]:
            return point
        log.warning("certificate of %s failed: %s", item.point, dict(point.certificate))
    if not options.fallback:
        failed = point or _Point("fit_failed")
        failed.status = "fit_failed" if failed.status == "ok" else failed.status
        failed.claims = ()
        return failed
    stock = stock_limits(
        item.spec,
        config.cls,
        max_parameters=options.stock_max_parameters,
        evaluations=options.stock_evaluations,
    )
    ok = stock.status == "ok" and bool(stock.certificate.get("passed", False))
    status = "ok" if ok else ("fit_failed" if stock.status == "ok" else cast(Status, stock.status))
    return _Point(
        status=status,
        claims=stock.claims if ok else (),
        mu_hat=stock.mu_hat,
        mu_err=point.mu_err if point is not None else None,
        q0=stock.q0,
        certificate={**stock.certificate, "engine": dict(point.certificate) if point is not None else "unsupported"},
        sigma=point.sigma if point is not None else 1.0,
    )


def choose_method(batch: Batch | None, background: float, config: StatisticsConfig, where: str = "window") -> Method:
    """How the limit of a window is made.

    Args:
        batch: the compiled window, None where only stock pyhf takes it.
        background: expected background in the signal region.
        config: methods and thresholds.
        where: the window's name, for messages.

    Raises:
        InputError: a method was asked for that the window does not allow.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> choose_method(compile_workspace(counting_window(0, 1.0))[1], 1.0, StatisticsConfig())
        'exact'
    """
    counting = batch is not None and is_counting(batch)
    if config.method == "exact" and not counting:
        raise InputError(
            f"statistics.method is exact, but the workspace of {where} is no one-bin counting with constrained "
            "parameters only; use method auto or toys"
        )
    if config.method == "toys" and batch is None:
        raise InputError(f"statistics.method is toys, but only stock pyhf takes the workspace of {where}")
    if config.method != "auto":
        return config.method
    # counting is exact at any expectation: it costs nothing, and asymptotic limits cover too little still at ten events
    if counting:
        return "exact"
    return "asymptotic" if background >= config.few_events or batch is None else "toys"


def _band(values: Sequence[float], scale: float) -> Band:
    a, b, c, d, e = (float(v) * scale for v in values)
    return a, b, c, d, e


def _few_events(
    item: WorkspaceInput, point: _Point, batch: Batch, method: Method, config: StatisticsConfig, seed: int
) -> list[dict[str, Any]]:
    """Exact or toy limits at each level: the fields of a record that differ from the asymptotic ones."""
    path = ("stats", "toys", item.hypothesis, item.point)
    rows: list[dict[str, Any]] = []
    if method == "exact":
        rates = counting_rates(batch, config.quadrature)
        n = float(batch.observed.blocks[0].counts[0, 0])
        p0 = counting_p0(n, rates)
        for cl in config.cls:
            exact = counting_limits(n, rates, cl)
            row: dict[str, Any] = {"p0": p0, "certificate": {"confirmed_by": "exact counting", "passed": True}}
            if exact is None:
                rows.append({**row, "status": "no_sensitivity"})
            else:
                rows.append({**row, "status": "ok", "observed": exact[0], "expected": exact[1]})
        return rows
    if not point.claims:
        return [{"status": point.status} for _ in config.cls]
    around = (
        min(v for c in point.claims for v in (c.observed, *c.expected)),
        max(v for c in point.claims for v in (c.observed, *c.expected)),
    )
    options = config.toys
    try:
        toys: list[ToyLimit] = toy_limits(
            batch, config.cls, around, toys=options.toys, steps=options.steps, seed=seed, path=path,
            chunk=options.chunk, backend=fit_backend(config),
        )  # fmt: skip
    except RunError as error:
        log.warning("toys of %s failed: %s", item.point, error)
        return [{"status": "fit_failed", "extra": {"toys_error": str(error)}} for _ in config.cls]
    for toy in toys:
        extra = {"toys": options.toys, "toys_failed": toy.failed, "toys_seed": [seed, *path], "error": toy.error}
        certificate = {"confirmed_by": "toys", "passed": toy.observed is not None}
        if toy.observed is None or toy.expected is None:
            rows.append({"status": "not_bracketed", "extra": extra, "certificate": certificate})
        else:
            rows.append(
                {
                    "status": "ok",
                    "observed": toy.observed,
                    "expected": toy.expected,
                    "extra": extra,
                    "certificate": certificate,
                }
            )
    return rows


def _bayes(item: WorkspaceInput, point: _Point, batch: Batch | None, config: StatisticsConfig) -> list[dict[str, Any]]:
    if batch is None:
        raise InputError(f"statistics.method is bayes, but only stock pyhf takes the workspace of {item.point}")
    rows: list[dict[str, Any]] = []
    for cl in config.cls:
        if is_counting(batch):
            n = float(batch.observed.blocks[0].counts[0, 0])
            value = bayes_counting_limit(n, counting_rates(batch, config.quadrature), cl)
        elif point.status == "no_sensitivity":
            value = None
        else:
            value = bayes_limit(batch, cl, point.sigma)
        status = "ok" if value is not None else "no_sensitivity"
        rows.append({"status": status, "observed": value, "certificate": {"confirmed_by": "flat prior"}})
    return rows


def _significance(p0: float | None) -> float | None:
    """Significance of a p-value; zero where there is no excess."""
    if p0 is None:
        return None
    return 0.0 if p0 >= 0.5 else float(-ndtri(max(p0, 1e-300)))


def _records(item: WorkspaceInput, point: _Point, config: StatisticsConfig, seed: int) -> list[LimitRecord]:
    lint = tuple(lint_workspace(item.spec, config.lint))
    background = item.background if item.background is not None else effective_background(item.spec)
    try:
        batch: Batch | None = compile_workspace(item.spec)[1]
    except UserError:
        batch = None
    method = choose_method(batch, background, config, item.point)
    p0 = None if point.q0 is None else float(p_value_q0(np.array(point.q0)))
    asymptotic = [
        {"observed": c.observed * item.scale, "expected": list(_band(c.expected, item.scale))} for c in point.claims
    ]
    if method == "asymptotic":
        rows: list[dict[str, Any]] = [
            {"status": "ok", "observed": c.observed, "expected": c.expected, "certificate": point.certificate}
            for c in point.claims
        ] or [{"status": point.status, "certificate": point.certificate} for _ in config.cls]
        drawn = generator(seed, "stats", "check", item.hypothesis, item.point).random()
        if batch is not None and point.claims and background < config.check_events and drawn < config.check_fraction:
            checks = _few_events(item, point, batch, "exact" if is_counting(batch) else "toys", config, seed)
            for row, check in zip(rows, checks, strict=True):
                row["extra"] = {"check": {**check, "ratio": check.get("observed", math.nan) / row["observed"]}}
    elif method == "bayes":
        rows = _bayes(item, point, batch, config)
    else:
        if batch is None:
            raise InputError(f"{item.point}: only stock pyhf takes this workspace; {method} needs the engine")
        rows = _few_events(item, point, batch, method, config, seed)
    result = []
    for j, (cl, row) in enumerate(zip(config.cls, rows, strict=True)):
        extra = dict(row.get("extra", {}))
        if method != "asymptotic" and asymptotic:
            extra["asymptotic"] = {**asymptotic[j], "certificate": dict(point.certificate)}
        extra["background"] = background
        observed, expected = row.get("observed"), row.get("expected")
        local = row.get("p0", p0)
        result.append(
            LimitRecord(
                point=item.point,
                hypothesis=item.hypothesis,
                axes=dict(item.axes),
                quantity=item.quantity,
                unit=item.unit,
                cl=cl,
                observed=None if observed is None else float(observed) * item.scale,
                expected=None if expected is None else _band(expected, item.scale),
                method=method,
                scale=item.scale,
                p0_local=local,
                z_local=_significance(local),
                mu_hat=point.mu_hat,
                mu_err=point.mu_err,
                status=row["status"],
                data=item.data,
                blinded=item.blinded,
                certificate=dict(row.get("certificate", {})),
                lint=lint,
                extra=extra,
            )
        )
    return result


def compute_limits(
    workspaces: Sequence[WorkspaceInput], config: StatisticsConfig | None = None, *, seed: int = 0
) -> list[LimitRecord]:
    """Limits of a list of points, certified, in the order given (all levels of a point together).

    The numbers of a point do not depend on which other points are in the list.

    Args:
        workspaces: points with their workspaces.
        config: levels, methods, tolerances.
        seed: campaign seed, for toys and for the draw of points that stock pyhf redoes.

    Returns:
        ``len(workspaces) * len(config.cls)`` records, each with a status.

    Raises:
        InputError: a method was asked for that a workspace does not allow.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(0, 0.0)
        >>> record = compute_limits([WorkspaceInput("m1p00000", "zprime", {"mass_gev": 1.0}, spec)])[1]
        >>> record.method, record.cl, round(record.observed, 3)
        ('exact', 0.95, 2.996)
    """
    config = config or StatisticsConfig()
    records: list[LimitRecord] = []
    if config.method == "exact":
        # needs no asymptotic answer, neither as its start nor as its certificate
        for item in workspaces:
            records += _records(item, _Point("ok"), config, seed)
    else:
        points = _engine([item.spec for item in workspaces], config)
        for item, point in zip(workspaces, points, strict=True):
            records += _records(item, _certified(item, point, config, seed), config, seed)
    counts: dict[str, int] = {}
    for record in records:
        counts[record.status] = counts.get(record.status, 0) + 1
    log.info("limits of %d points: %s", len(workspaces), counts)
    return records
