"""The record of an unblinding: who looked at which data, when, why, and what was frozen before; a chain of digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from darkfactory.core.digest import canonical_json
from darkfactory.core.errors import InputError

__all__ = ["Unblinding", "chain_text", "read_chain"]


@dataclass(frozen=True)
class Unblinding:
    """One signed-off act.

    Attributes:
        number: 1, 2, ... in the chain of a dataset.
        previous: digest of the record before, empty for the first.
        campaign, search, dataset: whose data.
        by: who signs.
        reason: why now.
        time: UTC, ISO 8601.
        configuration: SHA-256 of the frozen configuration, which is kept beside the chain.
        workspaces: file name to SHA-256 of the blinded results that were there.
        code: stage to the digest of its code.
        version: of this package.
    """

    number: int
    previous: str
    campaign: str
    search: str
    dataset: str
    by: str
    reason: str
    time: str
    configuration: str
    workspaces: Mapping[str, str]
    code: Mapping[str, str]
    version: str

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the record says.

        Example:
            >>> a = Unblinding(1, "", "c", "s", "d", "me", "why", "2030-01-01T00:00:00+00:00", "ab", {}, {}, "1")
            >>> b = Unblinding(1, "", "c", "s", "d", "you", "why", "2030-01-01T00:00:00+00:00", "ab", {}, {}, "1")
            >>> a.digest == b.digest
            False
        """
        return hashlib.sha256(canonical_json(asdict(self)).encode()).hexdigest()


def chain_text(records: Sequence[Unblinding]) -> str:
    """A line for each record, with its digest.

    Example:
        >>> a = Unblinding(1, "", "c", "s", "d", "me", "why", "2030-01-01T00:00:00+00:00", "ab", {}, {}, "1")
        >>> read_chain(chain_text([a]), "a file") == (a,)
        True
    """
    return "".join(canonical_json(asdict(r) | {"digest": r.digest}) + "\n" for r in records)


def read_chain(text: str, where: str) -> tuple[Unblinding, ...]:
    """Read the form of :func:`chain_text`, and check that no record was changed, taken out or put in between.

    Args:
        text: of the file.
        where: its name, for messages.

    Raises:
        InputError: a line is no record, its digest is another one, or it does not follow the one before.
    """
    known = {f.name for f in fields(Unblinding)}
    found: list[Unblinding] = []
    mend = "restore the file as it was (it is written by `darkfactory unblind` alone)"
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            value = json.loads(line)
            digest = value.pop("digest")
            if set(value) != known:
                raise KeyError(*sorted(set(value) ^ known))
            record = Unblinding(**value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{where}: line {number} is no record of an unblinding ({error}); {mend}") from error
        if record.digest != digest:
            raise InputError(f"{where}: line {number} was changed: its digest is another one; {mend}")
        before = found[-1].digest if found else ""
        if record.previous != before or record.number != number:
            raise InputError(f"{where}: line {number} does not follow the line before; {mend}")
        found.append(record)
    return tuple(found)
