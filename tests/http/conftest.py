"""A manager with the real store and directory but no sockets, and a caller who talks to it without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import msgspec
import pytest
from falcon import testing

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory, Qr
from chatbot_erp.actors.errors import BadName, BadWebhookUrl, InstanceNotOperational, NotPairing
from chatbot_erp.actors.manager import NAME, Created, Manager, Sent, check_text
from chatbot_erp.actors.phone_numbers import normalise
from chatbot_erp.actors.rebuild import Past, past
from chatbot_erp.actors.state import Account, Instance, Removed, encode_state, evolve
from chatbot_erp.eventstore.events import Event, InstanceConnected, InstanceCreated, InstanceRemoved, Status
from chatbot_erp.eventstore.records import NewEvent
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.http.app import create_app

MOMENT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
ACCOUNT = Account(jid="559199999999@s.whatsapp.net", lid="77@lid", push_name="Empresa X")


class FakeManager(Manager):
    """Does at once and in memory what actors and sockets would do; `calls` is what it was asked for."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.directory = Directory()
        self.draining = False
        self.calls: list[tuple[str, ...]] = []
        self.secrets: dict[str, str] = {}
        self.states: dict[str, Instance | Removed] = {}
        self.codes = 0
        self.trouble: str | None = None
        self.failure: Exception | None = None
        self.on_send: Callable[[], None] = lambda: None

    def happen(self, instance: str, event: Event) -> None:
        """Store a fact and fold it."""
        head = max((each.version for each in self.store.read(stream=instance, limit=1000)), default=0)
        state = evolve(self.states.get(instance), event, MOMENT)
        assert state is not None
        self.states[instance] = state
        new = NewEvent(id=str(uuid4()), event=event, recorded_at=MOMENT)
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
        self.secrets[instance] = "whsec_c2VjcmV0LW9mLXRoZS12YXVsdA=="
        return Created(view=self.directory.view(name), webhook_secret=self.secrets[instance])

    def webhook_secret(self, instance: str) -> str | None:
        return self.secrets.get(instance)

    def send_text(self, name: str, number: str, text: str) -> Sent:
        view = self.directory.view(name)
        digits = normalise(number)
        check_text(text)
        if view.status not in (Status.CONNECTED, Status.DEGRADED):
            raise InstanceNotOperational(f"It is {view.status}.")
        self._note("send", name, digits, text)
        self.on_send()
        return Sent(message_id=f"3EB0{len(self.calls):04}", jid=f"{digits}@s.whatsapp.net", sent_at=MOMENT)

    def pairing_code(self, name: str, number: str) -> str:
        view = self.directory.view(name)
        if view.status is not Status.SCAN_QR_CODE:
            raise NotPairing(f"It is {view.status}.")
        self._note("pair", name, normalise(number))
        self.codes += 1
        return f"ABCD-{self.codes:04}"

    def restart(self, name: str) -> None:
        self._note("restart", self.directory.find(name).name)

    def change_webhook(self, name: str, webhook_url: str) -> Any:
        entry = self.directory.find(name)
        self._note("change", name, webhook_url)
        state = self.states[entry.id]
        self.states[entry.id] = msgspec.structs.replace(state, webhook_url=webhook_url)
        self.directory.publish(entry.id, self.states[entry.id], None)
        return self.directory.view(name)

    def remove(self, name: str, *, unlink: bool) -> None:
        entry = self.directory.find(name)
        self._note("remove", name, f"unlink={unlink}")
        self.happen(entry.id, InstanceRemoved(reason="deleted", session_kept=not unlink))
        self.secrets.pop(entry.id, None)

    def connect(self, name: str) -> None:
        """Have a fact in the log beside the creation."""
        connected = InstanceConnected(previous=Status.INITIALIZING, jid=ACCOUNT.jid, lid=None, push_name="X")
        self.happen(self.directory.find(name).id, connected)

    def past(self, instance: str, *, position: int | None = None, at: datetime | None = None) -> Past:
        return past(self.store, instance, until=position, at=at)

    def unready(self) -> str | None:
        return self.trouble

    def _note(self, *call: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.calls.append(call)


class Caller:
    """Someone on this machine who calls the API."""

    def __init__(self, manager: FakeManager, config: Config) -> None:
        self.app = create_app(manager, config)
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
def manager(store: EventStore) -> FakeManager:
    return FakeManager(store)


@pytest.fixture
def config() -> Config:
    return Config(node="node-1")


@pytest.fixture
def api(manager: FakeManager, config: Config) -> Caller:
    return Caller(manager, config)


@pytest.fixture
def restarted(manager: FakeManager, config: Config) -> Callable[[], Caller]:
    """The API of the manager's next life: the same log, nothing in memory."""
    return lambda: Caller(manager, config)


@pytest.fixture(scope="module")
def shared_manager(store: EventStore) -> FakeManager:
    """For tests of many examples: `a` is connected, `pairing` waits for its phone."""
    manager = FakeManager(store)
    manager.bring("a", Status.CONNECTED)
    manager.bring("pairing", Status.SCAN_QR_CODE)
    return manager


@pytest.fixture(scope="module")
def shared_api(shared_manager: FakeManager) -> Caller:
    return Caller(shared_manager, Config())
