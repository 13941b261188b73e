"""The certificate of a limit: pyhf itself confirms it, and the recipe to do that again is written down."""

from __future__ import annotations

import copy
import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyhf

from darkfactory.config.statistics import CertificateConfig
from darkfactory.core.errors import RunError
from darkfactory.stats.channel_density import Density, density_of
from darkfactory.stats.histfactory import FloatArray, UnsupportedModel
from darkfactory.stats.newton import Backend
from darkfactory.stats.optimizer import NewtonOptimizer, pyhf_backend

__all__ = ["Claim", "EvaluationsSpentError", "PyhfWindow", "certify", "recipe", "rescaled"]

STOCK_TOLERANCE = 1e-12
_BOUND_FACTOR = 4.0
# central differences are good while 2 log L changes little over the step: a parameter near a wall bends within 1e-4
_STEP_RISE = 1e-3
# counts that a bin may expect below zero by rounding
_BELOW_ZERO = -1e-9


@dataclass(frozen=True)
class Claim:
    """The six limits of one window at one level, in units of the workspace's parameter of interest."""

    cl: float
    observed: float
    expected: tuple[float, ...]


def _poi_samples(spec: Mapping[str, Any]) -> tuple[str, bool]:
    """The parameter of interest, and whether its samples take part in a staterror (and so cannot be rescaled)."""
    poi = spec["measurements"][0]["config"]["poi"]
    shared = any(
        any(m["type"] == "staterror" for m in s["modifiers"])
        for c in spec["channels"]
        for s in c["samples"]
        if any(m["name"] == poi and m["type"] == "normfactor" for m in s["modifiers"])
    )
    return poi, shared


def rescaled(spec: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """The workspace with its signal multiplied by a factor: its limits are those of ``spec`` divided by it.

    Raises:
        UnsupportedModel: the signal takes part in a staterror, whose widths depend on the signal's size.

    Example:
        >>> spec = {"channels": [{"name": "sr", "samples": [
        ...     {"name": "s", "data": [3.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]}]}],
        ...     "observations": [{"name": "sr", "data": [8.0]}], "version": "1.0.0",
        ...     "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}
        >>> rescaled(spec, 2.0)["channels"][0]["samples"][0]["data"]
        [6.0]
    """
    poi, shared = _poi_samples(spec)
    if shared:
        raise UnsupportedModel("a signal with staterror is not rescaled: its relative widths would change")
    result: dict[str, Any] = copy.deepcopy(dict(spec))
    for channel in result["channels"]:
        for sample in channel["samples"]:
            if not any(m["name"] == poi and m["type"] == "normfactor" for m in sample["modifiers"]):
                continue
            sample["data"] = [factor * v for v in sample["data"]]
            for mod in sample["modifiers"]:
                if mod["type"] == "histosys":
                    mod["data"] = {k: [factor * v for v in values] for k, values in mod["data"].items()}
                elif mod["type"] == "shapesys":
                    mod["data"] = [factor * v for v in mod["data"]]
    return result


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence pyhf's log and scipy's warnings inside a trial: its failure is handled here, not printed."""
    log = logging.getLogger("pyhf")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


class EvaluationsSpentError(ValueError):
    """A search in stock pyhf that took more evaluations than it was allowed."""


class _CountedModel(pyhf.Model):  # type: ignore[misc]  # its base is untyped
    """A pyhf model that stops a search after so many evaluations of its density."""

    allowed: int | None = None

    def logpdf(self, pars: Any, data: Any) -> Any:
        if self.allowed is not None:
            self.allowed -= 1
            if self.allowed < 0:
                raise EvaluationsSpentError("stopped: more evaluations than certificate.stock_evaluations")
        return super().logpdf(pars, data)


@dataclass
class PyhfWindow:
    """One workspace as pyhf sees it: model, data, bounds, and pyhf's own hypothesis tests.

    Attributes:
        spec: workspace.
        poi_high: upper bound of the signal strength.
        evaluations: of the density that are allowed in all, None for any number.
    """

    spec: Mapping[str, Any]
    poi_high: float
    evaluations: int | None = None
    model: Any = field(init=False)
    data: Any = field(init=False)
    bounds: list[tuple[float, float]] = field(init=False)

    def __post_init__(self) -> None:
        """Build pyhf's model from the JSON (the schema was checked when the workspace was written)."""
        measurement = self.spec["measurements"][0]["config"]
        self.model = _CountedModel(
            {"channels": self.spec["channels"], "parameters": measurement.get("parameters", [])},
            validate=False,
            poi_name=measurement["poi"],
        )
        self.model.allowed = self.evaluations
        counts = {o["name"]: o["data"] for o in self.spec["observations"]}
        main = [float(v) for c in self.model.config.channels for v in counts[c]]
        self.data = np.array(main + [float(v) for v in self.model.config.auxdata])
        self.bounds = [tuple(b) for b in self.model.config.suggested_bounds()]
        poi = self.model.config.poi_index
        self.bounds[poi] = (0.0, self.poi_high)

    def hypotest(self, mu: float) -> tuple[float, list[float], Any]:
        """Observed CLs of pyhf, expected CLs and calculator at a signal strength, with the backend that is set."""
        with _quiet():
            observed, band, calculator = pyhf.infer.hypotest(
                mu,
                self.data,
                self.model,
                par_bounds=list(self.bounds),
                test_stat="qtilde",
                return_expected_set=True,
                return_calculator=True,
            )
        return float(observed), [float(v) for v in band], calculator


def recipe(poi_high: float, rescale: float) -> dict[str, Any]:
    """How to repeat a limit with stock pyhf and the workspace on disk.

    Example:
        >>> recipe(10.0, 1.0)["test_stat"]
        'qtilde'
    """
    return {
        "pyhf": pyhf.__version__,
        "backend": "numpy",
        "optimizer": "scipy_optimizer",
        "tolerance": STOCK_TOLERANCE,
        "test_stat": "qtilde",
        "calc_base_dist": "normal",
        "poi_bounds": [0.0, poi_high],
        "signal_rescale": rescale,
    }


def poi_high(claims: Sequence[Claim]) -> float:
    """Upper bound of the signal strength for pyhf: beyond every limit, never below pyhf's own ten.

    Example:
        >>> poi_high([Claim(0.9, 2.0, (1.0, 2.0, 3.0, 4.0, 5.0))])
        20.0
    """
    return max(10.0, _BOUND_FACTOR * max(v for c in claims for v in (c.observed, *c.expected)))


def _gradient_gain(
    window: PyhfWindow, density: Density, pars: FloatArray, data: FloatArray, fixed: np.ndarray
) -> float:
    """What pyhf's own log-density says could still be gained in 2 log L around a fit, coordinate by coordinate.

    Central differences in batches; at a bound only the way inward counts. Where 2 log L rises steeply,
    the differences are taken once more over a step on its own scale.
    """
    h = 1e-4 * np.maximum(1.0, np.abs(pars))
    gain, curvature = _gains(window, density, pars, data, h)
    with np.errstate(all="ignore"):
        fine = np.where(curvature > 0, np.sqrt(_STEP_RISE / np.where(curvature > 0, curvature, 1.0)), h)
    if bool((~fixed & (fine < h)).any()):
        gain, _ = _gains(window, density, pars, data, np.minimum(h, fine))
    gain = np.where(fixed, 0.0, gain)
    return float(gain.max()) if np.isfinite(gain).all() else math.inf


def _gains(
    window: PyhfWindow, density: Density, pars: FloatArray, data: FloatArray, h: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Possible gain of each coordinate (infinite if pyhf has no value there) and curvature, at given steps."""
    lo = np.array([b[0] for b in window.bounds])
    hi = np.array([b[1] for b in window.bounds])
    # a step that leaves the bounds is taken inward only
    up = np.where(pars + h <= hi, pars + h, pars)
    down = np.where(pars - h >= lo, pars - h, pars)
    centre, f_up, f_down = (-2 * f for f in density.along(pars, data, up, down))
    du, dd = up - pars, pars - down
    both = (du > 0) & (dd > 0)
    with np.errstate(all="ignore"):
        slope = np.where(both, (f_up - f_down) / (du + dd), 0.0)
        curvature = np.where(both, (f_up + f_down - 2 * centre) / (0.25 * (du + dd) ** 2), 0.0)
        newton = np.where(both & (curvature > 0), 0.5 * slope * slope / curvature, 0.0)
        inward = np.where(~both, np.maximum(centre - np.minimum(f_up, f_down), 0.0), 0.0)
        bent = np.where(both & (curvature <= 0), np.maximum(centre - np.minimum(f_up, f_down), 0.0), 0.0)
        gain = np.where(both, np.maximum(newton, bent), inward)
    known = np.isfinite(f_up) & np.isfinite(f_down) & np.isfinite(centre)
    return np.where(known, gain, np.inf), np.where(known, curvature, np.inf)


def _check_hypotests(window: PyhfWindow, claims: Sequence[Claim]) -> tuple[float, list[Any]]:
    """Largest |CLs/(1-cl) - 1| over all claimed limits, and the calculators at the observed ones."""
    worst = 0.0
    calculators = []
    for claim in claims:
        alpha = 1 - claim.cl
        observed, _, calculator = window.hypotest(claim.observed)
        calculators.append(calculator)
        worst = max(worst, abs(observed / alpha - 1))
        for k, mu in enumerate(claim.expected):
            _, band, _ = window.hypotest(mu)
            worst = max(worst, abs(band[k] / alpha - 1))
    return (worst if math.isfinite(worst) else math.inf), calculators


def _check_gradients(window: PyhfWindow, density: Density, calculators: Sequence[Any]) -> float:
    model = window.model
    fixed = np.array(model.config.suggested_fixed())
    held = fixed.copy()
    held[model.config.poi_index] = True
    worst = 0.0
    for i, calculator in enumerate(calculators):
        fits = calculator.fitted_pars
        asimov = np.asarray(model.expected_data(fits.asimov_pars))
        todo = [(fits.fixed_poi_fit_to_data, window.data, held), (fits.fixed_poi_fit_to_asimov, asimov, held)]
        if i == 0:
            todo += [(fits.free_fit_to_data, window.data, fixed), (fits.asimov_pars, window.data, held)]
        for pars, data, mask in todo:
            worst = max(worst, _gradient_gain(window, density, np.asarray(pars, dtype=float), data, mask))
    return worst


def _check_stock(spec: Mapping[str, Any], claims: Sequence[Claim], config: CertificateConfig) -> dict[str, Any]:
    """Redo the observed limits and one expected one by stock pyhf from its own start values."""
    factor = claims[0].expected[2]
    if not 0.05 < factor < 20:
        try:
            spec = rescaled(spec, factor)
        except UnsupportedModel:
            factor = 1.0
    else:
        factor = 1.0
    scaled = [Claim(c.cl, c.observed / factor, tuple(v / factor for v in c.expected)) for c in claims]
    window = PyhfWindow(spec, poi_high(scaled), config.stock_evaluations)
    worst = 0.0
    better = False
    for claim in scaled:
        for mu, k in ((claim.observed, -1), (claim.expected[2], 2)):
            with pyhf_backend(pyhf.optimize.scipy_optimizer(tolerance=STOCK_TOLERANCE)):
                try:
                    observed, band, stock = window.hypotest(mu)
                except (pyhf.exceptions.FailedMinimization, ValueError) as error:
                    return {"deviation": None, "signal_rescale": factor, "failed": str(error)[:200], "passed": True}
            value = observed if k < 0 else band[k]
            deviation = abs(value / (1 - claim.cl) - 1)
            if not deviation <= config.stock_tolerance:
                uncounted = PyhfWindow(spec, window.poi_high)
                with pyhf_backend(NewtonOptimizer()):
                    _, _, ours = uncounted.hypotest(mu)
                    better = better or _stock_is_better(uncounted, stock.fitted_pars, ours.fitted_pars)
            worst = max(worst, deviation if math.isfinite(deviation) else math.inf)
    # stock minimisers stop early at low counts; only a minimum below ours is evidence against ours
    return {
        "deviation": worst if math.isfinite(worst) else None,
        "signal_rescale": factor,
        "stock_minimum_lower": better,
        "passed": bool(worst <= config.stock_tolerance or not better),
    }


def _stock_is_better(window: PyhfWindow, stock: Any, ours: Any) -> bool:
    """Whether a stock fit to the data or to our Asimov set found a lower minimum than ours.

    Minima where bins expect less than nothing do not count. An empty bin has no wall at zero: a shape extrapolated
    beyond it gains without end and describes nothing.
    """

    def value(pars: Any, data: Any) -> float:
        point = np.asarray(pars)
        if float(np.min(window.model.main_model.expected_data(point))) < _BELOW_ZERO:
            return math.inf
        return float(pyhf.infer.mle.twice_nll(point, data, window.model)[0])

    sets = dict.fromkeys(("asimov_pars", "free_fit_to_data", "fixed_poi_fit_to_data"), window.data)
    sets["fixed_poi_fit_to_asimov"] = np.asarray(window.model.expected_data(np.asarray(ours.asimov_pars)))
    return any(value(getattr(stock, n), data) < value(getattr(ours, n), data) - 1e-7 for n, data in sets.items())


def certify(
    spec: Mapping[str, Any],
    claims: Sequence[Claim],
    hints: Sequence[FloatArray],
    config: CertificateConfig,
    *,
    stock_reason: str = "",
    backend: Backend = "numpy",
) -> dict[str, Any]:
    """Let pyhf confirm the limits of one window.

    Args:
        spec: the workspace on disk.
        claims: its limits at each level, in units of the parameter of interest.
        hints: kernel parameters at the limits, in kernel order; they save time only.
        config: tolerances and depth.
        stock_reason: why stock pyhf redoes this window (``random``, ``excess``, ``flagged``), empty for not.
        backend: of the fits that pyhf is given.

    Returns:
        JSON-like certificate; ``passed`` says whether the limits stand.

    Example:
        >>> from darkfactory.stats.histfactory import compile_workspace
        >>> from darkfactory.stats.scan import asymptotic_limits
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(100, 100.0, signal=10.0)
        >>> r = asymptotic_limits(compile_workspace(spec)[1], [0.95])
        >>> claim = Claim(0.95, float(r.observed[0, 0]), tuple(float(v) for v in r.expected[0, 0]))
        >>> certify(spec, [claim], [], CertificateConfig())["passed"]
        True
    """
    high = poi_high(claims)
    window = PyhfWindow(spec, high)
    optimizer = NewtonOptimizer(backend=backend)
    compiled = optimizer.compiled(window.model)
    for theta in hints:
        vector = np.array(window.model.config.suggested_init(), dtype=float)
        vector[compiled.explicit] = theta
        optimizer.hints.append(vector)
    result: dict[str, Any] = {"recipe": recipe(high, 1.0), "confirmed_by": "pyhf hypotest, Newton optimiser"}
    with pyhf_backend(optimizer):
        try:
            density = density_of(window.model)
            strengths = dict.fromkeys(v for c in claims for v in (c.observed, *c.expected))
            optimizer.prepare(window.model, window.data, window.bounds, list(strengths), density.values)
            deviation, calculators = _check_hypotests(window, claims)
            gain = _check_gradients(window, density, calculators) if config.gradient else None
        except (pyhf.exceptions.FailedMinimization, ValueError, RunError) as error:
            return {**result, "passed": False, "failed": str(error)[:200]}
    passed = deviation <= config.tolerance and (gain is None or gain <= config.gradient_tolerance)
    result["cls_deviation"] = deviation if math.isfinite(deviation) else None
    result["possible_gain"] = gain if gain is None or math.isfinite(gain) else None
    # stock gradients are numerical: per-bin factors count as much as any parameter
    if stock_reason and window.model.config.npars <= config.stock_max_parameters:
        result["stock"] = {"reason": stock_reason, **_check_stock(spec, claims, config)}
        passed = passed and bool(result["stock"]["passed"])
    return {**result, "passed": bool(passed)}
