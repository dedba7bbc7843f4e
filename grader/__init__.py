"""Paper in, trustworthy marks out, offline."""

__version__ = "0.1.0"
