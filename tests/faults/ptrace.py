"""Killing a process between two system calls: the finest steps in which a file can be left.

Linux's ptrace by way of ctypes. Where it is not allowed (another system, a sandbox), :func:`available` says so.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import sys
from typing import Final

_TRACEME: Final = 0
_SYSCALL: Final = 24
_SETOPTIONS: Final = 0x4200
_TRACESYSGOOD: Final = 1
_EXITKILL: Final = 0x100000
_SYSCALL_STOP: Final = signal.SIGTRAP | 0x80
_REFUSED: Final = 77


def begin() -> None:
    """In the child: stop here, and be traced from here on."""
    if _ptrace(_TRACEME, 0, 0) != 0:
        os._exit(_REFUSED)
    os.kill(os.getpid(), signal.SIGSTOP)


def kill_before(pid: int, step: int) -> int:
    """Let a child that calls :func:`begin` run, and kill it just before its ``step``-th system call after that.

    Returns its wait status: that of SIGKILL, or how it ended where it made fewer calls.
    """
    _, status = os.waitpid(pid, 0)
    if os.WIFSTOPPED(status):
        _ptrace(_SETOPTIONS, pid, _TRACESYSGOOD | _EXITKILL)
    calls, entering, deliver = 0, False, 0
    while os.WIFSTOPPED(status):
        _ptrace(_SYSCALL, pid, deliver)
        _, status = os.waitpid(pid, 0)
        deliver = 0
        if not os.WIFSTOPPED(status):
            break
        if os.WSTOPSIG(status) != _SYSCALL_STOP:
            deliver = os.WSTOPSIG(status)
            continue
        entering = not entering
        calls += entering
        if calls == step:
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
    return status


@functools.cache
def available() -> bool:
    """Whether this process may trace its children."""
    if sys.platform != "linux":
        return False
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-c", "from tests.faults import ptrace; ptrace.begin()"], os.environ
    )
    status = kill_before(pid, 1)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _ptrace(request: int, pid: int, data: int) -> int:
    call = ctypes.CDLL(None, use_errno=True).ptrace
    call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    call.restype = ctypes.c_long
    return int(call(request, pid, None, data))
