"""Typed models of every YAML file: loading, merging, validation."""
