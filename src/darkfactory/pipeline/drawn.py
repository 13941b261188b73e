"""Figures of a stage as files, with the list of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from darkfactory.core.files import write_json
from darkfactory.report.files import save_figure

__all__ = ["write_figures"]


def write_figures(index: Path, drawn: Mapping[str, tuple[str, Figure]]) -> None:
    """Write each figure as PNG and PDF beside the list.

    Args:
        index: path of the list.
        drawn: name to caption and figure.
    """
    entries = []
    for name, (caption, figure) in drawn.items():
        save_figure(figure, index.parent, name)
        entries.append({"file": f"{name}.png", "caption": caption})
    write_json(index, {"figures": entries})
