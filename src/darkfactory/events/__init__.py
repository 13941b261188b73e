"""Column schema of truth and reconstructed events."""
