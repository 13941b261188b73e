"""From cross-section limits to couplings."""
