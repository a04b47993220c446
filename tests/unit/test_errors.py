"""The exceptions: the tree is exactly the documented one, and each carries what it says it does."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from dynastash import errors
from dynastash.errors import DynastashError, PartialError, RotationError, SecretNotFoundError, StoreError

CLASSES = {
    name: member
    for name, member in vars(errors).items()
    if inspect.isclass(member) and issubclass(member, Exception) and member.__module__ == errors.__name__
}


def documented() -> dict[str, tuple[str | None, str | None]]:
    """The tree in the module's docstring: name → parent and the built-in exception that it also is."""
    found: dict[str, tuple[str | None, str | None]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        entry = re.match(
            r"^    (?P<lead>(?:│  |   )*(?:[├└]─ )?)(?P<name>\w+Error)\b(?:\s+\(also (?P<also>\w+)\))?", line
        )
        if entry:
            depth = len(entry["lead"]) // 3
            del above[depth:]
            found[entry["name"]] = (above[-1] if above else None, entry["also"])
            above.append(entry["name"])
    return found


def test_the_docstring_draws_a_tree() -> None:
    """The reading of the drawing works: its root, a leaf three levels down, and a mixin."""
    tree = documented()
    assert tree["DynastashError"] == (None, None)
    assert tree["SecretNotFoundError"] == ("NotFoundError", None)
    assert tree["NotFoundError"] == ("DynastashError", "LookupError")
    assert len(tree) > 25


def test_the_tree_is_exactly_as_documented() -> None:
    """No class that is not drawn, none drawn that is not there, each under its parent with its built-in."""
    actual = {}
    for name, member in CLASSES.items():
        parent, *mixins = member.__bases__
        actual[name] = (
            None if parent is Exception else parent.__name__,
            mixins[0].__name__ if mixins else None,
        )
        assert len(mixins) <= 1
    assert actual == documented()


def test_what_built_in_exceptions_they_also_are() -> None:
    """``except ValueError`` and ``except LookupError`` catch just these."""
    assert {name for name, member in CLASSES.items() if issubclass(member, ValueError)} == {
        "InvalidNameError",
        "InvalidReferenceError",
        "InvalidArgumentError",
        "ValueTooLargeError",
    }
    assert {name for name, member in CLASSES.items() if issubclass(member, LookupError)} == {
        "NotFoundError",
        "SecretNotFoundError",
        "VersionNotFoundError",
        "FieldNotFoundError",
    }
    for builtin in (OSError, RuntimeError, TypeError, KeyError, ArithmeticError):
        assert not any(issubclass(member, builtin) for member in CLASSES.values())


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_says_what_it_means(name: str) -> None:
    """A docstring of its own, and a name that ends in Error."""
    assert name.endswith("Error")
    assert "__doc__" in vars(CLASSES[name])
    assert (CLASSES[name].__doc__ or "").strip().endswith((".", "``."))


ARGUMENTS = {"PartialError": {"failures": {}}, "RotationError": {"step": "set"}}


@pytest.mark.parametrize("name", CLASSES)
def test_message_and_hint(name: str) -> None:
    """``str`` is the message alone; the hint is None unless given, and by keyword only."""
    member = CLASSES[name]
    needed = ARGUMENTS.get(name, {})
    plain = member("it went wrong", **needed)
    assert (str(plain), plain.hint) == ("it went wrong", None)
    hinted = member("it went wrong", hint="mend it", **needed)
    assert (str(hinted), hinted.hint) == ("it went wrong", "mend it")
    assert isinstance(hinted, DynastashError)
    with pytest.raises(TypeError):
        member("it went wrong", "mend it", "and more", **needed)


def test_codes() -> None:
    """Stores, key providers and AWS's other services pass on the foreign error's code; others have none."""
    coded = {name for name, member in CLASSES.items() if hasattr(_made(member), "code")}
    foreign = (errors.StoreError, errors.KeyProviderError, errors.ServiceError)
    assert coded == {name for name, member in CLASSES.items() if issubclass(member, foreign)}
    assert StoreError("x").code is None
    assert errors.StoreUnavailableError("x", code="ThrottlingException").code == "ThrottlingException"
    assert errors.KeyAccessDeniedError("x", code="AccessDeniedException", hint="ask").hint == "ask"


def _made(member: type[DynastashError]) -> DynastashError:
    return member("x", **ARGUMENTS.get(member.__name__, {}))


def test_failures_by_name() -> None:
    """A PartialError says of each secret what happened; changing the caller's dictionary later changes nothing."""
    failure = SecretNotFoundError("no such secret")
    given: dict[str, DynastashError] = {"app1/a": failure}
    error = PartialError("1 of 2 secrets could not be had", given, hint="look")
    given.clear()
    assert dict(error.failures) == {"app1/a": failure}
    assert (str(error), error.hint) == ("1 of 2 secrets could not be had", "look")


@pytest.mark.parametrize("step", ["create", "set", "test", "finish"])
def test_the_step_at_which_a_rotation_stopped(step: str) -> None:
    """Needed, and by keyword."""
    assert RotationError("it stopped", step=step).step == step
    with pytest.raises(TypeError):
        RotationError("it stopped")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "error",
    [
        DynastashError("what", hint="how"),
        StoreError("what", hint="how", code="ResourceNotFoundException"),
        PartialError("what", {"a": SecretNotFoundError("no a", hint="look")}),
        RotationError("what", step="set", hint="how"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_come_whole_out_of_another_process(error: DynastashError) -> None:
    """Constructors with required arguments must not make an error of the error when it is unpickled."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.hint, repr(again.__dict__)) == (str(error), error.hint, repr(error.__dict__))
