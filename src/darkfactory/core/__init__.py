"""Errors, logging, files, digests, seeds and units; no physics."""
