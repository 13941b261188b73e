"""Examples at the end of each command's help, for commands that do not bring their own."""

from __future__ import annotations

from collections.abc import Mapping

import click

__all__ = ["EXAMPLES", "with_examples"]

_POINT = "zprime_invisible belle2_80fb m3p00000"

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "run": (
        "darkfactory run",
        "darkfactory run -c tiny --search alp_3gamma --cores 2",
        "darkfactory run --quiet results/laptop/alp_3gamma/belle2_445pb/limits.csv",
        "darkfactory run -c full --site slurm",
    ),
    "plan": ("darkfactory plan", "darkfactory plan -c closure --workers 8", "darkfactory plan --why"),
    "status": ("darkfactory status", "darkfactory status -c tiny --books"),
    "retry": ("darkfactory retry --failed", "darkfactory retry --failed -c full --site slurm"),
    "why": ("darkfactory why results/laptop/alp_3gamma/belle2_445pb/limits.csv",),
    "unblind": (
        "darkfactory unblind zprime_invisible belle2_80fb --show",
        'darkfactory unblind zprime_invisible belle2_80fb --by "A. Name" --reason "approved"',
    ),
    "config check": ("darkfactory config check", "darkfactory config check -c closure --set events.signal=500"),
    "config show": ("darkfactory config show -c tiny", "darkfactory config show --set seed=7 > resolved.yaml"),
    "config diff": ("darkfactory config diff laptop closure",),
    "config schema": ("darkfactory config schema > schema.json", "darkfactory config schema --write"),
    "config docs": ("darkfactory config docs | less", "darkfactory config docs --write"),
    "trigger show": ("darkfactory trigger show run1_2020", "darkfactory trigger show belle"),
    "trigger diff": ("darkfactory trigger diff run1_2020 run2_2024",),
    "trigger rates": ("darkfactory trigger rates run1_2020", "darkfactory trigger rates run1_2020 -c closure"),
    "cutflow": ("darkfactory cutflow alp_3gamma", "darkfactory cutflow zprime_invisible belle2_80fb -c closure"),
    "limit": (
        "darkfactory limit alp_3gamma belle2_445pb 0.5",
        "darkfactory limit zprime_invisible belle2_80fb 3.125 --json",
    ),
    "compare": ("darkfactory compare alp_3gamma --reference table.csv",
                "darkfactory compare zprime_invisible belle2_276pb --reference table.csv --model zprime_vanilla"),
    "diagnose correlations": (f"darkfactory diagnose correlations {_POINT}",),
    "diagnose coverage": (f"darkfactory diagnose coverage {_POINT} --toys 200",),
    "diagnose coverage-map": ("darkfactory diagnose coverage-map --method exact -o coverage",),
    "diagnose gof": (f"darkfactory diagnose gof {_POINT} --toys 500",),
    "diagnose impacts": (f"darkfactory diagnose impacts {_POINT}",),
    "diagnose injection": (f"darkfactory diagnose injection {_POINT} --toys 200",),
    "diagnose pulls": (f"darkfactory diagnose pulls {_POINT}",),
    "doctor": ("darkfactory doctor", "darkfactory doctor --site slurm"),
}  # fmt: skip
"""Name of a command, with that of its group, to lines as they are typed."""


def with_examples(command: click.Command, name: str) -> click.Command:
    """The command, and those of a group, with its examples as the end of its help."""
    if isinstance(command, click.Group):
        for inner, one in command.commands.items():
            with_examples(one, f"{name} {inner}")
        return command
    if command.epilog is None and name in EXAMPLES:
        # \b keeps the lines as they are
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in EXAMPLES[name])
    return command
