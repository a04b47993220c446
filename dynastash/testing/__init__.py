"""For the tests of projects that use or extend dynastash: contracts, a fake clock, a pytest plugin."""
