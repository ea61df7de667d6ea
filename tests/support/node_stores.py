"""Stores of nodes that share a database, and what these hear of each other."""

from collections.abc import Callable
from pathlib import Path
from threading import Event as Signal
from threading import Semaphore

from chatbot_erp.eventstore.company import News
from chatbot_erp.eventstore.lease import Node
from chatbot_erp.eventstore.postgres_store import open_store
from chatbot_erp.eventstore.store import EventStore, NewEvent, Settings

Facts = Callable[..., NewEvent]
Direct = Callable[[str], object]

A, B = Node(name="a", movable=True), Node(name="b", movable=True)
PATIENCE_S = 60
ONCE, PATIENT = Settings(patience_ms=0), Settings(patience_ms=60_000)


def opened(database: str, directory: Path, node: Node, lost: Signal, settings: Settings = PATIENT) -> EventStore:
    return open_store(database, directory.with_name(node.name or "nobody"), settings, node, lost.set)


class Heard:
    """What a node hears of the others."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self._news: list[News] = []
        self._came = Semaphore(0)
        store.company.announce(f"http://{store.company.node}", self._hear)

    def _hear(self, news: News) -> None:
        self._news.append(news)
        self._came.release()

    def until(self, wanted: Callable[[News], bool]) -> News:
        while not (self._news and wanted(self._news[-1])):
            assert self._came.acquire(timeout=PATIENCE_S), self._news[-1:]
        return self._news[-1]

    def until_it_has(self, *streams: str) -> None:
        self.until(lambda news: {each.stream for each in news.mine} == set(streams))
