"""Frozen values with named fields, as ``dataclass(frozen=True, slots=True)`` makes them, ready at once.

A dataclass compiles five methods when it is defined, and the module that does it imports ``inspect``: for the two dozen
that a ``get`` meets, that was a third of the whole command (docs/performance.md). Here the methods are written once and
go by the list of fields. Type checkers see dataclasses (PEP 681); so do ``dataclasses.replace``, ``fields`` and
``asdict``, for whoever imports them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NoReturn, TypeVar, dataclass_transform

_T = TypeVar("_T")  # bound to Frozen in meaning alone: a bound by name is compiled, which costs more than this module
_REQUIRED: Any = object()


class _Field:
    __slots__ = ("default", "factory", "name", "put", "repr")

    def __init__(self, default: Any, factory: Callable[[], Any] | None, repr: bool) -> None:
        self.default = default
        self.factory = factory
        self.repr = repr
        self.name: str
        self.put: Callable[[object, Any], None]


def field(*, default: Any = _REQUIRED, default_factory: Callable[[], Any] | None = None, repr: bool = True) -> Any:
    """A field with a default that is made for each value, or one that ``repr`` leaves out."""
    return _Field(default, default_factory, repr)


class _OfDataclass:
    """What :mod:`dataclasses` knows a class by, made by that module when somebody asks for it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type[Frozen]) -> Any:
        if not owner.__fields__:
            raise AttributeError(self._name)
        import dataclasses

        def described(mine: _Field) -> Any:
            if mine.factory is not None:
                return dataclasses.field(default_factory=mine.factory, repr=mine.repr)
            if mine.default is _REQUIRED:
                return dataclasses.field(repr=mine.repr)
            return dataclasses.field(default=mine.default, repr=mine.repr)

        twin = dataclasses.make_dataclass(
            owner.__name__,
            [(mine.name, object, described(mine)) for mine in owner.__fields__],
            frozen=True,
            kw_only=True,
        )
        made = getattr(twin, self._name)
        setattr(owner, self._name, made)
        return made


class _FrozenType(type):
    """Makes slots of the annotations, and fields of the slots."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, kw_only: bool = False
    ) -> _FrozenType:
        names = [
            given
            for given, kind in namespace.get("__annotations__", {}).items()
            if not str(kind).startswith("ClassVar")
        ]
        fields = []
        for given in names:
            default = namespace.pop(given, _REQUIRED)
            fields.append(default if isinstance(default, _Field) else _Field(default, None, True))
        made = super().__new__(mcs, name, bases, {**namespace, "__slots__": tuple(names)})
        for given, its in zip(names, fields, strict=True):
            its.name, its.put = given, _slot_of(made, given)
        if fields:
            made.__fields__ = tuple(fields)  # type: ignore[attr-defined]
            made.__match_args__ = () if kw_only else tuple(names)  # type: ignore[attr-defined, misc]
            made._positional = 0 if kw_only else len(names)  # type: ignore[attr-defined]
            made._plan = tuple((its.name, its.put, its.default, its.factory) for its in fields)  # type: ignore[attr-defined]
        return made


def _slot_of(made: type, name: str) -> Callable[[object, Any], None]:
    """What sets the slot ``name``, past a value's own refusal to be changed."""
    put: Callable[[object, Any], None] = made.__dict__[name].__set__
    return put


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Frozen(metaclass=_FrozenType):
    """A value: what its annotations name, given at once, compared by all of it, and never changed.

    ``kw_only=True`` behind the base class takes the fields by name alone.
    """

    __fields__: ClassVar[tuple[_Field, ...]] = ()
    __dataclass_fields__: ClassVar[Any] = _OfDataclass("__dataclass_fields__")
    __dataclass_params__: ClassVar[Any] = _OfDataclass("__dataclass_params__")
    _positional: ClassVar[int] = 0
    _plan: ClassVar[tuple[tuple[str, Callable[[object, Any], None], Any, Callable[[], Any] | None], ...]] = ()
    """What a field is, ready to be unpacked: thousands of values are made for a thousand secrets."""

    def __init__(self, *args: Any, **given: Any) -> None:
        plan = self._plan
        if args:
            if len(args) > self._positional:
                raise TypeError(f"{type(self).__name__} takes {self._positional} values by position, not {len(args)}")
            for (_, put, _, _), value in zip(plan, args, strict=False):
                put(self, value)
            plan = plan[len(args) :]
        left = len(given)
        for name, put, default, factory in plan:
            if name in given:
                put(self, given[name])
                left -= 1
            elif factory is not None:
                put(self, factory())
            elif default is not _REQUIRED:
                put(self, default)
            else:
                raise TypeError(f"{type(self).__name__} needs {name}")
        if left:
            unknown = sorted(given.keys() - {name for name, _, _, _ in plan})
            raise TypeError(f"{type(self).__name__} takes {unknown[0]} once, or not at all")

    def __repr__(self) -> str:
        shown = ", ".join(f"{mine.name}={getattr(self, mine.name)!r}" for mine in self.__fields__ if mine.repr)
        return f"{type(self).__qualname__}({shown})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(mine == its for mine, its in zip(self._values(), other._values(), strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self._values()))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), tuple(self._values()))

    def _values(self) -> Iterator[Any]:
        return (getattr(self, mine.name) for mine in self.__fields__)


def _remade(kind: type[Frozen], values: tuple[Any, ...]) -> Frozen:
    made = kind.__new__(kind)
    for mine, value in zip(kind.__fields__, values, strict=True):
        mine.put(made, value)
    return made


def replace(value: _T, /, **changes: Any) -> _T:
    """A copy of ``value``, which is a :class:`Frozen`, in which ``changes`` are different."""
    assert isinstance(value, Frozen)
    return type(value)(**{**{mine.name: getattr(value, mine.name) for mine in value.__fields__}, **changes})
