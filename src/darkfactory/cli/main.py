"""The command line: `darkfactory`. Exit 0 success, 1 failure of the run, 2 user error."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from darkfactory import __version__
from darkfactory.cli.examples import with_examples
from darkfactory.core.errors import DarkfactoryError, UserError
from darkfactory.core.suggest import did_you_mean

__all__ = ["cli", "main"]

# name to module:object; modules are imported when their command is called, so that --help is quick
COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("darkfactory.cli.run:run", "Run a campaign, a search or single results."),
    "plan": ("darkfactory.cli.plan:plan", "Jobs, events, disk and CPU per stage, before anything runs."),
    "status": ("darkfactory.cli.status:status", "What is done, what failed and why; the books of events."),
    "retry": ("darkfactory.cli.status:retry", "Run again what failed."),
    "why": ("darkfactory.cli.status:why", "Where a result comes from, or why it is not there."),
    "unblind": ("darkfactory.cli.unblind:unblind", "Open the recorded data of a dataset, on record."),
    "config": ("darkfactory.cli.config:config", "Check, show or compare configurations."),
    "new-search": ("darkfactory.cli.new_search:new_search", "A commented start for a search of your own."),
    "trigger": ("darkfactory.cli.trigger:trigger", "Show or compare trigger menus, and their rates."),
    "inspect": ("darkfactory.cli.inspect:inspect", "A first look at ntuples, and how many events pass each cut."),
    "cutflow": ("darkfactory.cli.results:cutflow", "Events left after each cut of a search."),
    "limit": ("darkfactory.cli.results:limit", "The limit at one point; runs what is missing."),
    "compare": ("darkfactory.cli.results:compare", "Our limits against a published table."),
    "recast": ("darkfactory.cli.recast:recast", "Limits of a search on a model of your own."),
    "project": ("darkfactory.cli.project:project", "Expected limits and reach at other luminosities."),
    "scenarios": ("darkfactory.cli.scenarios:scenarios", "A search under other trigger lines, side by side."),
    "regimes": ("darkfactory.cli.regimes:regimes", "Where a mediator is invisible, long-lived or prompt."),
    "yields": ("darkfactory.cli.yields:yields", "Numbers of B pairs, tau pairs and others for a luminosity."),
    "combine": ("darkfactory.cli.combine:combine", "Limits on a coupling from several searches together."),
    "diagnose": ("darkfactory.cli.diagnose:diagnose", "A closer look at one fit: impacts, goodness of fit, ..."),
    "export": ("darkfactory.cli.export:export", "For pyhf, HEPData, Darkcast and REANA."),
    "cite": ("darkfactory.cli.cite:cite", "BibTeX of papers and software of a campaign."),
    "doctor": ("darkfactory.cli.doctor:doctor", "Check versions and the machine."),
}
"""Commands, their places and their one-line help."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: Any = getattr(importlib.import_module(module), name)
        return with_examples(command, cmd_name) if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0].replace("_", "-"), COMMANDS)
            # newer versions of click say it themselves
            if hint and "id you mean" not in error.message:
                raise click.UsageError(f"{error.message.rstrip('.')}{hint.replace('; d', '. D', 1)}", ctx) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Dark-sector searches at e+e- B factories, from generation to coupling limits."""


def main() -> None:
    """Entry point: errors of ours are one message, without a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except DarkfactoryError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # the reader of the output has seen enough, as in `| head`; the interpreter's last flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (PermissionError, IsADirectoryError, NotADirectoryError, FileNotFoundError) as error:
        if error.filename is None:
            raise
        click.echo(f"error: {error.filename}: {error.strerror}; choose a file or folder that can be used", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
