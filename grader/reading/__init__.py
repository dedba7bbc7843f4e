"""Pages to readings: registration, mark reading, identity, codes, crops."""
