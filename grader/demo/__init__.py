"""Candidates that do not exist: answer sheets filled and scanned by chance, with the truth beside them."""
