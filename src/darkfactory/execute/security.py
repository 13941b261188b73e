"""Keys: who may read them, and which of them go to scheduler, workers and client."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from darkfactory.core.errors import UserError

__all__ = ["check_private", "own_security", "private_folder", "run_security"]


def check_private(path: str | Path) -> None:
    """Make sure that only its owner can read a key.

    Raises:
        UserError: it is missing, somebody else's, or others may read or write it.
    """
    file = Path(path)
    try:
        known = file.stat()
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such key; give tls.key of the site the path of one") from error
    if known.st_uid != os.geteuid():
        raise UserError(f"{file}: this key belongs to user {known.st_uid}; use one of your own")
    if known.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(
            f"{file}: others may use this key (mode {stat.S_IMODE(known.st_mode):o}); run `chmod 600 {file}` and make "
            "a new key if it was ever like that on a shared machine"
        )


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner can enter.

    Example:
        >>> import tempfile
        >>> oct(private_folder(Path(tempfile.mkdtemp()) / "keys").stat().st_mode)[-3:]
        '700'
    """
    path.mkdir(parents=True, mode=0o700, exist_ok=True)
    # the mask of the user may have taken more away than others' permissions
    path.chmod(0o700)
    return path


def own_security(files: Mapping[str, str]) -> Any:
    """The site's own certificates for all three roles.

    Raises:
        UserError: the key can be read by others.
    """
    from distributed import Security

    check_private(files["key"])
    roles = ("scheduler", "worker", "client")
    pairs = {f"tls_{role}_{what}": files[what] for role in roles for what in ("cert", "key")}
    return Security(require_encryption=True, tls_ca_file=files["ca_file"], **pairs)


def run_security(files: Mapping[str, str] | None, folder: Path) -> Any:
    """The site's certificates, or new ones that nobody but this run has.

    Args:
        files: of the site, None for new ones.
        folder: where new ones are written, readable by their owner only; whoever removes it removes them.

    Raises:
        UserError: new ones cannot be made, or the site's key can be read by others.
    """
    from distributed import Security

    if files is not None:
        return own_security(files)
    try:
        made = Security.temporary()
    except ImportError as error:
        raise UserError("keys of a run need the package cryptography; install the extra `cluster`") from error
    texts = {"ca_file": made.tls_ca_file, "cert": made.tls_client_cert, "key": made.tls_client_key}
    paths = {}
    for name, text in texts.items():
        path = folder / f"{name}.pem"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(str(text))
        paths[name] = str(path)
    return own_security(paths)
