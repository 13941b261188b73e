"""Search selections."""
