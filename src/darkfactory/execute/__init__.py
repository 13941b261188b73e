"""Chunk plans, backends and map-reduce; the only place that knows Dask."""
