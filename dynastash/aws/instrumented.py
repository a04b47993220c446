"""Whether somebody stands between a program and boto3: a mock, a tracer, a recorder.

Whoever patches botocore wants to see the calls, or to answer them. Requests that do not go through botocore would pass
them by: a test would reach the real account, a trace would have a hole.
"""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType
from typing import Any, Final

_PATCHERS: Final = (
    "aws_xray_sdk",
    "ddtrace",
    "elasticapm",
    "eventlet",
    "gevent.monkey",
    "moto",
    "newrelic",
    "opentelemetry.instrumentation.botocore",
    "placebo",
    "pook",
    "responses",
    "sentry_sdk.integrations.boto3",
    "vcr",
)
"""Packages that patch botocore, or the sockets below it, some of them only when it is imported."""

_PATCHED: Final = (
    ("boto3.session", "Session"),
    ("botocore.auth", "SigV4Auth"),
    ("botocore.awsrequest", "AWSConnection"),
    ("botocore.client", "BaseClient"),
    ("botocore.client", "ClientCreator"),
    ("botocore.credentials", "CredentialResolver"),
    ("botocore.endpoint", "Endpoint"),
    ("botocore.endpoint", "URLLib3Session"),
    ("botocore.hooks", "HierarchicalEmitter"),
    ("botocore.httpsession", "URLLib3Session"),
    ("botocore.session", "Session"),
    ("botocore.signers", "RequestSigner"),
)
"""The classes that they patch: all that a call passes through."""


def instrumented() -> str | None:
    """A short phrase on who patches botocore in this process; None where nobody does."""
    modules = sys.modules
    for name in _PATCHERS:
        if name in modules:
            return f"{name} is loaded"
    if "botocore" not in modules:  # nearly always: nothing has to be looked at
        return None
    if getattr(modules["botocore"], "_INITIALIZERS", None):
        return "botocore has an initializer"
    for module_name, class_name in _PATCHED:
        module = modules.get(module_name)
        if module is not None and not _original(module, class_name):
            return f"{module_name}.{class_name} is patched"
    if "unittest.mock" in modules and (mocked := _mocked()):
        return f"{mocked} is a mock"
    handlers = getattr(modules.get("botocore.handlers"), "BUILTIN_HANDLERS", ())
    if not all(_botocores(entry[1]) for entry in handlers):
        return "botocore has a handler of somebody else's"
    return None


def _original(module: ModuleType, class_name: str) -> bool:
    """Whether all that a class of ``module`` does is in its package's own files, decorators included."""
    kind = getattr(module, class_name, None)
    package = sys.modules[module.__name__.partition(".")[0]]
    directory = str(package.__file__).rpartition("/")[0] + "/"
    if not isinstance(kind, type) or not _own(package, kind):
        return False
    for value in vars(kind).values():
        for function in _functions(value):
            if not isinstance(function, FunctionType) or not function.__code__.co_filename.startswith(directory):
                return False
    return True


def _functions(value: Any) -> tuple[Any, ...]:
    """What of a class's attribute can be called; nothing of one that is data."""
    if isinstance(value, (staticmethod, classmethod)):
        return (value.__func__,)
    if isinstance(value, property):
        return tuple(part for part in (value.fget, value.fset, value.fdel) if part is not None)
    return (value,) if callable(value) and not isinstance(value, type) else ()


def _own(package: ModuleType, kind: type) -> bool:
    return kind.__module__.partition(".")[0] == package.__name__


def _mocked() -> str | None:
    """A name in boto3 or botocore that a mock stands for."""
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] in ("boto3", "botocore"):
            for name, value in list(vars(module).items()):
                if type(value).__module__ == "unittest.mock":
                    return f"{module_name}.{name}"
    return None


def _botocores(handler: Any) -> bool:
    module = getattr(handler, "__module__", None)
    if module is None:  # an instance without the attribute, or a partial
        module = type(handler).__module__
    return str(module).partition(".")[0] == "botocore"
