"""Frozen typed things that stages hand to each other."""
