"""The one place that states the release number."""

__version__ = "0.1.0"
