"""Looking back at an instance whose log is long costs no more than at a quiet one, and shows the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_erp.actors.errors import HistoryTooLong
from chatbot_erp.actors.rebuild import LAST_OF_MESSAGES, look_back, past
from chatbot_erp.actors.state import Instance, State
from chatbot_erp.eventstore.events import (
    Ack,
    Event,
    InstanceConnected,
    InstanceCreated,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceRecovered,
    InstanceRemoved,
    InstanceRestarted,
    MessageAccepted,
    MessageAcknowledged,
    PacingConfigured,
    Status,
    WebhookDelivered,
    WebhookUrlChanged,
)
from chatbot_erp.eventstore.records import NewEvent
from chatbot_erp.eventstore.store import EventStore

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
CREATED = InstanceCreated(name="a", webhook_url="http://receiver/", session_from=None)
CONNECTED = InstanceConnected(previous=Status.INITIALIZING, jid="551@s.whatsapp.net", lid=None, push_name="X")
DEGRADED = InstanceDegraded(previous=Status.CONNECTED, message_id="m", ack=Ack.SENT)
RECOVERED = InstanceRecovered(previous=Status.DEGRADED, message_id="m", ack=Ack.READ)

ANYTHING = st.sampled_from(
    [
        CONNECTED,
        InstanceDisconnected(previous=Status.CONNECTED, reason="connection_lost"),
        InstanceRestarted(previous=Status.DISCONNECTED, cause="requested", generation=2),
        WebhookUrlChanged(webhook_url="http://elsewhere/"),
        PacingConfigured(per_minute=6, burst=1, typing_s=0.0),
        MessageAccepted(command_id="c", number="552", kind="text", text="Olá"),
        MessageAcknowledged(message_id="m", jid="552@s.whatsapp.net", participant=None, ack=Ack.READ),
        WebhookDelivered(sequence=1, attempts=1, http_status=200),
        InstanceRemoved(reason="deleted", session_kept=False),
    ]
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    with EventStore.open(tmp_path_factory.mktemp("log")) as store:
        yield store


def lived(store: EventStore, *events: Event) -> str:
    """The stream of an instance to which these happened, one a second."""
    stream, first = str(uuid4()), store.head()
    new = [
        NewEvent(id=str(uuid4()), event=event, recorded_at=NOON + timedelta(seconds=first + number), recipients=())
        for number, event in enumerate((CREATED, *events))
    ]
    store.append(stream, 0, new, snapshot=b"x").result()
    return stream


def shown(state: State) -> State:
    """All but what is under way."""
    return msgspec.structs.replace(state, pending=()) if isinstance(state, Instance) else state


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(ANYTHING | st.just(DEGRADED), max_size=12), back=st.integers(0, 12))
def test_it_shows_what_the_whole_log_shows(store: EventStore, steps: list[Event], back: int) -> None:
    stream = lived(store, CONNECTED, *alternating(steps))
    until = max(store.head() - back, 1)
    then, whole = look_back(store, stream, until=until), past(store, stream, until=until)
    assert shown(then.state) == shown(whole.state)
    assert then.fates.all() == whole.fates.all()
    moment = NOON + timedelta(seconds=until - 1)
    assert shown(look_back(store, stream, at=moment).state) == shown(past(store, stream, at=moment).state)


def alternating(steps: list[Event]) -> Iterator[Event]:
    """As the rule for acknowledgements has it: an instance degrades when it is connected, and recovers when degraded."""
    status = Status.CONNECTED
    for step in steps:
        match step, status:
            case InstanceDegraded(), Status.CONNECTED:
                status = Status.DEGRADED
                yield DEGRADED
            case InstanceDegraded(), Status.DEGRADED:
                status = Status.CONNECTED
                yield RECOVERED
            case InstanceDegraded(), _:
                continue
            case InstanceConnected(), _:
                status = Status.CONNECTED
                yield step
            case InstanceDisconnected() | InstanceRestarted() | InstanceRemoved(), _:
                status = Status.DISCONNECTED
                yield step
            case _:
                yield step


def test_traffic_does_not_make_it_too_long(store: EventStore) -> None:
    traffic = [
        MessageAccepted(command_id=str(n), number="552", kind="text", text="Olá") for n in range(LAST_OF_MESSAGES)
    ]
    stream = lived(store, CONNECTED, *[DEGRADED, RECOVERED] * 20, traffic[0], *traffic)
    then = look_back(store, stream, limit=LAST_OF_MESSAGES + 4)
    assert isinstance(then.state, Instance)
    assert then.state.status is Status.CONNECTED
    assert len(then.fates.all()) == LAST_OF_MESSAGES


def test_what_is_too_long_is_refused(store: EventStore) -> None:
    stream = lived(store, CONNECTED, WebhookUrlChanged(webhook_url="http://elsewhere/"))
    look_back(store, stream, limit=3)
    with pytest.raises(HistoryTooLong):
        look_back(store, stream, limit=2)
