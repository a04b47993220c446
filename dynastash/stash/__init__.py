"""The rules of dynastash, without I/O: they see stores and key providers as protocols only."""
