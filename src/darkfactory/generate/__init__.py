"""Event generation."""
