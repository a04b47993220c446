#!/bin/sh
# Build the wheels, install them one after the other into an empty environment, and run them there, away from the source
# tree: dynastash's first, which must not miss the drop-in.
set -eu
python=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m build --quiet --wheel --outdir "$work" .
"$python" -m build --quiet --wheel --outdir "$work" dropin
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$work"/dynastash-*.whl
cd "$work"
DYNASTASH_DATA="$work/data"
export DYNASTASH_DATA
PATH="$work/venv/bin:$PATH"

dynastash --version
dynastash --help >/dev/null
printf 'from the wheel' | dynastash put wheel/test
test "$(dynastash get wheel/test)" = 'from the wheel'
dynastash generate wheel/words --words 7
dynastash rotate wheel/words
dynastash list -o json >/dev/null
python - <<'PYTHON'
from importlib.metadata import files
from importlib.resources import files as resources

import dynastash
import dynastash.stores.dynamodb
import dynastash.testing

shipped = {str(path) for path in files("dynastash")}
assert "dynastash/py.typed" in shipped, shipped
assert not any(path.startswith("tests") for path in shipped), shipped
template = resources("dynastash.cloudformation") / "environment.yaml"
assert "AWS::DynamoDB::Table" in template.read_text(), "the template is not in the wheel"
for name in ("app-access", "replica"):
    assert (resources("dynastash.cloudformation") / f"{name}.yaml").is_file(), f"{name}.yaml is not in the wheel"
assert dynastash.connect().get("wheel/test").text == "from the wheel"
PYTHON
echo "the wheel works on its own"

python -m pip install --quiet --disable-pip-version-check "$work"/dynastash_credstash-*.whl
CREDSTASH_DEFAULT_TABLE=environment:local
HOME=$work
export CREDSTASH_DEFAULT_TABLE HOME

credstash --help >/dev/null
test "$(credstash put db/password 'from its wheel' env=prod)" = 'db/password has been stored'
test "$(credstash get db/password env=prod)" = 'from its wheel'
test "$(dynastash get db/password)" = 'from its wheel'
test "$(python -m credstash get wheel/test)" = 'from the wheel'
test ! -e credstash.log
python - <<'PYTHON'
from importlib.metadata import files, requires

import credstash

shipped = {str(path) for path in files("dynastash-credstash")}
assert "credstash/py.typed" in shipped, shipped
assert all(path.startswith(("credstash/", "dynastash_credstash-", "../")) for path in shipped), shipped
assert any(one.startswith("dynastash") for one in requires("dynastash-credstash"))
table = "environment:local"
assert credstash.getSecret("db/password", table=table) == "from its wheel"
try:
    credstash.getSecret("none", table=table)
except credstash.ItemNotFound:
    pass
else:
    raise AssertionError("it found what is not there")
PYTHON
echo "the drop-in's wheel works beside it"
