"""The delivery engine of one worker process: claims, sends concurrently, records in batches.

Its event loop, pooled connections and requests in flight live in a thread of the process, across the short queue tasks that
keep it claiming, so a hanging endpoint never holds up a claim. All its database work runs on one further thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from core import leases, runtime
from core.context import SYSTEM, acting
from core.http.sender import Sender
from webhooks.engine import upkeep
from webhooks.engine.calls import CallPool
from webhooks.engine.destination import attempt_destination
from webhooks.engine.listen import Listener
from webhooks.engine.request import attempt, without_answer
from webhooks.engine.store import WORKER_KIND, Store, WorkerBuried
from webhooks.engine.stores import new_store
from webhooks.engine.sweep import sweep
from webhooks.engine.types import Batch, Claimed, LeaseKey, Result

logger = logging.getLogger(__name__)
T = TypeVar("T")

CLAIM_AT_ONCE = 500
BYTES_IN_FLIGHT = 128 * 1024 * 1024
RECORD_AT_ONCE = 500
# a turn leaves the other half of what is open to the event loop, so that requests are sent while it records and claims
RECORD_AT_LEAST = 50
POLL_SECONDS_LISTENING = 1.0
POLL_SECONDS = 0.1
RECONNECT_SECONDS = 0.5
AFTER_ERROR_SECONDS = 1.0
# a context switch between the event loop and the database thread costs up to this long when both are busy
SWITCH_SECONDS = 0.0005
# each delivery leaves some hundred objects that live for a moment: at the default of 700 the collector ran all the time
GARBAGE_THRESHOLD = 50_000


class Engine:
    """One per process. start() it, let it claim with claim_for(), and stop() it before the process ends."""

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots or settings.DELIVERY_SLOTS
        self.worker_id: uuid.UUID
        self._claim_until = 0.0
        self._store: Store
        self._limits: runtime.Runtime
        self._in_flight: dict[LeaseKey, Claimed] = {}
        self._results: list[Result] = []
        self._given_up: set[uuid.UUID] = set()
        self._in_doubt = False
        self._database = ThreadPoolExecutor(max_workers=1, thread_name_prefix="deliveries-db")
        self._thread = threading.Thread(target=self._run, name="deliveries-loop", daemon=True)
        self._ready = threading.Event()
        self._stop_lock = threading.Lock()
        self._stopping = self._started = False
        self._sends: dict[LeaseKey, asyncio.Task[None]] = {}

    # --- called from the task's thread ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start the threads; returns when the engine can claim, raises RuntimeError when it never will."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(GARBAGE_THRESHOLD, *gc.get_threshold()[1:])
        self._thread.start()
        self._ready.wait()
        if not self._started:
            raise RuntimeError("The delivery engine could not start; its log says why.")

    @property
    def alive(self) -> bool:
        """Say whether the engine runs; one that does not is replaced by a new one."""
        return self._thread.is_alive()

    def claim_for(self, seconds: float) -> None:
        """Let the engine claim for so many seconds from now."""
        self._claim_until = time.monotonic() + seconds
        self._loop.call_soon_threadsafe(self._wake.set)

    def stop(self, seconds: float = 10.0) -> None:
        """Claim nothing more, give what is in flight so many seconds to end, hand the rest back, end the threads."""
        self._claim_until = 0.0
        self._stopping = True
        with self._stop_lock:  # told by its drain and by the stop flag at once
            self._stop(seconds)

    def _stop(self, seconds: float) -> None:
        if self.alive:
            self._loop.call_soon_threadsafe(self._wake.set)
            deadline = time.monotonic() + seconds
            while (self._in_flight or self._results) and time.monotonic() < deadline:
                time.sleep(0.02)
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(timeout=10)
        self._database.shutdown(wait=True)

    @property
    def in_flight(self) -> int:
        """Return how many requests are open."""
        return len(self._in_flight)

    # --- the event loop ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with acting(SYSTEM):
                asyncio.run(self._main())
        except Exception:  # the last chance to say why
            logger.exception("engine_failed", extra={"worker": str(getattr(self, "worker_id", ""))})
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake, self._closing = asyncio.Event(), asyncio.Event()
        self._sender = Sender(limit=self.slots)
        self._pool = CallPool(settings.DESTINATION_THREADS)
        await self._sender.start()
        await self._patiently(self._register)
        # what expired while no engine ran must not be claimed first
        await upkeep.watched(self._keep_up, "upkeep_failed", upkeep.STARTING_SECONDS)
        self._listener = Listener(lambda: self._loop.call_soon_threadsafe(self._wake.set))
        listening = self._listener.start()
        self._started = True
        self._ready.set()
        work = self._work_loop(POLL_SECONDS_LISTENING if listening else POLL_SECONDS)
        heart = upkeep.regularly(leases.HEARTBEAT_SECONDS, lambda: self._patiently(self._beat), "sweep_failed")
        loops = [asyncio.create_task(loop) for loop in (work, heart, upkeep.regularly(upkeep.SECONDS, self._keep_up, "upkeep_failed"))]
        closing = asyncio.create_task(self._closing.wait())
        # a loop that ended by itself must not leave an engine behind that holds its slot and does nothing
        ended, _running = await asyncio.wait([closing, *loops], return_when=asyncio.FIRST_COMPLETED)
        self._stopping = True
        await self._in_database(self._retire)
        for task in [closing, *loops, *self._sends.values()]:
            task.cancel()
        await asyncio.gather(closing, *loops, *self._sends.values(), return_exceptions=True)
        await self._sender.close()
        await self._loop.run_in_executor(None, self._listener.stop)
        for loop in ended - {closing}:
            loop.result()

    async def _work_loop(self, poll: float) -> None:
        """Turn after turn: record what ended, claim what is due; sleep when there is neither."""
        while True:
            self._wake.clear()
            ended = self._results[: self._portion()]
            free = self._free(len(ended))
            batch = await self._turn(ended, free, self._threads(ended))
            if ended:
                self._forget(ended)
            for claimed in batch.claimed:
                key = claimed.key
                self._in_flight[key] = claimed
                self._sends[key] = asyncio.create_task(self._deliver(claimed))  # the loop itself holds tasks weakly
            pause = poll
            if batch.due_in is not None and free:
                pause = min(pause, max(0.0, batch.due_in))
            if self._results or pause <= 0:
                continue  # at once, so that what was claimed is sent during the next turn
            # not wait_for(): before Python 3.12 it loses a cancellation that comes together with what it waits for
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def _portion(self) -> int:
        return min(max(RECORD_AT_LEAST, len(self._in_flight) // 2), RECORD_AT_ONCE)

    def _free(self, ended: int) -> int:
        if time.monotonic() >= self._claim_until or self._bytes() > BYTES_IN_FLIGHT // 2:
            return 0
        return min(self.slots - len(self._in_flight) + ended, CLAIM_AT_ONCE)

    def _threads(self, ended: list[Result]) -> int:
        """Return how many deliveries may be leased whose destinations need a thread."""
        under_way = sum(claimed.calls for claimed in self._in_flight.values()) - sum(result.claimed.calls for result in ended)
        return self._pool.room(under_way)

    def _bytes(self) -> int:
        return sum(len(body) for body in {id(claimed.body): claimed.body for claimed in self._in_flight.values()}.values())

    async def _deliver(self, claimed: Claimed) -> None:
        if claimed.target.bound is None:
            result = await attempt(self._sender, claimed, self._limits, random.random)
        else:
            result = await attempt_destination(self._sender, self._pool, claimed, self._limits, random.random)
        # here and not on the database thread, which would take the interpreter from the requests under way; what fails is
        # tried there again, and raises where one outcome is parted from the others
        with contextlib.suppress(Exception):
            self._store.pack(result)
        self._results.append(result)
        self._wake.set()

    def _forget(self, ended: list[Result]) -> None:
        del self._results[: len(ended)]
        for result in ended:
            key = result.claimed.key
            self._in_flight.pop(key, None)
            self._sends.pop(key, None)

    async def _turn(self, ended: list[Result], free: int, threads: int) -> Batch:
        if not ended and not free:
            return Batch([])
        try:
            return await self._patiently(lambda: self._take_turn(ended, free, threads))
        except Exception:  # whatever it is, the next turn must come; the log says what happened
            logger.exception("turn_failed", extra={"results": len(ended), "free": free})
            await asyncio.sleep(AFTER_ERROR_SECONDS)
        for result in ended:
            await self._record_alone(result)
        return Batch([])

    async def _record_alone(self, result: Result) -> None:
        """One outcome that can't be stored must not keep the others from it: it is stored without its answer."""
        token = result.claimed.token
        for version in (result, without_answer(result)):
            try:
                await self._patiently(lambda version=version: self._take_turn([version], 0))  # type: ignore[misc]
            except Exception:
                logger.exception("record_failed", extra={"delivery": str(result.claimed.delivery_id)})
            else:
                return
        # freed now it would be sent again at once, and for ever: the lease is left to the end of this process
        self._given_up.add(token)

    async def _keep_up(self) -> bool:
        return await self._patiently(upkeep.step)

    # --- the database thread -------------------------------------------------------------------------------------

    async def _in_database(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._database, work)

    async def _patiently(self, work: Callable[[], T]) -> T:
        """Do database work, again and again while the database is away: results are kept until they are recorded."""
        while True:
            try:
                return await self._in_database(work)
            except (OperationalError, InterfaceError) as error:
                logger.warning("database_unavailable", extra={"error": str(error).partition("\n")[0][:200]})
                await self._in_database(lambda: connection.close())  # looked up on that thread: each has its own
                if self._stopping:
                    raise
                await asyncio.sleep(RECONNECT_SECONDS)

    def _register(self) -> None:
        self.worker_id = leases.register_worker(WORKER_KIND)
        self._store = new_store(self.worker_id)
        self._limits = runtime.current()

    def _take_turn(self, ended: list[Result], free: int, threads: int = 0) -> Batch:
        self._store.threads = threads
        if self._in_doubt:
            # a turn failed, perhaps after its commit: what it leased is known to nobody, and would stay leased
            self._store.give_back_all_but({claimed.token for claimed in self._in_flight.values()} | self._given_up)
            self._in_doubt = False
        if not ended and connection.vendor == "sqlite" and not self._store.peek():
            return Batch([], self._store.due_in())  # polled ten times a second: without work it must not take the write lock
        self._limits = runtime.current()
        self._in_doubt = True
        try:
            batch = self._store.turn(ended, 0 if self._stopping else free)
        except WorkerBuried:
            logger.warning("worker_buried", extra={"worker": str(self.worker_id)})
            self._register()
            batch = Batch([])
        self._in_doubt = False
        return batch

    def _beat(self) -> None:
        if leases.beat(self.worker_id):
            sweep()
        else:
            self._register()

    def _retire(self) -> None:
        try:
            self._store.give_back_all_but(())
            leases.retire(self.worker_id)
        except (OperationalError, InterfaceError):
            logger.warning("retire_failed")  # the leases lapse by themselves
        finally:
            connection.close()
