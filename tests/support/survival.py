"""Deliveries whose manager is killed again and again, and what is to be true of them in the end."""

from __future__ import annotations

import queue
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chatbot_erp.eventstore.events import MessageReceived
from chatbot_erp.eventstore.store import EventStore, Recorded
from unreliable_receiver import UnreliableReceiver

SCRIPT = Path(__file__).with_name("delivery_process.py")
START_S = 60.0


class Life:
    """One life of the process that delivers."""

    def __init__(
        self,
        directory: Path,
        url: str,
        instances: int,
        messages: int,
        *,
        rate: float = 0,
        ahead: int = 0,
        order: str = "instance",
    ) -> None:
        given = (directory, url, instances, messages, rate, ahead, order)
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._await("ready", START_S)
        self._await("ahead", START_S)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_drained_within(self, patience_s: float) -> bool:
        """Whether everything is stored and delivered by then."""
        try:
            self._await("drained", patience_s)
        except queue.Empty:
            return False
        return True

    def kill(self) -> None:
        self._process.kill()
        self._close()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._close()

    def _close(self) -> None:
        self._process.wait(60)
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _await(self, word: str, patience_s: float) -> None:
        assert self._lines.get(timeout=patience_s) == word

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if (word := line.strip()) in ("ready", "ahead", "drained"):
                self._lines.put(word)


@dataclass(frozen=True)
class Found:
    """What came of it."""

    events: int
    lost: int
    repeated: int
    strangers: int
    disordered: int
    kills: int
    seconds: float


def survive(
    directory: Path,
    receiver: UnreliableReceiver,
    *,
    instances: int,
    messages: int,
    kills: int,
    life_s: tuple[float, float],
    unwell_s: float,
    patience_s: float,
    seed: int,
    order: str = "instance",
) -> Found:
    """Deliver to the receiver over so many kills at random moments, and compare what it took with the log.

    The last life has an unreliable receiver for `unwell_s` seconds, and then one that has recovered: each failure of
    the same delivery doubles the time to its next attempt, so bad luck alone could outlast any patience.
    """
    draw = random.Random(seed)
    begun = time.monotonic()
    done = 0
    for _ in range(kills):
        life = Life(directory, receiver.url, instances, messages, order=order)
        drained = life.is_drained_within(draw.uniform(*life_s))
        life.kill()
        done += 1
        if drained:
            break
    last = Life(directory, receiver.url, instances, messages, order=order)
    try:
        if not last.is_drained_within(unwell_s):
            receiver.recover()
            assert last.is_drained_within(patience_s), (
                f"not all was delivered, whoever failed: {dict(receiver.failures)}"
            )
    finally:
        last.end()
    return compare(directory, receiver, instances, done, time.monotonic() - begun, order)


def compare(
    directory: Path, receiver: UnreliableReceiver, instances: int, kills: int, seconds: float, order: str
) -> Found:
    lost = repeated = strangers = disordered = events = 0
    with EventStore.open(directory) as store:
        for index in range(instances):
            truth: dict[int | None, str] = {}
            places: dict[int | None, tuple[str, int]] = {}
            lengths: defaultdict[str, int] = defaultdict(int)
            for record in all_of(store, f"i{index}"):
                if isinstance(record.event, MessageReceived):
                    key = record.event.jid if order == "chat" else "all"
                    lengths[key] += 1
                    truth[record.sequence], places[record.sequence] = record.id, (key, lengths[key])
            taken = receiver.taken[f"/i{index}"]
            events += len(truth)
            lost += len(truth.keys() - {sequence for sequence, _ in taken})
            repeated += len(taken) - len({sequence for sequence, _ in taken})
            strangers += sum(truth.get(sequence) != event_id for sequence, event_id in taken)
            reached: defaultdict[str, int] = defaultdict(int)
            for sequence, _ in taken:
                key, place = places[sequence]
                disordered += place > reached[key] + 1
                reached[key] = max(reached[key], place)
    return Found(events, lost, repeated, strangers, disordered, kills, seconds)


def all_of(store: EventStore, stream: str) -> Iterator[Recorded]:
    after = 0
    while page := store.read(stream=stream, after=after, limit=1000):
        yield from page
        after = page[-1].position
