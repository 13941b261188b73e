"""The exact-Newton step as a pyhf optimiser: ``pyhf.set_backend("numpy", NewtonOptimizer())``."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyhf
from pyhf.infer.mle import twice_nll
from scipy.optimize import OptimizeResult
from scipy.special import ndtr

from darkfactory.stats.compiled_model import CompiledModel
from darkfactory.stats.histfactory import FloatArray, UnsupportedModel
from darkfactory.stats.minima import BASE_STARTS, LIMIT_STARTS, LOST_STARTS, undescribed
from darkfactory.stats.newton import Backend, Fit

__all__ = ["NewtonOptimizer", "pyhf_backend"]

Density = Callable[[FloatArray, FloatArray], FloatArray]

# minima of one model remembered as starts of the next fits
_STARTS_KEPT = 16
_PATIENCE = 10
# pyhf has one backend a process: threads that set it take turns
_BACKEND = threading.RLock()
# of those remembered or given, where all starts are tried for the lowest of several minima
_HINTS_TRIED = 8


class _DirectBackend(pyhf.tensor.numpy_backend):  # type: ignore[misc]  # its base is untyped
    """pyhf's numpy backend, with the normal distribution function that scipy's distribution object calls in the end.

    The bits are the same; a third of a hypothesis test's time was spent on the way there.
    """

    def normal_cdf(self, x: Any, mu: Any = 0.0, sigma: Any = 1.0) -> Any:
        return ndtr((x - mu) / sigma)


@contextlib.contextmanager
def pyhf_backend(optimizer: Any) -> Iterator[None]:
    """Use pyhf's numpy backend with an optimiser inside a block, then restore whatever was set.

    With the Newton optimiser pyhf also gets the normal distribution function by the direct way (same bits). The backend
    is one of the whole process: another thread waits until the block ends.

    Example:
        >>> with pyhf_backend(NewtonOptimizer()):
        ...     pyhf.get_backend()[1].name
        'newton'
    """
    with _BACKEND:
        old_tensor, old_optimizer = pyhf.get_backend()
        pyhf.set_backend(_DirectBackend() if isinstance(optimizer, NewtonOptimizer) else "numpy", optimizer)
        try:
            yield
        finally:
            pyhf.set_backend(old_tensor, old_optimizer)


class NewtonOptimizer:
    """Exact-Newton minimiser of HistFactory likelihoods behind pyhf's optimiser interface.

    Parameters come from the compiled kernel, the value of the objective from pyhf's own log-density at them. Models
    with what the kernel does not compute exactly raise :class:`UnsupportedModel`; use a stock optimiser for those.

    Example:
        >>> model = pyhf.simplemodels.uncorrelated_background([12.0, 11.0], [50.0, 52.0], [3.0, 7.0])
        >>> data = [51, 48, *model.config.auxdata]
        >>> with pyhf_backend(NewtonOptimizer()):
        ...     round(float(pyhf.infer.hypotest(1.0, data, model, test_stat="qtilde")), 5)
        0.05252
    """

    name = "newton"

    def __init__(
        self,
        tolerance: float = 1e-14,
        maxiter: int = 200,
        hints: Sequence[FloatArray] = (),
        cache: int = 64,
        backend: Backend = "numpy",
    ) -> None:
        """Set up the optimiser.

        Args:
            tolerance: Newton decrement (expected gain in -log L) at which a fit is done.
            maxiter: evaluations before a fit counts as failed.
            hints: parameter vectors in pyhf's order that are tried as starts; they change the time, not the minimum.
            cache: fits remembered for repeated calls (a hypothesis test repeats its mu-independent fits).
            backend: ``numba`` for compiled fits, which need seconds once and then a tenth of the time.
        """
        self.tolerance = tolerance
        self.maxiter = maxiter
        self.backend: Backend = backend
        self.verbose = 0
        self.hints = [np.asarray(h, dtype=float) for h in hints]
        self._cache_size = cache
        self._serial = itertools.count()
        self._models: weakref.WeakKeyDictionary[Any, CompiledModel] = weakref.WeakKeyDictionary()
        self._fits: dict[tuple[Any, ...], tuple[FloatArray, Any, int]] = {}
        self._starts: dict[tuple[Any, ...], list[FloatArray]] = {}
        self._lost: dict[tuple[int, bytes], bool] = {}

    def compiled(self, model: Any) -> CompiledModel:
        """The kernel form of a pyhf model, compiled once.

        Raises:
            UnsupportedModel: the model uses what the engine does not compute exactly.
        """
        if model not in self._models:
            self._models[model] = CompiledModel(model, serial=next(self._serial))
        return self._models[model]

    def minimize(
        self,
        objective: Any,
        data: Any,
        pdf: Any,
        init_pars: Sequence[float],
        par_bounds: Sequence[Sequence[float]],
        fixed_vals: Sequence[tuple[int, float]] | None = None,
        return_fitted_val: bool = False,
        return_result_obj: bool = False,
        return_uncertainties: bool = False,
        return_correlations: bool = False,
        do_grad: bool | None = None,
        do_stitch: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Minimise ``twice_nll``; the signature is that of pyhf's ``OptimizerMixin.minimize``.

        Raises:
            UnsupportedModel: another objective, another backend, uncertainties asked for, or a model that only stock
                pyhf takes.
            pyhf.exceptions.FailedMinimization: no minimum found.
        """
        if objective is not twice_nll or pyhf.tensorlib.name != "numpy":
            raise UnsupportedModel("the Newton optimiser minimises pyhf's twice_nll on the numpy backend only")
        if return_uncertainties or return_correlations or kwargs:
            raise UnsupportedModel(
                f"uncertainties, correlations and options {sorted(kwargs)} are not given by the Newton optimiser; "
                "use pyhf.optimize.minuit_optimizer for them"
            )
        compiled = self.compiled(pdf)
        values = np.asarray(data, dtype=float)
        start = np.array(init_pars, dtype=float)
        bounds = np.array([[float(b[0]), float(b[1])] for b in par_bounds])
        fixed = np.zeros(len(start), dtype=bool)
        for index, value in fixed_vals or ():
            start[index] = float(value)
            fixed[index] = True
        key = self._key(compiled, values, bounds, fixed, start)
        known = self._fits.get(key)
        if known is None:
            pars, evaluations = self._solve(compiled, values, start, bounds, fixed)
            known = (pars, objective(pars, data, pdf)[0], evaluations)
            self._keep(key, known)
        pars, value = known[0].copy(), known[1]
        fields = {"x": pars, "fun": value, "success": True, "message": "Newton decrement below tolerance"}
        result: Any = OptimizeResult()
        result.update({**fields, "nfev": known[2], "unc": None, "corr": None})
        returns: list[Any] = [pars]
        if return_fitted_val:
            returns.append(value)
        if return_result_obj:
            returns.append(result)
        return tuple(returns) if len(returns) > 1 else returns[0]

    @staticmethod
    def _key(
        compiled: CompiledModel, values: FloatArray, bounds: FloatArray, fixed: np.ndarray, start: FloatArray
    ) -> tuple[Any, ...]:
        return compiled.serial, values.tobytes(), bounds.tobytes(), fixed.tobytes(), start[fixed].tobytes()

    def _keep(self, key: tuple[Any, ...], known: tuple[FloatArray, Any, int]) -> None:
        if len(self._fits) >= self._cache_size:
            self._fits.clear()
        self._fits[key] = known

    def prepare(
        self, pdf: Any, data: FloatArray, par_bounds: Sequence[Sequence[float]], mus: Sequence[float], density: Density
    ) -> None:
        """Make all fits of hypothesis tests (qtilde, asymptotic) at several strengths together, and remember them.

        A later ``hypotest`` finds its fits done. A fit that fails here is left to the hypothesis test that asks for it.

        Args:
            pdf: the pyhf model.
            data: flat data, auxiliary data included.
            par_bounds: bounds that the tests are given.
            mus: signal strengths.
            density: pyhf's own log L for rows of parameters and rows of data.
        """
        compiled = self.compiled(pdf)
        poi = pdf.config.poi_index
        bounds = np.array([[float(b[0]), float(b[1])] for b in par_bounds])
        lo, hi = bounds[:, 0], bounds[:, 1]
        init = np.array(pdf.config.suggested_init(), dtype=float)
        loose = np.array(pdf.config.suggested_fixed(), dtype=bool)
        held = loose.copy()
        held[poi] = True
        options: dict[str, Any] = {"tolerance": self.tolerance, "max_iterations": self.maxiter, "backend": self.backend}

        usable = [h for h in self.hints if len(h) == len(init) and np.isfinite(h).all()]

        def nearest(mu: float) -> FloatArray:
            best = min(usable, key=lambda h: abs(h[poi] - mu), default=init)
            start = np.where(loose, init, np.minimum(np.maximum(best, lo), hi))
            start[poi] = mu
            return start

        several = compiled.several(max(map(float, mus), default=1.0))
        count = LIMIT_STARTS

        def others(mu: float, hints: Sequence[FloatArray] = ()) -> list[FloatArray]:
            """More starts where there may be several minima: hints, and around the nominal values."""
            if not several:
                return []
            moved = [*hints, *compiled.spread(init, count)]
            made = [np.where(loose, init, np.minimum(np.maximum(h, lo), hi)) for h in moved]
            for start in made:
                start[poi] = mu
            return made

        def lowest(
            data: Sequence[FloatArray], sets: Sequence[int], starts: Sequence[Sequence[FloatArray]], masks: np.ndarray
        ) -> tuple[FloatArray, Fit]:
            """For each fit, the lowest minimum from its starts; where no bin expects less than nothing if there is one.

            An empty bin has no wall at zero, and a long step can end far behind it.
            """
            count = [len(s) for s in starts]
            row = np.repeat(np.arange(len(starts)), count)
            begin = np.stack([s for group in starts for s in group])
            where = [sets[r] for r in row]
            pars, found = compiled.minima(data, where, begin, lo, hi, masks[row], physical=True, **options)
            first = np.cumsum([0, *count[:-1]])
            value = np.where(found.converged, found.value, np.inf)
            pick = np.array([f + int(np.argmin(value[f : f + c])) for f, c in zip(first, count, strict=True)])
            pars, found = pars[pick], found.take(pick)
            # then from the nominal values, then anywhere
            for physical in (True, False):
                lost = np.flatnonzero(~found.converged)
                if not len(lost):
                    break
                begin = np.stack([starts[i][0] for i in lost])
                begin = np.where(masks[lost], begin, init) if physical else begin
                again, more = compiled.minima(
                    data, [sets[i] for i in lost], begin, lo, hi, masks[lost], physical=physical, **options
                )
                pars[lost], found = again, found.put(lost, more)
            return pars, found

        values = np.asarray(data, dtype=float)

        def both_fits() -> tuple[FloatArray, Fit]:
            """To the data, without and with signal."""
            base = [[nearest(0.0), *others(0.0, usable)], [nearest(init[poi]), *others(init[poi])]]
            if several:
                # the free fit begins with and without signal
                base[1] += [nearest(0.0), *(np.where(loose, init, np.minimum(np.maximum(h, lo), hi)) for h in usable)]
            return lowest([values], [0, 0], base, np.stack([held, loose]))

        pars, found = both_fits()
        if bool(undescribed(compiled.batch, found.value)[1]):
            several, count = True, LOST_STARTS
            pars, found = both_fits()
        if not found.converged.all():
            return
        asimov = np.asarray(pdf.expected_data(pars[0]), dtype=float)
        at = compiled.explicit
        along = np.zeros((len(mus), len(init)))
        along[:, at] = (np.array(mus) - pars[1, poi])[:, None] * found.tangent[1]
        seen = np.clip(pars[1] + along, lo, hi)
        seen[:, poi] = mus
        # the free fit of the expected data is where they were expected
        starts = [[s, *others(mu)] for s, mu in zip(seen, mus, strict=True)]
        starts += [[nearest(mu), *others(mu)] for mu in mus]
        starts.append([pars[0]])
        sets = [*[0] * len(mus), *[1] * len(mus), 1]
        fixed = np.concatenate([np.repeat(held[None], 2 * len(mus), axis=0), loose[None]])
        more, result = lowest([values, asimov], sets, starts, fixed)
        points, masks = np.concatenate([pars, more]), np.concatenate([np.stack([held, loose]), fixed])
        good = np.concatenate([found.converged, result.converged])
        counts = np.concatenate([found.iterations, result.iterations])
        both = (values, asimov)
        where = [0, 0, *sets]
        twice = -2 * density(points, np.stack([both[w] for w in where]))
        for i in np.flatnonzero(good):
            key = self._key(compiled, both[where[i]], bounds, masks[i], points[i])
            self._keep(key, (points[i].copy(), twice[i], int(counts[i])))

    def _is_lost(
        self,
        compiled: CompiledModel,
        values: FloatArray,
        found: tuple[float, FloatArray, int],
        bounds: FloatArray,
        fixed: np.ndarray,
    ) -> bool:
        """Whether data are such that no parameters describe them.

        A signal far above its limit describes no data either: where it is held, the free fit decides, once for all.
        """
        if not undescribed(compiled.batch, np.array([found[0]]))[0]:
            return False
        key = (compiled.serial, values.tobytes())
        if key not in self._lost:
            value = found[0]
            if compiled.poi >= 0 and fixed[compiled.poi]:
                free = fixed.copy()
                free[compiled.poi] = False
                lo, hi = bounds[:, 0], bounds[:, 1]
                begin = np.minimum(np.maximum(found[1], lo), hi)
                options: dict[str, Any] = {"tolerance": self.tolerance, "lapack": True, "backend": self.backend}
                _, result = compiled.minimum(
                    values, begin, lo, hi, free, max_iterations=self.maxiter, physical=True, **options
                )
                value = float(result.value[0]) if bool(result.converged[0]) else math.inf
            if len(self._lost) >= self._cache_size:
                self._lost.clear()
            self._lost[key] = bool(undescribed(compiled.batch, np.array([value]))[0])
        return self._lost[key]

    def _solve(
        self, compiled: CompiledModel, values: FloatArray, start: FloatArray, bounds: FloatArray, fixed: np.ndarray
    ) -> tuple[FloatArray, int]:
        lo, hi = bounds[:, 0], bounds[:, 1]
        starts = [start]
        # minima found before for the same data: a scan in the signal strength moves little from test to test
        before = self._starts.setdefault((compiled.serial, values.tobytes(), fixed.tobytes()), [])
        usable = [h for h in [*self.hints, *before] if len(h) == len(start) and np.isfinite(h).all()]
        if usable:
            # the hint whose fixed parameters are nearest
            distance = [float(np.abs(h[fixed] - start[fixed]).sum()) for h in usable]
            nearest = usable[int(np.argmin(distance))]
            starts.insert(0, np.where(fixed, start, np.minimum(np.maximum(nearest, lo), hi)))
        tried: list[float] = []
        found: list[tuple[float, FloatArray, int]] = []
        options: dict[str, Any] = {"tolerance": self.tolerance, "lapack": True, "backend": self.backend}

        def descend(begin: FloatArray, most: int, physical: bool) -> FloatArray:
            """One search; where it stopped."""
            new, result = compiled.minimum(
                values, begin, lo, hi, fixed, max_iterations=most, physical=physical, **options
            )  # fmt: skip
            if bool(result.converged[0]):
                found.append((float(result.value[0]), new, int(result.iterations[0])))
            else:
                tried.append(float(result.decrement[0]))
            return new

        # an empty bin has no wall at zero: first a minimum where none expects less than nothing, then any
        for begin in starts:
            if not found:
                descend(begin, self.maxiter, True)
        lost = bool(found) and self._is_lost(compiled, values, found[0], bounds, fixed)
        strength = float(start[compiled.poi]) if compiled.poi >= 0 else 1.0
        if lost or compiled.several(strength, values, found[0][1] if found else None):
            more = [*starts[1:], *usable[:_HINTS_TRIED]]
            count = LOST_STARTS if lost else BASE_STARTS
            begin = np.stack([*more, *compiled.spread(start, count)])
            # per-bin factors that are held have no place of their own in the fit: their bounds hold them
            low, high = np.where(fixed, start, lo), np.where(fixed, start, hi)
            begin = np.minimum(np.maximum(begin, low), high)
            pars, many = compiled.minima(
                [values], [0] * len(begin), begin, low, high, np.repeat(fixed[None], len(begin), axis=0),
                physical=True, tolerance=self.tolerance, max_iterations=self.maxiter, backend=self.backend,
            )  # fmt: skip
            for i in np.flatnonzero(many.converged):
                found.append((float(many.value[i]), pars[i], int(many.iterations[i])))
        stopped = start
        for begin in starts:
            if not found:
                stopped = descend(begin, self.maxiter, False)
        if not found:
            # narrow bent valleys take many small steps: the last search goes on from where the one before it stopped
            descend(stopped, _PATIENCE * self.maxiter, False)
        if found:
            _, pars, evaluations = min(found, key=lambda f: f[0])
            before.append(pars)
            del before[:-_STARTS_KEPT]
            return pars, evaluations
        message = f"no Newton convergence: last decrements {tried}"
        failure: Any = OptimizeResult()
        failure.update({"success": False, "message": message, "x": start})
        raise pyhf.exceptions.FailedMinimization(failure)
