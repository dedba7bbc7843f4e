"""Batch execution: the main path, the workers, resuming."""
