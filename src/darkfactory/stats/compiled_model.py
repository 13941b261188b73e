"""A pyhf model compiled for the engine, with the maps between pyhf's order of parameters and data and ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from darkfactory.stats.histfactory import (
    Batch,
    BlockArrays,
    BlockData,
    Data,
    FloatArray,
    UnsupportedModel,
    _compile_model,
    stack,
)
from darkfactory.stats.minima import BASE_STARTS, bends, bends_at, may_have_several, spread_starts
from darkfactory.stats.newton import Fit, fit

__all__ = ["CompiledModel"]

# a hypothesis test has two data sets
_DATA_KEPT = 4
# strengths are looked up between roots of powers of two: what the next ones may have, those between may have
_OCTAVES, _STEPS = 24, 4
# of the signal, in units of its own start, at which searches for a lower minimum begin
_STRENGTHS = (1.0, 0.0, 0.3, 3.0, 0.1)


class CompiledModel:
    """A pyhf model compiled for the kernel, with the maps between pyhf's parameter and data order and ours."""

    def __init__(self, model: Any, serial: int = 0) -> None:
        """Compile a ``pyhf.Model``; ``serial`` tells models of one optimiser apart.

        Raises:
            UnsupportedModel: the model uses what the engine does not compute exactly.
        """
        settings = {k: dict(v) for k, v in model.config.modifier_settings.items()}
        default = {"normsys": {"interpcode": "code4"}, "histosys": {"interpcode": "code4p"}}
        if settings != default:
            raise UnsupportedModel(f"interpolation settings {settings} are not pyhf's defaults {default}")
        if model.batch_size is not None:
            raise UnsupportedModel(f"batch_size {model.batch_size}: batched pyhf models are not fitted here")
        main = model.main_model
        if main.clip_sample_data is not None or main.clip_bin_data is not None:
            raise UnsupportedModel("clipped expectations have no exact derivatives; build the model without clipping")
        one = _compile_model(model.spec["channels"], model.spec.get("parameters", []), model.config.poi_name, None)
        self.batch: Batch = stack([one])
        structure = self.batch.structure
        self.serial = serial
        self.npars: int = model.config.npars
        self.explicit = np.array([self._position(model, name) for name in structure.names], dtype=np.intp)
        self.poi = int(self.explicit[structure.poi]) if structure.poi >= 0 else -1
        self.gammas: list[tuple[int, int] | None] = []
        for block in structure.blocks:
            if block.gamma == "none":
                self.gammas.append(None)
                continue
            name, first = block.gamma_name
            begin = model.config.par_slice(name).start + first
            self.gammas.append((begin, begin + block.nbins))
        # where each parameter's auxiliary datum sits behind the main data, -1 for none
        self.aux_at = np.full(self.npars, -1, dtype=np.intp)
        position = model.config.nmaindata
        for name in model.config.auxdata_order:
            part = model.config.par_slice(name)
            count = part.stop - part.start
            self.aux_at[part] = np.arange(position, position + count)
            position += count
        self.nbins = [block.nbins for block in structure.blocks]
        self._loose = bool(may_have_several(self.batch)[0])
        self._bends: npt.NDArray[np.bool_] | None = None
        self._known: dict[bytes, Data] = {}
        order = [block.name for block in structure.blocks]
        if order != list(model.config.channels):
            raise UnsupportedModel(f"channels {list(model.config.channels)} are not in alphabetical order")

    @staticmethod
    def _position(model: Any, name: str) -> int:
        base, _, rest = name.partition("[") if name not in model.config.par_map else (name, "", "")
        offset = int(rest[:-1]) if rest else 0
        return int(model.config.par_slice(base).start) + offset

    def several(self, strength: float, values: FloatArray | None = None, found: FloatArray | None = None) -> bool:
        """Whether there may be several minima with a signal of some strength, or of one.

        With data and a minimum, in pyhf's order, whether these data may have another one; without, any data.

        A hypothesis test asks for a strength of its own each time: all are answered at once, at roots of powers of two.
        """
        if self._loose:
            return True
        if self._bends is None:
            steps = np.arange(_OCTAVES * _STEPS, dtype=float)
            self._bends = bends(self.batch.take(np.zeros(len(steps), dtype=np.intp)), np.exp2(steps / _STEPS))
        step = min(_STEPS * math.log2(max(strength, 1.0)), len(self._bends) - 1.0)
        if not (self._bends[math.floor(step)] or self._bends[math.ceil(step)]):
            return False
        if values is None or found is None:
            return True
        one = np.zeros(1, dtype=np.intp)
        return bool(bends_at(self.batch, self.data(values), found[self.explicit][None], one, one)[0])

    def spread(self, start: FloatArray, count: int = BASE_STARTS) -> list[FloatArray]:
        """Starts around the nominal values, in pyhf's order; for models that may have several minima."""
        poi = self.batch.structure.poi
        base = start[self.explicit][None]
        strengths = None
        if poi >= 0:
            strengths = np.resize(_STRENGTHS, count)[None] * (abs(base[0, poi]) or 1.0)
        around = spread_starts(self.batch, np.zeros(1, dtype=np.intp), base, count, strengths)[0]
        result = []
        for theta in around:
            vector = start.copy()
            vector[self.explicit] = theta
            result.append(vector)
        return result

    def data(self, values: FloatArray) -> Data:
        """The flat data of pyhf as kernel data of one window."""
        key = values.tobytes()
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _DATA_KEPT:
                self._known.clear()
            known = self._known[key] = self._data(values)
        return known

    def _data(self, values: FloatArray) -> Data:
        aux = np.where(self.aux_at >= 0, values[np.maximum(self.aux_at, 0)], 0.0)
        blocks = []
        start = 0
        for nbins, gamma in zip(self.nbins, self.gammas, strict=True):
            counts = values[start : start + nbins]
            g_aux = aux[gamma[0] : gamma[1]] if gamma is not None else np.ones(nbins)
            blocks.append(BlockData(counts[None].copy(), g_aux[None].copy()))
            start += nbins
        return Data(tuple(blocks), aux[self.explicit][None])

    @staticmethod
    def _bounded(block: BlockArrays, gamma: tuple[int, int] | None, low: FloatArray, high: FloatArray) -> BlockArrays:
        """A channel with the bounds that pyhf was given for its per-bin factors."""
        if gamma is None:
            return block
        g_lo, g_hi = low[slice(*gamma)][None], high[slice(*gamma)][None]
        if np.array_equal(g_lo, block.g_lo) and np.array_equal(g_hi, block.g_hi):
            return block
        return replace(block, g_lo=g_lo, g_hi=g_hi)

    def minimum(
        self, values: FloatArray, start: FloatArray, lo: FloatArray, hi: FloatArray, fixed: np.ndarray, **options: Any
    ) -> tuple[FloatArray, Fit]:
        """Minimise for pyhf's vectors of data, start, bounds and fixed flags; parameters in pyhf's order."""
        low = np.where(fixed, start, lo)
        high = np.where(fixed, start, hi)
        blocks = tuple(self._bounded(b, g, low, high) for b, g in zip(self.batch.blocks, self.gammas, strict=True))
        # the stack as compiled keeps its flat form from fit to fit
        same = all(new is old for new, old in zip(blocks, self.batch.blocks, strict=True))
        batch = self.batch if same else replace(self.batch, blocks=blocks)
        result = fit(
            batch,
            self.data(values),
            start[self.explicit][None],
            ~fixed[self.explicit][None],
            lo=low[self.explicit][None],
            hi=high[self.explicit][None],
            **options,
        )
        pars = start.copy()
        pars[self.explicit] = result.theta[0]
        for gamma, best in zip(self.gammas, result.gammas, strict=True):
            if gamma is not None:
                pars[gamma[0] : gamma[1]] = best[0]
        return pars, result

    def minima(
        self, values: Sequence[FloatArray], sets: Sequence[int], start: FloatArray, lo: FloatArray, hi: FloatArray,
        fixed: np.ndarray, **options: Any,
    ) -> tuple[FloatArray, Fit]:  # fmt: skip
        """Many minima at once: row ``i`` of starts and fixed flags with data ``values[sets[i]]``."""
        blocks = tuple(self._bounded(b, g, lo, hi) for b, g in zip(self.batch.blocks, self.gammas, strict=True))
        data = [self.data(v) for v in values]
        joined = Data(
            tuple(
                BlockData(
                    np.concatenate([d.blocks[i].counts for d in data]),
                    np.concatenate([d.blocks[i].g_aux for d in data]),
                )
                for i in range(len(blocks))
            ),
            np.concatenate([d.aux for d in data]),
        )
        at = self.explicit
        result = fit(
            replace(self.batch, blocks=blocks), joined, start[:, at], ~fixed[:, at],
            lo=np.where(fixed, start, lo)[:, at], hi=np.where(fixed, start, hi)[:, at],
            windows=np.zeros(len(start), dtype=np.intp), sets=np.array(sets, dtype=np.intp), **options,
        )  # fmt: skip
        pars = start.copy()
        pars[:, at] = result.theta
        for gamma, best in zip(self.gammas, result.gammas, strict=True):
            if gamma is not None:
                pars[:, gamma[0] : gamma[1]] = best
        return pars, result
