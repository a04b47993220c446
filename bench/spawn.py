"""Starts measured processes from a process so small that its own memory does not show in theirs.

A child's peak of memory is never below that of the process that started it, as long as that had not yet become another
program. A line of JSON in (command, variables, given, output, complaints), a line out (code, wall, cpu, memory).
"""

import json
import os
import sys
import time


def main() -> None:
    """Until the input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, order["given"], os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, order["complaints"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ]
        command = order["command"]
        began = time.perf_counter()
        process = os.posix_spawn(command[0], command, order["variables"], file_actions=actions)
        _, status, usage = os.wait4(process, 0)
        found = {
            "wall": time.perf_counter() - began,
            "code": os.waitstatus_to_exitcode(status),
            "cpu": usage.ru_utime + usage.ru_stime,
            "memory": usage.ru_maxrss / 1024,
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
