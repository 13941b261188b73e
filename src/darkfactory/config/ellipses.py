"""The ``templates:`` section of a search that counts in ellipses of a plane of two squared masses."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from darkfactory.config.base import StrictModel, Tagged

__all__ = ["EllipsesConfig", "PlaneSmoothing", "PlaneSystematics", "SurfaceOrders"]


class SurfaceOrders(StrictModel):
    """Total degrees of the polynomials of both masses that make measured quantities smooth over the plane."""

    resolution: int = Field(default=4, ge=0, le=8)
    """Of the logarithms of the two widths."""
    correlation: int = Field(default=4, ge=0, le=8)
    """Of the inverse hyperbolic tangent of the correlation."""
    offset: int = Field(default=3, ge=0, le=8)
    """Of the peak's offsets from the squared masses, in widths."""
    efficiency: int = Field(default=5, ge=0, le=8)
    """Of the logarithm of the efficiency inside the ellipse."""
    rate: int = Field(default=4, ge=0, le=8)
    """Of the logarithm of the cross-section with radiation over that without."""


class PlaneSmoothing(StrictModel):
    """Local smoothing of simulated backgrounds: events are spread with kernels of the shape of the resolution."""

    target_events: float = Field(default=100.0, gt=0)
    """The bandwidth grows until about so many effective events share a window."""
    bandwidths: tuple[float, float] = (0.5, 6.0)
    """Smallest and largest bandwidth, in units of the resolution."""
    points: int = Field(default=64, ge=1, le=1024)
    """Points that an event is spread over, a power of two."""


class PlaneSystematics(StrictModel):
    """Relative uncertainties by nuisance; equal names are one nuisance parameter."""

    signal: dict[str, Tagged] = Field(default_factory=dict)
    """Of the signal efficiency."""
    background: dict[str, Tagged] = Field(default_factory=dict)
    """Of all backgrounds."""


class EllipsesConfig(StrictModel):
    """Windows are ellipses of the resolution measured on simulated signals and made smooth over the plane."""

    kind: Literal["ellipses"]
    """Which kind of templates."""
    x: str
    """Column with the squared mass of the axis ``mass``, GeV^2."""
    y: str
    """Column with the squared mass of the axis ``mass2``, GeV^2."""
    mass: tuple[float, float]
    """Lowest and highest mass of the windows' centres, GeV."""
    where: tuple[str, ...] = ()
    """Conditions on the centres, comparisons of ``mass`` and ``mass2``."""
    half_axes: float = Field(default=2.0, gt=0)
    """Half axes of a window in units of the resolution, in the frame in which both masses are uncorrelated."""
    spacing: float = Field(default=2.0, gt=0)
    """Distance of centres in the same units."""
    cells: float = Field(default=0.4, gt=0, le=1)
    """Size of the fine cells that backgrounds, data and toys are binned in, in the same units."""
    rate: Literal["dark_higgsstrahlung"]
    """Closed form of the cross-section; simulation gives its correction by radiation."""
    min_events: float = Field(default=50.0, gt=0)
    """Simulated points with fewer effective events in the core are left out of the surfaces."""
    surfaces: SurfaceOrders = SurfaceOrders()
    smoothing: PlaneSmoothing = PlaneSmoothing()
    normalisations: dict[str, Tagged] = Field(default_factory=dict)
    """Relative uncertainty of the yield, by background sample."""
    default_normalisation: Tagged
    """Of the backgrounds that are not named."""
    systematics: PlaneSystematics = PlaneSystematics()
    negligible: float = Field(default=1e-3, ge=0)
    """Backgrounds that expect fewer events in a window are added to the largest one."""
    hepdata: str = Field(default="ins0000000", pattern=r"^ins[0-9]{7}$")
    """INSPIRE number for patch sets (their schema demands one; all zeros: not published)."""
    poi_bounds: tuple[float, float] = (0.0, 100.0)
    """Bounds of the parameter of interest, in units of about one standard deviation of the background."""
