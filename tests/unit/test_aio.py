"""The stash for event loops: nothing blocks them, cancelling harms nobody else, and everything is there."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

import dynastash
from dynastash.aio import AsyncStash
from dynastash.cache.caching import CachingStash
from dynastash.errors import (
    ConflictError,
    InvalidArgumentError,
    InvalidNameError,
    KeyAccessDeniedError,
    PartialError,
    SecretNotFoundError,
    StoreUnavailableError,
)
from dynastash.generate import Password
from dynastash.stash.api import Stash
from tests.unit.cache_kit import NAME, Gate, World
from tests.unit.stash_kit import World as StashWorld

Made = Callable[..., AsyncStash]


@pytest.fixture(params=["plain", "cached"])
def made(request: pytest.FixtureRequest) -> Made:
    """Makes an AsyncStash on a world's source, or on its cache."""

    def make(world: World, **more: Any) -> AsyncStash:
        return AsyncStash(world.cache if request.param == "cached" else cast(Stash, world.source), **more)

    return make


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """In an event loop that says what went wrong in its callbacks."""
    wrong: list[dict[str, Any]] = []

    async def watched() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        return await work

    result = asyncio.run(watched())
    assert wrong == []
    return result


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    while not true():
        await asyncio.sleep(0.001)


class TestTheLoop:
    """It goes on turning while the store does not answer: here it is the loop that lets it answer."""

    @pytest.mark.parametrize(
        "ask",
        [
            lambda stash: stash.get(NAME),
            lambda stash: stash.get(NAME, stage="previous"),
            lambda stash: stash.get(NAME, version=1, min_version=1),
            lambda stash: stash.get_many([NAME]),
            lambda stash: stash.get_many(prefix="app1/"),
        ],
    )
    def test_a_reading_does_not_block_it(self, ask: Callable[[AsyncStash], Awaitable[Any]], made: Made) -> None:
        """Were it blocked, nobody would open the gate."""
        world = World()
        gate = Gate()
        world.source.gates = [gate]

        async def main() -> None:
            async with made(world) as stash:
                asking = asyncio.ensure_future(ask(stash))
                await until(lambda: bool(world.source.calls))
                gate.open()
                await asking

        run(main())

    def test_no_operation_blocks_it(self) -> None:
        """Each method of a stash whose every call waits for the loop."""
        opened = threading.Event()

        class Slow:
            def __getattr__(self, name: str) -> Any:
                def wait(*_: object, **__: object) -> Any:
                    assert opened.wait(60)
                    return iter(())

                return wait

        async def main() -> None:
            async with AsyncStash(cast(Stash, Slow())) as stash:
                for name in _operations():
                    opened.clear()
                    method = getattr(stash, name)
                    arguments = [NAME] * sum(
                        parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
                        for parameter in inspect.signature(method).parameters.values()
                    )
                    called = method(*arguments)
                    asking = asyncio.ensure_future(_all(called) if hasattr(called, "__anext__") else called)
                    await asyncio.sleep(0)
                    opened.set()
                    await asking

        run(main())

    def test_a_kept_value_takes_no_thread(self) -> None:
        """Nor a turn of the loop."""
        world = World()

        async def main() -> None:
            async with AsyncStash(world.cache, threads=1) as stash:
                await stash.get(NAME)
                gate = Gate()
                world.source.gates = [gate]
                other = asyncio.ensure_future(stash.get(NAME, stage="previous"))
                await until(lambda: len(world.source.calls) == 2)
                with pytest.raises(StopIteration) as caught:  # the coroutine ends at its first step
                    stash.get(NAME).send(None)
                assert caught.value.value.number == 1
                gate.open()
                await other

        run(main())


async def _all(stream: Any) -> list[Any]:
    return [item async for item in stream]


class TestSingleFlight:
    """Tasks that ask a cache for one thing at once."""

    def test_64_tasks_are_one_reading_in_one_thread(self) -> None:
        """Others are served by the second thread meanwhile."""
        world = World(NAME, "other")
        gate = Gate()
        world.source.gates = [gate]

        async def main() -> None:
            async with AsyncStash(world.cache, threads=2) as stash:
                asking = [asyncio.ensure_future(stash.get(NAME)) for _ in range(64)]
                await until(lambda: world.source.calls == [NAME])
                assert (await stash.get("other")).number == 1
                gate.open()
                assert {secret.number for secret in await asyncio.gather(*asking)} == {1}
            assert world.source.calls == [NAME, "other"]

        run(main())

    def test_threads_and_tasks_share(self) -> None:
        """One reading for a thread at the cache and a task."""
        world = World()
        gate = Gate()
        world.source.gates = [gate]

        async def main() -> None:
            async with AsyncStash(world.cache) as stash:
                thread = asyncio.ensure_future(asyncio.to_thread(world.cache.get, NAME))
                await until(lambda: world.source.calls == [NAME])
                task = asyncio.ensure_future(stash.get(NAME))
                await asyncio.sleep(0)
                gate.open()
                assert await thread is await task
            assert world.source.calls == [NAME]

        run(main())

    def test_what_was_read_before_an_invalidation_is_nobodys(self) -> None:
        """Who asks after it gets the new value, although the old reading goes on."""
        world = World()
        gate = Gate()
        world.source.gates = [gate]

        async def main() -> None:
            async with AsyncStash(world.cache) as stash:
                early = asyncio.ensure_future(stash.get(NAME))
                await until(lambda: world.source.calls == [NAME])
                world.source.rotate(NAME)
                stash.invalidate(NAME)
                assert (await stash.get(NAME)).number == 2
                gate.open()
                assert (await early).number == 1
                assert (await stash.get(NAME)).number == 2

        run(main())

    def test_an_old_value_stands_in(self) -> None:
        """For a reading that fails, and for one that does not end."""
        world = World(max_wait=0.01)

        async def main() -> None:
            async with AsyncStash(world.cache) as stash:
                await stash.get(NAME)
                world.clock.advance(101)
                world.source.failing = StoreUnavailableError("out of reach")
                assert (await stash.get(NAME)).number == 1
                world.source.failing = None
                world.clock.advance(40)
                gate = Gate()
                world.source.gates = [gate]
                world.source.rotate(NAME)
                assert (await stash.get(NAME)).number == 1
                gate.open()
                await until(lambda: world.cache.statistics().fetches == 3)
            assert world.cache.get(NAME).number == 2

        run(main())


class TestCancelling:
    """What becomes of the work, and of the others."""

    def test_the_others_get_their_value(self) -> None:
        """The task that began the reading is cancelled; so is one that waited; the third is not."""
        world = World()
        gate = Gate()
        world.source.gates = [gate]

        async def main() -> None:
            async with AsyncStash(world.cache) as stash:
                asking = [asyncio.ensure_future(stash.get(NAME)) for _ in range(3)]
                await until(lambda: world.source.calls == [NAME])
                for task in asking[:2]:
                    task.cancel()
                for task in asking[:2]:
                    with pytest.raises(asyncio.CancelledError):
                        await task
                gate.open()
                assert (await asking[2]).number == 1

        run(main())

    def test_the_reading_goes_on_and_is_kept(self) -> None:
        """Also one that has to wait for a thread, and one whose failure nobody hears of: no complaint anywhere."""
        world = World(NAME, "other", "third")
        gate = Gate()
        world.source.gates = [gate]
        world.source.failures["third"] = KeyAccessDeniedError("denied")

        async def main() -> None:
            async with AsyncStash(world.cache, threads=1) as stash:
                asking = [asyncio.ensure_future(stash.get(name)) for name in (NAME, "other", "third")]
                await until(lambda: world.source.calls == [NAME])
                for task in asking:
                    task.cancel()
                await asyncio.gather(*asking, return_exceptions=True)
                gate.open()
            world.source.calls.clear()
            assert world.cache.get(NAME).number == world.cache.get("other").number == 1
            assert world.source.calls == []

        run(main())

    def test_what_has_not_begun_does_not_begin(self) -> None:
        """A write that waited for its turn; one that was under way is carried out."""
        done: list[str] = []
        gate = Gate()

        class Slow:
            def put(self, name: str, value: str) -> None:
                if not done:
                    gate.pass_through()
                done.append(name)

        async def main() -> None:
            async with AsyncStash(cast(Stash, Slow()), threads=1) as stash:
                first, second = (asyncio.ensure_future(stash.put(name, "x")) for name in ("first", "second"))
                await asyncio.to_thread(gate.reached)
                for task in (first, second):
                    task.cancel()
                await asyncio.gather(first, second, return_exceptions=True)
                gate.open()
            assert done == ["first"]

        run(main())

    def test_a_timeout_is_a_cancellation(self, made: Made) -> None:
        """asyncio.timeout works, and whoever asks again gets an answer."""
        world = World()
        gate = Gate()
        world.source.gates = [gate]

        async def main() -> None:
            async with made(world) as stash:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await stash.get(NAME)
                gate.open()
                assert (await stash.get(NAME)).number == 1

        run(main())


class TestErrors:
    """They come out as they are."""

    def test_of_the_stash(self, made: Made) -> None:
        """One and several."""
        world = World()

        async def main() -> None:
            async with made(world) as stash:
                with pytest.raises(SecretNotFoundError):
                    await stash.get("missing")
                with pytest.raises(PartialError):
                    await stash.get_many([NAME, "missing"])
                world.source.failing = ZeroDivisionError()
                with pytest.raises(ZeroDivisionError):
                    await stash.get("other")
                with pytest.raises(ZeroDivisionError):
                    await stash.get_many(["other"])

        run(main())

    def test_of_whoever_uses_it_wrongly(self, made: Made) -> None:
        """No threads; a name that is none; a call after the end."""
        world = World()
        with pytest.raises(InvalidArgumentError):
            made(world, threads=0)

        async def main() -> None:
            stash = made(world)
            for version in (None, 1):
                with pytest.raises(InvalidNameError):
                    stash.invalidate("no name", version=version)
            with pytest.raises(InvalidArgumentError):
                stash.invalidate(NAME, version=0)
            await stash.get(NAME)
            await stash.close()
            with pytest.raises(RuntimeError):
                await stash.get("other")
            with pytest.raises(RuntimeError):  # and nobody waits for what was not begun
                await stash.get("other")

        run(main())


class TestRetryOn:
    """Logging in again with the new value."""

    class Refused(Exception):
        """What a database driver raises."""

    def test_a_rotation_goes_unnoticed(self, made: Made) -> None:
        """As with threads."""
        world = World()
        tried: list[tuple[int, str]] = []

        async def main() -> None:
            async with made(world) as stash:

                @stash.retry_on(self.Refused, NAME)
                async def login(secret: Any, host: str) -> str:
                    tried.append((secret.number, host))
                    if secret.number < 2:
                        world.source.rotate(NAME)
                        raise self.Refused
                    return "connected"

                assert await login("db") == "connected"

        run(main())
        assert tried == [(1, "db"), (2, "db")]

    def test_a_refused_value_is_not_tried_twice(self, made: Made) -> None:
        """No newer version comes within the patience; the loop turns meanwhile."""
        world = World()
        calls: list[int] = []

        async def main() -> None:
            async with made(world) as stash:

                @stash.retry_on(self.Refused, NAME, into="password", patience=0.1)
                async def login(host: str, *, password: Any) -> None:
                    calls.append(password.number)
                    raise self.Refused("login failed")

                with pytest.raises(self.Refused, match="login failed"):
                    await login("db")

        run(main())
        assert calls == [1]

    def test_a_plain_function_is_refused(self, made: Made) -> None:
        """It would block the loop itself."""
        with pytest.raises(InvalidArgumentError) as caught:
            made(World()).retry_on(self.Refused, NAME)(cast(Any, lambda secret: secret))
        assert "CachingStash" in str(caught.value.hint)


def _operations() -> list[str]:
    """The public methods of a stash."""
    return [name for name, member in inspect.getmembers(Stash, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("face", [AsyncStash, CachingStash])
def test_every_operation_is_there(face: type) -> None:
    """With the same parameters; none is added to the stash and forgotten here."""
    for name in _operations():
        theirs = inspect.signature(getattr(Stash, name)).parameters
        ours = inspect.signature(getattr(face, name)).parameters
        assert list(ours) == list(theirs), name


@pytest.mark.parametrize("cached", [False, True])
def test_a_life(cached: bool, tmp_path: Path) -> None:
    """Everything once, on a real stash: each call is what the stash's own does; a write is seen at once."""
    stash = StashWorld(tmp_path).stash

    async def main() -> None:
        async with AsyncStash(CachingStash(stash) if cached else stash) as secrets:
            assert secrets.stash is stash
            assert (await secrets.put("n", "one", comment="first")).number == 1
            assert (await secrets.get("n")).text == "one"
            assert (await secrets.put(name="n", value="two", if_version=1)).number == 2
            assert (await secrets.get("n")).text == "two"
            assert (await secrets.get("n", stage="previous")).text == "one"
            with pytest.raises(ConflictError):
                await secrets.put("n", "three", if_version=1)
            assert (await secrets.rollback("n")).number == 3
            assert (await secrets.get("n")).text == "one"
            assert [version.number for version in await secrets.history("n")] == [1, 2, 3]
            assert not (await secrets.diff("n", 1, 2)).same_value
            assert await secrets.policy("n") is None
            await secrets.generate("g", Password(length=20))
            first = (await secrets.get("g")).text
            assert (await secrets.rotate("g")).number == 2
            assert (await secrets.get("g")).text != first
            assert [info.name for info in await secrets.list()] == ["g", "n"]
            assert set(await secrets.get_many(prefix="")) == {"g", "n"}
            assert [secret.text for secret in (await secrets.resolve(["n@2", "n"])).values()] == ["two", "one"]
            assert await secrets.prune("n", keep=1) == [1]
            assert [found.name async for found in secrets.verify()] == ["g", "n"]
            assert len([found async for found in secrets.rewrap("g")]) == 2
            assert [found.name async for found in secrets.rewrap_many(["g", "n"])] == ["g", "n"]
            await secrets.delete("n", recovery_days=0)
            with pytest.raises(dynastash.errors.SecretDeletedError):
                await secrets.get("n")
            await secrets.undelete("n")
            assert (await secrets.get("n")).text == "one"
            await secrets.delete("n", recovery_days=0)
            assert [info.name for info in await secrets.overdue()] == ["n"]
            await secrets.purge("n")
            with pytest.raises(dynastash.errors.SecretDestroyedError):
                await secrets.get("n")

    run(main())


def test_it_serves_several_loops_and_carries_the_context(made: Made) -> None:
    """One after the other; tracing's variables are there in the thread."""
    world = World()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []
    answer = world.source._answer

    def noting(*asked: object, **more: Any) -> Any:
        seen.append(variable.get())
        return answer(*asked, **more)

    world.source._answer = noting  # type: ignore[method-assign]
    stash = made(world)

    async def ask(said: str) -> None:
        variable.set(said)
        stash.invalidate(NAME)
        await stash.get(NAME)

    run(ask("one"))
    run(ask("two"))
    run(stash.close())
    assert seen == ["one", "two"]


EXAMPLE = """
    import asyncio
    from collections.abc import Sequence
    import dynastash
    from dynastash import AsyncStash, CachingStash, Secret, SecretInfo, Version

    cache = CachingStash(dynastash.connect(), ttl=60)
    number: Version = cache.put("n", "x", if_version=1)

    class Refused(Exception): ...

    @cache.retry_on(Refused, "n")
    def login(secret: Secret, host: str) -> int:
        return len(secret.value)

    length: int = login("db")

    async def main() -> None:
        async with AsyncStash(cache) as stash:
            secret: Secret = await stash.get("n", version=1)
            put: Version = await stash.put("n", b"x", comment="c")
            listed: Sequence[SecretInfo] = await stash.list("app1/")
            async for found in stash.verify():
                print(found.name)

            @stash.retry_on((Refused, OSError), "n")
            async def connect(secret: Secret, host: str) -> int:
                return len(secret.value)

            length: int = await connect("db")

    asyncio.run(main())
"""

MISTAKES = """
    cache.put("n", 7)
    login(7)

    async def mistaken(stash: AsyncStash) -> None:
        await stash.put("n", 7)
        (await stash.get("n")).value.encode()
"""


def test_a_users_types_hold(tmp_path: Path) -> None:
    """Under mypy --strict: of all these lines, the mistakes are found and nothing else."""
    from tests.unit.test_package import checked

    found = checked(EXAMPLE + MISTAKES, tmp_path)
    assert found.count('has incompatible type "int"; expected "str | bytes | Plaintext"') == 2
    assert 'has incompatible type "int"; expected "str"' in found
    assert '"bytes" has no attribute "encode"' in found
    assert "Found 4 errors" in found


def test_only_who_uses_it_pays_for_asyncio(tmp_path: Path) -> None:
    """The cache for threads does without."""
    from tests.unit.test_package import loaded

    found = loaded("import dynastash; dynastash.CachingStash(dynastash.connect())", tmp_path)
    assert not found & {"asyncio", "boto3", "click", "cryptography"}
    assert "asyncio" in loaded("import dynastash; dynastash.AsyncStash", tmp_path)
