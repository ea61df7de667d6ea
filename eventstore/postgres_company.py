"""The nodes that share a PostgreSQL database, as one of them sees the others and hears from them."""

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import TypeVar

import psycopg
import structlog

from chatbot_erp.eventstore.company import Hear, News, Seat, Seen
from chatbot_erp.eventstore.engine import Ask
from chatbot_erp.eventstore.errors import StoreError
from chatbot_erp.eventstore.placement import Placement
from chatbot_erp.eventstore.postgres import Connection, Readers, asking
from chatbot_erp.eventstore.postgres_lease import Tenure, evict, former_names, life_of, take_former
from chatbot_erp.eventstore.postgres_writer import Writer
from chatbot_erp.eventstore.work import Errand

log = structlog.get_logger()

T = TypeVar("T")

LOOK_EVERY_S = 1.0
"""How soon something is seen of which no word came: words are lost where a connection breaks."""

SHORTEST_WAIT_S = 0.01
RETRY_S = 0.5
CLOSE_PATIENCE_S = 5.0


class PostgresCompany:
    """As `company.Company`."""

    def __init__(
        self,
        tenure: Tenure,
        writer: Writer,
        readers: Readers,
        connect: Callable[[], Connection],
        noticed: Callable[[int], None],
    ) -> None:
        """`noticed` is told how often keys were lost, whenever it may have been once more."""
        self._tenure = tenure
        self._writer = writer
        self._readers = readers
        self._connect = connect
        self._noticed = noticed
        self._hear: Hear = lambda news: None
        self._secret: bytes | None = None
        self._ending = threading.Event()
        self._pause_s = min(LOOK_EVERY_S, tenure.cadence_s / 2)
        self._thread = threading.Thread(target=self._listen, name="node-news", daemon=True)
        self.node = tenure.node.name if tenure.node.movable else ""
        self.machine = tenure.machine
        self.life = tenure.life
        if tenure.node.movable:
            self._thread.start()

    def leased_until(self) -> float:
        return self._tenure.until if self._tenure.node.movable else float("inf")

    def announce(self, url: str, hear: Hear, /) -> None:
        if not self._tenure.node.movable:
            return
        self._hear = hear
        self._tenure.url = url
        # At once, if it can be; else with the next renewal.
        with contextlib.suppress(StoreError):
            self._stand()

    def leave(self) -> None:
        if self._tenure.node.movable:
            self._tenure.leaving = True
            self._stand()

    def can_part(self) -> bool:
        if not self._tenure.node.movable:
            return False
        values = {"name": self._tenure.node.name}
        return self._readers.run(lambda ask: bool(ask("can_part", values).fetchone()[0]))

    def secret(self) -> bytes:
        if self._secret is None:
            self._secret = self._readers.run(lambda ask: bytes(ask("secret_of_nodes").fetchone()[0]))
        return self._secret

    def nodes(self) -> list[Seen]:
        if not self._tenure.node.movable:
            return []
        return self._readers.run(lambda ask: [Seen(*row) for row in ask("nodes")])

    def machines(self) -> dict[str, str | None]:
        rows = self._readers.run(lambda ask: ask("machines").fetchall())
        return {name: life_of(name, epoch) if is_living else None for name, epoch, is_living in rows}

    def former_names(self) -> list[str]:
        return self._readers.run(lambda ask: former_names(ask, self._tenure.node, self.machine))

    def succeed(self, names: Collection[str], /) -> None:
        self._errand(lambda ask: ask("succeed", (list(names),))).result()

    def is_living(self, life: str, /) -> bool:
        epoch, _, name = life.partition("/")
        if not epoch.isdecimal() or life == self.life:
            return False
        return self._readers.run(lambda ask: bool(ask("is_living", (name, int(epoch))).fetchone()[0]))

    def fix(self, streams: Collection[str], /) -> None:
        self._tenure.here = list(streams)
        values = {"name": self._tenure.node.name, "streams": self._tenure.here}

        def fix(ask: Ask) -> None:
            if not self._tenure.node.movable:
                ask("take_fixed", values)
            take_former(ask, self._tenure)
            ask("fix", values)

        self._errand(fix).result()

    def reserve(self, stream: str, name: str, /) -> bool:
        row = (stream, name, self._tenure.node.name)
        return self._errand(lambda ask: ask("reserve", row).fetchone() is not None).result()

    def forget(self, stream: str, /) -> None:
        row = (stream, self._tenure.node.name)
        # Where it fails, it is found without an instance by the next life, which forgets it.
        with contextlib.suppress(StoreError):
            self._errand(lambda ask: ask("unplace", row))

    def has(self, stream: str, /) -> bool:
        placed = self._readers.run(lambda ask: ask("placement", (stream,)).fetchone())
        return placed is not None and Placement(*placed).node == self._tenure.node.name

    def mine(self) -> Callable[[str], bool]:
        mine = {placement.stream for placement in self._readers.run(self._mine)}
        return mine.__contains__

    def seat(self, name: str, /) -> Seat | None:
        found = self._readers.run(lambda ask: ask("seat", (name,)).fetchone())
        return Seat(*found) if found else None

    def seats(self) -> dict[str, tuple[str, str]]:
        return self._readers.run(lambda ask: {name: (stream, node) for name, stream, node in ask("seats")})

    def hand_over(self, stream: str, /) -> Future[None]:
        def let_go(ask: Ask) -> None:
            ask("hand_over", (stream, self._tenure.node.name))
            ask("tell", ("placements",))

        return self._errand(let_go)

    def exchange(self, going: str, staying: str, /) -> None:
        def exchange(ask: Ask) -> None:
            ask("exchange", {"name": self._tenure.node.name, "going": going, "staying": staying})
            ask("tell", ("placements",))

        self._errand(exchange)

    def close(self) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_PATIENCE_S)

    def _stand(self) -> None:
        """Have it written down how this node stands, and everything brought in its place."""
        self._readers.run(self._tenure.renew)
        self._settle_soon()

    def _settle_soon(self) -> None:
        self._tenure.hasten()
        self._errand(lambda ask: None)

    def _errand(self, run: Callable[[Ask], T]) -> Future[T]:
        errand = Errand(Future(), run)
        self._writer.submit(errand)
        return errand.future

    def _mine(self, ask: Ask) -> list[Placement]:
        return [Placement(*row) for row in ask("mine", (self._tenure.node.name,))]

    def _listen(self) -> None:
        """Renew the lease, and hear what the others do. On no account does this wait for a row that others may hold."""
        while not self._ending.is_set():
            try:
                with contextlib.closing(self._connect()) as connection:
                    connection.execute("LISTEN chatbot_erp")
                    self._follow(connection)
            except (psycopg.Error, StoreError, OSError) as ex:
                log.debug("the other nodes are not heard", action="nodes_unheard", error=str(ex))
                self._ending.wait(RETRY_S)
            except Exception:
                # Without this thread there is no lease.
                log.exception("the other nodes are not heard", action="nodes_unheard")
                self._ending.wait(RETRY_S)

    def _follow(self, connection: Connection) -> None:
        ask = asking(connection)
        looks_at = renews_at = 0.0
        while not self._ending.is_set():
            wait_s = max(SHORTEST_WAIT_S, min(looks_at, renews_at) - time.monotonic())
            words = {word.payload for word in connection.notifies(timeout=wait_s, stop_after=1)}
            if positions := [int(word) for word in words if word.isdecimal()]:
                self._writer.reach(max(positions))
            now = time.monotonic()
            if now >= renews_at:
                renews_at = now + self._tenure.cadence_s / 2
                self._tenure.renew(ask)
                evict(ask, self.node)
            if len(positions) < len(words) or now >= looks_at:
                looks_at = time.monotonic() + self._look(ask)

    def _look(self, ask: Ask) -> float:
        """In how many seconds to look again: soon, and at once when the lease of another one is to lapse before that."""
        # The writer may be waiting for the head row as long as one who froze holds it.
        self._writer.announce()
        standing = ask("standing_of_node", (self._tenure.node.name,)).fetchone()
        if standing is not None:
            self._noticed(standing[1])
        pause_s = self._pause_s
        lapses_in_s = ask("next_lapse", (self._tenure.node.name,)).fetchone()[0]
        if lapses_in_s is not None and not self._tenure.is_patient():
            if lapses_in_s < 0:
                self._settle_soon()
            else:
                pause_s = min(pause_s, lapses_in_s + SHORTEST_WAIT_S)
        living = {name: url for name, url, _ in ask("living") if url}
        news = News(mine=tuple(self._mine(ask)), living=living)
        try:
            self._hear(news)
        except Exception:
            # What somebody makes of it is no reason to let the lease lapse.
            log.exception("news of the nodes were not taken", action="news_not_taken")
        return pause_s
