"""Fixtures that all tests share."""

from tests.engines.fixtures import clean_environment, ddblocal, live, ministack, moto

__all__ = ["clean_environment", "ddblocal", "live", "ministack", "moto"]
