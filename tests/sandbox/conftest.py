"""A network for all tests of this room, and processes in which the real neonize talks to it."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatbot_erp.sandbox import contents
from chatbot_erp.sandbox.client import Network, Phone, SandboxError
from chatbot_erp.sandbox.contents import Content, File
from chatbot_erp.sandbox.wire import proto

_NEONIZE, _PYAILEYS = (Path(__file__).with_name(f"{name}_process.py") for name in ("neonize", "pyaileys"))
_numbers = itertools.count(5511900000001)
_names = itertools.count()
Event = dict[str, Any]


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _read(event: Event) -> Content | None:
    return contents.read(proto.Message.FromString(base64.b64decode(event["raw"])))


class ClientProcess:
    """A process with clients in it. Go reads the environment that the process was started with, not a later one."""

    def __init__(self, network: Network, errors: Path, script: Path, *args: str) -> None:
        self._errors = errors.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, str(script), network.root_key, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
            env={**os.environ, **network.environment()},
        )
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._tickets = itertools.count()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ask(self, client: str, ask: str, *, timeout_s: float = 60.0, **args: Any) -> Any:
        """Call a method of a client and wait for what it returns."""
        ticket = next(self._tickets)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"client": client, "ask": ask, "ticket": ticket, **args}) + "\n")
        answer = self.wait(client, lambda event: event.get("ticket") == ticket, timeout_s=timeout_s)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def wait(self, client: str, wanted: Callable[[Event], bool], *, after: int = 0, timeout_s: float = 60.0) -> Event:
        """The first event of a client, from the position `after` on, that is wanted."""
        deadline = time.monotonic() + timeout_s
        at = after
        with self._changed:
            while True:
                while at < len(self._events):
                    event = self._events[at]
                    at += 1
                    if event["client"] == client and wanted(event):
                        return event
                if not self._changed.wait(max(deadline - time.monotonic(), 0)):
                    raise TimeoutError(f"{client} did not report what was waited for: {self._events[-8:]}")

    def now(self) -> int:
        """A position to wait from: what has happened until now does not count."""
        with self._changed:
            return len(self._events)

    def events(self, client: str, after: int = 0) -> list[Event]:
        """What a client has reported so far."""
        with self._changed:
            return [event for event in self._events[after:] if event["client"] == client]

    def close(self) -> None:
        self._process.kill()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            stream.close()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._events.append(json.loads(line))
                self._changed.notify_all()


class Companion:
    """One neonize client, and the phone it is linked to."""

    def __init__(self, process: ClientProcess, phone: Phone, path: Path) -> None:
        self._process = process
        self._path = path
        self.name = ""
        self.since = 0
        self.phone = phone

    def start(self) -> None:
        """Start the client; with a session on disk it logs in."""
        # neonize corrupts its own tables when two clients of one process had the same uuid.
        self.name = f"client-{next(_names)}"
        self.ask("start", path=str(self._path))

    def forget(self) -> None:
        """Stop, and begin again without a session."""
        self.ask("stop")
        self._path = self._path.with_name(f"{next(_names)}.sqlite3")

    def pair(self) -> None:
        """Show a QR code, have it scanned, and wait until the client is connected."""
        self.start()
        self.phone.scan(self.wait("qr")["qr"])
        self.phone.wait_online()
        self.wait("connected")

    def ask(self, ask: str, **args: Any) -> Any:
        return self._process.ask(self.name, ask, **args)

    def send(self, to: Phone, text: str) -> str:
        sent = self.ask("send", to=to.jid, text=text)
        return str(sent["id"] if isinstance(sent, dict) else sent)

    def send_raw(self, to: Phone, message: Any) -> str:
        """Send a protobuf."""
        return str(self.ask("send_raw", to=to.jid, raw=_text(message.SerializeToString())))

    def upload(self, file: Path, kind: str) -> File:
        return msgspec.convert(self.ask("upload", path=str(file), kind=kind), File)

    def download(self, event: Event, path: Path) -> None:
        """The file of a message that came in."""
        self.ask("download", raw=event["raw"], path=str(path))

    def content(self, message_id: str) -> tuple[Event, Content]:
        """Wait for a message; what the library tells of it, and what it says.

        The key to a group's messages comes under the id of the first of them, and is none.
        """
        event = self._process.wait(
            self.name,
            lambda seen: (seen["event"], seen.get("id")) == ("content", message_id) and _read(seen) is not None,
            after=self.since,
        )
        content = _read(event)
        assert content is not None
        # The library has taken the wrapper off that says so.
        return event, msgspec.structs.replace(content, view_once=content.view_once or event["view_once"])

    def wait(self, event: str, *, after: int | None = None, timeout_s: float = 60.0, **details: Any) -> Event:
        """The first event of this name whose details are these, since the test began or after a position."""
        wanted = {"event": event, **details}
        return self._process.wait(
            self.name,
            lambda seen: all(seen.get(key) == value for key, value in wanted.items()),
            after=self.since if after is None else after,
            timeout_s=timeout_s,
        )

    def wait_receipt(self, message_id: str, kind: int) -> Event:
        """neonize counts receipts: 1 is delivered, 4 read."""
        return self._process.wait(
            self.name,
            lambda seen: seen["event"] == "receipt" and message_id in seen["ids"] and seen["type"] == kind,
            after=self.since,
        )

    def wait_for(self, name: str, event: str) -> Event:
        """As `wait`, for a former run of this client."""
        return self._process.wait(name, lambda seen: seen["event"] == event)

    def receipts(self, message_id: str) -> list[int]:
        """The receipts that came for a message so far."""
        return [
            seen["type"]
            for seen in self._process.events(self.name)
            if seen["event"] == "receipt" and message_id in seen["ids"]
        ]

    def texts(self, *, after: int = 0) -> list[str]:
        """The texts that came so far."""
        return [seen["text"] for seen in self._process.events(self.name, after) if seen["event"] == "message"]

    def now(self) -> int:
        return self._process.now()


def _start_neonize(network: Network, errors: Path) -> ClientProcess:
    process = ClientProcess(network, errors, _NEONIZE)
    process.wait("", lambda event: event["event"] == "ready")
    return process


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    with Network.start() as running:
        yield running


@pytest.fixture(scope="session")
def neonize(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientProcess]:
    process = _start_neonize(network, tmp_path_factory.mktemp("neonize") / "stderr.log")
    yield process
    process.close()


@pytest.fixture
def new_phone(network: Network) -> Callable[..., Phone]:
    """Phones with numbers that no other test has."""
    return lambda name="Somebody": network.phone(str(next(_numbers)), name=name)


@pytest.fixture
def maria(new_phone: Callable[..., Phone]) -> Phone:
    return new_phone("Maria")


@pytest.fixture
def new_companion(
    neonize: ClientProcess, new_phone: Callable[..., Phone], tmp_path: Path
) -> Iterator[Callable[..., Companion]]:
    """Clients that are not started yet, each with a phone of its own; all are stopped at the end."""
    made: list[Companion] = []

    def make(name: str) -> Companion:
        made.append(Companion(neonize, new_phone(name), tmp_path / f"{len(made)}.sqlite3"))
        return made[-1]

    yield make
    for companion in made:
        companion.phone.heal()
        if companion.name:
            companion.ask("stop")


@pytest.fixture(scope="session")
def shops() -> list[Companion]:
    """Connected numbers that a test has left as it found them."""
    return []


@pytest.fixture
def shop(
    shops: list[Companion], neonize: ClientProcess, new_phone: Callable[..., Phone], tmp_path: Path
) -> Iterator[Companion]:
    """A connected number. Pairing takes neonize most of a second, so it is used again while it is whole."""
    companion = shops.pop() if shops else Companion(neonize, new_phone("Shop"), tmp_path / "shop.sqlite3")
    if not companion.name:
        companion.pair()
    companion.since = companion.now()
    first = companion.name
    yield companion
    companion.phone.heal()
    if companion.name == first and companion.phone.is_online:
        shops.append(companion)
    else:
        companion.ask("stop")


@pytest.fixture
def own_network(tmp_path: Path) -> Iterator[tuple[Network, Companion]]:
    """A network that nobody else uses, for faults that hit everybody; and a client for it, not started yet."""
    with Network.start() as network:
        process = _start_neonize(network, tmp_path / "stderr.log")
        yield network, Companion(process, network.phone("5511900000000"), tmp_path / "own.sqlite3")
        process.close()


@pytest.fixture
def sandbox_error() -> type[Exception]:
    return SandboxError


@pytest.fixture
def pyaileys(network: Network, new_phone: Callable[..., Phone], tmp_path: Path) -> Iterator[Companion]:
    """A client of another library, in a process of its own, that shows its QR code."""
    process = ClientProcess(network, tmp_path / "stderr.log", _PYAILEYS, str(tmp_path / "auth"))
    companion = Companion(process, new_phone("Pyaileys"), tmp_path)
    companion.name = "pyaileys"
    yield companion
    process.close()
