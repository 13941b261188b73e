"""Tau decays with full spin correlations."""
