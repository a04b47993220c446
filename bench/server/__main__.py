"""``python -m bench.server``: run until the standard input ends. The first line printed says where, as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
import sys
from pathlib import Path

from bench.server import certificates
from bench.server.http import listen
from bench.server.service import DELAYS, Service


async def serve(delays: dict[str, float], directory: Path) -> None:
    """Listen on four ports, DynamoDB's and everything else's, plain and TLS, until nobody holds our input any more."""
    service = Service(delays)
    bundle, context = certificates.make(directory)
    where: dict[str, str] = {"authority": str(bundle)}
    servers = []
    for scheme, tls in (("http", None), ("https", context)):
        for name in ("dynamodb", "others"):
            server, port = await listen(service, tls)
            servers.append(server)
            where[f"{name} {scheme}"] = f"{scheme}://127.0.0.1:{port}"
    print(json.dumps(where), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for server in servers:
        server.close()


def main() -> None:
    """Read the delays from the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.server", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(), help="where the authority's certificate goes")
    for service, seconds in DELAYS.items():
        parser.add_argument(f"--{service}", type=float, default=seconds * 1000, metavar="MS", help="delay")
    given = vars(parser.parse_args())
    delays = {service: given[service] / 1000 for service in DELAYS}
    # select() waits to the microsecond; epoll would round each delay up to the next millisecond.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(serve(delays, given["directory"]))


if __name__ == "__main__":
    main()
