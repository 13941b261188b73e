"""darkfactory: dark-sector searches at e+e- B factories as one distributed workflow."""

__version__ = "0.1.0"

__all__ = ["__version__"]
