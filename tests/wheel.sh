#!/bin/sh
# Build the wheel, install it into an empty environment, and run it there, away from the source tree.
set -eu
python=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m build --quiet --wheel --outdir "$work" .
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
