"""Random trouble for a manager under traffic, and a ledger in which every message must end up.

One seed decides which faults are played, on whom, and in which order; how threads interleave it cannot decide.
"""

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests

from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.faults import (
    Burst,
    Drop,
    DuplicateReceipts,
    LoginFailure,
    Refuse,
    RefuseSend,
    Replaced,
    ReversedReceipts,
    Silence,
    SlowAcks,
    StreamError,
)
from fault_matrix import holders
from manager_process import ManagerProcess
from receiver import Delivery, Receiver

Falls = list[tuple[float, float]]

CERTAINLY_NOT_SENT = (404, 409, 422, 502, 503, 507)
BURST = 20
WINDOW_S = 10.0
DAWDLE_S = 0.5


def may_have_fallen(said: float, falls: Falls) -> bool:
    """Whether what was said at this moment may have been in hand of a process that was killed."""
    return any(since < said < killed for since, killed in falls)


@dataclass(slots=True)
class Line:
    """One number, and the ledger of what was said to it and by it."""

    name: str
    id: str
    phone: Phone
    said_to_it: dict[str, float] = field(default_factory=dict)
    """Text → when it was said."""
    said_by_it: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_replaced: bool = False


class Chaos:
    """`run` makes traffic and trouble; `settle` ends the trouble; the ledger is then to be held against the world."""

    def __init__(self, seed: int, manager: ManagerProcess, network: Network, receiver: Receiver) -> None:
        self.manager = manager
        self.network = network
        self.receiver = receiver
        self.lines: list[Line] = []
        self.customers = [network.phone(f"552199{seed % 1000:03}{number:04}") for number in range(4)]
        self.answers: dict[str, tuple[str, int | None]] = {}
        """Text → (the name of its sender, the status of the answer; None: no answer came)."""
        self.played: Counter[str] = Counter()
        self.struck: list[tuple[float, str]] = []
        """When which fault fell on whom."""
        self.killed: list[tuple[float, list[str]]] = []
        """When a socket process was ended by force, and which numbers it carried."""
        self.began, self.began_at = time.monotonic(), time.time()
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._up = threading.Event()
        self._up.set()
        self._refusing = threading.Event()
        self._dawdling = threading.Event()
        self._silenced: Line | None = None
        self._refused: set[str] = set()
        self._prefix = f"55319{seed % 10000:04}"
        receiver.answer = self._answer

    def pair(self, count: int) -> None:
        for _ in range(count):
            number = next(self._numbers)
            phone = self.network.phone(f"{self._prefix}{number:04}")
            name = f"linha-{number}"
            created = self.manager.pair(name, phone, self.receiver.url(f"/{name}"))
            self.lines.append(Line(name, created["id"], phone))

    def run(self, duration_s: float) -> None:
        """Traffic both ways, and one fault after another, each kind at least once if there is time."""
        workers = [
            *(threading.Thread(target=self._send_from, args=(part,)) for part in range(4)),
            *(threading.Thread(target=self._write_to, args=(part,)) for part in range(2)),
        ]
        for worker in workers:
            worker.start()
        try:
            end = time.monotonic() + duration_s
            faults = self._faults()
            bag: list[Callable[[], None]] = []
            while time.monotonic() < end:
                if not bag:
                    bag = [fault for fault, weight in faults for _ in range(weight)]
                    self._random.shuffle(bag)
                fault = bag.pop()
                self.played[fault.__name__.strip("_")] += 1
                self._note(fault.__name__.strip("_"))
                fault()
                self._note("-")
                time.sleep(self._random.uniform(0.1, 0.8))
        finally:
            self._stop.set()
            self._break_silence()
            for worker in workers:
                worker.join()

    def settle(self) -> None:
        """No more trouble: what can be cured is to be cured, and who was replaced is asked back by a person."""
        self._refusing.clear()
        self.network.heal()
        for line in self.lines:
            if line.is_replaced:
                self.manager.call("POST", f"/instances/{line.name}/restart")
        for line in self.lines:
            self.manager.wait_connected(line.name, timeout_s=90)

    # traffic

    def _send_from(self, part: int) -> None:
        """Numbers write to customers, over REST."""
        session = requests.Session()
        session.trust_env = False
        customer = self.customers[part]
        for count in itertools.count():
            for line in self.lines[part::4]:
                if self._stop.is_set():
                    return
                self._up.wait(30)
                if self._stop.wait(0.01):
                    return
                text = f"{line.name} diz {count}"
                line.said_by_it[text] = time.monotonic()
                self.answers[text] = (line.name, self._post(session, line, customer.number, text))
            time.sleep(0.02)

    def _post(self, session: requests.Session, line: Line, number: str, text: str) -> int | None:
        url = f"{self.manager.url}/instances/{line.name}/message"
        try:
            return session.post(url, json={"number": number, "message": text}, timeout=100).status_code
        except requests.RequestException:
            return None

    def _write_to(self, part: int) -> None:
        """Customers write to numbers."""
        for count in itertools.count():
            for line in self.lines[part::2]:
                if self._stop.is_set():
                    return
                text = f"para {line.name} {count}"
                with line.lock:
                    self.customers[part].send(line.phone.number, text)
                    line.said_to_it[text] = time.monotonic()
            time.sleep(0.5)

    def _answer(self, delivery: Delivery) -> int:
        """The receiver fails now and then, each delivery once at most: the second retry would be minutes later."""
        if self._dawdling.is_set():
            time.sleep(DAWDLE_S)
        if self._refusing.is_set() and delivery.id not in self._refused:
            self._refused.add(delivery.id)
            return 503
        return 200

    # trouble

    def _faults(self) -> list[tuple[Callable[[], None], int]]:
        """Each with how often it comes in a round."""
        return [
            (self._drop_one, 4),
            (self._drop_all, 1),
            (self._end_one_stream, 2),
            (self._end_all_streams, 1),
            (self._refuse_one, 2),
            (self._refuse_all, 1),
            (self._turn_away, 2),
            (self._kill_host, 2),
            (self._abort_host, 1),
            (self._stop_host, 1),
            (self._kill_manager, 1),
            (self._end_manager, 1),
            (self._pause_manager, 1),
            (self._slow_acks, 1),
            (self._refuse_send, 2),
            (self._double_receipts, 2),
            (self._restart_one, 2),
            (self._burst, 3),
            (self._reversed_receipts, 1),
            (self._fall_silent, 2),
            (self._receiver_fails, 2),
            (self._receiver_dawdles, 1),
            (self._replace, 1),
        ]

    def _note(self, what: str) -> None:
        self.struck.append((time.monotonic(), what))

    def _pick(self) -> Line:
        line = self._random.choice([line for line in self.lines if not line.is_replaced])
        self._note(line.name)
        return line

    def falls(self, line: Line) -> Falls:
        """Since when and until when something said to or by this number may have fallen with its process.

        The library acknowledges a message or a receipt before it hands it over: what a process that is killed has in
        hand is the one thing that may be lost (README, What is guaranteed). That is what came in shortly before, or, to
        a number that was connected again just then, what was said since its connection before that.
        """
        connected = [self._monotonic(event) for event in self.log_of(line, "instance.connected")]
        found: Falls = []
        for killed, carried in self.killed:
            if line.name in carried:
                shortly = killed - WINDOW_S
                again = any(shortly < at < killed for at in connected)
                former = max((at for at in connected if at < shortly), default=self.began)
                found.append((former if again else shortly, killed))
        return found

    def _monotonic(self, event: Any) -> float:
        """When an event was recorded, on the clock of the ledger."""
        return datetime.fromisoformat(event["recordedAt"]).timestamp() - self.began_at + self.began

    def explain(self, line: Line, lost: list[str]) -> None:
        """Print what fell around the first message that is missing, and what the log says of the time."""
        at = line.said_to_it[lost[0]]
        print(f"{line.name} has lost {lost}")
        print(*(f"{struck - at:+.3f} s: {what}" for struck, what in self.struck if abs(struck - at) < 5), sep="\n")
        for event in self.log_of(line):
            after = self._monotonic(event) - at
            if abs(after) < 5:
                what = event["data"].get("text") or event["data"].get("reason") or event["data"].get("cause")
                print(f"{after:+.3f} s: {event['type']} {what}")

    def _drop_one(self) -> None:
        self._pick().phone.fault(Drop())

    def _drop_all(self) -> None:
        self.network.fault(Drop())

    def _end_one_stream(self) -> None:
        self._pick().phone.fault(StreamError(code=503))

    def _end_all_streams(self) -> None:
        self.network.fault(StreamError(code=503))

    def _refuse_one(self) -> None:
        phone = self._pick().phone
        phone.fault(Refuse(times=2))
        phone.fault(Drop())

    def _refuse_all(self) -> None:
        self.network.fault(Refuse(times=10))
        self.network.fault(Drop())

    def _turn_away(self) -> None:
        phone = self._pick().phone
        phone.fault(LoginFailure(reason=503, times=1))
        phone.fault(Drop())

    def _signal_host(self, number: signal.Signals) -> None:
        pids = self.manager.host_pids()
        if not pids:
            return
        pid = self._random.choice(pids)
        carried = [line.name for line in self.lines if pid in holders(self.manager, line.id)]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        self.killed.append((time.monotonic(), carried))
        self._note(f"{number.name} to {carried}")

    def _kill_host(self) -> None:
        self._signal_host(signal.SIGKILL)

    def _abort_host(self) -> None:
        self._signal_host(signal.SIGABRT)

    def _stop_host(self) -> None:
        self._signal_host(signal.SIGSTOP)

    def _kill_manager(self) -> None:
        self._up.clear()
        self.manager.kill()
        self.manager.start()
        self._up.set()

    def _end_manager(self) -> None:
        self._up.clear()
        assert self.manager.terminate() == 0
        self.manager.start()
        self._up.set()

    def _pause_manager(self) -> None:
        os.kill(self.manager.pid, signal.SIGSTOP)
        time.sleep(self._random.uniform(0.5, 3))
        os.kill(self.manager.pid, signal.SIGCONT)

    def _slow_acks(self) -> None:
        phone = self._pick().phone
        phone.fault(SlowAcks(delay_s=0.5))
        time.sleep(1)
        phone.heal()

    def _refuse_send(self) -> None:
        self._pick().phone.fault(RefuseSend(times=1))

    def _double_receipts(self) -> None:
        self._pick().phone.fault(DuplicateReceipts(copies=3))

    def _reversed_receipts(self) -> None:
        self._pick().phone.fault(ReversedReceipts())

    def _fall_silent(self) -> None:
        """For as long as it takes to play a few more faults, until it is the next one's turn."""
        self._break_silence()
        self._silenced = self._pick()
        self._silenced.phone.fault(Silence())

    def _break_silence(self) -> None:
        """And the connection with it: what was said into the silence has no answer to wait for."""
        if self._silenced is not None:
            self._silenced.phone.heal()
            self._silenced.phone.fault(Drop())
            self._silenced = None

    def _restart_one(self) -> None:
        self.manager.call("POST", f"/instances/{self._pick().name}/restart")

    def _burst(self) -> None:
        line = self._pick()
        begin = f"para {line.name} em rajada {next(self._numbers)}"
        with line.lock:
            line.phone.fault(Burst(sender=self.customers[0].number, count=BURST, text=f"{begin}.{{n}}"))
            at = time.monotonic()
            line.said_to_it.update({f"{begin}.{number}": at for number in range(1, BURST + 1)})

    def _receiver_fails(self) -> None:
        self._refusing.set()
        time.sleep(0.3)
        self._refusing.clear()

    def _receiver_dawdles(self) -> None:
        self._dawdling.set()
        time.sleep(0.5)
        self._dawdling.clear()

    def _replace(self) -> None:
        line = self._pick()
        if line is self._silenced:
            self._break_silence()
        self.manager.wait_connected(line.name, timeout_s=60)
        line.is_replaced = True
        line.phone.fault(Replaced())

    # the ledger

    def inboxes(self) -> Counter[str]:
        """How often each text reached a customer."""
        return Counter(message.text for customer in self.customers for message in customer.inbox())

    def log_of(self, line: Line, *types: str) -> list[Any]:
        return self.manager.events(line.name, *types)

    def fought_over(self) -> list[str]:
        """Numbers whose session was logged in twice at once: the network then ends the first login."""
        replaced = [
            line.name
            for line in self.lines
            if any(event["data"]["reason"] == "stream_replaced" for event in self.log_of(line, "instance.invalidated"))
        ]
        return [name for name in replaced if name not in {line.name for line in self.lines if line.is_replaced}]

    def told(self, line: Line) -> list[Any]:
        """The payloads that the webhook got of this number, each once, in the order of their first coming."""
        first: dict[str, Any] = {}
        for delivery in self.receiver.deliveries(path=f"/{line.name}"):
            first.setdefault(delivery.id, delivery.payload)
        return list(first.values())
