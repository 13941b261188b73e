"""Sites: where the work of a run is done. Nothing here changes a result, and nothing of it reaches a rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from darkfactory.config.base import Memory, StrictModel
from darkfactory.config.load import read_yaml, validate
from darkfactory.core.errors import ConfigError

__all__ = ["PROFILES", "NetworkConfig", "SiteConfig", "TaskConfig", "TlsConfig", "check_executor", "clock",
           "load_site", "site_names"]  # fmt: skip

PROFILES = Path("workflow") / "profiles"
"""Folder of the sites, one folder each, below the project's top level."""
BATCH = ("slurm", "htcondor", "lsf", "pbs")
_CLOCK = re.compile(r"^(?:(\d+):)?(\d{1,3}):(\d{2})$")


def clock(value: Any) -> Any:
    """Seconds of ``HH:MM:SS`` or ``MM:SS``; numbers are seconds already.

    Example:
        >>> clock("02:30:00"), clock("10:00"), clock(60)
        (9000, 600, 60)
    """
    if isinstance(value, str):
        match = _CLOCK.match(value.strip())
        if match is None:
            raise ValueError(f'{value!r} is no duration; write "HH:MM:SS" with quotes, or seconds')
        hours, minutes, seconds = (int(g or 0) for g in match.groups())
        return 3600 * hours + 60 * minutes + seconds
    return value


Duration = Annotated[int, BeforeValidator(clock, json_schema_input_type=int | str), Field(ge=0)]
Ports = tuple[int, int]


class TaskConfig(StrictModel):
    """How hard a task is tried."""

    retries: int = Field(default=2, ge=0)
    """Further tries of a chunk that failed."""
    backoff: float = Field(default=1.0, ge=0)
    """Seconds before the first of them; each waits twice as long as the one before."""
    timeout: Duration = 0
    """Seconds (or HH:MM:SS) after which a task counts as hung and its worker is ended; 0 for none."""


class NetworkConfig(StrictModel):
    """Which way scheduler and workers find each other."""

    interface: str | None = None
    """Network interface of the workers, such as ib0."""
    scheduler_interface: str | None = None
    """Network interface of the machine that runs the workflow, if its name differs."""
    scheduler_host: str | None = None
    """Address that the scheduler listens on, in place of an interface."""
    scheduler_ports: Ports = (40000, 40099)
    """First and last port for the scheduler: the first free one is taken."""
    worker_ports: Ports = (40100, 40599)
    """First and last port of workers."""
    nanny_ports: Ports = (40600, 41099)
    """First and last port of the processes that watch workers."""

    @model_validator(mode="after")
    def _ordered(self) -> NetworkConfig:
        for name in ("scheduler_ports", "worker_ports", "nanny_ports"):
            first, last = getattr(self, name)
            if not 1024 <= first <= last <= 65535:
                raise ValueError(f"{name} [{first}, {last}]: first must be at most last, both within 1024 to 65535")
        if self.scheduler_host is not None and self.scheduler_interface is not None:
            raise ValueError("give scheduler_host or scheduler_interface, not both")
        return self


class TlsConfig(StrictModel):
    """Own certificates, in place of those that each run makes for itself; the key is readable by its owner only."""

    ca_file: str
    """Certificate of the authority."""
    cert: str
    """Certificate of client and workers."""
    key: str
    """Private key."""


class SiteConfig(StrictModel):
    """The file site.yaml of a folder of workflow/profiles."""

    description: str = ""
    system: Literal["local", "existing", "slurm", "htcondor", "lsf", "pbs"] = "local"
    """Batch system; `local`: processes of this machine; `existing`: a scheduler that somebody else started."""
    mode: Literal["workers", "jobs"] = "workers"
    """`workers`: batch jobs are workers of the run's cluster; `jobs`: the workflow engine submits its own jobs, each
    with a cluster of its own cores."""
    jobs: int = Field(default=1, gt=0)
    """Batch jobs; the number is kept: one that ends is replaced."""
    cores: int = Field(default=1, gt=0)
    """Cores of a batch job: as many worker processes of one thread each."""
    memory: Memory = 2e9
    """Memory of a batch job."""
    disk: Memory = 10e9
    """Node-local disk of a batch job (htcondor)."""
    walltime: Duration = 4 * 3600
    """Longest time of a batch job, HH:MM:SS."""
    margin: Duration = 300
    """Workers end this long before the walltime, when they have finished their task."""
    stagger: Duration = 240
    """Spread of these ends, so that not all workers go at once."""
    death_timeout: Duration = 60
    """Seconds after which a worker without its scheduler ends."""
    wait: Duration = 600
    """How long a run waits for its first worker."""
    queue: str | None = None
    """Queue or partition."""
    account: str | None = None
    """Account or project that pays."""
    directives: tuple[str, ...] = ()
    """Further lines for the head of a job script; for htcondor `name = value`."""
    prologue: tuple[str, ...] = ()
    """Shell commands before a worker starts, such as those that set up the software."""
    python: str | None = None
    """Python of the workers; the one that runs the workflow if not given."""
    scratch: str = "${TMPDIR:-/tmp}"
    """Node-local folder for the workers' temporary files, as the batch job's shell expands it."""
    lsf_units: Literal["kb", "mb", "gb", "tb"] | None = None
    """Unit of memory limits (LSF_UNIT_FOR_LIMITS), required for lsf: a wrong guess is wrong by a thousand."""
    scheduler: str | None = None
    """Of `existing`: address (tls://host:port) or scheduler file."""
    network: NetworkConfig = NetworkConfig()
    """Interfaces and ports."""
    tls: TlsConfig | None = None
    """Own certificates."""
    task: TaskConfig = TaskConfig()
    """Retries and limits of tasks."""

    @model_validator(mode="after")
    def _consistent(self) -> SiteConfig:
        if self.system == "existing" and not self.scheduler:
            raise ValueError("system: existing needs `scheduler`, an address or the path of a scheduler file")
        if self.system != "existing" and self.scheduler:
            raise ValueError(f"`scheduler` is for system: existing; the system is {self.system}")
        if self.mode == "jobs" and self.system not in BATCH:
            raise ValueError(f"mode: jobs needs one of {list(BATCH)}; the system is {self.system}")
        if self.system == "lsf" and self.mode == "workers" and self.lsf_units is None:
            raise ValueError("system: lsf needs `lsf_units`: kb, mb, gb or tb, as LSF_UNIT_FOR_LIMITS of lsf.conf says")
        if self.system in BATCH and self.lifetime <= 0:
            raise ValueError(
                f"walltime {self.walltime} s leaves nothing after a margin of {self.margin} s and a stagger of "
                f"{self.stagger} s; make it longer, or these shorter"
            )
        if self.system == "existing" and _is_open(str(self.scheduler)):
            raise ValueError(
                f"scheduler {self.scheduler}: whoever reaches a scheduler without TLS runs code as you; use tls://, "
                "or an address on loopback"
            )
        if self.system == "htcondor" and any("=" not in d for d in self.directives):
            raise ValueError("directives of htcondor are written `name = value`")
        return self

    @property
    def lifetime(self) -> int:
        """Seconds after which a worker takes no new task: walltime less margin and stagger."""
        return self.walltime - self.margin - self.stagger


def _is_open(scheduler: str) -> bool:
    """Whether an address can be reached from other machines without TLS.

    Example:
        >>> _is_open("tcp://10.0.0.1:8786"), _is_open("tcp://127.0.0.1:8786"), _is_open("scheduler.json")
        (True, False, False)
    """
    if "://" not in scheduler:
        return False
    protocol, _, rest = scheduler.partition("://")
    host = rest.rpartition(":")[0]
    return protocol != "tls" and host not in ("127.0.0.1", "localhost", "[::1]")


def site_names(root: str | Path = ".") -> list[str]:
    """Sites of a project."""
    return sorted(f.parent.name for f in (Path(root) / PROFILES).glob("*/site.yaml"))


def load_site(name: str, root: str | Path = ".") -> SiteConfig:
    """A site by the name of its folder, or by the path of a folder that has a site.yaml.

    Raises:
        ConfigError: there is none, or it is wrong.
    """
    folder = Path(name) if "/" in name else Path(root) / PROFILES / name
    file = folder / "site.yaml"
    if not file.exists():
        raise ConfigError(
            f"there is no site {name!r} (no {file}); there are {site_names(root)}, or give the path of a folder with a "
            "site.yaml"
        )
    return validate(SiteConfig, read_yaml(file), file=str(file))


def check_executor(site: SiteConfig | None, local: bool) -> None:
    """Exactly one scheduler submits to a batch system: the run's cluster, or the workflow engine.

    Args:
        site: of the run, None for this machine.
        local: whether the workflow engine runs its jobs itself.

    Raises:
        ConfigError: both would, or none.

    Example:
        >>> check_executor(None, local=True)
    """
    jobs = site is not None and site.mode == "jobs"
    if jobs and local:
        raise ConfigError(
            "site.yaml says mode: jobs, so the workflow engine must submit them: name its executor in config.yaml of "
            "the profile, or say mode: workers",
            where="mode",
        )
    if not jobs and not local:
        what = "a site of mode: workers" if site is not None else "no site of mode: jobs"
        raise ConfigError(
            f"the workflow engine submits batch jobs, and there is {what}: exactly one of the two may submit; use a "
            "profile with mode: jobs, or leave out --executor",
            where="mode",
        )
