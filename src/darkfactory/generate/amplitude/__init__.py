"""Tree-level helicity amplitudes from a model's vertices: off-shell recursion, NumPy and Numba."""

from __future__ import annotations

from darkfactory.generate.amplitude.engine import Amplitude, compile_amplitude

__all__ = ["Amplitude", "compile_amplitude"]
