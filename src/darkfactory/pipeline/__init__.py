"""One function per stage: paths in, paths out."""
