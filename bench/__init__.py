"""How fast dynastash is beside its peers, and how it grows: ``make bench`` (docs/performance.md)."""
