"""What somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest one that exists as a question, nothing if none is near.

    Example:
        >>> did_you_mean("photon_triplets", ["single_photon", "photon_triplet"])
        "; did you mean 'photon_triplet'?"
        >>> did_you_mean("x", ["single_photon"])
        ''
    """
    near = difflib.get_close_matches(str(name), [str(a) for a in allowed], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
