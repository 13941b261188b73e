"""The seed tree: one independent random stream per (campaign seed, names, chunk)."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator", "seed_words"]


def seed_words(seed: int, *path: str | int) -> list[int]:
    """Eight 32-bit words from a campaign seed and a path of names and numbers.

    Example:
        >>> seed_words(1, "mumu_gamma", 0) == seed_words(1, "mumu_gamma", 0)
        True
        >>> seed_words(1, "mumu_gamma", 0) == seed_words(1, "mumu_gamma", 1)
        False
    """
    text = "\x1f".join([str(int(seed)), *(f"{type(p).__name__}:{p}" for p in path)])
    return [int(w) for w in np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u4")]


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """A Philox stream for a place in the seed tree, the same for any order of work.

    Args:
        seed: the campaign's seed.
        path: stage, sample or point, and chunk number.

    Example:
        >>> float(generator(1, "generate", "mumu_gamma", 0).random()) == float(
        ...     generator(1, "generate", "mumu_gamma", 0).random())
        True
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed_words(seed, *path))))
