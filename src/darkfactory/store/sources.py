"""Which files a sample's patterns mean, and what is in them."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from darkfactory.core.errors import InputError
from darkfactory.store.remote import is_remote

__all__ = ["file_digest", "list_files"]


def list_files(patterns: Sequence[str]) -> list[str]:
    """Files in the order of the patterns, those of a pattern or a folder sorted, each once.

    Args:
        patterns: paths, patterns with ``*``, ``?``, ``[]`` (``**``: any depth), folders, whose ``*.root`` count, or
            URLs, each of one file.

    Raises:
        InputError: a path that does not exist, a pattern or a folder without files.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        if is_remote(pattern):
            if "*" in pattern:
                raise InputError(f"{pattern}: a URL is one file, servers list none; give each file (external.files)")
            found.setdefault(pattern, pattern)
            continue
        if Path(pattern).is_file():
            matches = [pattern]
        elif Path(pattern).is_dir():
            matches = sorted(glob.glob(os.path.join(glob.escape(pattern), "*.root")))
            if not matches:
                raise InputError(f"{pattern}: this folder has no *.root files; give one that has (external.files)")
        elif glob.has_magic(pattern):
            matches = sorted(m for m in glob.glob(pattern, recursive=True) if os.path.isfile(m))
            if not matches:
                raise InputError(f"{pattern}: no file matches; patterns are relative to {Path.cwd()} (external.files)")
        else:
            raise InputError(f"{pattern} does not exist; give the path of a ROOT file or a folder (external.files)")
        for match in matches:
            found.setdefault(os.path.realpath(match), match)
    return list(found.values())


def file_digest(path: str | Path) -> str:
    """Sixteen hexadecimal digits of a file's bytes: neither its name nor its time of change counts.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give a ROOT file that can be read") from error
