"""Trigger decisions of events, and the probability that a set of lines keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from darkfactory.config.trigger import TriggerMenu
from darkfactory.physics.beams import BeamFrame
from darkfactory.trigger.menu import CompiledLevel, Level, check_lines, compile_menu
from darkfactory.trigger.noise import Noise
from darkfactory.trigger.objects import EventScope, hlt_scope, l1_scope

__all__ = ["emulate", "fired", "line_weight", "passes", "shifted_menu", "trigger_variation", "trigger_weight"]

Array = NDArray[Any]
_SIDES: tuple[Literal["up"], Literal["down"]] = ("up", "down")


def _bits(scope: EventScope, level: CompiledLevel) -> Array:
    bits = np.zeros(scope.n_events, dtype=np.uint64)
    # empty slots hold zeros; what a division makes of them is masked afterwards
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i, line in enumerate(level.lines.values()):
            decision = np.broadcast_to(line.on(scope), scope.n_events)
            bits |= decision.astype(np.uint64) << np.uint64(i)
    return bits


def emulate(events: ak.Array, menu: TriggerMenu, frame: BeamFrame, rng: np.random.Generator) -> ak.Array:
    """Add the decisions of both levels, before prescales and line efficiencies.

    The decisions on an event depend on its own content, its ``event_id`` and the generator's state only: they
    are the same whatever other events are in the chunk.

    Args:
        events: reconstructed events.
        menu: the trigger menu.
        frame: the centre of mass.
        rng: the chunk's generator; one number is drawn from it.

    Returns:
        The events with ``l1`` and ``hlt`` (uint64): bit i is line i of ``menu.l1_names`` or ``menu.hlt_names``.

    Raises:
        ConfigError: the menu is wrong.
        InputError: the events lack a field.
    """
    compiled = compile_menu(menu)
    noise = Noise(rng)
    l1 = _bits(l1_scope(events, menu.l1_objects, compiled.l1.rules, frame, noise), compiled.l1)
    hlt = _bits(hlt_scope(events, menu.hlt_objects, compiled.hlt.rules, frame), compiled.hlt)
    return ak.with_field(ak.with_field(events, l1, "l1"), hlt, "hlt")


def fired(bits: Array, menu: TriggerMenu, level: Level, line: str) -> Array:
    """Whether one line's condition is fulfilled, shape (n,).

    Raises:
        ConfigError: no such line.
    """
    (bit,) = check_lines(menu, level, [line])
    return np.asarray((np.asarray(bits) >> np.uint64(bit)) & np.uint64(1) != 0)


def passes(bits: Array, menu: TriggerMenu, level: Level, lines: Sequence[str] | None = None) -> Array:
    """Whether at least one of the lines' conditions is fulfilled, shape (n,).

    Args:
        bits: decisions of the level.
        menu: the menu that made them.
        level: ``l1`` or ``hlt``.
        lines: line names; none given (``None``): all of the menu; an empty list: the level is not asked.

    Raises:
        ConfigError: no such line.
    """
    bits = np.asarray(bits)
    if lines is not None and not len(lines):
        return np.ones(bits.shape, dtype=bool)
    numbers = check_lines(menu, level, menu.level(level).names if lines is None else lines)
    mask = np.uint64(sum(1 << n for n in numbers))
    return np.asarray((bits & mask) != 0)


def line_weight(
    bits: Array, menu: TriggerMenu, level: Level, lines: Sequence[str] | None = None, *, live: bool = False
) -> Array:
    """Probability that at least one of the lines keeps the event: prescales and line efficiencies folded.

    Lines are independent: the probability is one minus the product of those that each fails. The dead time
    of the injection veto counts at L1 when the menu says that the luminosity does not hold it already.

    Args:
        bits: decisions of the level.
        menu: the menu that made them.
        level: ``l1`` or ``hlt``.
        lines: line names; none given (``None``): all of the menu; an empty list: weight 1.
        live: count the injection veto's dead time whatever the menu says (for rates).

    Raises:
        ConfigError: no such line.
    """
    bits = np.asarray(bits)
    if lines is not None and not len(lines):
        return np.ones(bits.shape)
    chosen = tuple(menu.level(level).names if lines is None else lines)
    numbers = check_lines(menu, level, chosen)
    # few different words, many events: the products are made once per word
    words, place = np.unique(bits, return_inverse=True)
    miss = {True: np.ones(words.shape), False: np.ones(words.shape)}
    for name, number in zip(chosen, numbers, strict=True):
        line = menu.level(level).lines[name]
        on = (words >> np.uint64(number)) & np.uint64(1) != 0
        miss[line.injection_veto] *= np.where(on, 1.0 - line.acceptance, 1.0)
    veto = menu.injection_veto
    dead = veto.dead_time.value if level == "l1" and (live or not veto.in_luminosity) else 0.0
    weight = (1.0 - dead) * (1.0 - miss[True] * miss[False]) + dead * (1.0 - miss[False])
    return np.asarray(weight[place.reshape(bits.shape)])


def trigger_weight(
    events: ak.Array, menu: TriggerMenu, l1: Sequence[str] | None = None, hlt: Sequence[str] | None = None
) -> Array:
    """Probability that both levels keep the event: the product of the two levels' :func:`line_weight`.

    Args:
        events: events with ``l1`` and ``hlt``.
        menu: the menu that made them.
        l1: L1 lines; ``None``: any; empty: not asked.
        hlt: HLT lines; ``None``: any; empty: not asked (pass-through).
    """
    return line_weight(ak.to_numpy(events["l1"]), menu, "l1", l1) * line_weight(
        ak.to_numpy(events["hlt"]), menu, "hlt", hlt
    )


def shifted_menu(menu: TriggerMenu, side: Literal["up", "down"]) -> TriggerMenu:
    """The menu with every line efficiency at the end of its plausible range, or one uncertainty away.

    Efficiencies that have neither stay. For the nuisance of a search; objects' efficiencies stay, too.

    Args:
        menu: the menu.
        side: which end.
    """
    changed: dict[str, Any] = {}
    for name in ("l1", "hlt"):
        level = getattr(menu, name)
        lines = {}
        for line, config in level.lines.items():
            eff = config.eff
            if eff is not None and (eff.range is not None or eff.uncertainty is not None):
                step = eff.uncertainty if eff.uncertainty is not None else 0.0
                ends = eff.range if eff.range is not None else (eff.value - step, eff.value + step)
                value = min(ends[1], 1.0) if side == "up" else max(ends[0], 0.0)
                config = config.model_copy(update={"eff": eff.model_copy(update={"value": value, "range": None})})
            lines[line] = config
        changed[name] = level.model_copy(update={"lines": lines})
    return menu.model_copy(update=changed)


def trigger_variation(
    events: ak.Array, menu: TriggerMenu, l1: Sequence[str] | None = None, hlt: Sequence[str] | None = None
) -> tuple[Array, Array]:
    """Factors on :func:`trigger_weight` for line efficiencies at both ends of their ranges (all lines together).

    Args:
        events: events with ``l1`` and ``hlt``.
        menu: the menu that made them.
        l1: as for :func:`trigger_weight`.
        hlt: as for :func:`trigger_weight`.

    Returns:
        Factors up and down; 1 where the weight is 0.
    """
    nominal = trigger_weight(events, menu, l1, hlt)
    safe = np.where(nominal > 0, nominal, 1.0)
    up, down = (
        np.where(nominal > 0, trigger_weight(events, shifted_menu(menu, side), l1, hlt) / safe, 1.0) for side in _SIDES
    )
    return up, down
