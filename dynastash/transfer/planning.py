"""What will become of each secret of a source, before anything is written: a plan that says so, and why.

A secret's revisions become versions 1, 2, 3 … here, in the source's order. What is here already is compared with them:
where it is the same from the first version on, only what is missing behind it will be written, and so the same plan
goes on after an interruption and has nothing to do once all is done. No other memory of it is kept anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dynastash.clock import Clock, SystemClock
from dynastash.errors import DynastashError, InvalidArgumentError
from dynastash.frozen import Frozen, field, replace
from dynastash.places import History, Revision
from dynastash.stash import inputs
from dynastash.transfer import naming, numbering
from dynastash.transfer.here import Here, Looker
from dynastash.transfer.naming import Named, Names

if TYPE_CHECKING:
    from dynastash.stash.api import Stash
    from dynastash.transfer.digests import Digests


class Action(StrEnum):
    """What will become of a secret. The last three are problems: nothing of it is written."""

    CREATE = "create"
    APPEND = "append"
    SAME = "same"
    SKIP = "skip"
    CONFLICT = "conflict"
    UNREADABLE = "unreadable"
    REFUSED = "refused"


PROBLEMS: Final = (Action.CONFLICT, Action.UNREADABLE, Action.REFUSED)


class Existing(StrEnum):
    """What becomes of a secret that is here with another value, where single values are taken."""

    REFUSE = "refuse"
    SKIP = "skip"
    ADD = "add"


class Order(StrEnum):
    """Which revision becomes current where readers of the source are not given the last one."""

    NUMERIC = "numeric"
    SERVED = "served"


class Rules(Frozen, kw_only=True):
    """How secrets are taken: ``whole`` with all their revisions, else with the current one alone.

    ``existing`` belongs to single values, ``skip_unreadable`` to whole histories: older revisions that cannot be read
    are then left out, and the others taken without them.
    """

    whole: bool
    names: Names = field(default_factory=Names)
    existing: Existing = Existing.REFUSE
    order: Order | None = None
    skip_unreadable: bool = False


class Planned(Frozen, kw_only=True):
    """What will become of one secret: ``name`` is what it is called here, empty where it cannot have a name.

    ``revisions`` are to become versions, with their ``digests``; the first ``present`` of them are here already, and
    ``behind`` is the version here, 0 for none, that the next one follows. ``left_out`` are the revisions that cannot be
    read. ``reason`` is there for what is not simply done.
    """

    key: str
    name: str
    action: Action
    reason: str | None = None
    renamed: bool = False
    revisions: tuple[Revision, ...] = field(default=(), repr=False)
    digests: tuple[bytes, ...] = field(default=(), repr=False)
    present: int = 0
    behind: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def problem(self) -> bool:
        """Whether something of it will not be done."""
        return self.action in PROBLEMS or bool(self.left_out)


def plan(
    histories: Iterable[History], stash: Stash, rules: Rules, digests: Digests, *, clock: Clock | None = None
) -> list[Planned]:
    """The plan for ``histories``, in their order. Raises what keeps source or stash as a whole from being read."""
    taken = list(histories)
    now = (clock or SystemClock()).now()
    drafts = [
        _draft(history, named, rules, digests, now)
        for history, named in zip(taken, naming.name_all((each.key for each in taken), rules.names), strict=True)
    ]
    wanted = {each.name: each.digests for each in drafts if each.action not in PROBLEMS}
    prefix = "" if rules.names.mapped else rules.names.prefix
    found = Looker(stash, digests, whole=rules.whole).look(wanted, prefix=prefix)
    return [each if each.action in PROBLEMS else _settled(each, found[each.name], rules) for each in drafts]


def _settled(planned: Planned, here: Here, rules: Rules) -> Planned:
    """``planned`` with what becomes of it, now that what is ``here`` is known."""
    if here.absent:
        return planned
    if here.reason is not None:
        if not rules.whole and here.other_value and rules.existing is not Existing.REFUSE:
            adds = rules.existing is Existing.ADD
            return replace(
                planned, action=Action.APPEND if adds else Action.SKIP, reason=here.reason, behind=here.current, tags={}
            )
        return replace(planned, action=Action.CONFLICT, reason=here.reason)
    tags = {**here.tags, **planned.tags}
    return replace(
        planned,
        action=Action.APPEND if here.present < len(planned.revisions) else Action.SAME,
        present=here.present,
        behind=here.present,
        tags={} if tags == here.tags else tags,
        notes=planned.notes + ((f"newer versions here: {here.newer}",) if here.newer else ()),
    )


def _draft(history: History, named: Named, rules: Rules, digests: Digests, now: int) -> Planned:
    """What becomes of ``history`` as far as it alone can tell."""
    draft = Planned(
        key=history.key, name=named.name, action=Action.CREATE, renamed=named.renamed, notes=tuple(history.notes)
    )

    def refuse(action: Action, reason: str) -> Planned:
        return replace(draft, action=action, reason=reason)

    if history.problem is not None:
        return refuse(Action.UNREADABLE, history.problem)
    if named.problem is not None:
        return refuse(Action.REFUSED, named.problem)
    if not history.revisions:
        return refuse(Action.UNREADABLE, "it has no value there")
    if history.served is not None and rules.order is None:
        return refuse(
            Action.CONFLICT,
            f"readers get version {history.served} there, and {history.revisions[-1].label} is the highest: "
            "decide with --order served or --order numeric",
        )
    revisions = _ordered(history, rules)
    if revisions[-1].problem is not None:
        return refuse(Action.UNREADABLE, _problem(revisions[-1], "its current version"))
    unreadable = [_problem(each, "a version") for each in revisions if each.problem is not None]
    if unreadable and not rules.skip_unreadable:
        return refuse(Action.UNREADABLE, "; ".join([*unreadable[:3], *(["and more"] if unreadable[3:] else [])]))
    readable = tuple(each for each in revisions if each.problem is None)
    try:
        tags = _tags(history, named, readable, rules)
        _check(readable, tags, now)
    except DynastashError as error:
        return refuse(Action.REFUSED, str(error))
    return replace(
        draft,
        revisions=readable,
        digests=tuple(digests.of(each.value) for each in readable if each.value is not None),
        tags=tags,
        left_out=tuple(unreadable),
    )


def _ordered(history: History, rules: Rules) -> tuple[Revision, ...]:
    revisions = history.revisions
    if history.served is not None and rules.order is Order.SERVED:
        served = tuple(each for each in revisions if each.label == history.served)
        revisions = (*(each for each in revisions if each.label != history.served), *served)
    return revisions if rules.whole else revisions[-1:]


def _tags(history: History, named: Named, revisions: Iterable[Revision], rules: Rules) -> dict[str, str]:
    tags = dict(history.tags)
    if named.renamed:
        tags[naming.TAG] = named.key
    if rules.whole and (versions := numbering.compact([each.label for each in revisions])) is not None:
        tags[numbering.TAG] = versions
    return tags


def _check(revisions: Iterable[Revision], tags: Mapping[str, str], now: int) -> None:
    """Refuse what could not be put. Raises :class:`DynastashError` saying which version of the source it is."""
    for each in revisions:
        assert each.value is not None
        try:
            inputs.new_version(
                now, each.value, each.comment, each.content_type, each.expires_at, tags or None, each.context
            )
        except DynastashError as error:
            which = f"{_named(each, 'its value')}: " if each.label else ""
            at_most = f" ({error.hint})" if error.hint and error.hint.startswith("at most") else ""
            raise InvalidArgumentError(f"{which}{error}{at_most}") from None


def _problem(revision: Revision, otherwise: str) -> str:
    """Why the value cannot be had, and of which version, unless that is said already."""
    said = str(revision.problem)
    named = _named(revision, otherwise)
    return said if revision.label and named in said else f"{named}: {said}"


def _named(revision: Revision, otherwise: str) -> str:
    return f"version {revision.label}" if revision.label else otherwise
