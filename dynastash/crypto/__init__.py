"""Record format v1: bytes in, bytes out, no I/O. docs/format-v1.md is the specification."""
