"""What all typed configuration models share: strictness, quantities, numbers with a source tag."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from darkfactory.core.errors import UserError
from darkfactory.core.units import parse_quantity

__all__ = [
    "Angle",
    "CrossSection",
    "Energy",
    "Length",
    "Luminosity",
    "Memory",
    "StrictModel",
    "Tagged",
    "Time",
]

Source = Literal["published", "derived", "measured", "recalled", "assumed"]


class StrictModel(BaseModel):
    """Immutable; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=())


def _quantity(kind: str) -> BeforeValidator:
    def convert(value: Any) -> Any:
        try:
            return parse_quantity(value, kind)
        except UserError as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(convert, json_schema_input_type=float | str)


Luminosity = Annotated[float, _quantity("luminosity"), Field(gt=0, json_schema_extra={"unit": "/fb"})]
CrossSection = Annotated[float, _quantity("cross_section"), Field(ge=0, json_schema_extra={"unit": "fb"})]
Energy = Annotated[float, _quantity("energy"), Field(json_schema_extra={"unit": "GeV"})]
Length = Annotated[float, _quantity("length"), Field(json_schema_extra={"unit": "cm"})]
Angle = Annotated[float, _quantity("angle"), Field(json_schema_extra={"unit": "rad"})]
Time = Annotated[float, _quantity("time"), Field(json_schema_extra={"unit": "ns"})]
Memory = Annotated[float, _quantity("memory"), Field(gt=0, json_schema_extra={"unit": "bytes"})]


class Tagged(StrictModel):
    """A physics number with its provenance: ``{value: 0.9, source: assumed, note: ..., range: [0, 1]}``."""

    value: float
    """The number, in the unit that the key's name says."""
    source: Source
    """published, derived, measured (here), recalled (from memory of a paper) or assumed."""
    note: str = ""
    """Paper and equation, or the reason of the assumption."""
    uncertainty: float | None = Field(default=None, ge=0)
    """Absolute one-sigma uncertainty, if it is a nuisance."""
    range: tuple[float, float] | None = None
    """Plausible range; a nuisance parameter covers it."""

    @model_validator(mode="after")
    def _ordered(self) -> Tagged:
        if self.range is not None and not self.range[0] <= self.value <= self.range[1]:
            raise ValueError(f"value {self.value} is outside its own range {list(self.range)}")
        return self
