"""The ``templates:`` section of a search: binning, shapes, backgrounds, systematics, pseudo-data."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator, model_validator

from darkfactory.config.base import Luminosity, StrictModel, Tagged
from darkfactory.config.response import ResponseConfig

__all__ = [
    "BackgroundSample",
    "ColumnCut",
    "Curve",
    "ExpectedBackground",
    "FactorisedConfig",
    "Mask",
    "PolynomialConfig",
    "RegionConfig",
    "SecondAxis",
    "ShapeConfig",
    "Slope",
    "SmoothingConfig",
    "SystematicsConfig",
    "TemplatesConfig",
    "WindowConfig",
    "WrongPairings",
]


class ColumnCut(StrictModel):
    """A last cut on a column of the selected candidates, for one region only."""

    column: str
    """Name of the column."""
    min: float | None = None
    """Keep values at or above."""
    max: float | None = None
    """Keep values below."""


class SecondAxis(StrictModel):
    """The second axis of a two-dimensional fit."""

    observable: str
    """Column of the selected candidates."""
    edges: tuple[float, ...] = Field(min_length=2)
    """Bin edges, ascending, in the column's unit."""

    @model_validator(mode="after")
    def _ascending(self) -> SecondAxis:
        if any(b <= a for a, b in pairwise(self.edges)):
            raise ValueError(f"edges {list(self.edges)} must ascend")
        return self


class SmoothingConfig(StrictModel):
    """Smoothing of simulated templates with few events."""

    method: Literal["none", "kernel", "spline"] = "kernel"
    """kernel: adaptive Gaussian kernel; spline: log-spline over the whole range (for smooth continua)."""
    target_events: float = Field(default=100.0, gt=0)
    """kernel: the smallest bandwidth with this many effective events is used, bin by bin."""
    bandwidths: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    """kernel: bandwidths tried, in signal widths."""
    breaks: tuple[float, ...] = ()
    """kernel: values of the observable, in GeV^2, where a cut makes a step; nothing is smeared across."""
    knot_spacing: float = Field(default=12.0, gt=1)
    """spline: distance of knots in signal widths; longer than any structure that a signal could be taken for."""


class WindowConfig(StrictModel):
    """The fit window around a mass."""

    mode: Literal["sliding", "full"] = "sliding"
    """sliding: a window per point; full: all points share the whole range, hence one background workspace."""
    bins_per_width: int = Field(default=2, ge=1, le=10)
    """Fine bins in one width."""
    half_width: float = Field(default=10.0, gt=0)
    """Window half width, in widths of the narrow signal."""
    natural_widths: float = Field(default=1.5, ge=0)
    """For wide resonances this many natural widths (in mass squared) are added in quadrature."""
    merge: int = Field(default=1, ge=1)
    """Fine bins merged to one fitted bin."""
    max_bins: int = Field(default=60, ge=1)
    """Bins along the mass axis are merged further where a window would have more."""


class RegionConfig(StrictModel):
    """Masses fitted in one observable, with one set of last cuts."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Name in workspaces and figures."""
    observable: str
    """Column with the squared mass that the signal peaks in, in GeV^2; with ``bins`` any column."""
    mass: tuple[float | Literal["switch"], float | Literal["switch"]]
    """Signal masses fitted here, in GeV, first inclusive, last exclusive; ``switch`` is ``switch_mass``."""
    observable_range: tuple[float, float]
    """Range of the observable that is histogrammed, in GeV^2; with ``bins`` in the column's unit."""
    bins: int | None = Field(default=None, ge=2, le=2000)
    """Equal bins of the whole range, all of them fitted at every mass, in place of bins that follow the resolution of a
    peak: for signals that are no peak. Goes with ``signal: simulation`` and ``background: simulation``."""
    label: str = ""
    """Text of the axis in figures; the column's name if empty."""
    normalisation: str = ""
    """Background sample whose yield floats freely here and multiplies the signal's, too: the limit is then on the ratio
    of the signal's rate to this background's, from which luminosity and common efficiencies cancel."""
    offset: Tagged | None = None
    """As of the whole section, where regions differ."""
    second_axis: SecondAxis | None = None
    """For two-dimensional fits."""
    cuts: tuple[ColumnCut, ...] = ()
    """Last cuts of this region (a photon threshold that depends on the mass tested)."""
    background: Literal["polynomial", "simulation"] | None = None
    """How backgrounds are modelled in this region, if not as in the search's other ones."""
    signal: Literal["parametric", "simulation"] | None = None
    """Where this region's signal comes from, if not as in the search's other ones."""
    window: WindowConfig | None = None
    """The fit windows of this region, instead of the search's."""
    smoothing: SmoothingConfig | None = None
    """Smoothing of all backgrounds in this region, instead of the samples' own."""
    signal_systematics: dict[str, Tagged] = Field(default_factory=dict)
    """Relative uncertainties of the signal efficiency that are of another size in this region."""
    response: ResponseConfig | None = None
    """How the template of the background ``normalisation`` is made; by counting without."""
    hypotheses: tuple[str, ...] = ()
    """Hypotheses fitted here; empty: all. Regions of different hypotheses may cover the same masses."""


class Curve(StrictModel):
    """How a parameter is made a smooth function of mass."""

    kind: Literal["polynomial", "pchip"] = "polynomial"
    """Weighted polynomial, or monotone cubic through the values."""
    order: int = Field(default=3, ge=0, le=8)
    """Order of the polynomial (lowered when there are few masses)."""
    variable: Literal["mass", "log_mass", "log_observable"] = "mass"
    """What it is a function of: the mass, its logarithm, or the logarithm of the root of the observable where the
    signal peaks (``offset``), which is steep at a threshold."""


class WrongPairings(StrictModel):
    """Signal events have one right candidate and wrong ones that are flat in the observable."""

    per_event: int = Field(ge=1)
    """Wrong candidates per event."""
    total: Tagged
    """Sum of the observable over an event's candidates, in GeV^2 (three photons: the CM energy squared): wrong
    ones are flat between zero and this less the signal's mass squared."""
    start: Literal["sigma68", "core"] = "sigma68"
    """What sets the range of the fit, from each event's candidate nearest to the mass: half of the central 68 %, or the
    core alone, where radiation makes long tails or the right candidate is missing from many events."""


class ShapeConfig(StrictModel):
    """The signal's shape in the observable."""

    fit_range: float = Field(default=8.0, gt=1)
    """The double-sided Crystal Ball is fitted and normalised within this many widths of the peak."""
    width: Curve = Curve(order=4)
    """Of the logarithm of the core width."""
    mean: Curve = Curve(order=2)
    """Of the peak's offset from the mass squared, in widths."""
    tails: Curve = Curve(order=1)
    """Of the logarithms of the four tail parameters."""
    efficiency: Curve = Curve(kind="pchip")
    """Of the efficiency."""
    min_events: float = Field(default=50.0, gt=0)
    """Masses with fewer effective events are left out of the curves."""
    resolution: Literal["core", "sigma68"] = "core"
    """What sets bins and windows: the core's width, or half of the central 68 % interval, which radiative tails
    stretch."""
    wrong_pairings: WrongPairings | None = None
    """Where signal events have several candidates."""


class FactorisedConfig(StrictModel):
    """Expects the last cuts of regions one after the other, where the sample is too small to pass all of them at once.

    Candidates that need not pass the cuts of any group give the shape; each group of cuts gives a factor, the share of
    these candidates that pass its cuts. That the factors multiply is an assumption. What pairs of groups say about it,
    and the sample's size, are uncertainties of the yield.
    """

    groups: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Columns whose cuts are taken together, by a name; cuts on other columns are made."""
    uncertainty: Tagged
    """Relative uncertainty of the product, at least."""
    min_events: float = Field(default=20.0, gt=0)
    """Effective events that a pair of groups needs to tell anything."""
    ranges: tuple[float, ...] = ()
    """Where the observable is divided: shares are then taken in each part on its own, drawn to that of all by the
    weight of one candidate that passes. For cuts that keep more in one part than in another."""

    @field_validator("ranges")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(a >= b for a, b in pairwise(value)):
            raise ValueError(f"{list(value)} do not rise; give values of the observable in rising order")
        return value


class BackgroundSample(StrictModel):
    """One background: how it is smoothed, and how well its yield is known."""

    role: Literal["simulation", "continuum", "peaking", "shown"] = "simulation"
    """simulation: template; continuum: part of the smooth background that a polynomial takes; peaking:
    template on top of the polynomial; shown: in the cutflow only, too few events survive to predict anything."""
    normalisation: Tagged = Tagged(value=0.2, source="assumed", note="yield of a background, 5 to 30 % floated")
    """Relative uncertainty of the yield."""
    free: bool = False
    """The yield floats without constraint."""
    smoothing: SmoothingConfig | None = None
    """Instead of the search's."""
    systematics: dict[str, Tagged] = Field(default_factory=dict)
    """Further relative uncertainties of the yield, by nuisance; equal names are one nuisance."""
    factorised: FactorisedConfig | None = None
    """The region's last cuts as factors."""


class ExpectedBackground(StrictModel):
    """A background that is not simulated but counted, in sidebands of data: uniform in mass."""

    region: str
    """Where it is."""
    events: Tagged
    """Expected number in the whole range of masses, at the reference luminosity."""
    luminosity: Luminosity
    """That luminosity; the expectation is scaled to the dataset's."""
    mass: tuple[float, float]
    """Range of masses, in GeV."""

    @model_validator(mode="after")
    def _sensible(self) -> ExpectedBackground:
        if not 0 <= self.mass[0] < self.mass[1]:
            raise ValueError(f"mass: {list(self.mass)} is no range")
        if self.events.value < 0:
            raise ValueError(f"events: {self.events.value} is negative")
        return self


class PolynomialConfig(StrictModel):
    """Data-driven smooth background of positive Bernstein polynomials."""

    variable: Literal["observable", "root"] = "observable"
    """Polynomials in the observable, a squared mass, or in its root, where the spectrum is smooth in a mass."""

    orders: tuple[int, int] = (2, 5)
    """Lowest and highest order."""
    bias_fraction: float = Field(default=0.2, gt=0)
    """The lowest order is taken whose bias on the signal, fitted on the background expectation, is below this
    fraction of the signal's statistical uncertainty,"""
    improvement: float = Field(default=1.0, gt=0)
    """and whose successor lowers chi^2 on the expectation by less than this."""

    @model_validator(mode="after")
    def _ordered(self) -> PolynomialConfig:
        if not 0 <= self.orders[0] <= self.orders[1] <= 12:
            raise ValueError(f"orders {list(self.orders)} must be 0 <= lowest <= highest <= 12")
        return self


class Slope(StrictModel):
    """A variation of the weights that is linear in a column of the candidates."""

    column: str
    """Name of the column."""
    range: tuple[float, float]
    """Values of the column where the weights change by minus and plus the size; constant beyond them."""
    size: Tagged
    """Relative change at the ends of the range."""
    samples: tuple[str, ...] = ()
    """Samples that it applies to, signals included; empty: all."""

    @model_validator(mode="after")
    def _rises(self) -> Slope:
        if not self.range[0] < self.range[1]:
            raise ValueError(f"range {list(self.range)} must rise")
        if not 0 < self.size.value < 1:
            raise ValueError(f"size {self.size.value:g} must be between 0 and 1")
        return self


class SystematicsConfig(StrictModel):
    """Relative uncertainties; equal names in several places are one nuisance parameter."""

    signal: dict[str, Tagged] = Field(default_factory=dict)
    """Of the signal efficiency, by nuisance."""
    background: dict[str, Tagged] = Field(default_factory=dict)
    """Of all simulated backgrounds, by nuisance."""
    signal_width: Tagged | None = None
    """Relative uncertainty of the signal's width."""
    signal_mean: Tagged | None = None
    """Uncertainty of the peak's position, in widths."""
    columns: bool | tuple[str, ...] = True
    """Use the variation columns (``var_<nuisance>_up``, ``_down``) of the candidates: all, none, or these. A size
    given above under the same name is used instead of the column."""
    slopes: dict[str, Slope] = Field(default_factory=dict)
    """Variations that are linear in a column (an identification efficiency that depends on momentum), by nuisance."""
    luminosity: bool = True
    """Luminosity on the signal and on simulated backgrounds."""


class Mask(StrictModel):
    """A range of masses with a peaking background, left out of the scan and of every fit."""

    name: str
    """Why."""
    mass: tuple[float, float]
    """Lowest and highest mass, in GeV."""

    @model_validator(mode="after")
    def _rises(self) -> Mask:
        if not self.mass[0] < self.mass[1]:
            raise ValueError(f"mask {self.name!r}: mass {list(self.mass)} must rise")
        return self


class TemplatesConfig(StrictModel):
    """Binning, signal shapes, backgrounds and their uncertainties, pseudo-data."""

    signal: Literal["parametric", "simulation"]
    """parametric: double-sided Crystal Ball interpolated in mass; simulation: histogram of the point's sample."""
    background: Literal["polynomial", "simulation"]
    """polynomial: Bernstein with free yields (+ peaking samples); simulation: templates of all samples."""
    switch_mass: Tagged | None = None
    """Mass in GeV where the fitted observable changes."""
    regions: tuple[RegionConfig, ...] = Field(min_length=1)
    """The observables fitted."""
    offset: Tagged | None = None
    """A signal of mass M peaks at M^2 less this, in GeV^2: 4 m_mu^2 for the square of the reduced mass of two muons."""
    width_hypothesis: str = ""
    """Hypothesis whose samples give the resolution; empty: all points without a width axis."""
    shape: ShapeConfig = ShapeConfig()
    window: WindowConfig = WindowConfig()
    smoothing: SmoothingConfig = SmoothingConfig()
    polynomial: PolynomialConfig = PolynomialConfig()
    samples: dict[str, BackgroundSample] = Field(default_factory=dict)
    """Backgrounds by sample name; a sample not named here takes ``default_sample``."""
    default_sample: BackgroundSample = BackgroundSample()
    expected: dict[str, ExpectedBackground] = Field(default_factory=dict)
    """Backgrounds known as counts only, by a name of their own; their yield's uncertainty is under ``samples``."""
    systematics: SystematicsConfig = SystematicsConfig()
    masks: tuple[Mask, ...] = ()
    efficiency: Literal["selected", "region"] = "selected"
    """What efficiency.csv counts: candidates that the selection leaves, or those that pass the last cuts of the
    signal's region, where a search has several final states."""
    staterror: bool = True
    """One nuisance per fitted bin for the statistics of the simulated backgrounds."""
    min_effective_ratio: float = Field(default=5.0, gt=0)
    """Fitted bins with fewer effective simulated events than this times the expectation are flagged."""
    max_signal_error: float = Field(default=0.4, gt=0)
    """Points whose simulated signal is known worse than this (relative; 0.4 are six effective events) get no limit, and
    the record says why: far from the lifetimes that were generated a handful of reweighted events make the rate."""
    max_factor: Tagged = Tagged(
        value=10.0,
        source="assumed",
        note="largest factor of a yield within one standard deviation; HistFactory's interpolation turns negative "
        "above about twenty, and beyond one standard deviation the factor goes on growing exponentially",
    )
    """Stronger variations are limited to this, and recorded."""
    max_shape_variation: float = Field(default=0.5, gt=0, lt=1)
    """Relative change of a bin within one standard deviation, beyond the change of its sample's yield, to which
    shapes are limited. A sample with bins that vary by more than a factor of one plus twice this is taken apart into
    what varies and what does not."""
    data: Literal["pseudo", "asimov"] = "pseudo"
    """What stands in for data."""
    poi_bounds: tuple[float, float] = (0.0, 100.0)
    """Bounds of the parameter of interest ``mu``, in units of about one background standard deviation."""
    hepdata: str = Field(default="ins0000000", pattern=r"^ins[0-9]{7}$")
    """INSPIRE number for the patch set (its schema demands one; all zeros: not published)."""

    @model_validator(mode="after")
    def _regions(self) -> TemplatesConfig:
        names = [r.name for r in self.regions]
        if len(set(names)) != len(names):
            raise ValueError(f"region names {names} must differ")
        for region in self.regions:
            if "switch" in region.mass and self.switch_mass is None:
                raise ValueError(f"region {region.name!r} ends at `switch`; give `switch_mass`")
            low, high = self.mass_range(region.name)
            if low >= high:
                raise ValueError(f"region {region.name!r}: masses {low} to {high} are empty")
            if region.observable_range[0] >= region.observable_range[1]:
                raise ValueError(f"region {region.name!r}: observable_range is empty")
        for hypothesis in dict.fromkeys(h for r in self.regions for h in (r.hypotheses or ("",))):
            ranges = sorted(self.mass_range(r.name) for r in self.regions if self._fits(r, hypothesis))
            for (_, high), (low, _) in pairwise(ranges):
                if low < high:
                    raise ValueError(f"regions overlap between masses {low} and {high}")
        for name, background in self.expected.items():
            if background.region not in names:
                raise ValueError(f"expected.{name}: no region {background.region!r}; there are {names}")
            if self.background_of(background.region) != "simulation":
                raise ValueError(f"expected.{name}: counts go with `background: simulation`")
        for region in self.regions:
            self._check_bins(region)
        if any(r.second_axis and self.background_of(r.name) == "polynomial" for r in self.regions):
            raise ValueError("a polynomial background has one axis; use `background: simulation` for two")
        if any(r.second_axis and self.signal_of(r.name) == "parametric" for r in self.regions):
            raise ValueError("a parametric signal has one axis; use `signal: simulation` for two")
        return self

    def shift(self, region: str) -> float:
        """``offset`` of a region as a number, zero without."""
        own = next((r.offset for r in self.regions if r.name == region), None)
        used = own if own is not None else self.offset
        return 0.0 if used is None else used.value

    def peak(self, mass: float, region: str) -> float:
        """Where a signal of a mass in GeV peaks in the observable of a region, in GeV^2."""
        return mass**2 - self.shift(region)

    def _check_bins(self, region: RegionConfig) -> None:
        """Regions with bins of their own have templates from simulation throughout."""
        if region.normalisation and self.background_of(region.name) != "simulation":
            raise ValueError(f"region {region.name!r}: normalisation needs `background: simulation`")
        if region.response is not None and (not region.normalisation or region.bins is None):
            raise ValueError(f"region {region.name!r}: response needs `normalisation` and `bins`")
        unknown = sorted(set(region.response.pool if region.response else ()) - {r.name for r in self.regions})
        if unknown:
            raise ValueError(f"region {region.name!r}: response.pool {unknown} are no regions")
        if region.bins is None:
            return
        if self.signal != "simulation" or self.background_of(region.name) != "simulation":
            raise ValueError(f"region {region.name!r}: bins need `signal: simulation` and `background: simulation`")
        if self.window.mode != "full" or self.masks or region.second_axis is not None:
            raise ValueError(f"region {region.name!r}: bins need `window: {{mode: full}}`, one axis and no masks")
        if self.systematics.signal_width is not None or self.systematics.signal_mean is not None:
            raise ValueError(f"region {region.name!r}: a signal that is no peak has no signal_width or signal_mean")

    def mass_range(self, region: str) -> tuple[float, float]:
        """Lowest and highest mass of a region, in GeV, with ``switch`` resolved."""
        for r in self.regions:
            if r.name == region:
                switch = self.switch_mass.value if self.switch_mass is not None else float("nan")
                low, high = (switch if m == "switch" else m for m in r.mass)
                return float(low), float(high)
        raise KeyError(region)

    def background_of(self, region: str) -> Literal["polynomial", "simulation"]:
        """How backgrounds are modelled in a region."""
        own = next((r.background for r in self.regions if r.name == region), None)
        return own if own is not None else self.background

    def signal_of(self, region: str) -> Literal["parametric", "simulation"]:
        """Where the signal of a region comes from."""
        own = next((r.signal for r in self.regions if r.name == region), None)
        return own if own is not None else self.signal

    def window_of(self, region: str) -> WindowConfig:
        """The fit windows of a region."""
        own = next((r.window for r in self.regions if r.name == region), None)
        return own if own is not None else self.window

    @staticmethod
    def _fits(region: RegionConfig, hypothesis: str) -> bool:
        return not region.hypotheses or not hypothesis or hypothesis in region.hypotheses

    def region_of(self, mass: float, hypothesis: str = "") -> RegionConfig | None:
        """The region that fits a mass in GeV of a hypothesis, if there is one (the last region includes its end)."""
        regions = [r for r in self.regions if self._fits(r, hypothesis)]
        last = max((self.mass_range(r.name)[1] for r in regions), default=0.0)
        for region in regions:
            low, high = self.mass_range(region.name)
            if low <= mass < high or mass == high == last:
                return region
        return None

    def signal_sizes(self, region: str) -> dict[str, float]:
        """Relative uncertainties of the signal efficiency in a region, by nuisance."""
        own = next((r.signal_systematics for r in self.regions if r.name == region), {})
        merged = {**self.systematics.signal, **own}
        return {name: merged[name].value for name in sorted(merged)}

    def uses_column(self, nuisance: str) -> bool:
        """Whether a nuisance's variation columns are used."""
        columns = self.systematics.columns
        if nuisance.startswith("template_"):
            return True
        return (columns if isinstance(columns, bool) else nuisance in columns) or nuisance in self.systematics.slopes

    def normalisation_of(self, region: str) -> str:
        """The background whose yield multiplies the signal's in a region, or empty."""
        return next((r.normalisation for r in self.regions if r.name == region), "")

    def sample(self, name: str) -> BackgroundSample:
        """Settings of a background sample."""
        return self.samples.get(name, self.default_sample)
