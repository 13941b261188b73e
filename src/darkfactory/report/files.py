"""Figures on disk, as pixels and as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from darkfactory.core.files import atomic_path

__all__ = ["save_figure"]


def save_figure(figure: Figure, folder: str | Path, name: str, suffixes: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Write a figure as ``<folder>/<name>.<suffix>``; equal figures are equal files.

    The canvases are called themselves: ``Figure.savefig`` draws everything once more before each file, only to place
    what was placed already.

    Args:
        figure: the figure; its layout is fixed afterwards.
        folder: where to.
        name: of the files, without ending; dots belong to it.
        suffixes: ``png``, ``pdf`` or both.

    Returns:
        Paths of the files, in the order of the suffixes.
    """
    files = []
    for suffix in suffixes:
        file = Path(folder) / f"{name}.{suffix}"
        with atomic_path(file) as tmp:
            # without types in the library
            if suffix == "pdf":
                pdf: Any = FigureCanvasPdf(figure)
                pdf.print_pdf(tmp, metadata={"CreationDate": None})
            else:
                pixels: Any = FigureCanvasAgg(figure)
                pixels.print_png(tmp)
        # laid out once, which is a good part of the cost of a figure
        figure.set_layout_engine("none")
        files.append(file)
    return files
