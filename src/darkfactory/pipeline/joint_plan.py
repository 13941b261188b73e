"""Which samples the workspaces of joint fits need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from darkfactory.config.search import SearchConfig

if TYPE_CHECKING:
    from darkfactory.pipeline.plan import Planner

__all__ = ["joint_fits", "member_signals"]


def joint_fits(config: SearchConfig) -> dict[str, dict[str, Any]]:
    """Hypotheses of a dataset that fit others together, and which."""
    return {n: h.joint.model_dump(mode="json") for n, h in config.hypotheses.items() if h.joint is not None}


def member_signals(plan: Planner, w: Mapping[str, str]) -> list[str]:
    """Selected signals of members of joint fits with points in a block; members may be cut into other blocks."""
    found: list[str] = []
    block = plan.block(w)
    for hypothesis, joint in plan.joint(w).items():
        points = set(block.get(hypothesis, ()))
        for member in joint["members"]:
            named = plan.campaign.blocks(w["search"], w["dataset"], member)
            # a point off the grid is a block of its own
            own = [w["block"]] if w["block"].startswith("m") else [b for b, ps in named.items() if points & set(ps)]
            found += plan.selected_signals({**w, "hypothesis": member}, "selected", own)
    return found
