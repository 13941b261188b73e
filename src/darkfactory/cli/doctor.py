"""`darkfactory doctor`: versions against known-bad combinations, and one worker."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from packaging.version import Version

from darkfactory.config.site import load_site
from darkfactory.core.errors import RunError
from darkfactory.execute.run import start_cluster
from darkfactory.execute.trial import try_site

__all__ = ["doctor"]

# package: (is bad, why, what to do)
KNOWN_BAD: Mapping[str, tuple[Callable[[Version], bool], str]] = {
    "numpy": (lambda v: v >= Version("2.4"), "pyhf 0.7.6 toys fail on NumPy 2.4: install numpy<2.4"),
    "scipy": (
        lambda v: Version("1.16.0") <= v <= Version("1.16.2"),
        "SLSQP of SciPy 1.16.0 to 1.16.2 gives other numbers: install scipy>=1.16.3",
    ),
    "snakemake": (lambda v: not Version("9.27") <= v < Version("10"), "install snakemake>=9.27,<10"),
    "uproot": (lambda v: v < Version("5.7"), "RNTuple files need uproot>=5.7"),
    "snakemake-executor-plugin-slurm": (
        lambda v: v >= Version("2.8"),
        "2.8 asks for NumPy 2.4, on which pyhf's toys fail: install snakemake-executor-plugin-slurm<2.8",
    ),
    "pythia8mc": (
        lambda v: v != Version("8.317.2"),
        "only 8.317.2 was tried and has wheels: install pythia8mc==8.317.2",
    ),
}
OPTIONAL = ("numba", "pythia8mc", "dask-jobqueue", "cryptography", "snakemake-executor-plugin-slurm")


def _check(name: str) -> tuple[bool, str]:
    try:
        version = Version(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return name in OPTIONAL, f"{name}: not installed" + (" (optional)" if name in OPTIONAL else "")
    bad, advice = KNOWN_BAD.get(name, (lambda v: False, ""))
    return (False, f"{name} {version}: {advice}") if bad(version) else (True, f"{name} {version}")


def _say(good: bool, text: str) -> None:
    click.echo(("ok    " if good else "WRONG ") + text)


@click.command()
@click.option("--site", default=None, help="Also try a site: submit one worker and say which hop fails.")
def doctor(site: str | None) -> None:
    """Check versions, scratch space, and that a worker starts."""
    results = [(sys.version_info >= (3, 11), f"Python {sys.version.split()[0]}")]
    names = ("numpy", "scipy", "awkward", "uproot", "pyhf", "dask", "distributed", "snakemake", *OPTIONAL)
    results += [_check(name) for name in names]
    same = importlib.metadata.version("dask") == importlib.metadata.version("distributed")
    results.append(
        (same, "dask and distributed of one version" if same else "dask and distributed differ: install one version")
    )
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    results.append((free > 5, f"{free:.0f} GiB free here" + ("" if free > 5 else ": a laptop campaign needs 5")))
    results.append((True, f"{os.cpu_count()} cores"))
    if site is None:
        try:
            start_cluster(1).close()
            results.append((True, "a worker starts"))
        except RunError as error:
            results.append((False, str(error)))
    for good, text in results:
        _say(good, text)
    if site is not None:
        config = load_site(site)
        for hop in try_site(config.model_dump(mode="json"), Path.cwd()):
            results.append((hop.good, hop.text))
            _say(hop.good, f"{hop.name}: {hop.text}")
    if not all(good for good, _ in results):
        raise RunError("the lines marked WRONG above need mending")
