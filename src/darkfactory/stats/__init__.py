"""Fast and certified CLs limits."""

__all__ = ["NewtonOptimizer", "WorkspaceInput", "compute_limits"]


def __getattr__(name: str) -> object:
    """Load the public names on first use: pyhf takes seconds to import, and most users of a floor need less."""
    if name == "NewtonOptimizer":
        from darkfactory.stats.optimizer import NewtonOptimizer

        return NewtonOptimizer
    if name in ("WorkspaceInput", "compute_limits"):
        from darkfactory.stats import limits

        return getattr(limits, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
