"""Fast and certified CLs limits."""
