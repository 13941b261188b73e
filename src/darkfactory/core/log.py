"""Logging for doors: one line per stage, to the terminal and to a file."""

from __future__ import annotations

import logging
from pathlib import Path

__all__ = ["setup_logging"]


def setup_logging(path: str | Path | None = None, level: int = logging.INFO) -> logging.Logger:
    """Configure and return the ``darkfactory`` logger; called by doors only, never on import.

    Args:
        path: log file, or None for the terminal.
        level: lowest level that is shown.
    """
    logger = logging.getLogger("darkfactory")
    logger.setLevel(level)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    handler = logging.StreamHandler()
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    logger.addHandler(handler)
    return logger
