"""Figures as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from darkfactory.report.files import save_figure
from darkfactory.report.style import figure, stamp, style


def drawn() -> Figure:
    made, ax = figure()
    ax.plot([1, 2, 3], [1e-3, 1e2, 1e-1])
    ax.set_yscale("log")
    ax.set_ylabel("upper limit [fb]")
    stamp(ax, "belle2_80fb", 79.7, "pseudo")
    return made


def test_pixels_are_those_of_the_drawing_library(tmp_path: Path) -> None:
    with style():
        drawn().savefig(tmp_path / "theirs.png")
        files = save_figure(drawn(), tmp_path / "new", "limits_0.9")
    assert [f.name for f in files] == ["limits_0.9.png", "limits_0.9.pdf"]
    ours, theirs = (np.asarray(Image.open(f).convert("RGB")) for f in (files[0], tmp_path / "theirs.png"))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.std() > 10


def test_equal_figures_are_equal_files(tmp_path: Path) -> None:
    with style():
        first, second = (save_figure(drawn(), tmp_path / n, "a") for n in ("one", "two"))
    assert [a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True)] == [True, True]
    assert first[1].read_bytes().startswith(b"%PDF")
