"""What every transport grants a call. Times are in seconds."""

from __future__ import annotations

from typing import Final

CONNECTIONS: Final = 64
"""Connections kept to each service: the most calls that are ever worth having in flight."""

CONNECT_TIMEOUT: Final = 4.0
"""TCP repeats a lost SYN after 1 and 3 seconds."""

READ_TIMEOUT: Final = 10.0
"""Without a byte sent or received."""

IDENTITY_TIMEOUT: Final = 2.0
"""To connect, and without a byte, when only the author's name is asked for: nobody should wait long for it."""
