"""Workspaces drawn at random, extreme ones included, and what the engine and pyhf make of them."""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyhf

from darkfactory.config.statistics import CertificateConfig
from darkfactory.stats.certificate import STOCK_TOLERANCE, Claim, PyhfWindow, certify, poi_high
from darkfactory.stats.histfactory import compile_workspaces
from darkfactory.stats.limits import _poor
from darkfactory.stats.newton import Backend, fastest
from darkfactory.stats.optimizer import NewtonOptimizer, pyhf_backend
from darkfactory.stats.scan import ScanResult, asymptotic_limits

LEVELS = (0.90, 0.95)
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


@dataclass
class Survey:
    """What became of a number of workspaces.

    Attributes:
        status: of the engine, or ``unsupported``.
        certificate: of those with limits: ``passed`` or the reason why not.
        pyhf: minima of stock pyhf against ours: ``equal``, ``higher`` (it stopped early), ``lower``, ``failed``;
            ``lower, below zero`` where stock pyhf's minimum expects negative counts.
        limits: stock pyhf's CLs at our observed limit, where its fits are not cut short: ``equal``, ``higher minimum``
            (some fit of its own stopped above ours), ``lower minimum, below zero``, ``lower minimum`` or ``failed``.
        largest: largest relative difference of CLs among the ``equal`` ones, of which all minima agree.
        closure: largest relative difference of CLs at all limits by pyhf with our optimiser, among those certified.
        problems: seeds with what must not be.
    """

    status: Counter[str] = field(default_factory=Counter)
    certificate: Counter[str] = field(default_factory=Counter)
    pyhf: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)
    largest: float = 0.0
    closure: float = 0.0
    problems: list[tuple[int, str]] = field(default_factory=list)

    def __add__(self, other: Survey) -> Survey:
        """Both together."""
        return Survey(
            self.status + other.status, self.certificate + other.certificate, self.pyhf + other.pyhf,
            self.limits + other.limits, max(self.largest, other.largest), max(self.closure, other.closure),
            [*self.problems, *other.problems],
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {k: dict(v) if isinstance(v, Counter) else v for k, v in self.__dict__.items()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Survey:
        """Read the form of :meth:`to_dict`."""
        counters = {k: Counter(v) for k, v in value.items() if isinstance(v, dict)}
        problems = [(int(seed), str(text)) for seed, text in value["problems"]]
        return cls(**{**value, **counters, "problems": problems})


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


def digest() -> str:
    """Of everything that a survey's result follows from."""
    here = Path(__file__)
    files = [here, *sorted((here.parents[2] / "src" / "darkfactory" / "stats").glob("*.py"))]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


def resumed(
    folder: Path, part: int, backends: tuple[Backend, ...], *, size: int = 500, step: int = 50, stock_every: int = 5
) -> Survey:
    """The survey of one part of ``size`` workspaces, ``step`` at a time; what was finished before is read, not made."""
    total = Survey()
    key = digest()
    for first in range(size * part, size * (part + 1), step):
        path = folder / f"{first:05d}_{step}_{'_'.join(backends)}_{stock_every}_{key}.json"
        if path.exists():
            total += Survey.from_dict(json.loads(path.read_text()))
            continue
        made = survey(range(first, first + step), backends, stock_every=stock_every)
        path.write_text(json.dumps(made.to_dict()))
        total += made
    return total


def survey(
    seeds: Iterable[int], backends: tuple[Backend, ...], *, certificates: bool = True, stock_every: int = 1
) -> Survey:
    """Limits of workspaces by the engine, checked by pyhf."""
    found = Survey()
    for seed in seeds:
        spec = random_workspace(seed)
        groups, refused = compile_workspaces([spec])
        if refused:
            found.status["unsupported"] += 1
            continue
        batch = groups[0].batch
        results = [asymptotic_limits(batch, LEVELS, backend=b) for b in backends]
        first = results[0]
        found.status["/".join(dict.fromkeys(first.status[0]))] += 1
        differing: list[tuple[int, str]] = []
        for b, r in zip(backends, results, strict=True):
            if problem := check_numbers(r):
                found.problems.append((seed, f"{b}: {problem}"))
            if r.status != first.status and not degenerate(first):
                found.problems.append((seed, f"{b} says {r.status}, {backends[0]} says {first.status}"))
            elif r.status == first.status and not np.allclose(r.expected, first.expected, rtol=1e-5, equal_nan=True):
                differing.append((seed, f"{b} and {backends[0]} differ"))
        claims = [
            Claim(cl, float(first.observed[0, j]), tuple(float(v) for v in first.expected[0, j]))
            for j, cl in enumerate(LEVELS)
        ]
        if first.status[0] == ("ok", "ok") and (certificates or differing):
            made = certify(spec, claims, [], CertificateConfig(), backend=backends[-1])
            if made["passed"]:
                found.certificate["passed"] += 1
                found.closure = max(found.closure, made["cls_deviation"])
                # what pyhf does not confirm is not published
                found.problems += differing
            else:
                reason = "fit failed" if "failed" in made else "CLs or gradient"
                found.certificate[reason] += 1
        if certificates and seed % stock_every == 0 and first.status[0][0] == "ok":
            same, deviation = compare_limit(spec, claims[0])
            # flagged windows are looked at by stock pyhf before anything is written
            same += ", flagged" if same == "lower minimum" and bool(_poor(batch, first.base)[0]) else ""
            found.limits[same] += 1
            if same == "equal":
                found.largest = max(found.largest, deviation)
        if seed % stock_every == 0:
            verdict = compare_minimum(spec)
            # data that no parameters describe, or expectations below zero, have several minima: limits are flagged
            if verdict == "lower" and bool(_poor(batch, first.base)[0]):
                verdict = "lower, flagged"
            if verdict == "lower" and "ok" not in first.status[0]:
                verdict = "lower, no limit"
            if verdict == "ours failed" and degenerate(first):
                verdict = "ours failed, degenerate"
            found.pyhf[verdict] += 1
            if verdict in ("lower", "ours failed"):
                found.problems.append((seed, f"stock pyhf: {verdict}"))
    return found


def main() -> None:
    """``python tests/statistics/random_workspaces.py FOLDER PART [PART ...]``: survey parts, and all together."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    total = Survey()
    for part in map(int, sys.argv[2:]):
        total += resumed(folder, part, (fastest(),), stock_every=10)
        sys.stdout.write(f"to part {part}: {json.dumps(total.to_dict())}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
