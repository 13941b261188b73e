"""The ``measurement:`` section of a search of kind ``measurement``: a number with an uncertainty in place of limits."""

from __future__ import annotations

from pydantic import Field, model_validator

from darkfactory.config.base import StrictModel, Tagged

__all__ = ["ControlPeak", "CorrectionConfig", "MeasurementConfig"]


class ControlPeak(StrictModel):
    """A peak of known mass in data, such as D0 -> K- pi+, whose place tells the size of a distortion."""

    events: Tagged
    """In the peak, in the whole dataset."""
    width: Tagged
    """Standard deviation of the peak, GeV."""
    slope: Tagged
    """Shift of the peak, in GeV, for a distortion of one."""
    residual: Tagged
    """What the control sample leaves open: a systematic error of the distortion."""

    @property
    def error(self) -> float:
        """Of the distortion, from the number of events.

        Example:
            >>> tag = {"source": "assumed"}
            >>> peak = ControlPeak(events={"value": 1e4, **tag}, width={"value": 0.005, **tag},
            ...                    slope={"value": 1.6, **tag}, residual={"value": 0.0, **tag})
            >>> round(peak.error * 1e5, 3)
            3.125
        """
        return float(self.width.value / self.events.value**0.5 / abs(self.slope.value))


class CorrectionConfig(StrictModel):
    """Something that data have and simulation has not, corrected after a control sample.

    Either the size is drawn (``size``) and a peak of configured statistics measures it (``control``), or a control
    sample of this run does (``applied``, ``injected``).
    """

    column: str
    """Column with the observable for a distortion of ``step``; between, it is linear."""
    step: float
    """Distortion of that column: a relative momentum scale, or a CM energy in GeV."""
    size: Tagged | None = None
    """Standard deviation that the pseudo-data's true distortion is drawn with."""
    control: ControlPeak | None = None
    """What it is measured with."""
    applied: bool = False
    """The search has an entry of this name in its section ``corrections``, with ``weight: false``: a factor, one and
    the distortion, that a control sample measured."""
    injected: str = ""
    """Path of a formula in the ``detector`` part of the response that the control sample's pseudo-data have, such as
    ``tracks.momentum_scale``: what the pseudo-data of the measurement are distorted by. It may depend on the inputs of
    the correction."""

    @model_validator(mode="after")
    def _step(self) -> CorrectionConfig:
        if self.step == 0:
            raise ValueError("step is 0; give the distortion that the column was made with")
        if self.applied == (self.size is not None) or (self.size is None) != (self.control is None):
            raise ValueError("give `size` and `control`, or `applied: true` and `injected`, one of both")
        if self.applied != bool(self.injected):
            raise ValueError("`applied: true` and `injected` go together")
        return self


class MeasurementConfig(StrictModel):
    """A mass from the edge of a spectrum."""

    hypothesis: str
    """Hypothesis whose points are the generated masses."""
    reference: float = Field(gt=0)
    """Generated mass of the pseudo-data, in GeV; a point of the grid."""
    observable: str
    """Column with the spectrum."""
    window: tuple[float, float]
    """Range of the fit, in GeV."""
    bin_width: float = Field(gt=0)
    """Bins of the fit, in GeV; narrow against the resolution."""
    quadratic: bool = True
    """Whether the function has a quadratic term."""
    windows: tuple[tuple[float, float], ...] = ()
    """Other ranges of the fit: the largest change of the result is a systematic error."""
    corrections: dict[str, CorrectionConfig] = Field(default_factory=dict)
    """Distortions of data, by name."""
    variations: tuple[str, ...] = ()
    """Nuisances of weights (columns ``var_<name>_up`` and ``_down``): how far the edge moves with them is an error."""
    systematics: dict[str, Tagged] = Field(default_factory=dict)
    """Further errors of the result, in GeV, which nothing here can tell."""
    toys: int = Field(default=500, ge=50)
    """Pseudo-experiments with the dataset's luminosity: the statistical error and pulls."""

    @model_validator(mode="after")
    def _ranges(self) -> MeasurementConfig:
        for low, high in (self.window, *self.windows):
            if not low < self.reference < high:
                raise ValueError(f"window [{low}, {high}] does not hold the reference mass {self.reference}")
            if (high - low) / self.bin_width < 20:
                raise ValueError(f"window [{low}, {high}] has fewer than 20 bins of {self.bin_width} GeV")
        return self
