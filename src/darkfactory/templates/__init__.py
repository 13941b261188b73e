"""Histograms, shapes and HistFactory workspaces."""
