"""docs/how-to/lambda.md: its function is invoked as Lambda does it, in one process for many events, on an engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.engines.engine import REGION, Engine
from tests.engines.test_calls import Counted

pytestmark = pytest.mark.engine

DOCUMENT = Path(__file__).parents[2] / "docs/how-to/lambda.md"
NAME = "app1/api/token"

# Lambda's bootstrap in small: the module is imported once, then one event after the other. To be frozen is to find the
# wall clock far ahead while the monotonic one has stood still.
BOOTSTRAP = """
import json, sys, time
import dynastash.clock

frozen = 0
class Clock(dynastash.clock.SystemClock):
    def now(self):
        return super().now() + frozen * 1000
dynastash.clock.SystemClock = Clock

import function
for line in sys.stdin:
    event = json.loads(line)
    frozen += event.pop("frozen", 0)
    try:
        answer = {"answer": function.handler(event, None)}
    except Exception as error:
        answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
    answer["fetches"] = function.secrets.statistics().fetches
    print(json.dumps(answer), flush=True)
"""


class Api(BaseHTTPRequestHandler):
    """The service that the function calls."""

    token = ""
    seen: ClassVar[Counter[int]] = Counter()

    def do_GET(self) -> None:
        status = 200 if self.headers["Authorization"] == f"Bearer {type(self).token}" else 401
        type(self).seen[status] += 1
        body = json.dumps({"path": self.path}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not here."""


@pytest.fixture
def api() -> Iterator[str]:
    """Its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_function_lives_through_events_a_freeze_and_a_rotation(ministack: Engine, api: str, tmp_path: Path) -> None:
    """One reading for many events; a new one after an hour's freeze, and one for a token that was replaced."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "function.py").write_text(code.replace("https://api.example.com", api))
    counted = Counted(ministack)
    counted.stash.put(NAME, "first")
    Api.token = "first"
    Api.seen.clear()
    environment = {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(tmp_path),
        "DYNASTASH_ENV": "prod",
        "DYNASTASH_TABLE": counted.table,
        "DYNASTASH_KEY": counted.key,
        "AWS_ENDPOINT_URL": ministack.endpoint_url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    }
    with subprocess.Popen(
        [sys.executable, "-c", BOOTSTRAP],
        env=environment, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None

        def invoke(**event: object) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"path": "/orders", **event}) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        for _ in range(3):
            assert invoke() == {"answer": {"path": "/orders"}, "fetches": 1}
        assert invoke(frozen=3600)["fetches"] == 2
        Api.token = "second"
        counted.stash.put(NAME, "second")
        assert invoke() == {"answer": {"path": "/orders"}, "fetches": 3}
        assert invoke()["fetches"] == 3
        assert Api.seen == {200: 6, 401: 1}
        counted.stash.delete(NAME)
        answer = invoke(frozen=3600)
        assert answer["errorType"] == "SecretDeletedError"
        assert "second" not in answer["errorMessage"]
        process.stdin.close()
        assert process.wait(60) == 0
