"""Tree-level helicity amplitudes from a model's vertices: off-shell recursion, NumPy and Numba."""
