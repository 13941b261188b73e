from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPT = str(HERE / "mini-slurm.sh")
# the jobs of the workflow engine's own executor lose the variable that names it
LINK = Path("/etc/slurm/slurm.conf")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Slurm of one node on loopback for the session."""
    if os.geteuid() != 0 or not shutil.which("slurmctld") or not shutil.which("slurmd"):
        pytest.skip("needs root and the Debian packages slurmctld slurmd slurm-client: `make test-cluster`")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", str(folder)], check=True, timeout=120)
    made = not LINK.exists()
    if made:
        LINK.parent.mkdir(exist_ok=True)
        LINK.unlink(missing_ok=True)
        LINK.symlink_to(folder / "slurm.conf")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        yield folder
    finally:
        os.environ.pop("SLURM_CONF", None)
        if made:
            LINK.unlink()
        subprocess.run([SCRIPT, "stop", str(folder)], check=True, timeout=60)
