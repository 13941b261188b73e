"""What looks wrong with a workspace before anything is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from darkfactory.config.statistics import LintConfig

__all__ = ["effective_background", "lint_workspace", "signal_and_background"]


def signal_and_background(spec: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Nominal signal (samples scaled by the parameter of interest) and background over all bins of a workspace.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(8, 9.0, signal=3.0)
        >>> s, b = signal_and_background(spec)
        >>> s.tolist(), b.tolist()
        ([3.0], [9.0])
    """
    poi = spec["measurements"][0]["config"]["poi"]
    signal: list[np.ndarray] = []
    background: list[np.ndarray] = []
    for channel in spec["channels"]:
        nbins = max((len(s["data"]) for s in channel["samples"]), default=0)
        s_sum, b_sum = np.zeros(nbins), np.zeros(nbins)
        for sample in channel["samples"]:
            values = np.zeros(nbins)
            values[: len(sample["data"])] = sample["data"]
            if any(m["type"] == "normfactor" and m["name"] == poi for m in sample["modifiers"]):
                s_sum += values
            else:
                b_sum += values
        signal.append(s_sum)
        background.append(b_sum)
    return np.concatenate(signal), np.concatenate(background)


def effective_background(spec: Mapping[str, Any], signal_events: float = 3.0) -> float:
    """Background of the one-bin counting that would measure a small signal as well as all bins do.

    A count of S signal events on B background events measures the signal strength with the information
    S^2/(S + B). The bins of a workspace give the sum of s^2/(s + b); B is what makes both equal. With most of the
    signal in bins that are free of background it is small, however much background the window holds: there a limit
    is that of a few events and the asymptotic formula does not hold.

    Args:
        spec: complete workspace.
        signal_events: signal at which the information is taken, about the limit without background.

    Returns:
        Events; all of the background where there is no signal. Nuisance parameters are left out.

    Example:
        Half of the signal on 100 events and half on none, and one bin that is its own counting:

        >>> def spec(signal, background):
        ...     poi = [{"name": "mu", "type": "normfactor", "data": None}]
        ...     samples = [{"name": "s", "data": signal, "modifiers": poi},
        ...                {"name": "b", "data": background, "modifiers": []}]
        ...     return {"channels": [{"name": "sr", "samples": samples}], "version": "1.0.0",
        ...             "observations": [{"name": "sr", "data": background}],
        ...             "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}
        >>> round(effective_background(spec([0.7, 0.7], [100.0, 0.0])), 2)
        2.91
        >>> round(effective_background(spec([0.2], [9.0])), 2)
        9.0
    """
    s, b = signal_and_background(spec)
    s, b = np.maximum(s, 0.0), np.maximum(b, 0.0)
    total = float(s.sum())
    if total <= 0:
        return float(b.sum())
    kept = s > 0
    some = signal_events * s[kept] / total
    information = float((some * some / (some + b[kept])).sum())
    return max(signal_events**2 / information - signal_events, 0.0)


def _mc_warnings(name: str, channel: Mapping[str, Any], poi: str, config: LintConfig) -> list[str]:
    """Bins whose staterror says that fewer MC events stand behind the background than asked for."""
    nbins = len(channel["samples"][0]["data"])
    total, variance = np.zeros(nbins), np.zeros(nbins)
    for sample in channel["samples"]:
        if any(m["type"] == "normfactor" and m["name"] == poi for m in sample["modifiers"]):
            continue
        for mod in sample["modifiers"]:
            if mod["type"] == "staterror":
                total += np.asarray(sample["data"], dtype=float)
                variance += np.asarray(mod["data"], dtype=float) ** 2
    asked = (total > config.negligible) & (variance > 0)
    effective = np.where(asked, total**2 / np.where(variance > 0, variance, 1.0), np.inf)
    few = asked & (effective < config.effective_over_expected * total)
    if not few.any():
        return []
    worst = int(np.argmin(np.where(few, effective / np.where(total > 0, total, 1.0), np.inf)))
    return [
        f"{name}: {int(few.sum())} of {nbins} bins have fewer effective MC events than "
        f"{config.effective_over_expected:g} times their expected background; worst is bin {worst} with "
        f"{effective[worst]:.3g} for {total[worst]:.3g} expected; generate more, or bias generation towards it"
    ]


def lint_workspace(spec: Mapping[str, Any], config: LintConfig | None = None) -> list[str]:
    """Warnings about a complete workspace: what, where, the value and what to do.

    Args:
        spec: complete workspace.
        config: thresholds.

    Returns:
        Warnings, none for a sound workspace.

    Example:
        >>> from darkfactory.stats.examples import counting_window
        >>> spec = counting_window(1, 0.0, signal=3.0)
        >>> lint_workspace(spec)[0]
        'sr: 1 of 1 bins have data or signal but no background (first: bin 0); widen the bins or smooth the template'
    """
    config = config or LintConfig()
    poi = spec["measurements"][0]["config"]["poi"]
    observed = {o["name"]: np.asarray(o["data"], dtype=float) for o in spec["observations"]}
    warnings: list[str] = []
    signal_all, background_all = signal_and_background(spec)
    if not float(np.abs(signal_all).sum()) > 0:
        warnings.append(f"no sample with parameter of interest {poi!r} has any event: no limit is possible")
    for channel in spec["channels"]:
        name = channel["name"]
        one = {**spec, "channels": [channel]}
        signal, background = signal_and_background(one)
        counts = observed.get(name, np.zeros_like(signal))
        empty = (background == 0) & ((counts > 0) | (signal > 0))
        if empty.any():
            warnings.append(
                f"{name}: {int(empty.sum())} of {len(empty)} bins have data or signal but no background "
                f"(first: bin {int(np.argmax(empty))}); widen the bins or smooth the template"
            )
        for sample in channel["samples"]:
            values = np.asarray(sample["data"], dtype=float)
            if not np.isfinite(values).all():
                warnings.append(f"{name}.{sample['name']}: values that are no finite numbers; rebuild the template")
            if (values < 0).any():
                worst = int(np.argmin(values))
                warnings.append(
                    f"{name}.{sample['name']}: {int((values < 0).sum())} negative bins (worst: bin {worst} with "
                    f"{values[worst]:.3g}); merge bins or drop the negative weights"
                )
            for mod in sample["modifiers"]:
                if mod["type"] == "histosys":
                    low = min(min(mod["data"]["hi_data"], default=0.0), min(mod["data"]["lo_data"], default=0.0))
                    if low < 0:
                        warnings.append(
                            f"{name}.{sample['name']}: variation {mod['name']!r} goes down to {low:.3g}; "
                            "a negative varied bin is no expectation, make the variation relative"
                        )
        warnings += _mc_warnings(name, channel, poi, config)
    under = float((signal_all * background_all).sum() / signal_all.sum()) if signal_all.sum() > 0 else 0.0
    peak = float((signal_all**2).sum() / signal_all.sum()) if signal_all.sum() > 0 else 0.0
    if under > 0 and peak > config.signal_over_background * under:
        warnings.append(
            f"one unit of signal is {peak / under:.3g} times the background under it; "
            "scale the signal to about the square root of the background"
        )
    return warnings
