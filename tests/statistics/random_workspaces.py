"""Workspaces drawn at random, extreme ones included, and what the engine and pyhf make of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyhf

from darkfactory.config.statistics import CertificateConfig
from darkfactory.stats.base_fits import floating, join_data, unbounded
from darkfactory.stats.certificate import STOCK_TOLERANCE, Claim, PyhfWindow, certify, poi_high
from darkfactory.stats.histfactory import Batch, compile_workspaces
from darkfactory.stats.minima import undescribed
from darkfactory.stats.newton import Backend, fastest, fit
from darkfactory.stats.optimizer import NewtonOptimizer, pyhf_backend
from darkfactory.stats.scan import ScanResult, asymptotic_limits

LEVELS = (0.90, 0.95)
RANDOM_STARTS = 20
LUMI = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "bounds": [[0.5, 1.5]], "inits": [1.0]}


def _shape(rng: np.random.Generator, bins: int, total: float) -> np.ndarray:
    """Yields of one sample; some bins empty now and then."""
    values = rng.gamma(rng.choice([0.3, 1.0, 5.0]), size=bins) + 1e-9
    values *= total / values.sum()
    if rng.random() < 0.2:
        values[rng.integers(bins)] = 0.0
    return values


def _variation(rng: np.random.Generator, nominal: np.ndarray) -> dict[str, list[float]]:
    size = rng.choice([0.02, 0.2, 0.6])
    up = nominal * (1 + size * rng.uniform(-1, 1, len(nominal)))
    down = nominal * (1 + size * rng.uniform(-1, 1, len(nominal)))
    return {"hi_data": up.tolist(), "lo_data": down.tolist()}


def _modifiers(rng: np.random.Generator, channel: int, sample: int, nominal: np.ndarray, signal: bool) -> list[Any]:
    mods: list[Any] = [{"name": "mu", "type": "normfactor", "data": None}] if signal else []
    if rng.random() < 0.4:
        mods.append({"name": "lumi", "type": "lumi", "data": None})
    for k in range(rng.integers(0, 3)):
        size = rng.choice([0.01, 0.1, 0.5])
        data = {"hi": 1 + size * rng.uniform(0.2, 1), "lo": 1 / (1 + size * rng.uniform(0.2, 1))}
        mods.append({"name": f"norm{k}", "type": "normsys", "data": data})
    for k in range(rng.integers(0, 2)):
        mods.append({"name": f"norm{k}", "type": "histosys", "data": _variation(rng, nominal)})
    if rng.random() < 0.3:
        mods.append({"name": f"shape{rng.integers(2)}", "type": "histosys", "data": _variation(rng, nominal)})
    kind = rng.choice(["", "staterror", "shapesys", "free", "shapefactor"], p=[0.4, 0.2, 0.15, 0.15, 0.1])
    relative = rng.choice([0.02, 0.2, 1.0])
    if kind == "staterror":
        mods.append({"name": f"mc{channel}", "type": "staterror", "data": (relative * nominal).tolist()})
    elif kind == "shapesys":
        mods.append({"name": f"own{channel}{sample}", "type": "shapesys", "data": (relative * nominal).tolist()})
    elif kind == "free" and not signal:
        mods.append({"name": f"free{rng.integers(2)}", "type": "normfactor", "data": None})
    elif kind == "shapefactor" and not signal:
        mods.append({"name": f"bins{len(nominal)}", "type": "shapefactor", "data": None})
    names = [(m["name"], m["type"]) for m in mods]
    return [m for i, m in enumerate(mods) if names.index(names[i]) == i]


def random_workspace(seed: int) -> dict[str, Any]:
    """A workspace of one to three channels with any modifier that pyhf has and yields over nine decades."""
    rng = np.random.default_rng([20240, seed])
    channels, observations = [], []
    level = 10 ** rng.uniform(-2, 6)
    strength = 10 ** rng.uniform(-3, 3) if rng.random() < 0.3 else 1.0
    for c in range(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])):
        bins = int(rng.choice([1, 2, 3, 5, 8, 13]))
        samples, total = [], np.zeros(bins)
        for s in range(rng.integers(1, 4)):
            nominal = _shape(rng, bins, level * 10 ** rng.uniform(-1, 0.5))
            total += nominal
            samples.append(
                {"name": f"background{s}", "data": nominal.tolist(), "modifiers": _modifiers(rng, c, s, nominal, False)}
            )
        if c == 0 or rng.random() < 0.5:
            peak = _shape(rng, bins, strength * (np.sqrt(total.sum()) + 1))
            samples.append({"name": "signal", "data": peak.tolist(), "modifiers": _modifiers(rng, c, 9, peak, True)})
        channels.append({"name": f"c{c}", "samples": samples})
        data = rng.poisson(np.maximum(total * rng.choice([0.0, 0.7, 1.0, 1.0, 1.0, 1.4]), 0.0)).astype(float)
        observations.append({"name": f"c{c}", "data": data.tolist()})
    used = {m["type"] for c in channels for s in c["samples"] for m in s["modifiers"]}
    config = {"poi": "mu", "parameters": [LUMI] if "lumi" in used else []}
    return {
        "channels": channels,
        "observations": observations,
        "measurements": [{"name": "m", "config": config}],
        "version": "1.0.0",
    }


def check_numbers(result: ScanResult) -> str:
    """What is wrong with the numbers of one window, nothing for nothing."""
    for j in range(len(LEVELS)):
        numbers = np.array([result.observed[0, j], *result.expected[0, j]])
        if result.status[0][j] == "ok":
            if not (np.isfinite(numbers).all() and (numbers > 0).all()):
                return f"ok without limits: {numbers.tolist()}"
            if (np.diff(numbers[1:]) <= 0).any():
                return f"band out of order: {numbers.tolist()}"
        elif not np.isnan(numbers).all():
            return f"{result.status[0][j]} with numbers {numbers.tolist()}"
    if result.base.ok[0] and not np.isfinite([result.base.q0[0], result.base.free.value[0]]).all():
        return "a fit that converged has no value"
    return ""


def degenerate(result: ScanResult) -> bool:
    """Whether other parameters undo any small signal: the limit is then a kink, found or not by the last digits."""
    return not result.base.null.curvature[0] > 0


def compare_minimum(spec: dict[str, Any]) -> str:
    """Free fit of stock pyhf against ours, both valued by pyhf's own density."""
    window = PyhfWindow(spec, 1e4)

    def value(optimizer: Any) -> tuple[float, bool]:
        """Minimum, and whether it expects less than nothing somewhere."""
        with pyhf_backend(optimizer), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                pars, found = pyhf.infer.mle.fit(
                    window.data, window.model, par_bounds=list(window.bounds), return_fitted_val=True
                )
            except (pyhf.exceptions.FailedMinimization, ValueError):
                return np.nan, False
            rates = window.model.main_model.expected_data(np.asarray(pars))
        return float(found), bool((np.asarray(rates) < 0).any())

    stock, below = value(pyhf.optimize.scipy_optimizer(tolerance=1e-10))
    ours, _ = value(NewtonOptimizer(backend=fastest()))
    if not np.isfinite(stock):
        return "failed"
    if not np.isfinite(ours):
        return "ours failed"
    room = 1e-5 * (1 + 1e-6 * abs(stock))
    if abs(ours - stock) <= room:
        return "equal"
    if stock > ours:
        return "higher"
    return "lower, below zero" if below else "lower"


def compare_limit(spec: dict[str, Any], claim: Claim) -> tuple[str, float]:
    """Stock pyhf's CLs at our observed limit, and whether its minima are ours."""
    names = ("asimov_pars", "free_fit_to_data", "fixed_poi_fit_to_data", "fixed_poi_fit_to_asimov")
    config = CertificateConfig()
    tests = []
    for optimizer in (pyhf.optimize.scipy_optimizer(tolerance=STOCK_TOLERANCE), NewtonOptimizer(backend=fastest())):
        window = PyhfWindow(spec, poi_high([claim]), config.stock_evaluations)
        with pyhf_backend(optimizer), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                cls, _, calculator = window.hypotest(claim.observed)
            except (pyhf.exceptions.FailedMinimization, ValueError):
                return "failed", np.nan
        tests.append((cls, calculator.fitted_pars))
    window = PyhfWindow(spec, poi_high([claim]))
    asimov = np.asarray(window.model.expected_data(tests[1][1].asimov_pars))
    verdict = "equal"
    with np.errstate(all="ignore"):
        for name in names:
            data = asimov if name.endswith("to_asimov") else window.data
            pars = [np.asarray(getattr(fits, name)) for _, fits in tests]
            stock, ours = (float(pyhf.infer.mle.twice_nll(p, data, window.model)[0]) for p in pars)
            if stock < ours - 1e-6 * (1 + 1e-9 * abs(ours)):
                below = np.min(window.model.main_model.expected_data(pars[0])) < -1e-9
                return ("lower minimum, below zero" if below else "lower minimum"), np.nan
            if stock > ours + 1e-7 * (1 + 1e-9 * abs(ours)):
                verdict = "higher minimum"
    deviation = abs(tests[0][0] / (1 - claim.cl) - 1)
    return verdict, deviation


def lower_minima(m: Batch, result: ScanResult, seed: int, backend: Backend) -> str:
    """Which of a window's fits random starts find a lower minimum of, nothing for none.

    Looked for are the minima without and with signal and those at each limit, for the data and for the Asimov set.
    """
    base, poi, npar = result.base, m.structure.poi, m.init.shape[1]
    limits = [result.observed_fit[0], result.observed_asimov[0], result.expected_fit[0].reshape(-1, npar)]
    theta = np.concatenate([base.null.theta, base.free.theta, *limits])
    asimov = [0, 0, *[0] * len(limits[0]), *[1] * (len(limits[1]) + len(limits[2]))]
    names = ["null", "free", *["data"] * len(limits[0]), *["Asimov"] * (len(limits[1]) + len(limits[2]))]
    free = np.repeat(floating(m, False), len(theta), axis=0)
    free[1, poi] = True
    options: dict[str, Any] = {"hi": np.repeat(unbounded(m), len(theta), axis=0), "backend": backend}
    both = join_data([m.observed, base.asimov])
    first = np.zeros(len(theta), dtype=np.intp)
    known = fit(m, both, theta, free, windows=first, sets=np.array(asimov), **options)
    rng = np.random.default_rng([20241, seed])
    shift = 1.5 * rng.normal(size=(RANDOM_STARTS, *theta.shape))
    normal = np.array(m.structure.kinds) == "normal"
    starts = np.where(normal, m.init + shift * m.width, m.init * np.exp(np.log(2.0) * shift))
    starts[:, :, poi] = theta[:, poi]
    starts[:, 1, poi] = np.abs(shift[:, 1, poi]) * 3 * float(result.sigma_asimov[0])
    row = np.tile(np.arange(len(theta)), RANDOM_STARTS)
    options["hi"] = options["hi"][row]
    found = fit(
        m, both, np.where(free[row], starts.reshape(-1, npar), theta[row]), free[row], windows=first[row],
        sets=np.array(asimov)[row], physical=True, **options,
    )  # fmt: skip
    value = np.where(found.converged, found.value, np.inf).reshape(RANDOM_STARTS, -1).min(axis=0)
    with np.errstate(all="ignore"):
        lower = known.converged & (value < known.value - 1e-6 * (1 + np.abs(known.value)))
    return ", ".join(dict.fromkeys(n for n, low in zip(names, lower, strict=True) if low))


def by_engine(seed: int, backends: Sequence[Backend], *, certificates: bool = True) -> dict[str, Any]:
    """What the engine makes of a workspace, and what pyhf with our optimiser says of it.

    ``problems`` are what must not be: numbers that are none, backends that differ where pyhf confirms one of them.
    """
    spec = random_workspace(seed)
    groups, refused = compile_workspaces([spec])
    if refused:
        return {"seed": seed, "status": "unsupported", "problems": []}
    batch = groups[0].batch
    results = [asymptotic_limits(batch, LEVELS, backend=b) for b in backends]
    first = results[0]
    problems, differing = [], []
    for b, r in zip(backends, results, strict=True):
        if problem := check_numbers(r):
            problems.append(f"{b}: {problem}")
        if r.status != first.status and not degenerate(first):
            problems.append(f"{b} says {r.status}, {backends[0]} says {first.status}")
        elif r.status == first.status and not np.allclose(r.expected, first.expected, rtol=1e-5, equal_nan=True):
            differing.append(f"{b} and {backends[0]} differ")
    row: dict[str, Any] = {
        "seed": seed,
        "status": "/".join(dict.fromkeys(first.status[0])),
        "flagged": bool(undescribed(batch, first.base.free.value)[0]),
        "problems": problems,
    }
    if first.status[0] == ("ok", "ok") and (certificates or differing):
        made = certify(spec, _claims(first), [], CertificateConfig(), backend=backends[-1])
        if made["passed"]:
            row |= {"certificate": "passed", "closure": made["cls_deviation"]}
            # what pyhf does not confirm is not published
            problems += differing
        else:
            off = made.get("cls_deviation") is None or made["cls_deviation"] > CertificateConfig().tolerance
            row["certificate"] = "fit failed" if "failed" in made else "CLs" if off else "gradient"
            row["why"] = made.get("failed") or [made.get("cls_deviation"), made.get("possible_gain")]
            row["degenerate"] = degenerate(first)
        if certificates:
            row["lower"] = lower_minima(batch, first, seed, backends[-1])
    return row


def _claims(result: ScanResult) -> list[Claim]:
    """The limits of the one window of a stack."""
    return [
        Claim(cl, float(result.observed[0, j]), tuple(float(v) for v in result.expected[0, j]))
        for j, cl in enumerate(LEVELS)
    ]


def by_stock(seed: int, backend: Backend, *, limits: bool = True) -> dict[str, Any]:
    """Stock pyhf's minimum against ours, and its CLs at our observed limit if ``limits`` are asked for.

    ``minimum`` is ``equal``, ``higher`` (it stopped early), ``lower``, ``failed``; ``lower, below zero`` where its
    minimum expects negative counts. ``limit`` is ``equal``, ``higher minimum`` (a fit of its own stopped above ours),
    ``lower minimum, below zero``, ``lower minimum`` or ``failed``; ``deviation`` is that of CLs.
    """
    spec = random_workspace(seed)
    groups, refused = compile_workspaces([spec])
    row: dict[str, Any] = {"seed": seed, "problems": []}
    if refused:
        return row
    batch = groups[0].batch
    result = asymptotic_limits(batch, LEVELS, backend=backend)
    # flagged windows are looked at by stock pyhf before anything is written
    flagged = ", flagged" if bool(undescribed(batch, result.base.free.value)[0]) else ""
    if limits and result.status[0][0] == "ok":
        row["limit"], deviation = compare_limit(spec, _claims(result)[0])
        if row["limit"] == "equal":
            row["deviation"] = deviation
        if row["limit"] == "lower minimum":
            row["limit"] += flagged
    row["minimum"] = compare_minimum(spec)
    if row["minimum"] == "lower":
        row["minimum"] += flagged or ("" if "ok" in result.status[0] else ", no limit")
    if row["minimum"] == "ours failed" and degenerate(result):
        row["minimum"] += ", degenerate"
    if row["minimum"] in ("lower", "ours failed"):
        row["problems"].append(f"stock pyhf: {row['minimum']}")
    return row
