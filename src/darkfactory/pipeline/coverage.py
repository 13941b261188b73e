"""Coverage maps: the engine's own limits by background and true signal, entries spread over processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scipy.optimize import brentq

from darkfactory.config.load import validate
from darkfactory.config.statistics import StatisticsConfig
from darkfactory.core.files import write_json
from darkfactory.execute.backends import Backend
from darkfactory.report.diagnostics import coverage_map_figure
from darkfactory.report.files import save_figure
from darkfactory.report.style import style
from darkfactory.stats.coverage import coverage_of
from darkfactory.stats.examples import bump_window, counting_window
from darkfactory.stats.lint import effective_background
from darkfactory.store.tables import write_csv

__all__ = ["coverage_map_rows", "map_entry", "save_map"]

# a threshold of the configuration counts as reached
_JUST_ABOVE = 1e-6


def _workspace(settings: Mapping[str, Any], background: float) -> dict[str, Any]:
    if settings["shape"] == "counting":
        return counting_window(
            round(background), background, settings["background_error"], signal_error=settings["signal_error"]
        )
    # the spectrum that is worth the background asked for; it grows with the events, not in proportion
    events = brentq(lambda n: effective_background(bump_window(1, events=n)) - background, 0.1, 1e4 * (1 + background))
    return bump_window(1, events=float(events) * (1 + _JUST_ABOVE))


def map_entry(settings: Mapping[str, Any], background: float, signal: float) -> dict[str, Any]:
    """One entry of the map: coverage at one background and one true signal."""
    config = validate(
        StatisticsConfig, {"cls": [settings["cl"]], "method": settings["method"]}, where="statistics"
    )  # fmt: skip
    [found] = coverage_of(
        _workspace(settings, background),
        [signal],
        config,
        toys=settings["toys"],
        seed=settings["seed"],
        path=("coverage", settings["shape"], f"{background!r}"),
        inner_toys=settings["inner_toys"],
    )
    # the axes of the map are what was asked for, not what a spectrum rounds them to
    return found.to_dict() | {"signal_events": signal, "background_events": background}


def coverage_map_rows(
    settings: Mapping[str, Any], backend: Backend, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """All entries of a map, in order of background and signal.

    Args:
        settings: shape, backgrounds, signals, method, cl, toys, inner_toys, background_error, signal_error, seed.
        backend: where the entries are worked out.
        progress: called with a line after each.
    """
    pairs = [(b, s) for b in settings["backgrounds"] for s in settings["signals"]]
    plain = dict(settings)
    tasks = [("darkfactory.pipeline.coverage:map_entry", (plain, b, s)) for b, s in pairs]
    return backend.map(tasks, lambda n: progress(f"coverage: {n} of {len(tasks)} entries"))


def save_map(rows: list[dict[str, Any]], settings: Mapping[str, Any], folder: Path) -> Path:
    """Write the map as CSV, JSON, PNG and PDF; the path without its ending."""
    base = folder / f"coverage_map_{settings['shape']}"
    write_csv(base.with_suffix(".csv"), rows)
    write_json(base.with_suffix(".json"), {"rows": rows, "settings": dict(settings)})
    with style():
        title = f"{settings['shape']}, {settings['toys']} data sets an entry"
        figure = coverage_map_figure(rows, title=title)
        save_figure(figure, folder, base.name)
    return base
