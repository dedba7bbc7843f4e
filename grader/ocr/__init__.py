"""Crops to text with per-character confidence, by engines behind one protocol."""
