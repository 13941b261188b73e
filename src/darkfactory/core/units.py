"""Quantities with units in configuration files, and the conversions that the field uses."""

from __future__ import annotations

import re

from darkfactory.core.errors import UserError

__all__ = ["GEV2_TO_FB", "HBARC_GEV_CM", "parse_quantity"]

# hbar^2 c^2 in GeV^2 fb and hbar c in GeV cm (CODATA 2018)
GEV2_TO_FB = 0.3893793721e12
HBARC_GEV_CM = 1.973269804e-14

_SCALES: dict[str, dict[str, float]] = {
    "luminosity": {"/fb": 1.0, "fb^-1": 1.0, "/pb": 1e-3, "pb^-1": 1e-3, "/ab": 1e3, "ab^-1": 1e3},
    "cross_section": {"fb": 1.0, "pb": 1e3, "nb": 1e6, "ab": 1e-3},
    "energy": {"GeV": 1.0, "MeV": 1e-3, "keV": 1e-6, "TeV": 1e3},
    "length": {"cm": 1.0, "mm": 0.1, "um": 1e-4, "m": 100.0},
    "angle": {"rad": 1.0, "mrad": 1e-3, "deg": 0.017453292519943295},
    "time": {"ns": 1.0, "us": 1e3, "ps": 1e-3},
    "memory": {"MB": 1e6, "GB": 1e9, "MiB": 2.0**20, "GiB": 2.0**30, "kB": 1e3},
}
_QUANTITY = re.compile(r"^\s*([+-]?[0-9.]+(?:[eE][+-]?\d+)?)\s*(\S+)\s*$")


def parse_quantity(text: str | float | int, kind: str) -> float:
    """Number in the base unit of its kind (/fb, fb, GeV, cm, rad, ns, byte) from text such as '445 /pb'.

    A bare number is already in the base unit.

    Raises:
        UserError: unreadable text or a unit of another kind.

    Example:
        >>> parse_quantity("445 /pb", "luminosity")
        0.445
        >>> parse_quantity("83 mrad", "angle")
        0.083
    """
    units = _SCALES[kind]
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    match = _QUANTITY.match(str(text))
    allowed = ", ".join(units)
    if match is None:
        raise UserError(f"{text!r} is no {kind}; write a number and a unit, one of {allowed}")
    number, unit = match.groups()
    if unit not in units:
        raise UserError(f"{text!r}: unit {unit!r} is no unit of {kind}; allowed are {allowed}")
    try:
        return float(number) * units[unit]
    except ValueError as error:
        raise UserError(f"{text!r}: {number!r} is no number; write for example 10 {allowed[0]}") from error
