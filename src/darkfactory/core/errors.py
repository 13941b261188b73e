"""The exception tree: every message says what, where, the value, what is allowed and what to do."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DamagedError",
    "DarkfactoryError",
    "InputError",
    "RunError",
    "UserError",
]


class DarkfactoryError(Exception):
    """Root of everything that darkfactory raises on purpose."""


class UserError(DarkfactoryError):
    """Something that the user can mend; the command line prints it without a traceback and exits with 2."""


class ConfigError(UserError):
    """A configuration is wrong; ``where`` is the path inside the file, ``file`` the file's name.

    Example:
        >>> print(ConfigError("mass 12 GeV is above 10.58 GeV", where="grid.mass[3]", file="alp.yaml"))
        alp.yaml: grid.mass[3]: mass 12 GeV is above 10.58 GeV
    """

    def __init__(self, message: str, *, where: str = "", file: str = "") -> None:
        self.message, self.where, self.file = message, where, file
        super().__init__(": ".join(part for part in (file, where, message) if part))


class InputError(UserError):
    """A data file that the user gave cannot be read or misses something."""


class DamagedError(InputError):
    """A file of the run's own is damaged; ``damaged`` is its path, so that it can be made anew.

    Example:
        >>> DamagedError("part is damaged", "a/b.root").damaged
        'a/b.root'
    """

    def __init__(self, message: str, damaged: str = "") -> None:
        self.damaged = damaged
        super().__init__(message)

    def __reduce__(self) -> tuple[type[DamagedError], tuple[str, str]]:
        """Pickled with its path, so that it survives the way back from a worker."""
        return type(self), (str(self), self.damaged)


class RunError(DarkfactoryError):
    """The run itself failed (exit code 1): a stage lost too many chunks, a worker died for good."""
