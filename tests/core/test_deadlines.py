from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from core.http import deadlines
from core.http.deadlines import LOOK_SECONDS, Deadlines

pytestmark = pytest.mark.once


async def test_what_takes_too_long_ends_on_time() -> None:
    deadlines, begin = Deadlines(), monotonic()
    with pytest.raises(TimeoutError), deadlines.within(0.1):
        await asyncio.sleep(5)
    assert 0.1 <= monotonic() - begin < 3  # far below the sleep, far above what a busy machine adds
    await asyncio.sleep(0)  # and the task goes on: nothing of the cancellation is left


async def test_one_ends_at_the_first_look_after_its_time_and_the_next_look_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    now, every = [0.0], Deadlines()
    monkeypatch.setattr(deadlines, "monotonic", lambda: now[0])

    async def work() -> None:
        with every.within(0.1):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    (deadline,) = every._open
    for at, ended in ((0.099, False), (0.1, True)):
        assert every._timer is not None
        assert every._timer.when() <= asyncio.get_running_loop().time() + LOOK_SECONDS
        now[0] = at
        every._look()
        assert deadline.expired is ended
    with pytest.raises(TimeoutError):
        await task


async def test_what_ends_in_time_is_left_alone_and_nothing_looks_on() -> None:
    deadlines = Deadlines()
    with deadlines.within(0.05):
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1 + 2 * LOOK_SECONDS)
    assert deadlines._timer is None


async def test_each_has_its_own() -> None:
    deadlines = Deadlines()

    async def one(seconds: float) -> str:
        try:
            with deadlines.within(seconds):
                await asyncio.sleep(0.3)
        except TimeoutError:
            return "late"
        return "done"

    assert await asyncio.gather(one(0.1), one(5), one(0.15), one(5)) == ["late", "done", "late", "done"]


async def test_an_error_inside_is_passed_on() -> None:
    with pytest.raises(ValueError, match="mine"), Deadlines().within(5):
        raise ValueError("mine")


async def test_who_cancels_the_task_is_heard_also_when_it_is_late() -> None:
    deadlines = Deadlines()

    async def work() -> None:
        with deadlines.within(0.05):
            await asyncio.sleep(5)

    early, late = asyncio.create_task(work()), asyncio.create_task(work())
    await asyncio.sleep(0)
    early.cancel()
    for deadline in list(deadlines._open):
        if deadline._task is late:
            deadline.expire()
    late.cancel()
    assert [type(error) for error in await asyncio.gather(early, late, return_exceptions=True)] == [asyncio.CancelledError] * 2


async def test_outside_a_task_there_is_none_to_cancel() -> None:
    found: list[Exception] = []

    def call() -> None:
        try:
            with Deadlines().within(1):
                pass
        except RuntimeError as error:
            found.append(error)

    asyncio.get_running_loop().call_soon(call)
    await asyncio.sleep(0.01)
    assert "for a task" in str(found)


async def test_a_closed_one_looks_no_more() -> None:
    deadlines = Deadlines()
    with deadlines.within(0.05):
        deadlines.close()
        await asyncio.sleep(0.1 + 2 * LOOK_SECONDS)
