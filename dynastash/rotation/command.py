"""The rotator that asks a program of the user's to make the target system accept the new value, and to prove it."""

from __future__ import annotations

import errno
import math
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dynastash.clock import Clock, SystemClock
from dynastash.errors import InvalidArgumentError, RotationError
from dynastash.generate import Policy, generate
from dynastash.masking import Mask
from dynastash.models import Plaintext, Secret
from dynastash.rotation.delivery import CURRENT_FILE, PENDING_FILE, document, facts, files
from dynastash.rotation.process import NotStarted, Output, leaving_in_order, run, to_stderr
from dynastash.stash.rotation import Rotation

DELIVERIES: Final = ("stdin", "files")
TIMEOUT: Final = 300.0
_LONGEST: Final = 86_400.0


class CommandRotator:
    """Makes values by ``policy`` and runs ``argv`` and one argument more, ``set`` or ``test``, for the other steps.

    The program is given at every rotation and never stored with the secret: whoever can write records could run a
    program of theirs with the rights of whoever rotates. It is started directly, without a shell.

    ``delivery`` says how it gets the values (:mod:`dynastash.rotation.delivery`), which are in neither its arguments
    nor its environment. ``timeout`` is in seconds, for each step, up to a day. What the program prints goes to
    ``output``, standard error unless told otherwise, as it comes and with the values masked
    (:mod:`dynastash.masking`).
    """

    def __init__(
        self,
        argv: Sequence[str],
        policy: Policy,
        *,
        delivery: str = "stdin",
        timeout: float = TIMEOUT,
        output: Output = to_stderr,
        clock: Clock | None = None,
    ) -> None:
        if isinstance(argv, str) or not argv or not all(isinstance(a, str) and "\0" not in a for a in argv):
            raise InvalidArgumentError(
                "the program is not a list of arguments", hint="give the program and its arguments one by one"
            )
        if not argv[0]:
            raise InvalidArgumentError("the program's name is empty")
        if delivery not in DELIVERIES:
            raise InvalidArgumentError(
                "there is no such way to hand over values", hint=f"use {' or '.join(DELIVERIES)}"
            )
        if not (isinstance(timeout, int | float) and math.isfinite(timeout) and 0 < timeout <= _LONGEST):
            raise InvalidArgumentError(
                "the timeout is out of range", hint=f"give seconds, more than 0 and at most {_LONGEST:.0f}"
            )
        self._argv = tuple(argv)
        self._policy = policy
        self._delivery = delivery
        self._timeout = timeout
        self._output = output
        self._clock = clock or SystemClock()

    def create(self, rotation: Rotation) -> Plaintext:
        """A new value by the policy; the program is not asked.

        It is looked for, though: a mistyped name raises :class:`RotationError` while nothing has been written yet.
        """
        if shutil.which(self._argv[0]) is None:
            raise RotationError(f"there is no program {self._argv[0]!r}, or it is not executable", step="create")
        return generate(self._policy)

    def set(self, rotation: Rotation) -> None:
        """Run the program with ``set``. Raises :class:`RotationError` unless it exits with status 0."""
        self._step("set", rotation)

    def test(self, rotation: Rotation) -> None:
        """Run the program with ``test``. Raises :class:`RotationError` unless it exits with status 0."""
        self._step("test", rotation)

    def _step(self, step: str, rotation: Rotation) -> None:
        pending = rotation.pending
        if pending is None:
            raise RotationError("there is no pending version", step=step)
        hint = (
            f"version {rotation.current.number} is still current; mend the program and run `dynastash rotate "
            f"{rotation.name} --resume -- PROGRAM`, or give up with `dynastash rotate {rotation.name} --abort`"
        )
        try:
            with leaving_in_order():
                status = self._run(step, rotation, pending)
        except NotStarted as error:
            message = f"the program {self._argv[0]!r} could not be started: {_reason(error.cause)}"
            raise RotationError(message, step=step, hint=hint) from error.cause
        if status != 0:
            message = f"the program {self._argv[0]!r} {self._outcome(status)} in the {step} step"
            raise RotationError(message, step=step, hint=hint)

    def _run(self, step: str, rotation: Rotation, pending: Secret) -> int | None:
        # DYNASTASH_LOCAL_KEY is the key-encryption key itself: a program gets two values, not the key to all.
        ours = (CURRENT_FILE, PENDING_FILE, "DYNASTASH_LOCAL_KEY")
        environment = {name: text for name, text in os.environ.items() if name not in ours}
        environment |= facts(step, rotation)
        if self._delivery == "stdin":
            return self._start(step, environment, document(step, rotation, pending), rotation.current, pending)
        with files(step, rotation.current, pending) as variables:
            return self._start(step, environment | variables, None, rotation.current, pending)

    def _start(
        self, step: str, environment: Mapping[str, str], standard_input: bytes | None, current: Secret, pending: Secret
    ) -> int | None:
        mask = Mask((current.value, pending.value))

        def show(data: bytes) -> None:
            if data:
                self._output(data)

        try:
            return run(
                (*self._argv, step),
                environment,
                standard_input,
                lambda data: show(mask.feed(data)),
                timeout=self._timeout,
                clock=self._clock,
            )
        finally:
            show(mask.flush())

    def _outcome(self, status: int | None) -> str:
        if status is None:
            return f"did not finish within {self._timeout:g} seconds and was stopped"
        if status > 0:
            return f"exited with status {status}"
        try:
            return f"was ended by {signal.Signals(-status).name}"
        except ValueError:  # a real-time signal has no name
            return f"was ended by signal {-status}"


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it, or the interpreter that its first line names, was not found"
    if isinstance(error, PermissionError):
        return "it is not executable"
    if error.errno == errno.ENOEXEC:
        return "it is neither a binary of this machine nor a script whose first line names its interpreter"
    return str(error.strerror)


if TYPE_CHECKING:
    from dynastash.stash.rotation import Rotator

    def _conforms(rotator: CommandRotator) -> Rotator:
        return rotator
