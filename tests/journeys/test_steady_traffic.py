"""Messages keep coming in while what takes them in fails: not one may be passed over, for WhatsApp says none twice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from chatbot_erp.actors.manager import Manager
from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.faults import Burst
from inner_house import InnerNumber, admit, inner_house
from stores import STORES, locked
from waiting import wait_until

AT_ONCE = 5
ROUNDS = 3


class Steady:
    """Somebody who writes without a pause, and what of it is in the log."""

    def __init__(self, manager: Manager, number: InnerNumber, sender: Phone) -> None:
        self.sent: list[str] = []
        self.stored: list[str] = []
        self._manager = manager
        self._number = number
        self._sender = sender
        self._position = 0
        self._enough = threading.Event()

    @contextmanager
    def traffic(self) -> Iterator[None]:
        writing = threading.Thread(target=self._write)
        writing.start()
        try:
            yield
        finally:
            self._enough.set()
            writing.join()

    def _write(self) -> None:
        for n in count():
            if self._enough.wait(0.01):
                return
            self._number.phone.fault(Burst(sender=self._sender.number, count=AT_ONCE, text=f"{n:06} {{n}}"))
            self.sent += [f"{n:06} {k}" for k in range(1, AT_ONCE + 1)]

    def read_on(self) -> int:
        """How many are in the log by now."""
        while page := self._manager.store.read(
            stream=self._number.id, types={"message.received"}, after=self._position, limit=1000
        ):
            self.stored += [record.event.text for record in page]  # type: ignore[attr-defined]
            self._position = page[-1].position
        return len(self.stored)

    def goes_on(self) -> None:
        """Wait until more of it is in the log."""
        before = self.read_on()
        wait_until(lambda: self.read_on() > before)


def test_no_message_is_passed_over_while_actors_fail_and_the_log_is_locked(tmp_path: Path, network: Network) -> None:
    with inner_house(tmp_path, network) as manager:
        number = admit(manager, "steady", network.phone("5511976000001"), "http://127.0.0.1:9/nobody")
        steady = Steady(manager, number, network.phone("5521976000002"))
        with steady.traffic():
            steady.goes_on()
            for _ in range(ROUNDS):
                former = number.actor
                former.tell("nonsense")
                number.await_successor(former)
                steady.goes_on()
            for _ in range(ROUNDS):
                with locked(tmp_path, STORES.database_of(tmp_path)):
                    wait_until(lambda: not manager.store.healthy())
                steady.goes_on()
        wait_until(lambda: steady.read_on() >= len(steady.sent))
        assert steady.stored == steady.sent
