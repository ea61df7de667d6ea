"""Random trouble for a manager under traffic, and books in which every message must end up.

One seed decides what is played, on whom, and in which order; how threads interleave it cannot decide.
"""

import os
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from chaos_accounts import Books, complaints
from chaos_line import Doom, Line, ended_as_doomed, story_of
from chaos_machine import BY_THE_MACHINE, SLOW
from chaos_network import BY_THE_NETWORK, FOR_GOOD, break_silence
from chaos_scene import PATIENCE_S, Scene, Trouble
from chaos_traffic import ask, traffic, write
from chatbot_erp.sandbox.client import InboxMessage, Network
from fault_matrix import holders
from manager_process import ManagerProcess
from receiver import Receiver

LONG_S = 120.0
"""A run of at least this many seconds has silences that outlast every watchdog."""


class Chaos:
    """`run` makes traffic and trouble; `settle` ends the trouble; `balance` says what does not fit then."""

    def __init__(self, seed: int, manager: ManagerProcess, network: Network, receiver: Receiver) -> None:
        self.scene = Scene(seed, manager, network, receiver)
        self.played: Counter[str] = Counter()
        self.took: defaultdict[str, float] = defaultdict(float)
        self._prefix = f"55319{seed % 10000:04}"

    @property
    def lines(self) -> list[Line]:
        return self.scene.lines

    def pair(self, count: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            self.scene.lines += pool.map(self._pair, range(1, count + 1))

    def _pair(self, number: int) -> Line:
        name, phone = f"linha-{number}", self.scene.network.phone(f"{self._prefix}{number:04}")
        created = self.scene.manager.pair(name, phone, self.scene.receiver.url(f"/{name}"))
        return Line(name, created["id"], phone)

    def run(self, duration_s: float) -> None:
        """Everything once, and then more until the time is over; `LONG_S` is enough for what is slow, too."""
        scene = self.scene
        end = time.monotonic() + duration_s
        slow = SLOW if duration_s >= LONG_S else ()
        rounds = (*BY_THE_NETWORK, *BY_THE_MACHINE, *slow)
        bag = [*rounds, *FOR_GOOD]
        scene.random.shuffle(bag)
        with traffic(scene):
            while bag or time.monotonic() < end:
                if not bag:
                    bag = [trouble for trouble in rounds for _ in range(trouble.weight)]
                    scene.random.shuffle(bag)
                for trouble in self._draw(bag):
                    self._play(trouble)
                time.sleep(scene.random.uniform(0.0, 0.2))
                scene.look_at_the_deaf()
            while scene.deaf is not None:
                time.sleep(0.5)
                scene.look_at_the_deaf()
            break_silence(scene)

    def _draw(self, bag: list[Trouble]) -> list[Trouble]:
        """The next one, if any: while somebody is to be noticed as deaf, only what leaves that connection alone."""
        places = [place for place, each in enumerate(bag) if not (each.is_wide and self.scene.deaf)]
        return [bag.pop(places[-1])] if places else []

    def _play(self, trouble: Trouble) -> None:
        began = time.monotonic()
        self.scene.note(trouble.name)
        trouble.strike(self.scene)
        self.scene.note("-")
        self.played[trouble.name] += 1
        self.took[trouble.name] += time.monotonic() - began

    def settle(self) -> None:
        """No more trouble: what can be cured is to be cured, and works both ways; what cannot has ended as it must."""
        scene = self.scene
        for line in self.lines:
            if line.doom is not None:
                self._await_doom(line)
        scene.network.heal()
        self._await_end_of(scene.hung)
        scene.ask_back()
        for line in self.lines:
            if line.doom is None:
                scene.manager.wait_connected(line.name, timeout_s=PATIENCE_S)
                self._say_last_words(line)
        while scene.gone is not None:
            scene.ask_back()
            time.sleep(0.1)

    def _await_doom(self, line: Line) -> None:
        """It ends as it must, and nobody restarts it in vain."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(self._is_doomed(line, doom) for doom in line.dooms()):
            log = self.scene.log_of(line, line.doomed_after)
            assert time.monotonic() < deadline, f"{line.name} is not {line.doom}: {story_of(log)}"
            time.sleep(0.1)

    def _is_doomed(self, line: Line, doom: Doom) -> bool:
        if not ended_as_doomed(self.scene.log_of(line, line.doomed_after), doom):
            return False
        answer = self.scene.manager.call("GET", f"/instances/{line.name}")
        if doom.status == "removed":
            return answer.status_code == 404
        view = answer.json()
        return (view.get("status"), view.get("reason")) == (doom.status, doom.reason)

    def _await_end_of(self, processes: list[int]) -> None:
        """Until then the numbers that they carry are connected by name only."""
        deadline = time.monotonic() + PATIENCE_S
        while hanging := [pid for pid in processes if pid in self.scene.manager.host_pids()]:
            assert time.monotonic() < deadline, f"{hanging} still hang"
            time.sleep(0.1)

    def _say_last_words(self, line: Line) -> None:
        """One each way: whoever is connected can hear and speak, at the latest after a few attempts."""
        write(self.scene, line, 0, f"ultima para {line.name}")
        deadline = time.monotonic() + PATIENCE_S
        with requests.Session() as session:
            session.trust_env = False
            for attempt in range(1000):
                text = f"{line.name} diz por fim {attempt}"
                line.asked[text] = ask(self.scene, session, line, 0, text, again=True)
                if line.asked[text].status == 200:
                    return
                assert time.monotonic() < deadline, f"{line.name} cannot send: {line.asked[text]}"
                time.sleep(0.2)

    def balance(self) -> dict[str, list[str]]:
        """Who has something to complain of when everything had time to arrive, and of what."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            # All at one look: of a number that was fine a moment ago something may be on its way again.
            found = {name: each for name, books in self.books().items() if (each := complaints(books))}
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def books(self) -> dict[str, Books]:
        """As they stand now, by name."""
        sent: defaultdict[str, list[InboxMessage]] = defaultdict(list)
        for customer in self.scene.customers:
            for message in customer.inbox():
                sent[message.sender].append(message)
        return {line.name: self._books(line, sent[line.phone.number]) for line in self.lines}

    def _books(self, line: Line, outbox: list[InboxMessage]) -> Books:
        deliveries = self.scene.receiver.deliveries(path=f"/{line.name}")
        return Books(
            number=line.phone.number,
            lost_at=line.doomed_at if line.doom is not None else None,
            killed=tuple(line.killed),
            written=tuple(line.written),
            asked=dict(line.asked),
            inbox=line.phone.inbox(),
            outbox=outbox,
            taken=line.phone.taken(),
            log=self.scene.log_of(line),
            told=[each.payload for each in deliveries if 200 <= each.status < 300],
        )

    def explain(self, found: dict[str, list[str]]) -> None:
        """Print who complains, what fell on them at the time, and what the log says of it."""
        for line in self.lines:
            if line.name in found:
                print(f"{line.name} {line.id} ({line.phone.number}):", *found[line.name][:20], sep="\n  ")
                print(*story_of(self.scene.log_of(line)), sep="\n  ")
                print(f"  killed: {line.killed}")
        print(*(f"{struck:.3f}: {what}" for struck, what in self.scene.struck), sep="\n")

    def fought_over(self) -> list[str]:
        """Numbers whose session was logged in twice at once: the network then ends the first login."""
        return [
            line.name
            for line in self.lines
            if not line.was_replaced
            and any(event["data"].get("reason") == "stream_replaced" for event in self.scene.log_of(line))
        ]

    def causes(self) -> Counter[str]:
        """What the log calls the losses, and how often each came."""
        lost = ("instance.disconnected", "instance.invalidated", "instance.removed")
        events = [event for line in self.lines for event in self.scene.log_of(line) if event["type"] in lost]
        return Counter(event["data"]["reason"] for event in events)

    def idle_hosts(self) -> list[int]:
        """Socket processes that carry nobody, and do not end."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            busy = {pid for line in self.lines for pid in holders(self.scene.manager, line.id)}
            idle = [pid for pid in self.scene.manager.host_pids() if pid not in busy]
            if not idle or time.monotonic() > deadline:
                return idle
            time.sleep(0.2)


def holders_of(directory: Path) -> list[int]:
    """The processes that have a file of this directory open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link).startswith(f"{directory}/"):
                found.add(int(link.parts[2]))
        except OSError:
            continue
    return sorted(found)
