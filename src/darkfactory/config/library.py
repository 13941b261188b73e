"""The folder of configuration files: reading by kind and name, with `extends`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from darkfactory.config.load import deep_merge, plain_copy, read_yaml
from darkfactory.core.errors import ConfigError
from darkfactory.core.suggest import did_you_mean

__all__ = ["Library"]


class Library:
    """YAML files under one folder, each read once.

    Args:
        root: the folder ``config``.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._read: dict[Path, dict[str, Any]] = {}
        self._origin: dict[str, str] = {}
        if not self.root.is_dir():
            raise ConfigError(
                f"no such folder; run from the project's top level or give --config-dir (here: {Path.cwd()})",
                file=str(self.root),
            )

    def path(self, kind: str, name: str) -> Path:
        """Path of a file, for messages."""
        return self.root / kind / f"{name}.yaml"

    def names(self, kind: str) -> list[str]:
        """Names of the files of a kind."""
        return sorted(p.stem for p in (self.root / kind).glob("*.yaml"))

    def file(self, relative: str) -> dict[str, Any]:
        """A file by its path below the folder; a copy."""
        path = self.root / relative
        if path not in self._read:
            self._read[path] = read_yaml(path)
        copied: dict[str, Any] = plain_copy(self._read[path])
        return copied

    def samples(self) -> dict[str, Any]:
        """The catalogue of samples: samples.yaml, and every file of the folder ``samples``.

        Raises:
            ConfigError: a sample that two files have.
        """
        found = self.file("samples.yaml")
        origin = dict.fromkeys(found, "samples.yaml")
        for stem in self.names("samples"):
            file = f"samples/{stem}.yaml"
            for name, entry in self.file(file).items():
                if name in origin:
                    raise ConfigError(
                        f"sample {name!r} is in {origin[name]}, too; rename one of them", file=str(self.root / file)
                    )
                found[name], origin[name] = entry, file
        self._origin = origin
        return found

    def sample_file(self, name: str) -> str:
        """The file that a sample of the catalogue is in, for messages."""
        if not self._origin:
            self.samples()
        return str(self.root / self._origin.get(name, "samples.yaml"))

    def get(self, kind: str, name: str, _chain: tuple[str, ...] = ()) -> dict[str, Any]:
        """A file by kind and name, merged over the one it ``extends``.

        Raises:
            ConfigError: no such name, or files that extend each other in a circle.
        """
        if name in _chain:
            raise ConfigError(f"extends itself: {' -> '.join([*_chain, name])}", file=str(self.path(kind, name)))
        if not self.path(kind, name).exists():
            known = self.names(kind)
            # a path is a name with more around it
            hint = did_you_mean(Path(name).stem, known) or "."
            raise ConfigError(f"{name!r} is unknown{hint} There are: {', '.join(known)}", file=str(self.root / kind))
        value = self.file(f"{kind}/{name}.yaml")
        parent = value.pop("extends", None)
        if parent is None:
            return value
        return deep_merge(self.get(kind, str(parent), (*_chain, name)), value)
