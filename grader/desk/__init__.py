"""The marking desk: where a person clears what the engine left for people."""
