"""Figures of a stage as files, with the list of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from darkfactory.core.files import atomic_path, write_json

__all__ = ["write_figures"]


def write_figures(index: Path, drawn: Mapping[str, tuple[str, Figure]]) -> None:
    """Write each figure as PNG and PDF beside the list.

    Args:
        index: path of the list.
        drawn: name to caption and figure.
    """
    entries = []
    for name, (caption, figure) in drawn.items():
        for suffix in ("png", "pdf"):
            metadata = {"CreationDate": None} if suffix == "pdf" else None
            with atomic_path(index.parent / f"{name}.{suffix}") as tmp:
                figure.savefig(tmp, format=suffix, metadata=metadata)
            # laid out once: it is most of the cost of a figure
            figure.set_layout_engine("none")
        entries.append({"file": f"{name}.png", "caption": caption})
    write_json(index, {"figures": entries})
