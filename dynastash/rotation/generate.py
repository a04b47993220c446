"""The rotator that every secret with a policy has without asking, under its name for the registry."""

from dynastash.stash.rotation import GenerateRotator

__all__ = ["GenerateRotator"]
