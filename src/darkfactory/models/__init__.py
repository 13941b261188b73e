"""Rates, widths and branching fractions of the dark-sector models."""
