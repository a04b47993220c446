#!/bin/sh
# Build the drop-in's wheel beside dynastash's, install both into an empty environment, and run them there.
set -eu
python=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m build --quiet --wheel --outdir "$work" .
"$python" -m build --quiet --wheel --outdir "$work" dropin
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$work"/dynastash-*.whl "$work"/dynastash_credstash-*.whl
cd "$work"
DYNASTASH_DATA="$work/data"
HOME="$work"
CREDSTASH_DEFAULT_TABLE=environment:local
export DYNASTASH_DATA HOME CREDSTASH_DEFAULT_TABLE
PATH="$work/venv/bin:$PATH"

credstash --help >/dev/null
test "$(credstash put db/password 'from the wheel' env=prod)" = 'db/password has been stored'
test "$(credstash get db/password env=prod)" = 'from the wheel'
test "$(dynastash get db/password)" = 'from the wheel'
test "$(python -m credstash keys)" = 'db/password'
test ! -e credstash.log
python - <<'PYTHON'
from importlib.metadata import files, requires

import credstash

shipped = {str(path) for path in files("dynastash-credstash")}
assert "credstash/py.typed" in shipped, shipped
assert all(path.startswith(("credstash/", "dynastash_credstash-", "../")) for path in shipped), shipped
assert any(one.startswith("dynastash") for one in requires("dynastash-credstash"))
table = "environment:local"
assert credstash.getSecret("db/password", table=table) == "from the wheel"
try:
    credstash.getSecret("none", table=table)
except credstash.ItemNotFound:
    pass
else:
    raise AssertionError("it found what is not there")
PYTHON
echo "the drop-in's wheel works on its own"
