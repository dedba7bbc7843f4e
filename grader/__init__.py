"""Paper in, trustworthy marks out, offline."""

__version__ = "0.2.0"
