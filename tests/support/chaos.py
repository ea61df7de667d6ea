"""Random trouble for a manager under traffic, and a ledger in which every message must end up.

One seed decides which faults are played, on whom, and in which order; how threads interleave it cannot decide.
"""

import contextlib
import itertools
import os
import random
import resource
import signal
import sqlite3
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from chaos_line import DOOMS, Doom, Line, ended_as_doomed, story_of
from chatbot_erp.sandbox.client import Network
from chatbot_erp.sandbox.faults import (
    Burst,
    CutShort,
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

CERTAINLY_NOT_SENT = (404, 409, 422, 502, 503, 507)
BURST = 20
LONG_S = 120.0
"""A run of at least this many seconds has silences that outlast every watchdog."""

SILENCE_S = 75.0
FAILURES = (500, 503, 429, 302, 404)
DAWDLE_S = 0.5


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
        self.began, self.began_at = time.monotonic(), time.time()
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._up = threading.Event()
        self._up.set()
        self._refusing = threading.Event()
        self._dawdling = threading.Event()
        self._silenced: Line | None = None
        self._deaf: tuple[Line, float] | None = None
        self._dooms = list(DOOMS)
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
            faults = self._faults() + (self._slow_faults() if duration_s >= LONG_S else [])
            bag = [fault for fault, _ in faults]
            self._random.shuffle(bag)
            while time.monotonic() < end:
                if not bag:
                    bag = [fault for fault, weight in faults for _ in range(weight)]
                    self._random.shuffle(bag)
                if self._deaf is not None and time.monotonic() > self._deaf[1]:
                    self._end_deafness()
                fault = bag.pop()
                self.played[fault.__name__.strip("_")] += 1
                self._note(fault.__name__.strip("_"))
                fault()
                self._note("-")
                time.sleep(self._random.uniform(0.1, 0.8))
        finally:
            self._stop.set()
            self._break_silence()
            self._end_deafness()
            for worker in workers:
                worker.join()

    def settle(self) -> None:
        """No more trouble: what can be cured is to be cured, and who was replaced is asked back by a person."""
        self._refusing.clear()
        for line in self.lines:
            if line.doom is not None:
                self._await_doom(line, line.doom)
        self.network.heal()
        for line in self.lines:
            if line.is_replaced:
                self.manager.call("POST", f"/instances/{line.name}/restart")
        for line in self.lines:
            if line.doom is None:
                self.manager.wait_connected(line.name, timeout_s=90)

    def _await_doom(self, line: Line, doom: Doom) -> None:
        """It ends as it must, and nobody restarts it in vain."""
        deadline = time.monotonic() + 90
        while not (ended_as_doomed(log := self.log_of(line), doom) and self._is_shown_as(line, doom)):
            assert time.monotonic() < deadline, f"{line.name} is not {doom.reason}: {story_of(log)}"
            time.sleep(0.1)

    def _is_shown_as(self, line: Line, doom: Doom) -> bool:
        answer = self.manager.call("GET", f"/instances/{line.name}")
        if doom.status == "removed":
            return answer.status_code == 404
        view = answer.json()
        return (view.get("status"), view.get("reason")) == (doom.status, doom.reason)

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
            lot = zlib.crc32(delivery.id.encode()) % (len(FAILURES) + 1)
            if lot == len(FAILURES):
                raise ConnectionResetError("The receiver hangs up without an answer.")
            return FAILURES[lot]
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
            (self._ban_for_a_time, 2),
            (self._cut_short, 1),
            (self._fill_disk, 1),
            (self._lock_log, 1),
            (self._fail_actor, 2),
            (self._doom, 1),
        ]

    def _slow_faults(self) -> list[tuple[Callable[[], None], int]]:
        """What takes most of a minute to notice."""
        return [(self._fall_deaf, 1), (self._hang_login, 1)]

    def _note(self, what: str) -> None:
        self.struck.append((time.monotonic(), what))

    def _pick(self) -> Line:
        silent = (self._silenced, self._deaf and self._deaf[0])
        able = [line for line in self.lines if not line.is_replaced and line.doom is None and line not in silent]
        line = self._random.choice(able)
        self._note(line.name)
        return line

    def _monotonic(self, event: Any) -> float:
        """When an event was recorded, on the clock of the ledger."""
        return datetime.fromisoformat(event["recordedAt"]).timestamp() - self.began_at + self.began

    def explain(self, line: Line, lost: list[str]) -> None:
        """Print what fell around the first message that is missing, and what the log says of the time."""
        at = line.said_to_it[lost[0]] if lost else time.monotonic()
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
        killed = time.time()
        for line in self.lines:
            if line.name in carried:
                line.killed.append(killed)
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
        self.manager.wait_connected(line.name, timeout_s=60)
        line.is_replaced = True
        line.phone.fault(Replaced())

    def _ban_for_a_time(self) -> None:
        phone = self._pick().phone
        phone.fault(LoginFailure(reason=402, expire_s=2, times=1))
        phone.fault(Drop())

    def _cut_short(self) -> None:
        """Let in, and cut off again, for a second."""
        phone = self._pick().phone
        phone.fault(CutShort())
        phone.fault(Drop())
        time.sleep(1)
        phone.heal()

    def _fill_disk(self) -> None:
        resource.prlimit(self.manager.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        time.sleep(self._random.uniform(0.3, 1.5))
        resource.prlimit(self.manager.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _lock_log(self) -> None:
        path = self.manager.data_dir / "events.db"
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            time.sleep(self._random.uniform(0.3, 3))
            intruder.execute("ROLLBACK")

    def _fail_actor(self) -> None:
        os.kill(self.manager.pid, signal.SIGUSR2)

    def _doom(self) -> None:
        """A number is lost for good, each time in another way."""
        if self._dooms:
            line = self._pick()
            line.doom = self._dooms.pop(self._random.randrange(len(self._dooms)))
            self._note(line.doom.reason)
            line.phone.fault(line.doom.fault)
            line.phone.fault(Drop())

    def _fall_deaf(self) -> None:
        """Silence that outlasts the watchdog."""
        if self._deaf is None:
            self._deaf = self._pick(), time.monotonic() + SILENCE_S
            self._deaf[0].phone.fault(Silence())

    def _end_deafness(self) -> None:
        if self._deaf is not None:
            self._deaf[0].phone.heal()
            self._deaf[0].phone.fault(Drop())
            self._deaf = None

    def _hang_login(self) -> None:
        """The same for a login that is never answered."""
        if self._deaf is None:
            self._fall_deaf()
            assert self._deaf is not None
            self._deaf[0].phone.fault(Drop())

    # the ledger

    def inboxes(self) -> Counter[str]:
        """How often each text reached a customer."""
        return Counter(message.text for customer in self.customers for message in customer.inbox())

    def log_of(self, line: Line, *types: str) -> list[Any]:
        """By id: also of an instance that is gone."""
        found: list[Any] = []
        after = 0
        while True:
            params: dict[str, str | int] = {"instance": line.id, "after": after, "limit": 500}
            page = self.manager.call("GET", "/events", params=params).json()
            if not page["events"]:
                return [event for event in found if not types or event["type"] in types]
            found += page["events"]
            after = page["next"]

    def fought_over(self) -> list[str]:
        """Numbers whose session was logged in twice at once: the network then ends the first login."""
        replaced = [
            line.name
            for line in self.lines
            if any(event["data"]["reason"] == "stream_replaced" for event in self.log_of(line, "instance.invalidated"))
        ]
        return [name for name in replaced if name not in {line.name for line in self.lines if line.is_replaced}]

    def causes(self) -> Counter[str]:
        """What the log calls the losses, and how often each came."""
        lost = ("instance.disconnected", "instance.invalidated", "instance.removed")
        return Counter(event["data"]["reason"] for line in self.lines for event in self.log_of(line, *lost))

    def idle_hosts(self) -> list[int]:
        """Socket processes that carry nobody."""
        busy = {pid for line in self.lines for pid in holders(self.manager, line.id)}
        return [pid for pid in self.manager.host_pids() if pid not in busy]

    def wait_told(self, line: Line, texts: set[str], timeout_s: float = 90) -> None:
        """Wait until the webhook was told of all these; what is missing is explained."""
        missing = set(texts)

        def all_there(payload: Any) -> bool:
            missing.discard(payload.get("message", {}).get("text"))
            return not missing

        try:
            self.receiver.wait_for(all_there, path=f"/{line.name}", timeout_s=timeout_s)
        except TimeoutError:
            self.explain(line, [text for text in line.said_to_it if text in missing])
            raise AssertionError(
                f"{len(missing)} messages to {line.name} were lost, {min(missing)!r} among them"
            ) from None

    def told(self, line: Line) -> list[Any]:
        """The payloads that the webhook got of this number, each once, in the order of their first coming."""
        first: dict[str, Any] = {}
        for delivery in self.receiver.deliveries(path=f"/{line.name}"):
            first.setdefault(delivery.id, delivery.payload)
        return list(first.values())


def holders_of(directory: Path) -> list[int]:
    """The processes that have a file of this directory open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link).startswith(f"{directory}/"):
                found.add(int(link.parts[2]))
    return sorted(found)
