"""Loose preselections shared by searches."""
