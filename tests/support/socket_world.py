"""Real hosts with the real library, and numbers on a sandbox network that they carry."""

import contextlib
import functools
import itertools
import queue
from pathlib import Path
from typing import TypeVar

from chatbot_erp.actors import frames
from chatbot_erp.actors.frames import Observation, Said, Word
from chatbot_erp.actors.host_loading import get_ready
from chatbot_erp.actors.host_process import HostDeath, HostProcess
from chatbot_erp.sandbox.client import Network, Phone
from chatbot_erp.sandbox.trust import trust_root_key

PATIENCE_S = 60.0
Seen = TypeVar("Seen", bound=Observation)

_numbers = itertools.count(10_000_001)
_generations = itertools.count(1)


class Host:
    """A host, and what each of its instances saw."""

    def __init__(self, network: Network, directory: Path, name: str) -> None:
        self.deaths: queue.Queue[HostDeath] = queue.Queue()
        self._words: dict[str, queue.Queue[Said]] = {}
        assert get_ready(network.environment(), lambda: False)
        self.process = HostProcess(
            name,
            directory,
            on_word=self._hear,
            on_death=self.deaths.put,
            prelude=functools.partial(trust_root_key, network.root_key),
            environment=network.environment(),
        )

    def _hear(self, word: Word) -> None:
        if isinstance(word, Said):
            self.of(word.instance).put(word)
            if word.number:
                with contextlib.suppress(Exception):
                    self.process.order(frames.Confirm(instance=word.instance, number=word.number))

    def of(self, instance: str) -> "queue.Queue[Said]":
        return self._words.setdefault(instance, queue.Queue())

    def see(self, instance: str, kind: type[Seen]) -> Seen:
        """The next observation of this kind; others before it are passed over."""
        while True:
            observation = self.of(instance).get(timeout=PATIENCE_S).observation
            if isinstance(observation, kind):
                return observation

    def open(self, number: "Number", *, pairing: bool = False, ping: bool = False) -> None:
        order = frames.OpenSocket(
            instance=number.name,
            generation=next(_generations),
            session=str(number.session),
            pairing=pairing,
            ping=ping,
        )
        self.process.order(order)

    def send(self, number: "Number", to: str, text: str) -> None:
        self.process.order(frames.Transmit(instance=number.name, command_id=text, to=to, text=text))

    def close(self, number: "Number", *, unlink: bool = False) -> None:
        self.process.order(frames.CloseSocket(instance=number.name, unlink=unlink))
        self.see(number.name, frames.SocketClosed)


class Number:
    """A phone, and the session that is or will be linked to it."""

    def __init__(self, phone: Phone, session: Path) -> None:
        self.phone = phone
        self.name = phone.number
        self.session = session


class World:
    """A network, hosts, and numbers that nobody had before."""

    def __init__(self, network: Network, directory: Path) -> None:
        self.network = network
        self.hosts: list[Host] = []
        self._directory = directory
        self._names = itertools.count(1)
        self.shared = self.host()

    def host(self) -> Host:
        self.hosts.append(Host(self.network, self._directory, f"host-{next(self._names)}"))
        return self.hosts[-1]

    def phone(self, name: str = "Somebody") -> Phone:
        return self.network.phone(f"4915{next(_numbers)}", name=name)

    def number(self) -> Number:
        phone = self.phone("Shop")
        return Number(phone, self._directory / "sessions" / f"{phone.number}.db")

    def paired(self) -> Number:
        """A number whose session is linked and closed."""
        number = self.number()
        host = self.host()
        host.open(number, pairing=True)
        number.phone.scan(host.see(number.name, frames.SocketOfferedQr).qr)
        host.see(number.name, frames.SocketPaired)
        assert host.process.end(PATIENCE_S)
        return number

    def connected(self, host: Host | None = None) -> Number:
        number = self.paired()
        host = host or self.shared
        host.open(number)
        host.see(number.name, frames.SocketConnected)
        return number
