"""Fine bins that follow the resolution, shared by all points of a search, and each point's window of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkfactory.config.templates import RegionConfig, TemplatesConfig
from darkfactory.core.errors import RunError
from darkfactory.records.histogram import FloatArray
from darkfactory.templates.shapes import ShapeModel, TemplatePoint

__all__ = ["Binning", "RegionBinning", "Window", "build_binning", "make_window"]


@dataclass(frozen=True)
class RegionBinning:
    """Fine bins of one region.

    Attributes:
        observable: column of the squared mass.
        first: edges of its fine bins, in GeV^2.
        second_observable: column of the second axis, or empty.
        second: edges of the second axis (one infinite bin if there is none).
        label: text of the first axis in figures.
    """

    observable: str
    first: FloatArray
    second_observable: str = ""
    second: FloatArray | None = None
    label: str = ""

    @property
    def edges(self) -> tuple[FloatArray, ...]:
        """Of all axes."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def n_second(self) -> int:
        """Bins of the second axis (1 if there is none)."""
        return 1 if self.second is None else len(self.second) - 1


@dataclass(frozen=True)
class Binning:
    """The binning of a search on a dataset."""

    regions: Mapping[str, RegionBinning]

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {
            name: {
                "observable": r.observable,
                "first": r.first.tolist(),
                "second_observable": r.second_observable,
                "second": None if r.second is None else r.second.tolist(),
                "label": r.label,
            }
            for name, r in self.regions.items()
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Binning:
        """Read the form of :meth:`to_dict`."""
        return cls(
            {
                name: RegionBinning(
                    r["observable"],
                    np.asarray(r["first"], dtype=float),
                    r["second_observable"],
                    None if r["second"] is None else np.asarray(r["second"], dtype=float),
                    r["label"],
                )
                for name, r in value.items()
            }
        )


def build_binning(shapes: ShapeModel, config: TemplatesConfig) -> Binning:
    """Bins whose width is the resolution divided by ``bins_per_width``, everywhere in the range.

    The edges are where the integral of d(M^2) / (resolution / bins_per_width) reaches whole numbers.
    """
    return Binning({r.name: _region_binning(shapes, r, config) for r in config.regions})


def _region_binning(shapes: ShapeModel, region: RegionConfig, config: TemplatesConfig) -> RegionBinning:
    low, high = region.observable_range
    if region.bins is not None:
        edges = np.linspace(low, high, region.bins + 1)
        return RegionBinning(region.observable, edges, label=region.label or region.observable)
    masses = config.mass_range(region.name)
    # fine enough for the narrowest resolution; uniform in a signed square root, dense near zero mass
    root = np.linspace(np.sign(low) * np.sqrt(abs(low)), np.sqrt(high), 20001)
    x = np.sign(root) * root**2
    x[0], x[-1] = low, high
    key = shapes.resolution[region.name]
    mass = np.clip(np.sqrt(np.maximum(x + config.shift(region.name), 0.0)), *masses)
    width = shapes.regions[key].resolution(mass, shapes.kind)
    density = config.window_of(region.name).bins_per_width / width
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(x))])
    n = max(round(cumulative[-1]), 1)
    if n > 20000:
        raise RunError(
            f"region {region.name!r}: {n} fine bins; the fitted resolution is too small somewhere between "
            f"{low:g} and {high:g} GeV^2; check the signal shapes"
        )
    edges = np.interp(np.linspace(0.0, cumulative[-1], n + 1), cumulative, x)
    edges[0], edges[-1] = low, high
    second = region.second_axis
    return RegionBinning(
        region.observable,
        edges,
        second.observable if second else "",
        np.asarray(second.edges, dtype=float) if second else None,
        region.label or f"{region.observable} [GeV$^2$]",
    )


@dataclass(frozen=True)
class Window:
    """A contiguous range of fine bins, merged to fitted bins.

    Attributes:
        region: where.
        first, last: range of fine bins (last exclusive), a multiple of ``merge`` long.
        merge: fine bins in a fitted bin.
        keep: fitted bins (of the mass axis) not covered by a mask.
        core: range of fine bins within two widths of the mass.
    """

    region: str
    first: int
    last: int
    merge: int
    keep: tuple[bool, ...]
    core: tuple[int, int]

    def reduce(self, fine: FloatArray) -> FloatArray:
        """Fitted bins, flattened (mass axis first), of an array over all fine bins.

        Example:
            >>> Window("gg", 1, 5, 2, (True, True), (2, 3)).reduce(np.arange(6.0))
            array([3., 7.])
        """
        part = fine[self.first : self.last]
        merged = part.reshape(-1, self.merge, *part.shape[1:]).sum(axis=1)
        return np.ascontiguousarray(merged[np.array(self.keep)]).reshape(-1)

    def edges(self, fine_edges: FloatArray) -> FloatArray:
        """Edges of the fitted bins on the mass axis, masked ones included."""
        return fine_edges[self.first : self.last + 1 : self.merge]


def make_window(
    point: TemplatePoint, region: str, binning: Binning, shapes: ShapeModel, config: TemplatesConfig
) -> Window:
    """The window of a point.

    It reaches ``half_width`` resolutions to both sides of the edge nearest to the mass squared; for a wide
    resonance ``natural_widths`` half widths M * Gamma of its Breit-Wigner in M^2 are added in quadrature.
    """
    edges = binning.regions[region].first
    n = len(edges) - 1
    if region not in shapes.resolution:
        # no peak: the whole range, from the end where the first whole number of merged bins begins
        merge = min(config.window_of(region).merge, n)
        last = n - n % merge
        return Window(region, 0, last, merge, (True,) * (last // merge), (0, last))
    m2, width = config.peak(point.mass, region), shapes.width(region, point.mass)
    natural = point.mass**2 * point.width_ratio
    centre = int(np.argmin(np.abs(edges - m2)))
    setting = config.window_of(region)
    per = setting.bins_per_width

    def reach(widths: float, naturals: float) -> tuple[int, int]:
        if natural == 0:
            k = max(round(widths * per), 1)
            return max(centre - k, 0), min(centre + k, n)
        half = float(np.hypot(widths * width, naturals * natural))
        low, high = np.searchsorted(edges, [m2 - half, m2 + half])
        return max(int(low) - 1, 0), min(int(high), n)

    if setting.mode == "full":
        first, last = 0, n
    else:
        first, last = reach(setting.half_width, setting.natural_widths)
    if last - first < 1:
        raise RunError(f"point {point.key}: no bins of region {region!r} around its mass; widen observable_range")
    merge = setting.merge
    if setting.mode == "sliding":
        while (last - first) / merge > setting.max_bins:
            merge += 1
    merge = min(merge, last - first)
    # a whole number of fitted bins: drop fine bins on the side that is farther from the mass (of a range that
    # all points share: at its end)
    excess = (last - first) % merge
    if excess:
        if setting.mode == "sliding" and centre - first >= last - centre:
            first += excess
        else:
            last -= excess
    fitted = edges[first : last + 1 : merge]
    keep = np.ones(len(fitted) - 1, dtype=bool)
    for mask in config.masks:
        keep &= (fitted[1:] <= config.peak(mask.mass[0], region)) | (fitted[:-1] >= config.peak(mask.mass[1], region))
    if not keep.any():
        raise RunError(f"point {point.key}: masks cover its whole window; leave it out of the grid")
    core_first, core_last = reach(2.0, 1.0)
    return Window(region, first, last, merge, tuple(bool(k) for k in keep), (core_first, core_last))
