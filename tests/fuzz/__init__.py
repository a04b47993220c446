"""Every parser, fed with whatever there is: ``python -m tests.fuzz TARGET``."""
