"""Append-only events and their projections in one SQLite file."""
