"""A manager with the real store and directory but no sockets, and a caller who talks to it without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import msgspec
import pytest
from falcon import testing
from prometheus_client.metrics_core import Metric

from chatbot_erp.actors.api_keys import KeyRing
from chatbot_erp.actors.audit import Audit
from chatbot_erp.actors.commands import ConfigurePacing, SendMessage
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.contents import Sendable
from chatbot_erp.actors.directory import Directory, Qr
from chatbot_erp.actors.dispatch import Sent, text_message
from chatbot_erp.actors.endpoint import TellAgain, recipients
from chatbot_erp.actors.erasing import Erased, Eraser
from chatbot_erp.actors.errors import (
    AuditRunning,
    BadName,
    BadWebhookUrl,
    InstanceNotOperational,
    MessageNotFound,
    NotPairing,
)
from chatbot_erp.actors.frames import Alive
from chatbot_erp.actors.house import House
from chatbot_erp.actors.instance import decide
from chatbot_erp.actors.latencies import Latencies
from chatbot_erp.actors.manager import NAME, Created, Manager, MediaFile
from chatbot_erp.actors.outbox import Outbox, Parcel
from chatbot_erp.actors.pacing import Pacing
from chatbot_erp.actors.people import People
from chatbot_erp.actors.phone_numbers import normalise
from chatbot_erp.actors.rebuild import Past, look_back
from chatbot_erp.actors.sending import Draft, check_text, complete
from chatbot_erp.actors.state import Account, Instance, Removed, encode_state, evolve
from chatbot_erp.actors.tallies import Tallies
from chatbot_erp.actors.webhook_control import WebhookControl
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.company import Alone
from chatbot_erp.eventstore.events import Event, InstanceConnected, InstanceCreated, InstanceRemoved, Status
from chatbot_erp.eventstore.records import MAIN, NewEvent, Redelivery
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault
from chatbot_erp.eventstore.walk import Report
from chatbot_erp.http.app import create_app
from chatbot_erp.http.serving import Serving, start_http
from fake_inquiries import FakeInquiries

LARGEST_FILE = 4 << 20
MOMENT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
ACCOUNT = Account(jid="559199999999@s.whatsapp.net", lid="777777@lid", push_name="Empresa X")


class FakeVault(Vault):
    """Keys in memory; `asked` is called whenever one is looked for."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, str], bytes] = {}
        self.asked: Callable[[], None] = lambda: None

    def put(self, kind: str, owner: str, secret: bytes, /) -> None:
        self._secrets[kind, owner] = secret

    def get(self, kind: str, owner: str, /) -> bytes | None:
        self.asked()
        return self._secrets.get((kind, owner))

    def delete(self, kind: str, owner: str, /) -> bool:
        return self._secrets.pop((kind, owner), None) is not None

    def all(self, kind: str, /) -> dict[str, bytes]:
        self.asked()
        return {owner: secret for (found, owner), secret in self._secrets.items() if found == kind}


class FakeAudit(Audit):
    """Has found this, unless somebody else has the log checked just now."""

    def __init__(self) -> None:
        self.report: Report | None = None

    def run(self) -> Report:
        if self.report is None:
            raise AuditRunning("Somebody has the log checked already.")
        return self.report


class FakeManager(Manager):
    """Does at once and in memory what actors and sockets would do; `calls` is what it was asked for."""

    def __init__(self, store: EventStore, data_dir: Path) -> None:
        self.store = store
        self.directory = Directory()
        self.vault = FakeVault()
        self.keys = KeyRing(self.vault)
        self.shelf = None
        self.webhooks = WebhookControl(store, self.vault, self.directory, Config(), lambda: MOMENT, self._carry_out)
        self.inquiries = FakeInquiries(lambda question, instance: self._note(question, self._name_of(instance)))
        self.people = People(
            cast(
                House, SimpleNamespace(directory=self.directory, inquiries=self.inquiries, store=store, config=Config())
            )
        )
        self._eraser = Eraser(store, Config(data_dir=Path("nowhere")))
        self.audit = FakeAudit()
        self._data_dir = data_dir
        self.outbox = Outbox(Config(data_dir=data_dir, media_max_bytes=LARGEST_FILE))
        self.draining = False
        self.calls: list[tuple[str, ...]] = []
        self.sent: list[tuple[Sendable, Parcel | str | None]] = []
        self.uploaded: list[bytes] = []
        self.states: dict[str, Instance | Removed] = {}
        self.codes = 0
        self.files: dict[str, tuple[str, str, bytes]] = {}
        self.trouble: str | None = None
        self.failure: Exception | None = None
        self.on_send: Callable[[], None] = lambda: None
        self.on_release: Callable[[], None] = lambda: None
        self.counted = Tallies()
        self.measured = Latencies()
        self.vitals: tuple[Alive, ...] = ()

    def release_callers(self) -> None:
        self.on_release()

    def tallies(self) -> dict[tuple[str, str], int]:
        return self.counted.read()

    def latencies(self) -> Iterator[Metric]:
        return self.measured.collect()

    def host_vitals(self) -> tuple[Alive, ...]:
        return self.vitals

    def _name_of(self, instance: str) -> str:
        return next(view.name for view in self.directory.views() if view.id == instance)

    def _carry_out(self, name: str, command: Any) -> None:
        entry = self.directory.find(name)
        again = command.deliveries if isinstance(command, TellAgain) else ()
        for event in decide(self.states[entry.id], command):
            self._note(type(event).__name__, name)
            self.happen(entry.id, event, again)

    def happen(self, instance: str, event: Event, again: tuple[Redelivery, ...] = ()) -> None:
        """Store a fact and fold it."""
        head = max((each.version for each in self.store.read(stream=instance, limit=1000)), default=0)
        state = evolve(self.states.get(instance), event, MOMENT)
        assert state is not None
        self.states[instance] = state
        told = recipients(state.endpoints, event)
        new = NewEvent(id=str(uuid4()), event=event, recorded_at=MOMENT, recipients=told, redeliveries=again)
        self.store.append(instance, head, [new], snapshot=encode_state(state)).result()
        self.directory.publish(instance, state, None)

    def bring(self, name: str, status: Status, *, qr: Qr | None = None, reason: str | None = None) -> str:
        """Have an instance in this status; its id."""
        instance = self.create(name, "http://receiver/").view.id
        state = self.states[instance]
        assert isinstance(state, Instance)
        account = ACCOUNT if status in (Status.CONNECTED, Status.DEGRADED) else None
        self.states[instance] = msgspec.structs.replace(state, status=status, reason=reason, account=account)
        self.directory.publish(instance, self.states[instance], qr)
        self.calls.clear()
        return instance

    def create(self, name: str, webhook_url: str) -> Created:
        self._note("create", name, webhook_url)
        if not NAME.fullmatch(name):
            raise BadName("No such name.")
        if not webhook_url.startswith("http"):
            raise BadWebhookUrl("No such URL.")
        instance = str(uuid4())
        self.directory.enter(instance, name, cast(Any, None))
        self.happen(instance, InstanceCreated(name=name, webhook_url=webhook_url, session_from=None))
        secret = Credentials(self.vault, instance, MAIN).make()
        return Created(view=self.directory.view(name), webhook_secret=secret)

    def send_text(self, name: str, number: str, text: str) -> Sent:
        view = self.directory.view(name)
        digits = normalise(number)
        check_text(text)
        if view.status not in (Status.CONNECTED, Status.DEGRADED):
            raise InstanceNotOperational(f"It is {view.status}.")
        self._note("send", name, digits, text)
        self.on_send()
        return Sent(message_id=f"3EB0{len(self.calls):04}", jid=f"{digits}@s.whatsapp.net", sent_at=MOMENT)

    def accept_text(self, name: str, number: str, text: str) -> str:
        command = text_message(number, text, None)
        self._note("accept", name, command.number, text)
        self._carry_out(name, command)
        return command.command_id

    def send(self, name: str, draft: Draft, file: Parcel | str | None = None) -> Sent:
        whole = self._whole(name, draft, file)
        self._note("send", name, whole.to, whole.content.text)
        self.sent.append((whole.content, file))
        return Sent(message_id=f"3EB0{len(self.calls):04}", jid=f"{whole.to}@s.whatsapp.net", sent_at=MOMENT)

    def accept(self, name: str, draft: Draft, file: Parcel | str | None = None) -> str:
        whole = self._whole(name, draft, file)
        command = SendMessage(command_id=str(uuid4()), number=whole.to, content=whole.content)
        self._note("accept", name, whole.to, whole.content.text)
        self._carry_out(name, command)
        return command.command_id

    def _whole(self, name: str, draft: Draft, file: Parcel | str | None) -> Draft:
        view = self.directory.view(name)
        if isinstance(file, Parcel):
            self.uploaded.append(self.outbox.path(file.id).read_bytes())
            self.outbox.remove(file.id)
        if view.status not in (Status.CONNECTED, Status.DEGRADED):
            raise InstanceNotOperational(f"It is {view.status}.")
        return complete(draft, lambda _: None, ACCOUNT)

    def outgoing(self) -> list[Path]:
        """The files that wait to be sent."""
        return list((self._data_dir / "outbox").glob("*"))

    def media(self, name: str, message_id: str) -> MediaFile:
        self.directory.view(name)
        self._note("media", name, message_id)
        if message_id not in self.files:
            raise MessageNotFound(f"{name} has received no message {message_id}.")
        file_name, mime_type, content = self.files[message_id]
        return MediaFile(file=BytesIO(content), size=len(content), mime_type=mime_type, name=file_name)

    def pairing_code(self, name: str, number: str) -> str:
        view = self.directory.view(name)
        if view.status is not Status.SCAN_QR_CODE:
            raise NotPairing(f"It is {view.status}.")
        self._note("pair", name, normalise(number))
        self.codes += 1
        return f"ABCD-{self.codes:04}"

    def pace(self, name: str, pacing: Pacing) -> None:
        self._carry_out(name, ConfigurePacing(pacing=pacing))

    def restart(self, name: str) -> None:
        self._note("restart", self.directory.find(name).name)

    def remove(self, name: str, *, unlink: bool) -> None:
        entry = self.directory.find(name)
        self._note("remove", name, f"unlink={unlink}")
        self.happen(entry.id, InstanceRemoved(reason="deleted", session_kept=not unlink))
        Credentials(self.vault, entry.id, MAIN).forget()

    def connect(self, name: str) -> None:
        """Have a fact in the log beside the creation."""
        connected = InstanceConnected(previous=Status.INITIALIZING, jid=ACCOUNT.jid, lid=None, push_name="X")
        self.happen(self.directory.find(name).id, connected)

    def past(self, instance: str, *, position: int | None = None, at: datetime | None = None) -> Past:
        return look_back(self.store, instance, until=position, at=at)

    def erase(self, number: str) -> Erased:
        return self._eraser.erase(number, MOMENT)

    def unready(self) -> str | None:
        return self.trouble

    def _note(self, *call: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.calls.append(call)


class FakePlayground:
    """A sandbox that remembers what it was asked for; `refusal` is what it says instead."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.refusal: Exception | None = None

    def scan(self, number: str, qr: str) -> None:
        self._note("scan", number, qr)

    def send(self, sender: str, to: str, text: str) -> str:
        self._note("send", sender, to, text)
        return "3EB0"

    def play(self, fault: str, number: str) -> None:
        self._note("play", fault, number)

    def heal(self) -> None:
        self._note("heal")

    def _note(self, *call: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(call)


class Caller:
    """Someone on this machine who calls the API."""

    def __init__(self, manager: FakeManager, config: Config, playground: FakePlayground | None = None) -> None:
        self.app = create_app(manager, config, playground)
        self._client = testing.TestClient(self.app)

    def __call__(self, method: str, path: str, **more: Any) -> testing.Result:
        return self._client.simulate_request(method, path, **{"host": "127.0.0.1", "port": 3000, **more})

    def get(self, path: str, **more: Any) -> testing.Result:
        return self("GET", path, **more)

    def post(self, path: str, payload: object = None, **more: Any) -> testing.Result:
        return self("POST", path, **({"json": payload} if payload is not None else {}), **more)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    with EventStore.open(tmp_path_factory.mktemp("log")) as store:
        yield store


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[EventStore]:
    """A log with nothing in it."""
    with EventStore.open(tmp_path) as store:
        yield store


@pytest.fixture
def manager(store: EventStore, tmp_path: Path) -> FakeManager:
    return FakeManager(store, tmp_path)


@pytest.fixture
def config() -> Config:
    return Config(node="node-1")


@pytest.fixture
def api(manager: FakeManager, config: Config) -> Caller:
    return Caller(manager, config)


@pytest.fixture
def playground() -> FakePlayground:
    return FakePlayground()


@pytest.fixture
def sandbox_api(manager: FakeManager, config: Config, playground: FakePlayground) -> Caller:
    """The API of a manager on the sandbox network."""
    return Caller(manager, config, playground)


@pytest.fixture
def start(manager: FakeManager) -> Iterator[Callable[..., Serving]]:
    started: list[Serving] = []

    def start(*, threads: int = 4, api_key: str | None = None, **more: Any) -> Serving:
        started.append(start_http(manager, Config(port=0, http_threads=threads, api_key=api_key), **more))
        return started[-1]

    manager.bring("a", Status.CONNECTED)
    yield start
    for server in started:
        server.stop()


@pytest.fixture
def restarted(manager: FakeManager, config: Config) -> Callable[[], Caller]:
    """The API of the manager's next life: the same log, nothing in memory."""

    def restart() -> Caller:
        manager.store.company = Alone()
        return Caller(manager, config)

    return restart


@pytest.fixture(scope="module")
def shared_manager(store: EventStore, tmp_path_factory: pytest.TempPathFactory) -> FakeManager:
    """For tests of many examples: `a` is connected, `pairing` waits for its phone."""
    manager = FakeManager(store, tmp_path_factory.mktemp("shared"))
    manager.bring("a", Status.CONNECTED)
    manager.bring("pairing", Status.SCAN_QR_CODE)
    return manager


@pytest.fixture(scope="module")
def shared_api(shared_manager: FakeManager) -> Caller:
    return Caller(shared_manager, Config(), FakePlayground())
