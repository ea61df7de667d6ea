"""One thread that keeps every timer of the house, however many there are."""

import heapq
import itertools
import time
from collections.abc import Callable
from threading import Condition, Thread, current_thread
from typing import Self

import pykka
import structlog

log = structlog.get_logger()

SWEEP_AT = 256
"""Cancelled alarms are dropped from the heap once there are this many and they are its greater part."""


class Alarm:
    """One timer. It rings at most once."""

    __slots__ = ("_alarms", "callback")

    def __init__(self, alarms: "Alarms", callback: Callable[[], None]) -> None:
        self._alarms = alarms
        self.callback: Callable[[], None] | None = callback
        """None once it has rung or was cancelled."""

    def cancel(self) -> None:
        """Any thread, any number of times, at once. A callback that runs at this moment is not awaited."""
        self._alarms.forget(self)


class Alarms:
    """Rings at a time of the monotonic clock: a jump of the wall clock or a time zone changes nothing.

    All methods may be called from any thread and return at once, except `stop`.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._heap: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()
        self._cancelled = 0
        self._stopped = False
        self._thread = Thread(target=self._run, name="alarms", daemon=True)

    def start(self) -> Self:
        """Begin to ring. Alarms set earlier are kept."""
        self._thread.start()
        return self

    def set(self, delay_s: float, callback: Callable[[], None]) -> Alarm:
        """Have `callback` called once, `delay_s` seconds from now; after `stop` it never is.

        It runs on the one thread of all alarms, so it may only enqueue something (`tell`). What it raises is logged; an
        actor that has ended by then need not be told anything.
        """
        alarm = Alarm(self, callback)
        entry = (time.monotonic() + max(0.0, delay_s), next(self._numbers), alarm)
        with self._changed:
            if not self._stopped:
                heapq.heappush(self._heap, entry)
                if self._heap[0] is entry:
                    self._changed.notify()
        return alarm

    def forget(self, alarm: Alarm) -> None:
        """What `Alarm.cancel` does."""
        with self._changed:
            if alarm.callback is None:
                return
            alarm.callback = None
            self._cancelled += 1
            if self._cancelled > SWEEP_AT and self._cancelled * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if entry[2].callback is not None]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def stop(self) -> None:
        """Drop all alarms and end the thread; returns when a callback that runs just now has ended."""
        with self._changed:
            self._stopped = True
            self._heap.clear()
            self._changed.notify()
        if self._thread.is_alive() and self._thread is not current_thread():
            self._thread.join()

    def __len__(self) -> int:
        """How many alarms are kept, with those cancelled but not swept yet."""
        return len(self._heap)

    def _run(self) -> None:
        while (callback := self._next()) is not None:
            try:
                callback()
            except pykka.ActorDeadError:
                pass
            except Exception:
                # One bad callback must not silence every timer of the house.
                log.exception("an alarm's callback failed", action="alarm_failed")

    def _next(self) -> Callable[[], None] | None:
        """Wait for the next alarm that is due; None after `stop`."""
        with self._changed:
            while not self._stopped:
                if not self._heap:
                    self._changed.wait()
                    continue
                wait = self._heap[0][0] - time.monotonic()
                if wait > 0:
                    self._changed.wait(wait)
                    continue
                alarm = heapq.heappop(self._heap)[2]
                callback, alarm.callback = alarm.callback, None
                if callback is not None:
                    return callback
                self._cancelled -= 1
            return None
