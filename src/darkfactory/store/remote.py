"""ROOT files behind a URL, read through uproot's own back ends; nothing is copied."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import uproot
from uproot.source.http import MultithreadedHTTPSource

from darkfactory.core.errors import InputError

__all__ = ["is_remote", "open_remote", "remote_stamp", "stamp_digest"]


def is_remote(path: str) -> bool:
    """Whether a path is a URL.

    Example:
        >>> is_remote("https://host/a.root"), is_remote("ntuples/a.root")
        (True, False)
    """
    return "://" in path


def _short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


@contextmanager
def open_remote(url: str) -> Iterator[Any]:
    """An open file of uproot's. HTTP needs nothing; other protocols need what fsspec reads them with.

    Args:
        url: ``https://host/a.root``, ``root://host//a.root``, ...

    Raises:
        InputError: a protocol without its package, no such file, no answer, a file that is not whole.
    """
    scheme = urlsplit(url).scheme
    options: dict[str, Any] = {"handler": MultithreadedHTTPSource} if scheme in ("http", "https") else {}
    try:
        # the URL may have colons of its own: no object follows
        file = uproot.open({url: None}, **options)
    except ImportError as error:
        raise InputError(
            f"{url}: the package that reads {scheme}:// is not installed ({_short(error)}); install it beside "
            "darkfactory (pip install fsspec-xrootd for root://, s3fs for s3://), or copy the file"
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"{url} does not exist on its server; give the URL of a ROOT file") from error
    except Exception as error:  # each back end has errors of its own
        raise InputError(
            f"{url} cannot be opened as a ROOT file: {_short(error)}; give the URL of a ROOT file on a server that "
            "answers range requests, or copy the file"
        ) from error
    with file:
        size, end = file.file.source.num_bytes, file.file.fEND
        if end > size:
            raise InputError(f"{url} is truncated: it has {size} bytes of {end}; it must be copied there again")
        yield file


def remote_stamp(url: str) -> list[int | str]:
    """What tells one version of a remote file from another without reading it: size, end and identity of the file.

    Raises:
        InputError: as :func:`open_remote`.
    """
    with open_remote(url) as file:
        return [int(file.file.source.num_bytes), int(file.file.fEND), str(file.file.uuid)]


def stamp_digest(stamp: list[int | str]) -> str:
    """Sixteen hexadecimal digits that stand for the bytes of a remote file.

    ROOT gives every file that it makes an identity of its own, which copies keep.

    Example:
        >>> stamp_digest([10, 10, "a"]) == stamp_digest([10, 10, "b"])
        False
    """
    return hashlib.sha256(repr(stamp).encode()).hexdigest()[:16]
