"""What a socket host says: numbered, kept until confirmed, written to the pipe by one thread."""

import queue
import threading
from multiprocessing.connection import Connection

import msgspec

from chatbot_erp.actors.frames import (
    Alive,
    Fact,
    Heard,
    Observation,
    OpenSocket,
    Said,
    Word,
    encode_frame,
)
from chatbot_erp.actors.people_frames import Reply

ROOM = 2000
"""So many unconfirmed words of one instance, and its socket is held up: then WhatsApp's server keeps the rest."""

TOGETHER = 32
"""So many words are written at once at most. A send's verdict comes with its receipts: to write and read each alone was
three times the system calls, and the instance's actor often appended each alone."""


class Ledger:
    """Numbers the words of each instance and keeps those that need a confirmation. Any thread may call it."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._free: set[str] = set()
        self._change = threading.Condition()
        self._last: dict[str, int] = {}
        self._kept: dict[str, dict[int, Said]] = {}

    def enter(self, instance: str, generation: int, observation: Observation | Reply) -> Said:
        """The word for this observation, kept if WhatsApp will not tell it twice."""
        with self._change:
            if not isinstance(observation, Fact):
                return Said(instance=instance, generation=generation, number=0, observation=observation)
            number = self._last[instance] = self._last.get(instance, 0) + 1
            kept = self._kept.setdefault(instance, {})
            word = Said(
                instance=instance,
                generation=generation,
                number=number,
                observation=observation,
                oldest=next(iter(kept), number),
            )
            kept[number] = word
            return word

    def confirm(self, instance: str, number: int) -> None:
        """Forget the words of this instance up to this number."""
        with self._change:
            kept = self._kept.get(instance, {})
            for old in [old for old in kept if old <= number]:
                del kept[old]
            if not kept:
                self._kept.pop(instance, None)
            self._change.notify_all()

    def unconfirmed(self, instance: str | None = None) -> list[Said]:
        """What is kept, in order: of one instance, or of all."""
        with self._change:
            chosen = self._kept.values() if instance is None else [self._kept.get(instance, {})]
            return [word for kept in chosen for word in kept.values()]

    def await_room(self, instance: str) -> None:
        """Hold the caller up while too much of this instance is unconfirmed."""
        with self._change:
            self._change.wait_for(lambda: instance in self._free or len(self._kept.get(instance, ())) < self._room)

    def hold_up(self, instance: str, *, when_full: bool) -> None:
        """Whether callers wait for room. A socket that ends must get rid of what it has."""
        with self._change:
            self._free.discard(instance) if when_full else self._free.add(instance)
            self._change.notify_all()


class Mouth:
    """The host's side of the pipe, outwards. Any thread may say something; nobody waits for the pipe."""

    def __init__(self, pipe: Connection) -> None:
        self.ledger = Ledger()
        self._pipe = pipe
        self._words: queue.SimpleQueue[Word | None] = queue.SimpleQueue()
        self._order = threading.Lock()
        self._writer = threading.Thread(target=self._write, name="mouth", daemon=True)
        self._writer.start()

    def say(self, order: OpenSocket, observation: Observation | Reply) -> None:
        """Report what the socket of this order saw; what comes from outside waits for room."""
        if isinstance(observation, Heard):
            self.ledger.await_room(order.instance)
        self.say_of(order.instance, order.generation, observation)

    def say_of(self, instance: str, generation: int, observation: Observation | Reply) -> None:
        """The same where there is no socket (any more)."""
        with self._order:
            self._words.put(self.ledger.enter(instance, generation, observation))

    def repeat(self, instance: str) -> None:
        """Say the unconfirmed words of this instance again."""
        with self._order:
            words = self.ledger.unconfirmed(instance)
            for word in words:
                self._words.put(msgspec.structs.replace(word, oldest=words[0].number))

    def beat(self, alive: Alive) -> None:
        """Say that the host lives, unless the manager does not even take what was said before."""
        if self._words.qsize() < ROOM:
            self._words.put(alive)

    def finish(self, patience_s: float) -> None:
        """Let what was said get into the pipe; nothing is said afterwards."""
        self._words.put(None)
        self._writer.join(patience_s)

    def _write(self) -> None:
        while words := self._next():
            try:
                self._pipe.send_bytes(encode_frame(words))
            except (OSError, ValueError):
                return

    def _next(self) -> list[Word]:
        """What waits, as far as it is written together; nothing after the last word."""
        words: list[Word] = []
        while len(words) < TOGETHER and not (words and self._words.empty()):
            word = self._words.get()
            if word is None:
                if words:
                    self._words.put(None)
                break
            words.append(word)
        return words
