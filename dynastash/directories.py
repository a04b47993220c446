"""Where a user's files stand: as the platformdirs package says, which takes longer to import than to ask.

On Linux, with absolute paths in the variables, the rule is short (XDG Base Directory Specification) and kept here; a
test holds it against the package.
"""

from __future__ import annotations

import os
import sys

_APPLICATION = "dynastash"


def user_config() -> str:
    """The directory of the user's configuration."""
    if (known := _xdg("XDG_CONFIG_HOME", ".config")) is not None:
        return known
    import platformdirs

    return platformdirs.user_config_dir(_APPLICATION)


def user_data() -> str:
    """The directory of the user's data."""
    if (known := _xdg("XDG_DATA_HOME", ".local/share")) is not None:
        return known
    import platformdirs

    return platformdirs.user_data_dir(_APPLICATION)


def _xdg(variable: str, default: str) -> str | None:
    """The directory where the rule is plain, else None. Android calls itself linux too."""
    if sys.platform != "linux" or "ANDROID_DATA" in os.environ:
        return None
    given = os.environ.get(variable) or os.path.join(os.environ.get("HOME", ""), default)
    if given[:1] != "/" or given[:2] == "//" or given != os.path.normpath(given) or not given.isprintable():
        return None
    return os.path.join(given, _APPLICATION)
