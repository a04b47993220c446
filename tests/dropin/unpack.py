"""Take the one collection that the tests call out of the package of all of Ansible's: WHEEL DIRECTORY."""

from __future__ import annotations

import sys
import zipfile

_WANTED = (
    "ansible_collections/community/general/meta/",
    "ansible_collections/community/general/plugins/lookup/credstash.py",
    "ansible_collections/community/general/plugins/plugin_utils/",
    "ansible_collections/community/general/MANIFEST.json",
)


def main() -> None:
    """Unpack it."""
    wheel, directory = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(_WANTED)]
        if not any(name.endswith("lookup/credstash.py") for name in names):
            raise SystemExit(f"{wheel} has no lookup for credstash")
        archive.extractall(directory, names)


if __name__ == "__main__":
    main()
