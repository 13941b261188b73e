"""Adapter of every rule: read what Snakemake knows, call the stage, turn its errors into one line."""

import typing

from darkfactory.pipeline.adapter import run_rule

if typing.TYPE_CHECKING:
    from snakemake.iocontainers import Snakemake

    snakemake: Snakemake

if __name__ == "__main__":
    run_rule(snakemake)
